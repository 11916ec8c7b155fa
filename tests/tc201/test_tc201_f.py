"""OCPP 2.0.1 certification cases of block F, remote control (part 6, TC_F_…_CS), and rules of F01 to F06 beside."""

from __future__ import annotations

import asyncio
from typing import Any

from agent.link.messages import FaultCode
from simulators.fileserver import FileServer
from tests.tc16.test_tc16_firmware import FIRMWARE, updating
from tests.tc201.rig import Rig201, case

START, STOP = "TxCtrlr.TxStartPoint", "TxCtrlr.TxStopPoint"
CABLE_FIRST = {START: "EVConnected", STOP: "EVConnected"}
AUTHORISED = {START: "Authorized", STOP: "Authorized"}
APP = {"idToken": "APP-1", "type": "Central"}
CARD = {"idToken": "CARD", "type": "ISO14443"}


async def start(rig: Rig201, token: dict[str, str] = APP, number: int = 7, **more: Any) -> dict[str, Any]:
    return await rig.call("RequestStartTransaction", idToken=token, remoteStartId=number, **more)


def info(event: dict[str, Any]) -> dict[str, Any]:
    return event["transactionInfo"]


# ---- F01, F02: remote start ----------------------------------------------------------------------------------------


@case(settings=CABLE_FIRST)
async def test_tc_f_01_cs_remote_start_cable_first(rig: Rig201) -> None:
    rig.hardware.plug(1)
    started = await rig.event("Started", "CablePluggedIn")
    answer = await start(rig, evseId=1)
    assert answer == {"status": "Accepted", "transactionId": info(started)["transactionId"]}  # F01.FR.13
    updated = await rig.event("Updated")
    assert updated["triggerReason"] == "RemoteStart"  # F01.FR.19
    assert updated["idToken"] == APP
    assert info(updated)["remoteStartId"] == 7  # F01.FR.25
    await rig.event("Updated", "ChargingStateChanged", "Charging")
    assert rig.sent("Authorize") == []


@case(settings={**AUTHORISED, "AuthCtrlr.AuthorizeRemoteStart": "true"})
async def test_tc_f_02_cs_remote_start_first_and_authorised(rig: Rig201) -> None:
    assert await start(rig, CARD, evseId=1) == {"status": "Accepted"}
    assert (await rig.expect("Authorize"))["idToken"] == CARD  # F02.FR.09
    started = await rig.event("Started", "RemoteStart")
    assert started["idToken"] == CARD
    assert info(started)["remoteStartId"] == 7  # F02.FR.01
    rig.hardware.plug(1)
    await rig.status("Occupied")
    await rig.event("Updated", "CablePluggedIn", "EVConnected")
    await rig.event("Updated", "ChargingStateChanged", "Charging")


@case(settings=AUTHORISED)
async def test_tc_f_03_cs_remote_start_first_and_not_authorised(rig: Rig201) -> None:
    assert await start(rig, CARD, evseId=1) == {"status": "Accepted"}
    started = await rig.event("Started", "RemoteStart")
    assert (started["idToken"], info(started)["remoteStartId"]) == (CARD, 7)
    rig.hardware.plug(1)
    await rig.status("Occupied")
    await rig.event("Updated", "ChargingStateChanged", "Charging")
    assert rig.sent("Authorize") == []  # F02.FR.10


@case(settings={**AUTHORISED, "TxCtrlr.EVConnectionTimeOut": "1"})
async def test_tc_f_04_cs_remote_start_and_no_cable(rig: Rig201) -> None:
    assert await start(rig, evseId=1) == {"status": "Accepted"}
    await rig.event("Started", "RemoteStart")
    ended = await rig.event("Ended", "EVConnectTimeout")  # F02.FR.07
    assert info(ended)["stoppedReason"] == "Timeout"


@case(settings={"AuthCtrlr.AuthorizeRemoteStart": "true"})
async def test_what_the_network_made_up_is_not_asked_about(rig: Rig201) -> None:
    """C03.FR.01, C05.FR.01"""
    rig.hardware.plug(1)
    assert await start(rig, APP, evseId=1) == {"status": "Accepted"}
    started = await rig.event("Started", "RemoteStart")
    assert started["idToken"] == APP
    assert rig.sent("Authorize") == []


@case(evses=2)
async def test_the_charging_station_chooses_an_evse_that_is_free(rig: Rig201) -> None:
    """F01.FR.20, F02.FR.22"""
    await rig.charge(evse=1)
    rig.hardware.plug(2)
    assert await start(rig) == {"status": "Accepted"}
    started = await rig.event("Started", "RemoteStart")
    assert started["evse"]["id"] == 2


@case(evses=2)
async def test_remote_starts_that_cannot_be(rig: Rig201) -> None:
    """F01.FR.21 to .24 and F01.FR.26"""
    await rig.charge(evse=1)
    assert (await start(rig, evseId=1))["status"] == "Rejected"  # an authorised transaction runs
    assert (await start(rig, evseId=3))["statusInfo"]["reasonCode"] == "UnknownEvse"
    expires = "2099-01-01T00:00:00Z"
    await rig.call(
        "ReserveNow",
        id=4,
        evseId=2,
        expiryDateTime=expires,
        idToken=CARD,
        groupIdToken={"idToken": "FAMILY", "type": "Central"},
    )
    assert (await start(rig, evseId=2))["status"] == "Rejected"
    other = {"idToken": "OTHERS", "type": "Central"}
    assert (await start(rig, evseId=2, groupIdToken=other))["status"] == "Rejected"
    await rig.status("Reserved", 2)
    await rig.call("CancelReservation", reservationId=4)
    await rig.status("Available", 2)
    profile: dict[str, Any] = {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": [
            {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}]}
        ],
    }
    wrong = await start(rig, evseId=2, chargingProfile=profile)
    assert (wrong["status"], wrong["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidProfile")
    rig.hardware.fault(FaultCode.PILOT, 2)
    await rig.status("Faulted", 2)
    assert (await start(rig, evseId=2))["status"] == "Rejected"
    rig.hardware.mend(FaultCode.PILOT, 2)
    await rig.status("Available", 2)
    await rig.call("ChangeAvailability", operationalStatus="Inoperative", evse={"id": 2})
    assert (await start(rig, evseId=2))["status"] == "Rejected"


@case()
async def test_the_group_of_a_remote_start_opens_what_is_reserved(rig: Rig201) -> None:
    """F01.FR.22, H03.FR.04"""
    family = {"idToken": "FAMILY", "type": "Central"}
    await rig.call(
        "ReserveNow", id=4, evseId=1, expiryDateTime="2099-01-01T00:00:00Z", idToken=CARD, groupIdToken=family
    )
    rig.hardware.plug(1)
    assert (await start(rig, evseId=1, groupIdToken=family))["status"] == "Accepted"
    assert (await rig.event("Started"))["reservationId"] == 4  # F02.FR.06


@case()
async def test_tc_k_37_cs_a_remote_start_brings_its_profile(rig: Rig201) -> None:
    """F01.FR.10, F02.FR.18"""
    profile = {
        "id": 5,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": [
            {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9.0}]}
        ],
    }
    rig.hardware.plug(1)
    assert await start(rig, evseId=1, chargingProfile=profile) == {"status": "Accepted"}
    await rig.event("Started", "RemoteStart")
    await rig.until(lambda: (permit := rig.hardware.outlets[1].permit) is not None and permit.current_a == 9.0)


@case(settings={START: "PowerPathClosed", STOP: "EVConnected"})
async def test_a_remote_start_without_authorisation(rig: Rig201) -> None:
    rig.hardware.plug(1)
    assert (await start(rig, {"idToken": "", "type": "NoAuthorization"}, evseId=1))["status"] == "Accepted"
    started = await rig.event("Started", "RemoteStart")
    assert started["idToken"] == {"idToken": "", "type": "NoAuthorization"}  # C02.FR.01


# ---- F03: remote stop ----------------------------------------------------------------------------------------------


@case(settings={STOP: "Authorized"})
async def test_tc_f_08_cs_remote_stop(rig: Rig201) -> None:
    transaction = await rig.charge()
    assert await rig.call("RequestStopTransaction", transactionId=transaction) == {"status": "Accepted"}
    ended = await rig.event("Ended", "RemoteStop")
    assert info(ended)["stoppedReason"] == "Remote"  # F03.FR.03
    rig.hardware.unplug(1)
    await rig.status("Available")


@case()
async def test_tc_f_09_cs_remote_stop_of_nothing(rig: Rig201) -> None:
    await rig.charge()
    answer = await rig.call("RequestStopTransaction", transactionId="no such one")
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "TxNotFound")
    await rig.silent("TransactionEvent", trigger="RemoteStop")


@case(settings=CABLE_FIRST)
async def test_a_remote_stop_may_leave_the_transaction_open(rig: Rig201) -> None:
    """F03.FR.02"""
    transaction = await rig.charge()
    assert await rig.call("RequestStopTransaction", transactionId=transaction) == {"status": "Accepted"}
    await rig.event("Updated", "RemoteStop")
    await rig.until(lambda: rig.hardware.outlets[1].permit is None)
    rig.hardware.unplug(1)
    assert info(await rig.event("Ended"))["transactionId"] == transaction


# ---- F05: unlock ---------------------------------------------------------------------------------------------------


async def unlock(rig: Rig201, evse: int = 1, connector: int = 1) -> str:
    return str((await rig.call("UnlockConnector", evseId=evse, connectorId=connector))["status"])


@case()
async def test_tc_f_05_cs_unlock_with_a_transaction(rig: Rig201) -> None:
    transaction = await rig.charge()
    assert await unlock(rig) == "OngoingAuthorizedTransaction"
    assert rig.app is not None
    assert transaction in rig.app.transactions.open()
    assert rig.hardware.outlets[1].observation().locked  # F05.FR.02


@case()
async def test_tc_f_06_cs_unlock_without_a_transaction(rig: Rig201) -> None:
    rig.hardware.plug(1)
    await rig.status("Occupied")
    assert await unlock(rig) == "Unlocked"


@case()
async def test_tc_f_07_cs_unlock_without_a_cable(rig: Rig201) -> None:
    assert await unlock(rig) == "Unlocked"  # F05.FR.06


@case()
async def test_tc_f_10_cs_unlock_of_an_unknown_connector(rig: Rig201) -> None:
    assert await unlock(rig, connector=2) == "UnknownConnector"
    assert await unlock(rig, evse=2) == "UnknownConnector"


@case()
async def test_a_lock_that_stays_closed_is_told(rig: Rig201) -> None:
    """F05.FR.05"""
    rig.hardware.plug(1)
    rig.hardware.set(1, lock_stuck=True)
    await rig.status("Occupied")
    assert await unlock(rig) == "UnlockFailed"


@case(socket=False)
async def test_a_fixed_cable_cannot_be_unlocked(rig: Rig201) -> None:
    answer = await rig.call("UnlockConnector", evseId=1, connectorId=1)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("UnlockFailed", "FixedCable")


@case(settings=CABLE_FIRST)
async def test_an_open_transaction_without_a_driver_is_unlocked_and_goes_on(rig: Rig201) -> None:
    rig.hardware.plug(1)
    started = await rig.event("Started")
    assert await unlock(rig) == "Unlocked"
    await rig.event("Updated", "UnlockCommand")
    rig.hardware.unplug(1)
    ended = await rig.event("Ended")
    assert info(ended)["transactionId"] == info(started)["transactionId"]


# ---- F06: messages that are asked for ------------------------------------------------------------------------------


async def trigger(rig: Rig201, message: str, evse: int | None = None, connector: int | None = None) -> str:
    place: dict[str, Any] = {} if evse is None else {"evse": {"id": evse}}
    if connector is not None:
        place["evse"]["connectorId"] = connector
    return str((await rig.call("TriggerMessage", requestedMessage=message, **place))["status"])


@case(evses=2)
async def test_tc_f_11_cs_trigger_meter_values_of_an_evse(rig: Rig201) -> None:
    assert await trigger(rig, "MeterValues", 2) == "Accepted"
    values = await rig.expect("MeterValues")
    assert values["evseId"] == 2
    assert values["meterValue"][0]["sampledValue"][0]["context"] == "Trigger"
    await rig.silent("MeterValues")


@case(evses=2)
async def test_tc_f_12_cs_trigger_meter_values_of_all(rig: Rig201) -> None:
    assert await trigger(rig, "MeterValues") == "Accepted"
    told = {(await rig.expect("MeterValues"))["evseId"] for _ in range(2)}
    assert told == {1, 2}  # F06.FR.11


@case(evses=2)
async def test_tc_f_13_cs_trigger_transaction_event_of_an_evse(rig: Rig201) -> None:
    await rig.charge(evse=1)
    transaction = await rig.charge("OTHER", evse=2)
    assert await trigger(rig, "TransactionEvent", 2) == "Accepted"
    event = await rig.event("Updated", "Trigger", "Charging")
    assert info(event)["transactionId"] == transaction
    assert event["meterValue"]  # F06.FR.07


@case(evses=2)
async def test_tc_f_14_cs_trigger_transaction_event_of_all(rig: Rig201) -> None:
    both = {await rig.charge(evse=1), await rig.charge("OTHER", evse=2)}
    assert await trigger(rig, "TransactionEvent") == "Accepted"
    told = {info(await rig.event("Updated", "Trigger"))["transactionId"] for _ in range(2)}
    assert told == both


@case()
async def test_tc_f_15_cs_trigger_log_status_idle(rig: Rig201) -> None:
    assert await trigger(rig, "LogStatusNotification") == "Accepted"
    assert (await rig.expect("LogStatusNotification"))["status"] == "Idle"


@case(change=updating())
async def test_tc_f_16_cs_trigger_log_status_uploading(rig: Rig201) -> None:
    with FileServer("http") as server:
        server.faults.refuse = [503]
        log = {"remoteLocation": server.url("/logs")}
        asked = {"logType": "SecurityLog", "requestId": 4, "log": log, "retries": 1, "retryInterval": 3600}
        assert (await rig.call("GetLog", **asked))["status"] == "Accepted"
        await rig.expect("LogStatusNotification", status="Uploading")
        assert await trigger(rig, "LogStatusNotification") == "Accepted"
        told = await rig.expect("LogStatusNotification")
    assert told == {"status": "Uploading", "requestId": 4}  # F06.FR.14


@case(change=updating())
async def test_tc_f_19_cs_trigger_firmware_status_downloading(rig: Rig201) -> None:
    with FileServer("http") as server:
        server.files["/fw.bin"] = FIRMWARE
        server.faults.stall_after = [10_000]
        firmware = {"location": server.url("/fw.bin"), "retrieveDateTime": "2020-01-01T00:00:00Z"}
        assert (await rig.call("UpdateFirmware", requestId=6, firmware=firmware))["status"] == "Accepted"
        await rig.expect("FirmwareStatusNotification", status="Downloading")
        assert await trigger(rig, "FirmwareStatusNotification") == "Accepted"
        told = await rig.expect("FirmwareStatusNotification")
    assert told == {"status": "Downloading", "requestId": 6}


@case()
async def test_tc_f_17_cs_trigger_firmware_status_where_the_evse_counts_for_nothing(rig: Rig201) -> None:
    assert await trigger(rig, "FirmwareStatusNotification", 1) == "Accepted"
    assert (await rig.expect("FirmwareStatusNotification"))["status"] == "Idle"
    assert await trigger(rig, "FirmwareStatusNotification", 9) == "Accepted"  # F06.FR.03
    assert (await rig.expect("FirmwareStatusNotification"))["status"] == "Idle"


@case()
async def test_tc_f_18_cs_trigger_firmware_status_idle(rig: Rig201) -> None:
    assert await trigger(rig, "FirmwareStatusNotification") == "Accepted"
    assert (await rig.expect("FirmwareStatusNotification"))["status"] == "Idle"  # F06.FR.16


@case()
async def test_tc_f_20_cs_trigger_heartbeat(rig: Rig201) -> None:
    asked = rig.csms.now
    assert await trigger(rig, "Heartbeat") == "Accepted"
    beat = await rig.expect_seen("Heartbeat")
    answered = next(frame.number for frame in rig.csms.frames if frame.number > asked and not frame.ours)
    assert answered < beat.number  # F06.FR.04


@case()
async def test_tc_f_23_cs_trigger_status_available(rig: Rig201) -> None:
    assert await trigger(rig, "StatusNotification", 1, 1) == "Accepted"
    await rig.status("Available")


@case()
async def test_tc_f_24_cs_trigger_status_occupied(rig: Rig201) -> None:
    rig.hardware.plug(1)
    await rig.status("Occupied")
    assert await trigger(rig, "StatusNotification", 1, 1) == "Accepted"
    await rig.status("Occupied")


@case()
async def test_tc_f_26_cs_trigger_boot_notification(rig: Rig201) -> None:
    assert await trigger(rig, "BootNotification") == "Rejected"  # F06.FR.17
    await rig.silent("BootNotification")


@case()
async def test_tc_f_27_cs_trigger_what_is_not_implemented(rig: Rig201) -> None:
    assert await trigger(rig, "SignCombinedCertificate") == "NotImplemented"  # F06.FR.08
    assert await trigger(rig, "PublishFirmwareStatusNotification") == "NotImplemented"


@case()
async def test_messages_of_an_evse_that_is_not_there_are_refused(rig: Rig201) -> None:
    assert await trigger(rig, "MeterValues", 2) == "Rejected"
    assert await trigger(rig, "StatusNotification", 1, 2) == "Rejected"
    assert await trigger(rig, "TransactionEvent", 1) == "Rejected"  # none runs: there is nothing current (F06.FR.09)


@case(versions=("ocpp2.1",))
async def test_a_custom_trigger_is_not_implemented(rig: Rig201) -> None:
    """2.1 F06.FR.19"""
    answer = await rig.call("TriggerMessage", requestedMessage="CustomTrigger", customTrigger="Dance")
    assert answer["status"] == "NotImplemented"


@case(start=False)
async def test_nothing_is_started_before_the_boot_is_accepted(rig: Rig201) -> None:
    """B02.FR.05"""
    rig.csms.boot_status = "Pending"
    await rig.start_agent(wait=False)
    await rig.expect("BootNotification")
    await asyncio.sleep(0)
    assert (await start(rig, evseId=1))["status"] == "Rejected"
    assert (await rig.call("RequestStopTransaction", transactionId="x"))["status"] == "Rejected"
    assert await trigger(rig, "Heartbeat") == "Accepted"
