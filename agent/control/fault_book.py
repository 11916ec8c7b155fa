"""Which faults an EVSE has, since when, and when each may go. Applies the table in ``faults``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agent.control.faults import FAULTS, Condition, FaultLock, FaultPilot, FaultRule, Latch
from agent.control.timing import DIODE_X1_S, STATE_F_S
from agent.link.messages import FaultCode, FaultReport


@dataclass(slots=True)
class Entry:
    """One fault that is present: its condition holds, or it is latched, or its recovery time still runs."""

    code: FaultCode
    rule: FaultRule
    since: float
    condition: Condition | None
    """None once the detector no longer sees it."""
    detail: str
    deadline: float | None
    """When the contactor must be commanded open; None when this fault does not open."""
    pilot: FaultPilot
    blocks: bool
    plugged: bool
    """A vehicle was there when it was raised, or since."""
    gone_since: float | None = None
    unplugged: bool = False
    cleared: bool = False
    final: bool = False

    def released(self, now: float, retries_used: int) -> bool:
        """The latch rule no longer holds this fault; only its condition can."""
        if self.rule.latch is Latch.NONE or self.cleared:
            return True
        if self.rule.latch is not Latch.PERSON and self.unplugged:
            return True
        return self.retryable(retries_used) and now - self.since >= self.rule.retry_s

    def retryable(self, retries_used: int) -> bool:
        return not self.final and retries_used < self.rule.retries


class FaultBook:
    """The faults of one EVSE. ``rules`` may differ from the table (US residual current)."""

    __slots__ = ("_evse", "_reports", "_retries", "_rules", "entries")

    def __init__(self, evse: int, rules: Mapping[FaultCode, FaultRule] = FAULTS) -> None:
        self._evse = evse
        self._rules = rules
        self._reports: list[FaultReport] = []
        self._retries: dict[FaultCode, int] = {}
        self.entries: dict[FaultCode, Entry] = {}

    def update(self, conditions: Mapping[FaultCode, Condition], plugged: bool, unplugged: bool, now: float) -> None:
        """Take what the detectors see. ``plugged``: a vehicle is there, or was when one could last be seen;
        ``unplugged``: state A is seen for sure."""
        for code, condition in conditions.items():
            self._see(code, condition, plugged, now)
        for code, entry in list(self.entries.items()):
            entry.plugged = entry.plugged or plugged
            if unplugged and (entry.plugged or entry.rule.latch is Latch.STATE_A):
                entry.unplugged = True
            if code in conditions:
                continue
            entry.condition = None
            if entry.gone_since is None:
                entry.gone_since = now
            used = self._retries.get(code, 0)
            if now - entry.gone_since >= entry.rule.recover_s and entry.released(now, used):
                by_retry = entry.rule.latch is not Latch.NONE and not entry.cleared and not entry.unplugged
                if by_retry:
                    self._retries[code] = used + 1
                del self.entries[code]
                self._report(entry, active=False, now=now)
        if unplugged:
            self._retries.clear()

    def _see(self, code: FaultCode, condition: Condition, plugged: bool, now: float) -> None:
        rule = self._rules[code]
        open_after_s = rule.open_after_s if condition.open_after_s is None else condition.open_after_s
        deadline = None if open_after_s is None else now + open_after_s
        pilot = condition.pilot or rule.pilot
        blocks = rule.blocks if condition.blocks is None else condition.blocks
        entry = self.entries.get(code)
        if entry is None:
            entry = Entry(code, rule, now, condition, condition.detail, deadline, pilot, blocks, plugged)
            entry.final = condition.final
            self.entries[code] = entry
            self._report(entry, active=True, now=now)
            return
        if entry.condition is None:  # seen again: what released it before does not count any more
            entry.unplugged = entry.cleared = False
            entry.plugged = plugged
            entry.since = now
        entry.gone_since = None
        entry.condition = condition
        entry.blocks = entry.blocks or blocks
        entry.final = entry.final or condition.final
        if deadline is not None and (entry.deadline is None or deadline < entry.deadline):
            entry.deadline = deadline
        if pilot is FaultPilot.F and entry.pilot is not FaultPilot.F:
            entry.pilot = pilot
            entry.detail = condition.detail
            self._report(entry, active=True, now=now)

    def latched(self) -> list[tuple[FaultCode, str]]:
        """Return code and detail of each fault that only an unplug, a person or a timed retry may end."""
        return [(code, entry.detail) for code, entry in self.entries.items() if entry.rule.latch is not Latch.NONE]

    def restore(self, code: FaultCode, detail: str, now: float) -> None:
        """Take over a latched fault from before a restart: its condition is unknown, its latch holds."""
        rule = self._rules[code]
        entry = Entry(code, rule, now, None, detail, now, rule.pilot, rule.blocks, plugged=True, gone_since=now)
        self.entries[code] = entry
        self._report(entry, active=True, now=now)

    def clear(self, code: FaultCode) -> str:
        """A person asks to clear a fault; it goes as soon as its condition is gone. Returns why it does not go now, or
        an empty text."""
        entry = self.entries.get(code)
        if entry is None:
            return f"EVSE {self._evse} has no fault {code.value}"
        entry.cleared = True
        if entry.condition is not None:
            return f"it still stands ({entry.condition.detail}); it goes when that is over. {entry.rule.remedy}"
        return ""

    def wants_release(self, code: FaultCode, now: float) -> bool:
        """The fault is held only by its condition: the moment to reset a monitor that latches by itself."""
        entry = self.entries.get(code)
        return entry is not None and entry.released(now, self._retries.get(code, 0))

    def codes(self) -> tuple[FaultCode, ...]:
        return tuple(self.entries)

    def blocking(self) -> bool:
        return any(entry.blocks for entry in self.entries.values())

    def deadline(self) -> float | None:
        """Return when the contactor must be open at the latest, None when no fault asks for that."""
        times = [e.deadline for e in self.entries.values() if e.deadline is not None and e.blocks]
        return min(times) if times else None

    def pilot(self, now: float) -> FaultPilot:
        """Return KEEP, X1 or F: what the faults together show on the pilot now.

        A fault that ends by unplugging shows F for ``STATE_F_S`` and then x1, because a vehicle that leaves
        cannot be seen at −12 V: the diode of the vehicle blocks there.
        """
        shown = FaultPilot.KEEP
        for entry in self.entries.values():
            age_s = now - entry.since
            wanted = entry.pilot
            if wanted is FaultPilot.X1_THEN_F:
                wanted = FaultPilot.F if age_s >= DIODE_X1_S else FaultPilot.X1
                age_s -= DIODE_X1_S
            shown_long_enough = age_s >= STATE_F_S and not (entry.rule.f_while_seen and entry.condition)
            watches = entry.rule.latch in (Latch.UNPLUG, Latch.STATE_A)
            if wanted is FaultPilot.F and watches and shown_long_enough:
                wanted = FaultPilot.X1
            if wanted is FaultPilot.F:
                return FaultPilot.F
            if wanted is FaultPilot.X1:
                shown = FaultPilot.X1
        return shown

    def lock(self) -> FaultLock:
        """HOLD goes before RELEASE: behind a welded contactor the plug is live."""
        wishes = {entry.rule.lock for entry in self.entries.values()}
        for wish in (FaultLock.HOLD, FaultLock.RELEASE):
            if wish in wishes:
                return wish
        return FaultLock.KEEP

    def take_reports(self) -> tuple[FaultReport, ...]:
        """Return what changed since the last call."""
        reports = tuple(self._reports)
        self._reports.clear()
        return reports

    def all_reports(self) -> tuple[FaultReport, ...]:
        """Return one report per present fault, with the time it was raised."""
        return tuple(self._make(entry, active=True, at=entry.since) for entry in self.entries.values())

    def _make(self, entry: Entry, active: bool, at: float) -> FaultReport:
        latched = entry.rule.latch is not Latch.NONE and not entry.retryable(self._retries.get(entry.code, 0))
        return FaultReport(self._evse, entry.code, active, at, latched, entry.detail, entry.rule.remedy)

    def _report(self, entry: Entry, active: bool, now: float) -> None:
        self._reports.append(self._make(entry, active, now))


def us_rules(retries: int, retry_s: float) -> Mapping[FaultCode, FaultRule]:
    """Return the table with the North American retry rule for residual current (iec61851.md §8.2)."""
    rules = dict(FAULTS)
    rules[FaultCode.RESIDUAL_CURRENT] = replace(rules[FaultCode.RESIDUAL_CURRENT], retries=retries, retry_s=retry_s)
    return rules
