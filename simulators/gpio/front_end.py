"""The pilot's front end: a folder like the PWM's in sysfs, and a converter behind a simulated SPI bus.

The software under test writes duty cycles into files and reads samples of the waveform that results, with whatever the
vehicle hangs on it. ``hal.gpio.spi.SimSpi`` tells the protocol of the bus: a packet ``<IHH`` (clock in Hz, number of
transfers, bytes of each) and the bytes; the answer is the bytes that came back.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

from simulators.gpio.packet_server import PacketServer

PERIOD_S = 0.001
RISE_S = 2e-6
HEAD = struct.Struct("<IHH")
REFERENCE_V = 3.3
SCALE, ZERO_V = 8.197, 1.713
"""The read-back divider of hardware.md §F.3: 3.177 V for +12 V, 2.445 V for +6 V."""
CODES = 4096
PILOT, PROXIMITY, TEMPERATURE = 0, 1, 2
PROXIMITY_PULL_UP_OHM = 1000.0
CODING_OHM = {13: 1500.0, 20: 680.0, 32: 220.0, 63: 100.0, 70: 100.0, -1: 0.0}
OPEN_OHM = 1e9
NTC_OHM, NTC_BETA = 10_000.0, 3950.0


def ntc_ohm(value_c: float) -> float:
    """Resistance of the temperature sensor at that temperature."""
    return NTC_OHM * math.exp(NTC_BETA * (1.0 / (value_c + 273.15) - 1.0 / 298.15))


class FakePwm:
    """``pwmchip0`` with one output, as files. What the kernel does by itself happens in ``look``."""

    def __init__(self, folder: Path, exported: bool = True) -> None:
        self.chip = folder / "pwmchip0"
        self.duty_pct = 0.0
        """What the output does: 0 steady low, 100 steady high. Before it is enabled it is low."""
        self._exported = exported

    def make(self) -> None:
        """Make the files, as a kernel does that has just found the chip. Nothing happens when they are there."""
        if self.chip.is_dir():
            return
        self.chip.mkdir(parents=True)
        (self.chip / "npwm").write_text("1\n")
        (self.chip / "export").write_text("")
        if self._exported:
            self._export()

    def look(self) -> float:
        """Read the files; return the duty cycle in percent. A file that is just being written changes nothing."""
        output = self.chip / "pwm0"
        if not output.is_dir():
            with contextlib.suppress(OSError):
                if (self.chip / "export").read_text().strip() == "0":
                    self._export()
            return self.duty_pct
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            enabled = int((output / "enable").read_text()) == 1
            share = int((output / "duty_cycle").read_text()) / int((output / "period").read_text())
            inverted = (output / "polarity").read_text().strip() == "inversed"
            self.duty_pct = 0.0 if not enabled else 100.0 * (1.0 - share if inverted else share)
        return self.duty_pct

    def reset(self) -> None:
        """Power came back: nothing is exported or enabled."""
        for name, value in (("enable", "0"), ("duty_cycle", "0"), ("period", "0"), ("polarity", "normal")):
            (self.chip / "pwm0" / name).write_text(value + "\n")
        self.duty_pct = 0.0

    def _export(self) -> None:
        (self.chip / "pwm0").mkdir(exist_ok=True)
        self.reset()


class PilotFrontEnd:
    """Output stage, divider and MCP3208. Implements ``LabPort`` (the SPI bus).

    ``changed`` is called, in the server's thread, when the duty cycle is seen to be another. ``look`` follows the PWM;
    ``sense`` tells what hangs on the pilot. Faults: ``stuck`` (the converter's data line is stuck high: no zero bit),
    ``cut`` (it answers nothing), ``noise`` (share of wild samples).
    """

    def __init__(
        self,
        folder: Path,
        seed: int = 1,
        clock: Callable[[], float] = time.monotonic,
        exported: bool = True,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.pwm = FakePwm(folder, exported)
        self.path = folder / "adc"
        self.noise = 0.0
        self.cut = False
        self.stuck = False
        self.powered = True
        self.bursts = 0
        self._clock = clock
        self._changed = changed
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._peaks = (0.0, 0.0)
        self._ohm = {PROXIMITY: OPEN_OHM, TEMPERATURE: 10_000.0}
        self._pull_up = {PROXIMITY: PROXIMITY_PULL_UP_OHM, TEMPERATURE: 10_000.0}
        self._server = PacketServer(self.path, self)

    @property
    def is_open(self) -> bool:
        return self._server.is_open

    def open(self, loop: asyncio.AbstractEventLoop | None = None) -> None:  # noqa: ARG002 (part of LabPort)
        self.pwm.make()
        self._server.open()

    def close(self) -> None:
        self._server.close()

    @property
    def duty_pct(self) -> float:
        return self.pwm.duty_pct

    def look(self) -> float:
        with self._lock:
            return self.pwm.look()

    def sense(self, high_v: float, low_v: float, cable_a: int = 0, temperature_ohm: float = 10_000.0) -> None:
        """Levels of the pilot while the output is high and low, the plug's coding, and the temperature sensor."""
        with self._lock:
            self._peaks = (high_v, low_v)
            self._ohm = {PROXIMITY: CODING_OHM.get(cable_a, OPEN_OHM), TEMPERATURE: temperature_ohm}

    # The bus, in the server's thread

    def packet(self, client: socket.socket, data: bytes) -> None:
        if self.cut or not self.powered or len(data) < HEAD.size:
            return
        speed_hz, count, size = HEAD.unpack_from(data)
        answer = bytearray()
        with self._lock:
            self.bursts += 1
            before = self.pwm.duty_pct
            began, duty = self._clock(), self.pwm.look() / 100.0
            moved = self.pwm.duty_pct != before
            for number in range(count):
                question = data[HEAD.size + number * size :][:size]
                at = began + number * size * 8 / max(speed_hz, 1)
                answer += self._convert(question, at, duty)
        with contextlib.suppress(OSError):
            client.send(bytes(answer), socket.MSG_DONTWAIT)
        if moved:
            self._changed()

    def gone(self, client: socket.socket) -> None:
        """Nothing is kept per client."""

    def due(self) -> float | None:
        return None

    def _convert(self, question: bytes, at: float, duty: float) -> bytes:
        if self.stuck:
            return b"\xff" * len(question)
        if len(question) != 3 or question[0] & 0xFE != 0x06:
            return bytes(len(question))
        channel = (question[0] & 1) << 2 | question[1] >> 6
        volts = self._pilot_v(at, duty) / SCALE + ZERO_V if channel == PILOT else self._divider_v(channel)
        if self.noise > 0.0 and self._random.random() < self.noise:
            volts = self._random.uniform(0.0, REFERENCE_V)
        code = min(max(round(volts / REFERENCE_V * CODES), 0), CODES - 1)
        return bytes((0, code >> 8, code & 0xFF))

    def _pilot_v(self, at: float, duty: float) -> float:
        high_v, low_v = self._peaks
        phase_s = at % PERIOD_S
        edge_s = duty * PERIOD_S
        if duty <= 0.0 or duty >= 1.0:
            return high_v if duty >= 1.0 else low_v
        if phase_s < edge_s:
            return low_v + (high_v - low_v) * min(1.0, phase_s / RISE_S)
        return high_v + (low_v - high_v) * min(1.0, (phase_s - edge_s) / RISE_S)

    def _divider_v(self, channel: int) -> float:
        ohm = self._ohm.get(channel, 0.0)
        return REFERENCE_V * ohm / (ohm + self._pull_up.get(channel, 1000.0))
