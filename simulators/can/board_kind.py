"""The example CAN board as it joins the lab: behind an slcan adapter of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hal.drivers.can_board
from simulators.boards.board import AMBIENT_C
from simulators.boards.mcu_kinds import HOT_C, LOCK, OPEN_S, WARM_C
from simulators.can.adapter import SlcanPort
from simulators.can.board import HOST_SILENCE_S, CanBoard
from simulators.lab.kinds import BoardKind, FaultNote, LabPort, Site, Surroundings, Switch, take_options

BITRATE = 250_000
TABLE = Path(hal.drivers.can_board.__file__).parent / "example.can.json"


class CanBoardPeer:
    """``simulators.lab.kinds.BoardPeer``."""

    def __init__(self, site: Site) -> None:
        take_options(site, "can-board", {})
        self._name = f"board{site.number}"
        self._wake = site.wake
        self.port = SlcanPort(site.directory / self._name, BITRATE, self._hear, seed=site.number)
        self.board = CanBoard(self.port.send, site.log, site.now, ventilation=site.ventilation)
        self.board.max_a = site.max_current_a
        self.faults: Mapping[str, Switch] = self._switches()

    def _hear(self, number: int, extended: bool, data: bytes) -> None:
        if not extended:
            self.board.receive(number, data, time.monotonic())
            self._wake()

    @property
    def duty_pct(self) -> float:
        return self.board.duty_pct

    @property
    def poles(self) -> tuple[bool, bool, bool]:
        return self.board.firmware.contactor.poles

    def step(self, now: float, around: Surroundings) -> bool:
        return self.board.step(now, around)

    def power_up(self, now: float) -> None:
        self.board.restart("power", now)

    def power_down(self, now: float) -> None:
        self.board.power_down(now)

    def ports(self) -> Sequence[LabPort]:
        return [self.port]

    def devices(self) -> dict[str, Any]:
        bus = {"interface": "slcan", "channel": str(self.port.link), "bitrate": BITRATE}
        return {self._name: {"driver": "can-board", **bus, "table": str(TABLE)}}

    def references(self) -> dict[str, Any]:
        return {"board": self._name, "meter": self._name}

    def state(self) -> dict[str, Any]:
        firmware = self.board.firmware
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
        }

    def _switches(self) -> dict[str, Switch]:
        board, port = self.board, self.port

        def put(part: Callable[[], object], attribute: str) -> Switch:
            def switch(on: bool, _: float) -> None:
                setattr(part(), attribute, on)
                self._wake()

            return switch

        def warm(value_c: float) -> Switch:
            return lambda on, _: setattr(board, "temperature_c", (value_c if on else AMBIENT_C, AMBIENT_C))

        return {
            **{name: put(lambda: board.firmware.contactor, name.replace("-", "_")) for name in _CONTACTOR},
            "rcd": put(lambda: board.firmware.ailments, "residual_current"),
            "rcd-self-test": put(lambda: board.firmware.ailments, "self_test_broken"),
            "over-current": put(lambda: board.firmware.ailments, "over_current"),
            "lock-lost": put(lambda: board.firmware.lock, "feedback_lost"),
            "lock-stuck": put(lambda: board.firmware.lock, "stuck"),
            "warm": warm(WARM_C),
            "over-temperature": warm(HOT_C),
            "temperature-sensor": warm(math.nan),
            "emergency-stop": put(lambda: board, "emergency_stop"),
            "enclosure": put(lambda: board, "enclosure_open"),
            "board-mute": put(lambda: board.wire_faults, "mute"),
            "board-deaf": put(lambda: board.wire_faults, "deaf"),
            "board-protocol": put(lambda: board.wire_faults, "foreign_protocol"),
            "board-checksum": put(lambda: board.wire_faults, "bad_checksum"),
            "board-hung": put(lambda: board.wire_faults, "counter_frozen"),
            "board-no-values": put(lambda: board.wire_faults, "unknown_values"),
            "board-reset": self._reset,
            **bus_faults(port),
        }

    def _reset(self, on: bool, now: float) -> None:
        if on:
            self.board.restart("watchdog", now)


_CONTACTOR = ("welded", "stuck-open", "late-feedback")


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
