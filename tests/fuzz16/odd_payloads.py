"""Payloads made from the JSON schemas of OCPP 1.6: valid but odd ones, and ones with one known fault.

``requests()`` draws (action, payload, codes): ``codes`` is what OCPP-J 1.6 §4.2.3 wants as answer to a payload with a
fault, and empty for a payload without one.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

ACTIONS = (
    "CancelReservation",
    "CertificateSigned",
    "ChangeAvailability",
    "ChangeConfiguration",
    "ClearCache",
    "ClearChargingProfile",
    "DataTransfer",
    "DeleteCertificate",
    "ExtendedTriggerMessage",
    "GetCompositeSchedule",
    "GetConfiguration",
    "GetDiagnostics",
    "GetInstalledCertificateIds",
    "GetLocalListVersion",
    "GetLog",
    "InstallCertificate",
    "RemoteStartTransaction",
    "RemoteStopTransaction",
    "ReserveNow",
    "Reset",
    "SendLocalList",
    "SetChargingProfile",
    "SignedUpdateFirmware",
    "TriggerMessage",
    "UnlockConnector",
    "UpdateFirmware",
)
"""Everything that a CSMS may ask of a charge point, security extensions included."""

TIMES = (
    "2026-09-21T14:13:20Z",
    "2026-09-22T00:00:00.000+02:00",
    "2026-09-21T14:13:20.123456789Z",
    "2027-01-01T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2026-02-30T12:00:00Z",
    "2026-09-21T24:00:00Z",
    "2026-09-21",
    "2026-09-21T14:13:20",
    "tomorrow",
    "",
)

ADDRESSES = (
    "http://127.0.0.1:9/file",
    "https://127.0.0.1:9/file?x=%00",
    "ftp://user:secret@127.0.0.1:9/a/b",
    "ftps://127.0.0.1:9",
    "http://[::1]:9/",
    "http://[::1/",
    "http://127.0.0.1:99999/",
    "http://",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "//127.0.0.1/x",
    "\x00",
    "",
)
"""None of them leaves this machine."""

CARDS = ("04A1B2C3", "card", "CARD", "PARENT", " ", "", "x" * 20)

KEYS = (
    "AuthorizationKey",
    "AuthorizeRemoteTxRequests",
    "ClockAlignedDataInterval",
    "ConnectionTimeOut",
    "ConnectorPhaseRotation",
    "CpoName",
    "GetConfigurationMaxKeys",
    "HeartbeatInterval",
    "LocalAuthListEnabled",
    "LocalAuthorizeOffline",
    "LocalPreAuthorize",
    "MaxEnergyOnInvalidId",
    "MeterValueSampleInterval",
    "MeterValuesAlignedData",
    "MeterValuesSampledData",
    "MinimumStatusDuration",
    "NumberOfConnectors",
    "ReservationEnabled",
    "ResetRetries",
    "SecurityProfile",
    "StationMaxCurrent",
    "StopTransactionOnEVSideDisconnect",
    "StopTransactionOnInvalidId",
    "StopTxnSampledData",
    "TransactionMessageAttempts",
    "TransactionMessageRetryInterval",
    "UnlockConnectorOnEVSideDisconnect",
    "WebSocketPingInterval",
    "authorizeremotetxrequests",
    "NoSuchKey",
)

VALUES = (
    "true",
    "false",
    "TRUE",
    "0",
    "1",
    "-1",
    "+1",
    "60",
    "3600",
    "86400",
    "2147483647",
    "9223372036854775808",
    "6",
    "16.5",
    "1e3",
    "NaN",
    "Infinity",
    "Energy.Active.Import.Register",
    "Voltage,Current.Import",
    "Current.Import.L1",
    ",",
    ",,",
    "0.RST",
    "1.RST,2.RTS",
)

_TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(alphabet=" \t\r\n\x00\x7f\u202e\u00df\u0130\ud800", max_size=12),
    st.sampled_from(("", " ", "0", "null", "'; DROP TABLE event; --", "%s%n{0}", "../../x", "x" * 40)),
)

_NAMED: dict[str, st.SearchStrategy[Any]] = {
    "connectorId": st.sampled_from((0, 1, 2, 1, 2, 3, -1, 2**31, 2**63 - 1, -(2**63))),
    "transactionId": st.sampled_from((1, 2, 3, 0, -1, 2**31, 2**63 - 1)),
    "reservationId": st.integers(-2, 3),
    "listVersion": st.integers(-2, 6),
    "idTag": st.sampled_from(CARDS),
    "parentIdTag": st.sampled_from(CARDS),
    "key": st.sampled_from(KEYS),
    "value": st.sampled_from(VALUES),
    "location": st.sampled_from(ADDRESSES),
    "remoteLocation": st.sampled_from(ADDRESSES),
    "vendorId": st.sampled_from(("org.evse-agent", "evse-agent", "other", "")),
    "messageId": st.sampled_from(("SetNetwork", "GetNetwork", "", "x")),
    "data": st.sampled_from(("{}", "[]", "null", '{"url": 1}', '{"url": "ws://127.0.0.1:9/x"}', "{" * 60, "")),
}
"""What is worth trying at fields of these names, besides anything at all."""

_INTEGERS = st.one_of(
    st.integers(-3, 100), st.sampled_from((2**31 - 1, 2**31, -(2**31), 2**63 - 1, -(2**63) + 1)), st.integers(0, 10**6)
)

_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@cache
def schema(name: str) -> dict[str, Any]:
    spec = find_spec("ocpp")
    assert spec is not None
    assert spec.submodule_search_locations
    path = Path(spec.submodule_search_locations[0]) / "v16" / "schemas" / f"{name}.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8-sig"))
    return loaded


@cache
def valid(action: str) -> st.SearchStrategy[Any]:
    """Payloads that the schema of a request allows."""
    root = schema(action)
    return _of(root, root, "")


def _resolve(part: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        part = root["definitions"][part["$ref"].removeprefix("#/definitions/")]
    return part


def _of(part: dict[str, Any], root: dict[str, Any], name: str) -> st.SearchStrategy[Any]:
    part = _resolve(part, root)
    if "enum" in part:
        return st.sampled_from(part["enum"])
    kind = part["type"]
    if kind == "object":
        fields = {key: _of(inner, root, key) for key, inner in part.get("properties", {}).items()}
        required = {key: fields[key] for key in part.get("required", ())}
        optional = {key: each for key, each in fields.items() if key not in required}
        return st.fixed_dictionaries(required, optional=optional)
    if kind == "array":
        # A key is one of a list of keys, and so on: the name goes down.
        return st.lists(_of(part["items"], root, name), min_size=part.get("minItems", 0), max_size=4)
    plain: st.SearchStrategy[Any]
    if kind == "string":
        plain = st.sampled_from(TIMES) if part.get("format") == "date-time" else _TEXTS
        longest = part.get("maxLength", 10_000)
        named = _NAMED.get(name)
        mixed = plain if named is None else st.one_of(named, named, named, plain)
        return st.one_of(mixed, mixed, st.just("x" * min(longest, 600))).map(lambda text: text[:longest])
    if kind == "boolean":
        return st.booleans()
    if kind == "number":
        # In tenths: every schema's multipleOf.
        return st.one_of(st.integers(-100, 1000), st.integers(0, 640)).map(lambda tenths: tenths / 10)
    assert kind == "integer", part
    # Minus 2^63 is one less than the agent takes; that is a fault of its own below.
    named = _NAMED.get(name, _INTEGERS)
    return st.one_of(named, named, _INTEGERS).map(lambda number: max(number, -(2**63) + 1))


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere in a payload: the way to it, and its schema."""

    way: tuple[str | int, ...]
    part: dict[str, Any]


def _places(value: Any, part: dict[str, Any], root: dict[str, Any], way: tuple[str | int, ...] = ()) -> Iterator[Place]:
    part = _resolve(part, root)
    yield Place(way, part)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, part["properties"][key], root, (*way, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places(inner, part["items"], root, (*way, index))


_WRONG: dict[str, tuple[Any, ...]] = {
    "object": ([], "{}", 0, None, True),
    "array": ({}, "[]", 0, None, False),
    "string": (0, None, [], {}, True, 1.5),
    "integer": ("1", None, 1.5, True, [], {}),
    "number": ("1.0", None, False, [], {}),
    "boolean": ("true", 0, 1, None, []),
}


def _faults(place: Place, value: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield (what, the value instead, the code that it must get)."""
    part = place.part
    kind = part.get("type", "string")
    if place.way:
        # §4.2: a payload that is no object is a fault of the frame; the frames have tests of their own.
        for wrong in _WRONG[kind]:
            yield "type", wrong, "TypeConstraintViolation"
    if kind == "object":
        for name in part.get("required", ()):
            yield "required", {key: inner for key, inner in value.items() if key != name}, "ProtocolError"
        if part.get("additionalProperties", True) is False:
            for name in ("x", "", "__proto__", "connectorID"):
                yield "additional", value | {name: 1}, "FormationViolation"
    if kind == "array" and part.get("minItems", 0):
        yield "minItems", [], "OccurenceConstraintViolation"
    if "enum" in part:
        for word in ("", part["enum"][0] + " ", part["enum"][0].lower() + "x", "\ud800"):
            yield "enum", word, "PropertyConstraintViolation"
    if "maxLength" in part and "enum" not in part:
        yield "maxLength", "x" * (part["maxLength"] + 1), "PropertyConstraintViolation"
    if kind == "integer":
        for number in (2**63, -(2**63), 10**400):
            yield "range", number, "PropertyConstraintViolation"
    if part.get("multipleOf"):
        yield "multipleOf", 16.05, "PropertyConstraintViolation"


def _replaced(payload: Any, way: tuple[str | int, ...], value: Any) -> Any:
    if not way:
        return value
    changed = copy.deepcopy(payload)
    inner = changed
    for step in way[:-1]:
        inner = inner[step]
    inner[way[-1]] = value
    return changed


Asked = tuple[str, Any, frozenset[str]]


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    """Draw (action, payload, codes)."""
    action = draw(st.sampled_from(ACTIONS))
    payload = draw(valid(action))
    if draw(st.integers(0, 9)) < 5:
        return action, payload, frozenset()
    root = schema(action)
    faults = []
    for place in _places(payload, root, root):
        value = payload
        for step in place.way:
            value = value[step]
        faults += [(place.way, wrong, code) for _, wrong, code in _faults(place, value)]
    if not faults:
        return action, payload, frozenset()
    way, wrong, code = draw(st.sampled_from(faults))
    return action, _replaced(payload, way, wrong), frozenset({code})


@st.composite
def anything(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw an action and an object that has nothing, or only names, in common with its schema."""
    action = draw(st.sampled_from(ACTIONS))
    names = st.sampled_from(sorted(schema(action).get("properties", {}))) if schema(action).get("properties") else None
    keys = st.text(max_size=8) if names is None else st.one_of(names, names, names, st.text(max_size=8))
    return action, draw(st.dictionaries(keys, _ANY, max_size=5))
