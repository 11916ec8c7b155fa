"""The ports of a charger's hardware, as control sees them.

A *device* is one thing on one wire (a serial port, a bus, a chip). It offers one or more *units*, each of which
is an object that implements one or more of the port protocols below. A pilot board is one device with one unit
that is pilot, contactor, lock and more at once; an RS-485 line is one device with a unit per meter.

Contract for every port, checked by the conformance tests:

* No method blocks. Readings are those the device last received; they are handed out as they are, with their
  own time, however old. Control judges staleness.
* A command goes out on the wire before the method returns (or as soon as the line takes it), is idempotent, and
  is repeated by the device itself after a reconnect or a reset of its counterpart only when it is the safe one.
  Control asserts every command again on each tick that it holds, so a device filters repeats.
* No exception leaves a port method or a device callback, except ``DeviceError`` from ``Device.start``.
* Before its first command a device does nothing that could energise; after ``close()`` it has told its
  counterpart to open, as far as the wire still allows.

Times are seconds of ``time.monotonic()``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Protocol, runtime_checkable

from hal.values import (
    BoardReading,
    ButtonPress,
    ContactorReading,
    EmergencyStopReading,
    EnclosureReading,
    Health,
    Indication,
    LockReading,
    MeterReading,
    PilotReading,
    ProximityReading,
    ResidualCurrentReading,
    SignedReading,
    SigningSession,
    SigningState,
    TemperatureReading,
    TokenRead,
)


class DeviceError(Exception):
    """A device cannot be opened. The text names the node, the reason and the remedy."""


class PortKind(Enum):
    """Names of the ports, as configuration and driver tables use them."""

    CONTROL_PILOT = "control_pilot"
    CONTACTOR = "contactor"
    PROXIMITY_PILOT = "proximity_pilot"
    CABLE_LOCK = "cable_lock"
    RESIDUAL_CURRENT_MONITOR = "residual_current_monitor"
    POWER_METER = "power_meter"
    SIGNING_METER = "signing_meter"
    """Beside POWER_METER: the meter signs what it measured (see ``SigningMeter``)."""
    TOKEN_READER = "token_reader"
    TEMPERATURE_SENSOR = "temperature_sensor"
    EMERGENCY_STOP = "emergency_stop"
    ENCLOSURE = "enclosure"
    BUTTON = "button"
    INDICATOR = "indicator"
    BOARD = "board"
    CHARGE_CONTROLLER = "charge_controller"
    """Beside CONTROL_PILOT, CONTACTOR and BOARD: the device runs the pilot by itself (see ``ChargeController``)."""


@runtime_checkable
class ControlPilot(Protocol):
    def set_pilot(self, duty_pct: float, now: float) -> None:
        """Set the pilot: 0.0 steady −12 V (F), 100.0 steady +12 V (x1), between them 1 kHz PWM of that duty.

        The device rounds down to its own step."""

    def pilot(self) -> PilotReading | None: ...


@runtime_checkable
class Contactor(Protocol):
    def set_contactor(self, closed: bool, now: float) -> None:
        """Close or open the main contacts (for a board with its own safety logic: permit or forbid closing)."""

    def contactor(self) -> ContactorReading | None: ...

    def set_phases(self, phases: int, now: float) -> None:
        """Choose 1 or 3 phases for the next close. Ignored by hardware that cannot; only called while open."""


@runtime_checkable
class ProximityPilot(Protocol):
    def proximity(self) -> ProximityReading | None: ...


@runtime_checkable
class CableLock(Protocol):
    def set_lock(self, locked: bool, now: float) -> None: ...

    def lock(self) -> LockReading | None: ...


@runtime_checkable
class ResidualCurrentMonitor(Protocol):
    def residual_current(self) -> ResidualCurrentReading | None: ...

    def start_self_test(self, now: float) -> None:
        """Begin the self-test; its result appears in the reading. No effect where it is unsupported."""

    def reset_residual_current(self, now: float) -> None:
        """Clear a latched trip in the device, where it latches. Control decides when that is allowed."""


@runtime_checkable
class PowerMeter(Protocol):
    def meter(self) -> MeterReading | None: ...


@runtime_checkable
class SigningMeter(PowerMeter, Protocol):
    """A meter that signs the readings a bill is made of.

    A session is a wish: the device works towards it as far as wire and meter allow, also after either was away. A
    signed set is handed out again and again until it is released, and the meter is not told before that it may
    forget it: so it outlives every process here. Nothing of this may delay a reading of ``meter()``.
    """

    def signing(self) -> SigningState | None:
        """None until the meter was heard."""

    def begin_signing(self, session: SigningSession, now: float) -> None:
        """Sign for this session. Called again for the same transaction (by a restarted control) it goes on with it."""

    def sign_reading(self, now: float) -> None:
        """Sign the reading of now, within a session. No effect on a meter that cannot (``SigningState.separate``)."""

    def end_signing(self, transaction: str, now: float) -> None:
        """The session is over: sign the last reading. A session that was never begun here is looked for as well."""

    def signed(self) -> tuple[SignedReading, ...]:
        """Return the sets that have not been released, oldest first."""

    def release_signed(self, key: str, now: float) -> None:
        """This set is kept safe elsewhere: the meter may forget it."""

    def set_clock(self, utc_s: float, offset_min: int, now: float) -> None:
        """``utc_s`` is the time at ``now``, ``offset_min`` local time's distance from UTC. Written between sessions
        only; no effect on a meter whose clock cannot be set."""


@runtime_checkable
class TokenReader(Protocol):
    def take_tokens(self) -> list[TokenRead]:
        """Return the cards presented since the last call, oldest first, and forget them."""


@runtime_checkable
class TemperatureSensor(Protocol):
    def temperatures(self) -> tuple[TemperatureReading, ...]: ...


@runtime_checkable
class EmergencyStop(Protocol):
    def emergency_stop(self) -> EmergencyStopReading | None: ...


@runtime_checkable
class Enclosure(Protocol):
    """Contacts that tell whether the housing is open and whether the charger stands upright."""

    def enclosure(self) -> EnclosureReading | None: ...


@runtime_checkable
class Button(Protocol):
    def take_presses(self) -> list[ButtonPress]:
        """Return the presses since the last call, oldest first, and forget them."""


@runtime_checkable
class Indicator(Protocol):
    def set_indication(self, indication: Indication, now: float) -> None: ...


@runtime_checkable
class Board(Protocol):
    """A board that supervises pilot and contactor by itself and expects a keep-alive from us."""

    def board(self) -> BoardReading | None: ...

    def reset_board(self, now: float) -> None:
        """Ask the board to reset itself (or pulse its reset line)."""


@runtime_checkable
class ChargeController(ControlPilot, Contactor, Board, Protocol):
    """A controller that runs pilot and contactor by itself; control follows it, permits and limits still rule.

    * ``set_pilot`` with a PWM duty allows it to offer at most the current of that duty (``hal.duty.current_of``),
      and with it to close its contacts by itself when the vehicle asks. x1 and F forbid both: it must stop offering
      and open, within the time its driver promises (``Driver.opens_within_s``). Where it knows no F, F is as x1.
    * ``set_contactor(True)`` confirms what it has done; ``set_contactor(False)`` beside a PWM duty forbids nothing
      (it is asserted on every tick before the vehicle asks). Whenever control wants the contacts open it also shows
      a steady pilot.
    * ``pilot().state`` and ``contactor().closed`` are what the controller reports; ``board()`` is its life sign,
      carries its own faults and its limits.
    * Its own time-out, where it has one, is set so that charging stops or falls to the lowest current without us.
    """


class Device(Protocol):
    """One thing on one wire, driven by control's loop.

    The loop calls ``start`` once, then for ever: waits for ``fileno()`` (when not None) to become readable or for
    the wake time last returned by ``on_timer``, whichever is first, and calls the matching callback. ``fileno``
    may change between calls (hot-unplug): the loop asks again after each callback.
    """

    name: str

    def start(self, now: float) -> None:
        """Open the node and send the safe state. Raises DeviceError when the configuration can never work; a node
        that is merely absent is not an error: the device keeps trying and says so in ``health``."""

    def fileno(self) -> int | None: ...

    def on_readable(self, now: float) -> None: ...

    def on_timer(self, now: float) -> float:
        """Do what is due (keep-alive, next request, time-outs, re-open). Return the next wake time."""

    def close(self) -> None: ...

    def health(self, now: float) -> Health: ...

    def unit(self, name: str) -> object:
        """Return the unit of that name ('' for a device with one unit). KeyError for an unknown one."""


PROTOCOLS: Mapping[PortKind, type] = {
    PortKind.CONTROL_PILOT: ControlPilot,
    PortKind.CONTACTOR: Contactor,
    PortKind.PROXIMITY_PILOT: ProximityPilot,
    PortKind.CABLE_LOCK: CableLock,
    PortKind.RESIDUAL_CURRENT_MONITOR: ResidualCurrentMonitor,
    PortKind.POWER_METER: PowerMeter,
    PortKind.SIGNING_METER: SigningMeter,
    PortKind.TOKEN_READER: TokenReader,
    PortKind.TEMPERATURE_SENSOR: TemperatureSensor,
    PortKind.EMERGENCY_STOP: EmergencyStop,
    PortKind.ENCLOSURE: Enclosure,
    PortKind.BUTTON: Button,
    PortKind.INDICATOR: Indicator,
    PortKind.BOARD: Board,
    PortKind.CHARGE_CONTROLLER: ChargeController,
}
"""What a unit that claims a port must implement."""
