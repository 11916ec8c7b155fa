"""``evse-agent test-driver`` on a simulated board that it takes for real hardware."""

from __future__ import annotations

import fcntl
import io
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from agent import cli
from agent.tools.driver_test import CONSENT
from hal.conformance.findings import CHECKS
from hal.conformance.peer_process import ProcessPeer

HERE = Path(__file__).parent
NEEDS_CLOSING = {"opens"}
pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def board() -> Iterator[ProcessPeer]:
    with ProcessPeer("conformance_peers:LabKind", "boards", "yeti", path=(HERE,)) as peer:
        yield peer


@pytest.fixture
def config(board: ProcessPeer, tmp_path: Path) -> Path:
    """A charge point with the one board."""
    ((name, entry),) = board.options["devices"].items()
    data = {
        "station": {"vendor": "Nord", "model": "Uno", "serial_number": "N1"},
        "installation": {"max_current_a": 32},
        "devices": {name: entry},
        "evses": [{"id": 1, "board": name, "max_current_a": 32}],
        "paths": {"state_dir": str(tmp_path / "state"), "runtime_dir": str(tmp_path / "run")},
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def test_by_default_nothing_is_ever_closed(board: ProcessPeer, config: Path) -> None:
    board.ask(True)  # a vehicle that would have it closed
    command = [sys.executable, "-m", "agent.cli", "test-driver", "--config", str(config), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            account = board.account()
            assert account is not None
            assert not account.energises
        assert process.stdout is not None
        assert process.stderr is not None
        told, said = process.stdout.read(), process.stderr.read()
    board.ask(False)
    assert process.returncode == 0, told + said
    (report,) = json.loads(told)
    assert [finding["check"] for finding in report["findings"]] == list(CHECKS)
    assert {finding["check"] for finding in report["findings"] if finding["verdict"] == "n/a"} == NEEDS_CLOSING
    assert "testing board1 (mcu-board)" in said


def test_a_person_may_consent_but_a_board_with_its_own_logic_does_not_close_on_nobody(
    board: ProcessPeer, config: Path
) -> None:
    command = [sys.executable, "-m", "agent.cli", "test-driver", "--config", str(config), "--with-contactor"]
    done = subprocess.run(command, input=f"{CONSENT}\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert CONSENT in done.stderr
    assert "17 pass, 0 FAIL, 1 n/a" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_a_vehicle_forbids_closing_whatever_was_typed(board: ProcessPeer, config: Path) -> None:
    board.ask(True)
    command = [sys.executable, "-m", "agent.cli", "test-driver", "--config", str(config), "--with-contactor"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{CONSENT}\n")
        process.stdin.close()
        while process.poll() is None:
            account = board.account()
            assert account is not None
            assert not account.energises
        told = process.stdout.read()
    board.ask(False)
    assert process.returncode == 0
    assert "does not say that no vehicle is there" in told


def test_without_the_words_nothing_is_done(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    assert cli.main(["test-driver", "--config", str(config), "--with-contactor"]) == cli.EXIT_REFUSED
    assert "nothing was done" in capsys.readouterr().err


def test_it_refuses_while_control_holds_the_ports(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = config.parent / "run"
    run.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
        control.bind(str(run / "control.sock"))
        control.listen(1)
        assert cli.main(["test-driver", "--config", str(config)]) == cli.EXIT_REFUSED
    captured = capsys.readouterr()
    assert "evse-control is running" in captured.err
    assert "stop it first" in captured.err
    assert captured.out == ""


def test_a_node_that_another_program_has_is_told_and_not_passed(
    board: ProcessPeer, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    ((_, entry),) = board.options["devices"].items()
    with open(entry["port"], "rb+", buffering=0) as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert cli.main(["test-driver", "--config", str(config)]) == cli.EXIT_FAILED
    captured = capsys.readouterr()
    assert "in use by another program" in captured.err
    assert captured.out == ""


def test_a_device_that_is_not_there_and_a_file_that_is_wrong_are_told(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["test-driver", "--config", str(config), "--device", "attic"]) == cli.EXIT_USAGE
    assert "there are: board1" in capsys.readouterr().err
    assert cli.main(["test-driver", "--config", str(config.parent / "none.yaml")]) == cli.EXIT_USAGE
