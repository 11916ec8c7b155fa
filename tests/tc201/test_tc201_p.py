"""OCPP 2.0.1 certification cases of block P, DataTransfer (part 6, TC_P_…_CS)."""

from __future__ import annotations

import json
from typing import Any

from agent.local import access
from tests.tc201.rig import Rig201, case


async def transfer(rig: Rig201, vendor: str, message: str = "", data: Any = None) -> dict[str, Any]:
    payload: dict[str, Any] = {"vendorId": vendor}
    payload |= {"messageId": message} if message else {}
    payload |= {} if data is None else {"data": data}
    return await rig.call("DataTransfer", **payload)


@case()
async def test_tc_p_01_cs_unknown_vendor(rig: Rig201) -> None:
    assert await transfer(rig, "com.example", "x", {"any": ["JSON", 1]}) == {"status": "UnknownVendorId"}
    assert await transfer(rig, "org.evse-agent", "Unheard") == {"status": "UnknownMessageId"}
    assert await transfer(rig, "org.evse-agent") == {"status": "UnknownMessageId"}


@case()
async def test_tc_p_03_cs_custom_data(rig: Rig201) -> None:
    """What a vendor adds to any message is no fault of it."""
    custom = {"vendorId": "com.example", "more": {"deep": [1, 2]}}
    answer = await rig.call("GetLocalListVersion", customData=custom)
    assert answer == {"versionNumber": 0}


@case()
async def test_the_network_sets_a_pin(rig: Rig201) -> None:
    stored = access.hashed("1357911")
    said = await transfer(rig, "org.evse-agent", "SetServicePin", json.dumps({"role": "service", "hash": stored}))
    assert said == {"status": "Accepted"}
    said = await transfer(rig, "org.evse-agent", "SetServicePin", {"role": "service", "hash": "plain"})
    assert said["status"] == "Rejected"
    assert said["data"]


@case()
async def test_a_transfer_to_the_network(rig: Rig201) -> None:
    """P02"""
    rig.answer("DataTransfer", {"status": "Accepted", "data": "fine"})
    assert rig.app is not None
    assert await rig.app.data_transfer("com.example", "Hello", "text") == ("Accepted", "fine")
    assert await rig.expect("DataTransfer") == {"vendorId": "com.example", "messageId": "Hello", "data": "text"}
