"""The catalogues of the console's texts: what must be translated, read out of the source, and what is.

    make texts                        brings agent/locale/*/LC_MESSAGES/evse-agent.po and .mo up to date, and
                                      lists what is not translated yet

Texts are found by the source's syntax: what stands in ``context._("…")``, summaries and helps of commands, reasons,
faults and their remedies. A new language: make its folder, run it, fill in the .po, run it again.
"""

from __future__ import annotations

import ast
import re
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCALE = ROOT / "agent" / "locale"
DOMAIN = "evse-agent"

HEADER = "Content-Type: text/plain; charset=UTF-8\\nContent-Transfer-Encoding: 8bit\\nLanguage: {language}\\n"

_DECLARATIONS = {"Command": {"summary": 1, "more": 6}, "Argument": {"help": 1}, "Flag": {"help": 1}}
"""Which words of a command's declaration are shown: by name, and by place."""

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")


# ---- what there is to translate ----


def messages() -> dict[str, str]:
    """Return every text with the file where it stands first, in the order of the files."""
    found: dict[str, str] = {}
    for place, reader in (
        ("agent/console", _console),
        ("agent/control", _conditions),
        ("agent/station/reasons.py", _reasons),
        ("agent/bookkeeper.py", _books),
    ):
        path = ROOT / place
        for source in [path] if path.is_file() else sorted(path.rglob("*.py")):
            for text in reader(ast.parse(source.read_text(encoding="utf-8"))):
                if text.strip():
                    found.setdefault(text, source.relative_to(ROOT).as_posix())
    for text in _remedies():
        found.setdefault(text, "agent/control/faults.py")
    for text in _remarks():
        found.setdefault(text, "agent/console/commissioning/regions.py")
    return found


def _console(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _name(node.func)
        if name in ("_", "N_") and node.args:
            yield from _texts(node.args[0])
        for word, place in _DECLARATIONS.get(name, {}).items():
            if len(node.args) > place:
                yield from _texts(node.args[place])
            yield from (text for each in node.keywords if each.arg == word for text in _texts(each.value))


def _conditions(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) == "Condition" and node.args:
            yield from _texts(node.args[0])


def _reasons(tree: ast.AST) -> Iterator[str]:
    """Every text of the module but its codes and docstrings: the words in it are made of nothing else."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) == "Reason":
            yield from (text for each in node.args[1:3] for text in _texts(each))
        elif isinstance(node, ast.Assign) and [_name(each) for each in node.targets] == ["text"]:
            yield from _texts(node.value)
        elif isinstance(node, ast.Assign) and [_name(each) for each in node.targets] == ["_HOLDS"]:
            yield from (text for each in ast.walk(node.value) for text in _own(each))


def _books(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) == "Books":
            yield from (text for each in node.args[1:3] for text in _texts(each))


def _remedies() -> Iterator[str]:
    from agent.control.faults import FAULTS

    for code, rule in FAULTS.items():
        yield code.value.replace("_", " ")
        yield rule.remedy


def _remarks() -> Iterator[str]:
    from agent.console.commissioning.regions import REGIONS

    yield from (region.remark for region in REGIONS.values() if region.remark)


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _texts(node: ast.AST) -> Iterator[str]:
    """A text, or either of two."""
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.BoolOp):
        yield from (text for each in node.values for text in _texts(each))
    else:
        yield from _own(node)


def _own(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def placeholders(text: str) -> list[str]:
    return sorted(_PLACEHOLDER.findall(text))


# ---- .po and .mo ----


class CatalogueError(ValueError):
    """A catalogue cannot be read. The text names file and line."""


def read_po(text: str, name: str = "") -> tuple[dict[str, str], list[str]]:
    """Return the translations by text (the header under ''), and what is marked fuzzy or obsolete."""
    entries: dict[str, str] = {}
    doubtful: list[str] = []
    key, value, target, fuzzy = None, "", "", False

    def ended() -> None:
        nonlocal key, value, fuzzy
        if key is not None:
            if key in entries:
                raise CatalogueError(f"{name}: {key!r} stands here twice; keep one")
            entries[key] = value
            if fuzzy and key:
                doubtful.append(key)
        key, value, fuzzy = None, "", False

    for number, line in enumerate([*text.splitlines(), ""], 1):
        line = line.strip()
        if line.startswith("#~"):
            doubtful.append(line)
        elif line.startswith("#,") and "fuzzy" in line:
            ended()
            fuzzy = True
        elif line.startswith("#"):
            continue
        elif line.startswith("msgid "):
            was_fuzzy = fuzzy
            if key is not None:
                ended()
                was_fuzzy = False
            key, target, fuzzy = _unquoted(line[6:], name, number), "key", was_fuzzy
        elif line.startswith("msgstr "):
            value, target = _unquoted(line[7:], name, number), "value"
        elif line.startswith('"'):
            if target == "key":
                key = (key or "") + _unquoted(line, name, number)
            else:
                value += _unquoted(line, name, number)
        elif not line:
            ended()
        else:
            raise CatalogueError(f"{name}:{number}: {line[:40]!r} is not understood; msgid and msgstr only")
    return entries, doubtful


def _unquoted(text: str, name: str, number: int) -> str:
    text = text.strip()
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        raise CatalogueError(f"{name}:{number}: the text must stand in quotes")
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text[1:-1])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def po(language: str, there: dict[str, str], known: dict[str, str]) -> str:
    """Return a catalogue with exactly the texts that there are."""
    lines = ['msgid ""', 'msgstr ""']
    lines += [_quoted(line + "\n") for line in HEADER.format(language=language).split("\\n") if line]
    last = ""
    for text, place in there.items():
        lines.append("")
        if place != last:
            lines.append(f"#: {place}")
            last = place
        lines += [f"msgid {_quoted(text)}", f"msgstr {_quoted(known.get(text, ''))}"]
    return "\n".join(lines) + "\n"


def mo(entries: dict[str, str]) -> bytes:
    """Compile to GNU gettext's binary form (gettext manual, "The Format of GNU MO Files")."""
    rows = sorted((key.encode(), value.encode()) for key, value in entries.items() if value)
    count, head = len(rows), 28
    keys, texts, offsets = b"", b"", []
    for key, value in rows:
        offsets.append((len(key), len(keys), len(value), len(texts)))
        keys += key + b"\0"
        texts += value + b"\0"
    key_start = head + 16 * count
    text_start = key_start + len(keys)
    table = b"".join(struct.pack("<II", size, key_start + at) for size, at, _, _ in offsets)
    table += b"".join(struct.pack("<II", size, text_start + at) for _, _, size, at in offsets)
    return struct.pack("<7I", 0x950412DE, 0, count, head, head + 8 * count, 0, 0) + table + keys + texts


# ---- the folder ----


def paths() -> list[Path]:
    return sorted(LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def wrong(path: Path, there: Iterable[str]) -> list[str]:
    """What a catalogue lacks or has too much, in words."""
    language = path.parent.parent.name
    entries, doubtful = read_po(path.read_text(encoding="utf-8"), path.name)
    wanted = set(there)
    found = [f"{language}: marked as doubtful: {text[:60]!r}" for text in doubtful]
    found += [f"{language}: not translated: {text[:60]!r}" for text in there if not entries.get(text)]
    found += [f"{language}: used nowhere: {text[:60]!r}" for text in entries if text and text not in wanted]
    found += [
        f"{language}: values differ from the English ones: {text[:60]!r}"
        for text in wanted
        if entries.get(text) and placeholders(text) != placeholders(entries[text])
    ]
    return found


def main() -> int:
    there = messages()
    complaints = []
    for path in [LOCALE / name.name / "LC_MESSAGES" / f"{DOMAIN}.po" for name in sorted(LOCALE.iterdir())]:
        path.parent.mkdir(exist_ok=True)
        known = read_po(path.read_text(encoding="utf-8"), path.name)[0] if path.exists() else {}
        path.write_text(po(path.parent.parent.name, there, known), encoding="utf-8")
        path.with_suffix(".mo").write_bytes(mo(read_po(path.read_text(encoding="utf-8"))[0]))
        complaints += wrong(path, there)
    sys.stdout.write("".join(f"{line}\n" for line in complaints))
    sys.stdout.write(f"{len(there)} texts, {len(paths())} languages, {len(complaints)} to mend\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
