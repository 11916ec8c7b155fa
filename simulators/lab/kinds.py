"""What can stand at an EVSE of the lab: the contract of boards, meters and readers, and which there are.

A *kind* lives beside its simulator. It builds the peer that speaks the
real wire and says how the agent's configuration must name it. The lab knows no more of it than this module.

The physics (vehicle, cable, supply, currents) belongs to ``simulators.lab.evse``. A board peer owns what a charger's
board owns: the pilot, the main contacts, the lock, the sensors. A meter peer counts what flows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from simulators.meters.register import MeterCore
from simulators.oracle import EventLog

Switch = Callable[[bool, float], None]
"""``switch(on, now)`` puts a fault in or takes it out."""


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
    """EVSE number, from 1; 0 for what serves them all."""
    directory: Path
    """The lab's directory: nodes, logs and sockets of the peer go here, named by the peer and its number."""
    loop: asyncio.AbstractEventLoop
    log: EventLog
    now: float
    wake: Callable[[], None]
    """Call when something was commanded: the physics steps at once."""
    phases: int = 3
    max_current_a: float = 32.0
    connector: str = "socket"
    """``socket`` or ``cable``."""
    ventilation: bool = False
    options: Mapping[str, str] | None = None
    """The kind's own settings, from ``--board KIND:name=value,…``."""


class BoardPeer(Protocol):
    """A simulated pilot board, charge controller, or set of GPIO lines with the electronics behind them."""

    faults: Mapping[str, Switch]
    """What can be broken on purpose, by name (hardware sheet §J): words with hyphens, shared with other kinds where
    they mean the same (``welded``, ``stuck-open``, ``board-silent``, ``board-garbage``, ``board-reset``, …)."""

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
        ``meter`` only where the board measures by itself."""

    def state(self) -> dict[str, Any]:
        """For ``evse-sim ctl state``, JSON-ready, at least ``pilot_state`` (letter or None), ``closed`` (main
        contacts), ``feedback``, ``coil``, ``lock`` (locked, unlocked, moving, none), ``running``,
        ``opened_because``."""


class MeterPeer(Protocol):
    """One meter, or a line of them. ``core(n)`` is the register that EVSE ``n`` turns."""

    faults: Mapping[str, Callable[[int, bool, float], None]]
    """``switch(evse, on, now)``."""

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

    faults: Mapping[str, Switch]
    card: bytes | None
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


@dataclass(frozen=True, slots=True)
class MeterKind:
    """``build(site, registers)``: the EVSEs it measures, by number, with the register each begins at in Wh."""

    name: str
    summary: str
    build: Callable[[Site, Mapping[int, int]], MeterPeer]


@dataclass(frozen=True, slots=True)
class ReaderKind:
    name: str
    summary: str
    build: Callable[[Site], ReaderPeer]


BOARDS: dict[str, str] = {}
"""Name → ``module:ATTRIBUTE`` of a ``BoardKind``."""
METERS: dict[str, str] = {}
READERS: dict[str, str] = {}


def load(table: Mapping[str, str], name: str) -> Any:
    """Import and return the kind of that name. KeyError for one that is not in the table."""
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
