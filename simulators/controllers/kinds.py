"""The controllers as they join the lab: each behind a serial node or a TCP port of its own."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from simulators.controllers.box import Box
from simulators.controllers.makes import AblEmh1, BenderCc612, Heidelberg, PhoenixEthernet, PhoenixSerial, SimpleEvse
from simulators.controllers.registers import ILLEGAL_FUNCTION, Make, serve
from simulators.controllers.wires import AsciiSlave, RtuSlave, TcpSlave
from simulators.lab.kinds import BoardKind, FaultNote, LabPort, Site, Surroundings, Switch, take_options
from simulators.pty_port import PtyPort
from simulators.tcp_port import TcpPort

BOOT_S = 0.4
SLOW_S = 1.5
"""How late a slow box is: later than any master waits."""
THINKING_S = 0.01
WATCHDOG_MARGIN_S = 1.0
HOT_C = 95.0
AMBIENT_C = 28.0
FOREIGN_S = 0.3
"""How often the other master speaks."""

Write = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Manner:
    """What is particular to a make beside its registers."""

    model: str
    unit: int
    wire: str
    """rtu, ascii or tcp."""
    make: Callable[[Box], Make]
    min_pause_s: float = 0.0
    """Requests that come sooner after the last answer are not heard."""
    sleeps_after_s: float = math.inf
    """After so long a silence the first request only wakes it."""
    answer_start: bytes = b":"
    """What its ASCII answers begin with."""
    tethered: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    """More of the driver's options."""
    foreign_write: tuple[int, int, int] = (3, 0, 0)
    """What another master writes: table (function that reads it), address, value."""


@dataclass(slots=True)
class Ailments:
    """How the box misbehaves on its wire."""

    mute: bool = False
    deaf: bool = False
    garbage: bool = False
    half_frames: bool = False
    echo: bool = False
    slow: bool = False
    damaged: bool = False
    """Every answer has a wrong checksum, or over TCP the transaction id of another request."""
    refuses: bool = False
    """Every request is answered with an exception."""
    foreign: bool = False
    """Another master talks to it as well."""


class ControllerPeer:
    """``simulators.lab.kinds.BoardPeer``."""

    def __init__(self, manner: Manner, site: Site) -> None:
        take_options(site, manner.model, {})
        self.manner = manner
        self.ailments = Ailments()
        self._site = site
        self._name = f"board{site.number}"
        self.box = Box(site.log, phases=site.phases, max_current_a=site.max_current_a, ventilation=site.ventilation)
        self.make = manner.make(self.box)
        self._random = random.Random(site.number)
        self._boots_at: float | None = None
        self._spoke_at = self._heard_at = -math.inf
        self._half = False
        self._foreign_at = 0.0
        self.frames_in = 0
        self._slaves: dict[int, RtuSlave | AsciiSlave | TcpSlave] = {}
        self.port: PtyPort | TcpPort
        if manner.wire == "tcp":
            self.port = TcpPort(site.directory / self._name, self._hear_tcp, seed=site.number)
        else:
            serial = PtyPort(site.directory / self._name, self._hear_serial, seed=site.number)
            self.port, self._write = serial, serial.write
        self.faults: Mapping[str, Switch] = self._switches()

    # The lab's side

    @property
    def running(self) -> bool:
        return self._boots_at is None

    @property
    def duty_pct(self) -> float:
        return self.box.duty_pct

    @property
    def poles(self) -> tuple[bool, bool, bool]:
        return self.box.poles

    def step(self, now: float, around: Surroundings) -> bool:
        if self._boots_at is not None and now >= self._boots_at:
            self._boots_at = None
            self.box.boot()
            self.make.boot(now)
        if self.running:
            self.make.step(now)
            self._interfere(now)
        return self.box.step(now, around) or self._boots_at not in (None, math.inf) or self.ailments.foreign

    def power_up(self, now: float) -> None:
        self._boots_at = now + BOOT_S

    def power_down(self, now: float) -> None:
        self.box.restart(now)
        self._boots_at = math.inf

    def ports(self) -> Sequence[LabPort]:
        return [self.port]

    def devices(self) -> dict[str, Any]:
        entry: dict[str, Any] = {"driver": "modbus-controller", "model": self.manner.model, **self.manner.options}
        if isinstance(self.port, TcpPort):
            entry |= {"host": self.port.host, "tcp_port": self.port.port}
        else:
            entry |= {"port": str(self.port.link), "parity": "N"}  # a pty has no parity and refuses to be told one
        if "meter" in self._own_meter():
            entry["meter"] = True
        if self._site.connector == "socket" and not self.manner.tethered:
            entry["proximity"] = True
        return {self._name: entry}

    def _own_meter(self) -> dict[str, Any]:
        measures = isinstance(self.make, PhoenixEthernet | Heidelberg | BenderCc612)
        return {"meter": self._name} if measures else {}

    def references(self) -> dict[str, Any]:
        no_lock = {"has_lock": False} if self._site.connector == "socket" else {}
        return {"board": self._name, **no_lock, **self._own_meter()}

    def state(self) -> dict[str, Any]:
        box = self.box
        return {
            "pilot_state": None if box.state is None else box.state.name,
            "closed": box.contactor.closed,
            "feedback": box.contactor.feedback,
            "coil": box.contactor.coil,
            "lock": "none",
            "running": self.running,
            "opened_because": box.reason,
            "offer_a": box.offer_a,
            "available": box.available,
            "resets": box.resets,
            "frames_in": self.frames_in,
            "errors": sorted(box.errors),
        }

    # The wire

    def _hear_serial(self, data: bytes) -> None:
        self._hear(data, self._write)

    def _hear_tcp(self, data: bytes, reply: Write) -> None:
        self._hear(data, reply)

    def _slave(self) -> RtuSlave | AsciiSlave | TcpSlave:
        if self.manner.wire == "ascii":
            return self._slaves.setdefault(0, AsciiSlave(self.manner.answer_start))
        if self.manner.wire == "rtu":
            return self._slaves.setdefault(0, RtuSlave())
        # Whole frames come in one piece over loopback; what is left of a connection goes with it.
        return TcpSlave()

    def _hear(self, data: bytes, reply: Write) -> None:
        now = time.monotonic()
        if self.ailments.echo and self.manner.wire != "tcp":
            reply(data)
        if not self.running or self.ailments.deaf:
            return
        self._site.wake()  # the registers are about to be read
        for unit, pdu, wrap in self._slave().requests(data, now):
            if unit == self.manner.unit and self._listens(now):
                self._answer(pdu, wrap, reply, now)
        self._site.wake()  # what was written acts at once

    def _listens(self, now: float) -> bool:
        asleep = now - self._heard_at > self.manner.sleeps_after_s
        self._heard_at = now
        return not asleep and now - self._spoke_at >= self.manner.min_pause_s

    def _answer(self, pdu: bytes, wrap: Callable[[bytes], bytes], reply: Write, now: float) -> None:
        self.frames_in += 1
        self.make.heard(now)
        ailments = self.ailments
        answer = bytes([pdu[0] | 0x80, ILLEGAL_FUNCTION]) if ailments.refuses else serve(self.make, pdu, now)
        frame = wrap(answer)
        if ailments.damaged:
            frame = self._damaged(frame)
        if ailments.half_frames:
            self._half = not self._half
            frame = frame[: len(frame) // 2] if self._half else frame
        if ailments.garbage:
            frame = self._random.randbytes(len(frame))
        if ailments.mute:
            return
        self._site.loop.call_later(SLOW_S if ailments.slow else THINKING_S, self._speak, reply, frame)

    def _damaged(self, frame: bytes) -> bytes:
        """A wrong checksum; over TCP, which has none, the transaction id of an earlier request."""
        if self.manner.wire == "tcp":
            earlier = int.from_bytes(frame[:2], "big") - 1 & 0xFFFF
            return earlier.to_bytes(2, "big") + frame[2:]
        return frame[:-4] + bytes([frame[-4] ^ 0x01]) + frame[-3:]

    def _speak(self, reply: Write, frame: bytes) -> None:
        if self.running:
            self._spoke_at = time.monotonic()
            reply(frame)

    def _interfere(self, now: float) -> None:
        """The other master writes what it likes."""
        if self.ailments.foreign and now - self._foreign_at >= FOREIGN_S:
            self._foreign_at = now
            self.make.write(*self.manner.foreign_write, now)

    # Faults

    def _switches(self) -> dict[str, Switch]:
        def put(part: object, attribute: str) -> Switch:
            return lambda on, _: setattr(part, attribute, on)

        wire = partial(put, self.ailments)
        switches: dict[str, Switch] = {
            "welded": put(self.box.contactor, "welded"),
            "stuck-open": put(self.box.contactor, "stuck_open"),
            "rcd": put(self.box, "residual_current"),
            "over-current": put(self.box, "over_current"),
            "board-mute": wire("mute"),
            "board-deaf": wire("deaf"),
            "board-garbage": wire("garbage"),
            "board-half-frames": wire("half_frames"),
            "board-slow": wire("slow"),
            "board-checksum": wire("damaged"),
            "board-exception": wire("refuses"),
            "board-second-master": wire("foreign"),
            "board-reset": self._reset,
        }
        if self.manner.wire != "tcp":
            switches["board-echo"] = wire("echo")
        if isinstance(self.make, Heidelberg):
            switches["over-temperature"] = lambda on, _: setattr(self.box, "temperature_c", HOT_C if on else AMBIENT_C)
            switches["lock-input"] = self._lock_input
        return switches

    def _lock_input(self, on: bool, _: float) -> None:
        if isinstance(self.make, Heidelberg):
            self.make.lock_input_open = not on
            self.make.apply()

    def _reset(self, on: bool, now: float) -> None:
        if on:
            self.box.restart(now)
            self._boots_at = now + BOOT_S
            if isinstance(self.port, TcpPort):
                self.port.drop()


_NOTES = {
    "board-checksum": FaultNote("every answer has a wrong checksum, or over TCP is that to an earlier request"),
    "board-exception": FaultNote("every request is answered with an exception"),
    "board-second-master": FaultNote("another master writes to the controller"),
    "lock-input": FaultNote("the controller's own lock input is closed"),
}
HOLDING, COILS = 3, 1
MANNERS = (
    Manner("simple-evse", 1, "rtu", SimpleEvse, min_pause_s=0.1, foreign_write=(HOLDING, 1000, 32)),
    Manner("phoenix-em-cp-pp-eth", 180, "tcp", lambda box: PhoenixEthernet(box, 300), foreign_write=(COILS, 400, 1)),
    Manner("phoenix-ev-cc-eth", 255, "tcp", lambda box: PhoenixEthernet(box, 528), foreign_write=(COILS, 400, 1)),
    Manner("phoenix-ev-cc-ac1-m", 1, "rtu", PhoenixSerial, tethered=True, foreign_write=(COILS, 20000, 1)),
    Manner("heidelberg", 1, "rtu", Heidelberg, tethered=True, foreign_write=(HOLDING, 261, 160)),
    Manner(
        "abl-emh1",
        1,
        "ascii",
        AblEmh1,
        sleeps_after_s=1.0,
        answer_start=b">",
        tethered=True,
        foreign_write=(HOLDING, 0x14, 266),
    ),
    Manner("bender-cc612", 255, "tcp", BenderCc612, tethered=True, foreign_write=(HOLDING, 1000, 32)),
)
_SUMMARIES = {
    "simple-evse": "EVSE-WB / SimpleEVSE: runs pilot and contactor by itself (Modbus RTU)",
    "phoenix-em-cp-pp-eth": "Phoenix Contact EM-CP-PP-ETH, with meter (Modbus TCP)",
    "phoenix-ev-cc-eth": "Phoenix Contact EV-CC-…-ETH, with meter (Modbus TCP)",
    "phoenix-ev-cc-ac1-m": "Phoenix Contact EV-CC-AC1-M (Modbus RTU)",
    "heidelberg": "Heidelberg Energy Control, with meter and watchdog (Modbus RTU)",
    "abl-emh1": "ABL eMH1 (Modbus ASCII)",
    "bender-cc612": "Bender CC612, with meter (Modbus TCP)",
}


def _kind(manner: Manner) -> BoardKind:
    measures = manner.model in ("phoenix-em-cp-pp-eth", "phoenix-ev-cc-eth", "heidelberg", "bender-cc612")
    watched = manner.model == "heidelberg"
    return BoardKind(
        manner.model,
        _SUMMARIES[manner.model],
        partial(ControllerPeer, manner),
        connectors=("cable",) if manner.tethered else ("socket", "cable"),
        notes=_NOTES,
        opens_within_s=OUR_WATCHDOG_S + STOP_S + WATCHDOG_MARGIN_S if watched else math.inf,
        measures=measures,
        meter_step_wh=10 if manner.model == "phoenix-em-cp-pp-eth" else 1,
    )


OUR_WATCHDOG_S = 6.0
"""What the driver sets it to by itself."""
STOP_S = 3.0

KINDS = {manner.model: _kind(manner) for manner in MANNERS}
SIMPLE_EVSE = KINDS["simple-evse"]
PHOENIX_EM_CP_PP_ETH = KINDS["phoenix-em-cp-pp-eth"]
PHOENIX_EV_CC_ETH = KINDS["phoenix-ev-cc-eth"]
PHOENIX_EV_CC_AC1_M = KINDS["phoenix-ev-cc-ac1-m"]
HEIDELBERG = KINDS["heidelberg"]
ABL_EMH1 = KINDS["abl-emh1"]
BENDER_CC612 = KINDS["bender-cc612"]
