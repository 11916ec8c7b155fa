"""What stands between a driver and its counterpart, to listen, to cut and to spoil.

A wire that knows how joins ``WIRES`` under the text by which drivers claim their node (``option(exclusive=…)``).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from hal.options import Rule


class Trick(Enum):
    """What a wire can do."""

    RECORD = "record what the driver says"
    ISOLATE = "keep the driver apart from its counterpart"
    SILENCE = "cut the line"
    GARBAGE = "say garbage"
    UNPLUG = "take the node away and bring it back"
    OWN = "tell a second owner that there is a first"


class NodeError(Exception):
    """The node cannot be had, or another program has it. The text names node, reason and remedy."""


@dataclass(frozen=True, slots=True)
class Said:
    """One piece of what the driver has sent, as it was taken from the wire. ``at``: monotonic seconds."""

    at: float
    data: bytes


class Wire(Protocol):
    """One node with the kit in between. All of it is called from the thread that calls the driver.

    ``said`` grows from ``open`` on. A bus of frames puts each frame into one ``Said``, in any form that is equal for
    equal frames; ``inject`` then takes bytes to make frames of.
    """

    label: str
    """For the report, such as ``serial relay on /dev/ttyS1``."""
    tricks: frozenset[Trick]
    why_not: str
    """Why the other tricks are impossible here."""
    options: Any
    """The driver's options, leading here."""
    node: str
    """What the driver's health is expected to name."""
    cut: bool
    """Nothing passes either way, yet the node is there."""
    said: list[Said]

    def open(self, connected: bool) -> None:
        """Make the node; ``connected`` False keeps the counterpart out of it. Raises NodeError."""

    def close(self) -> None:
        """Take everything away. May be repeated."""

    def filenos(self) -> list[int]:
        """Descriptors that become readable when ``pump`` has something to do."""

    def pump(self) -> None:
        """Pass on what waits, both ways. Never blocks."""

    def inject(self, data: bytes) -> None:
        """Let the driver hear this."""

    def unplug(self) -> None: ...

    def plug_in(self) -> None: ...


Maker = Callable[[Any, str, Path], Wire]
"""``maker(options, field, directory)``: the option of that name holds the node; files of the wire go into the
directory."""

WIRES: dict[str, str] = {
    "serial port": "hal.conformance.wires.serial_relay:SerialRelay",
}
"""The text of ``exclusive`` → ``module:ATTRIBUTE`` of a ``Maker``."""
NETWORK = "hal.conformance.wires.tcp_relay:TcpRelay"
"""For options that name a ``host``: a loopback relay in front of it."""

SIMULATED = {
    "GPIO line": "hal.conformance.wires.chip_relay:ChipRelay",
    "SPI device": "hal.conformance.wires.spi_relay:SpiRelay",
}
"""For nodes that are not the kernel's but a simulator's (``sim:``): in front of the kernel's own nobody can stand."""


def claimed(options: Any) -> list[tuple[str, str]]:
    """Return node and claim of each option, at any depth, that holds what nobody else may have, where it is given."""
    return [(str(value), rule.exclusive) for _, value, rule in _options(options) if rule.exclusive and value]


def serial_nodes(options: Any) -> list[tuple[str, bool]]:
    """Return name and claimedness of each top-level option that names a serial node."""
    return [(name, bool(rule.exclusive)) for name, value, rule in _fields(options) if _is_serial(value)]


def interpose(options: Any, directory: Path, wires: Mapping[str, str] | None = None) -> Wire:
    """Return the wire that fits the options, not yet open."""
    from hal.conformance.wires.direct import Direct

    table = WIRES if wires is None else wires
    for name, value, rule in _fields(options):
        if value and rule.exclusive in table:
            return _maker(table[rule.exclusive])(options, name, directory)
    if getattr(options, "host", None):
        return _maker(NETWORK)(options, "host", directory)
    for name, _ in serial_nodes(options):
        return _maker(table["serial port"])(options, name, directory)
    for value, claim in claimed(options):
        if claim in SIMULATED and value.startswith("sim:"):
            name = next((name for name, own, _ in _fields(options) if own == value), "")
            return _maker(SIMULATED[claim])(options, name, directory)
    return Direct(options)


def _fields(options: Any) -> Iterator[tuple[str, Any, Rule]]:
    for field in dataclasses.fields(options):
        rule = field.metadata.get("rule")
        if rule is not None:
            yield field.name, getattr(options, field.name), rule


def _options(section: Any) -> Iterator[tuple[str, Any, Rule]]:
    """All options, those of sections within sections too."""
    for name, value, rule in _fields(section):
        yield name, value, rule
        inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple) else (value,)
        for each in inner:
            if dataclasses.is_dataclass(each):
                yield from _options(each)


def _is_serial(value: object) -> bool:
    if not isinstance(value, str) or "/" not in value:
        return False
    node = os.path.realpath(value)
    return node.startswith(("/dev/tty", "/dev/pts/"))


def _maker(target: str) -> Maker:
    module, _, attribute = target.partition(":")
    maker: Maker = getattr(import_module(module), attribute)
    return maker
