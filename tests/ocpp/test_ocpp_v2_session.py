"""What is OCPP 2's own in the session and its RPC, in virtual time. No socket."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest
from ocpp_fakes import FakeJournal, FakeStation, config

from agent.ocpp.ports import UplinkState
from agent.ocpp.schema import Schemas
from agent.ocpp.session import Surroundings, new_session
from agent.ocpp.v2.session import Session2
from agent.ocpp.v2.version import Version
from agent.station.commands import ConnectorStatus

NOW_TEXT = "2026-09-21T14:13:20Z"


class Talk:
    """A session and the network's side of it, moved by hand."""

    def __init__(self, version: Version = Version.V201) -> None:
        self.now = 1000.0
        self.station = FakeStation(evses=1)
        self.later: list[Coroutine[Any, Any, None]] = []
        self.schemas = Schemas(version.schemas)
        around = Surroundings(
            config("ws://x", back_off_minimum_s=2.0, back_off_random_s=0.0),
            FakeJournal(),
            self.station.settings,
            self.station,
            lambda: self.now,
            self.later.append,
            lambda: None,
        )
        session = new_session(version.value, around)
        assert isinstance(session, Session2)
        self.session = session

    def sent(self) -> list[list[Any]]:
        frames = []
        while (frame := self.session.take_frame()) is not None:
            frames.append(json.loads(frame))
            if frames[-1][0] == 2:
                assert self.schemas.request(*frames[-1][2:]) is None
        return frames

    def told(self) -> list[Any]:
        frames = self.sent()
        assert len(frames) == 1, frames
        return frames[0]

    def give(self, *frame: Any) -> None:
        self.session.receive(json.dumps(frame), self.now)

    def boot(self, status: str = "Accepted") -> dict[str, Any]:
        self.session.connected(self.now)
        call = self.told()
        assert call[2] == "BootNotification"
        self.give(3, call[1], {"status": status, "currentTime": NOW_TEXT, "interval": 300})
        payload: dict[str, Any] = call[3]
        return payload


def test_a_boot_is_told_and_after_it_the_state_of_every_connector_and_no_connector_0() -> None:
    """B01.FR.01, B01.FR.05"""
    talk = Talk()
    told = talk.boot()
    assert told["chargingStation"] | {"firmwareVersion": ""} == {
        "model": "Model",
        "vendorName": "Vendor",
        "serialNumber": "SN-1",
        "firmwareVersion": "",
    }
    status = talk.told()
    assert status[2:] == [
        "StatusNotification",
        {
            "timestamp": status[3]["timestamp"],
            "connectorStatus": "Available",
            "evseId": 1,
            "connectorId": 1,
        },
    ]
    talk.give(3, status[1], {})
    assert talk.session.state is UplinkState.ACCEPTED
    assert talk.sent() == []


def test_what_is_one_word_in_ocpp_2_is_told_once() -> None:
    """G01: Preparing, Charging and Finishing are all Occupied."""
    talk = Talk()
    talk.boot()
    first = talk.told()
    talk.give(3, first[1], {})
    report = replace(talk.station.statuses()[1], status=ConnectorStatus.PREPARING)
    talk.session.report_status(report, talk.now)
    told = talk.told()
    assert told[3]["connectorStatus"] == "Occupied"
    talk.give(3, told[1], {})
    talk.session.report_status(replace(report, status=ConnectorStatus.CHARGING), talk.now)
    assert talk.sent() == []


def test_while_rejected_a_request_is_answered_by_a_security_error() -> None:
    """B03.FR.08"""
    talk = Talk()
    talk.boot("Rejected")
    talk.give(2, "r1", "GetVariables", {"getVariableData": [{"component": {"name": "X"}, "variable": {"name": "Y"}}]})
    assert talk.told()[:3] == [4, "r1", "SecurityError"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("not json", [4, "-1", "RpcFrameworkError"]),
        ("[]", [4, "-1", "RpcFrameworkError"]),
        ('[2,7,"Reset",{}]', [4, "-1", "RpcFrameworkError"]),
        ('[9,"r1","Reset",{}]', [4, "r1", "MessageTypeNotSupported"]),
        ('[2,"r1","Reset"]', [4, "r1", "FormatViolation"]),
        ('[2,"r1","NoSuchAction",{}]', [4, "r1", "NotImplemented"]),
    ],
)
def test_what_cannot_be_read_is_told(text: str, answer: list[Any]) -> None:
    """Part 4 §4.2.3, §4.3"""
    talk = Talk()
    talk.boot()
    talk.sent()
    talk.session.receive(text, talk.now)
    assert talk.told()[:3] == answer


@pytest.mark.parametrize("text", ['[3,"nobody",{}]', '[4,"nobody","X","",{}]', '[3,"a"]'])
def test_answers_to_nothing_are_not_answered(text: str) -> None:
    talk = Talk()
    talk.boot()
    talk.sent()
    talk.session.receive(text, talk.now)
    assert talk.sent() == []


def test_only_2_1_takes_messages_without_answer_and_tells_of_answers_that_it_cannot_use() -> None:
    """2.1 part 4 §4.2: SEND and CALLRESULTERROR"""
    for version in Version:
        talk = Talk(version)
        talk.boot()
        status = talk.told()
        talk.give(3, status[1], {"nonsense": 1})
        refusal = [frame[:2] for frame in talk.sent()]
        assert refusal == ([[5, status[1]]] if version is Version.V21 else [])
        talk.give(6, "s1", "NotifyPeriodicEventStream", {})
        answers = [frame[:3] for frame in talk.sent()]
        assert answers == ([] if version is Version.V21 else [[4, "s1", "MessageTypeNotSupported"]])
