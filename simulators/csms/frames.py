"""The log of every frame that crossed the wire, in memory and as JSON lines in a file.

A line is handed to the kernel before ``add`` returns, and the server logs before it sends. So when the process is
killed, the file holds every frame a charge point can have seen answered.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any


class Direction(StrEnum):
    """Which way a frame went, seen from the CSMS; or that a connection opened or closed."""

    RECEIVED = "received"
    SENT = "sent"
    OPENED = "opened"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of the log.

    ``text`` is the raw text of the frame. Of a binary frame it is the hexadecimal form, and ``binary`` is set.
    When a connection opens or closes it is the path, or the close code and reason.
    """

    number: int
    wall_time: str
    monotonic_s: float
    direction: Direction
    connection: int
    charge_point: str
    text: str
    binary: bool = False
    subprotocol: str = ""
    """When a connection opens: what was agreed on, empty for none."""

    def as_json(self) -> dict[str, Any]:
        """The frame as plain JSON values, in the order of the file."""
        line: dict[str, Any] = {
            "number": self.number,
            "wall_time": self.wall_time,
            "monotonic_s": self.monotonic_s,
            "direction": self.direction.value,
            "connection": self.connection,
            "charge_point": self.charge_point,
            "text": self.text,
        }
        if self.binary:
            line["binary"] = True
        if self.subprotocol:
            line["subprotocol"] = self.subprotocol
        return line


def utc_text(moment: datetime) -> str:
    """An aware time as OCPP writes it: UTC, milliseconds, ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class FrameLog:
    """Appends frames to memory and, when a path is given, to a JSON-lines file."""

    def __init__(self, path: Path | None = None, earlier: list[Frame] | None = None) -> None:
        """Open the file. ``earlier`` are the frames already in it; without them an existing file is put aside."""
        self.frames: list[Frame] = list(earlier or [])
        self._next_number = self.frames[-1].number + 1 if self.frames else 1
        self._file: int | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            if earlier is None:
                _put_aside(path)
            else:
                _mend(path)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def add(
        self, direction: Direction, connection: int, charge_point: str, content: str | bytes, *, subprotocol: str = ""
    ) -> Frame:
        """Record one frame. Raises ``OSError`` when the file cannot take it: then nothing may be answered."""
        binary = isinstance(content, bytes)
        frame = Frame(
            number=self._next_number,
            wall_time=utc_text(datetime.now(UTC)),
            monotonic_s=time.monotonic(),
            direction=direction,
            connection=connection,
            charge_point=charge_point,
            text=content.hex() if isinstance(content, bytes) else content,
            binary=binary,
            subprotocol=subprotocol,
        )
        if self._file is not None:
            line = json.dumps(frame.as_json(), separators=(",", ":")).encode() + b"\n"
            while line:
                line = line[os.write(self._file, line) :]
        self._next_number += 1
        self.frames.append(frame)
        return frame

    def close(self) -> None:
        """Close the file. Harmless when repeated."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _put_aside(path: Path) -> None:
    """Give an earlier run's log the first free number as its ending."""
    if not path.exists() or path.stat().st_size == 0:
        return
    number = 1
    while (aside := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    path.rename(aside)


def _mend(path: Path) -> None:
    """Take off a last line that a kill or a full disk cut short, so that the next one starts a line of its own."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def read_frames(path: Path) -> list[Frame]:
    """Read a frame log back. A last line cut off by a kill is left out; any other broken line is a ``ValueError``."""
    frames: list[Frame] = []
    lines = path.read_bytes().split(b"\n")
    for index, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            entry = json.loads(line)
            frames.append(
                Frame(
                    number=int(entry["number"]),
                    wall_time=str(entry["wall_time"]),
                    monotonic_s=float(entry["monotonic_s"]),
                    direction=Direction(entry["direction"]),
                    connection=int(entry["connection"]),
                    charge_point=str(entry["charge_point"]),
                    text=str(entry["text"]),
                    binary=bool(entry.get("binary", False)),
                    subprotocol=str(entry.get("subprotocol", "")),
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            if index == len(lines):
                break
            raise ValueError(f"{path}:{index}: not a frame log line ({error}); move the file away") from error
    return frames
