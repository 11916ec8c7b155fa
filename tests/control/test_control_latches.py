"""Latched faults outlive a crash of the control process."""

from __future__ import annotations

from pathlib import Path

import pytest
from control_rig import Rig

from agent.control.fault_book import FaultBook
from agent.control.faults import FAULTS, Condition, Latch
from agent.control.latches import LatchFile
from agent.link.messages import FaultCode


def test_a_residual_current_trip_is_not_forgiven_by_a_restart(tmp_path: Path) -> None:
    latches = LatchFile(tmp_path / "latches.json")
    rig = Rig()
    rig.charge()
    rig.tripped = True
    rig.run(1.0)
    assert not rig.out.contactor
    latches.save({1: rig.core.faults})

    again = Rig(vehicle="C")
    latches.restore({1: again.core.faults}, again.now)
    again.permit()
    again.run(60.0)
    assert again.closed_times == []
    assert again.out.observation is not None
    assert FaultCode.RESIDUAL_CURRENT in again.out.observation.faults
    again.vehicle = "A"
    again.run(5.0)
    assert again.out.observation.faults == ()
    again.vehicle = "C"
    again.permit()
    again.run(60.0)
    assert again.out.contactor


@pytest.mark.parametrize("code", [code for code, rule in FAULTS.items() if rule.latch is not Latch.NONE])
def test_every_latching_fault_is_kept_and_nothing_else(tmp_path: Path, code: FaultCode) -> None:
    latches = LatchFile(tmp_path / "latches.json")
    book = FaultBook(1)
    book.update({code: Condition("because"), FaultCode.METER: Condition("silent")}, True, False, 10.0)
    latches.save({1: book})
    restored = FaultBook(1)
    latches.restore({1: restored}, 20.0)
    assert restored.codes() == (code,)
    assert restored.all_reports()[0].detail == "because"
    assert restored.take_reports()[0].active


def test_what_is_over_is_not_restored(tmp_path: Path) -> None:
    latches = LatchFile(tmp_path / "latches.json")
    book = FaultBook(1)
    book.update({FaultCode.DIODE: Condition("x")}, True, False, 10.0)
    latches.save({1: book})
    book.update({}, False, True, 20.0)
    book.update({}, False, True, 30.0)
    latches.save({1: book})
    restored = FaultBook(1)
    latches.restore({1: restored}, 40.0)
    assert restored.codes() == ()


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '[{"evse": 1}]', '[{"evse": 1, "code": "no", "detail": ""}]', "[" * 99999]
)
def test_a_file_that_makes_no_sense_is_told_and_left(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "latches.json"
    path.write_text(text, encoding="utf-8")
    book = FaultBook(1)
    LatchFile(path).restore({1: book}, 1.0)
    assert book.codes() == ()
    assert "cannot be read" in caplog.text


def test_a_directory_that_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    latches = LatchFile(tmp_path / "nowhere" / "latches.json")
    latches.save({1: FaultBook(1)})
    latches.save({1: FaultBook(1)})
    assert caplog.text.count("cannot be kept") == 1
