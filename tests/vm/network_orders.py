"""What the operator's network orders in mid-charge, in the words of either version of OCPP, and what must stand on the
disk for it. ``old``: OCPP 1.6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.vm.disk_judge import token

SETTING = ("ConnectionTimeOut", "TxCtrlr.EVConnectionTimeOut")
"""Not HeartbeatInterval: each accepted boot brings its own (OCPP 1.6 §4.2)."""
PROFILE = 7
_TIMEOUT = {"component": {"name": "TxCtrlr"}, "variable": {"name": "EVConnectionTimeOut"}}


@dataclass(frozen=True, slots=True)
class Wish:
    """One request, and the value that the charger keeps under ``kind`` and ``key`` once it has accepted."""

    kind: str
    key: str
    value: Any
    action: str
    payload: dict[str, Any]


def setting(old: bool, seconds: int) -> Wish:
    """How long a driver may take to plug in."""
    text = str(seconds)
    if old:
        return Wish("setting", SETTING[1], text, "ChangeConfiguration", {"key": SETTING[0], "value": text})
    payload = {"setVariableData": [_TIMEOUT | {"attributeValue": text}]}
    return Wish("setting", SETTING[1], text, "SetVariables", payload)


def local_list(old: bool, version: int) -> Wish:
    """One more token on the list."""
    name = token(version - 1)
    if old:
        listed: dict[str, Any] = {"idTag": name, "idTagInfo": {"status": "Accepted"}}
        number = "listVersion"
    else:
        listed = {"idToken": {"idToken": name, "type": "ISO14443"}, "idTokenInfo": {"status": "Accepted"}}
        number = "versionNumber"
    payload = {number: version, "updateType": "Differential", "localAuthorizationList": [listed]}
    return Wish("list", "", version, "SendLocalList", payload)


def profile(old: bool, limit_a: float) -> Wish:
    """The whole station's limit."""
    schedule: dict[str, Any] = {
        "startSchedule": "2026-01-01T00:00:00Z",
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_a}],
    }
    content: dict[str, Any] = {"stackLevel": 0, "chargingProfileKind": "Absolute"}
    if old:
        content |= {"chargingProfileId": PROFILE, "chargingProfilePurpose": "ChargePointMaxProfile"}
        payload = {"connectorId": 0, "csChargingProfiles": content | {"chargingSchedule": schedule}}
    else:
        content |= {"id": PROFILE, "chargingProfilePurpose": "ChargingStationMaxProfile"}
        payload = {"evseId": 0, "chargingProfile": content | {"chargingSchedule": [{"id": PROFILE} | schedule]}}
    return Wish("profile", str(PROFILE), limit_a, "SetChargingProfile", payload)


def monitor(number: int | None, threshold: float) -> Wish:
    """A monitor of the setting above (2.0.1 N04); ``number``: None for a new one, which the charger numbers."""
    wanted: dict[str, Any] = _TIMEOUT | {"value": threshold, "type": "UpperThreshold", "severity": 8}
    if number is not None:
        wanted["id"] = number
    key = "" if number is None else str(number)
    return Wish("monitor", key, threshold, "SetVariableMonitoring", {"setMonitoringData": [wanted]})


def accepted(answer: Mapping[str, Any]) -> bool:
    """Whether the charger took it, wherever the answer says so."""
    for name, status in (("setVariableResult", "attributeStatus"), ("setMonitoringResult", "status")):
        if name in answer:
            return all(each[status] == "Accepted" for each in answer[name])
    return bool(answer["status"] == "Accepted")


def number_given(answer: Mapping[str, Any]) -> int:
    """The number of a new monitor."""
    return int(answer["setMonitoringResult"][0]["id"])
