"""The kit itself must not close what it was not allowed to: where nothing stands between it and real hardware."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from toy_board import PORTS

from hal.conformance.kit import examine
from hal.conformance.subject import Patience, Subject
from hal.options import option
from hal.registry import Driver
from hal.values import ContactorReading, Health, PilotReading, PilotState

QUICK = Patience(settle_s=0.3, watch_s=0.1, polls_s=0.1, silence_s=1.0)


@dataclass(frozen=True, slots=True)
class PinOptions:
    line: str = option(help="output", exclusive="GPIO line")


class Pins:
    """A device on pins that nobody can stand in front of; every command is written down."""

    commands: list[tuple[str, object]]
    state = PilotState.A

    def __init__(self, name: str, options: PinOptions) -> None:
        self.name = name
        self.started = False
        self.at = 0.0
        self.closed = False

    def start(self, now: float) -> None:
        self.started = True
        self.at = now

    def fileno(self) -> int | None:
        return None

    def on_readable(self, now: float) -> None: ...

    def on_timer(self, now: float) -> float:
        self.at = now
        return now + 0.02

    def close(self) -> None:
        self.started = self.closed = False

    def health(self, now: float) -> Health:
        return Health(self.started, "" if self.started else "not started")

    def unit(self, name: str) -> Any:
        if name:
            raise KeyError(name)
        return self

    def set_pilot(self, duty_pct: float, now: float) -> None:
        self.commands.append(("pilot", duty_pct))

    def set_contactor(self, closed: bool, now: float) -> None:
        self.commands.append(("contactor", closed))
        self.closed = closed and self.started

    def set_phases(self, phases: int, now: float) -> None:
        self.commands.append(("phases", phases))

    def pilot(self) -> PilotReading | None:
        return PilotReading(self.at, self.state) if self.started else None

    def contactor(self) -> ContactorReading | None:
        return ContactorReading(self.at, self.closed) if self.started else None


def _subject(state: PilotState, *, may_close: bool) -> tuple[Subject, list[tuple[str, object]]]:
    commands: list[tuple[str, object]] = []
    device = type("ThesePins", (Pins,), {"commands": commands, "state": state})
    driver = Driver("pins", "pins", PinOptions, lambda _: {"": PORTS}, device)
    return Subject("pins", driver, PinOptions("chip0/K1"), None, may_close, QUICK), commands


def test_without_consent_only_what_is_safe_is_commanded() -> None:
    subject, commands = _subject(PilotState.A, may_close=False)
    report = examine(subject)
    assert report.passed, report.text()
    assert set(commands) == {("contactor", False), ("pilot", 100.0)}
    assert "opens" in report.not_applicable


@pytest.mark.parametrize("state", [state for state in PilotState if state is not PilotState.A])
def test_consent_closes_nothing_where_a_vehicle_may_be(state: PilotState) -> None:
    subject, commands = _subject(state, may_close=True)
    report = examine(subject)
    assert "does not say that no vehicle is there" in report.finding("opens").text
    assert ("contactor", True) not in commands


def test_with_consent_and_nobody_there_it_closes_and_opens() -> None:
    subject, commands = _subject(PilotState.A, may_close=True)
    report = examine(subject)
    assert report.passed, report.text()
    assert ("contactor", True) in commands
    assert "opens" not in report.not_applicable
