"""In front of simulated GPIO chips: the driver's lines are held by the relay, which holds those of the chip.

``hal.gpio.sim_chip`` tells the protocol. Requests and settings pass as packets; levels pass with each ``pump``, edges
as they come. Without a counterpart the relay grants every line by itself, and each reads inactive.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import mmap
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hal.conformance.wires import NodeError, Said, Trick, claimed
from hal.gpio.address import SIM, parse_address
from hal.gpio.lines import LineError
from hal.gpio.sim_chip import PACKET, SimChip

CLAIM = "GPIO line"
ANSWERED = ("open", "info", "request", "configure")
SEQPACKET = socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK


def simulated(options: Any) -> dict[str, list[str]]:
    """Return the paths of the simulated chips that the options name, and of each the lines."""
    found: dict[str, list[str]] = {}
    for text, claim in claimed(options):
        if claim == CLAIM and text.startswith(SIM):
            address = parse_address(text.split()[0])
            found.setdefault(address.chip.removeprefix(SIM), []).append(address.line)
    return found


@dataclass(slots=True)
class _Pair:
    """One connection of the driver and its continuation; None where the counterpart is kept out."""

    near: socket.socket
    far: socket.socket | None
    asked: list[str] = field(default_factory=list)
    edges: list[tuple[socket.socket, socket.socket | None]] = field(default_factory=list)
    """Of each line: our end towards the driver, and the chip's."""

    def sockets(self) -> list[socket.socket]:
        return [each for each in (self.near, self.far, *(s for pair in self.edges for s in pair)) if each is not None]

    def close(self) -> None:
        for each in self.sockets():
            each.close()


class ChipRelay:
    """Stands in front of all simulated chips that the options name; the first is the node."""

    tricks = frozenset({Trick.RECORD, Trick.SILENCE, Trick.UNPLUG, Trick.OWN})
    why_not = "behind a line is nobody who could make himself known, and any level is a level"

    def __init__(self, options: Any, field: str, directory: Path) -> None:  # noqa: ARG002 (lines stand anywhere)
        chips = simulated(options).items()
        self._chips = [_Chip(real, lines, directory / f"chip{n}") for n, (real, lines) in enumerate(chips)]
        first = self._chips[0]
        self.node = str(first.path)
        self.label = f"relay in front of {SIM}{first.real}"
        self.options = _rewritten(options, {f"{SIM}{c.real}:": f"{SIM}{c.path}:" for c in self._chips})
        self.cut = False
        self.said: list[Said] = []

    def open(self, connected: bool) -> None:
        self.said = []
        self.cut = False
        for chip in self._chips:
            chip.learn(connected)
        self.plug_in()

    def close(self) -> None:
        self.pump()
        self.unplug()
        for chip in self._chips:
            chip.forget()

    def filenos(self) -> list[int]:
        return [fd for chip in self._chips for fd in chip.filenos()]

    def pump(self) -> None:
        for chip in self._chips:
            chip.pump(self.cut, self.said)

    def inject(self, data: bytes) -> None:
        """Nothing that could be said on a line is garbage."""

    def unplug(self) -> None:
        for chip in self._chips:
            chip.unplug()

    def plug_in(self) -> None:
        for chip in self._chips:
            chip.plug_in()


class _Chip:
    def __init__(self, real: str, lines: list[str], path: Path) -> None:
        self.real = real
        self._lines = lines
        self.path = path
        self._connected = False
        self._greeting: dict[str, Any] = {}
        self._page: mmap.mmap | None = None
        """What the driver is shown: one byte per line, and one that tells whether the chip answers."""
        self._page_fd = -1
        self._source: mmap.mmap | None = None
        self._listener: socket.socket | None = None
        self._pairs: list[_Pair] = []

    def learn(self, connected: bool) -> None:
        """Make the page that the driver will see. Raises NodeError."""
        self.forget()
        self._connected = connected
        self._greeting = _greeting(self.real) if connected else {"name": "alone", "label": "", "lines": self._alone()}
        names = self._greeting["lines"]
        self._page_fd = os.memfd_create("relayed-levels")
        os.ftruncate(self._page_fd, len(names) + 1)
        self._page = mmap.mmap(self._page_fd, len(names) + 1)
        self._page[len(names)] = 1

    def _alone(self) -> list[str]:
        """Names of as many lines as the options speak of."""
        offsets = [int(line) for line in self._lines if line.isdigit()]
        named = [line for line in self._lines if not line.isdigit()]
        return [*([""] * (max(offsets, default=-1) + 1)), *named]

    def forget(self) -> None:
        for page in (self._page, self._source):
            if page is not None:
                page.close()
        if self._page_fd >= 0:
            os.close(self._page_fd)
        self._page = self._source = None
        self._page_fd = -1

    def filenos(self) -> list[int]:
        listener = [] if self._listener is None else [self._listener.fileno()]
        return [*listener, *(each.fileno() for pair in self._pairs for each in pair.sockets())]

    def plug_in(self) -> None:
        if self._listener is None:
            self._listener = socket.socket(socket.AF_UNIX, SEQPACKET)
            self._listener.bind(str(self.path))
            self._listener.listen(64)

    def unplug(self) -> None:
        self.path.unlink(missing_ok=True)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for pair in self._pairs:
            pair.close()
        self._pairs = []

    def pump(self, cut: bool, said: list[Said]) -> None:
        self._accept()
        self._show(cut)
        for pair in list(self._pairs):
            try:
                self._pump(pair, cut, said)
            except OSError:  # one of the two has hung up
                pair.close()
                self._pairs.remove(pair)

    def _accept(self) -> None:
        while self._listener is not None:
            try:
                near = self._listener.accept()[0]
            except OSError:
                return
            near.setblocking(False)
            far = None
            if self._connected:
                far = socket.socket(socket.AF_UNIX, SEQPACKET)
                with contextlib.suppress(OSError):  # the chip is gone: the driver is hung up on with its first word
                    far.connect(self.real)
            self._pairs.append(_Pair(near, far))

    def _show(self, cut: bool) -> None:
        if self._page is None:
            return
        if cut:
            self._page[len(self._page) - 1] = 0
        elif self._source is not None:
            self._page[:] = self._source[:]
        else:
            self._page[len(self._page) - 1] = 1

    def _pump(self, pair: _Pair, cut: bool, said: list[Said]) -> None:
        while (data := _received(pair.near)) is not None:
            said.append(Said(time.monotonic(), data))
            asked = str(json.loads(data).get("do"))
            if cut:
                continue
            if pair.far is None:
                self._answer_alone(pair, asked)
                continue
            if asked in ANSWERED:
                pair.asked.append(asked)
            pair.far.send(data)
        if pair.far is not None:
            self._pass_answers(pair, pair.far, cut)
        for ours, chips in pair.edges:
            while chips is not None and (edge := _received(chips)) is not None:
                if not cut:
                    with contextlib.suppress(BlockingIOError):  # nobody reads: lost, as in the kernel
                        ours.send(edge)

    def _answer_alone(self, pair: _Pair, asked: str) -> None:
        if asked == "open":
            socket.send_fds(pair.near, [json.dumps(self._greeting).encode()], [self._page_fd])
        elif asked == "request":
            self._grant(pair, b"{}", None)
        elif asked in ANSWERED:
            pair.near.send(json.dumps({"used": False, "consumer": ""}).encode())

    def _pass_answers(self, pair: _Pair, far: socket.socket, cut: bool) -> None:
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(far, PACKET, 1)
            except BlockingIOError:
                return
            if not data:
                raise ConnectionResetError
            asked = pair.asked.pop(0) if pair.asked else ""
            fd = fds[0] if fds else -1
            if cut:
                if fd >= 0:
                    os.close(fd)
            elif asked == "open" and fd >= 0:
                self._source = self._source or mmap.mmap(fd, len(self._greeting["lines"]) + 1, prot=mmap.PROT_READ)
                os.close(fd)
                self._show(cut)
                socket.send_fds(pair.near, [data], [self._page_fd])
            elif fd >= 0:
                self._show(cut)
                self._grant(pair, data, socket.socket(fileno=fd))
            else:
                pair.near.send(data)

    def _grant(self, pair: _Pair, answer: bytes, chips: socket.socket | None) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        if chips is not None:
            chips.setblocking(False)
        pair.edges.append((ours, chips))
        socket.send_fds(pair.near, [answer], [theirs.fileno()])
        theirs.close()


def _greeting(path: str) -> dict[str, Any]:
    """Return what the chip says of itself. Raises NodeError."""
    try:
        chip = SimChip(path)
        try:
            names = [chip.line_info(offset).name for offset in range(chip.info.lines)]
        finally:
            chip.close()
    except LineError as error:
        raise NodeError(str(error)) from None
    return {"name": chip.info.name, "label": chip.info.label, "lines": names}


def _received(source: socket.socket) -> bytes | None:
    """Return one packet; None when there is none. Raises ConnectionResetError at the end."""
    try:
        data = source.recv(PACKET)
    except BlockingIOError:
        return None
    if not data:
        raise ConnectionResetError
    return data


def _rewritten(value: Any, places: Mapping[str, str]) -> Any:
    """Return the options with every line on a real chip led to the relay in front of it."""
    if isinstance(value, str):
        for old, new in places.items():
            if value.startswith(old):
                return new + value.removeprefix(old)
        return value
    if isinstance(value, Mapping):
        return {name: _rewritten(each, places) for name, each in value.items()}
    if isinstance(value, tuple):
        return tuple(_rewritten(each, places) for each in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: _rewritten(getattr(value, f.name), places) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **changed)
    return value
