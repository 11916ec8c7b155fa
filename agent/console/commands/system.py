"""log, export, restart, reboot, update, version: the machine and what runs on it."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.console.api import UnreachableError
from agent.console.comeback import wait_back
from agent.console.command import Argument, Command, Flag, Kind, Result
from agent.console.context import Context, RefusedError
from agent.console.transfer import LINE_NAME, over_the_line, to_file
from agent.local.roles import Role

BUNDLE_S = 150.0
VERIFY_S = 60.0
MOST_SIGNATURE = 20_000
_SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_UNDER_WAY = ("Downloading", "DownloadScheduled", "Downloaded", "SignatureVerified", "InstallScheduled", "Installing")


def _log(context: Context, values: Mapping[str, Any]) -> Result:
    words = [word for word in (values["lines"], values["more"]) if word is not None]
    follow = values["follow"] or "follow" in words
    lines = next((int(word) for word in words if word.isdigit()), 20 if context.terminal else 100)
    unit = next((word for word in words if word != "follow" and not word.isdigit()), values["unit"])
    since = None if values["since"] is None else _since(context, values["since"])
    found = context.call("log.read", unit=unit, lines=lines, since_utc_s=since)
    if not follow:
        return Result(found, found)
    if unit != "agent":
        raise RefusedError(context._("only the agent's log can be followed"))
    for line in found:
        context.say(line)
    with context.subscribed("log"):
        for event in context.events(float(values["seconds"]) if values["seconds"] else None):
            if isinstance(event, dict) and event.get("topic") == "log":
                found.append(event["value"])
                if not context.json:
                    context.say(event["value"])
    return Result(found, ())


def _since(context: Context, text: str) -> float:
    """'10m', '2h', or a time with its offset, by the agent's clock."""
    span = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if span is not None:
        now = datetime.fromisoformat(context.call("time.show")["utc"]).timestamp()
        return now - int(span[1]) * _SPANS[span[2]]
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise RefusedError(
            context._("{given} is no time; write it like 10m, 2h or 2026-01-31T12:00:00Z", given=text)
        ) from None
    if at.tzinfo is None:
        raise RefusedError(context._("say the offset as well: Z for UTC, or +02:00"))
    return at.timestamp()


def _export(context: Context, values: Mapping[str, Any]) -> Result:
    if not context.json and values["file"] != LINE_NAME:
        context.say(context.style.dim(context._("Making the bundle; this may take a minute.")))
    made = context.api.call("bundle.make", BUNDLE_S)
    if values["file"] == LINE_NAME:
        lines = [*over_the_line(made["name"], b"".join(_parts(context, made, tell=False)))]
        return Result({**made, "lines": lines}, lines)
    path = Path(values["file"] or made["name"]).expanduser()
    path = path / made["name"] if path.is_dir() else path
    try:
        length, digest = to_file(path, _parts(context, made, tell=not context.json))
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror or error}") from None
    if digest != made["sha256"]:
        path.unlink(missing_ok=True)
        raise RefusedError(context._("the bundle changed while it was read; ask for it again"))
    line = context._("{path}: {length} bytes, SHA-256 {digest}", path=str(path), length=length, digest=digest)
    return Result({"path": str(path), "length": length, "sha256": digest}, [line])


def _parts(context: Context, made: Mapping[str, Any], *, tell: bool) -> Iterator[bytes]:
    offset: int | None = 0
    told = 0
    while offset is not None:
        part = context.call("bundle.read", offset=offset)
        data = base64.b64decode(part["data"])
        yield data
        done_pct = 100 * (offset + len(data)) // max(1, made["length"])
        if tell and done_pct >= told + 20 and part["next"] is not None:
            told = done_pct
            context.say(context._("{done} %", done=done_pct))
        offset = part["next"]


def _restart(context: Context, values: Mapping[str, Any]) -> Result:
    if values["what"] == "control":
        if not values["yes"]:
            context.confirm(
                context._("Control starts anew: contactors stay open until it is up again. No vehicle may be there.")
            )
        done = context.call("system.restart_control")
        return Result(done, [context._("Control starts anew.")])
    if not values["yes"]:
        context.confirm(context._("The agent starts anew. A vehicle goes on charging; this session ends."))
    done = context.call("system.restart_agent", in_session=values["with_session"])
    return Result(done, [_back(context)])


def _back(context: Context) -> str:
    if wait_back(context):
        return context._("The agent has started anew.")
    return context._("The agent is on its way out and has not come back yet.")


def _reboot(context: Context, values: Mapping[str, Any]) -> Result:
    if not values["yes"]:
        context.confirm(context._("The machine restarts: charging ends, and the outlets are out of use for minutes."))
    done = context.call("system.reboot", in_session=values["with_session"])
    if done["machine"]:
        return Result(done, [context._("The machine restarts.")])
    line = context._("The agent alone starts anew: 'update.restart' does not say how the machine does.")
    return Result(done, [line, _back(context)])


def _update(context: Context, values: Mapping[str, Any]) -> Result:
    if values["file"] is None:
        state = context.call("update.state")
        return Result(state, _update_lines(context, state))
    path = Path(values["file"]).expanduser().absolute()
    signature, certificate = _beside(path, ".sig"), _beside(path, ".pem")
    if not values["yes"]:
        how = context._("with its signature") if signature else context._("WITHOUT a signature")
        context.confirm(context._("{file} is installed {how}, as soon as no vehicle charges.", file=path.name, how=how))
    context.api.call("update.install", VERIFY_S, path=str(path), signature=signature, certificate=certificate)
    return _progress(context, float(values["seconds"]))


def _beside(path: Path, ending: str) -> str:
    try:
        return path.with_name(path.name + ending).read_text("ascii")[:MOST_SIGNATURE]
    except (OSError, UnicodeDecodeError):
        return ""


def _progress(context: Context, patience_s: float) -> Result:
    """Tell how far it is until it is over, the agent leaves for it, or nobody wants to wait."""
    deadline = time.monotonic() + patience_s
    state: dict[str, Any] = {}
    told = ""
    while True:
        try:
            state = context.call("update.state")
        except UnreachableError:
            return Result({**state, "status": "InstallRebooting"}, [context._("The agent starts anew for it.")])
        line = next(_update_lines(context, state))
        if line != told and not context.json:
            context.say(line)
            told = line
        failed = state["status"] in (
            "DownloadFailed",
            "InstallationFailed",
            "InvalidSignature",
            "InstallVerificationFailed",
        )
        if state["status"] not in _UNDER_WAY or time.monotonic() > deadline:
            lines = [context._("'log' says why.")] if failed else []
            return Result(state, lines, failed)
        context.pause(1.0)


def _update_lines(context: Context, state: Mapping[str, Any]) -> Iterator[str]:
    text = context._(state["status"])
    if state["status"] == "Downloading" and state["total"]:
        text += f" {100 * state['done'] // state['total']} %"
    yield f"{context._('Update'):<14}{text}"
    if not state["can_install"]:
        yield from context.style.field("", context._("updates cannot get in: set update.install"), 14)
    elif not state["unsigned"]:
        yield from context.style.field("", context._("only files with a signature are taken"), 14)


def _version(context: Context, _: Mapping[str, Any]) -> Result:
    found = context.call("version")
    return Result(found, [f"{found['name']} {found['version']}"])


_YES = Flag("yes", "do not ask")
_WITH_SESSION = Flag("with-session", "while a vehicle charges as well")

COMMANDS = (
    Command(
        "log",
        "the last lines of a log, and those that come",
        _log,
        arguments=[
            Argument("lines", "how many lines; or 'follow', or a log's name", needed=False),
            Argument("more", "'follow', or a log's name", needed=False),
        ],
        flags=[
            Flag("follow", "go on as lines come; q or Ctrl-C ends it"),
            Flag("since", "10m, 2h, or a time", "time"),
            Flag("unit", "agent, control, security, audit or system", "log", default="agent"),
            Flag("seconds", "follow for so long", "s", True),
        ],
        examples=["log 50", "log follow", "log --since 10m --unit control"],
    ),
    Command(
        "export",
        "a support bundle to a file, or with - over the line",
        _export,
        Role.OPERATE,
        [Argument("file", "file or folder; - for the line (base64 with length and SHA-256)", needed=False)],
        more="Configuration and settings with secrets masked, logs, faults, journal figures, versions, checks.",
    ),
    Command(
        "restart",
        "start the agent, or control, anew",
        _restart,
        Role.SERVICE,
        [Argument("what", "which of the two", Kind.WORD, ("agent", "control"), needed=False, default="agent")],
        [_YES, _WITH_SESSION],
    ),
    Command("reboot", "restart the machine in good order", _reboot, Role.SERVICE, flags=[_YES, _WITH_SESSION]),
    Command(
        "update",
        "install an update from a file, verified; without one: how far it is",
        _update,
        Role.SERVICE,
        [Argument("file", "the file; its signature beside it as FILE.sig and FILE.pem", needed=False)],
        [_YES, Flag("seconds", "how long to look on", "s", True, 600)],
    ),
    Command("version", "which version runs", _version, Role.NONE),
)
