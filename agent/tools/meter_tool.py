"""``evse-agent meter probe``: for whoever stands before the meters with a terminal.

It opens the serial line itself and refuses while another program (as a rule evse-control) has it.
"""

from __future__ import annotations

import json
import select
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from typing import Any, TextIO

from agent.tools import meter_probe as probe
from hal.drivers import modbus_rtu
from hal.drivers.modbus_rtu import ReadRequest
from hal.drivers.serial_line import REFUSES_SETTINGS, SerialLine, SerialSettings
from hal.ports import DeviceError
from hal.values import MeterReading, Quality

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
HELD_REMEDY = "; if it is evse-control, 'evse-agent status' shows its readings, or stop it first"
SHOW_EVERY_S = 0.2
LEAST_LEFT_S = 2.0
"""Shown as remaining time at least, so that it never reads 0 while work is left."""


class ToolError(Exception):
    """Nothing can be read. The text names what, the reason and the remedy."""


class SettingsError(ToolError):
    """The line does not take this speed or format."""


class Master:
    """A Modbus master that waits for its answers; for a person at a terminal, never for control."""

    def __init__(self, settings: SerialSettings, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._line = SerialLine(settings)
        self._gap_s = modbus_rtu.gap_s(settings.character_s, settings.baud)

    def __enter__(self) -> Master:
        self._line.check()
        if not self._line.open(time.monotonic()):
            if REFUSES_SETTINGS in self._line.trouble:
                raise SettingsError(self._line.trouble)
            raise ToolError(self._line.trouble + (HELD_REMEDY if "in use" in self._line.trouble else ""))
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    def exchange(self, request: ReadRequest) -> probe.Answer:
        """Send and wait. Raises ToolError when the line is lost."""
        time.sleep(self._gap_s)
        self._line.discard_input()
        self._line.send(request.encode())
        wire_s = (modbus_rtu.REQUEST_SIZE + request.answer_size) * self._settings.character_s
        deadline = time.monotonic() + wire_s + self._timeout_s
        received = b""
        while (left_s := deadline - time.monotonic()) > 0:
            fd = self._line.fileno()
            if fd is None:
                raise ToolError(self._line.trouble)
            self._line.flush()
            if select.select([fd], [], [], min(left_s, 0.05))[0]:
                received = (received + self._line.read())[-4 * modbus_rtu.MAX_FRAME :]
                answer = modbus_rtu.find_answer(request, received)
                if answer is not None:
                    return answer
        return None


class Progress:
    """One line that is written over, on a terminal; nothing elsewhere."""

    def __init__(self, requests: int, request_s: float, to: TextIO) -> None:
        self._left_s = requests * request_s
        self._request_s = request_s
        self._to = to if to.isatty() else None
        self._shown_at = float("-inf")

    def more(self, requests: int) -> None:
        self._left_s += requests * self._request_s

    def asked(self, settings: SerialSettings, address: int, found: int, now: float) -> None:
        self._left_s -= len(probe.greetings(1)) * self._request_s
        if self._to is None or now - self._shown_at < SHOW_EVERY_S:
            return
        self._shown_at = now
        left_s = max(self._left_s, LEAST_LEFT_S)
        text = f"{named(settings)}: address {address}; found {found}; at most {left_s:.0f} s more"
        self._to.write(f"\r{text:<99}")
        self._to.flush()

    def done(self) -> None:
        if self._to is not None:
            self._to.write("\r" + " " * 99 + "\r")
            self._to.flush()


def named(settings: SerialSettings) -> str:
    return f"{settings.baud} Bd 8{settings.parity}{settings.stop_bits}"


def run_probe(options: Namespace) -> int:
    """``evse-agent meter probe``."""
    try:
        addresses = whole_numbers(options.addresses, 1, 247, "addresses")
        speeds = whole_numbers(options.speeds, 300, 921_600, "speeds") if options.speeds else list(probe.SPEEDS[:4])
        formats = line_formats(options.formats)
        settings = probe.settings_of(options.port, speeds, formats)
        found, complete = search(settings, addresses, options.timeout, options.limit, options.everywhere, sys.stderr)
    except (ToolError, DeviceError) as error:
        print(f"evse-agent meter probe: {error}", file=sys.stderr)
        return EXIT_FAILED
    except ValueError as error:
        print(f"evse-agent meter probe: {error}", file=sys.stderr)
        return EXIT_USAGE
    if options.json:
        print(json.dumps({"port": options.port, "complete": complete, "found": [_as_data(each) for each in found]}))
    else:
        print("\n".join(report(options.port, found, complete)))
    return EXIT_OK if any(each.matches for each in found) else EXIT_FAILED


def search(
    settings: Sequence[SerialSettings],
    addresses: Sequence[int],
    timeout_s: float,
    limit_s: float,
    everywhere: bool,
    to: TextIO,
) -> tuple[list[probe.Found], bool]:
    """Return who was found, and whether all that was asked for was tried within ``limit_s``. Raises ToolError."""
    end = time.monotonic() + limit_s
    found: list[probe.Found] = []
    first = probe.first_round(settings, addresses)
    progress = Progress(probe.requests_of(first), timeout_s + 0.03, to)
    try:
        complete = _go(first, timeout_s, end, found, progress)
        if complete:
            rest = probe.second_round(settings, addresses, found, everywhere=everywhere)
            progress.more(probe.requests_of(rest))
            complete = _go(rest, timeout_s, end, found, progress)
    finally:
        progress.done()
    return sorted(found, key=lambda each: (each.settings.baud, each.settings.parity, each.address)), complete


def _go(
    steps: Sequence[probe.Step], timeout_s: float, end: float, found: list[probe.Found], progress: Progress
) -> bool:
    for step in steps:
        try:
            with Master(step.settings, timeout_s) as master:
                if not _ask(master, step, end, found, progress):
                    return False
        except SettingsError as error:
            progress.done()
            print(f"evse-agent meter probe: {named(step.settings)} is passed over: {error}", file=sys.stderr)
    return True


def _ask(master: Master, step: probe.Step, end: float, found: list[probe.Found], progress: Progress) -> bool:
    """Try the addresses of one step. False when time is up."""
    for address in step.addresses:
        now = time.monotonic()
        if now >= end:
            return False
        progress.asked(step.settings, address, len(found), now)
        if any(each.address == address and each.settings.baud == step.settings.baud for each in found):
            continue  # where stop bits or parity do not matter to a meter, it would be found again with each
        if probe.is_there(address, master.exchange):
            found.append(probe.Found(step.settings, address, probe.identify(address, master.exchange)))
    return True


def report(port: str, found: Sequence[probe.Found], complete: bool) -> list[str]:
    """Return what was found in words, and the configuration to paste."""
    lines: list[str] = []
    for each in found:
        place = f"address {each.address} at {named(each.settings)}"
        if not each.matches:
            lines.append(f"{place}: somebody answers, but like no meter that is known here; write a map of its own")
            continue
        best, *others = each.matches
        lines.append(f"{place}: {best.title} (map {best.map_name})")
        lines.append(f"    {in_words(best.reading)}")
        if best.same:
            lines.append(f"    the same registers have: {', '.join(best.same)}")
        ties = [other.map_name for other in others if other.score == best.score]
        if ties:
            lines.append(f"    as well may be: {', '.join(ties)}; compare with the meter's display")
        if best.weak:
            lines.append("    only energy and power speak for it; compare with the meter's display")
    if not found:
        lines.append(
            f"{port}: nobody answers; check the power of the meter and the wiring (swap A and B once), "
            "or try other --speeds and --formats"
        )
    if not complete:
        lines.append("stopped at the time limit before all was tried; raise --limit or narrow --speeds and --addresses")
    return [*lines, *configuration(port, found)]


def configuration(port: str, found: Sequence[probe.Found]) -> list[str]:
    """The lines for ``devices:`` of the configuration, a device per line setting."""
    lines: list[str] = []
    known = [each for each in found if each.matches]
    settings = sorted({each.settings for each in known}, key=lambda each: (each.baud, each.parity, each.stop_bits))
    if not settings:
        return lines
    if len(settings) > 1:
        lines += [
            "",
            "These meters cannot share a line as they are: set them to one speed and parity, then probe again.",
        ]
    for each in settings:
        lines += [
            "",
            "devices:",
            "  meters:",
            "    driver: modbus-meter",
            f"    port: {port}",
            f"    baud: {each.baud}",
            f"    parity: {each.parity}",
            f"    stop_bits: {each.stop_bits}",
            "    meters:",
        ]
        lines += [
            f"      - {{name: m{unit.address}, address: {unit.address}, map: {unit.matches[0].map_name}}}"
            for unit in known
            if unit.settings == each
        ]
    return lines


def in_words(reading: MeterReading) -> str:
    parts = []
    if reading.voltage_v:
        parts.append(" ".join(f"{volts:.1f}" for volts in reading.voltage_v) + " V")
    if reading.current_a:
        parts.append(" ".join(f"{amperes:.2f}" for amperes in reading.current_a) + " A")
    if reading.power_w is not None:
        parts.append(f"{reading.power_w:.0f} W")
    if reading.frequency_hz is not None:
        parts.append(f"{reading.frequency_hz:.2f} Hz")
    parts.append(f"{reading.energy_import_wh / 1000:.3f} kWh")
    if reading.energy_export_wh:
        parts.append(f"exported {reading.energy_export_wh / 1000:.3f}")
    if reading.quality is not Quality.GOOD:
        parts.append(reading.quality.value)
    return " · ".join(parts)


def _as_data(found: probe.Found) -> dict[str, Any]:
    return {
        "address": found.address,
        "baud": found.settings.baud,
        "parity": found.settings.parity,
        "stop_bits": found.settings.stop_bits,
        "matches": [
            {
                "map": match.map_name,
                "name": match.title,
                "same": list(match.same),
                "score": match.score,
                "weak": match.weak,
                "reading": as_data(match.reading),
            }
            for match in found.matches
        ],
    }


def as_data(reading: MeterReading) -> dict[str, Any]:
    """A reading for JSON, without its (monotonic) time."""
    return {
        "energy_import_wh": reading.energy_import_wh,
        "energy_export_wh": reading.energy_export_wh,
        "power_w": reading.power_w,
        "voltage_v": list(reading.voltage_v),
        "current_a": list(reading.current_a),
        "frequency_hz": reading.frequency_hz,
        "power_factor": reading.power_factor,
        "quality": reading.quality.value,
    }


def whole_numbers(text: str, low: int, high: int, what: str) -> list[int]:
    """Read ``1,5,10-20``. Raises ValueError with the remedy."""
    numbers: dict[int, None] = {}
    for part in text.split(","):
        begin, dash, end = part.strip().partition("-")
        if not begin.isdecimal() or (dash and not end.isdecimal()):
            raise ValueError(f"{what}: {part!r} is no number; write for example 1,5,10-20")
        first, last = int(begin), int(end or begin)
        if not low <= first <= last <= high:
            raise ValueError(f"{what}: {part!r} is outside {low} … {high}, or the wrong way round")
        numbers.update(dict.fromkeys(range(first, last + 1)))
    return list(numbers)


def line_formats(text: str) -> list[tuple[str, int]]:
    """Read ``8N1,8E1``. Raises ValueError with the remedy."""
    formats = []
    for part in text.upper().split(","):
        form = part.strip()
        if len(form) != 3 or form[0] != "8" or form[1] not in "NEO" or form[2] not in "12":
            raise ValueError(f"formats: {part!r} is none of 8N1, 8E1, 8O1, 8N2, 8E2, 8O2")
        formats.append((form[1], int(form[2])))
    return formats
