"""The ports of one EVSE, gathered from as many devices as the configuration names.

A device that carries pilot, contactor, lock, proximity, residual-current monitor, emergency stop or enclosure is a
safety device of the EVSE: when its driver fails or it is not well, the EVSE does not charge. A failed indicator or
button is only reported (every device's health is); a failed temperature sensor counts as too hot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agent.control.device_state import DeviceState, Source, guarded, illness
from agent.control.inputs import EvseInputs, EvseOutputs
from agent.control.timing import STARTUP_GRACE_S
from hal.ports import PortKind
from hal.values import PILOT_F_PCT, PILOT_X1_PCT, BoardReading, ButtonPress, TemperatureReading

SAFETY = (
    PortKind.CONTROL_PILOT,
    PortKind.CONTACTOR,
    PortKind.CABLE_LOCK,
    PortKind.PROXIMITY_PILOT,
    PortKind.RESIDUAL_CURRENT_MONITOR,
    PortKind.EMERGENCY_STOP,
    PortKind.ENCLOSURE,
)
_READS: Mapping[PortKind, tuple[str, str]] = {
    PortKind.CONTROL_PILOT: ("pilot", "pilot"),
    PortKind.CONTACTOR: ("contactor", "contactor"),
    PortKind.PROXIMITY_PILOT: ("proximity", "proximity"),
    PortKind.CABLE_LOCK: ("lock", "lock"),
    PortKind.RESIDUAL_CURRENT_MONITOR: ("residual_current", "residual_current"),
    PortKind.EMERGENCY_STOP: ("emergency_stop", "emergency_stop"),
    PortKind.ENCLOSURE: ("enclosure", "enclosure"),
}
"""Port: field of ``EvseInputs``, and method of the port."""
_STEADY = (PILOT_F_PCT, PILOT_X1_PCT)


class Ports:
    """One EVSE's ports. ``sources`` has an entry for each port that its devices offer.

    ``board`` is the device that serves what nothing else is named for; ``sensors`` are temperature sensors beside it.
    """

    def __init__(
        self,
        sources: Mapping[PortKind, Source],
        board: Source,
        sensors: tuple[Source, ...] = (),
        meter: Source | None = None,
        reader: DeviceState | None = None,
        now: float = 0.0,
    ) -> None:
        self._sources = dict(sources)
        self._reader = reader
        self._began_at = now
        self.devices = {
            _READS[kind][0]: source.device.device.name for kind, source in sources.items() if kind in _READS
        }
        """Field of ``EvseInputs``: name of the device that it comes from."""
        self.devices |= {"meter": meter.device.device.name} if meter is not None else {}
        named = [sources[kind] for kind in SAFETY if kind in sources]
        units = [*named[:2], board, *named[2:]]  # the pilot's own board goes before that of the contactor, and so on
        boards = {id(source.unit): source for source in units if source.supervised}
        self._boards = tuple(boards.values())
        supervised = {id(source.device): source.device for source in self._boards}
        bare = {id(source.device): source.device for source in units}
        self._supervised = tuple(supervised.values())
        self._bare = tuple(state for key, state in bare.items() if key not in supervised)
        # Looked up once: this is read up to a hundred times a second.
        self._reads: list[tuple[str, DeviceState, Callable[[], Any]]] = [
            (name, sources[kind].device, getattr(sources[kind].unit, method))
            for kind, (name, method) in _READS.items()
            if kind in sources
        ]
        if meter is not None:
            self._reads.append(("meter", meter.device, meter.unit.meter))
        self._sensors = [(source.device, source.unit.temperatures) for source in sensors]
        own = sources.get(PortKind.TEMPERATURE_SENSOR)
        named_sensors = [source.device.device.name for source in (*((own,) if own else ()), *sensors)]
        self.devices |= {"temperatures": ", ".join(dict.fromkeys(named_sensors))} if named_sensors else {}
        self.devices |= {"board": self._boards[0].device.device.name} if self._boards else {}
        self._own_sensor = None if own is None else (own.device, own.unit.temperatures)
        self._lives = [(source.device, source.unit.board) for source in self._boards]
        pilot = sources.get(PortKind.CONTROL_PILOT)
        follows = pilot is not None and PortKind.CHARGE_CONTROLLER in pilot.kinds
        self.kinds = frozenset(
            {
                *sources,
                *((PortKind.TEMPERATURE_SENSOR,) if sensors else ()),
                *((PortKind.BOARD,) if self._boards else ()),
                *((PortKind.POWER_METER,) if meter is not None else ()),
                *((PortKind.CHARGE_CONTROLLER,) if follows else ()),
            }
        )
        self.unsupervised = frozenset(k for k in SAFETY if k in sources and not sources[k].supervised)
        """Safety ports whose readings age by their own time, because their device has no life sign."""

    def read(self, now: float) -> EvseInputs:
        """Collect the readings. A port that raises makes its device fail, never the loop."""
        values: dict[str, Any] = {}
        for name, state, read in self._reads:
            if not state.failure:
                values[name] = guarded(state, read, now)
        lives: list[BoardReading | None] = [
            None if state.failure else guarded(state, read, now) for state, read in self._lives
        ]
        return EvseInputs(
            **values,
            temperatures=self._temperatures(now),
            board=lives[0] if lives else None,
            further_boards=tuple(lives[1:]),
            unhealthy=_first(illness(state, now) for state in self._supervised if not state.failure),
            unhealthy_device=_first(illness(state, now) for state in self._bare if not state.failure),
            reader_trouble="" if self._reader is None else illness(self._reader, now),
            trouble=self._failure(),  # last: reading may fail
        )

    def _temperatures(self, now: float) -> tuple[TemperatureReading, ...]:
        """All sensors together. A named one that fails, or that never told anything, is a broken sensor."""
        readings: list[TemperatureReading] = []
        if self._own_sensor is not None and not self._own_sensor[0].failure:
            readings += guarded(*self._own_sensor, now) or ()
        for state, read in self._sensors:
            told = None if state.failure else guarded(state, read, now)
            if told:
                readings += told
            elif told is None or now - self._began_at >= STARTUP_GRACE_S:
                readings.append(TemperatureReading(now, None))
        return tuple(readings)

    def write(self, out: EvseOutputs, now: float) -> None:
        """Command the hardware, whichever devices it is: what opens goes first, what closes last."""
        steady = out.duty_pct in _STEADY
        if not out.contactor:
            self._command(PortKind.CONTACTOR, lambda unit: unit.set_contactor(False, now), now)
        if steady:
            self._command(PortKind.CONTROL_PILOT, lambda unit: unit.set_pilot(out.duty_pct, now), now)
        if out.reset_board:
            for source in self._boards:
                guarded(source.device, lambda unit=source.unit: unit.reset_board(now), now)  # type: ignore[misc]
        if out.lock is not None:
            self._command(PortKind.CABLE_LOCK, lambda unit: unit.set_lock(out.lock, now), now)
        if out.phases is not None:
            self._command(PortKind.CONTACTOR, lambda unit: unit.set_phases(out.phases, now), now)
        if out.start_self_test:
            self._command(PortKind.RESIDUAL_CURRENT_MONITOR, lambda unit: unit.start_self_test(now), now)
        if out.reset_residual_current:
            self._command(PortKind.RESIDUAL_CURRENT_MONITOR, lambda unit: unit.reset_residual_current(now), now)
        self._command(PortKind.INDICATOR, lambda unit: unit.set_indication(out.indication, now), now)
        # Nothing that offers or closes leaves for an EVSE whose hardware failed in this very step.
        if not steady and not self._failure():
            self._command(PortKind.CONTROL_PILOT, lambda unit: unit.set_pilot(out.duty_pct, now), now)
        if out.contactor and not self._failure():
            self._command(PortKind.CONTACTOR, lambda unit: unit.set_contactor(True, now), now)

    def take_presses(self, now: float) -> list[ButtonPress]:
        """Return the presses of the EVSE's button since the last call, oldest first."""
        source = self._sources.get(PortKind.BUTTON)
        if source is None or source.device.failure:
            return []
        return guarded(source.device, source.unit.take_presses, now) or []

    def make_safe(self, now: float) -> None:
        """Open the contactor and show state F. Each command is tried whatever becomes of the other."""
        self._command(PortKind.CONTACTOR, lambda unit: unit.set_contactor(False, now), now)
        self._command(PortKind.CONTROL_PILOT, lambda unit: unit.set_pilot(PILOT_F_PCT, now), now)

    def _failure(self) -> str:
        return _first(state.failure for state in (*self._supervised, *self._bare))

    def _command(self, kind: PortKind, call: Callable[[Any], None], now: float) -> None:
        source = self._sources.get(kind)
        if source is not None:
            guarded(source.device, lambda: call(source.unit), now)


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")
