"""transactions, tokens, profiles, schedule, reservations: what stands on the books."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from agent.console.command import Argument, Command, Flag, Kind, Result
from agent.console.context import Context, RefusedError
from agent.console.transfer import LINE_NAME, over_the_line, to_file
from agent.local.roles import Role

PAGE = 200
TELL_EVERY = 2000
LABEL = 16
ROWS = 20
"""Of a schedule's chart, at most: a page."""
STEPS_S = (60, 300, 600, 900, 1800, 3600, 5400, 7200, 10_800, 21_600, 43_200)


def _short(moment: str | None) -> str:
    return (moment or "-")[:19].replace("T", " ")


def _energy(one: Mapping[str, Any]) -> str:
    if one["start_wh"] is None or one["end_wh"] is None:
        return "-"
    return f"{(one['end_wh'] - one['start_wh']) / 1000:.3f}"


def _transactions(context: Context, values: Mapping[str, Any]) -> Result:
    found = context.call("transactions", limit=int(values["last"]))
    return Result(found, _list(context, found))


def _list(context: Context, found: Mapping[str, Any]) -> Iterator[str]:
    style = context.style
    if not found["transactions"]:
        yield context._("no transaction yet")
        return
    paint = {"open": style.bold, "waiting": style.warn, "set aside": style.bad}
    rows = []
    for one in found["transactions"]:
        state = paint.get(one["state"], style.good)(context._(one["state"]))
        rows.append([one["id"][:8], _short(one["started_at"]), str(one["evse"]), _energy(one), state])
    heads = ["ID", context._("Started (UTC)"), "EVSE", "kWh", context._("State")]
    yield from style.table(heads, rows)
    if found["records_of_others"]:
        yield context._("and {count} records of older transactions wait", count=found["records_of_others"])
    if any(one["set_aside"] for one in found["transactions"]):
        yield context._("'transactions show ID' says why one was set aside, 'transactions retry' offers it again")


def _show(context: Context, values: Mapping[str, Any]) -> Result:
    one = context.call("transactions.show", id=values["id"])
    return Result(one, _detail(context, one))


def _detail(context: Context, one: Mapping[str, Any]) -> Iterator[str]:
    style = context.style
    number = "-" if one["network_number"] is None else str(one["network_number"])
    rows = [
        ("ID", one["id"]),
        (context._("Network's number"), number),
        ("EVSE", str(one["evse"])),
        (context._("Token"), one["token"] or "-"),
        (context._("Started"), f"{_short(one['started_at'])} UTC"),
        (context._("Ended"), f"{_short(one['ended_at'])} UTC {one['reason']}"),
        (context._("Energy"), f"{_energy(one)} kWh"),
        (context._("State"), context._(one["state"])),
    ]
    for name, text in rows:
        yield from style.field(name, text, LABEL + 2)
    if one["refused"]:
        yield from style.field(context._("Refused"), style.bad(one["refused"]), LABEL + 2)
    if one["undelivered"]:
        yield style.bold(context._("Not with the network yet:"))
    for record in one["undelivered"][:50]:
        aside = context._("set aside") if record["set_aside"] else context._("waits")
        tried = context._("tried {count} times", count=record["attempts"])
        yield f"  {record['seq']:>6}  {_short(record['at'])}  {record['kind']}, {aside}, {tried}"


def _retry(context: Context, values: Mapping[str, Any]) -> Result:
    identity = values["id"]
    if identity is not None:
        identity = context.call("transactions.show", id=identity)["id"]
    done = context.call("transactions.retry", id=identity)
    if not done["records"]:
        return Result(done, [context._("Nothing is set aside.")])
    return Result(done, [context._("{count} records go back into the line and are sent again.", count=done["records"])])


def _export(context: Context, values: Mapping[str, Any]) -> Result:
    if values["file"] == LINE_NAME:
        data = b"".join(_records(context))
        lines = [*over_the_line("records.jsonl", data)]
        return Result({"name": "records.jsonl", "lines": lines}, lines)
    path = Path(values["file"]).expanduser()
    try:
        length, digest = to_file(path, _records(context))
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror or error}") from None
    line = context._("{path}: {length} bytes, SHA-256 {digest}", path=str(path), length=length, digest=digest)
    document = {"path": str(path), "length": length, "sha256": digest}
    return Result(document, [line, context._("The records stay on the books until the network has them.")])


def _records(context: Context) -> Iterator[bytes]:
    """Every record that the network has not got, a JSON object per line, with a word on how far it is."""
    after = count = 0
    while True:
        page = context.call("transactions.export", after=after, limit=PAGE)
        for record in page["records"]:
            yield json.dumps(record, separators=(",", ":")).encode() + b"\n"
        before, count = count, count + len(page["records"])
        if page["next"] is None:
            return
        if count // TELL_EVERY > before // TELL_EVERY and not context.json:
            context.say(context._("{count} records …", count=count))
        after = page["next"]


def _tokens(context: Context, values: Mapping[str, Any]) -> Result:
    if values["token"] is not None:
        return _token(context, context.call("tokens.find", token=values["token"]))
    found = context.call("tokens.state")
    used, unused = context._("in use"), context._("not in use")
    local = context._(
        "{size} tokens, version {version}, {use}",
        size=found["list_size"],
        version=found["list_version"],
        use=used if found["list_used"] else unused,
    )
    cache = context._("{size} tokens, {use}", size=found["cache_size"], use=used if found["cache_used"] else unused)
    style = context.style
    lines = [*style.field(context._("Local list"), local, LABEL), *style.field(context._("Cache"), cache, LABEL)]
    return Result(found, lines)


def _token(context: Context, found: Mapping[str, Any]) -> Result:
    if not found["source"]:
        text = context._("{token} is not known here; the network is asked when it is shown", token=found["token"])
        return Result(found, [text])
    expires = context._("never expires") if found["expires_at"] is None else f"{_short(found['expires_at'])} UTC"
    text = context._(
        "{token}: {status} by the {source}, {expires}",
        token=found["token"],
        status=found["status"],
        source=context._("local list") if found["source"] == "list" else context._("cache"),
        expires=expires,
    )
    return Result(found, [text])


def _profiles(context: Context, _: Mapping[str, Any]) -> Result:
    found = context.call("profiles.list")
    return Result(found, _profile_lines(context, found))


def _profile_lines(context: Context, found: list[dict[str, Any]]) -> Iterator[str]:
    if not found:
        yield context._("No charging profile is installed.")
    for one in found:
        where = context._("all EVSEs") if not one["evse"] else f"EVSE {one['evse']}"
        yield context.style.bold(
            f"{one['id']:>6}  {one['purpose']}, {where}, {one['kind']}, level {one['stack_level']}"
        )
        if one["valid_from"] or one["valid_to"] or one["starts_at"]:
            text = context._(
                "starts {start}, valid {begin} to {end}",
                start=_short(one["starts_at"]),
                begin=_short(one["valid_from"]),
                end=_short(one["valid_to"]),
            )
            yield from context.style.field("", text, 8)
        periods = [f"+{_clock(each['start_s'])} {each['limit']:g} {one['unit']}" for each in one["periods"]]
        yield from context.style.field("", ", ".join(periods[:24]) + (" …" if len(periods) > 24 else ""), 8)


def _clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}"


def _schedule(context: Context, values: Mapping[str, Any]) -> Result:
    found = context.call("schedule.show", evse=values["evse"] or 0, hours=float(values["hours"]))
    return Result(found, _chart(context, found))


def _chart(context: Context, found: Mapping[str, Any]) -> Iterator[str]:
    """A bar for each slice of time: the lowest that may be drawn in it."""
    style, unit = context.style, found["unit"]
    name = f"EVSE {found['evse']}" if found["evse"] else context._("all together")
    yield style.bold(context._("{name}: what may be drawn, in {unit} (times UTC)", name=name, unit=unit))
    begin = datetime.fromisoformat(found["starts_at"])
    step_s = next((step_s for step_s in STEPS_S if found["duration_s"] <= ROWS * step_s), 86_400)
    rows = max(1, -(-found["duration_s"] // step_s))
    most = max([each["limit"] for each in found["periods"]] or [0.0])
    room = style.columns - 18
    for row in range(rows):
        limit = _lowest(found["periods"], row * step_s, (row + 1) * step_s)
        bar = "#" * (round(room * limit / most) if most else 0)
        at = begin + timedelta(seconds=row * step_s)
        yield f"{at:%H:%M} {limit:>9.1f}  {style.good(bar) if limit else style.bad('0')}"


def _lowest(periods: list[dict[str, Any]], from_s: float, to_s: float) -> float:
    ends = [*(each["start_s"] for each in periods[1:]), float("inf")]
    limits = [
        each["limit"] for each, end_s in zip(periods, ends, strict=True) if each["start_s"] < to_s and end_s > from_s
    ]
    return float(min(limits, default=0.0))


def _reservations(context: Context, _: Mapping[str, Any]) -> Result:
    found = context.call("reservations.list")
    if not found:
        return Result(found, [context._("Nothing is reserved.")])
    rows = [
        [
            str(one["id"]),
            str(one["evse"]) if one["evse"] else context._("any"),
            one["token"] + (" +" if one["group"] else ""),
            f"{_short(one['expires_at'])} UTC",
        ]
        for one in found
    ]
    return Result(
        found, context.style.table([context._("Number"), "EVSE", context._("Token"), context._("Until")], rows)
    )


COMMANDS = (
    Command(
        "transactions",
        "the latest transactions: open, waiting for the network, delivered",
        _transactions,
        flags=[Flag("last", "how many", "n", True, 20)],
    ),
    Command(
        "transactions show",
        "one transaction, and what of it the network has not got",
        _show,
        arguments=[Argument("id", "its identity, or the beginning of it")],
    ),
    Command(
        "transactions retry",
        "offer what the network has refused again",
        _retry,
        Role.OPERATE,
        [Argument("id", "of one transaction; all when left out", needed=False)],
    ),
    Command(
        "transactions export",
        "write what the network has not got to a file, or with - over the line",
        _export,
        arguments=[Argument("file", "the file, or - for the line (base64 with length and SHA-256)")],
    ),
    Command(
        "tokens",
        "local list and cache; or what they say of one token",
        _tokens,
        arguments=[Argument("token", "the token", needed=False)],
    ),
    Command("profiles", "the charging profiles that the network has installed", _profiles),
    Command(
        "schedule",
        "what may be drawn over the next hours, as a chart",
        _schedule,
        arguments=[Argument("evse", "number of the EVSE; all together when left out", Kind.EVSE, needed=False)],
        flags=[Flag("hours", "how far to look", "n", True, 24)],
    ),
    Command("reservations", "who has reserved what", _reservations),
)
