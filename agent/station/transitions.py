"""Which status may follow which (OCPP 1.6 §4.9), and the way when one may not follow at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from agent.station.commands import ConnectorStatus

_AVAILABLE = ConnectorStatus.AVAILABLE
_PREPARING = ConnectorStatus.PREPARING
_CHARGING = ConnectorStatus.CHARGING
_SUSPENDED_EV = ConnectorStatus.SUSPENDED_EV
_SUSPENDED_EVSE = ConnectorStatus.SUSPENDED_EVSE
_FINISHING = ConnectorStatus.FINISHING
_RESERVED = ConnectorStatus.RESERVED
_UNAVAILABLE = ConnectorStatus.UNAVAILABLE
_FAULTED = ConnectorStatus.FAULTED

ALLOWED: Mapping[ConnectorStatus, tuple[ConnectorStatus, ...]] = {
    _AVAILABLE: (_PREPARING, _CHARGING, _SUSPENDED_EV, _SUSPENDED_EVSE, _RESERVED, _UNAVAILABLE, _FAULTED),
    _PREPARING: (_AVAILABLE, _CHARGING, _SUSPENDED_EV, _SUSPENDED_EVSE, _FINISHING, _FAULTED),
    _CHARGING: (_AVAILABLE, _SUSPENDED_EV, _SUSPENDED_EVSE, _FINISHING, _UNAVAILABLE, _FAULTED),
    _SUSPENDED_EV: (_AVAILABLE, _CHARGING, _SUSPENDED_EVSE, _FINISHING, _UNAVAILABLE, _FAULTED),
    _SUSPENDED_EVSE: (_AVAILABLE, _CHARGING, _SUSPENDED_EV, _FINISHING, _UNAVAILABLE, _FAULTED),
    _FINISHING: (_AVAILABLE, _PREPARING, _UNAVAILABLE, _FAULTED),
    _RESERVED: (_AVAILABLE, _PREPARING, _UNAVAILABLE, _FAULTED),
    _UNAVAILABLE: (_AVAILABLE, _PREPARING, _CHARGING, _SUSPENDED_EV, _SUSPENDED_EVSE, _FAULTED),
    _FAULTED: tuple(status for status in ConnectorStatus if status is not _FAULTED),
}
"""OCPP 1.6 §4.9, the table of status transitions. What holds after a fault is whatever is true by then."""


def between(old: ConnectorStatus, new: ConnectorStatus) -> tuple[ConnectorStatus, ...]:
    """Return what to pass through on the way from ``old`` to ``new``; nothing where the step is allowed."""
    if old is new:
        return ()
    ways: deque[tuple[ConnectorStatus, tuple[ConnectorStatus, ...]]] = deque([(old, ())])
    seen = {old}
    while ways:
        here, passed = ways.popleft()
        if new in ALLOWED[here]:
            return passed
        for status in ALLOWED[here]:
            # A fault that never was is no way.
            if status not in seen and status is not _FAULTED:
                seen.add(status)
                ways.append((status, (*passed, status)))
    raise AssertionError(f"no way from {old.value} to {new.value}")  # each is reached from Available
