"""What a command is, and how its words are read. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from agent.local.roles import Role

if TYPE_CHECKING:
    from agent.console.context import Context


class UsageError(Exception):
    """The words make no command. The text says what is wrong, and what would be right."""


class Kind(Enum):
    EVSE = "evse"
    """Number of an EVSE. Left out where there is only one."""
    WORD = "word"
    """One of ``choices``, or any word where there are none."""
    NUMBER = "number"
    REST = "rest"
    """All that follows, as it was typed."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A word of a command by its place."""

    name: str
    help: str
    kind: Kind = Kind.WORD
    choices: Sequence[str] | Callable[[Context], Sequence[str]] = ()
    needed: bool = True
    default: Any = None


@dataclass(frozen=True, slots=True)
class Flag:
    """A word that begins with ``--``. ``value``: the name of what follows it; empty for a switch."""

    name: str
    help: str
    value: str = ""
    number: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a command found. ``document`` is JSON-ready and what ``--json`` shows; ``lines`` are for people."""

    document: Any
    lines: Iterable[str] = ()
    failed: bool = False
    """The command did its work and the answer is bad (a test that did not pass): batch mode ends on it."""


Run = Callable[["Context", Mapping[str, Any]], Result]


@dataclass(frozen=True, slots=True)
class Command:
    """``run(context, values)`` gets every argument and flag by name ('-' becomes '_').

    ``summary`` and all ``help`` texts are message ids of the catalogues (``agent.console.texts``).
    """

    name: str
    """One or two words: ``status``, ``config set``."""
    summary: str
    run: Run
    role: Role = Role.OBSERVE
    arguments: Sequence[Argument] = ()
    flags: Sequence[Flag] = ()
    more: str = ""
    """Further help, a paragraph or two."""
    examples: Sequence[str] = field(default_factory=tuple)

    @property
    def usage(self) -> str:
        words = [self.name]
        for argument in self.arguments:
            fixed = () if callable(argument.choices) else argument.choices
            word = "|".join(fixed) or argument.name.upper()
            words.append(word if argument.needed else f"[{word}]")
        words += [f"[--{flag.name}{' ' + flag.value.upper() if flag.value else ''}]" for flag in self.flags]
        return " ".join(words)


JSON = Flag("json", "the answer as JSON")


def split(line: str) -> list[str]:
    """Split a line into words as a shell does: quotes, and # for a remark. Raises UsageError."""
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise UsageError(f"{error}; close the quote") from None


class Table:
    """All commands, found by their words or an unambiguous beginning of them."""

    def __init__(self, commands: Iterable[Command]) -> None:
        self.commands = {command.name: command for command in commands}

    def find(self, words: Sequence[str]) -> tuple[Command, list[str]]:
        """Return the command that the words begin with, and the words left. Raises UsageError."""
        for count in (2, 1):
            if len(words) >= count:
                found = self._matching(words[:count])
                if len(found) == 1:
                    return found[0], list(words[count:])
                if count == 1 and found:
                    names = ", ".join(command.name for command in found)
                    raise UsageError(f"{words[0]!r} could be: {names}")
        group = [name for name in self.commands if words and name.split()[0].startswith(words[0])]
        if group:
            raise UsageError(f"{' '.join(words[:2])!r} is no command; there are: {', '.join(group)}")
        raise UsageError(f"{words[0]!r} is no command; 'help' lists them")

    def _matching(self, words: Sequence[str]) -> list[Command]:
        exact = self.commands.get(" ".join(words))
        if exact is not None:
            return [exact]
        return [
            command
            for name, command in self.commands.items()
            if len(parts := name.split()) == len(words)
            and all(part.startswith(word) for part, word in zip(parts, words, strict=True))
        ]

    def group(self, word: str) -> list[Command]:
        """Return the commands of which a word is the first."""
        return [command for name, command in self.commands.items() if name.split()[0] == word]


def read(command: Command, words: Sequence[str], context: Context) -> dict[str, Any]:
    """Read a command's words into values by name. Raises UsageError."""
    flags = {flag.name: flag for flag in (*command.flags, JSON)}
    values: dict[str, Any] = {_key(flag.name): flag.default if flag.value else False for flag in flags.values()}
    plain: list[str] = []
    waiting = list(words)
    rest_only = bool(command.arguments) and command.arguments[-1].kind is Kind.REST
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            plain += waiting
            break
        if not word.startswith("--") or (rest_only and len(plain) >= len(command.arguments) - 1 and plain):
            plain.append(word)
            continue
        name, given, value = word[2:].partition("=")
        flag = flags.get(name)
        if flag is None:
            raise UsageError(f"no option --{name}; usage: {command.usage}")
        if not flag.value:
            if given:
                raise UsageError(f"--{name} takes no value")
            values[_key(name)] = True
            continue
        if not given:
            if not waiting:
                raise UsageError(f"--{name} needs a value: --{name} {flag.value.upper()}")
            value = waiting.pop(0)
        values[_key(name)] = _number(value, f"--{name}") if flag.number else value
    for argument in command.arguments:
        values[_key(argument.name)] = _argument(argument, plain, command, context)
    if plain:
        raise UsageError(f"{plain[0]!r} is too much; usage: {command.usage}")
    return values


def _argument(argument: Argument, plain: list[str], command: Command, context: Context) -> Any:
    if argument.kind is Kind.EVSE:
        return _evse(argument, plain, context)
    if not plain:
        if argument.needed:
            raise UsageError(f"{argument.name.upper()} is missing; usage: {command.usage}")
        return argument.default
    if argument.kind is Kind.REST:
        text = " ".join(plain)
        plain.clear()
        return text
    word = plain.pop(0)
    if argument.kind is Kind.NUMBER:
        return _number(word, argument.name.upper())
    choices = choices_of(argument, context)
    if isinstance(argument.choices, tuple | list) and choices:
        near = [choice for choice in choices if choice.startswith(word)]
        if word in choices:
            return word
        if len(near) == 1:
            return near[0]
        raise UsageError(f"{argument.name.upper()} is one of {', '.join(choices)}")
    return word


def _evse(argument: Argument, plain: list[str], context: Context) -> int | None:
    known = context.evses()
    if not plain:
        if len(known) == 1:
            return known[0]
        if argument.needed:
            raise UsageError(f"say which EVSE: {', '.join(map(str, known))}")
        return None
    word = plain.pop(0)
    if not re.fullmatch(r"[0-9]{1,3}", word) or int(word) not in known:
        raise UsageError(f"there is no EVSE {word!r}; there is {', '.join(map(str, known)) or 'none'}")
    return int(word)


def choices_of(argument: Argument, context: Context) -> list[str]:
    """Return what could stand in an argument's place."""
    if argument.kind is Kind.EVSE:
        return [str(number) for number in context.evses()]
    return [*(argument.choices(context) if callable(argument.choices) else argument.choices)]


def _number(word: str, name: str) -> int | float:
    try:
        value = float(word)
    except ValueError:
        raise UsageError(f"{name} must be a number, not {word!r}") from None
    if value != value or abs(value) > 1e15:
        raise UsageError(f"{name} must be a number, not {word!r}")
    return int(value) if value.is_integer() else value


def _key(name: str) -> str:
    return name.replace("-", "_")


def complete(table: Table, line: str, context: Context) -> tuple[int, list[str]]:
    """Return where the word before the cursor begins, and what it could become."""
    start = len(line) - len(re.split(r"\s", line)[-1])
    word, before = line[start:], line[:start].split()
    candidates = [*_candidates(table, before, word, context)]
    return start, sorted({each for each in candidates if each.startswith(word)})


def _candidates(table: Table, before: list[str], word: str, context: Context) -> Iterator[str]:
    if not before:
        yield from (name.split()[0] for name in table.commands)
        return
    try:
        command, rest = table.find(before)
    except UsageError:
        command, rest = None, []
    if len(before) == 1:
        yield from (each.name.split()[1] for each in table.group(before[0]) if " " in each.name)
    if command is None:
        return
    if word.startswith("-"):
        yield from (f"--{flag.name}" for flag in (*command.flags, JSON))
        return
    place = len([each for each in rest if not each.startswith("--")])
    if place < len(command.arguments):
        yield from choices_of(command.arguments[place], context)
