"""``evse-agent can-map``: DBC file and mapping to the table that control reads."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from hal.can.compile import write_table
from hal.can.table import TableError, load


def run(mapping: Path, out: Path | None) -> bool:
    """Write the table and say what it holds. Returns whether it could be written; errors go to stderr."""
    try:
        path = write_table(mapping, out)
        table = load(path)
    except TableError as error:
        sys.stderr.write(f"{error}\n")
        return False
    lines = [f"{path}: written"]
    for message in table.incoming:
        what = ", ".join(message.signals) or "only what is expected"
        beat = ", heartbeat" if message.heartbeat else ""
        head = f"reads {message.name} ({message.id:#x}, time-out {message.timeout_s * 1000:g} ms{beat})"
        lines += [f"  {head}:", _folded(what)]
    for command in table.outgoing:
        head = f"sends {command.name} ({command.id:#x}, every {command.period_s * 1000:g} ms)"
        lines += [f"  {head}:", _folded(", ".join(command.signals))]
    sys.stdout.write("\n".join(lines) + "\n")
    return True


def _folded(text: str) -> str:
    return textwrap.fill(text, 96, initial_indent="    ", subsequent_indent="    ")
