"""Which meter is this? Requests that make any unit speak, and how well each known map explains what it says. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hal.drivers import register_map
from hal.drivers.meter_unit import MeterOptions, MeterUnit
from hal.drivers.modbus_rtu import READ_HOLDING, READ_INPUT, ExceptionAnswer, ReadAnswer, ReadRequest
from hal.drivers.register_map import Block, RegisterMap
from hal.drivers.serial_line import SerialSettings
from hal.values import MeterReading

SPEEDS = (9600, 19200, 2400, 38400, 4800, 115200, 1200, 57600)
FORMATS = (("N", 1), ("E", 1), ("O", 1), ("N", 2))
"""Parity and stop bits, in the order of their being met."""
USUAL_ADDRESSES = range(1, 9)
"""Where makers and fitters put meters: tried first, at every speed."""
VOLTS = (90.0, 300.0)
HERTZ = (45.0, 65.0)
MOST_A = 200.0
MOST_WH = 1e9
LEAST_WH = 10.0
"""Where nothing but energy and power speaks for a map, it must have counted this much: noughts fit every map."""
NO_SUPPLY_V = 5.0
"""A phase below is not connected."""

Answer = ReadAnswer | ExceptionAnswer | None
Exchange = Callable[[ReadRequest], Answer]
"""Sends a request and returns the answer, or None for silence."""


SIGNS = 5
"""What a signing half that answers adds: more than a value that a simpler sister shows besides."""


@dataclass(frozen=True, slots=True)
class Match:
    """A map that explains what a unit says. The higher the score the better; ``weak``: nothing but energy and power
    speaks for it."""

    map_name: str
    title: str
    same: tuple[str, ...]
    """Other maps with the very same registers: no probe can tell them apart."""
    score: int
    reading: MeterReading
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A unit that answered. ``matches`` is empty for one that no map explains."""

    settings: SerialSettings
    address: int
    matches: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Ask these addresses at this line setting."""

    settings: SerialSettings
    addresses: tuple[int, ...]


def settings_of(port: str, speeds: Sequence[int], formats: Sequence[tuple[str, int]]) -> list[SerialSettings]:
    """Every line setting to try, the usual formats first at each speed."""
    return [SerialSettings(port, speed, parity, stop) for parity, stop in formats for speed in speeds]


def first_round(settings: Sequence[SerialSettings], addresses: Sequence[int]) -> list[Step]:
    """The usual addresses at every setting."""
    usual = tuple(address for address in addresses if address in USUAL_ADDRESSES)
    return [Step(each, usual) for each in settings] if usual else []


def second_round(
    settings: Sequence[SerialSettings], addresses: Sequence[int], found: Sequence[Found], *, everywhere: bool
) -> list[Step]:
    """The other addresses: at the settings where somebody answered, since all units of a line share them; at every
    setting when nobody did, or when that is asked for."""
    rest = tuple(address for address in addresses if address not in USUAL_ADDRESSES)
    heard = {each.settings for each in found}
    wanted = [each for each in settings if everywhere or not heard or each in heard]
    return [Step(each, rest) for each in wanted] if rest else []


def greetings(address: int) -> tuple[ReadRequest, ...]:
    """Requests that any unit answers, be it with an exception: some are deaf to one of the two functions."""
    return (ReadRequest(address, READ_INPUT, 0, 2), ReadRequest(address, READ_HOLDING, 0x0E, 2))


def requests_of(steps: Sequence[Step]) -> int:
    """How many requests these steps are, as long as nobody answers."""
    return sum(len(step.addresses) for step in steps) * len(greetings(1))


def is_there(address: int, exchange: Exchange) -> bool:
    return any(exchange(greeting) is not None for greeting in greetings(address))


def identify(address: int, exchange: Exchange) -> tuple[Match, ...]:
    """Read the unit by every shipped map; return those that make sense, the best first."""
    found = []
    for registers, names in _families():
        name = names[0]
        reading = _read(MeterUnit(MeterOptions(address, name), registers), exchange)
        if reading is None:
            continue
        score = plausibility(reading, registers)
        if registers.signing is not None and score is not None:
            # Two makes that differ in nothing but that one signs.
            state = ReadRequest(address, registers.signing.function, registers.signing.state.address, 1)
            score = score + SIGNS if isinstance(exchange(state), ReadAnswer) else None
        weak = not reading.voltage_v and reading.frequency_hz is None
        if score is not None and not (weak and reading.energy_import_wh < LEAST_WH):
            found.append(Match(name, registers.name, tuple(names[1:]), score, reading, weak))
    strong = [match for match in found if not match.weak]
    return tuple(sorted(strong or found, key=lambda match: -match.score))


def plausibility(reading: MeterReading, registers: RegisterMap) -> int | None:
    """Say how well a reading looks like a meter on the mains; None where it cannot be one."""
    score = 0
    for volts in reading.voltage_v:
        if volts < NO_SUPPLY_V:
            score -= 1
        elif VOLTS[0] <= volts <= VOLTS[1]:
            score += 2
        else:
            return None
    if reading.voltage_v and not reading.voltage_v[0] >= NO_SUPPLY_V:
        return None
    if reading.frequency_hz is not None:
        if not HERTZ[0] <= reading.frequency_hz <= HERTZ[1]:
            return None
        score += 3
    if reading.power_factor is not None and abs(reading.power_factor) > 1.001:
        return None
    if any(abs(amperes) > MOST_A for amperes in reading.current_a) or not 0 <= reading.energy_import_wh <= MOST_WH:
        return None
    if reading.voltage_v and reading.power_w is not None:
        pairs = zip(reading.voltage_v, reading.current_a, strict=False)
        if abs(reading.power_w) > 1.1 * sum(abs(volts * amperes) for volts, amperes in pairs) + 100:
            return None  # more power than volts and amperes make
        score += 1
    asked = sum(len(group) for group in registers.values.values())
    return score - (asked - _numbers(reading))


def _numbers(reading: MeterReading) -> int:
    single = (reading.energy_export_wh, reading.power_w, reading.frequency_hz, reading.power_factor)
    return 1 + len(reading.voltage_v) + len(reading.current_a) + sum(value is not None for value in single)


def _families() -> Iterator[tuple[RegisterMap, list[str]]]:
    """Shipped maps, those of the same registers together, by the names of their files."""
    families: list[tuple[RegisterMap, list[str]]] = []
    for path in sorted(register_map.FOLDER.glob("*.yaml")):
        registers = register_map.load(path.stem)
        for known, names in families:
            if (known.function, known.values) == (registers.function, registers.values):
                names.append(path.stem)
                break
        else:
            families.append((registers, [path.stem]))
    yield from families


def _read(unit: MeterUnit, exchange: Exchange) -> MeterReading | None:
    unit.begin()
    for block in unit.blocks:
        if not _take(unit, block, exchange):
            pieces = [
                piece for piece in unit.map.blocks(0) if block.address <= piece.address < block.address + block.count
            ]
            if pieces == [block] or not all(_take(unit, piece, exchange) for piece in pieces):
                return None
    unit.finish()
    return unit.meter()


def _take(unit: MeterUnit, block: Block, exchange: Exchange) -> bool:
    answer = exchange(ReadRequest(unit.options.address, unit.map.function, block.address, block.count))
    if not isinstance(answer, ReadAnswer):
        return False
    unit.take(block, answer.registers, 0.0)
    return True
