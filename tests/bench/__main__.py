"""``python -m tests.bench``: measure, print a table with budgets and verdicts, write ``build/bench.json``.

A missed budget is a finding, not a failure: the exit status is 0 as long as everything could be measured, else 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .figures import Figure, Report
from .machine import facts, progress
from .processes import ROOT

OUTPUT = ROOT / "build" / "bench.json"
LONGEST_SCRATCH_PATH = 60
"""A unix socket's name has 107 characters at most, and ours lie some folders deep."""


@dataclass(frozen=True, slots=True)
class Group:
    """``measure`` gets a folder of its own."""

    name: str
    title: str
    measure: Callable[[Path], list[Figure]]


def groups(quick: bool) -> list[Group]:
    """Return what there is to measure. ``quick``: a glance at everything, to see that the harness works."""
    from . import console_flood, footprint, journal_io, neighbours, reaction, rpc_speed, starting

    found = [
        Group(
            "start",
            "From exec to the first safe output, and to BootNotification",
            partial(starting.measure, safe_rounds=3 if quick else 15, boot_rounds=1 if quick else 5),
        ),
        Group(
            "footprint",
            "Memory and processor time, two EVSEs",
            partial(footprint.measure, window_s=3.0 if quick else 30.0),
        ),
        Group(
            "journal",
            "Journal",
            partial(journal_io.measure, events=200 if quick else 3000, minutes=10 if quick else 60),
        ),
        Group(
            "rpc",
            "Validation and replay",
            partial(rpc_speed.measure, checks=200 if quick else 5000, messages=200 if quick else 2000),
        ),
    ]
    for row in reaction.ROWS[:2] if quick else reaction.ROWS:
        evses, seconds, samples = (8, 9.0, 20) if quick else (24, 190.0 if row.name == "load" else 75.0, 1000)
        measure = partial(reaction.measure, evses=evses, seconds=seconds, samples=samples, row=row)
        found.append(Group(f"reaction_{row.name}", f"Reaction, {row.title}", measure))
    found.append(
        Group(
            "neighbours",
            "Reaction beside a misbehaving neighbour, each kind of board",
            partial(
                neighbours.measure,
                kinds=neighbours.chosen(quick=quick),
                seconds=6.0 if quick else 0.0,
            ),
        )
    )
    found.append(
        Group(
            "console-flood",
            "Reaction beside a flood on the console's serial line",
            partial(console_flood.measure, evses=8 if quick else 24, seconds=9.0 if quick else 21.0),
        )
    )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the charger's software.")
    names = [group.name for group in groups(quick=False)]
    parser.add_argument("--quick", action="store_true", help="few samples, about a minute: shows that it works")
    parser.add_argument(
        "--only", action="append", metavar="NAME", default=[], help=f"this group (repeatable): {', '.join(names)}"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE", help="where the JSON goes")
    options = parser.parse_args(arguments)
    chosen = [g for g in groups(options.quick) if not options.only or any(g.name.startswith(o) for o in options.only)]
    for name in options.only:
        if not any(known.startswith(name) for known in names):
            parser.error(f"--only {name}: no such group; there are {', '.join(names)}")
    began = time.monotonic()
    parent = _scratch_parent()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as scratch:
        report = Report({**facts(Path(scratch)), "kind_of_run": "quick" if options.quick else "full"})
        _use_bytecode(Path(scratch) / "bytecode")
        for group in chosen:
            progress(f"{time.monotonic() - began:4.0f} s  {group.title}")
            _measure(report, group, Path(scratch) / group.name)
    progress(f"{time.monotonic() - began:4.0f} s  done")
    report.write(options.output)
    sys.stdout.write(report.table())
    return 1 if report.unmeasured else 0


def _measure(report: Report, group: Group, scratch: Path) -> None:
    scratch.mkdir()
    try:
        report.add(group.title, group.measure(scratch))
    except Exception as error:  # noqa: BLE001 (one group must not take the others with it)
        progress(traceback.format_exc())
        report.unmeasured[group.name] = f"{type(error).__name__}: {error}"


def _use_bytecode(folder: Path) -> None:
    """Have every process find its modules compiled, as on a charger where they were installed.

    A checkout may hold no bytecode, and PYTHONDONTWRITEBYTECODE keeps it so; then each start would compile anew.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)
    compiled = [sys.executable, "-m", "compileall", "-q", "agent", "hal", "simulators", "tests/bench"]
    subprocess.run(compiled, cwd=ROOT, check=True)


def _scratch_parent() -> Path | None:
    """``build`` is on the disk that matters; where its path is too long for sockets, the system's temporary folder."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    return build if len(str(build)) <= LONGEST_SCRATCH_PATH - len("bench-12345678") else None


if __name__ == "__main__":
    sys.exit(main())
