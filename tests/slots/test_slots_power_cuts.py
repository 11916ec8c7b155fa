"""The power goes at every step of installing, switching, starting, confirming and taking back.

Whatever happened: ``current`` leads to exactly one whole slot, and the same order given again ends well.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.slots.bundle import BundleError
from agent.slots.guard import NAMES, SlotError, Slots
from tests.slots.bundles import ROOTS, Maker, first_slot, runs, small_installer

ROOT = Path(__file__).parents[2]

CHILD = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from agent.slots.bundle import Trust, read_roots
from agent.slots.guard import Slots
from tests.slots.bundles import small_installer
root, trusted, what, file, left = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], Path(sys.argv[5]), int(sys.argv[6])
def step(name):
    global left
    if left == 0:
        print(name, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
slots = Slots(root, step)
with slots.locked():
    if what == "install":
        small_installer(root, Trust(read_roots([trusted]), None), step).install(file)
    else:
        {"check": slots.check, "confirm": slots.confirm, "roll-back": slots.roll_back}[what]()
"""


def cut(slots: Slots, maker: Maker, what: str, file: Path, step: int) -> str | None:
    """Run a command and kill it before its step of that number. Return the step's name; None: it had fewer."""
    words = [sys.executable, "-c", CHILD, str(ROOT), str(slots.root), str(maker.place / ROOTS), what, str(file)]
    done = subprocess.run([*words, str(step)], check=False, capture_output=True, text=True, timeout=100)
    if done.returncode == 0:
        return None
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    return Maker(tmp_path_factory.mktemp("maker"))


def after_each_cut(maker: Maker, place: Path, what: str, prepare: str = "") -> Iterator[tuple[str, Slots]]:
    for number in range(100):
        root = place / str(number)
        root.mkdir()
        slots = first_slot(root)
        (slots.place("b") / "bin").mkdir(parents=True)
        (slots.place("b") / "bin" / "python").write_text("demo-0.1.whl")
        (slots.place("b") / "slot.json").write_text('{"version": "0.1", "bundle": "older"}')
        if prepare:
            small_installer(root, maker.trust).install(maker.bundle("1.1"))
        if prepare == "worn out":
            for _ in range(3):
                slots.check()
        name = cut(slots, maker, what, maker.bundle("1.1"), number)
        if name is None:
            assert number > 1
            return
        yield name, slots
    raise AssertionError("there is no end of steps")


@pytest.mark.process
def test_killed_at_each_step_of_an_installation(maker: Maker, tmp_path: Path) -> None:
    seen = []
    for name, slots in after_each_cut(maker, tmp_path, "install"):
        seen.append(name)
        # The old one until the link has moved, then the new one; never none, never half of one.
        assert runs(slots) == ("1.1" if name == "flush the link" else "1.0"), name
        slots.check()
        assert runs(slots) == ("1.1" if name == "flush the link" else "1.0"), name
        assert small_installer(slots.root, maker.trust).install(maker.bundle("1.1")) == 10
        slots.check()
        slots.confirm()
        assert runs(slots) == "1.1"
        assert not list(slots.root.glob(".evse-slots-*"))
    assert seen == [
        "open the bundle",
        "empty the slot",
        "delete the old version",
        "build",
        "probe",
        "flush the slot",
        "mark the slot",
        "rename slot.json",
        "note the new slot",
        "rename slots.json",
        "make the link",
        "move the link",
        "flush the link",
    ]


@pytest.mark.process
@pytest.mark.parametrize("what", ["roll-back", "check"])
def test_killed_at_each_step_of_the_way_back(maker: Maker, tmp_path: Path, what: str) -> None:
    noted = False
    for name, slots in after_each_cut(maker, tmp_path, what, "worn out"):
        assert runs(slots) in ("1.0", "1.1"), name
        said = slots.check()
        assert runs(slots) == "1.0", (name, said)
        assert (slots.taken_back() or {}).get("version") == "1.1"
        assert slots.pending() is None
        noted = noted or "move the link" in name
    assert noted


@pytest.mark.process
def test_killed_at_each_step_of_the_confirmation(maker: Maker, tmp_path: Path) -> None:
    for name, slots in after_each_cut(maker, tmp_path, "confirm", "installed"):
        assert runs(slots) == "1.1", name
        slots.check()
        slots.confirm()
        assert runs(slots) == "1.1"


class Cut(BaseException):
    """The power is gone."""


ORDERS = st.tuples(st.sampled_from(["install", "downgrade", "check", "confirm", "roll-back"]), st.integers(0, 16))


@settings(max_examples=60, deadline=None)
@given(orders=st.lists(ORDERS, max_size=12))
@example(orders=[("install", 11), ("roll-back", 2), ("install", 2), ("check", 2)])
def test_any_orders_in_any_order_with_cuts_anywhere(maker: Maker, orders: list[tuple[str, int]]) -> None:
    place = Path(tempfile.mkdtemp(dir=maker.place))
    try:
        slots = first_slot(place)
        for newest, (what, left) in enumerate(orders, 1):
            steps = iter(range(left))

            def step(_: str, steps: Iterator[int] = steps) -> None:
                if next(steps, None) is None:
                    raise Cut

            cutting = Slots(place, step)
            before = runs(slots)
            # An installation first ends a way back that a cut left half done.
            goal = slots._read_note().get("back_to")
            behind = (slots.about(goal) or {}).get("version") if goal else before
            version, down = (f"2.{newest}", False) if what == "install" else (f"0.{newest}", True)
            try:
                if what in ("install", "downgrade"):
                    installer = small_installer(place, maker.trust, step)
                    installer.install(maker.bundle(version, downgrade=down))
                else:
                    {"check": cutting.check, "confirm": cutting.confirm, "roll-back": cutting.roll_back}[what]()
            except (Cut, SlotError, BundleError):
                pass
            assert runs(slots) in (before, behind, version) or what in ("check", "roll-back")
        runs(slots)
        # From wherever that led, starts alone lead to a version that stays.
        for _ in range(6):
            slots.check()
        assert slots.pending() is None
        kept = runs(slots)
        assert small_installer(place, maker.trust).install(maker.bundle("9.0")) == 10
        slots.confirm()
        assert (kept, runs(slots)) == (kept, "9.0")
        assert all(slots.about(name) is not None for name in NAMES)
    finally:
        shutil.rmtree(place)
