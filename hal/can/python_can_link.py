"""A bus of python-can: SocketCAN on hardware, ``udp_multicast`` and ``virtual`` in tests.

No notifier and no periodic task of python-can is used, as those run threads. Its ``recv`` and ``send`` with no
time-out do not wait. It costs 0.1 s and 18 MB to import, which happens when the bus is first opened.
"""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path
from typing import Any

from hal.can import netlink
from hal.can.frames import EXTENDED_MASK, STANDARD_MASK, BusState, Frame, state_of_error
from hal.can.link import BATCH, REOPEN_INTERVAL_S, CanOptions, Outbox
from hal.ports import DeviceError

NET = Path("/sys/class/net")
ARPHRD_CAN = "280"
SILENT_AFTER_BUS_OFF_S = 2.0
"""A controller that has not come back by then is opened anew, so that the restart is noticed however it is told."""

_REMEDIES = {
    errno.ENODEV: "is not there; check the adapter and the option 'channel'",
    errno.ENXIO: "is not there; check the adapter and the option 'channel'",
    errno.ENETDOWN: "is down; have the system bring it up with its bit rate (ip link set … up type can bitrate …)",
    errno.EAFNOSUPPORT: "this kernel has no CAN; load the modules can and can_raw",
    errno.EPERM: "may not be opened; give this user access to CAN sockets",
    errno.EACCES: "may not be opened; give this user access to CAN sockets",
}
_BUSY = {errno.ENOBUFS, errno.EAGAIN}


class PythonCanLink:
    """Implements CanLink."""

    def __init__(self, options: CanOptions, ids: frozenset[tuple[int, bool]]) -> None:
        self._options = options
        self._ids = ids
        self._bus: Any = None
        self._can: Any = None
        self._outbox = Outbox()
        self.trouble = f"{options.channel}: not opened yet"
        self.next_open_at = 0.0
        self.state = BusState.ACTIVE
        self._off_since: float | None = None
        self._echoes: list[Frame] = []
        """Own frames that python-can's udp_multicast will hand back to us."""

    @property
    def is_open(self) -> bool:
        return self._bus is not None

    @property
    def polled(self) -> bool:
        return self.is_open and self.fileno() is None

    @property
    def has_pending(self) -> bool:
        return bool(self._outbox.waiting)

    def fileno(self) -> int | None:
        if self._bus is None or self._options.interface == "virtual":
            return None
        number = self._bus.fileno()
        return number if isinstance(number, int) and number >= 0 else None

    def check(self) -> None:
        if self._options.interface != "socketcan":
            return
        with contextlib.suppress(OSError):
            kind = (NET / self._options.channel / "type").read_text(encoding="ascii").strip()
            if kind != ARPHRD_CAN:
                raise DeviceError(f"{self._options.channel}: is no CAN interface; set 'channel' to one (can0)")

    def open(self, now: float) -> bool:
        if self._bus is not None:
            return True
        if now < self.next_open_at:
            return False
        self.next_open_at = now + REOPEN_INTERVAL_S
        self._outbox = Outbox()
        try:
            import can
        except ImportError as error:
            self.trouble = f"{self._options.channel}: python-can is not installed ({error}); install it"
            return False
        self._can = can
        wrong = self._wrong_bitrate()
        if wrong:
            self.trouble = wrong
            return False
        filters = [
            {"can_id": number, "can_mask": EXTENDED_MASK if extended else STANDARD_MASK, "extended": extended}
            for number, extended in sorted(self._ids)
        ]
        try:
            self._bus = can.Bus(
                interface=self._options.interface,
                # Only the kernel's filters let error frames through; those of python-can itself drop them.
                can_filters=filters if self._options.interface == "socketcan" else None,
                receive_own_messages=False,
                ignore_config=True,
                **self._place(),
            )
        except (can.CanError, OSError, ValueError, NotImplementedError) as error:
            self.trouble = f"{self._options.channel}: {_reason(error)}"
            return False
        self.trouble = ""
        self.state = BusState.ACTIVE
        self._off_since = None
        return True

    def read(self, now: float) -> list[Frame]:
        frames: list[Frame] = []
        for _ in range(BATCH):
            if self._bus is None:
                break
            try:
                message = self._bus.recv(timeout=0)
            except (self._can.CanError, OSError, ValueError) as error:
                self._lose(error)
                break
            if message is None:
                break
            if message.is_error_frame:
                self.state = state_of_error(message.arbitration_id, bytes(message.data), self.state)
                self._off_since = now if self.state is BusState.BUS_OFF else None
                continue
            frame = Frame(message.arbitration_id, bytes(message.data), bool(message.is_extended_id))
            if frame in self._echoes:
                self._echoes.remove(frame)
                continue
            if frame.key in self._ids and not message.is_remote_frame and not message.is_fd:
                frames.append(frame)
        if frames and self.state is BusState.BUS_OFF:
            self.state = BusState.ACTIVE  # who hears is on the bus; the message of the restart was missed
        return frames

    def send(self, frame: Frame, *, urgent: bool = False) -> None:
        if self._bus is not None:
            self._outbox.put(frame, urgent=urgent)
            self._outbox.flush(self._take)

    def on_timer(self, now: float) -> None:
        if self._off_since is not None and now - self._off_since >= SILENT_AFTER_BUS_OFF_S:
            self.close()
            self.trouble = f"{self._options.channel}: bus-off; opened anew"
            return
        if self._bus is not None:
            self._outbox.flush(self._take)

    def close(self) -> None:
        bus, self._bus = self._bus, None
        self._off_since = None
        self._outbox = Outbox()
        self.trouble = f"{self._options.channel}: closed"
        if bus is not None:
            with contextlib.suppress(self._can.CanError, OSError):
                bus.shutdown()

    def _place(self) -> dict[str, Any]:
        """The channel as python-can wants it; a multicast group may name its port (239.1.2.3:5000)."""
        channel = self._options.channel
        group, colon, port = channel.partition(":")
        if self._options.interface == "udp_multicast" and colon and port.isdecimal():
            return {"channel": group, "port": int(port)}
        return {"channel": channel}

    def _take(self, frame: Frame) -> bool:
        """Send one frame. False: the bus takes none now."""
        if self._bus is None or self.state is BusState.BUS_OFF:
            return False  # what was queued now would leave after the restart, when it may hold no more
        message = self._can.Message(
            arbitration_id=frame.id,
            data=frame.data,
            is_extended_id=frame.extended,
            is_remote_frame=frame.remote,
            check=False,
        )
        try:
            self._bus.send(message, timeout=0)
        except (self._can.CanError, OSError, ValueError) as error:
            number = _number(error)
            if number not in _BUSY and "buffer full" not in str(error):
                self._lose(error)
            return False
        if self._options.interface == "udp_multicast":
            self._echoes = [*self._echoes[-BATCH:], frame]
        return True

    def _lose(self, error: Exception) -> None:
        self.close()
        self.trouble = f"{self._options.channel}: {_reason(error)}"

    def _wrong_bitrate(self) -> str:
        """Compare the system's bit rate with the configured one, where both are known."""
        if self._options.interface != "socketcan" or not self._options.bitrate:
            return ""
        actual = netlink.bitrate(self._options.channel)
        if actual is None or actual == self._options.bitrate:
            return ""
        return (
            f"{self._options.channel}: runs at {actual} bit/s, configured is {self._options.bitrate}; "
            "correct 'bitrate' or what brings the interface up"
        )


def _number(error: Exception) -> int:
    for candidate in (getattr(error, "error_code", None), getattr(error, "errno", None)):
        if isinstance(candidate, int):
            return candidate
    return 0


def _reason(error: Exception) -> str:
    return _REMEDIES.get(_number(error)) or f"{error}; check the adapter and the option 'channel'"
