"""Says the journal's events in OCPP 1.6's messages."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from agent.journal.events import (
    Event,
    MeterSampled,
    MeterSigned,
    SampledValue,
    StopReason,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Unplugged,
    begins,
)
from agent.ocpp.delivery import Receipt, Rendered
from agent.ocpp.schema import MAX_INTEGER
from agent.ocpp.times import time_text
from agent.ocpp.v16.signed_values import meter_value
from agent.ocpp.v16.tokens import id_tag, token_info
from agent.station.commands import ConnectorStatus, StatusReport

COST_VENDOR = "org.openchargealliance.costmsg"
"""vendorId of the messages about prices and costs."""

UNKNOWN_TRANSACTION = -1
"""Errata 3.18: the id to use when the start was never confirmed."""

STOP_REASONS: Mapping[StopReason, str] = {
    StopReason.COST_LIMIT_REACHED: "Other",
    StopReason.DE_AUTHORIZED: "DeAuthorized",
    StopReason.EMERGENCY_STOP: "EmergencyStop",
    StopReason.ENERGY_LIMIT_REACHED: "Other",
    StopReason.EV_DISCONNECTED: "EVDisconnected",
    StopReason.GROUND_FAULT: "Other",
    StopReason.IMMEDIATE_RESET: "HardReset",
    StopReason.LOCAL: "Local",
    StopReason.MASTER_PASS: "Other",
    StopReason.OTHER: "Other",
    StopReason.OVERCURRENT_FAULT: "Other",
    StopReason.POWER_LOSS: "PowerLoss",
    StopReason.REBOOT: "Reboot",
    StopReason.REMOTE: "Remote",
    StopReason.SCHEDULED_RESET: "SoftReset",
    StopReason.STOPPED_BY_EV: "Other",
    StopReason.TIME_LIMIT_REACHED: "Other",
    StopReason.TIMEOUT: "Other",
    StopReason.UNLOCK_COMMAND: "UnlockCommand",
}
"""OCPP 1.6 §7.36."""

UNITS = frozenset(
    (
        "Wh",
        "kWh",
        "varh",
        "kvarh",
        "W",
        "kW",
        "VA",
        "kVA",
        "var",
        "kvar",
        "A",
        "V",
        "K",
        "Celcius",
        "Celsius",
        "Fahrenheit",
        "Percent",
    )
)
"""OCPP 1.6 §7.45 (with the spelling error that the schemas keep). A frequency goes without its unit: §7.31 means hertz,
and of the two schemas that carry samples only one has the word."""

STOP_UNITS = UNITS - {"Hertz"}
"""The schema of StopTransaction knows one unit less than that of MeterValues."""

PHASES = frozenset(("L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N", "L1-L2", "L2-L3", "L3-L1"))
"""OCPP 1.6 §7.34."""

MEASURANDS = frozenset(
    [f"Energy.{kind}.{way}.{form}" for kind in ("Active", "Reactive") for way in ("Export", "Import")
     for form in ("Register", "Interval")]
    + [f"Power.{kind}.{way}" for kind in ("Active", "Reactive") for way in ("Export", "Import")]
    + ["Power.Offered", "Power.Factor", "Current.Import", "Current.Export", "Current.Offered"]
    + ["Voltage", "Frequency", "Temperature", "SoC", "RPM"]
)  # fmt: skip
"""OCPP 1.6 §7.31."""

ERROR_CODES = frozenset(
    (
        "ConnectorLockFailure",
        "EVCommunicationError",
        "GroundFailure",
        "HighTemperature",
        "InternalError",
        "LocalListConflict",
        "NoError",
        "OtherError",
        "OverCurrentFailure",
        "OverVoltage",
        "PowerMeterFailure",
        "PowerSwitchFailure",
        "ReaderFailure",
        "ResetFailure",
        "UnderVoltage",
        "WeakSignal",
    )
)
"""OCPP 1.6 §7.6."""

CHARGEX = "https://chargex.inl.gov"
"""Whose words the codes CX001 to CX026 are (ChargeX minimum required error codes)."""

_CHARGEX_CODE = re.compile(r"CX0[0-9]{2}")

_STATION_STATUSES = (ConnectorStatus.AVAILABLE, ConnectorStatus.UNAVAILABLE, ConnectorStatus.FAULTED)


class Renderer16:
    """See ``agent.ocpp.delivery.Renderer``."""

    numbers_messages = False

    def numbered(self, _event: Event) -> bool:
        return False

    def render(self, event: Event, utc_s: float, number: int | None) -> Rendered | None:
        match event:
            case TransactionStarted():
                # Begun under 2.x, before driver or EVSE were known: told by the event from which on they are.
                return Rendered("StartTransaction", _start(event, utc_s)) if begins(event) else None
            case MeterSampled(early=True):
                return None
            case MeterSampled():
                transaction = UNKNOWN_TRANSACTION if number is None else number
                return meter_values(event.evse, utc_s, event.samples, transaction)
            case MeterSigned():
                return Rendered("MeterValues", _signed(event, utc_s, number))
            case TransactionEnded(anonymous=True):
                return None  # nobody was ever authorised, so nothing flowed
            case TransactionEnded():
                return Rendered("StopTransaction", _stop(event, utc_s, number))
            case TransactionUpdated():
                return Rendered("StartTransaction", _late_start(event, utc_s)) if begins(event) else None
            case Unplugged():
                # OCA "California Pricing": queued as messages of a transaction are. Useless without its number.
                return None if number is None else Rendered("DataTransfer", _unplugged(utc_s, number))

    def receipt(self, event: Event, payload: Mapping[str, Any]) -> Receipt:
        """Read the answer. Only a start's answer holds something we cannot do without: the transaction's number."""
        if isinstance(event, TransactionEnded):
            return Receipt(info=token_info(payload.get("idTagInfo")))
        if not begins(event):
            return Receipt()
        number = payload.get("transactionId")
        if type(number) is not int or not -MAX_INTEGER <= number <= MAX_INTEGER:
            return Receipt(problem="the answer to StartTransaction holds no transactionId")
        return Receipt(number, token_info(payload.get("idTagInfo")))


def whole_wh(energy_wh: float) -> int:
    """Return the register in whole Wh, half up: meterStart, meterStop and energy samples must round alike,
    or a sample could lie above the stop that follows it. Raises ValueError when it is no number."""
    if not math.isfinite(energy_wh):
        raise ValueError("the meter register is not a number")
    return math.floor(energy_wh + 0.5)


def _start(event: TransactionStarted, utc_s: float) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "connectorId": event.evse,
        "idTag": id_tag(event.token),
        "meterStart": whole_wh(event.meter_wh),
        "timestamp": time_text(utc_s),
    }
    if event.reservation is not None:
        payload["reservationId"] = event.reservation
    return payload


def _late_start(event: TransactionUpdated, utc_s: float) -> dict[str, Any]:
    assert event.start_wh is not None
    payload: dict[str, Any] = {
        "connectorId": event.evse,
        "idTag": id_tag(event.token),
        "meterStart": whole_wh(event.start_wh),
        "timestamp": time_text(utc_s),
    }
    if event.reservation is not None:
        payload["reservationId"] = event.reservation
    return payload


def _stop(event: TransactionEnded, utc_s: float, number: int | None) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "meterStop": whole_wh(event.meter_wh),
        "timestamp": time_text(utc_s),
        "transactionId": UNKNOWN_TRANSACTION if number is None else number,
        "reason": STOP_REASONS[event.reason],
    }
    if event.token:
        payload["idTag"] = id_tag(event.token)
    data = _by_time(event.samples, utc_s)
    data += [meter_value(value, utc_s) for value in event.signed]
    if data:
        payload["transactionData"] = data
    return payload


def _by_time(samples: Sequence[SampledValue], utc_s: float) -> list[dict[str, Any]]:
    """Group what was collected on the way: one MeterValue for each moment, oldest first."""
    moments: dict[float, list[SampledValue]] = {}
    for sample in samples:
        moments.setdefault(sample.ago_s, []).append(sample)
    return [
        {"timestamp": time_text(utc_s - ago_s), "sampledValue": values}
        for ago_s in sorted(moments, reverse=True)
        if (values := sampled_values(moments[ago_s], STOP_UNITS))
    ]


def _signed(event: MeterSigned, utc_s: float, number: int | None) -> dict[str, Any]:
    return {
        "connectorId": event.evse,
        "transactionId": UNKNOWN_TRANSACTION if number is None else number,
        "meterValue": [meter_value(value, utc_s) for value in event.signed],
    }


def _unplugged(utc_s: float, number: int) -> dict[str, Any]:
    data = json.dumps({"transactionId": number, "timestamp": time_text(utc_s)})
    return {"vendorId": COST_VENDOR, "messageId": "ConnectorUnplugged", "data": data}


def meter_values(
    evse: int, utc_s: float, samples: Sequence[SampledValue], transaction: int | None = None
) -> Rendered | None:
    """Return a MeterValues message; None when none of the samples can be said (the schema wants at least one)."""
    values = sampled_values(samples)
    if not values:
        return None
    payload: dict[str, Any] = {
        "connectorId": evse,
        "meterValue": [{"timestamp": time_text(utc_s), "sampledValue": values}],
    }
    if transaction is not None:
        payload["transactionId"] = transaction
    return Rendered("MeterValues", payload)


def sampled_values(samples: Sequence[SampledValue], units: Collection[str] = UNITS) -> list[dict[str, Any]]:
    """Return the samples that OCPP 1.6 has words for; a unit that it has none for is left out."""
    return [_sampled(s, units) for s in samples if math.isfinite(s.value) and s.measurand in MEASURANDS]


def _sampled(sample: SampledValue, units: Collection[str]) -> dict[str, Any]:
    value = {
        "value": str(whole_wh(sample.value)) if sample.unit == "Wh" else _decimal(sample.value),
        "context": sample.context.value,
        "measurand": sample.measurand,
    }
    if sample.unit in units:
        value["unit"] = sample.unit
    if sample.phase in PHASES:
        value["phase"] = sample.phase
    return value


def _decimal(value: float) -> str:
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def status_notification(report: StatusReport, vendor: str) -> dict[str, Any]:
    """Return the payload of a StatusNotification. Connector 0 knows three states only (OCPP 1.6 §4.9)."""
    status = report.status
    if report.evse == 0 and status not in _STATION_STATUSES:
        status = ConnectorStatus.AVAILABLE
    payload: dict[str, Any] = {
        "connectorId": report.evse,
        "status": status.value,
        "errorCode": report.error if report.error in ERROR_CODES else "OtherError",
        "timestamp": time_text(report.at_utc_s),
    }
    if report.info:
        payload["info"] = report.info[:50]
    if report.vendor_error:
        payload["vendorErrorCode"] = report.vendor_error[:50]
        payload["vendorId"] = CHARGEX if _CHARGEX_CODE.fullmatch(report.vendor_error) else vendor[:255]
    return payload
