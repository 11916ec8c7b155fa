"""Readers that send a card's number as text: every wrapping, every damage, and the driver over a pty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hal_rig import Plug, turn_until
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers.serial_reader import rdm6300
from hal.drivers.serial_reader.ascii_telegrams import (
    AsciiOptions,
    Checksum,
    ChecksumOf,
    TelegramReader,
    check_bytes,
)
from hal.drivers.serial_reader.driver import Protocol, SerialReader, SerialReaderOptions
from hal.drivers.token_format import Radix
from hal.values import TokenKind, TokenRead
from simulators.readers.ascii_reader import AsciiReader

TAG = bytes.fromhex("010F4D2A3B")
RDM6300 = AsciiOptions(start="02", end="03", length=10, checksum=Checksum.XOR)


def read(options: AsciiOptions, data: bytes) -> list[str]:
    return [card.hex().upper() for card in TelegramReader(options).feed(data, 1.0)]


@pytest.mark.parametrize(
    ("options", "data", "cards"),
    [
        (RDM6300, b"\x02010F4D2A3B52\x03", ["010F4D2A3B"]),  # hardware sheet §D.2
        (RDM6300, b"\x02010F4D2A3B53\x03", []),
        (RDM6300, b"\x02010F4D2A3B\x03", []),
        (RDM6300, b"\x02010F4D\x02010F4D2A3B52\x03", ["010F4D2A3B"]),
        (RDM6300, b"52\x03\x02010F4D2A3B52\x03", ["010F4D2A3B"]),
        (AsciiOptions(), b"04A1B2C3\r", ["04A1B2C3"]),
        (AsciiOptions(), b"04a1b2c3\r\n04D4E5F6\r\n", ["04A1B2C3", "04D4E5F6"]),
        (AsciiOptions(end="0D 0A"), b"04A1B2C3\r\n04D4E5F6\r\n", ["04A1B2C3", "04D4E5F6"]),
        (AsciiOptions(), b"04A1B2C\r", []),  # half a byte
        (AsciiOptions(), b"04A1G2C3\r", []),
        (AsciiOptions(length=14), b"04A1B2C3\r04A1B2C3D4E5F6\r", ["04A1B2C3D4E5F6"]),
        (AsciiOptions(reversed_digits=True), b"3C2B1A40\r", ["04A1B2C3"]),
        (AsciiOptions(radix=Radix.DECIMAL), b"0077705923\r", ["04A1B2C3"]),
        (AsciiOptions(radix=Radix.DECIMAL), b"4294967295\r4294967296\r", ["FFFFFFFF"]),
        (AsciiOptions(radix=Radix.DECIMAL, number_bytes=5), b"4294967296\r", ["0100000000"]),
        (AsciiOptions(radix=Radix.DECIMAL), b"77705A23\r", []),
        (AsciiOptions(checksum=Checksum.SUM), b"04A1B2C31A\r04A1B2C31B\r", ["04A1B2C3"]),
        (
            AsciiOptions(checksum=Checksum.XOR, checksum_of=ChecksumOf.CHARACTERS),
            b"04A1B2C304\r04A1B2C374\r",
            ["04A1B2C3"],
        ),
        (AsciiOptions(), b"5\r12\r#\r04A1B2C3\r", ["04A1B2C3"]),  # keys of a keypad
        (AsciiOptions(start="AA BB", end="CC"), b"\xaa\xaa\xbb04A1B2C3\xcc", ["04A1B2C3"]),
        (AsciiOptions(), b"\x00\xff\r", []),
    ],
)
def test_telegrams(options: AsciiOptions, data: bytes, cards: list[str]) -> None:
    assert read(options, data) == cards
    reader = TelegramReader(options)
    singly = [card for byte in data for card in reader.feed(bytes([byte]), 1.0)]
    assert [card.hex().upper() for card in singly] == cards


def test_what_is_begun_and_not_ended_is_forgotten() -> None:
    reader = TelegramReader(AsciiOptions())
    assert reader.feed(b"5", 0.0) == []
    assert reader.feed(b"04A1B2C3\r", 0.6) == [bytes.fromhex("04A1B2C3")]
    assert reader.feed(b"04A1", 1.0) == []
    assert reader.feed(b"B2C3\r", 1.4) == [bytes.fromhex("04A1B2C3")]


def test_an_endless_telegram_is_bounded_and_the_next_one_read() -> None:
    for options in (AsciiOptions(), RDM6300):
        reader = TelegramReader(options)
        start = bytes.fromhex(options.start)
        assert reader.feed(start + b"0" * 100_000, 0.0) == []
        assert len(reader._rest) < 64
        assert reader.damaged > 0
        reader.feed(bytes.fromhex(options.end), 0.0)
        assert reader.feed(b"\x02010F4D2A3B52\x03" if options is RDM6300 else b"04A1B2C3\r", 0.0)


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_against_the_strict_reader_of_the_same_telegrams(pieces: list[bytes]) -> None:
    strict = rdm6300.TelegramReader()
    told = TelegramReader(RDM6300)
    for piece in pieces:
        cards = told.feed(piece, 1.0)
        assert all(len(card) == 5 for card in cards)
        assert cards == strict.feed(piece)


@given(
    st.lists(st.sampled_from([b"\x02010F4D2A3B52\x03", b"\x02", b"\x03", b"0", b"52", b"\x02010F4D2A3B52", b"\xff"])),
)
def test_likely_pieces_against_the_strict_reader(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    assert TelegramReader(RDM6300).feed(data, 1.0) == rdm6300.TelegramReader().feed(data)


@given(
    st.binary(min_size=4, max_size=10),
    st.sampled_from(["", "02", "AABB"]),
    st.sampled_from(["0D", "03", "0D0A"]),
    st.sampled_from(Checksum),
    st.sampled_from(ChecksumOf),
    st.booleans(),
    st.integers(0, 200),
)
def test_what_the_simulator_sends_is_read_and_one_wrong_bit_of_a_checked_one_is_not(
    card: bytes, start: str, end: str, checksum: Checksum, of: ChecksumOf, reverse: bool, wrong: int
) -> None:
    options = AsciiOptions(start, end, reversed_digits=reverse, checksum=checksum, checksum_of=of)
    sent: list[bytes] = []
    reader = AsciiReader(sent.append, start, end, reverse, checksum.value, of.value)
    reader.present(card, 0.0)
    assert TelegramReader(options).feed(sent[0], 1.0) == [card]
    if checksum is Checksum.XOR and of is ChecksumOf.CHARACTERS:
        damaged = bytearray(sent[0])
        damaged[wrong % len(damaged)] ^= 1 << (wrong % 8)
        # A changed case of a letter is the same number; nothing else may pass as another.
        assert TelegramReader(options).feed(bytes(damaged), 1.0) in ([], [card])


def test_rules_of_the_options() -> None:
    assert check_bytes("") == check_bytes("02") == check_bytes("0D 0A") == ""
    assert "hexadecimal" in check_bytes("STX")
    assert "hexadecimal" in check_bytes("0")


def test_the_driver_over_a_pty(tmp_path: Path) -> None:
    plug = Plug(tmp_path)
    extra: dict[str, Any] = {"uid_radix": Radix.DECIMAL, "uid_width": 10}
    look = AsciiOptions(kind=TokenKind.ISO15693)
    device = SerialReader("reader", SerialReaderOptions(str(plug.path), Protocol.ASCII, ascii=look, **extra))
    device.start(0.0)
    assert device.health(0.0).ok
    plug.send(b"7\r04A1B2C3\r\n04A1B2C3\r\n")
    tokens: list[TokenRead] = []

    def come(count: int) -> bool:
        tokens.extend(device.take_tokens())
        return len(tokens) == count

    turn_until(device, lambda: come(1), 1.0)
    assert [(token.at, token.uid, token.kind) for token in tokens] == [(1.0, "0077705923", TokenKind.ISO15693)]
    plug.pull()
    turn_until(device, lambda: device.fileno() is None, 2.0)
    assert not device.health(2.0).ok
    plug.plug_in()
    device.on_timer(4.0)
    plug.send(b"04D4E5F6\r")
    turn_until(device, lambda: come(2), 4.0)
    device.close()
    plug.close()
