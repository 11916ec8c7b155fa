"""A charger and its network in virtual time: the tunnel's own core and journal, days in seconds.

The session of the product (registration, RPC, delivery, clock) talks to a network made of the simulated CSMS's ledger.
The script of charges is the truth: it knows when each began and ended and what its meter said, in UTC and Wh, while the
agent's clock may believe otherwise. Sockets, processes and the station are not part of it; the other attacks have them.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import logging
import math
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from agent.clock import Clock
from agent.config.schema import Config, Evse, Installation, Ocpp
from agent.config.schema import Station as StationConfig
from agent.journal.events import (
    Event,
    MeterSampled,
    SampledValue,
    StartTrigger,
    StopReason,
    TransactionEnded,
    TransactionStarted,
)
from agent.journal.journal import Journal
from agent.ocpp.ports import StationPort, UplinkState
from agent.ocpp.restart_port import BootReason
from agent.ocpp.session import Session, Surroundings, new_session
from agent.station.commands import SettingAnswer
from agent.station.settings import Settings
from simulators.csms.ledger import Ledger
from tests.faults.oracle import Charge, Deed, Hardware, Verdict, judge
from tests.faults.speech import speech

Behaviour = Callable[["Network", str], str]
"""Given the network and an action: ``answer``, ``drop`` (booked, unanswered), ``ignore``, ``twice``, ``wrong-id``,
``wrong-type``, ``garbage`` or the code of a CALLERROR."""

LATENCY_S = 0.05
LAG_S = 0.4
"""Each way, on a poor mobile line."""
ACTIONS = frozenset({"StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent"})
IDENTITY = "VIRTUAL-1"


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """A virtual day's log is of no use to anybody."""
    logger = logging.getLogger("agent")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def always_answer(_network: Network, _action: str) -> str:
    return "answer"


@dataclass
class Network:
    """The operator's side: books what it hears, answers as told."""

    behaviour: Behaviour = always_answer
    subprotocol: str = "ocpp1.6"
    wrong_clock_s: float = 0.0
    ledger: Ledger = field(default_factory=Ledger)
    findings: list[dict[str, Any]] = field(default_factory=list)
    now_utc_s: float = 0.0
    heard: int = 0
    refusals: int = 0
    """Messages that were not answered as they should."""

    def hear(self, text: str) -> list[str]:
        """Take a frame; return the frames that go back."""
        message = json.loads(text)
        if message[0] != 2:
            return []
        _, message_id, action, payload = message
        self.heard += 1
        how = self.behaviour(self, action)
        self.refusals += how != "answer"
        if how not in ("answer", "drop", "twice", "wrong-id", "wrong-type", "garbage"):
            return [] if how == "ignore" else [json.dumps([4, message_id, how, "as told", {}])]
        answer = self._book(action, payload, message_id)
        wrong = {key: [value] for key, value in answer.items()}
        return {
            "answer": [json.dumps([3, message_id, answer])],
            "drop": [],
            "twice": [json.dumps([3, message_id, answer])] * 2,
            "wrong-id": [json.dumps([3, "nobody-asked", answer])],
            "wrong-type": [json.dumps([3, message_id, wrong])],
            "garbage": [json.dumps([3, message_id, answer])[:-3], "[" * 5000, '[7,"x",{}]'],
        }[how]

    def _book(self, action: str, payload: dict[str, Any], message_id: str) -> dict[str, Any]:
        at = self.now_text()
        findings: list[Any] = []
        answer: dict[str, Any] = {}
        if action == "BootNotification":
            answer = {"status": "Accepted", "currentTime": at, "interval": 300}
        elif action == "Heartbeat":
            answer = {"currentTime": at}
        elif action == "StartTransaction":
            number, findings = self.ledger.start(IDENTITY, payload, "Accepted", at)
            answer = {"transactionId": number, "idTagInfo": {"status": "Accepted"}}
        elif action == "StopTransaction":
            findings = self.ledger.stop(IDENTITY, payload, at)
        elif action == "MeterValues":
            findings = self.ledger.meter_values(IDENTITY, payload, at)
        elif action == "TransactionEvent":
            status = "Accepted" if "idToken" in payload else None
            findings = self.ledger.event(IDENTITY, self.subprotocol, payload, message_id, at, status)
            answer = {} if status is None else {"idTokenInfo": {"status": status}}
        self.findings += [{"kind": str(f.kind), "action": action, "detail": f.detail} for f in findings]
        return answer

    def now_text(self) -> str:
        return datetime.fromtimestamp(self.now_utc_s + self.wrong_clock_s, UTC).isoformat().replace("+00:00", "Z")


class Nothing(frozenset[Any]):
    """Takes every call and every name, and has nothing in it."""

    def __call__(self, *_values: Any, **_named: Any) -> Nothing:
        return self

    def __getattr__(self, _name: str) -> Nothing:
        return self


NOTHING = Nothing()


class PoweredUp:
    """What started the agent, for its boot."""

    reason = BootReason.POWER_UP

    def told(self) -> None:
        """Nothing is kept."""


class Deaf:
    """A station that has nothing to say; it keeps the clock as the agent does."""

    restarts = PoweredUp()

    def __init__(self, site: VirtualSite) -> None:
        self._site = site

    def network_time(self, utc_s: float, took_s: float = 0.0) -> None:
        site = self._site
        if site.clock.network_time(utc_s, took_s) and "fix-clock" not in site.without:
            site.journal.fix_clock(site.clock.boot, site.clock.offset_s)

    def set_setting(self, name: str, text: str) -> SettingAnswer:
        self._site.settings.set(name, text)
        return SettingAnswer.ACCEPTED

    def statuses(self) -> list[Any]:
        return []

    def __getattr__(self, _name: str) -> Nothing:
        return NOTHING


class Forgetful(Journal):
    """The control's journal: what is set aside is destroyed, as others do."""

    def park(self, seq: int, reason: str) -> None:
        self.delivered(seq)


class Hasty(Journal):
    """The control's journal: a record is off the line as soon as it was looked at."""

    def pending(self, limit: int = 1, after: int = 0) -> list[Any]:
        found = super().pending(limit, after)
        for record in found:
            self.delivered(record.seq)
        return found


JOURNALS = {"park": Forgetful, "answer": Hasty}


class VirtualSite:
    """Run by ``run``; times are UTC seconds of the truth. The agent's monotonic clock starts at 100 with each boot."""

    def __init__(
        self,
        path: Path,
        begins_utc_s: float,
        *,
        system_clock_off_s: float = 0.0,
        without: frozenset[str] = frozenset(),
        settings: dict[str, str] | None = None,
        latency_s: float = LATENCY_S,
    ) -> None:
        self.utc_s = begins_utc_s
        self.network = Network(subprotocol=speech().subprotocol)
        self.settings = Settings()
        self.without = without
        self._path = path
        self._latency_s = latency_s
        self._system_off_s = system_clock_off_s
        for name, text in (settings or {}).items():
            self.settings.set(name, text)
        self._config = Config(
            station=StationConfig("Vendor", "Model", IDENTITY),
            installation=Installation(63.0),
            devices=MappingProxyType({}),
            evses=(Evse(1, "board"), Evse(2, "board")),
            ocpp=Ocpp(url="ws://virtual"),
        )
        self._script: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._connection = 0
        self.link_up = False
        self.connections = 0
        self._truth: list[Charge] = []
        self._spans: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
        self._registers: dict[int, list[tuple[float, float]]] = {1: [(0.0, 0.0)], 2: [(0.0, 0.0)]}
        self.boots = 0
        self._boot()

    def _boot(self) -> None:
        self.boots += 1
        self._booted_utc_s = self.utc_s - 100.0
        boot = f"boot-{self.boots}"
        self.clock = Clock(self._monotonic, lambda: self.utc_s + self._system_off_s, boot)
        kind = next((JOURNALS[name] for name in JOURNALS if name in self.without), Journal)
        self.journal: Journal = kind.open(self._path, boot)
        self.clock.adopt(self.journal.boot_offset(boot))
        station: Any = Deaf(self)
        port: StationPort = station
        self.session: Session = new_session(
            self.network.subprotocol,
            Surroundings(self._config, self.journal, self.settings, port, self._monotonic, self._spawn, lambda: None),
        )

    @staticmethod
    def _spawn(work: Coroutine[Any, Any, None]) -> None:
        work.close()

    def _monotonic(self) -> float:
        return self.utc_s - self._booted_utc_s

    # ---- the script ----

    def at(self, utc_s: float, work: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._script, (utc_s, self._count, work))

    def charge(self, evse: int, token: str, begin_s: float, end_s: float, power_w: float, sample_s: float) -> None:
        """A charge, in truth: the journal gets its records as it goes, and the judge its true times and registers."""
        registers = self._registers[evse]
        before_wh = registers[-1][1]
        name = f"{token}-{evse}-{begin_s:.0f}"

        def register(utc_s: float) -> float:
            return float(math.floor(before_wh + power_w * (utc_s - begin_s) / 3600.0))

        start = TransactionStarted(name, evse, token, "ISO14443", before_wh, StartTrigger.AUTHORIZED, offline=False)
        self.at(begin_s, lambda: self._append(start))
        registers.append((begin_s, before_wh))
        sample = begin_s + sample_s
        while sample < end_s:
            value = SampledValue("Energy.Active.Import.Register", register(sample), "Wh")
            event = MeterSampled(name, evse, (value,), offline=False)
            self.at(sample, lambda event=event: self._append(event))  # type: ignore[misc]
            registers.append((sample, register(sample)))
            sample += sample_s
        end = TransactionEnded(name, evse, register(end_s), StopReason.LOCAL, offline=False, token=token)
        self.at(end_s, lambda: self._append(end))
        registers.append((end_s, register(end_s)))
        self._spans[evse].append((begin_s, end_s))
        deed = Deed(evse, token, begin_s, end_s)
        self._truth.append(Charge(deed, begin_s, end_s, before_wh, register(end_s)))

    def _append(self, event: Event) -> None:
        self.journal.append(event, self.clock.now().stamp())
        self.session.journal_grew(self._monotonic())

    # ---- the link ----

    def up(self) -> None:
        if not self.link_up:
            self.link_up = True
            self.connections += 1
            self._connection += 1
            self.session.connected(self._monotonic())

    def down(self) -> None:
        if self.link_up:
            self.link_up = False
            self._connection += 1
            self.session.settle(self._monotonic())
            self.session.lost(self._monotonic())

    def power_cut(self, off_s: float) -> None:
        """The machine dies and boots again ``off_s`` later, its clock again as it was at the first boot."""
        self.down()
        self.journal.close()
        self.utc_s += off_s
        self._boot()

    def agent_restart(self) -> None:
        """Only the process dies; the monotonic clock goes on."""
        up = self.link_up
        self.down()
        self.journal.close()
        boots, booted = self.boots, self._booted_utc_s
        self.boots -= 1
        self._boot()
        self.boots, self._booted_utc_s = boots, booted
        if up:
            self.up()

    def step_system_clock(self, seconds: float) -> None:
        self._system_off_s += seconds

    # ---- time ----

    def run(self, until_utc_s: float) -> None:
        """Let everything happen that is due by then."""
        while True:
            due = self._next()
            if due is None or due > until_utc_s:
                break
            self.utc_s = max(self.utc_s, due)
            if self._script and self._script[0][0] <= self.utc_s:
                heapq.heappop(self._script)[2]()
            elif self.link_up:
                self.session.advance(self._monotonic())
            self._pump()
            if self.link_up and self.session.drop_reason:
                self.down()
                self.at(self.utc_s + 5.0, self.up)
        self.utc_s = max(self.utc_s, until_utc_s)

    def _next(self) -> float | None:
        times = [self._script[0][0]] if self._script else []
        wake = self.session.next_wake() if self.link_up else None
        if wake is not None:
            times.append(wake + self._booted_utc_s)
        return min(times, default=None)

    def _pump(self) -> None:
        while self.link_up and (frame := self.session.take_frame()) is not None:
            self.at(self.utc_s + self._latency_s, lambda f=frame, c=self._connection: self._arrive(f, c))  # type: ignore[misc]
        if self.link_up:
            self.session.settle(self._monotonic())

    def _arrive(self, frame: str, connection: int) -> None:
        if connection != self._connection:
            return
        self.network.now_utc_s = self.utc_s
        for text in self.network.hear(frame):
            self.at(self.utc_s + self._latency_s, lambda t=text: self._back(t, connection))  # type: ignore[misc]

    def _back(self, text: str, connection: int) -> None:
        if connection == self._connection:
            self.session.receive(text, self._monotonic())

    # ---- the end ----

    def empty(self) -> bool:
        figures = self.journal.figures()
        return figures.pending == 0 and figures.parked == 0 and not self._script_waits()

    def _script_waits(self) -> bool:
        return bool(self._script)

    @property
    def accepted(self) -> bool:
        return self.session.state is UplinkState.ACCEPTED

    def verdict(self, forgive: frozenset[str] = frozenset()) -> Verdict:
        hardware = [
            Hardware(evse, tuple(self._spans[evse]), tuple(sorted(self._registers[evse]))) for evse in self._spans
        ]
        ledger = self.network.ledger.as_json() | {"anomalies": self.network.findings}
        return judge(self._truth, hardware, ledger, (), forgive)

    def truth(self) -> list[Charge]:
        """What was lived, in order of the starts."""
        return sorted(self._truth, key=lambda charge: charge.deed.allowed_from_s)

    def close(self) -> None:
        self.journal.close()
