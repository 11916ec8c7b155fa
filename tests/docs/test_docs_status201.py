"""docs/status-ocpp201.md says what its tables say, and they name tests that exist."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from status201 import FOLDER, PAGE, STATES, rows, table

ROOT = Path(__file__).parents[2]


def test_the_counts_at_the_head_are_those_of_the_tables() -> None:
    text = PAGE.read_text(encoding="utf-8")
    missing = [line for line in table() if line not in text]
    assert not missing, "run python tests/docs/status201.py; it would write\n" + "\n".join(missing)


def test_every_row_has_a_state_and_what_shows_it() -> None:
    wrong = [row for row in rows() if row.state not in STATES or not row.shown]
    assert not wrong


def test_no_requirement_stands_twice() -> None:
    twice = [name for name, count in Counter(row.requirement for row in rows()).items() if count > 1]
    assert not twice


def test_the_tests_that_are_named_exist() -> None:
    sources: dict[str, str] = {}
    missing = []
    for row in rows():
        for path, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", row.shown):
            if path not in sources:
                file = ROOT / path
                sources[path] = file.read_text(encoding="utf-8") if file.is_file() else ""
            if not re.search(rf"^(?:(?:async )?def {name}\b|{name} = )", sources[path], re.MULTILINE):
                missing.append((row.requirement, f"{path}::{name}"))
    assert not missing


def test_what_works_names_a_test() -> None:
    unshown = [
        row.requirement
        for row in rows()
        if row.state == "works" and "tests/" not in row.shown and "`test_" not in row.shown
    ]
    assert not unshown


def test_every_page_of_a_block_has_rows() -> None:
    assert {row.page for row in rows()} == {page.name for page in FOLDER.glob("*.md")}
