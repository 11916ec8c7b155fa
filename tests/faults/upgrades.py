"""Attack 4: journals of every earlier version, with records waiting, are raised and delivered; crashes in between too.

The earlier files are kept as SQL text (``journals/``), so that no later change of ours can change them.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from agent.journal.schema import MIGRATIONS
from tests.faults.attack import Attack, Outcome, Progress
from tests.faults.place import ROOT, QuickPlace
from tests.faults.together import Job, together

FIXTURES = ROOT / "tests" / "faults" / "journals"
SPOILT = ("-m", "tests.faults.spoilt")
LAUNCHER = "import sys\nfrom tests.faults.upgrades import crash_at\ncrash_at(sys.argv[1], int(sys.argv[2]))\n"
SESSIONS = 6
"""Each fixture holds so many: the first delivered, the second half delivered, the last without its end."""


def fixtures() -> list[Path]:
    """The earlier versions, oldest first."""
    return sorted(FIXTURES.glob("v*.sql"), key=lambda path: int(path.stem[1:]))


def build(fixture: Path, target: Path) -> None:
    """Make the journal of an earlier version."""
    with closing(sqlite3.connect(target)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(fixture.read_text(encoding="utf-8"))


def _ends(payload: dict[str, Any]) -> bool:
    """Whether a message tells the end of a transaction; from 2.0.1 on its type says so."""
    return bool(payload.get("eventType", "Ended") == "Ended")


def _begun(entry: dict[str, Any]) -> bool:
    """Whether the network was told the start; from 2.0.1 on it books an end alone as well."""
    return "events" not in entry or any(event["event_type"] == "Started" for event in entry["events"])


def waiting(fixture: Path) -> tuple[set[str], set[str]]:
    """What the network has not got, read from the SQL text alone: transactions with a start, with an end."""
    text = fixture.read_text(encoding="utf-8")
    rows = re.findall(r"INSERT INTO \"?record\"? VALUES\(\d+,'(\w+)','(\{.*?\})'", text)
    names: dict[str, set[str]] = {"started": set(), "ended": set()}
    for kind, body in rows:
        found = re.search(r'"transaction":"([^"]+)"', body)
        if kind in names and found is not None:
            names[kind].add(found[1])
    return names["started"], names["ended"]


def crash_at(path: str, stop: int) -> None:
    """Open a journal in this process and die at the n-th statement."""
    import os
    import signal

    seen = 0

    def trace(_statement: str) -> None:
        nonlocal seen
        seen += 1
        if seen == stop:
            os.kill(os.getpid(), signal.SIGKILL)

    connect = sqlite3.connect

    def traced(*values: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*values, **options)
        connection.set_trace_callback(trace)
        return connection

    sqlite3.connect = traced  # type: ignore[assignment]
    from agent.journal.journal import Journal

    Journal.open(Path(path), "crash").close()


async def _raised(directory: Path, fixture: Path, stop: int = 0, hole: str = "") -> Outcome:
    """Raise a fixture with the real agent (after a crash at a statement) and compare the ledger with its text."""
    place = QuickPlace(directory / f"{fixture.stem}-{stop}{hole}")
    if hole:
        place.launcher = (*SPOILT, "--without", hole)
    state = place.directory / "state"
    state.mkdir(parents=True)
    journal = state / "journal.db"
    build(fixture, journal)
    if stop:
        died = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", LAUNCHER, str(journal), str(stop)],
            cwd=ROOT,
            capture_output=True,
            timeout=60,
            check=False,
        )
        if died.returncode == 0:
            shutil.rmtree(place.directory)
            return Outcome(0, 0)
    started, ended = waiting(fixture)
    async with place:
        place.agent.start()
        await place.wait_online()
        await place.settled()
        ledger = [entry for entry in place.csms.ledger()["transactions"] if _begun(entry)]
        stops = [call for call in place.csms.calls if call.action == place.speech.stop and _ends(call.payload)]
        deaths = place.agent.deaths
    starts = [entry["meter_start_wh"] for entry in ledger]
    lost = max(0, len(started) - len(starts)) + max(0, len(ended) - len(stops))
    doubled = max(0, len(starts) - len(started)) + max(0, len(stops) - len(ended))
    wrong = sum(
        entry["meter_stop_wh"] is not None and entry["meter_stop_wh"] - entry["meter_start_wh"] != 400
        for entry in ledger
    )
    note = f"{fixture.stem}, crash at {stop}: {lost} lost, {doubled} doubled, {wrong} wrong, {deaths} deaths"
    outcome = Outcome(
        1, SESSIONS, lost, doubled, wrong + deaths, 0, (note,) if lost or doubled or wrong or deaths else ()
    )
    if outcome.clean:
        shutil.rmtree(place.directory, ignore_errors=True)
    return outcome


async def _newer(directory: Path) -> Outcome:
    """A file of a newer version: refused with a remedy, and not one byte of it changes."""
    place = QuickPlace(directory / "newer")
    state = place.directory / "state"
    state.mkdir(parents=True)
    journal = state / "journal.db"
    build(fixtures()[-1], journal)
    with closing(sqlite3.connect(journal)) as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = hashlib.sha256(journal.read_bytes()).hexdigest()
    log = place.directory / "logs" / "agent.log"
    async with place:
        place.agent.start()

        async def refused() -> bool:
            return place.agent.deaths > 0 or (
                log.exists() and "install that version again" in log.read_text(encoding="utf-8")
            )

        await place.until(refused, "the newer file is refused")
        place.agent.hold()
    words = log.read_text(encoding="utf-8")
    same = hashlib.sha256(journal.read_bytes()).hexdigest() == before
    wrong = [] if same else ["a newer journal was changed"]
    if "install that version again" not in words:
        wrong.append("a newer journal was refused without its remedy")
    return Outcome(1, SESSIONS, wrong=len(wrong), notes=tuple(wrong))


async def _run(directory: Path, progress: Progress, stops: range, width: int) -> Outcome:
    jobs: list[Job] = [functools.partial(_raised, directory, fixture) for fixture in fixtures()]
    jobs += [functools.partial(_raised, directory, fixture, stop) for fixture in fixtures() for stop in stops]
    jobs.append(functools.partial(_newer, directory))
    return await together(jobs, width, progress)


def _full(directory: Path, progress: Progress) -> Outcome:
    return asyncio.run(_run(directory, progress, range(1, 60), 5))


def _short(directory: Path, progress: Progress) -> Outcome:
    return asyncio.run(_run(directory, progress, range(14, 15), 4))


def _control(directory: Path, _progress: Progress) -> Outcome:
    return asyncio.run(_raised(directory, fixtures()[0], hole="migration"))


ATTACKS = (
    Attack(
        "upgrades",
        "journals of earlier versions with records waiting; SIGKILL at each statement of the migration; a newer file",
        "migrations in one transaction after a backup; taken away: an older file is removed",
        _full,
        _short,
        _control,
    ),
)
