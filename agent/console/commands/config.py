"""config …: the configuration file, shown, changed as a whole or value by value, and taken back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.console.comeback import wait_back
from agent.console.command import Argument, Command, Flag, Kind, Result
from agent.console.context import Context, RefusedError
from agent.local.roles import Role

CHECK_S = 180.0
"""A check imports every driver, and the machine may be a small one."""
MOST_BYTES = 60_000
"""What one request can carry."""


def _show(context: Context, values: Mapping[str, Any]) -> Result:
    found = context.call("config.text")
    lines = found["text"].splitlines()
    section = values["section"]
    if section is not None:
        lines = _section(lines, section)
        if not lines:
            raise RefusedError(context._("there is no section {name} in the file", name=section))
        return Result({**found, "text": "\n".join(lines)}, lines)
    return Result(found, [context.style.dim(f"# {found['path']}"), *lines])


def _section(lines: list[str], name: str) -> list[str]:
    """The lines of a top-level key, up to the next one; remarks right before that belong to it."""
    begin = next((at for at, line in enumerate(lines) if re.match(rf"{re.escape(name)}\s*:", line)), None)
    if begin is None:
        return []
    end = next((at for at in range(begin + 1, len(lines)) if re.match(r"[^\s#]", lines[at])), len(lines))
    while end > begin + 1 and re.match(r"\s*(#|$)", lines[end - 1]):
        end -= 1
    return lines[begin:end]


def _sections(context: Context) -> list[str]:
    try:
        text = context.call("config.text")["text"]
    except Exception:  # noqa: BLE001 (completion must not fail for want of an agent)
        return []
    return re.findall(r"(?m)^([a-z_]+)\s*:", text)


def _changes(context: Context, changes: list[dict[str, Any]]) -> Iterator[str]:
    default = context._("(default)")
    for each in changes:
        before = default if each["before"] is None else each["before"] or "''"
        after = default if each["after"] is None else each["after"] or "''"
        yield from context.style.field(f"  {each['path']}", f"{before} -> {after}", 4)


def _diff(context: Context, values: Mapping[str, Any]) -> Result:
    what = values["what"]
    if what is None:
        changes = context.call("config.diff")
        empty = context._("The agent has read the file as it stands.")
    elif what.isdigit():
        changes = context.call("config.diff", number=int(what))
        empty = context._("The file is as it was before change {number}.", number=what)
    else:
        changes = context.api.call("config.diff", CHECK_S, text=_read(context, what))
        empty = context._("{file} says the same.", file=what)
    return Result(changes, _changes(context, changes) if changes else [empty])


def _read(context: Context, name: str) -> str:
    try:
        text = Path(name).expanduser().read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{name}: {error}") from None
    if len(json.dumps(text)) > MOST_BYTES:
        raise RefusedError(
            context._("{file} is too long for one request; leave out remarks that nobody needs", file=name)
        )
    return text


def _take(context: Context, values: Mapping[str, Any], method: str, parameters: dict[str, Any]) -> Result:
    """Check, say what will change, ask, and do it."""
    parameters = {**parameters, "within_s": float(values["within"]), "in_session": values["with_session"]}
    plan = context.api.call(method, CHECK_S, **parameters, dry=True)
    style = context.style
    if plan["findings"]:
        return Result(plan, [style.bad(context._("Not taken:")), *(f"  {each}" for each in plan["findings"])], True)
    if values["check"]:
        told = _changes(context, plan["changes"]) if plan["changes"] else [context._("Nothing would change.")]
        return Result(plan, [*told, style.good(context._("The configuration is good."))])
    if not values["yes"]:
        for line in _changes(context, plan["changes"]):
            context.say(line)
        context.confirm(_announced(context, plan["restarts"], values["within"]))
    done = context.api.call(method, CHECK_S, **parameters)
    if done["number"] and done["restarts"] and not wait_back(context):
        return Result(done, [*_taken(context, done), style.warn(context._("The agent has not come back yet."))])
    return Result(done, _taken(context, done))


def _announced(context: Context, restarts: list[str], within_s: float) -> str:
    if not restarts:
        return context._("Only remarks and layout change; nothing starts anew.")
    if "control" in restarts:
        return context._(
            "Agent and control start anew with this. What worked before must be back in {seconds} s, else the old "
            "file comes back by itself.",
            seconds=round(within_s),
        )
    return context._(
        "The agent starts anew with this. What worked before must be back in {seconds} s, else the old file comes "
        "back by itself.",
        seconds=round(within_s),
    )


def _taken(context: Context, done: Mapping[str, Any]) -> Iterator[str]:
    if not done["number"]:
        yield context._("Nothing changes: the file says so already.")
        return
    yield from _changes(context, done["changes"])
    yield context.style.good(context._("Taken as change {number}.", number=done["number"]))
    if done["restarts"]:
        yield context._("The agent has started anew with it; 'config history' tells whether the change stays.")


def _apply(context: Context, values: Mapping[str, Any]) -> Result:
    text = _read(context, values["file"])
    return _take(context, values, "config.apply", {"text": text, "note": Path(values["file"]).name})


def _set(context: Context, values: Mapping[str, Any]) -> Result:
    if values["unset"] == (values["value"] is not None):
        raise RefusedError(context._("give a value, or --unset for the default"))
    wanted = None if values["unset"] else values["value"]
    return _take(context, values, "config.set", {"values": {values["path"]: wanted}})


def _rollback(context: Context, values: Mapping[str, Any]) -> Result:
    return _take(context, values, "config.rollback", {"number": values["number"]})


def _history(context: Context, _: Mapping[str, Any]) -> Result:
    entries, state = context.call("config.history"), context.call("config.state")
    return Result({"entries": entries, **state}, _told_history(context, entries, state))


def _told_history(context: Context, entries: list[dict[str, Any]], state: Mapping[str, Any]) -> Iterator[str]:
    style = context.style
    trial = state["trial"]
    if trial is not None:
        yield style.warn(
            context._(
                "Change {number} is on trial: taken back in {seconds} s unless {needs} is there again.",
                number=trial["number"],
                seconds=round(trial["left_s"]),
                needs=", ".join(trial["needs"]) or "agent",
            )
        )
    if state["unread"]:
        yield style.warn(context._("The file was changed by hand and is not in force yet ('config diff')."))
    if not entries:
        yield context._("Nothing was changed through the agent yet.")
    for each in entries:
        outcome = each["outcome"] or context._("on trial")
        paint = style.good if outcome.startswith("kept") else style.warn
        yield style.bold(f"{each['number']:>4}  {(each['at'] or '')[:19].replace('T', ' ')}  ") + paint(outcome)
        yield from style.field("", f"{each['who']}: {each['note']}" if each["note"] else each["who"], 6)
        for change in each["changes"]:
            yield from style.field("", change, 6)


def _settings_show(context: Context, values: Mapping[str, Any]) -> Result:
    found = context.call("settings.list")
    if values["name"] is not None:
        found = [each for each in found if values["name"].casefold() in each["key"].casefold()]
        if not found:
            raise RefusedError(context._("no key is like {name}; 'settings show' lists them", name=values["name"]))
    rows = [[each["key"], each["value"] or "''", "" if each["writable"] else context._("fixed")] for each in found]
    return Result(found, context.style.table([context._("Key"), context._("Value"), ""], rows))


def _settings_set(context: Context, values: Mapping[str, Any]) -> Result:
    done = context.call("settings.set", key=values["name"], value=values["value"])
    line = context._("{key}: {before} -> {after}", key=done["key"], before=done["before"], after=done["after"])
    return Result(done, [line])


_FLAGS = (
    Flag("within", "seconds after which the old file comes back", "seconds", True, 300.0),
    Flag("with-session", "take it, and take it back, while a vehicle charges as well"),
    Flag("check", "only check, and tell what would change"),
    Flag("yes", "do not ask"),
)

COMMANDS = (
    Command(
        "config show",
        "the configuration file, secrets hidden",
        _show,
        arguments=[Argument("section", "one section of it", Kind.WORD, _sections, needed=False)],
    ),
    Command(
        "config set",
        "change one value in the file",
        _set,
        Role.SERVICE,
        [
            Argument("path", "the value, such as evses[0].max_current_a"),
            Argument("value", "what it becomes; lists in brackets", needed=False),
        ],
        [*_FLAGS, Flag("unset", "take it out, so that its default holds")],
        "Everything else in the file stays as it is, remarks included. The whole file is checked first. The agent "
        "then starts anew with it, and control too where it is concerned, which needs every EVSE unplugged.",
        ["config set ocpp.url wss://csms.example.com/ocpp", "config set evses[0].max_current_a 16 --yes"],
    ),
    Command(
        "config diff",
        "what differs: from what is in force, from before a change, or from a file",
        _diff,
        arguments=[Argument("what", "number of a change, or a file; else what the agent has read", needed=False)],
    ),
    Command(
        "config apply",
        "take a whole file for the configuration",
        _apply,
        Role.SERVICE,
        [Argument("file", "the file, on the machine the console runs on")],
        _FLAGS,
        "*** in it keeps what is there, so that the answer of 'config show' can be edited and applied.",
    ),
    Command("config history", "the last ten changes, and what is on trial", _history),
    Command(
        "config rollback",
        "go back to the file as it was before a change",
        _rollback,
        Role.SERVICE,
        [Argument("number", "the change; the last one when left out", Kind.NUMBER, needed=False)],
        _FLAGS,
    ),
    Command(
        "settings show",
        "OCPP keys and their values",
        _settings_show,
        arguments=[Argument("name", "part of a key's name", needed=False)],
    ),
    Command(
        "settings set",
        "set an OCPP key",
        _settings_set,
        Role.SERVICE,
        [Argument("name", "the key"), Argument("value", "its value")],
    ),
)
