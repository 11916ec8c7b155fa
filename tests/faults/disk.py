"""Attack 3: the disk fails under the journal and recovers; pages of the journal are torn or flipped.

``disk``: each call of the agent on its journal's files fails with ENOSPC, EIO or EROFS, for five calls in a row, by
strace; and (without strace) a partition that is full for a while, by the file-size limit of the running process.
``damage``: the files that a killed agent left are damaged; the next agent must see it, lose no more than what stood in
the damaged page itself, and tell nothing that was not so.
"""

from __future__ import annotations

import asyncio
import functools
import random
import re
import resource
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.journal import carving, journal, salvage, wal
from agent.journal.errors import JournalError
from agent.journal.events import (
    Event,
    MeterSampled,
    SampledValue,
    Stamp,
    StartTrigger,
    StopReason,
    TransactionEnded,
    TransactionStarted,
)
from agent.journal.journal import Journal
from tests.faults.attack import Attack, Outcome, Progress
from tests.faults.day import ANNA, BEN, FORGIVEN, day
from tests.faults.place import QuickPlace
from tests.faults.together import Job, together

SPOILT = ("-m", "tests.faults.spoilt")
CALLS = {"pwrite64": ("ENOSPC", "EIO", "EROFS"), "fdatasync": ("EIO", "ENOSPC"), "openat": ("EROFS", "ENOSPC")}
LENGTH = 5
PER_KIND = 24
WIDTH = 5

PAGE = 4096
FRAME = PAGE + 24
PAGE_HOLDS = 20
"""Records that one page can hold at most, as long as ours are."""


# ---- a disk that fails and recovers ---------------------------------------------------------------------------------


def _traced(directory: Path, *more: str) -> tuple[str, ...]:
    paths = [part for name in ("journal.db", "journal.db-wal") for part in ("-P", str(_state(directory) / name))]
    return ("strace", "-D", "-f", "-qq", *paths, "-e", f"trace={','.join(CALLS)}", *more)


def _state(directory: Path) -> Path:
    return directory / "state"


async def _failing_day(directory: Path, name: str, *inject: str) -> Outcome:
    place = QuickPlace(directory / name)
    async with place:
        log = directory / f"{name}.calls"
        place.agent.start(_traced(place.directory, "-o", str(log if not inject else "/dev/null"), *inject))
        await day(place, 0.15, 1.2)
        verdict = await place.verdict(FORGIVEN)
    outcome = verdict.outcome(1, f"disk: {name}")
    if outcome.clean:
        shutil.rmtree(place.directory, ignore_errors=True)
    return outcome


async def _sweep(directory: Path, progress: Progress) -> Outcome:
    total = await _full_partition(directory, 20.0)
    if shutil.which("strace") is None:
        progress("strace is not installed: no errors at single calls, only the full partition")
        return total
    total += await _failing_day(directory, "dry")
    text = (directory / "dry.calls").read_text(encoding="utf-8", errors="replace")
    counts = Counter(re.findall(r"\b(pwrite64|fdatasync|openat)\(", text))
    progress("calls on the journal on an undisturbed day: " + ", ".join(f"{n} {call}" for call, n in counts.items()))
    jobs: list[Job] = []
    for call, errors in CALLS.items():
        step = max(1, counts[call] // PER_KIND)
        for error in errors:
            for first in range(1, counts[call] + 1, step):
                inject = f"inject={call}:error={error}:when={first}..{first + LENGTH - 1}"
                name = f"{error}-{call}-{first}"
                jobs.append(functools.partial(_failing_day, directory, name, "-e", inject))
    random.Random(3).shuffle(jobs)
    return total + await together(jobs, WIDTH, progress)


def _limit(place: QuickPlace, full: bool) -> None:
    """Let the agent's files grow no further (no call of it writes a byte to a file), or again."""
    process = place.agent._process
    assert process is not None
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0 if full else hard, hard))


async def _full_partition(directory: Path, full_s: float, hole: str = "") -> Outcome:
    """Ends and samples while nothing can be written; nobody may begin; all of it is on the books afterwards."""
    place = QuickPlace(directory / f"partition{hole}")
    if hole:
        place.launcher = (*SPOILT, "--without", hole)
        place.patience_s = 8.0
    async with place:
        place.agent.start()
        await place.wait_online()
        anna = await place.begin(1, ANNA, online=True)
        await asyncio.sleep(1.2)
        _limit(place, full=True)
        await asyncio.sleep(1.2)
        await place.end(1, ANNA, anna)
        # Ben comes, and shows his card again and again until somebody listens.
        coming = asyncio.create_task(place.begin(2, BEN, online=False))
        begun = 0
        for _ in range(int(full_s / 0.1)):
            await asyncio.sleep(0.1)
            begun += await place.closed(2)
        _limit(place, full=False)
        first = await coming
        await asyncio.sleep(0.5)
        await place.end(2, BEN, first)
        await place.settled()
        verdict = await place.verdict(FORGIVEN)
        told = any("journal_unwritable" in frame.text for frame in place.csms.frames)
    if begun and not hole:
        verdict.closed.append("a charge began though its start could not be written")
    if not told:
        verdict.wrong.append("nobody was told that the disk takes no records")
    return verdict.outcome(1, "full partition")


# ---- damaged pages --------------------------------------------------------------------------------------------------


def _events(sessions: int) -> list[Event]:
    found: list[Event] = []
    for number in range(sessions):
        name = f"{number:08d}-1111-4222-8333-444455556666"
        start_wh = 1000.0 * number
        found.append(
            TransactionStarted(name, 1 + number % 2, ANNA, "ISO14443", start_wh, StartTrigger.AUTHORIZED, True)
        )
        for sample in range(1, 4):
            values = (SampledValue("Energy.Active.Import.Register", start_wh + 100 * sample, "Wh"),)
            found.append(MeterSampled(name, 1 + number % 2, values, True))
        found.append(TransactionEnded(name, 1 + number % 2, start_wh + 400.0, StopReason.LOCAL, True))
    return found


def _crashed(directory: Path) -> tuple[Path, list[Event]]:
    """What a power cut leaves: 200 sessions of which the last 20 stand in the log alone, 5 of them delivered."""
    events = _events(200)
    live = Journal.open(directory / "live.db", "boot")

    def put(some: list[Event]) -> None:
        for event in some:
            live.append(event, Stamp("boot", 1.0, 1.75e9, True))

    with live.write():
        put(events[:900])
    for record in live.pending(25):
        live.delivered(record.seq)
    live._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    live._db.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
    for index in range(900, 1000, 5):
        with live.write():
            put(events[index : index + 5])
    path = directory / "crashed.db"
    for suffix in ("", "-wal"):
        shutil.copy(live.path.with_name(live.path.name + suffix), path.with_name(path.name + suffix))
    live.close()
    return path, events[25:]


def _strike(chance: random.Random, path: Path, log_share: float) -> str:
    """Damage one page of the file or one frame of its log; return what was done."""
    log = wal.log_of(path)
    in_log = chance.random() < log_share
    target = log if in_log else path
    data = bytearray(target.read_bytes())
    if in_log:
        # Not the last commit: to a reader a bad last commit is one that was never finished.
        frame = chance.randrange(max(1, (len(data) - 32) // FRAME - 8))
        begin, size = 32 + frame * FRAME + 24, PAGE
    else:
        begin, size = chance.randrange(len(data) // PAGE) * PAGE, PAGE
    kind = chance.choice(("flip", "tear", "zero", "rubbish"))
    if kind == "flip":
        place = begin + chance.randrange(size)
        data[place] ^= 1 << chance.randrange(8)
    elif kind == "tear":
        half = chance.randrange(1, 8) * 512
        data[begin + half : begin + size] = bytes(chance.randrange(256) for _ in range(size - half))
    elif kind == "zero":
        data[begin : begin + size] = bytes(size)
    else:
        data[begin : begin + size] = chance.randbytes(size)
    target.write_bytes(data)
    return f"{kind} in {'log' if in_log else 'file'} at {begin}"


def _one_damage(directory: Path, original: Path, truth: list[Event], seed: int, log_share: float = 0.4) -> Outcome:
    chance = random.Random(seed)
    directory.mkdir()
    path = directory / "journal.db"
    for suffix in ("", "-wal"):
        shutil.copy(original.with_name(original.name + suffix), path.with_name(path.name + suffix))
    what = _strike(chance, path, log_share)
    transactions = len({event.transaction for event in truth})
    try:
        opened = Journal.open(path, "next boot")
    except JournalError as error:
        return Outcome(1, transactions, lost=len(truth), notes=(f"{what}: {error}",))
    told: list[Event] = []
    while records := opened.pending(50):
        told += [record.event for record in records]
        with opened.write():
            for record in records:
                opened.delivered(record.seq)
    noticed = opened.quarantined is not None or opened.unreadable > 0
    opened.close()
    shutil.rmtree(directory)
    known = set(truth)
    missing = len(known - set(told))
    invented = [event for event in told if event not in known]
    doubled = len(told) - len(set(told))
    out_of_order = [event for event in told if event in known] != [event for event in truth if event in set(told)]
    notes = []
    lost = 0
    if missing and (not noticed or missing > PAGE_HOLDS):
        lost = missing
        notes.append(f"{what}: {missing} records are missing, {'told' if noticed else 'and nobody noticed'}")
    if invented or out_of_order or doubled:
        notes.append(f"{what}: {len(invented)} invented, {doubled} doubled, order {'lost' if out_of_order else 'kept'}")
    return Outcome(1, transactions, lost, doubled, len(invented) + out_of_order, 0, tuple(notes))


def _damages(directory: Path, seeds: range, progress: Progress) -> Outcome:
    original, truth = _crashed(directory)
    total = Outcome(0, 0)
    for seed in seeds:
        total += _one_damage(directory / str(seed), original, truth, seed)
        if (seed + 1) % 100 == 0:
            progress(f"{seed + 1 - seeds.start} damaged files: {total.lost} lost, {total.wrong} wrong")
    return total


@contextmanager
def _unprotected() -> Iterator[None]:
    """No look into the log, no checksum of a record, no search page by page."""
    saved: list[tuple[Any, str, Any]] = []

    def patch(owner: Any, name: str, value: Any) -> None:
        saved.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    class Equal(int):
        def __eq__(self, other: object) -> bool:
            return True

        def __ne__(self, other: object) -> bool:
            return False

        __hash__ = int.__hash__

    patch(wal, "damage", lambda path: "")
    patch(journal, "checksum", lambda *parts: Equal(1))
    patch(carving, "rows", lambda path: iter(()))
    patch(salvage, "checksum", lambda *parts: Equal(1))
    try:
        yield
    finally:
        for owner, name, value in saved:
            setattr(owner, name, value)


async def _agent_after_damage(directory: Path, hole: str = "") -> Outcome:
    """A killed agent's log is damaged; the next one delivers what was in it, and tells the network of the damage."""
    place = QuickPlace(directory / f"after{hole}")
    if hole:
        place.launcher = (*SPOILT, "--without", hole)
    async with place:
        place.agent.start()
        await place.wait_online()
        anna = await place.begin(1, ANNA, online=True)
        await place.end(1, ANNA, anna)
        await place.settled()
        await place.csms.stop_listening()
        for _ in range(2):
            anna = await place.begin(1, ANNA, online=False)
            await asyncio.sleep(0.3)
            await place.end(1, ANNA, anna)
        place.agent.hold()
        place.agent.kill()
        await place.until(lambda: _false_when(place), "the agent is gone")
        log = next(_state(place.directory).glob("*.db-wal"))
        data = bytearray(log.read_bytes())
        data[32 + 24 + 2000] ^= 4
        log.write_bytes(data)
        await place.csms.listen()
        place.agent.start()
        await place.wait_online()
        await place.settled()
        verdict = await place.verdict(FORGIVEN)
        told = any("journal_damaged" in frame.text for frame in place.csms.frames)
    if not told:
        verdict.wrong.append("the network was not told of the damage")
    return verdict.outcome(1, "damaged log")


async def _false_when(place: QuickPlace) -> bool:
    return not place.agent.running


def _disk_full(directory: Path, progress: Progress) -> Outcome:
    return asyncio.run(_sweep(directory, progress))


def _disk_short(directory: Path, _progress: Progress) -> Outcome:
    return asyncio.run(_full_partition(directory, 2.5))


def _disk_control(directory: Path, _progress: Progress) -> Outcome:
    async def job() -> Outcome:
        return await _full_partition(directory, 1.0, "waiting")

    return asyncio.run(together([job], 1, _progress))


def _damage_full(directory: Path, progress: Progress) -> Outcome:
    return _damages(directory, range(400), progress) + asyncio.run(_agent_after_damage(directory))


def _damage_short(directory: Path, progress: Progress) -> Outcome:
    return _damages(directory, range(8), progress) + asyncio.run(_agent_after_damage(directory))


def _damage_control(directory: Path, _progress: Progress) -> Outcome:
    """Until the first that is not clean."""
    original, truth = _crashed(directory)
    total = Outcome(0, 0)
    with _unprotected():
        for seed in range(200):
            total += _one_damage(directory / str(seed), original, truth, seed, 1.0)
            if not total.clean:
                break
    return total


ATTACKS = (
    Attack(
        "disk",
        "ENOSPC, EIO and EROFS at the agent's calls on its journal, lifted later; a full partition",
        "what cannot be written waits in memory; taken away: it is forgotten",
        _disk_full,
        _disk_short,
        _disk_control,
    ),
    Attack(
        "damage",
        "torn, flipped, emptied pages in the journal's file and its log",
        "log looked into, records with checksums, search page by page; taken away: all three",
        _damage_full,
        _damage_short,
        _damage_control,
    ),
)
