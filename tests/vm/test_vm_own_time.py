"""Patience with an emulated machine counts its own time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vm.image import Image
from tests.vm.installed import Installed
from tests.vm.machine import Machine, Setup
from tests.vm.own_time import OwnTime, waited_s

ONE, OTHER = Path("/proc/1"), Path("/proc/2")


class _World:
    def __init__(self) -> None:
        self.at_s, self.waited_s, self.process = 100.0, 0.0, ONE
        self.time = OwnTime(lambda: self.process, lambda: self.at_s, lambda _: self.waited_s)

    def after(self, seconds: float, waited: float = 0.0) -> float:
        self.at_s += seconds
        self.waited_s += waited
        return self.time.now_s()


def test_an_undisturbed_machine_lives_by_the_clock() -> None:
    assert _World().after(5.0) == 5.0


def test_seconds_in_the_run_queue_do_not_count() -> None:
    world = _World()
    assert world.after(10.0, waited=9.0) == 1.0
    assert world.after(1.0) == 2.0


def test_another_machine_begins_its_own_count() -> None:
    world = _World()
    assert world.after(10.0, waited=8.0) == 2.0
    world.process, world.waited_s = OTHER, 0.0
    assert world.after(3.0, waited=1.0) == 4.0


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 200), st.booleans()), max_size=20))
def test_it_never_goes_back_and_never_runs_ahead(steps: list[tuple[float, float, bool]]) -> None:
    world, before = _World(), 0.0
    for seconds, waited, change in steps:
        if change:
            world.process = OTHER if world.process == ONE else ONE
            world.waited_s = 0.0
        now = world.after(seconds, waited)
        assert before <= now <= before + seconds + 1e-6
        before = now


def test_the_thread_that_waited_longest_counts(tmp_path: Path) -> None:
    for name, text in (("1", "5 2000000000 7"), ("2", "9 3500000000 1"), ("3", "nonsense")):
        (tmp_path / "task" / name).mkdir(parents=True)
        (tmp_path / "task" / name / "schedstat").write_text(text)
    assert waited_s(tmp_path) == 3.5
    assert waited_s(tmp_path / "gone") == 0.0


def _machine(tmp_path: Path, now_s: list[float]) -> Machine:
    nothing = tmp_path / "nothing"
    machine = Machine(Setup(Image(nothing, nothing, nothing, "", Installed(nothing)), nothing), tmp_path)
    machine.own_time = OwnTime(lambda: None, lambda: now_s[0])
    return machine


def test_patience_lasts_while_the_machine_does_not_get_on(tmp_path: Path) -> None:
    now_s = [100.0]
    machine = _machine(tmp_path, now_s)

    async def standing() -> None:
        async with machine.patience(0.01):
            await asyncio.sleep(0.2)

    async def going_on() -> None:
        async with machine.patience(0.01):
            now_s[0] += 1.0
            await asyncio.Event().wait()

    asyncio.run(standing())
    with pytest.raises(TimeoutError):
        asyncio.run(going_on())
