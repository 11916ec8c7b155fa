"""Who may charge: local list, cache, the network, and what holds while the network is away (OCPP 1.6 §3.5, §4.1)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from agent.station.effects import AskAuthorisation
from agent.station.local_list import ListAnswer, ListStore, ListUpdate, LocalList
from agent.station.roaming import cap_of, partner_of
from agent.station.session import Cap
from agent.station.settings import Settings
from agent.station.site import Site, earliest
from agent.station.token_cache import TokenCache
from agent.station.tokens import CENTRAL, LOCAL, NO_AUTHORIZATION, Token, TokenInfo, TokenStatus, status_at

log = logging.getLogger(__name__)

_UNCACHED = (CENTRAL, NO_AUTHORIZATION)
"""Types of identifiers that stand for no driver (2.0.1 C02.FR.03, C03.FR.02, C05.FR.02)."""

ANSWER_MARGIN_S = 15.0
"""How much longer than MessageTimeout an answer is waited for before offline rules decide."""


class Verdict(Enum):
    ACCEPT = "accept"
    REFUSE = "refuse"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Decision:
    verdict: Verdict
    info: TokenInfo | None = None
    """What is known of the token."""
    why: str = ""
    cap: Cap | None = None
    """How far the charge may go until the network confirms it."""


def decide(known: TokenInfo | None, online: bool, settings: Settings, utc_s: float, listed: bool = False) -> Decision:
    """Judge a token by what the list (``listed``) or the cache know of it (None: nothing), and whether the network can
    be asked."""
    status = status_at(known, utc_s) if known is not None else None
    if online and settings.boolean("AuthCtrlr.DisableRemoteAuthorization"):
        if status is TokenStatus.ACCEPTED:
            return Decision(Verdict.ACCEPT, known)
        what = "unknown here" if known is None else f"known as {known.told}"
        return Decision(Verdict.REFUSE, known, f"{what}, and the network is not to be asked")
    if online:
        source = "LocalAuthListCtrlr" if listed else "AuthCacheCtrlr"
        bad = known is not None and status is not TokenStatus.ACCEPTED
        if known is not None and bad and settings.boolean(f"{source}.DisablePostAuthorize"):
            return Decision(Verdict.REFUSE, known, f"known as {known.told}, and the network is not to be asked again")
        # OCPP 1.6 §9.1.13 LocalPreAuthorize; whatever is not plainly accepted is asked about.
        if settings.boolean("AuthCtrlr.LocalPreAuthorize") and status is TokenStatus.ACCEPTED:
            return Decision(Verdict.ACCEPT, known)
        return Decision(Verdict.ASK, known)
    if known is None or status is None:
        if settings.boolean("AuthCtrlr.OfflineTxForUnknownIdEnabled"):
            return Decision(Verdict.ACCEPT)
        return Decision(Verdict.REFUSE, why="unknown here, and the network cannot be asked")
    if status is not TokenStatus.ACCEPTED:
        return Decision(Verdict.REFUSE, known, f"known as {known.word or status.value}")
    if settings.boolean("AuthCtrlr.LocalAuthorizeOffline"):
        return Decision(Verdict.ACCEPT, known)
    return Decision(Verdict.REFUSE, known, "the network cannot be asked, and LocalAuthorizeOffline is off")


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the network that is not answered yet."""

    token: Token
    evse: int
    """EVSE whose reader it was or that a remote start names; 0 for any."""
    remote_start_id: int | None
    remote: bool
    deadline: float
    profile: dict[str, Any] | None = None
    """Document of the charging profile that came with a remote start."""


class Authorisation:
    """List, cache and open questions."""

    def __init__(self, site: Site, kept: Mapping[str, Mapping[str, Any]], store: ListStore) -> None:
        self._site = site
        self.list = LocalList(site, store)
        self._cache = TokenCache(site, kept)
        self._asks: dict[int, Ask] = {}
        self._last_request = 0

    def known(self, token: Token) -> TokenInfo | None:
        """What list (first) or cache say (OCPP 1.6 §3.5.2)."""
        return self._known(token)[0]

    def _known(self, token: Token) -> tuple[TokenInfo | None, bool]:
        """The same, and whether it is the list that says so (2.0.1 C13.FR.01, C14.FR.01)."""
        found = self.list.find(token)
        return (found, True) if found is not None else (self._cache.find(token), False)

    def group_of(self, token: Token) -> str:
        """The group of a token that list or cache hold valid; empty for none (C01.FR.03, C09.FR.07)."""
        known = self.known(token)
        valid = known is not None and status_at(known, self._site.moment.utc_s) is TokenStatus.ACCEPTED
        return known.group if known is not None and valid else ""

    def decide(self, token: Token, online: bool) -> Decision:
        known, listed = self._known(token)
        self._cache.used(token)
        if online and token.kind == LOCAL and self._site.flexible:
            return Decision(Verdict.ASK, known)  # C06.FR.02
        if known is None and not online:
            # A partner's policy says more of a token than the rule for unknown ones.
            partner = partner_of(token, self._site.config.authorisation.partners)
            if partner is not None and partner.offline:
                return Decision(Verdict.ACCEPT, cap=cap_of(partner))
            if partner is not None:
                return Decision(Verdict.REFUSE, why=f"drivers of {partner.name} do not start offline")
        return decide(known, online, self._site.settings, self._site.moment.utc_s, listed)

    def ask(
        self,
        token: Token,
        evse: int,
        remote: bool = False,
        remote_start_id: int | None = None,
        profile: dict[str, Any] | None = None,
    ) -> None:
        """Ask the network, unless the same is being asked already."""
        if any(ask.token.key == token.key and ask.evse == evse for ask in self._asks.values()):
            return
        self._last_request += 1
        wait_s = self._site.settings.integer("OCPPCommCtrlr.MessageTimeout") + ANSWER_MARGIN_S
        self._asks[self._last_request] = Ask(token, evse, remote_start_id, remote, self._site.now + wait_s, profile)
        self._site.emit(AskAuthorisation(self._last_request, token))

    def answered(self, request: int, info: TokenInfo | None) -> tuple[Ask, Decision] | None:
        """Take the network's answer (None: it gave none). Return what was asked and the verdict."""
        ask = self._asks.pop(request, None)
        if ask is None:
            if info is not None:
                log.info("an answer about a token came too late and is dropped")
            return None
        if info is None:
            return ask, self.decide(ask.token, online=False)
        self.learn(ask.token, info)
        # A token expired by its own date is no more welcome than one the network calls so. In OCPP 2 the date is the
        # cache's alone (C10.FR.13): a prepaid card is accepted and not to be remembered (2.1 C17.FR.01, C17.FR.04).
        status = info.status if self._site.flexible else status_at(info, self._site.moment.utc_s)
        if status is TokenStatus.ACCEPTED:
            return ask, Decision(Verdict.ACCEPT, info)
        return ask, Decision(Verdict.REFUSE, info, f"the network says {info.word or status.value}")

    def overdue(self) -> list[int]:
        """Requests whose answer is not waited for any longer."""
        return [request for request, ask in self._asks.items() if self._site.now >= ask.deadline]

    def asking(self, evse: int) -> bool:
        """True while an answer is awaited that may concern this EVSE."""
        return any(ask.evse in (0, evse) for ask in self._asks.values())

    def wake(self) -> float | None:
        return earliest(ask.deadline for ask in self._asks.values())

    def learn(self, token: Token, info: TokenInfo) -> None:
        """Remember what the network says of a token. Tokens of the list are not cached (OCPP 1.6 §3.5.2)."""
        self.list.compare(token, info)
        flexible = self._site.flexible
        if self.list.holds(token) or (flexible and token.kind in _UNCACHED):
            return
        # ConcurrentTx tells of the moment, not of the token; OCPP 2 wants it all the same (C10.FR.01).
        if info.status is not TokenStatus.CONCURRENT_TX or flexible:
            self._cache.store(token, info)

    def cached(self, token: Token) -> TokenInfo | None:
        """What the cache holds of a token."""
        return self._cache.find(token)

    def forget(self, token: Token) -> None:
        """One token leaves the cache."""
        self._cache.drop(token.key)

    def update_list(self, update: ListUpdate) -> ListAnswer:
        """Change the local list; what it holds leaves the cache."""
        answer = self.list.update(update)
        if answer is ListAnswer.ACCEPTED:
            for key, *_rest in update.rows:
                self._cache.drop(key)
        return answer

    def cached_bytes(self) -> int:
        """What the cache takes of the journal."""
        return self._cache.size_bytes

    def clear(self) -> bool:
        """Forget the cache. False when it is switched off."""
        return self._cache.clear()
