"""network, ping, time: the way to the operator's network step by step, and the clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.console.command import Argument, Command, Flag, Kind, Result
from agent.console.context import Context
from agent.local.roles import Role

LOOK_S = 75.0


def _network(context: Context, _: Mapping[str, Any]) -> Result:
    if not context.json:
        context.say(context.style.dim(context._("Looking; this may take a minute.")))
    found = context.api.call("network.check", LOOK_S)
    return Result(found, _findings(context, found), any(each["ok"] is False for each in found))


def _findings(context: Context, found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    style = context.style
    for each in found:
        mark = {True: style.good("pass"), False: style.bad("FAIL")}.get(each["ok"], style.warn("note"))
        lines = style.field("", context._(each["text"]), 18)
        yield f"{mark}  {context._(each['name']):<12}{lines[0].strip()}"
        yield from lines[1:]
        if each["remedy"]:
            yield from style.field("", f"-> {context._(each['remedy'])}", 18)


def _ping(context: Context, values: Mapping[str, Any]) -> Result:
    found = context.api.call(
        "network.ping", LOOK_S, host=values["host"], port=values["port"] or 0, count=int(values["count"])
    )
    return Result(found, _findings(context, found), not any(each["ok"] for each in found if each["name"].isdigit()))


def _time(context: Context, _: Mapping[str, Any]) -> Result:
    found = context.call("time.show")
    return Result(found, _time_lines(context, found))


def _time_lines(context: Context, found: Mapping[str, Any]) -> Iterator[str]:
    style = context.style
    yield from style.field(context._("Time"), f"{found['utc'].replace('T', ' ')[:23]} UTC", 16)
    if found["synced"]:
        source = style.good(context._("confirmed by the network"))
    elif found["source"] == "none":
        source = style.bad(context._("the clock was never set; 'time set' does it until a network tells the time"))
    else:
        source = style.warn(context._("the system's clock, confirmed by nobody"))
    yield from style.field(context._("Source"), source, 16)
    if not found["synced"]:
        yield from style.field("", "-> " + context._("compare with a watch; 'time set'"), 16)
    offset = context._("{seconds} s ahead of this", seconds=f"{found['system_offset_s']:+.1f}")
    timesync = context._("set by time servers") if found["system_synced"] else context._("no time server seen")
    yield from style.field(context._("System clock"), f"{offset}, {timesync}", 16)
    rtc = found["rtc"].replace("T", " ")[:19] + " UTC" if found["rtc"] else context._("there is none")
    yield from style.field(context._("Battery clock"), rtc, 16)
    yield from style.field(context._("Running since"), context._("{hours} h", hours=f"{found['up_s'] / 3600:.1f}"), 16)


def _time_set(context: Context, values: Mapping[str, Any]) -> Result:
    done = context.call("time.set", utc=values["utc"])
    return Result(done, [context._("{before} -> {after}", before=done["before"], after=done["after"])])


COMMANDS = (
    Command(
        "network",
        "the way to the network: address, gateway, name, TCP, TLS, certificate, clock, signal",
        _network,
    ),
    Command(
        "ping",
        "how long a host takes to answer",
        _ping,
        arguments=[
            Argument("host", "its name or address"),
            Argument("port", "of TCP; an echo when left out", Kind.NUMBER, needed=False),
        ],
        flags=[Flag("count", "how often", "n", True, 4)],
    ),
    Command("time", "the clock, where it comes from, and how well it is known", _time),
    Command(
        "time set",
        "set the clock until a network tells the time",
        _time_set,
        Role.SERVICE,
        [Argument("utc", "the time with its offset")],
        examples=["time set 2026-01-31T12:00:00Z"],
    ),
)
