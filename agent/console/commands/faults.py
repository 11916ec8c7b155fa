"""faults, safe: what is wrong, what was, and everything open at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.console.command import Argument, Command, Flag, Kind, Result
from agent.console.context import Context
from agent.local.roles import Role

OPEN_S = 10.0
"""How long 'safe' looks on until every contactor reads open."""


def _faults(context: Context, _: Mapping[str, Any]) -> Result:
    entries = [each for each in context.call("faults")["entries"] if each["active"]]
    return Result(entries, _present(context, entries))


def _present(context: Context, entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not entries:
        yield context.style.good(context._("No faults."))
    for each in entries:
        yield from _entry(context, each)
    yield context._("'faults history' shows earlier ones.")


def _entry(context: Context, each: Mapping[str, Any]) -> Iterator[str]:
    style = context.style
    place = f"EVSE {each['evse']}" if each["evse"] else context._("charge point")
    head = f"{place}  {each['code']}"
    yield style.bad(head) if each["active"] else style.bold(head)
    if each["detail"]:
        yield from style.field("", context._(each["detail"]), 4)
    if each["remedy"]:
        yield from style.field("", f"-> {context._(each['remedy'])}", 4)
    times = context._(
        "{count} times, first {first}, last {last}",
        count=each["count"],
        first=_short(each["first_at"]),
        last=_short(each["last_at"]),
    )
    over = "" if each["active"] else ", " + context._("over since {ended}", ended=_short(each["ended_at"]))
    yield from style.field("", times + over, 4)


def _short(moment: str | None) -> str:
    return "?" if moment is None else moment[:19].replace("T", " ")


def _history(context: Context, values: Mapping[str, Any]) -> Result:
    entries = context.call("faults")["entries"]
    if values["evse"] is not None and len(context.evses()) > 1:
        entries = [each for each in entries if each["evse"] == values["evse"]]
    none = [context._("Nothing has been wrong so far.")]
    return Result(entries, none if not entries else (line for each in entries for line in _entry(context, each)))


def _codes(context: Context) -> list[str]:
    return [each["code"] for each in context.call("faults")["entries"] if each["active"]]


def _clear(context: Context, values: Mapping[str, Any]) -> Result:
    done = context.call("fault.clear", evse=values["evse"], code=values["code"])
    return Result(done, [context._("Control has cleared it; 'faults' shows what is left.")])


def _safe(context: Context, values: Mapping[str, Any]) -> Result:
    if not values["yes"]:
        context.confirm(
            context._(
                "This ends every charge, opens every contactor and takes all outlets out of service until 'safe off'."
            )
        )
    done = context.call("safe.on")
    deadline = time.monotonic() + OPEN_S
    while True:
        evses = context.call("status")["evses"]
        closed = [each["id"] for each in evses if each["contactor_closed"] is not False]
        if not closed or time.monotonic() >= deadline:
            break
        context.pause(0.2)
    lines = [context._("EVSE {evse}: open", evse=each["id"]) for each in evses if each["id"] not in closed]
    lines += [
        context.style.bad(
            context._("EVSE {evse}: it cannot be seen that it is open. Switch its supply off!", evse=number)
        )
        for number in closed
    ]
    lines += [context.style.bad(each) for each in done["refused"]]
    lines.append(
        context._("Out of service until 'safe off'. This replaces no isolation: lock out the supply to work inside.")
    )
    return Result({**done, "not_open": closed}, lines, failed=bool(closed or done["refused"]))


def _safe_off(context: Context, values: Mapping[str, Any]) -> Result:
    if not values["yes"]:
        context.confirm(context._("All outlets go back into service; whoever is authorised can charge."))
    return Result(context.call("safe.off"), [context._("Back in service. 'why' says what else holds charging back.")])


_YES = Flag("yes", "do not ask first")

COMMANDS = (
    Command("faults", "what is wrong now, each with its remedy", _faults),
    Command(
        "faults history",
        "what was wrong: how often, first and last time, remedy",
        _history,
        arguments=[Argument("evse", "number of the EVSE; all when left out", Kind.EVSE, needed=False)],
    ),
    Command(
        "faults clear",
        "clear a latched fault, once its cause is gone",
        _clear,
        Role.SERVICE,
        [
            Argument("evse", "number of the EVSE", Kind.EVSE),
            Argument("code", "the fault, as 'faults' shows it", Kind.WORD, _codes),
        ],
        examples=("faults clear 1 residual_current",),
    ),
    Command(
        "safe",
        "open everything now, and keep it out of service",
        _safe,
        Role.OPERATE,
        flags=[_YES],
        more="Every charge ends and every contactor opens at once; it stays so over restarts until 'safe off'. "
        "It is no isolation: to work inside, switch off and lock out the supply.",
    ),
    Command("safe off", "put everything back into service after 'safe'", _safe_off, Role.SERVICE, flags=[_YES]),
)
