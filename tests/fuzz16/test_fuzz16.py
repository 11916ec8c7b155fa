"""Every request of a CSMS, odd or wrong, gets the answer that OCPP 1.6 wants, and control never notices the wrong ones.

In `make test` a short run. ``FUZZ16_EXAMPLES=5000`` (conversations of up to 20 requests each) makes it a long one;
``-s`` shows how many requests were tried.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from agent.config.schema import Config, Evse, Installation, Ocpp, Paths
from agent.config.schema import Station as StationConfig
from agent.files.job import TransferError, Trouble
from agent.link.messages import Permit, Withdraw
from agent.ocpp.schema import Schemas
from simulators.csms import CallRefused, Csms
from tests.fuzz16.odd_payloads import ACTIONS, Asked, anything, requests, schema
from tests.fuzz16.virtual_agent import VirtualAgent, VirtualHardware, World, call_text, on_this_clock
from tests.tc16.hardware import Outlet
from tests.tc16.rig import ID, Rig

EXAMPLES = int(os.environ.get("FUZZ16_EXAMPLES", "100"))
PATIENCE_S = 30.0
SCHEMAS = Schemas("v16")
T0 = 1_790_000_000.0

HANDLERS_REFUSE = {
    "GetDiagnostics": frozenset({"PropertyConstraintViolation"}),
    "SetChargingProfile": frozenset({"PropertyConstraintViolation"}),
    "UpdateFirmware": frozenset({"PropertyConstraintViolation", "NotSupported", "SecurityError", "GenericError"}),
}
"""Answers that have no status for it: what cannot be done, or a connector that is not there, gets a CALLERROR."""

TRIED: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Garbage by the thousand is not worth a log, and no file is really fetched or sent."""

    async def refuse(*_arguments: Any, **_options: Any) -> NoReturn:
        raise TransferError(Trouble.BAD_MESSAGE, "not in this test")

    monkeypatch.setattr("agent.files.uploads.transfer", refuse)
    monkeypatch.setattr("agent.update.service.transfer", refuse, raising=False)
    logger = logging.getLogger("agent")
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(logging.NOTSET)
    print("tried so far:", dict(TRIED))  # noqa: T201 (the figure is what a long run is for)


class Conversation:
    """A whole agent, charging at EVSE 1, and the network's end of the line."""

    def __init__(self, place: Path, patch: pytest.MonkeyPatch) -> None:
        self.world = World(T0)
        on_this_clock(patch, self.world)
        outlets = {n: Outlet(n, stepped_at=self.world.now) for n in (1, 2)}
        self.hardware = VirtualHardware(self.world, outlets)
        self.config = Config(
            station=StationConfig("Nord", "Duo", "NORD-1"),
            installation=Installation(max_current_a=80.0),
            devices=MappingProxyType({}),
            evses=(Evse(1, "board", meter="meter"), Evse(2, "board", meter="meter")),
            ocpp=Ocpp(url="ws://127.0.0.1:9/x", identity="FUZZ", password="secret-secret-16"),
            paths=Paths(state_dir=place, runtime_dir=place),
        )
        self.answers: dict[str, list[Any]] = {}
        self.asked = 0
        self.numbers = 0
        self.agent = self._start()

    def _start(self) -> VirtualAgent:
        agent = VirtualAgent(self.config, self.world, self.hardware, self._hear)
        agent.up()
        agent.run_for(1.0)
        assert agent.online
        return agent

    def _hear(self, frame: str) -> list[str]:
        message = json.loads(frame)
        if message[0] != 2:
            assert message[1] not in self.answers, "answered twice"
            self.answers[message[1]] = message
            return []
        assert SCHEMAS.request(message[2], message[3]) is None, message
        answer: dict[str, Any] = {}
        match message[2]:
            case "BootNotification":
                answer = {"status": "Accepted", "currentTime": "2026-09-21T14:13:20Z", "interval": 3600}
            case "Heartbeat":
                answer = {"currentTime": "2026-09-21T14:13:20Z"}
            case "Authorize":
                answer = {"idTagInfo": {"status": "Accepted"}}
            case "StartTransaction":
                self.numbers += 1
                answer = {"transactionId": self.numbers, "idTagInfo": {"status": "Accepted"}}
            case "SignCertificate" | "DataTransfer":
                answer = {"status": "Accepted"}
        return [json.dumps([3, message[1], answer])]

    def charge(self) -> None:
        self.hardware.plug(1)
        self.hardware.tap("CARD", 1)
        self.agent.run_for(2.0)
        assert self.hardware.outlets[1].closed

    async def ask(self, action: str, payload: Any, quiet: bool = False) -> list[Any]:
        """Return the answer. ``quiet``: nothing may reach control's permits by it."""
        self.asked += 1
        message_id = f"n{self.asked}"
        permits = [message for message in self.agent.link.sent if isinstance(message, Permit | Withdraw)]
        self.agent.receive(call_text(message_id, action, payload))
        if quiet:
            after = [message for message in self.agent.link.sent if isinstance(message, Permit | Withdraw)]
            assert after == permits, "control noticed"
        async with asyncio.timeout(PATIENCE_S):
            while message_id not in self.answers:
                self.agent.run_for(0.2)
                await asyncio.sleep(0 if self.asked % 2 else 0.0005)
        if self.agent.resets:
            await self.close()
            self.agent = self._start()
        return self.answers[message_id]

    async def close(self) -> None:
        self.agent.end()
        for task in list(self.agent.tunnel.tasks):
            task.cancel()
        await asyncio.gather(*self.agent.tunnel.tasks, return_exceptions=True)
        await self.agent.files.updates.close()
        await self.agent.files.uploads.close()


def talk(place: Path, story: Callable[[Conversation], Any]) -> None:
    """Run a story with an agent of its own."""

    async def run(folder: Path, patch: pytest.MonkeyPatch) -> None:
        conversation = Conversation(folder, patch)
        conversation.charge()
        try:
            await story(conversation)
            # Whatever was said before, it still listens.
            assert (await conversation.ask("GetLocalListVersion", {}))[0] == 3
        finally:
            await conversation.close()

    with tempfile.TemporaryDirectory(dir=place) as folder, pytest.MonkeyPatch.context() as patch:
        asyncio.run(run(Path(folder), patch))


def is_text(payload: Any) -> bool:
    """False where half of a surrogate pair stands: JSON can write it, UTF-8 cannot."""
    try:
        json.dumps(payload, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def judge(asked: Asked, answer: list[Any]) -> None:
    """The answer is what the specification wants."""
    action, payload, codes = asked
    TRIED["wrong" if codes else "valid"] += 1
    if not is_text(payload):
        codes = frozenset({"FormationViolation"})
    if codes:
        assert answer[0] == 4, (asked, answer)
        assert answer[2] in codes, (asked, answer)
    elif answer[0] == 3:
        assert SCHEMAS.response(action, answer[2]) is None, (asked, answer)
        assert Draft4Validator(schema(f"{action}Response")).is_valid(answer[2]), (asked, answer)
    else:
        assert answer[2] in HANDLERS_REFUSE.get(action, ()), (asked, answer)
        if action == "SetChargingProfile":
            assert payload["connectorId"] not in (0, 1, 2), (asked, answer)


SLOW = settings(
    deadline=None,
    phases=[Phase.generate],
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


@pytest.mark.timeout(0)
@SLOW
@given(st.lists(requests(), min_size=1, max_size=20))
def test_each_request_gets_its_answer(tmp_path: Path, asked: list[Asked]) -> None:
    async def story(conversation: Conversation) -> None:
        for each in asked:
            judge(each, await conversation.ask(each[0], each[1], quiet=bool(each[2])))

    talk(tmp_path, story)


CODES = {
    "required": "ProtocolError",
    "type": "TypeConstraintViolation",
    "additionalProperties": "FormationViolation",
    "minItems": "OccurenceConstraintViolation",
}
"""Any other keyword: PropertyConstraintViolation (OCPP-J 1.6 §4.2.3)."""


@pytest.mark.timeout(0)
@SLOW
@given(st.lists(anything(), min_size=1, max_size=15))
def test_any_object_at_all(tmp_path: Path, asked: list[tuple[str, dict[str, Any]]]) -> None:
    """Which faults there are is told by another validator than the agent's."""

    async def story(conversation: Conversation) -> None:
        for action, payload in asked:
            faults = list(Draft4Validator(schema(action)).iter_errors(payload))
            codes = frozenset(CODES.get(str(fault.validator), "PropertyConstraintViolation") for fault in faults)
            answer = await conversation.ask(action, payload, quiet=bool(codes))
            if not codes and answer[0] == 4 and "64-bit" in answer[3]:
                # Integers that fit no store are valid in JSON, and refused.
                codes = frozenset({"PropertyConstraintViolation"})
            if codes and answer[0] == 4 and "64-bit" in answer[3]:
                codes |= {"PropertyConstraintViolation"}
            judge((action, payload, codes), answer)

    talk(tmp_path, story)


FRAMES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(("[", "[]", "[2]", "[2,1,2,3]", '[2,"x"]', '[2,"x","Reset",[]]', '[3,"x",{}]', '[4,"x"]', "null")),
    st.sampled_from(('[2,"a","Reset",{"type":"Hard"}', "[" * 100_000, '{"a":' * 5_000, '[2,"","ClearCache",{}]')),
    st.builds(
        lambda message_id, action: json.dumps([2, message_id, action, {}]), st.text(max_size=50), st.text(max_size=20)
    ),
    st.binary(max_size=20),
)


@pytest.mark.timeout(0)
@SLOW
@given(st.lists(FRAMES, min_size=1, max_size=20))
def test_any_frame_at_all(tmp_path: Path, frames: list[str | bytes]) -> None:
    async def story(conversation: Conversation) -> None:
        agent = conversation.agent
        permits = [message for message in agent.link.sent if isinstance(message, Permit | Withdraw)]
        for frame in frames:
            TRIED["frames"] += 1
            agent.session.receive(frame, conversation.world.now)
            while (answer := agent.session.take_frame()) is not None:
                message = json.loads(answer)
                assert message[0] == 2 or (message[0] == 4 and message[2] != "InternalError"), (frame, answer)
        assert permits == [message for message in agent.link.sent if isinstance(message, Permit | Withdraw)]
        assert conversation.hardware.outlets[1].closed

    talk(tmp_path, story)


def test_all_actions_are_asked() -> None:
    """The list is that of the schemas: whatever has an answer that a charge point gives."""
    assert len(set(ACTIONS)) == 26
    for action in ACTIONS:
        assert schema(action), action
        assert SCHEMAS.knows(action)


@pytest.mark.timeout(0)
@settings(
    deadline=None,
    phases=[Phase.generate],
    max_examples=max(12, EXAMPLES // 20),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
@given(st.lists(requests(), min_size=15, max_size=25))
def test_over_a_websocket(tmp_path: Path, asked: list[Asked]) -> None:
    """The same, with real wires, a stand-in control and the CSMS simulator."""

    async def run(folder: Path) -> None:
        async with Csms() as csms:
            rig = Rig(folder, csms, evses=2)
            rig.hardware.start()
            try:
                await rig.start_agent()
                for action, payload, codes in asked:
                    if action in ("Reset", "DataTransfer"):
                        continue  # these make it leave, or leave for another network
                    TRIED["websocket"] += 1
                    try:
                        answer = [3, "", await csms.session(ID).call_raw(action, payload, PATIENCE_S)]
                    except CallRefused as refusal:
                        answer = [4, "", refusal.code]
                    judge((action, payload, codes), answer)
            finally:
                await rig.stop_agent()
                rig.hardware.close()

    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        asyncio.run(run(Path(folder)))
