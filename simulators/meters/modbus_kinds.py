"""Meters on one Modbus line, as they join the lab: the Eastron family, and those of other makers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simulators.lab.kinds import FaultNote, KindError, LabPort, MeterKind, Site, core_faults, take_options
from simulators.meters.eastron import MAPS
from simulators.meters.layouts import LAYOUTS
from simulators.meters.modbus_line import ModbusLine, Slave, crc16
from simulators.meters.register import MeterCore
from simulators.meters.signing import CURVES, SigningCore
from simulators.oracle import EventLog
from simulators.pty_port import PtyPort
from simulators.tcp_port import Reply, TcpPort

BAUD = 9600
DEFAULT_MAP = "sdm630"
DEFAULT_OTHER = "em340"
HEAD = 7
MOST_PDU = 253
"""Modbus TCP: bytes before the PDU, and the longest one."""
SIGNING = {"em580": "brainpoolP256r1", "signing-example": "secp256r1"}
"""Maps of meters that sign, with the curve they sign on if nothing else is asked for."""
OWN_MAPS = {"signing-example": Path(__file__).parent / "signing-example.yaml"}
"""Meters that nobody makes: their maps lie here and not among the shipped ones. They measure as an EM580 does."""
ALL_MAPS = (*LAYOUTS, *OWN_MAPS)
OTHERS = tuple(name for name in ALL_MAPS if name not in MAPS)
STEPS_WH = {
    **dict.fromkeys(("em112", "em340", "em24", "em580", "signing-example"), 100),
    **dict.fromkeys(("abb-b21", "abb-b23", "orno-we514"), 10),
}
"""What one step of the register stands for, where it is not 1 Wh."""


class MeterLine:
    """``simulators.lab.kinds.MeterPeer``: meter N at address N."""

    def __init__(self, site: Site, registers: Mapping[int, int], kind: str, maps: Sequence[str], default: str) -> None:
        options = take_options(site, kind, {"map": default, "curve": ""})
        self._map = options["map"]
        if self._map not in maps:
            raise KindError(f"{kind}: map: {self._map!r} is none of {', '.join(maps)}")
        curve = options["curve"] or SIGNING.get(self._map, "")
        if curve not in CURVES and (curve or self._map in SIGNING):
            raise KindError(f"{kind}: curve: {curve!r} is none of {', '.join(CURVES)}")
        self._name = f"meters{site.number}" if site.number else "meters"
        self._loop: asyncio.AbstractEventLoop = site.loop
        self._wake = site.wake
        self._powered = True
        layout = "em580" if self._map in OWN_MAPS else self._map
        self._slaves = {
            number: Slave(number, layout, MeterCore(wh), site.logs.get(number, EventLog()))
            for number, wh in registers.items()
        }
        if self._map in SIGNING:
            for slave in self._slaves.values():
                slave.signer = SigningCore(slave.core, f"SIM{slave.address}", self._map == "signing-example", curve)
        self.port = self._make_port(site)
        self._line = ModbusLine(self._slaves, self._answer, BAUD)
        self.faults: Mapping[str, Callable[[int, bool, float], None]] = {
            **core_faults(self.core),
            "meter-crc": self._slave("bad_crc"),
            "meter-exception": self._slave("exception"),
            "meter-slow": self._slave("slow"),
            "meter-word-order": self._slave("swapped_words"),
        }
        if self._map in SIGNING:
            self.faults = {
                **self.faults,
                "signing-never": self._sign("never"),
                "signing-corrupt": self._sign("corrupt"),
            }

    def _slave(self, attribute: str) -> Callable[[int, bool, float], None]:
        return lambda evse, on, _: setattr(self._slaves[evse], attribute, on)

    def _sign(self, attribute: str) -> Callable[[int, bool, float], None]:
        return lambda evse, on, _: setattr(self._slaves[evse].signer, attribute, on)

    def _make_port(self, site: Site) -> Any:
        return PtyPort(site.directory / self._name, self._hear, seed=100 + site.number)

    def _hear(self, data: bytes) -> None:
        if self._powered:
            self._wake()  # the registers are to be fresh
            self._line.receive(data, time.monotonic())

    def _answer(self, reply: bytes, delay_s: float) -> None:
        self._loop.call_later(delay_s, self._deliver, self.port.write, reply)

    def _deliver(self, write: Callable[[bytes], None], reply: bytes) -> None:
        if self._powered:
            write(reply)

    def core(self, evse: int) -> MeterCore:
        return self._slaves[evse].core

    def step(self, now: float) -> bool:  # noqa: ARG002 (nothing of it takes time)
        return False

    def power(self, on: bool, now: float) -> None:  # noqa: ARG002 (it dies and lives at once)
        self._powered = on
        for slave in self._slaves.values():
            if not on and slave.signer is not None:
                slave.signer.power_lost(time.time())

    def ports(self) -> Sequence[LabPort]:
        return [self.port]

    def devices(self) -> dict[str, Any]:
        return {
            self._name: {
                "driver": "modbus-meter",
                **self._place(),
                "meters": [
                    {"name": f"m{n}", "address": n, "map": str(OWN_MAPS.get(self._map, self._map))}
                    for n in self._slaves
                ],
            }
        }

    def _place(self) -> dict[str, Any]:
        return {"port": str(self.port.link), "baud": BAUD, "parity": "N"}

    def reference(self, evse: int) -> str:
        return f"{self._name}.m{evse}"

    def state(self, evse: int) -> dict[str, Any]:
        slave = self._slaves[evse]
        state: dict[str, Any] = {"address": slave.address, "reads": slave.reads}
        if slave.signer is not None:
            state["signing"] = {
                "public_key": slave.signer.public_key,
                "sets": list(slave.signer.sets),
                "commands": "".join(slave.signer.commands),
                "clock_set": slave.signer.clock_offset_s is not None,
            }
        return state


class TcpMeters(MeterLine):
    """The same meters behind a gateway: Modbus TCP outside, the line inside."""

    def __init__(self, site: Site, registers: Mapping[int, int], kind: str, maps: Sequence[str], default: str) -> None:
        self._asked: tuple[bytes, Reply] = (b"", lambda _: None)
        super().__init__(site, registers, kind, maps, default)

    def _make_port(self, site: Site) -> Any:
        return TcpPort(site.directory / self._name, self._connected, seed=100 + site.number)

    def _place(self) -> dict[str, Any]:
        return {"host": self.port.host, "tcp_port": self.port.port}

    def _connected(self, data: bytes, reply: Reply) -> None:
        """Take what a host sends: frames behind a head of seven bytes (MBAP 3.1.3), one after the other."""
        while len(data) > HEAD:
            size = int.from_bytes(data[4:6], "big") - 1
            frame, rest = data[: HEAD + size], data[HEAD + size :]
            if data[2:4] != b"\0\0" or not 1 <= size <= MOST_PDU or len(frame) < HEAD + size:
                return  # a gateway that is sent rubbish says nothing
            self._asked = (frame[:4], reply)
            body = frame[6:]
            self._hear(body + crc16(body))
            data = rest

    def _answer(self, reply: bytes, delay_s: float) -> None:
        head, write = self._asked
        body = reply[:-2]
        if crc16(body) != reply[-2:]:
            return  # the gateway drops what came damaged over its line
        frame = head + len(body).to_bytes(2, "big") + body
        self._loop.call_later(delay_s, self._deliver, write, frame)


WORD_ORDER = {"meter-word-order": FaultNote("the meter sends the words of its numbers the other way round")}
SIGNING_FAULTS = {
    "signing-never": FaultNote("a meter that signs never gets done with it"),
    "signing-corrupt": FaultNote("a meter that signs calls its signed sets corrupted"),
}
EASTRON = MeterKind(
    "eastron",
    f"Eastron meters on one Modbus line; map: {', '.join(MAPS)} ({DEFAULT_MAP})",
    lambda site, registers: MeterLine(site, registers, "eastron", tuple(MAPS), DEFAULT_MAP),
    notes=WORD_ORDER,
    variants=tuple(f"map={name}" for name in MAPS if name != DEFAULT_MAP),
)
MODBUS = MeterKind(
    "modbus",
    f"other makers' meters on one Modbus line; map: {', '.join(OTHERS)} ({DEFAULT_OTHER})",
    lambda site, registers: MeterLine(site, registers, "modbus", OTHERS, DEFAULT_OTHER),
    notes={**WORD_ORDER, **SIGNING_FAULTS},
    # One of each shape on the wire: few registers per request, 64-bit counters, kW floats, one-phase.
    variants=tuple(f"map={name}" for name in ("em24", "abb-b23", "iem3155", "orno-we514")),
    step_wh=STEPS_WH[DEFAULT_OTHER],
    steps_wh={f"map={name}": STEPS_WH.get(name, 1) for name in OTHERS},
)
MODBUS_TCP = MeterKind(
    "modbus-tcp",
    f"meters behind a Modbus TCP gateway; map: {', '.join(ALL_MAPS)} ({DEFAULT_OTHER})",
    lambda site, registers: TcpMeters(site, registers, "modbus-tcp", ALL_MAPS, DEFAULT_OTHER),
    notes={**WORD_ORDER, **SIGNING_FAULTS},
    step_wh=STEPS_WH[DEFAULT_OTHER],
    steps_wh={f"map={name}": STEPS_WH.get(name, 1) for name in ALL_MAPS},
)
