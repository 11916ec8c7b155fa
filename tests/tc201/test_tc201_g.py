"""OCPP 2.0.1 certification cases of block G, availability (part 6, TC_G_…_CS), and rules of G01 to G05 beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from agent.clock import JUMP_S
from agent.link.messages import FaultCode
from tests.tc201.rig import Rig201, case

STATION: dict[str, Any] = {}
EVSE: dict[str, Any] = {"evse": {"id": 1}}
CONNECTOR: dict[str, Any] = {"evse": {"id": 1, "connectorId": 1}}


async def change(rig: Rig201, operative: bool, place: dict[str, Any]) -> str:
    word = "Operative" if operative else "Inoperative"
    return str((await rig.call("ChangeAvailability", operationalStatus=word, **place))["status"])


async def to_inoperative(rig: Rig201, place: dict[str, Any]) -> None:
    assert await change(rig, False, place) == "Accepted"
    await rig.status("Unavailable")
    rig.hardware.plug(1)
    rig.hardware.tap("CARD", 1)
    await rig.silent("TransactionEvent")


async def back_to_operative(rig: Rig201, place: dict[str, Any]) -> None:
    await change(rig, False, place)
    await rig.status("Unavailable")
    assert await change(rig, True, place) == "Accepted"
    await rig.status("Available")


async def nothing_new(rig: Rig201, operative: bool, place: dict[str, Any]) -> None:
    """G03.FR.03, G04.FR.04"""
    if not operative:
        await change(rig, False, place)
        await rig.status("Unavailable")
    assert await change(rig, operative, place) == "Accepted"
    await rig.silent("StatusNotification")


async def while_charging(rig: Rig201, place: dict[str, Any]) -> None:
    """G03.FR.05, G04.FR.06, G01.FR.05"""
    transaction = await rig.charge()
    assert await change(rig, False, place) == "Scheduled"
    await rig.silent("StatusNotification", connectorStatus="Unavailable")
    assert rig.app is not None
    assert transaction in rig.app.transactions.open()
    rig.hardware.tap("CARD", 1)
    await rig.event("Ended")
    rig.hardware.unplug(1)
    await rig.status("Unavailable")


async def over_a_restart(rig: Rig201, place: dict[str, Any]) -> None:
    """G03.FR.08, G04.FR.09"""
    await change(rig, False, place)
    await rig.status("Unavailable")
    before = rig.csms.now
    await rig.stop_agent()
    await rig.start_agent()
    told = [seen.payload["connectorStatus"] for seen in rig.csms.sent("StatusNotification", before)]
    assert set(told) == {"Unavailable"}
    assert await change(rig, True, place) == "Accepted"
    await rig.status("Available")


# ---- G01 -----------------------------------------------------------------------------------------------------------


@case()
async def test_tc_g_01_cs_available_to_occupied(rig: Rig201) -> None:
    rig.hardware.plug(1)
    assert (await rig.status("Occupied"))["connectorId"] == 1  # G01.FR.03


@case()
async def test_tc_g_02_cs_occupied_to_available(rig: Rig201) -> None:
    rig.hardware.plug(1)
    await rig.status("Occupied")
    rig.hardware.unplug(1)
    await rig.status("Available")  # G01.FR.04


@case()
async def test_a_stranger_s_cable_leaves_it_reserved_and_the_owner_s_card_occupies_it(rig: Rig201) -> None:
    """G01.FR.06, G03.FR.09"""
    card = {"idToken": "OWNER", "type": "ISO14443"}
    await rig.call("ReserveNow", id=1, evseId=1, expiryDateTime="2099-01-01T00:00:00Z", idToken=card)
    await rig.status("Reserved")
    rig.hardware.plug(1)
    await rig.silent("StatusNotification")
    rig.hardware.tap("OWNER", 1)
    await rig.status("Occupied")


# ---- G03: EVSE -----------------------------------------------------------------------------------------------------


@case()
async def test_tc_g_03_cs_evse_operative_to_inoperative(rig: Rig201) -> None:
    await to_inoperative(rig, EVSE)


@case()
async def test_tc_g_04_cs_evse_inoperative_to_operative(rig: Rig201) -> None:
    await back_to_operative(rig, EVSE)


@case()
async def test_tc_g_09_cs_evse_operative_to_operative(rig: Rig201) -> None:
    await nothing_new(rig, True, EVSE)


@case()
async def test_tc_g_10_cs_evse_inoperative_to_inoperative(rig: Rig201) -> None:
    await nothing_new(rig, False, EVSE)


@case()
async def test_tc_g_11_cs_evse_with_a_transaction(rig: Rig201) -> None:
    await while_charging(rig, EVSE)


@case()
async def test_tc_g_18_cs_evse_persists_across_reboot(rig: Rig201) -> None:
    await over_a_restart(rig, EVSE)


# ---- G04: charging station -----------------------------------------------------------------------------------------


@case(evses=2)
async def test_tc_g_05_cs_station_operative_to_inoperative(rig: Rig201) -> None:
    assert await change(rig, False, STATION) == "Accepted"
    await rig.status("Unavailable", 1)
    await rig.status("Unavailable", 2)  # G04.FR.05, G04.FR.07
    assert await rig.variable("ChargingStation", "AvailabilityState") == "Unavailable"


@case(evses=2)
async def test_tc_g_06_cs_station_inoperative_to_operative(rig: Rig201) -> None:
    await change(rig, False, STATION)
    await rig.status("Unavailable", 1)
    await rig.status("Unavailable", 2)
    assert await change(rig, True, STATION) == "Accepted"
    await rig.status("Available", 1)
    await rig.status("Available", 2)


@case()
async def test_tc_g_12_cs_station_operative_to_operative(rig: Rig201) -> None:
    await nothing_new(rig, True, STATION)


@case()
async def test_tc_g_13_cs_station_inoperative_to_inoperative(rig: Rig201) -> None:
    await nothing_new(rig, False, STATION)


@case(evses=2)
async def test_tc_g_14_cs_station_with_a_transaction(rig: Rig201) -> None:
    await rig.charge()
    assert await change(rig, False, STATION) == "Scheduled"
    await rig.status("Unavailable", 2)
    rig.hardware.tap("CARD", 1)
    await rig.event("Ended")
    rig.hardware.unplug(1)
    await rig.status("Unavailable", 1)


@case()
async def test_tc_g_21_cs_station_persists_across_reboot(rig: Rig201) -> None:
    await over_a_restart(rig, STATION)


# ---- G03: connector ------------------------------------------------------------------------------------------------


@case()
async def test_tc_g_07_cs_connector_operative_to_inoperative(rig: Rig201) -> None:
    await to_inoperative(rig, CONNECTOR)


@case()
async def test_tc_g_08_cs_connector_inoperative_to_operative(rig: Rig201) -> None:
    await back_to_operative(rig, CONNECTOR)


@case()
async def test_tc_g_15_cs_connector_operative_to_operative(rig: Rig201) -> None:
    await nothing_new(rig, True, CONNECTOR)


@case()
async def test_tc_g_16_cs_connector_inoperative_to_inoperative(rig: Rig201) -> None:
    await nothing_new(rig, False, CONNECTOR)


@case()
async def test_tc_g_17_cs_connector_with_a_transaction(rig: Rig201) -> None:
    await while_charging(rig, CONNECTOR)


@case()
async def test_tc_g_19_cs_connector_persists_across_reboot(rig: Rig201) -> None:
    await over_a_restart(rig, CONNECTOR)


@case()
async def test_each_level_keeps_its_own_state(rig: Rig201) -> None:
    """G03.FR.07 and G04.FR.08 with their note 1"""
    for place in (CONNECTOR, EVSE, STATION):
        assert await change(rig, False, place) == "Accepted"
    await rig.status("Unavailable")
    await rig.stop_agent()
    await rig.start_agent()
    for place in (STATION, EVSE):
        assert await change(rig, True, place) == "Accepted"
    await rig.silent("StatusNotification")
    assert await change(rig, True, CONNECTOR) == "Accepted"
    await rig.status("Available")


@case()
async def test_what_is_not_there_cannot_change(rig: Rig201) -> None:
    for place in ({"evse": {"id": 2}}, {"evse": {"id": 1, "connectorId": 2}}, {"evse": {"id": 0}}):
        assert await change(rig, False, place) == "Rejected"  # G03.FR.02


# ---- G02, G05 ------------------------------------------------------------------------------------------------------


@case(start=False)
async def test_heartbeats_follow_the_interval_of_the_boot(rig: Rig201) -> None:
    """G02.FR.01, G02.FR.02"""
    rig.csms.interval_s = 1
    await rig.start_agent()
    await rig.expect("Heartbeat")
    await rig.expect("Heartbeat")
    assert await rig.variable("OCPPCommCtrlr", "HeartbeatInterval") == "1"


@case()
async def test_the_clock_follows_the_heartbeats(rig: Rig201) -> None:
    """G02.FR.06"""

    async def ahead_s() -> float:
        told = await rig.variable("ClockCtrlr", "DateTime")
        return (datetime.fromisoformat(told) - datetime.now(UTC)).total_seconds()

    assert abs(await ahead_s()) < JUMP_S / 4
    later = datetime.now(UTC) + timedelta(seconds=JUMP_S / 2)
    rig.answer("Heartbeat", {"currentTime": later.isoformat()})
    await rig.call("TriggerMessage", requestedMessage="Heartbeat")
    beat = await rig.expect_seen("Heartbeat")
    await rig.csms.wait(lambda: any(frame.ours and frame.number > beat.number for frame in rig.csms.frames))
    await rig.call("GetLocalListVersion")  # what was answered before it has been taken
    assert await ahead_s() > JUMP_S / 4


@case()
async def test_tc_g_20_cs_a_lock_that_fails_keeps_energy_away(rig: Rig201) -> None:
    """G05.FR.01, G05.FR.02"""
    rig.hardware.fault(FaultCode.LOCK)
    rig.hardware.plug(1)
    rig.hardware.tap("CARD", 1)
    event = await rig.expect(
        "NotifyEvent",
        lambda payload: any(
            data["component"]["name"] == "ConnectorPlugRetentionLock" and data["variable"]["name"] == "Problem"
            for data in payload["eventData"]
        ),
    )
    assert [data["actualValue"] for data in event["eventData"]].count("true") >= 1
    await rig.silent("TransactionEvent", eventType="Started")
    assert not rig.hardware.outlets[1].closed
