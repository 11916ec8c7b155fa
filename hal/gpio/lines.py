"""What a GPIO line is: its settings, its edges, and the two protocols that kernel and simulated chips share.

Levels are logical: an active-low line that is pulled to ground is ``True``. Times are ``time.monotonic()``; the
kernel stamps each edge in its interrupt, with the same clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class LineError(Exception):
    """A chip or a line cannot be used. The text names it, the reason and the remedy."""


class Bias(Enum):
    AS_IS = "as_is"
    OFF = "no_pull"
    UP = "pull_up"
    DOWN = "pull_down"


class Edges(Enum):
    NONE = "none"
    RISING = "rising"
    FALLING = "falling"
    BOTH = "both"


class Drive(Enum):
    PUSH_PULL = "push_pull"
    OPEN_DRAIN = "open_drain"
    OPEN_SOURCE = "open_source"


@dataclass(frozen=True, slots=True)
class LineSettings:
    """How a line is used. ``initial``: level of an output from the very first moment; None: the line is an input."""

    initial: bool | None = None
    active_low: bool = False
    bias: Bias = Bias.AS_IS
    drive: Drive = Drive.PUSH_PULL
    edges: Edges = Edges.NONE
    """Inputs only. Logical, too: an active-low line rises when it is pulled down."""
    debounce_us: int = 0
    """Inputs only: a level counts once it has been steady for so long."""
    buffer: int = 0
    """Edges that the kernel keeps until they are read; 0 for its own choice (16). The oldest are lost first."""

    @property
    def is_output(self) -> bool:
        return self.initial is not None


@dataclass(frozen=True, slots=True)
class LineEvent:
    """One edge. ``serial`` counts the line's edges from 1; a gap tells how many were lost."""

    at: float
    level: bool
    """After the edge."""
    serial: int


@dataclass(frozen=True, slots=True)
class ChipInfo:
    name: str
    label: str
    lines: int


@dataclass(frozen=True, slots=True)
class LineInfo:
    offset: int
    name: str = ""
    consumer: str = ""
    """Who uses it; may be empty for a line that is in use."""
    used: bool = False


class Line(Protocol):
    """A line that was requested. Nobody else can have it until ``close``."""

    def fileno(self) -> int:
        """Readable when edges wait, or when the chip is gone."""

    def value(self) -> bool:
        """Level now (debounced where the line is). Raises LineError when the chip is gone."""

    def set_value(self, level: bool) -> None:
        """Raises LineError when the chip is gone."""

    def events(self) -> list[LineEvent]:
        """Return the edges since the last call, oldest first. Never waits. Raises LineError when the chip is gone."""

    def configure(self, settings: LineSettings) -> None:
        """Change bias, debounce, edges or direction without giving the line away. Raises LineError."""

    def close(self) -> None: ...


class Chip(Protocol):
    """A GPIO chip that is open. Its lines live on when it is closed, except on a simulated one."""

    @property
    def info(self) -> ChipInfo: ...

    def line_info(self, offset: int) -> LineInfo: ...

    def request(self, offset: int, settings: LineSettings, consumer: str) -> Line:
        """Take a line. Raises LineError: it is in use, or cannot do what is asked."""

    def close(self) -> None: ...


def offset_named(chip: str, names: Sequence[str], line: str) -> int:
    """Return the offset of the line of that offset or name, of the chip's names in order. Raises LineError."""
    if line.isdigit():
        if int(line) < len(names):
            return int(line)
        raise LineError(f"{chip}: has lines 0 to {len(names) - 1}, no {line}")
    found = [offset for offset, name in enumerate(names) if name == line]
    if not found:
        raise LineError(f"{chip}: has no line named {line!r}; see 'gpioinfo' for its lines")
    if len(found) > 1:
        raise LineError(f"{chip}: {len(found)} lines are named {line!r}; give the offset")
    return found[0]
