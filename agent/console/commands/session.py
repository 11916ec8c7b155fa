"""help, login, logout, pin, language, exit."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from agent.console.command import JSON, Argument, Command, Kind, Result, Table, UsageError
from agent.console.context import Context, RefusedError
from agent.console.texts import Texts, fitting, languages
from agent.local.roles import Role


def log_in(context: Context, port: str = "") -> str:
    """Ask for name and PIN and log in; on first use let the PIN be set. Return the role."""
    if context.call("session.who")["first_use"]:
        context.say(context._("No service PIN is set on this charger yet. Choose one now (at least 6 characters)."))
        first = context.ask(context._("New PIN:"), secret=True)
        if first != context.ask(context._("Again:"), secret=True):
            raise RefusedError(context._("the two differ; nothing was set"))
        context.call("pin.set", pin=first)
        context.say(context._("The PIN is set."))
    name = context.ask(context._("Your name:"))
    pin = context.ask("PIN:", secret=True)
    role: str = context.call("session.login", pin=pin, name=name, port=port)["role"]
    context.role = next(each for each in Role if each.word == role)
    context.say(context._("Logged in: {role}.", role=role))
    return role


def _login(context: Context, _: Mapping[str, Any]) -> Result:
    return Result({"role": log_in(context)})


def _logout(context: Context, _: Mapping[str, Any]) -> Result:
    role = context.call("session.logout")["role"]
    context.role = next(each for each in Role if each.word == role)
    return Result({"role": role}, [context._("Logged out: {role}.", role=role)])


def _pin_set(context: Context, values: Mapping[str, Any]) -> Result:
    first = context.ask(context._("New PIN:"), secret=True)
    if first != context.ask(context._("Again:"), secret=True):
        raise RefusedError(context._("the two differ; nothing was set"))
    done = context.call("pin.set", pin=first, role=values["role"])
    return Result(done, [context._("The PIN is set.")])


def _pin_state(context: Context, _: Mapping[str, Any]) -> Result:
    state = context.call("pin.state")
    have = ", ".join(state["set"]) or context._("none")
    lines = [context._("PINs are set for: {roles}", roles=have)]
    if state["failures"]:
        lines.append(
            context._("{count} wrong in a row, next try in {wait} s", count=state["failures"], wait=state["wait_s"])
        )
    return Result(state, lines)


def _language(context: Context, values: Mapping[str, Any]) -> Result:
    if values["language"] is not None:
        wanted = Texts(values["language"])
        context.texts = fitting(wanted, context.style.unicode)
        if context.texts.language != wanted.language:
            context.say(
                context._("This terminal cannot show '{language}'; the texts are English.", language=wanted.language)
            )
    return Result(
        {"language": context.texts.language, "there_are": languages()},
        [context._("Language: {one} (there are: {all})", one=context.texts.language, all=", ".join(languages()))],
    )


def _help(context: Context, values: Mapping[str, Any]) -> Result:
    table: Table = context.data["table"]
    if values["command"] is None:
        shown = {name: command.summary for name, command in table.commands.items()}
        return Result(shown, _overview(context, table))
    words = values["command"].split()
    try:
        found = [table.find(words)[0]]
    except UsageError:
        found = [each for name, each in table.commands.items() if name.split()[0].startswith(words[0])]
        if not found:
            raise
    return Result([one.usage for one in found], [line for one in found for line in _detail(context, one)])


def _overview(context: Context, table: Table) -> Iterator[str]:
    for name, command in table.commands.items():
        mark = "" if context.role >= command.role else f" [{command.role.word}]"
        yield from context.style.field(f"  {name}", f"{context._(command.summary)}{mark}", 20)
    yield ""
    yield context._("'help COMMAND' says more. Every command has --json. Tab completes, Ctrl-C leaves off.")


def _detail(context: Context, command: Command) -> Iterator[str]:
    yield context.style.bold(command.usage)
    yield f"  {context._(command.summary)}"
    rows = [(argument.name.upper(), argument.help) for argument in command.arguments]
    rows += [
        (f"--{flag.name}{' ' + flag.value.upper() if flag.value else ''}", flag.help) for flag in (*command.flags, JSON)
    ]
    for name, text in rows:
        yield from context.style.field(f"    {name}", context._(text), 26)
    if command.more:
        more = " ".join(context._(command.more).split())
        yield from textwrap.wrap(more, context.style.columns, initial_indent="  ", subsequent_indent="  ")
    for example in command.examples:
        yield f"    {example}"
    if command.role > Role.OBSERVE:
        yield "  " + context._("Needs the role {role}.", role=command.role.word)


COMMANDS = (
    Command(
        "help",
        "what commands there are, or one of them in full",
        _help,
        Role.NONE,
        [Argument("command", "the command to explain", Kind.REST, lambda c: [*c.data["table"].commands], needed=False)],
    ),
    Command("login", "log in with a PIN", _login, Role.NONE),
    Command("logout", "give back what the log-in gave", _logout, Role.NONE),
    Command(
        "pin set",
        "set the PIN of a role",
        _pin_set,
        Role.SERVICE,
        [Argument("role", "whose PIN", Kind.WORD, ("service", "operate"), needed=False, default="service")],
    ),
    Command("pin state", "which PINs are set, and wrong tries", _pin_state),
    Command(
        "language",
        "show or choose the language of this session",
        _language,
        Role.NONE,
        [Argument("language", "its two letters", Kind.WORD, lambda _: languages(), needed=False)],
    ),
)
