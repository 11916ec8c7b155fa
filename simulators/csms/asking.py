"""What a CSMS asks for most often, as the payload of the version at hand: arguments in, action and payload out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .dialect import Dialect

Payload = dict[str, Any]
Request = tuple[str, Payload]

NAME = re.compile(r"(?P<c>[^.\[\]]+)(\[(?P<ci>[^\]]+)\])?\.(?P<v>[^.\[\]]+)(\[(?P<vi>[^\]]+)\])?")
"""``Component[instance].Variable[instance]``; the instances may be left out."""

OCPP_VERSIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        # OCPPVersionEnumType: in 2.0.1 the word OCPP20 stands for 2.0.1; 2.1 has a word for each.
        "2.0.1": {"ocpp1.6": "OCPP16", "ocpp2.0.1": "OCPP20"},
        "2.1": {"ocpp1.6": "OCPP16", "ocpp2.0.1": "OCPP201", "ocpp2.1": "OCPP21"},
    }
)


def start(dialect: Dialect, tag: str, evse: int | None, number: int, profile: Payload | None) -> Request:
    """RequestStartTransaction, or RemoteStartTransaction. ``number`` is the remoteStartId that 1.6 does not have."""
    if dialect.is_2:
        payload: Payload = {"remoteStartId": number, "idToken": {"idToken": tag, "type": "Central"}}
        payload |= {} if evse is None else {"evseId": evse}
        return "RequestStartTransaction", payload | ({} if profile is None else {"chargingProfile": profile})
    payload = {"idTag": tag} | ({} if evse is None else {"connectorId": evse})
    return "RemoteStartTransaction", payload | ({} if profile is None else {"chargingProfile": profile})


def stop(dialect: Dialect, transaction: int | str) -> Request:
    """RequestStopTransaction, or RemoteStopTransaction."""
    return ("RequestStopTransaction" if dialect.is_2 else "RemoteStopTransaction"), {"transactionId": transaction}


def variable(name: str, evse: int | None = None, connector: int | None = None) -> Payload:
    """Component and variable of a name. Raises ``ValueError`` for one that is none."""
    found = NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"variable {name!r}: write Component.Variable, each with its [instance] where it has one")
    component: Payload = {"name": found["c"]} | ({"instance": found["ci"]} if found["ci"] else {})
    if evse is not None:
        component["evse"] = {"id": evse} | ({} if connector is None else {"connectorId": connector})
    return {
        "component": component,
        "variable": {"name": found["v"]} | ({"instance": found["vi"]} if found["vi"] else {}),
    }


def get(
    dialect: Dialect, name: str, evse: int | None = None, connector: int | None = None, attribute: str | None = None
) -> Request:
    """GetVariables, or GetConfiguration with the key of 1.6."""
    if not dialect.is_2:
        return "GetConfiguration", {"key": [name]}
    data = variable(name, evse, connector) | ({} if attribute is None else {"attributeType": attribute})
    return "GetVariables", {"getVariableData": [data]}


def put(
    dialect: Dialect,
    name: str,
    value: str,
    evse: int | None = None,
    connector: int | None = None,
    attribute: str | None = None,
) -> Request:
    """SetVariables, or ChangeConfiguration with the key of 1.6."""
    if not dialect.is_2:
        return "ChangeConfiguration", {"key": name, "value": value}
    data = variable(name, evse, connector) | ({} if attribute is None else {"attributeType": attribute})
    return "SetVariables", {"setVariableData": [data | {"attributeValue": value}]}


def profile(dialect: Dialect, evse: int, content: Payload) -> Request:
    """SetChargingProfile."""
    if dialect.is_2:
        return "SetChargingProfile", {"evseId": evse, "chargingProfile": content}
    return "SetChargingProfile", {"connectorId": evse, "csChargingProfiles": content}


def limit(dialect: Dialect, amperes: float, evse: int, number: int, now: str) -> Request:
    """SetChargingProfile with one limit from now on: of the station (``evse`` 0) or of what charges at one EVSE."""
    schedule = {
        "startSchedule": now,
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amperes}],
    }
    station = "ChargingStationMaxProfile" if dialect.is_2 else "ChargePointMaxProfile"
    content: Payload = {
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile" if evse else station,
        "chargingProfileKind": "Absolute",
    }
    if dialect.is_2:
        content |= {"id": number, "chargingSchedule": [{"id": number} | schedule]}
    else:
        content |= {"chargingProfileId": number, "chargingSchedule": schedule}
    return profile(dialect, evse, content)


def clear_profiles(dialect: Dialect, number: int | None) -> Request:
    """ClearChargingProfile: one by its id, or all."""
    if number is None:
        return "ClearChargingProfile", {"chargingProfileCriteria": {}} if dialect.is_2 else {}
    return "ClearChargingProfile", {"chargingProfileId" if dialect.is_2 else "id": number}


def network_profile(
    dialect: Dialect, slot: int, url: str, version: str, security: int, interface: str, timeout_s: int
) -> Request:
    """SetNetworkProfile. Raises ``ValueError`` where the version at hand has no word for ``version``."""
    words = OCPP_VERSIONS.get(dialect.version)
    if words is None:
        raise ValueError(f"OCPP {dialect.version} has no network profiles")
    if version not in words:
        raise ValueError(f"version {version!r}: OCPP {dialect.version} has words for {', '.join(words)}")
    connection = {
        "ocppVersion": words[version],
        "ocppTransport": "JSON",
        "ocppCsmsUrl": url,
        "messageTimeout": timeout_s,
        "securityProfile": security,
        "ocppInterface": interface,
    }
    return "SetNetworkProfile", {"configurationSlot": slot, "connectionData": connection}
