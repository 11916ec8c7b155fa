"""The start/stop button of an EVSE: a driver's own stop, and where everyone may charge, a start."""

from __future__ import annotations

import logging

from agent.config.schema import ButtonAction
from agent.journal.events import StopReason
from agent.link.messages import ButtonPressed
from agent.station.session import Phase
from agent.station.site import Site
from agent.station.transactions import Transactions

log = logging.getLogger(__name__)


class Buttons:
    def __init__(self, site: Site, transactions: Transactions) -> None:
        self._site = site
        self._transactions = transactions

    def pressed(self, message: ButtonPressed) -> None:
        """Act on a short press. A long one is nobody's yet."""
        evse = self._site.evses.get(message.evse)
        if evse is None:
            log.warning("a button names EVSE %d, which is not configured", message.evse)
            return
        action = evse.config.button_action
        if message.long or action is ButtonAction.NONE:
            return
        if evse.running is not None:
            self._transactions.stop(evse, StopReason.LOCAL)
            return
        session = evse.session
        again = session is not None and session.phase is Phase.FINISHED and not session.hold_cable
        free = self._site.config.authorisation.free_vend
        if action is ButtonAction.START_STOP and free and again and evse.connected is True:
            evse.session = None  # the vehicle that is still there begins anew, as one that has just come
