"""A pilot board on a serial line with a contactor, an emergency stop and a cover switch on a CANopen module.

The pilot board is a Yeti whose relay output is wired in parallel to the module's: nobody should use it, and whoever
does closes the contactor. The emergency stop cuts the coil's circuit, as the wiring of such a charger must have it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from hal.drivers.mcu_board.messages import Variant
from simulators.boards.contactor import Contactor
from simulators.boards.mcu_kinds import McuBoardPeer
from simulators.can.adapter import SlcanPort
from simulators.can.board_kind import BUS_NOTES, bus_faults
from simulators.can.io_node import IoNode
from simulators.lab.kinds import BoardKind, FaultNote, LabPort, Site, Surroundings, Switch, take_options

BITRATE, NODE, HOST_NODE = 125_000, 5, 127
COIL = 0
MIRROR, STOP, COVER = 0, 1, 2
TIMEOUT_S = 0.5
OPEN_S = 0.5


class CanopenIoPeer:
    """``simulators.lab.kinds.BoardPeer``."""

    def __init__(self, site: Site) -> None:
        take_options(site, "canopen-io", {})
        self._pilot = McuBoardPeer(Variant.YETI, site)
        self._name = f"io{site.number}"
        self._wake = site.wake
        self._log = site.log
        self.port = SlcanPort(site.directory / self._name, BITRATE, self._hear, seed=300 + site.number)
        self.node = IoNode(NODE, self.port.send, site.log, site.now)
        self.contactor = Contactor()
        self.emergency_stop = False
        self.cover_open = False
        self.opened_because = ""
        self.faults: Mapping[str, Switch] = self._switches()

    def _hear(self, number: int, extended: bool, data: bytes) -> None:
        if not extended:
            self.node.receive(number, data, time.monotonic())
            self._wake()

    @property
    def duty_pct(self) -> float:
        return self._pilot.duty_pct

    @property
    def poles(self) -> tuple[bool, bool, bool]:
        return self.contactor.poles

    def step(self, now: float, around: Surroundings) -> bool:
        busy = self._pilot.step(now, around)
        self._move(now)
        moving = self.contactor.step(now)
        mirror = not self.contactor.feedback
        # The stop and the cover are normally closed: a broken wire is pressed, is open.
        self.node.inputs = mirror << MIRROR | (not self.emergency_stop) << STOP | (not self.cover_open) << COVER
        alive = self.node.step(now)
        self._move(now)
        return busy or moving or alive

    def _move(self, now: float) -> None:
        driven = bool(self.node.outputs >> COIL & 1) or self._pilot.board.firmware.contactor.closed
        coil = driven and not self.emergency_stop
        if coil != self.contactor.coil:
            self.opened_because = "" if coil else "emergency stop" if driven else "output off"
            self.contactor.energise(coil, now)
            self._log.add("coil_on" if coil else "coil_off", reason=self.opened_because)

    def power_up(self, now: float) -> None:
        self._pilot.power_up(now)
        self.node.restart("power", now)

    def power_down(self, now: float) -> None:
        self._pilot.power_down(now)
        self.node.power_down()
        self._move(now)
        self.contactor.step(now)

    def ports(self) -> Sequence[LabPort]:
        return [*self._pilot.ports(), self.port]

    def devices(self) -> dict[str, Any]:
        io = {
            "driver": "canopen-io",
            "interface": "slcan",
            "channel": str(self.port.link),
            "bitrate": BITRATE,
            "node": NODE,
            "host_node": HOST_NODE,
            "timeout_ms": TIMEOUT_S * 1000,
            "inverted_inputs": [STOP, COVER],
            "contactors": [{"name": "contactor", "coil": COIL, "mirror": MIRROR}],
            "emergency_stops": [{"name": "stop", "input": STOP}],
            "enclosures": [{"name": "housing", "open": COVER}],
        }
        return {**self._pilot.devices(), self._name: io}

    def references(self) -> dict[str, Any]:
        return {
            "board": self._pilot.references()["board"],
            "contactor": f"{self._name}.contactor",
            "emergency_stop": f"{self._name}.stop",
            "enclosure": f"{self._name}.housing",
        }

    def state(self) -> dict[str, Any]:
        return {
            **self._pilot.state(),
            "closed": self.contactor.closed,
            "feedback": self.contactor.feedback,
            "coil": self.contactor.coil,
            "opened_because": self.opened_because,
            "node_running": self.node.running,
            "node_operational": self.node.operational,
        }

    def _switches(self) -> dict[str, Switch]:
        def put(part: object, attribute: str) -> Switch:
            def switch(on: bool, _: float) -> None:
                setattr(part, attribute, on)
                self._wake()

            return switch

        own = {name: switch for name, switch in self._pilot.faults.items() if name not in _OF_THE_BOARDS_CONTACTOR}
        wire = {name.replace("board-", "io-"): switch for name, switch in bus_faults(self.port).items()}
        return {
            **own,
            **wire,
            "welded": put(self.contactor, "welded"),
            "stuck-open": put(self.contactor, "stuck_open"),
            "late-feedback": put(self.contactor, "late_feedback"),
            "emergency-stop": put(self, "emergency_stop"),
            "enclosure": put(self, "cover_open"),
            "io-mute": put(self.node, "mute"),
            "io-deaf": put(self.node, "deaf"),
            "io-silent": put(self.port, "cut"),
            "io-reset": self._reset,
        }

    def _reset(self, on: bool, now: float) -> None:
        if on:
            self.node.restart("watchdog", now)


_OF_THE_BOARDS_CONTACTOR = ("welded", "stuck-open", "late-feedback")

CANOPEN_IO = BoardKind(
    "canopen-io",
    "pilot board (Yeti) with contactor and safety inputs on a CANopen module (CiA 401)",
    CanopenIoPeer,
    notes={
        **BUS_NOTES,
        "board-protocol": FaultNote("the board reports protocol version 99"),
        "io-garbage": FaultNote("the CAN adapter sends garbage"),
        "io-half-frames": FaultNote("every other line of the CAN adapter is cut in half"),
        "io-echo": FaultNote("what is sent on CAN comes back"),
        "io-mute": FaultNote("nothing the CANopen module says arrives"),
        "io-deaf": FaultNote("the CANopen module hears nothing"),
        "io-silent": FaultNote("the CAN wire is cut, both ways"),
        "io-reset": FaultNote("the CANopen module restarts, once", once=True),
    },
    opens_within_s=TIMEOUT_S + OPEN_S,
)
