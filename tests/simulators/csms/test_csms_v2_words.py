"""The words that ask in whatever version a charge point speaks, and those that came with 2.x."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from cryptography import x509
from csms_wire import START, ask, booted, call
from csms_wire2 import TX, booted_2, started
from websockets.asyncio.client import ClientConnection

from simulators.csms import Csms
from simulators.csms.dialect import OCPP_16, OCPP_21, OCPP_201
from simulators.csms.vocabulary import WordError, run_word
from simulators.csms.wire import MessageType, check_schema
from simulators.pki import new_key

PROFILE_2 = {
    "id": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": [
        {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}]}
    ],
}

ASKED_2: list[tuple[list[str], str, dict[str, Any]]] = [
    (
        ["remote-start", "CAFE", "evse=1", "id=7"],
        "RequestStartTransaction",
        {"remoteStartId": 7, "idToken": {"idToken": "CAFE", "type": "Central"}, "evseId": 1},
    ),
    (["remote-stop"], "RequestStopTransaction", {"transactionId": TX}),
    (["remote-stop", "other"], "RequestStopTransaction", {"transactionId": "other"}),
    (
        ["get-variable", "SampledDataCtrlr.TxUpdatedInterval"],
        "GetVariables",
        {"getVariableData": [{"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "TxUpdatedInterval"}}]},
    ),
    (
        ["get-variable", "A[1].B[x]", "evse=1", "connector=2", "attribute=MaxSet"],
        "GetVariables",
        {
            "getVariableData": [
                {
                    "component": {"name": "A", "instance": "1", "evse": {"id": 1, "connectorId": 2}},
                    "variable": {"name": "B", "instance": "x"},
                    "attributeType": "MaxSet",
                }
            ]
        },
    ),
    (
        ["set-variable", "A.B", "a=b"],
        "SetVariables",
        {"setVariableData": [{"component": {"name": "A"}, "variable": {"name": "B"}, "attributeValue": "a=b"}]},
    ),
    (["profile", "1", json.dumps(PROFILE_2)], "SetChargingProfile", {"evseId": 1, "chargingProfile": PROFILE_2}),
    (["clear-profiles"], "ClearChargingProfile", {"chargingProfileCriteria": {}}),
    (["clear-profiles", "id=3"], "ClearChargingProfile", {"chargingProfileId": 3}),
]
ASKED_16: list[tuple[list[str], str, dict[str, Any]]] = [
    (["remote-start", "CAFE", "evse=1"], "RemoteStartTransaction", {"idTag": "CAFE", "connectorId": 1}),
    (["remote-stop"], "RemoteStopTransaction", {"transactionId": 1}),
    (["remote-stop", "9"], "RemoteStopTransaction", {"transactionId": 9}),
    (["get-variable", "HeartbeatInterval"], "GetConfiguration", {"key": ["HeartbeatInterval"]}),
    (["set-variable", "HeartbeatInterval", "60"], "ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}),
    (["clear-profiles"], "ClearChargingProfile", {}),
    (["clear-profiles", "id=3"], "ClearChargingProfile", {"id": 3}),
]


async def word_and_call(csms: Csms, link: ClientConnection, words: list[str]) -> tuple[str, Any]:
    """Run a word, answer its call, and return what was asked."""
    command = asyncio.create_task(run_word(csms, words[0], words[1:]))
    _, message_id, action, payload = json.loads(await link.recv())
    await link.send(json.dumps([3, message_id, {"status": "Accepted"}]))
    assert await command == {"status": "Accepted"}
    return action, payload


@pytest.mark.parametrize(("words", "action", "payload"), ASKED_2, ids=lambda v: v[0] if isinstance(v, list) else "")
def test_asked_under_2(words: list[str], action: str, payload: dict[str, Any]) -> None:
    async def story() -> None:
        async with Csms(versions=["ocpp2.0.1"]) as csms, booted_2(csms) as link:
            await ask(link, call("s", "TransactionEvent", **started()))
            assert await word_and_call(csms, link, words) == (action, payload)
        check_schema(MessageType.CALL, action, payload, OCPP_201)
        check_schema(MessageType.CALL, action, payload, OCPP_21)

    asyncio.run(story())


@pytest.mark.parametrize(("words", "action", "payload"), ASKED_16, ids=lambda v: v[0] if isinstance(v, list) else "")
def test_asked_under_1_6(words: list[str], action: str, payload: dict[str, Any]) -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            await ask(link, START)
            # The word is checked, not what this bare charge point would answer.
            command = asyncio.create_task(run_word(csms, words[0], words[1:]))
            _, message_id, asked, content = json.loads(await link.recv())
            await link.send(json.dumps([3, message_id, {}]))
            await command
            assert (asked, content) == (action, payload)
        check_schema(MessageType.CALL, action, payload, OCPP_16)

    asyncio.run(story())


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
def test_limits_and_starts_with_a_profile_fit_the_schema(version: str) -> None:
    async def story() -> None:
        async with (
            Csms(versions=[version]) as csms,
            booted(csms) if version == "ocpp1.6" else booted_2(csms, version) as link,
        ):
            for evse in ("0", "1"):
                action, payload = await word_and_call(csms, link, ["limit", "10.5", f"evse={evse}"])
                check_schema(MessageType.CALL, action, payload, csms.session().dialect)
                content = payload["chargingProfile" if version != "ocpp1.6" else "csChargingProfiles"]
                assert content["chargingProfilePurpose"].startswith("TxDefault" if evse == "1" else "Charg")
            if version != "ocpp1.6":
                words = ["remote-start", "CAFE", f"profile={json.dumps(PROFILE_2)}"]
                action, payload = await word_and_call(csms, link, words)
                check_schema(MessageType.CALL, action, payload, csms.session().dialect)

    asyncio.run(story())


@pytest.mark.parametrize(("version", "word"), [("ocpp2.0.1", "OCPP20"), ("ocpp2.1", "OCPP21")])
def test_network_profiles(version: str, word: str) -> None:
    async def story() -> None:
        async with Csms(versions=[version]) as csms, booted_2(csms, version) as link:
            words = ["network-profile", "2", "wss://127.0.0.1:9/x", "security=2", "message-timeout=20"]
            action, payload = await word_and_call(csms, link, words)
            check_schema(MessageType.CALL, action, payload, csms.session().dialect)
            assert (action, payload["configurationSlot"]) == ("SetNetworkProfile", 2)
            assert payload["connectionData"]["ocppVersion"] == word
            assert (payload["connectionData"]["securityProfile"], payload["connectionData"]["messageTimeout"]) == (
                2,
                20,
            )
            _, payload = await word_and_call(csms, link, [*words, "version=ocpp1.6", "interface=Cellular0"])
            assert payload["connectionData"]["ocppVersion"] == "OCPP16"
            with pytest.raises(ValueError, match="has words for ocpp1"):
                await run_word(csms, words[0], [*words[1:], "version=ocpp2"])

    asyncio.run(story())


def test_a_report_is_asked_for_and_waited_for() -> None:
    async def story() -> None:
        async with Csms(versions=["ocpp2.0.1"]) as csms, booted_2(csms) as link:
            command = asyncio.create_task(run_word(csms, "report", ["ConfigurationInventory"]))
            _, message_id, action, payload = json.loads(await link.recv())
            assert (action, payload["reportBase"]) == ("GetBaseReport", "ConfigurationInventory")
            await link.send(json.dumps([3, message_id, {"status": "Accepted"}]))
            part = {"requestId": payload["requestId"], "generatedAt": "2026-01-01T00:00:00Z"}
            await ask(link, call("0", "NotifyReport", **part, seqNo=0, tbc=True))
            assert not command.done()
            await ask(link, call("1", "NotifyReport", **part, seqNo=1))
            assert (await command)["parts"] == 2
            assert (await run_word(csms, "collected", []))["reports"][0]["complete"] is True

            command = asyncio.create_task(run_word(csms, "report", []))
            message_id = json.loads(await link.recv())[1]
            await link.send(json.dumps([3, message_id, {"status": "EmptyResultSet"}]))
            assert await command == {"status": "EmptyResultSet"}

    asyncio.run(story())


def test_a_field_within_another_is_waited_for() -> None:
    async def story() -> None:
        async with Csms(versions=["ocpp2.0.1"]) as csms, booted_2(csms) as link:
            await ask(link, call("s", "TransactionEvent", **started()))
            words = ["TransactionEvent", "eventType=Started", "idToken.idToken=CAFE", "evse.id=1"]
            assert len(await run_word(csms, "wait-for", words)) == 1
            with pytest.raises(TimeoutError, match="got 0"):
                await run_word(csms, "wait-for", ["TransactionEvent", "idToken.idToken.x=CAFE", "timeout=0.01"])

    asyncio.run(story())


def test_fields_are_added_to_an_answer() -> None:
    async def story() -> None:
        async with Csms(versions=["ocpp2.0.1"]) as csms, booted_2(csms) as link:
            await run_word(csms, "also", ["TransactionEvent", '{"totalCost":1.5}'])
            answer = await ask(link, call("s", "TransactionEvent", **started()))
            assert answer[2] == {"idTokenInfo": {"status": "Accepted"}, "totalCost": 1.5}
            assert await run_word(csms, "also", ["TransactionEvent", "{}"]) == {"extras": {}}
            await run_word(csms, "also", ["Heartbeat", '{"x":1}'])
            await run_word(csms, "normal", [])
            assert csms.extras == {}

    asyncio.run(story())


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
def test_a_signed_certificate_follows_its_request(version: str) -> None:
    more = {"ocpp1.6": {}, "ocpp2.0.1": {"certificateType": "ChargingStationCertificate"}, "ocpp2.1": {"requestId": 4}}
    key = new_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CP1")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    from cryptography.hazmat.primitives import hashes, serialization

    csr = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    async def story() -> None:
        async with (
            Csms(versions=[version]) as csms,
            booted(csms) if version == "ocpp1.6" else booted_2(csms, version) as link,
        ):
            root = (await run_word(csms, "ca", ["on"]))["root"]
            assert (await ask(link, call("s", "SignCertificate", csr=csr, **more[version])))[2] == {
                "status": "Accepted"
            }
            _, message_id, action, payload = json.loads(await link.recv())
            assert (action, payload.items() >= more[version].items()) == ("CertificateSigned", True)
            chain = x509.load_pem_x509_certificates(payload["certificateChain"].encode())
            chain[0].verify_directly_issued_by(x509.load_pem_x509_certificate(root.encode()))
            await link.send(json.dumps([3, message_id, {"status": "Accepted"}]))
            assert (await ask(link, call("t", "SignCertificate", csr="nonsense")))[2] == {"status": "Rejected"}
            assert await run_word(csms, "ca", ["off"]) == {"root": None}
            assert (await ask(link, call("u", "SignCertificate", csr=csr)))[2] == {"status": "Accepted"}
            assert csms.anomalies == []

    asyncio.run(story())


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("versions ocpp2.0", "'ocpp2.0' is not known; take some of ocpp1.6, ocpp2.0.1, ocpp2.1"),
        ("versions ocpp1.6,ocpp1.6", "one is named twice"),
        ("also Heartbeat []", "must be a JSON object"),
        ("ca maybe", "must be on or off"),
        ("collected cp=CP9", "nothing was ever heard of 'CP9'"),
        ("remote-start CAFE", "no charge point is connected"),
    ],
)
def test_a_wrong_word_says_what_is_right(line: str, complaint: str) -> None:
    name, *args = line.split(" ")
    with pytest.raises((WordError, ValueError, OSError), match=re.escape(complaint)):
        asyncio.run(run_word(Csms(), name, args))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("remote-stop", "has no open transaction that OCPP 2.0.1 named"),
        ("get-variable Nonsense", "write Component.Variable"),
        ("report Everything", "must be one of ConfigurationInventory"),
    ],
)
def test_a_wrong_word_to_a_connected_one(line: str, complaint: str) -> None:
    async def story() -> None:
        async with Csms(versions=["ocpp2.0.1"]) as csms, booted_2(csms):
            name, *args = line.split(" ")
            with pytest.raises((WordError, ValueError), match=re.escape(complaint)):
                await run_word(csms, name, args)

    asyncio.run(story())


def test_the_words_that_only_change_the_csms() -> None:
    csms = Csms()
    assert asyncio.run(run_word(csms, "versions", ["ocpp2.1,ocpp1.6"])) == {"versions": ["ocpp2.1", "ocpp1.6"]}
    assert csms.state()["versions"] == ["ocpp2.1", "ocpp1.6"]
