"""Configurations of chargers for the bench, written as a person would write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FAST_BACK_OFF = {"back_off_minimum_s": 0.2, "back_off_random_s": 0.1, "back_off_repeats": 0}


def board_ports(directory: Path, evses: int) -> list[Path]:
    return [directory / f"board{number}" for number in range(1, evses + 1)]


def write_config(
    directory: Path,
    evses: int,
    *,
    state_dir: Path,
    csms_url: str = "",
    identity: str = "BENCH-0001",
    priority: int = 50,
    free_vend: bool = False,
    settings: dict[str, str] | None = None,
) -> Path:
    """Write ``config.yaml`` for boards on ``board_ports``: fixed cables, each board its own meter. Return its path."""
    numbers = range(1, evses + 1)
    data: dict[str, Any] = {
        "station": {"vendor": "EvseAgent", "model": "Bench", "serial_number": identity},
        "installation": {"max_current_a": min(1000, 32 * evses), "phases": 3},
        "devices": {
            f"board{number}": {"driver": "mcu-board", "port": str(port)}
            for number, port in zip(numbers, board_ports(directory, evses), strict=True)
        },
        "evses": [{"id": n, "connector": "cable", "board": f"board{n}", "max_current_a": 32.0} for n in numbers],
        "control": {"realtime_priority": priority},
        "authorisation": {"free_vend": free_vend},
        "ocpp": {"url": csms_url, **FAST_BACK_OFF, "settings": settings or {}},
        "paths": {"state_dir": str(state_dir), "runtime_dir": str(directory / "run")},
        "logging": {"level": "warning"},
    }
    path = directory / "config.yaml"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "run").mkdir(exist_ok=True)
    state_dir.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path
