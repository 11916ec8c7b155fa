"""``evse-agent`` as a person runs it."""

from __future__ import annotations

import asyncio
import copy
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from agent import __version__
from agent.local.rpc import RpcError
from agent.local.screen import WIDTH, screen
from agent.local.server import LocalServer
from agent.local.status import StatusDocument

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"

STATUS: StatusDocument = {
    "station": {"identity": "NORD-0001", "vendor": "Nord", "model": "X2", "version": "0.1.0"},
    "uplink": {
        "state": "disconnected",
        "url": "wss://csms.example.net/ocpp",
        "since": "2026-01-02T03:04:05.000Z",
        "last_error": "name resolution failed for csms.example.net; check DNS and the address in ocpp.url",
        "queue": {"pending": 12, "oldest_at": "2026-01-02T03:05:00.000Z", "parked": 1},
    },
    "control": {"connected": False, "instance": ""},
    "clock": {"synced": False, "utc": "2026-01-02T04:04:05.000Z"},
    "evses": [
        {
            "id": 1,
            "state": "C2",
            "status": "Charging",
            "available": True,
            "plugged": True,
            "contactor_closed": True,
            "locked": True,
            "offered_a": 16.0,
            "limit_a": 16.0,
            "limited_by": "permit",
            "power_w": 11040.0,
            "energy_wh": 1234567.0,
            "temperature_c": 41.5,
            "transaction": {
                "id": "7f3c9a52-0f1e-4f0e-9a3e-0a1b2c3d4e5f",
                "token": "04…D5",
                "started_at": "2026-01-02T03:30:00.000Z",
                "energy_wh": 6250.0,
                "state": "charging",
            },
            "reasons": [],
            "faults": [],
        },
        {
            "id": 2,
            "state": "F",
            "status": "Faulted",
            "available": False,
            "plugged": None,
            "contactor_closed": None,
            "locked": None,
            "offered_a": 0.0,
            "limit_a": 0.0,
            "limited_by": "",
            "power_w": None,
            "energy_wh": None,
            "temperature_c": None,
            "transaction": None,
            "reasons": [
                {"code": "fault", "text": "the board does not answer", "remedy": "check the cable " * 8},
                {"code": "inoperative", "text": "out of service by the operator", "remedy": ""},
            ],
            "faults": [
                {"code": "board_lost", "detail": "nothing heard for 5 s", "remedy": "check its supply and cable"}
            ],
        },
    ],
}


class Source:
    def __init__(self) -> None:
        self.online: list[bool] = []
        self.refusal = ""

    def status(self) -> StatusDocument:
        return STATUS

    def set_uplink(self, online: bool) -> None:
        if self.refusal:
            raise RpcError(self.refusal)
        self.online.append(online)


class Agent:
    """The local API, served by a thread."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "api.sock"
        self.source = Source()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._ready.wait(60)

    async def _serve(self) -> None:
        server = LocalServer(self.path, self.source)
        await server.start()
        self._ready.set()
        await self._end.wait()
        await server.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(60)
        self._loop.close()


@pytest.fixture
def agent() -> Iterator[Agent]:
    with TemporaryDirectory(prefix="evse-") as folder:
        made = Agent(Path(folder))
        yield made
        made.close()


def evse_agent(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


@pytest.mark.process
def test_version() -> None:
    done = evse_agent("version")
    assert (done.returncode, done.stdout) == (0, f"evse-agent {__version__}\n")


@pytest.mark.process
@pytest.mark.parametrize(
    "arguments", [(), ("charge",), ("link", "sideways"), ("run",), ("status", "--config", "a", "--socket", "b")]
)
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    done = evse_agent(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: evse-agent")


@pytest.mark.process
def test_check_config(tmp_path: Path) -> None:
    done = evse_agent("check-config", EXAMPLE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    assert "2 EVSEs on 4 devices" in done.stdout
    broken = tmp_path / "broken.yaml"
    settings = "{HartbeatInterval: 1, HeartbeatInterval: soon, NumberOfConnectors: 2}"
    broken.write_text(f"station: {{vendor: x}}\nextra: 1\nocpp:\n  settings: {settings}\n")
    done = evse_agent("check-config", broken)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{broken}:2: extra: is not a known option" in done.stderr
    assert "ocpp.settings.HartbeatInterval: is no OCPP 1.6 key of this charge point; did you mean 'Heart" in done.stderr
    assert "ocpp.settings.HeartbeatInterval: 'soon' is not a whole number" in done.stderr
    assert "ocpp.settings.NumberOfConnectors: is read-only; leave it out" in done.stderr
    assert len(done.stderr.splitlines()) == 9


@pytest.mark.process
def test_run_refuses_a_broken_file_once(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("station: 1\n")
    done = evse_agent("run", "--config", broken)
    assert done.returncode == 2
    assert done.stderr.count("station: must be a section") == 1


@pytest.mark.process
def test_status(agent: Agent, tmp_path: Path) -> None:
    done = evse_agent("status", "--json", "--socket", agent.path)
    assert done.returncode == 0
    assert json.loads(done.stdout) == STATUS
    done = evse_agent("status", "--socket", agent.path)
    assert done.stdout == screen(STATUS) + "\n"
    plain = evse_agent("status", "--socket", agent.path, env={"PYTHONIOENCODING": "ascii", "PATH": ""})
    assert plain.returncode == 0
    assert plain.stdout.isascii()
    config = tmp_path / "config.yaml"
    config.write_text(EXAMPLE.read_text().replace("/run/evse-agent", str(agent.path.parent)))
    assert evse_agent("status", "--config", config).stdout == done.stdout


@pytest.mark.process
def test_link(agent: Agent) -> None:
    done = evse_agent("link", "offline", "--socket", agent.path)
    assert (done.returncode, done.stdout) == (0, "the link is dropped until 'evse-agent link online'\n")
    assert evse_agent("link", "online", "--socket", agent.path).returncode == 0
    assert agent.source.online == [False, True]
    agent.source.refusal = "no network is configured; give ocpp.url"
    done = evse_agent("link", "online", "--socket", agent.path)
    assert done.returncode == 4
    assert done.stderr == "evse-agent: refused: no network is configured; give ocpp.url\n"


@pytest.mark.process
def test_no_agent_answers(tmp_path: Path) -> None:
    done = evse_agent("status", "--socket", tmp_path / "api.sock")
    assert done.returncode == 3
    assert "no agent runs there; start it with 'evse-agent run'" in done.stderr
    done = evse_agent("status", "--config", tmp_path / "none.yaml")
    assert done.returncode == 2
    assert "does not exist" in done.stderr


@pytest.mark.process
def test_a_reader_that_goes_away_is_no_error(agent: Agent) -> None:
    command = [sys.executable, "-m", "agent.cli", "status", "--json", "--socket", str(agent.path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 0


def test_the_screen_fits_a_terminal() -> None:
    text = screen(STATUS)
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH
    for part in (
        "Station     NORD-0001 (Nord X2), 0.1.0",
        "Uplink      disconnected, will try again, since 2026-01-02 03:04:05",
        "Queue       12 to deliver (oldest from 2026-01-02 03:05:00), 1 refused by the",
        "Control     NOT CONNECTED: ",
        "  Vehicle   pilot C2, plugged in, contactor closed, cable locked",
        "  Current   offered 16.0 A, limit 16.0 A, set by permit",
        "  Meter     11.04 kW, register 1234.567 kWh",
        "  Session   charging, card 04…D5, since 2026-01-02 03:30:00, 6.250 kWh",
        "  FAULT     board_lost: nothing heard for 5 s",
        "            -> check its supply and cable",
        "    1. the board does not answer -> check the cable",
        "    2. out of service by the operator",
    ):
        assert part in text
    assert "Why" in text.split("EVSE 2")[1]
    assert "Why" not in text.split("EVSE 2")[0]
    assert "  Current   none offered" in text.split("EVSE 2")[1]


def test_the_screen_of_a_quiet_station() -> None:
    quiet = copy.deepcopy(STATUS)
    quiet["uplink"] |= {"state": "accepted", "queue": {"pending": 0, "oldest_at": None, "parked": 0}}
    quiet["control"]["connected"] = True
    quiet["evses"] = []
    text = screen(quiet)
    assert "Uplink      online, since" in text
    assert "Queue       empty, everything is delivered" in text
    assert "EVSEs       none known yet" in text
    assert "last error" not in text
    assert "Control" not in text
    quiet["uplink"]["state"] = "offline_by_command"
    assert "Uplink      offline by command, since 2026-01-02 03:04:05" in screen(quiet)
    assert "-> 'evse-agent link online' restores it" in screen(quiet)


def test_the_screen_shows_price_and_cost() -> None:
    status = copy.deepcopy(STATUS)
    price = {"text": "0.30 $/kWh", "running_cost": "1.230", "idle": True}
    status["evses"][0]["price"] = {**price, "final_cost": None, "final_text": "", "qr_text": ""}  # type: ignore[typeddict-item]
    status["clock"]["local"] = "2026-01-01T23:04:05-05:00"
    text = screen(status)
    assert "Cost      1.230 so far, idle" in text
    assert "Price     0.30 $/kWh" in text
    assert "2026-01-01 23:04:05 on the display" in text
    assert max(map(len, text.splitlines())) <= WIDTH
    shown = {"final_cost": "3.31", "final_text": "Thank you", "qr_text": "https://cpo.example/1"}
    status["evses"][0]["price"] = {**price, **shown}  # type: ignore[typeddict-item]
    text = screen(status)
    assert "Cost      3.31 in all" in text
    assert "Thank you" in text
    assert "https://cpo.example/1" in text
    assert "so far" not in text
