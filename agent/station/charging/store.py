"""The installed profiles: which replaces which, which may be cleared by what, and which hold where."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.station.charging.profile import CAPACITY, Capacity, Profile, Purpose, document, from_document, problem

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
    """What to clear: every condition that is not None must hold; an ``id`` alone decides (OCPP 1.6 §5.5)."""

    id: int | None = None
    evse: int | None = None
    purpose: Purpose | None = None
    stack_level: int | None = None

    def takes(self, entry: Installed) -> bool:
        if self.id is not None:
            return entry.profile.id == self.id
        return (
            self.evse in (None, entry.evse)
            and self.purpose in (None, entry.profile.purpose)
            and self.stack_level in (None, entry.profile.stack_level)
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

    def objection(self, profile: Profile, evse: int) -> str:
        """Say why a profile cannot be installed at an EVSE (or 0); empty when it can."""
        broken = problem(profile, self._capacity)
        if broken:
            return broken
        if profile.purpose is Purpose.STATION_MAX and evse != 0:
            return "a limit of the whole station belongs to connector 0"  # OCPP 1.6 §3.13.1
        if profile.purpose is Purpose.TX and (evse == 0 or not profile.transaction):
            return "a profile for a transaction needs one that runs"  # OCPP 1.6 §3.13.1, §5.16.4
        return ""

    def install(self, profile: Profile, evse: int, utc_s: int) -> list[int] | None:
        """Install a profile that ``objection`` has nothing against. Return the ids of those it replaced.

        None: there is no room. A profile whose validity is over gives way then.
        """
        gone = [
            entry.profile.id
            for entry in self
            if entry.profile.id == profile.id
            or (entry.evse, entry.profile.purpose, entry.profile.stack_level)
            == (evse, profile.purpose, profile.stack_level)
        ]
        if len(self) - len(gone) >= self._capacity.profiles:
            past = next(
                (e.profile.id for e in self if e.profile.valid_to_s is not None and e.profile.valid_to_s <= utc_s), None
            )
            if past is None:
                return None
            gone.append(past)
        self._remove(gone)
        self._entries[profile.id] = Installed(profile, evse, utc_s)
        self.version += 1
        return gone

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
        own = [e for e in self if e.profile.purpose is Purpose.TX_DEFAULT and e.evse == evse]
        levels = {entry.profile.stack_level for entry in own}
        common = [
            entry
            for entry in self
            if entry.profile.purpose is Purpose.TX_DEFAULT
            and not entry.evse
            and entry.profile.stack_level not in levels
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
