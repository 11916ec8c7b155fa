"""Reports, events and streams of OCPP 2 in virtual time: parts, tries, waits, and who goes first. No socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from ocpp_fakes import FakeJournal, FakeStation, config

from agent.device_model.monitors import Monitor, MonitorType, StreamParameters
from agent.ocpp.base import Done, Payload
from agent.ocpp.ports import UplinkState
from agent.ocpp.rpc import Outcome, Priority, Result
from agent.ocpp.session import Surroundings
from agent.ocpp.times import read_time
from agent.ocpp.v2.block import Block, Talk
from agent.ocpp.v2.monitoring import EVENTS_PER_MESSAGE, RETRY_S, Monitoring2
from agent.ocpp.v2.reports import ENTRIES_PER_PART, Reports2
from agent.ocpp.v2.streams import Streams2
from agent.ocpp.v2.version import Version
from tests.device_model.device_world import World

ANSWERED = Outcome(Result.ANSWERED, {})
TIMED_OUT = Outcome(Result.TIMED_OUT)
LOST = Outcome(Result.LOST)


def refused(code: str) -> Outcome:
    return Outcome(Result.REFUSED, code=code)


@dataclass
class Called:
    action: str
    payload: Payload
    done: Done


class Line:
    """What the session gives a block, with the network's side moved by hand."""

    def __init__(self, version: Version = Version.V201) -> None:
        self.world = World(evses=1)
        self.world.look()
        self.state = UplinkState.ACCEPTED
        self.called: list[Called] = []
        self.sends: list[tuple[str, Payload]] = []
        self.notes: list[str] = []
        self.full = False
        around = Surroundings(
            config("ws://x"),
            FakeJournal(),
            self.world.settings,
            FakeStation(),
            lambda: self.world.now,
            lambda work: work.close(),
            lambda: None,
        )
        self.talk = Talk(
            version,
            around,
            self._call,
            lambda action, payload: self.sends.append((action, payload)),
            lambda: self.state,
            lambda _kind, text: self.notes.append(text),
        )

    def _call(
        self,
        action: str,
        payload: Payload,
        priority: Priority = Priority.STATUS,
        done: Done = lambda _outcome, _now: None,
        expires_at: float | None = None,
    ) -> bool:
        assert priority is Priority.STATUS
        assert expires_at is None
        if self.full:
            return False
        self.called.append(Called(action, payload, done))
        return True

    def ask(self, block: Block, action: str, **payload: Any) -> Payload:
        reply = block.handlers()[action](payload)
        assert isinstance(reply, dict)
        return reply

    def offer(self, block: Block) -> Called | None:
        """What the block sends when it is asked, twice if it rests first."""
        before = len(self.called)
        if not block.offer(self.world.now):
            block.offer(self.world.now)
        return self.called[-1] if len(self.called) > before else None

    def answer(self, outcome: Outcome = ANSWERED) -> None:
        self.called[-1].done(outcome, self.world.now)


# ---- reports ----


@pytest.fixture
def line() -> Line:
    return Line()


def full(line: Line, reports: Reports2, number: int = 1) -> None:
    assert line.ask(reports, "GetBaseReport", requestId=number, reportBase="FullInventory") == {"status": "Accepted"}


def test_parts_are_numbered_bounded_and_hold_everything_once(line: Line) -> None:
    reports = Reports2(line.talk, line.world.device)
    full(line, reports)
    while (part := line.offer(reports)) is not None:
        assert len(part.payload["reportData"]) <= ENTRIES_PER_PART
        line.answer()
    parts = [each.payload for each in line.called]
    assert [part["seqNo"] for part in parts] == list(range(len(parts)))
    assert [part["tbc"] for part in parts] == [True] * (len(parts) - 1) + [False]
    places = [str((e["component"], e["variable"])) for part in parts for e in part["reportData"]]
    assert len(places) == len(set(places)) == len(line.world.device.model)
    assert reports.next_wake() is None


def test_between_two_parts_others_have_a_turn(line: Line) -> None:
    reports = Reports2(line.talk, line.world.device)
    full(line, reports)
    assert reports.offer(line.world.now)
    assert reports.next_wake() is None  # nothing to do before the answer
    line.answer()
    assert not reports.offer(line.world.now)
    assert reports.next_wake() == line.world.now
    assert reports.offer(line.world.now)


def test_a_part_that_is_not_answered_is_told_three_times_then_the_report_is_dropped(line: Line) -> None:
    reports = Reports2(line.talk, line.world.device)
    full(line, reports, 7)
    full(line, reports, 8)
    for _ in range(3):
        part = line.offer(reports)
        assert part is not None
        assert (part.payload["requestId"], part.payload["seqNo"]) == (7, 0)
        line.answer(TIMED_OUT)
    part = line.offer(reports)
    assert part is not None
    assert (part.payload["requestId"], part.payload["seqNo"]) == (8, 0)
    assert "7" in line.notes[-1]


def test_a_part_that_was_refused_is_done_with_and_one_that_was_lost_is_not(line: Line) -> None:
    reports = Reports2(line.talk, line.world.device)
    full(line, reports)
    for outcome, number in ((refused("InternalError"), 0), (LOST, 1), (LOST, 1), (LOST, 1), (LOST, 1), (ANSWERED, 1)):
        part = line.offer(reports)
        assert part is not None
        assert part.payload["seqNo"] == number
        line.answer(outcome)
    last = line.offer(reports)
    assert last is not None
    assert last.payload["seqNo"] == 2


def test_while_pending_the_parts_follow_each_other(line: Line) -> None:
    """B02.FR.02: nobody asks for messages then."""
    line.state = UplinkState.PENDING
    reports = Reports2(line.talk, line.world.device)
    full(line, reports)
    count = 0
    while line.called[-1].payload["tbc"]:
        line.answer()
        count += 1
        assert len(line.called) == count + 1
    line.answer()
    assert len(line.called) == count + 1


def test_another_network_gets_no_report_of_the_former(line: Line) -> None:
    reports = Reports2(line.talk, line.world.device)
    full(line, reports)
    reports.renew()
    assert line.offer(reports) is None


def test_a_value_is_told_as_it_is_when_its_part_goes_out(line: Line) -> None:
    reports = Reports2(line.talk, line.world.device)
    wanted = [{"component": {"name": "TxCtrlr"}, "variable": {"name": "EVConnectionTimeOut"}}]
    line.ask(reports, "GetReport", requestId=1, componentVariable=wanted)
    line.world.set_setting("TxCtrlr.EVConnectionTimeOut", "99")
    part = line.offer(reports)
    assert part is not None
    assert part.payload["reportData"][0]["variableAttribute"][0]["value"] == "99"


# ---- events ----


def periodic(line: Line, count: int) -> None:
    """So many events in the line."""
    line.world.watch("TxCtrlr.EVConnectionTimeOut", MonitorType.PERIODIC, 1, 8)
    line.world.look(0.0)
    for _ in range(count):
        line.world.look()
    assert len(line.world.device.monitoring.line) == count


def test_events_go_out_a_few_at_a_time_and_are_forgotten_when_they_were_answered(line: Line) -> None:
    block = Monitoring2(line.talk, line.world.device)
    periodic(line, EVENTS_PER_MESSAGE + 3)
    first = line.offer(block)
    assert first is not None
    assert len(first.payload["eventData"]) == EVENTS_PER_MESSAGE
    assert not block.offer(line.world.now)
    line.answer()
    second = line.offer(block)
    assert second is not None
    assert len(second.payload["eventData"]) == 3
    line.answer()
    ids = [data["eventId"] for each in line.called for data in each.payload["eventData"]]
    assert ids == sorted(set(ids))
    assert len(line.world.device.monitoring.line) == 0
    assert block.next_wake() is None


@pytest.mark.parametrize("outcome", [TIMED_OUT, Outcome(Result.EXPIRED)])
def test_events_without_an_answer_are_told_again_after_a_while(line: Line, outcome: Outcome) -> None:
    block = Monitoring2(line.talk, line.world.device)
    periodic(line, 2)
    first = line.offer(block)
    assert first is not None
    line.answer(outcome)
    assert line.offer(block) is None
    assert block.next_wake() == line.world.now + RETRY_S
    line.world.now += RETRY_S
    again = line.offer(block)
    assert again is not None
    assert again.payload["eventData"] == first.payload["eventData"]


def test_events_that_were_lost_with_the_connection_are_told_on_the_next_at_once(line: Line) -> None:
    block = Monitoring2(line.talk, line.world.device)
    periodic(line, 1)
    assert line.offer(block) is not None
    line.answer(LOST)
    block.lost()
    assert line.offer(block) is not None


@pytest.mark.parametrize(("code", "tries"), [("InternalError", 3), ("NotImplemented", 1), ("NotSupported", 1)])
def test_events_that_are_refused_are_given_up_in_the_end(line: Line, code: str, tries: int) -> None:
    block = Monitoring2(line.talk, line.world.device)
    periodic(line, 1)
    for _ in range(tries):
        assert line.offer(block) is not None
        line.answer(refused(code))
        line.world.now += RETRY_S
    assert line.offer(block) is None
    assert len(line.world.device.monitoring.line) == 0
    assert code in line.notes[-1]


def test_a_full_queue_is_tried_again(line: Line) -> None:
    block = Monitoring2(line.talk, line.world.device)
    periodic(line, 1)
    line.full = True
    assert line.offer(block) is None
    line.full = False
    line.world.now += RETRY_S
    assert line.offer(block) is not None


def test_the_time_of_an_event_follows_a_corrected_clock(line: Line) -> None:
    block = Monitoring2(line.talk, line.world.device)
    periodic(line, 1)
    (event,) = line.world.device.monitoring.line.first(1)
    original = line.world.moment

    def corrected() -> Any:
        moment = original()
        return type(moment)(moment.monotonic_s, moment.utc_s + 3600.0, True, moment.boot)

    object.__setattr__(line.world.device, "moment", corrected)
    told = line.offer(block)
    assert told is not None
    assert read_time(told.payload["eventData"][0]["timestamp"]) == pytest.approx(event.stamp.utc_s + 3600.0, abs=0.01)


def test_only_a_registered_connection_of_ocpp_2_carries_events(line: Line) -> None:
    """Under 1.6 nobody takes them: what is not queued offline would heap up and be old when it is told."""
    block = Monitoring2(line.talk, line.world.device)
    monitoring = line.world.device.monitoring
    block.online(True, line.world.now)
    assert monitoring.carried
    block.lost()
    assert not monitoring.carried
    line.world.online = False
    line.world.watch("TxCtrlr.EVConnectionTimeOut", MonitorType.PERIODIC, 1, 8)
    for _ in range(10):
        line.world.look()
    assert len(monitoring.line) == 0


# ---- streams ----


def test_a_stream_that_got_no_answer_is_asked_for_again_only_when_the_connection_was_lost() -> None:
    for outcome, again in ((LOST, True), (TIMED_OUT, False), (refused("InternalError"), False)):
        line = Line(Version.V21)
        block = Streams2(line.talk, line.world.device)
        block.online(True, line.world.now)
        entry = line.world.entry("TxCtrlr.EVConnectionTimeOut")
        wanted = Monitor(0, entry.component, entry.variable, MonitorType.PERIODIC, 1, 8, stream=StreamParameters(0, 1))
        number = line.world.device.monitoring.book.set(wanted, None).id
        asked = line.offer(block)
        assert asked is not None
        assert asked.payload["constantStreamData"]["variableMonitoringId"] == number
        line.answer(outcome)
        assert (line.offer(block) is not None) == again


def test_values_of_a_stream_carry_their_times_from_the_first() -> None:
    line = Line(Version.V21)
    block = Streams2(line.talk, line.world.device)
    block.online(True, line.world.now)
    entry = line.world.entry("TxCtrlr.EVConnectionTimeOut")
    wanted = Monitor(0, entry.component, entry.variable, MonitorType.PERIODIC, 2, 8, stream=StreamParameters(0, 3))
    line.world.device.monitoring.book.set(wanted, None)
    assert line.offer(block) is not None
    line.answer(Outcome(Result.ANSWERED, {"status": "Accepted"}))
    line.world.look(0.0)
    for _ in range(6):
        line.world.look()
    assert block.next_wake() == line.world.now
    assert block.offer(line.world.now)
    ((action, payload),) = line.sends
    assert action == "NotifyPeriodicEventStream"
    assert [each["t"] for each in payload["data"]] == [0, 2, 4]
    assert payload["pending"] == 0
    assert len(line.world.device.monitoring.line) == 0
