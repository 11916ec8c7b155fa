"""From installed profiles to what an EVSE, or the whole station, may draw over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo

from agent.station.charging.calendar import spans
from agent.station.charging.levels import Level, Steps, Wiring, combine, first, lowest, plus, steps_of
from agent.station.charging.profile import CAPACITY, Period, Profile, RateUnit
from agent.station.charging.store import Installed, ProfileStore

MOST_S = 7 * 86_400
"""A composite schedule does not look further; its duration says so."""


@dataclass(frozen=True, slots=True)
class Charging:
    """The transaction at an EVSE."""

    transaction: str
    start_utc_s: int
    priority: bool = False
    """It charges first of all."""


@dataclass(frozen=True, slots=True)
class Window:
    """The time that is looked at."""

    begin_s: int
    end_s: int
    zone: tzinfo | None = None
    offline_utc_s: int | None = None
    """Since when the network is away; None while it is there."""


def stacked(entries: Sequence[Installed], wiring: Wiring, window: Window, anchor_s: int | None) -> Steps:
    """Stack profiles of one purpose, highest first. ``anchor_s`` None: each is relative to when it was installed."""
    found: Steps = [(window.begin_s, None)]
    for entry in entries:
        start_s = entry.since_utc_s if anchor_s is None else anchor_s
        profile = entry.profile
        own = spans(profile, window.begin_s, _lapse_s(profile, window), start_s, window.zone)
        found = combine(found, steps_of(own, profile.schedule, wiring, window.begin_s, window.end_s), first)
    return found


def _lapse_s(profile: Profile, window: Window) -> int:
    """When it becomes invalid because the network is away (OCPP 2.1 K01.FR.101), or the end of the window."""
    if profile.offline is None or window.offline_utc_s is None:
        return window.end_s
    return min(window.end_s, window.offline_utc_s + profile.offline.most_s)


def generation(entries: Sequence[Installed], wiring: Wiring, window: Window, among: int = 1) -> Steps:
    """Return what is generated at the site for each of ``among`` outlets that share it evenly.

    It counts on all the phases that are loaded: a current on fewer helps none of them.
    """
    shares = [replace(entry, profile=_share(entry.profile, wiring, among)) for entry in entries]
    return stacked(shares, replace(wiring, switchable=False), window, None)


def _share(profile: Profile, wiring: Wiring, among: int) -> Profile:
    schedule = profile.schedule
    periods = []
    for period in schedule.periods:
        few = schedule.unit is RateUnit.AMPERE and period.phases is not None and period.phases < wiring.phases
        periods.append(Period(period.start_s, 0.0 if few else period.limit / among))
    return replace(profile, schedule=replace(schedule, periods=tuple(periods)))


def constraints(entries: Sequence[Installed], wiring: Wiring, window: Window) -> Steps:
    """Return what the external limits, which hold all at once, leave."""
    found: Steps = [(window.begin_s, None)]
    for entry in entries:
        found = combine(found, stacked([entry], wiring, window, None), lowest)
    return found


def station_steps(store: ProfileStore, wiring: Wiring, window: Window) -> Steps:
    """Return the limit for all EVSEs together. Relative profiles begin when they were installed."""
    found = stacked(store.of_station(), wiring, window, None)
    found = combine(found, constraints(store.external(0), wiring, window), lowest)
    return combine(found, generation(store.generation(0), wiring, window), plus)


def evse_steps(
    store: ProfileStore, evse: int, wiring: Wiring, window: Window, charging: Charging | None, among: int = 1
) -> Steps:
    """Return the limit for a transaction at an EVSE: its own profile where one holds, else the default; while it
    charges first of all, the profile for that. External constraints hold it down, generation at the site lifts it.

    Without a transaction: what one would get that begins with the window. ``among``: EVSEs of the station.
    """
    anchor_s = charging.start_utc_s if charging is not None else window.begin_s
    found = stacked(store.of_transaction(charging.transaction) if charging else [], wiring, window, anchor_s)
    found = combine(found, stacked(store.defaults_of(evse), wiring, window, anchor_s), first)
    if charging is not None and charging.priority:
        # 2.1 K21.FR.04. Where no profile for it is valid, the usual ones hold.
        found = combine(stacked(store.priorities_of(evse), wiring, window, anchor_s), found, first)
    found = combine(found, constraints(store.external(evse), wiring, window), lowest)
    found = combine(found, generation(store.generation(evse), wiring, window), plus)
    return combine(found, generation(store.generation(0), wiring, window, among), plus)


@dataclass(frozen=True, slots=True)
class CompositePeriod:
    start_s: int
    """Since the start of the schedule."""
    limit: float
    phases: int


@dataclass(frozen=True, slots=True)
class Composite:
    """What may be drawn from ``start_utc_s`` on, for ``duration_s``."""

    start_utc_s: int
    duration_s: int
    unit: RateUnit
    periods: tuple[CompositePeriod, ...]


def capped(steps: Steps, level: Level) -> Steps:
    """Apply a limit that always holds."""
    return combine(steps, [(steps[0][0], level)], lowest)


def composite(steps: Steps, wiring: Wiring, window: Window, unit: RateUnit) -> Composite:
    """Write limits (with no gaps) as a schedule. What does not fit into the most periods shortens its duration."""
    periods: list[CompositePeriod] = []
    end_s = window.end_s
    for from_s, level in steps:
        assert level is not None, "a limit that always holds is missing"
        amount = level.current_a if unit is RateUnit.AMPERE else wiring.watts(level.current_a, level.phases)
        period = CompositePeriod(from_s - window.begin_s, tenth(amount), level.phases)
        if periods and (periods[-1].limit, periods[-1].phases) == (period.limit, period.phases):
            continue
        if len(periods) >= CAPACITY.periods:
            end_s = from_s
            break
        periods.append(period)
    return Composite(window.begin_s, end_s - window.begin_s, unit, tuple(periods))


def total(parts: Sequence[tuple[Steps, Wiring]], limit: Steps, wiring: Wiring, unit: RateUnit) -> Steps:
    """Add up what the EVSEs may draw and apply the limit of them all.

    Ampere add up as if all were on the same phase; watt as they are. The levels of the result are ampere per phase of
    the whole station's ``wiring``.
    """
    found: Steps = [(limit[0][0], Level(0.0, wiring.phases))]
    for steps, own in parts:
        scale = 1.0 if unit is RateUnit.AMPERE else own.nominal_v / wiring.watts(1.0)

        def add(sum_: Level | None, more: Level | None, scale: float = scale) -> Level | None:
            assert sum_ is not None
            assert more is not None
            factor = scale if unit is RateUnit.AMPERE else scale * more.phases
            return Level(sum_.current_a + more.current_a * factor, wiring.phases)

        found = combine(found, steps, add)
    return combine(found, limit, lowest)


def tenth(value: float) -> float:
    """Cut to a tenth, the resolution of OCPP; never up, since it is a limit."""
    return int(value * 10 + 1e-6) / 10
