"""Block B, variables and reports: the certification cases of Part 6 over a real websocket."""

from __future__ import annotations

import asyncio
from typing import Any

from agent.device_model.controllers import BYTES_PER_MESSAGE, ITEMS_PER_MESSAGE
from agent.link.messages import FaultCode
from tests.tc201.rig import Rig201, case

Payload = dict[str, Any]


def place(component: str, variable: str = "", *, evse: int = 0, connector: int = 0, **more: str) -> Payload:
    """A component with a variable. ``instance``: of the variable; ``component_instance``: of the component."""
    of: Payload = {"name": component}
    if "component_instance" in more:
        of["instance"] = more["component_instance"]
    if evse:
        of["evse"] = {"id": evse, **({"connectorId": connector} if connector else {})}
    told: Payload = {"component": of}
    if variable:
        told["variable"] = {"name": variable, **({"instance": more["instance"]} if "instance" in more else {})}
    return told


async def get(rig: Rig201, *wanted: Payload) -> list[Payload]:
    found: list[Payload] = (await rig.call("GetVariables", getVariableData=list(wanted)))["getVariableResult"]
    return found


async def put(rig: Rig201, *wanted: Payload) -> list[Payload]:
    done: list[Payload] = (await rig.call("SetVariables", setVariableData=list(wanted)))["setVariableResult"]
    return done


async def report(rig: Rig201, action: str = "NotifyReport", field: str = "reportData") -> list[Payload]:
    """Take all parts of the next report: numbered from 0, the last one without tbc."""
    found: list[Payload] = []
    number, request = 0, None
    while True:
        part = await rig.expect(action)
        assert part["seqNo"] == number
        assert request in (None, part["requestId"])
        request = part["requestId"]
        found += part[field]
        number += 1
        if not part.get("tbc"):
            return found


def names(entries: list[Payload]) -> set[str]:
    """``Component.Variable`` of each, with EVSE and instances."""
    found = set()
    for entry in entries:
        of, variable = entry["component"], entry["variable"]
        evse = of.get("evse", {})
        where = f"@{evse['id']}" + (f".{evse['connectorId']}" if "connectorId" in evse else "") if evse else ""
        instance = f"[{variable['instance']}]" if "instance" in variable else ""
        inner = f"[{of['instance']}]" if "instance" in of else ""
        found.add(f"{of['name']}{inner}{where}.{variable['name']}{instance}")
    return found


CORE = {
    "AlignedDataCtrlr.Interval",
    "AlignedDataCtrlr.Measurands",
    "AlignedDataCtrlr.TxEndedInterval",
    "AlignedDataCtrlr.TxEndedMeasurands",
    "AuthCtrlr.AuthorizeRemoteStart",
    "AuthCtrlr.LocalAuthorizeOffline",
    "AuthCtrlr.LocalPreAuthorize",
    "ClockCtrlr.DateTime",
    "ClockCtrlr.TimeSource",
    "DeviceDataCtrlr.BytesPerMessage[GetReport]",
    "DeviceDataCtrlr.BytesPerMessage[GetVariables]",
    "DeviceDataCtrlr.BytesPerMessage[SetVariables]",
    "DeviceDataCtrlr.ItemsPerMessage[GetReport]",
    "DeviceDataCtrlr.ItemsPerMessage[GetVariables]",
    "DeviceDataCtrlr.ItemsPerMessage[SetVariables]",
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
    "SecurityCtrlr.CertificateEntries",
    "SecurityCtrlr.OrganizationName",
    "SecurityCtrlr.SecurityProfile",
    "TxCtrlr.EVConnectionTimeOut",
    "TxCtrlr.StopTxOnEVSideDisconnect",
    "TxCtrlr.StopTxOnInvalidId",
    "TxCtrlr.TxStartPoint",
    "TxCtrlr.TxStopPoint",
    "ChargingStation.AvailabilityState",
    "ChargingStation.Available",
    "ChargingStation.SupplyPhases",
    "EVSE@1.AvailabilityState",
    "EVSE@1.Available",
    "EVSE@1.Power",
    "EVSE@1.SupplyPhases",
    "Connector@1.1.Available",
    "Connector@1.1.ConnectorType",
    "Connector@1.1.SupplyPhases",
}


# ---- B06 ----


@case()
async def test_tc_b_06_cs_get_variables_single_value(rig: Rig201) -> None:
    (result,) = await get(rig, place("OCPPCommCtrlr", "HeartbeatInterval"))
    assert result == {
        **place("OCPPCommCtrlr", "HeartbeatInterval"),
        "attributeType": "Actual",  # B06.FR.11
        "attributeStatus": "Accepted",
        "attributeValue": "300",
    }


@case(evses=2)
async def test_tc_b_07_cs_get_variables_multiple_values(rig: Rig201) -> None:
    wanted = [
        {**place("AuthCtrlr", "LocalPreAuthorize"), "attributeType": "Actual"},
        place("EVSE", "AvailabilityState", evse=2),
        place("OCPPCommCtrlr", "MessageTimeout", instance="Default"),  # B06.FR.14
        place("ChargingStation", "SupplyPhases"),
    ]
    results = await get(rig, *wanted)
    assert [result["attributeValue"] for result in results] == ["false", "Available", "5", "3"]
    assert [result["component"] for result in results] == [each["component"] for each in wanted]
    assert all(result["attributeType"] == "Actual" for result in results)


@case()
async def test_tc_b_32_cs_get_variables_unknown_component(rig: Rig201) -> None:
    wanted = [
        place("UnknownComponent", "HeartbeatInterval"),
        place("EVSE", "Power", evse=9),
        place("TxCtrlr", "EVConnectionTimeOut", component_instance="other"),
    ]
    for result in await get(rig, *wanted):
        assert result["attributeStatus"] == "UnknownComponent"
        assert "attributeValue" not in result


@case()
async def test_tc_b_33_cs_get_variables_unknown_variable(rig: Rig201) -> None:
    wanted = [
        place("OCPPCommCtrlr", "UnknownVariable"),
        place("OCPPCommCtrlr", "MessageTimeout"),  # B06.FR.15: there is one with an instance only
        place("OCPPCommCtrlr", "HeartbeatInterval", instance="x"),
    ]
    for result in await get(rig, *wanted):
        assert result["attributeStatus"] == "UnknownVariable"
        assert "attributeValue" not in result


@case()
async def test_tc_b_34_cs_get_variables_not_supported_attribute_type(rig: Rig201) -> None:
    (result,) = await get(rig, {**place("OCPPCommCtrlr", "HeartbeatInterval"), "attributeType": "Target"})
    assert (result["attributeStatus"], result["attributeType"]) == ("NotSupportedAttributeType", "Target")
    assert "attributeValue" not in result


@case()
async def test_more_variables_than_a_request_may_hold_are_refused(rig: Rig201) -> None:
    """B06.FR.16, and the same for what is set, reported, monitored and cleared."""
    too_many = ITEMS_PER_MESSAGE + 1
    one = place("OCPPCommCtrlr", "HeartbeatInterval")
    monitor = {**one, "value": 1, "type": "Delta", "severity": 5}
    requests: list[tuple[str, Payload]] = [
        ("GetVariables", {"getVariableData": [one] * too_many}),
        ("SetVariables", {"setVariableData": [{**one, "attributeValue": "300"}] * too_many}),
        ("GetReport", {"requestId": 1, "componentVariable": [one] * too_many}),
        ("GetMonitoringReport", {"requestId": 1, "componentVariable": [one] * too_many}),
        ("SetVariableMonitoring", {"setMonitoringData": [monitor] * too_many}),
        ("ClearVariableMonitoring", {"id": list(range(too_many))}),
    ]
    for action, payload in requests:
        assert await rig.refused(action, **payload) == "OccurrenceConstraintViolation", action


@case()
async def test_a_request_of_more_bytes_than_it_may_have_is_refused(rig: Rig201) -> None:
    """B06.FR.17, and the same for what is set, reported, monitored and cleared."""
    one = place("OCPPCommCtrlr", "HeartbeatInterval")
    bulk = {"customData": {"vendorId": "test", "filler": "x" * BYTES_PER_MESSAGE}}
    requests: list[tuple[str, Payload]] = [
        ("GetVariables", {"getVariableData": [one]}),
        ("SetVariables", {"setVariableData": [{**one, "attributeValue": "310"}]}),
        ("GetReport", {"requestId": 1, "componentVariable": [one]}),
        ("GetMonitoringReport", {"requestId": 1, "componentVariable": [one]}),
        ("SetVariableMonitoring", {"setMonitoringData": [{**one, "value": 1, "type": "Delta", "severity": 5}]}),
        ("ClearVariableMonitoring", {"id": [1]}),
    ]
    for action, payload in requests:
        assert await rig.refused(action, **payload, **bulk) == "FormatViolation", action
    assert await rig.variable("OCPPCommCtrlr", "HeartbeatInterval") == "300"


@case()
async def test_a_write_only_variable_cannot_be_read(rig: Rig201) -> None:
    """B06.FR.09"""
    (result,) = await get(rig, place("SecurityCtrlr", "BasicAuthPassword"))
    assert result["attributeStatus"] == "Rejected"
    assert result["attributeStatusInfo"]["reasonCode"] == "WriteOnly"
    assert "attributeValue" not in result


@case()
async def test_a_value_that_is_not_there_is_told_as_empty(rig: Rig201) -> None:
    """B06.FR.13: this meter has no register of exports."""
    (result,) = await get(rig, place("FiscalMetering", "EnergyExportRegister", evse=1))
    assert (result["attributeStatus"], result["attributeValue"]) == ("Accepted", "")


# ---- B05 ----


@case()
async def test_tc_b_09_cs_set_variables_single_value(rig: Rig201) -> None:
    (result,) = await put(rig, {**place("OCPPCommCtrlr", "HeartbeatInterval"), "attributeValue": "120"})
    assert result == {
        **place("OCPPCommCtrlr", "HeartbeatInterval"),
        "attributeType": "Actual",  # B05.FR.12
        "attributeStatus": "Accepted",
    }
    assert await rig.variable("OCPPCommCtrlr", "HeartbeatInterval") == "120"


@case()
async def test_tc_b_10_cs_set_variables_multiple_values(rig: Rig201) -> None:
    results = await put(
        rig,
        {**place("OCPPCommCtrlr", "HeartbeatInterval"), "attributeType": "Actual", "attributeValue": "140"},
        {**place("TxCtrlr", "EVConnectionTimeOut"), "attributeValue": "45"},
        {**place("AuthCtrlr", "LocalPreAuthorize"), "attributeValue": "true"},
    )
    assert [result["attributeStatus"] for result in results] == ["Accepted"] * 3
    assert [result["variable"]["name"] for result in results] == [
        "HeartbeatInterval",
        "EVConnectionTimeOut",
        "LocalPreAuthorize",
    ]
    assert await rig.variable("TxCtrlr", "EVConnectionTimeOut") == "45"
    await rig.power_cut()
    await rig.power_back()
    assert await rig.variable("TxCtrlr", "EVConnectionTimeOut") == "45"
    assert await rig.variable("AuthCtrlr", "LocalPreAuthorize") == "true"


@case()
async def test_tc_b_11_cs_set_variables_invalidly_formatted_values(rig: Rig201) -> None:
    bad = [("OCPPCommCtrlr", "HeartbeatInterval", text) for text in ("abc", "12.5", "-10", "86401", "")]
    bad += [("AuthCtrlr", "LocalPreAuthorize", "yes"), ("AlignedDataCtrlr", "Measurands", "Nonsense")]
    results = await put(rig, *({**place(c, v), "attributeValue": text} for c, v, text in bad))
    for result in results:
        assert result["attributeStatus"] == "Rejected"
        assert result["attributeStatusInfo"]["reasonCode"] in ("InvalidValue", "ValueTooHigh", "ValueTooLow")
    assert await rig.variable("OCPPCommCtrlr", "HeartbeatInterval") == "300"


@case()
async def test_tc_b_35_cs_set_variables_unknown_component(rig: Rig201) -> None:
    (result,) = await put(rig, {**place("UnknownComponent", "HeartbeatInterval"), "attributeValue": "20"})
    assert result["attributeStatus"] == "UnknownComponent"


@case()
async def test_tc_b_36_cs_set_variables_unknown_variable(rig: Rig201) -> None:
    (result,) = await put(rig, {**place("OCPPCommCtrlr", "UnknownVariable"), "attributeValue": "20"})
    assert result["attributeStatus"] == "UnknownVariable"


@case()
async def test_tc_b_37_cs_set_variables_not_supported_attribute_type(rig: Rig201) -> None:
    wanted = {**place("OCPPCommCtrlr", "HeartbeatInterval"), "attributeType": "Target", "attributeValue": "20"}
    (result,) = await put(rig, wanted)
    assert (result["attributeStatus"], result["attributeType"]) == ("NotSupportedAttributeType", "Target")


@case()
async def test_tc_b_39_cs_set_variables_read_only(rig: Rig201) -> None:
    results = await put(
        rig,
        {**place("ChargingStation", "AvailabilityState"), "attributeValue": "Unavailable"},
        {**place("OCPPCommCtrlr", "FileTransferProtocols"), "attributeValue": "FTP"},
        {**place("SecurityCtrlr", "SecurityProfile"), "attributeValue": "2"},
        {**place("OCPPCommCtrlr", "MessageTimeout", instance="Default"), "attributeValue": "17"},
    )
    for result in results:
        assert result["attributeStatus"] == "Rejected"
        assert result["attributeStatusInfo"]["reasonCode"] == "ReadOnly"


# ---- B07 ----


@case()
async def test_tc_b_12_cs_get_base_report_configuration_inventory(rig: Rig201) -> None:
    answer = await rig.call("GetBaseReport", requestId=12, reportBase="ConfigurationInventory")
    assert answer == {"status": "Accepted"}
    entries = await report(rig)
    assert {"TxCtrlr.EVConnectionTimeOut", "SecurityCtrlr.BasicAuthPassword"} <= names(entries)
    for entry in entries:  # B07.FR.07
        assert any(each["mutability"] != "ReadOnly" for each in entry["variableAttribute"])
        assert "dataType" in entry["variableCharacteristics"]
    (password,) = [entry for entry in entries if names([entry]) == {"SecurityCtrlr.BasicAuthPassword"}]
    assert password["variableAttribute"] == [{"type": "Actual", "mutability": "WriteOnly", "persistent": True}]


@case(evses=2)
async def test_tc_b_13_cs_get_base_report_full_inventory(rig: Rig201) -> None:
    answer = await rig.call("GetBaseReport", requestId=13, reportBase="FullInventory")
    assert answer == {"status": "Accepted"}
    entries = await report(rig)
    assert all(part["requestId"] == 13 for part in rig.sent("NotifyReport"))
    assert len(rig.sent("NotifyReport")) > 3
    assert {*CORE, "EVSE@2.Power", "Connector@2.1.ConnectorType", "RCD@2.Tripped"} <= names(entries)
    assert len(names(entries)) == len(entries)


@case()
async def test_tc_b_14_cs_get_base_report_summary_inventory(rig: Rig201) -> None:
    answer = await rig.call("GetBaseReport", requestId=14, reportBase="SummaryInventory")
    assert answer == {"status": "Accepted"}
    found = names(await report(rig))
    assert {"ChargingStation.AvailabilityState", "EVSE@1.AvailabilityState"} <= found
    assert "RCD@1.Tripped" not in found
    rig.hardware.fault(FaultCode.RESIDUAL_CURRENT)
    await rig.status("Faulted")
    await rig.call("GetBaseReport", requestId=15, reportBase="SummaryInventory")
    entries = await report(rig)
    (tripped,) = [entry for entry in entries if entry["variable"]["name"] == "Tripped"]
    assert tripped["variableAttribute"][0]["value"] == "true"
    (state,) = [
        entry for entry in entries if entry["component"]["name"] == "EVSE" and "State" in str(entry["variable"])
    ]
    assert state["variableAttribute"][0]["value"] == "Faulted"


@case()
async def test_tc_b_53_cs_mandatory_variables_in_the_full_inventory(rig: Rig201) -> None:
    await rig.call("GetBaseReport", requestId=53, reportBase="FullInventory")
    entries = await report(rig)
    assert names(entries) >= CORE
    by_name = {next(iter(names([entry]))): entry for entry in entries}
    for name in CORE - {"EVSE@1.Power"}:
        assert by_name[name]["variableAttribute"][0].get("value") is not None, name
    assert by_name["EVSE@1.Power"]["variableCharacteristics"]["maxLimit"] == 32 * 230 * 3
    assert by_name["TxCtrlr.EVConnectionTimeOut"]["variableAttribute"][0]["mutability"] == "ReadWrite"
    assert by_name["DeviceDataCtrlr.ItemsPerMessage[GetReport]"]["variableAttribute"][0]["constant"] is True
    assert by_name["AlignedDataCtrlr.Measurands"]["variableCharacteristics"]["dataType"] == "MemberList"
    assert "Voltage" in by_name["AlignedDataCtrlr.Measurands"]["variableCharacteristics"]["valuesList"]


@case()
async def test_every_value_of_the_inventory_is_what_get_variables_says(rig: Rig201) -> None:
    await rig.call("GetBaseReport", requestId=1, reportBase="FullInventory")
    entries = [entry for entry in await report(rig) if entry["variableAttribute"][0].get("constant")]
    assert len(entries) > 20
    for start in range(0, len(entries), 50):
        some = entries[start : start + 50]
        results = await get(rig, *({"component": e["component"], "variable": e["variable"]} for e in some))
        for entry, result in zip(some, results, strict=True):
            assert result["attributeValue"] == entry["variableAttribute"][0]["value"]


@case()
async def test_a_report_lets_other_messages_go_first(rig: Rig201) -> None:
    """A charge begins while a long report is told: its messages do not wait for the end of it."""
    held = asyncio.Event()
    parts = 0

    async def slowly(_payload: Payload) -> Payload:
        nonlocal parts
        parts += 1
        if parts == 2:
            await held.wait()
        return {}

    rig.answer("NotifyReport", slowly)
    await rig.call("GetBaseReport", requestId=1, reportBase="FullInventory")
    await rig.csms.wait(lambda: len(rig.sent("NotifyReport")) == 2)
    rig.hardware.plug()
    rig.hardware.tap("CARD", 1)
    await rig.until(lambda: rig.app is not None and rig.app.status()["evses"][0]["status"] == "Preparing")
    held.set()
    await rig.event("Started")
    assert rig.sent("NotifyReport")[-1].get("tbc"), "the report was over before the charge was told"
    await report_ends(rig)


async def report_ends(rig: Rig201) -> None:
    await rig.csms.wait(lambda: rig.sent("NotifyReport") and not rig.sent("NotifyReport")[-1].get("tbc"))


@case()
async def test_several_reports_in_a_row_come_one_after_the_other_and_too_many_are_refused(rig: Rig201) -> None:
    held = asyncio.Event()

    async def slowly(_payload: Payload) -> Payload:
        await held.wait()
        return {}

    rig.answer("NotifyReport", slowly)
    statuses = []
    for number in range(10):
        answer = await rig.call("GetBaseReport", requestId=number, reportBase="SummaryInventory")
        statuses.append(answer["status"])
    assert statuses == ["Accepted"] * 8 + ["Rejected"] * 2  # B07.FR.13
    held.set()
    for number in range(8):
        assert (await rig.expect("NotifyReport"))["requestId"] == number


@case()
async def test_a_part_that_got_lost_with_the_connection_is_told_again(rig: Rig201) -> None:
    async def never(_payload: Payload) -> Payload:
        await asyncio.sleep(60)
        return {}

    rig.answer("NotifyReport", never)
    await rig.call("GetBaseReport", requestId=5, reportBase="SummaryInventory")
    await rig.expect("NotifyReport", requestId=5, seqNo=0)
    rig.answer("NotifyReport", {})
    await rig.csms.drop()
    assert (await rig.expect("NotifyReport"))["seqNo"] == 0


@case(start=False)
async def test_while_the_registration_is_pending_a_report_that_was_asked_for_is_sent(rig: Rig201) -> None:
    """B02.FR.02"""
    rig.csms.boot_status = "Pending"
    await rig.start_agent(wait=False)
    await rig.expect("BootNotification")
    assert (await put(rig, {**place("TxCtrlr", "EVConnectionTimeOut"), "attributeValue": "50"}))[0][
        "attributeStatus"
    ] == "Accepted"
    await rig.call("GetBaseReport", requestId=2, reportBase="FullInventory")
    assert names(await report(rig)) >= CORE
    assert not rig.sent("StatusNotification")


# ---- B08 ----


@case()
async def test_tc_b_16_cs_get_custom_report_with_criteria(rig: Rig201) -> None:
    for number, criterion in enumerate(("Active", "Available", "Enabled", "Problem"), start=1):
        answer = await rig.call("GetReport", requestId=number, componentCriteria=[criterion])
        if criterion == "Problem":
            assert answer == {"status": "EmptyResultSet"}  # B08.FR.15
            continue
        assert answer == {"status": "Accepted"}
        entries = await report(rig)
        for entry in entries:
            if entry["variable"]["name"] == criterion and "instance" not in entry["variable"]:
                assert entry["variableAttribute"][0]["value"] == "true"
    rig.hardware.fault(FaultCode.LOCK)
    await rig.status("Faulted")
    assert await rig.call("GetReport", requestId=9, componentCriteria=["Problem"]) == {"status": "Accepted"}
    assert "ConnectorPlugRetentionLock@1.Problem" in names(await report(rig))


@case(evses=2)
async def test_tc_b_17_cs_get_custom_report_with_component_and_variable(rig: Rig201) -> None:
    answer = await rig.call("GetReport", requestId=17, componentVariable=[place("EVSE", "AvailabilityState", evse=1)])
    assert answer == {"status": "Accepted"}
    (entry,) = await report(rig)
    assert names([entry]) == {"EVSE@1.AvailabilityState"}
    assert entry["variableCharacteristics"]["dataType"] == "OptionList"  # B08.FR.12


@case()
async def test_tc_b_18_cs_get_custom_report_with_criteria_and_component(rig: Rig201) -> None:
    wanted = [place("EVSE", "AvailabilityState", evse=1)]
    answer = await rig.call("GetReport", requestId=18, componentCriteria=["Available"], componentVariable=wanted)
    assert answer == {"status": "Accepted"}
    assert names(await report(rig)) == {"EVSE@1.AvailabilityState"}
    answer = await rig.call("GetReport", requestId=19, componentCriteria=["Problem"], componentVariable=wanted)
    assert answer == {"status": "EmptyResultSet"}


@case(evses=2)
async def test_tc_b_54_cs_get_custom_report_with_component_variable_and_instance(rig: Rig201) -> None:
    wanted = [place("FiscalMetering", "ACVoltage", evse=1, instance="L2")]
    assert await rig.call("GetReport", requestId=54, componentVariable=wanted) == {"status": "Accepted"}
    assert names(await report(rig)) == {"FiscalMetering@1.ACVoltage[L2]"}


@case(evses=2)
async def test_tc_b_55_cs_get_custom_report_with_component_variable_but_no_instance(rig: Rig201) -> None:
    """B08.FR.21"""
    wanted = [place("DeviceDataCtrlr", "ItemsPerMessage")]
    assert await rig.call("GetReport", requestId=55, componentVariable=wanted) == {"status": "Accepted"}
    assert names(await report(rig)) == {
        f"DeviceDataCtrlr.ItemsPerMessage[{name}]" for name in ("GetReport", "GetVariables", "SetVariables")
    }


@case(evses=2)
async def test_tc_b_56_cs_get_custom_report_with_component_variable_but_no_evse(rig: Rig201) -> None:
    """B08.FR.20, FR.23"""
    wanted = [place("EVSE", "AvailabilityState")]
    assert await rig.call("GetReport", requestId=56, componentVariable=wanted) == {"status": "Accepted"}
    assert names(await report(rig)) == {"EVSE@1.AvailabilityState", "EVSE@2.AvailabilityState"}
    assert await rig.call("GetReport", requestId=57, componentVariable=[place("RCD")]) == {"status": "Accepted"}
    found = names(await report(rig))
    assert found == {f"RCD@{n}.{variable}" for n in (1, 2) for variable in ("Tripped", "Problem", "Count")}
