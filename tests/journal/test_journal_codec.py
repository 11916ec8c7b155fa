"""Events survive the way to JSON and back, and nothing else passes for one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.journal.codec import CodecError, decode, encode
from agent.journal.events import (
    ChargingState,
    Context,
    Limits,
    MeterSampled,
    MeterSigned,
    SampledValue,
    SignedValue,
    StartTrigger,
    StopReason,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Trigger,
)

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SAMPLES = st.lists(
    st.builds(SampledValue, st.text(), FLOATS, st.text(), st.text(), st.sampled_from(Context)), max_size=3
).map(tuple)
SIGNED = st.lists(
    st.builds(SignedValue, st.sampled_from(Context), st.text(), st.text(), st.text(), st.text(), FLOATS), max_size=2
).map(tuple)
EVENTS = st.one_of(
    st.builds(TransactionStarted, meter_wh=FLOATS, samples=SAMPLES),
    st.builds(TransactionUpdated),
    st.builds(
        TransactionUpdated,
        trigger=st.sampled_from(Trigger),
        token=st.text(),
        phases=st.none() | st.integers(),
        samples=SAMPLES,
        start_wh=st.none() | FLOATS,
        limits=st.none() | st.builds(Limits, st.none() | FLOATS, st.none() | FLOATS, st.none() | st.integers()),
    ),
    st.builds(MeterSampled, samples=SAMPLES),
    st.builds(TransactionEnded, meter_wh=FLOATS, samples=SAMPLES, signed=SIGNED),
    st.builds(MeterSigned, signed=SIGNED),
)


@given(EVENTS)
def test_every_event_comes_back_equal(event):
    kind, body = encode(event)
    assert decode(kind, body) == event
    assert body.isascii()


def test_what_was_written_before_meters_signed_is_read_and_written_as_ever():
    event = TransactionEnded("t", 1, 5.0, StopReason.LOCAL, False)
    body = '{"transaction":"t","evse":1,"meter_wh":5.0,"reason":"Local","offline":false}'
    assert encode(event) == ("ended", body)
    assert decode("ended", body) == event


def test_what_an_older_version_wrote_is_read_and_written_as_ever():
    updated = '{"transaction":"t","evse":1,"state":"Charging","offline":false}'
    event = TransactionUpdated("t", 1, ChargingState.CHARGING, False)
    assert encode(event) == ("updated", updated)
    assert decode("updated", updated) == event


@given(EVENTS, st.data())
def test_damage_is_an_error_and_never_another_exception(event, data):
    kind, body = encode(event)
    at = data.draw(st.integers(0, len(body) - 1))
    damaged = body[:at] + data.draw(st.text(max_size=2)) + body[at + 1 :]
    try:
        decode(kind, damaged)
    except CodecError:
        pass


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("begun", "{}", "unknown kind"),
        ("ended", "[]", "expected an object"),
        ("ended", "{", "not JSON"),
        ("ended", "[" * 100_000, "not JSON"),
        ("ended", json.dumps({"transaction": "t", "evse": 1}), "ended.meter_wh: is missing"),
        ("updated", json.dumps({"transaction": "t", "evse": 1, "state": "Flying", "offline": True}), "Flying"),
        ("updated", json.dumps({"transaction": "t", "evse": True, "state": "Idle", "offline": True}), "evse"),
        ("updated", json.dumps({"transaction": "t", "evse": 1, "state": "Idle", "offline": 1}), "offline"),
        (
            "updated",
            json.dumps({"transaction": "t", "evse": 1, "state": "Idle", "offline": True, "x": 1}),
            "unknown field 'x'",
        ),
        ("sampled", '{"transaction":"t","evse":1,"offline":true,"samples":3}', "expected a list"),
        (
            "sampled",
            '{"transaction":"t","evse":1,"offline":true,"samples":[{"measurand":"x","value":NaN,"unit":"A"}]}',
            "NaN",
        ),
        (
            "sampled",
            '{"transaction":"t","evse":1,"offline":true,"samples":[{"measurand":"x","value":1e999,"unit":"A"}]}',
            "value",
        ),
    ],
)
def test_what_is_not_an_event_is_refused(kind, body, says):
    with pytest.raises(CodecError, match=says):
        decode(kind, body)


def test_a_value_that_is_no_number_cannot_be_stored():
    event = TransactionStarted("t", 1, "AB", "ISO14443", float("nan"), StartTrigger.AUTHORIZED, offline=False)
    with pytest.raises(CodecError):
        encode(event)


def test_defaults_cost_no_bytes():
    _, body = encode(TransactionEnded("t", 1, 5.0, StopReason.LOCAL, offline=False))
    assert set(json.loads(body)) == {"transaction", "evse", "meter_wh", "reason", "offline"}
