"""Watches the devices that an EVSE's safety hangs on: do they live, were they reset, what do they report?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.control.faults import Condition
from agent.control.inputs import EvseInputs
from agent.control.persistence import Persistence
from agent.control.settings import EvseSettings
from agent.control.timing import BOARD_SILENCE_S, PORT_STALE_S, UNHEALTHY_S
from agent.link.messages import FaultCode
from hal.ports import PortKind
from hal.values import BoardError, BoardReading

FLAGS = {
    BoardError.DIODE: FaultCode.DIODE,
    BoardError.RESIDUAL_SELF_TEST: FaultCode.RESIDUAL_SELF_TEST,
    BoardError.RESIDUAL_CURRENT: FaultCode.RESIDUAL_CURRENT,
    BoardError.VENTILATION: FaultCode.VENTILATION,
    BoardError.LOCK: FaultCode.LOCK,
    BoardError.PILOT: FaultCode.PILOT,
    BoardError.OVER_CURRENT: FaultCode.OVER_CURRENT,
    BoardError.GROUND: FaultCode.PROTECTIVE_EARTH,
    BoardError.CONTACTOR_WELDED: FaultCode.CONTACTOR_WELDED,
    BoardError.CONTACTOR_STUCK_OPEN: FaultCode.CONTACTOR_STUCK_OPEN,
    BoardError.TEMPERATURE: FaultCode.TEMPERATURE,
    BoardError.CABLE: FaultCode.CABLE,
    BoardError.SUPPLY: FaultCode.SUPPLY_VOLTAGE,
    BoardError.INTERNAL: FaultCode.BOARD_FAULT,
}


_READINGS: Mapping[PortKind, Callable[[EvseInputs], Any]] = {
    PortKind.CONTROL_PILOT: lambda inputs: inputs.pilot,
    PortKind.CONTACTOR: lambda inputs: inputs.contactor,
    PortKind.PROXIMITY_PILOT: lambda inputs: inputs.proximity,
    PortKind.CABLE_LOCK: lambda inputs: inputs.lock,
    PortKind.RESIDUAL_CURRENT_MONITOR: lambda inputs: inputs.residual_current,
    PortKind.EMERGENCY_STOP: lambda inputs: inputs.emergency_stop,
    PortKind.ENCLOSURE: lambda inputs: inputs.enclosure,
}


class _Life:
    """What is remembered of one board."""

    __slots__ = ("resets",)

    def __init__(self) -> None:
        self.resets: int | None = None


class BoardWatch:
    """Every device that an EVSE's safety hangs on. A board is judged by its life sign; a device that has none (bare
    inputs and outputs) by its own health and by the age of each of its readings."""

    __slots__ = ("_lives", "_settings", "_started_at", "_unhealthy", "_unhealthy_device", "alive")

    def __init__(self, settings: EvseSettings) -> None:
        self._settings = settings
        self._lives: dict[int, _Life] = {}
        self._started_at: float | None = None
        self._unhealthy = Persistence()
        self._unhealthy_device = Persistence()
        self.alive = False
        """All boards were heard within the time that counts, and no safety device's driver has failed."""

    def update(self, inputs: EvseInputs, now: float) -> dict[FaultCode, Condition]:
        found: dict[FaultCode, Condition] = {}
        if self._started_at is None:
            self._started_at = now
        if inputs.trouble:
            self.alive = False
            found[FaultCode.BOARD_LOST] = Condition(inputs.trouble)
            return found
        self._judge_devices(inputs, found, now)
        if not self._settings.has_board:
            self.alive = True
            return found
        self.alive = True
        for index, board in enumerate((inputs.board, *inputs.further_boards)):
            self._judge_board(self._lives.setdefault(index, _Life()), board, inputs.unhealthy, found, now)
        mismatch = self._mismatch(inputs)
        if self._unhealthy.held(self.alive and bool(mismatch), now, UNHEALTHY_S):
            found[FaultCode.BOARD_MISMATCH] = Condition(mismatch)
        return found

    def _judge_board(
        self, life: _Life, board: BoardReading | None, unhealthy: str, found: dict[FaultCode, Condition], now: float
    ) -> None:
        assert self._started_at is not None
        last = self._started_at if board is None else board.at
        if board is None or now - last >= BOARD_SILENCE_S:
            self.alive = False
        why = f": {unhealthy}" if unhealthy else ""
        if board is None and life.resets is not None:  # its driver has given it up
            found[FaultCode.BOARD_LOST] = Condition(f"the board is no longer heard{why}")
        elif now - last >= BOARD_SILENCE_S:
            found[FaultCode.BOARD_LOST] = Condition(f"nothing heard from the board for {BOARD_SILENCE_S:.0f} s{why}")
        if board is None:
            return
        if life.resets is not None and board.resets != life.resets:
            reason = board.last_reset_reason or "no reason given"
            found[FaultCode.BOARD_RESET] = Condition(f"the board was reset ({reason})")
        life.resets = board.resets
        for flag in board.errors:
            found[FLAGS[flag]] = Condition("reported by the board")

    def _judge_devices(self, inputs: EvseInputs, found: dict[FaultCode, Condition], now: float) -> None:
        if self._unhealthy_device.held(bool(inputs.unhealthy_device), now, UNHEALTHY_S):
            found[FaultCode.BOARD_LOST] = Condition(inputs.unhealthy_device)
        for kind in self._settings.unsupervised:
            reading = _READINGS[kind](inputs)
            if reading is not None and now - reading.at > PORT_STALE_S:
                name = kind.value.replace("_", " ")
                found[FaultCode.BOARD_LOST] = Condition(f"the {name} is no longer read")

    def _mismatch(self, inputs: EvseInputs) -> str:
        if inputs.unhealthy:
            return inputs.unhealthy
        for board in inputs.boards:
            most = board.capabilities.max_phases
            if most and most < self._settings.phases:
                return f"the board switches {most} phases, but {self._settings.phases} are configured"
        return ""
