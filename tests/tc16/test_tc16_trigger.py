"""The cases of remote trigger and data transfer, each over a real websocket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulators.csms.frames import Direction
from tests.tc16.rig import Rig, case

RECEIVED = Direction.RECEIVED


async def trigger(rig: Rig, message: str, action: str = "TriggerMessage", **connector: int) -> str:
    return str((await rig.call(action, requestedMessage=message, **connector))["status"])


@pytest.mark.parametrize("action", ["TriggerMessage", "ExtendedTriggerMessage"])
def test_tc_054_trigger(action: str, tmp_path: Any) -> None:
    @case(evses=2)
    async def scenario(rig: Rig) -> None:
        assert await trigger(rig, "Heartbeat", action) == "Accepted"
        await rig.expect("Heartbeat")
        assert await trigger(rig, "StatusNotification", action, connectorId=2) == "Accepted"
        await rig.status("Available", 2)
        assert await trigger(rig, "StatusNotification", action) == "Accepted"
        for connector in (0, 1, 2):
            await rig.status("Available", connector)
        assert await trigger(rig, "MeterValues", action, connectorId=1) == "Accepted"
        values = await rig.expect("MeterValues", connectorId=1)
        assert {sample["context"] for sample in values["meterValue"][0]["sampledValue"]} == {"Trigger"}
        assert "transactionId" not in values
        number = await rig.charge()
        assert await trigger(rig, "MeterValues", action) == "Accepted"
        assert (await rig.expect("MeterValues", connectorId=1))["transactionId"] == number
        await rig.expect("MeterValues", connectorId=2)

    scenario(tmp_path)


@case()
async def test_tc_054_the_answer_goes_before_the_message(rig: Rig) -> None:
    await rig.expect("SecurityEventNotification")
    start = rig.now
    assert await trigger(rig, "StatusNotification", connectorId=1) == "Accepted"
    await rig.status("Available")
    received = [frame.text for frame in rig.csms.frames if frame.number > start and frame.direction is RECEIVED]
    kinds = [json.loads(text) for text in received]
    assert [kind[0] for kind in kinds] == [3, 2]
    assert kinds[0][2] == {"status": "Accepted"}
    assert kinds[1][2] == "StatusNotification"


@case()
async def test_tc_055_trigger_rejected(rig: Rig) -> None:
    assert await trigger(rig, "BootNotification") == "Rejected", "the registration stands"
    assert await trigger(rig, "StatusNotification", connectorId=5) == "Rejected"
    assert await trigger(rig, "MeterValues", connectorId=0) == "Rejected"
    rig.hardware.set(1, meter_works=False)
    await rig.silent("BootNotification")


@case()
async def test_tc_055_what_no_one_knows_is_refused(rig: Rig) -> None:
    assert await rig.refused("TriggerMessage", requestedMessage="Nonsense") == "PropertyConstraintViolation"
    assert await rig.refused("TriggerMessage") == "ProtocolError"


@case()
async def test_tc_064_data_transfer_to_the_central_system(rig: Rig) -> None:
    assert rig.app is not None
    rig.csms.data_transfer_vendors.add("org.example")
    assert await rig.app.data_transfer("org.example", "greeting", "hello") == ("Accepted", "")
    sent = await rig.expect("DataTransfer")
    assert sent == {"vendorId": "org.example", "messageId": "greeting", "data": "hello"}
    assert (await rig.app.data_transfer("org.other"))[0] == "UnknownVendorId"
    await rig.go_offline()
    assert await rig.app.data_transfer("org.example") is None
