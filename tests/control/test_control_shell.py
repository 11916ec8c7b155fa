"""The shell around the core: the loop answers in the same pass, survives its drivers, and has one way down."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.config.schema import Config, ConnectorType, Evse, Installation, Station
from agent.config.schema import Device as DeviceConfig
from agent.control import hardware as hardware_module
from agent.control.__main__ import SafeState
from agent.control.dispatch import Dispatcher
from agent.control.hardware import Hardware
from agent.control.lateness import Lateness
from agent.control.link_server import LinkServer
from agent.control.loop import Loop
from agent.control.rate_limit import RateLimit
from agent.link.messages import FaultCode, Permit
from agent.notify import notify
from hal.ports import PortKind
from hal.registry import Driver
from hal.values import ContactorReading, Health, PilotReading, PilotState, TokenKind, TokenRead


class FakeBoard:
    """A device on a pipe that is its own unit. ``act`` is called when the pipe is readable."""

    def __init__(self, name: str, options: object) -> None:
        self.name = name
        self.read_end, self.write_end = os.pipe()
        self.state: PilotState | None = PilotState.A
        self.commands: list[tuple[str, object]] = []
        self.permitted = False
        self.act: Callable[[], None] = lambda: None
        self.broken: set[str] = set()
        self.tokens: list[TokenRead] = []
        self.ill = ""
        self.closes = 0

    def _may(self, what: str) -> None:
        if what in self.broken:
            raise RuntimeError(f"{what} is broken")

    def start(self, now: float) -> None:
        self.set_contactor(False, now)

    def fileno(self) -> int | None:
        return self.read_end

    def on_readable(self, now: float) -> None:
        os.read(self.read_end, 100)
        self._may("on_readable")
        self.act()

    def on_timer(self, now: float) -> float:
        self._may("on_timer")
        return now + 0.05

    def close(self) -> None:
        self.closes += 1
        os.close(self.read_end)
        os.close(self.write_end)

    def health(self, now: float) -> Health:
        self._may("health")
        return Health(not self.ill, self.ill)

    def unit(self, name: str) -> object:
        return self

    def pilot(self) -> PilotReading | None:
        self._may("pilot")
        return None if self.state is None else PilotReading(time.monotonic(), self.state)

    def contactor(self) -> ContactorReading:
        return ContactorReading(time.monotonic(), self.permitted)

    def set_pilot(self, duty_pct: float, now: float) -> None:
        self._may("set_pilot")
        self.commands.append(("pilot", duty_pct))

    def set_contactor(self, closed: bool, now: float) -> None:
        self.permitted = closed
        self.commands.append(("contactor", closed))

    def set_phases(self, phases: int, now: float) -> None:
        self.commands.append(("phases", phases))

    def take_tokens(self) -> list[TokenRead]:
        taken, self.tokens = self.tokens, []
        return taken

    def say(self, act: Callable[[], None] = lambda: None) -> None:
        self.act = act
        os.write(self.write_end, b"!")


KINDS = frozenset({PortKind.CONTROL_PILOT, PortKind.CONTACTOR})


class Bench:
    """One EVSE with a fixed cable on a fake board, and the loop around it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        driver = Driver("fake", "a fake", object, lambda options: {"": KINDS}, FakeBoard)  # type: ignore[arg-type]
        monkeypatch.setattr(hardware_module.registry, "load", lambda name: driver)
        config = Config(
            station=Station("V", "M", "S"),
            installation=Installation(max_current_a=32.0),
            devices={"board": DeviceConfig("fake", None)},
            evses=(Evse(1, "board", connector=ConnectorType.CABLE),),
            readers=("board",),
        )
        self.hardware = Hardware(config, time.monotonic())
        self.dispatcher = Dispatcher(self.hardware, time.monotonic())
        self.server = LinkServer(path, self.dispatcher.infos(), self.dispatcher.on_request, self.dispatcher.on_connect)
        self.dispatcher.link = self.server
        self.wake = os.pipe()
        self.fed = 0
        self.loop = Loop(self.hardware, self.dispatcher, self.server, self.wake[0], self._feed)
        device = self.hardware.devices["board"].device
        assert isinstance(device, FakeBoard)
        self.board = device
        self.evse = self.dispatcher.evses[1]

    def _feed(self) -> None:
        self.fed += 1

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 30.0
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen: {self.evse.holds} {self.evse.faults.codes()}"
            self.loop.turn()

    def charge(self) -> None:
        self.until(lambda: self.evse.guards.plugged is False, "A")
        self.board.state = PilotState.C
        self.evse.grant(Permit(1, 1, 16.0, 3, 60.0), time.monotonic())
        self.until(lambda: self.board.permitted, "closed")

    def close(self) -> None:
        self.server.close()
        self.board.close()
        for end in self.wake:
            os.close(end)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    bench = Bench(tmp_path / "control.sock", monkeypatch)
    yield bench
    bench.close()


def test_a_frame_is_answered_in_the_same_pass(bench: Bench) -> None:
    bench.charge()

    def leaves() -> None:
        bench.board.state = PilotState.B

    bench.board.say(leaves)
    while bench.board.state is PilotState.C:
        assert bench.board.permitted
        bench.loop.turn()
    assert not bench.board.permitted, "the turn that read the frame has opened"


def test_closing_is_the_last_command_and_opening_the_first(bench: Bench) -> None:
    bench.charge()
    closing = bench.board.commands[-2:]
    assert [name for name, _ in closing] == ["pilot", "contactor"]
    bench.board.commands.clear()
    bench.board.state = PilotState.B
    bench.until(lambda: not bench.board.permitted, "open")
    opening = bench.board.commands[bench.board.commands.index(("contactor", False)) :]
    assert opening[0] == ("contactor", False)


@pytest.mark.parametrize("what", ["on_readable", "on_timer", "pilot", "health", "set_pilot"])
def test_a_driver_that_raises_opens_its_evse_and_never_ends_the_loop(
    bench: Bench, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench.charge()
    bench.board.broken = {what}
    bench.board.say()
    bench.until(lambda: not bench.board.permitted, "open")
    assert FaultCode.BOARD_LOST in bench.evse.faults.codes()
    (report,) = [r for r in bench.evse.all_fault_reports() if r.code is FaultCode.BOARD_LOST]
    assert f"{what} is broken" in report.detail
    for _ in range(30):
        bench.loop.turn()
    assert caplog.text.count("its driver failed") <= 3, "once as itself, once as a fault, once as health"


def test_a_driver_that_works_again_is_trusted_after_a_while(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.control.device_state.WELL_S", 0.2)
    bench.charge()
    bench.board.broken = {"pilot"}
    bench.until(lambda: not bench.board.permitted, "open")
    bench.board.broken = set()
    bench.until(lambda: not bench.evse.faults.codes(), "well again")


def test_the_watchdog_is_fed_once_a_second_only(bench: Bench) -> None:
    began = time.monotonic()
    bench.until(lambda: bench.fed >= 2, "fed twice")
    assert time.monotonic() - began >= 0.9


def test_a_card_is_taken_once(bench: Bench) -> None:
    sent: list[Any] = []
    bench.server.send = sent.append  # type: ignore[method-assign]
    bench.board.tokens.append(TokenRead(1.0, "DEADBEEF", TokenKind.ISO14443))
    bench.loop.turn()
    bench.loop.turn()
    assert [m.uid for m in sent if hasattr(m, "uid")] == ["DEADBEEF"]


def test_a_late_loop_is_reported_while_energy_flows(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.dispatcher.overrun("early", 0.0)
    bench.loop.turn()
    assert not bench.evse.faults.codes()
    bench.charge()
    time.sleep(0.2)
    bench.loop.turn()
    bench.until(lambda: FaultCode.CONTROL_OVERRUN in bench.evse.faults.codes(), "overrun")
    assert bench.board.permitted


def test_an_unknown_evse_and_an_unknown_indication_are_refused(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    from agent.link.messages import Indicate

    bench.dispatcher.on_request(Permit(7, 1, 16.0, 3, 60.0), 0.0)
    assert "EVSE 7, which is not configured" in caplog.text
    bench.dispatcher.on_request(Indicate(1, "disco"), 0.0)
    assert "'disco' is no indication" in caplog.text


def test_make_safe_opens_and_shows_f_even_when_one_of_them_fails(bench: Bench) -> None:
    bench.charge()
    bench.board.broken = {"set_pilot"}
    bench.dispatcher.make_safe(time.monotonic())
    assert not bench.board.permitted
    bench.board.broken = set()
    bench.dispatcher.make_safe(time.monotonic())
    assert bench.board.commands[-1] == ("pilot", 0.0)


def test_safe_state_runs_every_step_once(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []
    safe_state = SafeState()

    def fails() -> None:
        done.append("first")
        raise OSError("gone")

    safe_state.add("first", fails)
    safe_state.add("second", lambda: done.append("second"))
    safe_state("because")
    safe_state("again")
    assert done == ["first", "second"]
    assert safe_state.reason == "because"
    assert "first failed" in caplog.text


def test_notify_speaks_to_the_service_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        notify("READY=1")
        assert manager.recv(100) == b"READY=1"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("WATCHDOG=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("WATCHDOG=1")


def test_rate_limit() -> None:
    limit = RateLimit(10.0)
    assert [limit.allows(at) for at in (0.0, 5.0, 9.9, 10.0, 15.0)] == [True, False, False, True, False]


def test_lateness_counts() -> None:
    lateness = Lateness()
    assert "no tick yet" in lateness.text()
    for late_s in (0.00005, 0.003, 0.5):
        lateness.note(late_s)
    assert lateness.text() == "≤0.1 ms: 1, ≤5 ms: 1, later: 1; worst 500.0 ms"
