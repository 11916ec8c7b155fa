"""The documents of the sessions: read once at the start, renewed as they change."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from typing import Any

from agent.journal.events import ChargingState
from agent.station.commands import ConnectorStatus
from agent.station.evse import Evse
from agent.station.session import Phase, Session
from agent.station.site import Site

log = logging.getLogger(__name__)

SAVE_S = 300.0
"""How often a running session's document is renewed for its register and time alone: each costs a page of flash."""

_STATUS_OF = {
    ChargingState.CHARGING: ConnectorStatus.CHARGING,
    ChargingState.SUSPENDED_EV: ConnectorStatus.SUSPENDED_EV,
    ChargingState.IDLE: ConnectorStatus.SUSPENDED_EV,
    ChargingState.SUSPENDED_EVSE: ConnectorStatus.SUSPENDED_EVSE,
}


class SessionStore:
    """``kept``: the journal's documents. Puts each session where it belongs."""

    def __init__(self, site: Site, kept: Mapping[str, Mapping[str, Any]]) -> None:
        self._site = site
        self._waiting_saved = _marks([])
        self._orphans: list[tuple[int, Session]] = []
        self._unreadable: dict[str, Any] = {}
        self._load(kept)

    def _load(self, kept: Mapping[str, Mapping[str, Any]]) -> None:
        site = self._site
        for evse in site.evses.values():
            register = kept.get("station", {}).get(f"register:{evse.id}")
            if isinstance(register, int | float):
                evse.register_wh = float(register)
        for key, document in kept.get("session", {}).items():
            try:
                if key == "waiting":
                    site.waiting = [Session.from_document(entry) for entry in document]
                    self._waiting_saved = _marks(site.waiting)
                    continue
                session = Session.from_document(document)
            except (ValueError, TypeError) as error:
                log.error("the kept session of EVSE %s cannot be read and is put aside: %s", key, error)
                self._unreadable[key] = document
                continue
            site.order = max(site.order, session.order)
            number = int(key) if key.isdecimal() else 0
            if number in site.evses:
                self._take_over(site.evses[number], session)
            else:
                self._orphans.append((number, session))
        site.order = max([site.order, *(session.order for session in site.waiting)])

    @staticmethod
    def _take_over(evse: Evse, session: Session) -> None:
        evse.session = session
        evse.saved = session.mark()
        if session.phase is not Phase.WAITING:
            evse.status = _STATUS_OF.get(session.state)
        if session.register_wh is not None:
            evse.register_wh = session.register_wh

    def orphans(self) -> list[tuple[int, Session]]:
        """Return the sessions of EVSEs that are not configured any more, once; and forget their documents."""
        site = self._site
        for key, document in self._unreadable.items():
            site.keep("station", f"unreadable session {key}", document)
            site.keep("session", key, None)
        self._unreadable = {}
        orphans, self._orphans = self._orphans, []
        for number, _session in orphans:
            site.keep("session", str(number), None)
        return orphans

    def save(self) -> None:
        """Keep what changed. A register alone is renewed every few minutes only."""
        site = self._site
        for evse in site.evses.values():
            session = evse.session
            mark = session.mark() if session is not None else None
            if session is None:
                if evse.saved is not None:
                    site.keep("session", str(evse.id), None)
            elif mark != evse.saved or self._save_due(session):
                session.saved_utc_s = site.moment.utc_s
                site.keep("session", str(evse.id), session.document())
            evse.saved = mark
        marks = _marks(site.waiting)
        if marks != self._waiting_saved:
            self._waiting_saved = marks
            site.keep("session", "waiting", [session.document() for session in site.waiting] or None)

    def _save_due(self, session: Session) -> bool:
        return _renewed(session) and abs(self._site.moment.utc_s - session.saved_utc_s) >= SAVE_S

    def wake(self, session: Session) -> float | None:
        """When a session's document is to be renewed, in monotonic seconds."""
        site = self._site
        if not _renewed(session):
            return None
        return site.now + max(0.0, SAVE_S - abs(site.moment.utc_s - session.saved_utc_s))


def _renewed(session: Session) -> bool:
    return session.phase is Phase.RUNNING or (session.open and session.phase is not Phase.STOPPING)


def _marks(sessions: list[Session]) -> Hashable:
    return tuple(session.mark() for session in sessions)
