"""The CSMS over a real websocket: a plain client speaks raw frames by literals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from simulators.csms import CallRefused, Csms

BOOT = '[2,"b1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'


@asynccontextmanager
async def charge_point(csms: Csms, name: str = "CP1") -> AsyncIterator[ClientConnection]:
    async with connect(f"{csms.url}/{name}", subprotocols=["ocpp1.6"], proxy=None) as link:
        yield link


async def ask(link: ClientConnection, text: str) -> Any:
    await link.send(text)
    return json.loads(await link.recv())


def test_a_charging_story_is_booked_and_clean(tmp_path: Path) -> None:
    async def story() -> None:
        async with Csms(dir=tmp_path) as csms, charge_point(csms) as link:
            assert link.subprotocol == "ocpp1.6"
            kind, message_id, boot = await ask(link, BOOT)
            assert (kind, message_id, boot["status"], boot["interval"]) == (3, "b1", "Accepted", 300)
            assert boot["currentTime"].endswith("Z")
            assert await ask(
                link,
                '[2,"2","StartTransaction",{"connectorId":1,"idTag":"CAFE","meterStart":100,'
                '"timestamp":"2026-01-02T03:04:05.678Z"}]',
            ) == [3, "2", {"transactionId": 1, "idTagInfo": {"status": "Accepted"}}]
            assert await ask(
                link,
                '[2,"3","MeterValues",{"connectorId":1,"transactionId":1,"meterValue":'
                '[{"timestamp":"2026-01-02T03:05:00Z","sampledValue":[{"value":"150"}]}]}]',
            ) == [3, "3", {}]
            assert await ask(
                link,
                '[2,"4","StopTransaction",{"transactionId":1,"meterStop":300,"idTag":"CAFE",'
                '"timestamp":"2026-01-02T04:04:05Z","reason":"EVDisconnected"}]',
            ) == [3, "4", {"idTagInfo": {"status": "Accepted"}}]
            books = csms.ledger()
            (entry,) = books["transactions"]
            assert (entry["energy_wh"], entry["reason"], entry["id_tag"]) == (200, "EVDisconnected", "CAFE")
            assert entry["meter_values"][0]["sampledValue"] == [{"value": "150"}]
            assert books["totals"]["energy_wh"] == 200
            assert books["anomalies"] == []

    asyncio.run(story())


def test_commands_go_both_ways_while_the_charge_point_calls(tmp_path: Path) -> None:
    async def story() -> None:
        async with Csms() as csms, charge_point(csms) as link:
            await ask(link, BOOT)
            call = asyncio.create_task(csms.call("CP1", "Reset", {"type": "Soft"}))
            kind, message_id, action, payload = json.loads(await link.recv())
            assert (kind, action, payload) == (2, "Reset", {"type": "Soft"})
            # A CALL of our own is answered although the CSMS waits for us.
            assert (await ask(link, '[2,"h","Heartbeat",{}]'))[0:2] == [3, "h"]
            await link.send(json.dumps([3, message_id, {"status": "Accepted"}]))
            assert await call == {"status": "Accepted"}

            call = asyncio.create_task(csms.call("CP1", "ClearCache"))
            message_id = json.loads(await link.recv())[1]
            await link.send(json.dumps([4, message_id, "VendorSays", "no", {"why": 1}]))
            with pytest.raises(CallRefused, match="VendorSays: no"):
                await call
            assert csms.anomalies == []

    asyncio.run(story())
