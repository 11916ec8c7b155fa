"""The doctor on installations that are well, and on each thing that may be wrong: named, with its remedy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent import __version__
from agent.cli import main
from agent.slots.guard import Slots
from agent.tools import doctor
from agent.tools.doctor import Finding, Level, Place, examine, exit_status, report
from simulators import pki
from tests.slots.bundles import first_slot

NOW = 1_790_000_000.0
CONFIG = """
station: {{vendor: Nord, model: Test, serial_number: CP1}}
installation: {{max_current_a: 32}}
devices:
  board1: {{driver: mcu-board, port: /dev/ttyX}}
evses:
  - {{id: 1, board: board1, connector: cable, max_current_a: 32, phases: 3}}
ocpp: {{url: "ws://csms.example/ocpp"}}
paths: {{state_dir: {place}/state, runtime_dir: {place}/run}}
"""
UNIT = "ActiveState=active\nUnitFileState=enabled\nNRestarts=0\nResult=success\nLimitRTPRIO=99\n"


def good_status() -> dict[str, Any]:
    return {
        "station": {"version": __version__},
        "control": {"connected": True},
        "clock": {"synced": True},
        "uplink": {"state": "accepted", "url": "ws://csms.example/ocpp/CP1", "last_error": ""},
    }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "config.yaml").write_text(CONFIG.format(place=tmp_path))
    (tmp_path / "config.yaml").chmod(0o640)
    root = tmp_path / "root"
    state, run = root / f"{tmp_path}/state".lstrip("/"), root / f"{tmp_path}/run".lstrip("/")
    state.mkdir(parents=True, mode=0o750)
    (run / "metrics").mkdir(parents=True)
    (run / "metrics" / "evse-agent.prom").write_text(
        "evse_agent_uptime_seconds 86400\nevse_agent_written_bytes_total 1000000\n"
    )
    (root / "dev").mkdir()
    (root / "dev" / "ttyX").touch()
    (root / "dev" / "watchdog0").touch()
    (root / "proc").mkdir()
    (tmp_path / "opt").mkdir()
    first_slot(tmp_path / "opt")
    return Place(tmp_path / "config.yaml", root, tmp_path / "opt", lambda _: UNIT, lambda: NOW, good_status)


def found(place: Place, check: str, level: Level) -> list[Finding]:
    return [one for one in examine(place) if one.check == check and one.level is level]


def state_of(place: Place) -> Path:
    return place.at(place.config_path.parent / "state")


@pytest.fixture(autouse=True)
def _known_users(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    monkeypatch.setattr(pwd, "getpwnam", lambda _: pwd.getpwuid(0))
    monkeypatch.setattr(doctor.os, "getgrouplist", lambda *_: [0])


def test_a_good_installation_has_nothing_to_fix(place: Place) -> None:
    findings = examine(place)
    assert [one for one in findings if one.level is not Level.GOOD] == []
    assert exit_status(findings) == 0
    assert "nothing to fix" in report(findings, as_json=False)
    assert {one["check"] for one in json.loads(report(findings, as_json=True))} >= {
        "config", "users", "modes", "units", "devices", "disk", "clock", "network", "slots", "watchdog", "real time",
    }  # fmt: skip


def changed_status(**parts: Any) -> Any:
    return lambda: {**good_status(), **parts}


CASES: dict[str, tuple[str, Level, str]] = {
    "config": ("config", Level.BAD, "max_current_a"),
    "open to all": ("modes", Level.BAD, "open to everyone"),
    "no state": ("modes", Level.BAD, "No such file"),
    "not enabled": ("units", Level.BAD, "does not start at boot"),
    "dead unit": ("units", Level.BAD, "is failed (watchdog)"),
    "restarts": ("units", Level.LOOK, "restarted 9 times"),
    "no systemd": ("units", Level.UNKNOWN, "no systemd here"),
    "no device": ("devices", Level.BAD, "/dev/ttyX is not there"),
    "wear": ("disk", Level.LOOK, "MB a day"),
    "no clock": ("clock", Level.BAD, "never set"),
    "no time": ("clock", Level.LOOK, "nobody has confirmed"),
    "expired": ("certificates", Level.BAD, "has expired"),
    "expires": ("certificates", Level.LOOK, "expires in 9 days"),
    "no agent": ("agent", Level.BAD, "does not answer"),
    "trouble": ("agent", Level.BAD, "the journal"),
    "no control": ("control", Level.BAD, "does not answer"),
    "no network": ("network", Level.BAD, "disconnected. refused"),
    "other version": ("versions", Level.BAD, "version 0.0 runs"),
    "no slots": ("slots", Level.UNKNOWN, "not installed in slots"),
    "no complete slot": ("slots", Level.BAD, "no complete slot"),
    "pending": ("slots", Level.LOOK, "yet to prove itself"),
    "taken back": ("slots", Level.LOOK, "was taken back"),
    "no watchdog": ("watchdog", Level.LOOK, "no hardware watchdog"),
    "no priority": ("real time", Level.BAD, "gets 0"),
}


def spoilt(place: Place, case: str) -> Place:
    slots = Slots(place.slots_root)
    answers = {
        "not enabled": UNIT.replace("enabled", "disabled"),
        "dead unit": UNIT.replace("active", "failed").replace("success", "watchdog"),
        "restarts": UNIT.replace("NRestarts=0", "NRestarts=9"),
        "no priority": UNIT.replace("LimitRTPRIO=99", "LimitRTPRIO=0"),
        "no systemd": None,
    }
    if case in answers:

        def ask(_: Sequence[str]) -> str | None:
            return answers[case]

        return replace(place, ask=ask)
    statuses: dict[str, Any] = {
        "no time": changed_status(clock={"synced": False}),
        "no agent": lambda: None,
        "trouble": changed_status(trouble=[{"text": "the journal cannot be opened", "remedy": "free space"}]),
        "no control": changed_status(control={"connected": False}),
        "no network": changed_status(uplink={"state": "disconnected", "url": "", "last_error": "refused"}),
        "other version": changed_status(station={"version": "0.0"}),
    }
    if case in statuses:
        return replace(place, status=statuses[case])
    match case:
        case "config":
            place.config_path.write_text(
                place.config_path.read_text().replace("max_current_a: 32}", "max_current_a: 2}")
            )
        case "open to all":
            place.config_path.chmod(0o644)
        case "no state":
            state_of(place).rmdir()
        case "no device":
            place.at("/dev/ttyX").unlink()
        case "wear":
            prom = place.at(place.config_path.parent / "run" / "metrics" / "evse-agent.prom")
            prom.write_text(prom.read_text().replace("1000000", "9000000000"))
        case "no clock":
            return replace(place, utc_s=lambda: 0.0)
        case "expired" | "expires":
            (state_of(place) / "security").mkdir()
            root = pki.root("Root")
            path = root.file(state_of(place) / "security", "root")
            end = root.certificate.not_valid_after_utc
            after = timedelta(days=1) if case == "expired" else timedelta(days=-9, seconds=-60)
            path.touch()
            return replace(place, utc_s=lambda: (end + after).timestamp())
        case "no slots":
            slots.current.unlink()
        case "no complete slot":
            (slots.place("a") / "slot.json").unlink()
        case "pending":
            (slots.root / "slots.json").write_text('{"pending": {"slot": "a", "previous": "b", "starts": 1}}')
        case "taken back":
            (slots.root / "slots.json").write_text('{"taken_back": {"slot": "b", "version": "2", "why": "was bad"}}')
        case "no watchdog":
            place.at("/dev/watchdog0").unlink()
    return place


@pytest.mark.parametrize("case", CASES)
def test_each_trouble_is_named_with_its_remedy(place: Place, case: str) -> None:
    check, level, text = CASES[case]
    place = spoilt(place, case)
    one = next(one for one in found(place, check, level) if text in one.text)
    assert one.remedy or level is Level.UNKNOWN
    assert exit_status(examine(place)) == (1 if level is Level.BAD else 0)


def test_the_command_line_ends_with_what_is_to_fix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--config", str(tmp_path / "none.yaml"), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert [one["level"] for one in said if one["check"] == "config"] == ["bad"]
    assert main(["doctor", "--config", str(tmp_path / "none.yaml")]) == 1
    assert "to fix" in capsys.readouterr().out
