"""What the station tells of itself as plain documents, for local API, console and display alike.

Keys carry their units. Moments are RFC 3339 in UTC, or None.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import NotRequired, TypedDict


class TransactionDocument(TypedDict):
    id: str
    token: str
    """Masked."""
    started_at: str | None
    energy_wh: float | None
    state: str


class ReasonDocument(TypedDict):
    """One thing that holds charging back."""

    code: str
    text: str
    remedy: str
    template: NotRequired[str]
    """The text with its values as ``{name}``, for translation; left out where it holds none."""
    values: NotRequired[dict[str, str]]
    """What is put in."""


class FaultDocument(TypedDict):
    code: str
    detail: str
    remedy: str


class FaultHistoryDocument(TypedDict):
    """One fault of an EVSE, or one device's trouble, over all times."""

    evse: int
    """0: a device's, or of the whole charge point."""
    code: str
    """A fault's code, or "device:" and the device's name."""
    active: bool
    count: int
    """How often it came."""
    first_at: str | None
    last_at: str | None
    """When it came last."""
    ended_at: str | None
    """When that was over; None while it lasts."""
    detail: str
    """The last words on it."""
    remedy: str


class PriceDocument(TypedDict):
    """For the driver. Amounts are text with as many decimals as the network wants shown."""

    text: str
    running_cost: str | None
    """As the network told it last, carried on from the meter."""
    idle: bool
    final_cost: str | None
    final_text: str
    qr_text: str
    """To be shown as a QR code."""
    currency: NotRequired[str]
    """ISO 4217, where the network has set one."""


class MessageDocument(TypedDict):
    """A message of the network, in the language that suits best."""

    id: int
    text: str
    format: str
    """ASCII or UTF8; URI: an address; QRCODE: to be shown as a QR code."""
    language: str
    """RFC 5646; empty: not told."""
    until: str | None
    """When it goes by itself."""


class DisplayDocument(TypedDict):
    """What the network wants the driver to be shown at one EVSE now."""

    evse: int
    priority: str | None
    """AlwaysFront: nothing else is shown; InFront: nothing but these, in turn; NormalCycle: in turn with what the
    display shows by itself. None: there are no messages."""
    messages: list[MessageDocument]


class EvseDocument(TypedDict):
    id: int
    state: str
    """Pilot state: A1, A2, B1, B2, C1, C2, D1, D2, E, F, or "?"."""
    status: str
    """A value of ``agent.station.commands.ConnectorStatus``."""
    available: bool
    plugged: bool | None
    contactor_closed: bool | None
    locked: bool | None
    offered_a: float
    limit_a: float
    limited_by: str
    power_w: float | None
    energy_wh: float | None
    """The meter's own register."""
    temperature_c: float | None
    transaction: TransactionDocument | None
    price: NotRequired[PriceDocument | None]
    display: NotRequired[DisplayDocument]
    """Only where the network has messages for the driver now."""
    reasons: list[ReasonDocument]
    """What holds charging back, most important first. Empty while energy flows."""
    faults: list[FaultDocument]


class GridDocument(TypedDict):
    """The building's supply, where a meter watches it (``installation.grid_meter``). Currents per phase."""

    fresh: bool
    """False: the meter is silent, and the fallback holds."""
    max_current_a: float
    current_a: list[float]
    """As measured, with all loads of the building; empty while the meter is silent."""
    limit_a: float
    """What all EVSEs together may draw now."""


class LiveDocument(TypedDict):
    """What is measured and commanded at one EVSE now. None: not known, or too old to count."""

    id: int
    at_s: float
    """Monotonic seconds of this boot, to plot by."""
    state: str
    """Pilot state: A1, A2, B1, B2, C1, C2, D1, D2, E, F, or "?"."""
    pilot_high_v: float | None
    pilot_low_v: float | None
    duty_pct: float
    """0: steady −12 V, 100: steady +12 V."""
    offered_a: float
    limit_a: float
    limited_by: str
    phases: int
    voltage_v: list[float]
    current_a: list[float]
    power_w: float | None
    energy_wh: float | None
    frequency_hz: float | None
    contactor_closed: bool | None
    locked: bool | None
    cable_a: int
    """Rating of the plugged cable; 0 when none, unknown, or a fixed one."""
    temperature_c: float | None
    plugged: bool | None
    status: str
    session_wh: float | None
    fail_safe: bool
    """The lease ran out; the fail-safe current is offered."""
    holds: list[str]
    """Why control offers nothing, in its own words."""


def moment(utc_s: float | None) -> str | None:
    """Return seconds since 1970 as RFC 3339 in UTC with milliseconds; None for None or a time beyond all years."""
    if utc_s is None:
        return None
    try:
        return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None


def local_moment(utc_s: float, offset_s: int) -> str:
    """Return seconds since 1970 as local time with its offset; empty for a time beyond all years."""
    try:
        return datetime.fromtimestamp(utc_s, timezone(timedelta(seconds=offset_s))).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return ""
