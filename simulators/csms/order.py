"""The order in which a charge point may speak: one CALL at a time, boot first, a fresh id for each message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .anomalies import AnomalyKind, Finding
from .tokens import parse_time

MESSAGE_ID_MAX_CHARS = 36
"""OCPP-J 1.6 section 4.1.4."""

BOOT_INTERVAL_TOLERANCE_S = 0.5

DEFAULT_CALL_TIMEOUT_S = 1.0

TIME_FIELDS = frozenset({"timestamp", "generatedAt", "basetime"})


def timestamps(value: Any) -> Iterator[str]:
    """Every time in a payload, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in TIME_FIELDS and isinstance(inner, str):
                yield inner
            else:
                yield from timestamps(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from timestamps(inner)


def check_timestamps(payload: Any) -> list[Finding]:
    """Times that cannot be read, or that leave the reader to guess their zone."""
    findings = []
    for text in timestamps(payload):
        try:
            parse_time(text)
        except ValueError as error:
            without_zone = "no time zone" in str(error)
            kind = AnomalyKind.TIMESTAMP_WITHOUT_TIMEZONE if without_zone else AnomalyKind.TIMESTAMP_INVALID
            findings.append(Finding(kind, str(error)))
    return findings


def _lasting(payload: Any) -> Any:
    """What a retry must say again; whether it was told late may have changed (2.0.1, E11.FR.07)."""
    if isinstance(payload, dict) and "offline" in payload:
        return {key: value for key, value in payload.items() if key != "offline"}
    return payload


@dataclass(slots=True)
class StationOrder:
    """What one charge point has said so far, over all its connections."""

    call_timeout_s: float = DEFAULT_CALL_TIMEOUT_S
    """A CALL this old may be taken as timed out by the charge point, so a next one is no fault."""
    boot_status: str | None = None
    boot_not_before_s: float = 0.0
    triggered: set[str] = field(default_factory=set)
    boot_by_trigger: bool = False
    _subprotocol: str = ""
    _ids: dict[str, int] = field(default_factory=dict)
    _outstanding: dict[str, float] = field(default_factory=dict)

    def connected(self, subprotocol: str = "") -> None:
        """A new connection: what was asked on the old one will never be answered, and a reboot may boot at once.

        A message id must be fresh on its connection only (2.0.1 part 4 section 4.1.4); a charge point that keeps it
        for retries says the same again, but not where it speaks another version now.
        """
        self._outstanding.clear()
        self.boot_not_before_s = 0.0
        if subprotocol != self._subprotocol:
            self._ids.clear()
            self._subprotocol = subprotocol

    def trigger(self, action: str) -> None:
        """The CSMS asked for this message, so it may come while the boot is pending."""
        self.triggered.add(action)
        if action == "BootNotification":
            self.boot_by_trigger = True

    def call(self, message_id: str, action: str, payload: Any, now: float, *, answered: bool = True) -> list[Finding]:
        """Check one CALL that arrived at monotonic time ``now``; ``answered`` False: a SEND, which may overtake."""
        findings = check_timestamps(payload)
        if not 1 <= len(message_id) <= MESSAGE_ID_MAX_CHARS:
            findings.append(Finding(AnomalyKind.BAD_MESSAGE_ID, f"{len(message_id)} characters; 1 to 36 are allowed"))
        content = hash((action, json.dumps(_lasting(payload), sort_keys=True)))
        if self._ids.setdefault(message_id, content) != content:
            findings.append(
                Finding(AnomalyKind.MESSAGE_ID_REUSED, f"id {message_id!r} was used for a different message")
            )
        waiting = [i for i, since in self._outstanding.items() if now - since < self.call_timeout_s]
        if waiting and answered:
            # OCPP-J 1.6 section 4.1.1.
            findings.append(
                Finding(AnomalyKind.TWO_CALLS_OUTSTANDING, f"{action} came while {waiting[0]!r} was unanswered")
            )
        if answered:
            self._outstanding[message_id] = now
        findings.extend(self._check_boot(action, now))
        return findings

    def answered(self, message_id: str) -> None:
        """The CALL has been answered."""
        self._outstanding.pop(message_id, None)

    def booted(self, status: str, interval_s: float, now: float) -> None:
        """The boot was answered with this status and interval."""
        self.boot_status = status
        if status == "Accepted":
            self.triggered.clear()
            self.boot_not_before_s = 0.0
        else:
            self.boot_not_before_s = now + interval_s

    def _check_boot(self, action: str, now: float) -> list[Finding]:
        if action == "BootNotification":
            early = self.boot_not_before_s - now
            if early > BOOT_INTERVAL_TOLERANCE_S and not self.boot_by_trigger:
                # OCPP 1.6 section 4.2: wait the interval of the last answer.
                return [Finding(AnomalyKind.BOOT_TOO_EARLY, f"{early:.1f} s before the interval had passed")]
            self.boot_by_trigger = False
            return []
        allowed = self.boot_status == "Accepted" or (self.boot_status == "Pending" and action in self.triggered)
        if allowed:
            return []
        return [
            Finding(AnomalyKind.BEFORE_ACCEPTED_BOOT, f"{action} while the boot is {self.boot_status or 'not sent'}")
        ]
