"""Watches a board that has safety logic of its own: does it live, was it reset, what does it report?"""

from __future__ import annotations

from agent.control.faults import Condition
from agent.control.inputs import EvseInputs
from agent.control.persistence import Persistence
from agent.control.settings import EvseSettings
from agent.control.timing import BOARD_SILENCE_S, UNHEALTHY_S
from agent.link.messages import FaultCode
from hal.values import BoardError

FLAGS = {
    BoardError.DIODE: FaultCode.DIODE,
    BoardError.RESIDUAL_SELF_TEST: FaultCode.RESIDUAL_SELF_TEST,
    BoardError.RESIDUAL_CURRENT: FaultCode.RESIDUAL_CURRENT,
    BoardError.VENTILATION: FaultCode.VENTILATION,
    BoardError.LOCK: FaultCode.LOCK,
    BoardError.PILOT: FaultCode.PILOT,
    BoardError.OVER_CURRENT: FaultCode.OVER_CURRENT,
}


class BoardWatch:
    """One EVSE's board. A port without own logic (no ``Board`` port) is judged by its readings alone."""

    __slots__ = ("_resets", "_settings", "_started_at", "_unhealthy", "alive")

    def __init__(self, settings: EvseSettings) -> None:
        self._settings = settings
        self._resets: int | None = None
        self._started_at: float | None = None
        self._unhealthy = Persistence()
        self.alive = False
        """Heard within the time that counts."""

    def update(self, inputs: EvseInputs, now: float) -> dict[FaultCode, Condition]:
        found: dict[FaultCode, Condition] = {}
        if self._started_at is None:
            self._started_at = now
        if inputs.trouble:
            self.alive = False
            found[FaultCode.BOARD_LOST] = Condition(inputs.trouble)
            return found
        if not self._settings.has_board:
            self.alive = True
            return found
        board = inputs.board
        last = self._started_at if board is None else board.at
        self.alive = board is not None and now - last < BOARD_SILENCE_S
        if not self.alive and now - last >= BOARD_SILENCE_S:
            why = f": {inputs.unhealthy}" if inputs.unhealthy else ""
            found[FaultCode.BOARD_LOST] = Condition(f"nothing heard from the board for {BOARD_SILENCE_S:.0f} s{why}")
        if board is None:
            return found
        if self._resets is not None and board.resets != self._resets:
            reason = board.last_reset_reason or "no reason given"
            found[FaultCode.BOARD_RESET] = Condition(f"the board was reset ({reason})")
        self._resets = board.resets
        mismatch = self._mismatch(inputs)
        if self._unhealthy.held(self.alive and bool(mismatch), now, UNHEALTHY_S):
            found[FaultCode.BOARD_MISMATCH] = Condition(mismatch)
        for flag in board.errors:
            found[FLAGS[flag]] = Condition("reported by the board")
        return found

    def _mismatch(self, inputs: EvseInputs) -> str:
        if inputs.unhealthy:
            return inputs.unhealthy
        can = inputs.board.capabilities if inputs.board is not None else None
        if can is None or not can.max_phases or can.max_phases >= self._settings.phases:
            return ""
        return f"the board switches {can.max_phases} phases, but {self._settings.phases} are configured"
