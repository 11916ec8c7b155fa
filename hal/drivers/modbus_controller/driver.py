"""Charge controllers with a Modbus interface: one engine, models as data.

The device is the line (or the connection) and its one master; each controller is a unit. Nothing waits: a request
goes out, and what comes back is dealt with when the loop calls. What takes current away from a vehicle goes ahead of
all else; the rest is taken in turn.
"""

from __future__ import annotations

import select
import time
from collections.abc import Mapping

from hal.drivers.modbus.framing import Ascii, Framing, Mbap, Rtu, gap_s
from hal.drivers.modbus.master import Line, Master, Outcome, Unanswered
from hal.drivers.modbus.tcp_line import TcpLine
from hal.drivers.modbus_controller.model import Preparation, Wire
from hal.drivers.modbus_controller.options import ModbusControllerOptions
from hal.drivers.modbus_controller.unit import ControllerUnit, Job
from hal.drivers.serial_line import WRITE_RETRY_S, SerialLine, SerialSettings
from hal.ports import DeviceError, PortKind
from hal.registry import Driver
from hal.values import Health

IDLE_S = 0.05
"""How soon to look again when nothing is due."""
CLOSE_BUDGET_S = 0.3
"""The last command must leave the wire and be answered; the loop has ended, so this wait delays nobody."""
CLOSE_PATIENCE_S = 0.1
CLOSE_LOOK_S = 0.005
FAILURES_TO_RECONNECT = 2
OPENS_WITHIN_S = 1.0
"""A request under way is waited for (a transaction of 0.2 s at most when the device is well), then the pause that the
device wants (0.15 s at most), for two registers; and one that sleeps is told twice."""

_BASE_PORTS = frozenset({PortKind.CONTROL_PILOT, PortKind.CONTACTOR, PortKind.BOARD, PortKind.CHARGE_CONTROLLER})


class ModbusController:
    """The device."""

    def __init__(self, name: str, options: ModbusControllerOptions) -> None:
        self.name = name
        self._options = options
        self._trouble = options.trouble()
        model = options.description
        timeout_s = options.response_timeout_s or model.response_timeout_s
        framing: Framing
        if model.wire is Wire.TCP:
            self._tcp: TcpLine | None = TcpLine(options.host, options.tcp_port)
            self._line: Line = self._tcp
            self._place = self._tcp.name
            framing = Mbap()
            self.master = Master(self._line, framing, gap_s=model.gap_s, response_timeout_s=timeout_s)
        else:
            settings = SerialSettings(
                options.port,
                options.baud or model.baud,
                options.parity or model.parity,
                options.stop_bits or model.stop_bits,
            )
            self._tcp = None
            self._line = SerialLine(settings)
            self._place = options.port
            framing = Rtu() if model.wire is Wire.RTU else Ascii()
            gap = max(model.gap_s, gap_s(settings.character_s, settings.baud))
            self.master = Master(
                self._line, framing, gap_s=gap, response_timeout_s=timeout_s, character_s=settings.character_s
            )
        preparation = Preparation(options.watchdog_s, options.failsafe_current_a)
        self._units: dict[str, ControllerUnit] = {}
        for each in options.controllers:
            address = options.address_of(each)
            label = f"controller {each.name!r} (address {address})" if each.name else f"controller (address {address})"
            self._units[each.name] = ControllerUnit(
                model, address, label, preparation, options.poll_interval_s, self._commanded
            )
        self._turn = list(self._units.values())
        """In the order in which they are served next."""
        self._under_way: tuple[ControllerUnit, Job, bool] | None = None
        """Unit, what was said to it, and whether it is to be said once more."""
        self._again: tuple[ControllerUnit, Job] | None = None
        """What has been said once and must be said a second time."""
        self._failures = 0
        """Requests in a row that went unanswered."""
        self._was_open = False
        self._closed = False
        self._now = 0.0

    # Life

    def start(self, now: float) -> None:
        if self._trouble:
            raise DeviceError(f"{self.name}: {self._trouble}")
        self._line.check()
        self._turn_over(now)

    def fileno(self) -> int | None:
        return self._line.fileno()

    def on_readable(self, now: float) -> None:
        self.master.on_readable(now)
        self._turn_over(now)

    def on_timer(self, now: float) -> float:
        return self._turn_over(now)

    def close(self) -> None:
        if not self._closed and self._line.is_open:
            self._say_open()
        self._closed = True
        self._line.close()

    def health(self, now: float) -> Health:
        heard = [unit.answered_at for unit in self._units.values() if unit.answered_at is not None]
        last_heard_at = max(heard) if heard else None
        if self._trouble:
            return Health(False, self._trouble)
        if not self._line.is_open:
            return Health(False, self._line.trouble, last_heard_at)
        troubles = [unit.trouble for unit in self._units.values() if unit.trouble]
        if self._tcp is None and self.master.hears_another(now):
            troubles.append("another master speaks on this line; take it off")
        return Health(not troubles, f"{self._place}: {'; '.join(troubles)}" if troubles else "", last_heard_at)

    def unit(self, name: str) -> ControllerUnit:
        if name not in self._units:
            known = ", ".join(repr(known) for known in self._units)
            raise KeyError(f"{self.name}: no controller named {name!r}; there are: {known}")
        return self._units[name]

    # Work

    def _turn_over(self, now: float) -> float:
        """Do what is due and return when to come again."""
        self._now = now
        if self._closed or self._trouble:
            return now + 1.0
        if not self._open(now):
            return max(self._line.next_open_at, now + 0.001)
        self._line.flush()
        outcome = self.master.take(now)
        if outcome is not None:
            self._took(outcome, now)
        for unit in self._turn:
            unit.watch(now)
        self._say(now)
        if not self._line.is_open:
            self._note_loss(now)
            return max(self._line.next_open_at, now + 0.001)
        return self._wake_at(now)

    def _open(self, now: float) -> bool:
        if self._was_open and not self._line.is_open:
            self._note_loss(now)
        if self._line.reopen(now) and not self._was_open:
            self._was_open = True
            self.master.reset(now)
            for unit in self._turn:
                unit.start_over(now)
        return self._line.is_open

    def _note_loss(self, now: float) -> None:
        self._was_open = False
        self._under_way = self._again = None
        self._failures = 0
        self.master.reset(now)
        for unit in self._turn:
            unit.start_over(now)

    def _commanded(self, now: float) -> None:
        """Control wants something else: it goes out at once if the line is free."""
        if not self._closed and not self._trouble:
            self._say(now)

    def _say(self, now: float) -> None:
        if not self.master.free(now):
            return
        again, self._again = self._again, None
        if again is not None and again[1].setting is not None:
            self._ask(*again, now, once_more=False)
            return
        for unit in self._turn:
            pressing = unit.pressing(now)
            if pressing is not None:
                self._ask(unit, pressing, now)
                return
        if again is not None:
            self._ask(*again, now, once_more=False)
            return
        for index, unit in enumerate(self._turn):
            job = unit.job(now)
            if job is not None:
                self._turn = self._turn[:index] + self._turn[index + 1 :] + [unit]
                self._ask(unit, job, now)
                return

    def _ask(self, unit: ControllerUnit, job: Job, now: float, *, once_more: bool = True) -> None:
        self._under_way = (unit, job, once_more and unit.model.says_twice)
        self.master.ask(unit.address, job.request, now)

    def _took(self, outcome: Outcome, now: float) -> None:
        if self._under_way is None:
            return
        unit, job, once_more = self._under_way
        self._under_way = None
        if once_more:
            self._again = (unit, job)
            return
        unit.took(job, outcome, self.master.sampled_at, now)
        self._failures = self._failures + 1 if isinstance(outcome, Unanswered) else 0
        if self._tcp is None or not isinstance(outcome, Unanswered):
            return
        if outcome.out_of_step or self._failures >= FAILURES_TO_RECONNECT:
            # Half open, or out of step: a fresh connection is the only cure for either.
            self._tcp.give_up("did not answer in time; connecting anew", now)

    def _wake_at(self, now: float) -> float:
        if self._line.has_pending:
            return now + WRITE_RETRY_S
        if self.master.busy:
            return self.master.wake_at(now)
        if not self.master.free(now):
            return self.master.wake_at(now)
        return min(now + IDLE_S, *(unit.due_next_at(now) + 0.001 for unit in self._turn))

    def _say_open(self) -> None:
        """The last word: every controller is told to stop, and given a moment to say that it has."""
        began, now = time.monotonic(), self._now
        patience_s = CLOSE_PATIENCE_S
        for unit in self._turn:
            unit.last_words(now)
        while self._line.is_open and any(unit.pressing(self._now) is not None for unit in self._turn):
            passed_s = time.monotonic() - began
            if passed_s >= CLOSE_BUDGET_S:
                return
            if passed_s >= patience_s:
                # No answer: say it all the same, to one after the other.
                patience_s += CLOSE_PATIENCE_S
                self.master.abandon(now + passed_s)
                self._under_way = self._again = None
                self._turn = self._turn[1:] + self._turn[:1]
            fd = self._line.fileno()
            if fd is not None and select.select([fd], [], [], CLOSE_LOOK_S)[0]:
                self.on_readable(now + passed_s)
            else:
                self.on_timer(now + passed_s)


def _units(options: ModbusControllerOptions) -> Mapping[str, frozenset[PortKind]]:
    model = options.description
    ports = _BASE_PORTS | model.ports
    if options.meter and model.measure is not None:
        ports |= {PortKind.POWER_METER}
    if options.proximity and model.reads_proximity:
        ports |= {PortKind.PROXIMITY_PILOT}
    return {each.name: ports for each in options.controllers}


DRIVER = Driver(
    name="modbus-controller",
    summary="charge controllers with Modbus (SimpleEVSE, Phoenix Contact, Heidelberg, ABL, Bender)",
    options=ModbusControllerOptions,
    units=_units,
    create=ModbusController,
    opens_within_s=OPENS_WITHIN_S,
)
