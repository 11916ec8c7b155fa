"""Memory and processor time of the two processes with two EVSEs on the lab's hardware: charging, and idle.

Under OCPP 1.6, and beside it under 2.0.1: only the version in use is imported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulators.charger import Charger
from simulators.csms.process import CsmsProcess
from simulators.lab.process import Lab

from .figures import Figure, ratio
from .machine import cpu_s, memory, memory_alone_mb, progress
from .site import FAST_BACK_OFF

EVSES = 2
MEMORY_BUDGET_MB = 50.0
IDLE_CPU_BUDGET_S = 1.0
TOKENS = {1: "04A1B2C3", 2: "04D4E5F6"}
VEHICLE = "renault-zoe-r135"
SETTLE_S = 3.0
PROCESSES = ("control", "agent")


VERSIONS = {"": "ocpp1.6", "ocpp201_": "ocpp2.0.1"}
"""Prefix of the figures' names → sub-protocol."""


def measure(scratch: Path, window_s: float) -> list[Figure]:
    """Under each version one charge on both EVSEs, then rest; CPU time is counted over ``window_s`` each and scaled to
    a minute."""
    figures: list[Figure] = []
    for prefix, version in VERSIONS.items():
        progress(f"  under {version}")
        under = _under(version, scratch / version, window_s)
        figures += [replace(figure, name=prefix + figure.name) for figure in under]
    found = {figure.name: figure.value for figure in figures}
    compared = ("memory_idle_agent_pss_mb", "cpu_idle_minute_agent_s", "cpu_charging_minute_agent_s")
    return figures + [
        Figure(f"ocpp201_to_16_{name.rsplit('_', 1)[0]}_ratio", ratio(found[f"ocpp201_{name}"], found[name]))
        for name in compared
    ]


def _under(version: str, scratch: Path, window_s: float) -> list[Figure]:
    (scratch / "lab" / "state").mkdir(parents=True)
    settings: dict[str, object] = {f"ocpp.{key}": value for key, value in FAST_BACK_OFF.items()}
    settings["ocpp.versions"] = [version]
    with (
        CsmsProcess(scratch / "csms", versions=[version]) as csms,
        Lab(scratch / "lab", settings, evses=EVSES, csms=csms.url) as lab,
        Charger(lab.config_path) as charger,
    ):
        for name in PROCESSES:
            charger.start(name)
        charger.wait_accepted()
        figures = [*_memory(charger, "after_boot", None)]
        for evse, token in TOKENS.items():
            lab.control.plug(evse, vehicle=VEHICLE)
            _wait(charger, evse, "prepares", lambda e: e["status"] == "Preparing")
            lab.control.tap(token)
            _wait(charger, evse, "charges", lambda e: e["status"] == "Charging" and (e["power_w"] or 0) > 0)
        time.sleep(SETTLE_S)
        progress(f"  charging for {window_s:g} s")
        figures += _cpu(charger, "charging_minute", window_s, None)
        for evse, token in TOKENS.items():
            lab.control.tap(token)
            _wait(charger, evse, "releases the plug", lambda e: e["locked"] is False)
            lab.control.unplug(evse)
            _wait(charger, evse, "is free", lambda e: e["status"] == "Available")
        charger.wait_delivered()
        figures += _memory(charger, "after_charge", MEMORY_BUDGET_MB)
        time.sleep(SETTLE_S)
        progress(f"  idle for {window_s:g} s")
        figures += _cpu(charger, "idle_minute", window_s, IDLE_CPU_BUDGET_S)
        figures += _memory(charger, "idle", MEMORY_BUDGET_MB)
        return figures


def _wait(charger: Charger, evse: int, what: str, condition: Callable[[dict[str, Any]], bool]) -> None:
    charger.wait_for(lambda status: condition(status["evses"][evse - 1]), f"EVSE {evse} {what}")


def _memory(charger: Charger, when: str, budget_mb: float | None) -> Iterator[Figure]:
    found = {name: memory(charger.pid(name)) for name in PROCESSES}
    for name, used in found.items():
        note = f"private {used.private_mb:.1f}, RSS {used.rss_mb:.1f} MB"
        yield Figure(f"memory_{when}_{name}_pss_mb", used.pss_mb, note=note)
    yield Figure(f"memory_{when}_both_pss_mb", sum(used.pss_mb for used in found.values()), budget=budget_mb)
    alone = memory_alone_mb([charger.pid(name) for name in PROCESSES])
    # On a charger nothing else shares the interpreter's pages: there, this is what PSS would say.
    yield Figure(f"memory_{when}_both_alone_mb", alone, budget=budget_mb, note="no other Python to share pages with")


def _cpu(charger: Charger, when: str, window_s: float, budget_s: float | None) -> Iterator[Figure]:
    began = time.monotonic()
    before = {name: cpu_s(charger.pid(name)) for name in PROCESSES}
    time.sleep(window_s)
    scale = 60.0 / (time.monotonic() - began)
    used = {name: (cpu_s(charger.pid(name)) - before[name]) * scale for name in PROCESSES}
    for name, seconds in used.items():
        yield Figure(f"cpu_{when}_{name}_s", seconds, note=f"user and system, {window_s:g} s scaled")
    yield Figure(f"cpu_{when}_both_s", sum(used.values()), budget=budget_s)
