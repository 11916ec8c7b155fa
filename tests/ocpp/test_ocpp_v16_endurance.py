"""A session against a network that does anything at all, in virtual time. What must hold, holds at every step."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp_fakes import FakeJournal, FakeStation, config

from agent.ocpp.ports import UplinkState
from agent.ocpp.schema import Schemas
from agent.ocpp.session import Surroundings, new_session
from agent.station.tokens import Token

SCHEMAS = Schemas("v16")
TIMEOUT_S = 30

ANSWERS: dict[str, dict[str, Any]] = {
    "BootNotification": {"status": "Accepted", "currentTime": "2026-09-21T14:13:20Z", "interval": 300},
    "Heartbeat": {"currentTime": "2026-09-21T14:13:20Z"},
    "Authorize": {"idTagInfo": {"status": "Accepted"}},
    "StartTransaction": {"transactionId": 1, "idTagInfo": {"status": "Accepted"}},
}

EVENTS = (
    ["answer"] * 8
    + ["refuse", "garbage", "empty answer", "twice", "unasked", "pending", "rejected"]
    + ["wait"] * 3
    + ["silence", "cut", "session", "authorise", "status", "command", "odd command", "offline spell"]
    + ["settle", "settle", "disk"]
)


class World:
    def __init__(self) -> None:
        self.now = 1000.0
        self.station = FakeStation(evses=2)
        self.journal = FakeJournal()
        around = Surroundings(
            config("ws://x", evses=2, back_off_minimum_s=2.0, back_off_random_s=0.0),
            self.journal,
            self.station.settings,
            self.station,
            lambda: self.now,
            lambda coroutine: coroutine.close(),
            lambda: None,
        )
        self.session = new_session("ocpp1.6", around)
        self.open: tuple[list[Any], float] | None = None
        self.booted = False
        self.asked = 0
        self.sessions = 0
        self.connected = False

    def collect(self) -> None:
        while (frame := self.session.take_frame()) is not None:
            message = json.loads(frame)
            if message[0] != 2:
                continue
            assert SCHEMAS.request(message[2], message[3]) is None
            assert 0 < len(message[1]) <= 36
            # One CALL at a time (OCPP-J 1.6 §4.1.1).
            assert self.open is None or self.now - self.open[1] >= TIMEOUT_S
            # Nothing before the first accepted boot (§4.2).
            assert self.booted or message[2] == "BootNotification"
            self.open = (message, self.now)

    def send(self, message: list[Any] | str) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        self.session.receive(text, self.now)
        self.collect()

    def connect(self) -> None:
        self.session.connected(self.now)
        self.connected = True
        self.collect()

    def cut(self, away_s: float = 5.0) -> None:
        self.session.lost(self.now)
        self.open = None
        self.connected = False
        assert self.session.take_frame() is None
        self.now += away_s
        self.connect()

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        for _ in range(200):
            wake = self.session.next_wake()
            if wake is None or wake > end:
                break
            self.now = max(self.now, wake)
            self.session.advance(self.now)
            self.collect()
            if self.session.drop_reason:
                self.cut()
        else:
            raise AssertionError("the session wakes without end")
        self.now = max(self.now, end)

    def answer(self, payload: dict[str, Any] | None = None, times: int = 1) -> None:
        if self.open is None:
            return
        call, _ = self.open
        self.open = None
        if call[2] == "BootNotification" and payload is None:
            self.booted = True
        good = ANSWERS.get(call[2], {})
        if call[2] == "StartTransaction":
            good = good | {"transactionId": int(call[1].rpartition("-")[2])}
        for _ in range(times):
            self.send([3, call[1], good if payload is None else payload])

    def happen(self, event: str) -> None:
        if event == "answer":
            self.answer()
        elif event == "twice":
            self.answer(times=2)
        elif event == "empty answer":
            # For a status or a stop an empty answer is the right one.
            if self.open is not None and self.open[0][2] != "BootNotification":
                self.answer({})
        elif event in ("pending", "rejected"):
            if self.open is not None and self.open[0][2] == "BootNotification":
                self.answer({"status": event.capitalize(), "currentTime": "x", "interval": 20})
        elif event == "refuse" and self.open is not None:
            call, _ = self.open
            self.open = None
            self.send([4, call[1], "NoSuchCode", "", {}])
        elif event == "garbage":
            for text in ("", "[2]", '[2,"x"]', "{" * 2000, '[7,"a",{}]', '[3,"nobody",{}]'):
                self.send(text)
        elif event == "unasked":
            self.send([3, "message-1", {"transactionId": 99, "idTagInfo": {"status": "Accepted"}}][:3])
        elif event == "wait":
            self.wait(10)
        elif event == "silence":
            self.wait(200)
        elif event == "cut":
            self.cut()
        elif event == "offline spell":
            self.cut(3600)
        elif event == "session":
            self.sessions += 1
            self.journal.session(f"tx-{self.sessions}")
            self.session.journal_grew(self.now)
            self.collect()
        elif event == "authorise":
            self.asked += 1
            self.session.authorise(self.asked, Token("04A1"), self.now)
            self.collect()
        elif event == "status":
            self.session.report_status(self.station.report(1), self.now)
            self.collect()
        elif event == "command":
            self.send([2, f"r{self.now}", "GetConfiguration", {}])
        elif event == "settle":
            self.session.settle(self.now)
            self.collect()
        elif event == "disk":
            self.journal.broken = None if self.journal.broken else OSError(28, "No space left on device")
        elif event == "odd command":
            self.send([2, f"r{self.now}", "Reset", {"type": "Warm"}])


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("agent.ocpp")
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(logging.NOTSET)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(EVENTS), max_size=80))
def test_any_network(events: list[str]) -> None:
    world = World()
    world.connect()
    for event in events:
        if event == "unasked" and world.open is not None and world.open[0][1] == "message-1":
            continue
        world.happen(event)
    world.journal.broken = None
    # The network comes to its senses: everything is told, and every question has had its answer.
    for _ in range(2000):
        world.answer()
        if world.open is None:
            world.session.settle(world.now)
            world.collect()
            if world.session.state is UplinkState.ACCEPTED and set(world.journal.rows) == set(world.journal.parked):
                break
            world.wait(200)
    else:
        raise AssertionError("the records are not told")
    assert world.journal.done == sorted(world.journal.done)
    assert sorted(world.journal.done + list(world.journal.parked)) == list(range(1, 3 * world.sessions + 1))
    answered = [request for request, _ in world.station.told("authorisation_answered")]
    assert sorted(answered) == list(range(1, world.asked + 1))
