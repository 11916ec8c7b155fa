"""What can stand at an EVSE of the lab: the contract of boards, meters and readers, and which there are.

A *kind* lives beside its simulator. It builds the peer that speaks the
real wire and says how the agent's configuration must name it. The lab knows no more of it than this module.

The physics (vehicle, cable, supply, currents) belongs to ``simulators.lab.evse``. A board peer owns what a charger's
board owns: the pilot, the main contacts, the lock, the sensors. A meter peer counts what flows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from simulators.meters.register import MeterCore
from simulators.oracle import EventLog

Switch = Callable[[bool, float], None]
"""``switch(on, now)`` puts a fault in or takes it out."""

CONNECTORS = ("socket", "cable")


class KindError(ValueError):
    """A kind cannot be built as it was asked for. The text names the setting, the rule and the remedy."""


@dataclass(frozen=True, slots=True)
class FaultNote:
    """What a fault does, for ``evse-sim ctl faults``. ``once``: it happens at "on"; "off" changes nothing."""

    summary: str
    once: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a board senses at a moment: pilot peaks, the plug's coding, phase currents and voltages."""

    high_v: float
    low_v: float
    cable_a: int = 0
    """Rating that the proximity contact shows in ampere; 0 for none, −1 for a short."""
    current_a: tuple[float, float, float] = (0.0, 0.0, 0.0)
    voltage_v: tuple[float, float, float] = (230.0, 230.0, 230.0)
    energy_wh: float = 0.0
    """Where the EVSE's register stands, whole watt-hours: what a board that measures by itself shows."""


class LabPort(Protocol):
    """One wire to the software under test: a pty, a TCP port, a CAN bus, a GPIO chip."""

    noise: float
    """Share of bytes or frames that are damaged on their way, both ways (0 … 1)."""
    cut: bool
    """Nothing passes either way, yet the node is there: a wire has come off."""

    @property
    def is_open(self) -> bool: ...

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make the node (plug it in). Nothing happens when it is there."""

    def close(self) -> None:
        """Take the node away (unplug it)."""


@dataclass(frozen=True, slots=True)
class Site:
    """What a peer is given when it is built. All of it lives on one event loop."""

    number: int
    """EVSE number, from 1; 0 for what serves them all. A meter that serves some has the number of the first."""
    directory: Path
    """The lab's directory: nodes, logs and sockets of the peer go here, named by the peer and its number."""
    loop: asyncio.AbstractEventLoop
    log: EventLog
    now: float
    wake: Callable[[], None]
    """Call when something was commanded or is about to be read: the physics steps at once, so that registers are
    fresh. Harmless at any time."""
    phases: int = 3
    max_current_a: float = 32.0
    connector: str = "socket"
    """``socket`` or ``cable``."""
    ventilation: bool = False
    options: Mapping[str, str] | None = None
    """The kind's own settings, from ``--board KIND:name=value,…``; see ``take_options``."""
    logs: Mapping[int, EventLog] = field(default_factory=dict)
    """Of a meter: the diary of each EVSE it measures, by number. Reads of the register go there (``read``)."""
    shared: dict[str, Any] = field(default_factory=dict)
    """One and the same for all peers of a lab: what several hang on (a bus, a line) is kept here by name."""


class BoardPeer(Protocol):
    """A simulated pilot board, charge controller, or set of GPIO lines with the electronics behind them.

    The lab writes ``contacts_closed`` and ``contacts_opened`` into the board's diary (``Site.log``) by watching
    ``poles``; what the board decides and hears (``coil_on``, ``coil_off``, ``reset``, ``frame_in``, …) it
    writes itself.    Building opens nothing: that is for ``open`` of its ports."""

    @property
    def faults(self) -> Mapping[str, Switch]:
        """What can be broken on purpose, by name (hardware sheet §J): words with hyphens, shared with other kinds where
        they mean the same (``simulators.lab.faults.KNOWN_FAULTS``). ``board-silent`` (wire cut), ``board-noise`` and
        ``board-unplugged`` need not be here: the lab makes them of ``ports()``."""

    @property
    def duty_pct(self) -> float:
        """The pilot on the cable now: 0 steady −12 V, 100 steady +12 V, between them the duty of the PWM."""

    @property
    def poles(self) -> tuple[bool, bool, bool]:
        """Which phases the main contacts pass now."""

    def step(self, now: float, around: Surroundings) -> bool:
        """Let time pass. True while something moves: step again within 10 ms."""

    def power_up(self, now: float) -> None: ...

    def power_down(self, now: float) -> None:
        """Supply is lost: coils drop, nothing is said any more."""

    def ports(self) -> Sequence[LabPort]: ...

    def devices(self) -> dict[str, Any]:
        """Entries for ``devices:`` of the agent's configuration, by name. A device that several EVSEs share appears
        with the same name and content from each."""

    def references(self) -> dict[str, Any]:
        """Fields of this EVSE's entry in ``evses:``: ``board``, and where they are apart ``contactor``, ``lock``, …;
        ``meter`` only where the board measures by itself (used with ``--meter board``). A mapping under
        ``installation`` goes into that section instead."""

    def state(self) -> dict[str, Any]:
        """For ``evse-sim ctl state``, JSON-ready, at least ``pilot_state`` (letter or None), ``closed`` (main
        contacts), ``feedback``, ``coil``, ``lock`` (locked, unlocked, moving, none), ``running``,
        ``opened_because``."""


class MeterPeer(Protocol):
    """One meter, or a line of them. ``core(n)`` is the register that EVSE ``n`` turns."""

    @property
    def faults(self) -> Mapping[str, Callable[[int, bool, float], None]]:
        """``switch(evse, on, now)``. ``meter-noise``, ``meters-silent`` and ``meters-unplugged`` come from ``ports()``;
        ``meter-silent``, ``meter-freeze``, ``meter-nan`` and ``meter-energy-nan`` from the core (``core_faults``)."""

    def core(self, evse: int) -> MeterCore: ...

    def step(self, now: float) -> bool: ...

    def power(self, on: bool, now: float) -> None: ...

    def ports(self) -> Sequence[LabPort]: ...

    def devices(self) -> dict[str, Any]: ...

    def reference(self, evse: int) -> str:
        """The ``meter:`` of that EVSE's entry."""

    def state(self, evse: int) -> dict[str, Any]: ...


class ReaderPeer(Protocol):
    """A card reader."""

    @property
    def faults(self) -> Mapping[str, Switch]:
        """``reader-silent`` (wire cut), ``reader-noise`` and ``reader-unplugged`` come from ``ports()``."""

    @property
    def card(self) -> bytes | None:
        """UID of the card in its field."""

    def present(self, uid: bytes, now: float) -> None: ...

    def remove(self) -> None: ...

    def step(self, now: float) -> bool: ...

    def power(self, on: bool, now: float) -> None: ...

    def ports(self) -> Sequence[LabPort]: ...

    def devices(self) -> dict[str, Any]: ...

    def reference(self) -> str:
        """The ``reader:`` of an EVSE, or the entry under ``readers:``."""


@dataclass(frozen=True, slots=True)
class BoardKind:
    name: str
    summary: str
    build: Callable[[Site], BoardPeer]
    connectors: tuple[str, ...] = CONNECTORS
    """Which connectors such a board serves; the first is taken where none is asked for. A controller without lock and
    proximity contact serves ``("cable",)``."""
    notes: Mapping[str, FaultNote] = field(default_factory=dict)
    """What its own faults do, where ``KNOWN_FAULTS`` does not say so already."""
    opens_within_s: float = 5.0
    """Promise: how long its contacts may stay closed after the wire to it was cut or its host has died, by the
    hardware's own time-out. ``math.inf`` for one that has none and trusts its host."""
    measures: bool = False
    """It has a meter of its own, and ``references()`` a ``meter``: ``--meter board`` works."""
    meter_step_wh: int = 1
    """What one step of its own meter's register stands for on the wire."""


@dataclass(frozen=True, slots=True)
class MeterKind:
    """``build(site, registers)``: the EVSEs it measures, by number, with the register each begins at in Wh."""

    name: str
    summary: str
    build: Callable[[Site, Mapping[int, int]], MeterPeer]
    notes: Mapping[str, FaultNote] = field(default_factory=dict)
    variants: tuple[str, ...] = ()
    """Settings worth a charge of their own in the tests, as they stand after the colon (``map=sdm120``)."""
    step_wh: int = 1
    """What one step of the register stands for on the wire."""
    steps_wh: Mapping[str, int] = field(default_factory=dict)
    """Where it depends on the settings: by variant."""


@dataclass(frozen=True, slots=True)
class ReaderKind:
    name: str
    summary: str
    build: Callable[[Site], ReaderPeer]
    uid_bytes: tuple[int, ...] = (4, 7, 10)
    """How many bytes the numbers of its cards may have."""
    notes: Mapping[str, FaultNote] = field(default_factory=dict)


BOARDS: dict[str, str] = {
    "can-board": "simulators.can.board_kind:CAN_BOARD",
    "canopen-io": "simulators.can.io_kind:CANOPEN_IO",
    "openevse": "simulators.openevse.kind:OPENEVSE",
    "gpio": "simulators.gpio.board_kind:GPIO",
    "yeti": "simulators.boards.mcu_kinds:YETI",
    "tida": "simulators.boards.mcu_kinds:TIDA",
    "simple-evse": "simulators.controllers.kinds:SIMPLE_EVSE",
    "phoenix-em-cp-pp-eth": "simulators.controllers.kinds:PHOENIX_EM_CP_PP_ETH",
    "phoenix-ev-cc-eth": "simulators.controllers.kinds:PHOENIX_EV_CC_ETH",
    "phoenix-ev-cc-ac1-m": "simulators.controllers.kinds:PHOENIX_EV_CC_AC1_M",
    "heidelberg": "simulators.controllers.kinds:HEIDELBERG",
    "abl-emh1": "simulators.controllers.kinds:ABL_EMH1",
    "bender-cc612": "simulators.controllers.kinds:BENDER_CC612",
}
"""Name → ``module:ATTRIBUTE`` of a ``BoardKind``."""
METERS: dict[str, str] = {
    "can-meter": "simulators.can.meter:CAN_METER",
    "eastron": "simulators.meters.modbus_kinds:EASTRON",
    "modbus": "simulators.meters.modbus_kinds:MODBUS",
    "s0": "simulators.gpio.s0_kind:S0",
    "modbus-tcp": "simulators.meters.modbus_kinds:MODBUS_TCP",
}
READERS: dict[str, str] = {
    "pn532": "simulators.readers.serial_kinds:PN532",
    "ascii": "simulators.readers.serial_kinds:ASCII",
    "hid": "simulators.readers.serial_kinds:HID",
    "rdm6300": "simulators.readers.serial_kinds:RDM6300",
    "wiegand": "simulators.gpio.wiegand_kind:WIEGAND",
}


def load(table: Mapping[str, str], name: str) -> Any:
    """Import and return the kind of that name. KeyError for one that is not in the table."""
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)


def take_options(site: Site, kind: str, defaults: Mapping[str, str]) -> dict[str, str]:
    """The settings a peer was built with, over its defaults. Raises KindError for one it does not know."""
    given = dict(site.options or {})
    for name in given:
        if name not in defaults:
            known = ", ".join(defaults) or "none"
            raise KindError(f"{kind}: there is no setting {name!r}; it has: {known}")
    return {**defaults, **given}


def core_faults(core: Callable[[int], MeterCore]) -> dict[str, Callable[[int, bool, float], None]]:
    """The faults every meter's register brings with it; ``core(evse)`` finds the register."""

    def of(attribute: str) -> Callable[[int, bool, float], None]:
        return lambda evse, on, _: setattr(core(evse), attribute, on)

    return {
        "meter-silent": of("silent"),
        "meter-freeze": lambda evse, on, _: core(evse).freeze(on),
        "meter-nan": of("nan"),
        "meter-energy-nan": of("energy_nan"),
    }
