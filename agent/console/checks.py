"""What a test found, and how readings are judged. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent.console.texts import N_

FRESH_S = 5.0
CLOSE_S, OPEN_S, STOP_S = 3.0, 0.1, 6.0
"""IEC 61851-1 Table A.6: sequence 4 (C2 to closed), 8.1 (the vehicle leaves C) and 10.2 (it ignores the stop)."""
LEVEL_A_V, LEVEL_F_V = (11.0, 13.0), (-13.0, -11.0)
"""IEC 61851-1 Table A.2: steady +12 V without a vehicle, steady -12 V."""
VOLTAGE_V = (80.0, 290.0)
"""A phase against neutral or its mate, anywhere in the world, with room to either side."""
IDLE_A = 0.5
TOLERANCE_WH, TOLERANCE = 10.0, 0.25
"""Between a register and the power over a short time: the register's own step, and what a load changes meanwhile."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    passed: bool | None
    """None: it was not, or could not be, tested; ``measured`` says why."""
    measured: str = ""

    def document(self) -> dict[str, Any]:
        return asdict(self)


Inputs = Sequence[Mapping[str, Any]]


def field(inputs: Inputs, port: str, name: str) -> Mapping[str, Any] | None:
    """Return one field of a reading; None where there is none."""
    return next((each for each in inputs if each["port"] == port and each["name"] == name), None)


def fresh(each: Mapping[str, Any] | None) -> bool:
    return each is not None and each["age_s"] is not None and each["age_s"] < FRESH_S


def contactor_open(inputs: Inputs, faults: Sequence[str]) -> list[Check]:
    """Judge a contactor that must be open."""
    feedback = field(inputs, "contactor", "closed")
    if feedback is None:
        read = Check(N_("feedback reads open"), False, "nothing received from the contactor's feedback")
    elif feedback["text"] == "unknown":
        read = Check(N_("feedback reads open"), None, "the hardware has no feedback; a welded contact cannot be seen")
    else:
        told = f"closed: {feedback['text']}, {feedback['age_s']} s old"
        read = Check(N_("feedback reads open"), feedback["text"] == "no", told)
    amps = [each["value"] for each in inputs if each["port"] == "meter" and each["name"].startswith("current_a")]
    known = [each for each in amps if each is not None]
    flow = Check(N_("no current flows"), max(known) < IDLE_A, f"{max(known):.2f} A") if known else None
    bad = [each for each in faults if each.startswith("contactor")]
    return [
        read,
        flow or Check(N_("no current flows"), None, "no meter tells currents"),
        Check(N_("no weld, not stuck"), not bad, ", ".join(bad) or "no such fault"),
    ]


def meter_values(inputs: Inputs) -> list[Check]:
    """Judge a meter's reading by itself."""
    energy = field(inputs, "meter", "energy_import_wh")
    if energy is None:
        return [Check(N_("meter answers"), False, "no reading yet; see 'inputs' and the wiring")]
    checks = [Check(N_("reading is fresh"), fresh(energy), f"{energy['age_s']} s old")]
    quality = field(inputs, "meter", "quality")
    if quality is not None:
        checks.append(Check(N_("reading is good"), quality["text"] == "good", str(quality["text"])))
    volts = [each for each in inputs if each["port"] == "meter" and each["name"].startswith("voltage_v")]
    if volts:
        good = all(each["value"] is not None and VOLTAGE_V[0] <= each["value"] <= VOLTAGE_V[1] for each in volts)
        checks.append(Check(N_("voltages are plausible"), good, " ".join(f"{each['text']} V" for each in volts)))
    return checks


def register_moves(before: Inputs, after: Inputs, seconds: float) -> Check:
    """Judge whether the register moves with the power, and only then."""
    name = N_("register moves only with current")
    first, last = field(before, "meter", "energy_import_wh"), field(after, "meter", "energy_import_wh")
    if first is None or last is None or first["value"] is None or last["value"] is None:
        return Check(name, False, "no reading")
    powers = [field(each, "meter", "power_w") for each in (before, after)]
    values = [each["value"] for each in powers if each is not None and each["value"] is not None]
    moved_wh = last["value"] - first["value"]
    if not values:
        return Check(name, None if moved_wh >= 0 else False, f"{moved_wh:.1f} Wh; the meter tells no power")
    expected_wh = max(0.0, sum(values) / len(values)) * seconds / 3600
    good = abs(moved_wh - expected_wh) <= TOLERANCE_WH + TOLERANCE * expected_wh and moved_wh >= 0
    return Check(name, good, f"{moved_wh:.1f} Wh in {seconds:.0f} s, {expected_wh:.1f} Wh by its power")


def pilot_level(inputs: Inputs, level: str) -> Check:
    """Judge the pilot without a vehicle: level A (steady +12 V) or F (steady -12 V)."""
    name = N_("level A") if level == "A" else N_("level F")
    state = field(inputs, "pilot", "state")
    volts = [
        each["value"]
        for each in (field(inputs, "pilot", "high_v"), field(inputs, "pilot", "low_v"))
        if each is not None and each["value"] is not None
    ]
    told = "no state" if state is None else f"state {state['text']}"
    if volts:
        low_v, high_v = LEVEL_A_V if level == "A" else LEVEL_F_V
        measured_v = max(volts) if level == "A" else min(volts)
        return Check(name, low_v <= measured_v <= high_v, f"{measured_v:+.2f} V, {low_v:g} to {high_v:g} V allowed")
    if state is None:
        return Check(name, False, "the pilot is not read")
    if level == "F" and state["text"] != "F":
        return Check(name, None, f"volts are not measured here; the board tells {told}")
    return Check(name, state["text"] == level, f"volts are not measured here; the board tells {told}")


def charge_times(changes: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Judge the times of a real charge by the changes that control noted, oldest first."""
    ready_at = closed_at = stop_at = opened_at = None
    left = False
    for each in changes:
        asks = each["pilot"] in ("C2", "D2")
        if closed_at is None:
            if not asks:
                ready_at = None
            elif ready_at is None and each["permitted"]:
                ready_at = each["at_s"]
            if each["contactor_closed"]:
                closed_at = each["at_s"]
        elif opened_at is None:
            if stop_at is None and (not asks or not each["permitted"] or "stopping" in each["holds"]):
                stop_at, left = each["at_s"], each["pilot"][:1] not in ("C", "D")
            if each["contactor_closed"] is False:
                opened_at = each["at_s"]
    checks = []
    if closed_at is None or ready_at is None:
        checks.append(Check(N_("closes in C"), None, "no closing was seen"))
    else:
        took_s = closed_at - ready_at
        checks.append(
            Check(N_("closes in C"), took_s <= CLOSE_S, f"{took_s:.2f} s from C2 to closed, {CLOSE_S:g} s allowed")
        )
    if closed_at is None or opened_at is None or stop_at is None:
        checks.append(Check(N_("opens"), None, "no opening was seen"))
    else:
        took_s, allowed_s = opened_at - stop_at, OPEN_S if left else STOP_S
        why = "the vehicle's leaving C" if left else "the stop"
        # Feedback and its frame come after the contacts: a contact takes up to 50 ms, a frame up to 100 ms.
        good = took_s <= allowed_s + 0.15
        checks.append(
            Check(N_("opens"), good, f"{took_s:.3f} s from {why} to read open, {allowed_s:g} s allowed to command")
        )
    return checks
