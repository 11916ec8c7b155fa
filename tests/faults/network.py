"""Attack 5, the link that comes and goes: an hour of it in virtual time, a real minute over sockets; and the fleet.

In virtual time the tunnel's core and journal live through the hour frame by frame (``tests/faults/virtual.py``). The
real minute does the same to the whole agent, with people charging.
"""

from __future__ import annotations

import asyncio
import functools
import random
from pathlib import Path

from agent.config.schema import Ocpp
from agent.ocpp.back_off import back_off
from tests.faults.attack import Attack, Outcome, Progress
from tests.faults.day import ANNA, BEN, FORGIVEN
from tests.faults.proxied import ProxiedPlace
from tests.faults.proxy import charge
from tests.faults.together import Job, together
from tests.faults.virtual import LAG_S, VirtualSite, hushed

BEGINS_UTC_S = 1_790_000_000.0
HOUR_S = 3600.0


def _flapping(path: Path, seconds: float, seed: int, without: frozenset[str] = frozenset()) -> Outcome:
    """Up for 1–5 s, down for 1–5 s, all the time; every answer takes a while, so many are lost on the way."""
    chance = random.Random(seed)
    begins = BEGINS_UTC_S + seed * 86_400
    site = VirtualSite(path, begins, without=without, latency_s=LAG_S)
    for evse, token in ((1, "04A1"), (2, "04B2")):
        at = begins + 20.0
        while at < begins + seconds:
            long_s = chance.uniform(30, 600)
            site.charge(evse, token, at, at + long_s, 11_000.0, 10.0)
            at += long_s + chance.uniform(5, 60)
    at = begins
    while at < begins + seconds:
        site.at(at, site.up)
        at += chance.uniform(1, 5)
        site.at(at, site.down)
        at += chance.uniform(1, 5)
    site.at(at, site.up)
    site.run(at + 2 * HOUR_S)
    verdict = site.verdict()
    if not site.empty():
        verdict.lost.append("the line did not become empty")
    site.close()
    return verdict.outcome(site.connections, f"seed {seed}")


async def _minute(directory: Path, seconds: float, seed: int) -> Outcome:
    """The whole agent over sockets: the proxy resets or refuses, 1–5 s each, while two people charge by turns."""
    chance = random.Random(seed)
    place = ProxiedPlace(directory)
    done = asyncio.Event()
    cuts = 0

    async def drive(evse: int, token: str) -> None:
        while not done.is_set():
            await charge(place, evse, token, online=False, long_s=chance.uniform(0.2, 1.5))

    async def flap() -> None:
        nonlocal cuts
        until = place.now() + seconds
        while place.now() < until:
            await asyncio.sleep(chance.uniform(1, 5))
            place.proxy.refusing = not place.proxy.refusing
            place.proxy.cut()
            cuts += 1
        done.set()

    async with place:
        place.agent.start()
        await place.wait_online()
        async with asyncio.TaskGroup() as group:
            group.create_task(flap())
            group.create_task(drive(1, ANNA))
            group.create_task(drive(2, BEN))
        place.proxy.heal()
        settled = await place.settled(60.0)
        verdict = await place.verdict(FORGIVEN)
    if not settled:
        verdict.lost.append("the line did not become empty")
    return verdict.outcome(cuts, f"real minute, seed {seed}")


def _flaps(directory: Path, progress: Progress, seconds: float, seeds: int, real_s: float, sites: int) -> Outcome:
    total = Outcome(0, 0)
    for seed in range(seeds):
        with hushed():
            outcome = _flapping(directory / f"flaps{seed}.db", seconds, seed)
        total += outcome
        progress(f"{seconds / HOUR_S:g} h of virtual time: {outcome.trials} connections, clean: {outcome.clean}")
    jobs: list[Job] = [functools.partial(_minute, directory / f"site{n}", real_s, n) for n in range(sites)]
    return total + asyncio.run(together(jobs, sites, progress))


def _flaps_full(directory: Path, progress: Progress) -> Outcome:
    return _flaps(directory, progress, HOUR_S, 4, 60.0, 5)


def _flaps_short(directory: Path, progress: Progress) -> Outcome:
    return _flaps(directory, progress, 300.0, 1, 3.0, 1)


def _flaps_control(directory: Path, _progress: Progress) -> Outcome:
    """A record leaves the line as soon as it is sent."""
    with hushed():
        return _flapping(directory / "hole.db", 300.0, 0, frozenset({"answer"}))


# ---- the fleet -------------------------------------------------------------------------------------------------------

CHARGERS = 10_000
OUTAGE_S = 600.0
SPREAD = 10
"""With jitter the worst second may not hold more than one charger in so many."""


def peak(chargers: int, random_s: float, seed: int) -> tuple[int, float]:
    """A backend fails for ``OUTAGE_S`` with all connections lost at once. Return the most tries that fall into one
    second once it is back, and how long after that 99 % are connected. Pure: the product's own back-off, virtual time.
    """
    ocpp = Ocpp()
    chance = random.Random(seed)
    arrivals = []
    for _ in range(chargers):
        at = 0.0
        waits = back_off(ocpp.back_off_minimum_s, random_s, ocpp.back_off_repeats, chance.random)
        while at < OUTAGE_S:
            at += next(waits)
        arrivals.append(at - OUTAGE_S)
    arrivals.sort()
    seconds: dict[int, int] = {}
    for at in arrivals:
        seconds[int(at)] = seconds.get(int(at), 0) + 1
    return max(seconds.values()), arrivals[int(len(arrivals) * 0.99)]


def _fleet(progress: Progress, random_s: float) -> Outcome:
    most, all_s = peak(CHARGERS, random_s, 1)
    progress(
        f"{CHARGERS} chargers, outage of {OUTAGE_S:g} s, random part {random_s:g} s: "
        f"{most} connections in the worst second, 99 % back after {all_s:.0f} s"
    )
    wrong = int(most > CHARGERS // SPREAD)
    note = (f"{most} of {CHARGERS} chargers come back in one second",) if wrong else ()
    return Outcome(CHARGERS, 0, wrong=wrong, notes=note)


def _fleet_full(_directory: Path, progress: Progress) -> Outcome:
    return _fleet(progress, Ocpp().back_off_random_s)


def _fleet_control(_directory: Path, progress: Progress) -> Outcome:
    return _fleet(progress, 0.0)


ATTACKS = (
    Attack(
        "flaps",
        "a link that comes and goes every 1–5 s: hours of virtual time, minutes over sockets",
        "a record leaves the line only with the answer, under one id; a lost connection uses up no try",
        _flaps_full,
        _flaps_short,
        _flaps_control,
    ),
    Attack(
        "fleet",
        "10,000 chargers come back after an outage of the backend",
        "a random part in every wait",
        _fleet_full,
        _fleet_full,
        _fleet_control,
    ),
)
