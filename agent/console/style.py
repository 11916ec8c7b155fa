"""How text looks on a terminal: colour where it can, width where it counts, plain ASCII where nothing else is."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_PLAIN = str.maketrans(
    {
        "\u00b0": "deg ", "\u2026": "...", "\u2013": "-", "\u2014": "-", "\u2212": "-", "\u2192": "->", "\u2190": "<-",
        "\u00b7": "-", "\u2022": "*", "\u2713": "ok", "\u2717": "X", "\u00d7": "x", "\u03a9": "Ohm", "\u2265": ">=",
        "\u2264": "<=", "\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'", "\u2588": "#", "\u2593": "#",
        "\u2592": "+", "\u2591": ".", "\u2500": "-", "\u2502": "|", "\u00df": "ss", "\u00a0": " ", "\u202f": " ",
        "\u00bf": "", "\u00a1": "", "\u00ab": '"', "\u00bb": '"', "\u0153": "oe", "\u00e6": "ae",
    }
)  # fmt: skip
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def plain(text: str) -> str:
    """Return text in ASCII as a person would write it."""
    text = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    return "".join(c if c < "\x80" else "" if unicodedata.combining(c) else "?" for c in text)


@dataclass(frozen=True, slots=True)
class Style:
    """What the terminal takes. All methods return text."""

    colour: bool = False
    unicode: bool = False
    columns: int = 80

    def text(self, text: str) -> str:
        """Return text that the terminal can show. Control characters (out of logs, cards, networks) never pass."""
        safe = "".join(c if c.isprintable() or c in "\n\x1b" else "?" for c in text.replace("\t", "    "))
        safe = re.sub(r"\x1b(?!\[[0-9;]*m)", "?", safe)
        return safe if self.unicode else plain(safe)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text

    def bold(self, text: str) -> str:
        return self._in("1", text)

    def dim(self, text: str) -> str:
        return self._in("2", text)

    def good(self, text: str) -> str:
        return self._in("32", text)

    def warn(self, text: str) -> str:
        return self._in("33", text)

    def bad(self, text: str) -> str:
        return self._in("1;31", text)

    def field(self, name: str, text: str, width: int = 12) -> list[str]:
        """A name, and a value beside it, wrapped."""
        head = f"{name:<{width}}"
        return textwrap.wrap(
            " ".join(text.split()),
            self.columns,
            initial_indent=head if head.endswith(" ") else head + " ",
            subsequent_indent=" " * width,
            break_on_hyphens=False,
        ) or [head.rstrip()]

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
        """Columns as wide as they need; the last takes what is left, cut where it does not fit."""
        cells = [[*map(str, row)] for row in rows]
        widths = [max(len(visible(row[i])) for row in [[*heads], *cells]) for i in range(len(heads))]
        lines = []
        for number, row in enumerate([[*heads], *cells]):
            line = "  ".join(cell + " " * (width - len(visible(cell))) for cell, width in zip(row, widths, strict=True))
            line = cut(line.rstrip(), self.columns)
            lines.append(self.bold(line) if number == 0 else line)
        return lines

    def rule(self, title: str = "") -> str:
        head = f"{title} " if title else ""
        return self.bold(head) + "-" * max(0, self.columns - len(head))


def visible(text: str) -> str:
    """Return text without its colours."""
    return _ESCAPES.sub("", text)


def cut(text: str, columns: int) -> str:
    """Return text of at most so many columns; colours do not count."""
    if len(visible(text)) <= columns:
        return text
    kept, used = [], 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", text):
        if part.startswith("\x1b"):
            kept.append(part)
            continue
        kept.append(part[: columns - used])
        used += len(kept[-1])
    return "".join(kept)
