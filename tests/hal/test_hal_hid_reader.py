"""Readers that type: events to characters, and the driver on a node that speaks the input layer's wire.

A pty stands for the event node: it carries the same bytes, hangs up when pulled and is opened and read the same way.
Only the grab is an input device's alone; it is watched at the system call here and tried for real by
``hid_uinput_check.py`` where the kernel has uinput.
"""

from __future__ import annotations

import errno
import fcntl
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hal_rig import Plug, drain, turn_until
from hypothesis import given
from hypothesis import strategies as st

from hal import ports, registry
from hal.drivers.hid_reader import node as event_node
from hal.drivers.hid_reader.driver import HidReader, HidReaderOptions
from hal.drivers.hid_reader.keys import CHARACTERS, EVENT, KeyReader
from hal.drivers.token_format import Radix
from hal.ports import DeviceError
from hal.values import TokenKind, TokenRead
from simulators.readers.hid_keyboard import HidKeyboard

CARD = bytes.fromhex("04A1B2C3")
LONG = 8 if struct.calcsize("@l") == 8 else 4


def events(*triples: tuple[int, int, int]) -> bytes:
    return b"".join(EVENT.pack(1, 2, *triple) for triple in triples)


def typed(text: str) -> bytes:
    codes = {chr(character): code for code, character in reversed(CHARACTERS.items())}
    return b"".join(events((1, codes[key], 1), (0, 0, 0), (1, codes[key], 0), (0, 0, 0)) for key in text)


def test_an_event_is_as_long_as_the_kernels() -> None:
    assert EVENT.size == 2 * LONG + 8


def test_bytes_of_one_key() -> None:
    # 1 pressed at 1.000002 s, from input.h: time, EV_KEY, KEY_1, pressed.
    wire = struct.pack("=qqHHi" if LONG == 8 else "=iiHHi", 1, 2, 1, 2, 1)
    assert KeyReader().feed(wire) == b"1"
    assert KeyReader().feed(wire[:-1]) == b""


@pytest.mark.parametrize(
    ("data", "characters"),
    [
        (typed("1234567890"), b"1234567890"),
        (typed("ABCDEF\r"), b"ABCDEF\r"),
        (events((1, 71, 1), (1, 82, 1), (1, 96, 1)), b"70\r"),  # the keypad's 7, 0 and Enter
        (events((1, 2, 1), (1, 2, 2), (1, 2, 2), (1, 2, 0)), b"1"),  # held down: the repeats do not count
        (events((1, 42, 1), (1, 30, 1), (1, 30, 0), (1, 42, 0)), b"A"),  # with shift
        (events((1, 57, 1)), b"?"),  # a space
        (events((4, 4, 0x7001E), (2, 0, 1), (0x15, 0, 0)), b""),
        (events((1, 2, 1), (0, 3, 0), (1, 3, 1), (0, 0, 0), (1, 4, 1)), b"1?3"),  # overrun: the 2 may be anything
    ],
)
def test_keys(data: bytes, characters: bytes) -> None:
    assert KeyReader().feed(data) == characters
    reader = KeyReader()
    assert b"".join(reader.feed(bytes([byte])) for byte in data) == characters


@given(st.lists(st.binary(max_size=100), max_size=8))
def test_arbitrary_bytes_give_known_characters_only(pieces: list[bytes]) -> None:
    reader = KeyReader()
    for piece in pieces:
        assert set(reader.feed(piece)) <= {*CHARACTERS.values(), ord("?")}
    assert len(reader._rest) < EVENT.size


class Rig:
    def __init__(self, folder: Path, **options: Any) -> None:
        self.plug = Plug(folder)
        self.device = HidReader("reader", HidReaderOptions(str(self.plug.path), grab=False, **options))
        self.tokens: list[TokenRead] = []

    def told(self, count: int, now: float) -> list[str]:
        def came() -> bool:
            self.tokens += self.device.take_tokens()
            return len(self.tokens) >= count

        turn_until(self.device, came, now)
        return [token.uid for token in self.tokens]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    rig.device.start(0.0)
    yield rig
    rig.device.close()
    rig.plug.close()


def test_registry_knows_the_driver() -> None:
    driver = registry.load("hid-reader")
    assert driver.units(HidReaderOptions("/dev/null")) == {"": frozenset({ports.PortKind.TOKEN_READER})}
    assert isinstance(driver.create("r", HidReaderOptions("/dev/null")).unit(""), ports.TokenReader)


def test_a_card_of_the_simulated_reader(rig: Rig) -> None:
    keyboard = HidKeyboard(rig.plug.send)
    keyboard.present(CARD, 1.0)
    assert rig.told(1, 1.0) == ["04A1B2C3"]
    assert rig.tokens[0] == TokenRead(1.0, "04A1B2C3", TokenKind.LOCAL)
    keyboard.step(2.1)  # it types again while the card stays
    drain(rig.device, 2.1)
    keyboard.present(bytes.fromhex("DEADBEEF"), 3.0)
    assert rig.told(2, 3.0) == ["04A1B2C3", "DEADBEEF"]
    assert rig.device.health(3.0).last_heard_at == 3.0


def test_hexadecimal_and_other_formats(tmp_path: Path) -> None:
    rig = Rig(tmp_path, radix=Radix.HEX, uid_radix=Radix.DECIMAL, uid_width=10, kind=TokenKind.ISO14443)
    rig.device.start(0.0)
    HidKeyboard(rig.plug.send, decimal=False).present(CARD, 1.0)
    assert rig.told(1, 1.0) == ["0077705923"]
    assert rig.tokens[0].kind is TokenKind.ISO14443
    rig.device.close()
    rig.plug.close()


def test_half_a_number_is_forgotten_after_half_a_second(rig: Rig) -> None:
    rig.plug.send(typed("12345"))
    turn_until(rig.device, lambda: rig.device.health(1.0).last_heard_at == 1.0, 1.0)
    drain(rig.device, 1.0)
    rig.plug.send(typed("0077705923\r"))
    assert rig.told(1, 1.6) == ["04A1B2C3"]


def test_what_is_no_number_is_no_card(rig: Rig) -> None:
    rig.plug.send(typed("12\r") + typed("99999999999\r") + events((1, 57, 1)) + typed("1234567\r"))
    rig.plug.send(typed("0077705923\r"))
    assert rig.told(1, 1.0) == ["04A1B2C3"]


def test_unplugged_and_back(rig: Rig) -> None:
    rig.plug.send(typed("00777"))
    drain(rig.device, 0.5)
    rig.plug.pull()
    turn_until(rig.device, lambda: rig.device.fileno() is None, 1.0)
    health = rig.device.health(1.0)
    assert not health.ok
    assert "was unplugged" in health.detail
    wake = rig.device.on_timer(1.1)
    assert wake > 1.1
    assert "is not there" in rig.device.health(1.1).detail
    rig.plug.plug_in()
    rig.device.on_timer(wake)
    assert rig.device.health(wake).ok
    rig.plug.send(typed("0077705923\r"))
    assert rig.told(1, wake) == ["04A1B2C3"]


def test_a_second_owner_is_told_so(rig: Rig) -> None:
    second = HidReader("second", HidReaderOptions(str(rig.plug.path), grab=False))
    second.start(0.0)
    assert second.fileno() is None
    assert "in use by another program" in second.health(0.0).detail
    rig.device.close()
    second.on_timer(1.0)
    assert second.health(1.0).ok
    second.close()


def test_it_grabs_the_device(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.device.close()
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(event_node.fcntl, "ioctl", lambda *call: asked.append(call))
    device = HidReader("r", HidReaderOptions(str(rig.plug.path)))
    device.start(0.0)
    assert asked == [(device.fileno(), 0x40044590, 1)]
    device.close()


def test_a_grab_that_fails_is_told_with_the_remedy(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.device.close()
    device = HidReader("r", HidReaderOptions(str(rig.plug.path)))
    before = set(Path("/proc/self/fd").iterdir())
    device.start(0.0)  # a pty is no input device, and the kernel says so
    assert "is no input device" in device.health(0.0).detail
    assert set(Path("/proc/self/fd").iterdir()) == before, "the node is not left open"

    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(fcntl, "ioctl", busy)
    device.on_timer(1.0)
    assert "in use by another program" in device.health(1.0).detail


def test_a_file_is_no_event_node(tmp_path: Path) -> None:
    file = tmp_path / "event0"
    file.write_bytes(b"")
    with pytest.raises(DeviceError, match="by-id"):
        HidReader("r", HidReaderOptions(str(file))).start(0.0)


def test_an_absent_reader_is_waited_for(tmp_path: Path) -> None:
    device = HidReader("r", HidReaderOptions(str(tmp_path / "event0")))
    device.start(0.0)
    assert "is not there" in device.health(0.0).detail
    assert device.on_timer(0.5) == 1.0
    device.close()
    device.close()
    assert device.on_timer(5.0) > 5.0
    device.on_readable(5.0)
