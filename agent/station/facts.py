"""The station as the device model reads it (``agent.device_model``): what is, without a step and without a change."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.config.schema import Config
from agent.link.messages import FaultCode, FaultReport
from agent.station.books import Books
from agent.station.commands import ConnectorStatus
from agent.station.evse import Evse
from agent.station.fault_history import FaultHistory
from agent.station.grid import GridLimit
from agent.station.site import Site
from agent.station.statuses import Statuses


class Facts:
    """``listed``: tokens on the local list; ``profiles``: charging profiles installed; ``messages``: for drivers;
    ``cached_bytes``: of the authorisation cache."""

    def __init__(
        self,
        site: Site,
        statuses: Statuses,
        history: FaultHistory,
        listed: Callable[[], int],
        profiles: Callable[[], int],
        messages: Callable[[], int],
        tariff_problem: Callable[[], bool],
        cached_bytes: Callable[[], int],
    ) -> None:
        self._site = site
        self._statuses = statuses
        self._history = history
        self.listed = listed
        self.profiles = profiles
        self.messages = messages
        self.tariff_problem = tariff_problem
        self.cached_bytes = cached_bytes

    @property
    def config(self) -> Config:
        return self._site.config

    @property
    def evses(self) -> Mapping[int, Evse]:
        """Not to be changed."""
        return self._site.evses

    @property
    def books(self) -> Books:
        return self._site.books

    @property
    def grid(self) -> GridLimit | None:
        return self._site.grid

    @property
    def control_there(self) -> bool:
        """The control process is connected, or gone for so short a time that it is restarting."""
        return self._statuses.station().vendor_error != "control_lost"

    def status(self, evse: int) -> ConnectorStatus | None:
        """Of an EVSE, or (0) of the whole station; None before control has told of it."""
        return self._statuses.station().status if evse == 0 else self._site.evses[evse].status

    def faults(self, evse: int) -> Mapping[FaultCode, FaultReport]:
        """Present faults of an EVSE, or (0) those that concern no single one. Not to be changed."""
        return self._site.evses[evse].faults if evse else self._site.faults

    def troubled(self, evse: int) -> frozenset[FaultCode] | None:
        """The faults of an EVSE; None before control has told of it.

        A control that starts anew has its faults to tell yet: until it has, what it said of the EVSE last holds.
        """
        place = self._site.evses[evse]
        if place.observation is None:
            return None
        return frozenset(place.faults) | frozenset(place.observation.faults)

    def times(self, evse: int, code: FaultCode) -> int:
        """How often a fault came, over all times."""
        return self._history.times(evse, code.value)

    def transaction(self, evse: int) -> str:
        """Identity of the transaction that is open at an EVSE, or (0) of any one; empty for none."""
        places = self._site.evses.values() if evse == 0 else [self._site.evses[evse]]
        return next((each.session.transaction for each in places if each.in_transaction and each.session), "")

    def linked(self, evse: int) -> str:
        """Identity of the transaction that what happens at an EVSE now belongs to: the one that is open, or was while
        the vehicle has stayed since; empty for none."""
        session = self._site.evses[evse].session
        return "" if session is None else session.transaction
