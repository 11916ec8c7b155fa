"""A GPIO chip served by another process over a unix socket, for tests and the simulator. Path form ``sim:/the/socket``.

Protocol (SOCK_SEQPACKET, one JSON object per packet; ``simulators/gpio/chip.py`` is the other side):

* ``{"do": "open"}`` → ``{"name", "label", "lines": [name, …]}`` and one file descriptor: a page of shared memory, one
  byte per line, with the level that the line's owner sees (1 active, 0 not), and one more: 1 while the chip answers.
* ``{"do": "info", "line": 3}`` → ``{"used": true, "consumer": "…"}``
* ``{"do": "request", "line": 3, "flags": F, "debounce_us": N, "initial": 0|1, "buffer": N, "consumer": "…"}`` → ``{}``
  and one file descriptor, from which edges are read as the kernel writes them (``gpio_v2_line_event``). The flags are
  the kernel's.
* ``{"do": "configure", …}`` as ``request`` → ``{}``; ``{"do": "set", "line": 3, "level": 1}`` and
  ``{"do": "release", "line": 3}`` have no answer.
* An error is ``{"error": "…"}``. Whatever was requested is released when the connection ends.

Reading a level costs no packet, setting one does not wait. ``SimSeek`` asks for a line without waiting; ``SimChip``,
for programs that may, waits for its answers, not longer than ``PATIENCE_S``.
"""

from __future__ import annotations

import json
import mmap
import os
import select
import socket
from typing import Any

from hal.gpio import uapi
from hal.gpio.lines import ChipInfo, Line, LineError, LineEvent, LineInfo, LineSettings, offset_named

PATIENCE_S = 0.25
PACKET = 8192
MUTE = "does not answer in time; restart the simulator"


class SimChip:
    """``path`` is the socket's. Raises LineError when nobody serves it. ``wait`` False: ``greet`` is still to come."""

    def __init__(self, path: str, *, wait: bool = True) -> None:
        self.path = path
        self._lines: set[int] = set()
        self._names: list[str] = []
        self._closing = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise LineError(f"sim:{path}: is not there ({error}); start the simulator") from None
        try:
            self.tell({"do": "open"})
            if wait:
                self.greet(*self._answer())
        except LineError:
            self._socket.close()
            raise

    def greet(self, answer: dict[str, Any], fd: int) -> None:
        """Take the answer to "open"."""
        self._names = answer["lines"]
        self._info = ChipInfo(answer["name"], answer["label"], len(self._names))
        self.levels = mmap.mmap(fd, len(self._names) + 1, mmap.MAP_SHARED, mmap.PROT_READ)
        os.close(fd)

    @property
    def info(self) -> ChipInfo:
        return self._info

    def line_info(self, offset: int) -> LineInfo:
        if not 0 <= offset < len(self._names):
            raise LineError(f"sim:{self.path}: has lines 0 to {len(self._names) - 1}, no {offset}")
        answer, _ = self.ask({"do": "info", "line": offset})
        return LineInfo(offset, self._names[offset], answer["consumer"], answer["used"])

    def offset(self, line: str) -> int:
        """Raises LineError when there is no such line."""
        return offset_named(f"sim:{self.path}", self._names, line)

    def request(self, offset: int, settings: LineSettings, consumer: str) -> Line:
        self.line_info(offset)
        self.tell(_request(offset, settings, consumer))
        return self.hold(offset, settings, self._answer()[1])

    def hold(self, offset: int, settings: LineSettings, fd: int) -> SimLine:
        """Return the line that was granted with this descriptor."""
        self._lines.add(offset)
        return SimLine(self, fd, offset, settings.initial)

    def close(self) -> None:
        """Stays connected for the lines that are still held, as lines of the kernel outlive their chip."""
        self._closing = True
        if not self._lines and self._socket.fileno() >= 0:
            self._socket.close()
            if self._names:
                self.levels.close()

    def ask(self, question: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """Return the answer and the file descriptor that came with it (−1: none); waits for it. Raises LineError."""
        self.tell(question)
        return self._answer()

    def take(self) -> tuple[dict[str, Any], int] | None:
        """Return the answer that has come; None while there is none. Raises LineError."""
        try:
            data, fds, _, _ = socket.recv_fds(self._socket, PACKET, 1, socket.MSG_DONTWAIT)
            answer = json.loads(data)
        except (BlockingIOError, InterruptedError):
            return None
        except (OSError, ValueError) as error:
            raise LineError(f"sim:{self.path}: does not answer ({error}); restart the simulator") from None
        if "error" in answer:
            raise LineError(f"sim:{self.path}: {answer['error']}")
        return answer, fds[0] if fds else -1

    def _answer(self) -> tuple[dict[str, Any], int]:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        got = self.take() if poll.poll(PATIENCE_S * 1000) else None
        if got is None:
            raise LineError(f"sim:{self.path}: {MUTE}")
        return got

    def tell(self, order: dict[str, Any]) -> None:
        """Send what needs no answer. Raises LineError."""
        try:
            self._socket.send(json.dumps(order).encode(), socket.MSG_DONTWAIT)
        except OSError as error:
            raise LineError(f"sim:{self.path}: is gone ({error}); plug it in again") from None

    def check(self) -> None:
        """Raise LineError while the chip does not answer."""
        if not self.levels[len(self._names)]:
            raise LineError(f"sim:{self.path}: does not answer (EIO); check the bus to the chip, and its supply")

    def forget(self, offset: int) -> None:
        self._lines.discard(offset)
        if self._closing:
            self.close()


class SimSeek:
    """A line being asked for. Implements ``hal.gpio.seek.Seek``. Raises LineError when nobody serves the path."""

    def __init__(self, path: str, line: str, settings: LineSettings, consumer: str) -> None:
        self._line = line
        self._settings = settings
        self._consumer = consumer
        self._offset: int | None = None
        self._chip = SimChip(path, wait=False)

    def step(self) -> Line | None:
        got = self._chip.take()
        if got is None:
            return None
        if self._offset is None:
            self._chip.greet(*got)
            self._offset = self._chip.offset(self._line)
            self._chip.tell(_request(self._offset, self._settings, self._consumer))
            return None
        return self._chip.hold(self._offset, self._settings, got[1])

    def close(self) -> None:
        self._chip.close()


class SimLine:
    def __init__(self, chip: SimChip, fd: int, offset: int, initial: bool | None) -> None:
        self._chip = chip
        self._own = initial
        """What an output was last set to; the page may show it a moment later. None for an input."""
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self._offset = offset

    def fileno(self) -> int:
        return self._socket.fileno()

    def value(self) -> bool:
        try:
            gone = not self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            gone = False
        except OSError:
            gone = True
        if gone:
            raise LineError(f"sim:{self._chip.path}: is gone; plug it in again")
        self._chip.check()
        return bool(self._chip.levels[self._offset]) if self._own is None else self._own

    def set_value(self, level: bool) -> None:
        self._chip.check()
        self._chip.tell({"do": "set", "line": self._offset, "level": int(level)})
        self._own = level

    def events(self) -> list[LineEvent]:
        found: list[LineEvent] = []
        while True:
            try:
                data = self._socket.recv(uapi.EVENT_SIZE)
            except (BlockingIOError, InterruptedError):
                return found
            except OSError as error:
                raise LineError(f"sim:{self._chip.path}:{self._offset}: {error}") from None
            if not data:
                raise LineError(f"sim:{self._chip.path}: is gone; plug it in again")
            found += uapi.decode_events(data)

    def configure(self, settings: LineSettings) -> None:
        self._chip.ask({"do": "configure", "line": self._offset, **_wire(settings)})
        self._own = settings.initial

    def close(self) -> None:
        if self._socket.fileno() < 0:
            return
        self._socket.close()
        try:
            self._chip.tell({"do": "release", "line": self._offset})
        except LineError:
            pass  # the chip is gone, and the line with it
        self._chip.forget(self._offset)


def _request(offset: int, settings: LineSettings, consumer: str) -> dict[str, Any]:
    return {"do": "request", "line": offset, "consumer": consumer, **_wire(settings)}


def _wire(settings: LineSettings) -> dict[str, int]:
    return {
        "flags": uapi.flags_of(settings),
        "debounce_us": settings.debounce_us,
        "initial": int(bool(settings.initial)),
        "buffer": settings.buffer,
    }
