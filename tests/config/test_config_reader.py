"""The reader's types, one by one, on a section made for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from agent.config.document import parse
from agent.config.findings import Report
from agent.config.reader import UNREAD, Reader
from hal.options import option


class Size(Enum):
    SMALL = 1
    LARGE = 2


@dataclass(frozen=True, slots=True)
class Inner:
    depth: int = option(1, help="depth", ge=0)


@dataclass(frozen=True, slots=True)
class Everything:
    flag: bool = option(False, help="flag")
    size: Size = option(Size.SMALL, help="size")
    maybe: int | None = option(None, help="perhaps")
    either: int | str = option(0, help="number or word")
    pair: tuple[int, str] = option((0, ""), help="number, then word")
    many: tuple[Inner, ...] = option((), help="inner ones", check=lambda v: "" if len(v) < 3 else "takes at most 2")
    named: Mapping[str, int] = option(help="by name", default_factory=dict, ge=1)
    inner: Inner | None = option(None, help="one inner")
    place: Path | None = option(None, help="a file")
    secret: float = option(0.0, help="hidden", secret=True, le=5)
    bare: str = "no rule"


def read(text: str) -> tuple[Any, list[str]]:
    report = Report("f")
    table = parse(text, report)
    assert table is not None
    value = Reader(report, Path("/etc/x")).section(table, Everything, "", 1)
    return value, [str(finding) for finding in report.sorted()]


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("flag: True", "flag", True),
        ("size: 2", "size", Size.LARGE),
        ("maybe: 5", "maybe", 5),
        ("maybe:", "maybe", None),
        ("maybe: ~", "maybe", None),
        ("either: 5", "either", 5),
        ("either: five", "either", "five"),
        ("pair: [1, one]", "pair", (1, "one")),
        ("many: [{depth: 2}, {}]", "many", (Inner(2), Inner(1))),
        ("many:", "many", ()),
        ("named: {a: 1, b: 2}", "named", {"a": 1, "b": 2}),
        ("named:", "named", {}),
        ("inner: {depth: 7}", "inner", Inner(7)),
        ("inner: null", "inner", None),
        ("place: sub/file", "place", Path("/etc/x/sub/file")),
        ("place: /file", "place", Path("/file")),
        ("secret: 1e0", "secret", 1.0),
        ("secret: -.5", "secret", -0.5),
        ("bare: |\n  two\n  lines\n", "bare", "two\nlines\n"),
    ],
)
def test_good_values(text: str, field: str, expected: object) -> None:
    value, findings = read(text)
    assert findings == []
    assert getattr(value, field) == expected


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("flag: ~", "f:1: flag: has no value; give true or false, or remove the line"),
        ("flag: 'true'", "f:1: flag: 'true' is not true or false; remove the quotes"),
        ("size: 3", "f:1: size: '3' is not one of 1, 2"),
        ("maybe: x", "f:1: maybe: 'x' is not a whole number"),
        ("either: [1]", "f:1: either: must be a text; a list stands here"),
        ("pair: [1]", "f:1: pair: must have 2 entries; it has 1"),
        ("pair: {a: 1}", "f:1: pair: must be a list (lines that begin with '- '); a section stands here"),
        ("many: [{}, {depth: -1}]", "f:1: many[1].depth: -1 is below 0; give 0 or more"),
        ("many: [{}, {}, {}]", "f:1: many: takes at most 2"),
        ("many:\n- 1", "f:2: many[0]: must be a section of 'key: value' lines; a single value stands here"),
        ("named: {a: 0}", "f:1: named.a: 0 is below 1; give 1 or more"),
        ("inner: [1]", "f:1: inner: must be a section of 'key: value' lines; a list stands here"),
        ("place: ''", "f:1: place: '' is not a path; it is empty"),
        ("secret: hunter2", "f:1: secret: the hidden value is not a number"),
        ("secret: 1e400", "f:1: secret: the hidden value is not a number; it is too large"),
        ("secret: 77", "f:1: secret: the hidden value is above 5; give 5 or less"),
        ('"odd\\x07key": 1', "f:1: 'odd\\x07key': is not a known option"),
    ],
)
def test_bad_values(text: str, finding: str) -> None:
    value, findings = read(text)
    assert value is UNREAD
    assert len(findings) == 1
    assert findings[0].startswith(finding)


def test_a_type_that_no_file_can_hold_is_the_authors_mistake() -> None:
    @dataclass(frozen=True, slots=True)
    class Wrong:
        callback: complex = option(help="nothing a file can hold")

    report = Report("f")
    table = parse("callback: 1", report)
    assert table is not None
    with pytest.raises(TypeError, match="cannot be read from a file"):
        Reader(report, Path("/")).section(table, Wrong, "", 1)
