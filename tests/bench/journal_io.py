"""What the journal costs: commits per second, and bytes and syncs per hour of charging on two EVSEs.

The same rows also go through SQLite's other modes, in the same run, on the same disk. Only ``wal_full`` keeps every
commit over a power cut at that price (``rollback`` keeps it too, ``wal_normal`` does not).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .figures import Figure, ratio
from .machine import progress
from .processes import ROOT, MeasureError
from .site import write_config

MODES = ("wal_full", "wal_normal", "rollback_full")
SYNCS = ("fsync", "fdatasync", "sync_file_range", "msync")
TIMEOUT_S = 240.0


def measure(scratch: Path, events: int, minutes: int) -> list[Figure]:
    """``events`` single commits per mode; ``minutes`` of charging in virtual time per mode, scaled to an hour."""
    config = write_config(scratch / "site", 2, state_dir=scratch / "state", free_vend=True)
    counts_syncs = shutil.which("strace") is not None
    singles: dict[str, dict[str, Any]] = {}
    hours: dict[str, dict[str, Any]] = {}
    for mode in MODES:
        progress(f"  {mode}: {events} single commits, then {minutes} min of charging")
        singles[mode] = _work(scratch, config, mode, "events", events)
        hours[mode] = _work(scratch, config, mode, "charging", minutes)
        if counts_syncs:
            hours[mode]["syncs"] = _syncs(scratch, config, mode, minutes)
    return [
        *_rate(singles),
        *_per_hour(hours, 60.0 / minutes),
    ]


def _rate(found: dict[str, dict[str, Any]]) -> Iterator[Figure]:
    per_s = {mode: each["rows"] / each["seconds"] for mode, each in found.items()}
    rows = found["wal_full"]["rows"]
    yield Figure("journal_events_per_s", per_s["wal_full"], rows, note="appended one by one, each durable")
    yield Figure("journal_event_written_bytes", found["wal_full"]["block_bytes"] / rows, rows, note="pages dirtied")
    for mode in MODES[1:]:
        yield Figure(f"journal_events_per_s_to_{mode}_ratio", ratio(per_s["wal_full"], per_s[mode]), rows)
        yield Figure(
            f"journal_event_written_bytes_to_{mode}_ratio",
            ratio(found["wal_full"]["block_bytes"], found[mode]["block_bytes"]),
            rows,
        )


def _per_hour(found: dict[str, dict[str, Any]], scale: float) -> Iterator[Figure]:
    ours = found["wal_full"]
    n = ours["rows"]
    yield Figure("journal_commits_per_charging_hour", ours["commits"] * scale, n, note="2 EVSEs, samples each 60 s")
    yield Figure("journal_records_per_charging_hour", n * scale, n, note="events, each delivered and marked")
    yield Figure("journal_written_per_charging_hour_kb", ours["block_bytes"] * scale / 1000, n, note="pages dirtied")
    yield Figure("journal_handed_to_kernel_per_charging_hour_kb", ours["logical_bytes"] * scale / 1000, n)
    if "syncs" in ours:
        yield Figure("journal_syncs_per_charging_hour", ours["syncs"] * scale, n, note="fsync and fdatasync calls")
    for mode in MODES[1:]:
        name = f"journal_written_per_charging_hour_to_{mode}_ratio"
        yield Figure(name, ratio(ours["block_bytes"], found[mode]["block_bytes"]), n)
        if "syncs" in ours:
            name = f"journal_syncs_per_charging_hour_to_{mode}_ratio"
            yield Figure(name, ratio(ours["syncs"], found[mode]["syncs"]), n)


def _command(scratch: Path, config: Path, mode: str, work: str, amount: int) -> list[str]:
    file = scratch / "journals" / f"{mode}-{work}.db"
    file.parent.mkdir(parents=True, exist_ok=True)
    for old in file.parent.glob(f"{file.name}*"):
        old.unlink()
    return [sys.executable, "-m", "tests.bench.journal_work", mode, work, str(amount), str(file), str(config)]


def _work(scratch: Path, config: Path, mode: str, work: str, amount: int) -> dict[str, Any]:
    done = subprocess.run(
        _command(scratch, config, mode, work, amount),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise MeasureError(f"journal work {mode}/{work} failed: {done.stderr.strip()[-500:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _syncs(scratch: Path, config: Path, mode: str, minutes: int) -> int:
    """Count the system calls that ask the disk to keep what it was given."""
    summary = scratch / "strace.txt"
    command = ["strace", "-f", "-c", "-o", str(summary), "-e", "trace=" + ",".join(SYNCS)]
    done = subprocess.run(
        [*command, *_command(scratch, config, mode, "charging", minutes)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise MeasureError(f"strace of the journal work failed: {done.stderr.strip()[-500:]}")
    return count_calls(summary.read_text(encoding="utf-8"))


def count_calls(summary: str) -> int:
    """Add up the calls of a summary of ``strace -c``."""
    total = 0
    for line in summary.splitlines():
        found = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)\s*$", line)
        if found and found[2] in SYNCS:
            total += int(found[1])
    return total
