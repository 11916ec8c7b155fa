"""In service or out of it (survives restarts), unlocking, and leaving in good order."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.journal.events import StopReason, Trigger
from agent.link.messages import Withdraw
from agent.station.commands import AvailabilityAnswer, Level, ResetKind, UnlockAnswer
from agent.station.effects import AnswerUnlock, Restart
from agent.station.evse import Evse
from agent.station.session import Phase
from agent.station.site import Site, earliest
from agent.station.transactions import Transactions

log = logging.getLogger(__name__)

UNLOCK_S = 5.0
"""How long the lock may take to report that it is open, once it may open."""

UNLOCK_IN_ALL_S = 14.0
"""Including the end of a transaction before."""


RESET_S = 30.0
"""How long a soft reset waits for its transactions; an end that is still open then is completed after the restart."""

_IN_GOOD_ORDER = (ResetKind.SOFT, ResetKind.IMMEDIATE)
_AT_ONCE = (ResetKind.HARD, ResetKind.RESUME)


_WHOLE = "0"
"""Key of the whole station's document, beside those of the EVSEs."""


@dataclass(slots=True)
class _Unlock:
    request: int
    evse: int
    asked_at: float
    free_at: float | None = None
    """When nothing kept the lock closed any more."""


class Availability:
    def __init__(self, site: Site, transactions: Transactions, kept: Mapping[str, Mapping[str, Any]]) -> None:
        self._site = site
        self._transactions = transactions
        self._unlocks: list[_Unlock] = []
        self._reset_at = 0.0
        for key, document in kept.get("availability", {}).items():
            evse = site.evses.get(int(key)) if key.isdecimal() else None
            if evse is not None and isinstance(document, Mapping):
                evse.wanted_operative = document.get("operative") is not False
                evse.connector_operative = document.get("connector") is not False
        whole = kept.get("availability", {}).get(_WHOLE)
        for evse in site.evses.values():
            evse.station_operative = not isinstance(whole, Mapping) or whole.get("operative") is not False
        made_safe = kept.get("station", {}).get("safe") is True
        for evse in site.evses.values():
            evse.made_safe = made_safe

    # ---- availability -------------------------------------------------------------------------------------------

    def change(self, number: int, operative: bool) -> AvailabilityAnswer:
        """Put EVSE ``number`` (0: all) in or out of service. A transaction is let finish first (OCPP 1.6 §5.2)."""
        if number and number not in self._site.evses:
            return AvailabilityAnswer.REJECTED
        if operative and not number:
            self._set_whole(True)  # whatever a network of OCPP 2 had said before
        chosen = [self._site.evses[number]] if number else list(self._site.evses.values())
        for evse in chosen:
            self._set(evse, operative, True if operative else evse.connector_operative)
        return self._scheduled_or_done(chosen, operative)

    def change_at(self, level: Level, number: int, operative: bool) -> AvailabilityAnswer:
        """The same for one level alone: each keeps a state of its own (2.0.1 G03, G04). ``number``: of the EVSE."""
        if level is Level.STATION:
            self._set_whole(operative)
            return self._scheduled_or_done(list(self._site.evses.values()), operative)
        evse = self._site.evses.get(number)
        if evse is None:
            return AvailabilityAnswer.REJECTED
        if level is Level.EVSE:
            self._set(evse, operative, evse.connector_operative)
        else:
            self._set(evse, evse.wanted_operative, operative)
        return self._scheduled_or_done([evse], operative)

    def _set(self, evse: Evse, operative: bool, connector: bool) -> None:
        if (evse.wanted_operative, evse.connector_operative) == (operative, connector):
            return
        evse.wanted_operative, evse.connector_operative = operative, connector
        document = {"operative": operative} | ({} if connector else {"connector": False})
        self._site.keep("availability", str(evse.id), None if operative and connector else document)

    def _set_whole(self, operative: bool) -> None:
        if all(evse.station_operative is operative for evse in self._site.evses.values()):
            return
        for evse in self._site.evses.values():
            evse.station_operative = operative
        self._site.keep("availability", _WHOLE, None if operative else {"operative": False})

    @staticmethod
    def _scheduled_or_done(chosen: list[Evse], operative: bool) -> AvailabilityAnswer:
        if not operative and any(evse.in_transaction for evse in chosen):
            return AvailabilityAnswer.SCHEDULED
        return AvailabilityAnswer.ACCEPTED

    def hold_back(self, on: bool) -> None:
        """Take every EVSE that is free, or becomes free, out of service; or give all back (OCPP 1.6 §5.19)."""
        for evse in self._site.evses.values():
            evse.held_back = on

    def make_safe(self, on: bool) -> None:
        """End every transaction and take all EVSEs out of service, over restarts, until it is taken back."""
        site = self._site
        site.keep("station", "safe", True if on else None)
        for evse in site.evses.values():
            evse.made_safe = on
            if on:
                self._transactions.stop(evse, StopReason.EMERGENCY_STOP)

    # ---- unlock -------------------------------------------------------------------------------------------------

    def unlock(self, number: int, request: int) -> None:
        """End the transaction, if any, and release the plug (OCPP 1.6 §5.18)."""
        site = self._site
        evse = site.evses.get(number)
        if evse is None or not evse.socket or not evse.config.has_lock:
            site.emit(AnswerUnlock(request, UnlockAnswer.NOT_SUPPORTED))
            return
        session = evse.session
        if not site.flexible:
            self._transactions.stop(evse, StopReason.UNLOCK_COMMAND)
            self._transactions.call_off(evse, StopReason.UNLOCK_COMMAND)
        elif session is None or session.phase is Phase.STOPPING:
            pass  # there is nothing to take from anybody, or it is being ended
        elif session.granted and (session.open or session.phase is Phase.RUNNING):
            site.emit(AnswerUnlock(request, UnlockAnswer.ONGOING))  # F05.FR.02
            return
        elif session.open:
            # Nobody is authorised: the transaction ends as TxStopPoint says, not by this.
            self._transactions.note(evse, session, Trigger.UNLOCK_COMMAND)
        if evse.session is not None:
            evse.session.hold_cable = False
        evse.told_hold = None  # say it again: the lock may be closed for another reason
        self._unlocks.append(_Unlock(request, number, site.now))

    def settle(self) -> None:
        self._answer_unlocks()
        self._leave_when_done()

    def _answer_unlocks(self) -> None:
        site = self._site
        for unlock in list(self._unlocks):
            evse = site.evses[unlock.evse]
            if unlock.free_at is None and not evse.charges:
                unlock.free_at = site.now
            observation = evse.observation
            answer = None
            if unlock.free_at is not None and observation is not None and observation.at > unlock.free_at:
                answer = UnlockAnswer.UNLOCKED if observation.locked is False else None
            if answer is None and site.now >= self._deadline(unlock):
                answer = UnlockAnswer.FAILED
            if answer is not None:
                self._unlocks.remove(unlock)
                site.emit(AnswerUnlock(unlock.request, answer))

    @staticmethod
    def _deadline(unlock: _Unlock) -> float:
        last = unlock.asked_at + UNLOCK_IN_ALL_S
        return last if unlock.free_at is None else min(last, unlock.free_at + UNLOCK_S)

    # ---- reset --------------------------------------------------------------------------------------------------

    def reset(self, kind: ResetKind) -> bool:
        """Restart the agent. SOFT ends its transactions in good order first (OCPP 1.6 §5.14, 2.0.1 B12.FR.02)."""
        site = self._site
        if site.resetting in _AT_ONCE:
            return True
        if kind is ResetKind.ON_IDLE and site.resetting is not None:
            return True  # what is under way comes sooner
        if kind is ResetKind.ON_IDLE and not any(evse.in_transaction for evse in site.evses.values()):
            kind = ResetKind.IMMEDIATE
        site.resetting = kind
        self._reset_at = site.now
        if kind is not ResetKind.RESUME:
            for session in list(site.waiting):
                self._transactions.stop_waiting(session, StopReason.SCHEDULED_RESET)
        if kind in _AT_ONCE:
            site.keep("station", "reset", "Hard" if kind is ResetKind.HARD else "Resume")
            for evse in site.evses.values():
                if kind is ResetKind.RESUME and evse.session is not None:
                    self._transactions.note(evse, evse.session, Trigger.RESET_COMMAND)  # 2.1 B13.FR.04
                if evse.running is not None:
                    # 2.1 B13.FR.20: energy stops.
                    site.send(Withdraw(evse.id, "hard reset" if kind is ResetKind.HARD else "reset"))
                    evse.permit, evse.withdrawn = None, True
            site.emit(Restart(kind))
            return True
        if kind in _IN_GOOD_ORDER:
            for evse in site.evses.values():
                self._transactions.stop(evse, StopReason.SCHEDULED_RESET)
        return True

    def _leave_when_done(self) -> None:
        site = self._site
        if site.resetting not in (*_IN_GOOD_ORDER, ResetKind.ON_IDLE):
            return
        waits = site.resetting is ResetKind.ON_IDLE or site.now < self._reset_at + RESET_S
        if any(evse.in_transaction for evse in site.evses.values()) and waits:
            return
        site.emit(Restart(site.resetting))
        # Once is enough; nothing new begins meanwhile.
        site.resetting = ResetKind.HARD

    def wake(self) -> float | None:
        leaving = self._reset_at + RESET_S if self._site.resetting in _IN_GOOD_ORDER else None
        return earliest([leaving, *(self._deadline(unlock) for unlock in self._unlocks)])
