"""Block N, monitoring: the certification cases of Part 6 over a real websocket, and what 2.1 adds."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from agent.link.messages import FaultCode
from agent.ocpp.times import read_time
from tests.tc201.rig import Refusal, Rig201, case

Payload = dict[str, Any]

TIMEOUT = {"component": {"name": "TxCtrlr"}, "variable": {"name": "EVConnectionTimeOut"}}
"""A number that the network can set: 0 to 86400, 60 at first."""
BEAT = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
STATE = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "AvailabilityState"}}
POWER = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}
LOCK = {"component": {"name": "ConnectorPlugRetentionLock"}, "variable": {"name": "Problem"}}
PASSWORD = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}

DEFAULTS = {"MonitoringCtrlr.OfflineQueuingSeverity": "4"}


def wanted(place: Payload, kind: str, value: float, severity: int = 8, **more: Any) -> Payload:
    return {**place, "type": kind, "value": value, "severity": severity, **more}


async def watch(rig: Rig201, *monitors: Payload) -> list[Payload]:
    answer = await rig.call("SetVariableMonitoring", setMonitoringData=list(monitors))
    results: list[Payload] = answer["setMonitoringResult"]
    return results


async def watched(rig: Rig201, *monitors: Payload) -> list[int]:
    """Set monitors that must be accepted; returns their numbers."""
    results = await watch(rig, *monitors)
    assert [result["status"] for result in results] == ["Accepted"] * len(monitors), results
    return [result["id"] for result in results]


async def event(rig: Rig201, monitor: int | None = None) -> Payload:
    """The next event (of one monitor)."""

    def has(payload: Payload) -> bool:
        return any(monitor in (None, data.get("variableMonitoringId")) for data in payload["eventData"])

    message = await rig.expect("NotifyEvent", has)
    assert message["seqNo"] == 0
    return next(data for data in message["eventData"] if monitor in (None, data.get("variableMonitoringId")))


def events(rig: Rig201, monitor: int) -> list[Payload]:
    return [
        data
        for message in rig.sent("NotifyEvent")
        for data in message["eventData"]
        if data.get("variableMonitoringId") == monitor
    ]


async def monitors(rig: Rig201, **request: Any) -> dict[int, Payload]:
    """A monitoring report that must be accepted, by number of the monitor."""
    answer = await rig.call("GetMonitoringReport", requestId=1, **request)
    assert answer == {"status": "Accepted"}
    found: dict[int, Payload] = {}
    number = 0
    while True:
        part = await rig.expect("NotifyMonitoringReport")
        assert (part["requestId"], part["seqNo"]) == (1, number)
        number += 1
        for each in part["monitor"]:
            for monitor in each["variableMonitoring"]:
                place = {"component": each["component"], "variable": each["variable"]}
                found[monitor["id"]] = {**place, **monitor}
        if not part.get("tbc"):
            return found


# ---- N02 ----


@case()
async def test_tc_n_01_cs_monitoring_report_with_criteria(rig: Rig201) -> None:
    upper, delta, periodic, aligned, lower = await watched(
        rig,
        wanted(TIMEOUT, "UpperThreshold", 1000),
        wanted(TIMEOUT, "Delta", 1000),
        wanted(BEAT, "Periodic", 3600),
        wanted(BEAT, "PeriodicClockAligned", 3600),
        wanted(TIMEOUT, "LowerThreshold", 1),
    )
    found = await monitors(rig, monitoringCriteria=["ThresholdMonitoring"])
    assert {upper, lower} <= set(found)
    assert {each["type"] for each in found.values()} == {"UpperThreshold", "LowerThreshold"}  # N02.FR.12
    found = await monitors(rig, monitoringCriteria=["DeltaMonitoring"])
    assert delta in found
    assert {each["type"] for each in found.values()} == {"Delta"}  # N02.FR.13
    found = await monitors(rig, monitoringCriteria=["PeriodicMonitoring"])
    assert set(found) == {periodic, aligned}  # N02.FR.14
    found = await monitors(rig, monitoringCriteria=["ThresholdMonitoring", "PeriodicMonitoring"])
    assert {upper, lower, periodic, aligned} <= set(found)
    assert delta not in found


@case(evses=2)
async def test_tc_n_02_cs_monitoring_report_with_component_and_variable(rig: Rig201) -> None:
    numbers = await watched(rig, wanted(TIMEOUT, "UpperThreshold", 1000), wanted(TIMEOUT, "Delta", 1000))
    found = await monitors(rig, componentVariable=[TIMEOUT])
    assert set(found) == set(numbers)
    assert found[numbers[0]] == {**wanted(TIMEOUT, "UpperThreshold", 1000), "id": numbers[0], "transaction": False}
    found = await monitors(rig, componentVariable=[{"component": {"name": "RCD"}}])  # N02.FR.16, FR.19
    assert {(each["component"]["evse"]["id"], each["variable"]["name"]) for each in found.values()} == {
        (evse, name) for evse in (1, 2) for name in ("Tripped", "Problem")
    }


@case()
async def test_tc_n_03_cs_monitoring_report_with_criteria_and_component(rig: Rig201) -> None:
    upper, delta = await watched(rig, wanted(TIMEOUT, "UpperThreshold", 1000), wanted(TIMEOUT, "Delta", 1000))
    found = await monitors(rig, monitoringCriteria=["DeltaMonitoring"], componentVariable=[TIMEOUT])
    assert set(found) == {delta}
    answer = await rig.call(
        "GetMonitoringReport", requestId=2, monitoringCriteria=["PeriodicMonitoring"], componentVariable=[TIMEOUT]
    )
    assert answer == {"status": "EmptyResultSet"}  # N02.FR.10
    assert upper != delta


@case()
async def test_tc_n_47_cs_monitoring_report_of_all(rig: Rig201) -> None:
    """N02.FR.11"""
    numbers = await watched(rig, wanted(TIMEOUT, "UpperThreshold", 1000))
    found = await monitors(rig)
    assert set(numbers) < set(found)
    components = {each["component"]["name"] for each in found.values()}
    assert {"ConnectorPlugRetentionLock", "RCD", "PowerContactor", "TxCtrlr"} <= components
    assert "TiltSensor" not in components


# ---- N03 ----


@case()
async def test_tc_n_05_cs_set_monitoring_base(rig: Rig201) -> None:
    for base in ("All", "FactoryDefault", "HardWiredOnly"):
        assert await rig.call("SetMonitoringBase", monitoringBase=base) == {"status": "Accepted"}
        assert await rig.variable("MonitoringCtrlr", "ActiveMonitoringBase") == base


@case()
async def test_tc_n_06_cs_set_monitoring_base_removes_custom_monitors(rig: Rig201) -> None:
    for base, stays in (("All", True), ("FactoryDefault", False), ("HardWiredOnly", False)):
        (number,) = await watched(rig, wanted(TIMEOUT, "UpperThreshold", 1000))
        assert await rig.call("SetMonitoringBase", monitoringBase=base) == {"status": "Accepted"}
        assert (number in await monitors(rig)) == stays, base
        if stays:
            await rig.call("ClearVariableMonitoring", id=[number])


# ---- N04 ----


@case()
async def test_tc_n_08_cs_set_one_monitor(rig: Rig201) -> None:
    (result,) = await watch(rig, wanted(TIMEOUT, "UpperThreshold", 1000, 8))
    assert result.pop("id") > 0  # N04.FR.11
    assert result == {**TIMEOUT, "type": "UpperThreshold", "severity": 8, "status": "Accepted"}


@case()
async def test_tc_n_09_cs_set_monitors_on_different_variables(rig: Rig201) -> None:
    numbers = await watched(rig, wanted(TIMEOUT, "Delta", 1000), wanted(BEAT, "Delta", 1000), wanted(STATE, "Delta", 1))
    assert len(set(numbers)) == 3
    assert set(numbers) <= set(await monitors(rig))


@case()
async def test_tc_n_10_cs_set_several_monitors_on_one_variable(rig: Rig201) -> None:
    numbers = await watched(
        rig,
        wanted(TIMEOUT, "UpperThreshold", 1000, 4),
        wanted(TIMEOUT, "UpperThreshold", 2000, 3),
        wanted(TIMEOUT, "LowerThreshold", 1, 4),
        wanted(TIMEOUT, "Delta", 100, 4),
    )
    assert set(await monitors(rig, componentVariable=[TIMEOUT])) == set(numbers)


@case()
async def test_tc_n_11_cs_set_monitor_unknown_component(rig: Rig201) -> None:
    place = {"component": {"name": "UnknownComponent"}, "variable": {"name": "Power"}}
    (result,) = await watch(rig, wanted(place, "UpperThreshold", 1))
    assert result["status"] == "UnknownComponent"
    assert "id" not in result


@case()
async def test_tc_n_37_cs_set_monitor_unknown_variable_or_type(rig: Rig201) -> None:
    place = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "UnknownVariable"}}
    first, second = await watch(rig, wanted(place, "UpperThreshold", 1), wanted(STATE, "UpperThreshold", 1))
    assert (first["status"], second["status"]) == ("UnknownVariable", "UnsupportedMonitorType")


@case()
async def test_tc_n_12_cs_set_monitor_out_of_range_delta(rig: Rig201) -> None:
    (result,) = await watch(rig, wanted(TIMEOUT, "Delta", -1))
    assert result["status"] == "Rejected"
    assert result["statusInfo"]["reasonCode"] == "ValuePositiveOnly"


@case()
async def test_tc_n_13_cs_set_monitor_out_of_range_threshold(rig: Rig201) -> None:
    results = await watch(rig, wanted(TIMEOUT, "UpperThreshold", 86_401), wanted(TIMEOUT, "LowerThreshold", -1))
    for result in results:
        assert result["status"] == "Rejected"
        assert result["statusInfo"]["reasonCode"] == "ValueOutOfRange"


@case()
async def test_tc_n_15_cs_set_monitor_duplicate_type_and_severity(rig: Rig201) -> None:
    await watched(rig, wanted(TIMEOUT, "UpperThreshold", 1000, 4))
    (result,) = await watch(rig, wanted(TIMEOUT, "UpperThreshold", 2000, 4))
    assert result["status"] == "Duplicate"


@case()
async def test_tc_n_39_cs_replace_monitor_of_another_variable(rig: Rig201) -> None:
    (number,) = await watched(rig, wanted(TIMEOUT, "UpperThreshold", 1000))
    elsewhere = {"component": {"name": "ChargingStation"}, "variable": {"name": "Power"}}
    for place in (BEAT, elsewhere):
        (result,) = await watch(rig, wanted(place, "UpperThreshold", 1000, id=number))
        assert result["status"] == "Rejected"
        assert "id" not in result
    assert (await monitors(rig))[number]["component"] == TIMEOUT["component"]


@case()
async def test_tc_n_40_cs_replace_monitor(rig: Rig201) -> None:
    (number,) = await watched(rig, wanted(TIMEOUT, "UpperThreshold", 1000, 5))
    assert await watched(rig, wanted(TIMEOUT, "UpperThreshold", 2000, 4, id=number)) == [number]
    found = (await monitors(rig))[number]
    assert (found["value"], found["severity"]) == (2000, 4)
    (result,) = await watch(rig, wanted(TIMEOUT, "UpperThreshold", 2000, 3, id=99_999))
    assert result["status"] == "Rejected"  # N04.FR.13


@case()
async def test_tc_n_41_cs_return_to_factory_default(rig: Rig201) -> None:
    before = await monitors(rig)
    number, heat = next(
        (n, m) for n, m in before.items() if m["component"]["name"] == "TemperatureSensor" and n >= 5000
    )
    place = {"component": heat["component"], "variable": heat["variable"]}
    assert await watched(rig, wanted(place, "UpperThreshold", 44, 6, id=number)) == [number]
    await watched(rig, wanted(TIMEOUT, "UpperThreshold", 1000))
    assert (await monitors(rig))[number]["value"] == 44
    assert await rig.call("SetMonitoringBase", monitoringBase="FactoryDefault") == {"status": "Accepted"}
    assert await monitors(rig) == before


@case()
async def test_tc_n_43_cs_second_of_three_monitors_out_of_range(rig: Rig201) -> None:
    results = await watch(
        rig,
        wanted(TIMEOUT, "UpperThreshold", 1000),
        wanted(BEAT, "UpperThreshold", 99_999_999),
        wanted(STATE, "Delta", 1),
    )
    assert [result["status"] for result in results] == ["Accepted", "Rejected", "Accepted"]
    assert {results[0]["id"], results[2]["id"]} <= set(await monitors(rig))


@case()
async def test_tc_n_51_cs_modified_monitor_is_looked_at_afresh(rig: Rig201) -> None:
    """N07.FR.11"""
    (number,) = await watched(rig, wanted(TIMEOUT, "UpperThreshold", 1000))
    await watched(rig, wanted(TIMEOUT, "UpperThreshold", 10, id=number))
    told = await event(rig, number)
    assert (told["trigger"], told["actualValue"], told.get("cleared")) == ("Alerting", "60", None)
    await watched(rig, wanted(TIMEOUT, "UpperThreshold", 2000, id=number))
    assert (await event(rig, number))["cleared"] is True


@case()
async def test_tc_n_52_cs_removed_monitor_is_silent(rig: Rig201) -> None:
    """N07.FR.12"""
    (number,) = await watched(rig, wanted(TIMEOUT, "UpperThreshold", 10))
    await event(rig, number)
    answer = await rig.call("ClearVariableMonitoring", id=[number])
    assert answer["clearMonitoringResult"] == [{"id": number, "status": "Accepted"}]
    await rig.configure(TxCtrlr__EVConnectionTimeOut="5")
    await rig.silent("NotifyEvent", 0.6)


# ---- N05, N06 ----


@case()
async def test_tc_n_16_cs_set_monitoring_level(rig: Rig201) -> None:
    assert await rig.call("SetMonitoringLevel", severity=4) == {"status": "Accepted"}
    grave, light = await watched(
        rig, wanted(TIMEOUT, "UpperThreshold", 10, 4), wanted(TIMEOUT, "UpperThreshold", 10, 5)
    )
    await event(rig, grave)
    await rig.silent("NotifyEvent", 0.6)
    assert events(rig, light) == []
    assert await rig.variable("MonitoringCtrlr", "ActiveMonitoringLevel") == "4"


@case()
async def test_tc_n_17_cs_set_monitoring_level_out_of_range(rig: Rig201) -> None:
    for severity in (10, -1, 10_000):
        assert await rig.call("SetMonitoringLevel", severity=severity) == {"status": "Rejected"}
    assert await rig.variable("MonitoringCtrlr", "ActiveMonitoringLevel") == "9"


@case()
async def test_tc_n_18_cs_clear_monitors(rig: Rig201) -> None:
    numbers = await watched(rig, wanted(TIMEOUT, "UpperThreshold", 1000), wanted(BEAT, "Delta", 1000))
    answer = await rig.call("ClearVariableMonitoring", id=numbers)
    assert answer["clearMonitoringResult"] == [{"id": number, "status": "Accepted"} for number in numbers]
    assert not set(numbers) & set(await monitors(rig))


@case()
async def test_tc_n_19_cs_clear_monitor_not_found(rig: Rig201) -> None:
    answer = await rig.call("ClearVariableMonitoring", id=[99_999])
    assert answer["clearMonitoringResult"] == [{"id": 99_999, "status": "NotFound"}]


@case()
async def test_tc_n_44_cs_clear_hard_wired_monitor_rejected(rig: Rig201) -> None:
    found = await monitors(rig, componentVariable=[LOCK])
    (number,) = found
    answer = await rig.call("ClearVariableMonitoring", id=[number])
    assert answer["clearMonitoringResult"] == [{"id": number, "status": "Rejected"}]
    assert set(await monitors(rig, componentVariable=[LOCK])) == {number}


# ---- N07 ----


@case()
async def test_tc_n_20_cs_threshold_exceeded_and_cleared(rig: Rig201) -> None:
    upper, lower = await watched(rig, wanted(TIMEOUT, "UpperThreshold", 100, 5), wanted(TIMEOUT, "LowerThreshold", 20))
    await rig.configure(TxCtrlr__EVConnectionTimeOut="101")
    told = await event(rig, upper)
    assert told["eventNotificationType"] == "CustomMonitor"
    assert (told["trigger"], told["actualValue"]) == ("Alerting", "101")
    assert {"component": told["component"], "variable": told["variable"]} == TIMEOUT  # N07.FR.06
    assert read_time(told["timestamp"]) is not None
    assert not told.get("cleared")
    await rig.configure(TxCtrlr__EVConnectionTimeOut="50")
    assert (await event(rig, upper))["cleared"] is True  # N07.FR.02
    await rig.configure(TxCtrlr__EVConnectionTimeOut="19")
    assert (await event(rig, lower))["actualValue"] == "19"
    await rig.configure(TxCtrlr__EVConnectionTimeOut="20")
    assert (await event(rig, lower))["cleared"] is True


@case()
async def test_tc_n_21_cs_hard_wired_notification(rig: Rig201) -> None:
    rig.hardware.fault(FaultCode.EMERGENCY_STOP)
    told = await event(rig)
    assert told["eventNotificationType"] == "HardWiredNotification"
    assert told["component"] == {"name": "EmergencyStopSensor", "evse": {"id": 1}}
    assert (told["variable"]["name"], told["actualValue"], told["techCode"]) == ("Active", "true", "CX008")
    assert "variableMonitoringId" not in told


@case()
async def test_a_lock_that_fails_is_told_by_its_hard_wired_monitor(rig: Rig201) -> None:
    """G05.FR.02 with N07"""
    rig.hardware.fault(FaultCode.LOCK)
    told = await event(rig)
    assert told["eventNotificationType"] == "HardWiredMonitor"
    assert told["component"] == {"name": "ConnectorPlugRetentionLock", "evse": {"id": 1}}
    assert (told["variable"]["name"], told["actualValue"], told["trigger"]) == ("Problem", "true", "Delta")
    assert (told["techCode"], told["techInfo"]) == ("CX001", "ConnectorLockFailure: lock broke")
    rig.hardware.mend(FaultCode.LOCK)
    assert (await event(rig, told["variableMonitoringId"]))["actualValue"] == "false"


@case(settings=DEFAULTS)
async def test_tc_n_22_cs_offline_events_up_to_the_severity_are_queued(rig: Rig201) -> None:
    (number,) = await watched(rig, wanted(STATE, "Delta", 1, 4))
    await rig.go_offline()
    rig.hardware.plug()
    await rig.until(lambda: waiting(rig) == 1)
    rig.hardware.unplug()
    await rig.until(lambda: waiting(rig) == 2)
    await rig.go_online()
    assert (await event(rig, number))["actualValue"] == "Occupied"
    await rig.csms.wait(lambda: len(events(rig, number)) == 2)
    assert events(rig, number)[1]["actualValue"] == "Available"


@case(settings=DEFAULTS)
async def test_tc_n_23_cs_offline_events_beyond_the_severity_are_not_queued(rig: Rig201) -> None:
    (number,) = await watched(rig, wanted(STATE, "Delta", 1, 5))
    await rig.go_offline()
    rig.hardware.plug()
    await rig.until(lambda: state(rig) == "Preparing")
    rig.hardware.unplug()
    await rig.until(lambda: state(rig) == "Available")
    await rig.go_online()
    await rig.silent("NotifyEvent", 0.8)
    assert events(rig, number) == []


def waiting(rig: Rig201) -> int:
    """Events that wait for the network."""
    assert rig.app is not None
    return len(rig.app._device.device().monitoring.line)


def state(rig: Rig201) -> str:
    assert rig.app is not None
    return str(rig.app.status()["evses"][0]["status"])


@case()
async def test_tc_n_24_cs_periodic_event(rig: Rig201) -> None:
    """N08.FR.06, FR.07"""
    periodic, aligned = await watched(rig, wanted(TIMEOUT, "Periodic", 1), wanted(BEAT, "PeriodicClockAligned", 2))
    first = await event(rig, periodic)
    assert (first["trigger"], first["actualValue"]) == ("Periodic", "60")
    await rig.csms.wait(lambda: len(events(rig, periodic)) >= 3 and len(events(rig, aligned)) >= 2)
    times = [read_time(each["timestamp"]) or 0.0 for each in events(rig, periodic)]
    assert all(later - earlier > 0.5 for earlier, later in pairwise(times))
    for each in events(rig, aligned):
        assert (read_time(each["timestamp"]) or 1.0) % 2 < 1.0
        assert each["trigger"] == "Periodic"


@case()
async def test_tc_n_45_cs_delta_exceeded(rig: Rig201) -> None:
    """N07.FR.18"""
    (number,) = await watched(rig, wanted(TIMEOUT, "Delta", 10))
    await rig.configure(TxCtrlr__EVConnectionTimeOut="70")
    await rig.silent("NotifyEvent", 0.6)
    await rig.configure(TxCtrlr__EVConnectionTimeOut="71")
    told = await event(rig, number)
    assert (told["trigger"], told["actualValue"]) == ("Delta", "71")


@case()
async def test_tc_n_56_cs_delta_of_what_is_no_number(rig: Rig201) -> None:
    """N07.FR.19"""
    (number,) = await watched(rig, wanted(STATE, "Delta", 1))
    rig.hardware.plug()
    told = await event(rig, number)
    assert (told["trigger"], told["actualValue"]) == ("Delta", "Occupied")


@case()
async def test_tc_n_48_cs_monitor_on_a_write_only_variable(rig: Rig201) -> None:
    """N07.FR.10"""
    (number,) = await watched(rig, wanted(PASSWORD, "Delta", 1))
    await rig.configure(SecurityCtrlr__BasicAuthPassword="A_new_password_2026")
    assert (await event(rig, number))["actualValue"] == ""


@case()
async def test_tc_n_53_cs_monitors_persist_over_a_reboot(rig: Rig201) -> None:
    (number,) = await watched(rig, wanted(TIMEOUT, "UpperThreshold", 10, 5))
    await event(rig, number)
    await rig.power_cut()
    await rig.power_back()
    (found,) = (await monitors(rig, componentVariable=[TIMEOUT])).values()
    assert (found["type"], found["value"], found["severity"]) == ("UpperThreshold", 10, 5)
    await rig.silent("NotifyEvent", 0.5)
    await rig.configure(TxCtrlr__EVConnectionTimeOut="5")
    assert (await event(rig, found["id"]))["cleared"] is True  # N07.FR.14


@case()
async def test_a_network_that_takes_no_events_is_not_asked_for_ever(rig: Rig201) -> None:
    rig.answer("NotifyEvent", Refusal("NotImplemented"))
    (number,) = await watched(rig, wanted(TIMEOUT, "UpperThreshold", 10))
    await event(rig, number)
    await rig.silent("NotifyEvent", 0.6)


@case()
async def test_events_beside_a_charge_carry_its_transaction(rig: Rig201) -> None:
    (upper,) = await watched(rig, wanted(POWER, "UpperThreshold", 5000))
    transaction = await rig.charge()
    assert (await event(rig, upper))["transactionId"] == transaction
    (lower,) = await watched(rig, wanted(POWER, "LowerThreshold", 10))
    rig.hardware.tap("CARD", 1)
    await rig.csms.wait(lambda: len(events(rig, upper)) == 2 and len(events(rig, lower)) == 1)
    for told, cleared in ((events(rig, upper)[1], True), (events(rig, lower)[0], None)):
        # TC_N_20: also just after the end
        assert (told.get("cleared"), told["transactionId"]) == (cleared, transaction)


@case()
async def test_a_monitor_of_transactions_is_silent_without_one(rig: Rig201) -> None:
    (number,) = await watched(rig, wanted(STATE, "Periodic", 1, transaction=True))
    await rig.silent("NotifyEvent", 1.6)
    await rig.charge()
    assert (await event(rig, number))["actualValue"] == "Occupied"


# ---- 2.1: N11 to N15 ----


@case(versions=("ocpp2.1",))
async def test_a_stream_is_opened_filled_adjusted_and_closed(rig: Rig201) -> None:
    rig.answer("OpenPeriodicEventStream", {"status": "Accepted"})
    (number,) = await watched(rig, wanted(TIMEOUT, "Periodic", 1, periodicEventStream={"values": 2}))
    opened = (await rig.expect("OpenPeriodicEventStream"))["constantStreamData"]
    assert (opened["variableMonitoringId"], opened["params"]) == (number, {"values": 2})  # N11.FR.02
    batch = await rig.expect("NotifyPeriodicEventStream", id=opened["id"])
    assert [each["v"] for each in batch["data"]] == ["60", "60"]
    assert batch["data"][0]["t"] == 0  # N15.FR.09
    assert batch["data"][1]["t"] > 0.5
    assert batch["pending"] == 0
    assert events(rig, number) == []
    assert (await rig.call("GetPeriodicEventStream"))["constantStreamData"] == [opened]  # N12.FR.01
    adjusted = await rig.call("AdjustPeriodicEventStream", id=opened["id"], params={"values": 1})
    assert adjusted == {"status": "Accepted"}  # N14.FR.03
    assert len((await rig.expect("NotifyPeriodicEventStream"))["data"]) == 1
    refused = await rig.call("AdjustPeriodicEventStream", id=999, params={"values": 1})
    assert refused["status"] == "Rejected"  # N14.FR.02
    await rig.call("ClearVariableMonitoring", id=[number])
    assert await rig.expect("ClosePeriodicEventStream") == {"id": opened["id"]}  # N13.FR.05
    assert await rig.call("GetPeriodicEventStream") == {}


@case(versions=("ocpp2.1",))
async def test_a_refused_stream_falls_back_to_events(rig: Rig201) -> None:
    """N11.FR.07, N07.FR.20"""
    rig.answer("OpenPeriodicEventStream", {"status": "Rejected"})
    (number,) = await watched(rig, wanted(TIMEOUT, "Periodic", 1, 7, periodicEventStream={"interval": 2}))
    told = await event(rig, number)
    assert told["severity"] == 7
    assert not rig.sent("NotifyPeriodicEventStream")


@case(versions=("ocpp2.1",))
async def test_a_monitor_set_again_without_a_stream_goes_back_to_events(rig: Rig201) -> None:
    """N13.FR.03, FR.04, FR.06"""
    rig.answer("OpenPeriodicEventStream", {"status": "Accepted"})
    (number,) = await watched(rig, wanted(TIMEOUT, "Periodic", 1, periodicEventStream={"interval": 600}))
    opened = (await rig.expect("OpenPeriodicEventStream"))["constantStreamData"]
    await asyncio.sleep(1.6)
    await watched(rig, wanted(TIMEOUT, "Periodic", 1, id=number))
    assert (await rig.expect("NotifyPeriodicEventStream"))["data"]
    assert await rig.expect("ClosePeriodicEventStream") == {"id": opened["id"]}
    assert (await event(rig, number))["trigger"] == "Periodic"


@case(versions=("ocpp2.1",))
async def test_a_current_that_is_not_what_the_pilot_offers_alerts(rig: Rig201) -> None:
    """N07.FR.22, and N02 in 2.1 tells whose monitor it is."""
    place = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "ACCurrent"}}
    (number,) = await watched(rig, wanted(place, "TargetDelta", 4))
    found = await monitors(rig, componentVariable=[place])
    assert found[number]["eventNotificationType"] == "CustomMonitor"
    await rig.charge()
    assert (await event(rig, number))["trigger"] == "Alerting"
