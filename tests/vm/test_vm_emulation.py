"""What is told of tests on another processor."""

from __future__ import annotations

import pytest

from tests.vm import emulation
from tests.vm.emulation import Examined, Processor

PASSED = Examined("arm64", 0, ("..", "2 passed in 1 s"))
FAILED = Examined("armhf", 1, ("F.", "FAILED test_order", "1 failed, 1 passed in 1 s"))


def test_passed_tests_are_one_line() -> None:
    assert PASSED.told() == "arm64: 2 passed in 1 s"


def test_failed_tests_are_no_missing_tool(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def examine(processor: Processor, _: tuple[str, ...]) -> Examined:
        return FAILED if processor.debian == "armhf" else PASSED

    monkeypatch.setattr(emulation, "examine", examine)
    assert emulation.main() == 1
    said = capsys.readouterr().out
    assert "armhf: FAILED, pytest ended with 1" in said
    assert "FAILED test_order" in said


def test_all_is_well_when_every_processor_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulation, "examine", lambda *_: PASSED)
    assert emulation.main() == 0
