"""From the text of a file to a tree of nodes that know their lines.

The tree keeps every scalar as it was written. What it means is decided by the type of the option that reads it,
so none of YAML 1.1's guesses (``NO`` as false, ``22:30`` as 1350, ``010`` as 8) can happen. Anchors, aliases, tags
and merge keys are refused: a charge point's configuration is short, and each line should say what it means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from agent.config.findings import Report, shown

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
MAX_NODES = 20_000

# YAML 1.2 §5.1, the printable set.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# The parser in C where PyYAML was built with it (20 times faster), else the one in Python.
_LOADER: type[yaml.BaseLoader] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(slots=True)
class Scalar:
    text: str
    quoted: bool
    line: int

    @property
    def empty(self) -> bool:
        """Nothing was written, or an explicit null."""
        return not self.quoted and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(slots=True)
class Items:
    line: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Entry:
    line: int
    """Line of the key."""
    value: Node


@dataclass(slots=True)
class Table:
    line: int
    entries: dict[str, Entry] = field(default_factory=dict)


Node = Scalar | Items | Table


def read(path: Path, report: Report) -> Table | None:
    """Return the file's top-level table. None when there is none; the report says why."""
    text = _text(path, report)
    return None if text is None else parse(text, report)


def _text(path: Path, report: Report) -> str | None:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        report.add(0, "", "does not exist; give the path of a configuration file (see config.example.yaml)")
        return None
    except IsADirectoryError:
        report.add(0, "", "is a directory; give the path of the file in it")
        return None
    except PermissionError:
        report.add(0, "", "may not be read by this user; change its owner or mode, or run as the user that owns it")
        return None
    except (OSError, ValueError) as error:
        report.add(0, "", f"cannot be read: {error}")
        return None
    if len(raw) > MAX_BYTES:
        report.add(0, "", f"is larger than {MAX_BYTES // 1024} KiB; this is no configuration file")
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        report.add(line, "", f"byte 0x{raw[error.start]:02x} is not UTF-8 text; save the file as UTF-8")
        return None


def parse(text: str, report: Report) -> Table | None:
    """Return the top-level table of a YAML text. None when there is none; the report says why."""
    broken = _UNPRINTABLE.search(text)
    if broken:
        line = text.count("\n", 0, broken.start()) + 1
        report.add(line, "", f"character U+{ord(broken[0]):04X} may not stand in the file; remove it")
        return None
    try:
        root = _Builder(report).build(text)
    except _RefusedError:
        return None
    except yaml.MarkedYAMLError as error:
        _report_broken(text, error, report)
        return None
    except yaml.YAMLError as error:
        report.add(0, "", f"is not YAML: {' '.join(str(error).split())}")
        return None
    if root is None or (isinstance(root, Scalar) and root.empty):
        report.add(0, "", "is empty; begin from config.example.yaml")
        return None
    if not isinstance(root, Table):
        report.add(root.line, "", "must hold 'key: value' lines at the top level, as config.example.yaml does")
        return None
    return root


def _report_broken(text: str, error: yaml.MarkedYAMLError, report: Report) -> None:
    mark, begun = error.problem_mark or error.context_mark, error.context_mark
    line = mark.line + 1 if mark is not None else 0
    context = f" {error.context}" if error.context else ""
    if context and begun is not None and begun.line + 1 != line:
        context += f" (begun on line {begun.line + 1})"
    written = text.splitlines()[line - 1 : line]
    tabbed = bool(written) and written[0][: mark.column + 1 if mark is not None else 0].strip(" ").startswith("\t")
    remedy = "; indent with spaces, not tabs" if tabbed else ""
    report.add(line, "", f"is not YAML: {error.problem or 'broken'}{context}{remedy}")


class _RefusedError(Exception):
    """The reason is in the report already; reading further makes no sense."""


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been seen."""

    node: Items | Table
    key: str
    entry: str | None = None
    entry_line: int = 0


class _Builder:
    """Builds the tree from parser events without recursion, so depth costs nothing but is bounded."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._stack: list[_Open] = []
        self._root: Node | None = None
        self._nodes = 0

    def build(self, text: str) -> Node | None:
        documents = 0
        for event in yaml.parse(text, Loader=_LOADER):
            mark = event.start_mark
            line = mark.line + 1 if mark is not None else 0
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        self._refuse(line, "a second document begins here; keep one")
                case yaml.AliasEvent():
                    self._refuse(line, f"alias *{event.anchor} is not supported; write the value out")
                case yaml.ScalarEvent():
                    self._properties(event, line)
                    self._scalar(Scalar(event.value, bool(event.style), line))
                case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                    self._properties(event, line)
                    self._begin(Items(line) if isinstance(event, yaml.SequenceStartEvent) else Table(line))
                case yaml.CollectionEndEvent():
                    self._stack.pop()
        return self._root

    def _refuse(self, line: int, message: str) -> None:
        self._report.add(line, self._key(), message)
        raise _RefusedError

    def _properties(self, event: yaml.NodeEvent, line: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._refuse(line, f"the file holds more than {MAX_NODES} values; this is no configuration file")
        if event.anchor is not None:
            self._refuse(line, f"anchor &{event.anchor} is not supported; write the value out where it is needed")
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!":
            self._refuse(line, f"tag {shown(str(tag))} is not supported; write the value alone")

    def _key(self) -> str:
        """Key of the node that comes next."""
        if not self._stack:
            return ""
        top = self._stack[-1]
        if isinstance(top.node, Items):
            return f"{top.key}[{len(top.node.items)}]"
        return top.key if top.entry is None else joined(top.key, top.entry)

    def _scalar(self, scalar: Scalar) -> None:
        top = self._stack[-1] if self._stack else None
        if top is None or isinstance(top.node, Items) or top.entry is not None:
            self._attach(scalar)
            return
        if scalar.text == "<<" and not scalar.quoted:
            self._refuse(scalar.line, "merge key '<<' is not supported; repeat the keys")
        top.entry, top.entry_line = scalar.text, scalar.line

    def _begin(self, node: Items | Table) -> None:
        key = self._key()
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.node, Table) and top.entry is None:
            self._refuse(node.line, "a list or section stands where a key is expected; write 'key: value'")
        if len(self._stack) >= MAX_DEPTH:
            self._refuse(node.line, f"is nested more than {MAX_DEPTH} deep; no section goes that deep")
        self._attach(node)
        self._stack.append(_Open(node, key))

    def _attach(self, node: Node) -> None:
        if not self._stack:
            self._root = node
            return
        top = self._stack[-1]
        if isinstance(top.node, Items):
            top.node.items.append(node)
            return
        assert top.entry is not None
        earlier = top.node.entries.get(top.entry)
        if earlier is None:
            top.node.entries[top.entry] = Entry(top.entry_line, node)
        else:
            key = joined(top.key, top.entry)
            self._report.add(top.entry_line, key, f"stands here again after line {earlier.line}; keep one of the two")
        top.entry = None


def joined(parent: str, name: str) -> str:
    """Return the key of ``name`` inside ``parent``, bounded for the message."""
    name = name if len(name) <= 60 and name.isprintable() else shown(name)
    return f"{parent}.{name}" if parent else name
