"""What the kit asks, and what came of it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

WIDTH = 100
"""Columns of a terminal that every line fits, but for a node with a long name in the first."""

CHECKS: Mapping[str, str] = {
    "options": "options are frozen, explain themselves, and claim the node they open",
    "units": "every port claimed is there, whole; none is given that is not claimed",
    "before-start": "nothing is opened, said or raised before start",
    "absent-node": "an absent node is no error: health names it, and it is found when it comes",
    "settles": "becomes well with its counterpart and gives every reading it claims",
    "start-safe": "from start on nothing leaves that could energise",
    "before-known": "a closing command stays unsaid until the counterpart has made itself known",
    "two-owners": "a second owner is refused in clear words, and the first does not suffer",
    "repeats": "a command that is asserted again says nothing new",
    "opens": "a command to open leaves within the time the driver promises, and is obeyed",
    "restart": "a counterpart that restarts is found again, and nothing closes by itself",
    "garbage": "garbage gives no reading, and the line is understood again after it",
    "unplug": "a vanished node is told, taken up again when it is back, and nothing closes by itself",
    "silence": "when nothing is heard any more, health says so",
    "stale": "no reading is stamped anew: its time is when it was taken",
    "close": "close tells to open, is final, and may be repeated",
    "blocking": "no callback and no port method holds the loop beyond its budget",
    "exceptions": "no exception leaves a callback or a port method",
}
"""Every check by name, in the order of the report."""


class Verdict(Enum):
    PASS = "pass"
    FAIL = "FAIL"
    NOT_APPLICABLE = "n/a"


@dataclass(frozen=True, slots=True)
class Finding:
    """``text`` says what was seen; for a failure also what the contract wants."""

    check: str
    verdict: Verdict
    text: str = ""
    measured: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one device."""

    device: str
    driver: str
    wire: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        return self._of(Verdict.FAIL)

    @property
    def not_applicable(self) -> tuple[str, ...]:
        return self._of(Verdict.NOT_APPLICABLE)

    def _of(self, verdict: Verdict) -> tuple[str, ...]:
        return tuple(finding.check for finding in self.findings if finding.verdict is verdict)

    def finding(self, check: str) -> Finding:
        """Return the finding of that check. KeyError for a check that was not made."""
        for finding in self.findings:
            if finding.check == check:
                return finding
        raise KeyError(check)

    def text(self) -> str:
        """For a person; lines of at most 100 columns."""
        lines = [f"{self.device}: driver {self.driver}", f"  on {self.wire}"]
        for finding in self.findings:
            head = f"  {finding.verdict.value:<4} {finding.check:<13} "
            lines += textwrap.wrap(head + CHECKS[finding.check], WIDTH, subsequent_indent=" " * len(head))
            measured = ", ".join(f"{name} {value}" for name, value in finding.measured.items())
            for line in filter(None, (finding.text, measured)):
                lines += textwrap.wrap(line, WIDTH, initial_indent=" " * 21, subsequent_indent=" " * 21)
        told = [f"{len(self._of(verdict))} {verdict.value}" for verdict in Verdict]
        return "\n".join([*lines, f"  {', '.join(told)}"])

    def document(self) -> dict[str, object]:
        """The same as JSON-ready data."""
        findings = [
            {
                "check": finding.check,
                "asks": CHECKS[finding.check],
                "verdict": finding.verdict.value.lower(),
                "text": finding.text,
                "measured": dict(finding.measured),
            }
            for finding in self.findings
        ]
        return {
            "device": self.device,
            "driver": self.driver,
            "wire": self.wire,
            "passed": self.passed,
            "findings": findings,
        }

    def json(self) -> str:
        return json.dumps(self.document(), indent=2, ensure_ascii=False)
