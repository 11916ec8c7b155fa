"""What the agent does when it cannot do its work: it comes up, says why, charges nobody, and goes on when it can."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.local.client import CallError, LocalClient, UnreachableError
from agent.local.screen import screen

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0

CONFIG = """
station: {{vendor: Nord, model: Test, serial_number: CP1}}
installation: {{max_current_a: 32}}
devices:
  board1: {{driver: mcu-board, port: /dev/null}}
evses:
  - {{id: 1, board: board1, connector: cable, max_current_a: 32, phases: 3}}
control: {{realtime_priority: 0, lock_memory: false}}
paths: {{state_dir: {state}, runtime_dir: {run}}}
"""


class Place:
    def __init__(self, place: Path) -> None:
        self.state, self.run = place / "state", place / "run"
        self.file = place / "config.yaml"
        self.file.write_text(CONFIG.format(state=self.state, run=self.run))
        self.process: subprocess.Popen[bytes] | None = None
        self.log = place / "log"

    def start(self, **environment: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "agent.app", "--config", str(self.file)],
                stderr=log,
                cwd=ROOT,
                env={**os.environ, **environment},
            )

    def status(self, condition: Callable[[Any], bool]) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                with LocalClient(self.run / "api.sock") as client:
                    status = client.call("status")
            except UnreachableError:
                status = None
            if status is not None and condition(status):
                return status
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, (status, self.log.read_text())
            time.sleep(0.1)

    def end(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    if place.process is not None and place.process.poll() is None:
        place.process.kill()
        place.process.wait()


def test_a_journal_that_cannot_be_opened_is_told_and_waited_for(place: Place) -> None:
    place.state.mkdir()
    (place.state / "journal.db.lock").mkdir()  # root may write everywhere, so no mode would stop it here
    place.start()
    status = place.status(lambda s: "trouble" in s)
    (trouble,) = status["trouble"]
    assert trouble["code"] == "no_books"
    assert "journal.db" in trouble["text"]
    assert trouble["remedy"]
    (evse,) = status["evses"]
    assert (evse["available"], evse["reasons"]) == (False, [trouble])
    assert "TROUBLE" in screen(status)
    assert max(map(len, screen(status).splitlines())) <= 80
    with LocalClient(place.run / "api.sock") as client, pytest.raises(CallError, match="cannot work"):
        client.call("link.set", online=True)
    shutil.rmtree(place.state / "journal.db.lock")
    well = place.status(lambda s: "trouble" not in s)
    assert well["station"]["identity"] == "CP1"
    assert place.end() == 0


def test_a_signal_ends_the_waiting(place: Place) -> None:
    place.state.mkdir()
    (place.state / "journal.db.lock").mkdir()
    place.start()
    place.status(lambda s: "trouble" in s)
    assert place.end() == 0
    assert not (place.run / "api.sock").exists()


def test_two_agents_on_one_journal_are_no_case_for_waiting(place: Place) -> None:
    place.start()
    place.status(lambda _: True)
    second = subprocess.run(
        [sys.executable, "-m", "agent.app", "--config", str(place.file)],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE_S,
    )
    assert second.returncode == 1
    assert "another agent" in second.stderr
    assert place.end() == 0


def test_a_bad_configuration_ends_it_at_a_terminal(place: Place) -> None:
    place.file.write_text(place.file.read_text().replace("max_current_a: 32}\ndev", "max_current_a: 3}\ndev"))
    place.start()
    assert place.process is not None
    assert place.process.wait(PATIENCE_S) == 2
    assert "max_current_a" in place.log.read_text()


def test_a_bad_configuration_under_a_service_manager_is_shown_until_it_is_good(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from agent import serve
    from agent.config.schema import Paths

    # Where the socket would be is not known from a file that cannot be read: its usual place, which is here.
    monkeypatch.setattr(serve, "Paths", lambda: Paths(runtime_dir=place.run))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        good = place.file.read_text()
        place.file.write_text("station: nonsense\n")
        place.run.mkdir()
        trouble = serve.Trouble("configuration_refused", "config.yaml:1: nonsense", "correct it")

        async def look() -> bool:
            staying = asyncio.create_task(serve.Face(None, trouble, lambda: serve._loads(place.file)).stay())
            while not (place.run / "api.sock").exists():  # noqa: ASYNC110 (another process's file)
                await asyncio.sleep(0.02)

            def ask() -> Any:
                with LocalClient(place.run / "api.sock") as client:
                    return client.call("status")

            status = await asyncio.to_thread(ask)
            assert [one["code"] for one in status["trouble"]] == ["configuration_refused"]
            assert status["evses"] == []
            assert "config.yaml:1: nonsense" in screen(status)
            place.file.write_text(good)
            return await asyncio.wait_for(staying, PATIENCE_S)

        assert asyncio.run(look())
        assert notified.recv(100) in (b"READY=1", b"WATCHDOG=1")
