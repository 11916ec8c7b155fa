"""Permits: leases that let control charge. Sent on every change and three times per lease; withdrawn at the end."""

from __future__ import annotations

import logging
import math

from agent.link.messages import MeterSample, Permit, Withdraw
from agent.station.charging.plan import tenth
from agent.station.charging_limits import ChargingLimits
from agent.station.commands import ResetKind
from agent.station.drawing import Drawing
from agent.station.evse import Evse
from agent.station.limits import MINIMUM_A, Claim, share
from agent.station.phase_rotation import lines_of, order_of
from agent.station.roaming import used_up
from agent.station.site import Site, earliest

log = logging.getLogger(__name__)

ROUNDING_A = 0.05
"""Shares are tenths of an ampere; their sum must not fail by what binary fractions lose."""

RESTING_S = 60.0
"""A vehicle that leaves its offer untaken for so long counts as full and yields its place to one that waits."""


class Permits:
    def __init__(self, site: Site, charging: ChargingLimits) -> None:
        self._site = site
        self._charging = charging
        self._serial = 0
        self._drawing = {evse: Drawing() for evse in site.evses}

    def limit_a(self) -> float:
        """What all EVSEs together may draw, per phase."""
        network_a = self._charging.station_limit_a()
        grid_a = None if self._site.grid is None else self._site.grid.limit_a(self._site.now)
        return min(self.local_limit_a(), *(each for each in (network_a, grid_a) if each is not None), math.inf)

    def local_limit_a(self) -> float:
        """The same without the network's charging profiles, and without what the building's other loads take now."""
        site = self._site
        return min(site.config.installation.max_current_a, site.settings.integer("ChargingStation.MaxCurrent"))

    def measure_grid(self, sample: MeterSample) -> None:
        """The building's meter has told what flows in all."""
        site = self._site
        rotations = site.settings.string("ElectricalFeed.PhaseRotation")
        own = [(e.meter, order_of(rotations, e.id)) for e in site.evses.values() if e.meter is not None]
        if site.grid is not None:
            site.grid.measure(sample, own, site.now)

    def settle(self) -> None:
        """Share the feed afresh and tell control what changed: first who gets less, then who gets more.

        More is given only when those who got less have followed, so that the feed is never drawn beyond its limit.
        """
        for evse in self._site.evses.values():
            self._drawing[evse.id].follow(evse, self._site.now)
        claims = [claim for evse in self._site.evses.values() if (claim := self._claim(evse)) is not None]
        shares = share(self.limit_a(), claims)
        for evse in self._site.evses.values():
            evse.share_a = shares.get(evse.id, 0.0)
        for evse in sorted(self._site.evses.values(), key=self._change_a):
            self._tell(evse)

    def wake(self) -> float | None:
        """When the next renewal, or the next vehicle's coming to rest, is due."""
        grid = self._site.grid.wake(self._site.now) if self._site.grid is not None else None
        return earliest((grid, self._evse_wake()))

    def _evse_wake(self) -> float | None:
        return earliest(
            at
            for evse in self._site.evses.values()
            for at in (
                evse.permit_at + self._renewal_s if evse.permit is not None and self._site.control else None,
                self._drawing[evse.id].until,
                evse.resting_since + RESTING_S
                if evse.resting_since is not None and self._site.now - evse.resting_since < RESTING_S
                else None,
            )
        )

    def forget(self) -> None:
        """Control has started afresh or was away: tell it everything again."""
        for evse in self._site.evses.values():
            evse.permit, evse.withdrawn = None, False

    @property
    def _renewal_s(self) -> float:
        return self._site.config.control.lease_s / 3

    def _claim(self, evse: Evse) -> Claim | None:
        session = evse.running
        if session is None or evse.connected is not True or not self.may_draw(evse):
            evse.resting_since = evse.allowed_a = None
            return None
        observation = evse.observation
        asking = observation is None or observation.vehicle_ready or observation.offered_a <= 0
        if observation is not None and observation.vehicle_ready:
            evse.resting_since = None
        elif not asking and evse.resting_since is None:
            evse.resting_since = self._site.now
        resting = evse.resting_since is not None and self._site.now - evse.resting_since >= RESTING_S
        most_a, least_a = evse.max_current_a, MINIMUM_A
        level = self._charging.limit(evse)
        evse.allowed_a = None if level is None else tenth(level.current_a)
        if level is not None and evse.allowed_a is not None:
            most_a = min(most_a, evse.allowed_a)
            # OCPP 1.6 §3.13.4: better to wait than to charge below minChargingRate; but no limit is below it by itself.
            wanted_a = math.ceil(level.minimum_a * 10 - 1e-6) / 10
            if MINIMUM_A < wanted_a <= min(most_a, self.limit_a()):
                least_a = wanted_a
        return Claim(evse.id, most_a, session.order, asking and not resting, resting, least_a, self._lines(evse))

    def _lines(self, evse: Evse) -> frozenset[int]:
        """Return the phases of the feed that an EVSE loads."""
        rotations = self._site.settings.string("ElectricalFeed.PhaseRotation")
        return lines_of(rotations, evse.id, evse.config.phases, self._site.config.installation.phases)

    def may_draw(self, evse: Evse) -> bool:
        """False for a token refused afterwards that has had its rest (OCPP 1.6 §9.1.18 MaxEnergyOnInvalidId)."""
        session = evse.running
        if session is None or used_up(self._site, evse, session) is not None:
            return False
        if session.barred or session.limit_reached is not None:  # OCPP 2.1, E17.FR.12 and E16.FR.05
            return False
        if not session.refused:
            return True
        most_wh = self._site.settings.integer("TxCtrlr.MaxEnergyOnInvalidId")
        used_wh = (session.register_wh or session.refused_wh) - session.refused_wh
        return evse.fresh_meter(self._site.now) is not None and used_wh < most_wh

    def _change_a(self, evse: Evse) -> float:
        return evse.share_a - (evse.permit.current_a if evse.permit is not None else 0.0)

    def _tell(self, evse: Evse) -> None:
        site = self._site
        if not site.control:
            return
        session = evse.running
        if session is not None and evse.connected is None:
            return  # after a restart: what runs under its lease runs on until control has told how things stand
        if session is not None and site.resetting in (ResetKind.HARD, ResetKind.RESUME):
            return  # its permit was taken back, and none comes before the restart
        if session is None or evse.share_a <= 0:
            if not evse.withdrawn:
                site.send(Withdraw(evse.id, self._why_not(evse)))
                evse.permit, evse.withdrawn = None, True
            return
        last = evse.permit
        current_a = self._now_a(evse)
        if current_a < MINIMUM_A:
            return  # nothing is offered yet; it comes when others have made room
        phases = self._phases(evse)
        kept = (current_a, phases, session.transaction)
        same = last is not None and (last.current_a, last.phases, last.transaction) == kept
        if same and site.now - evse.permit_at < self._renewal_s:
            return
        # Rises over restarts too, so that an observation never names an old permit as the one in force.
        self._serial = max(self._serial + 1, int(site.now * 1000))
        permit = Permit(evse.id, self._serial, current_a, phases, site.config.control.lease_s, session.transaction)
        evse.permit, evse.permit_at, evse.withdrawn = permit, site.now, False
        self._drawing[evse.id].granted(current_a)
        site.send(permit)

    def _phases(self, evse: Evse) -> int:
        """Return the phases to charge on: all there are, or one where a profile wants it and the outlet can."""
        wiring = self._charging.wiring(evse)
        level = self._charging.limit(evse) if wiring.switchable else None
        return wiring.phases if level is None else min(level.phases, wiring.phases)

    def _now_a(self, evse: Evse) -> float:
        """Return how much of its share an EVSE can have at once: all, unless others still draw what it is to get."""
        has_a = self._drawing[evse.id].has_a(evse)
        others = [each for each in self._site.evses.values() if each is not evse]
        others_a = max(
            sum(self._drawing[each.id].most_a for each in others if line in self._lines(each))
            for line in self._lines(evse)
        )
        if evse.share_a <= has_a or others_a + evse.share_a <= self.limit_a() + ROUNDING_A:
            return evse.share_a
        if evse.permit is not None:
            return min(evse.permit.current_a, evse.share_a)
        return tenth(has_a)

    @staticmethod
    def _why_not(evse: Evse) -> str:
        session = evse.session
        if session is None:
            return "no session"
        if session.stopped is not None:
            return session.reason.value
        if session.refused:
            return "refused by the network"
        if evse.allowed_a is not None and evse.allowed_a < MINIMUM_A:
            return "the charging profile allows less than 6 A"
        return "waits for its share of the feed"
