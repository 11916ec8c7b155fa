"""The CSMS misbehaving on command, as a charge point sees it on the wire."""

from __future__ import annotations

import asyncio
import json

import pytest
from csms_wire import BOOT, START, ask, booted, call, charge_point, kinds
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulators.csms import Csms
from simulators.csms.behaviour import BOOKED, AnswerRule, Behaviour, Mode, render

HEARTBEAT = call("h", "Heartbeat")


async def outcome(mode: Mode, **rule: object) -> tuple[list[str], int]:
    """What a StartTransaction gets back before the next Heartbeat is answered, and how many are booked."""
    async with Csms() as csms, booted(csms) as link:
        csms.set_call_timeout(0)
        csms.behaviour.add("StartTransaction", AnswerRule(mode, 1, **rule))  # type: ignore[arg-type]
        await link.send(START)
        await link.send(HEARTBEAT)
        seen: list[str] = []
        while not (text := str(await link.recv())).startswith('[3,"h"'):
            seen.append(text)
        return seen, len(csms.books.transactions)


RIGHT = '[3,"s1",{"transactionId":1,"idTagInfo":{"status":"Accepted"}}]'


@pytest.mark.parametrize(
    ("mode", "rule", "frames", "booked"),
    [
        (Mode.NORMAL, {}, [RIGHT], 1),
        (Mode.IGNORE, {}, [], 0),
        (Mode.DROP, {}, [], 1),
        (
            Mode.ERROR,
            {"error_code": "GenericError"},
            ['[4,"s1","GenericError","answered with an error on command",{}]'],
            0,
        ),
        (Mode.WRONG_TYPE, {}, ['[3,"s1",{"transactionId":{"not":"a scalar"},"idTagInfo":"not an object"}]'], 1),
        (Mode.WRONG_MESSAGE_TYPE, {}, [RIGHT.replace("[3", "[7")], 1),
        (Mode.WRONG_ID, {}, [RIGHT.replace('"s1"', '"nobody-s1"')], 1),
        (Mode.TWICE, {}, [RIGHT, RIGHT], 1),
        (Mode.MALFORMED, {}, [RIGHT[:-2]], 1),
        (Mode.PAYLOAD, {"payload": {"transactionId": 77}}, ['[3,"s1",{"transactionId":77}]'], 1),
    ],
    ids=lambda value: str(value) if isinstance(value, Mode) else "",
)
def test_each_mode(mode: Mode, rule: dict[str, object], frames: list[str], booked: int) -> None:
    assert asyncio.run(outcome(mode, **rule)) == (frames, booked)


def test_the_modes_tested_are_all_modes() -> None:
    marks = test_each_mode.pytestmark  # type: ignore[attr-defined]
    assert {row[0] for row in marks[0].args[1]} == set(Mode)


def test_an_empty_answer_can_have_the_wrong_type_too() -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            csms.behaviour.add("StatusNotification", AnswerRule(Mode.WRONG_TYPE))
            text = call("n", "StatusNotification", connectorId=0, errorCode="NoError", status="Available")
            assert await ask(link, text) == [3, "n", "not an object"]

    asyncio.run(story())


def test_a_retry_after_a_lost_answer_gets_the_same_id_and_is_counted() -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            csms.set_call_timeout(0)
            csms.behaviour.add("StartTransaction", AnswerRule(Mode.DROP, 2))
            await link.send(START)
            await link.send(START)
            assert (await ask(link, START))[2]["transactionId"] == 1
            assert csms.ledger()["totals"] | {"frames": 0} == {
                "transactions": 1,
                "open": 1,
                "energy_wh": 0,
                "start_repeats": 2,
                "stop_repeats": 0,
                "event_repeats": 0,
                "frames": 0,
                "calls": 4,
                "anomalies": 0,
            }

    asyncio.run(story())


def test_a_delay_holds_up_only_its_own_answer() -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            csms.set_call_timeout(0)
            csms.behaviour.delay("Heartbeat", 1.0, 1)
            await link.send(HEARTBEAT)
            assert (await ask(link, START))[1] == "s1"
            assert json.loads(await link.recv())[1] == "h"
            sent = [f for f in csms.frames if f.direction.value == "sent" and '"h"' in f.text]
            came = [f for f in csms.frames if f.text == HEARTBEAT]
            assert sent[0].monotonic_s - came[0].monotonic_s >= 1.0
            # The count was one: the next answer is prompt, and comes before a later question's.
            assert (await ask(link, call("h2", "Heartbeat")))[1] == "h2"
            assert csms.behaviour.as_json()["delays"] == {}

    asyncio.run(story())


def test_close_with_a_code_and_cut_without_one() -> None:
    async def story() -> None:
        async with Csms() as csms:
            for code, seen in ((1012, 1012), (4001, 4001), (1006, 1006)):
                async with charge_point(csms) as link:
                    await csms.wait_connected()
                    await csms.session().close(code, "bye" if code != 1006 else "")
                    with pytest.raises(ConnectionClosed):
                        await link.recv()
                    assert (link.close_code, link.close_reason) == (seen, "bye" if code != 1006 else "")
                await csms.wait_disconnected()

    asyncio.run(story())


def test_a_half_open_link_swallows_and_later_gives_up_everything() -> None:
    async def story() -> None:
        async with Csms() as csms, booted(csms) as link:
            csms.session().stop_reading()
            before = len(csms.frames)
            for number in range(5):
                await link.send(call(f"q{number}", "Heartbeat"))
            pong = await link.ping()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(pong), 0.2)
            assert len(csms.frames) == before
            assert link.close_code is None
            csms.session().resume_reading()
            assert [json.loads(await link.recv())[1] for _ in range(5)] == ["q0", "q1", "q2", "q3", "q4"]
            await asyncio.wait_for(pong, 20)

    asyncio.run(story())


def test_stop_listening_and_listen_again_on_the_same_port() -> None:
    async def story() -> None:
        async with Csms() as csms:
            url = csms.url
            async with booted(csms) as link:
                await csms.stop_listening()
                with pytest.raises(ConnectionClosed):
                    await link.recv()
            with pytest.raises(ConnectionRefusedError):
                async with charge_point(csms):
                    pass
            await csms.listen()
            assert csms.url == url
            async with booted(csms) as link:
                await csms.stop_listening(keep_connections=True)
                with pytest.raises(ConnectionRefusedError):
                    async with charge_point(csms, "CP2"):
                        pass
                assert (await ask(link, HEARTBEAT))[1] == "h"

    asyncio.run(story())


@pytest.mark.parametrize("status", [401, 404, 503])
def test_the_handshake_can_be_refused(status: int) -> None:
    async def story() -> None:
        async with Csms() as csms:
            csms.handshake_status = status
            with pytest.raises(InvalidStatus) as caught:
                async with charge_point(csms):
                    pass
            assert caught.value.response.status_code == status
            csms.handshake_status = None
            async with booted(csms):
                pass

    asyncio.run(story())


def test_a_path_without_an_id_is_not_found() -> None:
    async def story() -> None:
        async with Csms() as csms:
            with pytest.raises(InvalidStatus) as caught:
                async with charge_point(csms, ""):
                    pass
            assert caught.value.response.status_code == 404

    asyncio.run(story())


def test_the_subprotocol_can_be_left_unagreed() -> None:
    async def story() -> None:
        async with Csms() as csms:
            csms.agree_subprotocol = False
            async with charge_point(csms) as link:
                assert link.subprotocol is None

    asyncio.run(story())


def test_a_restart_that_forgets_gives_a_new_id_but_keeps_one_record() -> None:
    async def story() -> None:
        async with Csms() as csms:
            async with booted(csms) as link:
                assert (await ask(link, START))[2]["transactionId"] == 1
                await csms.restart(forget=True)
            async with charge_point(csms) as link:
                assert (await ask(link, START))[2]["transactionId"] == 2
                stop = call("e", "StopTransaction", transactionId=2, meterStop=150, timestamp="2026-01-02T04:00:00Z")
                assert await ask(link, stop) == [3, "e", {}]
            (entry,) = csms.ledger()["transactions"]
            assert (entry["transaction_ids"], entry["energy_wh"], entry["start_repeats"]) == ([1, 2], 50, 1)
            assert kinds(csms) == []

    asyncio.run(story())


def test_the_clock_can_be_wrong() -> None:
    async def story() -> None:
        async with Csms() as csms, charge_point(csms) as link:
            csms.clock_offset_s = -10 * 365 * 86400
            year = int((await ask(link, BOOT))[2]["currentTime"][:4])
            assert year < csms.now().year + 11
            assert year == csms.now().year

    asyncio.run(story())


@given(
    st.lists(st.tuples(st.sampled_from(sorted(Mode)), st.integers(1, 4)), max_size=6),
)
def test_rules_are_used_up_in_order_then_all_is_normal(rules: list[tuple[Mode, int]]) -> None:
    behaviour = Behaviour()
    for mode, count in rules:
        behaviour.add("Heartbeat", AnswerRule(mode, count))
    expected = [mode for mode, count in rules for _ in range(count)]
    assert [behaviour.next("Heartbeat").mode for _ in expected] == expected
    assert behaviour.next("Heartbeat").mode is Mode.NORMAL
    assert behaviour.as_json() == {"rules": {}, "delays": {}}


def test_a_rule_for_any_action_comes_after_one_for_its_own() -> None:
    behaviour = Behaviour()
    behaviour.add("*", AnswerRule(Mode.DROP))
    behaviour.add("Heartbeat", AnswerRule(Mode.TWICE, 1))
    assert [behaviour.next(a).mode for a in ("Heartbeat", "Heartbeat", "Authorize")] == [
        Mode.TWICE,
        Mode.DROP,
        Mode.DROP,
    ]
    behaviour.clear("*")
    assert behaviour.next("Authorize").mode is Mode.NORMAL
    with pytest.raises(ValueError, match="must be 0 s or more"):
        behaviour.delay("Heartbeat", float("nan"))


@given(st.sampled_from(sorted(BOOKED)), st.text(max_size=40))
def test_only_malformed_is_not_json(mode: Mode, message_id: str) -> None:
    from simulators.csms.behaviour import Answer

    for text in render(message_id, {"status": "Accepted"}, Answer(mode)):
        if mode is Mode.MALFORMED:
            with pytest.raises(ValueError, match="Expecting"):
                json.loads(text)
        else:
            assert len(json.loads(text)[1]) <= 40
