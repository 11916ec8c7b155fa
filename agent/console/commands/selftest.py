"""selftest: all tests that are safe without a person at each, and a report to hand over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.console.checks import Check
from agent.console.command import Argument, Command, Flag, Kind, Result, UsageError
from agent.console.commands import trials
from agent.console.context import Context, RefusedError
from agent.console.style import visible
from agent.console.texts import N_
from agent.local.roles import Role

METER_S = 5.0


def _selftest(context: Context, values: Mapping[str, Any]) -> Result:
    evses = _chosen(context, values["evse"])
    path = None if values["save"] is None else Path(values["save"])
    if path is not None and path.exists():
        raise RefusedError(context._("{path} exists already; give another name", path=path))
    if not values["yes"]:
        context.confirm(
            context._("This tests locks, pilot and residual-current monitors of: {evses}. Vehicles must be unplugged.",
                      evses=", ".join(map(str, evses)))
        )  # fmt: skip
    status = context.call("status")
    report: dict[str, Any] = {
        "identity": status["station"]["identity"],
        "vendor": status["station"]["vendor"],
        "model": status["station"]["model"],
        "version": status["station"]["version"],
        "at": status["clock"]["utc"],
        "clock_confirmed": status["clock"]["synced"],
        "by": context.call("session.who")["name"],
        "parts": [],
    }
    lines = _head(context, report)
    everything: list[Check] = []
    for name, evse, checks in _parts(context, evses):
        everything += checks
        report["parts"].append({"test": name, "evse": evse, "checks": [each.document() for each in checks]})
        lines += [context.style.bold(name if evse is None else f"EVSE {evse}: {name}"), *trials.lines(context, checks)]
    report["passed"] = trials.verdict(everything)
    failed = [each for each in everything if each.passed is False]
    skipped = [each for each in everything if each.passed is None]
    lines += ["", _summary(context, len(everything), len(failed), len(skipped))]
    if path is not None:
        lines.append(_save(context, path, report, lines))
    return Result(report, lines, failed=bool(failed))


def _chosen(context: Context, word: str) -> list[int]:
    known = context.evses()
    if word == "all":
        return known
    if word.isdigit() and int(word) in known:
        return [int(word)]
    raise UsageError(f"there is no EVSE {word!r}; there is {', '.join(map(str, known)) or 'none'}")


def _parts(context: Context, evses: list[int]) -> list[tuple[str, int | None, list[Check]]]:
    found: list[tuple[str, int | None, list[Check]]] = []
    for name, beginnings in (("can", trials.CAN), ("serial", trials.SERIAL)):
        checks = trials.wires(context, beginnings)
        if any(each.passed is not None for each in checks):
            found.append((name, None, checks))
    for evse in evses:
        tests = {
            "contactor": lambda evse=evse: trials.contactor(context, evse),
            "meter": lambda evse=evse: trials.meter(context, evse, METER_S),
            "pilot": lambda evse=evse: trials.pilot(context, evse),
            "rcd": lambda evse=evse: trials.rcd(context, evse),
            "lock": lambda evse=evse: trials.lock(context, evse),
        }
        for name, run in tests.items():
            found.append((name, evse, trials.guarded(run, name)))
        found.append(
            ("by hand", evse, [Check(N_("lights and reader"), None, "need a person: 'test leds', 'test reader'")])
        )
    return found


def _head(context: Context, report: Mapping[str, Any]) -> list[str]:
    clock = "" if report["clock_confirmed"] else " " + context._("(clock not confirmed)")
    return [
        context.style.bold(context._("Self-test of {identity}", identity=report["identity"])),
        f"{report['vendor']} {report['model']}, evse-agent {report['version']}",
        f"{report['at']}{clock}" + (f", {report['by']}" if report["by"] else ""),
        "",
    ]


def _summary(context: Context, count: int, failed: int, skipped: int) -> str:
    text = context._("{count} checks: {failed} failed, {skipped} not run", count=count, failed=failed, skipped=skipped)
    return context.style.bad(text) if failed else context.style.good(text)


def _save(context: Context, path: Path, report: Mapping[str, Any], lines: list[str]) -> str:
    text = json.dumps(report, indent=2) + "\n" if path.suffix == ".json" else "\n".join(map(visible, lines)) + "\n"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror or error}") from error
    return context._("Saved as {path}", path=path)


COMMANDS = (
    Command(
        "selftest",
        "every test that is safe, and a report to hand over",
        _selftest,
        Role.SERVICE,
        [
            Argument(
                "evse",
                "number of an EVSE, or all",
                Kind.WORD,
                lambda context: ["all", *map(str, context.evses())],
                needed=False,
                default="all",
            )
        ],
        [
            Flag("yes", "do not ask first"),
            Flag("save", "write the report to a new file; JSON where its name ends in .json", "file"),
        ],
        more="What a vehicle or a fault stands in the way of is not run, and the report says so. A test that was not "
        "run has not passed.",
        examples=("selftest all --yes --save report.txt",),
    ),
)
