"""An EVSE of several devices: each port from its own, what opens first, and what happens when one of them fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from control_rig import START_S

from agent.config.schema import Config, ConnectorType, Evse, Installation, Station
from agent.config.schema import Device as DeviceConfig
from agent.control import hardware as hardware_module
from agent.control.dispatch import Dispatcher
from agent.control.hardware import Hardware
from agent.control.timing import ENCLOSURE_S, PORT_STALE_S, STARTUP_GRACE_S
from agent.link.messages import ButtonPressed, FaultCode, MeterSample, Permit
from hal.ports import PortKind
from hal.registry import Driver
from hal.values import (
    BoardReading,
    ButtonPress,
    ContactorReading,
    EmergencyStopReading,
    EnclosureReading,
    Health,
    MeterReading,
    PilotReading,
    PilotState,
    TemperatureReading,
)

LOG: list[tuple[str, str, object]] = []
NOW = [START_S]

UNITS: dict[str, dict[str, frozenset[PortKind]]] = {
    "cp": {"": frozenset({PortKind.CONTROL_PILOT, PortKind.BOARD})},
    "io": {
        "relay": frozenset({PortKind.CONTACTOR}),
        "stop": frozenset({PortKind.EMERGENCY_STOP}),
        "warm": frozenset({PortKind.TEMPERATURE_SENSOR}),
    },
    "far": {"": frozenset({PortKind.CONTACTOR, PortKind.BOARD})},
    "light": {"": frozenset({PortKind.INDICATOR})},
}


@dataclass(slots=True)
class Part:
    """A device whose every unit is itself."""

    name: str
    options: object
    broken: bool = False
    ill: str = ""
    silent_since: float | None = None
    state: PilotState = PilotState.A
    closed: bool = False
    feedback: bool = True
    pressed: bool = False
    celsius: float | None = 20.0
    tells: bool = True
    cover_open: bool = False
    tilted: bool = False
    presses: list[ButtonPress] = field(default_factory=list)

    @property
    def at(self) -> float:
        return NOW[0] if self.silent_since is None else self.silent_since

    def start(self, now: float) -> None: ...

    def fileno(self) -> int | None:
        return None

    def on_readable(self, now: float) -> None: ...

    def on_timer(self, now: float) -> float:
        return now + 1.0

    def close(self) -> None: ...

    def health(self, now: float) -> Health:
        return Health(not self.ill, self.ill)

    def unit(self, name: str) -> object:
        return self

    def _do(self, what: str, value: object) -> None:
        LOG.append((self.name, what, value))
        if self.broken:
            raise RuntimeError(f"{what} is broken")

    def pilot(self) -> PilotReading:
        self._read()
        return PilotReading(self.at, self.state)

    def contactor(self) -> ContactorReading:
        self._read()
        return ContactorReading(self.at, self.closed if self.feedback else None)

    def emergency_stop(self) -> EmergencyStopReading:
        self._read()
        return EmergencyStopReading(self.at, self.pressed)

    def temperatures(self) -> tuple[TemperatureReading, ...]:
        self._read()
        return (TemperatureReading(self.at, self.celsius),) if self.tells else ()

    def enclosure(self) -> EnclosureReading:
        self._read()
        return EnclosureReading(self.at, self.cover_open, self.tilted)

    def take_presses(self) -> list[ButtonPress]:
        self._read()
        taken, self.presses = self.presses, []
        return taken

    def meter(self) -> MeterReading:
        self._read()
        return MeterReading(self.at, 0.0, current_a=(20.0, 21.0, 22.0))

    def board(self) -> BoardReading:
        self._read()
        return BoardReading(self.at)

    def _read(self) -> None:
        if self.broken:
            raise RuntimeError("reading is broken")

    def set_pilot(self, duty_pct: float, now: float) -> None:
        self._do("pilot", duty_pct)

    def set_contactor(self, closed: bool, now: float) -> None:
        self._do("contactor", closed)
        self.closed = closed

    @property
    def at_rest(self) -> bool:
        return not self.closed

    def set_phases(self, phases: int, now: float) -> None: ...

    def set_indication(self, indication: object, now: float) -> None:
        self._do("indication", indication)

    def reset_board(self, now: float) -> None:
        self._do("reset", True)


class House:
    """One EVSE with a fixed cable, composed of the parts that ``evse`` names, in virtual time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, grid_meter: str = "", **evse: Any) -> None:
        monkeypatch.setattr(
            hardware_module.registry,
            "load",
            lambda name: Driver(name, "a part", object, lambda options: UNITS[name], Part),  # type: ignore[arg-type]
        )
        LOG.clear()
        NOW[0] = START_S
        wired = {"board": "cp", "contactor": "io.relay", **evse}
        config = Config(
            station=Station("V", "M", "S"),
            installation=Installation(max_current_a=32.0, grid_meter=grid_meter, grid_max_current_a=40.0),
            devices={name: DeviceConfig(name, None) for name in UNITS},
            evses=(Evse(1, connector=ConnectorType.CABLE, **wired),),
        )
        self.hardware = Hardware(config, START_S)
        self.dispatcher = Dispatcher(self.hardware, START_S)
        self.evse = self.dispatcher.evses[1]

    def part(self, name: str) -> Part:
        device = self.hardware.devices[name].device
        assert isinstance(device, Part)
        return device

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            NOW[0] += 0.01
            self.dispatcher.step(1, NOW[0])

    def charge(self) -> None:
        self.run(2.0)
        self.part("cp").state = PilotState.C
        self.evse.grant(Permit(1, 1, 16.0, 3, 600.0), NOW[0])
        self.run(6.0)
        assert self.evse.sequence.closed, (self.evse.holds, self.evse.faults.codes())

    @property
    def opened(self) -> bool:
        return not self.evse.sequence.closed

    @property
    def faults(self) -> set[FaultCode]:
        return set(self.evse.faults.codes())


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    return House(monkeypatch, emergency_stop="io.stop", indicator="light", temperatures=("io.warm",))


def test_each_port_is_written_to_its_own_device(house: House) -> None:
    house.charge()
    assert house.part("io").closed
    assert not house.part("cp").closed
    written = {(name, what) for name, what, _ in LOG}
    assert written == {("cp", "pilot"), ("io", "contactor"), ("light", "indication")}


def test_across_devices_what_closes_is_last_and_what_opens_is_first(house: House) -> None:
    house.charge()
    closing = LOG.index(("io", "contactor", True))
    assert LOG[closing - 1][:2] == ("cp", "pilot")
    assert 0.0 < float(str(LOG[closing - 1][2])) < 100.0
    LOG.clear()
    house.part("io").pressed = True
    house.run(0.01)
    assert [entry[:2] for entry in LOG[:2]] == [("io", "contactor"), ("cp", "pilot")]
    assert LOG[0][2] is False
    assert LOG[1][2] == 0.0
    assert house.faults == {FaultCode.EMERGENCY_STOP}


@pytest.mark.parametrize("name", ["cp", "io"])
def test_a_safety_device_whose_driver_fails_opens_at_once(house: House, name: str) -> None:
    house.charge()
    LOG.clear()
    house.part(name).broken = True
    house.run(0.02)
    assert house.opened
    assert FaultCode.BOARD_LOST in house.faults
    assert LOG[0] == ("io", "contactor", False)
    assert ("io", "contactor", True) not in LOG


def test_nothing_closes_when_the_pilot_fails_in_the_same_step(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.charge()
    pilot = house.part("cp")

    def fails(duty_pct: float, now: float) -> None:
        raise RuntimeError("the line is gone")

    monkeypatch.setattr(Part, "set_pilot", lambda self, duty_pct, now: fails(duty_pct, now) if self is pilot else None)
    LOG.clear()
    NOW[0] += 0.01
    house.dispatcher.step(1, NOW[0])
    assert ("io", "contactor", True) not in LOG


def test_a_safety_device_that_is_not_well_opens_and_says_its_own_words(house: House) -> None:
    house.charge()
    house.part("io").ill = "io: /dev/gpiochip0 is gone; plug it in"
    house.run(2.5)
    assert house.opened
    (report,) = house.evse.all_fault_reports()
    assert (report.code, report.detail) == (FaultCode.BOARD_LOST, "io: /dev/gpiochip0 is gone; plug it in")


def test_a_failed_light_changes_nothing(house: House) -> None:
    house.charge()
    house.part("light").broken = True
    house.part("light").ill = "dark"
    house.run(5.0)
    assert not house.opened
    assert house.faults == set()
    assert house.hardware.devices["light"].failure, "and it is told with the health of the devices"


def test_a_reading_without_a_life_sign_behind_it_ages_by_its_own_time(house: House) -> None:
    house.charge()
    house.part("io").silent_since = NOW[0]
    house.run(PORT_STALE_S - 0.1)
    assert not house.opened
    house.run(0.2)
    assert house.opened
    (report,) = house.evse.all_fault_reports()
    assert report.code is FaultCode.BOARD_LOST
    assert report.detail in ("the contactor is no longer read", "the emergency stop is no longer read")


def test_a_reading_with_a_life_sign_ages_with_it(house: House) -> None:
    house.charge()
    house.part("cp").silent_since = NOW[0]
    house.run(4.9)
    assert not house.opened
    house.run(0.2)
    assert house.opened
    assert house.faults == {FaultCode.BOARD_LOST}


def test_every_board_must_live(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(monkeypatch, contactor="far")
    house.charge()
    house.part("far").silent_since = NOW[0]
    house.run(5.1)
    assert house.opened
    assert house.faults == {FaultCode.BOARD_LOST}
    house.part("far").silent_since = None
    house.evse.reset_board()
    LOG.clear()
    house.run(0.1)
    assert [name for name, what, _ in LOG if what == "reset"] == ["cp", "far"]


@pytest.mark.parametrize("trouble", ["broken sensor", "failed driver", "silent"])
def test_a_temperature_sensor_that_fails_counts_as_too_hot(monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    house = House(monkeypatch, contactor="far", temperatures=("io.warm",))
    house.charge()
    if trouble == "broken sensor":
        house.part("io").celsius = None
    elif trouble == "failed driver":
        house.part("io").broken = True
    else:
        house.part("io").silent_since = NOW[0] - 31.0
    house.run(6.0)
    assert house.opened
    assert house.faults == {FaultCode.TEMPERATURE}


def test_a_temperature_sensor_may_take_a_moment_to_speak_but_not_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(monkeypatch, contactor="far", temperatures=("io.warm",))
    house.part("io").tells = False
    house.run(STARTUP_GRACE_S - 0.1)
    assert house.faults == set()
    house.run(0.2)
    assert house.faults == {FaultCode.TEMPERATURE}


def test_the_hottest_of_all_sensors_counts(house: House) -> None:
    house.charge()
    house.part("io").celsius = 70.0
    house.run(0.1)
    assert house.evse.guards.temperature.celsius == 70.0
    assert (house.evse.limited_by, house.evse.limit_a) == ("permit", 16.0)
    house.part("io").celsius = 74.0
    house.run(0.1)
    assert house.evse.limited_by == "temperature"


def test_make_safe_reaches_each_device(house: House) -> None:
    house.charge()
    house.part("cp").broken = True
    LOG.clear()
    house.dispatcher.make_safe(NOW[0])
    assert LOG == [("io", "contactor", False), ("cp", "pilot", 0.0)]
    assert house.part("io").at_rest


def test_what_cannot_be_watched_is_said_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.part("io").feedback = False
    house.charge()
    assert caplog.text.count("EVSE 1: the contactor has no feedback") == 1


def test_a_bare_pilot_without_a_residual_current_monitor_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    House(monkeypatch)
    assert "residual" not in caplog.text, "a board watches over the pilot"
    monkeypatch.setitem(UNITS, "cp", {"": frozenset({PortKind.CONTROL_PILOT})})
    House(monkeypatch)
    assert caplog.text.count("EVSE 1: no board watches over its pilot, and no residual-current monitor is named") == 1


class Told:
    """Stands for the link: keeps what the agent is told."""

    connected = True

    def __init__(self) -> None:
        self.messages: list[object] = []

    def send(self, message: object) -> None:
        self.messages.append(message)

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]


def test_a_press_of_the_button_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(UNITS, "light", {"": frozenset({PortKind.BUTTON})})
    house = House(monkeypatch, button="light")
    told = Told()
    house.dispatcher.link = told  # type: ignore[assignment]
    house.part("light").presses = [ButtonPress(START_S), ButtonPress(START_S + 1.0, long=True)]
    house.dispatcher.house_keeping(START_S + 2.0)
    house.dispatcher.house_keeping(START_S + 3.0)
    assert told.of(ButtonPressed) == [ButtonPressed(1, START_S), ButtonPressed(1, START_S + 1.0, long=True)]
    house.part("light").broken = True
    house.dispatcher.house_keeping(START_S + 4.0)
    assert house.hardware.devices["light"].failure


def test_the_buildings_meter_is_passed_on_once_and_never_restamped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(UNITS, "light", {"": frozenset({PortKind.POWER_METER})})
    house = House(monkeypatch, grid_meter="light")
    told = Told()
    house.dispatcher.link = told  # type: ignore[assignment]
    for _ in range(3):
        house.dispatcher.house_keeping(NOW[0])
    (sample,) = told.of(MeterSample)
    assert (sample.evse, sample.at, sample.current_a) == (0, START_S, (20.0, 21.0, 22.0))
    house.dispatcher.on_connect(NOW[0])
    house.dispatcher.house_keeping(NOW[0])
    assert len(told.of(MeterSample)) == 2, "a new agent is told"
    house.part("light").broken = True
    NOW[0] += 1.0
    house.dispatcher.house_keeping(NOW[0])
    house.dispatcher.house_keeping(NOW[0])
    assert len(told.of(MeterSample)) == 2


def test_an_open_cover_opens_and_a_tilt_waits_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(UNITS, "light", {"": frozenset({PortKind.ENCLOSURE})})
    house = House(monkeypatch, enclosure="light")
    house.charge()
    house.part("light").cover_open = True
    house.run(0.02)
    assert house.opened
    assert house.faults == {FaultCode.ENCLOSURE}
    house.part("light").cover_open = False
    house.run(ENCLOSURE_S - 0.1)
    assert house.faults == {FaultCode.ENCLOSURE}
    house.run(0.5)
    assert house.faults == set()
    house.part("light").tilted = True
    house.run(0.02)
    house.part("light").tilted = False
    house.part("cp").state = PilotState.A
    house.run(30.0)
    assert house.faults == {FaultCode.TILT}
    house.evse.clear_fault(FaultCode.TILT)
    house.run(2.0)
    assert house.faults == set()
