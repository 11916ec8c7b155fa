"""The card-reader device: a serial line, a session with the reader, and the debouncing of cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from hal.drivers.presentations import Presentations
from hal.drivers.serial_line import WRITE_RETRY_S, SerialLine, SerialSettings
from hal.drivers.serial_reader.ascii_telegrams import AsciiOptions
from hal.drivers.serial_reader.sessions import AsciiSession, Pn532Session, Rdm6300Session, Session
from hal.drivers.token_format import TokenFormatOptions
from hal.options import option
from hal.ports import PortKind
from hal.registry import Driver
from hal.values import Health, TokenRead


class Protocol(Enum):
    PN532 = "pn532"
    RDM6300 = "rdm6300"
    ASCII = "ascii"


_BAUD = {Protocol.PN532: 115_200, Protocol.RDM6300: 9600, Protocol.ASCII: 9600}


@dataclass(frozen=True, slots=True)
class SerialReaderOptions(TokenFormatOptions):
    port: str = option(help="serial node of the reader, best one under /dev/serial/by-id", exclusive="serial port")
    protocol: Protocol = option(help="pn532 (13.56 MHz, HSU), rdm6300 (125 kHz) or ascii (any that sends text)")
    baud: int = option(0, help="line speed; 0 for the protocol's own", unit="Bd", ge=0, le=921_600)
    poll_interval_s: float = option(0.3, help="pn532: how often a card is looked for", unit="s", ge=0.25, le=0.5)
    debounce_s: float = option(
        1.5, help="a card seen again within this time is the same presentation", unit="s", ge=1, le=60
    )
    ascii: AsciiOptions | None = option(None, help="ascii: how its telegrams look; empty for hex digits and a return")


class SerialReader:
    """The device and its one unit, named ''. Implements TokenReader."""

    def __init__(self, name: str, options: SerialReaderOptions) -> None:
        self.name = name
        self._options = options
        self._line = SerialLine(SerialSettings(options.port, options.baud or _BAUD[options.protocol]))
        self._session: Session
        if options.protocol is Protocol.PN532:
            self._session = Pn532Session(options.poll_interval_s)
        elif options.protocol is Protocol.RDM6300:
            self._session = Rdm6300Session()
        else:
            self._session = AsciiSession(options.ascii or AsciiOptions())
        self._cards = Presentations(options, options.debounce_s)
        self._heard_at: float | None = None
        self._connected = False
        self._closed = False

    def start(self, now: float) -> None:
        self._line.check()
        self._line.open(now)
        self._connect(now)

    def fileno(self) -> int | None:
        return self._line.fileno()

    def on_readable(self, now: float) -> None:
        data = self._line.read()
        if data:
            self._heard_at = now
        for card in self._session.feed(data, now):
            self._cards.note(card, self._session.kind, now)

    def on_timer(self, now: float) -> float:
        if self._closed:
            return now + 1.0
        if not self._line.is_open:
            self._connected = False
        if not self._connected:
            self._connect(now)
            if not self._connected:
                return self._line.next_open_at
        self._line.flush()
        self._say(self._session.on_timer(now))
        wake = self._session.wake_at(now)
        return min(wake, now + WRITE_RETRY_S) if self._line.has_pending else wake

    def close(self) -> None:
        self._closed = True
        self._connected = False
        self._line.close()

    def health(self, now: float) -> Health:  # noqa: ARG002 (part of the contract)
        detail = self._line.trouble
        if self._line.is_open:
            trouble = self._session.trouble()
            detail = f"{self._options.port}: {trouble}" if trouble else ""
        return Health(not detail, detail, self._heard_at)

    def unit(self, name: str) -> SerialReader:
        if name:
            raise KeyError(f"{self.name}: has one unit only, named ''; {name!r} is unknown")
        return self

    def take_tokens(self) -> list[TokenRead]:
        return self._cards.take()

    def _connect(self, now: float) -> None:
        if self._line.reopen(now):
            self._connected = True
            self._say(self._session.begin(now))

    def _say(self, data: bytes) -> None:
        if data:
            self._line.send(data)


def _units(options: SerialReaderOptions) -> Mapping[str, frozenset[PortKind]]:  # noqa: ARG001 (the same for all)
    return {"": frozenset({PortKind.TOKEN_READER})}


DRIVER = Driver(
    name="serial-reader",
    summary="card reader on a serial line (PN532, RDM6300, any that sends text)",
    options=SerialReaderOptions,
    units=_units,
    create=SerialReader,
)
