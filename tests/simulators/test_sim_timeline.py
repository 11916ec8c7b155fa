"""What a person sees of the demo, on a terminal of any width."""

from __future__ import annotations

import fcntl
import json
import os
import re
import struct
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from simulators.demo.books import Charge, Deed, Row, lived, table
from simulators.demo.timeline import CLEAR_LINE, Timeline


@pytest.fixture(params=[80, 120])
def terminal(request: pytest.FixtureRequest) -> Iterator[tuple[int, TextIO, int]]:
    """Return the far end of a terminal, its near end as a text stream, and its columns."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, request.param, 0, 0))
    with os.fdopen(slave, "w", encoding="utf-8") as out:
        yield master, out, request.param
    os.close(master)


def _rows(master: int) -> list[str]:
    text = os.read(master, 65_536).decode("utf-8").replace(CLEAR_LINE, "\n")
    return [re.sub(r"\x1b\[[0-9;]*m", "", row).rstrip("\r") for row in text.split("\n")]


def test_nothing_wraps_by_itself(terminal: tuple[int, TextIO, int]) -> None:
    master, out, columns = terminal
    timeline = Timeline(out)
    timeline.event("charger", "contactor open, register read, plug released, record in the journal " * 3)
    timeline.moving("1: C2 Charging 22.0 kW │ 2: C2 Charging 11.0 kW │ connecting, 123 wait, and much more " * 2)
    timeline.verdict(True, "All 2 transactions agree to the Wh; nothing missing, nothing doubled, every time is true.")
    rows = _rows(master)
    assert max(map(len, rows)) < columns + 1
    assert any("│ 2: C2" in row and len(row) < columns for row in rows)
    told = [row for row in rows if "contactor" in row or "journal" in row]
    assert len(told) > 1
    assert all(row.startswith(" " * 21) for row in told[1:])


def test_what_differs_stands_below_its_row_in_80_columns() -> None:
    charge = Charge(1, "04A1B2C3", 0.0, 1.0, 9.0, 9.0, 12_000, 12_291)
    lines = table(
        [Row(charge, None, ("missing from the network's books", "a long complaint " * 9)), Row(charge, None, ())]
    )
    assert max(map(len, lines)) <= 80
    assert lines[2].endswith("DIFFERS")
    assert "missing from" in lines[3]
    assert lines[-1].endswith("agrees")


BOARD = [(10.0, "contacts_closed"), (20.0, "contacts_opened"), (21.0, "contacts_closed")]
"""A charge that was interrupted."""
NEXT = [(90.0, "contacts_closed"), (95.0, "contacts_opened")]


def _logs(directory: Path, board: list[tuple[float, str]]) -> None:
    events = [{"event": event, "wall_s": at, "mono_s": at} for at, event in board]
    registers = [{"mono_s": float(at), "register_wh": 100 * at} for at in range(0, 100, 5)]
    for name, entries in (("board1", events), ("meter1", registers)):
        (directory / f"{name}.jsonl").write_text("".join(json.dumps(e) + "\n" for e in entries), encoding="utf-8")


@pytest.mark.parametrize("opened_s", [29.9, 31.0, 75.0])
def test_a_charge_ends_when_its_contacts_open_however_late(tmp_path: Path, opened_s: float) -> None:
    _logs(tmp_path, [*BOARD, (opened_s, "contacts_opened"), *NEXT])
    (charge,) = lived(tmp_path, [Deed(1, "ANNA", 5.0, 30.0)])
    assert (charge.closed_s, charge.opened_s) == (10.0, opened_s)
    assert charge.stop_wh == 100 * next(at for at in range(0, 100, 5) if at >= opened_s)


def test_contacts_that_never_open_are_named(tmp_path: Path) -> None:
    _logs(tmp_path, BOARD[:1])
    with pytest.raises(ValueError, match="EVSE 1: its contacts never opened after ANNA"):
        lived(tmp_path, [Deed(1, "ANNA", 5.0, 30.0)])
