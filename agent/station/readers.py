"""A card is presented: which EVSE is meant, and does it start, stop or free something?"""

from __future__ import annotations

import logging

from agent.journal.events import StartTrigger, StopReason
from agent.link.messages import TokenPresented
from agent.station.authorisation import Ask, Authorisation, Decision, Verdict
from agent.station.charging.documents import document
from agent.station.commands import RemoteStart, StartAnswer
from agent.station.evse import Evse
from agent.station.reservations import by_group_only, obstacle, own_evse
from agent.station.session import Phase, Session
from agent.station.site import Site
from agent.station.tokens import CENTRAL, NO_AUTHORIZATION, Token
from agent.station.transactions import Transactions

log = logging.getLogger(__name__)

REPEAT_S = 1.5
"""The same card at the same reader within this time is the same presentation."""

SHOWN_S = 2.0
"""How long the indicator shows accepted or refused."""


class Readers:
    def __init__(self, site: Site, authorisation: Authorisation, transactions: Transactions) -> None:
        self._site = site
        self._authorisation = authorisation
        self._transactions = transactions
        self._last: dict[str, tuple[str, float]] = {}

    def presented(self, message: TokenPresented) -> None:
        """Act on a card. Own sessions stop without anybody being asked (OCPP 1.6 §4.10)."""
        token = Token(message.uid, message.kind)
        key, at = self._last.get(message.reader, ("", float("-inf")))
        self._last[message.reader] = (token.key, message.at)
        if key == token.key and message.at - at < REPEAT_S:
            return
        if message.evse and message.evse not in self._site.evses:
            log.warning("reader %s names EVSE %d, which is not configured", message.reader, message.evse)
            return
        group = self._authorisation.group_of(token)
        if self._is_master(group):
            self._end_all(token)
            return
        if self._use_own(token, group, message.evse):
            return
        self._judge(Ask(token, message.evse, None, False, 0.0), self._authorisation.decide(token, self._site.online))

    def remote_start(self, request: RemoteStart) -> StartAnswer:
        """Start on the network's word, where an EVSE can take it (OCPP 1.6 §5.11; 2.0.1 F01, F02)."""
        if request.evse is not None and request.evse not in self._site.evses:
            return StartAnswer("no such EVSE")
        if not _storable(request.token.uid):
            return StartAnswer("no such identifier can be")
        number = request.evse or 0
        known = self._authorisation.known(request.token)
        group = request.group or (known.group if known else "")
        if self._is_master(group):
            return StartAnswer("a master pass starts nothing")  # C12.FR.09, C16.FR.03
        profile = document(request.profile) if request.profile is not None else None
        evse, why = self.place(request.token, number, group)
        if why and self._group_may_open(request.token, number, group):
            # OCPP 1.6 §5.13: only the network knows the group that the EVSE is reserved for.
            self._authorisation.ask(request.token, number, True, request.remote_start_id, profile)
            return StartAnswer()
        if not why and evse is None:
            # Unlike a card, a command has no person beside it who chooses: take the first free one.
            evse = self._free(number, request.token, group)[0]
        if evse is None or evse.stopped_by_fault:
            why = why or "the EVSE has a fault"
            log.info("remote start for token %s is refused: %s", request.token.masked, why)
            return StartAnswer(why)
        session = evse.session
        answer = StartAnswer(transaction=session.transaction if session is not None and session.open else "")
        # C03.FR.01, C05.FR.01: what the network has made up itself need not be asked about.
        made_up = self._site.flexible and request.token.kind in (CENTRAL, NO_AUTHORIZATION)
        if self._site.settings.boolean("AuthCtrlr.AuthorizeRemoteStart") and not made_up:
            ask = Ask(request.token, evse.id, request.remote_start_id, True, 0.0, profile)
            self._judge(ask, self._authorisation.decide(request.token, self._site.online))
            return answer
        self._transactions.authorise(
            evse, request.token, group, StartTrigger.REMOTE_START, request.remote_start_id, profile
        )
        return answer

    def _group_may_open(self, token: Token, number: int, group: str) -> bool:
        site = self._site
        if site.flexible:
            return False  # the request names the group, or there is none (F01.FR.21, F01.FR.22)
        places = [evse for evse in self._among(number) if self._transactions.usable(evse)]
        closed = bool(places) and all(obstacle(site, evse, token, group) for evse in places)
        return closed and not group and site.online and by_group_only(site, site.evses.get(number), token)

    def _judge(self, ask: Ask, decision: Decision) -> None:
        if decision.verdict is Verdict.ASK:
            self._authorisation.ask(ask.token, ask.evse, ask.remote, ask.remote_start_id, ask.profile)
        else:
            self.decided(ask, decision)

    def decided(self, ask: Ask, decision: Decision) -> None:
        """The verdict on a token is known: let it do what it was presented for."""
        group = decision.info.group if decision.info else ""
        if decision.verdict is not Verdict.ACCEPT:
            self._refuse(ask, decision.why)
            return
        if self._is_master(group):
            if ask.remote:
                self._refuse(ask, "a master pass starts nothing")
            else:
                self._end_all(ask.token)
            return
        if not ask.remote and self._use_own(ask.token, group, ask.evse):
            return
        allowed = decision.info.evses if decision.info else ()
        evse, why = self.place(ask.token, ask.evse, group, allowed)
        if why:
            self._refuse(ask, why)
            return
        trigger = StartTrigger.REMOTE_START if ask.remote else StartTrigger.AUTHORIZED
        cap = decision.cap
        self._transactions.authorise(evse, ask.token, group, trigger, ask.remote_start_id, ask.profile, cap)
        if not ask.remote:
            self._show("accepted", [evse] if evse else self._free(ask.evse))

    # ---- master pass (2.0.1 C16) ---------------------------------------------------------------------------------

    def _is_master(self, group: str) -> bool:
        master = self._site.settings.string("AuthCtrlr.MasterPassGroupId")
        return bool(master) and group.casefold() == master.casefold()

    def _end_all(self, token: Token) -> None:
        """There is nothing to choose with: every transaction ends, every plug comes free (C16.FR.02)."""
        log.warning("a master pass ends every transaction")
        for session in list(self._site.waiting):
            self._transactions.stop_waiting(session, StopReason.MASTER_PASS, token)
        for evse in self._site.evses.values():
            self._transactions.stop(evse, StopReason.MASTER_PASS, token)
            if evse.session is not None:
                evse.session.hold_cable = False
        self._show("accepted", list(self._site.evses.values()))

    # ---- what a token may already own ---------------------------------------------------------------------------

    def _use_own(self, token: Token, group: str, number: int) -> bool:
        """Stop, free or renew what belongs to the token or its group. True when there was something."""
        own = [
            (evse, evse.session)
            for evse in self._among(number)
            if evse.session is not None and evse.session.belongs_to(token, group)
        ]
        own.sort(key=lambda pair: (pair[1].token.key == token.key, pair[1].order), reverse=True)
        for evse, session in own:
            if session.phase is Phase.RUNNING:
                self._transactions.stop(evse, StopReason.LOCAL, token)
                self._show("accepted", [evse])
                return True
        for evse, session in own:
            if session.phase is Phase.FINISHED and session.hold_cable:
                session.hold_cable = False
                self._show("accepted", [evse])
                return True
        for evse, session in own:
            if session.phase is Phase.WAITING and session.open and session.granted:
                self._transactions.stop(evse, StopReason.LOCAL, token)  # E07.FR.01
                self._show("accepted", [evse])
                return True
        for evse, session in own:
            if session.phase in (Phase.WAITING, Phase.STOPPING) and session.token.key == token.key:
                self._renew(session)
                self._show("accepted", [evse])
                return True
        for session in self._site.waiting:
            if session.token.key == token.key and not number:
                if session.open:
                    self._transactions.stop_waiting(session, StopReason.LOCAL, token)
                self._renew(session)
                self._show("accepted", self._free(0))
                return True
        return False

    def _renew(self, session: Session) -> None:
        """Presented again while waiting for the plug: the time to plug in begins anew."""
        if session.phase is Phase.WAITING:
            session.authorised = self._site.moment.stamp()

    # ---- where a new session may go -----------------------------------------------------------------------------

    def place(
        self, token: Token, number: int, group: str = "", allowed: tuple[int, ...] = ()
    ) -> tuple[Evse | None, str]:
        """Choose the EVSE of a new session: (EVSE, "") or (None for the next plugged, "") or (None, why not).

        ``allowed``: the EVSEs that the token may use; empty: all.
        """
        among = [evse for evse in self._among(number) if self._transactions.usable(evse)]
        if not among:
            return None, self._site.books.text if self._site.books.closed else "no EVSE is in service"
        site = self._site
        if allowed:
            among = [evse for evse in among if evse.id in allowed]  # C01.FR.21
            if not among:
                return None, "the token does not hold for this EVSE"
        closed = [why for evse in among if (why := obstacle(site, evse, token, group))]
        if len(closed) == len(among):
            return None, closed[0]
        own = own_evse(site, token, group)
        if own in among and own.session is None:
            return own, ""
        alone = len(self._among(number)) == 1
        among = [evse for evse in among if not obstacle(site, evse, token, group)]
        plugged = [evse for evse in among if evse.connected and (evse.session is None or evse.session.vacant)]
        if not plugged:
            plugged = [evse for evse in among if self._may_begin_again(evse, token, group, alone)]
        if plugged:
            # Several wait: the one who plugged in last is the one who stands at the reader.
            return max(plugged, key=lambda evse: evse.connected_at), ""
        free = [evse for evse in self._free(number, token, group) if evse in among]
        if not free:
            return None, "every EVSE is in use"
        if len(self._site.waiting) >= len(free):
            return None, "others wait already for each free EVSE"
        # Which one is plugged next cannot be known: who may not use all of them is given one.
        return (free[0], "") if alone or allowed else (None, obstacle(site, None, token, group))

    @staticmethod
    def _may_begin_again(evse: Evse, token: Token, group: str, alone: bool) -> bool:
        """After the end, with the vehicle still there: anybody at the EVSE's own reader, else the same token. A
        transaction that is still open is its own driver's: what another one charged would be on the first one's bill.
        """
        session = evse.session
        if session is not None and session.open and not session.belongs_to(token, group):
            return False
        return (
            session is not None
            and session.phase is Phase.FINISHED
            and evse.connected is True
            and not session.hold_cable
            and (alone or session.token.key == token.key)
        )

    def _among(self, number: int) -> list[Evse]:
        return [self._site.evses[number]] if number else list(self._site.evses.values())

    def _free(self, number: int, token: Token | None = None, group: str = "") -> list[Evse]:
        return [
            evse
            for evse in self._among(number)
            if self._transactions.usable(evse)
            and not evse.connected
            and (evse.session is None or (evse.session.phase is Phase.FINISHED and not evse.session.hold_cable))
            and (token is None or not obstacle(self._site, evse, token, group))
        ]

    def _refuse(self, ask: Ask, why: str) -> None:
        log.info("token %s is refused: %s", ask.token.masked, why)
        if not ask.remote:
            self._show("refused", [evse for evse in self._among(ask.evse) if not evse.in_transaction])

    def _show(self, indication: str, evses: list[Evse]) -> None:
        for evse in evses:
            evse.show = (indication, self._site.now + SHOWN_S)


def _storable(text: str) -> bool:
    """False for half a surrogate pair and the like, which no file and no wire takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return bool(text)
