"""Structures of the GPIO character device, version 2 (``linux/gpio.h``, since Linux 5.10). Bytes only, no I/O.

The layouts hold on 32 and 64-bit machines alike: every 64-bit field is aligned by hand in the header.
"""

from __future__ import annotations

import struct

from hal.gpio.lines import Bias, ChipInfo, Drive, Edges, LineEvent, LineInfo, LineSettings

NAME_SIZE = 32
LINES_MAX = 64
ATTRIBUTES_MAX = 10

FLAG_USED = 1 << 0
FLAG_ACTIVE_LOW = 1 << 1
FLAG_INPUT = 1 << 2
FLAG_OUTPUT = 1 << 3
FLAG_EDGE_RISING = 1 << 4
FLAG_EDGE_FALLING = 1 << 5
FLAG_OPEN_DRAIN = 1 << 6
FLAG_OPEN_SOURCE = 1 << 7
FLAG_BIAS_PULL_UP = 1 << 8
FLAG_BIAS_PULL_DOWN = 1 << 9
FLAG_BIAS_DISABLED = 1 << 10

ATTRIBUTE_OUTPUT_VALUES = 2
ATTRIBUTE_DEBOUNCE = 3

RISING_EDGE, FALLING_EDGE = 1, 2

_BIAS = {Bias.UP: FLAG_BIAS_PULL_UP, Bias.DOWN: FLAG_BIAS_PULL_DOWN, Bias.OFF: FLAG_BIAS_DISABLED}
_DRIVE = {Drive.OPEN_DRAIN: FLAG_OPEN_DRAIN, Drive.OPEN_SOURCE: FLAG_OPEN_SOURCE}
_EDGES = {
    Edges.RISING: FLAG_EDGE_RISING,
    Edges.FALLING: FLAG_EDGE_FALLING,
    Edges.BOTH: FLAG_EDGE_RISING | FLAG_EDGE_FALLING,
}

_CHIP_INFO = struct.Struct(f"={NAME_SIZE}s{NAME_SIZE}sI")
_ATTRIBUTE = struct.Struct("=IIQQ")  # id, padding, value (a 32-bit debounce lies in its first half), mask
_CONFIG_HEAD = struct.Struct("=QI20x")
_REQUEST_HEAD = struct.Struct(f"={LINES_MAX}I{NAME_SIZE}s")
_REQUEST_TAIL = struct.Struct("=II20xi")
_LINE_INFO = struct.Struct(f"={NAME_SIZE}s{NAME_SIZE}sIIQ{ATTRIBUTES_MAX * 16}x16x")
_VALUES = struct.Struct("=QQ")
_EVENT = struct.Struct("=QIIII24x")

CONFIG_SIZE = _CONFIG_HEAD.size + ATTRIBUTES_MAX * _ATTRIBUTE.size
REQUEST_SIZE = _REQUEST_HEAD.size + CONFIG_SIZE + _REQUEST_TAIL.size
EVENT_SIZE = _EVENT.size


def _ioc(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | 0xB4 << 8 | number


GET_CHIPINFO = _ioc(2, 0x01, _CHIP_INFO.size)
GET_LINEINFO = _ioc(3, 0x05, _LINE_INFO.size)
GET_LINE = _ioc(3, 0x07, REQUEST_SIZE)
SET_CONFIG = _ioc(3, 0x0D, CONFIG_SIZE)
GET_VALUES = _ioc(3, 0x0E, _VALUES.size)
SET_VALUES = _ioc(3, 0x0F, _VALUES.size)


def flags_of(settings: LineSettings) -> int:
    """Return the flags of a line that is used so."""
    flags = FLAG_ACTIVE_LOW if settings.active_low else 0
    flags |= _BIAS.get(settings.bias, 0)
    if settings.is_output:
        return flags | FLAG_OUTPUT | _DRIVE.get(settings.drive, 0)
    return flags | FLAG_INPUT | _EDGES.get(settings.edges, 0)


def encode_config(settings: LineSettings) -> bytearray:
    """Return a ``gpio_v2_line_config`` for one line."""
    attributes = []
    if settings.is_output:
        attributes.append(_ATTRIBUTE.pack(ATTRIBUTE_OUTPUT_VALUES, 0, int(bool(settings.initial)), 1))
    elif settings.debounce_us:
        period = struct.unpack("=Q", struct.pack("=II", settings.debounce_us, 0))[0]
        attributes.append(_ATTRIBUTE.pack(ATTRIBUTE_DEBOUNCE, 0, period, 1))
    head = _CONFIG_HEAD.pack(flags_of(settings), len(attributes))
    return bytearray(b"".join([head, *attributes]).ljust(CONFIG_SIZE, b"\0"))


def encode_request(offset: int, settings: LineSettings, consumer: str) -> bytearray:
    """Return a ``gpio_v2_line_request`` for one line."""
    name = consumer.encode()[: NAME_SIZE - 1]
    head = _REQUEST_HEAD.pack(offset, *(0,) * (LINES_MAX - 1), name)
    return bytearray(head + encode_config(settings) + _REQUEST_TAIL.pack(1, settings.buffer, 0))


def fd_of(request: bytes) -> int:
    """Return the file descriptor that the kernel has put into an answered request."""
    return int(struct.unpack_from("=i", request, REQUEST_SIZE - 4)[0])


def decode_chip_info(data: bytes) -> ChipInfo:
    name, label, lines = _CHIP_INFO.unpack(data)
    return ChipInfo(_text(name), _text(label), lines)


def encode_line_question(offset: int) -> bytearray:
    return bytearray(_LINE_INFO.pack(b"", b"", offset, 0, 0))


def decode_line_info(data: bytes) -> LineInfo:
    name, consumer, offset, _, flags = _LINE_INFO.unpack(data)
    return LineInfo(offset, _text(name), _text(consumer), bool(flags & FLAG_USED))


def encode_values(level: bool = False) -> bytearray:
    """Return ``gpio_v2_line_values`` for a request's only line."""
    return bytearray(_VALUES.pack(int(level), 1))


def decode_value(data: bytes) -> bool:
    return bool(_VALUES.unpack(data)[0] & 1)


def encode_event(at_ns: int, level: bool, offset: int, serial: int) -> bytes:
    """Return a ``gpio_v2_line_event``, as a chip gives it."""
    return _EVENT.pack(at_ns, RISING_EDGE if level else FALLING_EDGE, offset, serial, serial)


def decode_events(data: bytes) -> list[LineEvent]:
    """Return the edges in what was read from a line; a piece at the end that is too short is ignored."""
    whole = len(data) - len(data) % EVENT_SIZE
    return [
        LineEvent(at_ns / 1e9, kind == RISING_EDGE, serial)
        for at_ns, kind, _, _, serial in _EVENT.iter_unpack(data[:whole])
    ]


def empty_chip_info() -> bytearray:
    return bytearray(_CHIP_INFO.size)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")
