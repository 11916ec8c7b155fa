"""The numbered slots of ways to a network, and the order in which they are tried (OCPP 2.x B09, B10).

Slot 0 is ``ocpp.url`` of the configuration, those after it are ``ocpp.networks``; behind them are free ones. What the
network writes into a slot goes over the file's entry until the technician changes that entry. The order that the
network sets holds until the technician changes any of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.ocpp.network_profile import NetworkProfile, from_document

LOGGER = logging.getLogger(__name__)

LEAST = 6
"""Slots at least (B09.FR.06 wants two)."""

FREE = 2
"""Slots behind those of the configuration at least."""


class Slots:
    """Pure. What is in force; what is only wanted so far is kept by ``agent.ocpp.networks``."""

    def __init__(self, configured: Sequence[NetworkProfile]) -> None:
        self._configured = list(configured)
        self._overrides: dict[str, dict[str, Any]] = {}
        """Credentials changed remotely, by the digest of the configuration's entry."""
        self._written: dict[int, NetworkProfile | None] = {}
        """By the network; None: emptied."""
        self._priority: tuple[int, ...] | None = None

    @property
    def numbers(self) -> range:
        """Every slot there is."""
        return range(max(LEAST, len(self._configured) + FREE))

    @property
    def priority(self) -> tuple[int, ...]:
        """The order of the ways; every slot in it is filled."""
        wanted = range(len(self._configured)) if self._priority is None else self._priority
        filled = tuple(number for number in wanted if self.profile(number) is not None)
        if filled or not self._configured:
            return filled
        return tuple(number for number in range(len(self._configured)) if self.profile(number) is not None)

    def profile(self, number: int) -> NetworkProfile | None:
        """What a slot holds; None for nothing that one could connect by."""
        held = self.held(number)
        return held if held is not None and held.url else None

    def held(self, number: int) -> NetworkProfile | None:
        """The same, with one that has no address yet."""
        if number in self._written:
            return self._written[number]
        if number >= len(self._configured):
            return None
        entry = self._configured[number]
        changes = self._overrides.get(entry.digest())
        return from_document({**entry.document(), **changes}) if changes else entry

    def ways(self) -> list[NetworkProfile]:
        """In the order in which they are tried."""
        return [held for number in self.priority if (held := self.profile(number)) is not None]

    # ---- changes ----

    def write(self, number: int, profile: NetworkProfile) -> None:
        """The network's own contents for a slot. What had been changed at the old one is of the past."""
        self._written[number] = profile
        if number < len(self._configured):
            self._overrides.pop(self._configured[number].digest(), None)

    def set_priority(self, priority: Iterable[int]) -> None:
        self._priority = tuple(priority)

    def override(self, number: int, wanted: NetworkProfile) -> None:
        """Other credentials for what the slot holds."""
        if number in self._written:
            self._written[number] = wanted
            return
        document = wanted.document()
        names = ("password", "spare_password", "security_profile")
        self._overrides[self._configured[number].digest()] = {name: document[name] for name in names}

    def drop_below(self, level: int) -> None:
        """Empty every slot of a lower security profile (2.0.1 A05.FR.06)."""
        kept = [number for number in self.priority if _level(self.profile(number)) >= level]
        for number in self.numbers:
            held = self.held(number)
            if held is not None and held.security_profile < level:
                self._written[number] = None
        self.set_priority(kept)

    # ---- the file ----

    def documents(self) -> dict[str, Any]:
        """What ``load`` takes. ``moved`` is slot 0 as releases that had no slots wrote it, and read it."""
        moved = self._written.get(0)
        written = {number: profile for number, profile in self._written.items() if number or profile is None}
        return {
            "overrides": self._overrides,
            "moved": None if moved is None else {"over": self._over(0), "profile": moved.document()},
            "slots": {
                str(number): {"over": self._over(number), "profile": None if profile is None else profile.document()}
                for number, profile in written.items()
            },
            "priority": None if self._priority is None else {"over": self._over_all(), "slots": list(self._priority)},
        }

    def load(self, kept: Mapping[str, Any]) -> None:
        """Raises KeyError, ValueError, TypeError or AttributeError for what cannot be used."""
        digests = {profile.digest() for profile in self._configured}
        self._overrides = {key: dict(value) for key, value in kept["overrides"].items() if key in digests}
        entries = dict(kept.get("slots", {}))
        if kept["moved"] is not None:
            entries["0"] = kept["moved"]
        for text, entry in entries.items():
            number = int(text)
            if number not in self.numbers:
                continue
            if entry["over"] == self._over(number):
                profile = entry["profile"]
                self._written[number] = None if profile is None else from_document(profile)
            else:
                LOGGER.warning("network %d of the configuration was changed; the remote change of it is over", number)
        priority = kept.get("priority")
        if priority is not None and priority["over"] == self._over_all():
            self._priority = tuple(int(number) for number in priority["slots"] if int(number) in self.numbers)
        self.ways()

    def forget(self) -> None:
        """The configuration holds alone."""
        self._overrides, self._written, self._priority = {}, {}, None

    def _over(self, number: int) -> str | None:
        return self._configured[number].digest() if number < len(self._configured) else None

    def _over_all(self) -> list[str]:
        return [profile.digest() for profile in self._configured]


def _level(profile: NetworkProfile | None) -> int:
    return -1 if profile is None else profile.security_profile
