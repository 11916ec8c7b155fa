"""A DBC file and its mapping, compiled: which frames are read and sent, and where in them our numbers lie.

``hal.can.compile`` writes a table as JSON, once, where cantools is installed; control reads it with the standard
library. The table names the files it was made from with their checksums, and is refused when they have changed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hal.can.checksums import METHODS
from hal.can.frames import EXTENDED_MASK, MAX_DATA, STANDARD_MASK, Frame
from hal.can.roles import READ_ROLES, WRITE_ROLES
from hal.can.signals import FLOATS, Signal

FORMAT = 1
SUFFIX = ".can.json"


class TableError(ValueError):
    """A table, a mapping or a DBC file breaks a rule. The text names the file, the place and the remedy."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """One byte of a frame that guards the others. ``prefix``: bytes that are counted in but not sent (a data id)."""

    byte: int
    method: str
    prefix: bytes = b""

    def of(self, data: bytes) -> int:
        return METHODS[self.method](self.prefix + data[: self.byte] + data[self.byte + 1 :])

    def holds(self, data: bytes) -> bool:
        return data[self.byte] == self.of(data)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that we read. After ``timeout_s`` without a good one its values count no more."""

    name: str
    id: int
    extended: bool
    size: int
    timeout_s: float
    heartbeat: bool
    signals: Mapping[str, Signal]
    counter: Signal | None = None
    checksum: Checksum | None = None
    multiplexor: Signal | None = None
    expect: tuple[tuple[Signal, tuple[int, ...]], ...] = ()
    """Signals that must hold one of these raw values; else the board is another than the file describes."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that we send every ``period_s``, and at once when something in it changes."""

    name: str
    id: int
    extended: bool
    size: int
    period_s: float
    signals: Mapping[str, Signal]
    constant: bytes
    """The frame before anything is commanded, but for the signals named."""
    counter: Signal | None = None
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    incoming: tuple[Incoming, ...]
    outgoing: tuple[Outgoing, ...]
    sources: Mapping[str, str]
    """File name beside the table → SHA-256 of what it held."""

    @property
    def reads(self) -> frozenset[str]:
        return frozenset(role for message in self.incoming for role in message.signals)

    @property
    def writes(self) -> frozenset[str]:
        return frozenset(role for message in self.outgoing for role in message.signals)


def checksum_of(path: Path) -> str:
    """SHA-256 of a file. Raises OSError."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def good(message: Incoming | Outgoing, frame: Frame) -> bool:
    """The frame is long enough and its checksum, where it has one, holds."""
    if len(frame.data) < message.size:
        return False
    return message.checksum is None or message.checksum.holds(frame.data[: message.size])


def dump(table: Table) -> str:
    """Return the JSON of a table."""
    content = {"format": FORMAT, **dataclasses.asdict(table, dict_factory=_public)}

    def plain(value: object) -> object:
        if isinstance(value, bytes):
            return value.hex()
        raise TypeError(f"{type(value).__name__} in a table")

    return json.dumps(content, default=plain, indent=1, ensure_ascii=False) + "\n"


def _public(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Fields that are worked out from the others are not written down."""
    return {name: value for name, value in items if not name.startswith("_")}


def load(path: Path) -> Table:
    """Read a table. Raises TableError when it is missing, damaged, or older than the files it was made from."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TableError(f"{path}: is not there; write it with: evse-agent can-map MAPPING.yaml") from None
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: cannot be read as a table ({error}); write it with: evse-agent can-map") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise TableError(f"{path}: is no table of format {FORMAT}; write it anew with: evse-agent can-map MAPPING.yaml")
    try:
        table = _table(content)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise TableError(
            f"{path}: is damaged ({error!r}); write it anew with: evse-agent can-map MAPPING.yaml"
        ) from None
    for name, checksum in table.sources.items():
        source = path.parent / name
        try:
            changed = source.exists() and checksum_of(source) != checksum
        except OSError as error:
            raise TableError(f"{source}: cannot be read: {error}") from None
        if changed:
            raise TableError(f"{path}: {name} has changed since; write the table anew with: evse-agent can-map")
    return table


def check(path: Path) -> str:
    """For ``hal.options.option``: the broken rule, or an empty text."""
    try:
        load(path)
    except TableError as error:
        return str(error)
    return ""


def _table(content: dict[str, Any]) -> Table:
    incoming = tuple(_incoming(entry) for entry in content["incoming"])
    outgoing = tuple(_outgoing(entry) for entry in content["outgoing"])
    names = [(message.id, message.extended) for message in incoming]
    names += [(message.id, message.extended) for message in outgoing]
    if len(set(names)) != len(names):
        raise ValueError("an id is given twice")
    if not any(message.heartbeat for message in incoming):
        raise ValueError("no message is a heartbeat")
    sources = {str(name): str(checksum) for name, checksum in content["sources"].items()}
    if any("/" in name for name in sources):
        raise ValueError("a source lies elsewhere")
    return Table(str(content["name"]), incoming, outgoing, sources)


def _incoming(entry: dict[str, Any]) -> Incoming:
    size, head = _head(entry)
    timeout_s = float(entry["timeout_s"])
    if not 0 < timeout_s <= 3600:
        raise ValueError(f"timeout {timeout_s} s")
    return Incoming(
        **head,
        timeout_s=timeout_s,
        heartbeat=bool(entry["heartbeat"]),
        signals=_signals(entry["signals"], size, READ_ROLES),
        multiplexor=_signal_or_none(entry["multiplexor"], size),
        expect=tuple((_signal(signal, size), tuple(int(raw) for raw in raws)) for signal, raws in entry["expect"]),
    )


def _outgoing(entry: dict[str, Any]) -> Outgoing:
    size, head = _head(entry)
    constant = bytes.fromhex(entry["constant"])
    period_s = float(entry["period_s"])
    if len(constant) != size or not 0.01 <= period_s <= 60:
        raise ValueError(f"period {period_s} s or constant of {len(constant)} bytes")
    signals = _signals(entry["signals"], size, WRITE_ROLES)
    return Outgoing(**head, period_s=period_s, signals=signals, constant=constant)


def _head(entry: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    number, extended, size = int(entry["id"]), bool(entry["extended"]), int(entry["size"])
    if not 0 <= number <= (EXTENDED_MASK if extended else STANDARD_MASK) or not 1 <= size <= MAX_DATA:
        raise ValueError(f"id {number:#x} of {size} bytes")
    checksum = None
    if entry["checksum"] is not None:
        given = entry["checksum"]
        checksum = Checksum(int(given["byte"]), str(given["method"]), bytes.fromhex(given["prefix"]))
        if not 0 <= checksum.byte < size or checksum.method not in METHODS:
            raise ValueError("checksum")
    counter = _signal_or_none(entry["counter"], size)
    head = {"name": str(entry["name"]), "id": number, "extended": extended, "size": size}
    return size, {**head, "counter": counter, "checksum": checksum}


def _signals(entries: dict[str, Any], size: int, roles: tuple[str, ...]) -> dict[str, Signal]:
    unknown = [role for role in entries if role not in roles]
    if unknown:
        raise ValueError(f"roles {unknown}")
    return {role: _signal(entry, size) for role, entry in entries.items()}


def _signal_or_none(entry: Any, size: int) -> Signal | None:
    return None if entry is None else _signal(entry, size)


def _signal(entry: dict[str, Any], size: int) -> Signal:
    fields = dict(entry)
    for name in ("absent", "mux"):
        fields[name] = tuple(int(raw) for raw in fields[name])
    fields["meanings"] = tuple((int(raw), meaning) for raw, meaning in fields["meanings"])
    signal = Signal(**fields)
    numbers = (signal.scale, signal.offset, signal.low or 0.0, signal.high or 0.0)
    if not all(isinstance(number, int | float) for number in numbers) or not signal.scale:
        raise ValueError(f"{signal.name}: scale, offset or bounds")
    if signal.size != size or not signal.fits() or (signal.is_float and signal.length not in FLOATS):
        raise ValueError(f"{signal.name}: lies outside its frame")
    return signal
