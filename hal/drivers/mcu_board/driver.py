"""Pilot boards with their own safety controller on a serial line: Yeti and TIDA-010939.

The board owns the safety reaction: it opens by itself when our keep-alive stops. We permit and report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hal.drivers.mcu_board import messages as m
from hal.drivers.mcu_board import wire
from hal.drivers.mcu_board.unit import BoardUnit
from hal.drivers.serial_line import WRITE_RETRY_S, SerialLine, SerialSettings
from hal.options import option
from hal.ports import PortKind
from hal.registry import Driver
from hal.values import Health

KEEP_ALIVE_INTERVAL_S = 1.0
LOST_AFTER_S = 5.0
"""So long without a valid frame, and the board counts as lost."""
RESET_TIMEOUT_S = 1.0
"""A board asked to restart reports that within this time; one that does not cannot restart itself."""
SOFTWARE = "evse-agent"

_PORTS = frozenset(
    {
        PortKind.CONTROL_PILOT,
        PortKind.CONTACTOR,
        PortKind.PROXIMITY_PILOT,
        PortKind.CABLE_LOCK,
        PortKind.RESIDUAL_CURRENT_MONITOR,
        PortKind.BOARD,
    }
)
_OWN_PORTS = {m.Variant.YETI: PortKind.POWER_METER, m.Variant.TIDA: PortKind.TEMPERATURE_SENSOR}


@dataclass(frozen=True, slots=True)
class McuBoardOptions:
    port: str = option(help="serial node of the board, best one under /dev/serial/by-id", exclusive="serial port")
    variant: m.Variant = option(m.Variant.YETI, help="set of message ids: yeti or tida")
    baud: int = option(115_200, help="line speed", unit="Bd", ge=9600, le=921_600)
    protocol_majors: tuple[int, ...] = option((0, 1), help="major protocol versions that the board may report")
    reset_on_open: bool = option(
        True, help="restart the board when the line is opened, so that it tells all its states anew"
    )


class McuBoard:
    """The device. One unit, named ''."""

    def __init__(self, name: str, options: McuBoardOptions) -> None:
        self.name = name
        self._options = options
        self._line = SerialLine(SerialSettings(options.port, options.baud))
        self._reader = wire.FrameReader()
        self._unit = BoardUnit(options.variant, self._send)
        self._connected = False
        self._lost = False
        self._last_sign = 0.0
        """When the board was last heard, or the line opened."""
        self._mismatch = ""
        self._reset_until: float | None = None
        """A restart that we asked for by ourselves should be reported until then."""
        self._next_keep_alive = 0.0
        self._closed = False

    def start(self, now: float) -> None:
        self._line.check()
        self._line.open(now)
        self._connect(now)

    def fileno(self) -> int | None:
        return self._line.fileno()

    def on_readable(self, now: float) -> None:
        for payload in self._reader.feed(self._line.read()):
            self._take(payload, now)
        self._note_disconnect()

    def on_timer(self, now: float) -> float:
        self._note_disconnect()
        if self._closed:
            return now + LOST_AFTER_S
        if not self._connected:
            self._connect(now)
            if not self._connected:
                return self._line.next_open_at
        self._line.flush()
        self._unit.on_timer(now)
        if not self._lost and now - self._last_sign >= LOST_AFTER_S:
            self._lost = True
            self._unit.make_safe()
        if now >= self._next_keep_alive:
            self._next_keep_alive = now + KEEP_ALIVE_INTERVAL_S
            self._send(m.KeepAlive(sw_version_string=SOFTWARE))
            self._unit.repeat()
        due = self._next_keep_alive
        if not self._lost:
            due = min(due, self._last_sign + LOST_AFTER_S)
        if self._line.has_pending:
            due = min(due, now + WRITE_RETRY_S)
        return due

    def close(self) -> None:
        self._closed = True
        if self._line.is_open:
            self._unit.make_safe()
            self._line.flush()
        self._line.close()
        self._connected = False

    def health(self, now: float) -> Health:
        heard = self._unit.board()
        heard_at = None if heard is None else heard.at
        return Health(not self._detail(now), self._detail(now), heard_at)

    def unit(self, name: str) -> BoardUnit:
        if name:
            raise KeyError(f"{self.name}: has one unit only, named ''; {name!r} is unknown")
        return self._unit

    def _detail(self, now: float) -> str:
        port = self._options.port
        if not self._line.is_open:
            return self._line.trouble
        if self._mismatch:
            return f"{port}: {self._mismatch}"
        if self._lost:
            silence_s = now - self._last_sign
            return f"{port}: the board has been silent for {silence_s:.0f} s; check its power, the cable and 'variant'"
        if not self._unit.verified:
            return f"{port}: waiting for the board to introduce itself"
        return ""

    def _connect(self, now: float) -> None:
        if not self._line.reopen(now):
            return
        self._connected = True
        self._reader = wire.FrameReader()
        self._mismatch = ""
        self._line.send(b"\x00")  # ends whatever half frame the board may hold
        self._begin(now, reset=self._options.reset_on_open)

    def _begin(self, now: float, *, reset: bool) -> None:
        """Start over with a board that may be in any state."""
        self._lost = False
        self._last_sign = now
        self._unit.begin()
        self._reset_until = None
        if reset:
            self._reset_until = now + RESET_TIMEOUT_S
            self._send(m.Reset())
        self._next_keep_alive = now + KEEP_ALIVE_INTERVAL_S
        self._send(m.KeepAlive(sw_version_string=SOFTWARE))

    def _note_disconnect(self) -> None:
        """When the line was lost: nothing that was commanded counts any more. The readings are left to age."""
        if self._connected and not self._line.is_open:
            self._connected = False
            self._unit.make_safe()

    def _take(self, payload: bytes, now: float) -> None:
        try:
            message = wire.decode_from_board(self._options.variant, payload)
        except wire.PayloadError:
            self._consider_other_variant(payload)
            return
        if isinstance(message, m.KeepAliveLo):
            self._check_protocol(message)
        if self._mismatch:
            return  # what a board of another protocol says may mean anything
        if self._lost:
            # While it was silent it may have told changes that did not arrive: have it tell everything anew.
            self._begin(now, reset=self._options.reset_on_open and not isinstance(message, m.ResetReport))
        self._last_sign = now
        if isinstance(message, m.ResetReport):
            if self._reset_until is None or now > self._reset_until:
                self._unit.count_reset(message.reason)
            self._reset_until = None
        self._unit.handle(message, now)
        if isinstance(message, m.ResetReport):
            self._next_keep_alive = now + KEEP_ALIVE_INTERVAL_S
            self._send(m.KeepAlive(sw_version_string=SOFTWARE))
        restarting = self._reset_until is not None and now <= self._reset_until
        if isinstance(message, m.KeepAliveLo) and not restarting:
            self._unit.verified = True

    def _check_protocol(self, message: m.KeepAliveLo) -> None:
        majors = self._options.protocol_majors
        if message.protocol_version_major in majors:
            self._mismatch = ""
            return
        if not self._mismatch:
            self._unit.begin()
        known = " or ".join(str(major) for major in majors)
        self._mismatch = (
            f"the board speaks protocol version {message.protocol_version_major}.{message.protocol_version_minor},"
            f" known is {known}; install matching firmware or extend 'protocol_majors' after checking its notes"
        )

    def _consider_other_variant(self, payload: bytes) -> None:
        """A verified board may tell things we do not know; an unverified one may be configured as the wrong kind."""
        if self._unit.verified or self._mismatch:
            return
        for variant in m.Variant:
            if variant is self._options.variant:
                continue
            try:
                wire.decode_from_board(variant, payload)
            except wire.PayloadError:
                continue
            self._mismatch = f"the board speaks as variant {variant.value}; set 'variant: {variant.value}'"
            self._unit.begin()

    def _send(self, message: m.ToBoard) -> None:
        payload = wire.encode_to_board(self._options.variant, message)
        opens = message == m.AllowPowerOn(False)
        key = "" if isinstance(message, m.RcdCommand) else type(message).__name__
        self._line.send(wire.frame(payload), key, urgent=opens)


def _units(options: McuBoardOptions) -> Mapping[str, frozenset[PortKind]]:
    return {"": _PORTS | {_OWN_PORTS[options.variant]}}


DRIVER = Driver(
    name="mcu-board",
    summary="pilot board with its own safety controller on a serial line (Yeti, TIDA-010939)",
    options=McuBoardOptions,
    units=_units,
    create=McuBoard,
)
