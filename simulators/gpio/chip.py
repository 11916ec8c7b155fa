"""A GPIO chip without a kernel: lines with levels, owners, bias, debounce and edges.

``hal.gpio.sim_chip`` tells the protocol. Levels set from outside (``drive``) and read (``output``) are electrical:
True is high. What the owner sees is logical.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import mmap
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hal.gpio import uapi
from simulators.gpio.packet_server import PacketServer

IN, OUT = uapi.FLAG_INPUT, uapi.FLAG_OUTPUT


@dataclass(slots=True)
class _SimLine:
    name: str
    owner: socket.socket | None = None
    consumer: str = ""
    flags: int = 0
    debounce_s: float = 0.0
    edges: socket.socket | None = None
    serial: int = 0
    driven: bool | None = None
    """What the electronics put on it; None: nothing."""
    out: bool | None = None
    """What the chip puts on it. Stays when the owner goes, as most hardware does."""
    level: bool = False
    """Electrical level as the owner sees it: debounced."""
    pending: tuple[bool, float] | None = field(default=None)
    """A level that is not steady yet, and since when."""

    @property
    def electrical(self) -> bool:
        if self.out is not None:
            return self.out
        if self.driven is not None:
            return self.driven
        return bool(self.flags & uapi.FLAG_BIAS_PULL_UP)

    @property
    def logical(self) -> bool:
        return self.level != bool(self.flags & uapi.FLAG_ACTIVE_LOW)


class SimGpioChip:
    """A chip under ``path``. ``changed`` is called, in the server's thread, when an owner sets an output.

    Implements ``LabPort``. ``clock`` gives monotonic seconds; debouncing follows it when ``settle`` is called, which
    the server's thread does by itself in real time.
    """

    def __init__(
        self,
        path: Path,
        names: Sequence[str],
        changed: Callable[[], None] = lambda: None,
        label: str = "sim-gpio",
        clock: Callable[[], float] = time.monotonic,
        seed: int = 1,
    ) -> None:
        self.path = path
        self.noise = 0.0
        """Share of the input changes that come with a glitch."""
        self._cut = False
        self._powered = True
        self._label = label
        self._changed = changed
        self._clock = clock
        self._lock = threading.RLock()
        self._lines = [_SimLine(name) for name in names]
        self._index = {name: number for number, name in enumerate(names)}
        self._random = random.Random(seed)
        self._server = PacketServer(path, self)
        self._page_fd = -1
        self._page: mmap.mmap | None = None

    # Lab port

    @property
    def is_open(self) -> bool:
        return self._server.is_open

    def open(self, loop: asyncio.AbstractEventLoop | None = None) -> None:  # noqa: ARG002 (part of LabPort)
        if self.is_open:
            return
        self._page_fd = os.memfd_create("gpio-levels")
        os.ftruncate(self._page_fd, len(self._lines) + 1)
        self._page = mmap.mmap(self._page_fd, len(self._lines) + 1)
        self._show_answering()
        self._server.open()

    def close(self) -> None:
        if not self.is_open:
            return
        self._server.close()
        if self._page is not None:
            self._page.close()
            os.close(self._page_fd)
            self._page = None

    @property
    def cut(self) -> bool:
        """The chip (an expander on a bus) does not answer: levels cannot be read or set, outputs stay as they are."""
        return self._cut

    @cut.setter
    def cut(self, cut: bool) -> None:
        self._cut = cut
        self._show_answering()

    @property
    def powered(self) -> bool:
        """False: as ``cut``, since the chip has no supply."""
        return self._powered

    @powered.setter
    def powered(self, powered: bool) -> None:
        self._powered = powered
        self._show_answering()

    @property
    def _isolated(self) -> bool:
        return self._cut or not self._powered

    def _show_answering(self) -> None:
        """The last byte of the page tells whether the chip answers."""
        with self._lock:
            if self._page is not None:
                self._page[len(self._lines)] = int(not self._isolated)

    # The electronics' side

    def drive(self, name: str, level: bool | None, at: float | None = None) -> None:
        """Put a level on a line; None lets go of it. ``at``: when that was, if not now."""
        with self._lock:
            line, now = self._lines[self._index[name]], self._clock() if at is None else at
            if line.driven == level:
                return
            line.driven = level
            if self.noise > 0.0 and self._random.random() < self.noise:
                for glitch in (True, False):
                    self._see(self._index[name], line.electrical != glitch, now)
            self._see(self._index[name], line.electrical, now)

    def refresh(self) -> None:
        """Let pass what was held up while the chip did not answer."""
        with self._lock:
            if self._isolated:
                return
            for offset, line in enumerate(self._lines):
                if line.pending is None and line.level != line.electrical:
                    self._see(offset, line.electrical, self._clock())

    def output(self, name: str) -> bool | None:
        """Return what the chip puts on a line; None while it is an input."""
        with self._lock:
            return self._lines[self._index[name]].out

    def owner(self, name: str) -> str:
        """Return the consumer of a line; empty while it is free."""
        with self._lock:
            return self._lines[self._index[name]].consumer

    def settle(self) -> float | None:
        """Pass on levels that have been steady for long enough; return seconds until the next may be."""
        with self._lock:
            now, next_s = self._clock(), None
            for offset, line in enumerate(self._lines):
                if line.pending is None:
                    continue
                level, since = line.pending
                left_s = since + line.debounce_s - now
                if left_s <= 0:
                    line.pending = None
                    self._move(offset, level, now)
                else:
                    next_s = left_s if next_s is None else min(next_s, left_s)
            return next_s

    def due(self) -> float | None:
        return self.settle()

    def _see(self, offset: int, level: bool, now: float) -> None:
        line = self._lines[offset]
        if self._isolated:
            return
        if line.debounce_s:
            line.pending = None if level == line.level else (level, now)
            self._server.wake()
        elif level != line.level:
            self._move(offset, level, now)

    def _move(self, offset: int, level: bool, now: float) -> None:
        line = self._lines[offset]
        line.level = level
        self._show(offset)
        if line.edges is None or not line.flags & IN:
            return
        wanted = uapi.FLAG_EDGE_RISING if line.logical else uapi.FLAG_EDGE_FALLING
        if not line.flags & wanted:
            return
        line.serial += 1
        with contextlib.suppress(OSError):  # nobody reads: lost, and the serial number shows it
            line.edges.send(uapi.encode_event(round(now * 1e9), line.logical, offset, line.serial), socket.MSG_DONTWAIT)

    def _show(self, offset: int) -> None:
        if self._page is not None:
            self._page[offset] = int(self._lines[offset].logical)

    # The owner's side, in the server's thread

    def packet(self, client: socket.socket, data: bytes) -> None:
        try:
            answer, fd = self._answer(client, json.loads(data))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            answer, fd = {"error": f"not understood: {error!r}"}, -1
        if answer is not None:
            with contextlib.suppress(OSError):  # it has not waited for the answer
                socket.send_fds(client, [json.dumps(answer).encode()], [fd] if fd >= 0 else [])
            if fd >= 0 and fd != self._page_fd:
                os.close(fd)

    def gone(self, client: socket.socket) -> None:
        with self._lock:
            for line in self._lines:
                if line.owner is client:
                    self._release(line)

    def _answer(self, client: socket.socket, question: dict[str, Any]) -> tuple[dict[str, Any] | None, int]:
        with self._lock:
            if question["do"] == "open":
                names = [line.name for line in self._lines]
                return {"name": self.path.name, "label": self._label, "lines": names}, self._page_fd
            offset = int(question["line"])
            line = self._lines[offset]
            match question["do"]:
                case "info":
                    return {"used": line.owner is not None, "consumer": line.consumer}, -1
                case "request":
                    return self._request(client, offset, question)
                case "configure" if line.owner is client:
                    self._configure(offset, question)
                    return {}, -1
                case "set" if line.owner is client:
                    self._set(offset, bool(question["level"]))
                    return None, -1
                case "release":
                    if line.owner is client:
                        self._release(line)
                    return None, -1
            return {"error": f"line {offset}: {question['do']!r} is unknown, or the line is another's"}, -1

    def _request(self, client: socket.socket, offset: int, question: dict[str, Any]) -> tuple[dict[str, Any], int]:
        line = self._lines[offset]
        if self._isolated:
            return {"error": "does not answer (EIO); check the bus to the chip, and its supply"}, -1
        if line.owner is not None:
            return {"error": f"line {offset} ({line.name}): is in use by {line.consumer!r}; stop that program"}, -1
        line.owner, line.consumer, line.serial = client, str(question["consumer"]), 0
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.edges = ours
        self._configure(offset, question)
        return {}, theirs.detach()

    def _configure(self, offset: int, question: dict[str, Any]) -> None:
        line = self._lines[offset]
        line.flags = int(question["flags"])
        line.debounce_s = int(question["debounce_us"]) / 1e6
        line.pending = None
        if line.flags & OUT:
            self._set(offset, bool(question["initial"]))
            return
        line.out = None
        line.level = line.electrical
        self._show(offset)

    def _set(self, offset: int, level: bool) -> None:
        line = self._lines[offset]
        if not line.flags & OUT or self._isolated:
            return
        line.out = line.level = level != bool(line.flags & uapi.FLAG_ACTIVE_LOW)
        self._show(offset)
        self._changed()

    def _release(self, line: _SimLine) -> None:
        line.owner, line.consumer = None, ""
        if line.edges is not None:
            line.edges.close()
            line.edges = None
