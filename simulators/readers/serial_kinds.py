"""Card readers on a node of their own, as they join the lab."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from simulators.lab.kinds import LabPort, ReaderKind, Site, Switch, take_options
from simulators.pty_port import PtyPort
from simulators.readers.ascii_reader import AsciiReader
from simulators.readers.hid_keyboard import HidKeyboard
from simulators.readers.pn532 import Pn532
from simulators.readers.rdm6300 import Rdm6300


class Reader(Protocol):
    """What a simulated reader has, whatever it speaks."""

    card: bytes | None
    half_frames: bool

    def present(self, uid: bytes, now: float) -> None: ...

    def remove(self) -> None: ...

    def receive(self, data: bytes, now: float) -> None: ...

    def step(self, now: float) -> bool: ...


class SerialReaderPeer:
    """``simulators.lab.kinds.ReaderPeer``. ``make(send)`` builds the reader; ``configured(node)`` is the agent's."""

    def __init__(
        self,
        name: str,
        make: Callable[[Callable[[bytes], None]], Reader],
        configured: Callable[[str], dict[str, Any]],
        site: Site,
    ) -> None:
        take_options(site, name, {})
        self._configured = configured
        self._name = f"reader{site.number}" if site.number else "reader"
        self._wake = site.wake
        self._powered = True
        self.port = PtyPort(site.directory / self._name, self._hear, seed=200 + site.number)
        self.reader = make(self.port.write)
        self.faults: Mapping[str, Switch] = {
            "reader-half-frames": lambda on, _: setattr(self.reader, "half_frames", on)
        }

    def _hear(self, data: bytes) -> None:
        if self._powered:
            self.reader.receive(data, time.monotonic())
            self._wake()

    @property
    def card(self) -> bytes | None:
        return self.reader.card

    def present(self, uid: bytes, now: float) -> None:
        self.reader.present(uid, now)

    def remove(self) -> None:
        self.reader.remove()

    def step(self, now: float) -> bool:
        return self._powered and self.reader.step(now)

    def power(self, on: bool, now: float) -> None:  # noqa: ARG002 (it dies and lives at once)
        self._powered = on
        self.reader.remove()

    def ports(self) -> Sequence[LabPort]:
        return [self.port]

    def devices(self) -> dict[str, Any]:
        return {self._name: self._configured(str(self.port.link))}

    def reference(self) -> str:
        return self._name


def _serial(protocol: str, **options: Any) -> Callable[[str], dict[str, Any]]:
    return lambda node: {"driver": "serial-reader", "port": node, "protocol": protocol, **options}


def _event_node(node: str) -> dict[str, Any]:
    # A pty carries the same events as the kernel's node, but cannot be grabbed.
    return {"driver": "hid-reader", "node": node, "grab": False}


_FRAMED_ASCII = partial(AsciiReader, start="02", end="03", checksum="xor")

PN532 = ReaderKind("pn532", "PN532 on a serial line", partial(SerialReaderPeer, "pn532", Pn532, _serial("pn532")))
RDM6300 = ReaderKind(
    "rdm6300",
    "RDM6300 (125 kHz) on a serial line",
    partial(SerialReaderPeer, "rdm6300", Rdm6300, _serial("rdm6300")),
    uid_bytes=(5,),
)
ASCII = ReaderKind(
    "ascii",
    "reader that sends text on a serial line (STX, hexadecimal, exclusive or, ETX)",
    partial(
        SerialReaderPeer,
        "ascii",
        _FRAMED_ASCII,
        _serial("ascii", ascii={"start": "02", "end": "03", "checksum": "xor"}),
    ),
)
HID = ReaderKind(
    "hid",
    "USB reader that types the number as a keyboard does",
    partial(SerialReaderPeer, "hid", HidKeyboard, _event_node),
    uid_bytes=(4,),
)
