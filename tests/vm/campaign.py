"""The whole of ``make test-power-cuts``: the chain, the migration, the controls, and the report."""

from __future__ import annotations

import json
import random
import re
import shutil
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from tests.faults import upgrades
from tests.vm import image, slot_trial
from tests.vm.data_disk import CODE
from tests.vm.disk_judge import Seen
from tests.vm.observer import records
from tests.vm.place_of_build import BUILD
from tests.vm.power_cuts import Chain, Result, summary
from tests.vm.site import GuestPlace

SCENARIOS = ("online", "offline", "config", "update")
REPORT = BUILD.parent / "power-cuts.json"


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


async def chain(count: int, points: int, seed: int) -> Result:
    """``count`` lives of one charger, each with ``points`` moments judged, the books at the end."""
    rng, place = random.Random(seed), _place("chain")
    async with GuestPlace(place, image.build(), prepare=[slot_trial.prepare]) as site:
        lives = Chain(site, rng, say)
        lives.orders.noted.append(slot_trial.first_order())
        for number in range(count):
            await lives.live(SCENARIOS[number % len(SCENARIOS)])
        await lives.finish()
        heard, hardware = records(site.csms.frames), await site.hardware()
        seen = Seen(heard, hardware, lives.orders, site.configuration, slots=True)
        return await lives.judge(points, seen)


async def cuts(count: int, points: int, seed: int) -> Result:
    """``count`` lives, each from the same machine frozen while idle and online, each in a world of its own.

    A boot under emulation takes most of a life's time; a frozen machine goes on within seconds.
    """
    total = Result()
    first = _place("frozen")
    frozen, disk = first / "memory", first / "at-rest.img"
    async with GuestPlace(first, image.build(), prepare=[slot_trial.prepare]) as site:
        lives = Chain(site, random.Random(seed), say)
        await lives.freeze(frozen, disk)
        say(f"booted in {site.machine.boot_s:.0f} s, frozen")
    for number in range(count):
        scenario = SCENARIOS[number % len(SCENARIOS)]
        async with GuestPlace(_place("life"), image.build(), data=disk) as site:
            lives = Chain(site, random.Random(seed + number), say)
            lives.orders.noted.append(slot_trial.first_order())
            await lives.live_frozen(scenario, frozen)
            heard, hardware = records(site.csms.frames), await site.hardware()
            seen = Seen(heard, hardware, lives.orders, site.configuration, slots=True)
            total = total.plus(await lives.judge(points, seen))
            note("cuts", total)
    return total


async def migration(count: int, points: int, seed: int) -> Result:
    """Journals of earlier versions with records waiting; the power goes while they are raised and delivered."""
    total = Result()
    for number in range(count):
        fixture = upgrades.fixtures()[number % len(upgrades.fixtures())]
        rng = random.Random(seed + number)
        with_journal = [lambda tree, fixture=fixture: upgrades.build(fixture, tree / "state/journal.db")]
        async with GuestPlace(_place("migration"), image.build(), prepare=with_journal) as site:
            lives = Chain(site, rng, say)
            waiting = _waiting(fixture)
            await lives.live_migration()
            heard = records(site.csms.frames)
            seen = Seen(heard, [], lives.orders, site.configuration, waiting)
            total = total.plus(await lives.judge(points, seen))
    return total


async def control(name: str, points: int, seed: int) -> Result:
    """One life with a protection taken away. Must lose."""
    unsafe = "mount -o remount,barrier=0 /data" if name == "no-barriers" else ""
    prepare = [_unsynced] if name == "no-sync" else []
    async with GuestPlace(_place(name), image.build(), prepare=prepare) as site:
        lives = Chain(site, random.Random(seed), say, unsafe)
        await lives.live("online")
        return await lives.judge(points)


def _unsynced(tree: Path) -> None:
    """SQLite is told not to wait for the disk."""
    path = tree / CODE / "agent/journal/database.py"
    text, count = re.subn("PRAGMA synchronous = FULL", "PRAGMA synchronous = OFF", path.read_text())
    if count != 1:
        raise RuntimeError("the journal's pragma is not where this control expects it")
    path.write_text(text)
    shutil.rmtree(path.parent / "__pycache__")


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
    """Print it, and keep it in ``build/power-cuts.json``."""
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
        "boots_s": [round(value, 1) for value in result.boots_s],
        "books": None if verdict is None else [verdict.transactions, *verdict.lost, *verdict.doubled, *verdict.wrong],
    }
    REPORT.write_text(json.dumps(kept, indent=1))
