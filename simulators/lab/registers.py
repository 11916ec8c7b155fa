"""Meters do not forget: their registers outlive a lab that is stopped and started again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

FILE_NAME = "registers.json"


def load_registers(directory: Path) -> dict[int, int]:
    """Return address → watt-hours of the last run; empty where there was none or its file is damaged."""
    try:
        data = json.loads((directory / FILE_NAME).read_text(encoding="utf-8"))
        return {int(address): int(energy_wh) for address, energy_wh in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def save_registers(directory: Path, registers: Mapping[int, int]) -> None:
    fresh = directory / (FILE_NAME + ".new")
    fresh.write_text(json.dumps({str(address): energy_wh for address, energy_wh in registers.items()}))
    fresh.replace(directory / FILE_NAME)
