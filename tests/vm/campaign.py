"""The whole of ``make test-power-cuts``: the chain, the migration, the controls, and the report."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.faults import upgrades
from tests.faults.speech import speech
from tests.vm import image, slot_trial
from tests.vm.disk_judge import Seen
from tests.vm.event_numbers import objections
from tests.vm.observer import records
from tests.vm.place_of_build import BUILD
from tests.vm.power_cuts import Chain, Result, summary
from tests.vm.site import GuestPlace

OLD, GUEST_OLD = "opt/old", "opt/evse-agent/old"
DATABASE = Path("/opt/evse-agent/current/lib/python3.11/site-packages/agent/journal/database.py")
SCENARIOS = ("online", "offline", "config", "update", "file")
REPORT = BUILD.parent / "power-cuts.json"


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


async def chain(count: int, points: int, seed: int, scenarios: Sequence[str] = SCENARIOS) -> Result:
    """``count`` lives of one charger, each with ``points`` moments judged, the books at the end."""
    rng, place = random.Random(seed), _place("chain")
    async with GuestPlace(place, image.build(), prepare=[slot_trial.prepare]) as site:
        lives = Chain(site, rng, say)
        lives.deeds.orders.noted.append(slot_trial.first_order())
        for number in range(count):
            await lives.live(scenarios[number % len(scenarios)])
        await lives.finish()
        heard, hardware = records(site.csms.frames), await site.hardware()
        lives.result.wrong += objections(heard, over=True)
        seen = Seen(heard, hardware, lives.deeds.orders, site.configuration, slots=True)
        return await lives.judge(points, seen)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A booted charger, idle, and its disk at that moment. A boot under emulation takes most of a life's time."""

    memory: Path
    disk: Path


async def freeze(seed: int) -> Frozen:
    """Boot once. The disk holds slots, bundles and journals of earlier versions besides the product."""
    place = _place("frozen")
    frozen = Frozen(place / "memory", place / "at-rest.img")
    async with GuestPlace(place, image.build(), prepare=[slot_trial.prepare, _old_journals]) as site:
        await Chain(site, random.Random(seed), say).freeze(frozen.memory, frozen.disk)
        say(f"booted in {site.machine.boot_s:.0f} s, frozen")
    return frozen


async def cuts(frozen: Frozen, count: int, points: int, seed: int, scenarios: Sequence[str] = SCENARIOS) -> Result:
    """``count`` lives of the frozen charger, each in a world of its own."""
    total = Result()
    for number in range(count):
        scenario = scenarios[number % len(scenarios)]
        async with GuestPlace(_place("life"), image.build(), data=frozen.disk) as site:
            lives = Chain(site, random.Random(seed + number), say)
            lives.deeds.orders.noted.append(slot_trial.first_order())
            await lives.live_frozen(scenario, frozen.memory)
            heard, hardware = records(site.csms.frames), await site.hardware()
            lives.result.wrong += objections(heard, over=False)
            seen = Seen(heard, hardware, lives.deeds.orders, site.configuration, slots=True)
            total = total.plus(await lives.judge(points, seen))
            note("cuts", total)
    return total


async def migration(frozen: Frozen, count: int, points: int, seed: int) -> Result:
    """Journals of earlier versions with records waiting; the power goes while they are raised and delivered."""
    total = Result()
    for number in range(count):
        fixture = upgrades.fixtures()[number % len(upgrades.fixtures())]
        async with GuestPlace(_place("migration"), image.build(), data=frozen.disk) as site:
            lives = Chain(site, random.Random(seed + number), say)
            await lives.live_migration(frozen.memory, f"/{GUEST_OLD}/{fixture.stem}.db")
            seen = Seen(records(site.csms.frames), [], lives.deeds.orders, site.configuration, _waiting(fixture))
            total = total.plus(await lives.judge(points, seen))
            note("migration", total)
    return total


NO_SYNC = (
    f"sed -i 's/synchronous = FULL/synchronous = OFF/' {DATABASE} && grep -q 'synchronous = OFF' {DATABASE}"
    f" && rm -f {DATABASE.parent}/__pycache__/database.* && sync && systemctl restart evse-agent"
)
NO_BARRIERS = "mount -o remount,barrier=0 /data"
CONTROLS = {
    "no-sync": ("online", NO_SYNC),
    "no-barriers": ("online", NO_BARRIERS),
    "no-barriers-file": ("file", NO_BARRIERS),
}
"""Name: what goes on, and what takes one protection away in the guest. SQLite does not wait for the disk; the file
system never flushes it, under the journal and under the configuration file."""


async def control(frozen: Frozen, name: str, points: int, seed: int) -> Result:
    """One life with a protection taken away. Must lose."""
    scenario, unsafe = CONTROLS[name]
    async with GuestPlace(_place(name), image.build(), data=frozen.disk) as site:
        lives = Chain(site, random.Random(seed), say, unsafe)
        await lives.live_frozen(scenario, frozen.memory)
        heard, hardware = records(site.csms.frames), await site.hardware()
        result = await lives.judge(points, Seen(heard, hardware, lives.deeds.orders, site.configuration))
    note(name, result)
    return result


def _old_journals(tree: Path) -> None:
    place = tree / OLD
    place.mkdir()
    for fixture in upgrades.fixtures():
        upgrades.build(fixture, place / f"{fixture.stem}.db")


def _waiting(fixture: Path) -> frozenset[str]:
    """Message ids that wait in a journal of an earlier version."""
    path = BUILD / "waiting.db"
    path.unlink(missing_ok=True)
    upgrades.build(fixture, path)
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT message_id FROM record WHERE NOT delivered AND kind <> 'updated'").fetchall()
    path.unlink()
    return frozenset(row[0] for row in rows)


def _place(name: str) -> Path:
    place = BUILD / "runs" / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


def note(name: str, result: Result) -> None:
    """Print it, and keep it in ``build/power-cuts.json``; under its own name where another OCPP than 1.6 was spoken."""
    if not speech().old:
        name = f"{name} {speech().subprotocol}"
    for line in summary(result):
        say(f"{name}: {line}")
    kept = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    verdict = result.verdict
    kept[name] = {
        "at": time.strftime("%Y-%m-%d %H:%M"),
        "cuts": result.cuts,
        "rebooted": result.rebooted,
        "charging_again": result.charging_again,
        "points": dict(result.points),
        "doubtful": result.doubtful,
        "facts": result.facts,
        "wrong": result.wrong,
        "changes": dict(result.changes),
        "refused": result.refused,
        "boots_s": [round(value, 1) for value in result.boots_s],
        "books": None if verdict is None else [verdict.transactions, *verdict.lost, *verdict.doubled, *verdict.wrong],
    }
    REPORT.write_text(json.dumps(kept, indent=1))
