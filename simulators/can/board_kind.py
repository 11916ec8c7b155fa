"""The example CAN board as it joins the lab: behind an slcan adapter of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import hal.drivers.can_board
from simulators.boards.peer import OPEN_S, FirmwarePeer
from simulators.can.adapter import SlcanPort
from simulators.can.board import HOST_SILENCE_S, CanBoard
from simulators.lab.kinds import BoardKind, FaultNote, Site, Switch, take_options

BITRATE = 250_000
TABLE = Path(hal.drivers.can_board.__file__).parent / "example.can.json"


class CanBoardPeer(FirmwarePeer):
    """``simulators.lab.kinds.BoardPeer``."""

    def __init__(self, site: Site) -> None:
        take_options(site, "can-board", {})
        self.port = SlcanPort(site.directory / f"board{site.number}", BITRATE, self._hear, seed=site.number)
        self.board = CanBoard(self.port.send, site.log, site.now, ventilation=site.ventilation)
        self.board.max_a = site.max_current_a
        super().__init__(site, self.port, self.board)

    def _hear(self, number: int, extended: bool, data: bytes) -> None:
        if not extended:
            self.board.receive(number, data, time.monotonic())
            self._wake()

    def power_up(self, now: float) -> None:
        self.board.restart("power", now)

    def devices(self) -> dict[str, Any]:
        bus = {"interface": "slcan", "channel": str(self.port.link), "bitrate": BITRATE}
        return {self._name: {"driver": "can-board", **bus, "table": str(TABLE)}}

    def references(self) -> dict[str, Any]:
        return {"board": self._name, "meter": self._name}

    def _own_switches(self) -> Mapping[str, Switch]:
        board = partial(self._put, lambda: self.board)
        wire = partial(self._put, lambda: self.board.wire_faults)
        return {
            "emergency-stop": board("emergency_stop"),
            "enclosure": board("enclosure_open"),
            "board-mute": wire("mute"),
            "board-deaf": wire("deaf"),
            "board-protocol": wire("foreign_protocol"),
            "board-checksum": wire("bad_checksum"),
            "board-hung": wire("counter_frozen"),
            "board-no-values": wire("unknown_values"),
            "board-reset": self._reset,
            **bus_faults(self.port),
        }

    def _reset(self, on: bool, now: float) -> None:
        if on:
            self.board.restart("watchdog", now)


def bus_faults(port: SlcanPort) -> dict[str, Switch]:
    """What can be wrong with any bus behind an adapter."""

    def put(attribute: str) -> Switch:
        return lambda on, _: setattr(port, attribute, on)

    return {
        "board-garbage": put("garbage"),
        "board-half-frames": put("half_frames"),
        "board-echo": put("echo"),
        "bus-off": put("bus_off"),
        "bus-passive": put("passive"),
    }


BUS_NOTES: Mapping[str, FaultNote] = {
    "bus-off": FaultNote("the CAN controller has left the bus after too many errors"),
    "bus-passive": FaultNote("the CAN controller is error-passive"),
}
CAN_BOARD = BoardKind(
    "can-board",
    "pilot board on CAN as the example DBC file describes it, measures by itself",
    CanBoardPeer,
    notes={
        **BUS_NOTES,
        "board-protocol": FaultNote("the board reports protocol version 99"),
        "board-checksum": FaultNote("the checksums of the board's messages are wrong"),
        "board-hung": FaultNote("the board sends on, but its counters stand still"),
        "board-no-values": FaultNote("the board tells of everything it measures that it has no value"),
    },
    opens_within_s=HOST_SILENCE_S + OPEN_S,
    measures=True,
)
