"""The table of docs/reliability.md says what the results say."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.faults import report
from tests.faults.attack import Attack, Outcome, Progress


def _run(_directory: Path, _progress: Progress) -> Outcome:
    return Outcome(0, 0)


ATTACK = Attack("cut", "a cut | of the line", "the journal", _run, _run, _run)
CLEAN = asdict(Outcome(1234, 5000))
TORN = asdict(Outcome(1, 5, lost=2, wrong=1))


def test_a_row_holds_every_count_and_the_command() -> None:
    *_, row = report.table([ATTACK], {"cut.full": CLEAN, "cut.control": TORN})
    assert row == (
        "| a cut / of the line | 1 234 | 5 000 | 0 | 0 | 0 | 0 | fails: 2 lost, 1 wrong | `make faults ATTACK=cut` |"
    )


def test_what_was_not_run_or_does_not_fail_says_so() -> None:
    assert "| not run |" in report.table([ATTACK], {})[-1]
    assert "DOES NOT FAIL" in report.table([ATTACK], {"cut.control": CLEAN})[-1]


def test_only_the_table_of_the_page_changes(tmp_path: Path) -> None:
    page, results = tmp_path / "page.md", tmp_path / "faults.json"
    page.write_text(f"before\n{report.BEGIN}\nan outdated row\n{report.END}\nafter\n", encoding="utf-8")
    results.write_text(json.dumps({}), encoding="utf-8")
    assert report.main(["--results", str(results), "--page", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{report.BEGIN}\n| attack |")
    assert text.endswith(f"|\n{report.END}\nafter\n")
    assert "an outdated row" not in text


@pytest.mark.parametrize("content", [None, "no markers"])
def test_a_page_without_a_place_is_an_error(
    tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "faults.json"
    results.write_text("{}", encoding="utf-8")
    page = tmp_path / "page.md"
    if content is not None:
        page.write_text(content, encoding="utf-8")
    assert report.main(["--results", str(results), "--page", str(page)]) == 1
    assert "page" in capsys.readouterr().err
