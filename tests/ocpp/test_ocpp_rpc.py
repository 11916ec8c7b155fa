"""The RPC engine by byte literals, and under arbitrary text."""

from __future__ import annotations

import json
import logging
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator
from ocpp.v16 import enums

from agent.ocpp.frames import MAX_FRAME_BYTES, masked
from agent.ocpp.rpc import (
    MAX_OPEN_REQUESTS,
    MAX_QUEUED,
    Call,
    InvalidPayloadError,
    Outcome,
    Priority,
    Result,
    Rpc,
)
from agent.ocpp.schema import Schemas
from agent.ocpp.v16.session import CODES

SCHEMAS = Schemas("v16")
TIMEOUT_S = 30.0


class Ends(list[tuple[str, Outcome]]):
    def call(self, action: str, payload: dict[str, Any] | None = None, **more: Any) -> Call:
        def done(outcome: Outcome, now: float) -> None:
            self.append((action, outcome))

        return Call(action, payload or {}, more.pop("priority", Priority.STATUS), done, **more)


def engine() -> Rpc:
    numbers = count(1)
    offered = ("Reset", "ClearCache", "GetConfiguration", "SetChargingProfile", "ChangeConfiguration")
    return Rpc(SCHEMAS, CODES, offered, lambda: TIMEOUT_S, lambda: f"id{next(numbers)}")


def sent(rpc: Rpc) -> list[str]:
    frames = []
    while (frame := rpc.take_frame()) is not None:
        frames.append(frame)
    return frames


def test_a_call_and_its_answer() -> None:
    rpc, ends = engine(), Ends()
    assert rpc.submit(ends.call("Heartbeat"))
    assert sent(rpc) == []
    rpc.advance(0.0)
    assert sent(rpc) == ['[2,"id1","Heartbeat",{}]']
    rpc.receive('[3,"id1",{"currentTime":"2026-01-01T00:00:00Z"}]', 1.0)
    assert ends == [("Heartbeat", Outcome(Result.ANSWERED, {"currentTime": "2026-01-01T00:00:00Z"}))]
    assert rpc.idle


def test_one_call_is_open_at_a_time_and_the_most_urgent_goes_next() -> None:
    rpc, ends = engine(), Ends()
    rpc.submit(ends.call("Heartbeat"))
    rpc.advance(0.0)
    meter = {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": [{"value": "1"}]}]}
    rpc.submit(ends.call("MeterValues", meter, priority=Priority.TRANSACTION))
    rpc.submit(ends.call("Authorize", {"idTag": "A"}, priority=Priority.AUTHORISE))
    rpc.submit(ends.call("Heartbeat"))
    rpc.advance(1.0)
    order = []
    for _ in range(4):
        frames = sent(rpc)
        assert len(frames) == 1
        order.append(json.loads(frames[0])[2])
        rpc.receive(f'[3,"{json.loads(frames[0])[1]}",{{}}]', 1.0)
        rpc.advance(1.0)
    assert order == ["Heartbeat", "Authorize", "Heartbeat", "MeterValues"]


def test_time_out_by_the_time_passed_in() -> None:
    rpc, ends = engine(), Ends()
    rpc.submit(ends.call("Heartbeat"))
    rpc.advance(100.0)
    assert rpc.next_wake() == 130.0
    rpc.advance(129.9)
    assert ends == []
    rpc.advance(130.0)
    assert [outcome.result for _, outcome in ends] == [Result.TIMED_OUT]
    assert rpc.unanswered == 1
    rpc.receive('[3,"id1",{"currentTime":"x"}]', 131.0)
    assert len(ends) == 1
    assert rpc.counters["answer_to_nothing"] == 1


def test_a_late_answer_is_taken_by_who_wants_it_once() -> None:
    rpc, ends = engine(), Ends()
    rpc.submit(ends.call("Heartbeat", takes_late_answer=True))
    rpc.advance(0.0)
    rpc.advance(30.0)
    rpc.receive('[3,"id1",{"currentTime":"x"}]', 31.0)
    rpc.receive('[3,"id1",{"currentTime":"x"}]', 31.0)
    assert [(o.result, o.late) for _, o in ends] == [(Result.TIMED_OUT, False), (Result.ANSWERED, True)]
    assert rpc.unanswered == 0


def test_a_call_whose_time_is_over_is_not_sent() -> None:
    rpc, ends = engine(), Ends()
    rpc.submit(ends.call("Heartbeat"))
    rpc.advance(0.0)
    rpc.submit(ends.call("Authorize", {"idTag": "A"}, expires_at=10.0))
    rpc.receive('[3,"id1",{}]', 11.0)
    sent(rpc)
    rpc.advance(11.0)
    assert sent(rpc) == []
    assert ends[1][1].result is Result.EXPIRED


def test_the_connection_goes() -> None:
    rpc, ends = engine(), Ends()
    rpc.submit(ends.call("Heartbeat"))
    rpc.advance(0.0)
    rpc.submit(ends.call("Authorize", {"idTag": "A"}))
    request = rpc.receive('[2,"r1","ClearCache",{}]', 0.0)
    assert request is not None
    rpc.lost(1.0)
    assert [(action, outcome.result) for action, outcome in ends] == [
        ("Heartbeat", Result.LOST),
        ("Authorize", Result.LOST),
    ]
    rpc.answer(request, {"status": "Accepted"})
    assert sent(rpc) == []
    assert rpc.next_wake() is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "not_json"),
        ("hello", "not_json"),
        ('[3,"id1",{"a":NaN}]', "not_json"),
        ("[" * 100_000, "not_json"),
        ('[2,"x","Reset",{"type":' + "9" * 5000 + "}]", "not_json"),
        ("{}", "not_array"),
        ("[]", "not_array"),
        ("null", "not_array"),
        ('["2","x","Reset",{}]', "message_type"),
        ('[true,"x",{}]', "message_type"),
        ('[2.0,"x","Reset",{}]', "message_type"),
        ('[5,"x",{}]', "message_type"),
        ('[7,"id1",{}]', "message_type"),
        ('[2,7,"Reset",{}]', "message_id"),
        ("[2]", "message_id"),
        ('[3,"",{}]', "message_id"),
        ('[2,"' + "x" * 300 + '","Reset",{}]', "message_id"),
        ('[3,"id1"]', "result_length"),
        ('[3,"id1",{},{}]', "result_length"),
        ('[3,"id1",{"a":"\\ud800"}]', "surrogate"),
        (b"\x02\x00", "binary"),
        (" " * (MAX_FRAME_BYTES + 1), "too_long"),
        ('[3,"id1",' + "[" * 40 + "]" * 40 + "]", "too_deep"),
    ],
)
def test_what_cannot_be_answered_is_counted(text: str | bytes, kind: str) -> None:
    rpc, ends = engine(), Ends()
    rpc.submit(ends.call("Heartbeat"))
    rpc.advance(0.0)
    sent(rpc)
    assert rpc.receive(text, 1.0) is None
    assert rpc.counters[kind] == 1
    assert sent(rpc) == []
    assert ends == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[2,"x"]', "FormationViolation"),
        ('[2,"x","Reset"]', "FormationViolation"),
        ('[2,"x","Reset",{},1]', "FormationViolation"),
        ('[2,"x",["a"],{}]', "FormationViolation"),
        ('[2,"x","Reset",[]]', "FormationViolation"),
        ('[2,"x","Reset",null]', "FormationViolation"),
        ('[2,"x","Reset",{"a":"\\udfff\\ud800"}]', "FormationViolation"),
        ('[2,"x","Reset",{"a":' + "[" * 40 + "]" * 40 + "}]", "FormationViolation"),
        ('[2,"x","Reset",{"type":"Soft","more":1}]', "FormationViolation"),
        ('[2,"x","Reset",{}]', "ProtocolError"),
        ('[2,"x","Reset",{"type":1}]', "TypeConstraintViolation"),
        ('[2,"x","Reset",{"type":"Warm"}]', "PropertyConstraintViolation"),
        ('[2,"x","ChangeConfiguration",{"key":"' + "k" * 51 + '","value":""}]', "PropertyConstraintViolation"),
        ('[2,"x","Fly",{}]', "NotImplemented"),
        ('[2,"x","../../x",{}]', "NotImplemented"),
        ('[2,"x","TriggerMessage",{"requestedMessage":"Heartbeat"}]', "NotSupported"),
        ('[2,"x","Authorize",{"idTag":"A"}]', "NotSupported"),
    ],
)
def test_what_can_be_answered_gets_its_code(text: str, code: str) -> None:
    rpc = engine()
    assert rpc.receive(text, 0.0) is None
    answers = sent(rpc)
    assert len(answers) == 1
    kind, message_id, found, description, details = json.loads(answers[0])
    assert (kind, message_id, found, details) == (4, "x", code, {})
    assert len(description) <= 255


def test_occurrence_has_its_own_code() -> None:
    assert CODES.for_violation("minItems") == "OccurenceConstraintViolation"
    assert CODES.for_violation("maxItems") == "OccurenceConstraintViolation"


def test_a_muted_engine_hears_no_request() -> None:
    rpc, ends = engine(), Ends()
    rpc.mute = True
    assert rpc.receive('[2,"x","ClearCache",{}]', 0.0) is None
    assert rpc.receive('[2,"x","ClearCache"]', 0.0) is None
    assert sent(rpc) == []
    rpc.submit(ends.call("Heartbeat"))
    rpc.advance(0.0)
    rpc.receive('[3,"id1",{}]', 0.0)
    assert len(ends) == 1


def test_requests_are_answered_once_and_only_so_many_are_open() -> None:
    rpc = engine()
    requests = [rpc.receive(f'[2,"r{n}","ClearCache",{{}}]', 0.0) for n in range(MAX_OPEN_REQUESTS + 1)]
    assert requests[-1] is None
    assert json.loads(sent(rpc)[0])[:3] == [4, f"r{MAX_OPEN_REQUESTS}", "GenericError"]
    first = requests[0]
    assert first is not None
    assert rpc.receive('[2,"r0","ClearCache",{}]', 0.0) is None
    rpc.answer(first, {"status": "Accepted"})
    rpc.answer(first, {"status": "Rejected"})
    assert sent(rpc) == ['[3,"r0",{"status":"Accepted"}]']


def test_an_answer_of_our_own_that_breaks_its_schema_becomes_an_internal_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rpc = engine()
    request = rpc.receive('[2,"r","ClearCache",{}]', 0.0)
    assert request is not None
    rpc.answer(request, {"status": "Maybe"})
    assert json.loads(sent(rpc)[0])[2] == "InternalError"
    assert "ClearCache" in caplog.text


def test_own_payloads_are_checked_and_the_queue_has_an_end() -> None:
    rpc, ends = engine(), Ends()
    with pytest.raises(InvalidPayloadError, match="idTag: is missing"):
        rpc.submit(ends.call("Authorize"))
    assert all(rpc.submit(ends.call("Heartbeat")) for _ in range(MAX_QUEUED))
    assert not rpc.submit(ends.call("Heartbeat"))


@pytest.mark.parametrize(
    ("text", "code", "description"),
    [
        ('[4,"id1","InternalError","boom",{}]', "InternalError", "boom"),
        ('[4,"id1","NoSuchCode","x",{}]', "NoSuchCode", "x"),
        ('[4,"id1"]', "GenericError", ""),
        ('[4,"id1",7,null,[]]', "GenericError", ""),
        ('[4,"id1","' + "c" * 500 + '","' + "d" * 500 + '"]', "c" * 64, "d" * 255),
    ],
)
def test_call_errors_of_every_kind(text: str, code: str, description: str) -> None:
    rpc, ends = engine(), Ends()
    rpc.submit(ends.call("Heartbeat"))
    rpc.advance(0.0)
    rpc.receive(text, 0.0)
    assert ends == [("Heartbeat", Outcome(Result.REFUSED, code=code, description=description))]
    assert rpc.idle


@pytest.mark.parametrize("payload", ["null", "[]", '"x"', "7", '{"currentTime":7}', "{}", '{"more":1}'])
def test_an_answer_that_is_not_valid_ends_the_call_and_says_so(payload: str) -> None:
    rpc, ends = engine(), Ends()
    rpc.submit(ends.call("Heartbeat"))
    rpc.advance(0.0)
    rpc.receive(f'[3,"id1",{payload}]', 0.0)
    (_, outcome) = ends[0]
    assert outcome.result is Result.ANSWERED
    assert outcome.violation is not None
    assert isinstance(outcome.payload, dict)


def test_bad_frames_do_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    rpc = engine()
    for n in range(1000):
        rpc.receive("junk", n * 0.001)
    assert len(caplog.records) == 1
    rpc.receive("junk", 61.0)
    assert len(caplog.records) == 2
    assert "999 more" in caplog.records[1].getMessage()


def test_secrets_are_not_logged() -> None:
    caplog_text = masked('[2,"1","Authorize",{"idTag":"04A1B2C3D4"}]')
    assert "04A1" in caplog_text
    assert "B2C3" not in caplog_text
    assert "geheim" not in masked('[2,"1","ChangeConfiguration",{"key":"authorizationKEY","value":"geheim"}]')
    assert masked(b"123") == "<3 bytes, binary>"
    assert "\n" not in masked('[2,"1\n')


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
actions = st.sampled_from([action.value for action in enums.Action]) | st.text(max_size=8)
messages = st.one_of(
    st.tuples(st.just(2), st.text(max_size=4), actions, json_values),
    st.tuples(st.sampled_from([2, 3, 4]), st.sampled_from(["id1", "x"]), json_values, json_values),
    st.tuples(st.just(3), st.just("id1"), json_values),
    st.lists(json_values, max_size=6),
)


@given(st.lists(st.text(max_size=60) | st.binary(max_size=20) | messages.map(json.dumps), max_size=12))
def test_nothing_that_comes_in_raises(incoming: list[str | bytes]) -> None:
    logging.getLogger("agent.ocpp.rpc").setLevel(logging.CRITICAL)
    try:
        rpc, ends = engine(), Ends()
        rpc.submit(ends.call("Heartbeat"))
        rpc.advance(0.0)
        sent(rpc)
        for n, data in enumerate(incoming):
            request = rpc.receive(data, float(n))
            if request is not None:
                assert Draft4Validator({"type": "object"}).is_valid(request.payload)
                rpc.refuse(request, "NotSupported", "no")
        assert len(ends) <= 1
        for frame in sent(rpc):
            kind, message_id, code, _description, _details = json.loads(frame)
            assert kind == 4
            assert 0 < len(message_id) <= 255
            assert code in {
                "NotImplemented",
                "NotSupported",
                "ProtocolError",
                "FormationViolation",
                "PropertyConstraintViolation",
                "OccurenceConstraintViolation",
                "TypeConstraintViolation",
                "GenericError",
            }
    finally:
        logging.getLogger("agent.ocpp.rpc").setLevel(logging.NOTSET)
