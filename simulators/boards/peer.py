"""What pilot boards with a safety controller of their own have in common as they join the lab, on whatever wire."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from simulators.boards.board import AMBIENT_C
from simulators.boards.firmware import Firmware
from simulators.lab.kinds import LabPort, Site, Surroundings, Switch

HOT_C = 95.0
WARM_C = 70.0
OPEN_S = 0.5
"""From the board's decision to open contacts, with room for a machine that is busy."""
LOCK = {True: "locked", False: "unlocked", None: "moving"}


class FirmwareBoard(Protocol):
    temperature_c: tuple[float, float]

    @property
    def firmware(self) -> Firmware: ...
    @property
    def duty_pct(self) -> float: ...
    @property
    def running(self) -> bool: ...
    @property
    def resets(self) -> int: ...
    @property
    def frames_in(self) -> int: ...
    def step(self, now: float, around: Surroundings) -> bool: ...
    def power_down(self, now: float) -> None: ...


class FirmwarePeer:
    """The common part of a ``simulators.lab.kinds.BoardPeer``. A restart makes a new firmware: it is asked for anew."""

    def __init__(self, site: Site, port: LabPort, board: FirmwareBoard) -> None:
        self._name = f"board{site.number}"
        self._wake = site.wake
        self._port = port
        self._board = board
        self.faults: Mapping[str, Switch] = {**self._common_switches(), **self._own_switches()}

    @property
    def duty_pct(self) -> float:
        return self._board.duty_pct

    @property
    def poles(self) -> tuple[bool, bool, bool]:
        return self._board.firmware.contactor.poles

    def step(self, now: float, around: Surroundings) -> bool:
        return self._board.step(now, around)

    def power_down(self, now: float) -> None:
        self._board.power_down(now)

    def ports(self) -> Sequence[LabPort]:
        return [self._port]

    def state(self) -> dict[str, Any]:
        board, firmware = self._board, self._board.firmware
        return {
            "pilot_state": None if firmware.cp_state is None else firmware.cp_state.name,
            "closed": firmware.contactor.closed,
            "feedback": firmware.contactor.feedback,
            "coil": firmware.contactor.coil,
            "opened_because": firmware.reason,
            "lock": LOCK[firmware.lock.locked],
            "running": board.running,
            "host_alive": firmware.host_alive,
            "allowed": firmware.allowed,
            "resets": board.resets,
            "frames_in": board.frames_in,
        }

    def _put(self, part: Callable[[], object], attribute: str) -> Switch:
        """A switch that sets an attribute of what ``part`` gives then."""

        def switch(on: bool, _: float) -> None:
            setattr(part(), attribute, on)
            self._wake()

        return switch

    def _own_switches(self) -> Mapping[str, Switch]:
        """What can be broken at this board alone. Called at the end of ``__init__``."""
        return {}

    def _common_switches(self) -> dict[str, Switch]:
        board = self._board

        def warm(value_c: float) -> Switch:
            return lambda on, _: setattr(board, "temperature_c", (value_c if on else AMBIENT_C, AMBIENT_C))

        contactor = partial(self._put, lambda: board.firmware.contactor)
        ailments = partial(self._put, lambda: board.firmware.ailments)
        lock = partial(self._put, lambda: board.firmware.lock)
        return {
            "welded": contactor("welded"),
            "stuck-open": contactor("stuck_open"),
            "late-feedback": contactor("late_feedback"),
            "rcd": ailments("residual_current"),
            "rcd-self-test": ailments("self_test_broken"),
            "over-current": ailments("over_current"),
            "lock-lost": lock("feedback_lost"),
            "lock-stuck": lock("stuck"),
            "warm": warm(WARM_C),
            "over-temperature": warm(HOT_C),
            "temperature-sensor": warm(math.nan),
        }
