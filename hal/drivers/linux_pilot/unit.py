"""The pilot as control sees it: the PWM it commands, and the readings that bursts of conversions give."""

from __future__ import annotations

from statistics import median

from hal.drivers.linux_pilot.adc import PeakFilter, Peaks, peaks_of
from hal.drivers.linux_pilot.options import LinuxPilotOptions
from hal.drivers.linux_pilot.pwm import PwmAbsentError, SysfsPwm
from hal.drivers.linux_pilot.sensors import cable_of, resistance_ohm, temperature_c
from hal.values import PILOT_F_PCT, PILOT_X1_PCT, PilotReading, ProximityReading, TemperatureReading

PAIRS = 3
"""Pairs of peaks per reading."""
MOVED_V = 1.0
"""A pair this far from the reading may be the vehicle's news: the next looks, ``PAIRS`` at most, come at once."""
NOBODY_V = 10.5
"""Above this a pair of peaks belongs to state A, with room for a vehicle that is just being plugged in."""


class PilotUnit:
    """Implements ControlPilot, ProximityPilot and TemperatureSensor. Volts only: control classifies."""

    def __init__(self, options: LinuxPilotOptions, pwm: SysfsPwm) -> None:
        self._options = options
        self._pwm = pwm
        self._filter = PeakFilter(PAIRS)
        self._reading: PilotReading | None = None
        self._proximity: ProximityReading | None = None
        self._temperatures: tuple[TemperatureReading, ...] = ()
        self.duty_pct = PILOT_F_PCT
        self.sighted = False
        """Bursts come in: only then may a current be offered."""
        self._last_high_v = 0.0
        self._news = 0
        """Pairs in a row that were far from the reading."""

    def set_pilot(self, duty_pct: float, now: float) -> None:  # noqa: ARG002 (part of the port)
        """Values outside 0 … 100 % are no duty cycle and become F. No PWM while the pilot cannot be seen."""
        if not 0.0 <= duty_pct <= 100.0:
            duty_pct = PILOT_F_PCT
        steady = duty_pct in (PILOT_F_PCT, PILOT_X1_PCT)
        if duty_pct == self.duty_pct or not self._pwm.is_open or (not steady and not self.sighted):
            return
        try:
            self._pwm.set_duty(duty_pct)
        except PwmAbsentError:
            self.blind()
            return
        was_steady = self.duty_pct in (PILOT_F_PCT, PILOT_X1_PCT)
        if steady or was_steady:
            self._filter.clear()  # pairs of another waveform must not be mixed with these
        self.duty_pct = duty_pct

    @property
    def idle(self) -> bool:
        """The last look showed nobody plugged in, or there is nothing to look at."""
        return self.sighted and (self.duty_pct == PILOT_F_PCT or self._last_high_v >= NOBODY_V)

    @property
    def restless(self) -> bool:
        """The level has moved, and the reading has not followed yet."""
        return 0 < self._news <= PAIRS

    def pilot(self) -> PilotReading | None:
        return self._reading

    def proximity(self) -> ProximityReading | None:
        return self._proximity

    def temperatures(self) -> tuple[TemperatureReading, ...]:
        return self._temperatures

    def take(
        self, codes: list[int], extra: dict[int, list[int]], interval_us: float, duty_pct: float, at: float
    ) -> None:
        """Take a burst: the pilot's conversions, and those of each other channel, taken at ``at``."""
        options = self._options
        raw = peaks_of(codes, duty_pct, interval_us)
        pair = None if raw is None else Peaks(self._volts(raw.high_v), self._volts(raw.low_v))
        if pair is not None and duty_pct == self.duty_pct:
            self.sighted = True
            self._last_high_v = pair.high_v
            known = self._reading
            far = known is not None and known.high_v is not None and abs(pair.high_v - known.high_v) > MOVED_V
            self._news = self._news + 1 if far else 0
            reading = self._filter.add(pair)
            if reading is not None:
                self._reading = PilotReading(at, None, round(reading.high_v, 3), round(reading.low_v, 3))
        for channel, found in extra.items():
            share = median(found) / (options.adc.full_scale - 1)
            if channel == options.proximity_channel:
                ohm = resistance_ohm(share, options.proximity_pull_up_ohm)
                self._proximity = ProximityReading(at, cable_of(ohm))
            else:
                ohm = resistance_ohm(share, options.temperature_pull_up_ohm)
                value_c = temperature_c(ohm, options.temperature_sensor, options.ntc_ohm, options.ntc_beta)
                self._temperatures = (TemperatureReading(at, value_c),)

    def _volts(self, code: float) -> float:
        """Pilot volts of a conversion. The higher code is the higher level, so peaks may be found among codes."""
        options = self._options
        return (code * options.reference_v / options.adc.full_scale - options.zero_v) * options.scale

    def blind(self) -> None:
        """The converter or the PWM is lost: nothing is offered on, and what was commanded counts no more."""
        self.sighted = False
        self._filter.clear()
        self.duty_pct = PILOT_F_PCT
        try:
            self._pwm.set_duty(PILOT_F_PCT)
        except PwmAbsentError:
            return
