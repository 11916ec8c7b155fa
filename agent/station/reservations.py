"""Reservations: an EVSE, or any one of them (EVSE 0), kept for a token or its group until a time (OCPP 1.6 §5.13)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from agent.station.commands import ConnectorStatus, Reservation, ReservationAnswer
from agent.station.evse import Evse
from agent.station.site import Site, earliest
from agent.station.tokens import Token

log = logging.getLogger(__name__)

TABLE = "reservation"


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
    floating = [reservation for reservation in site.reservations.values() if reservation.evse == 0]
    needed = len(floating) - any(entitled(reservation, token, group) for reservation in floating)
    if needed <= 0:
        return ""
    waiting = len(site.waiting) if waiting is None else waiting
    spare = sum(other is not evse for other in _unclaimed(site)) - waiting - (evse is None)
    return "" if spare >= needed else "the last free EVSE is reserved"


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
    floating = sum(reservation.evse == 0 for reservation in site.reservations.values())
    unclaimed = _unclaimed(site) if floating else []
    return evse in unclaimed and len(unclaimed) <= floating


def take(site: Site, evse: Evse, token: Token, group: str) -> int | None:
    """A transaction begins: use up the reservation that it was made for and return its number."""
    fitting = [r for r in site.reservations.values() if r.evse in (0, evse.id) and entitled(r, token, group)]
    if not fitting:
        return None
    chosen = max(fitting, key=lambda reservation: reservation.evse)
    _drop(site, chosen, "used")
    return chosen.id


def _at(site: Site, evse: Evse) -> Reservation | None:
    return next((reservation for reservation in site.reservations.values() if reservation.evse == evse.id), None)


def _unclaimed(site: Site) -> list[Evse]:
    """Free EVSEs that no reservation names."""
    return [evse for evse in site.evses.values() if is_free(evse) and _at(site, evse) is None]


def _drop(site: Site, reservation: Reservation, why: str) -> None:
    log.info("reservation %d ends: %s", reservation.id, why)
    del site.reservations[reservation.id]
    site.keep(TABLE, str(reservation.id), None)


class Reservations:
    def __init__(self, site: Site, kept: Mapping[str, Mapping[str, Any]]) -> None:
        self._site = site
        for key, document in kept.get(TABLE, {}).items():
            try:
                reservation = Reservation(**{**document, "token": Token(**document["token"])})
                site.reservations[reservation.id] = reservation
            except (TypeError, KeyError) as error:
                log.error("the kept reservation %s cannot be read and is dropped: %s", key, error)
                site.keep(TABLE, key, None)

    def reserve(self, wanted: Reservation) -> ReservationAnswer:
        """Take a reservation; one with the same number is replaced (§5.13), unless the new one is refused."""
        site = self._site
        former = site.reservations.pop(wanted.id, None)
        answer = self._answer(wanted)
        if answer is ReservationAnswer.ACCEPTED:
            site.reservations[wanted.id] = wanted
            site.keep(TABLE, str(wanted.id), asdict(wanted))
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
            return self._answer_any() if settings.boolean("ReservationCtrlr.NonEvseSpecific") else _REJECTED
        evse = site.evses.get(wanted.evse)
        if evse is None:
            return ReservationAnswer.REJECTED
        if _faulted(evse):
            return ReservationAnswer.FAULTED
        if not evse.in_service:
            return ReservationAnswer.UNAVAILABLE
        left = sum(other is not evse for other in _unclaimed(site)) - len(site.waiting)
        floating = sum(reservation.evse == 0 for reservation in site.reservations.values())
        if not is_free(evse) or _at(site, evse) is not None or left < floating:
            return ReservationAnswer.OCCUPIED
        return ReservationAnswer.ACCEPTED

    def _answer_any(self) -> ReservationAnswer:
        site = self._site
        floating = sum(reservation.evse == 0 for reservation in site.reservations.values())
        if len(_unclaimed(site)) - len(site.waiting) > floating:
            return ReservationAnswer.ACCEPTED
        evses = site.evses.values()
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
        """End what has run out, and what a fault or a change of availability has made void (§5.13)."""
        site = self._site
        for reservation in list(site.reservations.values()):
            if reservation.expires_utc_s <= site.moment.utc_s:
                _drop(site, reservation, "expired")
                continue
            places = [evse for evse in site.evses.values() if reservation.evse in (0, evse.id)]
            if all(evse.stopped_by_fault or not evse.operative for evse in places):
                _drop(site, reservation, "faulted or out of service")

    def wake(self) -> float | None:
        site = self._site
        return earliest(site.now + r.expires_utc_s - site.moment.utc_s for r in site.reservations.values())


_REJECTED = ReservationAnswer.REJECTED


def _faulted(evse: Evse) -> bool:
    return evse.stopped_by_fault or evse.status is ConnectorStatus.FAULTED
