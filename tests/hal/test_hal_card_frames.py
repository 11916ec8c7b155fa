"""Wire formats of card readers: vectors, splits, noise."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers.serial_reader import pn532, rdm6300
from hal.drivers.serial_reader.pn532 import Frame, Signal


def test_pn532_commands() -> None:
    assert bytes.fromhex("0000FF02FED4022A00") == pn532.GET_FIRMWARE_VERSION_FRAME
    assert bytes.fromhex("0000FF05FBD4140100011600") == pn532.SAM_CONFIGURATION_FRAME
    assert bytes.fromhex("0000FF04FCD44A0100E100") == pn532.IN_LIST_PASSIVE_TARGET_FRAME


def test_pn532_answer_with_a_card() -> None:
    wire = bytes.fromhex("0000FF0CF4D54B0101000408" + "04DEADBEEF9600")
    assert pn532.encode_targets(bytes.fromhex("DEADBEEF")) == wire
    (frame,) = pn532.FrameReader().feed(wire)
    assert isinstance(frame, Frame)
    assert frame.direction == pn532.FROM_READER
    assert pn532.parse_targets(frame.data) == bytes.fromhex("DEADBEEF")


def test_pn532_signals() -> None:
    reader = pn532.FrameReader()
    assert reader.feed(bytes.fromhex("0000FF00FF00") + bytes.fromhex("0000FFFF0000")) == [Signal.ACK, Signal.NACK]


@pytest.mark.parametrize(
    "data",
    [
        "4B00",
        "4B",
        "",
        "4B0101000408",  # ends before the size
        "4B010100040804DEADBE",  # shorter than its size says
        "4B010100040803DEADBE",  # no ISO 14443 size
        "4B020100040804DEADBEEF",  # two targets where one was asked for
        "03320106",
    ],
)
def test_pn532_answers_without_a_card(data: str) -> None:
    assert pn532.parse_targets(bytes.fromhex(data)) is None


@given(st.sampled_from([4, 7, 10]), st.data())
def test_pn532_card_round_trip(size: int, data: st.DataObject) -> None:
    uid = data.draw(st.binary(min_size=size, max_size=size))
    (frame,) = pn532.FrameReader().feed(pn532.encode_targets(uid))
    assert isinstance(frame, Frame)
    assert pn532.parse_targets(frame.data) == uid


ITEMS = st.lists(
    st.one_of(
        st.sampled_from([Signal.ACK, Signal.NACK]),
        st.builds(Frame, st.sampled_from([pn532.TO_READER, pn532.FROM_READER]), st.binary(max_size=254)),
    ),
    max_size=5,
)


def _wire(item: Frame | Signal) -> bytes:
    if isinstance(item, Frame):
        return pn532.encode(item.direction, item.data)
    return pn532.ACK if item is Signal.ACK else pn532.NACK


@given(ITEMS, st.lists(st.integers(0, 1400), max_size=8))
def test_pn532_stream_split_anywhere_gives_the_same(items: list[Frame | Signal], cuts: list[int]) -> None:
    stream = b"".join(_wire(item) for item in items)
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    reader = pn532.FrameReader()
    got: list[Frame | Signal] = []
    for begin, end in itertools.pairwise(edges):
        got += reader.feed(stream[begin:end])
    assert got == items


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=20))
def test_pn532_finds_its_way_after_any_noise(noise: bytes, data: bytes) -> None:
    reader = pn532.FrameReader()
    reader.feed(noise)
    wanted = Frame(pn532.FROM_READER, data)
    got: list[Frame | Signal] = []
    for _ in range(40):  # noise may look like the head of a frame of 255 bytes: that much may be lost
        got += reader.feed(_wire(wanted))
    assert got[-1] == wanted


@given(st.integers(0, 17), st.integers(1, 255))
def test_pn532_one_wrong_byte_never_gives_another_card(at: int, flip: int) -> None:
    broken = bytearray(pn532.encode_targets(bytes.fromhex("DEADBEEF")))
    broken[at] ^= flip
    for item in pn532.FrameReader().feed(bytes(broken)):
        uid = pn532.parse_targets(item.data) if isinstance(item, Frame) else None
        assert uid in (None, bytes.fromhex("DEADBEEF"))


@given(st.lists(st.binary(max_size=300)))
def test_pn532_takes_any_bytes_and_keeps_little(pieces: list[bytes]) -> None:
    reader = pn532.FrameReader()
    for piece in pieces:
        for item in reader.feed(piece):
            if isinstance(item, Frame):
                pn532.parse_targets(item.data)
        assert len(reader._rest) <= 4 + 255


def test_pn532_refuses_what_no_frame_holds() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        pn532.encode(pn532.TO_READER, bytes(255))


CARD = bytes.fromhex("010F4D2A3B")


def test_rdm6300_vector() -> None:
    assert rdm6300.checksum(CARD) == 0x52
    assert rdm6300.encode(CARD) == b"\x02010F4D2A3B52\x03"
    assert rdm6300.TelegramReader().feed(b"\x02010F4D2A3B52\x03") == [CARD]


@pytest.mark.parametrize(
    "wire",
    [
        b"\x02010F4D2A3B53\x03",  # checksum
        b"\x02010F4D2A3B5\x03",
        b"\x02010F4D2A3B522\x03",
        b"\x02010F4D2A3G52\x03",
        b"\x02010F4D2A3B52\x02",
        b"\x02\x03",
        b"010F4D2A3B52\x03",
    ],
)
def test_rdm6300_refuses_and_then_reads_on(wire: bytes) -> None:
    reader = rdm6300.TelegramReader()
    assert reader.feed(wire) == []
    assert reader.feed(rdm6300.encode(CARD)) == [CARD]


@given(st.lists(st.binary(min_size=5, max_size=5), max_size=5), st.lists(st.integers(0, 80), max_size=6))
def test_rdm6300_stream_split_anywhere_gives_the_same(cards: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(rdm6300.encode(card) for card in cards)
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    reader = rdm6300.TelegramReader()
    got = []
    for begin, end in itertools.pairwise(edges):
        got += reader.feed(stream[begin:end])
    assert got == cards
    assert reader.damaged == 0


@given(st.binary(max_size=200), st.binary(min_size=5, max_size=5))
def test_rdm6300_finds_its_way_after_any_noise(noise: bytes, card: bytes) -> None:
    reader = rdm6300.TelegramReader()
    reader.feed(noise)
    assert reader.feed(rdm6300.encode(card)) == [card]
    assert len(reader._digits) <= rdm6300.DIGITS


@given(st.integers(1, 12), st.integers(1, 255))
def test_rdm6300_one_wrong_byte_never_passes(at: int, flip: int) -> None:
    broken = bytearray(rdm6300.encode(CARD))
    was = bytes(broken)
    broken[at] ^= flip
    for card in rdm6300.TelegramReader().feed(bytes(broken)):
        assert bytes(broken).upper() == was  # the same digit in lower case
        assert card == CARD


def test_rdm6300_refuses_card_data_of_another_size() -> None:
    with pytest.raises(ValueError, match="5 bytes"):
        rdm6300.encode(bytes(4))
