"""How a line is named: ``chip:line``, with what the line needs behind it.

``gpiochip0:17``, ``/dev/gpiochip2:4``, ``pinctrl-bcm2711:17`` (the chip's label), ``soc-gpio:CONTACTOR_K1`` (line by
name), ``*:CONTACTOR_K1`` (whichever chip has it), ``sim:/run/lab/pins1:K1``. Numbers of chips follow the order in which
drivers load; labels and line names are the board's own and stay.
"""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path

from hal.gpio.kernel_chip import KernelChip, kernel_chips
from hal.gpio.lines import Bias, Chip, Drive, LineError, LineInfo, LineSettings, offset_named
from hal.gpio.sim_chip import SimChip

DEV = Path("/dev")
SIM = "sim:"
ANY_CHIP = "*"
MAX_DEBOUNCE_MS = 1000.0

_DEBOUNCE = re.compile(r"([0-9]+(?:\.[0-9]+)?)ms\Z")
_WORDS: dict[str, dict[str, object]] = {
    "active-low": {"active_low": True},
    "pull-up": {"bias": Bias.UP},
    "pull-down": {"bias": Bias.DOWN},
    "no-pull": {"bias": Bias.OFF},
    "open-drain": {"drive": Drive.OPEN_DRAIN},
    "open-source": {"drive": Drive.OPEN_SOURCE},
}


@dataclass(frozen=True, slots=True)
class LineAddress:
    """A chip and a line on it, by offset or by name."""

    chip: str
    line: str

    def __str__(self) -> str:
        return f"{self.chip}:{self.line}"


@dataclass(frozen=True, slots=True)
class LineSpec:
    """An address with the electrical settings that were written behind it."""

    address: LineAddress
    settings: LineSettings


def parse_address(text: str) -> LineAddress:
    """Raises ValueError with the rule that is broken."""
    chip, _, line = text.rpartition(":")
    if not chip or not line or chip == SIM.rstrip(":"):
        raise ValueError(f"{text!r} names no line; write it as chip:line, like gpiochip0:17 or *:CONTACTOR_K1")
    if chip == ANY_CHIP and line.isdigit():
        raise ValueError(f"{text!r}: an offset needs its chip; write it as gpiochip0:{line}")
    return LineAddress(chip, line)


def parse_spec(text: str) -> LineSpec:
    """Read ``chip:line [active-low] [pull-up|pull-down|no-pull] [open-drain|open-source] [5ms]``. Raises ValueError."""
    where, *words = text.split() or [""]
    address = parse_address(where)
    settings = LineSettings()
    said: set[str] = set()
    for word in words:
        match = _DEBOUNCE.match(word)
        if match is not None:
            period_ms = float(match[1])
            if period_ms > MAX_DEBOUNCE_MS:
                raise ValueError(f"{word}: more than {MAX_DEBOUNCE_MS:g} ms; a line that bounces so long is broken")
            changes: dict[str, object] = {"debounce_us": round(period_ms * 1000)}
        elif word in _WORDS:
            changes = dict(_WORDS[word])
        else:
            known = ", ".join([*_WORDS, "5ms (debounce)"])
            raise ValueError(f"{word!r} is no setting of a line; known: {known}")
        if said & changes.keys():
            raise ValueError(f"{word!r} contradicts what stands before it; give one of the kind")
        said |= changes.keys()
        settings = dataclasses.replace(settings, **changes)  # type: ignore[arg-type] # the words name its fields
    return LineSpec(address, settings)


def check_input(text: str) -> str:
    """For ``hal.options``: the broken rule of an input line; empty for a good one, and for none."""
    return _check(text, is_output=False)


def check_output(text: str) -> str:
    return _check(text, is_output=True)


def _check(text: str, *, is_output: bool) -> str:
    if not text:
        return ""
    try:
        settings = parse_spec(text).settings
    except ValueError as error:
        return str(error)
    if is_output and settings.debounce_us:
        return "an output has no debounce; leave the time out"
    if not is_output and settings.drive is not Drive.PUSH_PULL:
        return "an input is not driven; leave open-drain or open-source out"
    return ""


def open_chip(name: str) -> Chip:
    """Open a chip by path, by kernel name, by label, or ``sim:`` path. Raises LineError."""
    if name.startswith(SIM):
        return SimChip(name.removeprefix(SIM))
    if name.startswith("/"):
        return KernelChip(name)
    node = DEV / name
    if name.removeprefix("gpiochip").isdigit():
        return KernelChip(node)
    found = [chip for chip in _kernel() if _closed_unless(chip, chip.info.label == name)]
    if len(found) == 1:
        return found[0]
    for chip in found:
        chip.close()
    if found:
        nodes = ", ".join(chip.path for chip in found)
        raise LineError(f"{name}: {nodes} all have this label; name one by its path")
    raise LineError(f"{name}: no GPIO chip has this name or label; see 'gpiodetect' for those there are")


def find_line(chip: Chip, line: str) -> LineInfo:
    """Return the line of that offset or name. Raises LineError."""
    if line.isdigit():
        return chip.line_info(int(line))
    infos = [chip.line_info(offset) for offset in range(chip.info.lines)]
    return infos[offset_named(chip.info.name, [info.name for info in infos], line)]


def find(address: LineAddress) -> tuple[Chip, int]:
    """Open the chip and find the line on it. Raises LineError."""
    if address.chip != ANY_CHIP:
        chip = open_chip(address.chip)
        try:
            return chip, find_line(chip, address.line).offset
        except LineError:
            chip.close()
            raise
    found: list[tuple[Chip, int]] = []
    for candidate in _kernel():
        try:
            found.append((candidate, find_line(candidate, address.line).offset))
        except LineError:
            candidate.close()
    if len(found) == 1:
        return found[0]
    for chip, _ in found:
        chip.close()
    if found:
        raise LineError(f"{address}: {len(found)} chips have a line of this name; name the chip")
    raise LineError(f"{address}: no GPIO chip has a line of this name; see 'gpioinfo' for those there are")


def _kernel() -> list[KernelChip]:
    chips = []
    for node in kernel_chips(DEV):
        try:
            chips.append(KernelChip(os.fspath(node)))
        except LineError:
            continue  # not ours to open, or just gone
    return chips


def _closed_unless(chip: KernelChip, wanted: bool) -> bool:
    if not wanted:
        chip.close()
    return wanted
