"""A vehicle at the cable: reads the offer, moves S2, draws current, fills its battery. Pure; time comes in.

Reaction times of IEC 61851-1 Table A.6 as far as they are known: follows a new duty within 5 s (sequence 6),
stops drawing and opens S2 within 3 s of the offer's end (sequence 9/10.1), stops drawing before it opens S2
(sequence 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from simulators.vehicle.battery import Battery
from simulators.vehicle.cars import GENERIC, NOMINAL_V, Car
from simulators.vehicle.characters import NORMAL, Character
from simulators.vehicle.circuit import (
    R_PRESENT_OHM,
    R_READY_OHM,
    R_SHORT_OHM,
    R_VENTILATION_OHM,
    Load,
    offered_current_a,
    parallel_ohm,
    peaks_v,
)

RAMP_UP_A_PER_S = 10.0
RAMP_DOWN_A_PER_S = 40.0
SOFT_START_S = 0.8
"""From voltage at the inlet to the first current."""
SIMPLIFIED_LIMIT_A = 10.0
"""IEC 61851-1 A.2.3: a vehicle with the simplified pilot keeps to 10 A by itself."""
WAKE_EF_S = 0.3
WAKE_X1_S = 2.5
"""How long state E/F or x1 must last to wake a sleeper (EVSEs hold 4 s and 3 s)."""
BCB_LEVEL_S = 0.3
"""Each level of a BCB toggle: 200 … 400 ms (hardware sheet §3.1)."""
BCB_LEVELS = 4
"""C, B, C, B after the first B."""


class Wish(Enum):
    """What the driver or the car's timer wants."""

    CHARGE = "charge"
    PAUSE = "pause"
    """Stop in good order: ramp down, then open S2."""
    NOT_READY = "not-ready"
    """Open S2 at once, under load if there is one."""


@dataclass(frozen=True, slots=True)
class Electrical:
    """What the vehicle does to the charger: both pilot peaks, and the current on L1, L2, L3."""

    high_v: float
    low_v: float
    current_a: tuple[float, float, float]


NO_CURRENT = (0.0, 0.0, 0.0)


class Vehicle:
    """One vehicle, plugged in from its making on."""

    def __init__(self, car: Car = GENERIC, character: Character = NORMAL, soc: float = 0.2) -> None:
        self.car = car
        self.character = character
        self.battery = Battery(car.battery_wh, car.battery_wh * soc)
        self.wish = Wish.CHARGE
        self.current_cap_a: float | None = None
        self.phases_cap: int | None = None
        self.delivered_wh = 0.0
        """Energy taken at the inlet since plugged in."""
        self.s2_closed = False
        self._asleep = character.sleeps
        self._drawn_a = 0.0
        self._last_offer_a = 0.0
        self._s2_timer_s = 0.0
        self._mains_s = 0.0
        self._ef_s = 0.0
        self._x1_s = 0.0
        self._pwm_seen = False
        self._bcb_s = 0.0

    @property
    def asleep(self) -> bool:
        return self._asleep

    def become(self, character: Character) -> None:
        """Change manners in mid-session."""
        self.character = character
        self._asleep = character.sleeps
        self._bcb_s = 0.0

    def load(self) -> Load:
        """The pilot load as it stands now."""
        ohm = R_PRESENT_OHM
        if self.s2_closed or not self.character.has_s2:
            switched = R_VENTILATION_OHM if self.character.ventilation else R_READY_OHM
            ohm = parallel_ohm(R_PRESENT_OHM, switched)
        shunt_ohm = R_SHORT_OHM if self.character.short_cp else None
        return Load(ohm, self.character.has_diode, shunt_ohm)

    def phases_in_use(self, mains: tuple[bool, bool, bool]) -> int:
        """How many phases it draws from, given which carry voltage. L1 is needed for any."""
        if not mains[0]:
            return 0
        phases = self.car.phases
        for cap in (self.character.phases, self.phases_cap):
            if cap is not None:
                phases = min(phases, cap)
        live = 1
        while live < phases and mains[live]:
            live += 1
        return live

    def step(
        self,
        dt_s: float,
        duty_pct: float,
        mains: tuple[bool, bool, bool],
        *,
        powered: bool = True,
        voltage_v: float = NOMINAL_V,
        energy_factor: float = 1.0,
    ) -> Electrical:
        """Let ``dt_s`` seconds pass with this pilot duty and these live phases at the inlet.

        ``powered`` False: the pilot generator is dead (0 V). ``energy_factor`` speeds up the filling only.
        """
        offer_a = offered_current_a(duty_pct) if powered and not self.character.short_cp else 0.0
        self._listen(dt_s, duty_pct, powered, offer_a)
        wants = self.wish is Wish.CHARGE and not self._asleep and not self.battery.full
        self._move_s2(dt_s, wants, offer_a)
        current_a = self._draw(dt_s, wants, offer_a, mains)
        energy_wh = sum(current_a) * voltage_v * dt_s / 3600.0 * energy_factor
        self.delivered_wh += energy_wh
        self.battery.fill(energy_wh)
        high_v, low_v = peaks_v(duty_pct, self.load(), powered)
        return Electrical(high_v, low_v, current_a)

    def _listen(self, dt_s: float, duty_pct: float, powered: bool, offer_a: float) -> None:
        """Wake by state E/F, or by PWM → x1 → PWM."""
        if not powered or duty_pct <= 0.0:
            self._ef_s += dt_s
            if self._ef_s >= WAKE_EF_S:
                self._wake()
        else:
            self._ef_s = 0.0
        if offer_a > 0.0:
            if self._pwm_seen and self._x1_s >= WAKE_X1_S:
                self._wake()
            self._pwm_seen = True
            self._x1_s = 0.0
            self._bcb_s += dt_s
        else:
            self._bcb_s = 0.0
            if duty_pct >= 100.0:
                self._x1_s += dt_s

    def _wake(self) -> None:
        # A sleeper listens only once it has been offered current and slept through it.
        if self._asleep and self._pwm_seen:
            self._asleep = False

    def _move_s2(self, dt_s: float, wants: bool, offer_a: float) -> None:
        if self.wish is Wish.NOT_READY:
            self.s2_closed = False
            self._s2_timer_s = 0.0
            return
        if self.character.bcb_toggle and offer_a > 0.0 and wants:
            level = int(self._bcb_s / BCB_LEVEL_S)
            if level <= BCB_LEVELS:
                self.s2_closed = level % 2 == 1
                self._s2_timer_s = 0.0
                return
        stays = self.character.ignores_pwm_off and self.s2_closed
        target = wants and (offer_a > 0.0 or stays)
        if target == self.s2_closed:
            self._s2_timer_s = 0.0
            return
        if not target and self._drawn_a > 1.0:
            return  # sequence 7: first the current, then S2
        self._s2_timer_s += dt_s
        limit_s = self.character.s2_close_delay_s if target else self.character.s2_open_delay_s
        if self._s2_timer_s >= limit_s:
            self.s2_closed = target
            self._s2_timer_s = 0.0

    def _draw(
        self, dt_s: float, wants: bool, offer_a: float, mains: tuple[bool, bool, bool]
    ) -> tuple[float, float, float]:
        live = self.phases_in_use(mains)
        if live == 0:
            self._drawn_a = 0.0
            self._mains_s = 0.0
            self._last_offer_a = offer_a
            return NO_CURRENT
        self._mains_s += dt_s
        if offer_a > 0.0 or not self.character.ignores_pwm_off:
            self._last_offer_a = offer_a
        target_a = 0.0
        connected = self.s2_closed or not self.character.has_s2
        if wants and connected and self._mains_s >= SOFT_START_S:
            target_a = self._last_offer_a * self.character.draw_factor
            target_a = min(target_a, self.car.max_current_a(live) * self.battery.acceptance())
            if not self.character.has_s2:
                target_a = min(target_a, SIMPLIFIED_LIMIT_A)
            if self.current_cap_a is not None:
                target_a = min(target_a, self.current_cap_a)
        if target_a > self._drawn_a:
            self._drawn_a = min(target_a, self._drawn_a + RAMP_UP_A_PER_S * dt_s)
        else:
            self._drawn_a = max(target_a, self._drawn_a - RAMP_DOWN_A_PER_S * dt_s)
        drawn_a = self._drawn_a
        return (drawn_a, drawn_a if live > 1 else 0.0, drawn_a if live > 2 else 0.0)
