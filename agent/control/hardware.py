"""From configuration to devices, and from devices to what the core sees and commands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from agent.config.schema import Config
from agent.config.schema import Evse as EvseConfig
from agent.control.inputs import EvseInputs, EvseOutputs
from agent.control.settings import EvseSettings, settings_of
from hal import registry
from hal.ports import Device, PortKind
from hal.values import PILOT_F_PCT, TokenRead

log = logging.getLogger("evse-control")

WELL_S = 10.0
"""A device whose driver raised must work for this long before it is trusted again. Own."""


@dataclass(slots=True)
class DeviceState:
    """A device in the loop."""

    device: Device
    wake_at: float
    evses: list[int] = field(default_factory=list)
    """EVSEs whose board, meter or reader it is."""
    failed_at: float | None = None
    failure: str = ""
    told: tuple[bool, str] | None = None
    """Health as last reported."""

    def fail(self, error: BaseException, now: float) -> bool:
        """Note that the driver raised. Returns True when that is news."""
        news = self.failed_at is None
        self.failed_at = now
        self.failure = f"{self.device.name}: its driver failed ({type(error).__name__}: {error}); restart evse-control"
        return news

    def recover(self, now: float) -> None:
        if self.failed_at is not None and now - self.failed_at >= WELL_S:
            self.failed_at, self.failure = None, ""


@dataclass(slots=True)
class Ports:
    """One EVSE's ports, each None where its devices do not offer it."""

    board_device: DeviceState
    unit: Any
    kinds: frozenset[PortKind]
    meter_device: DeviceState | None = None
    meter: Any = None
    reader_device: DeviceState | None = None
    _pilot: Callable[[], Any] | None = field(init=False)
    _contactor: Callable[[], Any] | None = field(init=False)
    _proximity: Callable[[], Any] | None = field(init=False)
    _lock: Callable[[], Any] | None = field(init=False)
    _residual: Callable[[], Any] | None = field(init=False)
    _temperatures: Callable[[], Any] | None = field(init=False)
    _emergency_stop: Callable[[], Any] | None = field(init=False)
    _board: Callable[[], Any] | None = field(init=False)

    def __post_init__(self) -> None:
        def reads(kind: PortKind, method: str) -> Callable[[], Any] | None:
            return getattr(self.unit, method) if kind in self.kinds else None

        # Looked up once: this is read up to a hundred times a second.
        self._pilot = reads(PortKind.CONTROL_PILOT, "pilot")
        self._contactor = reads(PortKind.CONTACTOR, "contactor")
        self._proximity = reads(PortKind.PROXIMITY_PILOT, "proximity")
        self._lock = reads(PortKind.CABLE_LOCK, "lock")
        self._residual = reads(PortKind.RESIDUAL_CURRENT_MONITOR, "residual_current")
        self._temperatures = reads(PortKind.TEMPERATURE_SENSOR, "temperatures")
        self._emergency_stop = reads(PortKind.EMERGENCY_STOP, "emergency_stop")
        self._board = reads(PortKind.BOARD, "board")

    def read(self, now: float) -> EvseInputs:
        """Collect the readings. A port that raises makes its device fail, never the loop."""
        device, meter = self.board_device, self.meter_device
        reader_ill = "" if self.reader_device is None else _illness(self.reader_device, now)
        meter_reading = None
        if meter is not None and not meter.failure:
            meter_reading = _guarded(meter, self.meter.meter, now)
        if device.failure:
            return EvseInputs(meter=meter_reading, trouble=device.failure, reader_trouble=reader_ill)
        try:
            return EvseInputs(
                pilot=None if self._pilot is None else self._pilot(),
                contactor=None if self._contactor is None else self._contactor(),
                proximity=None if self._proximity is None else self._proximity(),
                lock=None if self._lock is None else self._lock(),
                residual_current=None if self._residual is None else self._residual(),
                meter=meter_reading,
                temperatures=() if self._temperatures is None else self._temperatures(),
                emergency_stop=None if self._emergency_stop is None else self._emergency_stop(),
                board=None if self._board is None else self._board(),
                unhealthy=_illness(device, now),
                reader_trouble=reader_ill,
            )
        except Exception as error:  # noqa: BLE001 (no driver may stop the loop; the EVSE goes to its safe state)
            _note_failure(device, error, now)
            return EvseInputs(meter=meter_reading, trouble=device.failure, reader_trouble=reader_ill)

    def write(self, out: EvseOutputs, now: float) -> None:
        """Command the hardware: what opens goes first, what closes last."""
        unit, kinds, board = self.unit, self.kinds, self.board_device

        def command(kind: PortKind, call: Callable[[], None]) -> None:
            if kind in kinds:
                _guarded(board, call, now)

        if not out.contactor:
            command(PortKind.CONTACTOR, lambda: unit.set_contactor(False, now))
        if out.reset_board:
            command(PortKind.BOARD, lambda: unit.reset_board(now))
        command(PortKind.CONTROL_PILOT, lambda: unit.set_pilot(out.duty_pct, now))
        lock, phases = out.lock, out.phases
        if lock is not None:
            command(PortKind.CABLE_LOCK, lambda: unit.set_lock(lock, now))
        if phases is not None:
            command(PortKind.CONTACTOR, lambda: unit.set_phases(phases, now))
        if out.start_self_test:
            command(PortKind.RESIDUAL_CURRENT_MONITOR, lambda: unit.start_self_test(now))
        if out.reset_residual_current:
            command(PortKind.RESIDUAL_CURRENT_MONITOR, lambda: unit.reset_residual_current(now))
        if PortKind.INDICATOR in kinds:
            command(PortKind.INDICATOR, lambda: unit.set_indication(out.indication, now))
        if out.contactor and not board.failure:
            command(PortKind.CONTACTOR, lambda: unit.set_contactor(True, now))

    def make_safe(self, now: float) -> None:
        """Open the contactor and show state F. Each command is tried whatever becomes of the other."""
        for call in (lambda: self.unit.set_contactor(False, now), lambda: self.unit.set_pilot(PILOT_F_PCT, now)):
            _guarded(self.board_device, call, now)


def _guarded(state: DeviceState, call: Callable[[], Any], now: float) -> Any:
    """Call into a driver; what it raises makes the device fail and is logged once."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 (no driver may stop the loop; the EVSE goes to its safe state)
        _note_failure(state, error, now)
        return None


def _note_failure(state: DeviceState, error: Exception, now: float) -> None:
    if state.fail(error, now):
        log.error("%s", state.failure, exc_info=True)


def _illness(state: DeviceState, now: float) -> str:
    """Return what a device says is wrong with it; empty when it is well."""
    health = _guarded(state, lambda: state.device.health(now), now)
    return "" if health is None or health.ok else health.detail or f"{state.device.name} is not well"


@dataclass(slots=True)
class Reader:
    """A card reader; ``evse`` is 0 where it serves all."""

    name: str
    evse: int
    device: DeviceState
    unit: Any

    def take(self, now: float) -> list[TokenRead]:
        return cast("list[TokenRead]", _guarded(self.device, self.unit.take_tokens, now) or [])


class Hardware:
    """All devices of the configuration, created but not started."""

    def __init__(self, config: Config, now: float) -> None:
        self.devices: dict[str, DeviceState] = {}
        self._kinds: dict[str, dict[str, frozenset[PortKind]]] = {}
        for name, entry in config.devices.items():
            driver = registry.load(entry.driver)
            self._kinds[name] = dict(driver.units(entry.options))
            self.devices[name] = DeviceState(driver.create(name, entry.options), now)
        self.ports: dict[int, Ports] = {}
        self.settings: dict[int, EvseSettings] = {}
        self.readers: list[Reader] = []
        for evse in config.evses:
            self._add_evse(config, evse)
        for reference in config.readers:
            self._add_reader(reference, 0)

    def _add_evse(self, config: Config, evse: EvseConfig) -> None:
        board, unit, kinds = self._find(evse.board, evse.id)
        ports = Ports(board, unit, kinds)
        if evse.meter:
            ports.meter_device, ports.meter, _ = self._find(evse.meter, evse.id)
        elif PortKind.POWER_METER in kinds:
            ports.meter_device, ports.meter = board, unit
        if evse.reader:
            ports.reader_device = self._add_reader(evse.reader, evse.id)
        measured = {PortKind.POWER_METER} if ports.meter is not None else frozenset[PortKind]()
        self.ports[evse.id] = ports
        self.settings[evse.id] = settings_of(config, evse, (kinds - {PortKind.POWER_METER}) | measured)

    def _add_reader(self, reference: str, evse: int) -> DeviceState:
        device, unit, _ = self._find(reference, evse)
        self.readers.append(Reader(reference, evse, device, unit))
        return device

    def _find(self, reference: str, evse: int) -> tuple[DeviceState, Any, frozenset[PortKind]]:
        name, _, unit = reference.partition(".")
        state = self.devices[name]
        if evse and evse not in state.evses:
            state.evses.append(evse)
        return state, state.device.unit(unit), self._kinds[name][unit]
