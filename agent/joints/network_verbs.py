"""What the operator's network may ask of the station: ``agent.ocpp.ports.StationPort``, carried out by the agent.

Each verb is one step of the station. What the step wants done is carried out before the answer is returned.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from agent.clock import Clock
from agent.joints.local_api import LocalWork
from agent.journal.journal import Journal, JournalError
from agent.security.events import SecurityEvent
from agent.security.security import Security
from agent.station.charging.plan import Composite
from agent.station.charging.profile import Profile, RateUnit
from agent.station.charging.store import Filter
from agent.station.commands import (
    AvailabilityAnswer,
    FinalCost,
    PresentValues,
    RemoteStart,
    Reservation,
    ReservationAnswer,
    ResetKind,
    SettingAnswer,
    StatusReport,
    UnlockAnswer,
)
from agent.station.effects import Effect
from agent.station.local_list import ListAnswer, ListUpdate
from agent.station.price_texts import PriceText
from agent.station.pricing import Pricing
from agent.station.station import Station
from agent.station.tariff import RunningCost
from agent.station.tokens import Token, TokenInfo

log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

UNLOCK_TIMEOUT_S = 15.0

TIME_SET_S = 1.0
"""A correction of the clock from which on it is a security event (SettingSystemTime)."""


class NetworkVerbs(ABC):
    """The agent derives from this, and gives it its rooms."""

    _clock: Clock
    _journal: Journal
    _station: Station
    _security: Security
    _local: LocalWork
    _clock_unwritten: bool
    _unlocks: dict[int, asyncio.Future[UnlockAnswer]]
    _next_unlock: int

    @abstractmethod
    def carry_out(self, effects: Sequence[Effect]) -> None:
        """Write, act, send."""

    def remote_start(self, request: RemoteStart) -> bool:
        return self._done(self._station.remote_start(request, self._clock.now()))

    def remote_stop(self, transaction: str) -> bool:
        return self._done(self._station.remote_stop(transaction, self._clock.now()))

    def _done(self, step: tuple[_Answer, Sequence[Effect]]) -> _Answer:
        """Carry out what a step wants done, and return its answer."""
        answer, effects = step
        self.carry_out(effects)
        return answer

    async def unlock(self, evse: int) -> UnlockAnswer:
        request, self._next_unlock = self._next_unlock, self._next_unlock + 1
        answer = self._unlocks[request] = asyncio.get_running_loop().create_future()
        self.carry_out(self._station.unlock(evse, request, self._clock.now()))
        try:
            return await asyncio.wait_for(answer, UNLOCK_TIMEOUT_S)
        except TimeoutError:
            self._unlocks.pop(request, None)
            return UnlockAnswer.FAILED

    def change_availability(self, evse: int, operative: bool) -> AvailabilityAnswer:
        return self._done(self._station.change_availability(evse, operative, self._clock.now()))

    def reset(self, kind: ResetKind) -> bool:
        return self._done(self._station.reset(kind, self._clock.now()))

    def clear_cache(self) -> bool:
        return self._done(self._station.clear_cache(self._clock.now()))

    def set_charging_profile(self, evse: int, profile: Profile) -> bool:
        return self._done(self._station.set_charging_profile(evse, profile, self._clock.now()))

    def clear_charging_profiles(self, which: Filter) -> bool:
        return self._done(self._station.clear_charging_profiles(which, self._clock.now()))

    def composite_schedule(self, evse: int, duration_s: int, unit: RateUnit | None) -> Composite | None:
        return self._station.composite_schedule(evse, duration_s, unit, self._clock.now())

    def local_list_version(self) -> int:
        return self._station.local_list_version(self._clock.now())

    def update_local_list(self, update: ListUpdate) -> ListAnswer:
        try:
            answer, effects = self._station.update_local_list(update, self._clock.now())
        except JournalError as error:
            log.error("journal: %s; the local list stays as it was", error)
            return ListAnswer.FAILED
        self.carry_out(effects)
        return answer

    def reserve(self, reservation: Reservation) -> ReservationAnswer:
        return self._done(self._station.reserve(reservation, self._clock.now()))

    def cancel_reservation(self, number: int) -> bool:
        return self._done(self._station.cancel_reservation(number, self._clock.now()))

    def present_values(self) -> list[PresentValues]:
        return self._station.present_values(self._clock.now())

    def set_service_pin(self, role: str, stored: str) -> str:
        why = self._local.access.adopt(role, stored)
        self._security.record(SecurityEvent.RECONFIGURATION, f"PIN of {role[:10]} by the network: {why or 'set'}")
        return why

    def meter_public_key(self, evse: int) -> str:
        return self._station.meter_public_key(evse)

    def set_user_price(self, token: Token, text: PriceText) -> bool:
        return self._price(lambda pricing: pricing.set_user_price(token.key, text))

    def running_cost(self, transaction: str, told: RunningCost) -> bool:
        return self._price(lambda pricing: pricing.running_cost(transaction, told))

    def final_cost(self, transaction: str, final: FinalCost) -> bool:
        return self._price(lambda pricing: pricing.final_cost(transaction, final))

    def _price(self, deed: Callable[[Pricing], bool]) -> bool:
        return self._done(self._station.within(lambda: deed(self._station.pricing), self._clock.now()))

    def set_setting(self, name: str, text: str) -> SettingAnswer:
        return self._done(self._station.set_setting(name, text, self._clock.now()))

    def statuses(self) -> list[StatusReport]:
        return self._station.statuses(self._clock.now())

    def uplink_changed(self, online: bool) -> None:
        self.carry_out(self._station.uplink_changed(online, self._clock.now()))

    def authorisation_answered(self, request: int, info: TokenInfo | None) -> None:
        self.carry_out(self._station.authorisation_answered(request, info, self._clock.now()))

    def start_answered(self, transaction: str, info: TokenInfo) -> None:
        self.carry_out(self._station.start_answered(transaction, info, self._clock.now()))

    def token_told(self, token: Token, info: TokenInfo) -> None:
        self.carry_out(self._station.token_told(token, info, self._clock.now()))

    def network_time(self, utc_s: float, took_s: float = 0.0) -> None:
        before_s = self._clock.offset_s
        corrected = self._clock.network_time(utc_s, took_s)
        if abs(self._clock.offset_s - before_s) >= TIME_SET_S:
            self._security.record(
                SecurityEvent.SETTING_SYSTEM_TIME, f"by {self._clock.offset_s - before_s:+.1f} s, as the network has it"
            )
        if corrected or self._clock_unwritten:
            self._clock_unwritten = True
            try:
                self._journal.fix_clock(self._clock.boot, self._clock.offset_s)
            except JournalError as error:
                log.error("journal: %s; the corrected clock will be noted later", error)
            else:
                self._clock_unwritten = False
            # Charging schedules lie in wall time: what they allow may differ now.
            self.carry_out(self._station.timer(self._clock.now()))
