"""Security events: which are told, what survives, and the log that keeps them all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.clock import Clock
from agent.journal.journal import Journal
from agent.security import log as log_module
from agent.security.events import MAX_WAITING, QUIET_S, EventLine, Repeats, SecurityEvent
from agent.security.log import SecurityLog
from agent.security.security import LOW_DISK_BYTES, Security, available_memory_bytes, free_disk_bytes


@dataclass(frozen=True)
class At:
    monotonic_s: float = 100.0
    utc_s: float = 1_800_000_000.0
    synced: bool = True
    boot: str = "boot-1"


@pytest.fixture
def journal(tmp_path: Path):
    opened = Journal.open(tmp_path / "journal.db", "boot-1")
    yield opened
    opened.close()


@pytest.fixture
def security(tmp_path: Path, journal: Journal) -> Security:
    return Security(tmp_path / "security", journal, Clock(boot="boot-1"))


def lines(security: Security) -> list[str]:
    return [line.split(" ", 1)[1] for path in security.log.parts() for line in path.read_text().splitlines()]


PUSHED = [
    "FirmwareUpdated",
    "SettingSystemTime",
    "StartupOfTheDevice",
    "ResetOrReboot",
    "SecurityLogWasCleared",
    "MemoryExhaustion",
    "TamperDetectionActivated",
    "InvalidFirmwareSignature",
    "InvalidFirmwareSigningCertificate",
    "InvalidCentralSystemCertificate",
    "InvalidChargePointCertificate",
    "InvalidTLSVersion",
    "InvalidTLSCipherSuite",
    "MaintenanceLoginAccepted",
    "MaintenanceLoginFailed",
    "DiscardedRenewedClientCertificate",
]
LOGGED = [
    "FailedToAuthenticateAtCentralSystem",
    "CentralSystemFailedToAuthenticate",
    "ReconfigurationOfSecurityParameters",
    "InvalidMessages",
    "AttemptedReplayAttacks",
]


@pytest.mark.parametrize("name", PUSHED + LOGGED)
def test_every_event_is_logged_and_the_critical_ones_are_told(security: Security, name: str) -> None:
    told: list[int] = []
    security.on_event(lambda: told.append(1))
    security.record(SecurityEvent(name), "why")
    assert lines(security) == [f"{name} why"]
    waiting = security.line.first()
    assert (waiting is not None) == (name in PUSHED) == bool(told)
    assert waiting is None or (waiting.kind, waiting.info) == (name, "why")


def test_there_are_no_others() -> None:
    assert sorted(PUSHED + LOGGED) == sorted(event.value for event in SecurityEvent)


def test_events_wait_in_order_across_restarts_and_go_when_told(tmp_path: Path, journal: Journal) -> None:
    line = EventLine(journal)
    for number in range(3):
        line.append(SecurityEvent.STARTUP, f"n{number}", At())
    first = line.first()
    assert first is not None
    line.told(first.key)
    again = EventLine(journal)
    assert len(again) == 2
    second = again.first()
    assert second is not None
    assert second.info == "n1"
    again.append(SecurityEvent.STARTUP, "n3", At())
    again.forget()
    assert len(EventLine(journal)) == 0


def test_a_time_of_an_unset_clock_is_told_as_it_is_known_later(journal: Journal) -> None:
    line = EventLine(journal)
    line.append(SecurityEvent.STARTUP, "", At(100.0, 50.0, synced=False))
    line.append(SecurityEvent.STARTUP, "", At(100.0, 1_800_000_000.0))
    journal.fix_clock("boot-1", 1_790_000_000.0)
    first = line.first()
    assert first is not None
    assert first.utc_s == 1_790_000_100.0


def test_the_line_is_bounded_and_the_oldest_go(journal: Journal) -> None:
    line = EventLine(journal)
    with journal.write():
        for number in range(MAX_WAITING + 5):
            line.append(SecurityEvent.STARTUP, f"n{number}", At())
    assert len(line) == MAX_WAITING == len(EventLine(journal))
    first = line.first()
    assert first is not None
    assert first.info == "n5"


def test_a_journal_that_fails_keeps_events_in_memory_until_it_works(journal: Journal) -> None:
    class Failing:
        broken = True

        def __getattr__(self, name: str):
            if name == "write" and self.broken:
                raise OSError("disk full")
            return getattr(journal, name)

    failing = Failing()
    line = EventLine(failing)  # type: ignore[arg-type]
    line.append(SecurityEvent.STARTUP, "a", At())
    assert len(line) == 1
    assert len(EventLine(journal)) == 0
    failing.broken = False
    line.append(SecurityEvent.STARTUP, "b", At())
    assert len(EventLine(journal)) == 2


def test_trouble_that_goes_on_is_one_event() -> None:
    repeats = Repeats()
    event = SecurityEvent.FAILED_TO_AUTHENTICATE
    assert repeats.is_new(event, "401", 0.0)
    assert not repeats.is_new(event, "401", QUIET_S - 1)
    assert repeats.is_new(event, "403", 1.0)
    assert repeats.is_new(event, "401", QUIET_S)
    repeats.over(event)
    assert repeats.is_new(event, "401", QUIET_S + 1)
    assert all(repeats.is_new(SecurityEvent.STARTUP, "", 0.0) for _ in range(3))


def test_the_log_is_bounded_rotated_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "MAX_BYTES", 500)
    log = SecurityLog(tmp_path / "security" / "security.log")
    for number in range(200):
        log.append(1_800_000_000.0 + number, True, "InvalidMessages", f"n{number}\nforged line\x1b")
    parts = log.parts()
    assert [path.name for path in parts] == [
        "security.log.3",
        "security.log.2",
        "security.log.1",
        "security.log",
    ]
    assert all(path.stat().st_size <= 500 and path.stat().st_mode & 0o777 == 0o600 for path in parts)
    text = "".join(path.read_text() for path in parts)
    assert "n199?forged line?" in text
    assert "n0?" not in text
    numbers = [int(found) for found in re.findall(r" n(\d+)\?", text)]
    assert numbers == list(range(numbers[0], 200))


def test_a_log_that_was_taken_away_is_noticed_at_the_start(tmp_path: Path, journal: Journal) -> None:
    security = Security(tmp_path / "security", journal, Clock(boot="boot-1"))
    security.started("1.0")
    assert lines(security) == ["StartupOfTheDevice 1.0"]
    security = Security(tmp_path / "security", journal, Clock(boot="boot-1"))
    security.started("1.0")
    assert lines(security) == ["StartupOfTheDevice 1.0"] * 2
    security.log.clear()
    security = Security(tmp_path / "security", journal, Clock(boot="boot-1"))
    security.started("1.0")
    assert lines(security)[0].startswith("SecurityLogWasCleared")
    security.clear_log()
    assert lines(security) == ["SecurityLogWasCleared by command"]


def test_a_disk_that_fails_costs_lines_only(tmp_path: Path, journal: Journal) -> None:
    (tmp_path / "security").write_text("a file where the folder belongs")
    security = Security(tmp_path / "security", journal, Clock(boot="boot-1"))
    security.record(SecurityEvent.STARTUP)
    assert len(security.line) == 1


def test_memory_that_runs_out_is_told_once_until_it_has_recovered(security: Security) -> None:
    for disk in (LOW_DISK_BYTES - 1, LOW_DISK_BYTES + 1, 2 * LOW_DISK_BYTES, LOW_DISK_BYTES - 1):
        security.check_memory(disk, None)
    security.check_memory(None, 10)
    assert [line.split()[0] for line in lines(security)] == ["MemoryExhaustion"] * 2


def test_what_is_left_is_measured(tmp_path: Path) -> None:
    assert (free_disk_bytes(tmp_path / "not" / "there") or 0) > 0
    assert (available_memory_bytes() or 0) > 0
    (tmp_path / "odd").write_text("MemAvailable: many kB\n")
    assert available_memory_bytes(tmp_path / "odd") is None
    assert available_memory_bytes(tmp_path / "missing") is None
