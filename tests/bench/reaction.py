"""From a pilot frame to the command that opens: the real control process, real ptys, real permits, idle and loaded.

Rows: an idle machine; every core spun upon by a process of normal priority while the real agent carries a fleet of
transactions; and that again with control at normal priority. Each for leaving state C and for a fault (pilot lost,
residual current). Beside it in the same run and at the same priority: the bare loop.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulators.charger import Charger
from simulators.csms.process import CsmsProcess

from .boards import BARE, BARE_PIPE, C_TO_B, PILOT_LOST, RESIDUAL_CURRENT
from .figures import Figure, number, percentile, ratio
from .machine import busy_share, policy_of, progress, real_time_permitted
from .processes import Crew, MeasureError, line_of
from .site import board_ports, write_config

P999_BUDGET_MS = 10.0
MAX_BUDGET_MS = 50.0

BOARD_PRIORITY = 60
"""The boards stand for hardware, which does not wait for the processor."""
CONTROL_PRIORITY = 50

_FAULTS = [PILOT_LOST, RESIDUAL_CURRENT]
KINDS = [[C_TO_B], _FAULTS, _FAULTS, _FAULTS]
"""What the boards do, dealt out in turn. After a fault the pilot rests for seconds before the next offer, so that a
round takes four times as long as one that only leaves state C; so both rows get about as many samples."""

BUSY_SETTINGS = {
    "MeterValueSampleInterval": "1",
    "MeterValuesSampledData": "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One load. ``name`` goes into the figures."""

    name: str
    title: str
    loaded: bool
    priority: int
    promised: bool
    """The budgets of the issue apply."""


ROWS = (
    Row("idle", "idle machine", loaded=False, priority=CONTROL_PRIORITY, promised=True),
    Row("load", "all cores spun upon, agent busy", loaded=True, priority=CONTROL_PRIORITY, promised=True),
    Row("load_no_rt", "the same, control at normal priority", loaded=True, priority=0, promised=False),
)


def measure(scratch: Path, evses: int, seconds: float, samples: int, row: Row) -> list[Figure]:
    """Measure one row with ``evses`` EVSEs in one control process: ``seconds`` long, or ``samples`` of each kind."""
    if row.priority and not real_time_permitted():
        progress("  real-time priority is not permitted here: boards and control run at normal priority")
    directory = scratch / "site"
    with Crew(scratch / "logs") as crew:
        csms = CsmsProcess(scratch / "csms") if row.loaded else None
        try:
            if csms is not None:
                csms.start()
            url = csms.url if csms is not None else ""
            config = write_config(
                directory,
                evses,
                state_dir=scratch / "state",
                csms_url=url,
                priority=row.priority,
                free_vend=row.loaded,
                settings=BUSY_SETTINGS if row.loaded else {},
            )
            return _play(crew, Charger(config), directory, evses, seconds, samples, row)
        finally:
            if csms is not None:
                csms.stop()


def _play(
    crew: Crew, charger: Charger, directory: Path, evses: int, seconds: float, samples: int, row: Row
) -> list[Figure]:
    bare_port = directory / "bare"
    options = {
        "ports": [str(port) for port in board_ports(directory, evses)],
        "bare": str(bare_port),
        "kinds": KINDS,
        "seconds": seconds,
        "samples": samples,
        "priority": BOARD_PRIORITY,
    }
    boards = crew.python("boards", "-m", "tests.bench.boards", json.dumps(options))
    line_of(boards, 30.0, "the boards did not come up")
    bare = crew.python("bare", "-m", "tests.bench.bare_loop", "pty", bare_port, row.priority)
    crew.python("bare_pipe", "-m", "tests.bench.bare_loop", "pipe", bare_port, row.priority)
    with charger:
        control = charger.start("control")
        if row.loaded:
            charger.start("agent")
            charger.wait_accepted()
            crew.burn(os.cpu_count() or 1)
        else:
            crew.python("permits", "-m", "tests.bench.permits", directory / "run" / "control.sock", evses, 16)
        others = busy_share(2.0) if not row.loaded else 0.0
        progress(f"  {row.name}: {evses} EVSEs" + ("" if row.loaded else f", machine busy {others:.0%}"))
        result = answers(boards, seconds + 30.0, charger, crew)
        policy = policy_of(control)
        late_ms = _lateness_ms(bare)
        result["links"] = charger.log("control").count("link: closed")
    return list(_figures(result, late_ms, row, f"control {policy}, {evses} EVSEs, {load()}"))


def answers(boards: subprocess.Popen[str], timeout_s: float, charger: Charger, crew: Crew) -> dict[str, Any]:
    """Wait for what the boards have found. Raises MeasureError when they or the charger end before."""
    try:
        result = line_of(boards, timeout_s, "the boards")
        boards.wait(10.0)
    except MeasureError as error:
        raise MeasureError(f"{error}: {crew.last_words('boards')}; control: {charger.log('control')[-500:]}") from None
    for name in ("control", "agent"):
        if charger.log(name) and not charger.running(name):
            raise MeasureError(f"{name} ended while it was measured: {charger.log(name)[-500:]}")
    return result


def load() -> str:
    return f"load average at the end {os.getloadavg()[0]:.1f}"


def _lateness_ms(bare: subprocess.Popen[str]) -> list[float]:
    bare.send_signal(signal.SIGTERM)
    return [ns / 1e6 for ns in line_of(bare, 10.0, "the bare loop")["late_ns"]]


def _figures(result: dict[str, Any], late_ms: list[float], row: Row, note: str) -> Iterator[Figure]:
    found = {kind: [ns / 1e6 for ns in samples] for kind, samples in result["ns"].items()}
    bare_ms, pipe_ms = found.get(BARE, []), found.get(BARE_PIPE, [])
    rows = {
        "c_to_b": found.get(C_TO_B, []),
        "fault": found.get(PILOT_LOST, []) + found.get(RESIDUAL_CURRENT, []),
    }
    if not all(rows.values()):
        raise MeasureError(f"no sample of {', '.join(kind for kind, ms in rows.items() if not ms)} ({row.name})")
    for kind, ms in rows.items():
        name = f"reaction_{row.name}_{kind}"
        p99, p999 = percentile(ms, 99), percentile(ms, 99.9)
        yield Figure(f"{name}_p50_ms", percentile(ms, 50), len(ms), note=note)
        yield Figure(f"{name}_p99_ms", p99, len(ms))
        budgets = (P999_BUDGET_MS, MAX_BUDGET_MS) if row.promised else (None, None)
        yield Figure(f"{name}_p999_ms", p999, len(ms), budgets[0], beside_bare(bare_ms, pipe_ms, 99.9))
        yield Figure(f"{name}_max_ms", max(ms), len(ms), budgets[1], beside_bare(bare_ms, pipe_ms, 100))
        yield Figure(f"{name}_p99_to_bare_ratio", ratio(p99, percentile(bare_ms, 99)), len(ms))
        yield Figure(f"{name}_p999_to_bare_ratio", ratio(p999, percentile(bare_ms, 99.9)), len(ms))
    unanswered = sum(count for kind, count in result["unanswered"].items() if kind not in (BARE, BARE_PIPE))
    name = f"reaction_{row.name}"
    yield Figure(f"{name}_unanswered_count", unanswered, sum(map(len, rows.values())), budget=0)
    yield Figure(
        f"{name}_link_lost_count", result["links"], note="times that control gave up an agent that did not read"
    )
    yield Figure(f"{name}_stalled_count", result["stalled"], note="charges that did not start again within 30 s")
    for name, ms, what in (
        ("answer", bare_ms, "pty and select alone"),
        ("pipe_answer", pipe_ms, "the same without a tty"),
    ):
        yield Figure(f"bare_{row.name}_{name}_p50_ms", percentile(ms, 50), len(ms), note=what)
        yield Figure(f"bare_{row.name}_{name}_p99_ms", percentile(ms, 99), len(ms))
        yield Figure(f"bare_{row.name}_{name}_p999_ms", percentile(ms, 99.9), len(ms))
        yield Figure(f"bare_{row.name}_{name}_max_ms", percentile(ms, 100), len(ms))
    yield Figure(f"bare_{row.name}_tick_late_p999_ms", percentile(late_ms, 99.9), len(late_ms), note="10 ms tick")
    yield Figure(f"bare_{row.name}_tick_late_max_ms", max(late_ms, default=float("nan")), len(late_ms))


def beside_bare(bare_ms: list[float], pipe_ms: list[float], pct: float) -> str:
    """What the same figure is for loops that do nothing: how much of it the machine alone explains."""
    bare, pipe = number(percentile(bare_ms, pct)), number(percentile(pipe_ms, pct))
    return f"bare loop beside it {bare} ms, without a tty {pipe} ms"
