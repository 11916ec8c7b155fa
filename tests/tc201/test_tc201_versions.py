"""From a backend of OCPP 1.6 to one of 2.0.1 and back: proved by an accepted boot, or brought back; nothing is lost.

Two CSMS, a whole agent, real websockets. With processes that are killed: tests/e2e/test_e2e_versions.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from simulators.csms import Csms
from simulators.csms.station import BootPolicy
from tests.tc16.rig import ID, Rig, case, replace

VENDOR = "org.evse-agent"
MODERN = ("ocpp2.0.1",)


@contextlib.asynccontextmanager
async def second(rig: Rig, *versions: str, anomalies: tuple[str, ...] = ()) -> AsyncIterator[Csms]:
    async with Csms(versions=versions or MODERN) as other:
        yield other
        # The agent must be gone before this CSMS is.
        await rig.stop_agent()
        found = [one for one in other.anomalies if one.kind.value not in anomalies]
        assert not found, found


def look_at(rig: Rig, csms: Csms) -> None:
    """From now on the rig's questions are about this CSMS."""
    rig.csms = csms
    rig.mark()


async def move(rig: Rig, **request: Any) -> dict[str, Any]:
    return await rig.call("DataTransfer", vendorId=VENDOR, messageId="SetNetwork", data=json.dumps(request))


async def registered(rig: Rig, csms: Csms, count: int = 1) -> None:
    """Wait for the count-th boot at this CSMS and the state of the connector that follows it."""
    boots = await csms.wait_for("BootNotification", count=count, charge_point=ID)

    def of_the_connector(payload: dict[str, Any]) -> bool:
        return payload["connectorId"] == 1

    await csms.wait_for("StatusNotification", of_the_connector, after=boots[-1].frame, charge_point=ID)
    await rig.until(rig._online)


async def profile(rig: Rig, slot: int, url: str, version: str) -> dict[str, Any]:
    data = {
        "ocppVersion": version,
        "ocppTransport": "JSON",
        "ocppCsmsUrl": url,
        "messageTimeout": 30,
        "securityProfile": 0,
        "ocppInterface": "Wired0",
    }
    return await rig.call("SetNetworkProfile", configurationSlot=slot, connectionData=data)


async def priority(rig: Rig, order: str) -> str:
    data = {
        "component": {"name": "OCPPCommCtrlr"},
        "variable": {"name": "NetworkConfigurationPriority"},
        "attributeValue": order,
    }
    (result,) = (await rig.call("SetVariables", setVariableData=[data]))["setVariableResult"]
    return str(result["attributeStatus"])


async def restart(rig: Rig) -> None:
    await rig.stop_agent()
    await rig.start_agent(wait=False)


async def charge_at_201(rig: Rig, uid: str) -> None:
    rig.hardware.plug(1)
    await rig.expect("StatusNotification", connectorStatus="Occupied")
    rig.hardware.tap(uid, 1)
    await rig.expect("TransactionEvent", where=lambda p: p["transactionInfo"].get("chargingState") == "Charging")


async def leave_at_201(rig: Rig) -> None:
    rig.hardware.unplug(1)
    await rig.expect("TransactionEvent", eventType="Ended")
    await rig.expect("StatusNotification", connectorStatus="Available")


def register_wh(rig: Rig) -> float:
    """As the meter tells it: whole Wh."""
    return float(int(rig.hardware.outlets[1].energy_wh))


def totals(csms: Csms) -> tuple[int, int]:
    books = csms.ledger()["totals"]
    return books["transactions"], books["open"]


@case()
async def test_from_1_6_to_2_0_1_and_back_by_each_version_s_own_messages(rig: Rig) -> None:
    old = rig.csms
    async with second(rig) as new:
        await rig.charge("AT-OLD")
        rig.hardware.unplug(1)
        await rig.expect("StopTransaction")
        assert await move(rig, url=new.url, versions=["ocpp2.0.1"]) == {"status": "Accepted"}
        await registered(rig, new)
        await old.wait_disconnected(ID)
        look_at(rig, new)
        await charge_at_201(rig, "AT-NEW")
        await leave_at_201(rig)
        # The move holds over a restart.
        await restart(rig)
        await registered(rig, new, 2)
        assert await profile(rig, 3, old.url, "OCPP16") == {"status": "Accepted"}
        assert await priority(rig, "3,0") == "RebootRequired"
        await restart(rig)
        await registered(rig, old, 2)
        look_at(rig, old)
        await rig.charge("AT-OLD-AGAIN")
        rig.hardware.unplug(1)
        await rig.expect("StopTransaction")
        assert totals(old) == (2, 0)
        assert totals(new) == (1, 0)
        await restart(rig)
        await registered(rig, old, 3)


@case()
async def test_the_same_network_in_another_version_is_moved_to_as_well(rig: Rig) -> None:
    old = rig.csms
    async with second(rig, "ocpp1.6", "ocpp2.0.1") as both:
        assert await move(rig, url=both.url) == {"status": "Accepted"}
        await registered(rig, both)
        look_at(rig, both)
        await rig.charge("ONE-CHARGE")
        # It begins under 1.6 and ends under 2.0.1: one charge on the books, to the Wh.
        answer = await move(rig, url=both.url, versions=["ocpp2.0.1"], waitForSessions=0)
        assert answer == {"status": "Accepted"}
        await registered(rig, both, 2)
        rig.hardware.unplug(1)
        await rig.expect("TransactionEvent", eventType="Ended")
        (charge,) = both.ledger()["transactions"]
        assert (charge["meter_stop_wh"], charge["subprotocols"]) == (register_wh(rig), ["ocpp1.6", "ocpp2.0.1"])
        assert totals(both) == (1, 0)
        assert totals(old) == (0, 0)


@case()
async def test_a_move_to_2_0_1_that_is_not_accepted_rolls_back_to_1_6(rig: Rig) -> None:
    old = rig.csms
    async with second(rig) as new:
        new.boot = BootPolicy("Rejected", 1)
        request = {"url": new.url, "versions": ["ocpp2.0.1"], "provenWithin": 2}
        assert await move(rig, **request) == {"status": "Accepted"}
        await new.wait_for("BootNotification")
        # A driver comes by in the middle of it.
        rig.hardware.plug(1)
        await old.wait_for("BootNotification", count=2)
        await rig.until(rig._online)
        rig.mark()
        rig.hardware.tap("CARD")
        await rig.expect("StartTransaction")
        rig.hardware.unplug(1)
        await rig.expect("StopTransaction")
        assert totals(old) == (1, 0)
        assert {call.action for call in new.calls} == {"BootNotification"}


@case()
async def test_a_network_that_does_not_speak_the_version_is_no_proof(rig: Rig) -> None:
    old = rig.csms
    async with second(rig, "ocpp1.6", anomalies=("no-subprotocol",)) as new:
        request = {"url": new.url, "versions": ["ocpp2.0.1"], "provenWithin": 1}
        assert await move(rig, **request) == {"status": "Accepted"}
        await old.wait_disconnected(ID)
        # Nothing was told there, so the registration with the old one still stands.
        await rig.until(rig._online)
        await rig.charge("CARD")
        assert new.calls == []
        rig.hardware.unplug(1)
        await rig.expect("StopTransaction")
        assert len(rig.sent("BootNotification")) == 1


@case()
async def test_what_waits_is_delivered_in_the_new_version_to_the_wh(rig: Rig) -> None:
    old = rig.csms
    async with second(rig) as new:
        await rig.charge("KNOWN")
        rig.hardware.unplug(1)
        await rig.expect("StopTransaction")
        await new.stop_listening()
        request = {"url": new.url, "versions": ["ocpp2.0.1"], "waitForSessions": 0, "provenWithin": 60}
        assert await move(rig, **request) == {"status": "Accepted"}
        await old.wait_disconnected(ID)
        # Two whole charges while there is no network at all: the card is known from before.
        registers = []
        for _ in range(2):
            rig.hardware.plug(1)
            begin_wh = register_wh(rig)
            rig.hardware.tap("KNOWN", 1)
            await rig.until(lambda: rig.hardware.outlets[1].closed)
            await asyncio.sleep(0.4)
            rig.hardware.unplug(1)
            await rig.until(lambda: not rig.hardware.outlets[1].closed)
            await asyncio.sleep(0.2)
            registers.append((begin_wh, register_wh(rig)))
        await new.listen()
        look_at(rig, new)
        await registered(rig, new)
        await rig.expect("TransactionEvent", eventType="Ended")
        await rig.expect("TransactionEvent", eventType="Ended")
        app = rig.app
        assert app is not None
        await rig.until(lambda: app.status()["uplink"]["queue"]["pending"] == 0)
        charges = new.ledger()["transactions"]
        assert [(each["meter_start_wh"], each["meter_stop_wh"]) for each in charges] == registers
        assert {each["id_tag"] for each in charges} == {"KNOWN"}
        assert registers[0][1] > registers[0][0]
        assert totals(old) == (1, 0)


@case()
async def test_a_bad_list_of_versions_is_refused(rig: Rig) -> None:
    for versions in ([], ["ocpp2.0"], ["ocpp1.6", "ocpp1.6"], [7], "ocpp2.0.1"):
        answer = await move(rig, url="ws://127.0.0.1:9/other", versions=versions)
        assert answer["status"] == "Rejected", versions


@case()
async def test_a_cut_between_the_order_and_its_proof_begins_it_again(rig: Rig) -> None:
    old = rig.csms
    async with second(rig) as new:
        assert await move(rig, url=new.url, versions=["ocpp2.0.1"]) == {"status": "Accepted"}
        await registered(rig, new)
        look_at(rig, new)
        assert await profile(rig, 2, old.url, "OCPP16") == {"status": "Accepted"}
        assert await priority(rig, "2") == "RebootRequired"
        old.boot = BootPolicy("Pending", 1)
        await restart(rig)
        await old.wait_for("BootNotification", count=2)
        await restart(rig)
        await old.wait_for("BootNotification", count=4)
        old.boot = BootPolicy("Accepted", 300)
        await rig.until(rig._online)
        assert new.calls[-1].action != "BootNotification"
        assert len([call for call in new.calls if call.action == "BootNotification"]) == 1


@case()
async def test_an_order_that_leads_nowhere_brings_the_last_network_back(rig: Rig) -> None:
    old = rig.csms
    async with second(rig) as new:
        assert await move(rig, url=new.url, versions=["ocpp2.0.1"]) == {"status": "Accepted"}
        await registered(rig, new)
        look_at(rig, new)
        await old.stop_listening()
        assert await profile(rig, 2, old.url, "OCPP16") == {"status": "Accepted"}
        assert await priority(rig, "2") == "RebootRequired"
        await restart(rig)
        await registered(rig, new, 2)
        await old.listen()
        assert rig.app is not None
        networks = rig.app._tunnel.networks
        assert (networks.priority, networks.status()["last"]["kept"]) == ((0,), False)


@case(change=lambda config: replace(config, ocpp=replace(config.ocpp, versions=("ocpp2.0.1", "ocpp1.6"))))
async def test_a_network_that_changes_its_version_is_registered_with_anew(rig: Rig) -> None:
    # It speaks 1.6 only; then it is renewed and prefers 2.0.1; then that is taken back.
    url = rig.csms.url
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    await rig.csms.stop_listening()
    async with Csms(port, versions=("ocpp2.0.1",)) as renewed:
        await registered(rig, renewed)
        await renewed.stop_listening()
        await rig.csms.listen()
        await registered(rig, rig.csms, 2)
