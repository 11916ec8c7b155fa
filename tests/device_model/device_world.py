"""A charge point to look at: the real station under virtual time, with its device model on top."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.clock import Moment
from agent.config.schema import Config, ConnectorType, Evse, Installation, Ocpp, Paths, Station
from agent.device_model.declaration import Look
from agent.device_model.device import Device, assemble, live
from agent.device_model.events import MonitorEvent
from agent.device_model.monitors import Monitor, MonitorType, SetResult
from agent.device_model.variables import ACCEPTED, Component, DataType, Entry, Variable
from agent.link.messages import PROTOCOL, EvseInfo, FaultCode, FaultReport, MeterSample, Observation, Welcome
from agent.station.commands import SettingAnswer
from agent.station.effects import Keep
from agent.station.settings import Settings
from agent.station.station import Station as TheStation

START_UTC_S = 1_790_000_100.0
BOOT = "boot-1"


@dataclass
class World:
    """``kept`` goes from one life to the next."""

    evses: int = 2
    socket: bool = True
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    now: float = 100.0
    boot: str = BOOT
    online: bool = True
    told: bool = True
    """Control has told of everything."""

    def __post_init__(self) -> None:
        connector = ConnectorType.SOCKET if self.socket else ConnectorType.CABLE
        self.config = Config(
            station=Station("Nord", "Duo", "NORD-1"),
            installation=Installation(max_current_a=80.0, phases=3),
            devices={},
            evses=tuple(Evse(n, "board", meter="meter", connector=connector) for n in range(1, self.evses + 1)),
            ocpp=Ocpp(url="ws://csms/", identity="CP"),
            paths=Paths(state_dir=Path("/nowhere"), runtime_dir=Path("/nowhere")),
        )
        self.settings = Settings()
        for name, text in self.kept.get("setting", {}).items():
            self.settings.set(name, text)
        self.station = TheStation(self.config, self.settings, self.kept, self.moment())
        self.commits = 0
        look = Look(self.station.facts, self.moment)
        self.device: Device = assemble(
            look, self.settings, self.set_setting, self.others(), self.kept, self.keep, self._commit
        )
        self._faults: dict[int, set[FaultCode]] = {n: set() for n in range(1, self.evses + 1)}
        if self.told:
            self.welcome("control-1")
            for number in self._faults:
                self.observe(number)
        self._seen = self.device.monitoring.line.last_id

    def moment(self) -> Moment:
        return Moment(self.now, START_UTC_S + self.now, True, self.boot)

    def keep(self, table: str, key: str, document: Any) -> None:
        rows = self.kept.setdefault(table, {})
        if document is None:
            rows.pop(key, None)
        else:
            rows[key] = document

    def _commit(self) -> None:
        self.commits += 1

    def set_setting(self, name: str, text: str) -> SettingAnswer:
        answer, effects = self.station.set_setting(name, text, self.moment())
        for effect in effects:
            if isinstance(effect, Keep):
                self.keep(effect.table, effect.key, effect.value)
        return answer

    def others(self) -> list[Entry]:
        """Variables that other rooms give: here one that may only be written."""
        return [live("SecurityCtrlr.BasicAuthPassword", DataType.STRING, None, lambda _text: ACCEPTED)]

    # ---- what happens ----

    def welcome(self, instance: str) -> None:
        infos = tuple(EvseInfo(n, 32.0, 3, self.socket, True) for n in range(1, self.evses + 1))
        self.hears(Welcome(PROTOCOL, instance, "test", infos))

    def hears(self, message: Any) -> None:
        self.station.handle(message, self.moment())

    def fault(self, code: FaultCode, active: bool = True, evse: int = 1, detail: str = "so it is") -> None:
        self.hears(FaultReport(evse, code, active, self.now, False, detail, ""))
        (self._faults[evse].add if active else self._faults[evse].discard)(code)
        self.observe(evse)

    def observe(self, evse: int = 1, **changes: Any) -> None:
        values: dict[str, Any] = {
            "pilot": "A1",
            "plugged": False,
            "vehicle_ready": False,
            "duty_pct": 100.0,
            "offered_a": 0.0,
            "phases": 3,
            "contactor_closed": False,
            "locked": False,
            "cable_a": 0,
            "permit_serial": 0,
            "fail_safe": False,
            "limit_a": 0.0,
            "limited_by": "",
            "holds": (),
            "faults": tuple(self._faults[evse]),
        }
        self.hears(Observation(evse=evse, at=self.now, **{**values, **changes}))

    def meter(self, evse: int = 1, *, power_w: float = 0.0, current_a: tuple[float, ...] = (0.0, 0.0, 0.0)) -> None:
        self.hears(MeterSample(evse, self.now, 1000.0, power_w, (230.0,) * 3, current_a, 50.0, "good"))

    def temperature(self, celsius: float | None, evse: int = 1) -> None:
        self.observe(evse, temperature_c=celsius)

    def look(self, passed_s: float = 1.0) -> list[MonitorEvent]:
        """Let time pass, look, and return what is new in the line."""
        self.now += passed_s
        self.device.monitoring.carried = self.online
        self.device.monitoring.look(self.moment())
        new = [event for event in self.device.monitoring.line.first(10_000) if event.id > self._seen]
        self._seen = max([self._seen, *(event.id for event in new)])
        return new

    def reborn(self, kept: Mapping[str, dict[str, Any]] | None = None) -> World:
        """The same charge point after a restart of the machine."""
        rows = {table: dict(documents) for table, documents in (kept or self.kept).items()}
        return World(self.evses, self.socket, rows, 10.0, self.boot + "+", self.online)

    # ---- short ways ----

    def entry(self, name: str, evse: int = 0, connector: int = 0) -> Entry:
        component, _, rest = name.partition(".")
        component, _, instance = component.rstrip("]").partition("[")
        variable, _, variable_instance = rest.rstrip("]").partition("[")
        found = self.device.model.get(
            Component(component, instance, evse, connector), Variable(variable, variable_instance)
        )
        assert found is not None, name
        return found

    def value(self, name: str, evse: int = 0, connector: int = 0) -> str | None:
        return self.entry(name, evse, connector).actual.value()

    def watch(
        self,
        name: str,
        type_: MonitorType,
        value: float,
        severity: int = 8,
        *,
        evse: int = 0,
        replaces: int | None = None,
        transaction: bool = False,
    ) -> SetResult:
        entry = self.entry(name, evse)
        wanted = Monitor(0, entry.component, entry.variable, type_, value, severity, transaction)
        return self.device.monitoring.book.set(wanted, replaces)
