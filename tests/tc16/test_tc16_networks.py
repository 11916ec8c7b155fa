"""Moving to another network without a truck roll: two CSMS, a real agent, real websockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from agent.config.schema import Network
from simulators.csms import Csms
from simulators.csms.station import BootPolicy
from tests.tc16.rig import ID, Rig, case, replace

VENDOR = "org.evse-agent"


@contextlib.asynccontextmanager
async def second(rig: Rig) -> AsyncIterator[Csms]:
    async with Csms() as other:
        yield other
        assert other.anomalies == [] or {one.kind.value for one in other.anomalies} <= {"unknown-transaction"}
        # The agent must be gone before this CSMS is.
        await rig.stop_agent()


def look_at(rig: Rig, csms: Csms) -> None:
    """From now on the rig's questions are about this CSMS."""
    rig.csms, rig.cursor = csms, 0


async def move(rig: Rig, **request: Any) -> dict[str, Any]:
    return await rig.call("DataTransfer", vendorId=VENDOR, messageId="SetNetwork", data=json.dumps(request))


async def state(rig: Rig) -> dict[str, Any]:
    answer = await rig.call("DataTransfer", vendorId=VENDOR, messageId="GetNetwork")
    found: dict[str, Any] = json.loads(answer["data"])
    return found


async def session(rig: Rig, id_tag: str) -> None:
    await rig.charge(id_tag)
    rig.hardware.unplug(1)
    await rig.expect("StopTransaction")
    await rig.status("Available")


def totals(csms: Csms) -> tuple[int, int]:
    books = csms.ledger()["totals"]
    return books["transactions"], books["open"]


@case()
async def test_a_move_is_proved_by_a_boot_and_stays(rig: Rig) -> None:
    first = rig.csms
    async with second(rig) as other:
        await session(rig, "AT-A")
        assert await move(rig, url=other.url) == {"status": "Accepted"}
        look_at(rig, other)
        await rig.ready(after=0)
        await session(rig, "AT-B")
        assert (await state(rig))["last"] == {"kind": "move", "url": other.url, "kept": True, "reason": "proved"}
        await first.wait_disconnected(ID)
        await rig.stop_agent()
        await rig.start_agent()
        await session(rig, "AT-B-2")
        assert totals(first) == (1, 0)
        assert totals(other) == (2, 0)
        assert {t["id_tag"] for t in other.ledger()["transactions"]} == {"AT-B", "AT-B-2"}


@case()
async def test_a_move_waits_for_the_session_that_runs(rig: Rig) -> None:
    first = rig.csms
    async with second(rig) as other:
        await rig.charge("AT-A")
        assert await move(rig, url=other.url, waitForSessions=600) == {"status": "Accepted"}
        await rig.silent("StopTransaction")
        assert (await state(rig))["trial"]["waiting"] is True
        assert other.calls == []
        rig.hardware.unplug(1)
        await rig.expect("StopTransaction")
        look_at(rig, other)
        await rig.expect("BootNotification")
        assert totals(first) == (1, 0)


@case(anomalies=("unknown-transaction",))
async def test_what_is_not_told_yet_follows_to_the_new_network(rig: Rig) -> None:
    first = rig.csms
    async with second(rig) as other:
        await rig.charge("AT-A")
        await other.stop_listening()
        assert await move(rig, url=other.url, waitForSessions=0, provenWithin=60) == {"status": "Accepted"}
        await first.wait_disconnected(ID)
        # On the way: the old session ends, a whole one comes and goes, all without any network.
        rig.hardware.unplug(1)
        await rig.until(lambda: not rig.hardware.outlets[1].plugged)
        rig.hardware.plug(1)
        await asyncio.sleep(0.1)
        await other.listen()
        look_at(rig, other)
        await rig.expect("BootNotification")
        # The number that the old network gave means nothing to the new one.
        assert (await rig.expect("StopTransaction"))["transactionId"] == -1
        rig.hardware.tap("AT-B")
        await rig.expect("StartTransaction", idTag="AT-B")
        rig.hardware.unplug(1)
        await rig.expect("StopTransaction")
        assert totals(other) == (1, 0)
        assert totals(first) == (1, 1)
        app = rig.app
        assert app is not None
        await rig.until(lambda: app.status()["uplink"]["queue"]["pending"] == 0)


@case()
async def test_a_move_that_fails_rolls_back_and_nothing_is_lost(rig: Rig) -> None:
    first = rig.csms
    async with second(rig) as other:
        other.boot = BootPolicy("Rejected", 1)
        assert await move(rig, url=other.url, provenWithin=2) == {"status": "Accepted"}
        await other.wait_for("BootNotification")
        await first.wait_disconnected(ID)
        # A driver comes by in the middle of it.
        rig.hardware.plug(1)
        await first.wait_for("BootNotification", count=2)
        await rig.until(rig._online)
        rig.mark()
        rig.hardware.tap("CARD")
        await rig.expect("StartTransaction")
        rig.hardware.unplug(1)
        await rig.expect("StopTransaction")
        assert totals(first) == (1, 0)
        assert [call.action for call in other.calls if call.action != "BootNotification"] == []
        found = await state(rig)
        assert (found["url"], found["trial"], found["last"]["kept"]) == (first.url, None, False)
        log = (rig.config.paths.state_dir / "security" / "security.log").read_text()
        assert "was given up: no accepted BootNotification within 2 s" in log


@case()
async def test_a_power_cut_in_the_middle_does_not_end_the_trial_nor_prolong_it_for_ever(rig: Rig) -> None:
    first = rig.csms
    async with second(rig) as other:
        other.boot = BootPolicy("Pending", 1)
        assert await move(rig, url=other.url, provenWithin=600) == {"status": "Accepted"}
        await other.wait_for("BootNotification")
        for count in (2, 3, 4):
            seen = len([call for call in other.calls if call.action == "BootNotification"])
            await rig.stop_agent()
            await rig.start_agent(wait=False)
            await other.wait_for("BootNotification", count=seen + 1)
            assert count
        await rig.stop_agent()
        await rig.start_agent(wait=False)
        await first.wait_for("BootNotification", count=2)
        await rig.until(rig._online)
        assert (await state(rig))["last"]["reason"] == "not proved in 3 starts of the agent"


@case()
async def test_a_power_cut_in_the_middle_of_a_good_move(rig: Rig) -> None:
    async with second(rig) as other:
        other.boot = BootPolicy("Pending", 1)
        assert await move(rig, url=other.url) == {"status": "Accepted"}
        await other.wait_for("BootNotification")
        await rig.stop_agent()
        other.boot = BootPolicy("Accepted", 300)
        look_at(rig, other)
        rig.mark()
        await rig.start_agent()
        await session(rig, "AT-B")
        assert (await state(rig))["url"] == other.url


@case()
async def test_what_no_network_is_asked_to_move_to(rig: Rig) -> None:
    bad: list[dict[str, Any]] = [
        {},
        {"url": ""},
        {"url": "http://h"},
        {"url": "ws://user:word@h"},
        {"url": rig.csms.url},
        {"url": "ws://h", "identity": "a b"},
        {"url": "ws://h", "identity": 7},
        {"url": "ws://h", "securityProfile": 4},
        {"url": "ws://h", "securityProfile": 1},
        {"url": "ws://h", "securityProfile": 1, "password": "short"},
        {"url": "wss://h", "securityProfile": 2, "password": "sixteen-or-more-letters"},
        {"url": "wss://h", "securityProfile": 3},
        {"url": "ws://h", "provenWithin": 0},
        {"url": "ws://h", "waitForSessions": -1},
        {"url": "ws://h", "colour": "red"},
    ]
    for request in bad:
        answer = await move(rig, **request)
        assert answer["status"] == "Rejected", request
        assert answer["data"], request
    for data in ("", "[]", "{", "7"):
        answer = await rig.call("DataTransfer", vendorId=VENDOR, messageId="SetNetwork", data=data)
        assert answer["status"] == "Rejected"
    answer = await rig.call("DataTransfer", vendorId=VENDOR, messageId="Dance")
    assert answer == {"status": "UnknownMessageId"}
    assert (await state(rig))["trial"] is None


@case(start=False)
async def test_the_next_network_of_the_list_when_the_first_is_gone(rig: Rig) -> None:
    async with second(rig) as other:
        networks = (Network(url=other.url, identity="CP-AT-B"),)
        rig.config = replace(rig.config, ocpp=replace(rig.config.ocpp, networks=networks, network_attempts=2))
        await rig.start_agent()
        await rig.charge("AT-A")
        await rig.csms.stop_listening()
        await other.wait_for("BootNotification", charge_point="CP-AT-B")
        rig.hardware.unplug(1)
        # One operator: the number of the transaction is known there too.
        (stop,) = await other.wait_for("StopTransaction")
        assert stop.payload["transactionId"] > 0
        await other.stop_listening()
        await rig.csms.listen()
        await rig.until(rig._online)
        await rig.csms.wait_for("BootNotification", count=2)
