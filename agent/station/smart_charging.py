"""The network's say in how fast each EVSE may charge: installs profiles, keeps them, and tells the limit of now."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any

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
from agent.station.charging.profile import Profile, Purpose, RateUnit, from_document, problem
from agent.station.charging.store import Filter, Installed, ProfileStore
from agent.station.evse import Evse
from agent.station.session import Session
from agent.station.site import Site, earliest

log = logging.getLogger(__name__)

TABLE = "charging_profile"

ROUNDING_S = 0.001

AHEAD_S = 86_400
"""Limits are worked out so far ahead at a time."""


@dataclass(frozen=True, slots=True)
class _Outlook:
    """Limits worked out, and for what."""

    store: int
    charging: Charging | None
    begin_s: int
    end_s: int
    steps: Steps


class SmartCharging:
    """``kept``: the documents of the Keep tables."""

    def __init__(self, site: Site, kept: Mapping[str, Mapping[str, Any]]) -> None:
        self._site = site
        self._zone = _zone(site.config.station.time_zone)
        self._store = ProfileStore()
        self._broken = self._store.load(kept.get(TABLE, {}))
        self._outlooks: dict[int, _Outlook] = {}

    # ---- what the network asks --------------------------------------------------------------------------------------

    @property
    def installed(self) -> int:
        """How many profiles."""
        return len(self._store)

    def install(self, evse: int, profile: Profile) -> str:
        """Install a profile at an EVSE (0: the station, or all). Return why it is refused; empty when it is not.

        A TxProfile without a transaction is for the one that runs there.
        """
        if evse and evse not in self._site.evses:
            return f"there is no EVSE {evse}"
        if profile.purpose is Purpose.TX:
            running = self._site.evses[evse].running if evse else None
            if running is None or profile.transaction not in ("", running.transaction):
                return "a profile for a transaction needs this transaction to run there"  # OCPP 1.6 §5.16.4
            profile = replace(profile, transaction=running.transaction)
        else:
            profile = replace(profile, transaction="")
        return self._install(evse, profile)

    def _install(self, evse: int, profile: Profile) -> str:
        why = self._store.objection(profile, evse)
        if why:
            return why
        replaced = self._store.install(profile, evse, int(self._site.moment.utc_s))
        if replaced is None:
            return "there is no room for another profile; clear one"
        self._forget([number for number in replaced if number != profile.id])
        self._site.keep(TABLE, str(profile.id), self._store.document(profile.id))
        log.info("charging profile %d (%s) holds at EVSE %d", profile.id, profile.purpose.value, evse)
        return ""

    def remote_objection(self, profile: Profile) -> str:
        """Say why a profile cannot come with a remote start (OCPP 1.6 §5.16.2); empty when it can."""
        if profile.purpose is not Purpose.TX or profile.transaction:
            return "the profile of a remote start must be a TxProfile of no transaction yet"
        return problem(profile)

    def clear(self, which: Filter) -> bool:
        """Remove what matches. False when nothing does."""
        gone = self._store.clear(which)
        self._forget(gone)
        return bool(gone)

    def _forget(self, ids: list[int]) -> None:
        for number in ids:
            self._site.keep(TABLE, str(number), None)

    # ---- one step ---------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Give a transaction its profile when it starts, and take it away when it ends."""
        for key in self._broken:
            self._site.keep(TABLE, key, None)
        self._broken = []
        for evse in self._site.evses.values():
            session = evse.running
            if session is not None and session.profile is not None:
                self._take_up(evse, session)
        if any(entry.profile.purpose is Purpose.TX for entry in self._store):
            evses = self._site.evses.values()
            self._forget(
                self._store.end(frozenset(e.session.transaction for e in evses if e.session and e.in_transaction))
            )

    def _take_up(self, evse: Evse, session: Session) -> None:
        """A transaction begins that was started from afar with a profile."""
        assert session.profile is not None
        try:
            profile = replace(from_document(session.profile), transaction=session.transaction)
            why = self._install(evse.id, profile)
        except ValueError as error:
            why = str(error)
        if why:
            log.error("EVSE %d: the profile of its remote start is not used: %s", evse.id, why)
        session.profile = None

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
        known = self._outlooks.get(evse)
        if (
            known is None
            or (known.store, known.charging) != (self._store.version, charging)
            or not known.begin_s <= utc_s < known.end_s
        ):
            window = Window(int(utc_s), int(utc_s) + AHEAD_S, self._zone)
            steps = self._steps(evse, window, charging)
            known = _Outlook(self._store.version, charging, window.begin_s, window.end_s, steps)
            self._outlooks[evse] = known
        return at(known.steps, utc_s)

    def _steps(self, evse: int, window: Window, charging: Charging | None) -> Steps:
        if evse == 0:
            return station_steps(self._store, self._feed, window)
        return evse_steps(self._store, evse, self.wiring(self._site.evses[evse]), window, charging)

    def _charging(self, evse: Evse) -> Charging | None:
        session = evse.running
        if session is None or session.started is None:
            return None
        # A stamp of this boot may be older than the right time; the monotonic clock is not.
        started, moment = session.started, self._site.moment
        utc_s = moment.utc_at(started.monotonic_s) if started.boot == moment.boot else started.utc_s
        # Down, so that what is relative to the start holds from the start; and steady, whatever a sum of floats gives.
        outlook = self._outlooks.get(evse.id)
        known = outlook.charging if outlook is not None else None
        if known is not None and known.transaction == session.transaction:
            off_s = utc_s - known.start_utc_s
            if -ROUNDING_S <= off_s < 1 + ROUNDING_S:
                return known
        return Charging(session.transaction, int(utc_s))

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
        window = Window(begin_s, begin_s + min(duration_s, MOST_S), self._zone)
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
        steps = evse_steps(self._store, evse.id, wiring, window, self._charging(evse))
        return capped(steps, Level(evse.max_current_a, wiring.phases))

    def _relevant(self, evse: int) -> list[Installed]:
        if evse == 0:
            return list(self._store)
        running = self._site.evses[evse].running
        own = self._store.of_transaction(running.transaction) if running else []
        return [*self._store.of_station(), *self._store.defaults_of(evse), *own]


def _zone(name: str) -> tzinfo | None:
    """Return the zone that recurring schedules follow; None for UTC."""
    if not name:
        return None
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)
