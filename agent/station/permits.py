"""Permits: leases that let control charge. Sent on every change and three times per lease; withdrawn at the end."""

from __future__ import annotations

import logging

from agent.link.messages import Permit, Withdraw
from agent.station.evse import Evse
from agent.station.limits import Claim, share
from agent.station.site import Site, earliest

log = logging.getLogger(__name__)

RESTING_S = 60.0
"""A vehicle that leaves its offer untaken for so long counts as full and yields its place to one that waits."""


class Permits:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._serial = 0

    def limit_a(self) -> float:
        """What all EVSEs together may draw, per phase."""
        site = self._site
        return min(site.config.installation.max_current_a, site.settings.integer("ChargingStation.MaxCurrent"))

    def settle(self) -> None:
        """Share the feed afresh and tell control what changed: first who gets less, then who gets more."""
        claims = [claim for evse in self._site.evses.values() if (claim := self._claim(evse)) is not None]
        shares = share(self.limit_a(), claims)
        for evse in self._site.evses.values():
            evse.share_a = shares.get(evse.id, 0.0)
        for evse in sorted(self._site.evses.values(), key=self._change_a):
            self._tell(evse)

    def wake(self) -> float | None:
        """When the next renewal, or the next vehicle's coming to rest, is due."""
        return earliest(
            at
            for evse in self._site.evses.values()
            for at in (
                evse.permit_at + self._renewal_s if evse.permit is not None and self._site.control else None,
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
            evse.resting_since = None
            return None
        observation = evse.observation
        asking = observation is None or observation.vehicle_ready or observation.offered_a <= 0
        if observation is not None and observation.vehicle_ready:
            evse.resting_since = None
        elif not asking and evse.resting_since is None:
            evse.resting_since = self._site.now
        resting = evse.resting_since is not None and self._site.now - evse.resting_since >= RESTING_S
        return Claim(evse.id, evse.max_current_a, session.order, asking and not resting, resting)

    def may_draw(self, evse: Evse) -> bool:
        """False for a token refused afterwards that has had its rest (OCPP 1.6 §9.1.18 MaxEnergyOnInvalidId)."""
        session = evse.running
        if session is None:
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
        if session is None or evse.share_a <= 0:
            if not evse.withdrawn:
                site.send(Withdraw(evse.id, self._why_not(evse)))
                evse.permit, evse.withdrawn = None, True
            return
        last = evse.permit
        same = last is not None and last.current_a == evse.share_a and last.transaction == session.transaction
        if same and site.now - evse.permit_at < self._renewal_s:
            return
        # Rises over restarts too, so that an observation never names an old permit as the one in force.
        self._serial = max(self._serial + 1, int(site.now * 1000))
        phases = min(evse.config.phases, site.config.installation.phases)
        permit = Permit(evse.id, self._serial, evse.share_a, phases, site.config.control.lease_s, session.transaction)
        evse.permit, evse.permit_at, evse.withdrawn = permit, site.now, False
        site.send(permit)

    @staticmethod
    def _why_not(evse: Evse) -> str:
        session = evse.session
        if session is None:
            return "no session"
        if session.stopped is not None:
            return session.reason.value
        return "refused by the network" if session.refused else "waits for its share of the feed"
