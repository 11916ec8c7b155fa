"""From nodes to the frozen dataclasses that declare the options, driven by their type hints and rules.

Understands: bool, int, float, str, Path, enums, ``X | None``, tuples, ``Mapping[str, X]`` and nested dataclasses.
A text is taken as it was written, quoted or not; a number or a truth value must not be quoted.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from agent.config.document import Items, Node, Scalar, Table, joined
from agent.config.findings import Report, listed, nearest, shown
from hal.options import Rule, Troubled


class Unread(Enum):
    UNREAD = "unread"


UNREAD: Final = Unread.UNREAD
"""Stands for a value that could not be read; the report says why."""

_BARE = Rule("")
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z", re.ASCII)
_FLOAT = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,4})?\Z", re.ASCII)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]", re.ASCII)
_QUOTED = re.compile(r"'([a-z_0-9]+)'", re.ASCII)
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class Reader:
    """Reads nodes and notes every broken rule in the report.

    ``folder``: what relative paths begin from. ``special``: own reading for a type, ``(node, key, line) -> value``.
    After reading, ``lines`` gives the line of every key that stands in the file, and ``values`` what could be read
    of each section (complete or not), so that checks across sections can go on after an error in one of them.
    """

    def __init__(
        self,
        report: Report,
        folder: Path,
        special: Mapping[type, Callable[[Node, str, int], Any]] | None = None,
    ) -> None:
        self.report = report
        self.lines: dict[str, int] = {}
        self.values: dict[str, dict[str, Any]] = {}
        self._folder = folder
        self._special = special or {}

    def line(self, key: str) -> int:
        """Line of the key, or of the nearest section around it."""
        while key and key not in self.lines:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return self.lines.get(key, 0)

    def section(self, node: Node, cls: type, key: str, line: int, ignore: Iterable[str] = ()) -> Any:
        """Read a table into an instance of ``cls``; keys in ``ignore`` belong to someone else."""
        if isinstance(node, Scalar) and node.empty:
            node = Table(line)  # a heading whose lines are all commented out
        if not isinstance(node, Table):
            self.report.add(line, key, f"must be a section of 'key: value' lines; {_what(node)} stands here")
            return UNREAD
        fields = {field.name: field for field in dataclasses.fields(cls)}
        hints = typing.get_type_hints(cls)
        values = self.values[key] = {}
        whole = True
        for name, entry in node.entries.items():
            own_key = joined(key, name)
            if name in ignore:
                continue
            if name not in fields:
                self.report.add(entry.line, own_key, _unknown(name, [*fields, *ignore]))
                whole = False
                continue
            self.lines[own_key] = entry.line
            rule = fields[name].metadata.get("rule", _BARE)
            value = self.value(entry.value, hints[name], rule, own_key, entry.line)
            if value is UNREAD:
                whole = False
            else:
                values[name] = value
        for name, field in fields.items():
            if name in node.entries:
                continue
            if field.default is not dataclasses.MISSING:
                values[name] = field.default
            elif field.default_factory is not dataclasses.MISSING:
                values[name] = field.default_factory()
            else:
                rule = field.metadata.get("rule", _BARE)
                self.report.add(line, joined(key, name), f"is missing; give {rule.help or 'a value'}")
                whole = False
        if not whole:
            return UNREAD
        try:
            section = cls(**values)
            return UNREAD if self._troubled(section, node, key, line) else section
        except ValueError as error:  # a rule across fields, checked by the dataclass itself
            self.report.add(line, key, str(error))
            return UNREAD

    def _troubled(self, section: Any, node: Table, key: str, line: int) -> bool:
        """Ask a section for what its options cannot be together (``hal.options.Troubled``)."""
        trouble = section.trouble() if isinstance(section, Troubled) else ""
        if not trouble:
            return False
        named = next((name for name in _QUOTED.findall(trouble) if name in node.entries), "")
        at = node.entries[named].line if named else line
        self.report.add(at, joined(key, named) if named else key, trouble)
        return True

    def value(self, node: Node, hint: Any, rule: Rule, key: str, line: int) -> Any:
        """Read one value of the hinted type and hold it against its rule."""
        self.lines.setdefault(key, line)
        if hint in self._special:
            return self._special[hint](node, key, line)
        origin = typing.get_origin(hint)
        if origin in (typing.Union, types.UnionType):
            return self._union(node, typing.get_args(hint), rule, key, line)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            value = self.section(node, hint, key, line)
            return UNREAD if value is UNREAD else self._ruled(value, rule, key, line, "this section")
        if origin is tuple:
            return self._tuple(node, typing.get_args(hint), rule, key, line)
        if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
            return self._mapping(node, typing.get_args(hint)[1], rule, key, line)
        return self._scalar(node, hint, rule, key)

    def _union(self, node: Node, hints: tuple[Any, ...], rule: Rule, key: str, line: int) -> Any:
        if type(None) in hints and isinstance(node, Scalar) and node.empty:
            return None
        before = len(self.report)
        value: Any = UNREAD
        for hint in hints:
            if hint is type(None):
                continue
            self.report.forget(before)
            value = self.value(node, hint, rule, key, line)
            if value is not UNREAD:
                break
        return value

    def _tuple(self, node: Node, hints: tuple[Any, ...], rule: Rule, key: str, line: int) -> Any:
        if isinstance(node, Scalar) and node.empty:
            node = Items(line)
        if not isinstance(node, Items):
            self.report.add(line, key, f"must be a list (lines that begin with '- '); {_what(node)} stands here")
            return UNREAD
        count = len(node.items)
        if len(hints) == 2 and hints[1] is Ellipsis:
            hints = (hints[0],) * count
        elif len(hints) != count:
            self.report.add(line, key, f"must have {len(hints)} entries; it has {count}")
            return UNREAD
        item_rule = dataclasses.replace(rule, check=None)
        read = [
            self.value(item, hint, item_rule, f"{key}[{index}]", item.line)
            for index, (item, hint) in enumerate(zip(node.items, hints, strict=True))
        ]
        if UNREAD in read:
            self.values[key] = {str(index): value for index, value in enumerate(read) if value is not UNREAD}
            return UNREAD
        return self._checked(tuple(read), rule, key, line)

    def _mapping(self, node: Node, hint: Any, rule: Rule, key: str, line: int) -> Any:
        if isinstance(node, Scalar) and node.empty:
            node = Table(line)
        if not isinstance(node, Table):
            self.report.add(line, key, f"must be a section of 'name: value' lines; {_what(node)} stands here")
            return UNREAD
        item_rule = dataclasses.replace(rule, check=None)
        read = {
            name: self.value(entry.value, hint, item_rule, joined(key, name), entry.line)
            for name, entry in node.entries.items()
        }
        self.values[key] = {name: value for name, value in read.items() if value is not UNREAD}
        if len(self.values[key]) < len(read):
            return UNREAD
        return self._checked(MappingProxyType(read), rule, key, line)

    def _scalar(self, node: Node, hint: Any, rule: Rule, key: str) -> Any:
        wanted = _wanted(hint, rule)
        if not isinstance(node, Scalar):
            self.report.add(node.line, key, f"must be {wanted}; {_what(node)} stands here")
            return UNREAD
        if node.empty:
            remedy = "write '' for an empty text" if hint is str else f"give {wanted}, or remove the line"
            self.report.add(node.line, key, f"has no value; {remedy}")
            return UNREAD
        value, remedy = _convert(node, hint)
        text = "the hidden value" if rule.secret else shown(node.text)
        if value is UNREAD:
            if not remedy and issubclass(hint, Enum):
                remedy = nearest(node.text, [str(member.value) for member in hint])
            self.report.add(node.line, key, f"{text} is not {wanted}{remedy}")
            return UNREAD
        if isinstance(value, Path):
            value = self._folder / value
        return self._ruled(value, rule, key, node.line, text)

    def _ruled(self, value: Any, rule: Rule, key: str, line: int, text: str) -> Any:
        if rule.choices and value not in rule.choices:
            near = nearest(value, rule.choices) if isinstance(value, str) else ""
            self.report.add(line, key, f"{text} is not one of {listed(map(str, rule.choices))}{near}")
            return UNREAD
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            unit = f" {rule.unit}" if rule.unit else ""
            side = ""
            if rule.ge is not None and value < rule.ge:
                side = f"below {rule.ge:g}{unit}"
            elif rule.le is not None and value > rule.le:
                side = f"above {rule.le:g}{unit}"
            if side:
                given = text if rule.secret else f"{_number(value)}{unit}"
                self.report.add(line, key, f"{given} is {side}; give {_range(rule, unit)}")
                return UNREAD
        return self._checked(value, rule, key, line)

    def _checked(self, value: Any, rule: Rule, key: str, line: int) -> Any:
        broken = rule.check(value) if rule.check is not None else ""
        if broken:
            self.report.add(line, key, broken)
            return UNREAD
        return value


def _convert(node: Scalar, hint: Any) -> tuple[Any, str]:
    """Return the value, or UNREAD and a remedy (which may be empty)."""
    text = node.text
    if hint is str:
        return text, ""
    if hint is Path:
        return (Path(text), "") if text and "\0" not in text else (UNREAD, "; it is empty")
    if hint in (bool, int, float) and node.quoted:
        return UNREAD, "; remove the quotes"
    if hint is bool:
        return _TRUTH.get(text, UNREAD), "; write true or false"
    if hint in (int, float):
        return _convert_number(text, hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        for member in hint:
            if str(member.value) == text:
                return member, ""
        return UNREAD, ""
    raise TypeError(f"an option of type {hint!r} cannot be read from a file")


def _convert_number(text: str, hint: type) -> tuple[Any, str]:
    if _LEADING_ZERO.match(text) and _FLOAT.match(text):
        # YAML 1.1 would read 010 as 8, YAML 1.2 as 10.
        return UNREAD, "; a leading zero is ambiguous, leave it out"
    if hint is int:
        if _INT.match(text):
            return (int(text), "") if len(text) <= 18 else (UNREAD, "; it has too many digits")
        return UNREAD, ""
    if _FLOAT.match(text) and len(text) <= 40:
        value = float(text)
        return (value, "") if math.isfinite(value) else (UNREAD, "; it is too large")
    return UNREAD, ""


def _wanted(hint: Any, rule: Rule) -> str:
    unit = f" in {rule.unit}, written without its unit" if rule.unit else ""
    if hint is bool:
        return "true or false"
    if hint is int:
        return f"a whole number{unit}"
    if hint is float:
        return f"a number{unit}"
    if hint is Path:
        return "a path"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return f"one of {listed(str(member.value) for member in hint)}"
    return "a text"


def _range(rule: Rule, unit: str) -> str:
    if rule.ge is not None and rule.le is not None:
        return f"{rule.ge:g} to {rule.le:g}{unit}"
    return f"{rule.ge:g}{unit} or more" if rule.ge is not None else f"{rule.le:g}{unit} or less"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.10g}"


def _what(node: Node) -> str:
    if isinstance(node, Items):
        return "a list"
    if isinstance(node, Table):
        return "a section"
    return "nothing" if node.empty else "a single value"


def _unknown(name: str, known: list[str]) -> str:
    near = nearest(name, known)
    return "is not a known option" + (near or f"; known here: {listed(known)}")
