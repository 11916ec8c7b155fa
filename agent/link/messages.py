"""What the two processes tell each other. Frozen values; units in the names.

All times are seconds of ``time.monotonic()``, which on Linux is one clock for all processes of a boot.
The vocabulary is closed: a message that is not here, or does not have these fields, is refused by the codec.

Agent → control: ``Hello``, ``Permit``, ``Withdraw``, ``HoldCable``, ``SetOperative``, ``Indicate``, ``ClearFault``,
``ResetBoard``, ``RunSelfTest``, ``StartAnew``, ``OpenNow``, ``TryLock``, ``TryPilot``, ``TryIndication``,
``AskInputs``.
Of meters that sign: ``agent.link.signing``.

Control → agent: ``Welcome``, ``Observation``, ``MeterSample``, ``TokenPresented``, ``ButtonPressed``,
``FaultReport``, ``DeviceReport``, ``LoopReport``, ``Answer``, ``InputsReport``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from agent.link.signing import (
    BeginSigning,
    EndSigning,
    MeterClock,
    SignedKept,
    SignedSet,
    SigningReport,
    SignReading,
)

PROTOCOL = 1
"""Version of this vocabulary. Both sides state it first and part when it differs."""

MAX_MESSAGE_BYTES = 8192


class FaultCode(Enum):
    """Every fault that control knows. What each does is in ``agent.control.faults``."""

    PILOT = "pilot"
    """CP out of band, in E, or shorted to PE."""
    DIODE = "diode"
    VENTILATION = "ventilation"
    RESIDUAL_CURRENT = "residual_current"
    RESIDUAL_SELF_TEST = "residual_self_test"
    OVER_CURRENT = "over_current"
    CONTACTOR_WELDED = "contactor_welded"
    CONTACTOR_STUCK_OPEN = "contactor_stuck_open"
    PROTECTIVE_EARTH = "protective_earth"
    SUPPLY_VOLTAGE = "supply_voltage"
    TEMPERATURE = "temperature"
    CABLE = "cable"
    """Proximity coding changed, open, shorted or out of table during a session."""
    LOCK = "lock"
    EMERGENCY_STOP = "emergency_stop"
    BOARD_LOST = "board_lost"
    BOARD_RESET = "board_reset"
    BOARD_MISMATCH = "board_mismatch"
    BOARD_FAULT = "board_fault"
    """The board or controller says that its own hardware or software failed."""
    ENCLOSURE = "enclosure"
    """A cover or door is open."""
    TILT = "tilt"
    """The charger no longer stands upright."""
    METER = "meter"
    MAINS = "mains"
    READER = "reader"
    CONTROL_OVERRUN = "control_overrun"
    """Control's own loop did not keep its time."""


class Hold(Enum):
    """One reason why energy does not flow, as control sees it. Observations list them most important first."""

    FAULT = "fault"
    INOPERATIVE = "inoperative"
    EMERGENCY_STOP = "emergency_stop"
    NOT_PLUGGED = "not_plugged"
    NO_PERMIT = "no_permit"
    LIMIT_BELOW_MINIMUM = "limit_below_minimum"
    LEASE_EXPIRED = "lease_expired"
    LOCK_PENDING = "lock_pending"
    SELF_TEST_PENDING = "self_test_pending"
    CHECKS_PENDING = "checks_pending"
    """Start-up, re-close or settle time not over yet."""
    VEHICLE_NOT_READY = "vehicle_not_ready"
    VEHICLE_ASLEEP = "vehicle_asleep"
    STOPPING = "stopping"
    PHASE_SWITCH = "phase_switch"


# ---- agent → control -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    protocol: int
    agent: str
    """Name, version and process id, for the log."""


@dataclass(frozen=True, slots=True)
class Permit:
    """A lease: EVSE ``evse`` may draw at most ``current_a`` per phase on ``phases`` phases for ``lease_s`` from now.

    Each permit replaces the one before. Control only ever lowers it. Below 6 A nothing is offered. When the lease
    runs out control falls to the configured fail-safe current for the configured time, then to no charge.
    """

    evse: int
    serial: int
    """Rises with each permit; observations name the one in force."""
    current_a: float
    phases: int
    lease_s: float
    transaction: str = ""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """End the permit in good order: pilot to x1, wait for the vehicle or 6 s, open."""

    evse: int
    reason: str


@dataclass(frozen=True, slots=True)
class HoldCable:
    """Socket outlets: keep the plug locked while it is in (True), or release it as soon as that is safe (False)."""

    evse: int
    hold: bool


@dataclass(frozen=True, slots=True)
class SetOperative:
    """False: the EVSE is out of service; control signals state F and refuses every permit."""

    evse: int
    operative: bool


@dataclass(frozen=True, slots=True)
class Indicate:
    """``indication`` is a value of ``hal.values.Indication``. Faults that control knows go before it."""

    evse: int
    indication: str


@dataclass(frozen=True, slots=True)
class ClearFault:
    """A person asks to clear a latched fault. Control decides whether its recovery rule allows it."""

    evse: int
    code: FaultCode
    request: int = 0
    """Control tells what becomes of it in an ``Answer`` of this number; 0: nobody waits for one. So below, too."""


@dataclass(frozen=True, slots=True)
class ResetBoard:
    evse: int
    request: int = 0


@dataclass(frozen=True, slots=True)
class RunSelfTest:
    """Run the residual-current self-test now. Control refuses while energy flows."""

    evse: int
    request: int = 0


@dataclass(frozen=True, slots=True)
class OpenNow:
    """Open the contactor in this step, without the vehicle's time to end by itself, and forget the permit."""

    evse: int
    request: int = 0


@dataclass(frozen=True, slots=True)
class TryLock:
    """Close (or open) the lock of an idle, empty outlet for at most ``hold_s``, to see whether it does."""

    evse: int
    locked: bool
    hold_s: float
    request: int = 0


@dataclass(frozen=True, slots=True)
class TryPilot:
    """Show state F at an idle, unplugged EVSE for at most ``hold_s``, to see whether the pilot follows."""

    evse: int
    hold_s: float
    request: int = 0


@dataclass(frozen=True, slots=True)
class TryIndication:
    """Show an indication (a value of ``hal.values.Indication``) at an idle, unplugged EVSE for at most ``hold_s``."""

    evse: int
    indication: str
    hold_s: float
    request: int = 0


@dataclass(frozen=True, slots=True)
class AskInputs:
    """Asks for ``InputsReport``. ``evse`` 0: how every device does."""

    evse: int
    request: int


@dataclass(frozen=True, slots=True)
class StartAnew:
    """End, to be started again with the configuration as it is now. Control refuses unless every EVSE is unplugged
    and open."""


# ---- control → agent -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EvseInfo:
    evse: int
    max_current_a: float
    phases: int
    socket: bool
    """True: socket outlet with lock; False: fixed cable."""
    has_meter: bool
    signs: bool = False
    """Its meter signs what it measured."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """First message of control on each connection; the state of everything follows at once."""

    protocol: int
    instance: str
    """Changes with each start of control: after a change every permit is gone."""
    version: str
    evses: tuple[EvseInfo, ...]


@dataclass(frozen=True, slots=True)
class Observation:
    """The whole truth about one EVSE. Sent on every change and at least once a second."""

    evse: int
    at: float
    pilot: str
    """State letter with suffix: A1, B1, B2, C1, C2, D1, D2, E, F, or "?" when it is not known (yet)."""
    plugged: bool | None
    """A vehicle is connected; None while it cannot be seen (start, state E or F), which is not "unplugged"."""
    vehicle_ready: bool
    """The vehicle asks for energy (C or D)."""
    duty_pct: float
    offered_a: float
    """Current that the pilot offers per phase; 0 when steady."""
    phases: int
    contactor_closed: bool | None
    """By feedback where there is one, else as commanded; None while the board is silent."""
    locked: bool | None
    cable_a: int
    """Rating of the plugged cable; 0 when none, unknown, or a fixed cable."""
    permit_serial: int
    """Serial of the permit in force; 0 when none."""
    fail_safe: bool
    """The lease ran out and the fail-safe current is offered."""
    limit_a: float
    """Lowest of all limits that control applies (hardware, cable, temperature, permit); 0 when nothing may flow."""
    limited_by: str
    """What sets ``limit_a``: hardware, cable, temperature, permit, fail_safe."""
    holds: tuple[Hold, ...]
    """Empty while energy is offered and the contactor commanded closed. While a charge is being stopped the contactor
    stays commanded closed for up to 6 s, and ``Hold.STOPPING`` stands first."""
    faults: tuple[FaultCode, ...]
    temperature_c: float | None = None
    pilot_high_v: float | None = None
    pilot_low_v: float | None = None
    plugged_at: float | None = None
    """When the vehicle that is connected was plugged in; None when there is none, or it was there before control."""
    left_at: float | None = None
    """When a vehicle was last seen to leave; None when none has since control began."""


@dataclass(frozen=True, slots=True)
class MeterSample:
    """A meter reading as taken, passed on with its own time and quality."""

    evse: int
    """0: the grid meter of the whole building."""
    at: float
    energy_import_wh: float
    power_w: float | None
    voltage_v: tuple[float, ...]
    current_a: tuple[float, ...]
    frequency_hz: float | None
    quality: str
    energy_export_wh: float | None = None
    power_factor: float | None = None


@dataclass(frozen=True, slots=True)
class TokenPresented:
    reader: str
    at: float
    uid: str
    kind: str
    evse: int
    """EVSE that the reader belongs to; 0 when it serves them all."""


@dataclass(frozen=True, slots=True)
class ButtonPressed:
    """The start/stop button of an EVSE. Told once, and not again to an agent that was not there."""

    evse: int
    at: float
    long: bool = False


@dataclass(frozen=True, slots=True)
class FaultReport:
    evse: int
    code: FaultCode
    active: bool
    at: float
    latched: bool
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class LoopReport:
    """How punctual control is, told on connect and every 10 s. Counts per bucket since control began
    (``agent.control.lateness.BOUNDS_MS``; the last one is what took longer)."""

    at: float
    late: tuple[int, ...]
    """How late a tick came."""
    late_total_s: float
    late_worst_s: float
    """Since the report before."""
    reaction: tuple[int, ...]
    """From a device's frame being there to the commands it led to being on the wire."""
    reaction_total_s: float
    reaction_worst_s: float
    memory_bytes: int | None = None
    """Of the control process, shared pages included."""
    written_bytes: int | None = None
    """To disks, since control began."""


@dataclass(frozen=True, slots=True)
class DeviceReport:
    device: str
    ok: bool
    at: float
    detail: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request that had a number."""

    request: int
    refused: str
    """Why control does not do it; empty when it does."""
    at: float


@dataclass(frozen=True, slots=True)
class RawValue:
    """One field of a reading, as the driver gave it."""

    port: str
    device: str
    name: str
    text: str
    value: float | None = None
    at: float | None = None
    """When the reading was taken; None where nothing was received yet."""


@dataclass(frozen=True, slots=True)
class InputsReport:
    """Every reading of an EVSE as control has it, also those too old to count. ``evse`` 0: the devices."""

    evse: int
    request: int
    at: float
    values: tuple[RawValue, ...]


ToControl = (
    Hello
    | Permit
    | Withdraw
    | HoldCable
    | SetOperative
    | Indicate
    | ClearFault
    | ResetBoard
    | RunSelfTest
    | StartAnew
    | OpenNow
    | TryLock
    | TryPilot
    | TryIndication
    | AskInputs
    | BeginSigning
    | SignReading
    | EndSigning
    | SignedKept
    | MeterClock
)
ToAgent = (
    Welcome
    | Observation
    | MeterSample
    | TokenPresented
    | ButtonPressed
    | FaultReport
    | DeviceReport
    | LoopReport
    | Answer
    | InputsReport
    | SigningReport
    | SignedSet
)
Message = ToControl | ToAgent
