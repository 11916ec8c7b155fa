"""The link's codec: every message survives the trip, and everything else is refused by name."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.link import messages
from agent.link.codec import LinkError, decode_to_agent, decode_to_control, encode
from agent.link.messages import (
    MAX_MESSAGE_BYTES,
    EvseInfo,
    FaultCode,
    FaultReport,
    Hello,
    Permit,
    ToAgent,
    ToControl,
    Welcome,
    Withdraw,
)

TO_CONTROL = typing.get_args(ToControl)
TO_AGENT = typing.get_args(ToAgent)


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Anything that a field of that type may hold."""
    if annotation is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if annotation is int:
        return st.integers(-(2**63), 2**63)
    if annotation is bool:
        return st.booleans()
    if annotation is str:
        return st.text(max_size=40)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return st.sampled_from(list(annotation))
    if dataclasses.is_dataclass(annotation):
        return anything(typing.cast(type, annotation))
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=4).map(tuple)
    if origin is types.UnionType:
        return st.one_of(*(st.none() if a is type(None) else values(a) for a in arguments))
    raise TypeError(annotation)


def anything(cls: type) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(cls, vars(messages))
    return st.builds(cls, **{field.name: values(hints[field.name]) for field in dataclasses.fields(cls)})


@pytest.mark.parametrize("cls", TO_CONTROL, ids=lambda c: c.__name__)
@given(data=st.data())
def test_every_message_of_the_agent_survives(cls: type, data: st.DataObject) -> None:
    message = data.draw(anything(cls))
    assert decode_to_control(encode(message)) == message


@pytest.mark.parametrize("cls", TO_AGENT, ids=lambda c: c.__name__)
@given(data=st.data())
def test_every_message_of_control_survives(cls: type, data: st.DataObject) -> None:
    message = data.draw(anything(cls))
    assert decode_to_agent(encode(message)) == message


@given(data=st.binary(max_size=200))
def test_random_bytes_are_refused(data: bytes) -> None:
    for decode in (decode_to_control, decode_to_agent):
        with pytest.raises(LinkError):
            decode(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("cls", TO_CONTROL, ids=lambda c: c.__name__)
@given(data=st.data())
def test_one_wrong_field_is_refused_or_means_what_it_says(cls: type, data: st.DataObject) -> None:
    body = json.loads(encode(data.draw(anything(cls))))
    name = data.draw(st.sampled_from(sorted(body)))
    body[name] = data.draw(JSON)
    try:
        message = decode_to_control(json.dumps(body).encode())
    except LinkError:
        return
    assert json.loads(encode(message)) == body


GOOD = {"type": "Permit", "evse": 1, "serial": 2, "current_a": 16.0, "phases": 3, "lease_s": 60.0}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "Nonsense"}, "unknown message type 'Nonsense'"),
        ({"type": ["Permit"]}, "unknown message type"),
        ({"type": None}, "unknown message type"),
        ({"type": "Welcome"}, "unknown message type 'Welcome'"),
        ({"evse": "1"}, "Permit.evse"),
        ({"evse": 1.0}, "Permit.evse"),
        ({"evse": True}, "Permit.evse"),
        ({"current_a": "16"}, "Permit.current_a"),
        ({"current_a": True}, "Permit.current_a"),
        ({"current_a": None}, "Permit.current_a"),
        ({"transaction": 7}, "Permit.transaction"),
        ({"colour": "red"}, "unknown field 'colour'"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(LinkError, match=words):
        decode_to_control(json.dumps({**GOOD, **change}).encode())


@pytest.mark.parametrize("name", ["evse", "serial", "current_a", "phases", "lease_s"])
def test_a_missing_field_is_named(name: str) -> None:
    body = {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(LinkError, match=f"Permit.{name} is missing"):
        decode_to_control(json.dumps(body).encode())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_no_number_that_is_none(number: str) -> None:
    packet = json.dumps(GOOD).replace("16.0", number).encode()
    with pytest.raises(LinkError, match="finite"):
        decode_to_control(packet)


@pytest.mark.parametrize("packet", [b"", b"[]", b"7", b'"Permit"', b"null", b"{}", b"\xff\xfe", b"[" * 5000])
def test_no_object_no_message(packet: bytes) -> None:
    with pytest.raises(LinkError):
        decode_to_control(packet)


def test_directions_are_not_mixed() -> None:
    with pytest.raises(LinkError):
        decode_to_agent(encode(Hello(1, "agent")))
    with pytest.raises(LinkError):
        decode_to_control(encode(FaultReport(1, FaultCode.DIODE, True, 1.0, True, "", "")))


def test_a_nested_value_is_checked_too() -> None:
    good = json.loads(encode(Welcome(1, "i", "v", (EvseInfo(1, 32.0, 3, True, True),))))
    for change in ({"evse": "one"}, {"more": 1}):
        bad = {**good, "evses": [{**good["evses"][0], **change}]}
        with pytest.raises(LinkError):
            decode_to_agent(json.dumps(bad).encode())
    for evses in ({}, [7], [[]]):
        with pytest.raises(LinkError):
            decode_to_agent(json.dumps({**good, "evses": evses}).encode())


def test_too_long_is_refused_both_ways() -> None:
    with pytest.raises(LinkError, match="over"):
        encode(Withdraw(1, "x" * MAX_MESSAGE_BYTES))
    with pytest.raises(LinkError, match="over"):
        decode_to_control(b" " * (MAX_MESSAGE_BYTES + 1))


def test_a_default_may_be_left_out() -> None:
    assert decode_to_control(json.dumps(GOOD).encode()) == Permit(1, 2, 16.0, 3, 60.0, "")
