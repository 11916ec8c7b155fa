"""One value is changed, and not a character besides."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config.document import parse
from agent.config.edit import EditError, changes, leaves, parsed, spelled, with_value, without
from agent.config.findings import Report

EXAMPLE = (Path(__file__).parents[2] / "config.example.yaml").read_text("utf-8")

FILE = """\
# head
ocpp:            # the network
  url: wss://a/b  # where
  password: 'x y'
  settings:
    HeartbeatInterval: "30"
  # the end of ocpp
empty:
files:
  protocols: [https, http]  # two
  block:
    - one   # first
    - two
evses:
  - id: 1
    meter: m.1
  - {id: 2, meter: m.2}
"""


@pytest.mark.parametrize(
    ("path", "value", "line_before", "line_after"),
    [
        ("ocpp.url", "ws://c", "  url: wss://a/b  # where", "  url: ws://c  # where"),
        ("ocpp.password", "it's", "  password: 'x y'", '  password: "it\'s"'),
        ("ocpp.password", "", "  password: 'x y'", "  password: ''"),
        ("ocpp.password", "null", "  password: 'x y'", "  password: 'null'"),
        ("ocpp.settings.HeartbeatInterval", "60", '    HeartbeatInterval: "30"', "    HeartbeatInterval: 60"),
        ("files.protocols", "[https]", "  protocols: [https, http]  # two", "  protocols: [https]  # two"),
        ("files.protocols[1]", "ftp", "  protocols: [https, http]  # two", "  protocols: [https, ftp]  # two"),
        ("files.protocols[2]", "ftp", "  protocols: [https, http]  # two", "  protocols: [https, http, ftp]  # two"),
        ("files.block[1]", "2", "    - two", "    - 2"),
        ("evses[0].meter", "a: b", "    meter: m.1", "    meter: 'a: b'"),
        ("evses[1].meter", "n", "  - {id: 2, meter: m.2}", "  - {id: 2, meter: n}"),
        ("evses[1].reader", "n", "  - {id: 2, meter: m.2}", "  - {id: 2, meter: m.2, reader: n}"),
        ("empty", "7", "empty:", "empty: 7"),
        ("files.block", "[]", "  block:\n    - one   # first\n    - two", "  block: []"),
        # What is new goes behind what its section holds.
        ("ocpp.identity", "N#1", '    HeartbeatInterval: "30"', "    HeartbeatInterval: \"30\"\n  identity: 'N#1'"),
        ("empty.a.b", "1", "empty:", "empty:\n  a:\n    b: 1"),
        ("files.block[2]", "three", "    - two", "    - two\n    - three"),
        ("evses[0].reader", "r", "    meter: m.1", "    meter: m.1\n    reader: r"),
        ("ocpp.networks[0].url", "ws://n", '    HeartbeatInterval: "30"',
         '    HeartbeatInterval: "30"\n  networks:\n    - url: ws://n'),
    ],
)  # fmt: skip
def test_a_value_is_changed_at_its_place(path, value, line_before, line_after):
    assert FILE.count(line_before) == 1
    assert with_value(FILE, path, value) == FILE.replace(line_before, line_after)


def test_a_section_that_is_not_there_yet_goes_to_the_end_even_without_a_newline():
    assert with_value("a: 1", "b.c", "x") == "a: 1\nb:\n  c: x\n"
    assert with_value("a: 1\r\n", "b.c", "x") == "a: 1\r\nb:\r\n  c: x\r\n"


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("ocpp.url", "  url: wss://a/b  # where\n"),
        ("ocpp.settings", '  settings:\n    HeartbeatInterval: "30"\n'),
        ("files.block[0]", "    - one   # first\n"),
        ("evses[1]", "  - {id: 2, meter: m.2}\n"),
        ("evses[0].meter", "    meter: m.1\n"),
    ],
)
def test_a_value_is_taken_out(path, gone):
    assert FILE.count(gone) == 1
    assert without(FILE, path) == FILE.replace(gone, "")


def test_the_first_option_of_an_entry_is_taken_out_and_its_dash_stays():
    assert "  - meter: m.1\n" in without(FILE, "evses[0].id")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "no path"),
        ("[0]", "no path"),
        ("a..b", "no path"),
        ("ocpp.url.deeper", "single value"),
        ("evses.first", "a list"),
        ("ocpp[0]", "a section"),
        ("evses[7].id", "2 entries"),
        ("evses[1].a.b", "in brackets"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(path, words):
    with pytest.raises(EditError, match=words):
        with_value(FILE, path, "1")


def test_taking_out_what_is_not_there_or_stands_in_brackets_is_refused():
    with pytest.raises(EditError, match="nothing to take out"):
        without(FILE, "ocpp.nothing")
    with pytest.raises(EditError, match="as a whole"):
        without(FILE, "evses[1].meter")


def test_changes_are_told_in_order():
    after = without(with_value(with_value(FILE, "ocpp.url", "ws://c"), "zone.a", "1"), "evses[0].meter")
    told = [(each.path, each.before, each.after) for each in changes(leaves(FILE), leaves(after))]
    assert told == [
        ("ocpp.url", "wss://a/b", "ws://c"),
        ("evses[0].meter", "m.1", None),
        ("zone.a", None, "1"),
    ]


PATHS = sorted(leaves(EXAMPLE))
PRINTABLE = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=30)


@settings(max_examples=60, deadline=None)
@given(path=st.sampled_from(PATHS), value=PRINTABLE)
def test_any_value_at_any_place_of_the_example_reads_back_and_nothing_else_moves(path, value):
    before = leaves(EXAMPLE)
    collection = before[path] in ("[]", "{}") and value[:1] in ("[", "{")
    try:
        edited = with_value(EXAMPLE, path, value)
    except EditError:
        assert collection  # it would have been read as something else
        return
    after = leaves(edited)
    if not collection:
        assert after[path] == value
        assert {**after, path: ""} == {**before, path: ""}
    assert [line for line in EXAMPLE.splitlines() if line.startswith("#")] == [
        line for line in edited.splitlines() if line.startswith("#")
    ]
    assert parse(edited, Report("x")) is not None  # the agent's own reader takes it too


@given(st.lists(st.one_of(st.from_regex(r"[A-Za-z_-]{1,8}", fullmatch=True), st.integers(0, 99)), min_size=1))
def test_paths_are_read_as_they_are_written(steps):
    path = ("top", *steps)
    assert parsed(spelled(path)) == path
