"""Lines: how they are written down, the kernel's bytes, and a chip behind a socket."""

from __future__ import annotations

import select
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.gpio import address, kernel_chip, spi, uapi
from hal.gpio.lines import Bias, Chip, Drive, Edges, Line, LineError, LineSettings
from hal.gpio.sim_chip import SimChip
from simulators.gpio.chip import SimGpioChip

PATIENCE_S = 5.0


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def chip(tmp_path: Path, clock: Clock) -> Iterator[SimGpioChip]:
    chip = SimGpioChip(tmp_path / "pins", ["A", "B", "", "B"], clock=clock)
    chip.open()
    yield chip
    chip.close()


# Written down


def test_a_line_is_written_with_what_it_needs() -> None:
    spec = address.parse_spec("/dev/gpiochip2:K1 active-low pull-up 2.5ms")
    assert (spec.address.chip, spec.address.line) == ("/dev/gpiochip2", "K1")
    assert spec.settings == LineSettings(active_low=True, bias=Bias.UP, debounce_us=2500)
    assert address.parse_spec("sim:/run/x:17 open-drain").address.chip == "sim:/run/x"
    assert address.parse_spec("sim:/run/x:17 open-drain").settings.drive is Drive.OPEN_DRAIN


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("17", "chip:line"),
        (":17", "chip:line"),
        ("gpiochip0:", "chip:line"),
        ("sim:K1", "chip:line"),
        ("*:17", "an offset needs its chip"),
        ("gpiochip0:17 active_low", "no setting of a line"),
        ("gpiochip0:17 pull-up pull-down", "contradicts"),
        ("gpiochip0:17 5ms 6ms", "contradicts"),
        ("gpiochip0:17 5000ms", "more than 1000 ms"),
        ("gpiochip0:17 open-drain", "an input is not driven"),
    ],
)
def test_a_line_written_wrongly_is_told_so(text: str, rule: str) -> None:
    assert rule in address.check_input(text)


def test_inputs_and_outputs_have_their_own_rules() -> None:
    assert address.check_input("") == ""
    assert address.check_input("gpiochip0:1 pull-down 5ms") == ""
    assert address.check_output("gpiochip0:1 open-source active-low") == ""
    assert "no debounce" in address.check_output("gpiochip0:1 5ms")


@given(st.text(max_size=40))
def test_any_text_is_a_line_or_names_its_rule(text: str) -> None:
    if not address.check_input(text) and text:
        assert str(address.parse_spec(text).address)


# Bytes: sizes, numbers and layout as gcc gives them for linux/gpio.h and linux/spi/spidev.h


def test_the_kernel_structures_have_their_sizes_and_numbers() -> None:
    assert (uapi.REQUEST_SIZE, uapi.CONFIG_SIZE, uapi.EVENT_SIZE) == (592, 272, 48)
    numbers = (uapi.GET_CHIPINFO, uapi.GET_LINEINFO, uapi.GET_LINE, uapi.SET_CONFIG, uapi.GET_VALUES, uapi.SET_VALUES)
    assert [f"{number:08x}" for number in numbers] == [
        "8044b401",
        "c100b405",
        "c250b407",
        "c110b40d",
        "c010b40e",
        "c010b40f",
    ]
    assert (spi.message_request(1), spi.message_request(40)) == (0x40206B00, 0x45006B00)


def test_a_request_has_every_byte_where_the_kernel_looks_for_it() -> None:
    settings = LineSettings(active_low=True, bias=Bias.UP, edges=Edges.BOTH, debounce_us=5000, buffer=128)
    request = uapi.encode_request(17, settings, "evse")
    assert {at: byte for at, byte in enumerate(request) if byte} == {
        0: 17,
        256: 0x65,
        257: 0x76,
        258: 0x73,
        259: 0x65,
        288: 0x36,
        289: 0x01,
        296: 1,
        320: 3,
        328: 0x88,
        329: 0x13,
        336: 1,
        560: 1,
        564: 128,
    }
    output = uapi.encode_config(LineSettings(initial=True, drive=Drive.OPEN_DRAIN, edges=Edges.BOTH, debounce_us=9))
    assert {at: byte for at, byte in enumerate(output) if byte} == {0: 0x48, 8: 1, 32: 2, 40: 1, 48: 1}


def test_answers_of_the_kernel_are_read() -> None:
    info = struct.pack("=32s32sI", b"gpiochip3\0rest", b"soc-gpio", 54)
    assert uapi.decode_chip_info(info) == uapi.ChipInfo("gpiochip3", "soc-gpio", 54)
    line = struct.pack("=32s32sIIQ176x", b"K1", b"kernel", 5, 0, uapi.FLAG_USED | uapi.FLAG_OUTPUT)
    assert uapi.decode_line_info(line) == uapi.LineInfo(5, "K1", "kernel", True)
    event = struct.pack("=QIIII24x", 12_500_000_000, 2, 5, 8, 7)
    assert uapi.decode_events(event + event[:20]) == [uapi.LineEvent(12.5, False, 7)]
    assert uapi.encode_event(12_500_000_000, False, 5, 7)[:16] == event[:16]


@given(st.binary(max_size=200))
def test_any_bytes_read_from_a_line_are_whole_edges_or_none(data: bytes) -> None:
    assert len(uapi.decode_events(data)) == len(data) // 48


def test_an_spi_message_deselects_between_its_transfers() -> None:
    message = spi.message_of(1000, 2000, 3, 2, 1_000_000)
    first, second = struct.unpack("=QQIIHBBBBBx", message[:32]), struct.unpack("=QQIIHBBBBBx", message[32:])
    assert first == (1000, 2000, 3, 1_000_000, 0, 8, 1, 0, 0, 0)
    assert second == (1003, 2003, 3, 1_000_000, 0, 8, 0, 0, 0, 0)


def test_a_burst_is_laid_out_once_and_another_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, bytes]] = []

    def ioctl(fd: int, request: int, argument: bytes | bytearray) -> bytes:
        if isinstance(argument, bytearray):
            sent.append((request, bytes(argument)))
        return struct.pack("=I", 900_000)

    monkeypatch.setattr(spi.fcntl, "ioctl", ioctl)
    bus = spi.KernelSpi("/dev/null", 1_000_000)
    assert bus.speed_hz == 900_000
    burst = [b"abc", b"def"]
    assert bus.exchange(burst) == bus.exchange(burst) == [bytes(3), bytes(3)]
    assert sent[0] == sent[1]
    assert bus.exchange([b"abcd"]) == [bytes(4)]
    assert [request for request, _ in sent] == [spi.message_request(2)] * 2 + [spi.message_request(1)]
    assert struct.unpack_from("=II", sent[2][1], 16) == (4, 900_000)
    bus.close()


@pytest.mark.parametrize("path", ["/dev/null", "/nowhere/gpiochip0"])
def test_what_is_no_chip_is_named_with_its_remedy(path: str) -> None:
    with pytest.raises(LineError, match=path):
        kernel_chip.KernelChip(path)
    with pytest.raises(spi.SpiError, match=path):
        spi.open_spi(path, 1_000_000)


def test_a_label_or_name_that_no_chip_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gpiochip10", "gpiochip2", "gpiochipx", "null"):
        (tmp_path / name).touch()
    assert [Path(node).name for node in kernel_chip.kernel_chips(tmp_path)] == ["gpiochip2", "gpiochip10"]
    monkeypatch.setattr(address, "DEV", tmp_path)
    for text in ("soc-gpio:1", "*:K1", "gpiochip2:1"):
        with pytest.raises(LineError, match=r"no GPIO chip|is no GPIO chip"):
            address.find(address.parse_address(text))


# A chip behind a socket


Take = Callable[[str, LineSettings], tuple[Chip, Line]]


@pytest.fixture
def take(chip: SimGpioChip) -> Iterator[Take]:
    taken: list[Chip | Line] = []

    def take(line: str, settings: LineSettings) -> tuple[Chip, Line]:
        opened, offset = address.find(address.parse_address(f"sim:{chip.path}:{line}"))
        taken.append(opened)
        taken.append(opened.request(offset, settings, "test"))
        return opened, taken[-1]

    yield take
    for item in taken:
        item.close()


def test_an_output_has_its_level_from_the_first_moment_and_keeps_it_when_let_go(chip: SimGpioChip, take: Take) -> None:
    opened, line = take("A", LineSettings(initial=True))
    assert chip.output("A") is True
    assert (chip.owner("A"), line.value()) == ("test", True)
    line.set_value(False)
    opened.line_info(0)  # answered in order: the level has been set by then
    assert (chip.output("A"), line.value()) == (False, False)
    line.close()
    opened.close()
    assert chip.output("A") is False


def test_a_line_belongs_to_one_owner(chip: SimGpioChip, take: Take) -> None:
    opened, line = take("A", LineSettings())
    with pytest.raises(LineError, match=r"in use by 'test'"):
        take("0", LineSettings())
    assert opened.line_info(0).used
    line.close()
    assert not opened.line_info(0).used


def test_names_that_are_twice_there_or_not_at_all(chip: SimGpioChip, take: Take) -> None:
    for line, reason in (("B", "2 lines are named"), ("Z", "no line named"), ("9", "lines 0 to 3")):
        with pytest.raises(LineError, match=reason):
            take(line, LineSettings())
    with pytest.raises(LineError, match="is not there"):
        address.find(address.parse_address("sim:/nowhere:1"))


def test_edges_carry_their_time_and_number(chip: SimGpioChip, take: Take, clock: Clock) -> None:
    _, line = take("A", LineSettings(active_low=True, bias=Bias.UP, edges=Edges.BOTH))
    assert line.value() is False
    assert line.events() == []
    chip.drive("A", False)
    clock.now = 100.25
    chip.drive("A", None)
    assert select.select([line], [], [], PATIENCE_S)[0]
    assert [(event.at, event.level, event.serial) for event in line.events()] == [(100.0, True, 1), (100.25, False, 2)]
    line.configure(LineSettings(active_low=True, bias=Bias.UP, edges=Edges.FALLING))
    chip.drive("A", False)
    chip.drive("A", None)
    assert [event.level for event in line.events()] == [False]


def test_a_bouncing_contact_gives_one_edge(chip: SimGpioChip, take: Take, clock: Clock) -> None:
    _, line = take("A", LineSettings(edges=Edges.BOTH, debounce_us=5000))
    for at in (0.0, 0.001, 0.002):
        clock.now = 100.0 + at
        chip.drive("A", at != 0.001)
    clock.now = 100.0069
    chip.settle()
    assert line.value() is False
    clock.now = 100.0071
    chip.settle()
    assert [event.level for event in line.events()] == [True]
    assert line.value() is True


def test_a_pulled_chip_is_noticed_by_every_call(chip: SimGpioChip, take: Take) -> None:
    opened, line = take("A", LineSettings(initial=False))
    chip.close()
    with pytest.raises(LineError):
        line.events()
    with pytest.raises(LineError):
        line.set_value(True)
    with pytest.raises(LineError):
        opened.line_info(0)
    line.close()
    line.close()
    chip.open()
    take("A", LineSettings(initial=False))


def test_a_peer_that_talks_nonsense_harms_nobody(chip: SimGpioChip) -> None:
    opened = SimChip(str(chip.path))
    for nonsense in ({"do": "dance", "line": 0}, {"do": "info", "line": 99}, {}, {"do": "set", "line": 1, "level": 1}):
        with pytest.raises(LineError):
            opened.ask(nonsense)
    assert opened.line_info(1).name == "B"
    opened.close()
