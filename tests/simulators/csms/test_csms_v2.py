"""The CSMS towards charge points of OCPP 2.0.1 and 2.1, over a real websocket: a plain client speaks raw frames."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from csms_wire import BOOT, ONLY_OF_2, START, ask, booted, call, charge_point, kinds
from csms_wire2 import BOOT_2, TX, booted_2, ended, event, started, value

from simulators.csms import Csms
from simulators.csms.behaviour import AnswerRule, Mode
from simulators.csms.dialect import OCPP_21, OCPP_201, read_versions
from simulators.csms.tokens import Token, TokenStatus
from simulators.csms.v2 import FIXED, TAKEN
from simulators.csms.wire import MessageType, check_schema

BOTH = ("ocpp2.0.1", "ocpp2.1")
NOW = "2026-01-02T03:04:05Z"
HASHES = {"hashAlgorithm": "SHA256", "issuerNameHash": "0", "issuerKeyHash": "0", "serialNumber": "1"}
COMPONENT = {"component": {"name": "EVSE"}, "variable": {"name": "Power"}}
MESSAGES: dict[str, dict[str, Any]] = {
    "Authorize": {"idToken": {"idToken": "CAFE", "type": "ISO14443"}},
    "ClearedChargingLimit": {"chargingLimitSource": "EMS"},
    "DataTransfer": {"vendorId": "org.example", "data": {"x": [1]}},
    "FirmwareStatusNotification": {"status": "Installed"},
    "Get15118EVCertificate": {"iso15118SchemaVersion": "x", "action": "Install", "exiRequest": "x"},
    "GetCertificateStatus": {"ocspRequestData": HASHES | {"responderURL": "http://127.0.0.1"}},
    "Heartbeat": {},
    "LogStatusNotification": {"status": "Uploading", "requestId": 1},
    "MeterValues": {"evseId": 1, "meterValue": [value(1.0)]},
    "NotifyChargingLimit": {"chargingLimit": {"chargingLimitSource": "EMS"}},
    "NotifyCustomerInformation": {"data": "none", "seqNo": 0, "generatedAt": NOW, "requestId": 1},
    "NotifyDisplayMessages": {"requestId": 1},
    "NotifyEVChargingNeeds": {"evseId": 1, "chargingNeeds": {"requestedEnergyTransfer": "AC_single_phase"}},
    "NotifyEvent": {
        "generatedAt": NOW,
        "seqNo": 0,
        "eventData": [
            {
                "eventId": 1,
                "timestamp": NOW,
                "trigger": "Delta",
                "actualValue": "Occupied",
                "eventNotificationType": "HardWiredNotification",
                "component": {"name": "Connector", "evse": {"id": 2, "connectorId": 1}},
                "variable": {"name": "AvailabilityState"},
            }
        ],
    },
    "NotifyMonitoringReport": {"requestId": 1, "seqNo": 0, "generatedAt": NOW},
    "NotifyReport": {"requestId": 1, "seqNo": 0, "generatedAt": NOW},
    "PublishFirmwareStatusNotification": {"status": "Idle"},
    "ReservationStatusUpdate": {"reservationId": 1, "reservationUpdateStatus": "Expired"},
    "SecurityEventNotification": {"type": "StartupOfTheDevice", "timestamp": NOW},
    "SignCertificate": {"csr": "-----BEGIN"},
    "StatusNotification": {"timestamp": NOW, "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1},
    "TransactionEvent": started(),
}
SCHEDULE = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 21.4}]}
PROFILE = {"id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative"}
MESSAGES["ReportChargingProfiles"] = {
    "requestId": 1,
    "chargingLimitSource": "CSO",
    "evseId": 1,
    "chargingProfile": [PROFILE | {"chargingSchedule": [SCHEDULE]}],
}
MESSAGES["NotifyEVChargingSchedule"] = {"timeBase": NOW, "evseId": 1, "chargingSchedule": SCHEDULE}
ONLY_21: dict[str, dict[str, Any]] = {
    "BatterySwap": {
        "batteryData": [{"evseId": 1, "serialNumber": "x", "soC": 1, "soH": 1}],
        "eventType": "BatteryIn",
        "idToken": {"idToken": "CAFE", "type": "ISO14443"},
        "requestId": 1,
    },
    "ClosePeriodicEventStream": {"id": 3},
    "GetCertificateChainStatus": {
        "certificateStatusRequests": [{"certificateHashData": HASHES, "source": "OCSP", "urls": ["http://127.0.0.1"]}]
    },
    "NotifyDERAlarm": {"controlType": "FreqDroop", "timestamp": NOW},
    "NotifyDERStartStop": {"controlId": "x", "started": True, "timestamp": NOW},
    "NotifyPriorityCharging": {"transactionId": "x", "activated": True},
    "NotifySettlement": {"pspRef": "x", "status": "Settled", "settlementAmount": 1, "settlementTime": NOW},
    "OpenPeriodicEventStream": {
        "constantStreamData": {"id": 3, "variableMonitoringId": 1, "params": {"interval": 1, "values": 2}}
    },
    "PullDynamicScheduleUpdate": {"chargingProfileId": 1},
    "ReportDERControl": {"requestId": 1},
    "VatNumberValidation": {"vatNumber": "NL1"},
}


@pytest.mark.parametrize("version", BOTH)
def test_every_message_of_a_charging_station_is_answered(version: str) -> None:
    dialect = OCPP_21 if version == "ocpp2.1" else OCPP_201
    asked = MESSAGES | (ONLY_21 if dialect is OCPP_21 else {})
    if dialect is OCPP_21:
        # In 2.1 the source of a limit is a text, and a schedule has an energy transfer type of its own words.
        asked["NotifyEVChargingNeeds"] = {"evseId": 1, "chargingNeeds": {"requestedEnergyTransfer": "AC_single_phase"}}

    async def story() -> None:
        async with Csms(versions=[version]) as csms, booted_2(csms, version) as link:
            assert link.subprotocol == version
            for action, payload in asked.items():
                kind, message_id, answer = await ask(link, call(action, action, **payload))
                assert (kind, message_id) == (3, action), answer
                check_schema(MessageType.CALL_RESULT, action, answer, dialect)
            assert csms.anomalies == []
            statuses = csms.ledger()["charge_points"]["CP1"]["statuses"]
            assert {place: status["connectorStatus"] for place, status in statuses.items()} == {
                "1": "Occupied",
                "2": "Occupied",
            }

    asyncio.run(story())


def test_no_message_is_left_out() -> None:
    """Whatever this CSMS answers, and nothing else, is asked above."""
    own = {"Authorize", "DataTransfer", "GetCertificateChainStatus", "Heartbeat", "SignCertificate", "TransactionEvent"}
    own |= {"VatNumberValidation"}
    answered = TAKEN | FIXED.keys() | own
    assert set(MESSAGES) | set(ONLY_21) | {"NotifyPeriodicEventStream"} == answered
    assert all(OCPP_21.knows(action) for action in answered)


def test_the_version_is_the_servers_choice_among_what_is_offered() -> None:
    async def story() -> None:
        async with Csms(versions=["ocpp2.0.1", "ocpp1.6"]) as csms:
            for offered, chosen in (
                (["ocpp1.6", "ocpp2.1", "ocpp2.0.1"], "ocpp2.0.1"),
                (["ocpp1.6"], "ocpp1.6"),
                (["ocpp2.1"], None),
            ):
                async with charge_point(csms, "CP1", offered) as link:
                    assert link.subprotocol == chosen
                    if chosen == "ocpp1.6":
                        assert (await ask(link, BOOT))[0] == 3
            csms.versions = read_versions("ocpp2.1")
            async with booted_2(csms, "ocpp2.1"):
                assert csms.ledger()["charge_points"]["CP1"]["subprotocol"] == "ocpp2.1"
        with pytest.raises(ValueError, match=r"ocpp2\.0' is not known"):
            Csms(versions=["ocpp2.0"])

    asyncio.run(story())


def test_a_charge_that_changes_its_network_is_one_charge() -> None:
    async def story() -> None:
        async with Csms(versions=["ocpp2.0.1", "ocpp1.6"]) as csms:
            async with booted(csms) as link:
                assert (await ask(link, START))[2]["transactionId"] == 1
            async with booted_2(csms) as link:
                end = ended(300.0, 4, evse={"id": 1})
                assert await ask(link, call("e", "TransactionEvent", **end)) == [3, "e", {}]
            books = csms.ledger()
            assert [(t["transaction_ids"], t["energy_wh"]) for t in books["transactions"]] == [([1, TX], 200)]
            assert books["anomalies"] == []

    asyncio.run(story())


def test_what_is_known_of_a_token_is_told() -> None:
    async def story() -> None:
        async with Csms(accept_unknown=False, versions=["ocpp2.0.1"]) as csms, booted_2(csms) as link:
            csms.tokens.put(Token("CAFE", TokenStatus.NO_CREDIT, "FLEET", "2099-01-01T00:00:00Z", "Please top up"))

            async def info(token: str, kind: str = "ISO14443") -> Any:
                number = str(len(csms.frames))
                return (await ask(link, call(number, "Authorize", idToken={"idToken": token, "type": kind})))[2]

            assert await info("cafe") == {
                "idTokenInfo": {
                    "status": "NoCredit",
                    "cacheExpiryDateTime": "2099-01-01T00:00:00Z",
                    "groupIdToken": {"idToken": "FLEET", "type": "Central"},
                    "personalMessage": {"format": "UTF8", "content": "Please top up"},
                }
            }
            assert await info("BEEF") == {"idTokenInfo": {"status": "Unknown"}}
            assert await info("", "NoAuthorization") == {"idTokenInfo": {"status": "Accepted"}}
            assert (await ask(link, call("s", "TransactionEvent", **started())))[2]["idTokenInfo"][
                "status"
            ] == "NoCredit"
            assert csms.ledger()["transactions"][0]["id_tag_status"] == "NoCredit"

    asyncio.run(story())


@pytest.mark.parametrize(("status", "code"), [("Pending", "SecurityError"), ("Rejected", "SecurityError")])
def test_before_the_boot_is_accepted_only_what_was_asked_for_is_taken(status: str, code: str) -> None:
    async def story() -> None:
        async with Csms(versions=["ocpp2.0.1"]) as csms, charge_point(csms, "CP1", ["ocpp2.0.1"]) as link:
            csms.boot = type(csms.boot)(status, 0)
            assert (await ask(link, BOOT_2))[2]["status"] == status
            assert (await ask(link, call("h", "Heartbeat")))[:3] == [4, "h", code]
            assert kinds(csms) == ["before-accepted-boot"]
            report = asyncio.create_task(csms.call("CP1", "GetBaseReport", {"requestId": 1, "reportBase": "x"}))
            message_id = json.loads(await link.recv())[1]
            await link.send(json.dumps([3, message_id, {"status": "Accepted"}]))
            await report
            part = call("r", "NotifyReport", requestId=1, seqNo=0, generatedAt=NOW)
            # B02.FR.01: a report that was asked for may come while pending; nothing may while rejected (B03).
            assert (await ask(link, part))[0] == (3 if status == "Pending" else 4)
            assert kinds(csms)[1:] == ([] if status == "Pending" else ["before-accepted-boot"])

    asyncio.run(story())


PROVOCATIONS: list[tuple[str, list[str]]] = [
    (
        "sequence-gap",
        [call("1", "TransactionEvent", **started()), call("2", "TransactionEvent", **event("Updated", 2))],
    ),
    (
        "sequence-order",
        [
            call("1", "TransactionEvent", **started(seqNo=5)),
            call("2", "TransactionEvent", **event("Updated", 2)),
        ],
    ),
    (
        "event-differs",
        [call("1", "TransactionEvent", **started()), call("2", "TransactionEvent", **started(1001.0))],
    ),
    (
        "event-after-end",
        [
            call("1", "TransactionEvent", **started()),
            call("2", "TransactionEvent", **ended()),
            call("3", "TransactionEvent", **event("Updated", 2)),
        ],
    ),
    ("answer-refused", ['[5,"b1","FormatViolation","I do not like it",{}]']),
    ("report-broken", [call("r", "NotifyReport", requestId=1, seqNo=1, generatedAt=NOW)]),
    ("schema-violation", [call("h", "Heartbeat", extra=1)]),
    ("schema-violation", ['[6,"s","NotifyPeriodicEventStream",{"id":1}]']),
    ("unknown-action", [call("r", "Reset", type="Immediate")]),
    ("malformed-frame", ['[6,"s","NotifyPeriodicEventStream"]']),
    ("malformed-frame", ['[7,"s","Heartbeat",{}]']),
    ("timestamp-invalid", [call("r", "NotifyReport", requestId=1, seqNo=0, generatedAt="now")]),
]


@pytest.mark.parametrize(("kind", "frames"), PROVOCATIONS)
def test_provoked(kind: str, frames: list[str]) -> None:
    async def story() -> None:
        async with Csms(versions=["ocpp2.1"]) as csms, booted_2(csms, "ocpp2.1") as link:
            for frame in frames:
                await link.send(frame)
                probe = f"probe-{len(csms.frames)}"
                await link.send(call(probe, "Heartbeat"))
                while json.loads(await link.recv())[1] != probe:
                    pass
            assert [found for found in kinds(csms) if found != "two-calls-outstanding"] == [kind]

    asyncio.run(story())


def test_every_kind_of_2_is_provoked() -> None:
    assert {kind.value for kind in ONLY_OF_2} <= {kind for kind, _ in PROVOCATIONS}


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('[2,"x","Heartbeat"]', "RpcFrameworkError"),
        ('[9,"x","Heartbeat",{}]', "RpcFrameworkError"),
        (call("x", "Reset", type="Immediate"), "NotSupported"),
        (call("x", "MakeCoffee"), "NotImplemented"),
        (call("x", "Heartbeat", extra=1), "FormatViolation"),
        (call("x", "NotifyEvent", generatedAt=NOW, seqNo=0, eventData=[]), "OccurrenceConstraintViolation"),
        (call("x", "Authorize"), "ProtocolError"),
    ],
)
def test_what_is_wrong_is_answered_with_its_callerror(frame: str, code: str) -> None:
    async def story() -> None:
        async with Csms(versions=["ocpp2.0.1"]) as csms, booted_2(csms) as link:
            assert (await ask(link, frame))[:3] == [4, "x", code]

    asyncio.run(story())


def test_send_is_taken_and_never_answered() -> None:
    """OCPP 2.1 part 4: a SEND has no answer and may overtake an open CALL."""

    async def story() -> None:
        async with Csms(versions=["ocpp2.1"]) as csms, booted_2(csms, "ocpp2.1") as link:
            await ask(link, call("o", "OpenPeriodicEventStream", **ONLY_21["OpenPeriodicEventStream"]))
            csms.behaviour.delay("Heartbeat", 0.05)
            await link.send(call("h", "Heartbeat"))
            values = {"id": 3, "pending": 0, "basetime": NOW, "data": [{"t": 0.5, "v": "16.0"}]}
            await link.send(json.dumps([6, "s", "NotifyPeriodicEventStream", values]))
            assert json.loads(await link.recv())[:2] == [3, "h"]
            (stream,) = csms.station("CP1").collected.streams[3]
            assert (stream["t"], stream["v"], stream["basetime"]) == (0.5, "16.0", NOW)
            assert csms.station("CP1").collected.offered_streams[3]["variableMonitoringId"] == 1
            assert (await csms.wait_for("NotifyPeriodicEventStream"))[0].payload == values
            assert csms.anomalies == []

    asyncio.run(story())


@pytest.mark.parametrize(("version", "objected"), [("ocpp2.0.1", False), ("ocpp2.1", True)])
def test_an_answer_that_breaks_its_schema_is_objected_to_where_that_exists(version: str, objected: bool) -> None:
    async def story() -> None:
        async with Csms(versions=[version]) as csms, booted_2(csms, version) as link:
            task = asyncio.create_task(csms.call("CP1", "ClearCache"))
            message_id = json.loads(await link.recv())[1]
            await link.send(json.dumps([3, message_id, {"status": "Perhaps"}]))
            assert await task == {"status": "Perhaps"}
            assert kinds(csms) == ["schema-violation"]
            first = await ask(link, call("h", "Heartbeat"))
            assert (first[:3] == [5, message_id, "PropertyConstraintViolation"]) is objected

    asyncio.run(story())


def test_an_objection_to_an_answer_that_was_spoilt_on_command_is_right() -> None:
    async def story() -> None:
        async with Csms(versions=["ocpp2.1"]) as csms, booted_2(csms, "ocpp2.1") as link:
            csms.behaviour.add("Heartbeat", AnswerRule(Mode.WRONG_TYPE, 1))
            await ask(link, call("h", "Heartbeat"))
            await link.send('[5,"h","TypeConstraintViolation","currentTime",{}]')
            await ask(link, call("h2", "Heartbeat"))
            assert csms.anomalies == []

    asyncio.run(story())


def test_a_report_in_parts_is_put_together() -> None:
    async def story() -> None:
        async with Csms(versions=["ocpp2.0.1"]) as csms, booted_2(csms) as link:
            data = [COMPONENT | {"variableAttribute": [{"value": str(number)}]} for number in range(3)]
            for number in range(3):
                part = {"requestId": 9, "seqNo": number, "generatedAt": NOW, "reportData": [data[number]]}
                await ask(link, call(f"r{number}", "NotifyReport", **part, tbc=number < 2))
                assert csms.station("CP1").collected.reports[-1].complete is (number == 2)
            report = await csms.wait_report(9)
            assert (report.parts, report.content) == (3, data)
            assert csms.ledger()["charge_points"]["CP1"]["collected"]["reports"][0]["complete"] is True

    asyncio.run(story())


def test_a_killed_csms_knows_events_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with Csms(dir=tmp_path, versions=["ocpp2.0.1"]) as csms, booted_2(csms) as link:
            await ask(link, call("1", "TransactionEvent", **started()))
            csms.behaviour.add("TransactionEvent", AnswerRule(Mode.IGNORE, 1))
            await link.send(call("2", "TransactionEvent", **ended()))
            await ask(link, call("h", "StatusNotification", **MESSAGES["StatusNotification"]))
        async with Csms(dir=tmp_path, versions=["ocpp2.0.1"], resume=True) as csms:
            (entry,) = csms.ledger()["transactions"]
            assert (entry["transaction_ids"], entry["id_tag_status"], entry["stopped_at"]) == ([TX], "Accepted", None)
            station = csms.ledger()["charge_points"]["CP1"]
            assert (station["boot_status"], station["statuses"]["1"]["connectorStatus"]) == ("Accepted", "Occupied")
            async with charge_point(csms, "CP1", ["ocpp2.0.1"]) as link:
                assert (await ask(link, call("2", "TransactionEvent", **ended())))[0] == 3
            assert csms.ledger()["transactions"][0]["energy_wh"] == 500
            assert csms.anomalies == []

    asyncio.run(story())
