"""commission: a new or adopted charge point is told who and where it is, tested, and put on record."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.config.document import Table
from agent.config.findings import Finding
from agent.console.api import CallError, UnreachableError
from agent.console.command import Command, Flag, Result
from agent.console.commissioning import configuration as made
from agent.console.commissioning import report, wizard
from agent.console.commissioning.answers import Answers, from_files, mistakes
from agent.console.context import Context, RefusedError
from agent.durable import sync_folder
from agent.local.place import DEFAULT_CONFIG
from agent.local.roles import Role

CHECK_S = 180.0
"""The agent's own check imports every driver, and the machine may be a small one."""
BACK_S = 120.0
"""For the agent to be there again after its fresh start."""
SELF_TEST_S = 15.0
FORBIDDEN = -32_001
"""The API's word for a role that does not suffice."""
SHOWN = (
    "station.vendor",
    "station.model",
    "station.serial_number",
    "station.time_zone",
    "installation.max_current_a",
    "installation.phases",
    "installation.nominal_voltage_v",
    "installation.residual_current_profile",
    "installation.monitor_open_pen",
    "ocpp.url",
    "ocpp.identity",
    "ocpp.ca_file",
    "ocpp.settings.ConnectorPhaseRotation",
)
"""What the report names of the configuration."""


def _commission(context: Context, values: Mapping[str, Any]) -> Result:
    offline, dry = values["offline"], values["dry_run"]
    path, present_text = _unasked(context) if offline else _shown(context) if dry else _present(context)
    present, broken = made.parsed(present_text, str(path)) if present_text else (None, [])
    if broken:
        return _mistakes(context, broken)
    if values["file"] is None:
        answers = wizard.ask(context, present)
    else:
        files = [Path(each) for each in (values["common"], values["file"]) if each is not None]
        answers, unread = from_files(files)
        if unread:
            return _mistakes(context, unread)
    table = made.configuration(answers, present)
    text = made.written(table)
    found = [*mistakes(answers), *made.wrong(text, path, answers)]
    if found:
        return _mistakes(context, found)
    if dry:
        shown = made.written(made.masked(table))
        asked = [key for key in ("region", "technician", "site") if not answers.text(key)]
        document = {"configuration": shown, "not_answered": asked, "taken": False}
        left = [context._("Not answered: {names}", names=", ".join(asked))] if asked else []
        return Result(document, [*shown.splitlines(), *left, context.style.good(context._("Nothing was changed."))])
    if values["file"] is None and not values["yes"]:
        context.confirm(context._("The charge point starts anew with these answers."))
    changed = _write(path, text) if offline else _apply(context, text, answers, values)
    return _finish(context, values, answers, table, changed)


def _present(context: Context) -> tuple[Path, str]:
    """Where the agent's configuration lies, and what it says now (secrets as ``***``)."""
    try:
        found = context.call("config.text")
    except UnreachableError as error:
        text = context._("{error}; without an agent, --offline writes the file itself", error=error)
        raise RefusedError(text) from None
    if context.role < Role.SERVICE:
        context.role = next(each for each in Role if each.word == context.call("session.who")["role"])
    _need_service(context)
    return Path(found["path"]), found["text"]


def _unasked(context: Context) -> tuple[Path, str]:
    """The same without the agent: with the rights of whoever runs the console, who must have logged in at a port."""
    if context.serial:
        _need_service(context)
    own = context.config_path or DEFAULT_CONFIG
    return own, _read(own)


def _shown(context: Context) -> tuple[Path, str]:
    """What a dry run begins from: the agent's word where one runs, else the file."""
    try:
        found = context.call("config.text")
    except (UnreachableError, CallError):
        return _unasked(context)
    return Path(found["path"]), found["text"]


def _need_service(context: Context) -> None:
    if context.role < Role.SERVICE:
        text = context._("'{name}' needs the role {role}; 'login' gives it", name="commission", role=Role.SERVICE.word)
        raise RefusedError(text)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{path}: {error}") from None


def _mistakes(context: Context, found: list[Finding]) -> Result:
    told = made.listed(found)
    head = context.style.bad(context._("Nothing was changed; {count} to mend:", count=len(told)))
    return Result({"taken": False, "mistakes": told}, [head, *(f"  {each}" for each in told)], failed=True)


# ---- putting it in place ----


def _write(path: Path, text: str) -> bool:
    """Write the file itself: whole, or not at all; with the rights that it had. False when it says so already."""
    before = _read(path)
    if before and made.same(*(made.parsed(each, "")[0] for each in (before, text))):
        return False
    fresh = None
    try:
        handle, name = tempfile.mkstemp(".yaml", ".commission-", path.parent)
        fresh = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            if path.exists():
                there = path.stat()
                os.fchmod(handle, there.st_mode & 0o777)
                if os.geteuid() == 0:
                    os.fchown(handle, there.st_uid, there.st_gid)
            file.write(text)
            file.flush()
            os.fsync(handle)
        if before:
            kept = path.with_name(f"{path.name}.before-commission")
            kept.unlink(missing_ok=True)
            os.link(path, kept)
        fresh.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if fresh is not None:
            fresh.unlink(missing_ok=True)
        raise RefusedError(f"{path}: {error}") from None
    return True


def _apply(context: Context, text: str, answers: Answers, values: Mapping[str, Any]) -> bool:
    """Have the agent take it, and wait until it has proved itself. False when nothing differs. Raises RefusedError."""
    parameters = {
        "text": text,
        "within_s": float(values["within"]),
        "in_session": values["with_session"],
        "note": f"commission by {answers.text('technician')}",
    }
    if not context.api.call("config.apply", CHECK_S, **parameters, dry=True)["changes"]:
        return False
    number = context.api.call("config.apply", CHECK_S, **parameters)["number"]
    _tell(context, context._("Taken as change {number}; waiting for the charge point to be back …", number=number))
    deadline = time.monotonic() + values["within"] + BACK_S
    while time.monotonic() < deadline:
        context.pause(1.0)
        try:
            trial = context.call("config.state")["trial"]
            entry = next((each for each in context.call("config.history") if each["number"] == number), None)
        except UnreachableError:
            continue
        except CallError as error:
            if error.code == FORBIDDEN and context.terminal is not None:
                _log_in_again(context)
            continue
        if trial is None and entry is not None and entry["outcome"]:
            if entry["outcome"].startswith("kept"):
                _role_again(context)
                return True
            raise RefusedError(context._("The change was {outcome}", outcome=entry["outcome"]))
    raise RefusedError(context._("the agent has not come back; see its log, and 'config history'"))


def _role_again(context: Context) -> None:
    """After a fresh start of the agent a PIN must be given again; at a service port always."""
    role = context.call("session.who")
    context.role = next(each for each in Role if each.word == role["role"])
    if context.terminal is not None and (context.role < Role.SERVICE or (context.serial and not role["name"])):
        _log_in_again(context)


def _log_in_again(context: Context) -> None:
    from agent.console.commands.session import log_in

    context.say(context._("The agent has restarted; log in again."))
    log_in(context)


def _tell(context: Context, line: str) -> None:
    if not context.json:
        context.say(line)


# ---- test and record ----


def _finish(context: Context, values: Mapping[str, Any], answers: Answers, table: Table, changed: bool) -> Result:
    region = answers.region
    assert region is not None
    rows: list[dict[str, Any]] = []
    remarks = [region.remark] if region.remark else []
    if values["offline"]:
        remarks.append("written without an agent: not tested, not signed; start the charge point and commission again")
    else:
        if answers.text("self_test") != "false":
            remarks += _self_test(context)
        rows = report.checks(_settled(context, answers), bool(answers.text("ocpp.url")))
    config = Answers(table)
    document: dict[str, Any] = {
        "kind": "commissioning",
        "technician": answers.text("technician"),
        "site": answers.text("site"),
        "identity": config.text("ocpp.identity") or config.text("station.serial_number"),
        "region": {
            "code": region.code,
            "name": region.name,
            "currency": answers.text("currency") or region.currency,
            "language": answers.text("language") or region.languages[0],
            "hertz": region.hertz,
            "sources": region.sources,
        },
        "set": {key: config.text(key) for key in SHOWN if config.text(key)},
        "configuration_sha256": hashlib.sha256(made.written(made.masked(table)).encode()).hexdigest(),
        "changed": changed,
        "checks": rows,
        "remarks": remarks,
        "passed": bool(rows) and all(row["passed"] for row in rows),
    }
    signed = {"report": document} if values["offline"] else context.call("commission.sign", report=document)
    place = Path(values["report"] or _name(document["identity"])).expanduser()
    try:
        paths = report.save(place, signed)
    except OSError as error:
        raise RefusedError(context._("the report cannot be written: {error}", error=error)) from None
    saved = context._("Report: {paths}", paths=", ".join(map(str, paths)))
    failed = not document["passed"] and not values["offline"]
    return Result(
        {"taken": changed, "saved": [str(each) for each in paths], **signed}, [*report.lines(signed), saved], failed
    )


def _name(identity: str) -> str:
    return "commissioning-" + "".join(c if c.isalnum() or c in "-_" else "_" for c in identity) + ".json"


def _self_test(context: Context) -> list[str]:
    """Ask for the test of each residual-current monitor. Return what was refused."""
    refused = []
    for evse in context.call("status")["evses"]:
        if evse["plugged"]:
            refused.append(f"evse {evse['id']}: no self-test while a vehicle is plugged in")
            continue
        try:
            context.call("selftest.run", evse=evse["id"])
        except CallError as error:
            refused.append(f"evse {evse['id']}: self-test: {error}")
    return refused


def _settled(context: Context, answers: Answers) -> Any:
    """Wait until every check passes, or no longer than a self-test takes. Return the status then."""
    wants = bool(answers.text("ocpp.url"))
    deadline = time.monotonic() + SELF_TEST_S
    context.pause(1.0)
    while True:
        status = context.call("status")
        testing = any(reason["code"] == "self_test_pending" for evse in status["evses"] for reason in evse["reasons"])
        if (all(row["passed"] for row in report.checks(status, wants)) and not testing) or time.monotonic() >= deadline:
            return status
        context.pause(0.5)


def _key(context: Context, _: Mapping[str, Any]) -> Result:
    found = context.call("commission.key")
    return Result(found, [found["fingerprint"], *found["key"].splitlines()])


COMMANDS = (
    Command(
        "commission",
        "tell a new or adopted charge point who and where it is, test it, sign the report",
        _commission,
        Role.NONE,
        flags=[
            Flag("file", "answers from a file, nothing is asked", "answers"),
            Flag("common", "a file of answers for many charge points; --file goes before it", "answers"),
            Flag("dry-run", "check the answers and show the configuration that they make"),
            Flag("report", "where the signed report goes (.json, and .txt beside it)", "file"),
            Flag("within", "seconds after which the old file comes back", "seconds", True, 300.0),
            Flag("with-session", "also while a vehicle charges"),
            Flag("offline", "no agent runs: write the file itself; no test, no signature"),
            Flag("yes", "do not ask"),
        ],
        more="Needs the role service. The whole configuration is checked before anything is written; every mistake is "
        "told with file and line. What works is kept: a second run with the same answers changes nothing. "
        "A report is checked anywhere by 'evse-console --verify-report FILE'.",
        examples=(
            "commission",
            "commission --common site.yaml --file NORD-0001.yaml",
            "commission --dry-run --file a.yaml",
        ),
    ),
    Command("commission key", "the key by which this charge point's reports are checked", _key),
)
