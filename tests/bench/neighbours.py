"""What a misbehaving neighbour costs: reaction on EVSEs beside one whose board is broken in every way it can be.

One control process. The last EVSE has a board of the lab, of one kind after the other; the others' boards play the
stories of ``boards`` and time the answers. Measured first with the neighbour well and charging, then while every fault
that the neighbour's board and its wire know is put in and out in turn. The budgets are those of the reaction on an
idle machine; the ratio compares the two rows of the same minutes.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simulators.charger import Charger
from simulators.lab.client import CommandRefusedError, LabControl
from simulators.lab.faults import PHYSICS
from simulators.lab.kinds import BOARDS
from simulators.lab.process import Lab

from .boards import BARE, BARE_PIPE, C_TO_B, PILOT_LOST, RESIDUAL_CURRENT
from .figures import Figure, percentile, ratio
from .machine import progress, real_time_permitted
from .processes import Crew, MeasureError, line_of
from .reaction import BOARD_PRIORITY, CONTROL_PRIORITY, KINDS, MAX_BUDGET_MS, P999_BUDGET_MS, answers, beside_bare, load
from .site import board_ports

TIMED = 7
"""EVSEs that are timed. The next is the neighbour."""
NEIGHBOUR = TIMED + 1
FAULT_S = 0.7
SETTLE_S = 20.0
WARM_UP_S = 5.0
"""Until every board has been taken up and has charged once."""
ENDLESS = 1_000_000
REST_S = 0.2
"""Between two faults, so that the neighbour comes back and fails anew."""


def measure(scratch: Path, kinds: list[str], seconds: float) -> list[Figure]:
    """Measure each kind twice for ``seconds``, or for as long as one round of its faults takes if ``seconds`` is 0."""
    figures: list[Figure] = []
    for kind in kinds:
        rows = {}
        for broken in (False, True):
            progress(f"  {kind}, {'broken in every way' if broken else 'well'}")
            place = scratch / f"{kind}-{'broken' if broken else 'well'}"
            rows[broken] = _play(place, kind, seconds, broken=broken)
        figures += _figures(kind, rows[False], rows[True])
    return figures


def _play(scratch: Path, kind: str, seconds: float, *, broken: bool) -> dict[str, Any]:
    directory, ports = scratch / "lab", board_ports(scratch / "ports", TIMED)
    settings: dict[str, Any] = {
        "control.realtime_priority": CONTROL_PRIORITY,
        "logging.level": "error",
        **{f"devices.board{number}.port": str(port) for number, port in enumerate(ports, 1)},
    }
    lab = Lab(directory, settings, board=["yeti"] * TIMED + [kind], connector="cable", meter="none", reader="none")
    with lab, Crew(scratch / "logs") as crew:
        (directory / "state").mkdir(exist_ok=True)
        (directory / "run").mkdir(exist_ok=True)
        with Charger(lab.config_path) as charger:
            lab.control.plug(NEIGHBOUR)
            faults = [fault["name"] for fault in lab.control.faults(NEIGHBOUR) if fault["name"] not in PHYSICS]
            seconds = WARM_UP_S + (seconds or len(faults) * (FAULT_S + REST_S))
            bare = scratch / "ports" / "bare"
            options = {
                "ports": [str(port) for port in ports],
                "bare": str(bare),
                "kinds": KINDS,
                "seconds": seconds,
                "samples": ENDLESS,
                "priority": BOARD_PRIORITY,
            }
            boards = crew.python("boards", "-m", "tests.bench.boards", json.dumps(options))
            line_of(boards, 30.0, "the boards did not come up")
            crew.python("bare", "-m", "tests.bench.bare_loop", "pty", bare, CONTROL_PRIORITY)
            crew.python("bare_pipe", "-m", "tests.bench.bare_loop", "pipe", bare, CONTROL_PRIORITY)
            _be_hardware(lab.pid)
            charger.start("control")
            crew.python("permits", "-m", "tests.bench.permits", directory / "run" / "control.sock", NEIGHBOUR, 16)
            lab.control.wait_for(lambda evse: evse["power_w"] > 0, SETTLE_S, NEIGHBOUR)
            count = 0
            for fault in itertools.cycle(faults if broken else []):
                if not _still(boards):
                    break
                _break(lab.control, fault)
                count += 1
            result = answers(boards, seconds + 30.0, charger, crew)
            return {**result, "faults": count}


def _be_hardware(pid: int) -> None:
    """The lab stands for hardware, which does not wait for the processor: what asks it must not wait either."""
    if real_time_permitted():
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setscheduler(int(task.name), os.SCHED_FIFO, os.sched_param(BOARD_PRIORITY))


def _still(boards: subprocess.Popen[str]) -> bool:
    """The boards have not told their result yet."""
    assert boards.stdout is not None
    return not select.select([boards.stdout], [], [], 0)[0]


def _break(control: LabControl, fault: str) -> None:
    control.fault(NEIGHBOUR, fault)
    time.sleep(FAULT_S)
    control.fault(NEIGHBOUR, fault, False)
    time.sleep(REST_S)
    try:  # a board that has latched something begins anew with the next vehicle
        control.unplug(NEIGHBOUR)
        control.plug(NEIGHBOUR)
    except CommandRefusedError as error:
        raise MeasureError(str(error)) from None


def _figures(kind: str, well: dict[str, Any], broken: dict[str, Any]) -> Iterator[Figure]:
    before_ms, beside_ms = (
        [ns / 1e6 for story in (C_TO_B, PILOT_LOST, RESIDUAL_CURRENT) for ns in row["ns"].get(story, [])]
        for row in (well, broken)
    )
    if not before_ms or not beside_ms:
        raise MeasureError(f"{kind}: no sample")
    name, count = f"neighbour_{kind.replace('-', '_')}", len(beside_ms)
    note = f"{broken['faults']} faults put in, {load()}"
    yield Figure(f"{name}_well_p99_ms", percentile(before_ms, 99), len(before_ms))
    yield Figure(f"{name}_well_max_ms", max(before_ms), len(before_ms))
    yield Figure(f"{name}_broken_p50_ms", percentile(beside_ms, 50), count, note=note)
    yield Figure(f"{name}_broken_p99_ms", percentile(beside_ms, 99), count)
    bare_ms, pipe_ms = ([ns / 1e6 for ns in broken["ns"].get(row, [])] for row in (BARE, BARE_PIPE))
    for what, pct, budget in (("p999", 99.9, P999_BUDGET_MS), ("max", 100.0, MAX_BUDGET_MS)):
        beside = beside_bare(bare_ms, pipe_ms, pct)
        yield Figure(f"{name}_broken_{what}_ms", percentile(beside_ms, pct), count, budget, beside)
    yield Figure(f"{name}_broken_to_well_p99_ratio", ratio(percentile(beside_ms, 99), percentile(before_ms, 99)), count)
    unanswered = sum(missed for story, missed in broken["unanswered"].items() if story not in (BARE, BARE_PIPE))
    yield Figure(f"{name}_unanswered_count", unanswered, count, budget=0)


def chosen(*, quick: bool) -> list[str]:
    """Every kind of board, or for a glance one of ours and the last that joined."""
    names = list(BOARDS)
    return [names[0], names[-1]] if quick else names
