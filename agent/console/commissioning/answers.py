"""The answers of a commissioning: as a person gave them, or out of a file, each with the place where it stands.

A file of answers is written like a configuration file. Its sections ``station``, ``installation``, ``devices``,
``evses``, ``readers``, ``ocpp`` … are the configuration's own and need hold only what is to be set; beside them stand
``region``, ``technician`` and what else ``OWN`` names.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.config.document import Entry, Items, Node, Scalar, Table, joined, read
from agent.config.findings import Finding, Report, nearest
from agent.config.schema import Config
from agent.console.commissioning.regions import REGIONS, Region

SECTIONS = tuple(each.name for each in dataclasses.fields(Config))

OWN = {
    "region": "where the charge point stands, as two letters (ISO 3166), like GR",
    "technician": "who commissions it",
    "site": "where it stands, in words",
    "language": "language of its drivers, two letters; the region's when left out",
    "currency": "currency of its prices, three letters; the region's when left out",
    "phase_rotation": "how each outlet is wired, by its number: {1: RST, 2: STR}",
    "self_test": "false: no self-test of the residual-current monitors at the end",
}
WHOLE = frozenset({"devices", "evses", "readers"})
"""Sections that an answer replaces as a whole: what is left out of them is not there."""

ROTATIONS = ("RST", "RTS", "SRT", "STR", "TRS", "TSR", "NotApplicable")
"""OCPP 1.6 §9.1.9."""


@dataclass
class Answers:
    """``where`` gives file and line of each answer by its key (``evses[0].id``)."""

    tree: Table
    where: dict[str, tuple[str, int]] = field(default_factory=dict)

    def text(self, key: str) -> str:
        """A single value, '' when it was not given."""
        node = self.node(key)
        return node.text.strip() if isinstance(node, Scalar) and not node.empty else ""

    def node(self, key: str) -> Node | None:
        found: Node = self.tree
        for name in key.split("."):
            entry = found.entries.get(name) if isinstance(found, Table) else None
            if entry is None:
                return None
            found = entry.value
        return found

    def set(self, key: str, value: Node | str) -> None:
        """Answer as a person would."""
        *path, last = key.split(".")
        table = self.tree
        for name in path:
            inner = table.entries.setdefault(name, Entry(0, Table(0))).value
            if not isinstance(inner, Table):
                inner = Table(0)
                table.entries[name] = Entry(0, inner)
            table = inner
        table.entries[last] = Entry(0, scalar(value) if isinstance(value, str) else value)

    @property
    def region(self) -> Region | None:
        return REGIONS.get(self.text("region").upper())

    def rotation(self) -> dict[int, str]:
        """How each outlet is wired, as far as it was said and can be read."""
        node = self.node("phase_rotation")
        pairs = node.entries.items() if isinstance(node, Table) else ()
        return {
            int(name): entry.value.text
            for name, entry in pairs
            if re.fullmatch(r"[1-9][0-9]?", name) and isinstance(entry.value, Scalar)
        }


def scalar(text: str) -> Scalar:
    """A text as it stands in a file: in quotes where it would mean something else without."""
    return Scalar(text, text.strip() != text or text in ("", "~", "null", "Null", "NULL"), 0)


def plain(value: object) -> Node:
    """Make nodes of plain values (texts, numbers, truth values, lists, tables)."""
    if isinstance(value, Mapping):
        return Table(0, {str(name): Entry(0, plain(each)) for name, each in value.items()})
    if isinstance(value, list | tuple):
        return Items(0, [plain(each) for each in value])
    if isinstance(value, bool):
        return Scalar("true" if value else "false", False, 0)
    if isinstance(value, int | float):
        return Scalar(f"{value:g}", False, 0)
    return scalar(str(value))


def from_files(paths: list[Path]) -> tuple[Answers, list[Finding]]:
    """Read one file after the other; what a later one says goes before."""
    answers, findings = Answers(Table(0)), []
    for path in paths:
        report = Report(str(path))
        table = read(path, report)
        findings += report.sorted()
        if table is not None:
            answers.tree = merged(answers.tree, table)
            _places(table, "", str(path), answers.where)
    return answers, findings


def merged(below: Table, above: Table, key: str = "") -> Table:
    """Lay one table over another: sections are joined, ``WHOLE`` ones and single values replaced."""
    entries = dict(below.entries)
    for name, entry in above.entries.items():
        own, there = joined(key, name), entries.get(name)
        if there is not None and isinstance(there.value, Table) and isinstance(entry.value, Table) and own not in WHOLE:
            entries[name] = Entry(entry.line, merged(there.value, entry.value, own))
        else:
            entries[name] = entry
    return Table(below.line, entries)


def _places(node: Node, key: str, file: str, where: dict[str, tuple[str, int]]) -> None:
    if isinstance(node, Table):
        for name, entry in node.entries.items():
            own = joined(key, name)
            where[own] = (file, entry.line)
            _places(entry.value, own, file, where)
    elif isinstance(node, Items):
        for index, each in enumerate(node.items):
            where[f"{key}[{index}]"] = (file, each.line)
            _places(each, f"{key}[{index}]", file, where)


def place(answers: Answers, key: str) -> tuple[str, int] | None:
    """File and line of an answer, or of the nearest one around it; None when none was given."""
    while key and key not in answers.where:
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return answers.where.get(key)


def mistakes(answers: Answers) -> list[Finding]:
    """What is wrong with the answers by themselves; the rest shows in the configuration that they make."""
    found: list[Finding] = []

    def add(key: str, message: str) -> None:
        file, line = place(answers, key) or ("", 0)
        found.append(Finding(file or "answers", line, key, message))

    known = {*OWN, *SECTIONS}
    for name in answers.tree.entries:
        if name not in known:
            add(name, f"is no answer that is asked for{nearest(name, known)}")
    for name in ("region", "technician"):
        if not answers.text(name):
            add(name, f"is missing; give {OWN[name]}")
    code = answers.text("region")
    region = answers.region
    if code and region is None:
        add("region", f"{code[:20]!r} is no region known here; there are {', '.join(sorted(REGIONS))}")
    if region is not None and len(region.mains) > 1 and not answers.text("installation.nominal_voltage_v"):
        volts = ", ".join(f"{each:g}" for each in region.mains)
        add("region", f"the mains of {region.name} may be {volts} V; give installation.nominal_voltage_v as measured")
    for name, form, what in (("language", r"[a-z]{2,3}", "el"), ("currency", r"[A-Z]{3}", "EUR")):
        if answers.text(name) and not re.fullmatch(form, answers.text(name)):
            add(name, f"{answers.text(name)[:20]!r} is not written like {what}")
    if answers.text("self_test") not in ("", "true", "false"):
        add("self_test", "write true or false")
    node = answers.node("phase_rotation")
    if node is not None and (not isinstance(node, Table) or len(answers.rotation()) != len(node.entries)):
        add("phase_rotation", f"give {OWN['phase_rotation']}")
    for number, rotation in answers.rotation().items():
        if rotation not in ROTATIONS:
            add(f"phase_rotation.{number}", f"{rotation[:20]!r} is none of {', '.join(ROTATIONS)}")
    return found
