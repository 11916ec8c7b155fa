"""Uptime of one EVSE by the NEVI formula (23 CFR 680.116(b)): pure, bounded, kept as one document.

    uptime = (525 600 − (outage − excluded)) / 525 600 × 100      minutes, over twelve months

An EVSE is up while its hardware and software are online and it is available or in use. The loss of the operator's
network is an outage by that wording ("online") only where the charger cannot charge for it, so it does not count here.
Excluded are causes outside of the operator's control while the EVSE would otherwise work; a fault beside such a
cause therefore counts in full. Time in which the agent did not run counts as an outage: nobody can say better.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

YEAR_MIN = 525_600.0
"""Also in leap years: the rule names the number."""
MOST_MONTHS = 13
"""Twelve whole ones and the present."""
MOST_OUTAGES = 100
"""Single outages kept, the latest ones."""

EARLIEST_PLAUSIBLE_UTC_S = 1_735_689_600.0


class Cause(Enum):
    """Why an EVSE is not up."""

    FAULT = "fault"
    NO_CONTROL = "no_control"
    """evse-control does not run, or its device is silent."""
    NOT_RUNNING = "not_running"
    """The agent did not run: no power, a restart, a defect."""
    SERVICE = "service"
    """Taken out of service on purpose: scheduled maintenance."""
    UTILITY = "utility"
    """The supply failed."""
    VEHICLE = "vehicle"
    """The vehicle or its cable is at fault."""

    @property
    def excluded(self) -> bool:
        return self in (Cause.SERVICE, Cause.UTILITY, Cause.VEHICLE)


_OF_FAULT = {
    "mains": Cause.UTILITY,
    "supply_voltage": Cause.UTILITY,
    "diode": Cause.VEHICLE,
    "ventilation": Cause.VEHICLE,
    "over_current": Cause.VEHICLE,
    "cable": Cause.VEHICLE,
}
"""The rest are the charge point's own. A pilot or residual current may be either's: it counts."""

NO_OUTAGE = frozenset({"meter", "reader", "control_overrun"})
"""Faults that let energy flow (docs/operating.md)."""


def cause_of(connected: bool, available: bool, faults: Collection[str]) -> Cause | None:
    """Return why an EVSE is down now, None while it is up. The cause that counts comes before an excluded one."""
    if not connected:
        return Cause.NO_CONTROL
    causes = {_OF_FAULT.get(code, Cause.FAULT) for code in faults if code not in NO_OUTAGE}
    if not available:
        causes.add(Cause.SERVICE)
    return min(causes, key=lambda cause: (cause.excluded, cause.value), default=None)


@dataclass(slots=True)
class Month:
    """Minutes of one calendar month (UTC)."""

    watched_min: float = 0.0
    outage_min: dict[str, float] = field(default_factory=dict)
    """By cause."""

    @property
    def outage(self) -> float:
        return sum(self.outage_min.values())

    @property
    def excluded(self) -> float:
        return sum(minutes for cause, minutes in self.outage_min.items() if Cause(cause).excluded)

    @property
    def uptime_pct(self) -> float:
        """Of the minutes that were watched."""
        if self.watched_min <= 0:
            return 100.0
        return (self.watched_min - (self.outage - self.excluded)) / self.watched_min * 100.0


class Ledger:
    """Call ``now`` at least every few minutes, and whenever something changed."""

    def __init__(self, kept: Mapping[str, Any] | None = None) -> None:
        self.months: dict[str, Month] = {}
        self.outages: list[tuple[float, float, str]] = []
        """Beginning (UTC seconds), minutes, cause; the latest ones."""
        self._told_utc_s: float | None = None
        self._at: tuple[float, Cause | None] | None = None
        """Monotonic moment of the last call in this run, and what held then."""
        self._open = False
        """The last entry of ``outages`` goes on."""
        if kept is not None:
            self._read(kept)

    def _read(self, kept: Mapping[str, Any]) -> None:
        try:
            months = {
                str(name): Month(
                    float(month["watched"]), {Cause(c).value: float(m) for c, m in month["outage"].items()}
                )
                for name, month in kept["months"].items()
            }
            outages = [(float(at), float(minutes), Cause(cause).value) for at, minutes, cause in kept["outages"]]
            told = float(kept["told"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return
        self.months, self.outages, self._told_utc_s = months, outages[-MOST_OUTAGES:], told
        self._trim()

    def document(self) -> dict[str, Any]:
        """Return what is to be kept."""
        return {
            "months": {
                name: {
                    "watched": round(month.watched_min, 3),
                    "outage": {c: round(m, 3) for c, m in month.outage_min.items()},
                }
                for name, month in self.months.items()
            },
            "outages": [[round(at, 1), round(minutes, 3), cause] for at, minutes, cause in self.outages],
            "told": self._told_utc_s,
        }

    def now(self, monotonic_s: float, utc_s: float, cause: Cause | None) -> bool:
        """``cause`` holds from now on; what held before is accounted up to now. Return whether it is another one.

        Nothing is accounted while the clock was never set.
        """
        if utc_s < EARLIEST_PLAUSIBLE_UTC_S:
            return False
        if self._at is None:
            if self._told_utc_s is not None:
                self._account(self._told_utc_s, utc_s, Cause.NOT_RUNNING)
        else:
            # By the monotonic clock: a correction of the wall clock makes no outage.
            self._account(utc_s - max(0.0, monotonic_s - self._at[0]), utc_s, self._at[1])
        changed = self._at is None or self._at[1] is not cause
        if changed:
            self._open = False
        self._at = monotonic_s, cause
        self._told_utc_s = utc_s
        return changed

    def _account(self, since_utc_s: float, until_utc_s: float, cause: Cause | None) -> None:
        # Of an absence longer than all months that are kept, only those months matter.
        since_utc_s = max(since_utc_s, until_utc_s - YEAR_MIN * 60)
        if until_utc_s <= since_utc_s:
            return
        if cause is not None:
            self._list(since_utc_s, (until_utc_s - since_utc_s) / 60.0, cause.value)
        while since_utc_s < until_utc_s:
            name, end_utc_s = _month(since_utc_s)
            part_min = (min(end_utc_s, until_utc_s) - since_utc_s) / 60.0
            month = self.months.setdefault(name, Month())
            month.watched_min += part_min
            if cause is not None:
                month.outage_min[cause.value] = month.outage_min.get(cause.value, 0.0) + part_min
            since_utc_s = end_utc_s
        self._trim()

    def _list(self, at: float, minutes: float, cause: str) -> None:
        if self._open and self.outages and self.outages[-1][2] == cause:
            begun, before, _ = self.outages[-1]
            self.outages[-1] = (begun, before + minutes, cause)
        else:
            self.outages = [*self.outages, (at, minutes, cause)][-MOST_OUTAGES:]
        self._open = True

    def _trim(self) -> None:
        for name in sorted(self.months)[:-MOST_MONTHS]:
            del self.months[name]

    def year_pct(self) -> float:
        """Return the uptime over the last twelve months and the present one, of the formula above."""
        counted = sum(month.outage - month.excluded for month in self.months.values())
        return (YEAR_MIN - min(counted, YEAR_MIN)) / YEAR_MIN * 100.0


def _month(utc_s: float) -> tuple[str, float]:
    """Return the month of a moment, and when it ends."""
    at = datetime.fromtimestamp(utc_s, UTC)
    year, month = (at.year + 1, 1) if at.month == 12 else (at.year, at.month + 1)
    return f"{at.year}-{at.month:02}", datetime(year, month, 1, tzinfo=UTC).timestamp()
