"""The two versions of OCPP 2 that this package speaks. 2.1 adds to 2.0.1 and takes almost nothing away."""

from __future__ import annotations

from enum import Enum

from agent.ocpp.frames import ALL_TYPES, OLD_TYPES
from agent.ocpp.rpc import ErrorCodes


class Version(Enum):
    """Values are the sub-protocols."""

    V201 = "ocpp2.0.1"
    V21 = "ocpp2.1"

    @property
    def schemas(self) -> str:
        """Folder of its schemas inside the ``ocpp`` package."""
        return "v201" if self is Version.V201 else "v21"

    @property
    def codes(self) -> ErrorCodes:
        """Part 4 §4.3 (both versions)."""
        return ErrorCodes(
            "FormatViolation",
            "OccurrenceConstraintViolation",
            unreadable="RpcFrameworkError",
            unknown_type="MessageTypeNotSupported",
            while_rejected="SecurityError",
            result_error=self is Version.V21,
            message_types=ALL_TYPES if self is Version.V21 else OLD_TYPES,
        )
