"""USB card readers that type the number as a keyboard does, then Enter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hal.drivers.hid_reader.keys import KeyReader
from hal.drivers.hid_reader.node import EventNode
from hal.drivers.presentations import Presentations
from hal.drivers.serial_reader.ascii_telegrams import MAX_DIGITS, AsciiOptions, TelegramReader
from hal.drivers.token_format import Radix, TokenFormatOptions
from hal.options import option
from hal.ports import PortKind
from hal.registry import Driver
from hal.values import Health, TokenKind, TokenRead

IDLE_S = 1.0


@dataclass(frozen=True, slots=True)
class HidReaderOptions(TokenFormatOptions):
    node: str = option(
        help="event node of the reader under /dev/input/by-id, the one that ends in -event-kbd", exclusive="event node"
    )
    radix: Radix = option(Radix.DECIMAL, help="hex or decimal: how the reader types the number")
    length: int = option(0, help="digits that the reader types; 0 for any", ge=0, le=MAX_DIGITS)
    number_bytes: int = option(4, help="decimal: bytes that the number stands for", unit="B", ge=3, le=10)
    kind: TokenKind = option(TokenKind.LOCAL, help="ISO14443, ISO15693 or Local: what the network is told")
    debounce_s: float = option(
        1.5, help="a card seen again within this time is the same presentation", unit="s", ge=1, le=60
    )
    grab: bool = option(True, help="keep the key presses from every other program; off only to look on")


class HidReader:
    """The device and its one unit, named ''. Implements TokenReader."""

    def __init__(self, name: str, options: HidReaderOptions) -> None:
        self.name = name
        self._options = options
        self._node = EventNode(options.node, options.grab)
        self._text = AsciiOptions(radix=options.radix, length=options.length, number_bytes=options.number_bytes)
        self._keys = KeyReader()
        self._numbers = TelegramReader(self._text)
        self._cards = Presentations(options, options.debounce_s)
        self._heard_at: float | None = None
        self._closed = False

    def start(self, now: float) -> None:
        self._node.check()
        self._connect(now)

    def fileno(self) -> int | None:
        return self._node.fileno()

    def on_readable(self, now: float) -> None:
        data = self._node.read()
        if data:
            self._heard_at = now
        for card in self._numbers.feed(self._keys.feed(data), now):
            self._cards.note(card, self._options.kind, now)

    def on_timer(self, now: float) -> float:
        if self._closed:
            return now + IDLE_S
        if not self._node.is_open:
            self._connect(now)
        return now + IDLE_S if self._node.is_open else max(self._node.next_open_at, now)

    def close(self) -> None:
        self._closed = True
        self._node.close()

    def health(self, now: float) -> Health:  # noqa: ARG002 (part of the contract)
        return Health(not self._node.trouble, self._node.trouble, self._heard_at)

    def unit(self, name: str) -> HidReader:
        if name:
            raise KeyError(f"{self.name}: has one unit only, named ''; {name!r} is unknown")
        return self

    def take_tokens(self) -> list[TokenRead]:
        return self._cards.take()

    def _connect(self, now: float) -> None:
        if self._node.open(now):
            self._keys = KeyReader()
            self._numbers = TelegramReader(self._text)


def _units(options: HidReaderOptions) -> Mapping[str, frozenset[PortKind]]:  # noqa: ARG001 (the same for all)
    return {"": frozenset({PortKind.TOKEN_READER})}


DRIVER = Driver(
    name="hid-reader",
    summary="USB card reader that types as a keyboard does",
    options=HidReaderOptions,
    units=_units,
    create=HidReader,
)
