"""Variables: what there is, what they say, how they are set, and which of them a report holds."""

from __future__ import annotations

import math

import pytest

from agent.device_model.device import declarations
from agent.device_model.from_settings import READ_ONLY, SHOWN_AS, names_of, read_name
from agent.device_model.model import Missing
from agent.device_model.selection import Criterion, ReportBase, Wanted, base_report, custom_report
from agent.device_model.variables import (
    ACCEPTED,
    AttributeType,
    ChangeStatus,
    Component,
    DataType,
    Mutability,
    Variable,
)
from agent.link.messages import FaultCode
from agent.station.settings import SETTINGS
from tests.device_model.device_world import World

REQUIRED = (
    "AlignedDataCtrlr.Interval",
    "AlignedDataCtrlr.Measurands",
    "AlignedDataCtrlr.TxEndedInterval",
    "AlignedDataCtrlr.TxEndedMeasurands",
    "AuthCtrlr.AuthorizeRemoteStart",
    "AuthCtrlr.LocalAuthorizeOffline",
    "AuthCtrlr.LocalPreAuthorize",
    "ChargingStation.AvailabilityState",
    "ChargingStation.Available",
    "ChargingStation.SupplyPhases",
    "ClockCtrlr.DateTime",
    "ClockCtrlr.TimeSource",
    "DeviceDataCtrlr.BytesPerMessage[GetReport]",
    "DeviceDataCtrlr.BytesPerMessage[GetVariables]",
    "DeviceDataCtrlr.BytesPerMessage[SetVariables]",
    "DeviceDataCtrlr.ItemsPerMessage[GetReport]",
    "DeviceDataCtrlr.ItemsPerMessage[GetVariables]",
    "DeviceDataCtrlr.ItemsPerMessage[SetVariables]",
    "LocalAuthListCtrlr.BytesPerMessage",
    "LocalAuthListCtrlr.Entries",
    "LocalAuthListCtrlr.ItemsPerMessage",
    "MonitoringCtrlr.BytesPerMessage[SetVariableMonitoring]",
    "MonitoringCtrlr.ItemsPerMessage[SetVariableMonitoring]",
    "OCPPCommCtrlr.FileTransferProtocols",
    "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]",
    "OCPPCommCtrlr.MessageAttempts[TransactionEvent]",
    "OCPPCommCtrlr.MessageTimeout[Default]",
    "OCPPCommCtrlr.OfflineThreshold",
    "OCPPCommCtrlr.ResetRetries",
    "OCPPCommCtrlr.UnlockOnEVSideDisconnect",
    "SampledDataCtrlr.TxEndedInterval",
    "SampledDataCtrlr.TxEndedMeasurands",
    "SampledDataCtrlr.TxStartedMeasurands",
    "SampledDataCtrlr.TxUpdatedInterval",
    "SampledDataCtrlr.TxUpdatedMeasurands",
    "SecurityCtrlr.OrganizationName",
    "SmartChargingCtrlr.Entries[ChargingProfiles]",
    "SmartChargingCtrlr.LimitChangeSignificance",
    "SmartChargingCtrlr.PeriodsPerSchedule",
    "SmartChargingCtrlr.ProfileStackLevel",
    "SmartChargingCtrlr.RateUnit",
    "TxCtrlr.EVConnectionTimeOut",
    "TxCtrlr.StopTxOnEVSideDisconnect",
    "TxCtrlr.StopTxOnInvalidId",
    "TxCtrlr.TxStartPoint",
    "TxCtrlr.TxStopPoint",
)
"""Of the appendix (Required?=yes), those that this room and the settings give."""


@pytest.mark.parametrize("name", REQUIRED)
def test_each_required_variable_is_there_with_a_value(name: str) -> None:
    assert World().value(name) is not None


@pytest.mark.parametrize("evse", [1, 2])
def test_each_evse_and_connector_has_the_required_variables(evse: int) -> None:
    world = World()
    assert world.value("EVSE.AvailabilityState", evse) == "Available"
    assert world.value("EVSE.Available", evse) == "true"
    assert world.value("EVSE.SupplyPhases", evse) == "3"
    assert world.entry("EVSE.Power", evse).characteristics.maximum == 32 * 230 * 3
    assert world.value("Connector.ConnectorType", evse, 1) == "sType2"
    assert world.value("Connector.Available", evse, 1) == "true"
    assert world.value("Connector.SupplyPhases", evse, 1) == "3"


@pytest.mark.parametrize("setting", sorted(SETTINGS))
def test_each_setting_is_a_variable_of_its_kind(setting: str) -> None:
    world = World()
    for name in names_of(setting):
        component, variable = read_name(name)
        entry = world.device.model.get(component, variable)
        assert entry is not None
        writable = SETTINGS[setting].writable and setting not in READ_ONLY
        assert entry.actual.mutability is (Mutability.READ_WRITE if writable else Mutability.READ_ONLY)
        assert entry.actual.persistent


def test_only_capacities_and_the_rotations_of_all_outlets_are_settings_without_a_variable() -> None:
    assert {name for name, shown in SHOWN_AS.items() if not shown} == {
        "LocalAuthListCtrlr.Entries",
        "SecurityCtrlr.CertificateEntries",
        "SmartChargingCtrlr.Entries[ChargingProfiles]",
        "ElectricalFeed.PhaseRotation",
    }


def test_names_are_found_whatever_their_case_and_instances_must_be_right() -> None:
    model = World().device.model
    assert not isinstance(model.find(Component("txctrlr"), Variable("EVCONNECTIONTIMEOUT")), Missing)
    assert model.find(Component("TxCtrl"), Variable("EVConnectionTimeOut")) is Missing.COMPONENT
    assert model.find(Component("TxCtrlr"), Variable("Timeout")) is Missing.VARIABLE
    assert model.find(Component("TxCtrlr", "x"), Variable("EVConnectionTimeOut")) is Missing.COMPONENT
    assert model.find(Component("OCPPCommCtrlr"), Variable("MessageTimeout")) is Missing.VARIABLE  # B06.FR.15
    assert model.find(Component("EVSE", "", 3), Variable("Power")) is Missing.COMPONENT


@pytest.mark.parametrize(
    ("name", "text", "status", "reason"),
    [
        ("TxCtrlr.EVConnectionTimeOut", "90", ChangeStatus.ACCEPTED, ""),
        ("TxCtrlr.EVConnectionTimeOut", "soon", ChangeStatus.REJECTED, "InvalidValue"),
        ("TxCtrlr.EVConnectionTimeOut", "1_0", ChangeStatus.REJECTED, "InvalidValue"),
        ("TxCtrlr.EVConnectionTimeOut", "86401", ChangeStatus.REJECTED, "ValueTooHigh"),
        ("TxCtrlr.EVConnectionTimeOut", "-1", ChangeStatus.REJECTED, "ValueTooLow"),
        ("TxCtrlr.StopTxOnInvalidId", "maybe", ChangeStatus.REJECTED, "InvalidValue"),
        ("AlignedDataCtrlr.Measurands", "Voltage,Nonsense", ChangeStatus.REJECTED, "InvalidValue"),
        ("AlignedDataCtrlr.Measurands", "Voltage,Frequency", ChangeStatus.ACCEPTED, ""),
        ("OCPPCommCtrlr.PublicKeyWithSignedMeterValue", "Sometimes", ChangeStatus.REJECTED, "InvalidValue"),
        ("ClockCtrlr.TimeSource", "", ChangeStatus.REJECTED, "InvalidValue"),
        ("ClockCtrlr.TimeSource", "Heartbeat", ChangeStatus.ACCEPTED, ""),
        ("ClockCtrlr.TimeOffset", "five", ChangeStatus.REJECTED, "InvalidValue"),
        ("SecurityCtrlr.OrganizationName", "x" * 65, ChangeStatus.REJECTED, "InvalidValue"),
        ("SecurityCtrlr.OrganizationName", "x" * 1001, ChangeStatus.REJECTED, "TooLargeElement"),
    ],
)
def test_a_setting_is_set_through_its_variable_or_refused_with_a_reason(
    name: str, text: str, status: ChangeStatus, reason: str
) -> None:
    world = World()
    before = world.value(name)
    change = world.entry(name).actual.change
    assert change is not None
    done = change(text)
    assert (done.status, done.reason) == (status, reason)
    assert world.value(name) == (text if status is ChangeStatus.ACCEPTED else before)


def test_what_was_set_is_there_after_a_restart() -> None:
    world = World()
    change = world.entry("TxCtrlr.EVConnectionTimeOut").actual.change
    assert change is not None
    change("77")
    assert world.reborn().value("TxCtrlr.EVConnectionTimeOut") == "77"


def test_with_fixed_cables_alone_unlocking_is_read_only_and_false() -> None:
    world = World(socket=False)
    actual = world.entry("OCPPCommCtrlr.UnlockOnEVSideDisconnect").actual
    assert (actual.value(), actual.mutability) == ("false", Mutability.READ_ONLY)
    assert world.value("Connector.ConnectorType", 1, 1) == "cType2"


def test_measured_values_are_shown_while_they_stand_and_not_a_moment_longer() -> None:
    world = World()
    world.meter(1, power_w=7360.4, current_a=(10.0, 11.25, 9.0))
    assert world.value("EVSE.Power", 1) == "7360.4"
    assert world.value("EVSE.ACCurrent", 1) == "11.25"
    assert world.value("FiscalMetering.ACCurrent[L2]", 1) == "11.25"
    assert world.value("FiscalMetering.ACVoltage[L3]", 1) == "230"
    assert world.value("FiscalMetering.EnergyImportRegister", 1) == "1000"
    world.now += 60.0
    assert world.value("EVSE.Power", 1) is None
    assert world.entry("EVSE.Power", 1).number() is None


def test_what_the_pilot_offers_is_the_target_of_the_current() -> None:
    world = World()
    world.observe(1, pilot="C2", plugged=True, offered_a=16.0, contactor_closed=True, locked=True)
    world.meter(1, current_a=(15.0, 15.0, 15.0))
    entry = world.entry("EVSE.ACCurrent", 1)
    assert (entry.number(), entry.number(AttributeType.TARGET)) == (15.0, 16.0)
    assert world.value("PowerContactor.Active", 1) == "true"
    assert world.value("ConnectorPlugRetentionLock.Active", 1) == "true"
    assert world.value("CPPWMController.State", 1) == "C"


def test_a_fault_shows_at_its_component_with_its_code_and_is_counted() -> None:
    world = World()
    world.fault(FaultCode.LOCK, detail="the bolt does not move")
    entry = world.entry("ConnectorPlugRetentionLock.Problem", 1)
    assert entry.actual.value() == "true"
    assert entry.note is not None
    assert entry.note() == ("CX001", "ConnectorLockFailure: the bolt does not move")
    assert world.value("ConnectorPlugRetentionLock.Count", 1) == "1"
    assert world.value("ConnectorPlugRetentionLock.Problem", 2) == "false"
    assert world.value("EVSE.Problem", 1) == "true"
    assert world.value("ChargingStation.Problem") == "true"


@pytest.mark.parametrize("code", list(FaultCode))
def test_every_fault_of_control_shows_somewhere(code: FaultCode) -> None:
    world = World()
    before = {str(entry) for entry in world.device.model if entry.actual.value() == "true"}
    world.fault(code)
    after = {str(entry) for entry in world.device.model if entry.actual.value() == "true"}
    # A reader shows where there is one; this charge point has none.
    expected = {"EVSE@1.Problem", "ChargingStation.Problem"}
    assert expected <= after - before
    if code is not FaultCode.READER:
        assert after - before > expected


def test_values_are_written_as_ocpp_has_them() -> None:
    world = World()
    for entry in world.device.model:
        text = entry.actual.value()
        kind = entry.characteristics.data_type
        if text is None or text == "":
            continue
        if kind is DataType.BOOLEAN:
            assert text in ("true", "false")
        elif kind.numeric:
            assert math.isfinite(float(text))
            assert "e" not in text
        elif kind is DataType.OPTION_LIST:
            assert text in entry.characteristics.choices, entry
        elif kind in (DataType.MEMBER_LIST, DataType.SEQUENCE_LIST) and text and entry.characteristics.choices:
            assert set(text.split(",")) <= set(entry.characteristics.choices), entry


# ---- reports ----


def names(entries: list[object]) -> set[str]:
    return {str(entry) for entry in entries}


def test_the_configuration_inventory_holds_what_can_be_set_and_nothing_else() -> None:
    model = World().device.model
    found = base_report(model, ReportBase.CONFIGURATION)
    assert {"TxCtrlr.EVConnectionTimeOut", "MonitoringCtrlr.OfflineQueuingSeverity"} <= names(list(found))
    assert all(entry.actual.mutability is not Mutability.READ_ONLY for entry in found)
    assert len(found) == sum(1 for entry in model if entry.actual.mutability is not Mutability.READ_ONLY)


def test_the_full_inventory_holds_everything() -> None:
    model = World().device.model
    assert len(base_report(model, ReportBase.FULL)) == len(model)


def test_the_summary_holds_states_and_of_what_is_in_trouble_the_trouble() -> None:
    world = World()
    calm = names(list(base_report(world.device.model, ReportBase.SUMMARY)))
    assert calm == {
        "ChargingStation.AvailabilityState",
        *(f"EVSE@{n}.AvailabilityState" for n in (1, 2)),
        *(f"Connector@{n}.1.AvailabilityState" for n in (1, 2)),
    }
    world.fault(FaultCode.RESIDUAL_CURRENT, evse=2)
    found = names(list(base_report(world.device.model, ReportBase.SUMMARY)))
    assert {"RCD@2.Tripped", "RCD@2.Count", "EVSE@2.Problem", "ChargingStation.Problem"} <= found - calm
    assert "RCD@1.Tripped" not in found


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted("EVSE", evse=1, variable="Power"), {"EVSE@1.Power"}),
        (Wanted("evse", variable="POWER"), {"EVSE@1.Power", "EVSE@2.Power"}),  # B08.FR.23
        (Wanted("EVSE", evse=3), set()),
        (
            Wanted("FiscalMetering", evse=1, variable="ACVoltage"),  # B08.FR.21
            {f"FiscalMetering@1.ACVoltage[L{n}]" for n in (1, 2, 3)},
        ),
        (
            Wanted("FiscalMetering", evse=1, variable="ACVoltage", variable_instance="L2"),
            {"FiscalMetering@1.ACVoltage[L2]"},
        ),
        (Wanted("Connector", evse=2, variable="Available"), {"Connector@2.1.Available"}),  # B08.FR.22
        (Wanted("Connector", evse=2, connector=2), set()),
        (
            Wanted("Controller", variable="Problem"),  # B08.FR.25
            {"Controller.Problem", "Controller[Journal].Problem", "Controller@1.Problem", "Controller@2.Problem"},
        ),
        (Wanted("Controller", instance="journal", variable="Problem"), {"Controller[Journal].Problem"}),  # B08.FR.24
        (Wanted("RCD", evse=1), {"RCD@1.Tripped", "RCD@1.Problem", "RCD@1.Count"}),  # B08.FR.20
    ],
)
def test_what_a_request_names_is_found_and_what_it_leaves_out_stands_for_all(
    wanted: Wanted, expected: set[str]
) -> None:
    assert names(list(custom_report(World().device.model, None, [wanted]))) == expected


def test_criteria_pick_components_and_one_that_fits_is_enough() -> None:
    world = World()
    model = world.device.model
    assert custom_report(model, [Criterion.PROBLEM], None) == []
    world.fault(FaultCode.OVER_CURRENT)
    troubled = {str(entry.component) for entry in custom_report(model, [Criterion.PROBLEM], None)}
    assert troubled == {"EVSE@1", "ChargingStation"}
    available = {str(entry.component) for entry in custom_report(model, [Criterion.AVAILABLE], None)}
    assert available == {str(entry.component) for entry in model}  # B08.FR.08: true, or no such variable
    active = {str(entry.component) for entry in custom_report(model, [Criterion.ACTIVE], None)}
    assert "TiltSensor@1" not in active
    assert "EVSE@1" in active  # B08.FR.07: no such variable
    both = custom_report(model, [Criterion.ACTIVE, Criterion.PROBLEM], None)
    assert {str(entry.component) for entry in both} == active | troubled  # B08.FR.13
    enabled = {str(entry.component) for entry in custom_report(model, [Criterion.ENABLED], None)}
    assert "AuthCacheCtrlr" in enabled
    world.set_setting("AuthCacheCtrlr.Enabled", "false")
    assert "AuthCacheCtrlr" not in {str(e.component) for e in custom_report(model, [Criterion.ENABLED], None)}


def test_criteria_and_names_both_bound_a_report() -> None:
    world = World()
    world.fault(FaultCode.OVER_CURRENT)
    wanted = [Wanted("EVSE", variable="Problem")]
    assert names(list(custom_report(world.device.model, [Criterion.PROBLEM], wanted))) == {"EVSE@1.Problem"}


def test_no_live_variable_is_hidden_by_a_setting() -> None:
    """A setting of the same name would take its place."""
    shown = {read_name(name) for setting in SETTINGS for name in names_of(setting)}
    live = {
        (Component(each.component, each.instance), Variable(each.variable, each.variable_instance))
        for each in declarations()
    }
    assert shown & live == set()


def test_what_is_used_of_a_capacity_is_told_beside_it() -> None:
    entry = World().entry("SmartChargingCtrlr.Entries[ChargingProfiles]")
    assert (entry.actual.value(), entry.characteristics.maximum) == ("0", 100)


def test_each_outlet_says_and_sets_its_own_rotation_of_phases() -> None:
    world = World()
    first, second = (world.entry("ElectricalFeed.PhaseRotation", evse).actual for evse in (1, 2))
    assert (first.value(), second.value()) == ("", "")
    assert first.change is not None
    assert second.change is not None
    assert first.change("STR") == ACCEPTED
    assert second.change("RST") == ACCEPTED
    assert world.settings.string("ElectricalFeed.PhaseRotation") == "1.STR,2.RST"
    assert (first.value(), second.value()) == ("STR", "RST")
    assert first.change("RSX").status is ChangeStatus.REJECTED
    assert first.change("") == ACCEPTED
    assert world.settings.string("ElectricalFeed.PhaseRotation") == "2.RST"
    world.set_setting("ElectricalFeed.PhaseRotation", "0.RST, 1.TSR,2.Unknown")
    assert (first.value(), second.value()) == ("TSR", "")
    assert second.change("SRT") == ACCEPTED
    assert world.settings.string("ElectricalFeed.PhaseRotation") == "0.RST,1.TSR,2.SRT"
