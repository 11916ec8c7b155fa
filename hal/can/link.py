"""A CAN bus as a driver uses it: never blocks, survives its loss, and says how the bus does.

Each device opens the bus for itself, with filters for its own frames: on SocketCAN any number of sockets share one
interface, and the kernel spares us the frames of others. A serial adapter (``slcan``) belongs to one device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hal.can.frames import BusState, Frame
from hal.can.slcan import BITRATES
from hal.options import option

INTERFACES = ("socketcan", "slcan", "udp_multicast", "virtual")
REOPEN_INTERVAL_S = 1.0
POLL_S = 0.01
"""How soon to look again at a bus that has no file descriptor (``virtual``)."""
BATCH = 24
"""Frames that are taken in one go: a flooded bus must not keep the loop from the other devices."""


def _check_bitrate(value: int) -> str:
    if value and value not in BITRATES:
        return f"{value} is none of {', '.join(str(rate) for rate in BITRATES)}"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanOptions:
    """The options by which every CAN driver names its bus."""

    channel: str = option(
        help="socketcan: the interface (can0); slcan: the adapter's serial node; udp_multicast: group"
    )
    interface: str = option(
        "socketcan",
        help="kind of bus: socketcan (hardware), slcan (serial adapter), udp_multicast or virtual (tests only)",
        choices=INTERFACES,
    )
    bitrate: int = option(
        0,
        help="slcan: the bus speed, which we set. socketcan: left out, or the speed that the system must have set",
        unit="bit/s",
        check=_check_bitrate,
    )

    def __post_init__(self) -> None:
        if self.interface == "slcan" and not self.bitrate:
            raise ValueError(f"{self.channel}: an slcan adapter must be told the bus speed; set 'bitrate'")


class CanLink(Protocol):
    """One opened bus, or one that will be. ``trouble`` is empty while it is open, else names node, reason, remedy."""

    state: BusState

    @property
    def trouble(self) -> str: ...

    @property
    def next_open_at(self) -> float: ...

    @property
    def is_open(self) -> bool: ...

    @property
    def polled(self) -> bool:
        """It has no file descriptor: read it on a timer."""

    def fileno(self) -> int | None: ...

    def check(self) -> None:
        """Raise DeviceError when the options can never work."""

    def open(self, now: float) -> bool:
        """Open it if it is closed and another try is due."""

    def read(self, now: float) -> list[Frame]:
        """Return what has arrived, at most a batch. Afterwards ``is_open`` may be False and ``state`` another."""

    def send(self, frame: Frame, *, urgent: bool = False) -> None:
        """Send at once what the bus takes; of what waits, only the latest frame of an id is kept."""

    def on_timer(self, now: float) -> None:
        """Send what waits, ask the adapter how the bus does."""

    @property
    def has_pending(self) -> bool: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Outbox:
    """Frames that the bus did not take yet: the latest of each id, the urgent first.

    A bus without a partner takes nothing for hours; what then leaves must be what holds then."""

    waiting: list[Frame] = field(default_factory=list)

    def put(self, frame: Frame, *, urgent: bool = False) -> None:
        self.waiting = [other for other in self.waiting if other.key != frame.key]
        self.waiting.insert(0 if urgent else len(self.waiting), frame)

    def flush(self, take: Callable[[Frame], bool]) -> None:
        while self.waiting and take(self.waiting[0]):
            del self.waiting[0]


def open_link(options: CanOptions, ids: frozenset[tuple[int, bool]]) -> CanLink:
    """Return the link for these options; only frames with these (id, extended) are wanted."""
    if options.interface == "slcan":
        from hal.can.slcan_link import SlcanLink

        return SlcanLink(options, ids)
    from hal.can.python_can_link import PythonCanLink

    return PythonCanLink(options, ids)


def describe(link: CanLink, channel: str) -> str:
    """Return the bus's trouble in words, or an empty text."""
    if not link.is_open:
        return link.trouble
    if link.state is BusState.BUS_OFF:
        return (
            f"{channel}: bus-off: the controller has left the bus after too many errors; check CAN-H/CAN-L, "
            "termination and bit rate; have the system restart it (restart-ms 100)"
        )
    if link.state is BusState.PASSIVE:
        return f"{channel}: error-passive: nobody acknowledges; check wiring, termination, bit rate and power"
    return ""
