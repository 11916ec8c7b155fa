"""The cases of reservations, each over a real websocket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from agent.link.messages import FaultCode
from tests.tc16.rig import Rig, case


async def reserve(
    rig: Rig, connector: int = 1, number: int = 1, tag: str = "OWNER", seconds: float = 600.0, parent: str = ""
) -> str:
    expires = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    payload: dict[str, Any] = {"connectorId": connector, "expiryDate": expires, "idTag": tag, "reservationId": number}
    if parent:
        payload["parentIdTag"] = parent
    return str((await rig.call("ReserveNow", **payload))["status"])


@case()
async def test_tc_046_1_reservation_local(rig: Rig) -> None:
    assert await reserve(rig, number=7) == "Accepted"
    await rig.status("Reserved")
    rig.hardware.plug()
    rig.hardware.tap("OTHER")
    await rig.expect("Authorize", idTag="OTHER")
    await rig.silent("StartTransaction")
    rig.hardware.tap("OWNER")
    await rig.status("Preparing")
    assert (await rig.expect("StartTransaction", idTag="OWNER"))["reservationId"] == 7
    await rig.status("Charging")


@case()
async def test_tc_046_2_reservation_remote(rig: Rig) -> None:
    assert await reserve(rig, number=7) == "Accepted"
    await rig.status("Reserved")
    assert await rig.call("RemoteStartTransaction", idTag="OWNER", connectorId=1) == {"status": "Accepted"}
    await rig.status("Preparing")
    rig.hardware.plug()
    assert (await rig.expect("StartTransaction", idTag="OWNER"))["reservationId"] == 7


@case()
async def test_tc_047_reservation_expires(rig: Rig) -> None:
    assert await reserve(rig, seconds=0.7) == "Accepted"
    await rig.status("Reserved")
    await rig.status("Available")


@case()
async def test_tc_048_1_reservation_faulted(rig: Rig) -> None:
    rig.hardware.fault(FaultCode.PILOT)
    await rig.status("Faulted")
    assert await reserve(rig) == "Faulted"


@case()
async def test_tc_048_2_reservation_occupied(rig: Rig) -> None:
    rig.hardware.plug()
    await rig.status("Preparing")
    assert await reserve(rig) == "Occupied"


@case()
async def test_tc_048_3_reservation_unavailable(rig: Rig) -> None:
    await rig.call("ChangeAvailability", connectorId=1, type="Inoperative")
    await rig.status("Unavailable")
    assert await reserve(rig) == "Unavailable"


@case(settings={"ReservationEnabled": "false"})
async def test_tc_048_4_reservation_rejected(rig: Rig) -> None:
    assert await reserve(rig) == "Rejected"


@case(evses=2)
async def test_tc_049_reservation_of_connector_0(rig: Rig) -> None:
    assert await reserve(rig, 0, 9) == "Accepted"
    await rig.charge("FIRST", 1)
    await rig.until(lambda: rig.app is not None and rig.app.statuses()[2].status.value == "Reserved")
    rig.hardware.plug(2)
    rig.hardware.tap("SECOND", 2)
    await rig.expect("Authorize", idTag="SECOND")
    await rig.silent("StartTransaction", connectorId=2)
    rig.hardware.tap("OWNER", 2)
    assert (await rig.expect("StartTransaction", idTag="OWNER"))["reservationId"] == 9


@case(evses=2)
async def test_tc_050_1_connector_0_faulted(rig: Rig) -> None:
    for evse in (1, 2):
        rig.hardware.fault(FaultCode.PILOT, evse)
        await rig.status("Faulted", evse)
    assert await reserve(rig, 0) == "Faulted"


@case(evses=2)
async def test_tc_050_2_connector_0_occupied(rig: Rig) -> None:
    for evse in (1, 2):
        rig.hardware.plug(evse)
        await rig.status("Preparing", evse)
    assert await reserve(rig, 0) == "Occupied"


@case(evses=2)
async def test_tc_050_3_connector_0_unavailable(rig: Rig) -> None:
    await rig.call("ChangeAvailability", connectorId=0, type="Inoperative")
    await rig.status("Unavailable", 2)
    assert await reserve(rig, 0) == "Unavailable"


@case(settings={"ReserveConnectorZeroSupported": "false"})
async def test_tc_050_4_connector_0_rejected(rig: Rig) -> None:
    assert await rig.configuration("ReserveConnectorZeroSupported") == "false"
    assert await reserve(rig, 0) == "Rejected"
    assert await rig.call("ChangeConfiguration", key="ReserveConnectorZeroSupported", value="true") == {
        "status": "Rejected"
    }


@case()
async def test_tc_051_cancel_a_reservation(rig: Rig) -> None:
    await reserve(rig, number=5)
    await rig.status("Reserved")
    assert await rig.call("CancelReservation", reservationId=5) == {"status": "Accepted"}
    await rig.status("Available")


@case()
async def test_tc_052_cancel_rejected(rig: Rig) -> None:
    await reserve(rig, number=5)
    assert await rig.call("CancelReservation", reservationId=6) == {"status": "Rejected"}


async def reserved_for_the_family(rig: Rig) -> None:
    rig.token("MATE", parent="FAMILY")
    assert await reserve(rig, number=3, parent="FAMILY") == "Accepted"
    await rig.status("Reserved")
    rig.hardware.plug()


@case()
async def test_tc_053_1_reservation_by_the_parent_local(rig: Rig) -> None:
    await reserved_for_the_family(rig)
    rig.hardware.tap("MATE")
    await rig.expect("Authorize", idTag="MATE")
    assert (await rig.expect("StartTransaction", idTag="MATE"))["reservationId"] == 3


@case(settings={"AuthorizeRemoteTxRequests": "false"})
async def test_tc_053_2_reservation_by_the_parent_remote(rig: Rig) -> None:
    await reserved_for_the_family(rig)
    assert await rig.call("RemoteStartTransaction", idTag="MATE", connectorId=1) == {"status": "Accepted"}
    await rig.expect("Authorize", idTag="MATE")
    assert (await rig.expect("StartTransaction", idTag="MATE"))["reservationId"] == 3


@case()
async def test_a_reservation_survives_a_power_cut(rig: Rig) -> None:
    await reserve(rig, number=4)
    await rig.status("Reserved")
    await rig.power_cut()
    await rig.power_back()
    rig.hardware.plug()
    rig.hardware.tap("OWNER")
    assert (await rig.expect("StartTransaction"))["reservationId"] == 4


@case()
async def test_an_expiry_that_cannot_be_read_is_rejected(rig: Rig) -> None:
    payload = {"connectorId": 1, "expiryDate": "tomorrow", "idTag": "OWNER", "reservationId": 1}
    assert await rig.call("ReserveNow", **payload) == {"status": "Rejected"}
