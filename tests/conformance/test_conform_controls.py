"""Negative controls: drivers that are each wrong in one way. The kit must fail them, and on exactly that check."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from toy_board import PORTS, ToyBoard, ToyOptions, driver, line

from hal.conformance.kit import examine
from hal.conformance.peer_process import ProcessPeer
from hal.conformance.subject import Patience, Subject
from hal.drivers.serial_line import SerialLine, SerialSettings
from hal.options import option
from hal.ports import DeviceError, PortKind
from hal.registry import Driver
from hal.values import ContactorReading, Health, PilotReading, PilotState

HERE = Path(__file__).parent
QUICK = Patience(settle_s=4.0, watch_s=0.4, polls_s=0.5, silence_s=5.0)
FOREVER_S = 1e9


class Blocks(ToyBoard):
    """Waits for its board on every reading of the line, as a library might."""

    def on_readable(self, now: float) -> None:
        time.sleep(0.02)
        super().on_readable(now)


class BlocksOnOpening(ToyBoard):
    """Waits only when it takes the line up."""

    def begin(self) -> None:
        time.sleep(0.02)
        super().begin()


class Computes(ToyBoard):
    """Does not wait, yet holds the loop."""

    def on_readable(self, now: float) -> None:
        end = time.thread_time() + 0.01
        while time.thread_time() < end:
            pass
        super().on_readable(now)


class StampsAnew(ToyBoard):
    """Old values with a new time."""

    def on_timer(self, now: float) -> float:
        if self.told is not None:
            self.told = replace(self.told[0], at=now), replace(self.told[1], at=now)
        return super().on_timer(now)


class FromTheFuture(ToyBoard):
    def take(self, text: str, now: float) -> None:
        super().take(text, now + 1.0)


class NeverTellsSilence(ToyBoard):
    def silent(self, now: float) -> bool:
        return False


class ClosesAtStart(ToyBoard):
    """Once it knows its board it closes without having been told to."""

    done = False

    def take(self, text: str, now: float) -> None:
        super().take(text, now)
        if self.known and not self.done:
            self.done = True
            self.line.send(line("C1"))
            self.line.send(line("C0"))


class OffersAtStart(ToyBoard):
    done = False

    def take(self, text: str, now: float) -> None:
        super().take(text, now)
        if self.known and not self.done:
            self.done = True
            self.line.send(line("P16"))


class IgnoresOpen(ToyBoard):
    def set_contactor(self, closed: bool, now: float) -> None:
        if closed:
            super().set_contactor(closed, now)


class OpensLate(ToyBoard):
    """Opens when it next feels like it, not at once."""

    due: float | None = None

    def set_contactor(self, closed: bool, now: float) -> None:
        if closed or not self.closed:
            super().set_contactor(closed, now)
        elif self.due is None:
            self.due = now + 0.8

    def on_timer(self, now: float) -> float:
        if self.due is not None and now >= self.due:
            self.due = None
            super().set_contactor(False, now)
        return super().on_timer(now)


class Raises(ToyBoard):
    def set_phases(self, phases: int, now: float) -> None:
        raise RuntimeError(f"{phases} phases?")


class RaisesOnOddDuty(ToyBoard):
    def set_pilot(self, duty_pct: float, now: float) -> None:
        super().set_pilot(float(int(duty_pct)), now)


class SharesItsNode(ToyBoard):
    """Opens without an exclusive lock."""

    def make_line(self) -> SerialLine:
        return SharedLine(SerialSettings(self.port, 115_200))


class SharedLine(SerialLine):
    def open(self, now: float) -> bool:
        was_open = self.is_open
        opened = super().open(now)
        if opened and not was_open:
            assert self._node is not None
            self._node.exclusive = False
        return opened


class EnergisesUnknown(ToyBoard):
    """Says what it is told to say, whoever listens."""

    def set_contactor(self, closed: bool, now: float) -> None:
        if closed != self.closed:
            self.closed = closed
            self.line.send(line(f"C{closed:d}"), "C", urgent=not closed)


class LeavesClosed(ToyBoard):
    """Closes its line without a word."""

    def close(self) -> None:
        self.ended = True
        self.line.close()


class GoesOnAfterClose(ToyBoard):
    def on_timer(self, now: float) -> float:
        self.ended = False
        return super().on_timer(now)


class RepeatsClosing(ToyBoard):
    """Restores what was commanded when its board comes back."""

    wish = False

    def set_contactor(self, closed: bool, now: float) -> None:
        self.wish = closed
        super().set_contactor(closed, now)

    def take(self, text: str, now: float) -> None:
        super().take(text, now)
        if self.wish and self.known and not self.closed:
            super().set_contactor(True, now)


class NeverComesBack(ToyBoard):
    """Opens its node when it is there at last, but not a second time."""

    def connect(self, now: float) -> None:
        if self.heard_at is None:
            super().connect(now)


class NeedsItsNode(ToyBoard):
    def start(self, now: float) -> None:
        super().start(now)
        if not Path(self.port).exists():
            raise DeviceError(f"{self.port}: is not there")


class Believes(ToyBoard):
    """Takes anything that ends in a line feed for a report."""

    def on_readable(self, now: float) -> None:
        data = self.line.read()
        self.buffer += data
        if b"\n" in data and b"toy" not in data and b"boot" not in data:
            self.told = PilotReading(now, PilotState.C), ContactorReading(now, False)
        for text in lines_of(self.buffer):
            self.take(text, now)


def lines_of(buffer: bytearray) -> list[str]:
    from toy_board import lines

    return lines(buffer)


class Repeats(ToyBoard):
    """Says a command as often as it is asserted."""

    def set_contactor(self, closed: bool, now: float) -> None:
        if self.known or not closed:
            self.closed = closed
            if self.line.is_open:
                self.line.send(line(f"C{closed:d}"))


class OpensAtCreation(ToyBoard):
    def __init__(self, name: str, options: ToyOptions) -> None:
        super().__init__(name, options)
        self.line.open(0.0)
        self.begin()


class NeverWell(ToyBoard):
    def health(self, now: float) -> Health:
        return Health(False, f"{self.port}: never content: {self.line.trouble or 'in use'}", self.heard_at)


class HidesPhases(ToyBoard):
    set_phases: Any = None


@dataclass(frozen=True, slots=True)
class Unclaimed:
    port: str = option(help="serial node")


CONTROLS: dict[str, tuple[Driver, str]] = {
    "blocks": (driver(Blocks), "blocking"),
    "blocks when it opens": (driver(BlocksOnOpening), "blocking"),
    "computes": (driver(Computes), "blocking"),
    "stamps anew": (driver(StampsAnew), "stale"),
    "stamps with a later time": (driver(FromTheFuture), "stale"),
    "never tells silence": (driver(NeverTellsSilence), "silence"),
    "closes at start": (driver(ClosesAtStart), "start-safe"),
    "offers at start": (driver(OffersAtStart), "start-safe"),
    "ignores open": (driver(IgnoresOpen), "opens"),
    "opens late": (driver(OpensLate), "opens"),
    "raises from a port method": (driver(Raises), "exceptions"),
    "raises on a duty that is no number": (driver(RaisesOnOddDuty), "exceptions"),
    "does not claim its node": (driver(SharesItsNode), "two-owners"),
    "energises before its counterpart is known": (driver(EnergisesUnknown), "before-known"),
    "leaves closed": (driver(LeavesClosed), "close"),
    "goes on after close": (driver(GoesOnAfterClose), "close"),
    "needs its node at start": (driver(NeedsItsNode), "absent-node"),
    "never comes back": (driver(NeverComesBack), "unplug"),
    "believes anything": (driver(Believes), "garbage"),
    "repeats without end": (driver(Repeats), "repeats"),
    "opens at creation": (driver(OpensAtCreation), "before-start"),
    "is never well": (driver(NeverWell), "settles"),
    "claims a port it has not": (driver(ToyBoard, units=lambda _: {"": PORTS | {PortKind.CABLE_LOCK}}), "units"),
    "does not claim a port it has": (
        driver(ToyBoard, units=lambda _: {"": frozenset({PortKind.CONTACTOR})}),
        "units",
    ),
    "lacks a method of its port": (driver(HidesPhases), "units"),
    "options claim nothing": (driver(ToyBoard, options=Unclaimed), "options"),
    "repeats the close after a restart": (driver(RepeatsClosing), "restart"),
}


@pytest.fixture(scope="module")
def toy() -> Iterator[ProcessPeer]:
    with ProcessPeer("toy_board:ToyCounterpart", path=(HERE,)) as peer:
        yield peer


def _subject(toy: ProcessPeer, wrong: Driver) -> Subject:
    return Subject("toy", wrong, wrong.options(toy.options["port"]), toy, may_close=True, patience=QUICK)


@pytest.mark.process
def test_the_right_driver_passes_every_check(toy: ProcessPeer) -> None:
    report = examine(_subject(toy, driver(ToyBoard)))
    assert report.passed, report.text()
    assert report.not_applicable == (), report.text()


@pytest.mark.process
@pytest.mark.parametrize("slip", CONTROLS)
def test_a_wrong_driver_fails_on_exactly_its_check(toy: ProcessPeer, slip: str) -> None:
    wrong, check = CONTROLS[slip]
    report = examine(_subject(toy, wrong))
    assert report.failed == (check,), report.text()
