"""Compiles a DBC file and a mapping to a table: ``evse-agent can-map MAPPING.yaml``.

The only place that needs cantools (extra ``can``). See ``docs/hardware/can-board.md`` for the mapping's form.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from hal.can import roles
from hal.can.checksums import METHODS
from hal.can.frames import MAX_DATA
from hal.can.signals import FLOATS, Signal
from hal.can.table import SUFFIX, Checksum, Incoming, Outgoing, Table, TableError, checksum_of, dump

DEFAULT_TIMEOUT_MS, DEFAULT_PERIOD_MS = 500, 100
CYCLES_MISSED = 3
"""A message with a cycle time in the DBC file is missed after so many of them."""
HEARTBEAT_ROLES = ("pilot_state", "pilot_high_v", "contactor_closed")
_TOP = {"name", "dbc", "read", "write", "messages", "heartbeat", "expect", "constants"}
_MESSAGE = {"timeout_ms", "period_ms", "counter", "checksum"}
_CHECKSUM = {"signal", "method", "prefix"}
_READ = {"signal", "values", "absent", "scale"}
_NONE = "none"


def write_table(mapping: Path, out: Path | None = None) -> Path:
    """Compile ``mapping`` and write the table beside it (or to ``out``). Returns where. Raises TableError."""
    target = out or mapping.with_suffix("").with_suffix(SUFFIX)
    text = dump(compile_mapping(mapping))
    fresh = target.with_name(target.name + ".new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(target)
    except OSError as error:
        raise TableError(f"{target}: cannot be written: {error}") from None
    return target


def compile_mapping(path: Path) -> Table:
    """Return the table of a mapping file. Raises TableError."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TableError(f"{path}: cannot be read: {error}") from None
    top = _section(content, _TOP, str(path))
    dbc = path.parent / str(top.get("dbc", ""))
    if dbc.parent != path.parent or not dbc.is_file():
        raise TableError(f"{path}: dbc: {top.get('dbc')!r}: name a DBC file in the same folder as the mapping")
    compiler = _Compiler(str(path), _database(dbc), top)
    sources = {path.name: checksum_of(path), dbc.name: checksum_of(dbc)}
    return Table(str(top.get("name", path.stem)), compiler.incoming(), compiler.outgoing(), sources)


def _database(path: Path) -> Any:
    try:
        import cantools
    except ImportError:
        raise TableError("cantools is not installed; install the extra: pip install 'evse-agent[can]'") from None
    try:
        return cantools.database.load_file(str(path), database_format="dbc", sort_signals=None)
    except Exception as error:  # noqa: BLE001 (its parser raises what it likes; all of it means a bad file)
        raise TableError(f"{path}: is no DBC file that can be used: {error}") from None


class _Compiler:
    """One mapping against one database."""

    def __init__(self, where: str, database: Any, top: dict[str, Any]) -> None:
        self._where = where
        self._messages = {message.name: message for message in database.messages}
        self._top = top
        self._rules: dict[str, dict[str, Any]] = {}
        for name, rules in _section(top.get("messages", {}), None, f"{where}: messages").items():
            self._message(name, "messages")
            self._rules[name] = _section(rules, _MESSAGE, f"{where}: messages.{name}")

    def incoming(self) -> tuple[Incoming, ...]:
        found: dict[str, dict[str, Signal]] = {}
        for role, entry in _section(self._top.get("read", {}), None, f"{self._where}: read").items():
            where = f"{self._where}: read.{role}"
            if role not in roles.READ_ROLES:
                raise TableError(f"{where}: is no role; there are: {', '.join(roles.READ_ROLES)}")
            given = _section({"signal": entry} if isinstance(entry, str) else entry, _READ, where)
            message, signal = self._signal(given.get("signal"), where)
            found.setdefault(message.name, {})[role] = self._reading(role, given, message, signal, where)
        expect: dict[str, list[tuple[Signal, tuple[int, ...]]]] = {}
        for reference, raws in _section(self._top.get("expect", {}), None, f"{self._where}: expect").items():
            where = f"{self._where}: expect.{reference}"
            message, signal = self._signal(reference, where)
            found.setdefault(message.name, {})
            expect.setdefault(message.name, []).append((self._plain(message, signal, where), _raws(raws, where)))
        if not found:
            raise TableError(f"{self._where}: read: name at least one signal")
        beats = self._heartbeat(found)
        return tuple(
            Incoming(
                **self._head(name),
                timeout_s=self._milliseconds(name, "timeout_ms", self._default_timeout_ms(name)) / 1000,
                heartbeat=name in beats,
                signals=signals,
                multiplexor=self._multiplexor(name, [*signals.values(), *(item[0] for item in expect.get(name, []))]),
                expect=tuple(expect.get(name, [])),
            )
            for name, signals in found.items()
        )

    def outgoing(self) -> tuple[Outgoing, ...]:
        found: dict[str, dict[str, Signal]] = {}
        for role, entry in _section(self._top.get("write", {}), None, f"{self._where}: write").items():
            where = f"{self._where}: write.{role}"
            if role not in roles.WRITE_ROLES:
                raise TableError(f"{where}: is no role; there are: {', '.join(roles.WRITE_ROLES)}")
            given = _section({"signal": entry} if isinstance(entry, str) else entry, {"signal", "values"}, where)
            message, signal = self._signal(given.get("signal"), where)
            found.setdefault(message.name, {})[role] = self._command(role, given, message, signal, where)
        constants: dict[str, bytearray] = {name: bytearray(self._messages[name].length) for name in found}
        for reference, raw in _section(self._top.get("constants", {}), None, f"{self._where}: constants").items():
            where = f"{self._where}: constants.{reference}"
            message, signal = self._signal(reference, where)
            if message.name not in found:
                raise TableError(f"{where}: {message.name} is no message that 'write' sends")
            self._plain(message, signal, where).put(constants[message.name], _raws([raw], where)[0])
        for name in found:
            if name in {message.name for message in self.incoming()}:
                raise TableError(f"{self._where}: {name} is both read and written; one of them is the board's")
        return tuple(
            Outgoing(
                **self._head(name),
                period_s=self._milliseconds(name, "period_ms", DEFAULT_PERIOD_MS) / 1000,
                signals=signals,
                constant=bytes(constants[name]),
            )
            for name, signals in found.items()
        )

    # Signals

    def _signal(self, reference: Any, where: str) -> tuple[Any, Any]:
        message_name, dot, name = str(reference).partition(".")
        if not dot:
            raise TableError(f"{where}: {reference!r}: name a signal as MESSAGE.SIGNAL")
        message = self._message(message_name, where)
        for signal in message.signals:
            if signal.name == name:
                return message, signal
        known = ", ".join(signal.name for signal in message.signals)
        raise TableError(f"{where}: {message_name} has no signal {name!r}; it has: {known}")

    def _message(self, name: str, where: str) -> Any:
        message = self._messages.get(name)
        if message is None:
            known = ", ".join(sorted(self._messages))
            raise TableError(f"{self._where}: {where}: the DBC file has no message {name!r}; it has: {known}")
        if message.is_fd or not 1 <= message.length <= MAX_DATA:
            raise TableError(
                f"{self._where}: {name}: has {message.length} bytes; only classic CAN (1 … 8) is supported"
            )
        return message

    def _plain(self, message: Any, signal: Any, where: str) -> Signal:
        """The signal as the DBC file has it."""
        mux: tuple[int, ...] = ()
        if signal.multiplexer_ids is not None:
            multiplexors = [other for other in message.signals if other.is_multiplexer]
            if len(multiplexors) != 1:
                raise TableError(f"{where}: {message.name} has nested multiplexors, which are not supported")
            mux = tuple(sorted(int(number) for number in signal.multiplexer_ids))
        if signal.is_float and signal.length not in FLOATS:
            raise TableError(f"{where}: a floating-point number of {signal.length} bits is not supported")
        plain = Signal(
            name=f"{message.name}.{signal.name}",
            start=signal.start,
            length=signal.length,
            size=message.length,
            big_endian=signal.byte_order == "big_endian",
            signed=bool(signal.is_signed),
            is_float=bool(signal.is_float),
            scale=float(signal.scale),
            offset=float(signal.offset),
            low=None if signal.minimum is None else float(signal.minimum),
            high=None if signal.maximum is None else float(signal.maximum),
            mux=mux,
        )
        if not plain.fits() or not plain.scale:
            raise TableError(
                f"{where}: {plain.name} lies outside its message or has a scale of 0; correct the DBC file"
            )
        return plain

    def _reading(self, role: str, given: dict[str, Any], message: Any, signal: Any, where: str) -> Signal:
        plain = self._plain(message, signal, where)
        if role in roles.READ_NUMBERS:
            if "values" in given:
                raise TableError(f"{where}: values: {role} is a number; use 'absent' for raw values without one")
            factor = _factor(given.get("scale"), signal.unit, roles.READ_NUMBERS[role], where)
            return _scaled(replace(plain, absent=_raws(given.get("absent", []), where)), factor)
        if role in roles.READ_RAW:
            return plain
        choices: tuple[Any, ...] = (True, False) if role in roles.READ_FLAGS else roles.READ_CHOICES[role]
        return replace(plain, meanings=_meanings(given.get("values"), choices, plain, where))

    def _command(self, role: str, given: dict[str, Any], message: Any, signal: Any, where: str) -> Signal:
        plain = self._plain(message, signal, where)
        if plain.mux or any(other.is_multiplexer for other in message.signals):
            raise TableError(f"{where}: {message.name} is multiplexed; commands must lie in a plain message")
        if role in roles.WRITE_NUMBERS:
            number = _scaled(plain, _factor(None, signal.unit, roles.WRITE_NUMBERS[role], where))
            try:
                for value in (0.0, 100.0):
                    number.raw_of(value)
            except OverflowError:
                raise TableError(f"{where}: {plain.name} cannot hold 0 … 100 %") from None
            if number.scale < 0:
                raise TableError(f"{where}: {plain.name} has a negative scale: it cannot be rounded down")
            return number
        return replace(plain, meanings=_meanings(given.get("values"), (True, False, _NONE), plain, where))

    def _multiplexor(self, name: str, signals: Iterable[Signal]) -> Signal | None:
        if not any(signal.mux for signal in signals):
            return None
        message = self._messages[name]
        return self._plain(message, next(item for item in message.signals if item.is_multiplexer), name)

    # Messages

    def _head(self, name: str) -> dict[str, Any]:
        message, rules, where = self._messages[name], self._rules.get(name, {}), f"{self._where}: messages.{name}"
        counter = checksum = None
        if "counter" in rules:
            counter = self._plain(message, self._signal(f"{name}.{rules['counter']}", where)[1], f"{where}.counter")
        if "checksum" in rules:
            given = _section(rules["checksum"], _CHECKSUM, f"{where}.checksum")
            signal = self._plain(message, self._signal(f"{name}.{given.get('signal')}", where)[1], where)
            byte = signal.start // 8
            if signal.length != 8 or signal.start % 8 != (7 if signal.big_endian else 0):
                raise TableError(f"{where}.checksum: {signal.name} is not one whole byte")
            if given.get("method") not in METHODS:
                raise TableError(f"{where}.checksum.method: {given.get('method')!r} is none of {', '.join(METHODS)}")
            prefix = _raws(given.get("prefix", []), where)
            if any(value > 0xFF for value in prefix):
                raise TableError(f"{where}.checksum.prefix: {prefix!r}: give bytes, 0 … 255")
            checksum = Checksum(byte, str(given["method"]), bytes(prefix))
        head = {"name": name, "id": message.frame_id, "extended": bool(message.is_extended_frame)}
        return {**head, "size": message.length, "counter": counter, "checksum": checksum}

    def _heartbeat(self, found: dict[str, dict[str, Signal]]) -> set[str]:
        given = self._top.get("heartbeat")
        if given is None:
            named = {name for name, signals in found.items() if any(role in signals for role in HEARTBEAT_ROLES)}
            return named or set(found)
        names = given if isinstance(given, list) else [given]
        for name in names:
            if name not in found:
                raise TableError(f"{self._where}: heartbeat: {name!r} is no message that 'read' uses")
        return {str(name) for name in names}

    def _default_timeout_ms(self, name: str) -> float:
        cycle_ms = self._messages[name].cycle_time
        return CYCLES_MISSED * cycle_ms if cycle_ms else DEFAULT_TIMEOUT_MS

    def _milliseconds(self, name: str, key: str, default: float) -> float:
        value = self._rules.get(name, {}).get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 10 <= value <= 60_000:
            raise TableError(f"{self._where}: messages.{name}.{key}: {value!r} is not within 10 … 60000 ms")
        return float(value)


def _scaled(signal: Signal, factor: float) -> Signal:
    if factor == 1:
        return signal
    low, high = (None if bound is None else bound * factor for bound in (signal.low, signal.high))
    return replace(signal, scale=signal.scale * factor, offset=signal.offset * factor, low=low, high=high)


def _factor(given: Any, unit: Any, ours: str, where: str) -> float:
    if given is not None:
        if isinstance(given, bool) or not isinstance(given, int | float) or given <= 0:
            raise TableError(f"{where}: scale: {given!r} is not a number above 0")
        return float(given)
    factors = roles.UNIT_FACTORS[ours]
    if (unit or "") in factors:
        return float(factors[unit or ""])
    if not unit:
        raise TableError(f"{where}: the DBC file names no unit; give 'scale' (1 when the signal is in {ours})")
    raise TableError(f"{where}: the unit {unit!r} is unknown; give 'scale', the factor that makes {ours} of it")


def _meanings(given: Any, choices: tuple[Any, ...], signal: Signal, where: str) -> tuple[tuple[int, Any], ...]:
    if given is None:
        if signal.length == 1 and True in choices:
            return ((1, True), (0, False))
        raise TableError(f"{where}: values: say which raw value means what: {', '.join(map(_shown, choices))}")
    found: list[tuple[int, Any]] = []
    for meaning, raws in _section(given, None, f"{where}: values").items():
        known = next((choice for choice in choices if _shown(choice) == _shown(meaning)), None)
        if known is None:
            raise TableError(f"{where}: values: {meaning!r} is none of {', '.join(map(_shown, choices))}")
        found += [(raw, known) for raw in _raws(raws if isinstance(raws, list) else [raws], where)]
    numbers = [raw for raw, _ in found]
    if len(set(numbers)) != len(numbers) or any(raw > signal.mask for raw in numbers):
        raise TableError(f"{where}: values: a raw value is given twice or does not fit into {signal.length} bits")
    if True in choices and {True, False} - {meaning for _, meaning in found}:
        raise TableError(f"{where}: values: give one for true and one for false")
    return tuple(found)


def _shown(choice: Any) -> str:
    return str(choice).lower() if isinstance(choice, bool) else str(choice)


def _raws(given: Any, where: str) -> tuple[int, ...]:
    values = given if isinstance(given, list) else [given]
    if any(isinstance(value, bool) or not isinstance(value, int) or value < 0 for value in values):
        raise TableError(f"{where}: {given!r}: give raw values: whole numbers from 0")
    return tuple(values)


def _section(content: Any, allowed: set[str] | None, where: str) -> dict[Any, Any]:
    if not isinstance(content, dict):
        raise TableError(f"{where}: give keys and values")
    unknown = [str(key) for key in content if allowed is not None and key not in allowed]
    if unknown:
        raise TableError(f"{where}: unknown: {', '.join(unknown)}; allowed are: {', '.join(sorted(allowed or ()))}")
    return content
