"""The installed profiles: which replaces which, which may be cleared by what, and which hold where."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.station.charging.documents import document, from_document
from agent.station.charging.profile import CAPACITY, Capacity, Profile, Purpose, Source
from agent.station.charging.refusal import Refusal, Why
from agent.station.charging.rules import Placed, problem

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Installed:
    profile: Profile
    evse: int
    """0: the station, or all EVSEs."""
    since_utc_s: int
    """Start of what is relative and has no transaction to be relative to."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What to clear: every condition that is not None must hold; an ``id`` alone decides (OCPP 1.6 §5.5, 2.0.1 K10).

    External constraints and generation at the site are not the network's to clear (K10.FR.04, FR.08, FR.09).
    """

    id: int | None = None
    evse: int | None = None
    purpose: Purpose | None = None
    stack_level: int | None = None

    def takes(self, entry: Installed) -> bool:
        if entry.profile.purpose in (Purpose.EXTERNAL, Purpose.LOCAL_GENERATION):
            return False
        if self.id is not None:
            return entry.profile.id == self.id
        return (
            self.evse in (None, entry.evse)
            and self.purpose in (None, entry.profile.purpose)
            and self.stack_level in (None, entry.profile.stack_level)
        )


@dataclass(frozen=True, slots=True)
class Criterion:
    """What to report: every condition that is not None must hold (2.0.1 K09)."""

    ids: frozenset[int] | None = None
    evse: int | None = None
    purpose: Purpose | None = None
    stack_level: int | None = None
    sources: frozenset[Source] | None = None

    def takes(self, entry: Installed) -> bool:
        profile = entry.profile
        return (
            (self.ids is None or profile.id in self.ids)
            and self.evse in (None, entry.evse)
            and self.purpose in (None, profile.purpose)
            and self.stack_level in (None, profile.stack_level)
            and (self.sources is None or profile.source in self.sources)
        )


class ProfileStore:
    """``version`` rises with every change, for those who keep results."""

    def __init__(self, capacity: Capacity = CAPACITY) -> None:
        self._capacity = capacity
        self._entries: dict[int, Installed] = {}
        self.version = 0

    def __iter__(self) -> Iterator[Installed]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, number: int) -> Installed | None:
        return self._entries.get(number)

    def placed(self) -> Iterator[Placed]:
        """Where what is installed stands, for rules that compare."""
        return (Placed(e.profile.id, e.profile.purpose, e.profile.stack_level, e.evse) for e in self)

    def objection(self, profile: Profile, evse: int) -> Refusal | None:
        """Say why a profile cannot be installed at an EVSE (or 0); None when it can."""
        broken = problem(profile, self._capacity)
        if broken is not None:
            return broken
        if profile.purpose is Purpose.STATION_MAX and evse != 0:
            # OCPP 1.6 §3.13.1, 2.0.1 K04.FR.03
            return Refusal(Why.PROFILE, "a limit of the whole station belongs to connector 0")
        if profile.purpose is Purpose.TX and (evse == 0 or not profile.transaction):
            # OCPP 1.6 §3.13.1, §5.16.4, 2.0.1 K01.FR.16
            return Refusal(Why.PROFILE, "a profile for a transaction needs one that runs")
        known = self.get(profile.id)
        if known is not None and known.profile.source is not profile.source:
            return Refusal(Why.ID, f"profile {profile.id} was set by somebody else")  # 2.0.1 K01.FR.05
        return None

    def install(self, profile: Profile, evse: int, utc_s: int, *, beside: bool = False) -> list[int] | None:
        """Install a profile that ``objection`` has nothing against. Return the ids of those it replaced.

        It replaces the one of its number and those of its purpose, stack level and EVSE; with ``beside`` only where
        both are valid at some time (2.0.1 K01.FR.06). None: there is no room. A profile whose validity is over gives
        way then.
        """
        gone = [
            entry.profile.id
            for entry in self
            if entry.profile.id == profile.id
            or (
                (entry.evse, entry.profile.purpose, entry.profile.stack_level, entry.profile.source)
                == (evse, profile.purpose, profile.stack_level, profile.source)
                and not (beside and _apart(entry.profile, profile))
            )
        ]
        if profile.source is Source.CSO and self._network_count() - len(gone) >= self._capacity.profiles:
            past = next(
                (
                    profile.id
                    for profile in (entry.profile for entry in self)
                    if profile.source is Source.CSO and profile.valid_to_s is not None and profile.valid_to_s <= utc_s
                ),
                None,
            )
            if past is None:
                return None
            gone.append(past)
        self._remove(gone)
        self._entries[profile.id] = Installed(profile, evse, utc_s)
        self.version += 1
        return gone

    def _network_count(self) -> int:
        """External limits are few and always have room."""
        return sum(entry.profile.source is Source.CSO for entry in self)

    def change(self, profile: Profile) -> None:
        """Replace an installed profile by the same one with another limit."""
        self._entries[profile.id] = replace(self._entries[profile.id], profile=profile)
        self.version += 1

    def remove(self, ids: Iterable[int]) -> None:
        self._remove(list(ids))

    def clear(self, which: Filter) -> list[int]:
        """Remove all that match. Return their ids."""
        gone = [entry.profile.id for entry in self if which.takes(entry)]
        self._remove(gone)
        return gone

    def end(self, transactions: frozenset[str]) -> list[int]:
        """Remove profiles of transactions other than these, which run. Return their ids."""
        gone = [
            entry.profile.id
            for entry in self
            if entry.profile.purpose is Purpose.TX and entry.profile.transaction not in transactions
        ]
        self._remove(gone)
        return gone

    def _remove(self, ids: list[int]) -> None:
        for number in ids:
            self._entries.pop(number, None)
        self.version += bool(ids)

    # ---- which hold where -------------------------------------------------------------------------------------------

    def of_station(self) -> list[Installed]:
        """Limits of the whole station, highest stack level first."""
        return _stacked(entry for entry in self if entry.profile.purpose is Purpose.STATION_MAX)

    def defaults_of(self, evse: int) -> list[Installed]:
        """Defaults for transactions at an EVSE, highest stack level first.

        One of its own replaces the common one of the same level there, whether it is valid yet or not (OCPP 1.6
        §3.13.1, §3.13.2).
        """
        return self._own_or_common(Purpose.TX_DEFAULT, evse)

    def priorities_of(self, evse: int) -> list[Installed]:
        """The same for priority charging (2.1 K21.FR.01)."""
        return self._own_or_common(Purpose.PRIORITY, evse)

    def external(self, evse: int) -> list[Installed]:
        """External constraints at an EVSE, or (0) for all together."""
        return self._at(Purpose.EXTERNAL, evse)

    def generation(self, evse: int) -> list[Installed]:
        """What is generated at the site for an EVSE, or (0) for all together."""
        return self._at(Purpose.LOCAL_GENERATION, evse)

    def _at(self, purpose: Purpose, evse: int) -> list[Installed]:
        return _stacked(entry for entry in self if entry.profile.purpose is purpose and entry.evse == evse)

    def _own_or_common(self, purpose: Purpose, evse: int) -> list[Installed]:
        own = [entry for entry in self if entry.profile.purpose is purpose and entry.evse == evse]
        levels = {entry.profile.stack_level for entry in own}
        common = [
            entry
            for entry in self
            if entry.profile.purpose is purpose and not entry.evse and entry.profile.stack_level not in levels
        ]
        return _stacked(iter([*own, *common]))

    def of_transaction(self, transaction: str) -> list[Installed]:
        """Profiles of a transaction, highest stack level first."""
        return _stacked(
            entry
            for entry in self
            if entry.profile.purpose is Purpose.TX and transaction and entry.profile.transaction == transaction
        )

    # ---- documents --------------------------------------------------------------------------------------------------

    def document(self, number: int) -> dict[str, Any] | None:
        """Return an entry JSON-ready; None when there is none."""
        entry = self._entries.get(number)
        if entry is None:
            return None
        return {"evse": entry.evse, "since_utc_s": entry.since_utc_s, "profile": document(entry.profile)}

    def load(self, documents: Mapping[str, Any]) -> list[str]:
        """Take what was kept. Return the keys of what cannot be read any more."""
        broken: list[str] = []
        for key, values in documents.items():
            try:
                entry = Installed(from_document(values["profile"]), int(values["evse"]), int(values["since_utc_s"]))
            except (ValueError, KeyError, TypeError) as error:
                log.error("the kept charging profile %s cannot be read and is dropped: %s", key, error)
                broken.append(key)
                continue
            self._entries[entry.profile.id] = entry
        self.version += 1
        return broken


def _stacked(entries: Iterator[Installed]) -> list[Installed]:
    return sorted(entries, key=lambda entry: -entry.profile.stack_level)


def _apart(one: Profile, other: Profile) -> bool:
    """True when both are never valid at once."""
    ends = (one.valid_to_s, other.valid_to_s)
    begins = (other.valid_from_s, one.valid_from_s)
    return any(end is not None and begin is not None and end <= begin for end, begin in zip(ends, begins, strict=True))
