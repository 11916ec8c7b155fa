"""What the docs name exists: tests, links, headings, make targets, words of the command line."""

from __future__ import annotations

import argparse
import ast
import re
from functools import cache
from pathlib import Path

import pytest

from agent.cli import _parser
from simulators.csms.cli import add_parser as add_csms
from simulators.lab.cli import add_parser as add_lab

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
every_page = pytest.mark.parametrize("page", NAMES)


@cache
def _text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@cache
def _tests_of(path: Path) -> frozenset[str]:
    """Names that pytest collects in a file: functions, and classes given as state machines' test cases."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(names)


@cache
def _anchors(path: Path) -> frozenset[str]:
    """Anchors of a page, as GitHub makes them of its headings."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    made = (re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-") for heading in headings)
    return frozenset(made) | frozenset(re.findall(r'<a id="([^"]+)">', text))


def test_there_are_pages() -> None:
    assert {"README.md", "docs/architecture.md", "docs/status.md", "docs/hardware/README.md"} <= set(NAMES)


@every_page
def test_every_test_that_is_named_exists(page: str) -> None:
    missing = [
        f"{file}::{name}"
        for file, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", _text(page))
        if not (ROOT / file).is_file() or name not in _tests_of(ROOT / file)
    ]
    assert missing == []


@every_page
def test_every_file_that_is_named_exists(page: str) -> None:
    named = set(re.findall(r"`((?:tests|agent|hal|simulators|docs)/[\w./-]*\w\.(?:py|md|yaml))", _text(page)))
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


@every_page
def test_every_relative_link_leads_somewhere(page: str) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", _text(page)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        if not path.exists() or (anchor and anchor not in _anchors(path)):
            broken.append(target)
    assert broken == []


@every_page
def test_every_make_target_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test", "bench"} <= targets
    code = re.findall(r"`make ([a-z]+)", _text(page)) + re.findall(r"^make ([a-z]+)", _text(page), re.MULTILINE)
    assert sorted(set(code) - targets) == []


def _words_of(parser: object) -> set[str]:
    actions = getattr(parser, "_actions")  # noqa: B009 (argparse has no other way to ask)
    return {word for action in actions if isinstance(action.choices, dict) for word in action.choices}


@every_page
def test_every_word_of_the_command_line_exists(page: str) -> None:
    words = _words_of(_parser())
    assert {"run", "status", "link"} <= words
    named = set(re.findall(r"(?:`|^|bin/)evse-agent ([a-z][a-z-]*)", _text(page), re.MULTILINE))
    assert sorted(named - words) == []
    sim_parser = argparse.ArgumentParser()
    parts = sim_parser.add_subparsers()
    add_lab(parts)
    add_csms(parts)
    sim = _words_of(sim_parser)
    assert {"lab", "ctl", "csms"} <= sim
    assert sorted(set(re.findall(r"(?:`|^)evse-sim ([a-z][a-z-]*)", _text(page), re.MULTILINE)) - sim) == []
