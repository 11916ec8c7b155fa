"""What a signal of a bus can be for us: the names that a mapping uses. Pure data."""

from __future__ import annotations

from collections.abc import Mapping

from hal.values import BoardError, Cable, PilotState, SelfTest

PHASES = ("l1", "l2", "l3")

READ_NUMBERS: Mapping[str, str] = {
    "pilot_high_v": "V",
    "pilot_low_v": "V",
    **{f"temperature_{n}_c": "°C" for n in range(1, 5)},
    "energy_import_wh": "Wh",
    "energy_export_wh": "Wh",
    "power_w": "W",
    **{f"power_{phase}_w": "W" for phase in PHASES},
    **{f"voltage_{phase}_v": "V" for phase in PHASES},
    **{f"current_{phase}_a": "A" for phase in PHASES},
    "frequency_hz": "Hz",
    "power_factor": "",
    "max_current_a": "A",
}
"""Role → the unit that we keep it in."""

READ_FLAGS = (
    "contactor_closed",
    "residual_current_tripped",
    "emergency_stop",
    "enclosure_open",
    "tilted",
    *(f"error_{error.value}" for error in BoardError),
)
READ_CHOICES: Mapping[str, tuple[str, ...]] = {
    "pilot_state": tuple(state.value for state in PilotState),
    "cable": ("none", *(str(cable.value) for cable in Cable if cable.value > 0), "fault"),
    "lock": ("locked", "unlocked"),
    "residual_self_test": tuple(test.value for test in SelfTest if test is not SelfTest.UNSUPPORTED),
}
READ_RAW = ("protocol_version", "reset_count")
READ_ROLES = (*READ_NUMBERS, *READ_FLAGS, *READ_CHOICES, *READ_RAW)

WRITE_NUMBERS: Mapping[str, str] = {"duty_pct": "%"}
WRITE_FLAGS = ("contactor", "lock", "three_phases", "residual_test", "residual_reset", "reset")
WRITE_ROLES = (*WRITE_NUMBERS, *WRITE_FLAGS)

UNIT_FACTORS: Mapping[str, Mapping[str, float]] = {
    "V": {"V": 1, "mV": 0.001, "Volt": 1},
    "A": {"A": 1, "mA": 0.001, "Ampere": 1},
    "W": {"W": 1, "kW": 1000, "Watt": 1},
    "Wh": {"Wh": 1, "kWh": 1000, "MWh": 1_000_000, "mWh": 0.001},
    "Hz": {"Hz": 1, "mHz": 0.001},
    "°C": {"°C": 1, "degC": 1, "C": 1, "Celsius": 1, "deg C": 1},
    "%": {"%": 1, "percent": 1},
    "": {"": 1, "-": 1, "1": 1},
}
"""Our unit → units that a DBC file may name, with the factor to ours."""
