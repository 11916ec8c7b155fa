"""Whatever a charge point sends, the CSMS lives, logs it, and answers the next honest question."""

from __future__ import annotations

import asyncio
import json

from csms_wire import booted, call
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulators.csms import Csms
from simulators.csms.handlers import CentralSystemSession
from simulators.csms.wire import FrameError, parse

ACTIONS = sorted(
    {
        str(handler._on_action.value)
        for name in dir(CentralSystemSession)
        if hasattr(handler := getattr(CentralSystemSession, name), "_on_action")
    }
)
FIELDS = ["idTag", "connectorId", "timestamp", "meterStart", "transactionId", "meterStop", "meterValue", "vendorId"]

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.just("2026-01-01T00:00:00Z")
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=4),
    max_leaves=8,
)
honest_looking = st.tuples(
    st.sampled_from([2, 2, 2, 3, 4]), st.text(max_size=40), st.sampled_from(ACTIONS) | st.text(), values
).map(lambda parts: json.dumps(list(parts)))
half_right = st.tuples(
    st.sampled_from(ACTIONS), st.dictionaries(st.sampled_from(FIELDS), scalars, max_size=8), st.uuids()
).map(lambda parts: json.dumps([2, str(parts[2]), parts[0], parts[1]]))
frames = st.text() | st.binary() | values.map(json.dumps) | honest_looking | half_right


def test_all_messages_are_among_the_garbage() -> None:
    assert len(ACTIONS) == 14


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(frames, max_size=25))
def test_garbage_never_ends_the_connection(batch: list[str | bytes]) -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            before = len([f for f in csms.frames if f.direction.value == "received"])
            for frame in batch:
                await link.send(frame)
            await link.send(call("the-last-question", "Heartbeat"))
            while True:
                answer = json.loads(await link.recv())
                if answer[:2] == [3, "the-last-question"]:
                    break
            received = [f for f in csms.frames if f.direction.value == "received"]
            assert len(received) == before + len(batch) + 1
            json.dumps(csms.ledger(), allow_nan=False)

    asyncio.run(story())


@settings(max_examples=500)
@given(st.text() | honest_looking | half_right)
def test_parsing_raises_nothing_but_its_own_error(text: str) -> None:
    try:
        message = parse(text)
    except FrameError:
        pass
    else:
        assert isinstance(message.message_id, str)
        assert isinstance(message.action, str)


def test_bytes_that_are_no_utf8_end_only_that_connection() -> None:
    async def story() -> None:
        async with Csms() as csms:
            async with booted(csms) as link:
                await link.send(b"\xff\xfe", text=True)
                await link.wait_closed()
                assert link.close_code == 1007
            async with booted(csms) as link:
                await link.send(call("h", "Heartbeat"))
                assert json.loads(await link.recv())[1] == "h"

    asyncio.run(story())
