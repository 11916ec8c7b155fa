"""Signed meter values in OCPP 1.6: OCA application note "Signed Meter Values in OCPP" v1.0, section 3."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

from agent.journal.events import SignedValue
from agent.ocpp.signed_data import encoded, key_text
from agent.ocpp.times import time_text
from agent.ocpp.v16.configuration import LiveKey
from agent.station.commands import SettingAnswer


def meter_value(value: SignedValue, utc_s: float) -> dict[str, Any]:
    """Return a MeterValue with one signed sample. ``utc_s`` is its event's time.

    The set goes as it is, however long: cut short it would be worth nothing."""
    signed = {
        "signedMeterData": encoded(value.data),
        "signingMethod": value.signing_method,
        "encodingMethod": value.encoding,
        "publicKey": key_text(value.public_key),
    }
    sample = {
        "value": json.dumps(signed, separators=(",", ":")),
        "context": value.context.value,
        "format": "SignedData",
        "measurand": "Energy.Active.Import.Register",
        "location": "Outlet",
    }
    return {"timestamp": time_text(utc_s - value.ago_s), "sampledValue": [sample]}


def public_key_keys(evses: Collection[int], public_key: Callable[[int], str]) -> Sequence[LiveKey]:
    """Return MeterPublicKey1, MeterPublicKey2, …: read-only, empty where the meter does not sign (3.3.1)."""
    return [_public_key_key(evse, public_key) for evse in sorted(evses)]


def _public_key_key(evse: int, public_key: Callable[[int], str]) -> LiveKey:
    return LiveKey(
        f"MeterPublicKey{evse}", lambda: key_text(public_key(evse)), lambda _: SettingAnswer.REJECTED, writable=False
    )
