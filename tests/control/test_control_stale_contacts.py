"""What was once read of contacts says nothing when they can no longer be read: bare inputs have no life sign."""

from __future__ import annotations

from dataclasses import replace

from control_rig import SOCKET, START_S, Rig

from agent.control.timing import PORT_STALE_S
from hal.ports import PortKind
from hal.values import ContactorReading


def _look(rig: Rig, closed: bool, at: float, now: float) -> None:
    inputs = replace(rig.inputs(), contactor=ContactorReading(at, closed))
    rig.core.guards.update(inputs, rig.core.sequence, 0.0, float("-inf"), now)


def test_contacts_that_can_no_longer_be_read_are_neither_open_nor_closed() -> None:
    rig = Rig(SOCKET, unsupervised=frozenset({PortKind.CONTACTOR}))
    watch = rig.core.guards.contactor
    for closed in (False, True):
        _look(rig, closed, START_S, START_S + 0.1)
        assert (watch.known, watch.closed) == (True, closed)
        _look(rig, closed, START_S, START_S + PORT_STALE_S + 0.1)
        assert (watch.known, watch.closed) == (False, None)
        assert not watch.open_for_sure


def test_a_board_that_lives_vouches_for_what_it_told_once() -> None:
    rig = Rig(SOCKET)
    _look(rig, False, START_S, START_S + PORT_STALE_S + 0.1)
    assert rig.core.guards.contactor.open_for_sure
