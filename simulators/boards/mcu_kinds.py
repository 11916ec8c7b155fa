"""The Yeti and the TIDA-010939 as they join the lab: a board behind a serial node of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from hal.drivers.mcu_board.messages import ErrorFlags, ResetReason, Variant
from simulators.boards.board import AMBIENT_C, Board
from simulators.boards.firmware import HOST_SILENCE_S
from simulators.lab.kinds import BoardKind, FaultNote, LabPort, Site, Surroundings, Switch, take_options
from simulators.pty_port import PtyPort

HOT_C = 95.0
WARM_C = 70.0
OPEN_S = 0.5
"""From the board's decision to open contacts, with room for a machine that is busy."""
LOCK = {True: "locked", False: "unlocked", None: "moving"}


class McuBoardPeer:
    """``simulators.lab.kinds.BoardPeer``."""

    def __init__(self, variant: Variant, site: Site) -> None:
        take_options(site, variant.value, {})
        self._variant = variant
        self._name = f"board{site.number}"
        self._wake = site.wake
        self.port = PtyPort(site.directory / self._name, self._hear, seed=site.number)
        self.board = Board(variant, self.port.write, site.log, site.now, ventilation=site.ventilation, seed=site.number)
        self.board.hardware_max_a = site.max_current_a
        self.board.phases = site.phases
        self.faults: Mapping[str, Switch] = self._switches()

    def _hear(self, data: bytes) -> None:
        self.board.receive(data, time.monotonic())
        self._wake()  # a new pilot or a withdrawn permission acts at once

    @property
    def duty_pct(self) -> float:
        return self.board.duty_pct

    @property
    def poles(self) -> tuple[bool, bool, bool]:
        return self.board.firmware.contactor.poles

    def step(self, now: float, around: Surroundings) -> bool:
        return self.board.step(now, around)

    def power_up(self, now: float) -> None:
        self.board.power_up(now)

    def power_down(self, now: float) -> None:
        self.board.power_down(now)

    def ports(self) -> Sequence[LabPort]:
        return [self.port]

    def devices(self) -> dict[str, Any]:
        return {self._name: {"driver": "mcu-board", "port": str(self.port.link), "variant": self._variant.value}}

    def references(self) -> dict[str, Any]:
        own_meter = {"meter": self._name} if self._variant is Variant.YETI else {}
        return {"board": self._name, **own_meter}

    def state(self) -> dict[str, Any]:
        firmware, errors = self.board.firmware, self.board.firmware.errors
        return {
            "pilot_state": None if firmware.cp_state is None else firmware.cp_state.name,
            "closed": firmware.contactor.closed,
            "feedback": firmware.contactor.feedback,
            "coil": firmware.contactor.coil,
            "opened_because": firmware.reason,
            "lock": LOCK[firmware.lock.locked],
            "running": self.board.running,
            "host_alive": firmware.host_alive,
            "allowed": firmware.allowed,
            "resets": self.board.resets,
            "frames_in": self.board.frames_in,
            "errors": [name for name in ErrorFlags.__dataclass_fields__ if getattr(errors, name)],
        }

    def _switches(self) -> dict[str, Switch]:
        board = self.board

        def put(part: Callable[[], object], attribute: str) -> Switch:
            return lambda on, _: setattr(part(), attribute, on)

        def warm(value_c: float) -> Switch:
            return lambda on, _: setattr(board, "temperature_c", (value_c if on else AMBIENT_C, AMBIENT_C))

        contactor = partial(put, lambda: board.firmware.contactor)
        ailments = partial(put, lambda: board.ailments)
        lock = partial(put, lambda: board.firmware.lock)
        wire = partial(put, lambda: board.wire_faults)
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
            "board-mute": wire("mute"),
            "board-deaf": wire("deaf"),
            "board-garbage": wire("garbage"),
            "board-half-frames": wire("half_frames"),
            "board-echo": wire("echo"),
            "board-protocol": wire("foreign_protocol"),
            "board-reset": self._reset,
        }

    def _reset(self, on: bool, now: float) -> None:
        if on:
            self.board.restart(ResetReason.WATCHDOG, now)


_NOTES = {"board-protocol": FaultNote("the board reports protocol version 99")}

YETI = BoardKind(
    "yeti",
    "pilot board on a serial line, measures by itself (EVerest Yeti protocol)",
    partial(McuBoardPeer, Variant.YETI),
    notes=_NOTES,
    opens_within_s=HOST_SILENCE_S + OPEN_S,
    measures=True,
)
TIDA = BoardKind(
    "tida",
    "pilot board on a serial line with temperature sensors (TIDA-010939 protocol)",
    partial(McuBoardPeer, Variant.TIDA),
    notes=_NOTES,
    opens_within_s=HOST_SILENCE_S + OPEN_S,
)
