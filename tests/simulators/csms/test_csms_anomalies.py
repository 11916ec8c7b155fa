"""Every kind of anomaly, provoked over the wire; and that a patient charge point provokes none."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from csms_wire import BOOT, ONLY_OF_2, START, ask, booted, call, charge_point, kinds
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect

from simulators.csms import Csms
from simulators.csms.anomalies import AnomalyKind
from simulators.csms.order import StationOrder, check_timestamps

HEARTBEAT = call("h", "Heartbeat")
AT = "2026-01-01T10:00:00Z"


def stop(message_id: str, **changes: Any) -> str:
    payload = {"transactionId": 1, "meterStop": 200, "timestamp": "2026-01-02T04:00:00Z"} | changes
    return call(message_id, "StopTransaction", **payload)


def values(message_id: str, wh: int, at: str = "2026-01-02T03:30:00Z") -> str:
    sample = {"timestamp": at, "sampledValue": [{"value": str(wh)}]}
    return call(message_id, "MeterValues", connectorId=1, transactionId=1, meterValue=[sample])


# Frames after the boot, and the anomaly they must leave, and nothing else.
SIGNED = {"value": '{"signedMeterData": "T0NNRg=="}', "format": "SignedData"}
PROVOCATIONS: list[tuple[AnomalyKind, list[str]]] = [
    (AnomalyKind.MALFORMED_FRAME, ["{not json"]),
    (AnomalyKind.MALFORMED_FRAME, ['{"a":1}']),
    (AnomalyKind.MALFORMED_FRAME, ["[]"]),
    (AnomalyKind.MALFORMED_FRAME, ['[true,"x","Heartbeat",{}]']),
    (AnomalyKind.MALFORMED_FRAME, ['[9,"x","Heartbeat",{}]']),
    (AnomalyKind.MALFORMED_FRAME, ['[2,"x","Heartbeat"]']),
    (AnomalyKind.MALFORMED_FRAME, ['[2,"x",["Heartbeat"],{}]']),
    (AnomalyKind.MALFORMED_FRAME, ['[2,"x","Heartbeat",[]]']),
    (AnomalyKind.MALFORMED_FRAME, ['[2,5,"Heartbeat",{}]']),
    (AnomalyKind.MALFORMED_FRAME, ['[3,"x"]']),
    (AnomalyKind.MALFORMED_FRAME, ['[4,"x","InternalError"]']),
    (AnomalyKind.MALFORMED_FRAME, ['[2,"x","Heartbeat",{"a":NaN}]']),
    (AnomalyKind.MALFORMED_FRAME, ['[2,"x","Heartbeat",{"a":' + "9" * 5000 + "}]"]),
    (AnomalyKind.MALFORMED_FRAME, ["[" * 100_000]),
    (AnomalyKind.UNKNOWN_ACTION, [call("x", "Reset", type="Soft")]),
    (AnomalyKind.UNKNOWN_ACTION, [call("x", "MakeCoffee")]),
    (AnomalyKind.SCHEMA_VIOLATION, [call("x", "Heartbeat", extra=1)]),
    (AnomalyKind.SCHEMA_VIOLATION, [call("x", "Authorize", idTag="x" * 21)]),
    (AnomalyKind.SCHEMA_VIOLATION, [call("x", "Authorize")]),
    (AnomalyKind.SCHEMA_VIOLATION, [call("x", "Authorize", idTag=7)]),
    (AnomalyKind.BAD_MESSAGE_ID, [call("x" * 37, "Heartbeat")]),
    (AnomalyKind.BAD_MESSAGE_ID, [call("", "Heartbeat")]),
    (AnomalyKind.MESSAGE_ID_REUSED, [call("b1", "Heartbeat")]),
    (AnomalyKind.ANSWER_TO_NOTHING, ['[3,"x",{}]']),
    (AnomalyKind.ANSWER_TO_NOTHING, ['[4,"x","InternalError","",{}]']),
    (AnomalyKind.TIMESTAMP_WITHOUT_TIMEZONE, [START.replace("678Z", "678")]),
    (AnomalyKind.TIMESTAMP_INVALID, [START.replace("2026-01-02T", "yesterday ")]),
    (AnomalyKind.START_WHILE_OPEN, [START, START.replace("s1", "s2").replace("100", "101")]),
    (AnomalyKind.UNKNOWN_TRANSACTION, [stop("e", transactionId=-1)]),
    (AnomalyKind.STOP_DIFFERS, [START, stop("e"), stop("f", meterStop=201)]),
    (AnomalyKind.METER_BACKWARDS, [START, stop("e", meterStop=98)]),
    (AnomalyKind.TIME_BACKWARDS, [START, stop("e", timestamp="2026-01-02T03:00:00Z")]),
    (
        AnomalyKind.SIGNED_VALUE_INVALID,
        [START, stop("e", transactionData=[{"timestamp": "2026-01-02T04:00:00Z", "sampledValue": [SIGNED]}])],
    ),
    (AnomalyKind.METER_VALUES_AFTER_STOP, [START, stop("e"), values("v", 200)]),
]


@pytest.mark.parametrize(("kind", "frames"), PROVOCATIONS, ids=lambda v: v.value if isinstance(v, AnomalyKind) else "")
def test_provoked(kind: AnomalyKind, frames: list[str]) -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            for frame in frames:
                await link.send(frame)
                # A Heartbeat's answer shows that the frame has been dealt with; its id is used once only.
                probe = f"probe-{len(csms.frames)}"
                await link.send(call(probe, "Heartbeat"))
                while json.loads(await link.recv())[1] != probe:
                    pass
            assert [k for k in kinds(csms) if k != "two-calls-outstanding"] == [kind.value]
            assert all(anomaly.frame for anomaly in csms.anomalies)

    asyncio.run(story())


def test_every_kind_is_provoked_somewhere() -> None:
    by_own_test = {
        AnomalyKind.NO_SUBPROTOCOL,
        AnomalyKind.TWO_CALLS_OUTSTANDING,
        AnomalyKind.BEFORE_ACCEPTED_BOOT,
        AnomalyKind.BOOT_TOO_EARLY,
    }
    assert {kind for kind, _ in PROVOCATIONS} | by_own_test | ONLY_OF_2 == set(AnomalyKind)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('[2,"x","Heartbeat"]', "FormationViolation"),
        (call("x", "Reset", type="Soft"), "NotSupported"),
        (call("x", "MakeCoffee"), "NotImplemented"),
        (call("x", "Heartbeat", extra=1), "FormationViolation"),
        (call("x", "Authorize", idTag="x" * 21), "PropertyConstraintViolation"),
        (call("x", "Authorize"), "ProtocolError"),
        (call("x", "Authorize", idTag=7), "TypeConstraintViolation"),
    ],
)
def test_what_is_wrong_is_answered_with_its_callerror(frame: str, code: str) -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            assert (await ask(link, frame))[:3] == [4, "x", code]

    asyncio.run(story())


def test_a_wrong_answer_to_a_command_is_a_schema_violation() -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            task = asyncio.create_task(csms.call("CP1", "ClearCache"))
            message_id = json.loads(await link.recv())[1]
            await link.send(json.dumps([3, message_id, {"status": "Perhaps"}]))
            assert await task == {"status": "Perhaps"}
            assert kinds(csms) == ["schema-violation"]

    asyncio.run(story())


def test_two_calls_at_once_are_seen_even_when_both_are_answered() -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            await link.send(HEARTBEAT)
            await link.send(call("h2", "Heartbeat"))
            assert [json.loads(await link.recv())[1] for _ in range(2)] == ["h", "h2"]
            assert kinds(csms) == ["two-calls-outstanding"]

    asyncio.run(story())


@pytest.mark.parametrize("offered", [None, ["ocpp2.0.1"]])
def test_a_charge_point_must_offer_the_subprotocol(offered: Any) -> None:
    async def story() -> None:
        async with Csms() as csms, connect(f"{csms.url}/CP1", subprotocols=offered, proxy=None) as link:
            await ask(link, BOOT)
            assert kinds(csms) == ["no-subprotocol"]

    asyncio.run(story())


def test_nothing_may_come_before_the_accepted_boot() -> None:
    async def story() -> None:
        async with Csms() as csms, charge_point(csms) as link:
            await ask(link, HEARTBEAT)
            assert kinds(csms) == ["before-accepted-boot"]
            csms.boot = type(csms.boot)("Pending", 0)
            await ask(link, BOOT)
            await ask(link, call("h2", "Heartbeat"))
            assert kinds(csms) == ["before-accepted-boot"] * 2
            # What was triggered may come while pending.
            task = asyncio.create_task(csms.call("CP1", "TriggerMessage", {"requestedMessage": "Heartbeat"}))
            message_id = json.loads(await link.recv())[1]
            await link.send(json.dumps([3, message_id, {"status": "Accepted"}]))
            await task
            await ask(link, call("h3", "Heartbeat"))
            assert len(csms.anomalies) == 2
            csms.boot = type(csms.boot)("Accepted", 300)
            await ask(link, BOOT)
            await ask(link, call("h4", "Heartbeat"))
            assert len(csms.anomalies) == 2

    asyncio.run(story())


def test_a_rejected_boot_must_wait_its_interval_unless_triggered_or_reconnected() -> None:
    order = StationOrder()
    boot = ("BootNotification", {})
    assert order.call("1", *boot, now=0.0) == []
    order.answered("1")
    order.booted("Rejected", 10, now=0.0)
    early = order.call("2", *boot, now=9.0)
    assert [finding.kind for finding in early] == [AnomalyKind.BOOT_TOO_EARLY]
    order.answered("2")
    order.booted("Pending", 10, now=9.0)
    assert order.call("3", *boot, now=19.0) == []
    order.answered("3")
    order.booted("Pending", 10, now=19.0)
    order.trigger("BootNotification")
    assert order.call("4", *boot, now=20.0) == []
    order.answered("4")
    order.booted("Rejected", 10, now=20.0)
    order.connected()
    assert order.call("5", *boot, now=21.0) == []


def test_a_call_that_has_timed_out_may_be_followed_by_another() -> None:
    order = StationOrder(call_timeout_s=2.0)
    order.booted("Accepted", 300, now=0.0)
    assert order.call("1", "Heartbeat", {}, now=0.0) == []
    assert [f.kind for f in order.call("2", "Heartbeat", {}, now=1.9)] == [AnomalyKind.TWO_CALLS_OUTSTANDING]
    assert order.call("3", "Heartbeat", {}, now=4.0) == []
    order.connected()
    assert order.call("4", "Heartbeat", {}, now=4.0) == []


def test_a_retry_under_the_same_id_is_fine() -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            for _ in range(3):
                assert (await ask(link, START))[2]["transactionId"] == 1
            assert kinds(csms) == []

    asyncio.run(story())


@given(st.datetimes(timezones=st.timezones()))
def test_any_time_with_a_zone_is_fine(moment: Any) -> None:
    if moment.utcoffset().total_seconds() % 60:
        return  # ISO 8601 has no seconds in an offset; zones before 1900 do
    assert check_timestamps({"a": [{"timestamp": moment.isoformat()}]}) == []


@given(st.datetimes())
def test_any_time_without_a_zone_is_found_at_any_depth(moment: Any) -> None:
    (finding,) = check_timestamps({"a": [{"b": {"timestamp": moment.isoformat()}}]})
    assert finding.kind is AnomalyKind.TIMESTAMP_WITHOUT_TIMEZONE
