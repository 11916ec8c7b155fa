"""How long from exec to the first safe output, and to the accepted attention of the network."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path

from hal.drivers.mcu_board.messages import DUTY_F, DUTY_X1, AllowPowerOn, PwmDutyCycle, Variant
from hal.drivers.mcu_board.wire import FrameReader, decode_to_board
from simulators.charger import Charger
from simulators.csms.frames import Direction
from simulators.csms.process import CsmsProcess

from .figures import Figure, median, ratio
from .machine import cpu_ns, cpu_s, memory, progress
from .processes import Crew, MeasureError, line_of
from .site import board_ports, write_config

EVSES = 2
SAFE_OUTPUT_BUDGET_MS = 300.0
BOOT_BUDGET_MS = 1000.0
TIMEOUT_S = 20.0


def measure(scratch: Path, safe_rounds: int, boot_rounds: int) -> list[Figure]:
    """Return the figures; each round is one start of the processes."""
    directory = scratch / "site"
    figures: list[Figure] = []
    with CsmsProcess(scratch / "csms") as csms:
        config = write_config(directory, EVSES, state_dir=scratch / "state", csms_url=csms.url)
        for what in ("control", "run"):  # not counted: brings everything into the page cache
            _first_safe_output(config, directory, what)
        progress(f"  bare interpreter and control, {safe_rounds} starts each")
        bare_ms = [_bare_interpreter_ms() for _ in range(safe_rounds)]
        safe = [_first_safe_output(config, directory, "control") for _ in range(safe_rounds)]
        figures += _safe("start_control_first_safe_output", [wall_ms for wall_ms, _ in safe], bare_ms)
        cpu_ms = [used_ms for _, used_ms in safe]
        figures.append(
            Figure("start_control_cpu_ms", median(cpu_ms), len(cpu_ms), note="of it, CPU: others cannot add")
        )
        progress(f"  evse-agent run, {boot_rounds} starts")
        run_ms = [_first_safe_output(config, directory, "run")[0] for _ in range(boot_rounds)]
        figures += _safe("start_run_first_safe_output", run_ms, bare_ms)
        figures += _boots(scratch, directory, config, csms, boot_rounds)
    figures.append(Figure("start_bare_interpreter_ms", median(bare_ms), len(bare_ms), note="python -c pass"))
    return figures


def _safe(name: str, found_ms: list[float], bare_ms: list[float]) -> Iterator[Figure]:
    yield Figure(f"{name}_ms", median(found_ms), len(found_ms), SAFE_OUTPUT_BUDGET_MS, "median, 2 EVSEs")
    yield Figure(f"{name}_max_ms", max(found_ms), len(found_ms))
    yield Figure(f"{name}_to_bare_interpreter_ratio", ratio(median(found_ms), median(bare_ms)), len(found_ms))


def _bare_interpreter_ms() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return (time.monotonic() - began) * 1000


def _first_safe_output(config: Path, directory: Path, what: str) -> tuple[float, float]:
    """Start control (or the whole) on ptys that only listen. Return when the last board had its safe commands, and
    the CPU time that the process used up to then, both in ms."""
    listeners = [_Listener(port) for port in board_ports(directory, EVSES)]
    try:
        with Charger(config) as charger:
            began = time.monotonic()
            charger.start(what)
            deadline = began + TIMEOUT_S
            while not all(listener.safe for listener in listeners):
                waiting = [listener.master for listener in listeners]
                readable, _, _ = select.select(waiting, [], [], max(0.0, deadline - time.monotonic()))
                at = time.monotonic()
                if not readable:
                    raise MeasureError(f"{what} gave no safe output within {TIMEOUT_S:g} s: {charger.log(what)[-500:]}")
                for listener in listeners:
                    if listener.master in readable:
                        listener.read()
            return (at - began) * 1000, cpu_ns(charger.pid(what)) / 1e6
    finally:
        for listener in listeners:
            listener.close()


class _Listener:
    """A board's port that only listens."""

    def __init__(self, link: Path) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave, termios.TCSANOW)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(self._slave))
        self._link = link
        self._reader = FrameReader()
        self._forbidden = False
        self._steady = False

    @property
    def safe(self) -> bool:
        return self._forbidden and self._steady

    def read(self) -> None:
        for payload in self._reader.feed(os.read(self.master, 4096)):
            message = decode_to_board(Variant.YETI, payload)
            if isinstance(message, AllowPowerOn):
                self._forbidden = not message.allowed
            elif isinstance(message, PwmDutyCycle):
                self._steady = message.steps in (DUTY_F, DUTY_X1)

    def close(self) -> None:
        self._link.unlink(missing_ok=True)
        os.close(self._slave)
        os.close(self.master)


def _boots(scratch: Path, directory: Path, config: Path, csms: CsmsProcess, rounds: int) -> Iterator[Figure]:
    """From exec to the frame log of the network: the agent beside a running control, then everything from nothing."""
    options = {
        "ports": [str(port) for port in board_ports(directory, EVSES)],
        "bare": "",
        "kinds": [[]],
        "seconds": 600,
        "samples": 1,
        "priority": 0,
    }
    with Crew(scratch / "logs") as crew:
        line_of(crew.python("boards", "-m", "tests.bench.boards", json.dumps(options)), 30.0, "the boards")
        agent_ms: list[float] = []
        agent_cpu_s: list[float] = []
        with Charger(config) as charger:
            charger.start("control")
            for _ in range(rounds):
                agent_ms.append(_boot_ms(charger, csms, "agent"))
                agent_cpu_s.append(cpu_s(charger.pid("agent")))
                charger.stop("agent")
        yield Figure(
            "start_agent_boot_notification_ms", median(agent_ms), rounds, BOOT_BUDGET_MS, "median, control runs"
        )
        yield Figure("start_agent_boot_notification_max_ms", max(agent_ms), rounds)
        yield Figure("start_agent_cpu_ms", median(agent_cpu_s) * 1000, rounds, note="of it, the agent's own CPU")
        run_ms: list[float] = []
        with Charger(config) as charger:
            for _ in range(rounds):
                run_ms.append(_boot_ms(charger, csms, "run"))
                supervisor = memory(charger.pid("run"))
                charger.stop("run")
        yield Figure(
            "start_run_boot_notification_ms", median(run_ms), rounds, BOOT_BUDGET_MS, "median, both from nothing"
        )
        yield Figure("start_run_boot_notification_max_ms", max(run_ms), rounds)
        yield Figure("memory_supervisor_pss_mb", supervisor.pss_mb, note="evse-agent run; a service manager needs none")


def _boot_ms(charger: Charger, csms: CsmsProcess, what: str) -> float:
    """Start ``what`` and return when its BootNotification reached the network."""
    known = len(csms.frames())
    began = time.monotonic()
    charger.start(what)
    charger.wait_accepted()
    for frame in csms.frames()[known:]:
        if frame.direction is Direction.RECEIVED and '"BootNotification"' in frame.text:
            return (frame.monotonic_s - began) * 1000
    raise MeasureError(f"{what}: accepted, but the network's log holds no BootNotification")
