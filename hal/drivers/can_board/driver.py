"""A pilot board on CAN, described by a DBC file and a mapping that are compiled to a table."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hal.can import table as tables
from hal.can.device import CanDevice
from hal.can.frames import EXTENDED_MASK, Frame, is_id
from hal.can.link import CanOptions
from hal.can.receiver import Receiver
from hal.can.sender import Sender
from hal.can.table import Outgoing, Table, TableError
from hal.drivers.can_board.unit import CanBoardUnit
from hal.options import option
from hal.ports import DeviceError, PortKind
from hal.registry import Driver

_NO_TABLE = Table("no table", (), (), {})
_NEEDS: Mapping[PortKind, tuple[frozenset[str], frozenset[str]]] = {
    PortKind.CONTROL_PILOT: (frozenset({"pilot_state"}), frozenset({"duty_pct"})),
    PortKind.CONTACTOR: (frozenset({"contactor_closed"}), frozenset({"contactor"})),
    PortKind.PROXIMITY_PILOT: (frozenset({"cable"}), frozenset()),
    PortKind.CABLE_LOCK: (frozenset({"lock"}), frozenset({"lock"})),
    PortKind.RESIDUAL_CURRENT_MONITOR: (frozenset({"residual_current_tripped"}), frozenset()),
    PortKind.POWER_METER: (frozenset({"energy_import_wh"}), frozenset()),
    PortKind.TEMPERATURE_SENSOR: (frozenset({"temperature_1_c"}), frozenset()),
    PortKind.EMERGENCY_STOP: (frozenset({"emergency_stop"}), frozenset()),
}
"""Port → what a table must read and write for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanBoardOptions(CanOptions):
    table: Path = option(
        help="table of the board's DBC file and mapping, as evse-agent can-map writes it", check=tables.check
    )
    id_offset: int = option(
        0, help="added to every id of the table: several boards of one kind on one bus", ge=0, le=EXTENDED_MASK
    )


class CanBoard(CanDevice):
    """The device. One unit, named ''."""

    def __init__(self, name: str, options: CanBoardOptions) -> None:
        self._table, self._table_trouble = _NO_TABLE, ""
        try:
            self._table = tables.load(options.table)
        except TableError as error:
            self._table_trouble = str(error)
        self._receiver = Receiver(self._table, options.id_offset)
        self._sender = Sender(self._table, options.id_offset)
        super().__init__(name, options, self._receiver.keys, self._sender.keys)
        self._unit = CanBoardUnit(self._receiver, self._sender, self._say)
        self._next: dict[str, float] = {}
        self._was_fresh = False

    def start(self, now: float) -> None:
        if self._table_trouble:
            raise DeviceError(f"{self.name}: {self._table_trouble}")
        if not all(is_id(*key) for key in self._receiver.keys | self._sender.keys):
            raise DeviceError(f"{self.name}: 'id_offset' lifts an id beyond what CAN has; choose a smaller one")
        super().start(now)

    def unit(self, name: str) -> CanBoardUnit:
        if name:
            raise KeyError(f"{self.name}: has one unit only, named ''; {name!r} is unknown")
        return self._unit

    def _connect(self, now: float) -> None:
        self._was_fresh = False
        self._next = {message.name: now + message.period_s for message in self._table.outgoing}
        self._unit.begin()

    def _make_safe(self) -> None:
        self._was_fresh = False
        self._unit.make_safe()

    def _take(self, frame: Frame, now: float) -> None:
        message = self._receiver.take(frame, now)
        if message is not None:
            self._unit.handle(message, now)
        self._judge(now)

    def _judge(self, now: float) -> None:
        """A board that falls silent, or turns out to be another, is commanded nothing any more."""
        self._unit.let_time_pass(now)
        fresh = self._receiver.fresh(now)
        if self._was_fresh and not fresh:
            self._unit.make_safe()
        self._was_fresh = fresh
        if not self._unit.verified and not self._contested and self._receiver.steady(now):
            self._unit.verified = True

    def _tick(self, now: float) -> float:
        self._judge(now)
        for message in self._table.outgoing:
            if now >= self._next.get(message.name, 0.0):
                self._say(message, False)
                self._next[message.name] = now + message.period_s
        due = min(self._next.values(), default=now + 1.0)
        beats = [message.timeout_s for message in self._table.incoming if message.heartbeat]
        alive_at = self._receiver.alive_at()
        if self._was_fresh and alive_at is not None and beats:
            due = min(due, max(alive_at + min(beats), now + 0.001))
        return min(due, self._unit.next_pulse_end)

    def _trouble(self, now: float) -> str:
        if self._table_trouble:
            return self._table_trouble
        troubles = self._receiver.troubles(now)
        if troubles:
            return f"{'; '.join(troubles)}; check the board's power, wiring, bit rate and the DBC file"
        return self._unit.doubt if self._unit.verified else "waiting for the board to be heard steadily"

    def _last_heard_at(self) -> float | None:
        return self._receiver.last_at()

    def _say(self, message: Outgoing, urgent: bool) -> None:
        if self._link.is_open:
            self._link.send(self._sender.frame(message), urgent=urgent)


def _units(options: CanBoardOptions) -> Mapping[str, frozenset[PortKind]]:
    kinds = {PortKind.BOARD}
    with contextlib.suppress(TableError):  # the option's own check says so
        table = tables.load(options.table)
        kinds |= {kind for kind, (reads, writes) in _NEEDS.items() if reads <= table.reads and writes <= table.writes}
        if {"pilot_high_v", "pilot_low_v"} <= table.reads and "duty_pct" in table.writes:
            kinds.add(PortKind.CONTROL_PILOT)
        if table.reads & {"enclosure_open", "tilted"}:
            kinds.add(PortKind.ENCLOSURE)
    return {"": frozenset(kinds)}


DRIVER = Driver(
    name="can-board",
    summary="pilot board on CAN, described by a DBC file and a mapping",
    options=CanBoardOptions,
    units=_units,
    create=CanBoard,
)
