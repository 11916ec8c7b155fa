"""A generic CANopen input/output module (CiA 401) as contactor, lock, residual-current inputs and switches.

The module drops its outputs when it misses our heartbeat; it is never the only thing that opens a circuit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hal.can.device import CanDevice
from hal.can.frames import Frame
from hal.can.link import CanOptions
from hal.drivers.canopen_io import units as u
from hal.drivers.canopen_io.node import Node, NodeSettings
from hal.options import option
from hal.ports import PortKind
from hal.registry import Driver


@dataclass(frozen=True, slots=True, kw_only=True)
class CanopenIoOptions(CanOptions):
    node: int = option(help="node id of the module", ge=1, le=127)
    host_node: int = option(127, help="node id of ours, under which our heartbeat runs; one per device", ge=1, le=127)
    timeout_ms: float = option(
        500.0,
        help="so long without a heartbeat, and the module drops its outputs; and we take it for lost",
        unit="ms",
        ge=100,
        le=500,  # hardware.md §G.3: a contactor only with a consumer heartbeat of at most 500 ms
    )
    inverted_inputs: tuple[int, ...] = option(
        (), help="inputs whose 0 is the active state: normally closed contacts, so that a broken wire is active"
    )
    contactors: tuple[u.ContactorOptions, ...] = option((), help="contactors: coil and mirror contact")
    locks: tuple[u.LockOptions, ...] = option((), help="cable locks: motor and switch")
    residual_currents: tuple[u.ResidualCurrentOptions, ...] = option((), help="residual-current monitors")
    emergency_stops: tuple[u.SwitchOptions, ...] = option((), help="emergency stops")
    enclosures: tuple[u.EnclosureOptions, ...] = option((), help="cover and tilt contacts")

    def __post_init__(self) -> None:
        CanOptions.__post_init__(self)
        if self.node == self.host_node:
            raise ValueError(f"node and host_node are both {self.node}; each on the bus needs an id of its own")
        names = [options.name for _, _, options in entries(self)]
        if not names:
            raise ValueError(
                "name at least one unit: contactors, locks, residual_currents, emergency_stops, enclosures"
            )
        outputs = [bit for _, _, options in entries(self) for bit in bits(options)[1]]
        inputs = [bit for _, _, options in entries(self) for bit in bits(options)[0]]
        for what, values in (("name", names), ("output", outputs), ("input", inputs)):
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise ValueError(f"{what} {twice} is given twice; each belongs to one unit")
        astray = [bit for bit in self.inverted_inputs if not 0 <= bit <= u.MOST_BIT]
        if astray:
            raise ValueError(f"inverted_inputs: {astray[0]} is outside 0 … {u.MOST_BIT}")


_INPUTS = ("mirror", "feedback", "trip", "input", "open", "tilted")
_OUTPUTS = ("coil", "lock", "unlock", "test", "reset")


def entries(options: CanopenIoOptions) -> Iterator[tuple[PortKind, Callable[[Any, u.Lines], u.Unit], Any]]:
    """All units: their port, what makes them, their options."""
    yield from ((PortKind.CONTACTOR, u.ContactorUnit, item) for item in options.contactors)
    yield from ((PortKind.CABLE_LOCK, u.LockUnit, item) for item in options.locks)
    yield from ((PortKind.RESIDUAL_CURRENT_MONITOR, u.ResidualCurrentUnit, item) for item in options.residual_currents)
    yield from ((PortKind.EMERGENCY_STOP, u.EmergencyStopUnit, item) for item in options.emergency_stops)
    yield from ((PortKind.ENCLOSURE, u.EnclosureUnit, item) for item in options.enclosures)


def bits(options: Any) -> tuple[list[int], list[int]]:
    """Inputs and outputs that a unit uses."""

    def used(names: tuple[str, ...]) -> list[int]:
        return [bit for name in names if (bit := getattr(options, name, u.NO_BIT)) != u.NO_BIT]

    return used(_INPUTS), used(_OUTPUTS)


class CanopenIo(CanDevice):
    """The device: one node, a unit per thing that hangs on it."""

    def __init__(self, name: str, options: CanopenIoOptions) -> None:
        used = [bits(item) for _, _, item in entries(options)]
        settings = NodeSettings(
            options.node,
            options.host_node,
            options.timeout_ms / 1000,
            needs_inputs=max((bit // 8 + 1 for inputs, _ in used for bit in inputs), default=0),
            needs_outputs=max((bit // 8 + 1 for _, outputs in used for bit in outputs), default=0),
        )
        self._node = Node(settings, self._say)
        super().__init__(name, options, self._node.hears, self._node.says)
        self._inverted = frozenset(options.inverted_inputs)
        self._units: dict[str, u.Unit] = {item.name: make(item, self) for _, make, item in entries(options)}
        self._was_ready = False

    # What the units see

    @property
    def at(self) -> float | None:
        return self._node.inputs_at if self._node.ready else None

    def active(self, bit: int) -> bool | None:
        level = self._node.input(bit)
        return None if level is None else level != (bit in self._inverted)

    def drive(self, bit: int, on: bool) -> bool:
        return self._node.set_output(bit, on and not self._contested)

    def unit(self, name: str) -> u.Unit:
        if name not in self._units:
            known = ", ".join(repr(known) for known in self._units)
            raise KeyError(f"{self.name}: no unit named {name!r}; there are: {known}")
        return self._units[name]

    # The bus

    def _connect(self, now: float) -> None:
        self._node.begin(now)
        self._note_loss_of_node(now)

    def _make_safe(self) -> None:
        self._node.make_safe()

    def _take(self, frame: Frame, now: float) -> None:
        self._node.take(frame, now)
        self._note_loss_of_node(now)
        for unit in self._units.values():
            unit.on_timer(now)

    def _tick(self, now: float) -> float:
        due = self._node.tick(now)
        self._note_loss_of_node(now)
        return min(due, *(unit.on_timer(now) for unit in self._units.values()))

    def _note_loss_of_node(self, now: float) -> None:
        if self._was_ready and not self._node.ready:
            for unit in self._units.values():
                unit.make_safe(now)
        self._was_ready = self._node.ready

    def _trouble(self, now: float) -> str:  # noqa: ARG002 (part of the contract)
        node = self._node
        who = f"node {node.settings.node}"
        if node.ready:
            return f"{who} {node.emergency}" if node.emergency else ""
        if node.trouble:
            return f"{who}: {node.trouble}"
        return f"{who}: is {node.phase.value}; check its power, the wiring, 'node' and the bit rate"

    def _last_heard_at(self) -> float | None:
        return self._node.heard_at

    def _say(self, frame: Frame, urgent: bool) -> None:
        if self._link.is_open:
            self._link.send(frame, urgent=urgent)


def _units(options: CanopenIoOptions) -> Mapping[str, frozenset[PortKind]]:
    return {item.name: frozenset({kind}) for kind, _, item in entries(options)}


DRIVER = Driver(
    name="canopen-io",
    summary="CANopen input/output module (CiA 401): contactor, lock, residual-current and safety inputs",
    options=CanopenIoOptions,
    units=_units,
    create=CanopenIo,
)
