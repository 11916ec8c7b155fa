"""Power cuts: the machine is killed while it charges, and its disk is judged as it was at each moment before.

One charger lives through a chain of lives. In each, both outlets charge while something goes on (online, offline,
settings and lists and profiles changed, slots switched); then QEMU is killed and the boards lose their supply. The next
life boots, for real, from what the disk had been promised to keep: the log of writes up to the last flush, and nothing
after it. Afterwards many moments of each life are judged as if the power had gone there (``tests.vm.disk_judge``), and
the network's books at the end of the chain by the campaign's own judge (``tests.faults.oracle``).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.day import ANNA, BEN
from tests.faults.oracle import Deed, Verdict
from tests.faults.place import StuckError
from tests.vm.disk_judge import Finding, Seen, judge_disk
from tests.vm.inside import STATE
from tests.vm.machine import GuestError
from tests.vm.observer import LogWatch, records
from tests.vm.operator_deeds import OperatorDeeds
from tests.vm.site import GuestPlace
from tests.vm.write_log import Replay, Tail, WriteLog, copy_sparse

CARDS = {1: ANNA, 2: BEN}
CUT_S = {"file": (0.3, 50.0)}
USUALLY_S = (0.3, 12.0)
"""A cut comes at a random moment between so many seconds of the machine's own time after both outlets charge and, where
something is changed, a first change was accepted. A changed file makes the agent start anew, which takes longer."""
CHANGES = {"config": "profile", "update": "slot", "file": "file"}
"""What is changed in a life of that name: the last kind of a round."""
FIRST_CHANGE_S = 400.0
REFUSED_S = 0.5
BACK_S = 300.0
"""How long a rebooted charger may take until its outlets charge again."""
OLD_JOURNAL = f"cd {STATE} && rm -f journal.db* && cp {{}} journal.db && chown evse:evse journal.db && sync"
WAKE = """
import fcntl, sys, time
time.clock_settime(time.CLOCK_REALTIME, float(sys.argv[1]))
with open('/dev/urandom', 'wb', buffering=0) as pool:
    pool.write(bytes.fromhex(sys.argv[2]))
    fcntl.ioctl(pool, 0x5207)  # RNDRESEEDCRNG
"""

Say = Callable[[str], None]


@dataclass(slots=True)
class Life:
    """One boot up to its cut: the disk it began with, and every write since."""

    scenario: str
    before: Path
    log: Path
    watch: LogWatch
    boot_s: float = 0.0
    begins: int = 0
    """Crash points lie behind this length of the log."""


@dataclass(slots=True)
class Result:
    cuts: int = 0
    rebooted: int = 0
    charging_again: int = 0
    """Rebooted from a cut disk, and energy flowed again: at each outlet that had been charging, or a new charge."""
    points: Counter[str] = field(default_factory=Counter)
    """Crash points judged, by scenario."""
    facts: int = 0
    doubtful: int = 0
    """Crash points at which some write had not been flushed."""
    wrong: list[str] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)
    """Changes of the operator that were accepted, by kind."""
    refused: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    boots_s: list[float] = field(default_factory=list)

    @property
    def judged(self) -> int:
        return sum(self.points.values())

    def plus(self, other: Result) -> Result:
        """Both together; the books of the first."""
        return Result(
            self.cuts + other.cuts,
            self.rebooted + other.rebooted,
            self.charging_again + other.charging_again,
            self.points + other.points,
            self.facts + other.facts,
            self.doubtful + other.doubtful,
            self.wrong + other.wrong,
            self.changes + other.changes,
            self.refused + other.refused,
            self.verdict,
            self.boots_s + other.boots_s,
        )


@dataclass(slots=True)
class Charging:
    """A charge that the cut may find under way."""

    evse: int
    first_s: float


class Chain:
    """Lives on one disk. ``unsafe`` is run in the guest after boot, only by
    controls."""

    def __init__(
        self, place: GuestPlace, rng: random.Random, say: Say, unsafe: str = "", base: Path | None = None
    ) -> None:
        self.place = place
        self.deeds = OperatorDeeds(place, place.configuration)
        self.lives: list[Life] = []
        self.result = Result()
        self._rng = rng
        self._say = say
        self._unsafe = unsafe
        self._open: dict[int, Charging] = {}
        self._base = base or place.data

    async def live(self, scenario: str) -> None:
        """One life: boot, go on, charge on both outlets, work until the cut."""
        place, number = self.place, len(self.lives)
        disk, log = place.directory / "disk.img", place.directory / f"life{number}.wlog"
        copy_sparse(self._base, disk)
        place.machine = place.new_machine(disk, log)
        if number:
            await place.power(True)
        async with LogWatch(log) as watch:
            life = Life(scenario, self._base, log, watch)
            self.lives.append(life)
            await place.machine.start()
            life.boot_s = place.machine.boot_s
            if self._unsafe:
                await place.machine.check("sh", "-c", self._unsafe)
            await self._charge(life, scenario)
            async with self._at_work(scenario):
                cut_s = time.time()
                await place.cut_power()
                watch.look()
        self.result.cuts += 1
        self.result.boots_s.append(life.boot_s)
        self._base = place.directory / f"after{number}.img"
        await asyncio.to_thread(_cut_disk, life, self._base)
        self._say(f"life {number} ({scenario}): booted in {life.boot_s:.0f} s, cut at {cut_s:.1f}")

    async def live_migration(self, frozen: Path, journal: str) -> None:
        """The agent starts on a journal of an earlier version (a file of the guest), and the power goes soon after."""
        async with self._woken("migration", frozen) as life:
            life.begins = life.watch.steps[-1][1]
            await self.place.machine.check("systemctl", "stop", "evse-agent.service", timeout_s=120)
            await self.place.machine.check("sh", "-c", OLD_JOURNAL.format(journal))
            life.watch.look()
            life.begins = life.watch.steps[-1][1]
            await self.place.machine.check("systemctl", "start", "evse-agent.service", timeout_s=120)
            before = self._heard()
            await self.place.until(self._hears_more(before), "a waiting record is told")
            await self._pause(*USUALLY_S)

    def _heard(self) -> int:
        return len(records(self.place.csms.frames))

    def _hears_more(self, before: int) -> Callable[[], Awaitable[bool]]:
        async def more() -> bool:
            return self._heard() > before

        return more

    async def _charge(self, life: Life, scenario: str) -> None:
        """Take up what the last life left, then have both outlets charging."""
        place = self.place
        if life is not self.lives[0]:
            self.result.rebooted += 1
            await self._take_up()
        if scenario == "offline":
            await place.cut_uplink()
        else:
            await place.restore_uplink()
            await place.wait_online()
            await self.deeds.file_proved()
        for evse in CARDS:
            if evse in self._open and self._rng.random() < 0.5:
                await self._end(evse)
            if evse not in self._open:
                first = await place.begin(evse, CARDS[evse], online=scenario != "offline")
                self._open[evse] = Charging(evse, first)
        if life is not self.lives[0]:
            self.result.charging_again += 1

    async def _take_up(self) -> None:
        """After a cut: each charge goes on, or was ended as one that the power interrupted. Nothing else is right."""
        for evse in list(self._open):
            over = await self._goes_on(evse)
            if over:
                await self.place.unplug(evse)
                charge = self._open.pop(evse)
                deed = Deed(
                    evse, CARDS[evse], charge.first_s, self._cut_s, ended_until_s=time.time(), gone_s=time.time()
                )
                self.place.deeds.append(deed)

    @property
    def _cut_s(self) -> float:
        return self.lives[-2].watch.steps[-1][0] - 1.0

    async def _goes_on(self, evse: int) -> bool:
        """False when contacts close again; True when the transaction is over."""
        place, clock = self.place, self.place.machine.own_time
        end = clock.now_s() + BACK_S
        while clock.now_s() < end:
            if await place.closed(evse):
                return False
            shown = await place.shown(evse)
            if shown is not None and shown["plugged"]:
                transaction = shown["transaction"]
                if transaction is None or transaction["state"] == "finished":
                    return True
            await asyncio.sleep(0.2)
        raise StuckError(f"EVSE {evse} neither goes on nor ends after the cut: {await place.shown(evse)}")

    async def _end(self, evse: int) -> None:
        charge = self._open.pop(evse)
        await self.place.end(evse, CARDS[evse], charge.first_s)

    @contextlib.asynccontextmanager
    async def _at_work(self, scenario: str) -> AsyncIterator[None]:
        """Something goes on; the block is entered at the moment at which the power shall go. What breaks in the work,
        other than by the cut, is raised."""
        kind = CHANGES.get(scenario)
        before = self.deeds.made[kind] if kind else 0

        async def changed() -> bool:
            return kind is None or self.deeds.made[kind] > before or busy.done()

        busy = asyncio.create_task(self._until_cut(self.deeds.work(scenario)))
        try:
            await self.place.until(changed, f"a first change in a life called {scenario}", FIRST_CHANGE_S)
            await self._pause(*CUT_S.get(scenario, USUALLY_S))
            yield
        finally:
            busy.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await busy

    async def _until_cut(self, work: Callable[[], Awaitable[None]]) -> None:
        """Whatever the cut interrupts ends without an answer; a refusal before it is noted."""
        while self.place.machine.running:
            try:
                await work()
            except (GuestError, LookupError) as error:
                if self.place.machine.running:
                    self.result.refused.append(f"{type(error).__name__}: {error}")
                await asyncio.sleep(REFUSED_S)
            except (ConnectionError, TimeoutError, StuckError):
                await asyncio.sleep(REFUSED_S)
            await asyncio.sleep(0.05)

    async def _pause(self, least_s: float, most_s: float) -> None:
        """A random while, by the machine's own time."""
        clock = self.place.machine.own_time
        end = clock.now_s() + self._rng.uniform(least_s, most_s)

        async def over() -> bool:
            return clock.now_s() >= end

        await self.place.until(over, "a while", most_s * 2)

    async def freeze(self, memory: Path, disk: Path) -> None:
        """Boot, come online once, lose the network, and stand still: memory and disk of that moment."""
        place = self.place
        running = place.directory / "disk.img"
        copy_sparse(self._base, running)
        place.machine = place.new_machine(running, place.directory / "unused.wlog")
        await place.machine.start()
        await place.wait_online()
        await place.cut_uplink()
        await place.until_shown(lambda status: status["uplink"]["state"] != "accepted", "the uplink is down")
        await place.machine.freeze(memory)
        copy_sparse(running, disk)

    @contextlib.asynccontextmanager
    async def _woken(self, scenario: str, frozen: Path) -> AsyncIterator[Life]:
        """A machine that goes on from where it was frozen, in a new world; its power is cut at the end of the block."""
        place, log = self.place, self.place.directory / "life.wlog"
        disk = place.directory / "disk.img"
        copy_sparse(self._base, disk)
        place.machine = place.new_machine(disk, log)
        async with LogWatch(log) as watch:
            life = Life(scenario, self._base, log, watch)
            self.lives.append(life)
            await place.machine.start(frozen)
            # Another time of day and other random numbers than at its last waking.
            await place.machine.check("python3", "-c", WAKE, str(time.time()), random.randbytes(64).hex())
            if self._unsafe:
                await place.machine.check("sh", "-c", self._unsafe, timeout_s=180)
            await place.wait_online()
            # The boards of the new world begin anew, and a vehicle that comes meanwhile would have to come again.
            await place.until_shown(lambda status: not any(evse["faults"] for evse in status["evses"]), "no faults")
            yield life
            await place.cut_power()
            watch.look()
        self.result.cuts += 1

    async def live_frozen(self, scenario: str, frozen: Path) -> None:
        """Both outlets charge, something goes on, and the power goes."""
        async with self._woken(scenario, frozen):
            if scenario == "offline":
                # Both cards become known, then the network goes.
                await self._begin_both(online=True)
                for evse in CARDS:
                    await self._end(evse)
                await self.place.cut_uplink()
            await self._begin_both(online=scenario != "offline")
            async with self._at_work(scenario):
                await self.place.cut_power()

    async def _begin_both(self, online: bool) -> None:
        for evse in CARDS:
            first = await self.place.begin(evse, CARDS[evse], online=online)
            self._open[evse] = Charging(evse, first)

    async def finish(self) -> None:
        """A last life without a cut: everything is ended and told; then the books are judged."""
        place = self.place
        disk = place.directory / "disk.img"
        copy_sparse(self._base, disk)
        place.machine = place.new_machine(disk)
        await place.power(True)
        await place.machine.start()
        self.lives.append(Life("end", self._base, Path("/dev/null"), LogWatch(Path("/dev/null"))))
        self.result.rebooted += 1
        await self._take_up()
        self.result.charging_again += bool(self._open)
        await place.restore_uplink()
        await place.wait_online()
        for evse in list(self._open):
            await self._end(evse)
        self.lives.pop()
        settled = await place.settled(180)
        self.result.verdict = await place.verdict()
        if not settled:
            self.result.verdict.lost.append("records still wait at the end")

    # ---- judging ----

    async def judge(self, points: int, seen: Seen) -> Result:
        """Judge ``points`` moments of each life, spread over its flushes, and the moment of the cut in all forms."""
        self.result.wrong += self.deeds.wrong
        self.result.changes += self.deeds.made
        for life in self.lives:
            await asyncio.to_thread(self._judge_life, life, points, seen)
        return self.result

    def _judge_life(self, life: Life, points: int, seen: Seen) -> None:
        log = WriteLog(life.log)
        if not log.entries:
            return
        scratch = self.place.directory / "scratch"
        working, copy = scratch.with_suffix(".img"), scratch.with_suffix(".crash.img")
        copy_sparse(life.before, working)
        replay = Replay(log, working)
        chosen = moments(log, points, self._rng, log.index_at(life.begins))
        for count, tail in chosen:
            size = log.entries[count - 1].end
            self.result.doubtful += replay.crash(count, copy, tail, self._rng) > 0
            finding: Finding = judge_disk(copy, scratch, seen, life.watch.seen_until(size), life.watch.beyond(size))
            self.result.points[life.scenario] += 1
            self.result.facts += finding.held
            for text in finding.wrong:
                self.result.wrong.append(f"{life.scenario}, entry {count} of {len(log.entries)}, {tail.value}: {text}")
        self._say(f"{life.scenario}: {len(chosen)} points judged, {len(self.result.wrong)} wrong so far")
        working.unlink()
        copy.unlink()


def moments(log: WriteLog, points: int, rng: random.Random, first: int = 0) -> list[tuple[int, Tail]]:
    """Crash points in order: the end in all three forms, else any entry of the log in any form."""
    last = len(log.entries)
    some = sorted(rng.sample(range(first + 1, last + 1), min(max(points - len(Tail), 0), last - first)))
    return [(count, rng.choice(list(Tail))) for count in some] + [(last, tail) for tail in Tail]


def _cut_disk(life: Life, target: Path) -> None:
    """What the next life boots from: everything that no flush had made durable is gone."""
    log = WriteLog(life.log)
    working = target.with_suffix(".working")
    copy_sparse(life.before, working)
    Replay(log, working).crash(len(log.entries), target, Tail.NONE, random.Random(0))
    working.unlink()


def summary(result: Result) -> Sequence[str]:
    """What is printed and written down."""
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(result.points.items()))
    lines = [
        f"cuts: {result.cuts}; rebooted: {result.rebooted}; charging again: {result.charging_again}",
        f"crash points judged: {result.judged} ({kinds}); with unflushed writes: {result.doubtful}",
        f"facts looked for: {result.facts}; missing: {len(result.wrong)}",
        "changes accepted: " + (", ".join(f"{kind} {n}" for kind, n in sorted(result.changes.items())) or "none"),
    ]
    lines += [f"  {text[:300]}" for text in result.wrong[:8]]
    lines += [f"  refused: {text[:300]}" for text in result.refused[:4]]
    if (verdict := result.verdict) is not None:
        counts = (len(verdict.lost), len(verdict.doubled), len(verdict.wrong), len(verdict.closed))
        lines.append(
            f"books at the end: {verdict.transactions} charges, lost {counts[0]}, doubled {counts[1]}, "
            f"wrong {counts[2]}, shut wrongly {counts[3]}"
        )
        lines += [f"  {text[:300]}" for text in verdict.outcome().notes]
    return lines
