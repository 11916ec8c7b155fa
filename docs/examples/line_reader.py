"""A card reader that sends one card number per line of text: the smallest useful driver. See docs/extending.md."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass

from hal.drivers.serial_line import SerialLine, SerialSettings
from hal.options import option
from hal.ports import DeviceError, PortKind
from hal.registry import Driver
from hal.values import Health, TokenKind, TokenRead

LONGEST_LINE = 64
MOST_WAITING = 16


@dataclass(frozen=True, slots=True)
class LineReaderOptions:
    port: str = option(help="serial node of the reader", exclusive="serial port")
    baud: int = option(9600, help="line speed", unit="Bd", ge=300, le=115_200)


class LineReader:
    """The device and its one unit, named ''. Implements TokenReader."""

    def __init__(self, name: str, options: LineReaderOptions) -> None:
        self.name = name
        self._line = SerialLine(SerialSettings(options.port, options.baud))
        self._rest = bytearray()
        self._tokens: list[TokenRead] = []
        self._heard_at: float | None = None
        self._closed = False

    def start(self, now: float) -> None:
        self._line.check()
        self._line.open(now)

    def fileno(self) -> int | None:
        return self._line.fileno()

    def on_readable(self, now: float) -> None:
        self._rest += self._line.read()
        *lines, rest = self._rest.replace(b"\r", b"\n").split(b"\n")
        self._rest = rest[-LONGEST_LINE:]
        for line in filter(None, lines):
            uid = line.decode("ascii", "replace").upper()
            if len(uid) in (8, 14, 20) and set(uid) <= set(string.hexdigits):
                self._heard_at = now
                self._tokens = [*self._tokens, TokenRead(now, uid, TokenKind.ISO14443)][-MOST_WAITING:]

    def on_timer(self, now: float) -> float:
        if not self._closed and not self._line.is_open:
            self._rest.clear()
            try:
                self._line.open(now)
            except DeviceError as error:  # the node came back as something else
                self._line.trouble = str(error)
        return now + 1.0

    def close(self) -> None:
        self._closed = True
        self._line.close()

    def health(self, now: float) -> Health:  # noqa: ARG002 (part of the contract)
        return Health(self._line.is_open, self._line.trouble, self._heard_at)

    def unit(self, name: str) -> LineReader:
        if name:
            raise KeyError(f"{self.name}: has one unit only, named ''; {name!r} is unknown")
        return self

    def take_tokens(self) -> list[TokenRead]:
        tokens, self._tokens = self._tokens, []
        return tokens


def _units(options: LineReaderOptions) -> Mapping[str, frozenset[PortKind]]:  # noqa: ARG001 (the same for all)
    return {"": frozenset({PortKind.TOKEN_READER})}


DRIVER = Driver("line-reader", "card reader that sends lines of text", LineReaderOptions, _units, LineReader)
