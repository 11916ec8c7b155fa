"""ocpp …: how the tunnel to the network does, what passes in it, and letting it go or come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.console.command import Command, Flag, Result
from agent.console.context import Context
from agent.local.roles import Role

LABEL = 14


def _ocpp(context: Context, _: Mapping[str, Any]) -> Result:
    found = context.call("uplink.state")
    return Result(found, _lines(context, found))


def _lines(context: Context, found: Mapping[str, Any]) -> Iterator[str]:
    style = context.style
    state = context._(found["state"].replace("_", " "))
    state = style.good(state) if found["state"] == "accepted" else style.bad(state)
    since = (found["since"] or "?")[:19].replace("T", " ")
    yield f"{context._('State'):<{LABEL}}{state} " + context._("since {time} UTC", time=since)
    if found["last_error"]:
        yield from style.field(context._("Last error"), found["last_error"], LABEL)
    if found["remedy"]:
        yield from style.field("", f"-> {context._(found['remedy'])}", LABEL)
    for number, each in enumerate(found["networks"]):
        use = context._("in use") if each["in_use"] else context._("spare")
        text = f"{each['url']} {each['identity']}, " + context._(
            "security profile {number}, {use}", number=each["security_profile"], use=use
        )
        yield from style.field(context._("Network") if not number else "", text, LABEL)
    if found.get("trial"):
        yield from style.field("", context._("a change is being tried: {what}", what=found["trial"]), LABEL)
    if found["calls"]:
        slowest = max(found["calls"], key=lambda each: each["took_s"])
        mean_ms = 1000 * sum(each["took_s"] for each in found["calls"]) / len(found["calls"])
        yield from style.field(
            context._("Latency"),
            context._(
                "{mean} ms on average over {count} calls, at most {most} ms ({action})",
                mean=round(mean_ms),
                count=len(found["calls"]),
                most=round(1000 * slowest["took_s"]),
                action=slowest["action"],
            ),
            LABEL,
        )
    if not found["queue"]:
        yield from style.field(context._("Queue"), context._("empty: the network has everything"), LABEL)
    for number, each in enumerate(found["queue"]):
        oldest = (each["oldest_at"] or "?")[:19].replace("T", " ")
        text = context._("{count} {kind}, oldest {time} UTC", count=each["waiting"], kind=each["kind"], time=oldest)
        yield from style.field(context._("Queue") if not number else "", text, LABEL)
    if found["queue_more"]:
        yield from style.field("", context._("and {count} more", count=found["queue_more"]), LABEL)
    if found["set_aside"]:
        text = context._("{count} refused by the network: see 'transactions'", count=found["set_aside"])
        yield from style.field(context._("Set aside"), style.warn(text), LABEL)


def _trace(context: Context, values: Mapping[str, Any]) -> Result:
    wanted, seen = values["count"], []
    if not context.json:
        context.say(context.style.dim(context._("Messages as they pass; q or Ctrl-C ends it.")))
    with context.subscribed("trace"):
        for event in context.events(float(values["seconds"]) if values["seconds"] else None):
            if not isinstance(event, dict) or event.get("topic") != "trace":
                continue
            value = event["value"]
            seen.append(value)
            if not context.json:
                context.say(("-> " if value["direction"] == "out" else "<- ") + value["frame"])
            if wanted and len(seen) >= wanted:
                break
    return Result(seen, ())


def _offline(context: Context, _: Mapping[str, Any]) -> Result:
    done = context.call("link.set", online=False)
    return Result(done, [context._("The link is dropped until 'ocpp online'; what is charged waits on the books.")])


def _online(context: Context, _: Mapping[str, Any]) -> Result:
    return Result(context.call("link.set", online=True), [context._("The link may connect; 'ocpp' shows how it does.")])


COMMANDS = (
    Command("ocpp", "the link to the network: state, last error, latency, what waits", _ocpp),
    Command(
        "ocpp trace",
        "messages as they pass, secrets and identifiers masked",
        _trace,
        flags=[
            Flag("count", "end after so many", "n", True),
            Flag("seconds", "end after so long", "s", True),
        ],
    ),
    Command("ocpp offline", "drop the link on purpose", _offline, Role.OPERATE),
    Command("ocpp online", "let the link connect again", _online, Role.OPERATE),
)
