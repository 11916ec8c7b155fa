"""OpenEVSE controllers on a serial line. The controller runs pilot and relay by itself; control follows it."""

from __future__ import annotations

from collections.abc import Mapping

from hal.drivers.openevse.controller import Controller, OpenEvseUnit
from hal.drivers.openevse.options import OpenEvseOptions
from hal.drivers.serial_line import WRITE_RETRY_S, SerialLine, SerialSettings
from hal.ports import PortKind
from hal.registry import Driver
from hal.values import Health

_PORTS = frozenset(
    {
        PortKind.CONTROL_PILOT,
        PortKind.CONTACTOR,
        PortKind.BOARD,
        PortKind.CHARGE_CONTROLLER,
        PortKind.TEMPERATURE_SENSOR,
    }
)


class OpenEvse:
    """The device. One unit, named ''."""

    def __init__(self, name: str, options: OpenEvseOptions) -> None:
        self.name = name
        self._port = options.port
        self._line = SerialLine(SerialSettings(options.port, options.baud))
        self._controller = Controller(options, self._send)
        self._connected = False
        self._closed = False
        self._now = 0.0

    def start(self, now: float) -> None:
        self._line.check()
        self._line.open(now)
        self._connect(now)

    def fileno(self) -> int | None:
        return self._line.fileno()

    def on_readable(self, now: float) -> None:
        self._now = now
        self._controller.feed(self._line.read(), now)
        self._note_disconnect()

    def on_timer(self, now: float) -> float:
        self._now = now
        self._note_disconnect()
        if self._closed:
            return now + 1.0
        if not self._connected:
            self._connect(now)
            if not self._connected:
                return self._line.next_open_at
        self._line.flush()
        wake = self._controller.on_timer(now)
        return min(wake, now + WRITE_RETRY_S) if self._line.has_pending else wake

    def close(self) -> None:
        self._closed = True
        if self._line.is_open:
            self._controller.end(self._now)
            self._line.flush()
        self._line.close()
        self._connected = False

    def health(self, now: float) -> Health:
        detail = self._line.trouble
        if self._line.is_open:
            trouble = self._controller.trouble(now)
            detail = f"{self._port}: {trouble}" if trouble else ""
        heard = self._controller.unit.board()
        return Health(not detail, detail, None if heard is None else heard.at)

    def unit(self, name: str) -> OpenEvseUnit:
        if name:
            raise KeyError(f"{self.name}: has one unit only, named ''; {name!r} is unknown")
        return self._controller.unit

    def _connect(self, now: float) -> None:
        if self._line.reopen(now):
            self._connected = True
            self._now = now
            self._controller.begin(now)

    def _note_disconnect(self) -> None:
        if self._connected and not self._line.is_open:
            self._connected = False
            self._controller.drop()

    def _send(self, line: bytes, urgent: bool) -> None:
        self._line.send(line, urgent=urgent)


def _units(options: OpenEvseOptions) -> Mapping[str, frozenset[PortKind]]:
    ports = set(_PORTS)
    if options.meter:
        ports.add(PortKind.POWER_METER)
    if options.button:
        ports.add(PortKind.BUTTON)
    return {"": frozenset(ports)}


DRIVER = Driver(
    name="openevse",
    summary="OpenEVSE charge controller on a serial line (RAPI)",
    options=OpenEvseOptions,
    units=_units,
    create=OpenEvse,
)
