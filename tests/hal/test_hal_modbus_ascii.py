"""Modbus ASCII: published vectors, pymodbus as a second opinion, and that nothing damaged is taken for an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer.ascii import FramerAscii

from hal.drivers.modbus.checksum import lrc
from hal.drivers.modbus.framing import Ascii, decode_ascii
from hal.drivers.modbus.pdu import Answered, Read, Refused, WriteRegisters

READ = Read(3, 4, 1)


def line(body: bytes, start: bytes = b":") -> bytes:
    return start + (body + bytes([lrc(body)])).hex().upper().encode() + b"\r\n"


def test_published_vector() -> None:
    assert Ascii().frame(1, READ) == b":010300040001F7\r\n"


@given(st.binary(min_size=1, max_size=100))
def test_checksum_agrees_with_pymodbus(data: bytes) -> None:
    assert lrc(data) == FramerAscii.compute_LRC(data)


@pytest.mark.parametrize("start", [b":", b">"])
def test_an_answer_may_begin_with_either_character(start: bytes) -> None:
    framing = Ascii()
    framing.frame(1, READ)
    assert framing.find(1, READ, line(bytes.fromhex("010302A1B2"), start)) == Answered(bytes.fromhex("A1B2"))
    assert framing.find(1, READ, line(bytes.fromhex("018302"), start)) == Refused(2)


@pytest.mark.parametrize(
    "received",
    [
        line(bytes.fromhex("020302A1B2")),
        line(bytes.fromhex("010402A1B2")),
        line(bytes.fromhex("010304A1B2C3D4")),
        line(bytes.fromhex("010302A1")),
        b":010302A1B2A8\r\n",
        line(bytes.fromhex("010302A1B2"))[:-1],
        b":010302A1B2\r\n",
        b":\r\n",
        b"\r\n",
        b":01030",
    ],
)
def test_what_is_no_answer(received: bytes) -> None:
    framing = Ascii()
    framing.frame(1, READ)
    assert framing.find(1, READ, received) is None


def test_a_frame_begins_anew_with_each_start_character() -> None:
    framing = Ascii()
    framing.frame(1, READ)
    assert framing.find(1, READ, b":0103" + line(bytes.fromhex("010302A1B2"), b">")) is not None


def test_the_echo_of_a_write_is_not_taken_for_its_answer_once_the_line_is_known_to_echo() -> None:
    framing = Ascii()
    asked = framing.frame(1, READ)
    assert framing.find(1, READ, asked + line(bytes.fromhex("0103020001"))) == Answered(b"\x00\x01")
    write = WriteRegisters(0x14, (266,))
    echo = framing.frame(1, write)
    assert framing.find(1, write, echo) is None
    assert framing.find(1, write, echo + line(bytes.fromhex("011000140001"))) == Answered()


@given(st.binary(max_size=80))
def test_any_bytes_are_survived(data: bytes) -> None:
    framing = Ascii()
    framing.frame(1, READ)
    framing.find(1, READ, data)
    decode_ascii(data)


@given(st.binary(min_size=8, max_size=8), st.data())
def test_one_damaged_character_never_becomes_another_answer(registers: bytes, data: st.DataObject) -> None:
    read = Read(3, 0x2E, 4)
    framing = Ascii()
    framing.frame(1, read)
    good = line(bytes([1, 3, 8]) + registers)
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:at] + bytes([data.draw(st.integers(0, 255))]) + good[at + 1 :]
    assert framing.find(1, read, damaged) in (None, Answered(registers))


def test_pymodbus_reads_what_we_write() -> None:
    framing = Ascii()
    sent = framing.frame(17, WriteRegisters(0x14, (100, 200)))
    used, unit, _, pdu = FramerAscii(None).decode(sent)  # type: ignore[arg-type]
    assert (used, unit, pdu) == (len(sent), 17, WriteRegisters(0x14, (100, 200)).encode())
