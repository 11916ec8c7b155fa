"""Reservations: an EVSE, or any one of them (EVSE 0), kept for a token or its group until a time (OCPP 1.6 §5.13,
2.0.1 block H).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from agent.station.commands import ConnectorStatus, Reservation, ReservationAnswer, ReservationEnd
from agent.station.effects import NewsForNetwork
from agent.station.evse import Evse
from agent.station.session import Session
from agent.station.site import Site, earliest
from agent.station.tokens import Token

log = logging.getLogger(__name__)

TABLE = "reservation"

_ENDED = "ended "
"""Begins the key of what the network is still to be told of."""

MOST_ENDED = 100
"""So many ends are remembered while the network is away; then the oldest goes."""


def is_free(evse: Evse) -> bool:
    """True when the next driver could begin here: in service, sound, nobody there."""
    return (
        evse.operative
        and not evse.stopped_by_fault
        and evse.session is None
        and evse.connected is not True
        and not evse.cable_in
    )


def entitled(reservation: Reservation, token: Token, group: str) -> bool:
    """True for the token that it was made for, and for others of its group."""
    own = reservation.token.key == token.key
    return own or (bool(group) and group.casefold() == reservation.group.casefold())


def own_evse(site: Site, token: Token, group: str) -> Evse | None:
    """Return the EVSE that is reserved for this token, if one by number is."""
    for reservation in site.reservations.values():
        if reservation.evse in site.evses and entitled(reservation, token, group):
            return site.evses[reservation.evse]
    return None


def obstacle(site: Site, evse: Evse | None, token: Token, group: str, waiting: int | None = None) -> str:
    """Say which reservation keeps a token from this EVSE (None: from the one plugged next); empty when none does.

    ``waiting``: how many others are authorised and still to plug in somewhere.
    """
    if evse is not None:
        there = _at(site, evse)
        if there is not None:
            return "" if entitled(there, token, group) else f"EVSE {evse.id} is reserved"
    floating = _floating(site)
    here = [each for each in floating if evse is None or _suits(each, evse)]
    own = next((each for each in here if entitled(each, token, group)), None)
    needed = [reservation for reservation in floating if reservation is not own]
    if not needed:
        return ""
    waiting = len(site.waiting) if waiting is None else waiting
    spare = [other for other in _unclaimed(site) if other is not evse]
    if _enough(spare, needed, waiting + (evse is None)):
        return ""
    # An EVSE that none of them could use is kept from nobody, unless others would be short of one without it.
    suited = [reservation for reservation in needed if evse is None or _suits(reservation, evse)]
    short = evse is not None and _enough([*spare, evse], needed, waiting)
    return "the last free EVSE is reserved" if short or not _enough(spare, suited, waiting + (evse is None)) else ""


def by_group_only(site: Site, evse: Evse | None, token: Token) -> bool:
    """True when a group that is not known yet could open what is reserved: the network may know it (§5.13)."""
    for reservation in site.reservations.values():
        here = evse is None or reservation.evse in (0, evse.id)
        if here and reservation.group and reservation.token.key != token.key:
            return True
    return False


def shows_reserved(site: Site, evse: Evse) -> bool:
    """True when a passing driver cannot use this EVSE because it is kept for somebody."""
    if _at(site, evse) is not None:
        return True
    floating = _floating(site)
    unclaimed = _unclaimed(site) if floating else []
    return evse in unclaimed and not _enough([other for other in unclaimed if other is not evse], floating)


def take(site: Site, evse: Evse | None, token: Token, group: str) -> int | None:
    """A driver has come (OCPP 1.6: a transaction begins) at an EVSE, or (None) for the one that is plugged next: use up
    the reservation that was made for this, and return its number."""
    fitting = [
        reservation
        for reservation in site.reservations.values()
        if entitled(reservation, token, group)
        and (reservation.evse == 0 if evse is None else reservation.evse in (0, evse.id) and _suits(reservation, evse))
    ]
    if not fitting:
        return None
    chosen = max(fitting, key=lambda reservation: reservation.evse)
    _drop(site, chosen, "used")
    return chosen.id


def reservation_of(site: Site, evse: Evse | None, session: Session) -> int | None:
    """Return the number that the next event of a session's transaction is to tell; None for none, or for told."""
    number, session.reserved = session.reserved, None
    if number is None and evse is not None:
        number = take(site, evse, session.token, session.group)
    return number


def unused(site: Site, session: Session) -> None:
    """A driver whose reservation was used up has not plugged in in time (2.1 H03.FR.11)."""
    if session.reserved is not None:
        _note_end(site, session.reserved, ReservationEnd.NO_TRANSACTION)
        session.reserved = None


def _floating(site: Site) -> list[Reservation]:
    """Those that name no EVSE."""
    return [reservation for reservation in site.reservations.values() if reservation.evse == 0]


def _suits(reservation: Reservation, evse: Evse) -> bool:
    return reservation.connector in ("", evse.connector_type)


def _enough(free: Iterable[Evse], needed: Iterable[Reservation], others: int = 0) -> bool:
    """True when each of these reservations could have one of these EVSEs, and so many others one too (H01.FR.07,
    H01.FR.09)."""
    types = [evse.connector_type for evse in free]
    wanted = [reservation.connector for reservation in needed]
    each = all(wanted.count(kind) <= types.count(kind) for kind in set(wanted) if kind)
    return each and len(wanted) + others <= len(types)


def _at(site: Site, evse: Evse) -> Reservation | None:
    return next((reservation for reservation in site.reservations.values() if reservation.evse == evse.id), None)


def _unclaimed(site: Site) -> list[Evse]:
    """Free EVSEs that no reservation names."""
    return [evse for evse in site.evses.values() if is_free(evse) and _at(site, evse) is None]


def _drop(site: Site, reservation: Reservation, why: str, end: ReservationEnd | None = None) -> None:
    """``end``: what the network is to be told of it; None: it knows."""
    log.info("reservation %d ends: %s", reservation.id, why)
    del site.reservations[reservation.id]
    site.keep(TABLE, str(reservation.id), None)
    if end is not None and site.flexible:
        _note_end(site, reservation.id, end)


def _note_end(site: Site, number: int, end: ReservationEnd) -> None:
    site.ended.pop(number, None)
    site.ended[number] = end
    site.keep(TABLE, f"{_ENDED}{number}", end.value)
    while len(site.ended) > MOST_ENDED:
        _forget_end(site, next(iter(site.ended)))
    site.emit(NewsForNetwork())


def _forget_end(site: Site, number: int) -> None:
    if site.ended.pop(number, None) is not None:
        site.keep(TABLE, f"{_ENDED}{number}", None)


class Reservations:
    def __init__(self, site: Site, kept: Mapping[str, Mapping[str, Any]]) -> None:
        self._site = site
        for key, document in kept.get(TABLE, {}).items():
            try:
                if key.startswith(_ENDED):
                    site.ended[int(key.removeprefix(_ENDED))] = ReservationEnd(document)
                    continue
                reservation = Reservation(**{**document, "token": Token(**document["token"])})
                site.reservations[reservation.id] = reservation
            except (TypeError, KeyError, ValueError) as error:
                log.error("the kept reservation %s cannot be read and is dropped: %s", key, error)
                site.keep(TABLE, key, None)

    @property
    def ended(self) -> Mapping[int, ReservationEnd]:
        """What the network is to be told, oldest first."""
        return self._site.ended

    def end_told(self, number: int) -> None:
        _forget_end(self._site, number)

    def reserve(self, wanted: Reservation) -> ReservationAnswer:
        """Take a reservation; one with the same number is replaced (§5.13), unless the new one is refused."""
        site = self._site
        former = site.reservations.pop(wanted.id, None)
        answer = self._answer(wanted)
        if answer is ReservationAnswer.ACCEPTED:
            site.reservations[wanted.id] = wanted
            document = asdict(wanted)
            if not wanted.connector:
                del document["connector"]  # which an older version does not know
            site.keep(TABLE, str(wanted.id), document)
            log.info("EVSE %s is reserved (%d) for token %s", wanted.evse or "any", wanted.id, wanted.token.masked)
        elif former is not None:
            site.reservations[former.id] = former
        return answer

    def _answer(self, wanted: Reservation) -> ReservationAnswer:
        site = self._site
        settings = site.settings
        if not settings.boolean("ReservationCtrlr.Enabled") or site.resetting is not None:
            return ReservationAnswer.REJECTED
        if wanted.expires_utc_s <= site.moment.utc_s:
            return ReservationAnswer.REJECTED
        if wanted.evse == 0:
            return self._answer_any(wanted) if settings.boolean("ReservationCtrlr.NonEvseSpecific") else _REJECTED
        evse = site.evses.get(wanted.evse)
        if evse is None or not _suits(wanted, evse):
            return ReservationAnswer.REJECTED
        if _faulted(evse):
            return ReservationAnswer.FAULTED
        if not evse.in_service:
            return ReservationAnswer.UNAVAILABLE
        left = [other for other in _unclaimed(site) if other is not evse]
        enough = _enough(left, _floating(site), len(site.waiting))
        if not is_free(evse) or _at(site, evse) is not None or not enough:
            return ReservationAnswer.OCCUPIED
        return ReservationAnswer.ACCEPTED

    def _answer_any(self, wanted: Reservation) -> ReservationAnswer:
        site = self._site
        evses = [evse for evse in site.evses.values() if _suits(wanted, evse)]
        if not evses:
            return ReservationAnswer.REJECTED
        if _enough(_unclaimed(site), [*_floating(site), wanted], len(site.waiting)):
            return ReservationAnswer.ACCEPTED
        if all(_faulted(evse) for evse in evses):
            return ReservationAnswer.FAULTED
        if all(_faulted(evse) or not evse.in_service for evse in evses):
            return ReservationAnswer.UNAVAILABLE
        return ReservationAnswer.OCCUPIED

    def cancel(self, number: int) -> bool:
        """False when there is no such reservation (§5.1)."""
        reservation = self._site.reservations.get(number)
        if reservation is None:
            return False
        _drop(self._site, reservation, "cancelled")
        return True

    def settle(self) -> None:
        """End what has run out, and what a fault or a change of availability has made void (§5.13; 2.0.1 H01.FR.16,
        H01.FR.17, H04.FR.01)."""
        site = self._site
        for reservation in list(site.reservations.values()):
            if reservation.expires_utc_s <= site.moment.utc_s:
                _drop(site, reservation, "expired", ReservationEnd.EXPIRED)
                continue
            places = [evse for evse in site.evses.values() if reservation.evse in (0, evse.id)]
            places = [evse for evse in places if _suits(reservation, evse)]
            if all(evse.stopped_by_fault or not evse.operative for evse in places):
                _drop(site, reservation, "faulted or out of service", ReservationEnd.REMOVED)

    def wake(self) -> float | None:
        site = self._site
        return earliest(site.now + r.expires_utc_s - site.moment.utc_s for r in site.reservations.values())


_REJECTED = ReservationAnswer.REJECTED


def _faulted(evse: Evse) -> bool:
    return evse.stopped_by_fault or evse.status is ConnectorStatus.FAULTED
