"""A meter that tells its values on CAN by itself, as ``meter.dbc`` describes them, and how it joins the lab."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simulators.can.adapter import SlcanPort
from simulators.lab.kinds import FaultNote, LabPort, MeterKind, Site, core_faults, take_options
from simulators.meters.register import MeterCore

BITRATE = 500_000
FIRST_ID = 0x18FF1000
EVERY_S = 0.5
TABLE = Path(__file__).parent / "meter.can.json"


class CanMeterNode:
    """``send(id, data)`` puts a frame with a 29-bit id on the bus."""

    def __init__(self, core: MeterCore, send: Callable[[int, bytes], None]) -> None:
        self.core = core
        self.bad_crc = False
        self.hung = False
        self.told = 0
        self._send = send
        self._next = -math.inf
        self._count = 0

    def step(self, now: float) -> None:
        if self.core.silent or now < self._next:
            return
        self._next = now + EVERY_S
        self.told += 1
        energy_wh, sample = self.core.shown()
        if self.core.nan or self.core.energy_nan:
            energy_wh = 0xFFFFFFFFFFFF
        if not self.hung:
            self._count = (self._count + 1) % 256
        power_w = math.nan if self.core.nan else sample.total_power_w
        self._send(FIRST_ID + 1, struct.pack("<fH", power_w, round(sample.frequency_hz * 100)) + bytes(2))
        volts = [0xFFFF if self.core.nan else round(value * 10) for value in sample.voltage_v]
        self._send(FIRST_ID + 2, struct.pack(">3H", *volts) + bytes(2))
        amperes = [-0x8000 if self.core.nan else round(value * 100) for value in sample.current_a]
        self._send(FIRST_ID + 3, struct.pack(">3h", *amperes) + bytes(2))
        body = energy_wh.to_bytes(6, "big") + bytes([self._count])
        check = 0
        for byte in body:
            check ^= byte
        self._send(FIRST_ID, body + bytes([check ^ (0x55 if self.bad_crc else 0)]))


class CanMeters:
    """``simulators.lab.kinds.MeterPeer``: each EVSE's meter behind an adapter of its own."""

    def __init__(self, site: Site, registers: Mapping[int, int]) -> None:
        take_options(site, "can-meter", {})
        self._powered = True
        self._ports: dict[int, SlcanPort] = {}
        self._nodes: dict[int, CanMeterNode] = {}
        for number, wh in registers.items():
            port = SlcanPort(site.directory / f"canmeter{number}", BITRATE, _nobody_listens, seed=500 + number)
            self._ports[number] = port
            self._nodes[number] = CanMeterNode(MeterCore(wh), _extended(port))
        self.faults: Mapping[str, Callable[[int, bool, float], None]] = {
            **core_faults(self.core),
            "meter-crc": self._node("bad_crc"),
            "meter-hung": self._node("hung"),
            "meter-bus-off": lambda evse, on, _: setattr(self._ports[evse], "bus_off", on),
        }

    def _node(self, attribute: str) -> Callable[[int, bool, float], None]:
        return lambda evse, on, _: setattr(self._nodes[evse], attribute, on)

    def core(self, evse: int) -> MeterCore:
        return self._nodes[evse].core

    def step(self, now: float) -> bool:
        if self._powered:
            for node in self._nodes.values():
                node.step(now)
        return False

    def power(self, on: bool, now: float) -> None:  # noqa: ARG002 (it dies and lives at once)
        self._powered = on

    def ports(self) -> Sequence[LabPort]:
        return list(self._ports.values())

    def devices(self) -> dict[str, Any]:
        return {
            f"meter{number}": {
                "driver": "can-meter",
                "interface": "slcan",
                "channel": str(port.link),
                "bitrate": BITRATE,
                "table": str(TABLE),
            }
            for number, port in self._ports.items()
        }

    def reference(self, evse: int) -> str:
        return f"meter{evse}"

    def state(self, evse: int) -> dict[str, Any]:
        return {"address": None, "reads": self._nodes[evse].told}


def _extended(port: SlcanPort) -> Callable[[int, bytes], None]:
    return lambda number, data: port.send(number, data, extended=True)


def _nobody_listens(number: int, extended: bool, data: bytes) -> None:
    """A meter hears nothing."""


CAN_METER = MeterKind(
    "can-meter",
    "a meter on CAN per EVSE, as simulators/can/meter.dbc describes it",
    CanMeters,
    notes={
        "meter-hung": FaultNote("the meter sends on, but its counter stands still"),
        "meter-bus-off": FaultNote("the CAN controller has left the bus after too many errors"),
    },
)
