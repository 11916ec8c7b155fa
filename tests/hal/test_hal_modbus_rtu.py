"""Modbus RTU frames: vectors, and that nothing but the right answer is ever taken for one."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pymodbus.framer.rtu import FramerRTU

from hal.drivers import modbus_rtu as rtu
from hal.drivers.modbus_rtu import ExceptionAnswer, ReadAnswer, ReadRequest

REQUEST = ReadRequest(unit=1, function=4, address=0, count=2)
ANSWER = bytes.fromhex("01040443660000" + "0E1F")

REQUESTS = st.builds(
    ReadRequest,
    unit=st.integers(1, 247),
    function=st.sampled_from([3, 4]),
    address=st.integers(0, 0xFF00),
    count=st.integers(1, 125),
)


def test_vectors() -> None:
    assert REQUEST.encode() == bytes.fromhex("0104000000" + "0271CB")
    assert rtu.find_answer(REQUEST, ANSWER) == ReadAnswer(bytes.fromhex("43660000"))
    assert rtu.encode_answer(REQUEST, bytes.fromhex("43660000")) == ANSWER
    assert ReadRequest(1, 3, 1000, 7).encode() == bytes.fromhex("010303E800078478")


@given(st.binary(max_size=260))
def test_checksum_agrees_with_pymodbus(data: bytes) -> None:
    assert rtu.crc16(data).to_bytes(2, "little") == FramerRTU.compute_CRC(data).to_bytes(2, "big")


@given(REQUESTS)
def test_requests_round_trip(request: ReadRequest) -> None:
    assert rtu.parse_request(request.encode()) == request


@given(REQUESTS, st.data(), st.binary(max_size=20), st.booleans())
def test_an_answer_is_found_behind_echo_and_noise(
    request: ReadRequest, data: st.DataObject, noise: bytes, echo: bool
) -> None:
    registers = data.draw(st.binary(min_size=2 * request.count, max_size=2 * request.count))
    before = (request.encode() if echo else b"") + noise
    assume(rtu.find_answer(request, before) is None)
    frame = rtu.encode_answer(request, registers)
    assert rtu.find_answer(request, before + frame) == ReadAnswer(registers)
    for cut in range(1, len(frame)):
        assert rtu.find_answer(request, before + frame[:-cut]) is None


@given(REQUESTS, st.integers(1, 11))
def test_exceptions_are_found(request: ReadRequest, code: int) -> None:
    assert rtu.find_answer(request, rtu.encode_exception(request, code)) == ExceptionAnswer(code)


@given(REQUESTS, REQUESTS, st.data())
def test_another_units_or_functions_or_sizes_answer_is_not_ours(
    ours: ReadRequest, theirs: ReadRequest, data: st.DataObject
) -> None:
    assume((ours.unit, ours.function, ours.count) != (theirs.unit, theirs.function, theirs.count))
    frame = rtu.encode_answer(theirs, bytes(2 * theirs.count))
    assert rtu.find_answer(ours, frame) is None


@given(st.integers(0, len(ANSWER) - 1), st.integers(1, 255))
def test_one_wrong_byte_never_passes(at: int, flip: int) -> None:
    broken = bytearray(ANSWER)
    broken[at] ^= flip
    assert rtu.find_answer(REQUEST, bytes(broken)) is None


@given(REQUESTS, st.binary(max_size=300))
def test_any_bytes_are_survived(request: ReadRequest, received: bytes) -> None:
    answer = rtu.find_answer(request, received)
    if isinstance(answer, ReadAnswer):
        assert len(answer.registers) == 2 * request.count
    rtu.parse_request(received)


@pytest.mark.parametrize("frame", ["", "0104000000" + "0271CC", "0106000000" + "0171CB"])
def test_what_is_no_read_request_is_not_parsed(frame: str) -> None:
    assert rtu.parse_request(bytes.fromhex(frame)) is None


def test_count_out_of_range_is_not_parsed() -> None:
    assert rtu.parse_request(ReadRequest(1, 4, 0, 126).encode()) is None


@pytest.mark.parametrize(("baud", "gap_s"), [(9600, 3.5 * 10 / 9600), (115_200, 0.00175)])
def test_gap(baud: int, gap_s: float) -> None:
    assert rtu.gap_s(10 / baud, baud) == pytest.approx(gap_s)


def test_exceptions_have_names() -> None:
    assert ExceptionAnswer(2).text == "exception 2 (illegal data address)"
    assert ExceptionAnswer(99).text == "exception 99 (unknown)"
