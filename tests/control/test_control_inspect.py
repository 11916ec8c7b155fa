"""What control tells of its readings: all of them, as the drivers gave them, within one message."""

from __future__ import annotations

from typing import Any

import pytest

from agent.control.device_state import DeviceState, Source
from agent.control.inspect import MAX_TEXT, devices_of, inputs_of
from agent.control.ports import Ports
from agent.link.codec import decode_to_agent, encode
from agent.link.messages import InputsReport
from hal.ports import PortKind
from hal.values import (
    BoardError,
    BoardReading,
    Cable,
    ContactorReading,
    EmergencyStopReading,
    Health,
    LockReading,
    MeterReading,
    PilotReading,
    PilotState,
    ProximityReading,
    TemperatureReading,
)

KINDS = frozenset(
    {
        PortKind.CONTROL_PILOT,
        PortKind.CONTACTOR,
        PortKind.CABLE_LOCK,
        PortKind.PROXIMITY_PILOT,
        PortKind.EMERGENCY_STOP,
        PortKind.TEMPERATURE_SENSOR,
        PortKind.BOARD,
    }
)


class Unit:
    """A board with everything, and its device."""

    name = "board"
    broken = ""

    def pilot(self) -> PilotReading | None:
        return PilotReading(90.0, PilotState.B, 9.01, float("nan"))

    def contactor(self) -> ContactorReading:
        if self.broken == "contactor":
            raise RuntimeError("the wire is off")
        return ContactorReading(91.0, None)

    def lock(self) -> LockReading | None:
        return None

    def proximity(self) -> ProximityReading:
        return ProximityReading(92.0, Cable.A32)

    def emergency_stop(self) -> EmergencyStopReading:
        return EmergencyStopReading(93.0, True)

    def temperatures(self) -> tuple[TemperatureReading, ...]:
        return TemperatureReading(94.0, 41.5), TemperatureReading(95.0, None)

    def board(self) -> BoardReading:
        return BoardReading(99.0, frozenset({BoardError.DIODE, BoardError.LOCK}), 2, "\u2603" * 500)

    def meter(self) -> MeterReading:
        return MeterReading(98.0, 12_345_678.9, None, 11_000.0, (230.1, 229.9), (16.0, 15.9))

    def health(self, now: float) -> Health:
        if self.broken == "health":
            raise RuntimeError("gone")
        return Health(False, "no answer; look at the cable", 97.5)


def house() -> tuple[Unit, Ports, DeviceState]:
    unit = Unit()
    state = DeviceState(unit, 0.0)  # type: ignore[arg-type]
    board = Source(state, unit, KINDS)
    return unit, Ports(dict.fromkeys(KINDS, board), board, meter=board), state


def rows(report: InputsReport) -> dict[tuple[str, str], Any]:
    assert decode_to_agent(encode(report)) == report
    return {(each.port, each.name): each for each in report.values}


def test_every_reading_keeps_its_own_time_and_words() -> None:
    _, ports, _ = house()
    found = rows(inputs_of(1, ports, 5, 100.0))
    assert (found["pilot", "state"].text, found["pilot", "state"].at) == ("B", 90.0)
    assert found["pilot", "high_v"].value == 9.01
    assert found["pilot", "low_v"].value is None, "what is no number does not travel as one"
    assert (found["contactor", "closed"].text, found["contactor", "closed"].at) == ("unknown", 91.0)
    assert (found["lock", ""].text, found["lock", ""].at) == ("nothing received yet", None)
    assert found["proximity", "cable"].text == "a32"
    assert found["emergency_stop", "pressed"].text == "yes"
    assert (found["temperatures", "value_c_1"].value, found["temperatures", "value_c_2"].text) == (41.5, "unknown")
    assert found["board", "errors"].text == "diode, lock"
    assert len(found["board", "last_reset_reason"].text) == MAX_TEXT
    assert (found["meter", "current_a_l2"].value, found["meter", "quality"].text) == (15.9, "good")
    assert found["meter", "energy_import_wh"].text == "12345679"
    assert {each.device for key, each in found.items() if key[0] != "trouble"} == {"board"}
    assert found["trouble", ""].text == "no answer; look at the cable"


def test_a_driver_that_raises_is_told_and_nothing_else_is_lost() -> None:
    unit, ports, _ = house()
    unit.broken = "contactor"
    found = rows(inputs_of(1, ports, 5, 100.0))
    assert "the wire is off" in found["trouble", ""].text
    assert found["pilot", "state"].text == "B"


@pytest.mark.parametrize("broken", ["", "health"])
def test_devices_tell_how_they_do(broken) -> None:
    unit, _, state = house()
    unit.broken = broken
    (device,) = devices_of({"board": state}, 3, 100.0).values
    assert (device.device, device.name) == ("board", "trouble")
    assert ("gone" in device.text, device.at) == ((True, None) if broken else (False, 97.5))


def test_many_readings_still_fit_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    unit, ports, _ = house()
    many = tuple(TemperatureReading(float(number), 20.0) for number in range(70))
    monkeypatch.setattr(unit, "temperatures", lambda: many)
    ports = Ports({PortKind.TEMPERATURE_SENSOR: Source(DeviceState(unit, 0.0), unit, KINDS)}, house_board(unit))  # type: ignore[arg-type]
    found = rows(inputs_of(1, ports, 5, 100.0))
    assert found["trouble", ""].text in ("more readings than one message holds", "no answer; look at the cable")
    assert len(found) > 20


def house_board(unit: Unit) -> Source:
    return Source(DeviceState(unit, 0.0), unit, KINDS)  # type: ignore[arg-type]
