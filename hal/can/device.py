"""What every device on a CAN bus does alike: opens the bus and opens it anew, reads, watches the bus's own state."""

from __future__ import annotations

from abc import ABC, abstractmethod

from hal.can.frames import BusState, Frame
from hal.can.link import POLL_S, CanLink, CanOptions, describe, open_link
from hal.drivers.serial_line import WRITE_RETRY_S
from hal.values import Health

RIVAL_S = 5.0
"""After a frame of another sender with our own ids nothing is commanded for so long."""
IDLE_S = 5.0


class CanDevice(ABC):
    """Implements Device but for ``unit``. A driver says what to do with frames and time."""

    def __init__(
        self,
        name: str,
        options: CanOptions,
        hears: frozenset[tuple[int, bool]],
        says: frozenset[tuple[int, bool]] = frozenset(),
    ) -> None:
        self.name = name
        self._channel = options.channel
        self._link: CanLink = open_link(options, hears | says)
        self._says = says
        self._connected = False
        self._closed = False
        self._rival: tuple[int, float] | None = None
        """Id and time of the last frame that somebody else sent under our id."""

    # What a driver adds

    @abstractmethod
    def _connect(self, now: float) -> None:
        """The bus is open, or has just failed: begin with a counterpart of which nothing is known, safely."""

    @abstractmethod
    def _make_safe(self) -> None:
        """Forget every command and say the safe ones, if the bus still takes them."""

    @abstractmethod
    def _take(self, frame: Frame, now: float) -> None: ...

    @abstractmethod
    def _tick(self, now: float) -> float:
        """Do what is due; return when to come again."""

    @abstractmethod
    def _trouble(self, now: float) -> str: ...

    @abstractmethod
    def _last_heard_at(self) -> float | None: ...

    # Device

    def start(self, now: float) -> None:
        self._link.check()
        self._open(now)

    def fileno(self) -> int | None:
        return self._link.fileno()

    def on_readable(self, now: float) -> None:
        before = self._link.state
        for frame in self._link.read(now):
            if frame.key in self._says:
                self._note_rival(frame, now)
            else:
                self._take(frame, now)
        if self._link.state is BusState.BUS_OFF and before is not BusState.BUS_OFF:
            self._connect(now)  # nothing passes any more: after the restart we begin anew, with the safe
        self._note_loss()

    def on_timer(self, now: float) -> float:
        self._note_loss()
        if self._closed:
            return now + IDLE_S
        if not self._link.is_open:
            self._open(now)
            if not self._link.is_open:
                return max(self._link.next_open_at, now + POLL_S)
        if self._link.polled:
            self.on_readable(now)
        self._link.on_timer(now)
        self._note_loss()
        self._forgive_rival(now)
        due = self._tick(now)
        if self._link.polled:
            due = min(due, now + POLL_S)
        elif self._link.has_pending:
            due = min(due, now + WRITE_RETRY_S)
        return due

    def close(self) -> None:
        if not self._closed and self._link.is_open:
            self._make_safe()
        self._closed = True
        self._connected = False
        self._link.close()

    def health(self, now: float) -> Health:
        detail = self._detail(now)
        return Health(not detail, detail, self._last_heard_at())

    @property
    def _contested(self) -> bool:
        """Somebody else speaks under our ids: two masters, or an echo."""
        return self._rival is not None

    def _detail(self, now: float) -> str:
        bus = describe(self._link, self._channel)
        if bus:
            return bus
        if self._rival is not None:
            return (
                f"{self._channel}: somebody else sends id {self._rival[0]:#x}, which is ours; "
                "stop the other master, or cure the echo"
            )
        trouble = self._trouble(now)
        return f"{self._channel}: {trouble}" if trouble else ""

    def _open(self, now: float) -> None:
        if self._link.open(now) and not self._connected:
            self._connected = True
            self._rival = None
            self._connect(now)

    def _note_loss(self) -> None:
        if self._connected and not self._link.is_open:
            self._connected = False
            self._make_safe()

    def _note_rival(self, frame: Frame, now: float) -> None:
        news = self._rival is None
        self._rival = (frame.id, now)
        if news:
            self._make_safe()

    def _forgive_rival(self, now: float) -> None:
        if self._rival is not None and now - self._rival[1] >= RIVAL_S:
            self._rival = None
