"""``python -m tests.faults.report``: write the campaign's results into the table of ``docs/reliability.md``.

Reads ``build/faults.json``, which every run of an attack adds to, and replaces what stands between the markers. An
attack without a result says so. ``--results FILE`` and ``--page FILE`` name others.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults.attack import Attack
from tests.faults.catalogue import attacks

RESULTS = Path("build/faults.json")
PAGE = Path("docs/reliability.md")
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
HEAD = (
    "| attack | strikes | charges | lost | doubled | wrong | shut wrongly | without the protection | again |",
    "|---|---:|---:|---:|---:|---:|---:|---|---|",
)


def table(known: Sequence[Attack], results: Mapping[str, Any]) -> list[str]:
    """Return the table's lines: one per attack."""
    return [*HEAD, *(_row(attack, results) for attack in known)]


def _row(attack: Attack, results: Mapping[str, Any]) -> str:
    full = results.get(f"{attack.name}.full")
    figures = ("trials", "transactions", "lost", "doubled", "wrong", "closed")
    counts = ["not run"] + ["–"] * 5 if full is None else [_number(full[name]) for name in figures]
    cells = [
        attack.title,
        *counts,
        _control(results.get(f"{attack.name}.control")),
        f"`make faults ATTACK={attack.name}`",
    ]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _control(result: Mapping[str, Any] | None) -> str:
    if result is None:
        return "not run"
    seen = [f"{_number(result[name])} {word}" for name, word in _WORDS.items() if result[name]]
    return f"fails: {', '.join(seen)}" if seen else "DOES NOT FAIL"


_WORDS = {"lost": "lost", "doubled": "doubled", "wrong": "wrong", "closed": "shut"}


def _number(value: int) -> str:
    return f"{value:,}".replace(",", " ")


def insert(page: str, lines: Sequence[str]) -> str:
    """Return the page with its table replaced. Raises ValueError when a marker is missing."""
    before, found_begin, rest = page.partition(BEGIN)
    _, found_end, after = rest.partition(END)
    if not (found_begin and found_end):
        raise ValueError(f"the page has no place for the table: put {BEGIN} and {END} on lines of their own")
    return "\n".join([before + BEGIN, *lines, END + after])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.report", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args(arguments)
    try:
        results = json.loads(options.results.read_text(encoding="utf-8"))
        page = options.page.read_text(encoding="utf-8")
        options.page.write_text(insert(page, table(attacks(), results)), encoding="utf-8")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
