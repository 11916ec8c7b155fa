"""What a charge point did that the protocol or plain sense forbids. A clean run has none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class AnomalyKind(StrEnum):
    """Every kind of anomaly this CSMS can see."""

    NO_SUBPROTOCOL = "no-subprotocol"
    MALFORMED_FRAME = "malformed-frame"
    UNKNOWN_ACTION = "unknown-action"
    SCHEMA_VIOLATION = "schema-violation"
    BAD_MESSAGE_ID = "bad-message-id"
    MESSAGE_ID_REUSED = "message-id-reused"
    TWO_CALLS_OUTSTANDING = "two-calls-outstanding"
    BEFORE_ACCEPTED_BOOT = "before-accepted-boot"
    BOOT_TOO_EARLY = "boot-too-early"
    ANSWER_TO_NOTHING = "answer-to-nothing"
    TIMESTAMP_WITHOUT_TIMEZONE = "timestamp-without-timezone"
    TIMESTAMP_INVALID = "timestamp-invalid"
    START_WHILE_OPEN = "start-while-open"
    UNKNOWN_TRANSACTION = "unknown-transaction"
    STOP_DIFFERS = "stop-differs"
    METER_BACKWARDS = "meter-backwards"
    TIME_BACKWARDS = "time-backwards"
    SIGNED_VALUE_INVALID = "signed-value-invalid"
    METER_VALUES_AFTER_STOP = "meter-values-after-stop"
    SEQUENCE_GAP = "sequence-gap"
    SEQUENCE_ORDER = "sequence-order"
    EVENT_DIFFERS = "event-differs"
    EVENT_AFTER_END = "event-after-end"
    ANSWER_REFUSED = "answer-refused"
    REPORT_BROKEN = "report-broken"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One finding, with the frame that showed it (0 when no frame did)."""

    kind: AnomalyKind
    charge_point: str
    connection: int
    frame: int
    action: str
    detail: str

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "kind": self.kind.value,
            "charge_point": self.charge_point,
            "connection": self.connection,
            "frame": self.frame,
            "action": self.action,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """An anomaly before it is known where it was found."""

    kind: AnomalyKind
    detail: str
