"""Modbus RTU with writes, and requests as such: vectors, pymodbus as a second opinion, echo, and damage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer.rtu import FramerRTU
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import WriteMultipleRegistersRequest, WriteSingleRegisterRequest

from hal.drivers.modbus.framing import Rtu, seal
from hal.drivers.modbus.pdu import Answered, Read, Refused, Request, WriteCoil, WriteRegister, WriteRegisters

REQUESTS = st.one_of(
    st.builds(Read, st.sampled_from([1, 2, 3, 4]), st.integers(0, 0xFF00), st.integers(1, 125)),
    st.builds(WriteCoil, st.integers(0, 0xFFFF), st.booleans()),
    st.builds(WriteRegister, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
    st.builds(
        WriteRegisters, st.integers(0, 0xFFFF), st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=8).map(tuple)
    ),
)


def answer_to(request: Request, fill: int = 0x5A) -> bytes:
    """The PDU of a slave that does as it is told."""
    if isinstance(request, Read):
        return bytes([request.function, request.data_size]) + bytes([fill]) * request.data_size
    return request.encode()[:5]


@pytest.mark.parametrize(
    ("request_", "frame"),
    [
        (Read(3, 1000, 7), "010303E800078478"),
        (WriteRegisters(1000, (16,)), "011003E8000102001083B4"),
        (Read(4, 0, 2), "01040000000271CB"),
    ],
)
def test_published_vectors(request_: Request, frame: str) -> None:
    assert Rtu().frame(1, request_) == bytes.fromhex(frame)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_pymodbus_reads_what_we_write(address: int, value: int) -> None:
    for request in (WriteRegister(address, value), WriteRegisters(address, (value, value))):
        sent = Rtu().frame(9, request)
        used, unit, _, pdu = FramerRTU(DecodePDU(True)).decode(sent)
        assert (used, unit, pdu) == (len(sent), 9, request.encode())
        decoded = DecodePDU(True).decode(pdu)
        assert isinstance(decoded, WriteMultipleRegistersRequest | WriteSingleRegisterRequest)
        assert (decoded.address, set(decoded.registers)) == (address, {value})


@given(REQUESTS, st.binary(max_size=6))
def test_an_answer_is_found_behind_noise_and_never_before_it_is_whole(request: Request, noise: bytes) -> None:
    framing = Rtu()
    framing.frame(1, request)
    frame = seal(b"\x01" + answer_to(request))
    for cut in range(len(frame)):
        assert framing.find(1, request, frame[:cut]) is None
    found = framing.find(1, request, noise + frame)
    assert isinstance(found, Answered | Refused)


@given(REQUESTS, st.integers(1, 11))
def test_refusals_are_found(request: Request, code: int) -> None:
    framing = Rtu()
    framing.frame(1, request)
    assert framing.find(1, request, seal(bytes([1, request.function | 0x80, code]))) == Refused(code)


@given(REQUESTS, REQUESTS)
def test_the_answer_to_another_request_or_of_another_unit_does_not_count(request: Request, other: Request) -> None:
    framing = Rtu()
    framing.frame(1, request)
    assert framing.find(1, request, seal(b"\x02" + answer_to(request))) is None
    if answer_to(other) != answer_to(request) and other.function != request.function:
        assert framing.find(1, request, seal(b"\x01" + answer_to(other))) is None


@given(REQUESTS, st.data())
def test_one_damaged_byte_never_becomes_an_answer(request: Request, data: st.DataObject) -> None:
    framing = Rtu()
    framing.frame(1, request)
    good = seal(b"\x01" + answer_to(request))
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]
    assert framing.find(1, request, damaged) is None


def test_the_echo_of_a_write_is_not_its_answer_once_the_line_is_known_to_echo() -> None:
    framing, write = Rtu(), WriteRegister(261, 160)
    sent = framing.frame(1, write)
    assert framing.find(1, write, sent) == Answered()  # the same bytes; on a line without echo this is the answer
    read = Read(4, 5, 1)
    asked = framing.frame(1, read)
    assert framing.find(1, read, asked) is None
    assert framing.echoes
    sent = framing.frame(1, write)
    assert framing.find(1, write, sent) is None
    assert framing.find(1, write, sent + sent) == Answered()


@given(REQUESTS, st.binary(max_size=300))
def test_any_bytes_are_survived(request: Request, data: bytes) -> None:
    framing = Rtu()
    framing.frame(1, request)
    framing.find(1, request, data)
