"""What ``config.yaml`` may hold. Each section is a frozen dataclass; each field carries its rule.

The driver-specific part of a device lives with the driver (``hal.registry.Driver.options``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

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
class Station:
    """Who this charge point is. Sent to the operator's network in the boot message."""

    vendor: str = option(help="maker of the charge point, at most 20 characters", check=lambda v: _length(v, 20))
    model: str = option(help="model of the charge point, at most 20 characters", check=lambda v: _length(v, 20))
    serial_number: str = option(help="serial number, at most 25 characters", check=lambda v: _length(v, 25))
    iccid: str = option("", help="SIM card number of the modem, at most 20 characters", check=lambda v: _length(v, 20))
    imsi: str = option("", help="subscriber number of the modem, at most 20 characters", check=lambda v: _length(v, 20))
    meter_type: str = option("", help="type of the main meter, at most 25 characters", check=lambda v: _length(v, 25))
    meter_serial_number: str = option("", help="serial number of the main meter", check=lambda v: _length(v, 25))
    time_zone: str = option(
        "",
        help="zone that daily and weekly charging schedules follow, like Europe/Berlin; empty for UTC",
        check=lambda v: _time_zone(v),
    )


def _length(value: str, most: int) -> str:
    return "" if len(value) <= most else f"is {len(value)} characters long; shorten it to {most}"


def _time_zone(value: str) -> str:
    if not value:
        return ""
    from zoneinfo import ZoneInfo  # rarely needed, and the control process reads this file too

    try:
        ZoneInfo(value)
    except (OSError, ValueError):
        return "is no time zone; use a name like Europe/Berlin, or leave it empty for UTC"
    except KeyError:
        return "is not known on this machine; use a name like Europe/Berlin, or install tzdata"
    return ""


def _pilot_current(value: float, nothing: str) -> str:
    # IEC 61851-1 Annex A: duty cycles for an offered current begin at 10 %, which is 6 A.
    return "" if value == 0 or value >= 6 else f"use 0 for {nothing}, or at least 6 (no pilot exists below 6 A)"


def _network_address(value: str) -> str:
    """RFC 6455 §3, less user, query and fragment: the identity is added behind the path."""
    if not value:
        return ""
    scheme, found, rest = value.partition("://")
    if not found or scheme not in ("ws", "wss"):
        return "must begin with ws:// or wss://"
    place = rest.partition("/")[0]
    if "@" in place:
        return "must not hold user or password; give ocpp.password"
    host, _, port = place.rpartition(":") if not place.endswith("]") and ":" in place else (place, "", "")
    if not host.strip("[]"):
        return f"{value!r} names no host; write it as wss://host/path"
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65_535):
        return f"{port!r} is no port; give 1 to 65535 after the host, or none"
    if not value.isascii() or any(character <= " " or character in "?#" for character in value):
        return "must not hold blanks, '?', '#' or letters outside ASCII; write host and path only"
    return ""


def _given_address(value: str) -> str:
    return _network_address(value) if value else "is empty; give an address, or remove this network"


def _tls_address(value: str) -> str:
    if value.startswith("ws://"):
        return "must begin with wss://"
    return _network_address(value)


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
        check=lambda v: _pilot_current(v, "no charge"),
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
        check=lambda v: _pilot_current(v, "no limit"),
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
        check=lambda v: _pilot_current(v, "no charge"),
    )
    fail_safe_s: float = option(600.0, help="how long the fail-safe current is offered", unit="s", ge=0, le=86_400)
    realtime_priority: int = option(50, help="SCHED_FIFO priority; 0 for none", ge=0, le=90)
    lock_memory: bool = option(True, help="keep the process in memory (mlockall)")
    temperature: Temperature = option(help="derating", default_factory=Temperature)


class OnCap(Enum):
    """What happens when an unconfirmed charge reaches its bound."""

    SUSPEND = "suspend"
    """Energy is held back until the network confirms."""
    END = "end"


@dataclass(frozen=True, slots=True)
class Partner:
    """Tokens of a partner's network, known by their form: all rules that are given must hold."""

    name: str = option(help="name of the partner, for the log and the console")
    prefixes: tuple[str, ...] = option((), help="beginnings of the partner's identifiers, in any case")
    length: int = option(0, help="number of characters; 0 for any", ge=0, le=36)
    emaid: bool = option(False, help="true: identifiers have the form of an eMAID, such as DE-8AA-C12345678")
    offline: bool = option(True, help="may start while the network is away; false: never, even if others may")
    energy_cap_wh: float = option(
        10_000.0, help="energy until the network confirms; 0 for no bound", unit="Wh", ge=0, le=1_000_000
    )
    time_cap_s: float = option(
        3600.0, help="time until the network confirms; 0 for no bound", unit="s", ge=0, le=86_400
    )
    on_cap: OnCap = option(OnCap.SUSPEND, help="at the bound: suspend until the network confirms, or end")

    def __post_init__(self) -> None:
        if not any(self.prefixes) and not self.length and not self.emaid:
            raise ValueError("names no rule, so it would fit every card; give prefixes, length or emaid")


@dataclass(frozen=True, slots=True)
class Authorisation:
    """Who may charge when the operator's network is not asked or not there."""

    free_vend: bool = option(False, help="everyone may charge; no card needed")
    free_vend_token: str = option(
        "FREEVEND", help="identifier reported for such sessions, at most 20 characters", check=lambda v: _length(v, 20)
    )
    partners: tuple[Partner, ...] = option((), help="roaming: whose drivers are served while the network is away")


class KeyType(Enum):
    """Kind of key that is made for a certificate of the charge point."""

    P256 = "p256"
    RSA2048 = "rsa2048"
    RSA3072 = "rsa3072"


@dataclass(frozen=True, slots=True)
class Network:
    """One more way to a network, tried in order when those before it cannot be reached."""

    url: str = option(help="ws:// or wss:// address; the identity is added to it", check=lambda v: _given_address(v))
    tls_url: str = option(
        "", help="wss:// address for security profiles 2 and 3, when not that of url", check=lambda v: _tls_address(v)
    )
    identity: str = option("", help="charge point identity there; that of ocpp when empty")
    password: str = option("", help="basic-authentication password there (AuthorizationKey)", secret=True)
    security_profile: int | None = option(
        None, help="0 to 3; what address and password say when left out", choices=(0, 1, 2, 3)
    )
    ca_file: Path | None = option(None, help="root certificates that its certificate must chain to")
    operator: str = option("", help="whose books it keeps; those of one name share transaction numbers")


@dataclass(frozen=True, slots=True)
class Ocpp:
    """The operator's network."""

    url: str = option(
        "",
        help="ws:// or wss:// address of the network; the identity is added to it; empty to run without one",
        check=lambda v: _network_address(v),
    )
    identity: str = option("", help="charge point identity; the serial number when empty")
    password: str = option("", help="basic-authentication password (AuthorizationKey)", secret=True)
    ca_file: Path | None = option(None, help="root certificates that the network's certificate must chain to")
    tls_url: str = option(
        "",
        help="wss:// address for security profiles 2 and 3, when not that of url",
        check=lambda v: _tls_address(v),
    )
    security_profile: int | None = option(
        None, help="0 to 3; what address and password say when left out", choices=(0, 1, 2, 3)
    )
    key_type: KeyType = option(KeyType.P256, help="key made for a certificate of the charge point")
    networks: tuple[Network, ...] = option((), help="further ways to a network, tried in this order")
    network_attempts: int = option(3, help="tries of one before the next is tried", ge=1, le=100)
    connect_timeout_s: float = option(15.0, help="for connection and handshake together", unit="s", ge=1, le=120)
    ping_timeout_s: float = option(
        20.0, help="how long a pong may take before the link counts as dead", unit="s", ge=1, le=120
    )
    back_off_minimum_s: float = option(2.0, help="first wait before a reconnect", unit="s", ge=0.1, le=3600)
    back_off_random_s: float = option(5.0, help="random part added to each wait", unit="s", ge=0, le=3600)
    back_off_repeats: int = option(6, help="how often the wait doubles", ge=0, le=12)
    settings: Mapping[str, str] = option(
        help="initial value of any OCPP key by its standard name; a later ChangeConfiguration wins",
        default_factory=lambda: MappingProxyType({}),
    )


@dataclass(frozen=True, slots=True)
class Paths:
    state_dir: Path = option(Path("/var/lib/evse-agent"), help="the journal; must survive a power cut")
    runtime_dir: Path = option(Path("/run/evse-agent"), help="sockets")


class JournalFailure(Enum):
    """What happens to new transactions while the journal cannot be written."""

    REFUSE = "refuse"
    """None begins: no energy flows whose start is not on the books."""
    CONTINUE = "continue"
    """They begin; what a loss of power takes from memory is lost."""


@dataclass(frozen=True, slots=True)
class Journal:
    """The records that wait for the network."""

    max_megabytes: int = option(
        64, help="size from which on samples (never starts or ends) are thinned out evenly", unit="MB", ge=1, le=4096
    )
    on_failure: JournalFailure = option(
        JournalFailure.REFUSE, help="new transactions while the journal cannot be written: refuse or continue"
    )


TRANSFER_PROTOCOLS = ("https", "http", "ftps", "ftp")


def _protocols(value: tuple[str, ...]) -> str:
    wrong = [word for word in value if word not in TRANSFER_PROTOCOLS]
    return f"{wrong[0]!r} is not known; choose from {', '.join(TRANSFER_PROTOCOLS)}" if wrong else ""


@dataclass(frozen=True, slots=True)
class Files:
    """Files that the network has fetched or sent: firmware, diagnostics, logs."""

    protocols: tuple[str, ...] = option(
        TRANSFER_PROTOCOLS,
        help="which may be used (SupportedFileTransferProtocols)",
        check=lambda v: _protocols(v),
    )
    ca_file: Path | None = option(None, help="root certificates for https and ftps; the system's own when empty")
    loopback: bool = option(False, help="addresses of this machine itself and of its own link may be used")
    stall_timeout_s: float = option(60.0, help="no byte for so long ends a try", unit="s", ge=1, le=3600)
    longest_s: float = option(21_600.0, help="the longest a try may take", unit="s", ge=10, le=604_800)
    retries: int = option(3, help="further tries when the network names no number", ge=0, le=100)
    retry_interval_s: float = option(60.0, help="between tries when the network says none", unit="s", ge=0, le=86_400)
    max_upload_megabytes: int = option(20, help="size of a support bundle or log at most", unit="MB", ge=1, le=1024)


@dataclass(frozen=True, slots=True)
class Update:
    """How new software gets in. Commands are lists of words, run without a shell; {file} is what was downloaded."""

    install: tuple[str, ...] = option((), help="puts the new version in place; empty: the network cannot update")
    confirm: tuple[str, ...] = option((), help="asked after the restart: does the new version run? makes it stay")
    roll_back: tuple[str, ...] = option((), help="puts the old version back when the new one is not healthy")
    restart: tuple[str, ...] = option(
        (), help="restarts the machine, also at a hard reset; empty: a fresh start of the agent will do"
    )
    timeout_s: float = option(1800.0, help="the longest a command may take", unit="s", ge=1, le=86_400)
    health_s: float = option(
        900.0, help="control and network must answer a new version within this time", unit="s", ge=1, le=86_400
    )
    max_megabytes: int = option(1024, help="size of a download at most", unit="MB", ge=1, le=65_536)
    unsigned: bool = option(True, help="files without a signature may be installed (UpdateFirmware)")
    crl_file: Path | None = option(None, help="revocation list of the manufacturer's root, PEM or DER")


@dataclass(frozen=True, slots=True)
class LocalApi:
    """Who may use the local API, by the groups of the machine. Root and the agent's own user always may."""

    observe_groups: tuple[str, ...] = option(("evse-observe",), help="may look at everything")
    operate_groups: tuple[str, ...] = option(("evse-operate",), help="may stop, switch off, and drop the link as well")
    service_groups: tuple[str, ...] = option(("evse-service",), help="may do everything, without a PIN")


@dataclass(frozen=True, slots=True)
class Metrics:
    file: Path | None = option(None, help="for node_exporter; metrics/evse-agent.prom in runtime_dir when empty")
    interval_s: float = option(15.0, help="how often it is written", unit="s", ge=15, le=3600)


@dataclass(frozen=True, slots=True)
class Logging:
    level: str = option("info", help="how much is logged", choices=("debug", "info", "warning", "error"))


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file."""

    station: Station = option(help="who this charge point is")
    installation: Installation = option(help="the supply")
    devices: Mapping[str, Device] = option(help="the hardware, by name")
    evses: tuple[Evse, ...] = option(help="the outlets")
    readers: tuple[str, ...] = option((), help="card readers that serve all EVSEs")
    control: Control = option(help="the control process", default_factory=Control)
    authorisation: Authorisation = option(help="local rules", default_factory=Authorisation)
    ocpp: Ocpp = option(help="the operator's network", default_factory=Ocpp)
    paths: Paths = option(help="where things are kept", default_factory=Paths)
    journal: Journal = option(help="the records that wait for the network", default_factory=Journal)
    files: Files = option(help="files that the network has fetched or sent", default_factory=Files)
    update: Update = option(help="how new software gets in", default_factory=Update)
    local_api: LocalApi = option(help="who may use the local API", default_factory=LocalApi)
    metrics: Metrics = option(help="what the agent measures of itself", default_factory=Metrics)
    logging: Logging = option(help="the log", default_factory=Logging)

    @property
    def link_path(self) -> Path:
        return self.paths.runtime_dir / "control.sock"

    @property
    def api_path(self) -> Path:
        return self.paths.runtime_dir / "api.sock"

    @property
    def journal_path(self) -> Path:
        return self.paths.state_dir / "journal.db"

    @property
    def identity(self) -> str:
        return self.ocpp.identity or self.station.serial_number
