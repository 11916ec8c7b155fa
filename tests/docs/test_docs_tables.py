"""The tables of the docs name everything that the code knows, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

from fault_table import table

from agent.ocpp.v16.configuration import key_table
from agent.station import reasons
from hal.registry import BUILT_IN

DOCS = Path(__file__).parents[2] / "docs"


def _section(page: str, heading: str) -> str:
    """Return the text of a page from a heading to the next of the same or a higher level."""
    text = (DOCS / page).read_text(encoding="utf-8")
    level = heading.partition(" ")[0]
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no heading {heading!r}"
    return found.group(1)


def _first_column(text: str) -> list[str]:
    return re.findall(r"^\| `?([^`|]+?)`? +\|", text, re.MULTILINE)


def test_the_table_of_faults_is_that_of_control() -> None:
    lines = _section("operating.md", "## Faults").splitlines()
    missing = [row for row in table() if row not in lines]
    assert not missing, "paste the output of tests/docs/fault_table.py:\n" + "\n".join(missing)
    assert sum(line.startswith("| `") for line in lines) == len(table()) - 2


def test_every_reason_is_explained() -> None:
    told = set(_first_column(_section("operating.md", "## Why is it not charging?")))
    source = Path(reasons.__file__).read_text(encoding="utf-8")
    known = set(re.findall(r'Reason\(\s*"([a-z_]+)"', source)) | {hold.value for hold in reasons._HOLDS}
    assert len(known) > 15
    assert known <= told, known - told


def test_every_row_of_the_truth_table_is_told() -> None:
    rows = _first_column(_section("status.md", "## The truth table of IEC 61851"))
    assert [int(row) for row in rows if row.isdigit()] == list(range(1, 33))


def test_every_configuration_key_of_core_is_told_with_its_access() -> None:
    text = _section("status.md", "### Configuration keys")
    told = dict(re.findall(r"^\| `(\w+)` \| (RW?) \|", text, re.MULTILINE))
    known = {key.name: "RW" if key.writable else "R" for key in key_table().values()}
    assert told.items() <= known.items()
    assert len(told) == 34, "the keys of Core, and StationMaxCurrent; those of other profiles have tables of their own"


def test_every_driver_has_its_page() -> None:
    for name in BUILT_IN:
        page = DOCS / "hardware" / f"{name}.md"
        text = page.read_text(encoding="utf-8")
        for heading in ("## Wiring", "## Configuration", "## Limits", "## Faults and remedies", "## Open doubts"):
            assert heading in text, f"{page.name}: {heading}"
        assert f"({name}.md)" in (DOCS / "hardware" / "README.md").read_text(encoding="utf-8")


def test_every_driver_option_is_shown() -> None:
    from dataclasses import fields

    from hal.registry import load

    for name in BUILT_IN:
        text = (DOCS / "hardware" / f"{name}.md").read_text(encoding="utf-8")
        missing = [field.name for field in fields(load(name).options) if f"{field.name}:" not in text]
        assert not missing, f"{name}.md does not show {missing}"


def test_the_counts_at_the_head_of_the_status_are_those_of_its_tables() -> None:
    text = (DOCS / "status.md").read_text(encoding="utf-8")
    head = re.search(
        r"\*\*(\d+) work · (\d+) partly · (\d+) not yet\.\*\*.*senses (\d+), (\d+) in part, (\d+) not", text
    )
    assert head
    claims = text.partition("## The truth table")[0]
    states = [
        len(re.findall(rf"^\|[^|]*\| {state} \|", claims, re.MULTILINE)) for state in ("works", "partly", "not yet")
    ]
    truth = _section("status.md", "## The truth table of IEC 61851")
    sensed = [len(re.findall(rf" \| {state} \| ", truth)) for state in ("yes", "partly", "no")]
    assert [int(number) for number in head.groups()] == states + sensed
