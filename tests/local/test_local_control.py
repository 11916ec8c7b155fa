"""What the local API asks of control: numbered answers, readings, tests, everything open; silence and refusals."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from agent.clock import Moment
from agent.joints.control import ControlWork
from agent.link import messages as m
from agent.local import desk as desk_module
from agent.local.card_trial import AFTER_S
from agent.local.roles import Role
from agent.local.rpc import RpcError


class House:
    """An agent and a control that does what ``answer`` says."""

    def __init__(self, common_reader: bool = False) -> None:
        self.sent: list[Any] = []
        self.now = 100.0
        self.there = True
        self.refused: str | None = ""
        self.transaction: dict[str, Any] | None = None
        self.safe: list[bool] = []
        self.report: m.InputsReport | None = None
        evses = [SimpleNamespace(id=1, reader="" if common_reader else "r1"), SimpleNamespace(id=2, reader="")]
        config = SimpleNamespace(
            evses=evses, readers=("hall",) if common_reader else (), devices={"b": SimpleNamespace(driver="can-board")}
        )
        station = SimpleNamespace(fault_history=lambda: [{"code": "x"}], make_safe=lambda on, _: self.safe.append(on))
        clock = SimpleNamespace(now=lambda: Moment(self.now, 0.0, True, "b"))
        self.work = ControlWork([1, 2], config, station, clock, self)  # type: ignore[arg-type]
        self.methods = self.work.methods()

    def status(self) -> Any:
        return {"evses": [{"id": 1, "transaction": self.transaction}, {"id": 2, "transaction": None}]}

    def carry_out(self, effects: Any) -> None: ...

    def to_control(self, message: Any) -> bool:
        self.sent.append(message)
        if self.there and self.refused is not None:
            answer: Any = m.Answer(message.request, self.refused, 101.0)
            if isinstance(message, m.AskInputs) and not self.refused:
                answer = m.InputsReport(message.evse, message.request, 101.0, VALUES[message.evse == 0])
            asyncio.get_running_loop().call_soon(self.work.heard, answer)
        return self.there

    def call(self, name: str, **given: Any) -> Any:
        async def run() -> Any:
            result = self.methods[name].function(**given)
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run(run())

    def card(self, uid: str, evse: int = 1) -> bool:
        return self.work.heard(m.TokenPresented("r", self.now, uid, "ISO14443", evse))


VALUES = {
    False: (
        m.RawValue("pilot", "b", "high_v", "9.01", 9.01, 100.5),
        m.RawValue("lock", "b", "", "nothing", None, None),
    ),
    True: (m.RawValue("device", "b", "ok", "", 1.0, 99.0), m.RawValue("trouble", "", "", "cut")),
}


def test_a_request_is_numbered_and_answered() -> None:
    house = House()
    assert house.call("fault.clear", evse=1, code="tilt") == {"evse": 1, "at_s": 101.0}
    assert house.call("trial.lock", evse=2, locked=True, hold_s=2) == {"evse": 2, "at_s": 101.0}
    assert house.sent == [m.ClearFault(1, m.FaultCode.TILT, 1), m.TryLock(2, True, 2.0, 2)]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("selftest.run", {}),
        ("board.reset", {}),
        ("trial.pilot", {}),
        ("trial.indication", {"indication": "charging"}),
        ("inputs", {}),
    ],
)
def test_a_refusal_is_passed_on_in_controls_words(name: str, given: dict[str, Any]) -> None:
    house = House()
    house.refused = "a vehicle is plugged in; unplug it first"
    with pytest.raises(RpcError, match="unplug it first"):
        house.call(name, evse=1, **given)
    house.there = False
    with pytest.raises(RpcError, match="not connected"):
        house.call(name, evse=1, **given)
    with pytest.raises(RpcError, match="there is no EVSE 9"):
        house.call(name, evse=9, **given)


def test_silence_is_told_and_a_late_answer_belongs_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "ANSWER_S", 0.01)
    house = House()
    house.refused = None
    with pytest.raises(RpcError, match="no answer"):
        house.call("selftest.run", evse=1)
    assert house.work.heard(m.Answer(1, "", 1.0)) is True


def test_readings_come_with_their_age_and_devices_with_their_silence() -> None:
    house = House()
    found = house.call("inputs", evse=1)["inputs"]
    assert [(each["port"], each["value"], each["age_s"]) for each in found] == [
        ("pilot", 9.01, 0.5),
        ("lock", None, None),
    ]
    (device,) = house.call("devices")["devices"]
    assert (device["driver"], device["ok"], device["silent_s"]) == ("can-board", True, 2.0)


def test_a_card_shown_for_a_test_starts_nothing() -> None:
    house = House()
    assert house.card("04AABBCCDD") is False
    house.call("trial.reader", evse=1, seconds=30.0)
    house.now += 5.0
    assert house.card("04AABBCCDD") is True
    assert house.card("04AABBCCDD", evse=2) is False, "another reader serves on"
    (card,) = house.call("trial.cards", evse=1)["cards"]
    assert (card["uid"], card["after_s"]) == ("04AABBCCDD", 5.0)
    assert "AABB" not in card["masked"]
    house.call("trial.reader", evse=1, seconds=0.0)
    assert house.card("04AABBCCDD") is True, "still held"
    assert house.card("04EEFF0011") is False, "a driver's own"
    house.now += AFTER_S
    assert house.card("04AABBCCDD") is False
    assert len(house.call("trial.cards", evse=1)["cards"]) == 1
    assert house.methods["trial.cards"].role is Role.SERVICE


def test_no_reader_is_tested_while_somebody_charges() -> None:
    house = House()
    house.transaction = {"state": "Charging"}
    with pytest.raises(RpcError, match="when all is idle"):
        house.call("trial.reader", evse=1)
    with pytest.raises(RpcError, match="no card reader"):
        house.call("trial.reader", evse=2)
    common = House(common_reader=True)
    common.transaction = {"state": "Charging"}
    with pytest.raises(RpcError, match="when all is idle"):
        common.call("trial.reader", evse=2)
    common.transaction = {"state": "finished"}
    assert common.call("trial.reader", evse=2)["evse"] == 0


def test_safe_opens_every_evse_and_says_where_it_could_not() -> None:
    house = House()
    assert house.call("safe.on") == {"safe": True, "refused": []}
    assert [(type(each), each.evse) for each in house.sent] == [(m.OpenNow, 1), (m.OpenNow, 2)]
    house.there = False
    assert len(house.call("safe.on")["refused"]) == 2
    house.call("safe.off")
    assert house.safe == [True, True, False]
    assert (house.methods["safe.on"].role, house.methods["safe.off"].role) == (Role.OPERATE, Role.SERVICE)


def test_changes_are_kept_in_order_and_only_changes() -> None:
    house = House()
    for at, pilot, closed in [(1.0, "B2", False), (2.0, "B2", False), (3.0, "C2", False), (3.4, "C2", True)]:
        house.work.heard(observation(at, pilot, closed))
    found = house.call("changes", evse=1)["changes"]
    assert [(each["at_s"], each["pilot"], each["contactor_closed"]) for each in found] == [
        (1.0, "B2", False),
        (3.0, "C2", False),
        (3.4, "C2", True),
    ]
    assert [each["at_s"] for each in house.call("changes", evse=1, after_s=3.0)["changes"]] == [3.4]


def observation(at: float, pilot: str, closed: bool) -> m.Observation:
    return m.Observation(
        1, at, pilot, True, True, 50.0, 16.0, 3, closed, True, 32, 1, False, 16.0, "permit", (), ()
    )  # fmt: skip
