"""A configuration on trial, in virtual time: kept when what worked works again, taken back when not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.proving import MAX_STARTS, Action, Ended, Facts, Keep, Phase, Proving, RestartControl, Restore, Trial

TRIAL = Trial(7, "old", "new", 300.0, needs_uplink=True, needs_control=True)
WELL = Facts(True, "c1", False, True)


@dataclass
class World:
    """Disk, agent and control, as far as a trial sees them."""

    disk: str = "old"
    kept: Any = None
    now: float = 0.0
    facts: Facts = WELL
    ended: list[Ended] = field(default_factory=list)
    asked_control: int = 0
    proving: Proving = field(default_factory=Proving)

    def do(self, actions: list[Action], cut_after: int | None = None) -> bool:
        """Carry out. True when the agent starts anew. ``cut_after``: so many actions reach the disk."""
        for number, action in enumerate(actions):
            if cut_after is not None and number >= cut_after:
                return True
            match action:
                case Keep(document):
                    self.kept = document
                case Restore(number):
                    assert number == 7
                    self.disk = "old"
                    return True
                case RestartControl():
                    self.asked_control += 1
                case Ended():
                    self.ended.append(action)
        return False

    def start(self) -> None:
        self.proving = Proving()
        while self.do(self.proving.recovered(self.kept, self.disk, self.now)):
            self.proving = Proving()

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while (wake := self.proving.wake()) is not None and wake <= end:
            self.now = max(self.now, wake)
            if self.do(self.proving.step(self.facts, self.now)):
                self.start()
        self.now = end

    def apply(self, trial: Trial = TRIAL) -> None:
        self.do(self.proving.begin(trial))
        assert self.proving.wake() is None  # the agent that is about to leave judges nothing
        self.disk = "new"
        self.start()


def test_it_is_kept_when_the_uplink_is_back():
    world = World(facts=replace(WELL, uplink=False))
    world.apply()
    world.run(200)
    assert world.ended == []
    world.facts = WELL
    world.run(10)
    assert world.ended == [Ended(7, True, "")]
    assert (world.disk, world.kept) == ("new", None)


def test_it_is_taken_back_when_the_uplink_is_not():
    world = World(facts=replace(WELL, uplink=False))
    world.apply()
    world.run(299)
    assert world.disk == "new"
    world.run(20)
    assert world.disk == "old"
    assert world.ended == [Ended(7, False, "the network did not accept the charge point within 300 s")]
    assert world.kept is None


@pytest.mark.parametrize("confirmed", [False, True])
def test_a_vehicle_that_charges_is_not_disturbed_unless_confirmed(confirmed):
    world = World(facts=replace(WELL, uplink=False, in_session=True, idle=False))
    world.apply(replace(TRIAL, in_session=confirmed))
    world.run(1000)
    assert world.disk == ("old" if confirmed else "new")
    world.facts = replace(WELL, uplink=False)
    world.run(10)
    assert world.disk == "old"


def test_what_did_not_work_before_is_not_waited_for():
    world = World(facts=Facts(False, "", False, True))
    world.apply(replace(TRIAL, needs_uplink=False, needs_control=False))
    world.run(10)
    assert world.ended == [Ended(7, True, "")]


def test_control_is_asked_to_start_anew_while_idle_until_it_did():
    world = World(facts=replace(WELL, idle=False))
    world.apply(replace(TRIAL, control="c1"))
    world.run(60)
    assert world.asked_control == 0
    world.facts = WELL
    world.run(10)
    assert world.asked_control >= 1
    world.facts = replace(WELL, control="c2")
    world.run(10)
    assert world.ended == [Ended(7, True, "")]


def test_when_control_does_not_take_it_the_old_file_is_read_by_both():
    world = World(facts=replace(WELL, control=""))
    world.apply(replace(TRIAL, control="c1"))
    world.run(330)
    assert world.disk == "old"
    world.facts = replace(WELL, control="c3")  # it came back by itself
    world.run(30)
    assert world.ended == [Ended(7, False, "control did not come back within 300 s")]


def test_an_agent_that_does_not_stay_up_takes_it_back():
    world = World(facts=replace(WELL, uplink=False))
    world.apply()
    for _ in range(MAX_STARTS):
        world.start()
    world.run(10)
    assert world.disk == "old"
    assert "times" in world.ended[0].why


def test_power_cuts_in_between():
    world = World()
    world.do(Proving().begin(TRIAL))
    world.start()  # before the file was replaced
    assert world.ended == [Ended(7, False, "power went before the file was replaced")]
    world = World(facts=replace(WELL, uplink=False), disk="new")
    world.kept = replace(TRIAL, phase=Phase.RESTORING, why="so").document()
    world.start()  # before the old file was back
    assert world.disk == "old"
    world.run(10)
    assert world.ended == [Ended(7, False, "so")]


def test_a_file_changed_by_hand_ends_the_trial():
    world = World(disk="third", kept=TRIAL.document())
    world.start()
    assert world.kept is None
    assert world.ended[0].kept


@pytest.mark.parametrize("document", [{}, [], "x", {"phase": "proving"}, {**TRIAL.document(), "phase": "?"}])
def test_a_damaged_document_is_dropped(document):
    world = World(kept=document)
    world.start()
    assert world.kept is None


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from(["", "c1", "c2"]), st.booleans(), st.floats(0, 200))),
    st.lists(st.integers(0, 12), max_size=4),
    st.booleans(),
)
def test_whatever_happens_one_file_wins_and_never_the_wrong_one(weather, cuts, with_control):
    world = World()
    world.apply(replace(TRIAL, control="c1" if with_control else ""))
    for number, (uplink, control, in_session, seconds) in enumerate(weather):
        before = world.disk
        world.facts = Facts(uplink, control, in_session, not in_session)
        world.run(seconds)
        if in_session:
            assert world.disk == before  # nothing moves under a vehicle
        if number in cuts:
            world.start()
    world.facts = replace(WELL, control="c3")
    world.run(400)
    assert world.kept is None
    assert len(world.ended) == 1
    assert world.disk == ("new" if world.ended[0].kept else "old")
