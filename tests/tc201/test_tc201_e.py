"""OCPP 2.0.1 certification cases of block E: transactions (part 6, TC_E_…_CS)."""

from __future__ import annotations

import asyncio

from agent.link.messages import FaultCode
from agent.station.commands import RemoteStart
from agent.station.tokens import Token
from tests.tc201.books201 import registers_wh
from tests.tc201.rig import SILENCE, Refusal, Rig201, case

START, STOP = "TxCtrlr.TxStartPoint", "TxCtrlr.TxStopPoint"
AWAY = {"TxCtrlr.StopTxOnEVSideDisconnect": "false", "OCPPCommCtrlr.UnlockOnEVSideDisconnect": "false"}
SAMPLES = {"SampledDataCtrlr.TxUpdatedInterval": "1"}


def points(start: str = "PowerPathClosed", stop: str = "EVConnected,Authorized", **more: str) -> dict[str, str]:
    return {START: start, STOP: stop, **more}


def info(event: dict) -> dict:
    return event["transactionInfo"]


async def authorised(rig: Rig201, uid: str = "CARD") -> None:
    """Reusable state Authorized, at the EVSE's own reader."""
    rig.hardware.tap(uid, 1)
    assert (await rig.expect("Authorize"))["idToken"] == {"idToken": uid, "type": "ISO14443"}


async def suspended(rig: Rig201) -> str:
    """Reusable state EnergyTransferSuspended."""
    transaction = await rig.charge()
    rig.hardware.set(1, wants=False)
    await rig.event("Updated", "ChargingStateChanged", "SuspendedEV")
    return transaction


# ---- E01: where a transaction starts -------------------------------------------------------------------------------


@case(settings=points("PowerPathClosed"))
async def test_tc_e_01_cs_start_at_power_path_closed(rig: Rig201) -> None:
    await authorised(rig)
    await rig.silent("TransactionEvent")
    rig.hardware.plug(1)
    await rig.status("Occupied")
    started = await rig.event("Started", "CablePluggedIn", "EVConnected")
    assert started["idToken"] == {"idToken": "CARD", "type": "ISO14443"}
    assert started["evse"] == {"id": 1, "connectorId": 1}
    assert started["seqNo"] == 0


@case(settings=points("EnergyTransfer"))
async def test_tc_e_02_cs_start_at_energy_transfer(rig: Rig201) -> None:
    await authorised(rig)
    rig.hardware.set(1, wants=False)
    rig.hardware.plug(1)
    await rig.status("Occupied")
    await rig.silent("TransactionEvent")
    rig.hardware.set(1, wants=True)
    started = await rig.event("Started", "ChargingStateChanged", "Charging")
    assert started["idToken"]["idToken"] == "CARD"
    assert started["evse"] == {"id": 1, "connectorId": 1}
    assert registers_wh(started, "Transaction.Begin") == [12_000]


@case(settings=points("EVConnected"))
async def test_tc_e_09_cs_start_at_ev_connected(rig: Rig201) -> None:
    rig.hardware.plug(1)
    await rig.status("Occupied")
    started = await rig.event("Started", "CablePluggedIn", "EVConnected")
    assert started["evse"] == {"id": 1, "connectorId": 1}
    assert "idToken" not in started
    assert started["cableMaxCurrent"] == 32
    assert rig.hardware.outlets[1].permit is None  # nobody is authorised


@case(settings=points("Authorized"))
async def test_tc_e_10_cs_start_at_authorized_local(rig: Rig201) -> None:
    await authorised(rig)
    started = await rig.event("Started", "Authorized", "Idle")
    assert started["idToken"] == {"idToken": "CARD", "type": "ISO14443"}
    assert "evse" not in started
    assert "meterValue" not in started
    rig.hardware.plug(1)
    joined = await rig.event("Updated", "CablePluggedIn", "EVConnected")
    assert joined["evse"] == {"id": 1, "connectorId": 1}
    assert "idToken" not in joined


@case(settings=points("Authorized"))
async def test_tc_e_13_cs_start_at_authorized_remote(rig: Rig201) -> None:
    """The request itself is block F's; here what it leads to."""
    assert rig.app is not None
    assert rig.app.remote_start(RemoteStart(Token("CARD", "Central"), 1, 77))
    started = await rig.event("Started", "RemoteStart", "Idle")
    assert started["idToken"] == {"idToken": "CARD", "type": "Central"}
    assert info(started)["remoteStartId"] == 77


# ---- E02, E03: cable first, token first ----------------------------------------------------------------------------


@case(settings=points("EVConnected,Authorized"))
async def test_tc_e_03_cs_cable_first(rig: Rig201) -> None:
    rig.hardware.plug(1)
    started = await rig.event("Started", "CablePluggedIn", "EVConnected")
    await authorised(rig)
    updated = await rig.event("Updated", "Authorized")
    assert updated["idToken"]["idToken"] == "CARD"
    charging = await rig.event("Updated", "ChargingStateChanged", "Charging")
    assert charging["numberOfPhasesUsed"] == 3
    assert "idToken" not in charging
    assert "evse" not in charging
    assert [started["seqNo"], updated["seqNo"], charging["seqNo"]] == [0, 1, 2]
    assert len({info(event)["transactionId"] for event in (started, updated, charging)}) == 1


@case(settings=points("EVConnected,Authorized"))
async def test_tc_e_04_cs_token_first(rig: Rig201) -> None:
    await authorised(rig)
    await rig.event("Started", "Authorized")
    rig.hardware.plug(1)
    await rig.status("Occupied")
    await rig.event("Updated", "CablePluggedIn", "EVConnected")
    await rig.event("Updated", "ChargingStateChanged", "Charging")


@case(settings=points("Authorized", **{"TxCtrlr.EVConnectionTimeOut": "1"}))
async def test_tc_e_05_cs_token_first_and_the_cable_does_not_come(rig: Rig201) -> None:
    await authorised(rig)
    await rig.event("Started", "Authorized")
    ended = await rig.event("Ended", "EVConnectTimeout")
    assert info(ended)["stoppedReason"] == "Timeout"
    await authorised(rig)
    await rig.event("Started", "Authorized")
    rig.hardware.plug(1)
    await rig.event("Updated", state="Charging")


@case(settings=points("Authorized"))
async def test_tc_e_38_cs_the_vehicle_is_not_ready(rig: Rig201) -> None:
    await authorised(rig)
    await rig.event("Started")
    rig.hardware.set(1, wants=False)
    rig.hardware.plug(1)
    await rig.event("Updated", "CablePluggedIn", "EVConnected")
    await rig.event("Updated", "ChargingStateChanged", "SuspendedEV")


# ---- E06, E07: where a transaction stops ---------------------------------------------------------------------------


@case(settings=points())
async def test_tc_e_06_cs_local_stop(rig: Rig201) -> None:
    await rig.charge()
    rig.hardware.tap("CARD", 1)
    ended = await rig.event("Ended", "StopAuthorized")
    assert info(ended)["stoppedReason"] == "Local"
    assert ended["idToken"]["idToken"] == "CARD"
    assert info(ended)["chargingState"] == "EVConnected"
    assert registers_wh(ended, "Transaction.End") == [float(int(rig.hardware.outlets[1].energy_wh))]
    rig.hardware.unplug(1)
    await rig.status("Available")


@case(settings=points(stop="PowerPathClosed"))
async def test_tc_e_07_cs_power_path_closed_local_stop(rig: Rig201) -> None:
    await rig.charge()
    rig.hardware.tap("CARD", 1)
    assert info(await rig.event("Ended", "StopAuthorized"))["stoppedReason"] == "Local"


@case(settings=points(stop="PowerPathClosed"))
async def test_tc_e_35_cs_power_path_closed_remote_stop(rig: Rig201) -> None:
    transaction = await rig.charge()
    assert rig.app is not None
    assert rig.app.remote_stop(transaction)
    assert info(await rig.event("Ended", "RemoteStop"))["stoppedReason"] == "Remote"


@case(settings=points(stop="PowerPathClosed", **AWAY))
async def test_tc_e_37_cs_power_path_closed_vehicle_side(rig: Rig201) -> None:
    await suspended(rig)
    rig.hardware.unplug(1, at_vehicle=True)
    ended = await rig.event("Ended", "EVCommunicationLost", "Idle")
    assert info(ended)["stoppedReason"] == "EVDisconnected"


@case(settings=points(stop="EnergyTransfer"))
async def test_tc_e_08_cs_energy_transfer_stop_authorized(rig: Rig201) -> None:
    await rig.charge()
    rig.hardware.tap("CARD", 1)
    stopped = await rig.event("Updated", "StopAuthorized")
    assert stopped["idToken"]["idToken"] == "CARD"
    ended = await rig.event("Ended", "ChargingStateChanged", "EVConnected")
    assert info(ended)["stoppedReason"] == "Local"


@case(settings=points(stop="EnergyTransfer"))
async def test_tc_e_22_cs_energy_transfer_suspended_by_the_vehicle(rig: Rig201) -> None:
    await rig.charge()
    rig.hardware.set(1, wants=False)
    ended = await rig.event("Ended", "ChargingStateChanged", "EVConnected")
    assert info(ended)["stoppedReason"] == "StoppedByEV"


@case(settings=points(stop="EVConnected"))
async def test_tc_e_14_cs_ev_disconnected_at_the_station(rig: Rig201) -> None:
    await rig.charge()
    rig.hardware.tap("CARD", 1)
    await rig.event("Updated", "StopAuthorized")
    await rig.event("Updated", "ChargingStateChanged", "EVConnected")
    await rig.silent("TransactionEvent")
    assert not rig.hardware.outlets[1].hold  # E07.FR.07
    rig.hardware.unplug(1)
    await rig.status("Available")
    ended = await rig.event("Ended", "EVCommunicationLost", "Idle")
    assert info(ended)["stoppedReason"] == "Local"


@case(settings=points(stop="EVConnected", **AWAY))
async def test_tc_e_20_cs_ev_disconnected_at_the_vehicle(rig: Rig201) -> None:
    await suspended(rig)
    rig.hardware.unplug(1, at_vehicle=True)
    ended = await rig.event("Ended", "EVCommunicationLost", "Idle")
    assert info(ended)["stoppedReason"] == "EVDisconnected"


@case(settings=points(stop="Authorized"))
async def test_tc_e_15_cs_stop_authorized_local(rig: Rig201) -> None:
    await rig.charge()
    rig.hardware.tap("CARD", 1)
    assert info(await rig.event("Ended", "StopAuthorized"))["stoppedReason"] == "Local"


@case(settings=points(stop="Authorized"))
async def test_tc_e_21_cs_stop_authorized_remote(rig: Rig201) -> None:
    transaction = await rig.charge()
    assert rig.app is not None
    assert rig.app.remote_stop(transaction)
    assert info(await rig.event("Ended", "RemoteStop"))["stoppedReason"] == "Remote"


@case(settings=points(**{"AuthCtrlr.OfflineTxForUnknownIdEnabled": "true", "TxCtrlr.StopTxOnInvalidId": "true"}))
async def test_tc_e_16_cs_deauthorized_by_an_invalid_token(rig: Rig201) -> None:
    await rig.go_offline()
    rig.hardware.plug(1)
    rig.hardware.tap("STRANGER", 1)
    await rig.until(lambda: rig.hardware.outlets[1].closed)
    rig.token("STRANGER", "Invalid")
    await rig.go_online()
    assert (await rig.event("Started"))["offline"] is True
    ended = await rig.event("Ended", "Deauthorized")
    assert info(ended)["stoppedReason"] == "DeAuthorized"
    await rig.until(lambda: rig.hardware.outlets[1].hold)  # E05.FR.11


@case(settings=points(stop="Authorized", **AWAY | {"TxCtrlr.StopTxOnEVSideDisconnect": "true"}))
async def test_tc_e_17_cs_deauthorized_by_the_vehicle_side(rig: Rig201) -> None:
    await suspended(rig)
    rig.hardware.unplug(1, at_vehicle=True)
    ended = await rig.event("Ended", "EVCommunicationLost", "Idle")
    assert info(ended)["stoppedReason"] == "EVDisconnected"
    await rig.until(lambda: rig.hardware.outlets[1].hold)
    rig.hardware.tap("CARD", 1)
    await rig.until(lambda: not rig.hardware.outlets[1].hold)
    rig.hardware.unplug(1)
    await rig.status("Available")


@case(settings=points("Authorized", **{"TxCtrlr.EVConnectionTimeOut": "1"}))
async def test_tc_e_39_cs_deauthorized_by_the_time_out(rig: Rig201) -> None:
    await authorised(rig)
    ended = await rig.event("Ended", "EVConnectTimeout")
    assert info(ended)["stoppedReason"] == "Timeout"
    rig.hardware.plug(1)
    await rig.status("Occupied")
    await rig.silent("TransactionEvent")
    assert rig.hardware.outlets[1].permit is None


# ---- E09, E10: the vehicle's side ----------------------------------------------------------------------------------


@case(settings=points())
async def test_tc_e_24_cs_vehicle_side_deauthorizes_and_unlocks(rig: Rig201) -> None:
    await suspended(rig)
    rig.hardware.unplug(1, at_vehicle=True)
    await rig.event("Ended", "EVCommunicationLost", "Idle")
    await rig.until(lambda: not rig.hardware.outlets[1].hold)
    rig.hardware.unplug(1)
    await rig.status("Available")


@case(settings=points(**{"OCPPCommCtrlr.UnlockOnEVSideDisconnect": "false"}))
async def test_tc_e_25_cs_vehicle_side_deauthorizes_and_holds_the_cable(rig: Rig201) -> None:
    await suspended(rig)
    rig.hardware.unplug(1, at_vehicle=True)
    await rig.event("Ended", "EVCommunicationLost", "Idle")
    await rig.until(lambda: rig.hardware.outlets[1].hold)
    rig.hardware.tap("CARD", 1)
    await rig.until(lambda: not rig.hardware.outlets[1].hold)
    rig.hardware.unplug(1)
    await rig.status("Available")


@case(settings=points(stop="Authorized", **AWAY))
async def test_tc_e_26_cs_vehicle_side_suspends(rig: Rig201) -> None:
    await suspended(rig)
    rig.hardware.unplug(1, at_vehicle=True)
    await rig.event("Updated", "EVCommunicationLost", "Idle")
    assert rig.hardware.outlets[1].hold  # E10.FR.01
    rig.hardware.set(1, wants=True)
    rig.hardware.plug(1)
    await rig.event("Updated", "CablePluggedIn", "EVConnected")
    await rig.event("Updated", "ChargingStateChanged", "Charging")


@case(socket=False, settings=points(stop="Authorized", **AWAY | {"TxCtrlr.EVConnectionTimeOut": "1"}))
async def test_tc_e_27_cs_vehicle_side_suspends_a_fixed_cable_for_a_time(rig: Rig201) -> None:
    await suspended(rig)
    rig.hardware.unplug(1)
    await rig.event("Updated", "EVCommunicationLost", "Idle")
    ended = await rig.event("Ended", "EVConnectTimeout")
    assert info(ended)["stoppedReason"] == "Timeout"


# ---- E13: what the network does not accept -------------------------------------------------------------------------


def refuses(rig: Rig201, times: int, answer: object) -> None:
    """Answer so for a while to the event that tells of energy."""
    left = [times]

    def reply(payload: dict) -> object:
        left[0] -= info(payload).get("chargingState") == "Charging"
        if info(payload).get("chargingState") != "Charging":
            return rig.csms.default("TransactionEvent", payload)
        return answer if left[0] >= 0 else rig.csms.default("TransactionEvent", payload)

    rig.answer("TransactionEvent", reply)


RETRIES = {
    "OCPPCommCtrlr.MessageAttempts": "3",
    "OCPPCommCtrlr.MessageAttemptInterval": "1",
    "OCPPCommCtrlr.MessageTimeout": "1",
}


async def tries(rig: Rig201, wanted: int, answer: object, times: int) -> list:
    """Refuse, and return every try of the event that comes when energy flows."""
    await authorised(rig)
    await rig.event("Started")
    rig.hardware.set(1, wants=False)
    rig.hardware.plug(1)
    await rig.event("Updated", "ChargingStateChanged", "SuspendedEV")
    refuses(rig, times, answer)
    rig.hardware.set(1, wants=True)

    def sent() -> list:
        found = rig.csms.sent("TransactionEvent")
        return [seen for seen in found if info(seen.payload).get("chargingState") == "Charging"]

    await rig.csms.wait(lambda: len(sent()) >= wanted, 30.0)
    await asyncio.sleep(0.5)
    return sent()


@case(settings=points("Authorized", **RETRIES))
async def test_tc_e_41_cs_not_answered_until_the_last_try(rig: Rig201) -> None:
    found = await tries(rig, 3, SILENCE, 100)
    assert len(found) == 3
    assert len({seen.message_id for seen in found}) == 1
    assert len({str(seen.payload) for seen in found}) == 1


@case(settings=points("Authorized", **RETRIES), problems=("seqNo",))
async def test_tc_e_50_cs_refused_until_the_last_try(rig: Rig201) -> None:
    found = await tries(rig, 3, Refusal("InternalError"), 3)
    assert len(found) == 3
    rig.hardware.tap("CARD", 1)
    await rig.event("Ended")  # E13.FR.04: on with the next


@case(settings=points("Authorized", **RETRIES))
async def test_tc_e_42_cs_answered_at_the_second_try(rig: Rig201) -> None:
    assert len(await tries(rig, 2, SILENCE, 1)) == 2


@case(settings=points("Authorized", **RETRIES))
async def test_tc_e_51_cs_accepted_at_the_second_try(rig: Rig201) -> None:
    assert len(await tries(rig, 2, Refusal("InternalError"), 1)) == 2


def held_back(rig: Rig201) -> asyncio.Event:
    """Events of transactions are answered only once this is set."""
    gate = asyncio.Event()

    async def later(payload: dict) -> dict:
        await gate.wait()
        return rig.csms.default("TransactionEvent", payload)

    rig.answer("TransactionEvent", later)
    return gate


# ---- E14: how a transaction is doing -------------------------------------------------------------------------------


@case()
async def test_tc_e_28_cs_status_of_an_unknown_transaction(rig: Rig201) -> None:
    answer = await rig.call("GetTransactionStatus", transactionId="nobody knows")
    assert answer == {"ongoingIndicator": False, "messagesInQueue": False}


@case(settings=SAMPLES)
async def test_tc_e_29_cs_status_of_one_that_runs_with_messages_in_the_queue(rig: Rig201) -> None:
    transaction = await rig.charge()
    await rig.go_offline()
    await asyncio.sleep(1.2)
    gate = held_back(rig)
    rig.mark()
    await rig.go_online()
    answer = await rig.call("GetTransactionStatus", transactionId=transaction)
    assert answer == {"ongoingIndicator": True, "messagesInQueue": True}
    gate.set()
    queued = await rig.event("Updated", "MeterValuePeriodic")
    assert queued["offline"] is True
    assert registers_wh(queued)


@case()
async def test_tc_e_30_cs_status_of_one_that_runs_with_nothing_in_the_queue(rig: Rig201) -> None:
    transaction = await rig.charge()
    await rig.silent("TransactionEvent")
    answer = await rig.call("GetTransactionStatus", transactionId=transaction)
    assert answer == {"ongoingIndicator": True, "messagesInQueue": False}


@case(settings=SAMPLES)
async def test_tc_e_31_cs_status_of_one_that_ended_with_messages_in_the_queue(rig: Rig201) -> None:
    transaction = await rig.charge()
    await rig.go_offline()
    rig.hardware.tap("CARD", 1)
    await rig.until(lambda: not rig.hardware.outlets[1].closed)
    rig.hardware.unplug(1)
    await asyncio.sleep(0.3)
    gate = held_back(rig)
    await rig.go_online()
    answer = await rig.call("GetTransactionStatus", transactionId=transaction)
    assert answer == {"ongoingIndicator": False, "messagesInQueue": True}
    gate.set()
    assert (await rig.event("Ended", "StopAuthorized"))["offline"] is True


@case()
async def test_tc_e_32_cs_status_of_one_that_ended_with_nothing_in_the_queue(rig: Rig201) -> None:
    transaction = await rig.charge()
    rig.hardware.tap("CARD", 1)
    await rig.event("Ended")
    rig.hardware.unplug(1)
    await rig.status("Available")
    answer = await rig.call("GetTransactionStatus", transactionId=transaction)
    assert answer == {"ongoingIndicator": False, "messagesInQueue": False}


@case(settings=SAMPLES)
async def test_tc_e_33_cs_status_of_all_with_messages_in_the_queue(rig: Rig201) -> None:
    await rig.charge()
    await rig.go_offline()
    await asyncio.sleep(1.2)
    gate = held_back(rig)
    await rig.go_online()
    assert await rig.call("GetTransactionStatus") == {"messagesInQueue": True}
    gate.set()
    assert (await rig.event("Updated", "MeterValuePeriodic"))["offline"] is True


@case()
async def test_tc_e_34_cs_status_of_all_with_nothing_in_the_queue(rig: Rig201) -> None:
    assert await rig.call("GetTransactionStatus") == {"messagesInQueue": False}


# ---- E04, E08, E11, E12: offline -----------------------------------------------------------------------------------


@case(settings=SAMPLES)
async def test_tc_e_40_cs_connection_lost_in_a_transaction(rig: Rig201) -> None:
    await rig.charge()
    await rig.go_offline()
    await asyncio.sleep(2.2)
    rig.mark()
    await rig.go_online()
    for _ in range(2):
        queued = await rig.event("Updated", "MeterValuePeriodic")
        assert queued["offline"] is True
        assert registers_wh(queued)


@case(settings=points("EVConnected,Authorized", **{"AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"}))
async def test_tc_e_43_cs_a_transaction_while_offline(rig: Rig201) -> None:
    await rig.go_offline()
    rig.hardware.plug(1)
    rig.hardware.tap("CARD", 1)
    await rig.until(lambda: rig.hardware.outlets[1].closed)
    rig.hardware.tap("CARD", 1)
    await rig.until(lambda: not rig.hardware.outlets[1].closed)
    rig.hardware.unplug(1)
    await asyncio.sleep(0.3)
    await rig.go_online()
    ended = await rig.event("Ended")
    events = rig.sent("TransactionEvent")
    assert events[0]["eventType"] == "Started"
    assert events[-1] == ended
    assert all(event["offline"] is True for event in events)
    assert [event["seqNo"] for event in events] == list(range(len(events)))


@case()
async def test_tc_e_44_cs_stopped_while_offline(rig: Rig201) -> None:
    await rig.charge()
    await rig.go_offline()
    rig.hardware.tap("CARD", 1)
    await rig.until(lambda: not rig.hardware.outlets[1].closed)
    rig.hardware.unplug(1)
    await asyncio.sleep(0.3)
    await rig.go_online()
    ended = await rig.event("Ended", "StopAuthorized")
    assert ended["offline"] is True
    assert info(ended)["stoppedReason"] == "Local"


@case()
async def test_tc_e_45_cs_stopped_while_offline_by_another_of_the_group(rig: Rig201) -> None:
    rig.token("FRIEND", groupIdToken={"idToken": "GROUP", "type": "Central"})
    rig.token("CARD", groupIdToken={"idToken": "GROUP", "type": "Central"})
    await rig.charge("FRIEND")
    rig.hardware.tap("FRIEND", 1)
    await rig.event("Ended")
    rig.hardware.unplug(1)
    await rig.status("Available")
    await rig.charge("CARD")
    await rig.go_offline()
    rig.hardware.tap("FRIEND", 1)
    await rig.until(lambda: not rig.hardware.outlets[1].closed)
    rig.hardware.unplug(1)
    await asyncio.sleep(0.3)
    await rig.go_online()
    ended = await rig.event("Ended", "StopAuthorized")
    assert ended["offline"] is True
    assert ended["idToken"]["idToken"] == "FRIEND"


# ---- beyond the cases ----------------------------------------------------------------------------------------------


@case(settings=points("EVConnected", "EVConnected"))
async def test_who_charged_takes_the_same_transaction_up_again_and_nobody_else_does(rig: Rig201) -> None:
    """E09.FR.01 has it authorised once again; what a stranger charged would be on the first one's bill."""
    transaction = await rig.charge()
    rig.hardware.tap("CARD", 1)
    await rig.event("Updated", "StopAuthorized")
    await rig.event("Updated", state="EVConnected")
    rig.hardware.tap("OTHER", 1)
    await rig.expect("Authorize", where=lambda payload: payload["idToken"]["idToken"] == "OTHER")
    await rig.silent("TransactionEvent")
    rig.hardware.tap("CARD", 1)
    again = await rig.event("Updated", "Authorized")
    assert info(again)["transactionId"] == transaction
    assert again["idToken"]["idToken"] == "CARD"
    await rig.event("Updated", state="Charging")
    rig.hardware.unplug(1)
    ended = await rig.event("Ended", "EVCommunicationLost")
    assert info(ended)["stoppedReason"] == "EVDisconnected"


@case(settings=points("EVConnected", "EVConnected"))
async def test_a_fault_ends_with_abnormal_condition(rig: Rig201) -> None:
    """E06.FR.16."""
    await rig.charge()
    rig.hardware.fault(FaultCode.RESIDUAL_CURRENT, latched=True)
    ended = await rig.event("Ended", "AbnormalCondition")
    assert info(ended)["stoppedReason"] == "GroundFault"


@case(settings=points(**{"TxCtrlr.StopTxOnInvalidId": "false"}))
async def test_an_invalid_token_suspends_where_it_does_not_stop(rig: Rig201) -> None:
    """E05.FR.02."""
    refusals = iter([{"status": "Invalid"}])
    rig.answer("TransactionEvent", lambda p: {"idTokenInfo": next(refusals)} if "idToken" in p else {})
    rig.hardware.plug(1)
    rig.hardware.tap("CARD", 1)
    await rig.event("Started")
    await rig.event("Updated", "ChargingStateChanged", "SuspendedEVSE")
    await rig.until(lambda: not rig.hardware.outlets[1].closed)


@case(settings=points("EVConnected", "EVConnected"))
async def test_an_invalid_token_leaves_the_transaction_without_a_driver(rig: Rig201) -> None:
    """E05.FR.09."""
    rig.answer("TransactionEvent", lambda p: {"idTokenInfo": {"status": "Blocked"}} if "idToken" in p else {})
    rig.hardware.plug(1)
    await rig.event("Started")
    rig.hardware.tap("CARD", 1)
    await rig.event("Updated", "Authorized")
    await rig.event("Updated", "Deauthorized")
    await rig.until(lambda: not rig.hardware.outlets[1].closed)
    rig.hardware.unplug(1)
    ended = await rig.event("Ended", "EVCommunicationLost")
    assert info(ended)["stoppedReason"] == "DeAuthorized"


@case(evses=2, settings=points("Authorized"))
async def test_the_evse_is_told_when_it_is_known(rig: Rig201) -> None:
    """E01.FR.16, E01.FR.17: a common reader, and no vehicle yet."""
    rig.hardware.tap("CARD")
    started = await rig.event("Started", "Authorized", "Idle")
    assert "evse" not in started
    assert "meterValue" not in started
    rig.hardware.plug(2)
    joined = await rig.event("Updated", "CablePluggedIn", "EVConnected")
    assert joined["evse"] == {"id": 2, "connectorId": 1}
    assert registers_wh(joined, "Transaction.Begin") == [12_000]
    assert "idToken" not in joined
    await rig.event("Updated", state="Charging")


@case(evses=2, settings=points("Authorized", **{"TxCtrlr.EVConnectionTimeOut": "1"}))
async def test_one_who_never_plugs_in_ends_without_an_evse(rig: Rig201) -> None:
    rig.hardware.tap("CARD")
    await rig.event("Started", "Authorized", "Idle")
    ended = await rig.event("Ended", "EVConnectTimeout")
    assert info(ended)["stoppedReason"] == "Timeout"
    assert "meterValue" not in ended


@case(settings=points("EVConnected"))
async def test_a_cable_that_goes_unauthorised_ends_the_transaction(rig: Rig201) -> None:
    """E06.FR.02."""
    rig.hardware.plug(1)
    await rig.event("Started", "CablePluggedIn")
    assert not rig.hardware.outlets[1].hold  # nobody is authorised: the driver may take it out again
    rig.hardware.unplug(1)
    ended = await rig.event("Ended", "EVCommunicationLost", "Idle")
    assert info(ended)["stoppedReason"] == "EVDisconnected"


@case(settings=points("EVConnected"))
async def test_an_open_transaction_goes_on_over_a_restart(rig: Rig201) -> None:
    rig.hardware.plug(1)
    started = await rig.event("Started", "CablePluggedIn")
    await rig.stop_agent()
    await rig.start_agent()
    rig.hardware.tap("CARD", 1)
    updated = await rig.event("Updated", "Authorized")
    assert info(updated)["transactionId"] == info(started)["transactionId"]
    assert updated["seqNo"] == started["seqNo"] + 1
