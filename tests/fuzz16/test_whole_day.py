"""A whole day in virtual time: 200 charges at four EVSEs with every feature at once, and a ledger that is exact.

Application, station, journal and session are real; the network's books are the CSMS simulator's. People come to each
EVSE all day in every way there is, while the operator sends commands without rest, the uplink goes away eight times and
the agent restarts three times. Energy flows only within transactions, so at each EVSE the books must follow the
register of its meter without a gap: each charge begins at the Wh at which the one before ended.
"""

from __future__ import annotations

import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from agent.config.schema import Config, Evse, Installation, Ocpp, Paths
from agent.config.schema import Station as StationConfig
from agent.ocpp.schema import Schemas
from simulators.csms.ledger import Ledger
from simulators.csms.tokens import parse_time
from tests.fuzz16.virtual_agent import VirtualAgent, VirtualHardware, World, call_text, on_this_clock
from tests.tc16.hardware import Outlet

T0 = 1_790_000_000.0
DAY_S = 86_400.0
EVSES = (1, 2, 3, 4)
CHARGES = 50
"""At each EVSE."""

TICK_S = 30.0
SCHEMAS = Schemas("v16")
CARDS = ("ANNA", "BEN", "CEM", "LISTED", "FAMILY")
IDENTITY = "DAY"

Story = Generator[float, None, None]
"""Yields for how long it waits, in seconds."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("agent")
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(logging.NOTSET)


class Day:
    def __init__(self, place: Path, patch: pytest.MonkeyPatch, seed: int) -> None:
        self.world = World(T0)
        on_this_clock(patch, self.world)
        self.dice = random.Random(seed)
        outlets = {n: Outlet(n, energy_wh=1000.0 * n, stepped_at=self.world.now) for n in EVSES}
        self.first_wh = {n: int(outlet.energy_wh) for n, outlet in outlets.items()}
        self.hardware = VirtualHardware(self.world, outlets)
        self.config = Config(
            station=StationConfig("Nord", "Quad", "NORD-4"),
            installation=Installation(max_current_a=63.0, phases=3),
            devices=MappingProxyType({}),
            evses=tuple(Evse(n, "board", meter="meter") for n in EVSES),
            ocpp=Ocpp(
                url="ws://virtual",
                identity=IDENTITY,
                settings={
                    "MeterValueSampleInterval": "300",
                    "WebSocketPingInterval": "0",
                    "LocalAuthListEnabled": "true",
                },
            ),
            paths=Paths(state_dir=place, runtime_dir=place),
        )
        self.ledger = Ledger()
        self.findings: list[Any] = []
        self.heard: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.done: list[tuple[int, str, float, float]] = []
        """EVSE, card, and between which UTC times it was there."""
        self.ways: Counter[str] = Counter()
        self.open_numbers: dict[int, int] = {}
        """EVSE → the network's number of what runs there."""
        self._waiting: dict[str, tuple[str, Callable[[dict[str, Any]], None]]] = {}
        self._list_version = 0
        self._reservation = 0
        self.restarts = 0
        self.offline_spells = 0
        self.agent = VirtualAgent(self.config, self.world, self.hardware, self._hear)

    # ---- the network ----

    def _hear(self, frame: str) -> list[str]:
        message = json.loads(frame)
        if message[0] == 4:
            raise AssertionError(message)
        if message[0] == 3:
            action, then = self._waiting.pop(message[1])
            assert SCHEMAS.response(action, message[2]) is None, (action, message)
            self.asked[f"{action} {message[2].get('status', '')}".strip()] += 1
            then(message[2])
            return []
        _, message_id, action, payload = message
        assert SCHEMAS.request(action, payload) is None, message
        self.heard[action] += 1
        return [json.dumps([3, message_id, self._book(action, payload)])]

    def _book(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        at = self.text()
        found: list[Any] = []
        answer: dict[str, Any] = {}
        if action == "BootNotification":
            answer = {"status": "Accepted", "currentTime": at, "interval": 900}
        elif action == "Heartbeat":
            answer = {"currentTime": at}
        elif action == "Authorize":
            answer = {"idTagInfo": _info(payload["idTag"])}
        elif action == "StartTransaction":
            number, found = self.ledger.start(IDENTITY, payload, "Accepted", at)
            answer = {"transactionId": number, "idTagInfo": _info(payload["idTag"])}
            self.open_numbers[payload["connectorId"]] = number
        elif action == "StopTransaction":
            found = self.ledger.stop(IDENTITY, payload, at)
        elif action == "MeterValues":
            found = self.ledger.meter_values(IDENTITY, payload, at)
        self.findings += [(self.world.utc_s - T0, action, finding) for finding in found]
        return answer

    def text(self, later_s: float = 0.0) -> str:
        return (datetime.fromtimestamp(self.world.utc_s, UTC) + timedelta(seconds=later_s)).isoformat()

    def ask(self, action: str, then: Callable[[dict[str, Any]], None] = lambda _answer: None, **payload: Any) -> bool:
        """Send a request; False while the charge point is not there."""
        if not self.agent.online:
            return False
        assert SCHEMAS.request(action, payload) is None, (action, payload)
        message_id = f"n{len(self._waiting)}-{self.world.now}-{sum(self.asked.values())}"
        self._waiting[message_id] = (action, then)
        self.agent.receive(call_text(message_id, action, payload))
        return True

    def profile(self, number: int, purpose: str, limit: float) -> dict[str, Any]:
        schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
        kind = {"chargingProfileKind": "Recurring", "recurrencyKind": "Daily"} if purpose != "TxProfile" else {}
        if kind:
            schedule |= {"startSchedule": self.text(-3600), "duration": 40_000}
        return {
            "chargingProfileId": number,
            "chargingProfilePurpose": purpose,
            "stackLevel": number % 3,
            "chargingProfileKind": "Relative",
            "chargingSchedule": schedule,
            **kind,
        }

    # ---- one EVSE's people ----

    def charging(self, evse: int) -> bool:
        """What the display shows: a charge is under way, even if a limit holds it back at present."""
        document = self.agent.station.snapshot(self.agent.clock.now())[evse - 1]
        return document["transaction"] is not None and document["transaction"]["state"] != "finished"

    def people(self, evse: int) -> Story:
        yield self.dice.uniform(60, 600)
        for _ in range(CHARGES):
            yield from self.charge(evse)
            yield self.dice.uniform(30, 240)

    def charge(self, evse: int) -> Story:
        card = self.dice.choice(CARDS)
        came = self.world.utc_s
        yield from self.begin(evse, card)
        yield self.dice.uniform(120, 1200)
        yield from self.end(evse, card)
        self.hardware.unplug(evse)
        self.done.append((evse, card, came, self.world.utc_s))

    def begin(self, evse: int, card: str) -> Story:
        """Come in one of several ways; whoever is refused tries again, as people do."""
        way = self.dice.choice(("plug first", "card first", "from afar", "with a plan", "reserved"))
        outlet = self.hardware.outlets[evse]
        outlet.power_w = self.dice.choice((3_700.0, 7_400.0, 11_000.0))
        while not self.charging(evse):
            if way == "reserved":
                self._reservation += 1
                self.ask(
                    "ReserveNow",
                    connectorId=evse,
                    expiryDate=self.text(900),
                    idTag=card,
                    reservationId=self._reservation,
                )
                yield 20.0
            if way == "card first":
                self.hardware.tap(card, evse)
                yield 3.0
            if not outlet.plugged:
                self.hardware.plug(evse)
                yield 3.0
            if not self.charging(evse):
                if way == "from afar":
                    self.ask("RemoteStartTransaction", connectorId=evse, idTag=card)
                elif way == "with a plan":
                    plan = self.profile(50 + evse, "TxProfile", 12.0)
                    self.ask("RemoteStartTransaction", connectorId=evse, idTag=card, chargingProfile=plan)
                else:
                    self.hardware.tap(card, evse)
                yield 5.0
            if not self.charging(evse):
                yield self.dice.uniform(20, 120)
                way = "plug first"
        self.ways[way] += 1

    def end(self, evse: int, card: str) -> Story:
        outlet = self.hardware.outlets[evse]
        way = self.dice.choice(("card", "card", "from afar", "unplug", "unlock"))
        while self.charging(evse):
            number = self.open_numbers.get(evse)
            if way == "unplug":
                self.hardware.unplug(evse)
            elif way == "from afar" and number is not None:
                self.ask("RemoteStopTransaction", transactionId=number)
            else:
                self.hardware.tap(card, evse)
            yield 10.0
            way = "card"
        assert not outlet.closed

    # ---- the operator ----

    def operator(self) -> Story:
        """A command every few minutes."""
        while True:
            yield self.dice.uniform(40, 200)
            evse = self.dice.choice(EVSES)
            limit = self.dice.choice((0.0, 6.0, 10.0, 16.0, 25.5))
            match self.dice.randrange(11):
                case 0:
                    body = self.profile(1, "ChargePointMaxProfile", max(limit, 25.0))
                    self.ask("SetChargingProfile", connectorId=0, csChargingProfiles=body)
                case 1:
                    body = self.profile(10 + evse, "TxDefaultProfile", max(limit, 6.0))
                    self.ask("SetChargingProfile", connectorId=evse, csChargingProfiles=body)
                case 2:
                    body = self.profile(20 + evse, "TxProfile", limit)
                    self.ask("SetChargingProfile", connectorId=evse, csChargingProfiles=body)
                case 3:
                    self.ask("ClearChargingProfile", **self.dice.choice(({}, {"id": 1}, {"connectorId": evse})))
                case 4:
                    key, value = self.dice.choice(
                        (
                            ("MeterValueSampleInterval", "120"),
                            ("MeterValueSampleInterval", "600"),
                            ("ClockAlignedDataInterval", "900"),
                            ("ClockAlignedDataInterval", "0"),
                            ("StopTransactionOnEVSideDisconnect", "true"),
                            ("StationMaxCurrent", "40"),
                            ("StationMaxCurrent", "63"),
                            ("LocalPreAuthorize", "true"),
                            ("LocalPreAuthorize", "false"),
                            ("StopTxnSampledData", "Energy.Active.Import.Register,Current.Import"),
                            ("MinimumStatusDuration", "2"),
                        )
                    )
                    self.ask("ChangeConfiguration", key=key, value=value)
                case 5:
                    self.ask("ChangeAvailability", connectorId=evse, type="Inoperative")
                    yield 90.0
                    while not self.ask("ChangeAvailability", connectorId=0, type="Operative"):
                        yield 60.0
                case 6:
                    self._list_version += 1
                    kind = self.dice.choice(("Full", "Differential"))
                    entry = {"idTag": "LISTED", "idTagInfo": _info("LISTED")}
                    self.ask(
                        "SendLocalList",
                        listVersion=self._list_version,
                        updateType=kind,
                        localAuthorizationList=[entry, {"idTag": "FAMILY", "idTagInfo": _info("FAMILY")}],
                    )
                case 7:
                    self.ask("GetCompositeSchedule", connectorId=self.dice.choice((0, evse)), duration=7200)
                case 8:
                    what = self.dice.choice(("MeterValues", "StatusNotification", "Heartbeat"))
                    self.ask("TriggerMessage", requestedMessage=what)
                case 9:
                    self.ask("GetConfiguration")
                    self.ask("ClearCache")
                case 10:
                    # For somebody who does not come in time.
                    self._reservation += 1
                    self.ask(
                        "ReserveNow",
                        connectorId=self.dice.choice((0, evse)),
                        expiryDate=self.text(60),
                        idTag="NOBODY",
                        reservationId=self._reservation,
                    )

    def network(self) -> Story:
        """The uplink goes away for a while, and comes back."""
        for spell_s in (600, 60, 5400, 1200, 20, 3000, 7200, 900):
            yield 7000.0
            self.agent.down()
            self._waiting.clear()
            self.offline_spells += 1
            yield float(spell_s)
            self.agent.up()

    def restart(self) -> None:
        """The agent's process goes and comes; control keeps its permits, and the machine runs on."""
        up = self.agent.link_up
        self.agent.end()
        self._waiting.clear()
        self.restarts += 1
        self.agent = VirtualAgent(self.config, self.world, self.hardware, self._hear)
        if up:
            self.agent.up()

    # ---- time ----

    def tell(self, story: Story) -> None:
        wait_s = next(story, None)
        if wait_s is not None:
            self.world.after(wait_s, lambda: self.tell(story))

    def tick(self) -> None:
        self.hardware.tell_all()
        self.world.after(TICK_S, self.tick)

    def live(self) -> None:
        self.agent.up()
        self.tick()
        for evse in EVSES:
            self.tell(self.people(evse))
        self.tell(self.operator())
        self.tell(self.network())
        begin = self.world.now
        for part in (0.22, 0.51, 0.83, 1.0):
            self.agent.run_until(begin + part * DAY_S)
            if part < 1.0:
                self.restart()


def _info(id_tag: str) -> dict[str, Any]:
    if id_tag == "FAMILY":
        return {"status": "Accepted", "parentIdTag": "HOUSE"}
    return {"status": "Accepted"}


def utc_s(text: str) -> float:
    return parse_time(text).timestamp()


@pytest.mark.parametrize("seed", [2026])
def test_two_hundred_charges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    day = Day(tmp_path, monkeypatch, seed)
    day.live()
    day.agent.run_for(600.0)
    books = day.ledger.as_json()["transactions"]
    figures = day.agent.journal.figures()
    day.agent.end()

    assert (day.restarts, day.offline_spells) == (3, 8)
    assert day.findings == []
    assert (figures.pending, figures.parked) == (0, 0)
    assert len(day.done) == len(books) == CHARGES * len(EVSES) == 200
    for evse in EVSES:
        mine = sorted((b for b in books if b["connector_id"] == evse), key=lambda b: utc_s(b["started_at"]))
        lived = [entry for entry in day.done if entry[0] == evse]
        register_wh = day.first_wh[evse]
        for booked, (_, card, came, left) in zip(mine, lived, strict=True):
            assert booked["id_tag"] == card
            assert booked["meter_start_wh"] == register_wh, "energy is missing between two charges"
            assert booked["energy_wh"] >= 0
            register_wh = booked["meter_stop_wh"]
            assert came - 1 <= utc_s(booked["started_at"]) <= utc_s(booked["stopped_at"]) <= left + 1
        assert register_wh == int(day.hardware.outlets[evse].energy_wh), "energy after the last charge"
    # It was no quiet day: everything was used, and much of it took effect.
    assert sum(b["energy_wh"] for b in books) > 100_000
    assert len({b["reason"] for b in books}) >= 3
    assert any(b["reservation_id"] for b in books)
    assert any(len(b["meter_values"]) > 1 for b in books)
    assert set(day.ways) >= {"plug first", "card first", "from afar", "with a plan", "reserved"}
    taken = {name for name, count in day.asked.items() if count}
    for action in (
        "SetChargingProfile Accepted",
        "ClearChargingProfile Accepted",
        "ChangeConfiguration Accepted",
        "ChangeAvailability Accepted",
        "ChangeAvailability Scheduled",
        "SendLocalList Accepted",
        "ReserveNow Accepted",
        "RemoteStartTransaction Accepted",
        "RemoteStopTransaction Accepted",
        "GetCompositeSchedule Accepted",
        "TriggerMessage Accepted",
        "ClearCache Accepted",
    ):
        assert action in taken, (action, day.asked)
