"""The electrical side: supply, outlets, devices, and how the control process treats them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

from agent.config.schema.rules import pilot_current
from hal.options import option


class ConnectorType(Enum):
    SOCKET = "socket"
    """Outlet with lock and proximity coding; the driver brings the cable (IEC 61851-1 case B)."""
    CABLE = "cable"
    """Fixed cable (IEC 61851-1 case C, SAE J1772)."""


class ResidualCurrentProfile(Enum):
    """Which rule a residual-current trip recovers by (reference: IEC 62955 / UL 2231 practice)."""

    IEC = "iec"
    """Latched until the vehicle is unplugged."""
    US = "us"
    """Retried after 15 minutes, up to 4 times, unless it tripped within 10 s of closing."""


class SelfTestPolicy(Enum):
    """When the residual-current monitor is tested."""

    EACH_CLOSE = "each_close"
    """Before each closing of the contactor (UL 2231 practice; Bender for its monitors)."""
    DAILY = "daily"
    """Before the first closing, then once in 24 h, never under energy (IEC practice: Easee, Tinkerforge)."""


class ButtonAction(Enum):
    """What a short press of the button does."""

    STOP = "stop"
    """Ends the transaction of its EVSE."""
    NONE = "none"
    START_STOP = "start_stop"
    """The same, and begins the next one where everyone may charge (free_vend)."""


class MeterLoss(Enum):
    """What happens to a charge whose meter falls silent."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Installation:
    """The supply the charge point hangs on. Set by the installer."""

    max_current_a: float = option(help="what the feed may carry in all, per phase", unit="A", ge=6, le=1000)
    phases: int = option(3, help="phases of the feed", choices=(1, 3))
    nominal_voltage_v: float = option(230.0, help="line to neutral", unit="V", ge=90, le=300)
    residual_current_profile: ResidualCurrentProfile = option(
        ResidualCurrentProfile.IEC, help="recovery rule after a residual-current trip: iec or us"
    )
    residual_self_test: SelfTestPolicy | None = option(
        None, help="each_close or daily; by the profile when left out: us each_close, iec daily"
    )
    grid_meter: str = option("", help="device (or device.unit) that measures the whole building's supply")
    grid_max_current_a: float = option(
        0.0, help="what the building's supply may carry with all its loads, per phase", unit="A", ge=0, le=1000
    )
    grid_fallback_current_a: float = option(
        0.0,
        help="for all EVSEs together while the grid meter is silent; 0 for none",
        unit="A",
        ge=0,
        le=1000,
        check=lambda v: pilot_current(v, "no charge"),
    )
    ventilation: bool = option(False, help="the place is ventilated, so vehicles that need it (state D) may charge")
    monitor_open_pen: bool = option(
        False, help="UK: open when line to neutral leaves 207…253 V for 5 s (BS 7671 722.411.4.1)"
    )

    @property
    def self_test_policy(self) -> SelfTestPolicy:
        """As configured, else by the profile (iec61851.md §8)."""
        if self.residual_self_test is not None:
            return self.residual_self_test
        us = self.residual_current_profile is ResidualCurrentProfile.US
        return SelfTestPolicy.EACH_CLOSE if us else SelfTestPolicy.DAILY


@dataclass(frozen=True, slots=True)
class Temperature:
    """Derating: full current up to ``derate_c``, 6 A at ``pause_c``, nothing above, contacts open at ``open_c``."""

    derate_c: float = option(65.0, help="above this the current falls linearly", unit="°C", ge=30, le=120)
    pause_c: float = option(75.0, help="from here on charging pauses", unit="°C", ge=30, le=120)
    open_c: float = option(80.0, help="from here on the contactor opens at once", unit="°C", ge=30, le=120)
    hysteresis_c: float = option(5.0, help="how far it must cool before charging resumes", unit="°C", ge=1, le=30)


EVSE_PORTS: Mapping[str, str] = MappingProxyType(
    {
        "pilot": "control_pilot",
        "contactor": "contactor",
        "proximity": "proximity_pilot",
        "lock": "cable_lock",
        "residual_current": "residual_current_monitor",
        "emergency_stop": "emergency_stop",
        "enclosure": "enclosure",
        "button": "button",
        "indicator": "indicator",
    }
)
"""Options of ``Evse`` that name a device for one port, and that port's name (``hal.ports.PortKind``, as text, so that
a process that opens no device imports none)."""


@dataclass(frozen=True, slots=True)
class Evse:
    """One outlet. Names of devices come from ``devices``; ``device.unit`` names a unit of a device with several."""

    id: int = option(help="number of the EVSE, from 1; also its OCPP connector id", ge=1, le=99)
    board: str = option(
        help="device that drives this EVSE's pilot and contactor, and serves every port not named below"
    )
    pilot: str = option("", help="device for the control pilot; empty for the board")
    contactor: str = option("", help="device for the main contacts; empty for the board")
    proximity: str = option("", help="device that reads the cable's coding; empty for the board")
    lock: str = option("", help="device for the cable lock; empty for the board")
    residual_current: str = option("", help="residual-current monitor; empty for the board")
    emergency_stop: str = option("", help="emergency-stop input; empty for the board; may serve several EVSEs")
    enclosure: str = option("", help="contacts of cover and tilt; empty for the board; may serve several EVSEs")
    button: str = option("", help="start/stop button; empty for the board")
    button_action: ButtonAction = option(
        ButtonAction.STOP, help="short press: stop, none, or start_stop (starts only with authorisation.free_vend)"
    )
    indicator: str = option("", help="light or display; empty for the board")
    temperatures: tuple[str, ...] = option(
        (), help="temperature sensors beside the board's own, the hottest of all counts; may serve several EVSEs"
    )
    meter: str = option("", help="device (or device.unit) that measures this EVSE; empty for none")
    reader: str = option("", help="card reader of this EVSE alone; a common one goes under 'readers'")
    connector: ConnectorType = option(ConnectorType.SOCKET, help="socket or cable")
    max_current_a: float = option(32.0, help="rating of outlet and wiring, per phase", unit="A", ge=6, le=80)
    phases: int = option(3, help="phases wired to this outlet", choices=(1, 3))
    switches_phases: bool = option(False, help="its contactor can close on one phase instead of all")
    has_lock: bool = option(True, help="the socket has a motor lock (ignored for a fixed cable)")
    simplified_pilot_limit_a: float = option(
        0.0,
        help="limit for vehicles that go from A to C at once; 0 for none (10 is the standard's figure)",
        unit="A",
        ge=0,
        le=80,
        check=lambda v: pilot_current(v, "no limit"),
    )
    on_meter_loss: MeterLoss = option(MeterLoss.CONTINUE, help="continue or stop when the meter falls silent")


@dataclass(frozen=True, slots=True)
class Device:
    """One device: its driver's name, and the driver's own options beside it."""

    driver: str
    options: Any
    """Instance of the driver's options dataclass."""
    line: int = 0
    """Where it stands in the file."""


@dataclass(frozen=True, slots=True)
class Control:
    """The control process."""

    lease_s: float = option(60.0, help="how long a permit lives without renewal by the agent", unit="s", ge=5, le=900)
    fail_safe_current_a: float = option(
        6.0,
        help="offered after a lease ran out; 0 for no charge",
        unit="A",
        ge=0,
        le=80,
        check=lambda v: pilot_current(v, "no charge"),
    )
    fail_safe_s: float = option(600.0, help="how long the fail-safe current is offered", unit="s", ge=0, le=86_400)
    realtime_priority: int = option(50, help="SCHED_FIFO priority; 0 for none", ge=0, le=90)
    lock_memory: bool = option(True, help="keep the process in memory (mlockall)")
    temperature: Temperature = option(help="derating", default_factory=Temperature)
