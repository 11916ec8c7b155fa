"""The status document: what the agent tells of itself, for CLI, console and display alike.

Keys carry their units. Moments are RFC 3339 in UTC, or None. ``document`` joins the parts; each part comes from the
room that knows it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, NotRequired, Protocol, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.clock import Moment
    from agent.config.schema import Config
    from agent.ocpp.ports import UplinkReport


class StationDocument(TypedDict):
    identity: str
    vendor: str
    model: str
    version: str
    """Version of the agent."""


class QueueDocument(TypedDict):
    """Records that wait for the operator's network."""

    pending: int
    oldest_at: str | None
    parked: int
    """Refused by the network for good; kept on the books."""


class UplinkDocument(TypedDict):
    state: str
    """A value of ``agent.ocpp.ports.UplinkState``."""
    url: str
    since: str | None
    last_error: str
    queue: QueueDocument


class ControlDocument(TypedDict):
    connected: bool
    instance: str
    """Changes with each start of the control process; empty while it is not connected."""


class ClockDocument(TypedDict):
    synced: bool
    utc: str
    local: NotRequired[str]
    """The time on the display, with its offset from UTC (TimeOffset)."""


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


class FaultDocument(TypedDict):
    code: str
    detail: str
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
    reasons: list[ReasonDocument]
    """What holds charging back, most important first. Empty while energy flows."""
    faults: list[FaultDocument]


class StatusDocument(TypedDict):
    station: StationDocument
    uplink: UplinkDocument
    control: ControlDocument
    clock: ClockDocument
    evses: list[EvseDocument]


class StatusSource(Protocol):
    """What the local API needs of the agent."""

    def status(self) -> StatusDocument: ...

    def set_uplink(self, online: bool) -> None:
        """Drop (False) or restore (True) the link to the operator's network on purpose."""


class QueueFigures(Protocol):
    """How much waits in the journal (``agent.journal``'s figures)."""

    @property
    def pending(self) -> int: ...

    @property
    def parked(self) -> int: ...

    @property
    def oldest_utc_s(self) -> float | None: ...


def document(
    config: Config,
    report: UplinkReport,
    figures: QueueFigures,
    control_instance: str,
    now: Moment,
    evses: Sequence[EvseDocument],
    local_offset_s: int = 0,
) -> StatusDocument:
    """Join what the rooms know. ``control_instance`` is empty while control is not connected.

    ``local_offset_s``: how far the clock on the display is ahead of UTC.
    """
    from agent import __version__

    return {
        "station": {
            "identity": config.identity,
            "vendor": config.station.vendor,
            "model": config.station.model,
            "version": __version__,
        },
        "uplink": {
            "state": report.state.value,
            "url": report.url or config.ocpp.url,
            "since": moment(report.since_utc_s),
            "last_error": report.last_error,
            "queue": {
                "pending": figures.pending,
                "oldest_at": moment(figures.oldest_utc_s),
                "parked": figures.parked,
            },
        },
        "control": {"connected": bool(control_instance), "instance": control_instance},
        "clock": {
            "synced": now.synced,
            "utc": moment(now.utc_s) or "",
            "local": local_moment(now.utc_s, local_offset_s),
        },
        "evses": list(evses),
    }


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
