"""What charging profiles allow: the limit of now for each EVSE and for all together, and composite schedules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import tzinfo

from agent.station.charging.levels import Level, Steps, Wiring, at, combine, lowest, next_change
from agent.station.charging.plan import (
    MOST_S,
    Charging,
    Composite,
    Window,
    capped,
    composite,
    evse_steps,
    station_steps,
    tenth,
    total,
)
from agent.station.charging.profile import RateUnit
from agent.station.charging.store import Installed, ProfileStore
from agent.station.evse import Evse
from agent.station.site import Site, earliest

ROUNDING_S = 0.001

AHEAD_S = 86_400
"""Limits are worked out so far ahead at a time."""


@dataclass(frozen=True, slots=True)
class _Outlook:
    """Limits worked out, and for what."""

    store: int
    charging: Charging | None
    offline_utc_s: int | None
    begin_s: int
    end_s: int
    steps: Steps


class ChargingLimits:
    """``priority(transaction)``: it charges first of all. ``offline_utc_s()``: since when the network is away, where
    that matters; None while it is there."""

    def __init__(
        self,
        site: Site,
        store: ProfileStore,
        priority: Callable[[str], bool],
        offline_utc_s: Callable[[], int | None],
    ) -> None:
        self._site = site
        self._store = store
        self._priority = priority
        self._offline_utc_s = offline_utc_s
        self._zone = _zone(site.config.station.time_zone)
        self._outlooks: dict[int, _Outlook] = {}

    def wake(self) -> float | None:
        """When a limit changes next (monotonic)."""
        utc_s = self._site.moment.utc_s
        due = earliest(
            min(outlook.end_s, next_change(outlook.steps, utc_s) or outlook.end_s)
            for outlook in self._outlooks.values()
        )
        return None if due is None else self._site.now + due - utc_s

    # ---- limits -----------------------------------------------------------------------------------------------------

    def limit(self, evse: Evse) -> Level | None:
        """Return the network's limit for the transaction that runs at an EVSE; None when it sets none."""
        charging = self._charging(evse)
        if charging is None or not len(self._store):
            self._outlooks.pop(evse.id, None)
            return None
        return self._now(evse.id, charging)

    def station_limit_a(self) -> float | None:
        """Return the network's limit for all EVSEs together, per phase; None when it sets none."""
        if not len(self._store):
            self._outlooks.pop(0, None)
            return None
        level = self._now(0, None)
        return None if level is None else tenth(level.current_a)

    def _now(self, evse: int, charging: Charging | None) -> Level | None:
        utc_s = self._site.moment.utc_s
        offline_s = self._offline_utc_s()
        known = self._outlooks.get(evse)
        if (
            known is None
            or (known.store, known.charging, known.offline_utc_s) != (self._store.version, charging, offline_s)
            or not known.begin_s <= utc_s < known.end_s
        ):
            window = Window(int(utc_s), int(utc_s) + AHEAD_S, self._zone, offline_s)
            steps = self._steps(evse, window, charging)
            known = _Outlook(self._store.version, charging, offline_s, window.begin_s, window.end_s, steps)
            self._outlooks[evse] = known
        return at(known.steps, utc_s)

    def _steps(self, evse: int, window: Window, charging: Charging | None) -> Steps:
        if evse == 0:
            return station_steps(self._store, self._feed, window)
        wiring = self.wiring(self._site.evses[evse])
        return evse_steps(self._store, evse, wiring, window, charging, len(self._site.evses))

    def _charging(self, evse: Evse) -> Charging | None:
        session = evse.running
        if session is None or session.started is None:
            return None
        # 2.1 K01.FR.42: what is relative begins when driver and vehicle are there, wherever the transaction began.
        started, moment = session.authorised if session.stop_points else session.started, self._site.moment
        # A stamp of this boot may be older than the right time; the monotonic clock is not.
        priority = self._priority(session.transaction)
        utc_s = moment.utc_at(started.monotonic_s) if started.boot == moment.boot else started.utc_s
        # Down, so that what is relative to the start holds from the start; and steady, whatever a sum of floats gives.
        outlook = self._outlooks.get(evse.id)
        known = outlook.charging if outlook is not None else None
        if known is not None and known.transaction == session.transaction:
            off_s = utc_s - known.start_utc_s
            if -ROUNDING_S <= off_s < 1 + ROUNDING_S:
                return replace(known, priority=priority)
        return Charging(session.transaction, int(utc_s), priority)

    @property
    def _feed(self) -> Wiring:
        feed = self._site.config.installation
        return Wiring(feed.phases, feed.nominal_voltage_v)

    def wiring(self, evse: Evse) -> Wiring:
        """Return what an outlet has."""
        feed = self._site.config.installation
        return Wiring(min(evse.config.phases, feed.phases), feed.nominal_voltage_v, evse.config.switches_phases)

    # ---- composite schedules ----------------------------------------------------------------------------------------

    def composite(self, evse: int, duration_s: int, unit: RateUnit | None, limit_a: float) -> Composite | None:
        """Return what an EVSE, or (0) all of them together, may draw from now on; None for no such EVSE or time.

        ``limit_a``: what all may draw together, per phase, for reasons other than profiles. ``unit`` None: that of the
        profiles when all of them are in watt, else ampere.
        """
        if duration_s <= 0 or (evse and evse not in self._site.evses):
            return None
        begin_s = int(self._site.moment.utc_s)
        window = Window(begin_s, begin_s + min(duration_s, MOST_S), self._zone, self._offline_utc_s())
        if unit is None:
            units = {entry.profile.schedule.unit for entry in self._relevant(evse)}
            unit = RateUnit.WATT if units == {RateUnit.WATT} else RateUnit.AMPERE
        feed = self._feed
        station = capped(station_steps(self._store, feed, window), Level(limit_a, feed.phases))
        if evse == 0:
            parts = [(self._outlet(each, window), self.wiring(each)) for each in self._site.evses.values()]
            return composite(total(parts, station, feed, unit), feed, window, unit)
        outlet = self._site.evses[evse]
        steps = self._outlet(outlet, window)
        return composite(combine(steps, station, lowest), self.wiring(outlet), window, unit)

    def _outlet(self, evse: Evse, window: Window) -> Steps:
        wiring = self.wiring(evse)
        charging, transaction = self._charging(evse), _transaction(evse)
        if charging is None and transaction:
            # Open before energy may flow, as TxStartPoint has it: as if that were to begin now.
            charging = Charging(transaction, window.begin_s, self._priority(transaction))
        steps = evse_steps(self._store, evse.id, wiring, window, charging, len(self._site.evses))
        return capped(steps, Level(evse.max_current_a, wiring.phases))

    def _relevant(self, evse: int) -> list[Installed]:
        if evse == 0:
            return list(self._store)
        own = self._store.of_transaction(_transaction(self._site.evses[evse]))
        return [*self._store.of_station(), *self._store.defaults_of(evse), *own]


def _transaction(evse: Evse) -> str:
    """Identity of the transaction that profiles at an EVSE are for; empty for none."""
    session = evse.session
    if session is None or not (evse.running or (session.stop_points and session.open)):
        return ""
    return session.transaction


def _zone(name: str) -> tzinfo | None:
    """Return the zone that recurring schedules follow; None for UTC."""
    if not name:
        return None
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)
