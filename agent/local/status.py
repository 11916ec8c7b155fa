"""The status document: what the agent tells of itself, for CLI, console and display alike.

Keys carry their units. Moments are RFC 3339 in UTC, or None. ``document`` joins the parts; each part comes from the
room that knows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, Protocol, TypedDict

from agent.station.documents import EvseDocument, GridDocument, ReasonDocument, local_moment, moment

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


class StatusDocument(TypedDict):
    station: StationDocument
    uplink: UplinkDocument
    control: ControlDocument
    clock: ClockDocument
    grid: NotRequired[GridDocument]
    """Only where the building's supply is measured."""
    trouble: NotRequired[list[ReasonDocument]]
    """Only while the agent cannot do its work (no journal, a configuration that is refused): why, and what to do."""
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
    grid: GridDocument | None = None,
) -> StatusDocument:
    """Join what the rooms know. ``control_instance`` is empty while control is not connected.

    ``local_offset_s``: how far the clock on the display is ahead of UTC.
    """
    from agent import __version__

    whole: StatusDocument = {
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
    if grid is not None:
        whole["grid"] = grid
    return whole
