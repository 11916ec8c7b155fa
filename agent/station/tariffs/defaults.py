"""Which default tariff holds at an EVSE, and which are waiting for their time (I07.FR.19 to FR.23). Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from agent.station.tariffs.tariff import Tariff, read_tariff


@dataclass(frozen=True, slots=True)
class Installed:
    """A tariff and the form in which it came."""

    tariff: Tariff
    document: dict[str, Any]


def installed_of(document: dict[str, Any]) -> Installed:
    """Read a tariff. Raises TariffError."""
    return Installed(read_tariff(document), document)


def valid(tariff: Tariff, utc_s: float) -> bool:
    return tariff.valid_from_utc_s is None or tariff.valid_from_utc_s <= utc_s


def current(installed: Sequence[Installed], utc_s: float) -> Installed | None:
    """Return the one in force: of those whose time has come the latest; None for none."""
    found = [each for each in installed if valid(each.tariff, utc_s)]
    return max(found, key=_begins, default=None)


def _begins(installed: Installed) -> float:
    begins = installed.tariff.valid_from_utc_s
    return float("-inf") if begins is None else begins


def added(installed: Sequence[Installed], new: Installed, utc_s: float) -> list[Installed]:
    """Put a tariff in its place. What holds at once replaces what held so far; what comes later waits."""
    if valid(new.tariff, utc_s):
        return [*(each for each in installed if not valid(each.tariff, utc_s)), new]
    same = new.tariff.valid_from_utc_s
    return [*(each for each in installed if each.tariff.valid_from_utc_s != same), new]


def pruned(installed: Sequence[Installed], utc_s: float) -> list[Installed]:
    """Drop what a later one has replaced."""
    holds = current(installed, utc_s)
    return [each for each in installed if each is holds or not valid(each.tariff, utc_s)]


def next_change(all_of_them: Collection[Installed], utc_s: float) -> float | None:
    """Return when the next one comes into force, in seconds since 1970."""
    times = (each.tariff.valid_from_utc_s for each in all_of_them)
    return min((at for at in times if at is not None and at > utc_s), default=None)
