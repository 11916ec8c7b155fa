"""How a control word is declared and its arguments are read.

A word takes plain arguments and ``key=value`` options in any order. ``docs/simulators-csms.md`` is the manual.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .server import Csms

Run = Callable[["Csms", "Arguments"], Any | Awaitable[Any]]


class WordError(Exception):
    """A word or its arguments are wrong; the text says which and what is right."""


@dataclass(slots=True)
class Arguments:
    """The arguments of one word; every one must be taken."""

    word: str
    plain: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)

    def take(self, name: str) -> str:
        """The next plain argument. Raises ``WordError`` when there is none."""
        if not self.plain:
            raise WordError(f"{self.word}: {name} is missing; usage: {WORDS[self.word].usage}")
        return self.plain.pop(0)

    def maybe(self) -> str | None:
        """The next plain argument, if any."""
        return self.plain.pop(0) if self.plain else None

    def option(self, name: str) -> str | None:
        """An option's text, if given."""
        return self.options.pop(name, None)

    def number(self, name: str, text: str | None, default: float, low: float = 0.0) -> float:
        """A finite number not below ``low``."""
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= low):
            raise WordError(f"{self.word}: {name} {text!r} must be a number, {low:g} or more")
        return value

    def whole(self, name: str, text: str | None, low: int = 1) -> int | None:
        """A whole number not below ``low``, or ``None`` when not given."""
        if text is None:
            return None
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise WordError(f"{self.word}: {name} {text!r} must be a whole number, {low} or more")
        return value

    def json(self, text: str) -> Any:
        """A JSON argument. Raises ``WordError`` when it is none."""
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise WordError(f"{self.word}: {text[:60]!r} is not JSON ({error})") from None

    def done(self) -> None:
        """Raises ``WordError`` when something was left over."""
        left = self.plain + [f"{key}=" for key in self.options]
        if left:
            raise WordError(f"{self.word}: {left[0]!r} is too much; usage: {WORDS[self.word].usage}")


@dataclass(frozen=True, slots=True)
class Word:
    """One control word."""

    usage: str
    help: str
    run: Run
    options: frozenset[str] = frozenset()


WORDS: dict[str, Word] = {}


def word(usage: str, text: str) -> Callable[[Run], Run]:
    """Register the function as a word. ``usage`` starts with its name and names its ``key=`` options."""

    def register(run: Run) -> Run:
        name, *rest = usage.split()
        options = frozenset(
            part.strip("[]").partition("=")[0] for part in rest if "=" in part and part != "[FIELD=VALUE]"
        )
        WORDS[name] = Word(usage, text, run, options)
        return run

    return register


def _is_path(text: str) -> bool:
    """A field, or one within another: ``idToken.idToken``."""
    return all(part.isidentifier() for part in text.split("."))


async def run_word(csms: Csms, name: str, args: list[str]) -> Any:
    """Run one word and return its JSON-ready result. Raises ``WordError`` and what the control itself raises."""
    entry = WORDS.get(name)
    if entry is None:
        raise WordError(f"{name!r} is not a word of the CSMS; the words are: {', '.join(sorted(WORDS))}")
    arguments = Arguments(name)
    for text in args:
        key, equals, value = text.partition("=")
        # wait-for filters on any field; elsewhere a text that merely holds "=" stays a plain argument.
        if equals and (key in entry.options or (name == "wait-for" and _is_path(key))):
            if key in arguments.options:
                raise WordError(f"{name}: {key}= is given twice")
            arguments.options[key] = value
        else:
            arguments.plain.append(text)
    result = entry.run(csms, arguments)
    if inspect.isawaitable(result):
        result = await result
    return result
