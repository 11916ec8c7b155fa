"""Arbitrary JSON at the local API of a whole agent, from peers that may only look, or nothing: no crash, no stall, no
privilege gained, nothing changed."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import config
from agent.app import App
from agent.joints.local_api import catalogue
from agent.local import access
from agent.local.access import hashed
from agent.local.login import TABLE
from agent.local.roles import Role
from agent.local.rpc import NOT_ALLOWED

CONFIG = """
station: {{vendor: Nord, model: Test, serial_number: CP1}}
installation: {{max_current_a: 32}}
devices:
  board1: {{driver: mcu-board, port: /dev/null}}
evses:
  - {{id: 1, board: board1, connector: cable, max_current_a: 32, phases: 3}}
paths: {{state_dir: {state}, runtime_dir: {run}}}
"""
METHODS, TOPICS = catalogue()
GO_OUTSIDE = ("network.check", "network.ping", "bundle.make", "config.check")
"""May be asked by those who look, start processes, and take their time."""

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _params(name: str) -> st.SearchStrategy[Any]:
    """Right names with any values, as often as anything at all."""
    names = [*METHODS[name].parameters]
    plausible = (
        st.integers(0, 3) | st.sampled_from(["", "1", "service", "online", *sorted(TOPICS)]) | st.booleans() | VALUES
    )
    right = st.fixed_dictionaries({}, optional=dict.fromkeys(names, plausible)) if names else st.just({})
    return right | VALUES


REQUESTS = st.sampled_from(sorted(set(METHODS) - set(GO_OUTSIDE))).flatmap(
    lambda name: st.fixed_dictionaries(
        {"jsonrpc": st.just("2.0"), "id": st.integers(1, 9), "method": st.just(name), "params": _params(name)}
    )
)
LINES = st.one_of(
    REQUESTS.map(lambda request: json.dumps(request).encode()),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=60).map(lambda data: data.replace(b"\n", b" ")),
)


@pytest.fixture(autouse=True)
def cheap_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_N", 16)


@contextlib.asynccontextmanager
async def _agent(folder: Path, role: Role) -> AsyncIterator[tuple[App, Path]]:
    """A whole agent with its configuration file; whoever connects to its local API has ``role``."""
    file = folder / "config.yaml"
    file.write_text(CONFIG.format(state=folder / "state", run=folder / "run"))
    (folder / "state").mkdir()
    app = App(config.load(file, drivers=False), file)
    app._local.access._roles.of = lambda peer: role  # type: ignore[method-assign]
    await app._local.start()
    try:
        yield app, file
    finally:
        await app._local.close()
        app._link.close()
        app._journal.close()


async def _attack(folder: Path, role: Role, lines: list[bytes]) -> None:
    async with _agent(folder, role) as (app, file):
        app._journal.keep(TABLE, "pins", {"service": hashed("402617")})
        app._local.access._pins = app._local.access._pins.from_document(app._journal.kept(TABLE)["pins"])
        before = _state(app, file)
        reader, writer = await asyncio.open_unix_connection(folder / "run" / "api.sock", limit=2**24)
        for line in lines:
            writer.write(line + b"\n")
        end = {"jsonrpc": "2.0", "id": "end", "method": "session.who"}
        writer.write(json.dumps(end).encode() + b"\n")
        async with asyncio.timeout(60):
            while True:
                answer = json.loads(await reader.readline())
                if isinstance(answer, dict) and answer.get("id") == "end":
                    assert answer["result"]["role"] == role.word
                    break
                for each in answer if isinstance(answer, list) else [answer]:
                    assert each["jsonrpc"] == "2.0"
                    assert "failed; its log" not in json.dumps(each), (each, lines)
        writer.close()
        await writer.wait_closed()
        assert _state(app, file) == before
        assert "done" not in _audited(folder)


def _state(app: App, file: Path) -> Any:
    kept = {table: app._journal.kept(table) for table in ("setting", "availability", "station", "charging_profile")}
    pins = app._journal.kept(TABLE)["pins"]
    return file.read_bytes(), kept, pins, app.status()["evses"]


def _audited(folder: Path) -> str:
    path = folder / "state" / "security" / "audit.log"
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize("role", [Role.NONE, Role.OBSERVE])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(lines=st.lists(LINES, min_size=1, max_size=12))
def test_any_json_from_those_who_may_not_changes_nothing(role: Role, lines: list[bytes]) -> None:
    with TemporaryDirectory(prefix="evse-") as name:
        asyncio.run(_attack(Path(name), role, lines))


@pytest.mark.parametrize("role", [Role.NONE, Role.OBSERVE])
def test_every_method_that_changes_anything_is_refused(tmp_path: Path, role: Role) -> None:
    """By name, each in turn: who may only look gets 'not allowed', whatever the parameters."""
    beyond = sorted(name for name, method in METHODS.items() if method.role > role)
    assert len(beyond) > 20

    async def ask() -> list[Any]:
        with TemporaryDirectory(prefix="evse-") as name:
            async with _agent(Path(name), role):
                reader, writer = await asyncio.open_unix_connection(Path(name) / "run" / "api.sock")
                found = []
                for number, method in enumerate(beyond):
                    request = {"jsonrpc": "2.0", "id": number, "method": method, "params": {}}
                    writer.write(json.dumps(request).encode() + b"\n")
                    found.append(json.loads(await reader.readline()))
                writer.close()
                await writer.wait_closed()
                return found

    codes = {name: answer["error"]["code"] for name, answer in zip(beyond, asyncio.run(ask()), strict=True)}
    assert set(codes.values()) == {NOT_ALLOWED}, codes
