"""watch, pilot, meter, temperature, inputs: what is measured and commanded now."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from agent.console.command import Argument, Command, Flag, Kind, Result
from agent.console.context import Context
from agent.console.plot import SPAN_S, Sample, plot, sample
from agent.console.texts import N_

FASTEST_S = 0.2
LINE_S = 2.0
"""Between two lines on a terminal that cannot draw in place."""
OLD_S = 5.0
"""A reading older than this does not count any more, here as in the agent."""


class Live:
    """The latest live documents, and the screen they are drawn on."""

    def __init__(self, context: Context, evses: Sequence[int], seconds: float | None, period_s: float) -> None:
        self._context = context
        self._evses = evses
        once = context.json or (context.terminal is None and seconds is None)
        self._seconds = 10.0 if once else seconds
        self._once = once
        self._period_s = period_s
        self.values: dict[int, dict[str, Any]] = {}
        self.status: dict[str, Any] = {}

    def turns(self) -> Iterator[dict[str, Any]]:
        """Yield whenever every EVSE has told something new, until the person has seen enough."""
        context = self._context
        self.status = context.call("status")
        with ExitStack() as stack:
            for evse in self._evses:
                stack.enter_context(context.subscribed("evse", period_s=self._period_s, evse=evse))
            stack.enter_context(context.subscribed("status", period_s=2.0))
            if self._in_place and not self._once and context.terminal is not None:
                context.terminal.write("\x1b[2J\x1b[H")
            for event in context.events(self._seconds):
                self._fit()
                if not isinstance(event, dict):
                    continue
                if event["topic"] == "status":
                    self.status = event["value"]
                    continue
                self.values[event["value"]["id"]] = event["value"]
                if event["value"]["id"] == self._evses[-1] and len(self.values) == len(self._evses):
                    yield event["value"]
                    if self._once:
                        return

    def draw(self, lines: Sequence[str], line: str) -> None:
        """Show the whole in place, or one line of it where the terminal cannot."""
        context = self._context
        if self._once:
            return
        if self._in_place:
            context.screen([*lines, context.style.dim(context._("q ends it"))])
        elif time.monotonic() - self._said_at >= LINE_S:
            self._said_at = time.monotonic()
            context.say(line)

    _said_at = float("-inf")

    @property
    def _in_place(self) -> bool:
        terminal = self._context.terminal
        return terminal is not None and terminal.abilities.ansi

    def _fit(self) -> None:
        terminal = self._context.terminal
        if terminal is not None and terminal.resized():
            self._context.style = replace(self._context.style, columns=terminal.abilities.columns)
            if self._in_place:
                terminal.write("\x1b[2J\x1b[H")


# ---- watch ------------------------------------------------------------------------------------------------------


def _watch(context: Context, values: Mapping[str, Any]) -> Result:
    evses = context.evses() if values["evse"] is None else [values["evse"]]
    live = Live(context, evses, values["seconds"], 1.0)
    shown: list[str] = []
    for _ in live.turns():
        documents = [live.values[evse] for evse in evses]
        shown = [*_head(context, live.status)]
        for each in documents:
            shown += _evse(context, each, live.status, full=len(evses) == 1)
        live.draw(shown, " | ".join(_line(context, each) for each in documents))
    document = {"evses": [live.values[evse] for evse in evses if evse in live.values], "status": live.status}
    return Result(document, [] if context.terminal is not None else shown)


def _head(context: Context, status: Mapping[str, Any]) -> Iterator[str]:
    uplink, queue = status["uplink"], status["uplink"]["queue"]
    yield context.style.bold(f"{status['station']['identity']}  {status['clock'].get('local', status['clock']['utc'])}")
    yield context._(
        "Network {state}, {count} waiting, {parked} set aside",
        state=uplink["state"],
        count=queue["pending"],
        parked=queue["parked"],
    )
    if not status["control"]["connected"]:
        yield context.style.bad(context._("Control does not answer: what stands here is old"))


def _evse(context: Context, live: Mapping[str, Any], status: Mapping[str, Any], full: bool) -> Iterator[str]:
    style = context.style
    yield style.rule(f"EVSE {live['id']}  {live['status']}")
    duty = f"{context._('duty')} {live['duty_pct']:.1f} %"
    yield f"  {context._('pilot'):<12}{live['state']:<4}{_volts(context, live)}   {duty}"
    offered = context._("{current} A on {phases} phases", current=f"{live['offered_a']:.1f}", phases=live["phases"])
    by = context._("limit {limit} A by {by}", limit=f"{live['limit_a']:.1f}", by=live["limited_by"] or "-")
    yield f"  {context._('offered'):<12}{offered}, {by}" + (f"  {context._('FAIL-SAFE')}" if live["fail_safe"] else "")
    yield f"  {context._('drawn'):<12}{_drawn(context, live)}"
    contacts = _yes(context, live["contactor_closed"], context._("closed"), context._("open"))
    locked = _yes(context, live["locked"], context._("locked"), context._("open"))
    cable = f"{context._('cable')} {live['cable_a'] or '-'} A   {_celsius(live['temperature_c'])}"
    yield f"  {context._('contactor'):<12}{contacts:<10}{context._('lock')} {locked:<10}{cable}"
    evse = next((each for each in status["evses"] if each["id"] == live["id"]), None)
    if evse is not None:
        yield f"  {context._('session'):<12}{_session(context, evse, live)}"
        reasons = evse["reasons"] if full else evse["reasons"][:1]
        for reason in reasons:
            yield f"  {context._('held by'):<12}{reason['text']}"
        for fault in evse["faults"] if full else ():
            yield "  " + style.bad(f"{context._('fault'):<12}{fault['code']}: {fault['detail']}")


def _line(context: Context, live: Mapping[str, Any]) -> str:
    current = "/".join(f"{each:.1f}" for each in live["current_a"]) or "-"
    contactor = _yes(context, live["contactor_closed"], context._("closed"), context._("open"))
    return f"{live['id']} {live['status']} {live['state']} {live['offered_a']:.1f} A, {current} A, {contactor}"


def _volts(context: Context, live: Mapping[str, Any]) -> str:
    high, low = live["pilot_high_v"], live["pilot_low_v"]
    if high is None and low is None:
        return context._("(volts are not measured here)")
    return " ".join(f"{each:+.1f} V" for each in (high, low) if each is not None)


def _drawn(context: Context, live: Mapping[str, Any]) -> str:
    if not live["current_a"] and live["power_w"] is None:
        return context._("no fresh reading of a meter")
    phases = [f"L{number} {current:.1f} A" for number, current in enumerate(live["current_a"], 1)]
    power = [] if live["power_w"] is None else [f"{live['power_w'] / 1000:.2f} kW"]
    return "  ".join([*phases, *power])


def _session(context: Context, evse: Mapping[str, Any], live: Mapping[str, Any]) -> str:
    one = evse["transaction"]
    if one is None:
        return context._("none")
    energy = live["session_wh"] if live["session_wh"] is not None else one["energy_wh"]
    return f"{one['state']} {one['token']} {'' if energy is None else f'{energy / 1000:.3f} kWh'}"


def _yes(context: Context, value: bool | None, yes: str, no: str) -> str:
    return context._("not known") if value is None else yes if value else no


def _celsius(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} \u00b0C"


# ---- pilot ------------------------------------------------------------------------------------------------------


def _pilot(context: Context, values: Mapping[str, Any]) -> Result:
    evse = values["evse"]
    live = Live(context, [evse], values["seconds"], FASTEST_S)
    kept: deque[Sample] = deque(maxlen=round(SPAN_S / FASTEST_S) + 5)
    shown: list[str] = []
    for value in live.turns():
        one = sample(value)
        if one is not None:
            kept.append(one)
        shown = [
            context.style.bold(f"EVSE {evse}  {value['state']}"),
            f"{_volts(context, value)}   {context._('duty')} {value['duty_pct']:.1f} %"
            f"   {context._('offered')} {value['offered_a']:.1f} A",
            "",
            *plot(kept, value["at_s"], context.style.columns, context.style.unicode),
            context._("the last minute; full: PWM, light: steady. Levels and states of IEC 61851-1"),
        ]
        live.draw(shown, f"{value['state']} {_volts(context, value)} {value['duty_pct']:.1f} %")
    document = {
        key: live.values.get(evse, {}).get(key)
        for key in ("id", "at_s", "state", "pilot_high_v", "pilot_low_v", "duty_pct", "offered_a")
    }
    document["measured"] = document["pilot_high_v"] is not None
    return Result(document, [] if context.terminal is not None else shown)


# ---- readings ---------------------------------------------------------------------------------------------------

PORTS = {
    "pilot": N_("control pilot"),
    "contactor": N_("contactor"),
    "proximity": N_("proximity pilot"),
    "lock": N_("cable lock"),
    "residual_current": N_("residual current"),
    "meter": N_("meter"),
    "temperatures": N_("temperature"),
    "emergency_stop": N_("emergency stop"),
    "enclosure": N_("enclosure"),
    "board": N_("board"),
    "trouble": N_("trouble"),
}
"""What the inputs are called."""


def age(context: Context, age_s: float | None) -> str:
    """Return how old a reading is; one that does not count any more stands out."""
    if age_s is None:
        return "-"
    text = f"{age_s:.1f} s" if age_s < 100 else f"{age_s:.0f} s"
    return text if age_s < OLD_S else context.style.bad(text)


def readings(context: Context, found: Sequence[Mapping[str, Any]], which: Sequence[str] = ()) -> list[str]:
    """Return the readings as a table; ``which`` ports, or all."""
    rows = [
        (
            context._(PORTS.get(each["port"], each["port"])),
            each["name"].replace("_", " "),
            each["text"],
            age(context, each["age_s"]),
            each["device"],
        )
        for each in found
        if not which or each["port"] in which
    ]
    heads = [context._("input"), context._("field"), context._("value"), context._("age"), context._("device")]
    return context.style.table(heads, rows)


def _some(context: Context, values: Mapping[str, Any], which: Sequence[str], none: str) -> Result:
    found = context.call("inputs", evse=values["evse"])
    chosen = [each for each in found["inputs"] if each["port"] in which]
    return Result({**found, "inputs": chosen}, readings(context, chosen) if chosen else [context._(none)])


def _meter(context: Context, values: Mapping[str, Any]) -> Result:
    return _some(context, values, ("meter",), N_("This EVSE has no meter in the configuration."))


def _temperature(context: Context, values: Mapping[str, Any]) -> Result:
    return _some(context, values, ("temperatures",), N_("This EVSE has no temperature sensor in the configuration."))


def _inputs(context: Context, values: Mapping[str, Any]) -> Result:
    found = context.call("inputs", evse=values["evse"])
    devices = context.call("devices")["devices"]
    return Result({**found, "devices": devices}, _all_inputs(context, found["inputs"], devices))


def _all_inputs(
    context: Context, found: Sequence[Mapping[str, Any]], devices: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    yield from readings(context, found)
    yield ""
    yield from device_table(context, devices)
    yield context._("A button and a card reader tell only when they are used: 'test reader'.")


def device_table(context: Context, devices: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the devices as a table."""
    style = context.style
    rows = [
        (
            each["name"],
            each["driver"],
            style.good(context._("well")) if each["ok"] else style.bad(context._("trouble")),
            "-" if each["silent_s"] is None else f"{each['silent_s']:.1f} s",
            each["detail"],
        )
        for each in devices
    ]
    heads = [context._("device"), context._("driver"), context._("state"), context._("silent"), context._("says")]
    return style.table(heads, rows)


_ONE = (Argument("evse", "number of the EVSE", Kind.EVSE),)
_SECONDS = Flag("seconds", "end by itself after so long", "n", number=True)

COMMANDS = (
    Command(
        "watch",
        "a live screen: pilot, currents, contactor, lock, session, network",
        _watch,
        arguments=[Argument("evse", "number of the EVSE; all when left out", Kind.EVSE, needed=False)],
        flags=[_SECONDS],
        more="q ends it. In a script, and with --json, it shows one moment.",
    ),
    Command(
        "pilot",
        "the control pilot live, with a plot of the last minute",
        _pilot,
        arguments=_ONE,
        flags=[_SECONDS],
        more="Volts are shown where the hardware measures them; a board that tells only the state is drawn by it.",
    ),
    Command("meter", "every value of the meter, with its age and quality", _meter, arguments=_ONE),
    Command("temperature", "every temperature sensor, with the age of its reading", _temperature, arguments=_ONE),
    Command("inputs", "every reading of every device as control has it", _inputs, arguments=_ONE),
)
