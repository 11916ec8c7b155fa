"""Attack 9: the charger boots with no network at all, and meets it only when people have charged for a while.

Each offline policy of the configuration must hold from the first minute: whoever may charge does, whoever may not gets
no energy. In between the agent dies once. At the first contact everything is delivered.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.faults.attack import Attack, Outcome, Progress
from tests.faults.day import ANNA, BEN
from tests.faults.oracle import Deed
from tests.faults.place import FullPlace, Place, QuickPlace
from tests.faults.together import Job, guarded, together

FIRST_MINUTE_S = 60.0
FREE_VEND = "FREEVEND"
LAUNCHER = ("-m", "tests.faults.launch")


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may charge with no network. ``learns``: the card was accepted in an earlier life, with a network."""

    name: str
    settings: Mapping[str, Any]
    may: tuple[str, ...] = ()
    may_not: tuple[str, ...] = ()
    learns: bool = False


POLICIES = (
    Policy("free-vend", {"authorisation.free_vend": True}, may=(FREE_VEND,)),
    Policy("unknown-cards", {"ocpp.settings.AllowOfflineTxForUnknownId": "true"}, may=(ANNA, BEN)),
    Policy("remembered-cards", {}, may=(ANNA,), may_not=(BEN,), learns=True),
    Policy("nobody", {"ocpp.settings.LocalAuthorizeOffline": "false"}, may_not=(ANNA, BEN), learns=True),
)


@dataclass(slots=True)
class Boot:
    """One site's cold boot."""

    place: Place
    policy: Policy
    rounds: int
    charge_s: float
    refusal_s: float
    late: list[str] = field(default_factory=list)

    async def live(self) -> Outcome:
        async with self.place as place:
            if self.policy.learns:
                await self._earlier_life()
            await place.cut_uplink()
            began = time.monotonic()
            self._power(True)
            for number in range(self.rounds):
                for evse, token in enumerate(self.policy.may, 1):
                    await self._charge(evse, token)
                    if number == 0 and time.monotonic() - began > FIRST_MINUTE_S + self.charge_s:
                        self.late.append(f"{token} did not charge within the first minute")
                for token in self.policy.may_not:
                    await self._try_in_vain(2, token)
                if number == 0:
                    place.agent.kill()
            await place.restore_uplink()
            await place.settled(60.0)
            verdict = await place.verdict()
            verdict.wrong += self.late
            return verdict.outcome(1, f"cold boot, {self.policy.name}")

    def _power(self, on: bool) -> None:
        processes = [self.place.agent, *([self.place.control] if isinstance(self.place, FullPlace) else [])]
        for process in processes:
            if on:
                process.start()
            else:
                process.hold()
                process.kill()

    async def _earlier_life(self) -> None:
        place = self.place
        self._power(True)
        await place.end(1, ANNA, await place.begin(1, ANNA, online=True))
        await place.settled()
        self._power(False)

        async def dead() -> bool:
            return not place.agent.running

        await place.until(dead, "switched off")

    async def _charge(self, evse: int, token: str) -> None:
        place = self.place
        if token != FREE_VEND:
            first = await place.begin(evse, token, online=False)
            await asyncio.sleep(self.charge_s)
            await place.end(evse, token, first)
            return
        await self._free(evse)
        plugged_s = time.time()
        await place.plug(evse)
        await place.until(functools.partial(place.closed, evse), f"EVSE {evse} gives freely")
        await asyncio.sleep(self.charge_s)
        gone_s = time.time()
        await place.unplug(evse)
        place.deeds.append(Deed(evse, token, plugged_s, gone_s, gone_s=gone_s))
        await self._free(evse)

    async def _free(self, evse: int) -> None:
        async def free() -> bool:
            shown = await self.place.shown(evse)
            return shown is not None and shown["plugged"] is False and shown["transaction"] is None

        await self.place.until(free, f"EVSE {evse} free")

    async def _try_in_vain(self, evse: int, token: str) -> None:
        place = self.place
        await self._free(evse)
        await place.plug(evse)

        async def seen() -> bool:
            shown = await place.shown(evse)
            return shown is not None and shown["plugged"] is True

        await place.until(seen, f"EVSE {evse} sees the car")
        await place.tap(token, evse)
        if await place.within(functools.partial(place.closed, evse), self.refusal_s):
            self.late.append(f"{token} charges though the policy forbids it")
        await place.unplug(evse)


def _full(directory: Path, progress: Progress) -> Outcome:
    async def run() -> Outcome:
        jobs: list[Job] = [
            Boot(FullPlace(directory / f"{policy.name}{number}", dict(policy.settings)), policy, 3, 6.0, 8.0).live
            for number in range(3)
            for policy in POLICIES
        ]
        return await together(jobs, 6, progress, 4)

    return asyncio.run(run())


def _short(directory: Path, progress: Progress) -> Outcome:
    async def run() -> Outcome:
        jobs: list[Job] = [
            Boot(QuickPlace(directory / policy.name, dict(policy.settings)), policy, 2, 0.3, 0.6).live
            for policy in POLICIES
        ]
        return await together(jobs, 4, progress)

    return asyncio.run(run())


def _control(directory: Path, progress: Progress) -> Outcome:
    """The journal does not outlive its process, and policies are mixed up: both must be seen."""

    async def run() -> Outcome:
        forgets = QuickPlace(directory / "forgets", dict(POLICIES[1].settings))
        forgets.launcher = (*LAUNCHER, "--without", "durable")
        wrong_policy = QuickPlace(directory / "policy", dict(POLICIES[1].settings))
        outcomes = await asyncio.gather(
            guarded(Boot(forgets, POLICIES[1], 2, 0.3, 0.6).live),
            guarded(Boot(wrong_policy, POLICIES[2], 1, 0.3, 1.5).live),
        )
        for outcome in outcomes:
            progress(str(outcome))
            if outcome.clean:
                return replace(outcome, notes=("one of the two holes was not seen",))
        return outcomes[0] + outcomes[1]

    return asyncio.run(run())


ATTACKS = (
    Attack(
        "cold-boot",
        "Boot with no network: each offline policy from the first minute, a crash, then the first contact",
        "authorisation decides locally; the journal holds everything until somebody answers",
        _full,
        _short,
        _control,
    ),
)
