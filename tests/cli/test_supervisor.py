"""The supervisor with children of ours: restarts, order of ending, haste, and its own sudden death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent.supervisor import BACK_OFF_S, LONGEST_BACK_OFF_S, STEADY_S, BackOff

CHILD = """
import os, signal, sys, time
name, log, manner = sys.argv[1:]
def note(what):
    with open(log, "a") as file:
        file.write(f"{name} {what} {os.getpid()}\\n")
def end(number, frame):
    note("ended")
    sys.exit(0)
if manner == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, end)
if manner == "picky":
    with open(log + ".config") as file:
        if file.read() == "bad":
            note("refused")
            sys.exit(2)
note("began")
if manner.startswith("exit"):
    sys.exit(int(manner[4:]))
while True:
    time.sleep(1)
"""

PARENT = """
import pathlib, sys
from agent.supervisor import Child, supervise
script, log, *manners = sys.argv[1:]
children = [
    Child(name, [sys.executable, script, name, log, manner], first_at_once=name == "control")
    for name, manner in zip(["control", "agent"], manners)
]
sys.exit(supervise(children, pathlib.Path(log + ".config")))
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def start(tmp_path: Path, log: Path) -> Iterator[Start]:
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    running: list[subprocess.Popen[str]] = []

    def begin(control: str = "calm", agent: str = "calm") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(script), str(log), control, agent], stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()
    for _, _, pid in lines(log):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def lines(log: Path) -> list[tuple[str, str, int]]:
    if not log.exists():
        return []
    parts = [line.split() for line in log.read_text().splitlines()]
    return [(name, what, int(pid)) for name, what, pid in parts]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


def began(log: Path, name: str) -> list[int]:
    return [pid for who, what, pid in lines(log) if who == name and what == "began"]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_the_agent_first(start: Start, log: Path, number: signal.Signals) -> None:
    process = start()
    until(lambda: bool(began(log, "control") and began(log, "agent")))
    process.send_signal(number)
    assert process.wait(60) == 0
    assert [line[:2] for line in lines(log)[2:]] == [("agent", "ended"), ("control", "ended")]


@pytest.mark.process
def test_what_dies_is_started_again(start: Start, log: Path) -> None:
    process = start()
    for name in ("control", "agent"):
        until(lambda name=name: len(began(log, name)) == 1)  # type: ignore[misc]
        os.kill(began(log, name)[0], signal.SIGKILL)
        until(lambda name=name: len(began(log, name)) == 2)  # type: ignore[misc]
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "evse-agent: control was ended by SIGKILL; starting it again at once" in errors
    assert f"evse-agent: agent was ended by SIGKILL; starting it again in {BACK_OFF_S:g} s" in errors
    assert not any(alive(pid) for _, _, pid in lines(log))


@pytest.mark.process
def test_a_child_may_ask_for_a_fresh_start(start: Start, log: Path) -> None:
    start(agent="exit75")
    until(lambda: len(began(log, "agent")) >= 5)


@pytest.mark.process
def test_a_bad_configuration_ends_everything(start: Start, log: Path) -> None:
    process = start(agent="exit2")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "agent cannot use its configuration; ending" in errors
    assert not any(alive(pid) for pid in began(log, "control"))


def change(log: Path, text: str) -> None:
    """As the console does it: the file is replaced."""
    fresh = log.with_name("fresh")
    fresh.write_text(text)
    fresh.replace(f"{log}.config")


@pytest.mark.process
@pytest.mark.parametrize("name", ["control", "agent"])
def test_what_refuses_a_changed_configuration_waits_for_the_next_change(start: Start, log: Path, name: str) -> None:
    other = "agent" if name == "control" else "control"
    change(log, "good")
    process = start(**{name: "picky"})
    until(lambda: bool(began(log, "control") and began(log, "agent")))
    change(log, "bad")
    os.kill(began(log, name)[0], signal.SIGKILL)
    until(lambda: (name, "refused") in [line[:2] for line in lines(log)])
    change(log, "bad ")
    until(lambda: len(began(log, name)) == 2)
    change(log, "bad")
    os.kill(began(log, name)[1], signal.SIGKILL)
    until(lambda: len([line for line in lines(log) if line[1] == "refused"]) == 2)
    assert process.poll() is None
    assert alive(began(log, other)[0])
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(began(log, other)) == 1
    assert f"{name} refuses its configuration" in errors
    assert str(log) + ".config" in errors


@pytest.mark.process
def test_a_second_signal_asks_for_haste(start: Start, log: Path) -> None:
    process = start(agent="deaf")
    until(lambda: bool(began(log, "control") and began(log, "agent")))
    process.terminate()
    process.send_signal(signal.SIGINT)
    assert process.wait(9) == 0, "sooner than the time a deaf child is given"
    assert not any(alive(pid) for _, _, pid in lines(log))


@pytest.mark.process
def test_no_child_outlives_a_killed_supervisor(start: Start, log: Path) -> None:
    process = start()
    until(lambda: bool(began(log, "control") and began(log, "agent")))
    process.kill()
    until(lambda: not any(alive(pid) for _, _, pid in lines(log)))
    assert {line[:2] for line in lines(log)[2:]} == {("agent", "ended"), ("control", "ended")}


@pytest.mark.process
def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    code = "import pathlib; from agent.supervisor import Child, supervise; "
    code += "supervise([Child('x', ['/nonexistent/command'])], pathlib.Path('config.yaml'))"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "cannot start /nonexistent/command: " in process.stderr.readline()
    assert "x ended with status 1; starting it again in" in process.stderr.readline()
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_the_back_off_grows_and_is_forgiven() -> None:
    back_off = BackOff(first_at_once=True)
    waits = [back_off.wait_s(1.0, asked=False) for _ in range(9)]
    assert waits == [0, 0.5, 1, 2, 4, 8, 16, LONGEST_BACK_OFF_S, LONGEST_BACK_OFF_S]
    assert back_off.wait_s(1.0, asked=True) == 0
    assert back_off.wait_s(1.0, asked=False) == LONGEST_BACK_OFF_S
    assert back_off.wait_s(STEADY_S, asked=False) == 0
    assert BackOff(first_at_once=False).wait_s(1.0, asked=False) == BACK_OFF_S
