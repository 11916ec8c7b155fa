"""Modbus meters: a master on one line (RTU) or connection (TCP), a unit per meter, register maps as data.

The master never waits: it sends a request, and whatever arrives or does not arrive is dealt with when the loop calls.
Each poll cycle reads every meter once. A reading is complete from one cycle or it is not made; a meter that does not
answer keeps its last reading, which grows old.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hal.drivers import modbus_rtu, register_map
from hal.drivers.map_reading import MapError
from hal.drivers.meter_unit import MeterOptions, MeterUnit, SigningMeterUnit, unit_of
from hal.drivers.modbus.framing import Mbap
from hal.drivers.modbus.master import Master, Outcome, Unanswered
from hal.drivers.modbus.pdu import Answered, Read, Refused, Request
from hal.drivers.modbus.polled import PolledLine, check_units, rtu_master
from hal.drivers.modbus.tcp_line import TcpLine, check_host
from hal.drivers.register_map import Block
from hal.drivers.serial_line import SerialSettings
from hal.options import option
from hal.ports import PortKind
from hal.registry import Driver

__all__ = ["DRIVER", "MeterOptions", "MeterUnit", "ModbusMeter", "ModbusMeterOptions"]

TCP_GAP_S = 0.0
NOUN = "meter"


@dataclass(frozen=True, slots=True)
class ModbusMeterOptions:
    port: str = option(
        "", help="serial node of the line (RTU), best one under /dev/serial/by-id", exclusive="serial port"
    )
    meters: tuple[MeterOptions, ...] = option((), help="the meters on the line", check=lambda v: check_units(v, NOUN))
    baud: int = option(9600, help="line speed; all meters on the line share it", unit="Bd", ge=1200, le=921_600)
    parity: str = option("N", help="N, E or O", choices=("N", "E", "O"))
    stop_bits: int = option(1, help="stop bits", choices=(1, 2))
    poll_interval_s: float = option(1.0, help="how often every meter is read", unit="s", ge=0.1, le=60)
    response_timeout_s: float = option(
        0.3, help="how long a meter may think before it answers", unit="s", ge=0.02, le=10
    )
    retries: int = option(2, help="how often a request is said again before the meter is passed over", ge=0, le=10)
    host: str = option(
        "",
        help="IP address of a meter or gateway (TCP), instead of 'port'",
        exclusive="Modbus TCP peer",
        check=check_host,
    )
    tcp_port: int = option(502, help="its TCP port", ge=1, le=65_535)

    def trouble(self) -> str:
        """What in the combination can never work, with the remedy; empty when all is well."""
        if bool(self.port) == bool(self.host):
            return "give either 'port' (a serial line) or 'host' (Modbus TCP)"
        return check_units(self.meters, NOUN)


class ModbusMeter(PolledLine[MeterUnit]):
    """The device: the line and its master."""

    def __init__(self, name: str, options: ModbusMeterOptions) -> None:
        self._tcp: TcpLine | None = None
        if options.host:
            self._tcp = TcpLine(options.host, options.tcp_port)
            master = Master(self._tcp, Mbap(), gap_s=TCP_GAP_S, response_timeout_s=options.response_timeout_s)
            super().__init__(name, NOUN, self._tcp.name, self._tcp, master)
        else:
            settings = SerialSettings(options.port, options.baud, options.parity, options.stop_bits)
            super().__init__(name, NOUN, options.port, *rtu_master(settings, options.response_timeout_s))
        self._options = options
        self._trouble = options.trouble()
        try:
            for meter in options.meters:
                self._units[meter.name] = unit_of(meter, register_map.load(meter.map))
        except MapError as error:
            self._trouble = str(error)
        self._jobs: list[tuple[MeterUnit, Block]] = []
        """What is left of this cycle; the first is under way, or next."""
        self._signers = [unit for unit in self._units.values() if isinstance(unit, SigningMeterUnit)]
        self._signing: SigningMeterUnit | None = None
        """Whose signing half the request under way is for."""
        self._signed_last = False
        self._tries_left = 0

    def _troubles(self) -> Iterable[str]:
        return (unit.trouble or unit.doubt for unit in self._units.values())

    def _remarks(self) -> Iterable[str]:
        return (unit.event for unit in self._units.values())

    def _lost(self) -> None:
        self._jobs.clear()
        signing, self._signing = self._signing, None
        if signing is not None:
            signing.signer.interrupted()

    def _work(self, now: float) -> float:
        """Do what is due and return when to come again."""
        outcome = self._master.take(now)
        if outcome is not None and self._signing is not None:
            unit, self._signing = self._signing, None
            unit.signer.became(outcome, now)
        elif outcome is not None and self._jobs:
            self._became(outcome, now)
        if not self._line.is_open:
            self._lost()
            return self._line.next_open_at
        if self._signing is None and not self._jobs:
            self._choose(now)
        if self._jobs and self._signing is None and self._master.free(now):
            self._ask(now)
        if self._jobs or self._signing is not None:
            return self._master.wake_at(now)
        wakes = [self._next_cycle, *(unit.signer.wake_at(now) for unit in self._signers)]
        return max(min(wakes), now + 0.001)

    def _choose(self, now: float) -> None:
        """Between two cycles: read the meters, or let one of them sign. On a busy line by turns."""
        due = now >= self._next_cycle
        if not (due and self._signed_last) and self._signers and self._master.free(now):
            for unit in self._signers:
                request = unit.signer.next(now)
                if request is not None:
                    self._ask_signer(unit, request, now)
                    return
        if due:
            self._signed_last = False
            self._begin_cycle(now)

    def _ask_signer(self, unit: SigningMeterUnit, request: Request, now: float) -> None:
        self._signing, self._signed_last = unit, True
        self._signers.append(self._signers.pop(self._signers.index(unit)))  # the next one goes first
        self._master.ask(unit.options.address, request, now)

    def _begin_cycle(self, now: float) -> None:
        self._next_cycle = now + self._options.poll_interval_s
        for unit in self._units.values():
            unit.begin()
            self._jobs += [(unit, block) for block in unit.blocks]
        self._tries_left = self._tries()

    def _tries(self) -> int:
        """A meter that gave nothing last time is asked once only, so that it does not slow the others down."""
        return 1 + (self._options.retries if self._jobs and not self._jobs[0][0].trouble else 0)

    def _ask(self, now: float) -> None:
        unit, block = self._jobs[0]
        self._tries_left -= 1
        self._master.ask(unit.options.address, Read(unit.map.function, block.address, block.count), now)

    def _became(self, outcome: Outcome, now: float) -> None:
        if isinstance(outcome, Unanswered):
            if outcome.out_of_step and self._tcp is not None:
                self._tcp.give_up("sends what is no Modbus; check 'host' and 'tcp_port'", now)
            self._failed("does not answer; check its power, the wiring (A/B), 'address' and 'baud'")
        elif isinstance(outcome, Refused):
            self._refused(outcome, now)
        else:
            self._answered(outcome, now)

    def _answered(self, answer: Answered, now: float) -> None:
        unit, block = self._jobs[0]
        unit.take(block, answer.data, now)
        self._next_job()
        if not self._jobs or self._jobs[0][0] is not unit:
            unit.finish()

    def _refused(self, answer: Refused, now: float) -> None:
        unit, block = self._jobs[0]
        unit.answered_at = now
        if answer.code == modbus_rtu.ILLEGAL_ADDRESS and unit.blocks != unit.map.blocks(0):
            # It does not let unused registers be read along: from now on only those that the map names.
            unit.blocks = unit.map.blocks(0)
            unit.begin()
            self._jobs = [(unit, piece) for piece in unit.blocks] + [job for job in self._jobs if job[0] is not unit]
            self._tries_left = self._tries()
        elif answer.code == modbus_rtu.BUSY:
            self._failed(f"answers {answer.text}")
        else:
            unit.trouble = f"{unit.label}: answers {answer.text} to register {block.address:#06x}; check 'map'"
            self._give_up()

    def _failed(self, reason: str) -> None:
        if self._tries_left > 0:
            return
        unit = self._jobs[0][0]
        unit.trouble = f"{unit.label}: {reason}"
        self._give_up()

    def _give_up(self) -> None:
        """Leave this meter for the rest of the cycle."""
        unit = self._jobs[0][0]
        while len(self._jobs) > 1 and self._jobs[1][0] is unit:
            del self._jobs[1]
        self._next_job()

    def _next_job(self) -> None:
        del self._jobs[0]
        self._tries_left = self._tries()


def _units(options: ModbusMeterOptions) -> Mapping[str, frozenset[PortKind]]:
    return {meter.name: _ports(meter) for meter in options.meters}


def _ports(meter: MeterOptions) -> frozenset[PortKind]:
    try:
        signs = register_map.load(meter.map).signing is not None
    except MapError:  # told at the start
        signs = False
    return frozenset({PortKind.POWER_METER, PortKind.SIGNING_METER} if signs else {PortKind.POWER_METER})


DRIVER = Driver(
    name="modbus-meter",
    summary="energy meters on Modbus RTU or TCP, by register map",
    options=ModbusMeterOptions,
    units=_units,
    create=ModbusMeter,
)
