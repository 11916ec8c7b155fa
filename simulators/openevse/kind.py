"""The OpenEVSE controller as it joins the lab: behind a serial node of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from simulators.lab.kinds import BoardKind, FaultNote, KindError, LabPort, Site, Surroundings, Switch, take_options
from simulators.openevse.firmware import AMBIENT_C, DISABLED, EV_CONNECTED, RELAY_ON, SLEEPING, Around
from simulators.openevse.line import OpenEvse
from simulators.pty_port import PtyPort

HOT_C, WARM_C = 95.0, 60.0
_LETTERS = {1: "A", 2: "B", 3: "C", 4: "D"}
_WORDS = {"yes": True, "no": False}


class OpenEvsePeer:
    """``simulators.lab.kinds.BoardPeer``."""

    def __init__(self, site: Site) -> None:
        options = take_options(site, "openevse", {"boot-lock": "no", "ammeter": "yes"})
        for name, word in options.items():
            if word not in _WORDS:
                raise KindError(f"openevse: {name} is yes or no, not {word!r}")
        self._name = f"board{site.number}"
        self._wake = site.wake
        self.port = PtyPort(site.directory / self._name, self._hear, seed=site.number)
        self.board = OpenEvse(
            self.port.write,
            site.log,
            site.now,
            seed=site.number,
            max_current_a=int(site.max_current_a),
            boot_lock=_WORDS[options["boot-lock"]],
            ammeter=_WORDS[options["ammeter"]],
        )
        self._phases = site.phases
        self.faults: Mapping[str, Switch] = self._switches()

    def _hear(self, data: bytes) -> None:
        self.board.receive(data, time.monotonic())
        self._wake()

    @property
    def duty_pct(self) -> float:
        return self.board.firmware.duty_pct

    @property
    def poles(self) -> tuple[bool, bool, bool]:
        closed = self.board.firmware.contactor.closed
        return (closed, closed and self._phases > 1, closed and self._phases > 1)

    def step(self, now: float, around: Surroundings) -> bool:
        return self.board.step(now, Around(around.high_v, around.low_v, max(around.current_a), around.energy_wh))

    def power_up(self, now: float) -> None:
        self.board.power_up(now)

    def power_down(self, now: float) -> None:
        self.board.power_down(now)

    def ports(self) -> Sequence[LabPort]:
        return [self.port]

    def devices(self) -> dict[str, Any]:
        return {self._name: {"driver": "openevse", "port": str(self.port.link)}}

    def references(self) -> dict[str, Any]:
        return {"board": self._name}

    def state(self) -> dict[str, Any]:
        firmware = self.board.firmware
        seen = "B" if firmware.flags & EV_CONNECTED else "A"
        letter = {DISABLED: "F", SLEEPING: seen}.get(firmware.state, _LETTERS.get(firmware.pilot_state, seen))
        return {
            "pilot_state": letter if firmware.running else None,
            "closed": firmware.contactor.closed,
            "feedback": bool(firmware.flags & RELAY_ON),
            "coil": firmware.contactor.coil,
            "opened_because": firmware.reason,
            "lock": "none",
            "running": firmware.running,
            "resets": firmware.resets,
            "controller_state": f"{firmware.state:02x}",
            "capacity_a": firmware.capacity_a,
            "commands": len(self.board.commands),
        }

    def _switches(self) -> dict[str, Switch]:
        board, firmware = self.board, self.board.firmware

        def put(part: object, attribute: str) -> Switch:
            return lambda on, _: setattr(part, attribute, on)

        def warm(value_c: float) -> Switch:
            return lambda on, _: setattr(firmware.ailments, "temperature_c", value_c if on else AMBIENT_C)

        return {
            "welded": put(firmware.contactor, "welded"),
            "stuck-open": put(firmware.contactor, "stuck_open"),
            "rcd": put(firmware.ailments, "residual_current"),
            "rcd-self-test": put(firmware.ailments, "self_test_broken"),
            "no-ground": put(firmware.ailments, "no_ground"),
            "warm": warm(WARM_C),
            "over-temperature": warm(HOT_C),
            "temperature-sensor": put(firmware.ailments, "sensor_broken"),
            "board-mute": put(board.wire_faults, "mute"),
            "board-deaf": put(board.wire_faults, "deaf"),
            "board-garbage": put(board.wire_faults, "garbage"),
            "board-half-frames": put(board.wire_faults, "half_frames"),
            "board-echo": put(board.wire_faults, "echo"),
            "board-slow": put(board.wire_faults, "slow"),
            "board-protocol": put(board.wire_faults, "old_firmware"),
            "board-reset": lambda on, now: firmware.restart(now) if on else None,
            "board-button": lambda on, now: firmware.press(now) if on else None,
        }


OPENEVSE = BoardKind(
    "openevse",
    "OpenEVSE charge controller on a serial line (RAPI)",
    OpenEvsePeer,
    connectors=("cable",),
    notes={
        "no-ground": FaultNote("the protective earth is missing"),
        "board-slow": FaultNote("the board answers 0.8 s late"),
        "board-protocol": FaultNote("the board answers as old firmware does"),
        "board-button": FaultNote("somebody presses the button on its front", once=True),
    },
    opens_within_s=math.inf,  # left alone it goes down to its fallback current and charges on
)
