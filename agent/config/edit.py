"""Changes single values in the text of a configuration file, and leaves every other character where it stands. Pure.

Comments and layout belong to whoever wrote the file. So a value is replaced at its own place in the text, and what is
new goes behind what its section holds already. Each edit proves itself: read again, the text must differ from the one
before in the named value and nowhere else, or the edit is refused.

A *path* names a value as the loader's messages do: ``evses[0].max_current_a``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from agent.config.document import MAX_BYTES
from agent.config.findings import nearest

Leaves = Mapping[str, str]
"""Every single value of a file by its path, as it was written, without quotes."""

Path = tuple[str | int, ...]

_STEP = re.compile(r"(?P<name>[^.\[\]]+)|\[(?P<index>[0-9]{1,4})\]")
_NOTHING = ("", "~", "null", "Null", "NULL")
_INDENT = 2
_WIDEST = 10_000_000  # never folds


class EditError(ValueError):
    """The text cannot be changed so. The message names the path and the remedy."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs. ``before`` or ``after`` is None where it does not stand in the file."""

    path: str
    before: str | None
    after: str | None


def parsed(path: str) -> Path:
    """Split ``evses[0].meter`` into its steps. Raises EditError."""
    steps: list[str | int] = []
    at = 0
    while at < len(path):
        if path[at] == "." and steps:
            at += 1
        found = _STEP.match(path, at)
        if found is None:
            break
        steps.append(found["name"] if found["index"] is None else int(found["index"]))
        at = found.end()
    if not steps or at != len(path) or isinstance(steps[0], int):
        raise EditError(f"{path[:60]!r} is no path; write it like ocpp.url or evses[0].max_current_a")
    return tuple(steps)


def spelled(path: Path) -> str:
    """Return a path as it is written."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def leaves(text: str) -> dict[str, str]:
    """Return every single value by its path; an empty section or list as '{}' or '[]'. Raises EditError."""
    root = _composed(text)
    return {} if root is None else dict(_leaves(root, ()))


def changes(before: Leaves, after: Leaves) -> list[Change]:
    """Return what differs, in the order of the file."""
    return [
        Change(path, before.get(path), after.get(path))
        for path in {**before, **after}
        if before.get(path) != after.get(path)
    ]


def with_value(text: str, path: str, value: str) -> str:
    """Return the text with one value set. Raises EditError.

    ``value`` is taken as it is; where the file has a list or section, or nothing yet, it may be one in brackets:
    ``[https, http]``. A list grows by giving the number after its last.
    """
    if not value.isprintable():
        raise EditError(f"{path}: the value holds characters that cannot be written; leave them out")
    steps = parsed(path)
    root = _composed(text)
    if not isinstance(root, yaml.MappingNode):
        raise EditError("the file holds no sections; begin from config.example.yaml")
    edited = _set(text, root, steps, value)
    _prove(text, edited, steps)
    return edited


def without(text: str, path: str) -> str:
    """Return the text without a value or section: its default holds then. Raises EditError."""
    steps = parsed(path)
    root = _composed(text)
    parent = None if root is None else _find(root, steps[:-1])
    child = None if parent is None else _child(parent, steps[-1])
    if parent is None or child is None:
        raise EditError(f"{path} does not stand in the file; there is nothing to take out")
    if _in_brackets(parent):
        raise EditError(f"{path}: it stands in a list or section in brackets; set {spelled(steps[:-1])} as a whole")
    key = _key(parent, steps[-1])
    begin = _line_start(text, (key or child).start_mark.index)
    end = _line_end(text, _end(child))
    edited = text[:begin] + text[end:]
    if isinstance(steps[-1], int):
        if text[begin : child.start_mark.index].strip() != "-":
            raise EditError(f"{path}: it shares its line with others; set {spelled(steps[:-1])} as a whole")
    elif text[begin : (key or child).start_mark.index].strip() not in ("", '"', "'"):
        # '- name: x': the entry begins on the line of its dash, which stays.
        edited = text[: (key or child).start_mark.index] + text[end:].lstrip(" ")
        if len(parent.value) == 1:
            raise EditError(f"{path} is all that {spelled(steps[:-1])} holds; take that out as a whole")
    _prove(text, edited, steps)
    return edited


# ---- the tree, with places ----


def _composed(text: str) -> yaml.Node | None:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise EditError(f"the text is larger than {MAX_BYTES // 1024} KiB; this is no configuration file")
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise EditError(f"is not YAML: {' '.join(str(error).split())[:200]}") from None
    assert root is None or isinstance(root, yaml.Node)
    return root


def _leaves(node: yaml.Node, path: Path) -> Iterator[tuple[str, str]]:
    if isinstance(node, yaml.ScalarNode):
        yield spelled(path), node.value
    elif isinstance(node, yaml.MappingNode):
        if not node.value:
            yield spelled(path), "{}"
        for key, value in node.value:
            yield from _leaves(value, (*path, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        if not node.value:
            yield spelled(path), "[]"
        for index, value in enumerate(node.value):
            yield from _leaves(value, (*path, index))


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode) and isinstance(step, str):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        found = node.value[step]
        assert isinstance(found, yaml.Node)
        return found
    return None


def _key(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((key for key, _ in node.value if key.value == step), None)
    return None


def _find(node: yaml.Node, steps: Path) -> yaml.Node | None:
    for step in steps:
        inner = _child(node, step)
        if inner is None:
            return None
        node = inner
    return node


def _in_brackets(node: yaml.Node) -> bool:
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def _end(node: yaml.Node) -> int:
    """Where a node's own text ends: a block's mark lies behind the comments that follow it."""
    if isinstance(node, yaml.ScalarNode) or _in_brackets(node) or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(node, yaml.MappingNode) else last)


def _line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def _line_end(text: str, index: int) -> int:
    """Behind the newline of the line in which ``index`` lies. A block scalar's end lies behind it already."""
    if index and text[index - 1] == "\n":
        return index
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1


# ---- writing ----


def _set(text: str, node: yaml.Node, steps: Path, value: str) -> str:
    for depth, step in enumerate(steps):
        inner = _child(node, step)
        if inner is None:
            return _added(text, node, steps, depth, value)
        if _is_nothing(inner) and depth + 1 < len(steps):
            return _below_heading(text, node, inner, steps, depth, value)
        node = inner
    if isinstance(node, yaml.ScalarNode) and not _is_nothing(node):
        return _replaced(text, node, _scalar(value))
    return _replaced(text, node, _flow_or_scalar(value))


def _is_nothing(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style and node.value in _NOTHING


def _replaced(text: str, node: yaml.Node, written: str) -> str:
    begin, end = int(node.start_mark.index), _end(node)
    block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
    if block or (isinstance(node, yaml.CollectionNode) and not _in_brackets(node)):
        begin = len(text[:begin].rstrip())
        if block:
            end = len(text[:end].rstrip("\n"))
        return f"{text[:begin]} {written}{text[end:]}"
    space = "" if not begin or text[begin - 1] in " \t" else " "  # an empty value stands right behind its colon
    return f"{text[:begin]}{space}{written}{text[end:]}"


def _below_heading(text: str, parent: yaml.Node, empty: yaml.Node, steps: Path, depth: int, value: str) -> str:
    """Fill a heading under which nothing stands (or an explicit null)."""
    key = _key(parent, steps[depth])
    if key is None or _in_brackets(parent):
        raise EditError(f"{spelled(steps[: depth + 1])} is empty; give it as a whole, in brackets")
    indent = _column(text, key) + _INDENT
    begin = int(empty.start_mark.index)
    text = text[:begin].rstrip(" ") + text[_end(empty) :]
    return _inserted(text, _line_end(text, int(key.end_mark.index)), _lines(steps[depth + 1 :], value, indent))


def _added(text: str, node: yaml.Node, steps: Path, depth: int, value: str) -> str:
    """Add what does not stand in the file yet behind what its section holds."""
    step, place = steps[depth], spelled(steps[:depth])
    if isinstance(node, yaml.ScalarNode):
        raise EditError(f"{place} is a single value; it holds no {step!r}")
    if isinstance(node, yaml.MappingNode) != isinstance(step, str):
        sort = "a section; name one of its options" if isinstance(step, int) else "a list; give a number, like [0]"
        raise EditError(f"{place} is {sort}")
    if isinstance(step, int) and step != len(node.value):
        raise EditError(f"{place} has {len(node.value)} entries; the next one is [{len(node.value)}]")
    if any(isinstance(each, int) and each for each in steps[depth + 1 :]):
        raise EditError(f"{spelled(steps)}: there is nothing before it; begin with [0]")
    if _in_brackets(node) or not node.value:
        if len(steps) > depth + 1:
            raise EditError(f"{place or 'the file'} stands in brackets; set {place} as a whole")
        written = _flow_or_scalar(value)
        entry = written if isinstance(step, int) else f"{_scalar(str(step))}: {written}"
        end = int(node.end_mark.index) - 1
        head = text[:end].rstrip()
        return f"{head}{', ' if node.value else ''}{entry}{text[end:]}"
    first = node.value[0][0] if isinstance(node, yaml.MappingNode) else node.value[0]
    indent = _column(text, first)
    if isinstance(step, int):
        begin = text.rfind("-", 0, int(first.start_mark.index))
        indent = begin - _line_start(text, begin)
        rest = _lines(steps[depth + 1 :], value, indent + _INDENT)
        rest[0] = " " * indent + "- " + rest[0].lstrip(" ")
        return _inserted(text, _line_end(text, _end(node)), rest)
    return _inserted(text, _line_end(text, _end(node)), _lines(steps[depth:], value, indent))


def _column(text: str, node: yaml.Node) -> int:
    index = int(node.start_mark.index)
    return index - _line_start(text, index)


def _lines(steps: Path, value: str, indent: int) -> list[str]:
    """Lines that say ``value`` under the headings of ``steps``."""
    if not steps:
        return [" " * indent + _flow_or_scalar(value)]
    first, rest = steps[0], steps[1:]
    if isinstance(first, int):
        inner = _lines(rest, value, indent + _INDENT)
        return [" " * indent + "- " + inner[0].lstrip(" "), *inner[1:]]
    head = " " * indent + _scalar(first) + ":"
    if not rest:
        return [f"{head} {_flow_or_scalar(value)}"]
    return [head, *_lines(rest, value, indent + _INDENT)]


def _inserted(text: str, at: int, lines: list[str]) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    head = text[:at] if not at or text[at - 1] == "\n" else text[:at] + newline
    return head + "".join(line + newline for line in lines) + text[at:]


def _scalar(value: str) -> str:
    """Write one value: bare where it can be read back so, else in quotes."""
    bare = value and value not in _NOTHING and value == value.strip()
    if bare and not any(mark in value for mark in "[]{},\"'#&*!|>%@`"):
        try:
            node = yaml.compose(f"k: {value}\n", Loader=yaml.BaseLoader)
        except yaml.YAMLError:
            node = None
        inner = None if node is None else _child(node, "k")
        if isinstance(inner, yaml.ScalarNode) and inner.value == value and not inner.style:
            return value
    return json.dumps(value, ensure_ascii=False) if "'" in value or "\\" in value else f"'{value}'"


def _flow_or_scalar(value: str) -> str:
    if value[:1] in ("[", "{"):
        try:
            node = yaml.compose(value, Loader=yaml.BaseLoader)
        except yaml.YAMLError:
            return _scalar(value)
        if isinstance(node, yaml.CollectionNode) and _in_brackets(node):
            return value.strip()
    return _scalar(value)


def _prove(before: str, after: str, steps: Path) -> None:
    """Nothing but what was named may have changed."""
    place = spelled(steps)
    lead = re.compile(re.escape(place) + r"(?=$|[.\[])")
    over = {spelled(steps[:length]) for length in range(1, len(steps))}
    try:
        found = changes(leaves(before), leaves(after))
    except EditError as error:
        raise EditError(f"{place}: the file cannot be changed there ({error}); edit it by hand") from None
    siblings = spelled(steps[:-1]) if isinstance(steps[-1], int) else None
    for change in found:
        inside = lead.match(change.path) or change.path in over
        if not inside and not (siblings is not None and change.path.startswith(siblings)):
            raise EditError(f"{place}: {change.path} would change as well; edit the file by hand")


def unknown(path: str, known: Leaves) -> str:
    """Say that a path does not stand in the file, and which one may be meant."""
    return f"{path[:60]!r} does not stand in the file" + nearest(path, known)
