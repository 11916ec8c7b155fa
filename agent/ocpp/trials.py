"""A change of the way to the network that is not proved yet: what it is, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from agent.ocpp.network_profile import NetworkProfile, from_document

DEFAULT_PROOF_S = 300


class TrialKind(Enum):
    MOVE = "move"
    KEY = "key"
    PROFILE = "profile"
    PRIORITY = "priority"
    """Another order of the slots, or other contents of one that is in it (OCPP 2.x B09, B10)."""

    @property
    def needs_boot(self) -> bool:
        """Another network may be at the other end: the proof is that it accepts a BootNotification."""
        return self in (TrialKind.MOVE, TrialKind.PRIORITY)


@dataclass(frozen=True, slots=True)
class Trial:
    """A change that is not proved yet."""

    kind: TrialKind
    candidates: tuple[NetworkProfile, ...]
    """Forms of the new way, likeliest first; of a new order its ways, first to last."""
    within_s: float = DEFAULT_PROOF_S
    """A move is given up after this time, a way of a new order left for the next."""
    wait_s: float = 0.0
    """A move waits at most so long for sessions to end and their records to be told."""
    starts: int = 0
    """Restarts of the agent since it began."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a trial ended."""

    kind: TrialKind
    kept: bool
    """The new way is the rule now."""
    profile: NetworkProfile
    """The new way."""
    reason: str

    def told(self) -> dict[str, Any]:
        """Without secrets, for whoever asked for the change."""
        return {"kind": self.kind.value, "url": self.profile.address, "kept": self.kept, "reason": self.reason}


def told_of(trial: Trial, *, waiting: bool) -> dict[str, Any]:
    """The same of one that is not decided yet."""
    return {"kind": trial.kind.value, "url": trial.candidates[0].address, "waiting": waiting}


def with_spare(profile: NetworkProfile) -> tuple[NetworkProfile, ...]:
    """Both readings of its key, where it has two."""
    if not profile.spare_password or profile.security_profile not in (1, 2):
        return (profile,)
    other = replace(profile, password=profile.spare_password, spare_password=profile.password)
    return (profile, other)


def document_of(trial: Trial) -> dict[str, Any]:
    """What ``trial_of`` reads back."""
    return {
        "kind": trial.kind.value,
        "candidates": [profile.document() for profile in trial.candidates],
        "within_s": trial.within_s,
        "wait_s": trial.wait_s,
        "starts": trial.starts,
    }


def trial_of(document: dict[str, Any]) -> Trial:
    """Raises KeyError, ValueError or TypeError for what is none."""
    candidates = tuple(from_document(entry) for entry in document["candidates"])
    if not candidates:
        raise ValueError("a trial of nothing")
    return Trial(
        TrialKind(document["kind"]),
        candidates,
        float(document["within_s"]),
        float(document["wait_s"]),
        int(document["starts"]),
    )
