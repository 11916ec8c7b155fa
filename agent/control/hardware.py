"""From configuration to devices: which device serves which port of which EVSE."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, cast

from agent.config.schema import EVSE_PORTS, Config
from agent.config.schema import Evse as EvseConfig
from agent.control.device_state import DeviceState, Source, guarded
from agent.control.ports import Ports
from agent.control.settings import EvseSettings, settings_of
from hal import registry
from hal.ports import PortKind
from hal.values import TokenRead

log = logging.getLogger("evse-control")

_PORTS = {option: PortKind(kind) for option, kind in EVSE_PORTS.items()}
_OF_AN_EVSE = frozenset({*_PORTS.values(), PortKind.TEMPERATURE_SENSOR})
"""Ports that an EVSE takes from its board where nothing else is named for them."""


@dataclass(slots=True)
class Reader:
    """A card reader; ``evse`` is 0 where it serves all."""

    name: str
    evse: int
    device: DeviceState
    unit: Any

    def take(self, now: float) -> list[TokenRead]:
        return cast("list[TokenRead]", guarded(self.device, self.unit.take_tokens, now) or [])


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
        self.signing: dict[int, Source] = {}
        """Meters that sign what they measured, by EVSE."""
        for evse in config.evses:
            self._add_evse(config, evse, now)
        self.grid_meter: Source | None = None
        """Meter of the whole building's supply."""
        if config.installation.grid_meter:
            self.grid_meter = self._find(config.installation.grid_meter, 0)
        for reference in config.readers:
            self._add_reader(reference, 0)

    def _add_evse(self, config: Config, evse: EvseConfig, now: float) -> None:
        board = self._find(evse.board, evse.id)
        sources = dict.fromkeys(board.kinds & _OF_AN_EVSE, board)
        for option, kind in _PORTS.items():
            reference: str = getattr(evse, option)
            if reference:
                sources[kind] = self._find(reference, evse.id)
        sensors = tuple(self._find(each, evse.id) for each in dict.fromkeys(evse.temperatures) if each != evse.board)
        meter = board if PortKind.POWER_METER in board.kinds else None
        if evse.meter:
            meter = self._find(evse.meter, evse.id)
        if meter is not None and PortKind.SIGNING_METER in meter.kinds:
            self.signing[evse.id] = meter
        reader = self._add_reader(evse.reader, evse.id) if evse.reader else None
        ports = Ports(sources, board, sensors, meter, reader, now)
        self.ports[evse.id] = ports
        self.settings[evse.id] = settings_of(config, evse, ports.kinds, ports.unsupervised)
        if not ports.kinds & {PortKind.BOARD, PortKind.RESIDUAL_CURRENT_MONITOR}:
            log.warning(
                "EVSE %d: no board watches over its pilot, and no residual-current monitor is named; the installation "
                "must have one that opens by itself",
                evse.id,
            )

    def _add_reader(self, reference: str, evse: int) -> DeviceState:
        source = self._find(reference, evse)
        self.readers.append(Reader(reference, evse, source.device, source.unit))
        return source.device

    def _find(self, reference: str, evse: int) -> Source:
        name, _, unit = reference.partition(".")
        state = self.devices[name]
        if evse and evse not in state.evses:
            state.evses.append(evse)
        return Source(state, state.device.unit(unit), self._kinds[name][unit])
