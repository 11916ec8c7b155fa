"""What a board tells of cable and pilot, and what it means that it does not tell."""

from __future__ import annotations

import pytest

from agent.control.board_watch import BoardWatch
from agent.control.cable import CableWatch
from agent.control.guards import Guards
from agent.control.inputs import EvseInputs
from agent.control.sequence import Pilot, Sequence
from agent.control.settings import EvseSettings
from agent.control.timing import CABLE_FAULT_S, CABLE_MISSING_S, PILOT_FAULT_S
from agent.link.messages import FaultCode
from hal.ports import PortKind
from hal.values import BoardReading, Cable, PilotReading, PilotState, ProximityReading

PORTS = frozenset({PortKind.PROXIMITY_PILOT, PortKind.BOARD})
SOCKET = EvseSettings(1, 32.0, 3, socket=True, has_lock=True, ports=PORTS)
SOON, LATE = CABLE_FAULT_S + 0.1, CABLE_MISSING_S + 0.1


@pytest.mark.parametrize(
    ("told", "alive", "plugged", "after_s", "fault"),
    [
        (Cable.A32, True, True, LATE, ""),
        (Cable.A20, True, True, SOON, "proximity coding went from A32 to A20"),
        (Cable.NONE, True, True, SOON, "proximity coding went from A32 to NONE"),
        (Cable.FAULT, True, False, SOON, "proximity coding went from A32 to FAULT"),
        (None, True, True, SOON, ""),
        (None, True, True, LATE, "a vehicle is plugged in, but the proximity coding is unknown"),
        (None, False, True, LATE, ""),
        (None, False, False, LATE, ""),
        (Cable.NONE, False, True, SOON, "proximity coding went from A32 to NONE"),
    ],
)
def test_a_coding_in_mid_session(told: Cable | None, alive: bool, plugged: bool, after_s: float, fault: str) -> None:
    watch = CableWatch(SOCKET)
    assert watch.update(ProximityReading(0.0, Cable.A32), True, False, True, 0.0) is None
    for now in (1.0, 1.0 + after_s):
        reading = None if told is None else ProximityReading(now, told)
        found = watch.update(reading, plugged, False, True, now, alive=alive)
    assert (found.detail if found else "") == fault
    assert told is Cable.A32 or told is Cable.A20 or watch.limit_a() == 0.0


def test_the_same_cable_after_a_silence_is_no_fault() -> None:
    watch = CableWatch(SOCKET)
    for now, reading, alive in (
        (0.0, Cable.A32, True),
        (1.0, None, False),
        (60.0, None, False),
        (61.0, Cable.A32, True),
    ):
        told = None if reading is None else ProximityReading(now, reading)
        assert watch.update(told, alive, False, alive, now, alive=alive) is None
    assert watch.limit_a() == 32.0


def test_a_silence_is_told_for_what_it_is() -> None:
    """A driver that withdraws its board after a second of silence has not waited for five."""
    watch = BoardWatch(SOCKET)
    assert FaultCode.BOARD_LOST not in watch.update(EvseInputs(board=BoardReading(100.0)), 100.0)
    lost = watch.update(EvseInputs(), 101.0)[FaultCode.BOARD_LOST]
    assert lost.detail == "the board is no longer heard"
    assert not watch.alive
    never = BoardWatch(SOCKET)
    assert FaultCode.BOARD_LOST not in never.update(EvseInputs(), 100.0)
    assert never.update(EvseInputs(), 105.0)[FaultCode.BOARD_LOST].detail == "nothing heard from the board for 5 s"


def test_a_board_first_heard_at_f_has_a_moment_to_leave_it() -> None:
    """It shows F until it has been commanded, which it was not before it was heard."""
    guards, sequence = Guards(SOCKET, 0.0), Sequence(0.0)
    sequence.pilot = Pilot.X1

    def look(now: float, heard: bool) -> bool:
        inputs = EvseInputs()
        if heard:
            inputs = EvseInputs(pilot=PilotReading(now, PilotState.F), board=BoardReading(now))
        return FaultCode.PILOT in guards.update(inputs, sequence, 0.0, 0.0, now)

    for silent, heard in ((1.0, 5.0), (20.0, 30.0)):
        look(silent, heard=False)
        told = [look(heard + step / 10, heard=True) for step in range(20)]
        assert told[0] is False
        assert told.index(True) * 0.1 == pytest.approx(PILOT_FAULT_S, abs=0.11)
