"""Lines of RAPI, OpenEVSE's serial protocol: commands out, replies and notices in. Pure: no line, no clock.

A line is ``$``, tokens with spaces between, perhaps `` :ss`` (a sequence id that the reply repeats), ``^XX`` (exclusive
or of every byte before it, the ``$`` too) and a return. Legacy firmware takes ``*XX`` (sum) instead.
Source: OpenEVSE/open_evse, firmware/open_evse/rapi_proc.h (hardware sheet §A.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import reduce
from operator import xor

LIMIT = 32
"""Bytes of the controller's buffer: a longer command is thrown away."""
MAX_LINE = 128
"""Of what the controller sends; its longest reply is about half of that."""
MAX_SEQUENCE = 0xFF
START, END = 0x24, 0x0D
_LINE_FEED = 0x0A
_TAIL = re.compile(r"(?P<mark>[\^*])(?P<check>[0-9A-Fa-f]{2})")
_SEQUENCE = re.compile(r":([0-9A-Fa-f]{2})")


class Checksum(Enum):
    XOR = "xor"
    ADDITIVE = "additive"
    """For firmware before 2.0; its replies may carry either kind."""


_MARKS = {"^": Checksum.XOR, "*": Checksum.ADDITIVE}


@dataclass(frozen=True, slots=True)
class Message:
    """One sound line. ``sequence`` is 0 where there is none."""

    tokens: tuple[str, ...]
    sequence: int = 0


def _sum(text: str, checksum: Checksum) -> int:
    data = text.encode("ascii")
    return reduce(xor, data, 0) if checksum is Checksum.XOR else sum(data) & 0xFF


def encode(command: str, sequence: int = 0, checksum: Checksum = Checksum.XOR) -> bytes:
    """Return the line for a command such as ``SC 16 V``. ValueError when it does not fit the controller's buffer."""
    text = f"${command} :{sequence:02X}" if sequence else f"${command}"
    mark = "^" if checksum is Checksum.XOR else "*"
    line = f"{text}{mark}{_sum(text, checksum):02X}\r".encode("ascii")
    if len(line) > LIMIT:
        raise ValueError(f"{command!r} is too long for the controller: {len(line)} of {LIMIT} bytes")
    return line


def decode(line: str, checksum: Checksum = Checksum.XOR) -> Message | None:
    """Return what a line without its return says; None for one that is not sound.

    With ``Checksum.XOR`` nothing else is accepted; a line without a checksum never is."""
    body, tail = line[:-3], _TAIL.fullmatch(line[-3:])
    if tail is None or not body.startswith("$"):
        return None
    kind = _MARKS[tail["mark"]]
    if (kind is not Checksum.XOR and checksum is Checksum.XOR) or int(tail["check"], 16) != _sum(body, kind):
        return None
    tokens = tuple(token for token in body[1:].split(" ") if token)
    sequence = 0
    if len(tokens) > 1 and (found := _SEQUENCE.fullmatch(tokens[-1])):
        sequence = int(found[1], 16)
        tokens = tokens[:-1]
    return Message(tokens, sequence) if tokens else None


@dataclass(slots=True)
class LineReader:
    """Cuts a byte stream into messages. ``damaged`` counts lines that were not sound."""

    checksum: Checksum = Checksum.XOR
    damaged: int = 0
    _rest: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes as they came, in pieces of any size; return the messages they complete."""
        found = []
        for byte in data:
            if byte == START:
                self.damaged += bool(self._rest)
                self._rest[:] = b"$"
            elif not self._rest or byte == _LINE_FEED:
                continue  # between lines there is only noise, and the LF of a controller that echoes
            elif byte == END:
                message = decode(self._rest.decode("ascii"), self.checksum)
                self._rest.clear()
                if message is None:
                    self.damaged += 1
                else:
                    found.append(message)
            elif 0x20 <= byte < 0x7F and len(self._rest) < MAX_LINE:
                self._rest.append(byte)
            else:
                self._rest.clear()
                self.damaged += 1
        return found
