"""The last register of a transaction: read after the contacts opened, so that no Wh of the way down is left out."""

from __future__ import annotations

import logging

from agent.journal.events import Stamp
from agent.station.evse import Evse
from agent.station.session import Session
from agent.station.site import Site

log = logging.getLogger(__name__)

METER_WAIT_S = 3.0
"""How long a start or an end waits for a fresh register before the last good one is taken, and flagged."""

OPEN_WAIT_S = 7.0
"""Control opens within 6 s of a withdrawal (IEC 61851-1 Table A.6, sequence 9.2), and a little for the way."""


class Ending:
    """Waits for open contacts, then for a reading that is newer."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._silent: set[int] = set()
        """EVSEs whose meter was found silent at this end: told once, however long others are waited for."""
        self._seen_at: dict[int, float] = {}
        """When an end from before a restart of the machine was first looked at."""

    def register(self, evse: Evse, session: Session) -> tuple[float, bool] | None:
        """Return (last register in Wh, whether it is stale), or None while it is too early to tell."""
        if not self._open(evse, session):
            return None
        assert evse.opened_at is not None
        known_wh = session.register_wh if session.register_wh is not None else session.start_wh
        if not evse.config.meter:
            return known_wh, False
        if evse.meter is not None and evse.meter.at > evse.opened_at:
            return evse.meter.energy_import_wh, False
        if self._site.now < evse.opened_at + METER_WAIT_S:
            return None
        if evse.id not in self._silent:
            self._silent.add(evse.id)
            log.warning("EVSE %d: the meter is silent; the transaction ends at the last good register", evse.id)
        return known_wh, True

    def deadline(self, evse: Evse, session: Session) -> float | None:
        """When waiting for the next step ends."""
        if evse.opened_at is not None:
            due = evse.opened_at + METER_WAIT_S
            return due if due > self._site.now else None
        return self._open_deadline(evse, session.stopped) if session.stopped is not None else None

    def done(self, evse: Evse) -> None:
        evse.opened_at = None
        self._silent.discard(evse.id)
        self._seen_at.pop(evse.id, None)

    def _open(self, evse: Evse, session: Session) -> bool:
        if evse.opened_at is None:
            stopped, observation, now = session.stopped, evse.observation, self._site.now
            assert stopped is not None
            if (
                observation is not None
                and observation.contactor_closed is False
                and observation.at > self._asked_at(evse, stopped)
            ):
                evse.opened_at = observation.at
            elif now >= self._open_deadline(evse, stopped):
                log.warning("EVSE %d: no word of open contacts; the transaction ends all the same", evse.id)
                evse.opened_at = now
        return evse.opened_at is not None

    def _asked_at(self, evse: Evse, stopped: Stamp) -> float:
        if stopped.boot == self._site.moment.boot:
            return stopped.monotonic_s
        return self._seen_at.setdefault(evse.id, self._site.now)

    def _open_deadline(self, evse: Evse, stopped: Stamp) -> float:
        site = self._site
        asked_at = self._asked_at(evse, stopped)
        if site.control:
            return max(asked_at, site.control_since) + OPEN_WAIT_S
        # Nobody could be told. By then control, if it lives, has opened by itself; energy up to there is counted.
        control = site.config.control
        return asked_at + control.lease_s + control.fail_safe_s + OPEN_WAIT_S
