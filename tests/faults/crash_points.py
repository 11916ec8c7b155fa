"""Attack 1: the agent dies at every point at which it touches the disk, control or the network; then control dies.

A dry day under strace tells how often the agent makes each call. Then one day per call: SIGKILL at the n-th, restart,
carry on, judge. A kill at the n-th call comes before that call is carried out, so n + 1 stands for "right after n".
Where strace is missing, a launcher kills around each commit, each message to control and each frame instead
(``tests/faults/launch.py``): coarser, and it says so.
"""

from __future__ import annotations

import asyncio
import functools
import json
import random
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.faults.attack import Attack, Outcome, Progress
from tests.faults.day import FORGIVEN, day
from tests.faults.launch import POINTS
from tests.faults.place import FullPlace, Place, QuickPlace
from tests.faults.speech import speech
from tests.faults.together import Job, guarded, together

CALLS = ("write", "pwrite64", "fdatasync", "fsync", "ftruncate", "rename", "unlink", "sendto")
WIDTH = 5
MARGIN = 4
"""Days differ a little: so many calls beyond those of the dry day are tried too."""
LAUNCHER = ("-m", "tests.faults.launch")
SHORT_POINTS = ("commit:2", "committed:9", "send:7", "act:12", "committed:24", "send:22")


def _traced(log: Path, *inject: str) -> tuple[str, ...]:
    # -D: the agent is our own child and the tracer is not, so signals and exit status are the agent's.
    return ("strace", "-D", "-f", "-qq", "-o", str(log), "-e", f"trace={','.join(CALLS)}", *inject)


def _kill_at(call: str, number: int) -> tuple[str, ...]:
    return _traced(Path("/dev/null"), "-e", f"inject={call}:signal=KILL:when={number}")


async def _one_day(directory: Path, name: str, prefixes: Sequence[Sequence[str]], hole: str = "") -> Outcome:
    """Live a day whose first lives are spoilt by ``prefixes``. Trials: how often the agent died."""
    place = QuickPlace(directory / name.replace(":", "-"))
    if hole:
        place.patience_s = 6.0
    place.launcher = (*LAUNCHER, *(("--without", hole) if hole else ()))
    if prefixes and prefixes[0][0] == "strace":
        place.launcher = QuickPlace.launcher_as_shipped
    async with place:
        place.agent.start(*prefixes)
        await day(place, pause_s=0.15, long_s=1.2)
        deaths = place.agent.deaths
        verdict = await place.verdict(FORGIVEN)
    outcome = verdict.outcome(deaths, f"agent killed at {name}")
    if outcome.clean:
        shutil.rmtree(place.directory, ignore_errors=True)
    return outcome


async def _counts(directory: Path, traced: bool) -> Counter[str]:
    """How often the agent passes each point on an undisturbed day."""
    report = directory / "points"
    prefix = _traced(report) if traced else ("env", f"EVSE_FAULTS_COUNT={report}")
    outcome = await _one_day(directory, "dry", [prefix])
    if not outcome.clean:
        raise RuntimeError(f"the undisturbed day is not clean: {outcome}")
    text = report.read_text(encoding="utf-8", errors="replace")
    if not traced:
        return Counter(json.loads(text))
    return Counter(line.split()[1].partition("(")[0] for line in text.splitlines() if "(" in line)


async def _sweep(directory: Path, progress: Progress) -> Outcome:
    traced = shutil.which("strace") is not None
    if not traced:
        progress("strace is not installed: killing around commits, acts and frames only, not at every system call")
    counts = await _counts(directory, traced)
    points = CALLS if traced else POINTS
    progress("points of an undisturbed day: " + ", ".join(f"{counts[point]} {point}" for point in points))
    jobs: list[Job] = [
        functools.partial(_one_day, directory, f"{point}:{number}", [_strike(traced, point, number)])
        for point in points
        if counts[point]
        for number in range(1, counts[point] + MARGIN + 1)
    ]
    jobs += _twice(directory, traced, counts)
    random.Random(1).shuffle(jobs)  # so that the progress tells of all kinds
    return await together(jobs, WIDTH, progress)


def _strike(traced: bool, point: str, number: int) -> tuple[str, ...]:
    return _kill_at(point, number) if traced else ("env", f"EVSE_FAULTS_KILL={point}:{number}")


def _twice(directory: Path, traced: bool, counts: Counter[str]) -> list[Job]:
    """Days on which the recovery from the first crash is struck as well."""
    jobs: list[Job] = []
    first, again = ("pwrite64", ("pwrite64", "sendto", "write")) if traced else ("committed", ("commit", "send"))
    for part in (1, 2, 3):
        number = counts[first] * part // 4
        for point in again:
            for second in range(1, 13):
                prefixes = [_strike(traced, first, number), _strike(traced, point, second)]
                jobs.append(functools.partial(_one_day, directory, f"{first}:{number}+{point}:{second}", prefixes))
    return jobs


def _full(directory: Path, progress: Progress) -> Outcome:
    return asyncio.run(_sweep(directory, progress))


def _short(directory: Path, progress: Progress) -> Outcome:
    # The journal is the same under every version: half of the points show that what is said of it is.
    points = SHORT_POINTS if speech().old else SHORT_POINTS[::2]
    jobs = [functools.partial(_one_day, directory, point, [("env", f"EVSE_FAULTS_KILL={point}")]) for point in points]
    return asyncio.run(together(jobs, len(jobs), progress))


def _control(directory: Path, progress: Progress) -> Outcome:
    """Each protection is taken away in turn. If any of these days looks clean, the whole control does."""
    holes = {
        "durable": "committed:32",
        "answer": f"send-{speech().start}:1",
        "message-id": "",
    }

    async def run() -> Outcome:
        async def one(hole: str, kill: str) -> Outcome:
            prefixes = [("env", f"EVSE_FAULTS_KILL={kill}")] if kill else []
            return await guarded(lambda: _one_day(directory, f"without-{hole}", prefixes, hole))

        outcomes = await asyncio.gather(*(one(hole, kill) for hole, kill in holes.items()))
        total = Outcome(0, 0)
        for hole, outcome in zip(holes, outcomes, strict=True):
            progress(f"without {hole}: {outcome}")
            if outcome.clean:
                return Outcome(1, outcome.transactions, notes=(f"without {hole} the books are clean all the same",))
            total += replace(outcome, trials=1)
        return total

    return asyncio.run(run())


# ---- control ---------------------------------------------------------------------------------------------------------


async def _control_killer(place: Place, chance: random.Random, done: asyncio.Event) -> int:
    """Kill control at random ticks until the day is over. Return how often."""
    kills = 0
    quick = isinstance(place, QuickPlace)
    while True:
        wait_s = chance.uniform(0.05, 0.8) if quick else chance.uniform(0.3, 12.0)
        try:
            async with asyncio.timeout(wait_s):
                await done.wait()
            return kills
        except TimeoutError:
            kills += 1
        if isinstance(place, QuickPlace):
            place.standin.close()
            await asyncio.sleep(chance.uniform(0.0, 0.1))
            place.standin.start()
        elif isinstance(place, FullPlace):
            place.control.kill()


async def _control_day(place: Place, seed: int, days: int = 1) -> Outcome:
    done = asyncio.Event()
    async with place:
        if isinstance(place, FullPlace):
            place.control.start()
        place.agent.start()
        killer = asyncio.create_task(_control_killer(place, random.Random(seed), done))
        try:
            for _ in range(days):
                await (day(place, 0.15, 0.6) if isinstance(place, QuickPlace) else day(place, 2.0, 4.0))
        finally:
            done.set()
            kills = await killer
        verdict = await place.verdict(FORGIVEN)
    return verdict.outcome(kills, f"control killed, seed {seed}")


def _control_full(directory: Path, progress: Progress) -> Outcome:
    jobs: list[Job] = [
        functools.partial(_control_day, FullPlace(directory / f"site{seed}"), seed, 2) for seed in range(12)
    ]
    jobs += [functools.partial(_control_day, QuickPlace(directory / f"quick{seed}"), seed) for seed in range(60)]

    async def run() -> Outcome:
        return await together(jobs, 6, progress, 4)

    return asyncio.run(run())


def _control_short(directory: Path, progress: Progress) -> Outcome:
    async def run() -> Outcome:
        jobs = [functools.partial(_control_day, QuickPlace(directory / f"quick{seed}"), seed) for seed in range(2)]
        return await together(jobs, 3, progress)

    return asyncio.run(run())


def _control_control(directory: Path, progress: Progress) -> Outcome:
    async def run() -> Outcome:
        place = QuickPlace(directory / "hole")
        place.patience_s = 4.0
        place.launcher = (*LAUNCHER, "--without", "hold")
        return await guarded(lambda: _control_day(place, 0))

    outcome = asyncio.run(run())
    progress(str(outcome))
    return outcome


ATTACKS = (
    Attack(
        "crash-agent",
        "SIGKILL of the agent at every write, sync, truncate, rename and send of a scripted day",
        "what happened is durable before it shows; a record leaves the line only with the answer; its id never changes",
        _full,
        _short,
        _control,
    ),
    Attack(
        "crash-control",
        "SIGKILL of control at random ticks of the same day",
        "the agent holds the transaction while control is away; control forgets every permit",
        _control_full,
        _control_short,
        _control_control,
    ),
)
