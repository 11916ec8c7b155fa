"""EVSEs without a meter of their own: the board measures, or nobody does. The lab still counts what flows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simulators.lab.kinds import LabPort
from simulators.meters.register import MeterCore

BOARD = "board"
NONE = "none"
SUMMARIES = {
    BOARD: "the board's own meter, for boards that measure by themselves",
    NONE: "no meter: the lab counts, the agent does not know",
}


class OwnMeter:
    """``simulators.lab.kinds.MeterPeer`` without a wire. ``references``: the ``meter:`` of each EVSE, by number."""

    def __init__(self, registers: Mapping[int, int], references: Mapping[int, str]) -> None:
        self._cores = {number: MeterCore(wh) for number, wh in registers.items()}
        self._references = references
        # What a silent or mad board meter would be is up to the board; standing still is not.
        self.faults: Mapping[str, Callable[[int, bool, float], None]] = (
            {"meter-freeze": lambda evse, on, _: self._cores[evse].freeze(on)} if any(references.values()) else {}
        )

    def core(self, evse: int) -> MeterCore:
        return self._cores[evse]

    def step(self, now: float) -> bool:  # noqa: ARG002 (nothing of it takes time)
        return False

    def power(self, on: bool, now: float) -> None:
        """It has no supply of its own."""

    def ports(self) -> Sequence[LabPort]:
        return []

    def devices(self) -> dict[str, Any]:
        return {}

    def reference(self, evse: int) -> str:
        return self._references[evse]

    def state(self, evse: int) -> dict[str, Any]:  # noqa: ARG002 (all alike)
        return {"address": None, "reads": 0}
