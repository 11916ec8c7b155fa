"""The Yeti and the TIDA-010939 as they join the lab: a board behind a serial node of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from hal.drivers.mcu_board.messages import ErrorFlags, ResetReason, Variant
from simulators.boards.board import Board
from simulators.boards.firmware import HOST_SILENCE_S
from simulators.boards.peer import OPEN_S, FirmwarePeer
from simulators.lab.kinds import BoardKind, FaultNote, Site, Switch, take_options
from simulators.pty_port import PtyPort


class McuBoardPeer(FirmwarePeer):
    """``simulators.lab.kinds.BoardPeer``."""

    def __init__(self, variant: Variant, site: Site) -> None:
        take_options(site, variant.value, {})
        self._variant = variant
        self.port = PtyPort(site.directory / f"board{site.number}", self._hear, seed=site.number)
        self.board = Board(variant, self.port.write, site.log, site.now, ventilation=site.ventilation, seed=site.number)
        self.board.hardware_max_a = site.max_current_a
        self.board.phases = site.phases
        super().__init__(site, self.port, self.board)

    def _hear(self, data: bytes) -> None:
        self.board.receive(data, time.monotonic())
        self._wake()  # a new pilot or a withdrawn permission acts at once

    def power_up(self, now: float) -> None:
        self.board.power_up(now)

    def devices(self) -> dict[str, Any]:
        return {self._name: {"driver": "mcu-board", "port": str(self.port.link), "variant": self._variant.value}}

    def references(self) -> dict[str, Any]:
        own_meter = {"meter": self._name} if self._variant is Variant.YETI else {}
        return {"board": self._name, **own_meter}

    def state(self) -> dict[str, Any]:
        errors = self.board.firmware.errors
        return {
            **super().state(),
            "errors": [name for name in ErrorFlags.__dataclass_fields__ if getattr(errors, name)],
        }

    def _own_switches(self) -> Mapping[str, Switch]:
        wire = partial(self._put, lambda: self.board.wire_faults)
        return {
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
