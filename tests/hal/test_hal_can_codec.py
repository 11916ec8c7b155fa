"""Bytes on the wire: slcan lines, error frames, checksums, netlink answers."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.can import netlink, slcan
from hal.can.checksums import crc8_j1850, sum8, xor8
from hal.can.frames import BusState, Frame, state_of_error
from hal.can.link import Outbox


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    extended = draw(st.booleans())
    number = draw(st.integers(0, 0x1FFF_FFFF if extended else 0x7FF))
    return Frame(number, draw(st.binary(max_size=8)), extended)


# LAWICEL CAN232 manual, examples of the commands tiiildd and Tiiiiiiiildd.
VECTORS = [
    (b"t10021133\r", Frame(0x100, b"\x11\x33")),
    (b"T0000010021133\r", Frame(0x100, b"\x11\x33", extended=True)),
    (b"r1002\r", Frame(0x100, bytes(2), remote=True)),
    (b"t7FF81122334455667788\r", Frame(0x7FF, bytes.fromhex("1122334455667788"))),
]


@pytest.mark.parametrize(("line", "frame"), VECTORS)
def test_slcan_lines(line: bytes, frame: Frame) -> None:
    assert slcan.encode(frame) == line
    assert slcan.decode(line[:-1]) == frame


def test_what_brings_an_adapter_onto_the_bus() -> None:
    assert slcan.opening(500_000) == b"\r\r\rC\rS6\rO\r"
    assert slcan.opening(125_000) == b"\r\r\rC\rS4\rO\r"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"t",
        b"t100",
        b"t1002113",  # half a byte
        b"t100211",  # a byte short
        b"t10021133AB",  # neither a time stamp nor nothing
        b"t10092233445566778899AA",  # nine bytes
        b"t80011",  # more than 11 bits
        b"TFFFFFFFF0",  # more than 29 bits
        b"t10021_33",  # int() would take the underscore
        b"t1002 133",
        b"q10021133",
        b"z",
    ],
)
def test_what_is_no_frame(line: bytes) -> None:
    assert slcan.decode(line) is None


def test_a_time_stamp_may_follow() -> None:
    assert slcan.decode(b"t10021133AB12") == Frame(0x100, b"\x11\x33")


@given(frames(), st.integers(1, 40))
def test_every_frame_survives_the_line_in_any_pieces(frame: Frame, size: int) -> None:
    reader, wire = slcan.LineReader(), slcan.encode(frame) * 3
    lines = [line for at in range(0, len(wire), size) for line in reader.feed(wire[at : at + size])]
    assert [slcan.decode(line) for line in lines] == [frame] * 3


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_frame_unless_they_spell_one(data: bytes) -> None:
    reader = slcan.LineReader()
    for line in reader.feed(data):
        frame = slcan.decode(line)
        if frame is not None:
            assert line.upper().startswith(slcan.encode(frame)[:-1].upper())
        slcan.decode_status(line)
    assert slcan.LineReader().feed(b"\x07\rz\r") == [b"\x07", b"z"]


@given(st.binary(min_size=60, max_size=200).filter(lambda data: b"\r" not in data and b"\x07" not in data))
def test_the_end_of_an_endless_line_is_no_frame(rubbish: bytes) -> None:
    reader = slcan.LineReader()
    reader.feed(rubbish)
    assert [slcan.decode(line) for line in reader.feed(b"t10021133\rt10021133\r")] == [None, VECTORS[0][1]]


@pytest.mark.parametrize(
    ("line", "state"),
    [
        (b"F00", BusState.ACTIVE),
        (b"F04", BusState.WARNING),
        (b"F20", BusState.PASSIVE),
        (b"F24", BusState.PASSIVE),
        (b"F80", BusState.BUS_OFF),
        (b"F0", None),
        (b"FXY", None),
    ],
)
def test_adapter_status(line: bytes, state: BusState | None) -> None:
    assert slcan.decode_status(line) is state


@pytest.mark.parametrize(
    ("error_class", "data", "state"),
    [  # linux/can/error.h
        (0x040, bytes(8), BusState.BUS_OFF),
        (0x004, bytes([0, 0x04, 0, 0, 0, 0, 0, 0]), BusState.WARNING),
        (0x004, bytes([0, 0x20, 0, 0, 0, 0, 0, 0]), BusState.PASSIVE),
        (0x00C, bytes([0, 0x30, 0, 0, 0, 0, 0, 0]), BusState.PASSIVE),
        (0x004, bytes([0, 0x40, 0, 0, 0, 0, 0, 0]), BusState.ACTIVE),
        (0x100, bytes(8), BusState.ACTIVE),
        (0x008, bytes(8), BusState.WARNING),  # a protocol violation tells of no state: as before
        (0x004, b"", BusState.WARNING),
    ],
)
def test_error_frames(error_class: int, data: bytes, state: BusState) -> None:
    assert state_of_error(error_class, data, BusState.WARNING) is state


def test_checksums() -> None:
    assert crc8_j1850(b"123456789") == 0x4B  # catalogue of parametrised CRC algorithms, CRC-8/SAE-J1850
    assert crc8_j1850(bytes(4)) == 0x59  # AUTOSAR CRC library, CRC-8
    assert crc8_j1850(bytes.fromhex("F20183")) == 0x37  # the same
    assert xor8(b"\x01\x02\x04") == 0x07
    assert sum8(b"\xff\x02") == 0x01


def test_the_outbox_keeps_the_latest_of_an_id_and_the_urgent_first() -> None:
    outbox, sent = Outbox(), list[Frame]()
    for frame in (Frame(1, b"old"), Frame(2, b"two"), Frame(1, b"new")):
        outbox.put(frame)
    outbox.put(Frame(3, b"open"), urgent=True)
    outbox.flush(lambda frame: False)
    assert len(outbox.waiting) == 3
    outbox.flush(lambda frame: sent.append(frame) or True)  # type: ignore[func-returns-value]
    assert sent == [Frame(3, b"open"), Frame(2, b"two"), Frame(1, b"new")]
    assert outbox.waiting == []


def _attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", len(content) + 4, kind) + content + bytes(-len(content) % 4)


def _link_message(kind: bytes, rate: int) -> bytes:
    timing = _attribute(1, struct.pack("=IIIIIIII", rate, 875, 0, 0, 0, 0, 0, 0))
    info = _attribute(18, _attribute(1, kind + b"\0") + _attribute(2 | 0x8000, timing))
    body = struct.pack("=BxHiII", 0, 280, 3, 0, 0) + _attribute(3, b"can0\0") + info
    return struct.pack("=IHHII", 16 + len(body), 16, 0, 1, 0) + body


def test_bit_rate_from_the_kernels_answer() -> None:
    assert netlink.parse(_link_message(b"can", 250_000)) == 250_000
    assert netlink.parse(_link_message(b"vcan", 250_000)) is None
    assert netlink.bitrate("lo") is None
    assert netlink.bitrate("no-such-interface") is None
    assert len(netlink.request(3)) == 32


@given(st.binary(max_size=120), st.integers(0, 200))
def test_a_damaged_answer_of_the_kernel_never_raises(tail: bytes, cut: int) -> None:
    whole = _link_message(b"can", 250_000)
    netlink.parse(tail)
    netlink.parse(whole[: min(cut, len(whole))] + tail)
