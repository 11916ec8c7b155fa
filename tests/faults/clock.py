"""Attack 6: no clock at boot, clocks that step, days that are odd, and a network with a wrong clock.

``clock`` runs the whole agent under a system clock of its own (``tests/faults/warped.py``); the truth is the witnesses'
clock, which nobody moves. ``clock-days`` lives through hours, days and boots in virtual time.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from simulators.csms.behaviour import AnswerRule, Mode
from simulators.csms.station import BootPolicy
from tests.faults.attack import Attack, Outcome, Progress
from tests.faults.day import ANNA, BEN, FORGIVEN
from tests.faults.oracle import Verdict
from tests.faults.proxied import WARPED, ProxiedPlace
from tests.faults.proxy import charge
from tests.faults.together import Job, guarded, together
from tests.faults.virtual import Network, VirtualSite, hushed

DAY_S = 86_400.0
HOUR_S = 3600.0

Scene = Callable[["WarpedPlace", int], Awaitable[int]]
"""Given the place and how many strikes at most; returns how many there were."""


class WarpedPlace(ProxiedPlace):
    """A place whose agent sees a system clock that is off."""

    def __init__(self, directory: Path, hole: str = "") -> None:
        super().__init__(directory, {"ocpp.settings.HeartbeatInterval": "1", "ocpp.ping_timeout_s": 20})
        self._wall = directory / "wall"
        self._hole = ("--without", hole) if hole else ()
        self.csms.boot = BootPolicy(interval_s=1)
        self.boot("boot-1")

    def boot(self, name: str) -> None:
        """What the next life of the agent takes for the machine's boot."""
        self.launcher = (*WARPED, "--wall", str(self._wall), "--boot", name, *self._hole)

    def step(self, off_s: float) -> None:
        """The agent's system clock is off by so much from now on."""
        self._wall.write_text(str(off_s), encoding="ascii")

    def to_1970(self) -> None:
        """As a machine without a battery wakes up."""
        self.step(60.0 - time.time())

    async def restart(self) -> None:
        """The agent's process dies; the machine goes on."""
        deaths = self.agent.deaths
        self.agent.kill()

        async def again() -> bool:
            return self.agent.deaths > deaths and await self.shown(1) is not None

        await self.until(again, "the agent is back")


async def from_1970(place: WarpedPlace, _most: int) -> int:
    """No clock, no network: two charges, a crash in the second, and only then the first contact."""
    place.to_1970()
    place.proxy.refusing = True
    place.agent.start()
    await charge(place, 1, ANNA, online=False, long_s=1.2)
    first = await place.begin(2, BEN, online=False)
    await place.restart()
    await asyncio.sleep(1.2)
    await place.end(2, BEN, first)
    place.proxy.heal()
    await charge(place, 1, BEN, online=True)
    return 1


async def steps(place: WarpedPlace, most: int) -> int:
    """The system clock jumps by a day, both ways, while cars charge; the agent dies under the wrong clock."""
    place.step(0.0)
    place.agent.start()
    await place.wait_online()
    strikes = 0
    for off_s in (DAY_S, -DAY_S, HOUR_S, -HOUR_S)[:most]:
        first = await place.begin(1, ANNA, online=True)
        place.step(off_s)
        await asyncio.sleep(1.2)
        if strikes % 2:
            await place.restart()
            await asyncio.sleep(0.6)
        await place.end(1, ANNA, first)
        strikes += 1
    return strikes


async def wrong_network(place: WarpedPlace, most: int) -> int:
    """The network's clock goes wrong by hours and years for a while, and says so with every heartbeat."""
    place.step(0.0)
    place.agent.start()
    await place.wait_online()
    strikes = 0
    for off_s in (3 * HOUR_S, -DAY_S, -50 * 365 * DAY_S, 100 * 365 * DAY_S, HOUR_S)[:most]:
        place.csms.clock_offset_s = off_s
        first = await place.begin(2, BEN, online=True)
        await asyncio.sleep(1.6)
        if strikes % 2:
            await place.restart()
        await place.end(2, BEN, first)
        place.csms.clock_offset_s = 0.0
        strikes += 1
    return strikes


async def late_truth(place: WarpedPlace, _most: int) -> int:
    """A start's answer is lost, then the clock turns out to be wrong by minutes: one start it must remain.

    The network's own clock is behind at first contact and put right by less than what counts as a jump.
    """
    place.step(0.0)
    place.csms.clock_offset_s = -40.0
    place.agent.start()
    await place.wait_online()
    place.csms.behaviour.add(place.speech.start, AnswerRule(Mode.DROP, 1))
    first = await place.begin(1, ANNA, online=False)
    place.csms.clock_offset_s = 0.0
    await asyncio.sleep(3.0)
    await place.end(1, ANNA, first)
    await charge(place, 2, BEN, online=False)
    return 1


SCENES: dict[str, Scene] = {
    "1970": from_1970,
    "steps": steps,
    "network": wrong_network,
    "late-truth": late_truth,
}


async def _site(directory: Path, name: str, hole: str = "", most: int = 9) -> Outcome:
    place = WarpedPlace(directory / f"{name}{hole}", hole)
    if hole:
        place.patience_s = 8.0
    async with place:
        strikes = await SCENES[name](place, most)
        settled = await place.settled(40.0)
        verdict = await place.verdict(FORGIVEN)
    if name == "late-truth":
        # Its first start was told by the network's own wrong clock, once; that it is one is what counts here.
        verdict.wrong = [text for text in verdict.wrong if f"card {ANNA}: start told" not in text]
    if not settled:
        verdict.lost.append("the line did not become empty")
    return verdict.outcome(strikes, name)


def _clock(directory: Path, progress: Progress, repeats: int, width: int, most: int) -> Outcome:
    jobs: list[Job] = [
        functools.partial(_site, directory / str(number), name, most=most)
        for number in range(repeats)
        for name in SCENES
    ]
    return asyncio.run(together(jobs, width, progress, 8))


def _clock_full(directory: Path, progress: Progress) -> Outcome:
    return _clock(directory, progress, 10, 4, 9)


def _clock_short(directory: Path, progress: Progress) -> Outcome:
    return _clock(directory, progress, 1, 4, 2)


def _clock_control(directory: Path, progress: Progress) -> Outcome:
    """Times stay as the system clock said; and a start takes whatever time the clock says at each try."""

    async def run() -> Outcome:
        holes = (("1970", "fix-clock"), ("late-truth", "told"))
        outcomes = await asyncio.gather(*(guarded(functools.partial(_site, directory, *hole)) for hole in holes))
        total = Outcome(0, 0)
        for (name, hole), outcome in zip(holes, outcomes, strict=True):
            progress(f"{name} without {hole}: {outcome}")
            if outcome.clean:
                return Outcome(1, outcome.transactions, notes=(f"without {hole} the books are clean all the same",))
            total += outcome
        return total

    return asyncio.run(run())


# ---- days and boots in virtual time ----------------------------------------------------------------------------------


def _utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


ODD_DAYS = {
    "leap day": _utc("2028-02-28T20:00:00"),
    "no leap day": _utc("2027-02-28T20:00:00"),
    "summer time begins (EU)": _utc("2027-03-27T22:00:00"),
    "summer time ends (EU)": _utc("2026-10-24T22:00:00"),
    "summer time ends (US)": _utc("2026-11-01T04:00:00"),
    "new year": _utc("2027-12-31T20:00:00"),
}


def _charges(site: VirtualSite, begins: float, hours: float) -> None:
    for evse, token in ((1, "04A1"), (2, "04B2")):
        at = begins + 60.0 * evse
        while at < begins + hours * HOUR_S:
            site.charge(evse, token, at, at + 2400.0, 11_000.0, 300.0)
            at += 3000.0


def _judged(site: VirtualSite, what: str, strikes: int = 1) -> Outcome:
    verdict = site.verdict()
    if not site.empty():
        verdict.lost.append(f"left behind: {site.journal.figures()}")
    site.close()
    return verdict.outcome(strikes, what)


def _odd_day(path: Path, name: str, without: frozenset[str]) -> Outcome:
    """Online at noon, offline over midnight, back in the morning; the machine knows no time zones."""
    begins = ODD_DAYS[name]
    site = VirtualSite(path, begins, without=without)
    _charges(site, begins, 12.0)
    site.at(begins, site.up)
    site.at(begins + 2 * HOUR_S, site.down)
    site.at(begins + 9 * HOUR_S, site.up)
    site.run(begins + 15 * HOUR_S)
    return _judged(site, name)


def _hours_in_1970(path: Path, hours: float, without: frozenset[str]) -> Outcome:
    """No clock at boot, charges for hours, the agent restarts now and then, and then the network comes."""
    begins = ODD_DAYS["leap day"]
    site = VirtualSite(path, begins, system_clock_off_s=-begins, without=without)
    _charges(site, begins, hours)
    for part in (1, 2, 3):
        site.at(begins + hours * HOUR_S * part / 4, site.agent_restart)
    site.at(begins + hours * HOUR_S * 0.6, lambda: site.step_system_clock(-DAY_S / 2))
    site.at(begins + hours * HOUR_S, site.up)
    site.run(begins + (hours + 3) * HOUR_S)
    return _judged(site, "first contact hours after a boot in 1970")


def _liar(path: Path, without: frozenset[str]) -> Outcome:
    """The network's clock is an hour ahead for 45 minutes, as one node of several may be; then it is right again."""
    begins = ODD_DAYS["summer time ends (EU)"]
    site = VirtualSite(path, begins, without=without)
    network: Network = site.network

    def lie(seconds: float) -> Callable[[], None]:
        return lambda: setattr(network, "wrong_clock_s", seconds)

    _charges(site, begins, 12.0)
    site.at(begins, site.up)
    for number, off_s in enumerate((HOUR_S, -HOUR_S, 7 * DAY_S, -7 * DAY_S)):
        at = begins + (2 * number + 1) * HOUR_S
        site.at(at, lie(off_s))
        site.at(at + 1000, site.down)
        site.at(at + 1010, site.up)
        site.at(at + 2700, lie(0.0))
    site.run(begins + 15 * HOUR_S)
    return _judged(site, "a network whose clock is wrong at times", 4)


def _two_boots(path: Path, off_s: float, without: frozenset[str]) -> Outcome:
    """A boot whose clock was never set, a power cut, and first contact in the next boot.

    What can be promised is a bound: distances within the boot are true, and nothing is told later than it was by
    more than the machine was off.
    """
    begins = ODD_DAYS["new year"]
    site = VirtualSite(path, begins, system_clock_off_s=-begins, without=without)
    _charges(site, begins, 3.0)
    last = begins + 5 * HOUR_S
    site.run(last)
    site.power_cut(off_s)
    site.at(site.utc_s + 60, site.up)
    site.run(site.utc_s + 3 * HOUR_S)
    told = site.network.ledger.as_json()["transactions"]
    verdict = Verdict(len(told))
    errors = [
        datetime.fromisoformat(entry["started_at"]).timestamp() - charge.closed_s
        for entry, charge in zip(told, site.truth(), strict=True)
        if charge.closed_s is not None
    ]
    # The boot ended with the power; its last record was some time before.
    idle_s = last - max(charge.opened_s or 0.0 for charge in site.truth())
    if any(not -0.001 <= error <= off_s + idle_s + 101.0 for error in errors):
        verdict.wrong.append(f"times are off by {min(errors):.0f} to {max(errors):.0f} s, machine off {off_s:.0f} s")
    if max(errors) - min(errors) > 0.01:
        verdict.wrong.append("distances within the boot are not true")
    if not site.empty():
        verdict.lost.append(f"left behind: {site.journal.figures()}")
    site.close()
    return verdict.outcome(1, "two boots")


def _days(directory: Path, progress: Progress, without: frozenset[str], chosen: list[str]) -> Outcome:
    total = Outcome(0, 0)
    runs: list[tuple[str, Callable[[Path], Outcome]]] = [
        (name, functools.partial(_odd_day, name=name, without=without)) for name in chosen
    ]
    runs += [
        ("8 hours in 1970", functools.partial(_hours_in_1970, hours=8.0, without=without)),
        ("a lying network", functools.partial(_liar, without=without)),
        ("two boots, off for a minute", functools.partial(_two_boots, off_s=60.0, without=without)),
        ("two boots, off for a week", functools.partial(_two_boots, off_s=7 * DAY_S, without=without)),
    ]
    for number, (name, run) in enumerate(runs):
        with hushed():
            outcome = run(directory / f"days{number}.db")
        total += outcome
        progress(f"{name}: {outcome.transactions} transactions, clean: {outcome.clean}")
    return total


def _days_full(directory: Path, progress: Progress) -> Outcome:
    return _days(directory, progress, frozenset(), list(ODD_DAYS))


def _days_short(directory: Path, progress: Progress) -> Outcome:
    return _days(directory, progress, frozenset(), ["leap day"])


def _days_control(directory: Path, _progress: Progress) -> Outcome:
    with hushed():
        return _hours_in_1970(directory / "hole.db", 2.0, frozenset({"fix-clock"}))


ATTACKS = (
    Attack(
        "clock",
        "boot in 1970, steps of a day in mid-session, a network with a wrong clock, restarts under a wrong clock",
        "records carry boot and monotonic time; the offset is learnt from the network and outlives the agent",
        _clock_full,
        _clock_short,
        _clock_control,
    ),
    Attack(
        "clock-days",
        "hours without a clock, leap days, changes of summer time, boots that never had a clock (virtual time)",
        "records carry boot and monotonic time and are put right at first contact",
        _days_full,
        _days_short,
        _days_control,
    ),
)
