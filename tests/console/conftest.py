"""An agent's local API for the console, without the rest of the agent: real sockets, scripted answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from agent.local import access
from agent.local.login import Access
from agent.local.methods import Caller, Method, observe, service
from agent.local.roles import Role, Roles
from agent.local.rpc import RpcError
from agent.local.server import LocalServer
from agent.local.topics import Polled
from tests.kept_books import KeptBooks

PIN = "402617"

STATUS: dict[str, Any] = {
    "station": {"identity": "N-1", "vendor": "Nord", "model": "X", "version": "0.1.0"},
    "uplink": {
        "state": "accepted",
        "url": "ws://127.0.0.1:9000",
        "since": "2026-01-02T03:04:05.000Z",
        "last_error": "",
        "queue": {"pending": 0, "oldest_at": None, "parked": 0},
    },
    "control": {"connected": True, "instance": "abc"},
    "clock": {"synced": True, "utc": "2026-01-02T03:05:05.000Z"},
    "evses": [
        {
            "id": number,
            "state": "A1",
            "status": "Available",
            "available": True,
            "plugged": False,
            "contactor_closed": False,
            "locked": False,
            "offered_a": 0.0,
            "limit_a": 0.0,
            "limited_by": "",
            "power_w": 0.0,
            "energy_wh": 12_000.0,
            "temperature_c": 21.5,
            "transaction": None,
            "reasons": [
                {"code": "not_plugged", "text": "no vehicle is connected", "remedy": "plug the cable in"},
                {"code": "not_authorised", "text": "nobody is authorised", "remedy": "present a card"},
            ],
            "faults": [],
        }
        for number in (1, 2)
    ],
}


class Bench:
    """``role``: what the console's own user may do; ``extra``: more methods."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "api.sock"
        self.role = Role.SERVICE
        self.books = KeptBooks()
        self.now = 0.0
        self.extra: dict[str, Method] = {}
        self.audit: list[tuple[str, str, dict[str, Any], str]] = []
        self.logins: list[tuple[bool, str]] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None

    def start(self) -> Bench:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)))
        self._thread.start()
        assert ready.wait(30)
        return self

    def stop(self) -> None:
        if self._loop is not None and self._end is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(30)
            self._thread = self._loop = self._end = None

    async def _serve(self, ready: threading.Event) -> None:
        roles = Roles({})
        roles.of = lambda peer: self.role  # type: ignore[method-assign]
        book = Access(self.books, roles, lambda: self.now, lambda good, who: self.logins.append((good, who)))

        class Source:
            def status(self) -> Any:
                return STATUS

            def set_uplink(self, online: bool) -> None: ...

        def live(evse: int) -> dict[str, Any]:
            if evse not in (1, 2):
                raise RpcError(f"there is no EVSE {evse}")
            return {"id": evse, "state": "A1"}

        def boom(caller: Caller) -> None:
            """Fails."""
            raise RpcError("not while it rains; wait for the sun")

        async def slow() -> None:
            """Never answers."""
            await asyncio.sleep(3600)

        methods = {**book.methods(), "boom": service(boom), "slow": observe(slow), **self.extra}
        server = LocalServer(
            self.path,
            Source(),  # type: ignore[arg-type]
            methods,
            roles=roles,
            topics={"evse": Polled(live, "live", always=True)},
            audit=lambda caller, name, given, why: self.audit.append((caller.who, name, given, why)),
        )
        await server.start()
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        ready.set()
        await self._end.wait()
        await server.close()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(access, "_N", 16)
    with TemporaryDirectory(prefix="evse-") as folder:
        one = Bench(Path(folder))
        yield one
        one.stop()
