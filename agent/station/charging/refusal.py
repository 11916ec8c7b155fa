"""Why a charging profile is not taken."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Why(Enum):
    """Values are the reason codes of OCPP 2's appendix 5."""

    DUPLICATE = "DuplicateProfile"
    PROFILE = "InvalidProfile"
    ID = "InvalidProfileId"
    SCHEDULE = "InvalidSchedule"
    STACK_LEVEL = "InvalidStackLevel"
    KIND = "UnsupportedKind"
    PURPOSE = "UnsupportedPurpose"
    RATE_UNIT = "UnsupportedRateUnit"
    EVSE = "UnknownEvse"
    TRANSACTION = "TxNotFound"
    TOO_MUCH = "TooManyElements"
    NO_ROOM = "OutOfStorage"
    NOT_ENABLED = "NotEnabled"


@dataclass(frozen=True, slots=True)
class Refusal:
    why: Why
    text: str

    def __str__(self) -> str:
        return self.text
