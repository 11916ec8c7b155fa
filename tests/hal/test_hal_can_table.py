"""DBC file and mapping to table, and the table's numbers against cantools."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import cantools
import pytest
import yaml
from cantools.database.can import Message
from cantools.database.can.signal import Signal as DbcSignal
from cantools.database.conversion import BaseConversion
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import main
from hal.can import table as tables
from hal.can.compile import compile_mapping, write_table
from hal.can.frames import Frame
from hal.can.receiver import Receiver
from hal.can.sender import Sender
from hal.can.signals import Signal
from hal.can.table import Table, TableError

EXAMPLE = Path(tables.__file__).parents[1] / "drivers" / "can_board"
TABLE = tables.load(EXAMPLE / "example.can.json")
DATABASE: Any = cantools.database.load_file(str(EXAMPLE / "example.dbc"))
ROLES = [
    (role, message.name, signal.name.split(".")[1])
    for message in TABLE.incoming
    for role, signal in message.signals.items()
]


@st.composite
def placed_signals(draw: st.DrawFn) -> tuple[Signal, DbcSignal, int]:
    """A signal somewhere in a frame: ours, and as cantools would have it."""
    size = draw(st.integers(1, 8))
    is_float = draw(st.booleans()) and size >= 4
    length = (
        draw(st.sampled_from([n for n in (16, 32, 64) if n <= size * 8]))
        if is_float
        else draw(st.integers(1, size * 8))
    )
    big_endian = draw(st.booleans())
    shift = draw(st.integers(0, size * 8 - length))
    start = shift
    if big_endian:
        from_front = size * 8 - shift - length  # of its highest bit
        start = from_front // 8 * 8 + 7 - from_front % 8
    signed = draw(st.booleans()) and length > 1
    scale = draw(st.sampled_from([1.0, 0.5, 0.1, 0.01, 0.001, 2.0, -0.5, 1000.0]))
    offset = draw(st.sampled_from([0.0, -40.0, 12.5, 1e6]))
    ours = Signal("M.s", start, length, size, big_endian, signed, is_float, scale, offset)
    theirs = DbcSignal(
        "s",
        start,
        length,
        "big_endian" if big_endian else "little_endian",
        signed,
        conversion=BaseConversion.factory(scale, offset, is_float=is_float),
    )
    return ours, theirs, size


@given(placed_signals(), st.data())
def test_numbers_are_those_of_cantools(pair: tuple[Signal, DbcSignal, int], data: st.DataObject) -> None:
    ours, theirs, size = pair
    assert ours.fits()
    content = data.draw(st.binary(min_size=size, max_size=size))
    expected = Message(1, "M", size, [theirs]).decode(content)["s"]  # type: ignore[index, call-overload]
    number = ours.number(content)
    if not math.isfinite(expected):
        assert number is None
        return
    assert number == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(placed_signals(), st.data())
def test_what_is_put_is_read_back_and_nothing_else_moves(
    pair: tuple[Signal, DbcSignal, int], data: st.DataObject
) -> None:
    ours, theirs, size = pair
    before = data.draw(st.binary(min_size=size, max_size=size))
    bits = data.draw(st.integers(0, ours.mask))
    frame = bytearray(before)
    ours.put(frame, bits)
    assert ours.bits(bytes(frame)) == bits
    ours.put(frame, ours.bits(before))
    assert bytes(frame) == before
    if not ours.is_float:
        raw = bits - (ours.mask + 1) if ours.signed and bits >> (ours.length - 1) else bits
        encoded = Message(1, "M", size, [theirs]).encode({"s": raw}, scaling=False, strict=False)
        blank = bytearray(size)
        ours.put(blank, bits)
        assert bytes(blank) == encoded


def test_the_shipped_table_is_what_the_shipped_files_give(tmp_path: Path) -> None:
    for name in ("example.dbc", "example.yaml"):
        shutil.copy(EXAMPLE / name, tmp_path)
    fresh = write_table(tmp_path / "example.yaml")
    assert fresh.name == "example.can.json"
    assert fresh.read_text(encoding="utf-8") == (EXAMPLE / "example.can.json").read_text(encoding="utf-8")
    assert tables.load(fresh) == TABLE == compile_mapping(EXAMPLE / "example.yaml")


@pytest.mark.parametrize(("role", "message", "signal"), ROLES)
@given(data=st.binary(min_size=8, max_size=8))
def test_example_signals_are_read_as_cantools_reads_them(role: str, message: str, signal: str, data: bytes) -> None:
    entry = DATABASE.get_message_by_name(message)
    incoming = next(item for item in TABLE.incoming if item.name == message)
    ours = incoming.signals[role]
    if ours.mux:
        data = bytes([ours.mux[0]]) + data[1:]
    raw = entry.decode(data, decode_choices=False, scaling=False)[signal]
    assert ours.bits(data) == raw % (1 << ours.length)
    if not ours.meanings and role not in ("protocol_version", "reset_count"):
        scaled = entry.decode(data, decode_choices=False)[signal] * (1000 if role == "energy_import_wh" else 1)
        number = ours.number(data)
        assert number is None or number == pytest.approx(scaled)
        inside = (ours.low is None or scaled >= ours.low) and (ours.high is None or scaled <= ours.high)
        assert (number is None) == (ours.bits(data) in ours.absent or not inside)


def test_commands_are_encoded_as_cantools_decodes_them() -> None:
    sender = Sender(TABLE)
    (command,) = TABLE.outgoing
    decode = DATABASE.get_message_by_name("HostCommand").decode
    safe = decode(sender.frame(command).data)
    wanted = {"Duty": 0.0, "Permit": 1, "LockWish": 0, "Phases": 0, "TestResidual": 0, "Restart": 0, "Counter": 0}
    assert {name: safe[name] for name in wanted} == wanted
    for role, value in (("duty_pct", 53.339), ("contactor", True), ("lock", True), ("three_phases", True)):
        assert sender.set(role, value) is command
        assert sender.set(role, value) is None
    told = decode(sender.frame(command).data)
    wanted = {"Duty": 53.33, "Permit": 2, "LockWish": 2, "Phases": 3, "Counter": 1}
    assert {name: told[name] for name in wanted} == pytest.approx(wanted)
    sender.make_safe()
    assert decode(sender.frame(command).data) == {**safe, "Counter": 2, "Checksum": pytest.approx(0, abs=255)}


def test_a_frame_of_the_example_by_hand() -> None:
    """Byte by byte, so that a mistake shared with cantools or the simulator would show."""
    frame = Sender(TABLE).frame(TABLE.outgoing[0])
    assert frame.id == 0x210
    assert frame.data[:7].hex() == "00000100000000"  # F, Permit 1 (forbidden), counter 0
    assert frame.data[7] == 0xAC  # CRC-8 J1850 over 20 00 00 01 00 00 00 00: the data id, then the frame


def test_the_command_writes_the_table_and_says_what_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("example.dbc", "example.yaml"):
        shutil.copy(EXAMPLE / name, tmp_path)
    target = tmp_path / "board.can.json"
    assert main(["can-map", str(tmp_path / "example.yaml"), "--out", str(target)]) == 0
    assert tables.load(target) == TABLE
    told = capsys.readouterr().out
    assert "reads BoardStatus (0x200, time-out 300 ms, heartbeat):" in told
    assert "sends HostCommand (0x210, every 100 ms):" in told
    assert max(len(line) for line in told.splitlines()[1:]) <= 100
    assert main(["can-map", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml: cannot be read" in capsys.readouterr().err


# Mappings that break a rule


def mapping(tmp_path: Path, **changes: Any) -> Path:
    shutil.copy(EXAMPLE / "example.dbc", tmp_path)
    content = {"dbc": "example.dbc", "read": {"pilot_high_v": "BoardPilot.PilotHigh"}, **changes}
    path = tmp_path / "board.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"colour": 1}, "unknown: colour; allowed are"),
    ({"dbc": "../example.dbc"}, "name a DBC file in the same folder"),
    ({"read": {}}, "name at least one signal"),
    ({"read": {"pilot_volts": "BoardPilot.PilotHigh"}}, "is no role; there are: pilot_high_v"),
    ({"read": {"pilot_high_v": "PilotHigh"}}, "name a signal as MESSAGE.SIGNAL"),
    ({"read": {"pilot_high_v": "Pilot.High"}}, "has no message 'Pilot'; it has: BoardInfo"),
    ({"read": {"pilot_high_v": "BoardPilot.High"}}, "has no signal 'High'; it has: PilotHigh"),
    ({"read": {"pilot_state": "BoardStatus.PilotState"}}, "say which raw value means what: A, B"),
    ({"read": {"pilot_state": {"signal": "BoardStatus.PilotState", "values": {"G": 1}}}}, "'G' is none of A, B"),
    ({"read": {"contactor_closed": {"signal": "BoardStatus.Contactor", "values": {True: 1}}}}, "one for true and"),
    ({"read": {"contactor_closed": {"signal": "BoardStatus.Contactor", "values": {True: 1, False: 1}}}}, "twice"),
    ({"read": {"contactor_closed": {"signal": "BoardStatus.Contactor", "values": {True: 4, False: 1}}}}, "2 bits"),
    ({"read": {"pilot_high_v": {"signal": "BoardPilot.PilotHigh", "values": {1: 2}}}}, "use 'absent'"),
    ({"read": {"power_w": "BoardPilot.PilotHigh"}}, "the unit 'V' is unknown; give 'scale'"),
    ({"read": {"power_w": "BoardStatus.Counter"}}, "names no unit; give 'scale'"),
    ({"read": {"power_w": {"signal": "BoardStatus.Counter", "scale": 0}}}, "is not a number above 0"),
    ({"write": {"duty_pct": "HostCommand.Permit"}}, "names no unit|cannot hold|unit"),
    ({"write": {"contactor": "BoardMeter.Page"}}, "is multiplexed"),
    ({"write": {"lock": "BoardPilot.Counter"}}, "say which raw value|both read and written"),
    ({"messages": {"BoardPilot": {"timeout_ms": 5}}}, "5 is not within 10"),
    ({"messages": {"Nobody": {}}}, "has no message 'Nobody'"),
    ({"messages": {"BoardPilot": {"checksum": {"signal": "Counter", "method": "xor"}}}}, "is not one whole byte"),
    ({"messages": {"BoardPilot": {"checksum": {"signal": "Checksum", "method": "md5"}}}}, "none of crc8-j1850"),
    ({"heartbeat": "BoardInfo"}, "is no message that 'read' uses"),
    ({"constants": {"HostCommand.Permit": 1}}, "is no message that 'write' sends"),
    ({"expect": {"BoardInfo.Protocol": ["one"]}}, "give raw values"),
]


@pytest.mark.parametrize(("changes", "text"), WRONG)
def test_a_broken_rule_is_named_with_its_place_and_remedy(tmp_path: Path, changes: Any, text: str) -> None:
    with pytest.raises(TableError, match=text) as caught:
        compile_mapping(mapping(tmp_path, **changes))
    assert "board.yaml" in str(caught.value)


def test_nested_multiplexors_and_can_fd_are_refused_with_words(tmp_path: Path) -> None:
    text = (
        'VERSION ""\nNS_ :\nBS_:\nBU_: A\n'
        "BO_ 1 Nested: 8 A\n"
        ' SG_ Outer M : 0|8@1+ (1,0) [0|0] "" A\n'
        ' SG_ Inner m0M : 8|8@1+ (1,0) [0|0] "" A\n'
        ' SG_ Deep m1 : 16|8@1+ (1,0) [0|0] "V" A\n'
        "BO_ 2 Long: 16 A\n"
        ' SG_ Far : 100|8@1+ (1,0) [0|0] "V" A\n'
        "SG_MUL_VAL_ 1 Inner Outer 0-0;\nSG_MUL_VAL_ 1 Deep Inner 1-1;\n"
    )
    (tmp_path / "odd.dbc").write_text(text, encoding="utf-8")
    for signal, words in (("Nested.Deep", "nested multiplexors"), ("Long.Far", r"only classic CAN \(1 … 8\)")):
        with pytest.raises(TableError, match=words):
            compile_mapping(mapping(tmp_path, dbc="odd.dbc", read={"pilot_high_v": signal}))


def test_a_file_that_is_no_dbc_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.dbc").write_text("hello", encoding="utf-8")
    with pytest.raises(TableError, match=r"bad\.dbc: is no DBC file"):
        compile_mapping(mapping(tmp_path, dbc="bad.dbc"))


# Tables that cannot be used


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("example.dbc", "example.yaml", "example.can.json"):
        shutil.copy(EXAMPLE / name, tmp_path)
    return tmp_path / "example.can.json"


@pytest.mark.parametrize("name", ["example.dbc", "example.yaml"])
def test_a_table_older_than_its_sources_is_refused(copy: Path, name: str) -> None:
    source = copy.parent / name
    assert tables.check(copy) == ""
    source.write_text(source.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert f"{name} has changed since; write the table anew with: evse-agent can-map" in tables.check(copy)
    source.unlink()  # a charger needs the table alone
    assert tables.check(copy) == ""


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '{"format": 1}', '{"format": 2}'])
def test_a_damaged_table_is_refused(copy: Path, text: str) -> None:
    copy.write_text(text, encoding="utf-8")
    assert "evse-agent can-map" in tables.check(copy)
    copy.unlink()
    assert "is not there" in tables.check(copy)


@given(st.data())
def test_a_table_with_any_one_value_replaced_never_raises_anything_else(data: st.DataObject) -> None:
    content = json.loads((EXAMPLE / "example.can.json").read_text(encoding="utf-8"))
    place: Any = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key]:
            break
        place = place[key]
    place[key] = data.draw(st.one_of(st.none(), st.integers(-5, 300), st.text(max_size=3), st.just([]), st.just({})))
    try:
        table = tables._table(content)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return
    receiver = Receiver(table)
    for message in table.incoming:
        receiver.take(Frame(message.id, bytes(8), message.extended), 0.0)
    Sender(table)


# What a receiver makes of frames


def status(counter: int, state: int = 0, contactor: int = 0) -> Frame:
    data = bytearray([state | contactor << 4, 0, 0, 0, 0, 0, counter, 0])
    data[7] = next(m for m in TABLE.incoming if m.name == "BoardStatus").checksum.of(bytes(data))  # type: ignore[union-attr]
    return Frame(0x200, bytes(data))


def test_frames_that_are_no_news_renew_nothing() -> None:
    receiver = Receiver(TABLE)
    assert receiver.take(status(1, state=2), 1.0) is not None
    assert receiver.value("pilot_state", 1.1) == "C"
    assert receiver.take(status(1, state=1), 1.2) is None  # the counter stands still
    assert receiver.take(Frame(0x200, status(2, state=1).data[:7]), 1.2) is None
    assert receiver.take(Frame(0x200, status(2, state=1).data[:7] + b"\0"), 1.2) is None
    assert receiver.take(Frame(0x200, status(2, state=1).data, extended=True), 1.2) is None
    assert receiver.at("pilot_state") == 1.0
    assert receiver.value("pilot_state", 1.29) == "C"
    assert receiver.value("pilot_state", 1.3) is None  # overdue
    assert receiver.take(status(2, state=9), 1.4) is not None
    assert receiver.value("pilot_state", 1.4) is None  # nobody has given 9 a meaning


def test_another_firmware_is_told_and_believed_in_nothing() -> None:
    receiver = Receiver(TABLE)
    assert receiver.take(Frame(0x202, bytes([99, 0, 0, 64, 0, 0, 0, 0])), 1.0) is None
    assert receiver.troubles(1.0) == [receiver.mismatch]
    assert "BoardInfo.Protocol is 99, expected 1; install matching firmware" in receiver.mismatch
    assert not receiver.fresh(1.0)
    receiver.take(Frame(0x202, bytes([1, 0, 0, 64, 0, 0, 0, 0])), 2.0)
    assert receiver.mismatch == ""


KEYS = [0x200, 0x201, 0x202, 0x203]
FRAMES = st.builds(Frame, st.sampled_from([*KEYS, 0x210, 0x7FF]), st.binary(max_size=8), st.booleans())


@given(st.lists(FRAMES, max_size=30))
def test_arbitrary_frames_never_raise_and_never_pass_for_the_guarded_ones(frames: list[Frame]) -> None:
    receiver = Receiver(TABLE)
    taken = [(frame, receiver.take(frame, at / 10)) for at, frame in enumerate(frames)]
    for frame, message in taken:
        if message is not None and message.checksum is not None:
            assert message.checksum.holds(frame.data)
    for role in TABLE.reads:
        receiver.value(role, 3.0)
    receiver.troubles(3.0)


def test_a_table_without_anything_is_never_alive() -> None:
    receiver = Receiver(Table("", (), (), {}))
    assert receiver.alive_at() is None
    assert receiver.last_at() is None
