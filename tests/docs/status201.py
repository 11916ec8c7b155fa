"""Counts the requirements of OCPP 2 by block and state: the table at the head of docs/status-ocpp201.md.

``python tests/docs/status201.py`` writes it into the page.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "status-ocpp201.md"
FOLDER = DOCS / "ocpp201"
STATES = ("works", "partly", "not yet", "n/a")

_ROW = re.compile(r"^\| *([A-P][0-9]{2}\.FR\.[0-9]+[a-z]?|TC_[A-Z]_[0-9]+_CS) *\| *([^|]*?) *\| *(.*?) *\|$")


class Row(NamedTuple):
    page: str
    requirement: str
    state: str
    shown: str
    """The test that shows it, or why it is not (wholly) there."""


def rows() -> list[Row]:
    """Every row of every block's page, in order."""
    found = []
    for page in sorted(FOLDER.glob("*.md")):
        for line in page.read_text(encoding="utf-8").splitlines():
            match = _ROW.match(line)
            if match:
                found.append(Row(page.name, match[1], match[2], match[3]))
    return found


def table() -> list[str]:
    """Lines of the table of counts."""
    counts: dict[str, Counter[str]] = {}
    for row in rows():
        counts.setdefault(row.page, Counter())[row.state] += 1
    total = sum(counts.values(), Counter[str]())
    lines = [f"| Block | {' | '.join(STATES)} |", f"|---|{'---|' * len(STATES)}"]
    for page, states in counts.items():
        lines.append(f"| [{page[:-3]}](ocpp201/{page}) | {' | '.join(str(states[state]) for state in STATES)} |")
    lines.append(f"| **all** | {' | '.join(str(total[state]) for state in STATES)} |")
    return lines


def write() -> None:
    text = PAGE.read_text(encoding="utf-8")
    new = re.sub(r"(?m)^\| Block \|.*\n(?:\|.*\n)+", "\n".join(table()) + "\n", text, count=1)
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    write()
