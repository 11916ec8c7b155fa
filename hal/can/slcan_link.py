"""A CAN bus behind a serial adapter that speaks slcan."""

from __future__ import annotations

from hal.can import slcan
from hal.can.frames import BusState, Frame
from hal.can.link import BATCH, CanOptions
from hal.drivers.serial_line import SerialLine, SerialSettings
from hal.ports import DeviceError

ADAPTER_BAUD = 115_200
"""USB adapters ignore it."""
STATUS_INTERVAL_S = 1.0
BATCH_BYTES = BATCH * 22
"""A batch of frames with an 11-bit id and eight bytes; the rest waits in the kernel for the next call."""


class SlcanLink:
    """Implements CanLink. The adapter belongs to this device alone."""

    polled = False

    def __init__(self, options: CanOptions, ids: frozenset[tuple[int, bool]]) -> None:
        self._options = options
        self._ids = ids
        self._line = SerialLine(SerialSettings(options.channel, ADAPTER_BAUD))
        self._reader = slcan.LineReader()
        self.state = BusState.ACTIVE
        self._next_status = 0.0

    @property
    def trouble(self) -> str:
        return self._line.trouble.replace("'port'", "'channel'")

    @property
    def next_open_at(self) -> float:
        return self._line.next_open_at

    @property
    def is_open(self) -> bool:
        return self._line.is_open

    @property
    def has_pending(self) -> bool:
        return self._line.has_pending

    def fileno(self) -> int | None:
        return self._line.fileno()

    def check(self) -> None:
        try:
            self._line.check()
        except DeviceError as error:
            raise DeviceError(str(error).replace("'port'", "'channel'")) from None

    def open(self, now: float) -> bool:
        if self._line.is_open:
            return True
        if self._line.reopen(now):
            self._reader = slcan.LineReader()
            self.state = BusState.ACTIVE
            self._next_status = now + STATUS_INTERVAL_S
            self._line.send(slcan.opening(self._options.bitrate))
        return self._line.is_open

    def read(self, now: float) -> list[Frame]:  # noqa: ARG002 (part of the contract)
        frames = []
        for line in self._reader.feed(self._line.read(BATCH_BYTES)):
            frame = slcan.decode(line)
            if frame is None:
                state = slcan.decode_status(line)
                if state is not None:
                    self.state = state
            elif frame.key in self._ids and not frame.remote:
                frames.append(frame)
        return frames

    def send(self, frame: Frame, *, urgent: bool = False) -> None:
        self._line.send(slcan.encode(frame), f"{frame.id}{frame.extended}", urgent=urgent)

    def on_timer(self, now: float) -> None:
        self._line.flush()
        if self._line.is_open and now >= self._next_status:
            self._next_status = now + STATUS_INTERVAL_S
            self._line.send(slcan.STATUS, "status")

    def close(self) -> None:
        # The adapter's channel is not closed: that might throw away the last, safe frame. The next opening does it.
        self._line.flush()
        self._line.close()
