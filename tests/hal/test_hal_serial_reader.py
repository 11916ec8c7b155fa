"""The card-reader driver against small readers on a pty, in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hal_rig import Plug, drain, turn_until
from hypothesis import given
from hypothesis import strategies as st

from hal import ports, registry
from hal.drivers.presentations import MAX_WAITING
from hal.drivers.serial_reader import pn532, rdm6300
from hal.drivers.serial_reader.driver import Protocol, SerialReader, SerialReaderOptions
from hal.drivers.serial_reader.pn532 import Frame, Signal
from hal.drivers.serial_reader.sessions import Pn532Session
from hal.drivers.token_format import ByteOrder
from hal.values import TokenKind, TokenRead

CARD = bytes.fromhex("04A1B2C3D4E5F6")
OTHER = bytes.fromhex("DEADBEEF")


class Reader:
    """A PN532 in miniature. It answers a search only when it has a card, as a real one does by default."""

    def __init__(self) -> None:
        self.card: bytes | None = None
        self.alive = True
        self.says_none = False
        self.asked: list[int] = []
        self._frames = pn532.FrameReader()
        self.interrupted = 0
        """Commands that came while a search was still under way."""
        self._searching = False

    def hear(self, data: bytes) -> bytes:
        """Take what the host sent, return what the reader says to it."""
        said = b""
        for item in self._frames.feed(data):
            if item is Signal.ACK:
                self._searching = False
            if not self.alive or not isinstance(item, Frame):
                continue
            self.asked.append(item.data[0])
            self.interrupted += self._searching
            self._searching = False
            said += pn532.ACK
            if item.data[0] == pn532.GET_FIRMWARE_VERSION:
                said += pn532.encode(pn532.FROM_READER, bytes.fromhex("0332010607"))
            elif item.data[0] == pn532.SAM_CONFIGURATION:
                said += pn532.encode(pn532.FROM_READER, bytes([0x15]))
            elif self.card is not None or self.says_none:
                said += pn532.encode_targets(self.card)
            else:
                self._searching = True
        return said


class Rig:
    def __init__(self, folder: Path, protocol: Protocol = Protocol.PN532, **options: object) -> None:
        self.plug = Plug(folder)
        self.device = SerialReader("reader", SerialReaderOptions(str(self.plug.path), protocol, **options))  # type: ignore[arg-type]
        self.reader = Reader()
        self.now = 0.0

    def run(self, until: float) -> list[TokenRead]:
        """Let the virtual time pass in the line's own steps; return the cards that control would have taken."""
        tokens = []
        while self.now < until:
            self.device.on_timer(self.now)
            self.exchange()
            tokens += self.device.take_tokens()
            self.now = round(self.now + 0.02, 3)
        return tokens

    def exchange(self) -> None:
        """Carry bytes over and back until both are quiet. A command that is out has its answer read before we go on."""
        session = self.device._session
        assert isinstance(session, Pn532Session)
        while session._sent_at == self.now and session._stage.name == "AWAITS_ACK" and self.device.fileno() is not None:
            said = self.reader.hear(self.plug.receive(wait=True))
            if said:
                self.plug.send(said)
                turn_until(self.device, lambda: session._stage.name != "AWAITS_ACK", self.now)
                if said != pn532.ACK:
                    turn_until(self.device, lambda: session._stage.name == "IDLE", self.now)
                self.device.on_timer(self.now)
            elif not self.reader.alive:
                return


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.device.close()
    rig.plug.close()


def test_registry_knows_the_driver_and_its_unit() -> None:
    driver = registry.load("serial-reader")
    options = SerialReaderOptions("/dev/null", Protocol.PN532)
    assert driver.units(options) == {"": frozenset({ports.PortKind.TOKEN_READER})}
    assert isinstance(driver.create("r", options).unit(""), ports.TokenReader)


def test_wakes_configures_and_searches(rig: Rig) -> None:
    rig.device.start(0.0)
    first = rig.plug.receive(wait=True)
    assert first == pn532.WAKE + pn532.GET_FIRMWARE_VERSION_FRAME
    assert not rig.device.health(0.0).ok
    assert "HSU" in rig.device.health(0.0).detail
    rig.plug.send(rig.reader.hear(first))
    session = rig.device._session
    assert isinstance(session, Pn532Session)
    turn_until(rig.device, lambda: session.firmware == "1.6", 0.0)
    rig.run(0.1)
    assert rig.reader.asked == [0x02, 0x14, 0x4A]
    assert rig.device.health(0.1).ok


def test_a_card_is_one_token_however_long_it_stays(rig: Rig) -> None:
    rig.device.start(0.0)
    assert rig.run(1.0) == []
    rig.reader.card = CARD
    (token,) = rig.run(5.0)
    assert (token.uid, token.kind) == ("04A1B2C3D4E5F6", TokenKind.ISO14443)
    assert 1.0 <= token.at <= 1.4
    rig.reader.card = None
    assert rig.run(7.0) == []
    rig.reader.card = CARD
    (again,) = rig.run(8.0)
    assert again.uid == token.uid


def test_a_card_lifted_for_a_moment_is_the_same_presentation(rig: Rig) -> None:
    rig.device.start(0.0)
    rig.reader.card = CARD
    assert len(rig.run(1.0)) == 1
    rig.reader.card = None
    rig.run(1.6)
    rig.reader.card = CARD
    assert rig.run(3.0) == []


def test_another_card_is_seen_at_once(rig: Rig) -> None:
    rig.device.start(0.0)
    rig.reader.card = CARD
    rig.run(1.0)
    rig.reader.card = OTHER
    (token,) = rig.run(1.5)
    assert token.uid == "DEADBEEF"


def test_searches_two_to_four_times_a_second(rig: Rig) -> None:
    rig.device.start(0.0)
    rig.run(1.0)
    for says_none in (False, True):
        rig.reader.says_none = says_none
        rig.reader.asked.clear()
        rig.run(rig.now + 4.0)
        assert 8 <= rig.reader.asked.count(0x4A) <= 16
    assert rig.reader.interrupted == 0


def test_reversed_byte_order(tmp_path: Path) -> None:
    rig = Rig(tmp_path, byte_order=ByteOrder.REVERSED)
    rig.device.start(0.0)
    rig.reader.card = OTHER
    (token,) = rig.run(1.0)
    assert token.uid == "EFBEADDE"
    rig.device.close()
    rig.plug.close()


def test_a_reader_that_restarts_is_set_up_again(rig: Rig) -> None:
    rig.device.start(0.0)
    rig.run(1.0)
    rig.reader.alive = False
    rig.run(3.0)
    assert not rig.device.health(3.0).ok
    rig.reader.alive = True
    rig.reader.asked.clear()
    rig.reader.card = CARD
    (token,) = rig.run(5.0)
    assert token.uid == "04A1B2C3D4E5F6"
    assert rig.reader.asked[:3] == [0x02, 0x14, 0x4A]
    assert rig.device.health(5.0).ok


def test_error_frames_and_nacks_lead_to_a_new_set_up(rig: Rig) -> None:
    rig.device.start(0.0)
    rig.run(1.0)
    session = rig.device._session
    for answer in (pn532.encode(pn532.ERROR, b""), pn532.NACK, pn532.NACK):
        session.feed(answer, 1.0)
        session.on_timer(1.0)
    assert not rig.device.health(1.0).ok


def test_unplugged_and_plugged_in_again(rig: Rig) -> None:
    rig.device.start(0.0)
    rig.run(1.0)
    rig.plug.pull()
    turn_until(rig.device, lambda: rig.device.fileno() is None, 1.0)
    assert "was unplugged" in rig.device.health(1.0).detail
    rig.device.on_timer(2.1)
    assert "is not there" in rig.device.health(2.1).detail
    rig.plug.plug_in()
    rig.reader = Reader()
    rig.reader.card = CARD
    rig.now = 3.5
    (token,) = rig.run(5.0)
    assert token.uid == "04A1B2C3D4E5F6"


def test_noise_between_answers_is_passed_over(rig: Rig) -> None:
    rig.device.start(0.0)
    rig.plug.send(b"\x00\x00\xff\x05 noise \x55\x00")
    drain(rig.device, 0.0)
    rig.reader.card = CARD
    (token,) = rig.run(3.0)
    assert token.uid == "04A1B2C3D4E5F6"


def test_the_head_of_a_frame_that_never_ends_is_forgotten() -> None:
    session = Pn532Session(0.3)
    session.begin(0.0)
    session.feed(b"\x00\x00\xff\xf0\x10", 0.0)  # announces 240 bytes
    reader = Reader()
    assert session.on_timer(0.2) == b""  # no acknowledgement: again in a moment
    session.feed(reader.hear(session.on_timer(0.8)), 0.8)
    assert session.firmware == "1.6"


def test_rdm6300(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Protocol.RDM6300)
    rig.device.start(0.0)
    assert rig.device.health(0.0).ok
    data = bytes.fromhex("010F4D2A3B")
    telegram = rdm6300.encode(data)
    tokens = []
    for tenth in range(30):
        now = tenth / 10
        rig.device.on_timer(now)
        rig.plug.send(telegram)
        turn_until(rig.device, lambda: rig.device._cards._seen.get("010F4D2A3B", -1) == now, now)  # noqa: B023
        tokens += rig.device.take_tokens()
    assert tokens == [TokenRead(0.0, "010F4D2A3B", TokenKind.LOCAL)]
    rig.device.close()
    rig.plug.close()


def test_cards_wait_for_control_but_not_without_end() -> None:
    device = SerialReader("r", SerialReaderOptions("/nowhere", Protocol.RDM6300))
    for number in range(MAX_WAITING + 4):
        device._cards.note(bytes([number]), TokenKind.LOCAL, float(number))
    tokens = device.take_tokens()
    assert [token.uid for token in tokens] == [f"{number:02X}" for number in range(4, MAX_WAITING + 4)]
    assert device.take_tokens() == []


@given(st.lists(st.tuples(st.binary(max_size=40), st.floats(0, 2)), max_size=30))
def test_no_bytes_or_times_upset_a_session(steps: list[tuple[bytes, float]]) -> None:
    session = Pn532Session(0.3)
    now = 0.0
    session.begin(now)
    for data, pause in steps:
        now += pause
        session.feed(data, now)
        session.on_timer(now)
        session.trouble()
        assert session.wake_at(now) <= now + 1.0
    # Whatever happened: with a sound reader it works again.
    reader = Reader()
    reader.card = CARD
    cards: list[bytes] = []
    for _ in range(200):
        now += 0.05
        cards += session.feed(reader.hear(session.on_timer(now)), now)
    assert CARD in cards
    assert session.trouble() == ""
