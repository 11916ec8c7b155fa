"""pytest for drivers: subclass ``DriverConformance`` in your tests, and every check of the kit is a test of yours.

Registered under pytest's entry point, so it is there wherever evse-agent is installed; it loads the kit only when a
class uses it. ``--driver-report FILE`` appends the reports of all classes to a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hal.conformance.findings import CHECKS, Verdict

if TYPE_CHECKING:
    from hal.conformance.findings import Report
    from hal.conformance.peer_process import ProcessPeer
    from hal.registry import Driver


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("evse-agent drivers")
    group.addoption("--driver-report", metavar="FILE", help="append the conformance kit's reports to this file")


@pytest.fixture(scope="class")
def conformance_report(request: pytest.FixtureRequest) -> Report:
    """The kit's report on this driver, made once for the class."""
    from hal.conformance.kit import examine
    from hal.conformance.subject import Subject

    subclass = request.cls()
    with subclass.peer() as peer:
        report = examine(Subject(subclass.driver.name, subclass.driver, subclass.options(peer), peer, may_close=True))
    file = request.config.getoption("driver_report", default=None)
    if file:
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(report.text() + "\n\n")
    return report


class DriverConformance:
    """Give ``driver``, ``options`` and ``peer``; declare in ``not_applicable`` what cannot be asked of your device."""

    driver: Driver
    not_applicable: Mapping[str, str] = {}
    """Check → why it cannot be asked of this device. A check that the kit could not make and that is not listed here
    fails, as does one that is listed and was made: nothing passes by being left out."""

    def peer(self) -> AbstractContextManager[ProcessPeer]:
        """Return the simulated counterpart, such as ``ProcessPeer("my_simulator:Controller")``."""
        pytest.fail(f"{type(self).__name__} has no peer(): without a counterpart nothing is shown")

    def options(self, peer: Any) -> Any:  # noqa: ARG002 (for subclasses)
        """Return the driver's options that lead to the peer."""
        pytest.fail(f"{type(self).__name__} has no options(): say how your driver finds its peer")

    @pytest.mark.parametrize("check", CHECKS)
    def test_conformance(self, conformance_report: Report, check: str) -> None:
        finding = conformance_report.finding(check)
        assert finding.verdict is not Verdict.FAIL, f"{CHECKS[check]}: {finding.text}"
        if finding.verdict is Verdict.NOT_APPLICABLE:
            assert check in self.not_applicable, f"could not be asked ({finding.text}); declare it in not_applicable"
        else:
            assert check not in self.not_applicable, "is declared not applicable, but was asked: take it out"
