"""RAPI on the wire: bytes against the public vectors, any damage refused, states and flags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers.openevse import status as s
from hal.drivers.openevse.rapi import LIMIT, Checksum, LineReader, Message, decode, encode
from hal.values import BoardError, PilotState
from simulators.openevse.line import checksum


@pytest.mark.parametrize(
    ("command", "wire"),
    [  # hardware sheet §A.1
        ("GS", b"$GS^30\r"),
        ("GV", b"$GV^35\r"),
        ("FE", b"$FE^27\r"),
        ("FS", b"$FS^31\r"),
        ("SC 16 V", b"$SC 16 V^65\r"),
        ("SY 10 6", b"$SY 10 6^19\r"),
    ],
)
def test_published_vectors(command: str, wire: bytes) -> None:
    assert encode(command) == wire
    assert LineReader().feed(wire) == [Message(tuple(command.split()))]


def test_published_sums_of_legacy_firmware() -> None:
    assert encode("FD", checksum=Checksum.ADDITIVE) == b"$FD*AE\r"  # rapi_proc.h
    assert encode("FE", checksum=Checksum.ADDITIVE) == b"$FE*AF\r"
    assert encode("FS", checksum=Checksum.ADDITIVE) == b"$FS*BD\r"
    assert LineReader().feed(b"$OK*0E\r") == [], "only where it is configured"
    assert LineReader(Checksum.ADDITIVE).feed(b"$FD*AE\r$OK^20\r") == [Message(("FD",)), Message(("OK",))]


def test_sequence_ids() -> None:
    wire = encode("GS", 0x2A)
    assert wire.startswith(b"$GS :2A^")
    assert LineReader().feed(wire) == [Message(("GS",), 0x2A)]
    assert decode("$OK 01 0 01 0000 :0C" + checksum("$OK 01 0 01 0000 :0C")) == Message(
        ("OK", "01", "0", "01", "0000"), 12
    )


def test_what_does_not_fit_the_controllers_buffer_is_not_sent() -> None:
    assert len(encode("F" * 21, 0xFF)) <= LIMIT
    with pytest.raises(ValueError, match="too long"):
        encode("FP 0 0 " + "x" * 30)


def test_a_line_is_found_among_noise_and_halves() -> None:
    reader = LineReader()
    assert reader.feed(b"\xff\x00OK^20\r$O$OK^20\r\n$N") == [Message(("OK",))]
    assert reader.feed(b"K^21\r") == [Message(("NK",))]
    assert reader.feed(b"$OK\x80^20\r$OK^20\r") == [Message(("OK",))]
    assert reader.feed(b"$" + b"x" * 100_000) == []
    assert len(reader._rest) <= 128
    assert reader.feed(b"\r$OK^20\r") == [Message(("OK",))]
    assert reader.feed(b"$OK\r$^24\r$OK^2\r$OK20\r") == []
    assert reader.damaged >= 6


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_arbitrary_bytes_never_raise(pieces: list[bytes]) -> None:
    for kind in Checksum:
        reader = LineReader(kind)
        for piece in pieces:
            for message in reader.feed(piece):
                assert message.tokens


TOKENS = st.lists(st.text("ABCDEFGHIJ0123456789-", min_size=1, max_size=6), min_size=1, max_size=4)


@given(TOKENS, st.integers(0, 255), st.integers(0, 10_000), st.integers(0, 7))
def test_one_wrong_bit_never_makes_another_message(tokens: list[str], sequence: int, at: int, bit: int) -> None:
    try:
        wire = encode(" ".join(tokens), sequence)
    except ValueError:
        return
    assert LineReader().feed(wire) == [Message(tuple(tokens), sequence)]
    damaged = bytearray(wire)
    damaged[at % len(wire)] ^= 1 << bit
    for message in LineReader().feed(bytes(damaged)):
        # A hexadecimal digit of the checksum may change its case and mean the same.
        assert message == Message(tuple(tokens), sequence)


@pytest.mark.parametrize(
    ("told", "pilot", "closed", "errors"),
    [
        ("01 01 0000", PilotState.A, False, set()),
        ("02 02 0100", PilotState.B, False, set()),
        ("02 03 0100", PilotState.C, False, set()),  # it asks, and nothing is offered yet
        ("03 03 0140", PilotState.C, True, set()),
        ("03 04 0140", PilotState.D, True, set()),  # its check for ventilation is off
        ("00 00 0000", None, False, set()),
        ("fe 03 0140", PilotState.C, True, set()),
        ("fe 03 0100", PilotState.B, False, set()),
        ("FE 02 0000", PilotState.A, False, set()),
        ("ff 02 0100", PilotState.F, False, set()),
        ("04 04 0102", PilotState.D, False, {BoardError.VENTILATION}),
        ("05 05 0102", PilotState.B, False, {BoardError.DIODE}),
        ("06 00 0180", PilotState.B, False, {BoardError.RESIDUAL_CURRENT}),
        ("07 00 0120", PilotState.B, False, {BoardError.GROUND}),
        ("08 00 0000", PilotState.A, True, {BoardError.CONTACTOR_WELDED}),
        ("09 00 0002", PilotState.A, False, {BoardError.RESIDUAL_SELF_TEST}),
        ("0a 00 0002", PilotState.A, False, {BoardError.TEMPERATURE}),
        ("0b 00 0102", PilotState.B, False, {BoardError.OVER_CURRENT}),
        ("0e 00 0100", PilotState.B, False, {BoardError.CONTACTOR_STUCK_OPEN}),
        ("0f 00 0100", PilotState.B, False, {BoardError.CABLE}),
        ("11 00 0000", PilotState.A, False, {BoardError.INTERNAL}),
        ("77 00 0000", PilotState.A, False, {BoardError.INTERNAL}),  # not known to us: not well
    ],
)
def test_states_and_flags(told: str, pilot: PilotState | None, closed: bool, errors: set[BoardError]) -> None:
    status = s.parse_status(*told.split())
    assert status is not None
    assert (status.pilot_state, status.closed, status.errors) == (pilot, closed, errors)


def test_figures() -> None:
    assert s.parse_status("1", "xx", "0") is None
    assert s.parse_status("001", "1", "0") is None
    assert s.parse_settings(("16", "0021")) == 0x21
    assert s.parse_settings(("16",)) is None
    assert s.switched_off(0x0021) == ()
    assert s.switched_off(0x020A) == ("diode", "ground", "gfi_test")
    assert s.temperatures(("283", "-2560", "-2560")) == (28.3,)
    assert s.temperatures(("9999", "-2560", "312")) == (None, 31.2)
    assert s.temperatures(("283",)) is None
    assert s.parse_numbers(("6", "80", "x"), 3) is None
    assert s.parse_numbers(("-1", "240000"), 2) == (-1, 240_000)
    assert s.whole("1٢") is None, "digits of other scripts are no digits here"
