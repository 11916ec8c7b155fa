"""Says the journal's events in OCPP 2's TransactionEvent (block E), and values outside of transactions (J01)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from agent.journal.events import (
    Event,
    MeterSampled,
    MeterSigned,
    SampledValue,
    StartTrigger,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Unplugged,
)
from agent.ocpp.delivery import Receipt, Rendered
from agent.ocpp.times import time_text
from agent.ocpp.v2.block import CONNECTOR
from agent.ocpp.v2.tokens import token_info
from agent.ocpp.v2.version import Version

START_TRIGGERS: Mapping[StartTrigger, str] = {
    StartTrigger.CABLE_PLUGGED_IN: "CablePluggedIn",
    StartTrigger.AUTHORIZED: "Authorized",
    StartTrigger.REMOTE_START: "RemoteStart",
    StartTrigger.FREE_VEND: "Authorized",
}


class Renderer2:
    """See ``agent.ocpp.delivery.Renderer``."""

    def __init__(self, version: Version) -> None:
        self._version = version
        self._seq: Counter[str] = Counter()

    def render(self, event: Event, utc_s: float, _number: int | None) -> Rendered | None:
        if isinstance(event, Unplugged):
            return None
        payload: dict[str, Any] = {
            "timestamp": time_text(utc_s),
            "seqNo": self._seq[event.transaction],
            "transactionInfo": {"transactionId": event.transaction},
            "evse": {"id": event.evse, "connectorId": CONNECTOR},
        }
        if event.offline:
            payload["offline"] = True
        match event:
            case TransactionStarted():
                payload["eventType"] = "Started"
                payload["triggerReason"] = START_TRIGGERS[event.trigger]
                payload["idToken"] = {"idToken": event.token, "type": event.token_kind}
                register = SampledValue("Energy.Active.Import.Register", event.meter_wh, "Wh")
                payload["meterValue"] = [_meter_value(utc_s, (register,), "Transaction.Begin")]
            case TransactionUpdated():
                payload["eventType"], payload["triggerReason"] = "Updated", "ChargingStateChanged"
                payload["transactionInfo"]["chargingState"] = event.state.value
            case MeterSampled():
                payload["eventType"], payload["triggerReason"] = "Updated", "MeterValuePeriodic"
                payload["meterValue"] = [_meter_value(utc_s, event.samples)]
            case MeterSigned():
                return None
            case TransactionEnded():
                payload["eventType"], payload["triggerReason"] = "Ended", "StopAuthorized"
                register = SampledValue("Energy.Active.Import.Register", event.meter_wh, "Wh")
                payload["meterValue"] = [_meter_value(utc_s, (register,), "Transaction.End")]
        self._seq[event.transaction] += 1
        return Rendered("TransactionEvent", payload)

    def receipt(self, event: Event, payload: Mapping[str, Any]) -> Receipt:
        return Receipt(info=token_info(payload.get("idTokenInfo")) if isinstance(event, TransactionStarted) else None)


def meter_values(evse: int, utc_s: float, samples: Sequence[SampledValue]) -> dict[str, Any] | None:
    """Return the payload of a MeterValues; None when none of the samples can be said."""
    value = _meter_value(utc_s, samples)
    return {"evseId": evse, "meterValue": [value]} if value["sampledValue"] else None


def _meter_value(utc_s: float, samples: Sequence[SampledValue], context: str = "") -> dict[str, Any]:
    return {
        "timestamp": time_text(utc_s),
        "sampledValue": [_sampled(sample, context) for sample in samples if math.isfinite(sample.value)],
    }


def _sampled(sample: SampledValue, context: str) -> dict[str, Any]:
    value: dict[str, Any] = {
        "value": round(sample.value, 3),
        "context": context or sample.context.value,
        "measurand": sample.measurand,
    }
    if sample.phase:
        value["phase"] = sample.phase
    if sample.unit:
        value["unitOfMeasure"] = {"unit": sample.unit}
    return value
