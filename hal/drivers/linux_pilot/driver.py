"""The pilot device: one PWM output, one converter, one unit named ''.

Timing. The PWM runs by itself; setting it is one write. Every ``INTERVAL_S`` (idle: ``IDLE_INTERVAL_S``) one burst of
conversions is taken in one SPI call, which lasts as long as the bits take (``burst_ms``, 2 ms at most). Three bursts
make a reading, so a vehicle that leaves state C is seen within 30 ms; control opens within the 100 ms of IEC 61851-1
Table A.6.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from hal.drivers.linux_pilot.adc import MAX_SAMPLE_US, sample_us, samples_in
from hal.drivers.linux_pilot.options import LinuxPilotOptions
from hal.drivers.linux_pilot.pwm import PwmAbsentError, SysfsPwm
from hal.drivers.linux_pilot.unit import PilotUnit
from hal.gpio.spi import Spi, SpiError, open_spi
from hal.ports import DeviceError, PortKind
from hal.registry import Driver
from hal.values import Health

INTERVAL_S = 0.01
NEWS_INTERVAL_S = 0.002
"""When the level has moved: the reading follows within two or three bursts."""
IDLE_INTERVAL_S = 0.04
"""While nobody is plugged in, or state F is shown: nothing then opens or must open by the pilot."""
REOPEN_S = 1.0
SILENT_S = 0.2
"""A burst that has no answer by then is given up and another is asked for."""
LOST_S = 0.5
EXTRA_SAMPLES = 3
"""Conversions of every other channel, behind those of the pilot in each burst."""
TRIALS = 3
TRIAL_FACTOR, TRIAL_ALLOWANCE_S = 2.0, 0.0005
"""A bus that needs more than this for its bits spreads the samples too far."""
CLOSED_WAKE_S = 60.0


class LinuxPilot:
    """The device."""

    def __init__(self, name: str, options: LinuxPilotOptions) -> None:
        self.name = name
        self._options = options
        self._pwm = SysfsPwm(options.pwm, options.inverted)
        self._unit = PilotUnit(options, self._pwm)
        self._spi: Spi | None = None
        self._channels = [
            number for number in (options.proximity_channel, options.temperature_channel) if number is not None
        ]
        self._burst: list[bytes] = []
        self._pilot_samples = 0
        self._interval_us = 0.0
        self._asked: tuple[float, float] | None = None
        """When a burst was asked for that is still out, and the duty then."""
        self._next_burst = 0.0
        self._next_open = 0.0
        self._pwm_trouble = self._spi_trouble = "not opened yet"
        self._nonsense = False
        self._heard_at: float | None = None
        self._closed = False

    def start(self, now: float) -> None:
        self._open(now)
        if self._spi is not None and self._spi.fileno() is None:
            self._try_timing(self._spi)

    def fileno(self) -> int | None:
        return None if self._spi is None else self._spi.fileno()

    def on_readable(self, now: float) -> None:  # noqa: ARG002 (a burst has the time at which it was asked for)
        if self._spi is None:
            return
        try:
            answer = self._spi.receive()
        except SpiError as error:
            self._lose(str(error))
            return
        if answer:
            self._answered(answer)

    def on_timer(self, now: float) -> float:
        if self._closed:
            return now + CLOSED_WAKE_S
        if (self._spi is None or not self._pwm.is_open) and now >= self._next_open:
            try:
                self._open(now)
            except DeviceError as error:  # what came back can never work
                self._pwm_trouble = str(error)
        if self._spi is None:
            return self._next_open
        if self._asked is not None and now - self._asked[0] >= SILENT_S:
            self._asked = None
        if self._heard_at is not None and now - self._heard_at >= LOST_S and self._unit.sighted:
            self._unit.blind()
        if self._asked is None and now >= self._next_burst:
            self._next_burst = now + (IDLE_INTERVAL_S if self._unit.idle else INTERVAL_S)
            self._ask(self._spi, now)
        return max(self._next_burst, now + NEWS_INTERVAL_S)

    def close(self) -> None:
        self._closed = True
        self._unit.blind()
        self._pwm.close()
        self._lose(f"{self._options.spi}: closed")

    def health(self, now: float) -> Health:
        lost = "" if self._pwm.is_open else f"{self._options.pwm}: is gone; check the PWM chip's driver"
        troubles = [text for text in (self._pwm_trouble or lost, self._spi_trouble) if text]
        if not troubles and self._nonsense:
            troubles = [f"{self._options.spi}: no {self._options.adc.value} answers there; check 'adc' and the wiring"]
        elif not troubles and (self._heard_at is None or now - self._heard_at >= LOST_S):
            troubles = [f"{self._options.spi}: waits for the first conversions; check the converter's supply"]
        return Health(not troubles, "; ".join(troubles), self._heard_at)

    def unit(self, name: str) -> PilotUnit:
        if name:
            raise KeyError(f"{self.name}: has one unit only, named ''; {name!r} is unknown")
        return self._unit

    def _open(self, now: float) -> None:
        """Open what is not. Raises DeviceError where it can never work."""
        self._next_open = now + REOPEN_S
        if not self._pwm.is_open:
            try:
                self._pwm.open()
                self._pwm_trouble = ""
            except PwmAbsentError as error:
                self._pwm_trouble = str(error)
        if self._spi is None:
            try:
                self._spi = open_spi(self._options.spi, self._options.spi_speed_hz)
            except SpiError as error:
                self._spi_trouble = str(error)
                return
            self._spi_trouble = ""
            self._plan(self._spi.speed_hz)

    def _plan(self, speed_hz: int) -> None:
        options = self._options
        self._interval_us = sample_us(speed_hz)
        if self._interval_us > MAX_SAMPLE_US:
            raise DeviceError(
                f"{options.spi}: runs at {speed_hz} Hz, too slow to see both half-waves of the pilot;"
                " use a faster SPI controller or a pilot board"
            )
        self._pilot_samples = samples_in(options.burst_ms, speed_hz)
        self._burst = [options.adc.question(options.channel)] * self._pilot_samples
        for channel in self._channels:
            self._burst += [options.adc.question(channel)] * EXTRA_SAMPLES
        self._asked = None

    def _try_timing(self, spi: Spi) -> None:
        planned_s = len(self._burst) * self._interval_us / 1e6
        try:
            lasted_s = []
            for _ in range(TRIALS):
                began = time.perf_counter()
                spi.exchange(self._burst)
                lasted_s.append(time.perf_counter() - began)
        except SpiError as error:
            self._lose(str(error))
            return
        if min(lasted_s) > TRIAL_FACTOR * planned_s + TRIAL_ALLOWANCE_S:
            raise DeviceError(
                f"{self._options.spi}: needs {min(lasted_s) * 1000:.1f} ms for {planned_s * 1000:.1f} ms of"
                " conversions: its samples are too far apart for a pilot; use another SPI controller or a pilot board"
            )

    def _ask(self, spi: Spi, now: float) -> None:
        self._asked = (now, self._unit.duty_pct)
        try:
            answer = spi.exchange(self._burst)
        except SpiError as error:
            self._lose(str(error))
            return
        if answer:
            self._answered(answer)

    def _answered(self, answer: list[bytes]) -> None:
        asked, self._asked = self._asked, None
        if asked is None or len(answer) != len(self._burst):
            return  # the answer to a burst that was given up
        at, duty_pct = asked
        good = self._options.adc.answers(b"".join(answer))
        self._nonsense = good is None
        if good is None:
            return  # one damaged conversion makes the others doubtful
        self._heard_at = at
        extra = {
            channel: good[first : first + EXTRA_SAMPLES]
            for channel, first in zip(self._channels, range(self._pilot_samples, len(good), EXTRA_SAMPLES), strict=True)
        }
        self._unit.take(good[: self._pilot_samples], extra, self._interval_us, duty_pct, at)
        if self._unit.restless:
            self._next_burst = min(self._next_burst, at + NEWS_INTERVAL_S)

    def _lose(self, reason: str) -> None:
        spi, self._spi = self._spi, None
        self._spi_trouble = reason
        self._asked = None
        self._unit.blind()
        if spi is not None:
            spi.close()


def _units(options: LinuxPilotOptions) -> Mapping[str, frozenset[PortKind]]:
    ports = {PortKind.CONTROL_PILOT}
    if options.proximity_channel is not None:
        ports.add(PortKind.PROXIMITY_PILOT)
    if options.temperature_channel is not None:
        ports.add(PortKind.TEMPERATURE_SENSOR)
    return {"": frozenset(ports)}


DRIVER = Driver(
    name="linux-pilot",
    summary="control pilot from Linux: hardware PWM (sysfs) and an MCP3208/MCP3008 behind SPI",
    options=LinuxPilotOptions,
    units=_units,
    create=LinuxPilot,
)
