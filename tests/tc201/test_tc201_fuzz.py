"""Every message that a CSMS may send under 2.0.1 and 2.1, odd or wrong, gets an answer of the standard's words; nothing
crashes or stalls, no contactor closes without right, and control never notices the wrong ones.

In `make test` a short run. ``FUZZ201_EXAMPLES=2000`` (conversations of up to 15 requests each) makes it a long one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft6Validator

from agent.config.schema import Config, Evse, Installation, Ocpp, Paths
from agent.config.schema import Station as StationConfig
from agent.files.job import TransferError, Trouble
from agent.link.messages import Permit, Withdraw
from agent.ocpp.schema import Schemas
from simulators.csms import CallRefused, Csms
from simulators.csms.v2 import FIXED, TAKEN
from tests.fuzz16.odd_schema import Asked
from tests.fuzz16.virtual_agent import VirtualAgent, VirtualHardware, World, call_text, on_this_clock
from tests.tc16.hardware import Outlet
from tests.tc16.rig import ID, Rig
from tests.tc201.odd201 import ACTIONS_21, ACTIONS_201, ODD, TRANSACTION

EXAMPLES = int(os.environ.get("FUZZ201_EXAMPLES", "12"))
PATIENCE_S = 30.0
SCHEMAS = {"ocpp2.0.1": Schemas("v201"), "ocpp2.1": Schemas("v21")}
VERSIONS = tuple(SCHEMAS)
T0 = 1_790_000_000.0
NOW = "2026-09-21T14:13:20Z"

REFUSED = frozenset(
    {
        "NotImplemented",
        "NotSupported",
        "OccurrenceConstraintViolation",
        "PropertyConstraintViolation",
        "SecurityError",
        "TypeConstraintViolation",
    }
)
"""CALLERROR codes that may stand against a payload that its schema allows (2.0.1 part 4 §4.3)."""

UNREAD = frozenset({"RpcFrameworkError", "FormatViolation"})

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
    """A whole agent, charging at EVSE 1, a car plugged in at EVSE 2, and the network's end of the line."""

    def __init__(self, place: Path, patch: pytest.MonkeyPatch, version: str) -> None:
        self.version = version
        self.world = World(T0)
        on_this_clock(patch, self.world)
        outlets = {n: Outlet(n, stepped_at=self.world.now) for n in (1, 2)}
        self.hardware = VirtualHardware(self.world, outlets)
        self.config = Config(
            station=StationConfig("Nord", "Duo", "NORD-1"),
            installation=Installation(max_current_a=80.0),
            devices=MappingProxyType({}),
            evses=(Evse(1, "board", meter="meter"), Evse(2, "board", meter="meter")),
            ocpp=Ocpp(
                url="ws://127.0.0.1:9/x", identity="FUZZ", password="secret-secret-16", versions=(version, "ocpp1.6")
            ),
            paths=Paths(state_dir=place, runtime_dir=place),
        )
        self.answers: dict[str, list[Any]] = {}
        self.asked = 0
        self.transaction = ""
        self.granted = False
        """Something was accepted by which EVSE 2 may charge: a start from afar, or a change of what needs a card."""
        self.agent = self._start()

    def _start(self) -> VirtualAgent:
        agent = VirtualAgent(self.config, self.world, self.hardware, self._hear, subprotocol=self.version)
        agent.up()
        agent.run_for(1.0)
        assert agent.online
        return agent

    def _hear(self, frame: str) -> list[str]:
        message = json.loads(frame)
        if message[0] in (3, 4):
            assert message[1] not in self.answers, "answered twice"
            self.answers[message[1]] = message
            return []
        kind, message_id, action, payload = message
        schemas = SCHEMAS[self.version]
        if kind == 6:
            assert self.version == "ocpp2.1"
            assert action == "NotifyPeriodicEventStream"
            return []
        assert kind == 2, message
        assert schemas.request(action, payload) is None, message
        match action:
            case "BootNotification":
                answer: dict[str, Any] = {"status": "Accepted", "currentTime": NOW, "interval": 3600}
            case "Heartbeat":
                answer = {"currentTime": NOW}
            case "Authorize":
                answer = {"idTokenInfo": {"status": "Accepted"}}
            case "TransactionEvent":
                if payload.get("evse", {}).get("id") == 1:
                    self.transaction = payload["transactionInfo"]["transactionId"]
                answer = {"idTokenInfo": {"status": "Accepted"}} if "idToken" in payload else {}
            case "SignCertificate" | "DataTransfer":
                answer = {"status": "Accepted"}
            case _:
                assert action in TAKEN or action in FIXED, action
                answer = dict(FIXED.get(action, {}))
        assert schemas.response(action, answer) is None, answer
        return [json.dumps([3, message_id, answer])]

    def charge(self) -> None:
        self.hardware.plug(1)
        self.hardware.tap("CARD", 1)
        self.agent.run_for(2.0)
        assert self.hardware.outlets[1].closed
        assert self.transaction
        self.hardware.plug(2)
        self.agent.run_for(0.5)

    async def ask(self, action: str, payload: Any, quiet: bool = False) -> list[Any]:
        """Return the answer. ``quiet``: nothing may reach control's permits by it."""
        self.asked += 1
        message_id = f"n{self.asked}"
        permits = self._permits()
        self.agent.receive(call_text(message_id, action, payload))
        if quiet:
            assert self._permits() == permits, "control noticed"
        async with asyncio.timeout(PATIENCE_S):
            while message_id not in self.answers:
                self.agent.run_for(0.2)
                await asyncio.sleep(0 if self.asked % 2 else 0.0005)
        answer = self.answers[message_id]
        self._rights(action, answer)
        assert self.granted or not self.hardware.outlets[2].closed, f"EVSE 2 charges by {action}: {payload}"
        if self.agent.resets:
            await self.close()
            self.agent = self._start()
        return answer

    def _rights(self, action: str, answer: list[Any]) -> None:
        text = json.dumps(answer)
        if action in ("RequestStartTransaction", "SetVariables") and '"Accepted"' in text:
            self.granted = True

    def _permits(self) -> list[Any]:
        return [message for message in self.agent.link.sent if isinstance(message, Permit | Withdraw)]

    async def close(self) -> None:
        self.agent.end()
        for task in list(self.agent.tunnel.tasks):
            task.cancel()
        await asyncio.gather(*self.agent.tunnel.tasks, return_exceptions=True)
        await self.agent.files.updates.close()
        await self.agent.files.uploads.close()


def talk(place: Path, version: str, story: Callable[[Conversation], Any]) -> None:
    """Run a story with an agent of its own."""

    async def run(folder: Path, patch: pytest.MonkeyPatch) -> None:
        conversation = Conversation(folder, patch, version)
        conversation.charge()
        try:
            await story(conversation)
            # Whatever was said before, it still listens.
            answer = await conversation.ask("TriggerMessage", {"requestedMessage": "Heartbeat"})
            assert answer[0] == 3 or answer[2] in REFUSED, answer
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


def meant(payload: Any, transaction: str) -> Any:
    """Put the running transaction where it is meant."""
    return json.loads(json.dumps(payload).replace(json.dumps(TRANSACTION), json.dumps(transaction)))


def judge(version: str, asked: Asked, answer: list[Any]) -> None:
    """The answer is what the specification wants."""
    action, payload, codes = asked
    TRIED["wrong" if codes else "valid"] += 1
    if not is_text(payload):
        codes = UNREAD
    if answer[0] == 4 and answer[2] in ("NotSupported", "NotImplemented"):
        TRIED[f"not offered: {action}"] += 1
        return
    if codes:
        assert answer[0] == 4, (asked, answer)
        assert answer[2] in codes, (asked, answer)
    elif answer[0] == 3:
        assert SCHEMAS[version].response(action, answer[2]) is None, (asked, answer)
        assert Draft6Validator(ODD[version].schema(f"{action}Response")).is_valid(answer[2]), (asked, answer)
    else:
        assert answer[2] in REFUSED, (asked, answer)


SLOW = settings(
    deadline=None,
    phases=[Phase.generate],
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
every_version = pytest.mark.parametrize("version", VERSIONS)


@pytest.mark.timeout(0)
@every_version
@SLOW
@given(st.data())
def test_each_request_gets_its_answer(tmp_path: Path, version: str, data: st.DataObject) -> None:
    asked: list[Asked] = data.draw(st.lists(ODD[version].requests(), min_size=5, max_size=15))

    async def story(conversation: Conversation) -> None:
        for action, drawn, codes in asked:
            payload = meant(drawn, conversation.transaction)
            answer = await conversation.ask(action, payload, quiet=bool(codes))
            judge(version, (action, payload, codes), answer)

    talk(tmp_path, version, story)


CODES = {
    "required": "ProtocolError",
    "type": "TypeConstraintViolation",
    "additionalProperties": "FormatViolation",
    "minItems": "OccurrenceConstraintViolation",
    "maxItems": "OccurrenceConstraintViolation",
}
"""Any other keyword: PropertyConstraintViolation."""


@pytest.mark.timeout(0)
@every_version
@SLOW
@given(st.data())
def test_any_object_at_all(tmp_path: Path, version: str, data: st.DataObject) -> None:
    """Which faults there are is told by another validator than the agent's."""
    asked = data.draw(st.lists(ODD[version].anything(), min_size=5, max_size=15))

    async def story(conversation: Conversation) -> None:
        for action, payload in asked:
            faults = list(Draft6Validator(ODD[version].schema(action)).iter_errors(payload))
            codes = frozenset(CODES.get(str(fault.validator), "PropertyConstraintViolation") for fault in faults)
            answer = await conversation.ask(action, payload, quiet=bool(codes))
            if answer[0] == 4 and "64-bit" in answer[3]:
                # Integers that fit no store are valid in JSON, and refused.
                codes |= {"PropertyConstraintViolation"}
            judge(version, (action, payload, codes), answer)

    talk(tmp_path, version, story)


FRAMES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(("[", "[]", "[2]", "[2,1,2,3]", '[2,"x"]', '[2,"x","Reset",[]]', '[3,"x",{}]', '[4,"x"]', "null")),
    st.sampled_from(('[5,"x","InternalError","",{}]', '[6,"x","Heartbeat",{}]', "[6]", "[5]", '[7,"x",{}]')),
    st.sampled_from(('[2,"a","Reset",{"type":"Immediate"}', "[" * 100_000, '{"a":' * 5_000, '[2,"","ClearCache",{}]')),
    st.builds(
        lambda kind, message_id, action: json.dumps([kind, message_id, action, {}]),
        st.sampled_from((2, 2, 6)),
        st.text(max_size=50),
        st.text(max_size=20),
    ),
    st.binary(max_size=20),
)
STANDARD = REFUSED | UNREAD | {"GenericError", "MessageTypeNotSupported", "ProtocolError"}


@pytest.mark.timeout(0)
@every_version
@SLOW
@given(frames=st.lists(FRAMES, min_size=1, max_size=20))
def test_any_frame_at_all(tmp_path: Path, version: str, frames: list[str | bytes]) -> None:
    async def story(conversation: Conversation) -> None:
        agent = conversation.agent
        permits = [message for message in agent.link.sent if isinstance(message, Permit | Withdraw)]
        for frame in frames:
            TRIED["frames"] += 1
            agent.session.receive(frame, conversation.world.now)
            while (answer := agent.session.take_frame()) is not None:
                message = json.loads(answer)
                if message[0] != 2 and message[0] != 3:
                    assert message[0] == 4, (frame, answer)
                    assert message[2] in STANDARD, (frame, answer)
        assert permits == [message for message in agent.link.sent if isinstance(message, Permit | Withdraw)]
        assert conversation.hardware.outlets[1].closed
        assert not conversation.hardware.outlets[2].closed

    talk(tmp_path, version, story)


@pytest.mark.timeout(0)
@every_version
@settings(
    deadline=None,
    phases=[Phase.generate],
    max_examples=max(2, EXAMPLES // 20),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
@given(st.data())
def test_over_a_websocket(tmp_path: Path, version: str, data: st.DataObject) -> None:
    """The same, with real wires, a stand-in control and the CSMS simulator."""
    asked: list[Asked] = data.draw(st.lists(ODD[version].requests(), min_size=15, max_size=25))

    def speaks(config: Config) -> Config:
        return replace(config, ocpp=replace(config.ocpp, versions=(version,)))

    async def run(folder: Path) -> None:
        async with Csms(versions=[version]) as csms:
            rig = Rig(folder, csms, evses=2, change=speaks)
            rig.hardware.start()
            try:
                await rig.start_agent(wait=False)
                await csms.wait_for("StatusNotification", count=2, charge_point=ID, timeout_s=PATIENCE_S)
                for action, drawn, codes in asked:
                    if action in ("Reset", "SetNetworkProfile"):
                        continue  # these make it leave, or leave for another network
                    TRIED["websocket"] += 1
                    payload = meant(drawn, "none")
                    try:
                        answer = [3, "", await csms.session(ID).call_raw(action, payload, PATIENCE_S)]
                    except CallRefused as refusal:
                        answer = [4, "", refusal.code, refusal.description]
                    judge(version, (action, payload, codes), answer)
                assert not any(outlet.closed for outlet in rig.hardware.outlets.values())
            finally:
                await rig.stop_agent()
                rig.hardware.close()
            assert csms.anomalies == []

    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        asyncio.run(run(Path(folder)))


@pytest.mark.parametrize(("version", "actions"), [("ocpp2.0.1", ACTIONS_201), ("ocpp2.1", ACTIONS_21)])
def test_all_actions_are_asked(version: str, actions: tuple[str, ...]) -> None:
    """Every action of the schemas is asked, but those that only a charging station sends."""
    folder = "v201" if version == "ocpp2.0.1" else "v21"
    schemas = Path(SCHEMAS[version]._folder)
    assert schemas.parent.name == folder
    known = {path.stem.removesuffix("Response") for path in schemas.iterdir() if path.stem.endswith("Response")}
    own = {"Authorize", "BootNotification", "GetCertificateChainStatus", "Heartbeat", "SignCertificate"}
    own |= {"TransactionEvent", "VatNumberValidation"}
    assert known - (TAKEN | FIXED.keys() | own) == set(actions)
