"""The serial line under every driver: order of what is sent, loss, and settings that never work."""

from __future__ import annotations

import errno
import select
from collections.abc import Iterator
from pathlib import Path

import pytest
from hal_rig import Plug
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hal.drivers import serial_line
from hal.drivers.serial_line import MAX_PENDING, SerialLine, SerialSettings
from hal.ports import DeviceError


class Throttle:
    """Stands for ``os.write`` on a line that takes so many bytes and then no more, until it is told otherwise."""

    def __init__(self) -> None:
        self.room = 0
        self.taken = b""

    def __call__(self, fd: int, data: bytes) -> int:
        if not self.room:
            raise BlockingIOError(errno.EAGAIN, "no room")
        size = min(self.room, len(data))
        self.room -= size
        self.taken += bytes(data[:size])
        return size


@pytest.fixture
def plug(tmp_path: Path) -> Iterator[Plug]:
    plug = Plug(tmp_path)
    yield plug
    plug.close()


@pytest.fixture
def line(plug: Plug) -> Iterator[SerialLine]:
    line = SerialLine(SerialSettings(str(plug.path), 115_200))
    assert line.open(0.0)
    yield line
    line.close()


@pytest.fixture
def throttle(line: SerialLine, monkeypatch: pytest.MonkeyPatch) -> Throttle:
    throttle = Throttle()
    monkeypatch.setattr(serial_line.os, "write", throttle)
    return throttle


def test_what_is_written_arrives_and_the_other_way_round(line: SerialLine, plug: Plug) -> None:
    line.send(b"to the board")
    assert plug.receive(wait=True) == b"to the board"
    assert not line.has_pending
    plug.send(b"to the host")
    data = b""
    while len(data) < 11:
        data += line.read()
    assert data == b"to the host"
    assert line.read() == b""  # nothing there is not the end of the line
    assert line.is_open


def test_urgent_overtakes_all_that_has_not_begun(line: SerialLine, throttle: Throttle) -> None:
    throttle.room = 2
    line.send(b"[first]")
    line.send(b"[second]")
    line.send(b"[OPEN]", urgent=True)
    throttle.room = 100
    line.flush()
    assert throttle.taken == b"[first][OPEN][second]"


def test_only_the_latest_command_of_a_kind_is_sent(line: SerialLine, throttle: Throttle) -> None:
    line.send(b"[other]", "other")
    line.send(b"[close]", "power")
    line.send(b"[open]", "power", urgent=True)
    throttle.room = 100
    line.flush()
    assert throttle.taken == b"[open][other]"


def test_what_has_begun_to_leave_is_finished(line: SerialLine, throttle: Throttle) -> None:
    throttle.room = 3
    line.send(b"[close]", "power")
    line.send(b"[open]", "power", urgent=True)
    throttle.room = 100
    line.flush()
    assert throttle.taken == b"[close][open]"


SENDS = st.lists(st.tuples(st.sampled_from(["a", "b", "power"]), st.booleans(), st.integers(0, 12)), max_size=25)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(SENDS)
def test_however_the_line_stutters_frames_stay_whole_and_the_last_power_command_wins(
    line: SerialLine, throttle: Throttle, sends: list[tuple[str, bool, int]]
) -> None:
    throttle.taken = b""
    last = b""
    for number, (key, urgent, room) in enumerate(sends):
        frame = f"<{key}{number}>".encode()
        if key == "power":
            last = frame
        throttle.room = room
        line.send(frame, key, urgent=urgent and key == "power")
    throttle.room = 10_000
    line.flush()
    frames = throttle.taken.decode().split("><")
    assert all(frame.strip("<>").rstrip("0123456789") in ("a", "b", "power") for frame in frames if frame)
    power = [frame.strip("<>") for frame in frames if "power" in frame]
    assert not power or power[-1] == last.decode().strip("<>")
    assert bool(power) == bool(last)


def test_a_line_that_takes_nothing_is_given_up(line: SerialLine, throttle: Throttle) -> None:
    for number in range(MAX_PENDING + 1):
        line.send(b"x", str(number))
    assert not line.is_open
    assert "takes no data" in line.trouble


def test_loss_is_noticed_by_reading_and_by_writing(plug: Plug) -> None:
    for notice in (lambda line: line.read(), lambda line: line.send(b"x")):
        line = SerialLine(SerialSettings(str(plug.path), 9600))
        assert line.open(0.0)
        plug.pull()
        notice(line)
        assert not line.is_open
        assert "was unplugged" in line.trouble
        plug.plug_in()


def test_an_end_of_file_is_loss(line: SerialLine, plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    plug.pull()
    monkeypatch.setattr(serial_line.os, "read", lambda fd, size: b"")  # as a USB adapter that was pulled reads
    line.read()
    assert not line.is_open
    assert "was unplugged" in line.trouble


def test_what_arrives_behind_an_empty_read_is_no_loss(
    line: SerialLine, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_too_early(fd: int, size: int) -> bytes:
        plug.send(b"late")
        select.select([fd], (), (), 5.0)
        return b""

    with monkeypatch.context() as early:
        early.setattr(serial_line.os, "read", read_too_early)
        assert line.read() == b""
    assert line.is_open, line.trouble
    assert line.read() == b"late"


def test_opening_is_tried_at_intervals(tmp_path: Path) -> None:
    line = SerialLine(SerialSettings(str(tmp_path / "none"), 9600))
    assert not line.open(10.0)
    assert line.next_open_at == 11.0
    (tmp_path / "none").symlink_to("/dev/null")
    line.trouble = ""
    assert not line.open(10.5)
    assert line.trouble == ""  # it has not even tried


@pytest.mark.parametrize("settings", [SerialSettings("x", 9600, "Q"), SerialSettings("x", 9600, stop_bits=7)])
def test_settings_that_no_port_takes(settings: SerialSettings) -> None:
    with pytest.raises(DeviceError, match="change 'baud', 'parity' or 'stop_bits'"):
        SerialLine(settings).open(0.0)


def test_a_device_that_is_no_tty_is_trouble_with_a_reason() -> None:
    line = SerialLine(SerialSettings("/dev/null", 9600))
    line.check()
    assert not line.open(0.0)
    assert "/dev/null" in line.trouble


def test_time_of_a_character() -> None:
    assert SerialSettings("x", 9600).character_s == pytest.approx(10 / 9600)
    assert SerialSettings("x", 9600, "E", 2).character_s == pytest.approx(12 / 9600)


def test_discarded_input_is_gone(line: SerialLine, plug: Plug) -> None:
    plug.send(b"old")
    assert select.select([line.fileno()], (), (), 5.0)[0]
    line.discard_input()
    assert line.read() == b""
    assert line.is_open
