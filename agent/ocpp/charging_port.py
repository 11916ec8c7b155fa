"""Smart charging as OCPP 2 asks for it of the station, and what the station tells of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from agent.station.charging.answers import PriorityAnswer, Pull
from agent.station.charging.external import ExternalState
from agent.station.charging.profile import Profile
from agent.station.charging.refusal import Refusal
from agent.station.charging.store import Criterion, Filter, Installed


class ChargingPort(Protocol):
    """Every call is carried out (and durable where it must be) on return."""

    def set_profile(self, evse: int, profile: Profile) -> Refusal | None:
        """Install a profile by the rules of OCPP 2 (``evse`` 0: for the station, or default of all)."""

    def start_objection(self, evse: int, profile: Profile) -> Refusal | None:
        """Say why a profile cannot come with a remote start at an EVSE (0: any); None when it can."""

    def clear(self, which: Filter) -> bool:
        """False when none matched."""

    def profiles(self, which: Criterion) -> Sequence[Installed]:
        """Return what matches by EVSE and source, external limits among it."""

    def update(self, number: int, limit: float) -> Refusal | None:
        """Change the limit of a dynamic profile."""

    def pulls(self) -> Mapping[int, Pull]:
        """Dynamic profiles of which the network wants to be asked for updates."""

    def use_priority(self, transaction: str, on: bool) -> PriorityAnswer: ...

    def priorities(self) -> frozenset[str]:
        """Transactions that charge first of all."""

    def runs(self, transaction: str) -> bool:
        """A transaction of this identity is open."""

    def external(self) -> Sequence[ExternalState]:
        """Return what each external limit says now."""
