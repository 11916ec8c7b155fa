"""A new configuration is on trial until what worked before works again; else the old one comes back. Pure.

What worked before is the uplink, when it was accepted, and control, when it was connected. Where the change concerns
control as well, it must have started anew by then. The document of a trial is kept before the file is replaced, so a
restart or a power cut at any point goes on from there; which of the two files lies on the disk is told by its digest.

    PROVING → done        the new file is the rule
            → RESTORING → done        the old file is back, and control has read it
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import Enum
from typing import Any

MAX_STARTS = 5
"""Starts of the agent during one trial; more of them mean that it does not stay up with this file."""

AGAIN_S = 5.0
"""Between two looks."""


class Phase(Enum):
    PROVING = "proving"
    RESTORING = "restoring"


@dataclass(frozen=True, slots=True)
class Trial:
    number: int
    """Entry of the history that holds the file as it was before."""
    before: str
    """Digest of that file."""
    after: str
    """Digest of the file on trial."""
    within_s: float
    """From the start of the agent."""
    needs_uplink: bool
    needs_control: bool
    control: str = ""
    """Instance of control that has read the file before; empty where the change does not concern control."""
    in_session: bool = False
    """It may be taken back while a vehicle charges."""
    phase: Phase = Phase.PROVING
    starts: int = 0
    why: str = ""
    """Why it is taken back."""

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "phase": self.phase.value}

    @classmethod
    def of(cls, document: Any) -> Trial | None:
        """Return the trial of a kept document; None where it is none."""
        names = {each.name for each in fields(cls)}
        try:
            return cls(**{**{k: v for k, v in document.items() if k in names}, "phase": Phase(document["phase"])})
        except (AttributeError, KeyError, TypeError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Facts:
    uplink: bool
    """The network has accepted us."""
    control: str
    """Instance of control; empty while it is not connected."""
    in_session: bool
    """A transaction is open at some EVSE."""
    idle: bool
    """Nothing is plugged in anywhere."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Make this durable; None: there is no trial any more."""

    document: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Restore:
    """Put the file of this entry back, then start the agent anew."""

    number: int


@dataclass(frozen=True, slots=True)
class RestartControl:
    """Have control start anew; it refuses while it is in use."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Note what became of the entry: kept, or taken back and why."""

    number: int
    kept: bool
    why: str


Action = Keep | Restore | RestartControl | Ended


class Proving:
    """``now`` is monotonic seconds throughout."""

    def __init__(self) -> None:
        self.trial: Trial | None = None
        self._deadline = 0.0
        self._look_at = 0.0
        self._own_start = False

    def left_s(self, now: float) -> float:
        """How long what is on trial may take yet."""
        if self.trial is None:
            return 0.0
        return max(0.0, self._deadline - now) if self._own_start else self.trial.within_s

    def begin(self, trial: Trial) -> list[Action]:
        """The file is about to be replaced, and the agent to start anew. Nothing is judged in this process."""
        self.trial, self._own_start = trial, False
        return [Keep(trial.document())]

    def recovered(self, document: Any, digest: str, now: float) -> list[Action]:
        """The agent has started; ``digest`` is that of the file it has read."""
        trial = Trial.of(document)
        if trial is None:
            return [] if document is None else [Keep(None)]
        if digest not in (trial.before, trial.after):
            return [Keep(None), Ended(trial.number, True, "the file was changed by hand meanwhile")]
        if trial.phase is Phase.PROVING and digest == trial.before:
            return [Keep(None), Ended(trial.number, False, "power went before the file was replaced")]
        self.trial = replace(trial, starts=trial.starts + 1)
        self._own_start = True
        self._deadline = now + trial.within_s
        self._look_at = now
        actions: list[Action] = [Keep(self.trial.document())]
        if trial.phase is Phase.RESTORING and digest == trial.after:
            actions.append(Restore(trial.number))  # power went before the old file was back
        return actions

    def wake(self) -> float | None:
        """When ``step`` has something to do."""
        return self._look_at if self.trial is not None and self._own_start else None

    def step(self, facts: Facts, now: float) -> list[Action]:
        """Look whether what worked before works again, or it is time to go back."""
        trial = self.trial
        if trial is None or not self._own_start or now < self._look_at:
            return []
        self._look_at = now + AGAIN_S
        stale = bool(trial.control) and facts.control in ("", trial.control)
        if trial.phase is Phase.RESTORING:
            if not stale:
                return self._end(False, trial.why)
            return [RestartControl()] if facts.control and facts.idle else []
        missing = self._missing(trial, facts, stale)
        if not missing:
            return self._end(True, "")
        if now >= self._deadline or trial.starts > MAX_STARTS:
            if facts.in_session and not trial.in_session:
                return []  # the vehicle first
            again = f"the agent started {trial.starts} times" if trial.starts > MAX_STARTS else ""
            why = again or f"{missing} within {trial.within_s:g} s"
            # Control may have read the file on trial; it is to read the old one in any case.
            control = facts.control if trial.control else ""
            self.trial = replace(trial, phase=Phase.RESTORING, why=why, control=control)
            self._own_start = False
            return [Keep(self.trial.document()), Restore(trial.number)]
        return [RestartControl()] if stale and facts.control and facts.idle else []

    @staticmethod
    def _missing(trial: Trial, facts: Facts, stale: bool) -> str:
        if trial.needs_control and not facts.control:
            return "control did not come back"
        if stale:
            return "control did not start with the new file"
        if trial.needs_uplink and not facts.uplink:
            return "the network did not accept the charge point"
        return ""

    def _end(self, kept: bool, why: str) -> list[Action]:
        assert self.trial is not None
        number, self.trial = self.trial.number, None
        return [Keep(None), Ended(number, kept, why)]
