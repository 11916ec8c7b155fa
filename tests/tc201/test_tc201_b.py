"""Block B: boot, offline, reset, and moving to another network. One test per case, named after it.

Variables and reports: test_tc201_b_variables.py. From version to version: test_tc201_versions.py.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

from agent.app import EXIT_RESTART
from tests.tc201.csms201 import Csms201, Payload
from tests.tc201.rig import SILENCE, Rig201, case, replace

FAR = {"OCPPCommCtrlr.OfflineThreshold": "3600"}
NEAR = {"OCPPCommCtrlr.OfflineThreshold": "0"}


# ---- helpers ----


def profile(url: str, level: int = 0, **more: Any) -> Payload:
    return {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": url,
        "messageTimeout": 30,
        "securityProfile": level,
        "ocppInterface": "Wired0",
        **more,
    }


async def write_slot(rig: Rig201, slot: int, url: str, level: int = 0, **more: Any) -> str:
    answer = await rig.call("SetNetworkProfile", configurationSlot=slot, connectionData=profile(url, level, **more))
    return str(answer["status"])


async def order(rig: Rig201, slots: str) -> str:
    return await rig.set_variable("OCPPCommCtrlr", "NetworkConfigurationPriority", slots)


async def starts_again(rig: Rig201, *, wait: bool = True) -> None:
    """The agent leaves for a fresh start, and its service manager gives it one."""
    assert await rig.agent_left() == EXIT_RESTART
    await rig.start_agent(wait=wait)


def look_at(rig: Rig201, csms: Csms201) -> None:
    """From now on the rig's questions are about this CSMS."""
    rig.csms = csms
    rig.mark()


async def settled(rig: Rig201, state: str) -> None:
    """The agent has taken the answer to its boot."""
    assert rig.app is not None
    app = rig.app
    await rig.until(lambda: app.status()["uplink"]["state"] == state)


async def calm(rig: Rig201) -> None:
    """Every answer that the CSMS has given so far has been taken: ours comes behind them."""
    await rig.variable("OCPPCommCtrlr", "OfflineThreshold")


def boots(csms: Csms201) -> list[str]:
    return [seen.payload["reason"] for seen in csms.sent("BootNotification")]


@contextlib.asynccontextmanager
async def second(rig: Rig201, *versions: str) -> AsyncIterator[Csms201]:
    async with Csms201(*(versions or ("ocpp2.0.1",))) as other:
        yield other
        # The agent must be gone before this CSMS is.
        await rig.stop_agent()
        assert not other.problems, other.problems


async def migrate(rig: Rig201, other: Csms201, slots: str = "1,0", **more: Any) -> None:
    assert await write_slot(rig, 1, other.url, **more) == "Accepted"
    assert await order(rig, slots) == "RebootRequired"
    assert await rig.call("Reset", type="OnIdle") == {"status": "Accepted"}
    await starts_again(rig, wait=False)


# ---- B01 to B03 ----


@case(start=False, evses=2)
async def test_tc_b_01_cs_cold_boot_accepted(rig: Rig201) -> None:
    rig.csms.interval_s = 120
    await rig.start_agent()
    (boot,) = rig.csms.sent("BootNotification")
    assert boot.payload["reason"] == "PowerUp"  # B01.FR.09
    told = boot.payload["chargingStation"]
    assert (told["vendorName"], told["model"], told["serialNumber"]) == ("Nord", "Duo", "NORD-1")
    # B01.FR.08: it comes first; B01.FR.05: then every connector.
    assert rig.csms.seen[0].action == "BootNotification"
    states = [seen.payload for seen in rig.csms.sent("StatusNotification")]
    assert [(state["evseId"], state["connectorStatus"]) for state in states] == [(1, "Available"), (2, "Available")]
    # B01.FR.04
    assert await rig.variable("OCPPCommCtrlr", "HeartbeatInterval") == "120"
    # B01.FR.06
    assert rig.app is not None
    assert rig.app._clock.now().synced


@case(start=False, settings={"AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"})
async def test_transactions_before_the_first_acceptance_wait_for_it(rig: Rig201) -> None:
    """B02.FR.02, B02.FR.03, B03.FR.01"""
    rig.csms.boot_status = "Pending"
    await rig.start_agent(wait=False)
    await rig.expect("BootNotification")
    await settled(rig, "pending")
    rig.hardware.plug(1)
    await rig.until(lambda: rig.hardware.outlets[1].plugged)
    await asyncio.sleep(0.2)
    rig.hardware.tap("CARD", 1)
    await rig.until(lambda: rig.hardware.outlets[1].closed)
    assert {seen.action for seen in rig.csms.seen} == {"BootNotification"}
    rig.csms.boot_status = "Accepted"
    assert (await rig.call("TriggerMessage", requestedMessage="BootNotification"))["status"] == "Accepted"
    assert (await rig.event("Started"))["offline"] is True
    rig.hardware.unplug(1)
    await rig.event("Ended")


@case(start=False)
async def test_tc_b_02_cs_cold_boot_pending(rig: Rig201) -> None:
    rig.csms.boot_status = "Pending"
    await rig.start_agent(wait=False)
    await rig.expect("BootNotification")
    await settled(rig, "pending")
    await rig.configure(OCPPCommCtrlr__OfflineThreshold="300")  # B02.FR.01
    assert await rig.variable("OCPPCommCtrlr", "OfflineThreshold") == "300"
    assert await rig.call("GetBaseReport", requestId=7, reportBase="FullInventory") == {"status": "Accepted"}
    await rig.expect("NotifyReport", where=lambda report: not report.get("tbc", False))
    token = {"idToken": "CARD", "type": "ISO14443"}
    answer = await rig.call("RequestStartTransaction", idToken=token, remoteStartId=1, evseId=1)
    assert answer["status"] == "Rejected"  # B02.FR.05
    answer = await rig.call("RequestStopTransaction", transactionId="none")
    assert answer["status"] == "Rejected"
    # B02.FR.02: nothing else was sent; B02.FR.06: on one connection.
    assert {seen.action for seen in rig.csms.seen} == {"BootNotification", "NotifyReport"}
    assert rig.csms.connections == 1
    rig.csms.boot_status = "Accepted"
    assert (await rig.call("TriggerMessage", requestedMessage="BootNotification"))["status"] == "Accepted"
    assert (await rig.expect("BootNotification"))["reason"] == "Triggered"  # F06.FR.17
    await rig.status("Available")


@case(start=False)
async def test_tc_b_03_cs_cold_boot_rejected(rig: Rig201) -> None:
    rig.csms.boot_status, rig.csms.interval_s = "Rejected", 1
    await rig.start_agent(wait=False)
    await rig.expect("BootNotification")
    await settled(rig, "rejected")
    began = time.monotonic()
    rig.csms.boot_status = "Accepted"
    assert (await rig.expect("BootNotification"))["reason"] == "PowerUp"
    assert time.monotonic() - began >= 0.8  # B03.FR.06
    assert [seen.action for seen in rig.csms.seen][:2] == ["BootNotification"] * 2  # B03.FR.02
    await rig.status("Available")


@case(start=False)
async def test_tc_b_30_cs_cold_boot_rejected_security_error(rig: Rig201) -> None:
    rig.csms.boot_status, rig.csms.interval_s = "Rejected", 600
    await rig.start_agent(wait=False)
    await rig.expect("BootNotification")
    await settled(rig, "rejected")
    code = await rig.refused("GetBaseReport", check=True, requestId=1, reportBase="FullInventory")
    assert code == "SecurityError"  # B03.FR.08
    await rig.silent("NotifyReport")


@case(start=False)
async def test_with_interval_0_the_station_chooses_its_wait(rig: Rig201) -> None:
    """B02.FR.07, B03.FR.05"""
    rig.csms.boot_status, rig.csms.interval_s = "Pending", 0
    await rig.start_agent(wait=False)
    await rig.expect("BootNotification")
    await rig.expect("BootNotification")
    seen = len(rig.csms.sent("BootNotification"))
    assert seen < 20


@case()
async def test_a_boot_without_an_answer_is_told_again(rig: Rig201) -> None:
    first = iter([SILENCE])
    rig.answer("BootNotification", lambda told: next(first, None) or rig.csms.default("BootNotification", told))
    assert await rig.call("Reset", type="Immediate") == {"status": "Accepted"}
    await starts_again(rig, wait=False)
    await rig.expect("BootNotification")
    assert (await rig.expect("BootNotification", timeout_s=20.0))["reason"] == "RemoteReset"


# ---- why it has started (B01.FR.09) ----


@case()
async def test_why_it_has_started_is_what_it_says(rig: Rig201) -> None:
    # By the service manager, or a technician.
    await rig.stop_agent()
    await rig.start_agent()
    # By the network, twice: the reason goes with one start only.
    for _ in range(2):
        assert await rig.call("Reset", type="Immediate") == {"status": "Accepted"}
        await starts_again(rig)
    await rig.stop_agent()
    await rig.start_agent()
    # The machine itself was off.
    await rig.power_cut()
    await rig.power_back()
    assert boots(rig.csms) == ["PowerUp", "LocalReset", "RemoteReset", "RemoteReset", "LocalReset", "PowerUp"]


@case()
async def test_a_machine_that_restarts_for_a_reset_says_so(rig: Rig201) -> None:
    assert await rig.call("Reset", type="Immediate") == {"status": "Accepted"}
    await rig.agent_left()
    rig.boot += "+"
    await rig.start_agent()
    assert boots(rig.csms) == ["PowerUp", "RemoteReset"]


# ---- B04 ----


@case(evses=2, settings=NEAR)
async def test_tc_b_51_cs_status_change_offline_beyond_the_threshold(rig: Rig201) -> None:
    await rig.go_offline()
    rig.hardware.plug(1)
    await asyncio.sleep(0.2)
    rig.mark()
    await rig.go_online()
    await rig.status("Occupied", 1)
    await rig.status("Available", 2)  # B04.FR.01
    assert rig.sent("BootNotification") == []


@case(evses=2, settings=FAR)
async def test_tc_b_52_cs_status_change_offline_below_the_threshold(rig: Rig201) -> None:
    await calm(rig)
    await rig.go_offline()
    rig.hardware.plug(1)
    await asyncio.sleep(0.2)
    rig.mark()
    await rig.go_online()
    await rig.status("Occupied", 1)
    await rig.expect("Heartbeat")
    assert [payload["evseId"] for payload in rig.sent("StatusNotification")] == [1]  # B04.FR.02


@case(change=lambda config: replace(config, ocpp=replace(config.ocpp, back_off_minimum_s=0.4)))
async def test_tc_b_57_cs_network_reconnection(rig: Rig201) -> None:
    """Part 4 §5.3: the wait begins with the minimum, doubles so often, and is then kept."""
    await rig.configure(OCPPCommCtrlr__RetryBackOffRepeatTimes="1", OCPPCommCtrlr__RetryBackOffRandomRange="0")
    # Refused at the door: each try is seen, and how long after the one before.
    tries: list[float] = []

    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tries.append(time.monotonic())
        writer.close()

    port = int(rig.csms.url.rsplit(":", 1)[1].split("/")[0])
    await rig.csms.stop_listening()
    server = await asyncio.start_server(refuse, "127.0.0.1", port)
    try:
        await rig.until(lambda: len(tries) >= 4, timeout_s=15.0)
    finally:
        server.close()
        await server.wait_closed()
    await rig.go_online()
    waits = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert min(waits[:3]) >= 0.75
    assert len(boots(rig.csms)) == 1  # what was accepted stays accepted


# ---- B11, B12 ----


@case(evses=2)
async def test_tc_b_20_cs_reset_without_transaction_on_idle(rig: Rig201) -> None:
    assert await rig.call("Reset", type="OnIdle") == {"status": "Accepted"}
    await starts_again(rig)
    assert boots(rig.csms) == ["PowerUp", "RemoteReset"]
    assert {state["evseId"] for state in (seen.payload for seen in rig.csms.sent("StatusNotification"))} == {1, 2}


@case()
async def test_tc_b_21_cs_reset_with_transaction_on_idle(rig: Rig201) -> None:
    await rig.charge("CARD")
    assert await rig.call("Reset", type="OnIdle") == {"status": "Scheduled"}  # B12.FR.01
    await rig.silent("TransactionEvent", eventType="Ended")
    rig.hardware.tap("CARD", 1)
    ended = await rig.event("Ended")  # B12.FR.03
    assert ended["triggerReason"] == "StopAuthorized"
    await starts_again(rig)
    assert boots(rig.csms) == ["PowerUp", "ScheduledReset"]


@case()
async def test_tc_b_22_cs_reset_with_transaction_immediate(rig: Rig201) -> None:
    await rig.charge("CARD")
    assert await rig.call("Reset", type="Immediate") == {"status": "Accepted"}  # B12.FR.02
    ended = await rig.event("Ended", trigger="ResetCommand")  # B12.FR.04
    assert ended["transactionInfo"]["stoppedReason"] == "ImmediateReset"
    await starts_again(rig)
    assert boots(rig.csms) == ["PowerUp", "RemoteReset"]


@case(evses=2)
async def test_tc_b_23_cs_unavailable_persists_reset(rig: Rig201) -> None:
    await rig.call("ChangeAvailability", operationalStatus="Inoperative", evse={"id": 1, "connectorId": 1})
    await rig.status("Unavailable", 1)
    assert await rig.call("Reset", type="OnIdle") == {"status": "Accepted"}
    rig.mark()
    await starts_again(rig, wait=False)
    assert (await rig.expect("BootNotification"))["reason"] == "RemoteReset"
    await rig.status("Unavailable", 1)  # B11.FR.02
    await rig.status("Available", 2)


@case(evses=2)
async def test_tc_b_24_cs_reserved_persists_reset(rig: Rig201) -> None:
    token = {"idToken": "CARD", "type": "ISO14443"}
    answer = await rig.call("ReserveNow", id=1, expiryDateTime="2099-01-01T00:00:00Z", idToken=token, evseId=1)
    assert answer["status"] == "Accepted"
    await rig.status("Reserved", 1)
    assert await rig.call("Reset", type="OnIdle") == {"status": "Accepted"}
    rig.mark()
    await starts_again(rig, wait=False)
    await rig.status("Reserved", 1)  # B11.FR.05
    await rig.status("Available", 2)


@case(evses=2)
async def test_tc_b_41_cs_reset_with_several_transactions_on_idle(rig: Rig201) -> None:
    await rig.charge("ONE", 1)
    await rig.charge("TWO", 2)
    assert await rig.call("Reset", type="OnIdle") == {"status": "Scheduled"}
    rig.hardware.unplug(1)
    await rig.event("Ended")
    assert rig.app is not None
    rig.hardware.unplug(2)
    await rig.event("Ended")
    await starts_again(rig)
    assert boots(rig.csms) == ["PowerUp", "ScheduledReset"]


@case()
async def test_tc_b_28_cs_reset_of_an_evse_is_not_supported(rig: Rig201) -> None:
    assert (await rig.call("Reset", type="OnIdle", evseId=1))["status"] == "Rejected"  # B11.FR.09
    assert (await rig.call("Reset", type="OnIdle", evseId=9))["status"] == "Rejected"
    assert await rig.variable("EVSE", "AllowReset", evse={"id": 1}) == "false"  # B11.FR.10


@case()
async def test_tc_b_29_cs_reset_of_an_evse_with_a_transaction_is_not_supported(rig: Rig201) -> None:
    await rig.charge("CARD")
    for kind in ("OnIdle", "Immediate"):
        assert (await rig.call("Reset", type=kind, evseId=1))["status"] == "Rejected"  # B12.FR.09
    await rig.silent("TransactionEvent", eventType="Ended")


@case()
async def test_an_end_that_the_network_does_not_answer_is_told_after_the_reset(rig: Rig201) -> None:
    """B12.FR.05"""
    await rig.charge("CARD")
    rig.answer("TransactionEvent", SILENCE)
    assert await rig.call("Reset", type="Immediate") == {"status": "Accepted"}
    assert await rig.agent_left() == EXIT_RESTART
    del rig.csms.answers["TransactionEvent"]
    rig.mark()
    await rig.start_agent(wait=False)
    ended = await rig.event("Ended", trigger="ResetCommand")
    assert ended["transactionInfo"]["stoppedReason"] == "ImmediateReset"


# ---- 2.1 B13 ----


@case(versions=("ocpp2.1",))
async def test_reset_and_resume_goes_on_with_the_transaction(rig: Rig201) -> None:
    """B13.FR.03, FR.04, FR.20 to FR.24, FR.30"""
    transaction = await rig.charge("CARD")
    assert await rig.call("Reset", type="ImmediateAndResume") == {"status": "Accepted"}
    await rig.event("Updated", trigger="ResetCommand")
    await starts_again(rig, wait=False)
    resumed = await rig.event("Updated", trigger="TxResumed")
    assert resumed["transactionInfo"]["transactionId"] == transaction
    await rig.until(lambda: rig.hardware.outlets[1].closed)
    rig.hardware.unplug(1)
    assert (await rig.event("Ended"))["transactionInfo"]["transactionId"] == transaction
    assert boots(rig.csms) == ["PowerUp", "RemoteReset"]


@case(versions=("ocpp2.1",), settings={"TxCtrlr.AllowEnergyTransferResumption": "false"})
async def test_reset_and_resume_may_be_told_not_to_charge_on(rig: Rig201) -> None:
    """B13.FR.25"""
    await rig.charge("CARD")
    assert await rig.call("Reset", type="ImmediateAndResume") == {"status": "Accepted"}
    await starts_again(rig, wait=False)
    resumed = await rig.event("Updated", trigger="TxResumed")
    assert resumed["transactionInfo"]["chargingState"] == "SuspendedEVSE"


@case(versions=("ocpp2.1",), settings={"TxCtrlr.ResumptionTimeout": "0"})
async def test_without_resumption_there_is_no_reset_and_resume(rig: Rig201) -> None:
    """B13.FR.01"""
    assert (await rig.call("Reset", type="ImmediateAndResume"))["status"] == "Rejected"


@case(versions=("ocpp2.1",))
async def test_reset_and_resume_without_a_transaction_is_a_reset(rig: Rig201) -> None:
    """B13.FR.02"""
    assert await rig.call("Reset", type="ImmediateAndResume") == {"status": "Accepted"}
    await starts_again(rig)


# ---- B09, B10 ----


@case()
async def test_tc_b_43_cs_set_network_profile_rejected(rig: Rig201) -> None:
    for slot in (999, 6, -1):
        assert await write_slot(rig, slot, rig.csms.url) == "Rejected"  # B09.FR.05
    for bad in ("http://csms", "ws://user:word@csms", "", "nonsense"):
        assert await write_slot(rig, 1, bad) == "Rejected", bad  # B09.FR.02
    assert await write_slot(rig, 1, "ws://csms", ocppTransport="SOAP") == "Rejected"
    assert await write_slot(rig, 1, "ws://csms", ocppVersion="OCPP15") == "Rejected"
    assert await write_slot(rig, 1, "ws://csms", level=4) == "Rejected"
    assert await write_slot(rig, 1, "ws://csms", level=2) == "Rejected"
    assert await write_slot(rig, 1, "ws://csms", messageTimeout=0) == "Rejected"
    assert await order(rig, "1,0") == "Rejected"  # B10.FR.02: slot 1 holds nothing
    assert await order(rig, "7") == "Rejected"
    assert await order(rig, "0,0") == "Rejected"
    assert await order(rig, "") == "Rejected"
    assert await rig.variable("OCPPCommCtrlr", "NetworkConfigurationPriority") == "0"


@case()
async def test_tc_b_45_cs_migrate_success(rig: Rig201) -> None:
    first = rig.csms
    async with second(rig) as other:
        await migrate(rig, other)
        look_at(rig, other)
        await rig.ready(after=0)
        assert not first.connected  # B10.FR.06
        assert boots(first) == ["PowerUp"]
        assert boots(other) == ["RemoteReset"]
        assert await rig.variable("OCPPCommCtrlr", "ActiveNetworkProfile") == "1"
        assert await rig.variable("OCPPCommCtrlr", "NetworkConfigurationPriority") == "1,0"
        await rig.charge("CARD")
        rig.hardware.unplug(1)
        await rig.event("Ended")


@case(settings={"OCPPCommCtrlr.NetworkProfileConnectionAttempts": "2"})
async def test_tc_b_46_cs_migrate_fallback_to_the_second_entry(rig: Rig201) -> None:
    async with second(rig) as other:
        await other.stop_listening()
        await migrate(rig, other)
        await rig.ready()
        assert await rig.variable("OCPPCommCtrlr", "ActiveNetworkProfile") == "0"  # B10.FR.03
        assert await rig.variable("OCPPCommCtrlr", "NetworkConfigurationPriority") == "1,0"
        # B10.FR.04: the next start begins with the first entry again.
        await other.listen()
        assert await rig.call("Reset", type="Immediate") == {"status": "Accepted"}
        await starts_again(rig, wait=False)
        await other.wait(lambda: other.sent("BootNotification"))


@case(settings={"OCPPCommCtrlr.NetworkProfileConnectionAttempts": "1"})
async def test_tc_b_49_cs_migrate_fallback_to_the_last_that_worked(rig: Rig201) -> None:
    async with second(rig) as other:
        assert await write_slot(rig, 1, other.url) == "Accepted"
        assert await order(rig, "1") == "RebootRequired"
        assert await rig.call("Reset", type="OnIdle") == {"status": "Accepted"}
        assert await rig.agent_left() == EXIT_RESTART
        await other.stop_listening()
        await rig.csms.stop_listening()
        rig.mark()
        await rig.start_agent(wait=False)
        assert rig.app is not None
        networks = rig.app._tunnel.networks
        await rig.until(lambda: networks.trial is None)
        # B10.FR.07: it goes on with the last that worked, for as long as it takes.
        assert networks.current().url == rig.csms.url
        await rig.csms.listen()
        await rig.expect("BootNotification")


@case()
async def test_new_contents_of_the_slot_in_use_wait_for_the_reset(rig: Rig201) -> None:
    """B09 remark: what is in use is not touched before a reboot."""
    async with second(rig) as other:
        assert await write_slot(rig, 0, other.url) == "Accepted"
        await rig.silent("BootNotification")
        assert rig.online
        assert await rig.call("Reset", type="Immediate") == {"status": "Accepted"}
        await starts_again(rig, wait=False)
        await other.wait(lambda: other.sent("BootNotification"))


@case()
async def test_the_message_timeout_goes_with_the_profile(rig: Rig201) -> None:
    async with second(rig) as other:
        await migrate(rig, other, messageTimeout=17)
        look_at(rig, other)
        await rig.ready(after=0)
        assert await rig.variable("OCPPCommCtrlr", "MessageTimeout", instance="Default") == "17"


@case(change=lambda config: replace(config, ocpp=replace(config.ocpp, password="sixteen-or-more-letters")))
async def test_a_profile_without_password_takes_the_present_one(rig: Rig201) -> None:
    async with second(rig) as other:
        await migrate(rig, other, level=1)
        look_at(rig, other)
        await rig.ready(after=0)
        assert other.headers[-1]["authorization"] == rig_header(rig)


def rig_header(rig: Rig201) -> str:
    return "Basic " + base64.b64encode(f"{rig.config.ocpp.identity}:{rig.config.ocpp.password}".encode()).decode()


@case(versions=("ocpp2.1",))
async def test_2_1_identity_and_password_come_with_the_profile(rig: Rig201) -> None:
    async with second(rig, "ocpp2.1") as other:
        more = {"ocppVersion": "OCPP21", "identity": "OTHER-NAME", "basicAuthPassword": "a-password-of-its-own"}
        await migrate(rig, other, level=1, **more)
        look_at(rig, other)
        await rig.ready(after=0)
        expected = base64.b64encode(b"OTHER-NAME:a-password-of-its-own").decode()
        assert other.headers[-1]["authorization"] == f"Basic {expected}"
        assert await rig.variable("SecurityCtrlr", "Identity") == "OTHER-NAME"  # B09.FR.28


@case(versions=("ocpp2.1",))
async def test_2_1_a_slot_is_a_component_that_can_be_written(rig: Rig201) -> None:
    """B09.FR.08 to FR.13, FR.20 to FR.25"""
    assert await write_slot(rig, 2, "ws://csms/ocpp", ocppVersion="OCPP21") == "Accepted"

    async def put(slot: int, name: str, value: str) -> str:
        component = {"name": "NetworkConfiguration", "instance": str(slot)}
        data = {"component": component, "variable": {"name": name}, "attributeValue": value}
        (result,) = (await rig.call("SetVariables", setVariableData=[data]))["setVariableResult"]
        return str(result["attributeStatus"])

    async def get(slot: int, name: str) -> str:
        component = {"name": "NetworkConfiguration", "instance": str(slot)}
        data = {"component": component, "variable": {"name": name}}
        (result,) = (await rig.call("GetVariables", getVariableData=[data]))["getVariableResult"]
        return str(result.get("attributeValue", result["attributeStatus"]))

    assert await get(2, "OcppCsmsUrl") == "ws://csms/ocpp"
    assert [await get(2, name) for name in ("VpnEnabled", "ApnEnabled", "OcppVersion")] == ["false", "false", "OCPP21"]
    assert await get(2, "BasicAuthPassword") == "Rejected"
    assert await put(0, "OcppCsmsUrl", "ws://elsewhere") == "Rejected"  # B09.FR.22
    assert await put(3, "OcppVersion", "OCPP16") == "Accepted"
    assert await order(rig, "3,0") == "Rejected"
    assert await put(3, "OcppCsmsUrl", "ws://elsewhere/ocpp") == "Accepted"
    assert await put(3, "MessageTimeout", "25") == "Accepted"
    assert await put(3, "BasicAuthPassword", "a-password-of-its-own") == "Accepted"
    assert [await get(3, name) for name in ("OcppCsmsUrl", "OcppVersion", "MessageTimeout", "SecurityProfile")] == [
        "ws://elsewhere/ocpp",
        "OCPP16",
        "25",
        "0",
    ]
    for name, value in (
        ("OcppCsmsUrl", "http://x"),
        ("OcppVersion", "OCPP12"),
        ("MessageTimeout", "x"),
        ("SecurityProfile", "9"),
        ("Identity", "a b"),
        ("BasicAuthPassword", "short"),
        ("ApnEnabled", "true"),
    ):
        assert await put(3, name, value) == "Rejected", name  # B09.FR.25
    assert await order(rig, "0,3") == "RebootRequired"
    assert await put(3, "MessageTimeout", "26") == "Rejected"
