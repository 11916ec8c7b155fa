"""The serial-line protocol of CAN adapters (LAWICEL, "slcan"): lines of ASCII that end in CR.

``t`` iii l dd… is a data frame with an 11-bit id, ``T`` iiiiiiii l dd… one with 29 bits; ``r`` and ``R`` are remote
frames. A time stamp of four digits may follow. Hexadecimal throughout.
"""

from __future__ import annotations

from hal.can.frames import MAX_DATA, BusState, Frame

CR, BELL = b"\r", b"\x07"
BITRATES = {
    10_000: 0,
    20_000: 1,
    50_000: 2,
    100_000: 3,
    125_000: 4,
    250_000: 5,
    500_000: 6,
    800_000: 7,
    1_000_000: 8,
}
"""Bits per second → the digit of the ``S`` command."""
CLOSE, OPEN, STATUS = b"C\r", b"O\r", b"F\r"
LONGEST = 1 + 8 + 1 + 2 * MAX_DATA + 4
_HEX = frozenset(b"0123456789abcdefABCDEF")
_STATUS_WARNING, _STATUS_PASSIVE, _STATUS_BUS_ERROR = 0x04, 0x20, 0x80
_KINDS = {
    ord("t"): (3, False, False),
    ord("T"): (8, True, False),
    ord("r"): (3, False, True),
    ord("R"): (8, True, True),
}


def opening(bitrate: int) -> bytes:
    """What brings an adapter in any state onto the bus: end half a line, close, set the bit rate, open."""
    return CR * 3 + CLOSE + b"S%d\r" % BITRATES[bitrate] + OPEN


def encode(frame: Frame) -> bytes:
    """Return the line that asks an adapter to send this frame."""
    letter = ("R" if frame.extended else "r") if frame.remote else ("T" if frame.extended else "t")
    number = f"{frame.id:08X}" if frame.extended else f"{frame.id:03X}"
    data = "" if frame.remote else frame.data.hex().upper()
    return f"{letter}{number}{len(frame.data)}{data}\r".encode("ascii")


def decode(line: bytes) -> Frame | None:
    """Return the frame of one line without its CR; None for anything that is not exactly one."""
    form = _KINDS.get(line[0]) if line else None
    if form is None or not _HEX.issuperset(line[1:]):
        return None
    digits, extended, remote = form
    head = 1 + digits
    if len(line) <= head:
        return None
    number, count = int(line[1:head], 16), int(line[head : head + 1], 16)
    if count > MAX_DATA or number > (0x1FFF_FFFF if extended else 0x7FF):
        return None
    rest = line[head + 1 :]
    size = 0 if remote else 2 * count
    if len(rest) not in (size, size + 4):
        return None
    return Frame(number, bytes(count) if remote else bytes.fromhex(rest[:size].decode("ascii")), extended, remote)


def decode_status(line: bytes) -> BusState | None:
    """Return what the answer to ``STATUS`` tells (flags of the SJA1000); None when the line is not one."""
    if len(line) != 3 or line[:1] != b"F" or not _HEX.issuperset(line[1:]):
        return None
    flags = int(line[1:], 16)
    if flags & _STATUS_BUS_ERROR:
        return BusState.BUS_OFF
    if flags & _STATUS_PASSIVE:
        return BusState.PASSIVE
    return BusState.WARNING if flags & _STATUS_WARNING else BusState.ACTIVE


class LineReader:
    """Cuts a stream into lines. BELL, by which an adapter refuses a command, comes as a line of its own."""

    def __init__(self) -> None:
        self._half = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the whole lines, empty ones (plain acknowledgements) left out. Too long a line is dropped."""
        *lines, half = (self._half + data).replace(BELL, BELL + CR).split(CR)
        self._half = half if len(half) <= LONGEST else b"?"  # no frame begins so: its end is dropped with it
        return [line[-1:] if line.endswith(BELL) else line for line in lines if line]
