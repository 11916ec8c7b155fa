"""OCPP 2.0.1 certification cases of block H, reservations (part 6, TC_H_…_CS), and what 2.1 adds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from agent.link.messages import FaultCode
from tests.tc201.rig import Rig201, case

START = "TxCtrlr.TxStartPoint"
FAMILY = {"idToken": "FAMILY", "type": "Central"}


async def reserve(
    rig: Rig201, evse: int | None = 1, number: int = 1, uid: str = "OWNER", seconds: float = 600.0, **more: Any
) -> str:
    expires = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    payload: dict[str, Any] = {
        "id": number,
        "expiryDateTime": expires,
        "idToken": {"idToken": uid, "type": "ISO14443"},
        **more,
    }
    payload |= {} if evse is None else {"evseId": evse}
    return str((await rig.call("ReserveNow", **payload))["status"])


async def reserved(rig: Rig201, evse: int = 1, **more: Any) -> None:
    assert await reserve(rig, evse, **more) == "Accepted"
    await rig.status("Reserved", evse)


async def out_of_service(rig: Rig201, evse: int) -> None:
    await rig.call("ChangeAvailability", operationalStatus="Inoperative", evse={"id": evse})
    await rig.status("Unavailable", evse)


# ---- H01: a specific EVSE ------------------------------------------------------------------------------------------


@case()
async def test_tc_h_01_cs_accepted_with_the_token(rig: Rig201) -> None:
    await reserved(rig, number=7)  # H01.FR.03, H01.FR.23
    rig.hardware.tap("OWNER", 1)
    await rig.status("Available")  # H03.FR.10: consumed, and no cable is in yet
    rig.hardware.plug(1)
    await rig.status("Occupied")
    started = await rig.event("Started")
    assert started["reservationId"] == 7  # H01.FR.15
    await rig.event("Updated", "ChargingStateChanged", "Charging")
    assert rig.sent("ReservationStatusUpdate") == []


@case()
async def test_tc_h_02_cs_accepted_and_another_token(rig: Rig201) -> None:
    await reserved(rig)
    rig.hardware.plug(1)
    rig.hardware.tap("OTHER", 1)
    await rig.expect("Authorize")
    await rig.silent("TransactionEvent")
    rig.hardware.tap("OWNER", 1)
    assert (await rig.event("Started"))["idToken"]["idToken"] == "OWNER"  # H03.FR.01


@case(evses=2)
async def test_tc_h_03_cs_occupied_for_it_is_reserved(rig: Rig201) -> None:
    await reserved(rig)
    assert await reserve(rig, number=2, uid="OTHER") == "Occupied"  # H01.FR.11


@case()
async def test_tc_h_04_cs_occupied_for_a_cable_is_in(rig: Rig201) -> None:
    rig.hardware.plug(1)
    await rig.status("Occupied")
    assert await reserve(rig) == "Occupied"


@case()
async def test_tc_h_05_cs_faulted(rig: Rig201) -> None:
    rig.hardware.fault(FaultCode.PILOT)
    await rig.status("Faulted")
    assert await reserve(rig) == "Faulted"  # H01.FR.12


@case()
async def test_tc_h_06_cs_unavailable(rig: Rig201) -> None:
    await out_of_service(rig, 1)
    assert await reserve(rig) == "Unavailable"  # H01.FR.14


@case()
async def test_tc_h_07_cs_reservation_ended_not_used(rig: Rig201) -> None:
    await reserved(rig, number=9, seconds=0.8)
    await rig.status("Available")  # H04.FR.03
    assert await rig.expect("ReservationStatusUpdate") == {  # H04.FR.01
        "reservationId": 9,
        "reservationUpdateStatus": "Expired",
    }
    rig.hardware.plug(1)
    rig.hardware.tap("OTHER", 1)
    await rig.event("Started")  # H04.FR.02


@case()
async def test_tc_h_17_cs_cancelled(rig: Rig201) -> None:
    await reserved(rig, number=3)
    assert await rig.call("CancelReservation", reservationId=3) == {"status": "Accepted"}
    await rig.status("Available")  # H02.FR.02
    await rig.silent("ReservationStatusUpdate")


@case()
async def test_tc_h_18_cs_nothing_to_cancel(rig: Rig201) -> None:
    await reserved(rig, number=3)
    answer = await rig.call("CancelReservation", reservationId=4)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "NotFound")  # H02.FR.01
    await rig.silent("StatusNotification")


@case()
async def test_tc_h_19_cs_used_by_the_group(rig: Rig201) -> None:
    rig.token("MATE", groupIdToken=FAMILY)
    await reserved(rig, number=3, groupIdToken=FAMILY)
    rig.hardware.plug(1)
    rig.hardware.tap("MATE", 1)
    assert (await rig.expect("Authorize"))["idToken"]["idToken"] == "MATE"  # H03.FR.08
    started = await rig.event("Started")
    assert (started["reservationId"], started["idToken"]["idToken"]) == (3, "MATE")  # H03.FR.04


@case()
async def test_tc_h_20_cs_removed_by_a_fault(rig: Rig201) -> None:
    await reserved(rig, number=3)
    rig.hardware.fault(FaultCode.PILOT)
    update = await rig.expect("ReservationStatusUpdate")
    assert update == {"reservationId": 3, "reservationUpdateStatus": "Removed"}  # H01.FR.16
    await rig.status("Faulted")


@case()
async def test_tc_h_21_cs_removed_by_a_change_of_availability(rig: Rig201) -> None:
    await reserved(rig, number=3)
    await out_of_service(rig, 1)
    update = await rig.expect("ReservationStatusUpdate")
    assert update == {"reservationId": 3, "reservationUpdateStatus": "Removed"}  # H01.FR.17


@case(settings={"ReservationCtrlr.Enabled": "false"})
async def test_tc_h_22_cs_configured_to_reject(rig: Rig201) -> None:
    assert await reserve(rig) == "Rejected"  # H01.FR.01


@case()
async def test_tc_h_23_cs_replaced(rig: Rig201) -> None:
    await reserved(rig, number=3, uid="FIRST")
    assert await reserve(rig, number=3, uid="OWNER") == "Accepted"  # H01.FR.02
    rig.hardware.plug(1)
    rig.hardware.tap("FIRST", 1)
    await rig.expect("Authorize")
    await rig.silent("TransactionEvent")
    rig.hardware.tap("OWNER", 1)
    assert (await rig.event("Started"))["reservationId"] == 3


# ---- H01: any EVSE -------------------------------------------------------------------------------------------------


@case(evses=2)
async def test_tc_h_08_cs_unspecified_accepted(rig: Rig201) -> None:
    assert await reserve(rig, None, 5) == "Accepted"  # H01.FR.04, H01.FR.18
    await rig.silent("StatusNotification")
    rig.hardware.plug(2)
    rig.hardware.tap("OWNER", 2)
    assert (await rig.event("Started"))["reservationId"] == 5  # H03.FR.03


@case(evses=2)
async def test_tc_h_09_cs_unspecified_and_all_reserved(rig: Rig201) -> None:
    await reserved(rig, 1, number=1)
    await reserved(rig, 2, number=2)
    assert await reserve(rig, None, 3) == "Occupied"


@case(evses=2)
async def test_tc_h_10_cs_unspecified_and_all_occupied(rig: Rig201) -> None:
    for evse in (1, 2):
        rig.hardware.plug(evse)
        await rig.status("Occupied", evse)
    assert await reserve(rig, None) == "Occupied"


@case(evses=2)
async def test_tc_h_12_cs_unspecified_and_all_unavailable(rig: Rig201) -> None:
    await out_of_service(rig, 1)
    await out_of_service(rig, 2)
    assert await reserve(rig, None) == "Unavailable"


@case(evses=2)
async def test_tc_h_14_cs_as_many_reservations_as_evses(rig: Rig201) -> None:
    assert await reserve(rig, None, 1, "ONE") == "Accepted"
    assert await reserve(rig, None, 2, "TWO") == "Accepted"
    await rig.status("Reserved", 1)  # H01.FR.20
    await rig.status("Reserved", 2)
    rig.hardware.plug(1)
    rig.hardware.tap("OTHER", 1)
    await rig.expect("Authorize")
    await rig.silent("TransactionEvent")  # H01.FR.07
    rig.hardware.tap("TWO", 1)
    assert (await rig.event("Started"))["reservationId"] == 2


@case()
async def test_tc_h_24_cs_unspecified_by_the_group(rig: Rig201) -> None:
    rig.token("MATE", groupIdToken=FAMILY)
    assert await reserve(rig, None, 5, groupIdToken=FAMILY) == "Accepted"
    rig.hardware.plug(1)
    rig.hardware.tap("MATE", 1)
    assert (await rig.event("Started"))["reservationId"] == 5  # H03.FR.06


# ---- H01: a type of connector --------------------------------------------------------------------------------------


@case(evses=2)
async def test_tc_h_15_cs_a_connector_type(rig: Rig201) -> None:
    kind = await rig.variable("Connector", "ConnectorType", evse={"id": 1, "connectorId": 1})
    assert await reserve(rig, None, 5, connectorType="cCCS2") == "Rejected"
    assert await reserve(rig, None, 5, connectorType=kind) == "Accepted"  # H01.FR.06
    rig.hardware.plug(2)
    rig.hardware.tap("OWNER", 2)
    assert (await rig.event("Started"))["reservationId"] == 5  # H03.FR.02


@case(evses=2)
async def test_tc_h_16_cs_as_many_reservations_as_connectors_of_a_type(rig: Rig201) -> None:
    assert await reserve(rig, None, 1, "ONE", connectorType="sType2") == "Accepted"
    assert await reserve(rig, None, 2, "TWO", connectorType="sType2", groupIdToken=FAMILY) == "Accepted"
    await rig.status("Reserved", 1)  # H01.FR.24
    await rig.status("Reserved", 2)
    assert await reserve(rig, None, 3, "THREE", connectorType="sType2") == "Occupied"
    rig.token("MATE", groupIdToken=FAMILY)
    rig.hardware.plug(1)
    rig.hardware.tap("OTHER", 1)
    await rig.expect("Authorize")
    await rig.silent("TransactionEvent")  # H01.FR.09
    rig.hardware.tap("MATE", 1)
    assert (await rig.event("Started"))["reservationId"] == 2  # H03.FR.05


# ---- beside the cases ----------------------------------------------------------------------------------------------


@case()
async def test_an_end_that_nobody_could_be_told_of_is_told_later(rig: Rig201) -> None:
    await reserved(rig, number=9, seconds=0.8)
    await rig.go_offline()
    assert rig.app is not None
    access = rig.app.access
    await rig.until(lambda: bool(access.ended_reservations()))
    await rig.stop_agent()
    await rig.csms.listen()
    before = rig.csms.now
    await rig.start_agent()
    (update,) = await rig.csms.wait(lambda: rig.csms.sent("ReservationStatusUpdate", before))
    assert update.payload == {"reservationId": 9, "reservationUpdateStatus": "Expired"}
    assert rig.app is not None
    app = rig.app
    await rig.until(lambda: not app.access.ended_reservations())


@case(settings={"AuthCtrlr.LocalPreAuthorize": "true"})
async def test_the_group_may_be_known_by_the_list(rig: Rig201) -> None:
    """H03.FR.07"""
    entry = {
        "idToken": {"idToken": "MATE", "type": "ISO14443"},
        "idTokenInfo": {"status": "Accepted", "groupIdToken": FAMILY},
    }
    await rig.call("SendLocalList", versionNumber=1, updateType="Full", localAuthorizationList=[entry])
    await reserved(rig, number=3, groupIdToken=FAMILY)
    rig.hardware.plug(1)
    rig.hardware.tap("MATE", 1)
    assert (await rig.event("Started"))["reservationId"] == 3
    assert rig.sent("Authorize") == []


@case()
async def test_a_reservation_survives_a_restart(rig: Rig201) -> None:
    """B11.FR.05"""
    await reserved(rig, number=9)
    before = rig.csms.now
    await rig.stop_agent()
    await rig.start_agent()
    assert rig.csms.sent("StatusNotification", before)[-1].payload["connectorStatus"] == "Reserved"


@case()
async def test_reservations_that_cannot_be(rig: Rig201) -> None:
    assert await reserve(rig, 2) == "Rejected"
    assert await reserve(rig, 1, seconds=-10) == "Rejected"
    assert await reserve(rig, 1, uid="") == "Rejected"
    assert await reserve(rig, 1, connectorType="cCCS2") == "Rejected"


@case(settings={START: "Authorized"})
async def test_the_reservation_is_told_once_the_driver_is_authorised(rig: Rig201) -> None:
    """E01.FR.13, H03.FR.09"""
    await reserved(rig, number=7)
    rig.hardware.tap("OWNER", 1)
    assert (await rig.event("Started", "Authorized"))["reservationId"] == 7
    rig.hardware.plug(1)
    assert "reservationId" not in await rig.event("Updated", "CablePluggedIn")


@case(versions=("ocpp2.1",), settings={"TxCtrlr.EVConnectionTimeOut": "1"})
async def test_a_driver_who_came_and_did_not_plug_in(rig: Rig201) -> None:
    """2.1 H03.FR.11"""
    await reserved(rig, number=7)
    rig.hardware.tap("OWNER", 1)
    update = await rig.expect("ReservationStatusUpdate")
    assert update == {"reservationId": 7, "reservationUpdateStatus": "NoTransaction"}


@case(settings={"TxCtrlr.EVConnectionTimeOut": "1"})
async def test_2_0_1_has_no_word_for_a_driver_who_did_not_plug_in(rig: Rig201) -> None:
    await reserved(rig, number=7)
    rig.hardware.tap("OWNER", 1)
    await rig.status("Available")
    assert rig.app is not None
    app = rig.app
    await rig.until(lambda: not app.access.ended_reservations() and not rig.hardware.outlets[1].hold)
    await rig.silent("ReservationStatusUpdate", 1.5)
