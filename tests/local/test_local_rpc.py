"""JSON-RPC 2.0 without I/O: each rule of the specification, typed parameters, arbitrary input."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.local.methods import Caller, observe, operate, service
from agent.local.roles import Peer, Role
from agent.local.rpc import MAX_BATCH, NOT_ALLOWED, LocalApi, RpcError

ME = Peer(1, 1000, 1000)


def add(a: int, b: float = 1.0) -> float:
    return a + b


async def later(text: str | None) -> str:
    await asyncio.sleep(0)
    return f"later {text}"


def who(caller: Caller, deep: bool) -> list[int]:
    return [caller.peer.uid, int(deep)]


def refuse() -> None:
    raise RpcError("not while charging; stop first")


def fail() -> None:
    raise ZeroDivisionError


def odd() -> object:
    return object()


def note(text: str, pin: str = "") -> str:
    if text == "bad":
        raise RpcError("not this")
    return text + pin


AUDITED: list[tuple[str, str, dict[str, Any], str]] = []

API = LocalApi(
    {
        "add": observe(add),
        "later": observe(later),
        "who": observe(who),
        "refuse": observe(refuse),
        "fail": observe(fail),
        "odd": observe(odd),
        "note": operate(note, secret=("pin",)),
        "deep": service(note),
    },
    lambda caller, name, parameters, why: AUDITED.append((caller.who, name, parameters, why)),
)


def ask(line: bytes, role: Role = Role.OBSERVE) -> Any:
    answer = asyncio.run(API.answer(line, Caller(ME, role)))
    if answer is None:
        return None
    assert answer.endswith(b"\n")
    assert answer.count(b"\n") == 1
    return json.loads(answer)


def call(method: str, params: Any = None, role: Role = Role.OBSERVE) -> Any:
    request = {"jsonrpc": "2.0", "id": 7, "method": method}
    if params is not None:
        request["params"] = params
    answer = ask(json.dumps(request).encode(), role)
    assert answer["jsonrpc"] == "2.0"
    assert answer["id"] == 7
    return answer["error"] if "error" in answer else answer["result"]


def test_calls_by_name_and_by_place() -> None:
    assert call("add", {"a": 1, "b": 2}) == 3
    assert call("add", [1, 2.5]) == 3.5
    assert call("add", [1]) == 2
    assert call("later", {"text": None}) == "later None"


def test_the_peer_is_the_kernels_word() -> None:
    assert call("who", {"deep": True}) == [1000, 1]
    assert call("who", {"deep": True, "caller": 0})["code"] == -32602


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "parameter 'a' is missing"),
        ({"a": "1"}, "parameter 'a' must be a whole number"),
        ({"a": True}, "parameter 'a' must be a whole number"),
        ({"a": 1, "b": None}, "parameter 'b' must be a number"),
        ({"a": 1, "c": 1}, "no parameter 'c'; there are: a, b"),
        ([1, 2, 3], "takes at most 2 parameters, 3 were given"),
    ],
)
def test_parameters_are_checked(params: Any, message: str) -> None:
    assert call("add", params) == {"code": -32602, "message": message}


def test_a_union_is_spelled_out() -> None:
    assert call("later", [3]) == {"code": -32602, "message": "parameter 'text' must be a text or null"}


def test_failures(caplog: pytest.LogCaptureFixture) -> None:
    assert call("refuse") == {"code": -32000, "message": "not while charging; stop first"}
    assert call("none")["code"] == -32601
    with caplog.at_level(logging.ERROR):
        assert call("fail") == {"code": -32603, "message": "the agent failed; its log says more"}
        assert call("odd")["code"] == -32603
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"hello\n", -32700),
        (b"\xff\n", -32700),
        (b"[" * 10_000, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"add","params":[NaN]}', -32700),
        (b"1\n", -32600),
        (b"{}\n", -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":5}', -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"add"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"add","params":5}', -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"add"}', -32600),
        (b'{"jsonrpc":"2.0","id":1e999,"method":"add","params":[1]}', -32600),
        (b"[]", -32600),
        (json.dumps([1] * (MAX_BATCH + 1)).encode(), -32600),
    ],
)
def test_malformed_requests(line: bytes, code: int) -> None:
    assert ask(line)["error"]["code"] == code


def test_notifications_get_no_answer() -> None:
    assert ask(b'{"jsonrpc":"2.0","method":"add","params":[1]}') is None
    assert ask(b'{"jsonrpc":"2.0","method":"nothing"}') is None
    assert ask(b'[{"jsonrpc":"2.0","method":"add","params":[1]}]') is None


def test_a_batch_is_answered_as_a_batch() -> None:
    answers = ask(b'[{"jsonrpc":"2.0","id":"a","method":"add","params":[1]},{"jsonrpc":"2.0","method":"add"},3]')
    assert [answer.get("id") for answer in answers] == ["a", None]
    assert answers[0]["result"] == 2
    assert answers[1]["error"]["code"] == -32600


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "1.0", 2]),
        "id": json_values,
        "method": st.sampled_from(["add", "later", "who", "refuse", "x"]) | json_values,
        "params": json_values,
    },
)


@settings(deadline=None)
@given(
    st.binary(max_size=60)
    | (requests | json_values | st.lists(requests, max_size=3)).map(lambda v: json.dumps(v).encode())
)
@example(b'{"id":"\\ud800"}')
def test_arbitrary_lines_get_valid_answers(line: bytes) -> None:
    answer = ask(line)
    for part in answer if isinstance(answer, list) else [] if answer is None else [answer]:
        assert part["jsonrpc"] == "2.0"
        assert ("result" in part) != ("error" in part)


@pytest.mark.parametrize("role", Role)
def test_a_method_needs_its_role(role: Role) -> None:
    for name, least in (("add", Role.OBSERVE), ("note", Role.OPERATE), ("deep", Role.SERVICE)):
        answer = call(name, {"a": 1} if name == "add" else {"text": "x"}, role)
        if role >= least:
            assert answer in (2.0, "x")
        else:
            assert answer["code"] == NOT_ALLOWED
            assert least.word in answer["message"]


def test_every_change_is_audited_and_no_secret_is() -> None:
    AUDITED.clear()
    assert call("note", {"text": "a", "pin": "1234"}, Role.SERVICE) == "a1234"
    assert call("note", {"text": "bad"}, Role.OPERATE)["message"] == "not this"
    call("add", {"a": 1}, Role.SERVICE)
    call("deep", {"text": "x"}, Role.OPERATE)
    assert AUDITED == [
        ("uid 1000", "note", {"text": "a", "pin": "***"}, ""),
        ("uid 1000", "note", {"text": "bad"}, "not this"),
    ]
