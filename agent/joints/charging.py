"""Joins smart charging to the tunnel of OCPP 2 and to the local API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from agent.clock import Clock
from agent.local import charging as local
from agent.local.methods import Method
from agent.station.charging.answers import PriorityAnswer, Pull
from agent.station.charging.external import ExternalLimit, ExternalState
from agent.station.charging.profile import Profile, Source
from agent.station.charging.refusal import Refusal
from agent.station.charging.store import Criterion, Filter, Installed
from agent.station.effects import Effect
from agent.station.smart_charging import SmartCharging
from agent.station.station import Station

_Answer = TypeVar("_Answer")


class ChargingWork:
    """Implements ``agent.ocpp.charging_port.ChargingPort`` and ``agent.local.charging.Charging``.

    ``wake``: there may be news for the network.
    """

    def __init__(
        self,
        station: Station,
        clock: Clock,
        carry_out: Callable[[Sequence[Effect]], None],
        wake: Callable[[], None],
    ) -> None:
        self._station = station
        self._clock = clock
        self._carry_out = carry_out
        self._wake = wake

    def methods(self) -> dict[str, Method]:
        return local.methods(self)

    def _step(self, deed: Callable[[SmartCharging], _Answer]) -> _Answer:
        answer, effects = self._station.with_charging(deed, self._clock.now())
        self._carry_out(effects)
        return answer

    # ---- for the network ----

    def set_profile(self, evse: int, profile: Profile) -> Refusal | None:
        return self._step(lambda charging: charging.install_strictly(evse, profile))

    def start_objection(self, evse: int, profile: Profile) -> Refusal | None:
        return self._station.charging.remote_objection_strictly(evse, profile)

    def clear(self, which: Filter) -> bool:
        return self._step(lambda charging: charging.clear(which))

    def profiles(self, which: Criterion) -> Sequence[Installed]:
        return self._station.charging.matching(which)

    def update(self, number: int, limit: float) -> Refusal | None:
        return self._step(lambda charging: charging.update(number, limit))

    def pulls(self) -> Mapping[int, Pull]:
        return self._station.charging.pulls()

    def use_priority(self, transaction: str, on: bool) -> PriorityAnswer:
        answer = self._step(lambda charging: charging.use_priority(transaction, on))
        self._wake()
        return answer

    def priorities(self) -> frozenset[str]:
        return self._station.charging.priorities

    def runs(self, transaction: str) -> bool:
        return any(self.transaction(evse) == transaction for evse in self._station.facts.evses)

    # ---- for both ----

    def external(self) -> Sequence[ExternalState]:
        return self._station.charging.in_force(self._clock.now())

    # ---- for the site ----

    def transaction(self, evse: int) -> str:
        """Identity of the transaction that is open at an EVSE; empty for none. KeyError for no such EVSE."""
        return self._station.facts.transaction(evse)

    def constrain(self, limit: ExternalLimit) -> Refusal | None:
        refusal = self._step(lambda charging: charging.constrain(limit))
        self._wake()
        return refusal

    def release(self, source: Source, evse: int, generation: bool) -> bool:
        known = self._step(lambda charging: charging.release(source, evse, generation))
        self._wake()
        return known
