"""test ...: one part of the charger at a time, with pass or fail and the measured value."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.console.api import CallError
from agent.console.checks import (
    Check,
    charge_times,
    contactor_open,
    field,
    meter_values,
    pilot_level,
    register_moves,
)
from agent.console.command import Argument, Command, Flag, Kind, Result
from agent.console.commands.live import device_table
from agent.console.context import Context, RefusedError
from agent.console.texts import N_
from agent.local.roles import Role

LOCK_S = 4.0
"""A lock takes less than this for one way (own)."""
SELF_TEST_S = 14.0
"""Control gives up a residual-current self-test after 10 s."""
PILOT_S = 1.5
STEP_S = 0.2
LIGHT_S = 10.0
SILENT_S = 10.0
CAN, SERIAL = ("can",), ("mcu-board", "modbus", "openevse", "serial")
"""How the names of drivers on a CAN bus, or on a serial line (or TCP in its place), begin."""
LIGHTS = ("available", "preparing", "charging", "suspended", "finishing", "unavailable", "faulted")


# ---- what each test does -----------------------------------------------------------------------------------------


def contactor(context: Context, evse: int) -> list[Check]:
    """Without a vehicle: the contactor is open, reads so, and nothing flows."""
    status = next(each for each in context.call("status")["evses"] if each["id"] == evse)
    if status["contactor_closed"]:
        raise RefusedError(
            context._("EVSE {evse}: the contactor is closed; end the charge, or use --with-vehicle", evse=evse)
        )
    inputs = context.call("inputs", evse=evse)["inputs"]
    return contactor_open(inputs, [each["code"] for each in status["faults"]])


def charge(context: Context, evse: int, seconds: float) -> list[Check]:
    """Look on while a person charges: how long closing and opening take, whether feedback and meter agree."""
    _tell(context, context._("Plug a vehicle in, start the charge as a driver does, and stop it after some seconds."))
    _tell(context, context._("This only looks on. It ends by itself after the charge; Ctrl-C leaves off."))
    last = context.call("changes", evse=evse)["changes"]
    after_s = last[-1]["at_s"] if last else 0.0
    deadline = time.monotonic() + seconds
    most_a: list[float] = []
    agreed: bool | None = None
    changes: list[Mapping[str, Any]] = []
    while time.monotonic() < deadline:
        before = context.call("changes", evse=evse, after_s=after_s)["changes"]
        inputs = context.call("inputs", evse=evse)["inputs"]
        changes = context.call("changes", evse=evse, after_s=after_s)["changes"]
        feedback = field(inputs, "contactor", "closed")
        if changes and changes[-1]["contactor_closed"]:
            if not before or not before[-1]["contactor_closed"]:
                continue  # it closed meanwhile: these readings may be from before
            amps = [each["value"] or 0.0 for each in inputs if each["name"].startswith("current_a")]
            most_a = [max(pair) for pair in zip(amps, most_a or amps, strict=False)]
            if feedback is not None and feedback["text"] != "unknown":
                agreed = agreed is not False and feedback["text"] == "yes"
        elif any(each["contactor_closed"] for each in changes):
            break  # the readings may be from either side of the opening, and are not looked at
        context.pause(STEP_S)
    checks = charge_times(changes)
    none = "the hardware has no feedback" if agreed is None else ""
    checks.append(Check(N_("feedback agrees"), agreed, none or ("closed while charging" if agreed else "it read open")))
    seen = [f"L{number} {amps:.1f} A" for number, amps in enumerate(most_a, 1) if amps >= 0.5]
    checks.append(Check(N_("current at the meter"), bool(seen) if most_a else None, "  ".join(seen) or "none was seen"))
    return checks


def lock(context: Context, evse: int) -> list[Check]:
    """Lock and unlock an empty outlet."""
    checks = []
    for locked, name in ((True, N_("locks")), (False, N_("unlocks"))):
        begun_s = context.call("trial.lock", evse=evse, locked=locked, hold_s=LOCK_S + 2.0)["at_s"]
        took_s = None
        deadline = time.monotonic() + LOCK_S
        while took_s is None and time.monotonic() < deadline:
            changes = context.call("changes", evse=evse, after_s=begun_s)["changes"]
            took_s = next((each["at_s"] - begun_s for each in changes if each["locked"] is locked), None)
            if took_s is None:
                context.pause(0.1)
        measured = f"{took_s:.2f} s" if took_s is not None else f"no feedback within {LOCK_S:g} s"
        checks.append(Check(name, took_s is not None, measured))
    return checks


def rcd(context: Context, evse: int) -> list[Check]:
    """Run the monitor's own self-test."""
    before = context.call("inputs", evse=evse)["inputs"]
    state = field(before, "residual_current", "self_test")
    if state is None or state["text"] == "unsupported":
        told = "its monitor has no self-test that we can start" if state else "no residual-current monitor is connected"
        return [Check(N_("self-test"), None, f"{told}; press the test button of the protective device")]
    begun_s = context.call("selftest.run", evse=evse)["at_s"]
    deadline = time.monotonic() + SELF_TEST_S
    ran, found = False, None
    while found is None and time.monotonic() < deadline:
        context.pause(STEP_S)
        told = context.call("inputs", evse=evse)
        state = field(told["inputs"], "residual_current", "self_test")
        ended = field(told["inputs"], "residual_current", "self_test_at")
        if state is None:
            continue
        ran = ran or state["text"] == "running"
        new = ran if ended is None or ended["value"] is None else ended["value"] >= begun_s
        if new and state["text"] in ("passed", "failed"):
            at_s = told["at_s"] if ended is None or ended["value"] is None else ended["value"]
            found = Check(N_("self-test"), state["text"] == "passed", f"{state['text']} after {at_s - begun_s:.2f} s")
    after = field(context.call("inputs", evse=evse)["inputs"], "residual_current", "tripped")
    tripped = after is not None and after["text"] == "yes"
    return [
        found or Check(N_("self-test"), False, f"no result within {SELF_TEST_S:g} s"),
        Check(N_("not tripped afterwards"), not tripped, "tripped" if tripped else "ready"),
    ]


def meter(context: Context, evse: int, seconds: float) -> list[Check]:
    """Look at the meter twice."""
    before = context.call("inputs", evse=evse)["inputs"]
    checks = meter_values(before)
    if field(before, "meter", "energy_import_wh") is None:
        return checks
    begun = time.monotonic()
    context.pause(seconds)
    after = context.call("inputs", evse=evse)["inputs"]
    return [*checks, register_moves(before, after, time.monotonic() - begun)]


def pilot(context: Context, evse: int) -> list[Check]:
    """Show both steady levels on an unplugged EVSE, and read them back."""
    status = next(each for each in context.call("status")["evses"] if each["id"] == evse)
    if status["plugged"]:
        raise RefusedError(context._("EVSE {evse}: a vehicle is plugged in; unplug it first", evse=evse))
    checks = [pilot_level(context.call("inputs", evse=evse)["inputs"], "A")]
    context.call("trial.pilot", evse=evse, hold_s=PILOT_S)
    found = None
    deadline = time.monotonic() + PILOT_S
    while time.monotonic() < deadline and (found is None or not found.passed):
        context.pause(0.1)
        found = pilot_level(context.call("inputs", evse=evse)["inputs"], "F")
    checks.append(found or Check(N_("level F"), False, "not read in time"))
    back = None
    deadline = time.monotonic() + PILOT_S + 3.0
    while time.monotonic() < deadline and (back is None or not back.passed):
        context.pause(STEP_S)
        back = pilot_level(context.call("inputs", evse=evse)["inputs"], "A")
    assert back is not None
    return [*checks, Check(N_("back to level A"), back.passed, back.measured)]


def lights(context: Context, evse: int) -> list[Check]:
    """Show each indication and let a person say whether it can be seen."""
    checks = []
    for each in LIGHTS:
        context.call("trial.indication", evse=evse, indication=each, hold_s=LIGHT_S)
        answer = context.ask(context._("Do the lights of EVSE {evse} show '{what}'? yes/no:", evse=evse, what=each))
        yes = answer.casefold()[:1] in ("y", context._("yes").casefold()[:1])
        checks.append(Check(f"lights: {each}", yes, "seen" if yes else "not seen"))
    return checks


def reader(context: Context, evse: int, seconds: float, show: bool) -> list[Check]:
    """Wait for a card that starts nothing."""
    context.call("trial.reader", evse=evse, seconds=seconds)
    _tell(
        context, context._("Hold a card at the reader within {seconds} s; it starts nothing.", seconds=f"{seconds:g}")
    )
    deadline = time.monotonic() + seconds
    cards: list[Mapping[str, Any]] = []
    try:
        while not cards and time.monotonic() < deadline:
            context.pause(STEP_S)
            cards = context.call("trial.cards", evse=evse)["cards"]
    finally:
        if context.api.fileno() is not None:
            context.call("trial.reader", evse=evse, seconds=0.0)
    if not cards:
        return [Check(N_("a card is read"), False, f"none within {seconds:g} s; see 'inputs' for the reader's health")]
    card = cards[0]
    number = card["uid"] if show else card["masked"]
    return [
        Check(N_("a card is read"), True, f"{number} ({card['kind']}) at {card['reader']} after {card['after_s']} s")
    ]


def wires(context: Context, beginnings: Sequence[str]) -> list[Check]:
    """Health, silence and earlier troubles of each device on one kind of wire."""
    found = [each for each in context.call("devices")["devices"] if each["driver"].startswith(tuple(beginnings))]
    troubles = {each["code"]: each["count"] for each in context.call("faults")["entries"]}
    checks = []
    for each in found:
        silent = each["silent_s"]
        good = each["ok"] and (silent is None or silent < SILENT_S)
        heard = "does not tell when it was heard" if silent is None else f"heard {silent:.1f} s ago"
        count = troubles.get(f"device:{each['name']}", 0)
        told = f"{heard}, in trouble {count} times so far" + (f"; {each['detail']}" if each["detail"] else "")
        checks.append(Check(f"{each['name']} ({each['driver']})", good, told))
    return checks or [Check(N_("devices"), None, "no device of this kind is configured")]


# ---- telling -----------------------------------------------------------------------------------------------------


def _tell(context: Context, text: str) -> None:
    if not context.json:
        context.say(text)


def lines(context: Context, checks: Sequence[Check]) -> list[str]:
    """Return checks for people: the verdict first, wrapped beside it."""
    style, shown = context.style, []
    for each in checks:
        word = context._("not run") if each.passed is None else context._("pass") if each.passed else context._("FAIL")
        paint = style.warn if each.passed is None else style.good if each.passed else style.bad
        first, *rest = style.field(f"  {word}", f"{context._(each.name)}: {each.measured}", 12)
        shown += [first.replace(word, paint(word), 1), *rest]
    return shown


def verdict(checks: Sequence[Check]) -> bool | None:
    """False when one failed, None when nothing was tested."""
    told = [each.passed for each in checks if each.passed is not None]
    return all(told) if told else None


def _result(context: Context, name: str, evse: int | None, checks: Sequence[Check]) -> Result:
    passed = verdict(checks)
    document = {"test": name, "evse": evse, "passed": passed, "checks": [each.document() for each in checks]}
    return Result(document, lines(context, checks), failed=passed is False)


def _of_evse(
    name: str, will: str, run: Callable[[Context, Mapping[str, Any]], list[Check]]
) -> Callable[[Context, Mapping[str, Any]], Result]:
    """A test of one EVSE. ``will``: what it does, where it moves anything; asked first."""

    def command(context: Context, values: Mapping[str, Any]) -> Result:
        if will and not values["yes"]:
            context.confirm(context._(will, evse=values["evse"]))
        return _result(context, name, values["evse"], run(context, values))

    return command


def _contactor(context: Context, values: Mapping[str, Any]) -> Result:
    evse = values["evse"]
    found = charge(context, evse, values["seconds"]) if values["with_vehicle"] else contactor(context, evse)
    return _result(context, "contactor", evse, found)


def _wire(name: str, beginnings: Sequence[str]) -> Callable[[Context, Mapping[str, Any]], Result]:
    def command(context: Context, _: Mapping[str, Any]) -> Result:
        result = _result(context, name, None, wires(context, beginnings))
        devices = context.call("devices")["devices"]
        table = device_table(context, [each for each in devices if each["driver"].startswith(tuple(beginnings))])
        return Result(result.document, [*result.lines, "", *table], result.failed)

    return command


_EVSE = Argument("evse", "number of the EVSE", Kind.EVSE)
_YES = Flag("yes", "do not ask first")
WILL = {
    "lock": N_("This moves the lock of EVSE {evse}, which must be empty: keep fingers away."),
    "rcd": N_("This lets the residual-current monitor of EVSE {evse} test itself; nothing may charge there."),
    "pilot": N_("This shows state F for a second at EVSE {evse}, which must be unplugged."),
}
_WORKSHOP = N_(
    "In a workshop the conformance kit puts a driver through every state and fault of its wire: see docs/extending.md."
)


def guarded(run: Callable[[], list[Check]], name: str) -> list[Check]:
    """Run a test as a part of many: what is refused was not run."""
    try:
        return run()
    except (CallError, RefusedError) as error:
        return [Check(name, None, str(error))]


COMMANDS = (
    Command(
        "test contactor",
        "open, reads open, no weld; with a vehicle: how long closing and opening take",
        _contactor,
        Role.SERVICE,
        [_EVSE],
        [
            Flag("with-vehicle", "look on while a real charge begins and ends"),
            Flag("seconds", "how long to look on", "n", number=True, default=600),
        ],
        more="Nothing here closes a contactor: control does that for a vehicle in state C with a permit.",
    ),
    Command(
        "test lock",
        "lock and unlock an empty outlet, with the time that takes",
        _of_evse("lock", WILL["lock"], lambda context, values: lock(context, values["evse"])),
        Role.SERVICE,
        [_EVSE],
        [_YES],
    ),
    Command(
        "test rcd",
        "self-test of the residual-current monitor",
        _of_evse("rcd", WILL["rcd"], lambda context, values: rcd(context, values["evse"])),
        Role.SERVICE,
        [_EVSE],
        [_YES],
    ),
    Command(
        "test leds",
        "each indication in turn; you say whether it can be seen",
        _of_evse("leds", "", lambda context, values: lights(context, values["evse"])),
        Role.SERVICE,
        [_EVSE],
    ),
    Command(
        "test reader",
        "wait for a card that starts nothing",
        _of_evse(
            "reader",
            "",
            lambda context, values: reader(context, values["evse"], values["seconds"], values["show"]),
        ),
        Role.SERVICE,
        [_EVSE],
        [Flag("seconds", "how long to wait", "n", number=True, default=30), Flag("show", "the card's whole number")],
    ),
    Command(
        "test meter",
        "fresh, plausible, and its register moves only with current",
        _of_evse("meter", "", lambda context, values: meter(context, values["evse"], values["seconds"])),
        Role.SERVICE,
        [_EVSE],
        [Flag("seconds", "between two looks", "n", number=True, default=10)],
    ),
    Command(
        "test pilot",
        "levels A and F without a vehicle, read back in volts",
        _of_evse("pilot", WILL["pilot"], lambda context, values: pilot(context, values["evse"])),
        Role.SERVICE,
        [_EVSE],
        [_YES],
    ),
    Command("test can", "devices on CAN: health, silence, troubles", _wire("can", CAN), Role.SERVICE, more=_WORKSHOP),
    Command(
        "test serial",
        "devices on serial lines: health, silence, troubles",
        _wire("serial", SERIAL),
        Role.SERVICE,
        more=_WORKSHOP,
    ),
)
