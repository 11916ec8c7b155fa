"""What the network is told of each fault that control knows."""

from __future__ import annotations

import pytest
from station_world import World

from agent.link.messages import FaultCode
from agent.ocpp.v16.render import CHARGEX, ERROR_CODES, status_notification

TABLE = """
pilot EVCommunicationError CX014 PilotFault
diode EVCommunicationError CX014 PilotFault
ventilation EVCommunicationError CX010 InvalidVehicleMode
residual_current GroundFailure CX002 -
residual_self_test InternalError residual_self_test -
over_current OverCurrentFailure CX004 -
contactor_welded PowerSwitchFailure CX017 EVSEContactorFault
contactor_stuck_open PowerSwitchFailure CX017 EVSEContactorFault
protective_earth GroundFailure CX002 -
supply_voltage UnderVoltage CX006 -
temperature HighTemperature CX003 -
cable OtherError CX023 ProximityFault
lock ConnectorLockFailure CX001 -
emergency_stop OtherError CX008 EmergencyStop
board_lost InternalError board_lost -
board_reset InternalError board_reset -
board_mismatch InternalError board_mismatch -
board_fault InternalError board_fault -
enclosure OtherError enclosure -
tilt OtherError tilt -
meter PowerMeterFailure meter -
mains UnderVoltage CX015 PowerLoss
reader ReaderFailure reader -
control_overrun InternalError control_overrun -
"""
"""Fault, OCPP 1.6 errorCode (§7.6), vendorErrorCode, and the ChargeX name where the errorCode does not say it."""

ROWS = [line.split() for line in TABLE.strip().splitlines()]


def test_no_fault_is_forgotten() -> None:
    assert {row[0] for row in ROWS} == {code.value for code in FaultCode}


@pytest.mark.parametrize(("fault", "error", "vendor", "name"), ROWS, ids=[row[0] for row in ROWS])
def test_the_codes_of_a_fault(fault: str, error: str, vendor: str, name: str) -> None:
    world = World()
    world.run(1)
    world.fault(1, FaultCode(fault))
    payload = status_notification(world.reports[1], "Nord")
    assert (payload["status"], payload["errorCode"], payload["vendorErrorCode"]) == ("Faulted", error, vendor)
    assert payload["errorCode"] in ERROR_CODES
    assert payload["vendorId"] == (CHARGEX if vendor.startswith("CX") else "Nord")
    assert payload["info"] == ("it broke" if name == "-" else f"{name}: it broke")
    world.fault(1, FaultCode(fault), active=False)
    assert world.reports[1].error == "NoError"


def test_an_error_is_told_once_and_with_its_status() -> None:
    world = World()
    world.run(1)
    world.fault(1, FaultCode.PILOT)
    world.run(3)
    world.fault(1, FaultCode.PILOT, active=False)
    assert world.history[1] == ["Available", "Faulted", "Available"]
