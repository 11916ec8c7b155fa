"""Attack 2: agent, control or both die by SIGKILL at random moments, again and again, while people charge.

Two drivers charge by turns at two outlets, the uplink comes and goes, and a killer strikes. Nothing is put right in
between: one ledger per site is judged when all is over.
"""

from __future__ import annotations

import asyncio
import functools
import random
from dataclasses import dataclass
from pathlib import Path

from tests.faults.attack import Attack, Outcome, Progress
from tests.faults.day import ANNA, BEN
from tests.faults.place import FullPlace, Place, QuickPlace, StuckError
from tests.faults.together import Job, guarded, together

SITES = 6
CYCLES = 1000
LAUNCHER = ("-m", "tests.faults.launch")


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a season goes. Ranges in seconds."""

    kill_s: tuple[float, float]
    charge_s: tuple[float, float]
    uplink_s: tuple[float, float]


QUICK = Pace((0.2, 2.0), (0.2, 1.5), (1.0, 4.0))
FULL = Pace((1.0, 10.0), (2.0, 12.0), (8.0, 40.0))


class Season:
    """One site's time under attack."""

    def __init__(self, place: Place, pace: Pace, cycles: int, seed: int, progress: Progress) -> None:
        self._place = place
        self._pace = pace
        self._cycles = cycles
        self._chance = random.Random(seed)
        self._seed = seed
        self._progress = progress
        self._done = asyncio.Event()
        self.kills = 0

    async def live(self) -> Outcome:
        place = self._place
        if isinstance(place, FullPlace):
            place.control.start()
        place.agent.start()
        # Both cards are known before the trouble begins.
        for evse, token in ((1, ANNA), (2, BEN)):
            await place.end(evse, token, await place.begin(evse, token, online=True))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._uplink())
            group.create_task(self._drive(1, ANNA))
            group.create_task(self._drive(2, BEN))
            group.create_task(self._kill())
        await place.restore_uplink()
        await place.settled(60.0)
        verdict = await place.verdict()
        outcome = verdict.outcome(self.kills, f"site {self._seed}")
        self._progress(f"site {self._seed}: {self.kills} kills, {outcome.transactions} charges, clean: {outcome.clean}")
        return outcome

    async def _drive(self, evse: int, token: str) -> None:
        place = self._place
        while not self._done.is_set():
            first = await place.begin(evse, token, online=False)
            await asyncio.sleep(self._chance.uniform(*self._pace.charge_s))
            way = self._chance.random()
            if way < 0.25:
                await place.pull(evse, token, first)
            elif way < 0.45:
                await place.end(evse, token, first, functools.partial(self._remote_or_tap, evse, token))
            else:
                await place.end(evse, token, first)

    async def _remote_or_tap(self, evse: int, token: str) -> None:
        """The operator tries once in a while; where that does not help, the driver uses the card."""
        if self._place.online() and self._chance.random() < 0.7:
            await self._place.remote_stop(evse)
        else:
            await self._place.tap(token, evse)

    async def _uplink(self) -> None:
        up = True
        while not await self._over_within(self._chance.uniform(*self._pace.uplink_s)):
            up = not up
            await (self._place.restore_uplink() if up else self._place.cut_uplink())

    async def _kill(self) -> None:
        place = self._place
        while self.kills < self._cycles:
            await asyncio.sleep(self._chance.uniform(*self._pace.kill_s))
            whom = self._chance.choice(("agent", "control", "both"))
            if whom != "control":
                place.agent.kill()
            if whom != "agent":
                await self._kill_control()
            self.kills += 1
            if self.kills % 50 == 0:
                self._progress(f"site {self._seed}: {self.kills} kills, {len(place.deeds)} charges so far")
        self._done.set()

    async def _kill_control(self) -> None:
        place = self._place
        if isinstance(place, FullPlace):
            place.control.kill()
        elif isinstance(place, QuickPlace):
            place.standin.close()
            await asyncio.sleep(self._chance.uniform(0.0, 0.2))
            place.standin.start()

    async def _over_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._done.wait()
        except TimeoutError:
            return False
        return True


async def _season(place: Place, pace: Pace, cycles: int, seed: int, progress: Progress) -> Outcome:
    async with place:
        try:
            return await Season(place, pace, cycles, seed, progress).live()
        except* StuckError as group:
            raise group.exceptions[0] from None
    raise AssertionError("not reached")


def _full(directory: Path, progress: Progress) -> Outcome:
    async def run() -> Outcome:
        jobs: list[Job] = []
        for site in range(SITES):
            place = FullPlace(directory / f"site{site}")
            place.patience_s = 300.0
            cycles = CYCLES // SITES + (1 if site < CYCLES % SITES else 0)
            jobs.append(functools.partial(_season, place, FULL, cycles, site, progress))
        return await together(jobs, SITES, progress)

    return asyncio.run(run())


def _short(directory: Path, progress: Progress) -> Outcome:
    async def run() -> Outcome:
        jobs = [
            functools.partial(_season, QuickPlace(directory / f"site{seed}"), QUICK, 4, seed, progress)
            for seed in range(2)
        ]
        return await together(jobs, 3, progress)

    return asyncio.run(run())


def _control(directory: Path, progress: Progress) -> Outcome:
    """Sessions found open after a crash are forgotten: their ends never come.

    A kill finds a session open only by chance, so each season is another one.
    """
    seed = random.randrange(1000)
    progress(f"season {seed}")

    async def run() -> Outcome:
        place = QuickPlace(directory / "hole")
        place.patience_s = 4.0
        place.launcher = (*LAUNCHER, "--without", "resume")
        return await guarded(lambda: _season(place, QUICK, 4, seed, progress))

    return asyncio.run(run())


ATTACKS = (
    Attack(
        "random-kills",
        "SIGKILL of agent, control or both at random moments of endless charging, the uplink coming and going",
        "the journal holds session and line; a restarted agent takes the same transaction up again",
        _full,
        _short,
        _control,
        tries=7,
    ),
)
