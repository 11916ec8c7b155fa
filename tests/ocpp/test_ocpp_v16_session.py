"""OCPP 1.6's business in virtual time: registration, heartbeat, statuses, order of messages. No socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import pytest
from ocpp_fakes import FakeJournal, FakeStation, as_in_file, config, started

from agent.ocpp.ports import UplinkState
from agent.ocpp.schema import Schemas
from agent.ocpp.session import Surroundings, new_session
from agent.ocpp.v16.configuration import FEATURE_PROFILES
from agent.ocpp.v16.session import Session16
from agent.station.commands import ConnectorStatus, RemoteStart
from agent.station.tokens import Token, TokenInfo, TokenStatus

NOW_TEXT = "2026-09-21T14:13:20Z"
SCHEMAS = Schemas("v16")


class Talk:
    """A session and the network's side of it, moved by hand."""

    def __init__(self, evses: int = 1) -> None:
        self.now = 1000.0
        self.station = FakeStation(evses=evses)
        self.settings = self.station.settings
        self.journal = FakeJournal()
        self.later: list[Coroutine[Any, Any, None]] = []
        file = config("ws://x", evses=evses, back_off_minimum_s=2.0, back_off_random_s=0.0)
        around = Surroundings(
            file,
            self.journal,
            as_in_file(self.settings, file),
            self.station,
            lambda: self.now,
            self.later.append,
            lambda: None,
        )
        session = new_session("ocpp1.6", around)
        assert isinstance(session, Session16)
        self.session = session

    def sent(self) -> list[list[Any]]:
        frames = []
        while (frame := self.session.take_frame()) is not None:
            frames.append(json.loads(frame))
        for frame in frames:
            if frame[0] == 2:
                assert SCHEMAS.request(frame[2], frame[3]) is None
        return frames

    def call(self) -> list[Any]:
        frames = self.sent()
        assert len(frames) == 1, frames
        assert frames[0][0] == 2
        return frames[0]

    def reply(self, call: list[Any], payload: dict[str, Any]) -> None:
        self.session.receive(json.dumps([3, call[1], payload]), self.now)
        self.session.settle(self.now)

    def ask(self, action: str, payload: dict[str, Any]) -> None:
        self.session.receive(json.dumps([2, "r1", action, payload]), self.now)

    def pass_s(self, seconds: float) -> None:
        """Let time pass, waking the session when it asked for it and never else."""
        end = self.now + seconds
        for _ in range(100):
            wake = self.session.next_wake()
            if wake is None or wake > end:
                break
            self.now = max(self.now, wake)
            self.session.advance(self.now)
            if self.session.frames_waiting:
                break
        else:
            raise AssertionError("the session wakes without end")
        if not self.session.frames_waiting:
            self.now = end
            self.session.advance(self.now)

    def boot(self, status: str = "Accepted", interval: int = 300) -> list[Any]:
        self.session.connected(self.now)
        call = self.call()
        assert call[2] == "BootNotification"
        self.reply(call, {"status": status, "currentTime": NOW_TEXT, "interval": interval})
        return call

    def online(self) -> None:
        self.boot()
        while (frame := self.session.take_frame()) is not None:
            self.reply(json.loads(frame), {})
        assert self.session.state is UplinkState.ACCEPTED


def test_accepted() -> None:
    talk = Talk(evses=2)
    talk.journal.session("tx-1")
    talk.boot(interval=120)
    assert talk.session.state is UplinkState.ACCEPTED
    assert talk.station.log[0] == ("network_time", 1790000000.0)
    assert talk.settings.integer("OCPPCommCtrlr.HeartbeatInterval") == 120
    actions = []
    for _ in range(4):
        call = talk.call()
        actions.append((call[2], call[3].get("connectorId")))
        talk.reply(call, {})
    assert actions == [
        ("StatusNotification", 0),
        ("StatusNotification", 1),
        ("StatusNotification", 2),
        ("StartTransaction", 1),
    ]


@pytest.mark.parametrize(
    "text", ["1970-01-01T00:00:00Z", "2300-01-01T00:00:00Z", "soon", ""], ids=["1970", "2300", "soon", "none"]
)
def test_a_time_that_cannot_be_is_not_taken(text: str) -> None:
    talk = Talk()
    talk.session.connected(talk.now)
    talk.reply(talk.call(), {"status": "Accepted", "currentTime": text, "interval": 300})
    assert talk.session.state is UplinkState.ACCEPTED
    assert talk.station.told("network_time") == []


def test_interval_zero_keeps_our_own() -> None:
    talk = Talk()
    talk.boot(interval=0)
    assert talk.settings.integer("OCPPCommCtrlr.HeartbeatInterval") == 300
    assert talk.station.told("set_setting") == []


def test_nothing_is_sent_before_the_first_answer() -> None:
    talk = Talk()
    talk.journal.session("tx-1")
    talk.session.connected(talk.now)
    call = talk.call()
    talk.session.journal_grew(talk.now)
    talk.session.report_status(talk.station.report(1), talk.now)
    talk.session.authorise(1, Token("04A1"), talk.now)
    talk.pass_s(20)
    assert talk.sent() == []
    assert talk.station.told("authorisation_answered") == [(1, None)]
    assert call[2] == "BootNotification"


def test_pending_answers_but_sends_nothing() -> None:
    """§4.2"""
    talk = Talk()
    talk.journal.session("tx-1")
    talk.boot("Pending", 60)
    assert talk.session.state is UplinkState.PENDING
    talk.ask("GetConfiguration", {"key": ["HeartbeatInterval"]})
    assert talk.sent()[0][0] == 3
    talk.ask("RemoteStartTransaction", {"idTag": "04A1"})
    assert talk.sent() == [[3, "r1", {"status": "Rejected"}]]
    assert talk.station.told("remote_start") == []
    talk.pass_s(59)
    assert talk.sent() == []
    talk.pass_s(2)
    assert talk.call()[2] == "BootNotification"
    assert talk.station.told("uplink_changed") == []


def test_rejected_is_silence_until_the_interval_has_passed() -> None:
    """§4.2"""
    talk = Talk()
    talk.boot("Rejected", 60)
    assert talk.session.state is UplinkState.REJECTED
    talk.ask("GetConfiguration", {})
    talk.session.receive('[2,"x"]', talk.now)
    talk.pass_s(30)
    talk.session.lost(talk.now)
    talk.session.connected(talk.now)
    talk.ask("GetConfiguration", {})
    assert talk.sent() == []
    talk.pass_s(29)
    assert talk.sent() == []
    talk.pass_s(2)
    call = talk.call()
    assert call[2] == "BootNotification"
    talk.ask("ClearCache", {})
    assert talk.sent() == [[3, "r1", {"status": "Accepted"}]]


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_interval_zero_does_not_flood(status: str) -> None:
    talk = Talk()
    talk.boot(status, 0)
    waits = []
    for _ in range(4):
        before = talk.now
        talk.pass_s(3600)
        call = talk.call()
        waits.append(talk.now - before)
        talk.reply(call, {"status": status, "currentTime": NOW_TEXT, "interval": 0})
    assert waits == [2.0, 4.0, 8.0, 8.0]


def test_an_absurd_interval_does_not_lock_out() -> None:
    talk = Talk()
    talk.boot("Rejected", 2**62)
    talk.pass_s(86_401)
    assert talk.call()[2] == "BootNotification"


@pytest.mark.parametrize(
    "answer", ['[4,"{id}","InternalError","",{{}}]', '[3,"{id}",{{}}]', '[3,"{id}",{{"status":"Perhaps"}}]']
)
def test_a_boot_answered_with_nonsense_is_tried_again(answer: str) -> None:
    talk = Talk()
    talk.session.connected(talk.now)
    talk.session.receive(answer.format(id=talk.call()[1]), talk.now)
    talk.pass_s(10)
    assert talk.call()[2] == "BootNotification"
    assert talk.session.state is UplinkState.BOOTING


def test_no_boot_after_a_plain_reconnect() -> None:
    talk = Talk()
    talk.online()
    talk.session.lost(talk.now)
    assert talk.station.told("uplink_changed") == [(True,), (False,)]
    talk.now += 5
    talk.session.connected(talk.now)
    call = talk.call()
    assert call[2] == "Heartbeat"
    talk.reply(call, {"currentTime": NOW_TEXT})
    assert talk.sent() == []
    assert talk.session.proved


def test_after_a_longer_absence_every_status_is_told() -> None:
    talk = Talk(evses=2)
    talk.online()
    talk.session.lost(talk.now)
    talk.now += 3600
    talk.session.connected(talk.now)
    told = []
    for _ in range(4):
        call = talk.call()
        told.append(call[2])
        talk.reply(call, {"currentTime": NOW_TEXT} if call[2] == "Heartbeat" else {})
    assert sorted(told) == ["Heartbeat"] + ["StatusNotification"] * 3
    assert talk.sent() == []


def test_heartbeats_keep_their_pace_and_give_way_to_traffic() -> None:
    """§4.6"""
    talk = Talk()
    talk.online()
    talk.pass_s(299)
    assert talk.sent() == []
    talk.pass_s(2)
    call = talk.call()
    assert call[2] == "Heartbeat"
    talk.reply(call, {"currentTime": NOW_TEXT})
    talk.pass_s(200)
    talk.station.status[1] = ConnectorStatus.PREPARING
    talk.session.report_status(talk.station.report(1), talk.now)
    talk.reply(talk.call(), {})
    talk.pass_s(250)
    assert talk.sent() == []
    talk.pass_s(60)
    assert talk.call()[2] == "Heartbeat"


def test_one_heartbeat_a_day_whatever_the_traffic() -> None:
    """§4.6"""
    talk = Talk()
    talk.online()
    beats = 0
    for step in range(50 * 30):
        talk.pass_s(120)
        for frame in talk.sent():
            beats += frame[2] == "Heartbeat"
            talk.reply(frame, {"currentTime": NOW_TEXT} if frame[2] == "Heartbeat" else {})
        status = ConnectorStatus.PREPARING if step % 2 else ConnectorStatus.AVAILABLE
        talk.station.status[1] = status
        talk.session.report_status(talk.station.report(1), talk.now)
        for frame in talk.sent():
            talk.reply(frame, {})
    assert beats == 2


def test_a_new_heartbeat_interval_acts_at_once() -> None:
    talk = Talk()
    talk.online()
    talk.pass_s(50)
    talk.ask("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"})
    assert talk.sent() == [[3, "r1", {"status": "Accepted"}]]
    talk.pass_s(11)
    assert talk.call()[2] == "Heartbeat"


def test_two_calls_without_an_answer_drop_the_connection() -> None:
    talk = Talk()
    talk.online()
    talk.journal.session("tx-1")
    talk.session.journal_grew(talk.now)
    assert talk.call()[2] == "StartTransaction"
    talk.pass_s(31)
    assert talk.call()[2] == "Heartbeat"
    assert talk.session.drop_reason == ""
    talk.pass_s(31)
    assert "not answered" in talk.session.drop_reason
    talk.session.lost(talk.now)
    assert talk.session.drop_reason == ""
    assert talk.journal.rows[1].attempts == 0


def test_a_message_that_alone_goes_unanswered_uses_up_its_tries() -> None:
    talk = Talk()
    talk.online()
    talk.settings.set("OCPPCommCtrlr.MessageAttempts", "2")
    talk.settings.set("OCPPCommCtrlr.MessageAttemptInterval", "10")
    talk.journal.session("tx-1")
    talk.journal.session("tx-2")
    talk.session.journal_grew(talk.now)
    actions = []
    for _ in range(6):
        while frames := talk.sent():
            (frame,) = frames
            actions.append(frame[2])
            if frame[2] == "Heartbeat":
                talk.reply(frame, {"currentTime": NOW_TEXT})
            elif frame[1] not in ("message-1", "message-2", "message-3"):
                talk.reply(frame, {"transactionId": 5, "idTagInfo": {"status": "Accepted"}})
        talk.pass_s(31)
    assert actions == [
        "StartTransaction",
        "Heartbeat",
        "StartTransaction",
        "Heartbeat",
        "StartTransaction",
        "MeterValues",
        "StopTransaction",
    ]
    assert list(talk.journal.parked) == [1, 2, 3]
    assert talk.session.drop_reason == ""


def test_other_traffic_goes_on_while_a_record_waits() -> None:
    talk = Talk()
    talk.online()
    talk.journal.session("tx-1")
    talk.session.journal_grew(talk.now)
    call = talk.call()
    talk.session.receive(f'[4,"{call[1]}","InternalError","",{{}}]', talk.now)
    talk.session.authorise(5, Token("04A1"), talk.now)
    call = talk.call()
    assert call[2] == "Authorize"
    talk.reply(call, {"idTagInfo": {"status": "Invalid"}})
    assert talk.station.told("authorisation_answered") == [(5, TokenInfo(TokenStatus.INVALID))]
    talk.pass_s(61)
    assert talk.call()[2] == "StartTransaction"


def test_effects_of_an_answer_do_not_overtake_the_step() -> None:
    """A station that reacts from within every call back, with calls of its own."""
    talk = Talk()

    def react() -> None:
        talk.session.report_status(talk.station.report(1), talk.now)
        talk.session.authorise(9, Token("04A1"), talk.now)
        talk.session.journal_grew(talk.now)

    talk.station.on = {"uplink_changed": react, "remote_start": react, "start_answered": react}
    talk.journal.add(started("tx-1"))
    talk.boot()
    for _ in range(20):
        frames = talk.sent()
        assert len(frames) <= 1
        for frame in frames:
            good = {"idTagInfo": {"status": "Accepted"}, "transactionId": 5}
            talk.reply(frame, good if frame[2] in ("StartTransaction", "Authorize") else {})
    talk.ask("RemoteStartTransaction", {"idTag": "04A1"})
    frames = talk.sent()
    assert frames[0] == [3, "r1", {"status": "Accepted"}]
    assert frames[1][2] == "Authorize"


def test_remote_start_and_stop() -> None:
    talk = Talk(evses=2)
    talk.online()
    for payload, accepted in (
        ({"idTag": "04A1"}, True),
        ({"idTag": "04A1", "connectorId": 2}, True),
        ({"idTag": "04A1", "connectorId": 0}, False),
        ({"idTag": "04A1", "connectorId": 3}, False),
        ({"idTag": ""}, False),
        ({"idTag": " "}, False),
        ({"idTag": "\x00\n"}, False),
    ):
        talk.ask("RemoteStartTransaction", payload)
        assert talk.sent() == [[3, "r1", {"status": "Accepted" if accepted else "Rejected"}]]
    requests = [entry[0] for entry in talk.station.told("remote_start")]
    assert requests == [RemoteStart(Token("04A1", "Central"), None), RemoteStart(Token("04A1", "Central"), 2)]
    talk.journal.numbers["tx-1"] = 7
    for number, accepted in ((7, True), (8, False), (-1, False)):
        talk.ask("RemoteStopTransaction", {"transactionId": number})
        assert talk.sent() == [[3, "r1", {"status": "Accepted" if accepted else "Rejected"}]]
    assert talk.station.told("remote_stop") == [("tx-1",)]


def test_availability_of_what_is_not_there() -> None:
    talk = Talk()
    talk.online()
    for connector in (2, -1):
        talk.ask("ChangeAvailability", {"connectorId": connector, "type": "Operative"})
        assert talk.sent() == [[3, "r1", {"status": "Rejected"}]]
    assert talk.station.told("change_availability") == []


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("heartbeatinterval", "60", "Accepted"),
        ("HeartbeatInterval", "-5", "Rejected"),
        ("NumberOfConnectors", "5", "Rejected"),
        ("NoSuchKey", "5", "NotSupported"),
        ("StationMaxCurrent", "16", "Accepted"),
    ],
)
def test_change_configuration(key: str, value: str, status: str) -> None:
    talk = Talk()
    talk.online()
    talk.ask("ChangeConfiguration", {"key": key, "value": value})
    assert talk.sent() == [[3, "r1", {"status": status}]]


def test_get_configuration() -> None:
    talk = Talk()
    talk.online()
    talk.ask("GetConfiguration", {"key": ["supportedFeatureProfiles", "Nope"]})
    answer = talk.sent()[0][2]
    assert answer == {
        "configurationKey": [
            {"key": "SupportedFeatureProfiles", "readonly": True, "value": ",".join(FEATURE_PROFILES)}
        ],
        "unknownKey": ["Nope"],
    }


def test_a_request_that_breaks_the_station_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    talk = Talk()
    talk.online()

    def explode() -> None:
        raise RuntimeError("boom")

    talk.station.on = {"clear_cache": explode}
    talk.ask("ClearCache", {})
    assert talk.sent()[0][:3] == [4, "r1", "InternalError"]
    assert "boom" in caplog.text


def test_unlock_answers_when_it_is_done_or_broken(caplog: pytest.LogCaptureFixture) -> None:
    talk = Talk()
    talk.online()
    talk.ask("UnlockConnector", {"connectorId": 1})
    assert talk.sent() == []
    asyncio.run(_finish(talk))
    assert talk.sent() == [[3, "r1", {"status": "Unlocked"}]]

    def explode() -> None:
        raise RuntimeError("jammed")

    talk.station.on = {"unlock": explode}
    talk.ask("UnlockConnector", {"connectorId": 1})
    asyncio.run(_finish(talk))
    assert talk.sent()[0][:3] == [4, "r1", "InternalError"]
    assert "jammed" in caplog.text


async def _finish(talk: Talk) -> None:
    while talk.later:
        await talk.later.pop()


def test_a_status_that_did_not_arrive_is_made_good_with_the_next_heartbeat() -> None:
    talk = Talk()
    talk.online()
    talk.station.status[1] = ConnectorStatus.PREPARING
    talk.session.report_status(talk.station.report(1), talk.now)
    assert talk.call()[3]["status"] == "Preparing"
    talk.pass_s(31)
    talk.pass_s(300)
    beat = talk.call()
    assert beat[2] == "Heartbeat"
    talk.reply(beat, {"currentTime": NOW_TEXT})
    assert talk.call()[3]["status"] == "Preparing"
