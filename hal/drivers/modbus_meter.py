"""Modbus RTU meters: a master on one serial line, a unit per meter, register maps as data.

The master never waits: it sends a request, and whatever arrives or does not arrive is dealt with when the loop calls.
Each poll cycle reads every meter once. A reading is complete from one cycle or it is not made; a meter that does not
answer keeps its last reading, which grows old.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hal.drivers import modbus_rtu, register_map
from hal.drivers.metering import EnergyRegister, active_power_w, energy_wh, impossible, most_power_w
from hal.drivers.modbus_rtu import ExceptionAnswer, ReadAnswer, ReadRequest
from hal.drivers.register_map import Block, MapError, Register, RegisterMap
from hal.drivers.serial_line import SerialLine, SerialSettings
from hal.options import option
from hal.ports import DeviceError, PortKind
from hal.registry import Driver
from hal.values import Health, MeterReading

STEP_S = 0.01
"""How soon to be called again while a request is under way."""
LATE_ANSWER_S = 0.1
"""Pause after a failed request, so that an answer that comes late is not taken for the next one's."""
BUSY_LINE_S = 0.25
"""Longest wait for the line to fall silent before a request is sent all the same."""
RECEIVE_LIMIT = 4 * modbus_rtu.MAX_FRAME
DIGITS = 3
"""Decimals of everything but energy: finer than any meter, coarser than the noise of binary fractions."""


def _check_meters(meters: tuple[MeterOptions, ...]) -> str:
    if not meters:
        return "name at least one meter"
    names = [meter.name for meter in meters]
    if len(meters) > 1 and "" in names:
        return "with several meters each needs a 'name'"
    for what, values in (("name", names), ("address", [str(meter.address) for meter in meters])):
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            return f"{what} {twice} is given twice; each meter needs its own"
    return ""


@dataclass(frozen=True, slots=True)
class MeterOptions:
    address: int = option(help="Modbus address of the meter", ge=1, le=247)
    map: str = option(
        help="register map: the name of a shipped one (docs/hardware/modbus-meter.md), or the path of your own",
        check=register_map.check,
    )
    name: str = option("", help="name of the unit; may be left out when the line has one meter only")
    max_current_a: float = option(
        0.0, help="rating of meter or breaker, 0 for not known: energy that grows faster is not believed", ge=0, le=1000
    )


@dataclass(frozen=True, slots=True)
class ModbusMeterOptions:
    port: str = option(help="serial node of the line, best one under /dev/serial/by-id", exclusive="serial port")
    meters: tuple[MeterOptions, ...] = option(help="the meters on the line", check=_check_meters)
    baud: int = option(9600, help="line speed; all meters on the line share it", unit="Bd", ge=1200, le=921_600)
    parity: str = option("N", help="N, E or O", choices=("N", "E", "O"))
    stop_bits: int = option(1, help="stop bits", choices=(1, 2))
    poll_interval_s: float = option(1.0, help="how often every meter is read", unit="s", ge=0.1, le=60)
    response_timeout_s: float = option(
        0.3, help="how long a meter may think before it answers", unit="s", ge=0.02, le=10
    )
    retries: int = option(2, help="how often a request is said again before the meter is passed over", ge=0, le=10)


@dataclass(slots=True)
class MeterUnit:
    """One meter on the line. Implements PowerMeter."""

    options: MeterOptions
    map: RegisterMap
    blocks: tuple[Block, ...] = ()
    trouble: str = "not read yet"
    """Empty when the last cycle gave a reading."""
    answered_at: float | None = None
    doubt: str = ""
    """Why the last reading is suspect."""
    _energy: EnergyRegister = field(default_factory=EnergyRegister)
    _reading: MeterReading | None = None
    _data: dict[int, bytes] = field(default_factory=dict)
    _energy_at: float = 0.0

    def __post_init__(self) -> None:
        self.blocks = self.map.blocks()
        energy, phases = self.map.energy, max(1, len(self.map.values.get("current_a", "...")))
        self._energy = EnergyRegister(
            step_wh=0.0 if energy.is_float else abs(energy.scale),
            max_power_w=most_power_w(self.options.max_current_a, phases),
            rollover_wh=energy.rolls_over_at,
        )

    def meter(self) -> MeterReading | None:
        return self._reading

    @property
    def label(self) -> str:
        name = f"meter {self.options.name!r} " if self.options.name else "meter "
        return f"{name}(address {self.options.address})"

    def begin(self) -> None:
        self._data.clear()

    def take(self, block: Block, registers: bytes, now: float) -> None:
        """Keep one block's registers."""
        for index in range(block.count):
            self._data[block.address + index] = registers[2 * index : 2 * index + 2]
        energy = self.map.energy
        if block.address <= energy.address and energy.end <= block.address + block.count:
            self._energy_at = now
        self.answered_at = now

    def finish(self) -> None:
        """All blocks of a cycle are in: make the reading, or say why not."""
        values: dict[str, tuple[float, ...]] = {}
        for key, registers in self.map.values.items():
            numbers, self.trouble = self._numbers(key, registers)
            if self.trouble:
                return
            values[key] = numbers
        export = values.get("energy_export_wh")
        power = values.get("power_w")
        power_w = round(sum(power), DIGITS) if power else None
        voltage_v, current_a = _rounded(values, "voltage_v"), _rounded(values, "current_a")
        judged = self._energy.take(
            values[register_map.REQUIRED][0], self._energy_at, active_power_w(power_w, voltage_v, current_a)
        )
        self._reading = MeterReading(
            at=self._energy_at,
            energy_import_wh=judged.energy_wh,
            energy_export_wh=energy_wh(export[0]) if export else None,
            power_w=power_w,
            voltage_v=voltage_v,
            current_a=current_a,
            frequency_hz=next(iter(_rounded(values, "frequency_hz")), None),
            power_factor=next(iter(_rounded(values, "power_factor")), None),
            quality=judged.quality,
        )
        self.doubt = f"{self.label}: {judged.doubt}" if judged.doubt else ""

    @property
    def event(self) -> str:
        """What is worth telling of a meter that is well."""
        turns = self._energy.turns
        return f"{self.label}: its energy register rolled over ({turns} ×) and is continued" if turns else ""

    def _numbers(self, key: str, registers: tuple[Register, ...]) -> tuple[tuple[float, ...], str]:
        """Return the numbers under ``key``, and why the reading cannot be made."""
        numbers: list[float] = []
        missing: Register | None = None
        for register in registers:
            number = register.decode(self._raw(register))
            where = f"{self.label}: register {register.address:#06x} ({key})"
            if number is None and register.optional:
                missing = register
            elif number is None:
                return (), f"{where} holds no number"
            elif impossible(key, number, self.options.max_current_a):
                return (), f"{where} shows {number:g}, which cannot be; check 'map'"
            elif missing is not None:  # dropping L2 would make L3 look like it
                return (
                    (),
                    f"{self.label}: register {missing.address:#06x} ({key}) holds no number, but a later phase does",
                )
            else:
                numbers.append(number)
        return tuple(numbers), ""

    def _raw(self, register: Register) -> bytes:
        return b"".join(self._data[address] for address in range(register.address, register.end))


def _rounded(values: Mapping[str, tuple[float, ...]], key: str) -> tuple[float, ...]:
    return tuple(round(value, DIGITS) for value in values.get(key, ()))


class ModbusMeter:
    """The device: the line and its master."""

    def __init__(self, name: str, options: ModbusMeterOptions) -> None:
        self.name = name
        self._options = options
        settings = SerialSettings(options.port, options.baud, options.parity, options.stop_bits)
        self._line = SerialLine(settings)
        self._character_s = settings.character_s
        self._gap_s = modbus_rtu.gap_s(settings.character_s, options.baud)
        self._map_trouble = _check_meters(options.meters)
        self._units: dict[str, MeterUnit] = {}
        try:
            for meter in options.meters:
                self._units[meter.name] = MeterUnit(meter, register_map.load(meter.map))
        except MapError as error:
            self._map_trouble = str(error)
        self._jobs: list[tuple[MeterUnit, Block]] = []
        """What is left of this cycle; the first is under way."""
        self._tries_left = 0
        self._received: bytearray | None = None
        """None while no answer is awaited."""
        self._deadline = 0.0
        self._send_at = 0.0
        self._send_by = 0.0
        self._next_cycle = 0.0
        self._closed = False

    def start(self, now: float) -> None:
        if self._map_trouble:
            raise DeviceError(f"{self.name}: {self._map_trouble}")
        self._line.check()
        self._next_cycle = now
        self._line.open(now)
        self._work(now)

    def fileno(self) -> int | None:
        return self._line.fileno()

    def on_readable(self, now: float) -> None:
        data = self._line.read()
        if not self._line.is_open:
            self._stop_cycle()
            return
        if self._received is None:  # nobody was asked: let the line fall silent, but not for ever
            quiet_at = max(self._send_at, now + self._gap_s)
            self._send_at = min(quiet_at, max(self._send_by, now)) if self._jobs else quiet_at
            return
        self._received += data
        del self._received[:-RECEIVE_LIMIT]
        answer = modbus_rtu.find_answer(self._request(), bytes(self._received))
        if answer is not None:
            self._answered(answer, now)

    def on_timer(self, now: float) -> float:
        if self._closed:
            return now + self._options.poll_interval_s
        if not self._line.is_open:
            self._stop_cycle()
            try:
                self._line.open(now)
            except DeviceError as error:  # the node came back as something else
                self._line.trouble = str(error)
            if not self._line.is_open:
                return self._line.next_open_at
        self._line.flush()
        return self._work(now)

    def close(self) -> None:
        self._closed = True
        self._stop_cycle()
        self._line.close()

    def health(self, now: float) -> Health:  # noqa: ARG002 (part of the contract)
        units = self._units.values()
        troubles = [unit.trouble or unit.doubt for unit in units if unit.trouble or unit.doubt]
        heard = [unit.answered_at for unit in self._units.values() if unit.answered_at is not None]
        last_heard_at = max(heard) if heard else None
        if self._map_trouble:
            return Health(False, self._map_trouble)
        if not self._line.is_open:
            return Health(False, self._line.trouble, last_heard_at)
        told = troubles or [unit.event for unit in units if unit.event]
        detail = f"{self._options.port}: {'; '.join(told)}" if told else ""
        return Health(not troubles, detail, last_heard_at)

    def unit(self, name: str) -> MeterUnit:
        if name not in self._units:
            known = ", ".join(repr(known) for known in self._units)
            raise KeyError(f"{self.name}: no meter named {name!r}; there are: {known}")
        return self._units[name]

    def _work(self, now: float) -> float:
        """Do what is due and return when to come again."""
        if not self._line.is_open:
            return self._line.next_open_at
        if self._received is not None and now >= self._deadline:
            self._failed("does not answer; check its power, the wiring (A/B), 'address' and 'baud'", now)
        if not self._jobs and now >= self._next_cycle:
            self._begin_cycle(now)
        if self._received is None and self._jobs and now >= self._send_at:
            self._ask(now)
        return now + STEP_S if self._jobs else self._next_cycle

    def _begin_cycle(self, now: float) -> None:
        self._next_cycle = now + self._options.poll_interval_s
        for unit in self._units.values():
            unit.begin()
            self._jobs += [(unit, block) for block in unit.blocks]
        self._tries_left = self._tries()
        self._send_by = now + BUSY_LINE_S

    def _tries(self) -> int:
        """A meter that gave nothing last time is asked once only, so that it does not slow the others down."""
        return 1 + (self._options.retries if self._jobs and not self._jobs[0][0].trouble else 0)

    def _request(self) -> ReadRequest:
        unit, block = self._jobs[0]
        return ReadRequest(unit.options.address, unit.map.function, block.address, block.count)

    def _ask(self, now: float) -> None:
        request = self._request()
        self._line.discard_input()
        self._tries_left -= 1
        self._received = bytearray()
        wire_s = (modbus_rtu.REQUEST_SIZE + request.answer_size) * self._character_s
        self._deadline = now + wire_s + self._options.response_timeout_s
        self._line.send(request.encode())

    def _answered(self, answer: ReadAnswer | ExceptionAnswer, now: float) -> None:
        self._received = None
        unit, block = self._jobs[0]
        if isinstance(answer, ReadAnswer):
            unit.take(block, answer.registers, now)
            self._next_job(now, self._gap_s)
            if not self._jobs or self._jobs[0][0] is not unit:
                unit.finish()
            return
        unit.answered_at = now
        if answer.code == modbus_rtu.ILLEGAL_ADDRESS and unit.blocks != unit.map.blocks(0):
            # It does not let unused registers be read along: from now on only those that the map names.
            unit.blocks = unit.map.blocks(0)
            unit.begin()
            self._jobs = [(unit, piece) for piece in unit.blocks] + [job for job in self._jobs if job[0] is not unit]
            self._tries_left = self._tries()
            self._send_at = now + self._gap_s
            return
        if answer.code == modbus_rtu.BUSY:
            self._failed(f"answers {answer.text}", now)
            return
        unit.trouble = f"{unit.label}: answers {answer.text} to register {block.address:#06x}; check 'map'"
        self._give_up(now)

    def _failed(self, reason: str, now: float) -> None:
        self._received = None
        if self._tries_left > 0:
            self._send_at = now + LATE_ANSWER_S
            self._send_by = self._send_at + BUSY_LINE_S
            return
        unit = self._jobs[0][0]
        unit.trouble = f"{unit.label}: {reason}"
        self._give_up(now)

    def _give_up(self, now: float) -> None:
        """Leave this meter for the rest of the cycle."""
        unit = self._jobs[0][0]
        while len(self._jobs) > 1 and self._jobs[1][0] is unit:
            del self._jobs[1]
        self._next_job(now, LATE_ANSWER_S)

    def _next_job(self, now: float, pause_s: float) -> None:
        del self._jobs[0]
        self._tries_left = self._tries()
        self._send_at = now + pause_s
        self._send_by = self._send_at + BUSY_LINE_S

    def _stop_cycle(self) -> None:
        self._jobs.clear()
        self._received = None


def _units(options: ModbusMeterOptions) -> Mapping[str, frozenset[PortKind]]:
    return {meter.name: frozenset({PortKind.POWER_METER}) for meter in options.meters}


DRIVER = Driver(
    name="modbus-meter",
    summary="energy meters on a Modbus RTU line, by register map",
    options=ModbusMeterOptions,
    units=_units,
    create=ModbusMeter,
)
