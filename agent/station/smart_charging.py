"""What the network and the site say about how fast to charge: takes charging profiles, keeps them, ends them."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from agent.clock import Moment
from agent.station.charging.answers import PriorityAnswer, Pull
from agent.station.charging.documents import from_document
from agent.station.charging.external import ExternalLimit, ExternalState, number_of, profile_of, state_of
from agent.station.charging.offline import Absence
from agent.station.charging.profile import Kind, Profile, Purpose, Source, Updates
from agent.station.charging.refusal import Refusal, Why
from agent.station.charging.rules import Outlet, problem, strict_problem
from agent.station.charging.store import Criterion, Filter, Installed, ProfileStore
from agent.station.charging.thrift import Thrift
from agent.station.charging_limits import ChargingLimits
from agent.station.evse import Evse
from agent.station.phase_rotation import order_of
from agent.station.session import Phase, Session
from agent.station.site import Site, earliest

log = logging.getLogger(__name__)

TABLE = "charging_profile"
_PRIORITY, _OFFLINE = "priority_charging", "offline_since"
"""Keys in the table "station"."""


FOLLOWS_S = 30.0
"""Within this vehicles have followed a changed limit, and others have got what they left."""

LONGEST_S = 366 * 86_400
"""A limit of the site may lapse by itself so far ahead."""


class SmartCharging:
    """``kept``: the documents of the Keep tables."""

    def __init__(self, site: Site, kept: Mapping[str, Mapping[str, Any]]) -> None:
        self._site = site
        self._store = ProfileStore()
        self._broken = self._store.load(kept.get(TABLE, {}))
        station = kept.get("station", {})
        self._priority = {str(transaction) for transaction in station.get(_PRIORITY) or ()}
        self._offline_kept = _OFFLINE in station
        self._absence = Absence(_seconds(station.get(_OFFLINE)), site.moment)
        self._thrift = Thrift()
        self._constrained_at = -math.inf
        self.limits = ChargingLimits(site, self._store, self._priority.__contains__, self._offline_utc_s)

    # ---- what the network asks --------------------------------------------------------------------------------------

    @property
    def installed(self) -> int:
        """How many profiles."""
        return len(self._store)

    def install(self, evse: int, profile: Profile) -> Refusal | None:
        """Install a profile at an EVSE (0: the station, or all) by the rules of OCPP 1.6. Return why it is refused.

        A TxProfile without a transaction is for the one that runs there.
        """
        if evse and evse not in self._site.evses:
            return Refusal(Why.EVSE, f"there is no EVSE {evse}")
        if profile.purpose is Purpose.TX:
            running = self._site.evses[evse].running if evse else None
            if running is None or profile.transaction not in ("", running.transaction):
                # OCPP 1.6 §5.16.4
                return Refusal(Why.TRANSACTION, "a profile for a transaction needs this transaction to run there")
            profile = replace(profile, transaction=running.transaction)
        else:
            profile = replace(profile, transaction="")
        return self._install(evse, profile)

    def install_strictly(self, evse: int, profile: Profile) -> Refusal | None:
        """The same by the rules of OCPP 2 (K01)."""
        refusal = self._place_problem(evse, profile) or self._strict_problem(evse, profile)
        if refusal is not None:
            return refusal
        if profile.purpose is not Purpose.TX:
            profile = replace(profile, transaction="")
        if profile.kind is Kind.DYNAMIC:
            given = profile.updates or Updates(None)
            at_utc_s = self._site.moment.utc_s if given.at_utc_s is None else given.at_utc_s  # 2.1 K28.FR.05
            profile = replace(profile, updates=Updates(at_utc_s, given.every_s))
        return self._install(evse, profile, beside=True)

    def _place_problem(self, evse: int, profile: Profile) -> Refusal | None:
        if evse and evse not in self._site.evses:
            return Refusal(Why.EVSE, f"there is no EVSE {evse}")  # K01.FR.28
        if profile.purpose is not Purpose.TX:
            return None
        if not evse:
            return Refusal(Why.PROFILE, "a TxProfile is for one EVSE")  # K01.FR.16
        if not profile.transaction:
            return Refusal(Why.PROFILE, "a TxProfile names its transaction")  # K01.FR.03
        if profile.transaction != _transaction(self._site.evses[evse]):
            # K01.FR.09, FR.33
            return Refusal(Why.TRANSACTION, f"no such transaction runs at EVSE {evse}")
        return None

    def _strict_problem(self, evse: int, profile: Profile) -> Refusal | None:
        if profile.schedule.unit.value not in self._site.settings.members("SmartChargingCtrlr.RateUnit"):
            return Refusal(Why.RATE_UNIT, f"limits in {profile.schedule.unit.value} are not taken")  # K01.FR.26
        outlets = {each.id: self._outlet(each) for each in self._site.evses.values()}
        return problem(profile) or strict_problem(profile, evse, outlets, self._store.placed())

    def _outlet(self, evse: Evse) -> Outlet:
        wiring = self.limits.wiring(evse)
        if self._site.config.installation.phases == 1:
            return Outlet(wiring.phases, wiring.switchable, 1)
        order = order_of(self._site.settings.string("ElectricalFeed.PhaseRotation"), evse.id)
        one = wiring.phases == 1 or wiring.switchable
        return Outlet(wiring.phases, wiring.switchable, order[0] if order and one else None)

    def _install(self, evse: int, profile: Profile, *, beside: bool = False) -> Refusal | None:
        refusal = self._store.objection(profile, evse)
        if refusal is not None:
            return refusal
        replaced = self._store.install(profile, evse, int(self._site.moment.utc_s), beside=beside)
        if replaced is None:
            return Refusal(Why.NO_ROOM, "there is no room for another profile; clear one")
        self._forget([number for number in replaced if number != profile.id])
        self._thrift.forget(profile.id)
        self._write(profile.id)
        log.info("charging profile %d (%s) holds at EVSE %d", profile.id, profile.purpose.value, evse)
        return None

    def remote_objection(self, profile: Profile) -> Refusal | None:
        """Say why a profile cannot come with a remote start (OCPP 1.6 §5.16.2, 2.0.1 K05.FR.02); None when it can."""
        if profile.purpose is not Purpose.TX or profile.transaction:
            text = "the profile of a remote start must be a TxProfile of no transaction yet"
            return Refusal(Why.PROFILE, text)
        return problem(profile)

    def remote_objection_strictly(self, evse: int, profile: Profile) -> Refusal | None:
        """The same by the rules of OCPP 2 (K05.FR.05). ``evse`` 0: it may start at any."""
        if evse and evse not in self._site.evses:
            return Refusal(Why.EVSE, f"there is no EVSE {evse}")
        return self.remote_objection(profile) or self._strict_problem(evse, profile)

    def clear(self, which: Filter) -> bool:
        """Remove what matches. False when nothing does."""
        gone = self._store.clear(which)
        self._forget(gone)
        return bool(gone)

    def matching(self, which: Criterion) -> list[Installed]:
        """Return what matches, external limits among it, by EVSE and source (2.0.1 K09)."""
        found = [entry for entry in self._store if which.takes(entry)]
        return sorted(found, key=lambda entry: (entry.evse, entry.profile.source.value, entry.profile.id))

    # ---- dynamic profiles (2.1 K28) ---------------------------------------------------------------------------------

    def update(self, number: int, limit: float) -> Refusal | None:
        """Change the limit of a dynamic profile of the network. Return why not."""
        entry = self._store.get(number)
        if entry is None or entry.profile.kind is not Kind.DYNAMIC or entry.profile.source is not Source.CSO:
            return Refusal(Why.PROFILE, f"there is no dynamic profile {number} of the network")  # K28.FR.11
        if not (math.isfinite(limit) and limit >= 0):
            return Refusal(Why.SCHEDULE, f"limit {limit:g} is not 0 or more")
        profile = entry.profile
        period = replace(profile.schedule.periods[0], limit=limit)
        every_s = profile.updates.every_s if profile.updates is not None else None
        # K28.FR.09
        updates = Updates(self._site.moment.utc_s, every_s)
        schedule = replace(profile.schedule, periods=(period,))
        self._store.change(replace(profile, schedule=schedule, updates=updates))
        self._write_thriftily(number, limit)
        return None

    def pulls(self) -> dict[int, Pull]:
        """Return which dynamic profiles the network wants to be asked for updates of (K28.FR.10)."""
        moment = self._site.moment
        found: dict[int, Pull] = {}
        for entry in self._store:
            updates = entry.profile.updates
            if updates is not None and updates.every_s is not None and updates.at_utc_s is not None:
                at = moment.monotonic_s + updates.at_utc_s + updates.every_s - moment.utc_s
                found[entry.profile.id] = Pull(at, updates.every_s)
        return found

    # ---- priority charging (2.1 K21, K22) ---------------------------------------------------------------------------

    def use_priority(self, transaction: str, on: bool) -> PriorityAnswer:
        """Let a transaction charge by the profile for priority charging, or by its usual ones again."""
        evses = self._site.evses.values()
        evse = next((each for each in evses if transaction and _transaction(each) == transaction), None)
        if evse is None:
            return PriorityAnswer.REJECTED
        if on and not self._store.priorities_of(evse.id):
            return PriorityAnswer.NO_PROFILE
        before = set(self._priority)
        if on:
            self._priority.add(transaction)
        else:
            self._priority.discard(transaction)
        if self._priority != before:
            self._keep_priority()
        return PriorityAnswer.ACCEPTED

    @property
    def priorities(self) -> frozenset[str]:
        """Transactions that charge first of all."""
        return frozenset(self._priority)

    def _keep_priority(self) -> None:
        self._site.keep("station", _PRIORITY, sorted(self._priority) or None)

    # ---- limits of the site (K11 to K13, 2.1 K27, K29) --------------------------------------------------------------

    def constrain(self, limit: ExternalLimit) -> Refusal | None:
        """Take a limit that is not the network's, or generation at the site. Return why not."""
        if not self._external_taken:
            text = "limits from outside are switched off (SmartChargingCtrlr.ExternalControlSignalsEnabled)"
            return Refusal(Why.NOT_ENABLED, text)
        if limit.evse and limit.evse not in self._site.evses:
            return Refusal(Why.EVSE, f"there is no EVSE {limit.evse}")
        if limit.lasts_s is not None and not 0 < limit.lasts_s <= LONGEST_S:
            return Refusal(Why.PROFILE, f"it can last 1 to {LONGEST_S} s, not {limit.lasts_s}")
        if limit.generation and limit.lasts_s is None:
            # Stale, it would lift the network's limits for ever.
            return Refusal(Why.PROFILE, "generation must say for how long it holds (lasts_s); tell it again before")
        profile = profile_of(limit, self._site.moment.utc_s)
        refusal = problem(profile) or self._store.objection(profile, limit.evse)
        if refusal is not None:
            return refusal
        self._store.install(profile, limit.evse, int(self._site.moment.utc_s))
        if profile.kind is Kind.DYNAMIC:
            self._write_thriftily(profile.id, limit.periods[0].limit)
        else:
            self._thrift.forget(profile.id)
            self._write(profile.id)
        return None

    def release(self, source: Source, evse: int, generation: bool = False) -> bool:
        """Take an external limit away. False when there is none."""
        number = number_of(source, evse, generation)
        known = self._store.get(number) is not None
        if known:
            self._store.remove([number])
            self._forget([number])
        return known

    def constrained(self, now: float) -> bool:
        """A limit of the site holds, or ended a short while ago, so that rates still follow it."""
        if self._external():
            self._constrained_at = now
        return now - self._constrained_at < FOLLOWS_S

    @property
    def _external_taken(self) -> bool:
        return self._site.settings.boolean("SmartChargingCtrlr.ExternalControlSignalsEnabled")

    def in_force(self, moment: Moment) -> list[ExternalState]:
        """Return what each external limit says now, by EVSE and source."""
        entries = self.matching(Criterion(sources=frozenset(Source) - {Source.CSO}))
        return [state_of(entry.profile, entry.evse, moment.utc_s, moment.monotonic_s) for entry in entries]

    def _external(self) -> list[Profile]:
        return [entry.profile for entry in self._store if entry.profile.source is not Source.CSO]

    # ---- one step ---------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Give a transaction its profile when it starts, and end what is over."""
        for key in self._broken:
            self._site.keep(TABLE, key, None)
        self._broken = []
        for evse in self._site.evses.values():
            session = evse.running
            if session is not None and session.profile is not None:
                self._take_up(evse, session)
        self._follow_network()
        self._end_transactions()
        self._end_external()
        for number in self._thrift.due(self._site.now):
            entry = self._store.get(number)
            if entry is not None:
                self._write_thriftily(number, entry.profile.schedule.periods[0].limit)

    def _take_up(self, evse: Evse, session: Session) -> None:
        """A transaction begins that was started from afar with a profile."""
        assert session.profile is not None
        try:
            profile = replace(from_document(session.profile), transaction=session.transaction)
            refusal = self._install(evse.id, profile)
            why = "" if refusal is None else refusal.text
        except ValueError as error:
            why = str(error)
        if why:
            log.error("EVSE %d: the profile of its remote start is not used: %s", evse.id, why)
        session.profile = None

    def _end_transactions(self) -> None:
        """What belongs to a transaction ends with it (2.0.1 K02.FR.05)."""
        if not self._priority and all(entry.profile.purpose is not Purpose.TX for entry in self._store):
            return
        evses = self._site.evses.values()
        alive = frozenset(e.session.transaction for e in evses if e.session and e.in_transaction)
        self._forget(self._store.end(alive))
        if not self._priority <= alive:
            self._priority &= alive
            self._keep_priority()

    def _end_external(self) -> None:
        utc_s = self._site.moment.utc_s
        over = [
            profile.id
            for profile in self._external()
            if not self._external_taken or (profile.valid_to_s is not None and profile.valid_to_s <= utc_s)
        ]
        if over:
            self._store.remove(over)
            self._forget(over)

    def _follow_network(self) -> None:
        """2.1 K01.FR.101, FR.102: how long it has been away decides about profiles that say so."""
        absence, now = self._absence, self._site.now
        bound = [entry.profile for entry in self._store if entry.profile.offline is not None]
        if self._site.online and not absence.online:
            away_s = absence.lasts_s(now)
            over = [each.id for each in bound if each.offline and each.offline.ends and away_s > each.offline.most_s]
            if over:
                self._store.remove(over)
                self._forget(over)
            absence.back()
        elif not self._site.online:
            absence.left(now)
        wanted = not absence.online and bool(bound)
        if wanted is not self._offline_kept:
            self._offline_kept = wanted
            self._site.keep("station", _OFFLINE, absence.since_utc_s(self._site.moment) if wanted else None)

    def _offline_utc_s(self) -> int | None:
        if all(entry.profile.offline is None for entry in self._store):
            return None
        return self._absence.since_utc_s(self._site.moment)

    def wake(self) -> float | None:
        """When a limit changes next, or something is to be written (monotonic)."""
        moment = self._site.moment
        ends = (profile.valid_to_s for profile in self._external() if profile.valid_to_s is not None)
        over = earliest(self._site.now + end - moment.utc_s for end in ends)
        return earliest((self.limits.wake(), self._thrift.wake(), over))

    # ---- documents --------------------------------------------------------------------------------------------------

    def _write(self, number: int) -> None:
        self._site.keep(TABLE, str(number), self._store.document(number))

    def _write_thriftily(self, number: int, limit: float) -> None:
        if self._thrift.changed(number, limit, self._site.now):
            self._write(number)

    def _forget(self, ids: Iterable[int]) -> None:
        for number in ids:
            self._thrift.forget(number)
            self._site.keep(TABLE, str(number), None)


def _transaction(evse: Evse) -> str:
    """Identity of the transaction that is open at an EVSE and not about to end; empty for none."""
    session = evse.session
    if session is None or not evse.in_transaction or session.phase is Phase.STOPPING:
        return ""
    return session.transaction


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
