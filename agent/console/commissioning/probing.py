"""What hangs on this machine: serial ports by name, and meters by asking."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BY_ID = Path("/dev/serial/by-id")
LIMIT_S = 120
"""For a whole search: the usual addresses at the usual speeds take less."""


class ProbeError(Exception):
    """No meter was found. The text says why."""


def ports(folder: Path = BY_ID) -> list[str]:
    """Names of the serial ports that stay the same when cables are swapped."""
    try:
        return sorted(str(path) for path in folder.iterdir())
    except OSError:
        return []


def meters(port: str, addresses: str = "1-8", limit_s: int = LIMIT_S) -> list[dict[str, Any]]:
    """Ask a line who is there (``evse-agent meter probe``). Each: address, baud, parity, stop_bits, matches.

    Raises ProbeError, also while control has the line.
    """
    command = [sys.executable, "-m", "agent.cli", "meter", "probe", port, "--json"]
    command += ["--addresses", addresses, "--limit", str(limit_s)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s + 30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProbeError(str(error)) from None
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["found"]
    except (ValueError, KeyError, TypeError):
        raise ProbeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no answer") from None
    return [each for each in found if each["matches"]]


def device(port: str, found: list[dict[str, Any]]) -> dict[str, object]:
    """The device that serves the meters which share the first one's line settings."""
    first = found[0]
    line = {name: first[name] for name in ("baud", "parity", "stop_bits")}
    units = [
        {"name": f"m{each['address']}", "address": each["address"], "map": each["matches"][0]["map"]}
        for each in found
        if all(each[name] == line[name] for name in line)
    ]
    return {"driver": "modbus-meter", "port": port, **line, "meters": units}
