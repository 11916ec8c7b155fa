"""The Core cases of the public list (OCPP 1.6 §13 of our checklist), each over a real websocket, from reading the
specification."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.app import EXIT_RESTART
from agent.link.messages import FaultCode
from simulators.csms.behaviour import AnswerRule, Mode
from simulators.csms.station import BootPolicy
from tests.tc16.rig import ID, Rig, case

CONNECTED = {"LocalPreAuthorize": "true", "AuthorizationCacheEnabled": "true"}


async def charged_once(rig: Rig, id_tag: str = "CARD") -> None:
    """A whole charge, so that the cache knows the card."""
    await rig.charge(id_tag)
    await finish(rig, id_tag)


async def finish(rig: Rig, id_tag: str = "CARD") -> dict[str, Any]:
    """Stop by card, and drive away. Returns the StopTransaction."""
    rig.hardware.tap(id_tag)
    stop = await rig.expect("StopTransaction")
    await rig.status("Finishing")
    rig.hardware.unplug()
    await rig.status("Available")
    return stop


# ---- boot --------------------------------------------------------------------------------------------------------


@case(evses=2, start=False)
async def test_tc_001_cold_boot(rig: Rig) -> None:
    await rig.start_agent(wait=False)
    boot = await rig.expect("BootNotification")
    assert (boot["chargePointVendor"], boot["chargePointModel"]) == ("Nord", "Duo")
    for connector in (0, 1, 2):
        await rig.status("Available", connector, errorCode="NoError")
    await rig.silent("BootNotification")


@case(start=False)
async def test_tc_002_cold_boot_pending(rig: Rig) -> None:
    rig.csms.boot = BootPolicy("Pending", 60)
    await rig.start_agent(wait=False)
    await rig.expect("BootNotification")
    await rig.silent("StatusNotification")
    assert int(await rig.configuration("NumberOfConnectors")) == 1
    assert await rig.call("ChangeConfiguration", key="MeterValueSampleInterval", value="10") == {"status": "Accepted"}
    assert await rig.call("RemoteStartTransaction", idTag="CARD", connectorId=1) == {"status": "Rejected"}
    assert await rig.call("RemoteStopTransaction", transactionId=1) == {"status": "Rejected"}
    assert await rig.call("TriggerMessage", requestedMessage="StatusNotification", connectorId=1) == {
        "status": "Accepted"
    }
    await rig.status("Available", 1)
    rig.csms.boot = BootPolicy("Accepted", 300)
    assert await rig.call("TriggerMessage", requestedMessage="BootNotification") == {"status": "Accepted"}
    await rig.ready()


# ---- start -------------------------------------------------------------------------------------------------------


@case()
async def test_tc_003_regular_start_plug_first(rig: Rig) -> None:
    rig.hardware.plug(1)
    await rig.status("Preparing")
    rig.hardware.tap("CARD")
    assert await rig.expect("Authorize") == {"idTag": "CARD"}
    start = await rig.expect("StartTransaction")
    assert (start["connectorId"], start["idTag"], start["meterStart"]) == (1, "CARD", 12_000)
    await rig.status("Charging")
    stop = await finish(rig)
    assert (stop["idTag"], stop["reason"], stop["transactionId"]) == ("CARD", "Local", rig.transaction())


@case()
async def test_tc_004_1_regular_start_id_first(rig: Rig) -> None:
    rig.hardware.tap("CARD")
    assert await rig.expect("Authorize") == {"idTag": "CARD"}
    await rig.status("Preparing")
    rig.hardware.plug()
    await rig.expect("StartTransaction", idTag="CARD")
    await rig.status("Charging")


@case(settings={"ConnectionTimeOut": "1"})
async def test_tc_004_2_id_first_connection_timeout(rig: Rig) -> None:
    rig.hardware.tap("CARD")
    await rig.expect("Authorize")
    await rig.status("Preparing")
    await rig.status("Available")
    rig.hardware.plug()
    await rig.status("Preparing")
    await rig.silent("StartTransaction")


@case(settings={"StopTransactionOnEVSideDisconnect": "true", "UnlockConnectorOnEVSideDisconnect": "true"})
async def test_tc_005_1_ev_side_disconnect_stops_and_unlocks(rig: Rig) -> None:
    await rig.charge()
    rig.hardware.unplug(at_vehicle=True)
    assert (await rig.expect("StopTransaction"))["reason"] == "EVDisconnected"
    await rig.status("Finishing")
    assert rig.hardware.outlets[1].hold is False
    rig.hardware.unplug()
    await rig.status("Available")


@case(settings={"StopTransactionOnEVSideDisconnect": "true", "UnlockConnectorOnEVSideDisconnect": "false"})
async def test_tc_005_2_ev_side_disconnect_stops_and_stays_locked(rig: Rig) -> None:
    await rig.charge()
    rig.hardware.unplug(at_vehicle=True)
    assert (await rig.expect("StopTransaction"))["reason"] == "EVDisconnected"
    await rig.status("Finishing")
    await rig.until(lambda: rig.hardware.outlets[1].hold)
    rig.hardware.tap("CARD")
    await rig.until(lambda: not rig.hardware.outlets[1].hold)
    rig.hardware.unplug()
    await rig.status("Available")


@case(settings={"StopTransactionOnEVSideDisconnect": "false", "UnlockConnectorOnEVSideDisconnect": "false"})
async def test_tc_005_3_ev_side_disconnect_suspends(rig: Rig) -> None:
    await rig.charge()
    rig.hardware.unplug(at_vehicle=True)
    await rig.status("SuspendedEV")
    await rig.silent("StopTransaction")
    rig.hardware.plug()
    await rig.status("Charging")
    rig.hardware.tap("CARD")
    assert (await rig.expect("StopTransaction"))["reason"] == "Local"


# ---- cache and list ----------------------------------------------------------------------------------------------


@case(settings=CONNECTED)
async def test_tc_007_1_start_with_a_cached_id(rig: Rig) -> None:
    await charged_once(rig)
    rig.hardware.plug()
    await rig.status("Preparing")
    rig.hardware.tap("CARD")
    await rig.expect("StartTransaction", idTag="CARD")
    assert len(rig.sent("Authorize")) == 1, "only the first time"


@case(settings={**CONNECTED, "AuthorizeRemoteTxRequests": "true"})
async def test_tc_007_2_remote_start_with_a_cached_id(rig: Rig) -> None:
    await charged_once(rig)
    assert await rig.call("RemoteStartTransaction", idTag="CARD", connectorId=1) == {"status": "Accepted"}
    await rig.status("Preparing")
    rig.hardware.plug()
    await rig.expect("StartTransaction", idTag="CARD")
    assert len(rig.sent("Authorize")) == 1


LISTED = [{"idTag": "LISTED", "idTagInfo": {"status": "Accepted"}}]


@case(settings={"LocalPreAuthorize": "true", "AuthorizationCacheEnabled": "false"})
async def test_tc_008_1_start_with_a_listed_id(rig: Rig) -> None:
    await rig.call("SendLocalList", listVersion=1, updateType="Full", localAuthorizationList=LISTED)
    rig.hardware.plug()
    await rig.status("Preparing")
    rig.hardware.tap("LISTED")
    await rig.expect("StartTransaction", idTag="LISTED")
    assert rig.sent("Authorize") == []


@case(settings={"LocalPreAuthorize": "true", "AuthorizeRemoteTxRequests": "true"})
async def test_tc_008_2_remote_start_with_a_listed_id(rig: Rig) -> None:
    await rig.call("SendLocalList", listVersion=1, updateType="Full", localAuthorizationList=LISTED)
    assert await rig.call("RemoteStartTransaction", idTag="LISTED", connectorId=1) == {"status": "Accepted"}
    await rig.status("Preparing")
    rig.hardware.plug()
    await rig.expect("StartTransaction", idTag="LISTED")
    assert rig.sent("Authorize") == []


# ---- remote start and stop ---------------------------------------------------------------------------------------


@case(settings={"AuthorizeRemoteTxRequests": "true"})
async def test_tc_010_remote_start_plug_first(rig: Rig) -> None:
    rig.hardware.plug()
    await rig.status("Preparing")
    assert await rig.call("RemoteStartTransaction", idTag="REMOTE", connectorId=1) == {"status": "Accepted"}
    assert await rig.expect("Authorize") == {"idTag": "REMOTE"}
    await rig.expect("StartTransaction", idTag="REMOTE")
    await rig.status("Charging")


@case(settings={"AuthorizeRemoteTxRequests": "false"})
async def test_tc_011_1_remote_start_first(rig: Rig) -> None:
    assert await rig.call("RemoteStartTransaction", idTag="REMOTE", connectorId=1) == {"status": "Accepted"}
    await rig.status("Preparing")
    rig.hardware.plug()
    await rig.expect("StartTransaction", idTag="REMOTE")
    await rig.status("Charging")
    assert rig.sent("Authorize") == []


@case(settings={"ConnectionTimeOut": "1"})
async def test_tc_011_2_remote_start_first_timeout(rig: Rig) -> None:
    assert await rig.call("RemoteStartTransaction", idTag="REMOTE", connectorId=1) == {"status": "Accepted"}
    await rig.status("Preparing")
    await rig.status("Available")
    await rig.silent("StartTransaction")


@case()
async def test_tc_012_remote_stop(rig: Rig) -> None:
    number = await rig.charge()
    assert await rig.call("RemoteStopTransaction", transactionId=number) == {"status": "Accepted"}
    stop = await rig.expect("StopTransaction")
    assert (stop["transactionId"], stop["reason"]) == (number, "Remote")
    await rig.status("Finishing")
    rig.hardware.unplug()
    await rig.status("Available")


# ---- reset -------------------------------------------------------------------------------------------------------


async def reset(rig: Rig, kind: str) -> None:
    assert await rig.call("Reset", type=kind) == {"status": "Accepted"}
    assert await rig.agent_left() == EXIT_RESTART
    await rig.start_agent()
    assert rig.sent("StopTransaction") == []


@case()
async def test_tc_013_hard_reset_without_a_transaction(rig: Rig) -> None:
    await reset(rig, "Hard")


@case()
async def test_tc_014_soft_reset_without_a_transaction(rig: Rig) -> None:
    await reset(rig, "Soft")


@case()
async def test_tc_015_hard_reset_with_a_transaction(rig: Rig) -> None:
    number = await rig.charge()
    assert await rig.call("Reset", type="Hard") == {"status": "Accepted"}
    assert await rig.agent_left() == EXIT_RESTART
    await rig.start_agent(wait=False)
    await rig.expect("BootNotification")
    stop = await rig.expect("StopTransaction")
    assert (stop["transactionId"], stop["reason"]) == (number, "HardReset")


@case()
async def test_tc_016_soft_reset_with_a_transaction(rig: Rig) -> None:
    number = await rig.charge()
    assert await rig.call("Reset", type="Soft") == {"status": "Accepted"}
    stop = await rig.expect("StopTransaction")
    assert (stop["transactionId"], stop["reason"]) == (number, "SoftReset")
    assert await rig.agent_left() == EXIT_RESTART
    await rig.start_agent(wait=False)
    await rig.expect("BootNotification")
    await rig.silent("StopTransaction")


# ---- unlock ------------------------------------------------------------------------------------------------------


@case()
async def test_tc_017_1_unlock_without_a_session(rig: Rig) -> None:
    assert await rig.call("UnlockConnector", connectorId=1) == {"status": "Unlocked"}


@case(socket=False)
async def test_tc_017_2_unlock_a_fixed_cable(rig: Rig) -> None:
    assert await rig.call("UnlockConnector", connectorId=1) == {"status": "NotSupported"}


@case()
async def test_tc_018_1_unlock_with_a_session(rig: Rig) -> None:
    number = await rig.charge()
    assert await rig.call("UnlockConnector", connectorId=1) == {"status": "Unlocked"}
    stop = await rig.expect("StopTransaction")
    assert (stop["transactionId"], stop["reason"]) == (number, "UnlockCommand")


@case(socket=False)
async def test_tc_018_2_unlock_a_fixed_cable_with_a_session(rig: Rig) -> None:
    await rig.charge()
    assert await rig.call("UnlockConnector", connectorId=1) == {"status": "NotSupported"}
    await rig.silent("StopTransaction")


# ---- configuration -----------------------------------------------------------------------------------------------


@case()
async def test_tc_019_read_the_configuration(rig: Rig) -> None:
    everything = await rig.call("GetConfiguration")
    names = {entry["key"] for entry in everything["configurationKey"]}
    assert {"HeartbeatInterval", "SupportedFeatureProfiles", "LocalAuthListMaxLength"} <= names
    assert "unknownKey" not in everything
    some = await rig.call("GetConfiguration", key=["SupportedFeatureProfiles", "NoSuchKey"])
    assert some["unknownKey"] == ["NoSuchKey"]
    (entry,) = some["configurationKey"]
    assert entry["readonly"] is True
    profiles = entry["value"].split(",")
    assert {"Core", "LocalAuthListManagement", "Reservation", "RemoteTrigger"} <= set(profiles)


@case()
async def test_tc_021_change_the_configuration(rig: Rig) -> None:
    await rig.configure(MeterValueSampleInterval="17")
    assert await rig.configuration("MeterValueSampleInterval") == "17"
    await rig.stop_agent()
    await rig.start_agent()
    assert await rig.configuration("MeterValueSampleInterval") == "17"


# ---- ids that are refused ----------------------------------------------------------------------------------------


async def refused_card(rig: Rig, status: str) -> None:
    rig.token("BAD", status)
    rig.hardware.plug()
    await rig.status("Preparing")
    rig.hardware.tap("BAD")
    await rig.expect("Authorize", idTag="BAD")
    await rig.silent("StartTransaction")
    assert rig.hardware.outlets[1].permits == []


@case()
async def test_tc_023_1_start_with_an_invalid_id(rig: Rig) -> None:
    await refused_card(rig, "Invalid")


@case()
async def test_tc_023_2_start_with_a_blocked_id(rig: Rig) -> None:
    await refused_card(rig, "Blocked")


@case()
async def test_tc_023_3_start_with_an_expired_id(rig: Rig) -> None:
    await refused_card(rig, "Expired")


@case(settings={"AuthorizeRemoteTxRequests": "true"})
async def test_tc_023_4_remote_start_with_a_refused_id(rig: Rig) -> None:
    rig.token("BAD", "Invalid")
    rig.hardware.plug()
    await rig.status("Preparing")
    assert await rig.call("RemoteStartTransaction", idTag="BAD", connectorId=1) == {"status": "Accepted"}
    await rig.expect("Authorize", idTag="BAD")
    await rig.silent("StartTransaction")


@case(settings={"AuthorizeRemoteTxRequests": "false", "StopTransactionOnInvalidId": "true"})
async def test_tc_023_5_remote_start_refused_by_the_start(rig: Rig) -> None:
    rig.token("BAD", "Invalid")
    rig.hardware.plug()
    await rig.status("Preparing")
    assert await rig.call("RemoteStartTransaction", idTag="BAD", connectorId=1) == {"status": "Accepted"}
    await rig.expect("StartTransaction", idTag="BAD")
    assert (await rig.expect("StopTransaction"))["reason"] == "DeAuthorized"


# ---- what goes wrong ---------------------------------------------------------------------------------------------


@case()
async def test_tc_024_lock_failure(rig: Rig) -> None:
    rig.hardware.plug()
    await rig.status("Preparing")
    rig.hardware.fault(FaultCode.LOCK)
    await rig.status("Faulted", errorCode="ConnectorLockFailure", vendorErrorCode="CX001")
    rig.hardware.tap("CARD")
    await rig.silent("StartTransaction")


@case()
async def test_tc_026_remote_start_rejected_where_one_charges(rig: Rig) -> None:
    await rig.charge()
    assert await rig.call("RemoteStartTransaction", idTag="OTHER", connectorId=1) == {"status": "Rejected"}


@case()
async def test_tc_027_remote_start_at_connector_0(rig: Rig) -> None:
    assert await rig.call("RemoteStartTransaction", idTag="CARD", connectorId=0) == {"status": "Rejected"}


@case()
async def test_tc_028_remote_stop_rejected(rig: Rig) -> None:
    number = await rig.charge()
    assert await rig.call("RemoteStopTransaction", transactionId=number + 17) == {"status": "Rejected"}
    await rig.silent("StopTransaction")


def test_tc_030_unlock_failure(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.station.availability.UNLOCK_S", 0.2)

    @case()
    async def scenario(rig: Rig) -> None:
        rig.hardware.set(1, lock_stuck=True)
        assert await rig.call("UnlockConnector", connectorId=1) == {"status": "UnlockFailed"}

    scenario(tmp_path)


@case()
async def test_tc_031_unlock_an_unknown_connector(rig: Rig) -> None:
    assert await rig.call("UnlockConnector", connectorId=7) == {"status": "NotSupported"}


@case()
async def test_tc_032_1_power_failure_stop_before(rig: Rig) -> None:
    number = await rig.charge()
    rig.hardware.fault(FaultCode.MAINS, latched=True)
    stop = await rig.expect("StopTransaction")
    assert (stop["transactionId"], stop["reason"]) == (number, "PowerLoss")
    await rig.power_cut()
    rig.hardware.mend(FaultCode.MAINS)
    await rig.power_back()
    assert len(rig.sent("StopTransaction")) == 1


@case(settings={"TransactionResumptionTimeout": "0"})
async def test_tc_032_2_power_failure_stop_after(rig: Rig) -> None:
    number = await rig.charge()
    await rig.power_cut()
    await rig.power_back()
    stop = await rig.expect("StopTransaction")
    assert (stop["transactionId"], stop["reason"]) == (number, "PowerLoss")


@case()
async def test_tc_034_power_failure_while_unavailable(rig: Rig) -> None:
    assert await rig.call("ChangeAvailability", connectorId=1, type="Inoperative") == {"status": "Accepted"}
    await rig.status("Unavailable")
    await rig.power_cut()
    await rig.power_back()
    assert rig.csms.ledger()["charge_points"][ID]["statuses"]["1"]["status"] == "Unavailable"
    assert await rig.call("ChangeAvailability", connectorId=1, type="Operative") == {"status": "Accepted"}
    await rig.status("Available")


# ---- offline -----------------------------------------------------------------------------------------------------


@case()
async def test_tc_036_connection_loss_in_a_transaction(rig: Rig) -> None:
    number = await rig.charge()
    await rig.go_offline()
    assert rig.hardware.outlets[1].closed
    await rig.go_online()
    await rig.silent("BootNotification")
    stop = await finish(rig)
    assert stop["transactionId"] == number


@case(settings={"AllowOfflineTxForUnknownId": "true"})
async def test_tc_037_1_offline_start_valid(rig: Rig) -> None:
    await rig.go_offline()
    rig.hardware.plug()
    rig.hardware.tap("CARD")
    await rig.until(lambda: rig.hardware.outlets[1].closed)
    await rig.go_online()
    await rig.expect("StartTransaction", idTag="CARD")
    await rig.silent("StopTransaction")
    assert rig.hardware.outlets[1].closed


async def refused_offline_start(rig: Rig) -> None:
    rig.token("BAD", "Invalid")
    await rig.go_offline()
    rig.hardware.plug()
    rig.hardware.tap("BAD")
    await rig.until(lambda: rig.hardware.outlets[1].closed)
    await rig.go_online()
    await rig.expect("StartTransaction", idTag="BAD")


@case(settings={"AllowOfflineTxForUnknownId": "true", "StopTransactionOnInvalidId": "false"})
async def test_tc_037_2_offline_start_invalid_suspends(rig: Rig) -> None:
    await refused_offline_start(rig)
    await rig.status("SuspendedEVSE")
    await rig.silent("StopTransaction")
    assert not rig.hardware.outlets[1].closed


@case(settings={"AllowOfflineTxForUnknownId": "true", "StopTransactionOnInvalidId": "true"})
async def test_tc_037_3_offline_start_invalid_stops(rig: Rig) -> None:
    await refused_offline_start(rig)
    assert (await rig.expect("StopTransaction"))["reason"] == "DeAuthorized"
    assert not rig.hardware.outlets[1].closed


@case()
async def test_tc_038_offline_stop(rig: Rig) -> None:
    number = await rig.charge()
    await rig.go_offline()
    rig.hardware.tap("CARD")
    await rig.until(lambda: not rig.hardware.outlets[1].closed)
    rig.hardware.unplug()
    await rig.go_online()
    stop = await rig.expect("StopTransaction")
    assert (stop["transactionId"], stop["reason"], stop["idTag"]) == (number, "Local", "CARD")


@case(settings={"AllowOfflineTxForUnknownId": "true"})
async def test_tc_039_offline_transaction(rig: Rig) -> None:
    await rig.go_offline()
    rig.hardware.plug()
    rig.hardware.tap("CARD")
    await rig.until(lambda: rig.hardware.outlets[1].closed)
    rig.hardware.tap("CARD")
    await rig.until(lambda: not rig.hardware.outlets[1].closed)
    rig.hardware.unplug()
    await rig.go_online()
    start = await rig.expect("StartTransaction", idTag="CARD")
    stop = await rig.expect("StopTransaction")
    assert stop["transactionId"] == rig.transaction()
    assert stop["meterStop"] >= start["meterStart"]
    assert start["timestamp"] < stop["timestamp"]


# ---- configuration that is refused -------------------------------------------------------------------------------


@case()
async def test_tc_040_1_unknown_key(rig: Rig) -> None:
    assert await rig.call("ChangeConfiguration", key="NoSuchKey", value="1") == {"status": "NotSupported"}


@case()
async def test_tc_040_2_bad_value(rig: Rig) -> None:
    assert await rig.call("ChangeConfiguration", key="MeterValueSampleInterval", value="-1") == {"status": "Rejected"}
    assert await rig.call("ChangeConfiguration", key="NumberOfConnectors", value="9") == {"status": "Rejected"}


@case()
async def test_tc_041_fault_behaviour(rig: Rig) -> None:
    number = await rig.charge()
    rig.hardware.fault(FaultCode.RESIDUAL_CURRENT, latched=True)
    faulted = await rig.status("Faulted", errorCode="GroundFailure", vendorErrorCode="CX002")
    assert faulted["vendorId"] == "https://chargex.inl.gov"
    assert (await rig.expect("StopTransaction"))["transactionId"] == number
    rig.hardware.mend(FaultCode.RESIDUAL_CURRENT)
    await rig.status("Finishing", errorCode="NoError")
    rig.hardware.unplug()
    await rig.status("Available")


# ---- cache, data transfer, stop, values --------------------------------------------------------------------------


@case(settings=CONNECTED)
async def test_tc_061_1_clear_the_cache(rig: Rig) -> None:
    await charged_once(rig)
    assert await rig.call("ClearCache") == {"status": "Accepted"}
    rig.hardware.plug()
    rig.hardware.tap("CARD")
    await rig.expect("Authorize", idTag="CARD")
    await rig.expect("StartTransaction", idTag="CARD")


@case(settings={"AuthorizationCacheEnabled": "false"})
async def test_tc_061_2_clear_the_cache_rejected(rig: Rig) -> None:
    assert await rig.call("ClearCache") == {"status": "Rejected"}


@case()
async def test_tc_062_data_transfer_to_the_charge_point(rig: Rig) -> None:
    answer = await rig.call("DataTransfer", vendorId="unknown.example", messageId="x", data="y")
    assert answer == {"status": "UnknownVendorId"}
    assert rig.app is not None


@case()
async def test_tc_068_stop_with_the_same_id(rig: Rig) -> None:
    await rig.charge("Card")
    before = len(rig.sent("Authorize"))
    stop = await finish(rig, "CARD")
    assert (stop["idTag"], stop["reason"]) == ("CARD", "Local")
    assert len(rig.sent("Authorize")) == before, "nobody need be asked"


@case()
async def test_tc_069_stop_with_the_same_parent(rig: Rig) -> None:
    rig.token("CARD", parent="FAMILY")
    rig.token("MATE", parent="FAMILY")
    rig.token("STRANGER", parent="OTHERS")
    await rig.charge("CARD")
    rig.hardware.tap("STRANGER")
    await rig.expect("Authorize", idTag="STRANGER")
    await rig.silent("StopTransaction")
    rig.hardware.tap("MATE")
    await rig.expect("Authorize", idTag="MATE")
    assert (await rig.expect("StopTransaction"))["idTag"] == "MATE"


VALUES = "Energy.Active.Import.Register,Power.Active.Import,Voltage"


@case(settings={"MeterValueSampleInterval": "1", "MeterValuesSampledData": VALUES})
async def test_tc_070_sampled_meter_values(rig: Rig) -> None:
    number = await rig.charge()
    values = await rig.expect("MeterValues")
    assert (values["connectorId"], values["transactionId"]) == (1, number)
    sampled = values["meterValue"][0]["sampledValue"]
    assert {sample["context"] for sample in sampled} == {"Sample.Periodic"}
    assert {sample["measurand"] for sample in sampled} == set(VALUES.split(","))
    assert {sample.get("phase") for sample in sampled if sample["measurand"] == "Voltage"} == {"L1-N", "L2-N", "L3-N"}


@case(settings={"ClockAlignedDataInterval": "1", "MeterValuesAlignedData": VALUES})
async def test_tc_071_clock_aligned_meter_values(rig: Rig) -> None:
    values = await rig.expect("MeterValues")
    assert "transactionId" not in values
    (meter_value,) = values["meterValue"]
    assert meter_value["timestamp"].endswith(".000Z")
    assert {sample["context"] for sample in meter_value["sampledValue"]} == {"Sample.Clock"}


# ---- beyond the list: what a network that we never saw may do ------------------------------------------------------


@case(settings={"MinimumStatusDuration": "1"})
async def test_a_status_that_does_not_last_is_not_told(rig: Rig) -> None:
    rig.hardware.plug()
    await asyncio.sleep(0.2)
    rig.hardware.unplug()
    await rig.silent("StatusNotification", 1.0)


@case(settings=CONNECTED)
async def test_the_answer_to_a_stop_updates_the_cache(rig: Rig) -> None:
    await rig.charge("CARD")
    rig.token("CARD", "Blocked")
    rig.hardware.tap("CARD")
    await rig.expect("StopTransaction")
    await rig.status("Finishing")
    rig.hardware.unplug()
    await rig.status("Available")
    rig.hardware.plug()
    await rig.status("Preparing")
    rig.hardware.tap("CARD")
    await rig.expect("Authorize", idTag="CARD")
    await rig.silent("StartTransaction")


@case(anomalies=())
async def test_a_lost_answer_to_authorize_lets_offline_rules_decide(rig: Rig) -> None:
    rig.csms.behaviour.add("Authorize", AnswerRule(Mode.ERROR, 1))
    rig.hardware.plug()
    await rig.status("Preparing")
    rig.hardware.tap("CARD")
    await rig.silent("StartTransaction")
