"""What is wrong with a configuration file, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule. Prints as ``file:line: key: rule and remedy``.

    ``line`` counts from 1 and is 0 where the file as a whole is meant; ``key`` is written as
    ``evses[0].max_current_a`` and is empty where no key can be named.
    """

    path: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class ConfigError(Exception):
    """The file cannot be used. ``findings`` holds every broken rule, in the order of the file."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings: tuple[Finding, ...] = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


class Report:
    """Collects findings about one file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._findings: list[Finding] = []

    def add(self, line: int, key: str, message: str) -> None:
        self._findings.append(Finding(self.path, line, key, message))

    def __len__(self) -> int:
        return len(self._findings)

    def forget(self, length: int) -> None:
        """Drop every finding after the first ``length`` (a reading that was only tried)."""
        del self._findings[length:]

    def sorted(self) -> list[Finding]:
        """All findings in the order of the file; those of one line in the order they were found."""
        return sorted(self._findings, key=lambda finding: finding.line)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the known name most like ``name``, or an empty text."""
    from difflib import get_close_matches  # only a broken file pays for it

    found = get_close_matches(name[:100], list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""


def listed(names: Iterable[str], none: str = "none") -> str:
    """Return the names as 'a, b, c' for a message."""
    return ", ".join(names) or none


def shown(text: str) -> str:
    """Return a value as a message quotes it: one line, of bounded length."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
