"""Signed meter values in OCPP 1.6: OCA application note "Signed Meter Values in OCPP" v1.0, section 3."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

from agent.journal.events import SignedValue
from agent.ocpp.times import time_text
from agent.ocpp.v16.configuration import LiveKey
from agent.station.commands import SettingAnswer


def key_text(public_key: str) -> str:
    """Return the content of publicKey for a key in hexadecimal DER (3.2.2); empty for none."""
    return _base64(f"oca:base16:asn1:{public_key}") if public_key else ""


def meter_value(value: SignedValue, utc_s: float) -> dict[str, Any]:
    """Return a MeterValue with one signed sample. ``utc_s`` is its event's time.

    The set goes as it is, however long: cut short it would be worth nothing."""
    signed = {
        "signedMeterData": _base64(value.data),
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


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
