"""What a transaction has used and costs by its tariff. Pure, and exact: whole milliseconds and thousandths of a Wh,
fractions of money, rounded only where they are told.

Between two readings the prices of the earlier state hold; where time alone changes them meanwhile, the stretch is
divided there, and its energy in proportion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from fractions import Fraction
from typing import Any

from agent.station.tariffs.tariff import Bound, Conditions, Part, PriceList, Tariff

MINUTE_MS = 60_000
MOST_MINUTES = 60 * 24 * 8
"""A stretch longer than this (the machine was off) counts as one at its end."""
MAX_PERIODS = 500
"""Told at the end; longer lists are joined at their end."""

_TIMED = {Part.CHARGING_TIME: True, Part.IDLE_TIME: False}


@dataclass(frozen=True, slots=True)
class Reading:
    """What the EVSE is doing from now on. ``utc_ms``: wall time."""

    utc_ms: int
    register_mwh: int
    charging: bool
    power_w: float = 0.0
    current_a: float = 0.0
    """Sum over the phases."""


@dataclass(slots=True)
class Stretch:
    """A time in which the same prices were used (ChargingPeriodType)."""

    start_utc_ms: int
    tariff: str
    used: tuple[int | None, ...]
    """Number of the price in force in each list: energy, charging time, idle time."""
    energy_mwh: int = 0
    charging_ms: int = 0
    idle_ms: int = 0
    least_w: float | None = None
    most_w: float | None = None


@dataclass(slots=True)
class Account:
    """``zone``: of the local time that conditions speak of."""

    tariff: Tariff
    zone: tzinfo
    reading: Reading
    energy_mwh: int = 0
    charging_ms: int = 0
    idle_ms: int = 0
    reserved_s: int | None = None
    excl: dict[Part, Fraction] = field(default_factory=dict)
    incl: dict[Part, Fraction] = field(default_factory=dict)
    stretches: list[Stretch] = field(default_factory=list)
    capped: bool = False
    """maxCost is reached: nothing is added any more (I12.FR.39)."""

    def begin(self, reserved_s: int | None = None) -> None:
        """Count what is due once at the start (I12.FR.06, FR.30)."""
        self.reserved_s = reserved_s
        self._once(Part.FIXED, Fraction(1))
        if reserved_s is not None:
            self._once(Part.RESERVATION_FIXED, Fraction(1))
            self._once(Part.RESERVATION_TIME, Fraction(reserved_s, 60))
        self._cap(Fraction(0), Fraction(0))

    def _once(self, part: Part, times: Fraction) -> None:
        chosen = self._price(part, self.reading.utc_ms)
        if chosen is not None:
            self._add(part, times * self.tariff.lists[part].prices[chosen].amount)

    def change(self, tariff: Tariff) -> None:
        """Another tariff from now on (I11.FR.08). What was due once is not due again."""
        self.tariff = tariff

    # ---- going on -----------------------------------------------------------------------------------------------

    def advance(self, elapsed_ms: int, reading: Reading) -> None:
        """Take the time since the last reading, and a new one. A register that has gone back counts for nothing."""
        before, self.reading = self.reading, reading
        energy_mwh = max(0, reading.register_mwh - before.register_mwh)
        elapsed_ms = max(0, elapsed_ms)
        gone_mwh = 0
        for start_ms, end_ms in self._pieces(elapsed_ms, before.charging):
            until_mwh = energy_mwh * end_ms // elapsed_ms if elapsed_ms else energy_mwh
            self._count(before, reading.utc_ms - elapsed_ms + start_ms, end_ms - start_ms, until_mwh - gone_mwh)
            gone_mwh = until_mwh

    def _pieces(self, elapsed_ms: int, charging: bool) -> Iterator[tuple[int, int]]:
        """Divide a stretch at each full minute, and where a time that conditions name is reached. The zones of today
        are whole minutes apart, so prices by local time change at full minutes, also when its offset changes."""
        at_ms = 0
        utc_ms = self.reading.utc_ms - elapsed_ms
        whole = elapsed_ms > MOST_MINUTES * MINUTE_MS
        while at_ms < elapsed_ms and not whole:
            step_ms = MINUTE_MS - (utc_ms + at_ms) % MINUTE_MS
            for name, least, below in self._ranges:
                gone_ms = self._gone_ms(name)
                if name == "Time" or (name == "ChargingTime") == charging:
                    for bound in (least, below):
                        left_ms = None if bound is None else int(bound * 1000) - gone_ms
                        if left_ms is not None and left_ms > 0:
                            step_ms = min(step_ms, left_ms)
            end_ms = min(at_ms + step_ms, elapsed_ms)
            yield at_ms, end_ms
            at_ms = end_ms
        if at_ms < elapsed_ms or not elapsed_ms:
            yield at_ms, elapsed_ms

    @property
    def _ranges(self) -> Iterator[tuple[str, Fraction | None, Fraction | None]]:
        for prices in self.tariff.lists.values():
            for price in prices.prices:
                yield from (each for each in price.conditions.ranges if each[0].endswith("Time"))

    def _gone_ms(self, name: str) -> int:
        times = {"ChargingTime": self.charging_ms, "IdleTime": self.idle_ms}
        return times.get(name, self.charging_ms + self.idle_ms)

    def _count(self, state: Reading, utc_ms: int, time_ms: int, energy_mwh: int) -> None:
        excl, incl = self._sum(self.excl), self._sum(self.incl)
        used = tuple(self._price(part, utc_ms, state) for part in (Part.ENERGY, *_TIMED))
        stretch = self._stretch(used, utc_ms)
        stretch.energy_mwh += energy_mwh
        if state.charging:
            stretch.charging_ms += time_ms
            stretch.least_w = state.power_w if stretch.least_w is None else min(stretch.least_w, state.power_w)
            stretch.most_w = state.power_w if stretch.most_w is None else max(stretch.most_w, state.power_w)
        else:
            stretch.idle_ms += time_ms
        saved = (dict(self.excl), dict(self.incl))
        self._spend(Part.ENERGY, used[0], Fraction(energy_mwh, 1_000_000))
        minutes = Fraction(time_ms, MINUTE_MS)
        if state.charging:
            self._spend(Part.CHARGING_TIME, used[1], minutes)
            self.charging_ms += time_ms
        else:
            self._spend(Part.IDLE_TIME, used[2], minutes)
            self.idle_ms += time_ms
        self.energy_mwh += energy_mwh
        if self.capped:
            self.excl, self.incl = saved
        else:
            self._cap(excl, incl, saved)

    def _stretch(self, used: tuple[int | None, ...], utc_ms: int) -> Stretch:
        last = self.stretches[-1] if self.stretches else None
        same = last is not None and (last.tariff, last.used) == (self.tariff.id, used)
        if last is None or (not same and len(self.stretches) < MAX_PERIODS):
            last = Stretch(utc_ms, self.tariff.id, used)
            self.stretches.append(last)
        return last

    def _spend(self, part: Part, chosen: int | None, times: Fraction) -> None:
        if chosen is not None:
            self._add(part, times * self.tariff.lists[part].prices[chosen].amount)

    def _add(self, part: Part, amount: Fraction) -> None:
        self.excl[part] = self.excl.get(part, Fraction(0)) + amount
        self.incl[part] = self.incl.get(part, Fraction(0)) + amount * self.tariff.lists[part].factor

    def _cap(
        self,
        excl: Fraction,
        incl: Fraction,
        saved: tuple[dict[Part, Fraction], dict[Part, Fraction]] | None = None,
    ) -> None:
        """Stop at maxCost, at the very moment it is reached (I12.FR.39)."""
        share = _share(self.tariff.most, (excl, incl), (self._sum(self.excl), self._sum(self.incl)))
        if share is None:
            return
        old_excl, old_incl = saved if saved is not None else ({}, {})
        for amounts, old in ((self.excl, old_excl), (self.incl, old_incl)):
            for part, amount in amounts.items():
                start = old.get(part, Fraction(0))
                amounts[part] = start + (amount - start) * share
        self.capped = True

    @staticmethod
    def _sum(amounts: Mapping[Part, Fraction]) -> Fraction:
        return sum(amounts.values(), Fraction(0))

    @property
    def total(self) -> tuple[Fraction, Fraction]:
        """Without and with tax."""
        return self._sum(self.excl), self._sum(self.incl)

    # ---- which price --------------------------------------------------------------------------------------------

    def _price(self, part: Part, utc_ms: int, state: Reading | None = None) -> int | None:
        """Return the number of the first price whose conditions hold (I12.FR.34); None for none."""
        prices: PriceList | None = self.tariff.lists.get(part)
        if prices is None:
            return None
        local = datetime.fromtimestamp(utc_ms / 1000, UTC).astimezone(self.zone)
        return next(
            (number for number, price in enumerate(prices.prices) if self._holds(price.conditions, local, state)), None
        )

    def _holds(self, conditions: Conditions, local: datetime, state: Reading | None) -> bool:
        if conditions.never or conditions.direct_current:  # every outlet here gives alternating current
            return False
        if conditions.days and local.weekday() not in conditions.days:
            return False
        if conditions.from_date is not None and local.date() < conditions.from_date:
            return False
        if conditions.to_date is not None and local.date() >= conditions.to_date:
            return False
        if not within_day(local.hour * 60 + local.minute, conditions.start_min, conditions.end_min):
            return False
        return all(_in_range(self._value(name, state), least, below) for name, least, below in conditions.ranges)

    def _value(self, name: str, state: Reading | None) -> Fraction:
        if name == "Energy":
            return Fraction(self.energy_mwh, 1000)
        if name in ("Power", "Current"):
            shown = state or self.reading
            return Fraction(shown.power_w if name == "Power" else shown.current_a)
        return Fraction(self._gone_ms(name), 1000)


def within_day(minute: int, start: int | None, end: int | None) -> bool:
    """Tell whether a minute of the local day lies between two; an end before the start is that of the next day."""
    if start is None and end is None:
        return True
    begin, stop = start or 0, end or 24 * 60  # an end at 00:00 is that of the day
    return begin <= minute < stop if begin < stop else minute >= begin or minute < stop


def _in_range(value: Fraction, least: Fraction | None, below: Fraction | None) -> bool:
    return (least is None or value >= least) and (below is None or value < below)


def _share(most: Bound | None, before: tuple[Any, Any], after: tuple[Any, Any]) -> Fraction | None:
    """Return how much of the latest addition still fits below a bound; None when it is not reached."""
    if most is None:
        return None
    found = None
    for bound, old, new in ((most.excl, before[0], after[0]), (most.incl, before[1], after[1])):
        if bound is not None and new >= bound:
            share = Fraction(1) if new <= old else max(Fraction(0), (bound - old) / (new - old))
            found = share if found is None else min(found, share)
    return found
