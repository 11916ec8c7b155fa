"""Drivers of partner networks who come while the operator's network is away: served, at a bounded risk.

A partner's tokens are known by their form. Offline, one that neither list nor cache knows may start when its partner's
policy says so. Until the network has confirmed it, the charge has at most so much energy and time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from agent.config.schema import OnCap, Partner
from agent.journal.events import StopReason
from agent.station.evse import Evse
from agent.station.session import Cap, Session
from agent.station.site import Site
from agent.station.tokens import Token

_EMAID = re.compile(r"[A-Z]{2}([-*]?)[A-Z0-9]{3}\1[A-Z0-9]{6,9}(\1[A-Z0-9])?", re.IGNORECASE | re.ASCII)
"""Contract identifiers: country, provider, instance, and perhaps a check digit, all parted alike or not at all
(ISO 15118-1 Annex, DIN SPEC 91286). The check digit is not verified; the network does that."""


def is_emaid(uid: str) -> bool:
    """Tell whether an identifier has the form of an eMAID."""
    return _EMAID.fullmatch(uid) is not None


def partner_of(token: Token, partners: Iterable[Partner]) -> Partner | None:
    """Return the first partner whose every given rule the token meets."""
    return next((partner for partner in partners if _fits(token.uid, partner)), None)


def _fits(uid: str, partner: Partner) -> bool:
    text = uid.casefold()
    if partner.prefixes and not any(text.startswith(prefix.casefold()) for prefix in partner.prefixes):
        return False
    if partner.length and len(uid) != partner.length:
        return False
    return not partner.emaid or is_emaid(uid)


def cap_of(partner: Partner) -> Cap:
    return Cap(
        partner.name,
        partner.energy_cap_wh or None,
        partner.time_cap_s or None,
        partner.on_cap is OnCap.END,
    )


# ---- a running charge --------------------------------------------------------------------------------------------


def used_up(site: Site, evse: Evse, session: Session) -> StopReason | None:
    """Return which bound an unconfirmed charge has reached; None while it is within both, or has none."""
    cap = session.cap
    if cap is None:
        return None
    if cap.time_s is not None and elapsed_s(site, session) >= cap.time_s:
        return StopReason.TIME_LIMIT_REACHED
    if cap.energy_wh is not None and energy_wh(site, evse, session) >= cap.energy_wh:
        return StopReason.ENERGY_LIMIT_REACHED
    return None


def elapsed_s(site: Site, session: Session) -> float:
    """Since the start of the transaction."""
    started = session.started
    if started is None:
        return 0.0
    if started.boot == site.moment.boot:
        return site.now - started.monotonic_s
    return max(0.0, site.moment.utc_s - started.utc_s)


def energy_wh(site: Site, evse: Evse, session: Session) -> float:
    """Energy so far; where nothing measures it now, the most that can have flowed since it was measured."""
    sample = evse.fresh_meter(site.now)
    if sample is not None:
        return sample.energy_import_wh - session.start_wh
    known_wh = (session.register_wh if session.register_wh is not None else session.start_wh) - session.start_wh
    unseen_s = elapsed_s(site, session)
    if evse.meter is not None:
        unseen_s = min(unseen_s, site.now - evse.meter.at)
    phases = min(evse.config.phases, site.config.installation.phases)
    most_w = evse.config.max_current_a * phases * site.config.installation.nominal_voltage_v
    return known_wh + most_w * unseen_s / 3600.0


def cap_wake(site: Site, session: Session) -> float | None:
    """When the time bound is reached, in monotonic seconds; None when there is none or it has been."""
    if session.cap is None or session.cap.time_s is None:
        return None
    left_s = session.cap.time_s - elapsed_s(site, session)
    return site.now + left_s if left_s > 0 else None
