"""S0 pulse meters, one line each on a chip of their own, as they join the lab."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simulators.gpio.chip import SimGpioChip
from simulators.lab.kinds import FaultNote, LabPort, MeterKind, Site, core_faults, take_options
from simulators.meters.register import MeterCore

PULSES_PER_KWH = 1000
PULSE_S = 0.03
SAVE_INTERVAL_S = 0.5
MOST_PULSES = 500
"""A register that jumps (a meter was swapped) does not send its whole life."""


class S0Line:
    """``simulators.lab.kinds.MeterPeer``: a pulse per watt-hour of each register."""

    def __init__(self, site: Site, registers: Mapping[int, int]) -> None:
        take_options(site, "s0", {})
        self._name = f"s0meters{site.number}" if site.number else "s0meters"
        self._directory = site.directory
        self._start_wh = {number: wh - self._counted(number) for number, wh in registers.items()}
        self._cores = {number: MeterCore(wh) for number, wh in registers.items()}
        self._sent_wh = dict(registers)
        self._sent_at = dict.fromkeys(registers, site.now)
        self._powered = True
        self.chip = SimGpioChip(site.directory / self._name, [f"S{n}" for n in registers], seed=400 + site.number)
        self.faults: Mapping[str, Callable[[int, bool, float], None]] = {
            name: switch for name, switch in core_faults(self.core).items() if name in ("meter-silent", "meter-freeze")
        }

    def _counter_file(self, evse: int) -> Path:
        return self._directory / f"{self._name}.m{evse}.count"

    def _counted(self, evse: int) -> int:
        """Pulses that an earlier life of the program under test has kept: the meter's display goes on from there."""
        try:
            return int(json.loads(self._counter_file(evse).read_text(encoding="ascii"))["pulses"])
        except (OSError, ValueError, KeyError):
            return 0

    def core(self, evse: int) -> MeterCore:
        return self._cores[evse]

    def step(self, now: float) -> bool:
        for number, core in self._cores.items():
            due = core.shown()[0] - self._sent_wh[number]
            if due == 0:
                continue
            self._sent_wh[number] += due
            if 0 < due <= MOST_PULSES and self._powered and not core.silent:
                self._pulse(number, due, now)
            self._sent_at[number] = now
        return False

    def _pulse(self, number: int, count: int, now: float) -> None:
        """Pulses are spread over the time since the last: they would not have come at once."""
        now = min(now, time.monotonic())
        each_s = max(now - self._sent_at[number], 0.0) / count
        for left in range(count - 1, -1, -1):
            at = now - left * each_s
            self.chip.drive(f"S{number}", False, at)
            self.chip.drive(f"S{number}", None, at + min(PULSE_S, each_s / 2))

    def power(self, on: bool, now: float) -> None:  # noqa: ARG002 (it dies and lives at once)
        self._powered = on

    def ports(self) -> Sequence[LabPort]:
        return [self.chip]

    def devices(self) -> dict[str, Any]:
        meters = {
            f"m{n}": {
                "line": f"sim:{self.chip.path}:S{n} active-low pull-up",
                "pulses_per_kwh": PULSES_PER_KWH,
                "counter_file": str(self._counter_file(n)),
                "start_wh": self._start_wh[n],
                "save_interval_s": SAVE_INTERVAL_S,
            }
            for n in self._cores
        }
        return {self._name: {"driver": "gpio", "s0_meters": meters}}

    def reference(self, evse: int) -> str:
        return f"{self._name}.m{evse}"

    def state(self, evse: int) -> dict[str, Any]:
        return {"sent_wh": self._sent_wh[evse]}


S0 = MeterKind(
    "s0",
    f"S0 pulse meters ({PULSES_PER_KWH} pulses per kWh) on pins, counted and kept by the driver",
    S0Line,
    notes={"meter-silent": FaultNote("the meter sends no pulses")},
)
