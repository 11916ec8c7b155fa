"""The real process, the real driver, a simulated board behind a pty, and an agent that this file plays."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.link.codec import decode_to_agent
from agent.link.messages import (
    PROTOCOL,
    DeviceReport,
    FaultCode,
    FaultReport,
    Hello,
    Hold,
    LoopReport,
    MeterSample,
    Observation,
    Permit,
    SetOperative,
    StartAnew,
    TokenPresented,
    Welcome,
    Withdraw,
)
from agent.link.transport import Channel, LinkClosedError, connect
from simulators.lab import Lab

pytestmark = pytest.mark.process

SETTINGS: dict[str, Any] = {
    "control.realtime_priority": 0,
    "control.lock_memory": False,
    "control.fail_safe_s": 3,
    "control.fail_safe_current_a": 6,
}
PATIENCE_S = 30.0


class Agent:
    """The other end of the link."""

    def __init__(self, path: Path) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.channel: Channel = connect(path)
                break
            except OSError:
                assert time.monotonic() < deadline, "control does not listen"
                time.sleep(0.02)
        self.messages: list[Any] = []
        self.seen: Observation | None = None
        self.serial = 0

    def hello(self) -> Agent:
        self.channel.send(Hello(PROTOCOL, "test"))
        return self

    def permit(self, current_a: float, lease_s: float = 60.0) -> None:
        self.serial += 1
        self.channel.send(Permit(1, self.serial, current_a, 3, lease_s))

    def wait(self, condition: Callable[[Any], bool], what: str, timeout_s: float = PATIENCE_S) -> Any:
        """Read until a message fulfils the condition and return it."""
        deadline = time.monotonic() + timeout_s
        while True:
            data = self.channel.receive()
            if data is None:
                left = deadline - time.monotonic()
                assert left > 0, f"{what} did not happen; last seen {self.seen}"
                select.select([self.channel], [], [], left)
                continue
            message = decode_to_agent(data)
            self.messages.append(message)
            if isinstance(message, Observation) and message.evse == 1:
                self.seen = message
            if condition(message):
                return message

    def observe(
        self, condition: Callable[[Observation], bool], what: str, timeout_s: float = PATIENCE_S
    ) -> Observation:
        seen = self.wait(lambda m: isinstance(m, Observation) and m.evse == 1 and condition(m), what, timeout_s)
        assert isinstance(seen, Observation)
        return seen

    def closed_by_control(self, timeout_s: float = 2.0) -> bool:
        """Read whatever comes until control hangs up."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                if self.channel.receive() is None:
                    select.select([self.channel], [], [], 0.1)
            except LinkClosedError:
                return True
        return False


class Charger:
    """A lab with one EVSE and the control process beside it."""

    def __init__(self, directory: Path, board: str) -> None:
        self.directory = directory
        self.lab = Lab(directory, settings=SETTINGS, board=board)
        self.process: subprocess.Popen[bytes] | None = None
        self.log = directory / "control.log"
        self._agents: list[Agent] = []

    def start(self) -> Agent:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "agent.control", "--config", str(self.lab.config_path)],
                stderr=log,
                cwd=Path(__file__).parents[2],
            )
        return self.agent().hello()

    def agent(self) -> Agent:
        agent = Agent(self.directory / "run" / "control.sock")
        self._agents.append(agent)
        return agent

    def end(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)

    def stop(self) -> None:
        for agent in self._agents:
            agent.channel.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def evse(self) -> Any:
        return self.lab.control.state()["evses"][0]

    def wait_state(self, condition: Callable[[Any], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition(self.evse()):
            assert time.monotonic() < deadline, f"{what} did not happen: {self.evse()}"
            time.sleep(0.02)

    def charge(self, agent: Agent, current_a: float = 16.0, lease_s: float = 60.0) -> None:
        agent.observe(lambda o: o.pilot == "A1", "state A")
        self.lab.control.plug(1)
        agent.observe(lambda o: o.pilot == "B1", "state B1")
        agent.permit(current_a, lease_s)
        agent.observe(lambda o: o.contactor_closed is True, "contactor closed")

    def board_events(self) -> list[Any]:
        lines = (self.directory / "logs" / "board1.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def charger(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Charger]:
    board = getattr(request, "param", "tida")
    charger = Charger(tmp_path / "lab", board)
    with charger.lab:
        try:
            yield charger
        finally:
            charger.stop()


@pytest.mark.parametrize("charger", ["yeti", "tida"], indirect=True)
def test_a_car_charges_and_stops_in_good_order(charger: Charger) -> None:
    agent = charger.start()
    welcome = agent.wait(lambda m: isinstance(m, Welcome), "welcome")
    assert welcome.evses[0].max_current_a == 32.0
    charger.charge(agent, 16.0)
    flowing = agent.wait(lambda m: isinstance(m, MeterSample) and max(m.current_a) > 10.0, "current")
    assert max(flowing.current_a) <= 16.5
    assert agent.seen is not None
    assert agent.seen.holds == ()
    agent.channel.send(Withdraw(1, "test"))
    agent.observe(lambda o: o.duty_pct == 100.0, "x1")
    agent.observe(lambda o: o.contactor_closed is False, "open")
    assert charger.evse()["contactor"]["closed"] is False
    assert any(isinstance(m, DeviceReport) and m.ok for m in agent.messages)


def test_a_card_is_passed_on_and_sigterm_opens_at_once(charger: Charger) -> None:
    agent = charger.start()
    charger.charge(agent)
    charger.lab.control.tap("DEADBEEF")
    token = agent.wait(lambda m: isinstance(m, TokenPresented), "token")
    assert (token.uid, token.evse) == ("DEADBEEF", 0)
    assert charger.end(signal.SIGTERM) == 0
    charger.wait_state(lambda e: not e["contactor"]["closed"], "open", 1.0)
    evse = charger.evse()
    assert evse["pilot"]["duty_pct"] == 0.0
    assert evse["board"]["allowed"] is False
    assert charger.log.read_text().count("safe state: SIGTERM") == 1


def test_kill_9_then_nothing_closes_before_every_check_has_passed(charger: Charger) -> None:
    agent = charger.start()
    charger.charge(agent)
    charger.end(signal.SIGKILL)
    charger.wait_state(lambda e: not e["contactor"]["closed"], "the board opens by itself", 10.0)
    restarted_at = time.monotonic()
    agent = charger.start()
    agent.permit(16.0)
    agent.observe(lambda o: o.contactor_closed is True, "closed again")
    events = [e for e in charger.board_events() if e["mono_s"] >= restarted_at]
    kinds = [
        "test" if e.get("kind") == "rcd" and e.get("test") else "close"
        for e in events
        if (e.get("kind") == "rcd" and e.get("test")) or e["event"] == "coil_on"
    ]
    assert kinds[:2] == ["test", "close"], "self-test first"
    pilots = [e["steps"] for e in events if e.get("kind") == "pwm"]
    first_pwm = next(i for i, steps in enumerate(pilots) if 0 < steps < 10_000)
    assert 10_000 in pilots[:first_pwm], "x1 before any offer (row 31)"


def test_the_lease_outlives_the_agent_then_fail_safe_then_nothing(charger: Charger) -> None:
    agent = charger.start()
    charger.charge(agent, 16.0, lease_s=7.0)
    agent.channel.close()
    second = charger.agent().hello()
    lived = second.observe(lambda o: o.contactor_closed is True and not o.fail_safe, "still charging")
    assert lived.permit_serial == 1
    fallen = second.observe(lambda o: o.fail_safe and 0.0 < o.offered_a <= 6.0, "fail-safe current")
    assert fallen.limited_by == "fail_safe"
    ended = second.observe(lambda o: o.contactor_closed is False, "no charge")
    assert Hold.LEASE_EXPIRED in ended.holds


def test_one_agent_at_a_time_nonsense_ends_the_link_only_and_out_of_service_shows_f(charger: Charger) -> None:
    agent = charger.start()
    agent.observe(lambda o: o.pilot == "A1", "state A")
    assert charger.agent().closed_by_control(), "a second agent is refused"
    path = str(charger.directory / "run" / "control.sock")
    agent.channel.close()
    for packet in (b"\xff\x00nonsense", b'{"type":"Permit","evse":1}', b"[]", b"x" * 20_000):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as raw:
            raw.settimeout(5.0)
            raw.connect(path)
            raw.send(packet)
            while raw.recv(9000):
                pass
    early = charger.agent()
    early.permit(16.0)
    assert early.closed_by_control(), "no request before Hello"
    old = charger.agent()
    old.channel.send(Hello(PROTOCOL + 1, "from another release"))
    assert old.closed_by_control()
    again = charger.agent().hello()
    again.observe(lambda o: o.pilot == "A1", "control lives")
    again.channel.send(SetOperative(1, False))
    again.observe(lambda o: o.duty_pct == 0.0 and Hold.INOPERATIVE in o.holds, "F")
    again.channel.send(SetOperative(1, True))
    again.observe(lambda o: o.pilot == "A1", "state A again")


def test_a_fault_of_the_board_is_reported_with_its_remedy_and_opens(charger: Charger) -> None:
    agent = charger.start()
    charger.charge(agent)
    charger.lab.control.fault(1, "rcd")
    report = agent.wait(lambda m: isinstance(m, FaultReport) and m.active, "fault")
    assert report.code is FaultCode.RESIDUAL_CURRENT
    assert report.latched
    assert report.remedy
    agent.observe(lambda o: o.contactor_closed is False, "open")


def test_a_bad_configuration_is_refused_with_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("station: 3\nnonsense: true\n")
    done = subprocess.run(
        [sys.executable, "-m", "agent.control", "--config", str(path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert done.returncode == 2
    assert "bad.yaml:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_fresh_start_is_given_to_an_idle_charger_only(charger: Charger) -> None:
    agent = charger.start()
    agent.observe(lambda o: o.pilot == "A1", "state A")
    charger.lab.control.plug(1)
    agent.observe(lambda o: o.plugged is True, "plugged")
    agent.channel.send(StartAnew())
    agent.permit(16.0)
    agent.observe(lambda o: o.contactor_closed is True, "contactor closed")  # it went on
    agent.channel.send(StartAnew())
    agent.permit(10.0)
    agent.observe(lambda o: o.limit_a == 10.0, "the next permit is obeyed")
    charger.lab.control.unplug(1)
    agent.observe(lambda o: o.plugged is False and o.contactor_closed is False, "unplugged and open")
    agent.channel.send(StartAnew())
    assert charger.process is not None
    assert charger.process.wait(PATIENCE_S) == 75


def test_how_punctual_control_is_is_told_on_connect_and_from_then_on(charger: Charger) -> None:
    agent = charger.start()
    agent.observe(lambda o: o.pilot == "A1", "state A")
    agent.channel.close()
    agent = charger.agent().hello()
    first = agent.wait(lambda m: isinstance(m, LoopReport), "a report on connect")
    assert sum(first.late) > 0
    assert sum(first.reaction) > 0
    assert first.reaction_total_s > 0
    assert first.reaction_worst_s > 0
    second = agent.wait(lambda m: isinstance(m, LoopReport), "the next report", 30.0)
    assert second.at - first.at >= 10.0
    assert sum(second.late) > sum(first.late)
