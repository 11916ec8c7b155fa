"""The part that all charge controllers share: devices that run the pilot by themselves, which control only follows.

Pure: no wire, no clock. A driver gives its one unit out as a ``Follower`` (or a subclass that adds ports) and keeps
the wire itself. Two directions:

*Control → wire.* Control commands through ``set_pilot``, ``set_contactor``, ``set_phases``. The follower makes of it
one ``Wish``. The driver writes it so:

    follower = Follower(step_a=0.1, repeat_s=5.0, on_wish=self._pump)   # on_wish(now): the wish has changed
    …
    if follower.is_due(now):                # changed, unconfirmed, or older than repeat_s; ``urgent``: goes first
        wish = follower.take(now)           # from here on what the controller holds is unknown
        …write it; when the controller has answered that it took it:
        follower.confirm(wish, now)

A wish never enables before ``verify()``: the driver calls that when it is certain of its counterpart. ``begin()``
(line opened, controller was reset) and ``lose()`` (silent, unplugged) take the enabling wish away for good: control
must command it afresh, which it does on its next tick after ``verify()``. ``begin()`` forgets the readings too;
``lose()`` leaves them to age.

*Wire → control.* ``tell_pilot``, ``tell_contacts``, ``tell_errors``, ``tell_capabilities``, ``tell_meter``,
``tell_proximity``, ``tell_lock``, ``tell_temperatures`` take what the controller told, with the time it was taken;
``heard(now)`` counts any valid frame as its life sign. No reading is ever stamped again.
"""

# ruff: noqa: ARG002 (every port method takes the time)
from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hal.duty import MAX_CURRENT_A, MIN_CURRENT_A, current_of
from hal.values import (
    PILOT_X1_PCT,
    BoardError,
    BoardReading,
    Cable,
    Capabilities,
    ContactorReading,
    LockReading,
    MeterReading,
    PilotReading,
    PilotState,
    ProximityReading,
    TemperatureReading,
)

SLACK_A, HIGH_SLACK_A = 0.006, 0.025
"""Control commands a duty cycle in steps of 0.01 %, rounded down. 16 A comes as 26.66 %, which is 15.996 A by the
formula: for a controller that takes whole amperes that must stay 16 A. So what one more step of the duty cycle is
worth (up to 85 %, and above) still counts as commanded; it is far below what a vehicle can resolve."""
_KNEE_PCT = 85.0
_HAIR = 1e-6
"""Against binary fractions only."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the controller shall be told. Not ``enabled``: nothing offered, contacts open."""

    enabled: bool = False
    current_a: float = 0.0
    """0 when not enabled, else at least 6 A, in the controller's own steps."""
    available: bool = False
    """False: the pilot shall show F, where the controller can; otherwise it just is not enabled."""


NOTHING = Wish()


def wish_of(duty_pct: float, *, step_a: float, min_current_a: float, max_current_a: float) -> Wish:
    """Return what a commanded duty cycle allows a controller that takes currents in steps of ``step_a``.

    Steady pilots, the digital 5 %, and all that is no duty cycle enable nothing; 0 % and what lies outside
    0 … 100 % stand for F. So does a current below the controller's lowest enable nothing: it is never rounded up.
    """
    if not 0.0 < duty_pct <= PILOT_X1_PCT:  # NaN ends here too
        return NOTHING
    commanded_a = current_of(duty_pct)
    if commanded_a > 0.0:
        commanded_a = min(commanded_a + (SLACK_A if duty_pct <= _KNEE_PCT else HIGH_SLACK_A), MAX_CURRENT_A)
    steps = math.floor(min(commanded_a, max_current_a) / step_a + _HAIR)
    current_a = round(steps * step_a, 3)
    if current_a < max(MIN_CURRENT_A, min_current_a):
        return Wish(available=True)
    return Wish(True, current_a, True)


@dataclass(slots=True)
class _Told:
    """What the controller has told since it was last begun with."""

    pilot: PilotReading | None = None
    contactor: ContactorReading | None = None
    proximity: ProximityReading | None = None
    lock: LockReading | None = None
    meter: MeterReading | None = None
    temperatures: tuple[TemperatureReading, ...] = ()
    errors: frozenset[BoardError] = frozenset()
    capabilities: Capabilities = field(default_factory=Capabilities)


def _ignore(now: float) -> None:
    """Nobody asked to be told."""


class Follower:
    """Implements ``ChargeController``, and the reading side of meter, proximity, lock and temperature."""

    def __init__(
        self,
        *,
        step_a: float = 1.0,
        min_current_a: float = MIN_CURRENT_A,
        max_current_a: float = MAX_CURRENT_A,
        repeat_s: float = 5.0,
        on_wish: Callable[[float], None] = _ignore,
        on_reset: Callable[[float], None] = _ignore,
    ) -> None:
        """``step_a``: the controller's resolution. ``repeat_s``: a wish confirmed so long ago is said again.
        ``on_wish(now)`` is called when the wish has changed by a command, ``on_reset(now)`` for ``reset_board``."""
        self.verified = False
        """The driver is certain of its counterpart; only then does a wish enable."""
        self.changed_at: float | None = None
        """When the wish last became another."""
        self.phases: int | None = None
        """Last choice of ``set_phases``; None where there was none."""
        self._step_a = step_a
        self._min_a, self._max_a = min_current_a, max_current_a
        self._repeat_s = repeat_s
        self._on_wish, self._on_reset = on_wish, on_reset
        self._duty_pct = 0.0
        self._contacts = False
        self._confirmed: Wish | None = None
        """What the controller is known to hold; None: unknown."""
        self._confirmed_at = -math.inf
        self._resets = 0
        self._reset_reason = ""
        self._heard_at: float | None = None
        self._told = _Told()

    # Commands: ControlPilot, Contactor, Board

    def set_pilot(self, duty_pct: float, now: float) -> None:
        before = self.wish
        wanted = self._wish_of(duty_pct)
        if wanted.enabled and not self.verified:
            return  # not kept: it must come again once we are certain
        self._duty_pct = duty_pct
        if wanted != before:
            self.changed_at = now
            self._on_wish(now)

    def set_contactor(self, closed: bool, now: float) -> None:
        """The controller moves its contacts by itself; the pilot alone permits and forbids (see the port).

        What is kept is only how fast it must open beside a steady pilot (``open_now``)."""
        before, self._contacts = self.open_now, closed
        if self.open_now and not before:
            self._on_wish(now)

    def set_phases(self, phases: int, now: float) -> None:
        self.phases = phases

    def reset_board(self, now: float) -> None:
        self.lose()
        self._on_reset(now)

    # Readings

    def pilot(self) -> PilotReading | None:
        return self._told.pilot

    def contactor(self) -> ContactorReading | None:
        return self._told.contactor

    def proximity(self) -> ProximityReading | None:
        return self._told.proximity

    def lock(self) -> LockReading | None:
        return self._told.lock

    def meter(self) -> MeterReading | None:
        return self._told.meter

    def temperatures(self) -> tuple[TemperatureReading, ...]:
        return self._told.temperatures

    def board(self) -> BoardReading | None:
        if self._heard_at is None:
            return None
        told = self._told
        return BoardReading(self._heard_at, told.errors, self._resets, self._reset_reason, told.capabilities)

    # For the driver: the wish

    @property
    def wish(self) -> Wish:
        return self._wish_of(self._duty_pct)

    @property
    def urgent(self) -> bool:
        """The wish takes away from what the controller may hold: it goes ahead of all else on the wire."""
        wish, held = self.wish, self._confirmed
        if wish == held:
            return False
        return not wish.enabled or (held is not None and held.enabled and wish.current_a < held.current_a)

    @property
    def open_now(self) -> bool:
        """Nothing is enabled and control wants the contacts open already: the vehicle is given no more time to stop
        drawing. For controllers that know a graceful stop and a fast one."""
        return not self._contacts and not self.wish.enabled

    def due_at(self) -> float:
        """When the wish must be written next; −inf while the controller is not known to hold it."""
        return self._confirmed_at + self._repeat_s if self.wish == self._confirmed else -math.inf

    def is_due(self, now: float) -> bool:
        return now >= self.due_at()

    def take(self, now: float) -> Wish:
        """Return the wish to write now. Until it is confirmed, what the controller holds is unknown."""
        self._confirmed = None
        return self.wish

    def confirm(self, wish: Wish, now: float) -> None:
        """The controller has answered that it took this."""
        self._confirmed = wish
        self._confirmed_at = now

    def doubt(self) -> None:
        """What the controller shows is not what it confirmed: the wish is due again."""
        self._confirmed = None

    def verify(self) -> None:
        """The counterpart is what we take it for, and it listens."""
        self.verified = True

    def lose(self) -> None:
        """It is silent or was unplugged: nothing enabling that was commanded counts any more."""
        self.verified = False
        if self.wish.enabled:
            self._duty_pct = PILOT_X1_PCT
        self._contacts = False
        self._confirmed = None

    def begin(self) -> None:
        """The line is fresh or the controller was reset: know nothing of it and enable nothing."""
        self.lose()
        self._told = _Told()

    def limit(self, *, min_current_a: float, max_current_a: float) -> None:
        """The controller has told its range."""
        self._min_a, self._max_a = min_current_a, max_current_a

    # For the driver: what was told

    def heard(self, now: float) -> None:
        self._heard_at = now

    def count_reset(self, reason: str) -> None:
        self._resets += 1
        self._reset_reason = reason

    def tell_pilot(
        self, state: PilotState, now: float, *, high_v: float | None = None, low_v: float | None = None
    ) -> None:
        self._told.pilot = PilotReading(now, state, high_v, low_v)

    def tell_contacts(self, closed: bool | None, now: float, *, phases: int | None = None) -> None:
        self._told.contactor = ContactorReading(now, closed, phases)

    def tell_proximity(self, cable: Cable, now: float) -> None:
        self._told.proximity = ProximityReading(now, cable)

    def tell_lock(self, locked: bool | None, now: float) -> None:
        self._told.lock = LockReading(now, locked)

    def tell_meter(self, reading: MeterReading) -> None:
        self._told.meter = reading

    def tell_temperatures(self, values_c: Iterable[float | None], now: float) -> None:
        """One reading per sensor, None for a broken one."""
        self._told.temperatures = tuple(TemperatureReading(now, value_c) for value_c in values_c)

    def tell_errors(self, errors: Iterable[BoardError]) -> None:
        """All that is wrong at present; what is missing from it is over."""
        self._told.errors = frozenset(errors)

    def tell_capabilities(self, capabilities: Capabilities) -> None:
        self._told.capabilities = capabilities

    def _wish_of(self, duty_pct: float) -> Wish:
        return wish_of(duty_pct, step_a=self._step_a, min_current_a=self._min_a, max_current_a=self._max_a)
