"""What CANopen (CiA 301) and generic I/O modules (CiA 401) put into frames. Pure.

Node ids are 1 … 127; everything is little-endian. Ids and objects: CiA 301 pre-defined connection set, CiA 401.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from hal.can.frames import Frame

NMT_ID = 0x000
EMERGENCY, TPDO1, RPDO1, SDO_ANSWER, SDO_REQUEST, HEARTBEAT = 0x080, 0x180, 0x200, 0x580, 0x600, 0x700

DEVICE_TYPE, IDENTITY = 0x1000, 0x1018
CONSUMER_HEARTBEAT, PRODUCER_HEARTBEAT, ERROR_BEHAVIOUR = 0x1016, 0x1017, 0x1029
RPDO1_PARAMETER, TPDO1_PARAMETER = 0x1400, 0x1800
READ_INPUT, WRITE_OUTPUT, OUTPUT_ERROR_MODE, OUTPUT_ERROR_VALUE = 0x6000, 0x6200, 0x6206, 0x6207

IO_PROFILE = 401
"""Lower half of the device type; bit 16 of it tells of digital inputs, bit 17 of digital outputs."""
HAS_INPUTS, HAS_OUTPUTS = 0x1_0000, 0x2_0000


class Nmt(IntEnum):
    """Commands of network management."""

    START = 0x01
    STOP = 0x02
    PRE_OPERATIONAL = 0x80
    RESET_NODE = 0x81


class NodeState(IntEnum):
    """What a heartbeat tells."""

    BOOT_UP = 0x00
    STOPPED = 0x04
    OPERATIONAL = 0x05
    PRE_OPERATIONAL = 0x7F


ABORTS = {
    0x0503_0000: "toggle bit not alternated",
    0x0504_0000: "SDO protocol timed out",
    0x0601_0000: "unsupported access",
    0x0601_0001: "object is write-only",
    0x0601_0002: "object is read-only",
    0x0602_0000: "object does not exist",
    0x0604_0043: "parameters do not fit together",
    0x0607_0010: "wrong length",
    0x0609_0011: "sub-index does not exist",
    0x0609_0030: "value out of range",
    0x0800_0000: "general error",
    0x0800_0020: "cannot be stored",
    0x0800_0022: "not in this state of the device",
}
_EMERGENCIES = {
    0x10: "generic error",
    0x20: "current",
    0x21: "current at the inputs",
    0x23: "current at the outputs",
    0x30: "voltage",
    0x31: "mains voltage",
    0x33: "output voltage",
    0x40: "temperature",
    0x50: "hardware",
    0x60: "software",
    0x70: "additional modules",
    0x81: "communication",
    0x82: "protocol",
    0x90: "external error",
    0xFF: "of its maker's own",
}


@dataclass(frozen=True, slots=True)
class Emergency:
    """An emergency message: ``code`` 0 says that all errors are gone."""

    code: int
    register: int
    detail: bytes

    @property
    def text(self) -> str:
        if self.code == 0x8130:
            return "0x8130 (it missed our heartbeat)"
        return f"{self.code:#06x} ({_EMERGENCIES.get(self.code >> 8, 'unknown')}), details {self.detail.hex()}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer to an expedited SDO. ``abort`` is None when it was obeyed; ``value`` of an upload."""

    index: int
    sub: int
    value: bytes | None = None
    abort: int | None = None


def nmt(command: Nmt, node: int) -> Frame:
    return Frame(NMT_ID, bytes((command, node)))


def heartbeat(node: int, state: NodeState) -> Frame:
    return Frame(HEARTBEAT + node, bytes((state,)))


def download(node: int, index: int, sub: int, value: int, size: int) -> Frame:
    """Write 1, 2 or 4 bytes: command 0x2F, 0x2B or 0x23 (0x27 for three)."""
    command = 0x23 | (4 - size) << 2
    return Frame(
        SDO_REQUEST + node,
        bytes((command,))
        + index.to_bytes(2, "little")
        + bytes((sub,))
        + value.to_bytes(size, "little").ljust(4, b"\0"),
    )


def upload(node: int, index: int, sub: int) -> Frame:
    return Frame(SDO_REQUEST + node, b"\x40" + index.to_bytes(2, "little") + bytes((sub, 0, 0, 0, 0)))


def decode_answer(data: bytes) -> Answer | None:
    """Return an SDO answer; None for anything but an expedited one, its acknowledgement or an abort."""
    if len(data) != 8:
        return None
    command, index, sub = data[0], int.from_bytes(data[1:3], "little"), data[3]
    if command == 0x80:
        return Answer(index, sub, abort=int.from_bytes(data[4:], "little"))
    if command == 0x60:
        return Answer(index, sub)
    if command & 0xE3 == 0x43:  # expedited upload that tells its size
        return Answer(index, sub, data[4 : 8 - (command >> 2 & 3)])
    if command & 0xE3 == 0x42:  # expedited, size not told: all four
        return Answer(index, sub, data[4:])
    return None


def decode_emergency(data: bytes) -> Emergency | None:
    return Emergency(int.from_bytes(data[:2], "little"), data[2], data[3:]) if len(data) == 8 else None


def abort_text(code: int) -> str:
    return f"{ABORTS.get(code, 'refused')} ({code:#010x})"
