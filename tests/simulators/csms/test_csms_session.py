"""The CSMS over a real websocket: a plain client speaks raw frames by literals."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from csms_wire import BOOT, START, ask, booted, call, charge_point
from ocpp.v16 import call as ocpp_call
from ocpp.v16 import call_result

from simulators.csms import CallRefused, Csms
from simulators.csms.behaviour import AnswerRule, Mode
from simulators.csms.frames import read_frames


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


EVERY_MESSAGE = {
    "Authorize": ({"idTag": "CAFE"}, {"idTagInfo": {"status": "Accepted"}}),
    "DataTransfer": ({"vendorId": "org.example", "data": "x"}, {"status": "UnknownVendorId"}),
    "DiagnosticsStatusNotification": ({"status": "Uploading"}, {}),
    "FirmwareStatusNotification": ({"status": "Installed"}, {}),
    "LogStatusNotification": ({"status": "Uploading", "requestId": 1}, {}),
    "MeterValues": (
        {"connectorId": 0, "meterValue": [{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": [{"value": "1"}]}]},
        {},
    ),
    "SecurityEventNotification": ({"type": "StartupOfTheDevice", "timestamp": "2026-01-01T00:00:00Z"}, {}),
    "SignCertificate": ({"csr": "-----BEGIN"}, {"status": "Accepted"}),
    "SignedFirmwareStatusNotification": ({"status": "Installed", "requestId": 1}, {}),
    "StatusNotification": ({"connectorId": 1, "errorCode": "NoError", "status": "Available"}, {}),
}


def test_every_message_of_a_charge_point_is_answered() -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            for action, (payload, expected) in EVERY_MESSAGE.items():
                assert await ask(link, call(action, action, **payload)) == [3, action, expected]
            assert csms.anomalies == []
            assert [c.action for c in csms.calls] == ["BootNotification", *EVERY_MESSAGE]
            assert csms.ledger()["charge_points"]["CP1"]["statuses"]["1"]["status"] == "Available"

    asyncio.run(story())


def test_boot_pending_and_rejected_with_interval() -> None:
    async def story() -> None:
        async with Csms() as csms, charge_point(csms) as link:
            csms.boot = type(csms.boot)("Pending", 7)
            assert (await ask(link, BOOT))[2] | {"currentTime": ""} == {
                "currentTime": "",
                "interval": 7,
                "status": "Pending",
            }
            assert csms.ledger()["charge_points"]["CP1"]["boot_status"] == "Pending"

    asyncio.run(story())


def test_a_charge_point_is_named_by_the_last_part_of_the_decoded_path() -> None:
    async def story() -> None:
        async with Csms() as csms, charge_point(csms, "ocpp/16/DE%2F1%20a") as link:
            await ask(link, BOOT)
            assert list(csms.stations) == ["DE/1 a"]

    asyncio.run(story())


def test_calls_with_the_typed_messages_of_ocpp() -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            session = csms.session("CP1")
            limit = {
                "connector_id": 1,
                "cs_charging_profiles": {
                    "charging_profile_id": 1,
                    "stack_level": 0,
                    "charging_profile_purpose": "TxDefaultProfile",
                    "charging_profile_kind": "Absolute",
                    "charging_schedule": {
                        "charging_rate_unit": "A",
                        "charging_schedule_period": [{"start_period": 0, "limit": 21.4}],
                    },
                },
            }
            # The library alone fails on the second validation of such a payload: it rewrites it to decimals.
            for _ in range(2):
                task = asyncio.create_task(session.call(ocpp_call.SetChargingProfile(**limit)))
                _, message_id, action, payload = json.loads(await link.recv())
                period = payload["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]
                assert (action, period["limit"]) == ("SetChargingProfile", 21.4)
                await link.send(json.dumps([3, message_id, {"status": "Accepted"}]))
                assert await task == call_result.SetChargingProfile(status="Accepted")

            task = asyncio.create_task(session.call(ocpp_call.ClearCache()))
            message_id = json.loads(await link.recv())[1]
            await link.send(json.dumps([4, message_id, "NotSupported", "", {}]))
            with pytest.raises(CallRefused):
                await task

    asyncio.run(story())


def test_a_pending_command_fails_at_once_when_the_link_goes() -> None:
    async def story() -> None:
        async with Csms() as csms:
            async with booted(csms) as link:
                task = asyncio.create_task(csms.call(None, "ClearCache", timeout_s=600))
                await link.recv()
            with pytest.raises(ConnectionError, match="CP1 disconnected before it answered ClearCache"):
                await task
            with pytest.raises(ConnectionError, match="no charge point is connected"):
                await csms.call(None, "ClearCache")
            with pytest.raises(ConnectionError, match="'CP9' is not connected"):
                await csms.call("CP9", "ClearCache")

    asyncio.run(story())


def test_a_command_without_answer_times_out_and_its_late_answer_is_no_anomaly() -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            with pytest.raises(TimeoutError, match=r"did not answer ClearCache within 0\.05 s"):
                await csms.call("CP1", "ClearCache", timeout_s=0.05)
            message_id = json.loads(await link.recv())[1]
            await link.send(json.dumps([3, message_id, {"status": "Accepted"}]))
            assert (await ask(link, call("h", "Heartbeat")))[1] == "h"
            assert csms.anomalies == []

    asyncio.run(story())


def test_two_charge_points_must_be_told_apart() -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms, "A"), booted(csms, "B"):
            with pytest.raises(ValueError, match="several charge points are connected"):
                csms.session()
            assert csms.session("B").id == "B"

    asyncio.run(story())


def test_every_frame_is_in_the_log_and_the_file_says_the_same(tmp_path: Path) -> None:
    async def story() -> None:
        async with Csms(dir=tmp_path) as csms:
            async with booted(csms) as link:
                await link.send("garbage ☠")
                await link.send(b"\x00\xff")
                await ask(link, call("h", "Heartbeat"))
            await csms.wait_disconnected()
            log = [(f.direction.value, f.connection, f.binary, f.text) for f in csms.frames]
            assert log[0] == ("opened", 1, False, "/CP1")
            assert log[1] == ("received", 1, False, BOOT)
            assert log[2][0] == "sent"
            assert log[3:6] == [
                ("received", 1, False, "garbage ☠"),
                ("received", 1, True, "00ff"),
                ("received", 1, False, call("h", "Heartbeat")),
            ]
            assert log[7] == ("closed", 1, False, "1000")
            assert [f.number for f in csms.frames] == list(range(1, 9))
            moments = [f.monotonic_s for f in csms.frames]
            assert moments == sorted(moments)
            assert read_frames(tmp_path / "frames.jsonl") == csms.frames

    asyncio.run(story())


def test_thousands_of_messages_in_a_row() -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            waiting = asyncio.create_task(csms.wait_for("Heartbeat", count=3000, timeout_s=100))
            for number in range(3000):
                assert (await ask(link, call(str(number), "Heartbeat")))[1] == str(number)
            assert len(await waiting) == 3000
            assert csms.anomalies == []

    asyncio.run(story())


def test_a_broken_handler_answers_internal_error_and_the_session_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            with monkeypatch.context() as patch:
                patch.setattr(csms, "now_text", lambda: 1 / 0)
                assert await ask(link, call("h", "Heartbeat")) == [4, "h", "InternalError", "ZeroDivisionError", {}]
            assert (await ask(link, call("h2", "Heartbeat")))[0] == 3

    asyncio.run(story())


def test_an_earlier_run_is_read_back(tmp_path: Path) -> None:
    stop = call("e", "StopTransaction", transactionId=1, meterStop=150, timestamp="2026-01-02T04:00:00Z")
    sample = {"timestamp": "2026-01-02T03:30:00Z", "sampledValue": [{"value": "120"}]}

    async def story() -> None:
        async with Csms(dir=tmp_path) as csms:
            async with booted(csms) as link:
                csms.set_call_timeout(0)
                await ask(link, START)
                await ask(link, call("v", "MeterValues", connectorId=1, transactionId=1, meterValue=[sample]))
                await ask(link, stop)
                await ask(link, call("n", "StatusNotification", connectorId=1, errorCode="NoError", status="Available"))
                # What was never answered, or answered with nonsense, is not known afterwards.
                csms.behaviour.add("StartTransaction", AnswerRule(Mode.DROP, 1))
                csms.behaviour.add("StartTransaction", AnswerRule(Mode.MALFORMED, 1))
                csms.behaviour.add("StartTransaction", AnswerRule(Mode.WRONG_TYPE, 1))
                for number in (2, 3, 4):
                    await link.send(START.replace("s1", f"s{number}").replace("100", f"10{number}"))
                await link.send("garbage")
                await link.recv()
                await link.recv()
            await csms.wait_disconnected()
            before = csms.ledger()
        async with Csms(dir=tmp_path, resume=True) as csms:
            after = csms.ledger()
            assert after["transactions"] == before["transactions"][:1]
            assert after["transactions"][0]["energy_wh"] == 50
            assert after["charge_points"]["CP1"] == before["charge_points"]["CP1"]
            async with charge_point(csms) as link:
                await ask(link, call("h", "Heartbeat"))
                assert csms.anomalies == []
                assert csms.frames[-1].connection == 2

    asyncio.run(story())
