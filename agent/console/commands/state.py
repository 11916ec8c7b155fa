"""status, why, faults: what does it do, what holds it back, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.console.command import Argument, Command, Kind, Result
from agent.console.context import Context


def _status(context: Context, _: Mapping[str, Any]) -> Result:
    from agent.local.screen import screen

    status = context.call("status")
    return Result(status, screen(status).split("\n"))


def _why(context: Context, values: Mapping[str, Any]) -> Result:
    status = context.call("status")
    evses = [evse for evse in status["evses"] if values["evse"] in (None, evse["id"])]
    document = [{"evse": evse["id"], "reasons": evse["reasons"]} for evse in evses]
    return Result(document, (line for evse in evses for line in _reasons(context, evse)))


def _reasons(context: Context, evse: Mapping[str, Any]) -> Iterator[str]:
    style = context.style
    yield style.bold(f"EVSE {evse['id']}")
    if not evse["reasons"]:
        yield "  " + style.good(context._("Nothing holds charging back."))
    for number, reason in enumerate(evse["reasons"], 1):
        yield from style.field(f"  {number}.", told(context, reason), 5)
        if reason["remedy"]:
            yield from style.field("", f"-> {context._(reason['remedy'])}", 5)


def told(context: Context, reason: Mapping[str, Any]) -> str:
    """A reason's text in the person's language; a fault's after its code, by which table and history name it."""
    text = context._(reason.get("template") or reason["text"], **reason.get("values", {}))
    kind, _, code = reason.get("code", "").partition(":")
    return f"{code}: {text}" if kind == "fault" and code else text


COMMANDS = (
    Command("status", "what the charger and each EVSE do now", _status),
    Command(
        "why",
        "what holds charging back, most important first, each with its remedy",
        _why,
        arguments=[Argument("evse", "number of the EVSE; all when left out", Kind.EVSE, needed=False)],
    ),
)
