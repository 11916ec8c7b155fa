"""What is stored here of one driver, told and forgotten on request (OCPP 2.0.1 N09, N10)."""

from __future__ import annotations

from datetime import UTC, datetime

from agent.station.authorisation import Authorisation
from agent.station.pricing import Pricing
from agent.station.site import Site
from agent.station.tokens import Token, TokenInfo


class Customers:
    """Of the station's own; the history of transactions is the journal's."""

    def __init__(self, site: Site, authorisation: Authorisation, pricing: Pricing) -> None:
        self._site = site
        self._authorisation = authorisation
        self._pricing = pricing

    def held(self, token: Token) -> list[str]:
        """Return a line for each thing that is stored of a driver."""
        found = []
        listed = self._authorisation.list.find(token)
        if listed is not None:
            found.append(f"local list: {_words(listed)}")
        cached = self._authorisation.cached(token)
        if cached is not None:
            found.append(f"authorisation cache: {_words(cached)}")
        price = self._pricing.price_of(token.key)
        if price is not None:
            found.append(f"price told to the driver: {price.text}")
        for reservation in self._site.reservations.values():
            if reservation.token.key == token.key:
                place = f"EVSE {reservation.evse}" if reservation.evse else "any EVSE"
                found.append(f"reservation {reservation.id}: {place} until {_time(reservation.expires_utc_s)}")
        return found

    def forget(self, token: Token) -> list[int]:
        """Forget cache and price (not the list, which is the network's: N10.FR.03, FR.06). Return the numbers of the
        driver's reservations, which are to be cancelled."""
        self._authorisation.forget(token)
        self._pricing.forget(token.key)
        return [each.id for each in self._site.reservations.values() if each.token.key == token.key]


def _words(info: TokenInfo) -> str:
    group = f", group {info.group}" if info.group else ""
    return info.status.value + group + ("" if info.expires_utc_s is None else f", until {_time(info.expires_utc_s)}")


def _time(utc_s: float) -> str:
    try:
        return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "for ever"
