"""Payloads from the JSON schemas of OCPP 2.0.1 and 2.1 (``tests.fuzz16.odd_schema``), for all that a CSMS may send."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import strategies as st

from agent.station.settings import SETTINGS
from tests.fuzz16.odd_schema import ADDRESSES, OddPayloads

ACTIONS_201 = (
    "CancelReservation",
    "CertificateSigned",
    "ChangeAvailability",
    "ClearCache",
    "ClearChargingProfile",
    "ClearDisplayMessage",
    "ClearVariableMonitoring",
    "CostUpdated",
    "CustomerInformation",
    "DataTransfer",
    "DeleteCertificate",
    "GetBaseReport",
    "GetChargingProfiles",
    "GetCompositeSchedule",
    "GetDisplayMessages",
    "GetInstalledCertificateIds",
    "GetLocalListVersion",
    "GetLog",
    "GetMonitoringReport",
    "GetReport",
    "GetTransactionStatus",
    "GetVariables",
    "InstallCertificate",
    "PublishFirmware",
    "RequestStartTransaction",
    "RequestStopTransaction",
    "ReserveNow",
    "Reset",
    "SendLocalList",
    "SetChargingProfile",
    "SetDisplayMessage",
    "SetMonitoringBase",
    "SetMonitoringLevel",
    "SetNetworkProfile",
    "SetVariableMonitoring",
    "SetVariables",
    "TriggerMessage",
    "UnlockConnector",
    "UnpublishFirmware",
    "UpdateFirmware",
)

ACTIONS_21 = (
    *ACTIONS_201,
    "AFRRSignal",
    "AdjustPeriodicEventStream",
    "ChangeTransactionTariff",
    "ClearDERControl",
    "ClearTariffs",
    "GetDERControl",
    "GetPeriodicEventStream",
    "GetTariffs",
    "NotifyAllowedEnergyTransfer",
    "NotifyWebPaymentStarted",
    "RequestBatterySwap",
    "SetDERControl",
    "SetDefaultTariff",
    "UpdateDynamicSchedule",
    "UsePriorityCharging",
)

CODES = {
    "type": "TypeConstraintViolation",
    "required": "ProtocolError",
    "additionalProperties": "FormatViolation",
    "minItems": "OccurrenceConstraintViolation",
    "maxItems": "OccurrenceConstraintViolation",
}
"""Any other keyword: PropertyConstraintViolation (2.0.1 part 4 §4.3)."""

CARDS = ("04A1B2C3", "card", "CARD", "PARENT", " ", "", "x" * 36)

VALUES = (
    *("true", "false", "TRUE", "0", "1", "-1", "+1", "60", "3600", "2147483647", "9223372036854775808"),
    *("6", "16.5", "1e3", "NaN", "Infinity", "Energy.Active.Import.Register", "Voltage,Current.Import", ",", ",,"),
    *("Authorized", "EVConnected,PowerPathClosed", "Heartbeat", "NTP,Heartbeat", "1,0", "0", "2026-09-21T14:13:20Z"),
)

_NUMBERS = st.sampled_from((0, 1, 2, 1, 2, 3, -1, 2**31, 2**63 - 1))

NAMED: dict[str, st.SearchStrategy[Any]] = {
    "evseId": _NUMBERS,
    "id": _NUMBERS,
    "connectorId": st.sampled_from((1, 1, 1, 0, 2, -1, 2**31)),
    "chargingProfileId": _NUMBERS,
    "reservationId": st.integers(-2, 3),
    "versionNumber": st.integers(-2, 6),
    "requestId": st.integers(-2, 3),
    "stackLevel": st.integers(-1, 10),
    "configurationSlot": st.integers(-1, 3),
    "severity": st.integers(-1, 10),
    "monitoringBase": st.integers(-1, 10),
    "idToken": st.sampled_from(CARDS),
    "attributeValue": st.sampled_from(VALUES),
    "location": st.sampled_from(ADDRESSES),
    "remoteLocation": st.sampled_from(ADDRESSES),
    "ocppCsmsUrl": st.sampled_from(("ws://127.0.0.1:9/x", "wss://127.0.0.1:9", "http://127.0.0.1", "", "ws://")),
    "vendorId": st.sampled_from(("org.evse-agent", "evse-agent", "other", "")),
    "messageId": st.sampled_from(("SetNetwork", "GetNetwork", "", "x")),
    "language": st.sampled_from(("en", "de", "", "xx-yy")),
}

_NAME = re.compile(r"([^.\[]+)(?:\[([^\]]*)\])?\.([^.\[]+)(?:\[([^\]]*)\])?")

LIVE = (
    "EVSE.AvailabilityState",
    "EVSE.Power",
    "Connector.ConnectorType",
    "ChargingStation.Available",
    "ClockCtrlr.DateTime",
)


def _pair(name: str) -> dict[str, Any]:
    found = _NAME.fullmatch(name)
    assert found is not None, name
    component: dict[str, Any] = {"name": found[1]} | ({"instance": found[2]} if found[2] else {})
    return {"component": component, "variable": {"name": found[3]} | ({"instance": found[4]} if found[4] else {})}


PAIRS = tuple(_pair(name) for name in (*SETTINGS, *LIVE) if _NAME.fullmatch(name))
"""Component and variable of everything that can be set, and of some that is alive."""

TRANSACTION = "the one that runs"
"""Stands in a payload where the test puts the id of the running transaction."""


def _likely(draw: st.DrawFn, _action: str, payload: Any) -> Any:
    """Names that exist, where names stand by the hundred; the running transaction, where one is wanted."""
    if isinstance(payload, list):
        return [_likely(draw, _action, inner) for inner in payload]
    if not isinstance(payload, dict):
        return payload
    made = {key: _likely(draw, _action, inner) for key, inner in payload.items()}
    if "component" in made and draw(st.integers(0, 9)) < 8:
        pair = json.loads(json.dumps(draw(st.sampled_from(PAIRS))))
        evse = made["component"].get("evse")
        made["component"] = pair["component"] | ({} if evse is None or draw(st.booleans()) else {"evse": evse})
        if "variable" in made:
            made["variable"] = pair["variable"]
    if "transactionId" in made and draw(st.booleans()):
        made["transactionId"] = TRANSACTION
    return made


def _odd(package: str, actions: tuple[str, ...]) -> OddPayloads:
    return OddPayloads(package, "Request", actions, NAMED, CODES, most_optional=3, likely=_likely)


ODD = {"ocpp2.0.1": _odd("v201", ACTIONS_201), "ocpp2.1": _odd("v21", ACTIONS_21)}
