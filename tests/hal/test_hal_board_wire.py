"""The pilot boards' wire: COBS, checksum, proto3 and both sets of ids, against vectors and google protobuf."""

from __future__ import annotations

import dataclasses
import itertools
import struct
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers.mcu_board import cobs, proto3, wire
from hal.drivers.mcu_board import messages as m
from hal.drivers.mcu_board.messages import Variant

T = descriptor_pb2.FieldDescriptorProto

# The boards' proto files, written down once more and independently of the codec's tables.
IDENTITY = [(1, "time_stamp", "u"), (2, "hw_type", "u"), (3, "hw_revision", "u")]
KEEP_ALIVE_LO = [
    *IDENTITY,
    (4, "protocol_version_major", "u"),
    (5, "protocol_version_minor", "u"),
    (6, "sw_version_string", "s"),
    (7, "hwcap_max_current", "f"),
    (8, "hwcap_min_current", "f"),
    (9, "hwcap_max_phase_count", "u"),
    (10, "hwcap_min_phase_count", "u"),
    (11, "supports_changing_phases_during_charging", "b"),
]
ERRORS = [
    (1, "diode_fault", "b"),
    (2, "rcd_selftest_failed", "b"),
    (3, "rcd_triggered", "b"),
    (4, "ventilation_not_available", "b"),
    (5, "connector_lock_failed", "b"),
    (6, "cp_signal_fault", "b"),
    (7, "over_current", "b"),
]
METER_FLOATS = """
    vrms_l1 vrms_l2 vrms_l3 irms_l1 irms_l2 irms_l3 irms_n watt_hr_l1 watt_hr_l2 watt_hr_l3 total_watt_hr
    temp_l1 temp_l2 temp_l3 temp_n watt_l1 watt_l2 watt_l3 freq_l1 freq_l2 freq_l3
"""
METER = [
    (1, "time_stamp", "u"),
    *((number, name, "f") for number, name in enumerate(METER_FLOATS.split(), 2)),
    (23, "phase_seq_error", "b"),
]
SUB_MESSAGES: dict[type, list[tuple[int, str, str]]] = {
    m.KeepAlive: [*IDENTITY, (6, "sw_version_string", "s")],
    m.FirmwareUpdate: [(1, "invoke_rom_bootloader", "b")],
    m.RcdCommand: [(1, "test", "b"), (2, "reset", "b")],
    m.KeepAliveLo: KEEP_ALIVE_LO,
    m.ErrorFlags: ERRORS,
    m.TelemetryYeti: [(1, "cp_voltage_hi", "u"), (2, "cp_voltage_lo", "u")],
    m.TelemetryTida: [(1, "cp_voltage_hi", "f"), (2, "cp_voltage_lo", "f"), (3, "temp0", "f"), (4, "temp1", "f")],
    m.PowerMeter: METER,
}
LETTERS = {"u": T.TYPE_UINT32, "b": T.TYPE_BOOL, "f": T.TYPE_FLOAT, "s": T.TYPE_STRING}
SCALARS: dict[type, tuple[str, int]] = {
    m.ConnectorLock: ("locked", T.TYPE_BOOL),
    m.PwmDutyCycle: ("steps", T.TYPE_UINT32),
    m.AllowPowerOn: ("allowed", T.TYPE_BOOL),
    m.SetNumberOfPhases: ("three", T.TYPE_BOOL),
    m.RelaisState: ("on", T.TYPE_BOOL),
    m.Reset: ("", T.TYPE_BOOL),
    m.CpStateReport: ("state", T.TYPE_INT32),  # an enum on the wire is an int32
    m.PpStateReport: ("state", T.TYPE_INT32),
    m.LockStateReport: ("state", T.TYPE_INT32),
    m.ResetReport: ("reason", T.TYPE_INT32),
}
YETI_TO = {16: m.FirmwareUpdate, 100: m.KeepAlive, 102: m.ConnectorLock, 103: m.PwmDutyCycle, 104: m.AllowPowerOn}
YETI_TO |= {105: m.Reset, 106: m.SetNumberOfPhases}
TIDA_TO = {1: m.FirmwareUpdate, 2: m.KeepAlive, 3: m.ConnectorLock, 4: m.PwmDutyCycle, 5: m.AllowPowerOn}
TIDA_TO |= {6: m.Reset, 8: m.RcdCommand}
YETI_FROM = {3: m.KeepAliveLo, 101: m.ResetReport, 102: m.CpStateReport, 103: m.RelaisState, 104: m.ErrorFlags}
YETI_FROM |= {105: m.TelemetryYeti, 106: m.PpStateReport, 107: m.LockStateReport, 108: m.PowerMeter}
TIDA_FROM = {1: m.KeepAliveLo, 2: m.ResetReport, 3: m.CpStateReport, 4: m.RelaisState, 5: m.ErrorFlags}
TIDA_FROM |= {6: m.TelemetryTida, 7: m.PpStateReport, 8: m.LockStateReport}
TABLES = {
    (Variant.YETI, "to"): YETI_TO,
    (Variant.TIDA, "to"): TIDA_TO,
    (Variant.YETI, "from"): YETI_FROM,
    (Variant.TIDA, "from"): TIDA_FROM,
}


def _oracle(name: str, members: dict[int, type]) -> Any:
    """A google-protobuf class for one container message."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package=name, syntax="proto3")
    container = file.message_type.add(name="Container")
    container.oneof_decl.add(name="payload")
    for number, kind in members.items():
        field = container.field.add(name=f"f{number}", number=number, label=T.LABEL_OPTIONAL, oneof_index=0)
        if kind in SCALARS:
            field.type = SCALARS[kind][1]
            continue
        field.type, field.type_name = T.TYPE_MESSAGE, f".{name}.{kind.__name__}"
        inner = file.message_type.add(name=kind.__name__)
        for n, attribute, letter in SUB_MESSAGES[kind]:
            inner.field.add(name=attribute, number=n, label=T.LABEL_OPTIONAL, type=LETTERS[letter])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{name}.Container"))


ORACLES = {key: _oracle(f"{key[0].value}_{key[1]}", members) for key, members in TABLES.items()}
CODECS = {
    "to": (wire.encode_to_board, wire.decode_to_board),
    "from": (wire.encode_from_board, wire.decode_from_board),
}

FLOATS = st.floats(width=32, allow_nan=False)
BY_TYPE = {"int": st.integers(0, 2**32 - 1), "float": FLOATS, "bool": st.booleans(), "str": st.text(max_size=40)}


def _messages(kind: type) -> st.SearchStrategy[Any]:
    enums = {m.CpStateReport: m.CpState, m.PpStateReport: m.PpState, m.LockStateReport: m.LockState}
    enums |= {m.ResetReport: m.ResetReason}
    if kind in enums:
        return st.sampled_from(enums[kind]).map(kind)
    return st.builds(kind, **{f.name: BY_TYPE[str(f.type)] for f in dataclasses.fields(kind)})


CASES = [(variant, way, number, kind) for (variant, way), t in TABLES.items() for number, kind in t.items()]


def test_the_tables_name_every_message_of_the_boards() -> None:
    for (variant, way), members in TABLES.items():
        assert dict((wire.TO_BOARD if way == "to" else wire.FROM_BOARD)[variant]) == members


@pytest.mark.parametrize(("variant", "way", "number", "kind"), CASES)
@given(data=st.data())
def test_encodes_and_decodes_like_google_protobuf(
    variant: Variant, way: str, number: int, kind: type, data: st.DataObject
) -> None:
    message = data.draw(_messages(kind))
    encode, decode = CODECS[way]
    payload = encode(variant, message)
    parsed = ORACLES[variant, way].FromString(payload)
    assert parsed.WhichOneof("payload") == f"f{number}"
    seen = getattr(parsed, f"f{number}")
    if kind in SCALARS:
        attribute = SCALARS[kind][0]
        assert seen == (getattr(message, attribute) if attribute else True)
    else:
        for _, attribute, _ in SUB_MESSAGES[kind]:
            assert getattr(seen, attribute) == getattr(message, attribute)
    assert parsed.SerializeToString() == payload  # canonical, byte for byte
    assert decode(variant, payload) == message


def test_vector_of_a_duty_cycle_on_yeti() -> None:
    payload = wire.encode_to_board(Variant.YETI, m.PwmDutyCycle(2667))
    assert payload == bytes.fromhex("B806EB14")
    assert wire.crc(payload) == 0xA5A0C47E
    assert wire.frame(payload) == bytes.fromhex("09B806EB147EC4A0A500")


def test_checksum_of_the_catalogue() -> None:
    assert wire.crc(b"123456789") == 0x340BC6D9


@given(st.binary(max_size=300))
def test_checksum_over_payload_and_checksum_is_zero(payload: bytes) -> None:
    assert wire.crc(payload + wire.crc(payload).to_bytes(4, "little")) == 0


@pytest.mark.parametrize(
    ("plain", "stuffed"),
    [
        ("", "01"),
        ("00", "0101"),
        ("0000", "010101"),
        ("00110000", "010211" + "0101"),
        ("11220033", "03112202" + "33"),
        ("11223344", "0511223344"),
        ("11000000", "0211010101"),
        ("AA" * 254, "FF" + "AA" * 254),
        ("AA" * 255, "FF" + "AA" * 254 + "02AA"),
        ("AA" * 254 + "00", "FF" + "AA" * 254 + "0101"),
        ("00" + "AA" * 254, "01FF" + "AA" * 254),
    ],
)
def test_cobs_vectors(plain: str, stuffed: str) -> None:
    assert cobs.encode(bytes.fromhex(plain)) == bytes.fromhex(stuffed)
    assert cobs.decode(bytes.fromhex(stuffed)) == bytes.fromhex(plain)


def test_cobs_takes_a_needless_empty_run_after_a_full_one() -> None:
    assert cobs.decode(b"\xff" + b"\xaa" * 254 + b"\x01") == b"\xaa" * 254


ZEROS_AND_RUNS = st.lists(
    st.one_of(st.binary(max_size=4), st.integers(250, 520).map(lambda n: b"\x55" * n), st.just(b"\x00"))
).map(b"".join)


@given(ZEROS_AND_RUNS)
def test_cobs_gives_back_what_it_took_and_never_a_delimiter(plain: bytes) -> None:
    stuffed = cobs.encode(plain)
    assert 0 not in stuffed
    assert cobs.decode(stuffed) == plain


@pytest.mark.parametrize("block", ["", "05AABB", "03AA00", "00", "FF01"])
def test_cobs_refuses_what_is_not_cobs(block: str) -> None:
    with pytest.raises(cobs.CobsError):
        cobs.decode(bytes.fromhex(block))


@given(st.integers(0, 2**64 - 1))
def test_varint_round_trip(value: int) -> None:
    raw = proto3.encode_varint(value)
    assert proto3.decode_varint(raw, 0) == (value, len(raw))


@pytest.mark.parametrize("raw", ["", "80", "FF" * 9 + "7F", "FF" * 11, "80" * 10 + "01"])
def test_varint_refuses_what_is_cut_or_too_long(raw: str) -> None:
    with pytest.raises(proto3.Proto3Error):
        proto3.decode_varint(bytes.fromhex(raw), 0)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_a_number_that_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(wire.PayloadError, match="does not fit"):
        wire.encode_to_board(Variant.YETI, m.PwmDutyCycle(value))


def test_a_message_that_the_variant_lacks_is_refused() -> None:
    with pytest.raises(wire.PayloadError, match="tida has no SetNumberOfPhases"):
        wire.encode_to_board(Variant.TIDA, m.SetNumberOfPhases(True))


@given(st.binary(max_size=60))
def test_arbitrary_payloads_give_a_message_or_payload_error(payload: bytes) -> None:
    for variant in Variant:
        for decode in (wire.decode_from_board, wire.decode_to_board):
            try:
                decode(variant, payload)
            except wire.PayloadError:
                continue


@given(st.binary(max_size=60), st.sampled_from(list(TABLES)))
def test_what_google_protobuf_refuses_is_refused(payload: bytes, key: tuple[Variant, str]) -> None:
    try:
        CODECS[key[1]][1](key[0], payload)
    except wire.PayloadError:
        return
    ORACLES[key].FromString(payload)


def test_enum_values_that_the_protocol_does_not_name_become_none() -> None:
    assert wire.decode_from_board(Variant.YETI, bytes.fromhex("B00609")) == m.CpStateReport(None)
    assert wire.decode_from_board(Variant.TIDA, bytes.fromhex("3863")) == m.PpStateReport(None)


def test_a_member_of_the_wrong_wire_type_is_refused() -> None:
    # Yeti's keep-alive (id 3) read as TIDA's cp_state: a length where a number belongs.
    payload = wire.encode_from_board(Variant.YETI, m.KeepAliveLo(hw_type=1))
    with pytest.raises(wire.PayloadError):
        wire.decode_from_board(Variant.TIDA, payload)


def test_fields_of_later_versions_are_skipped() -> None:
    payload = wire.encode_from_board(Variant.TIDA, m.ErrorFlags(diode_fault=True))
    later = payload[:1] + bytes([payload[1] + 3]) + payload[2:] + bytes.fromhex("980605")
    assert wire.decode_from_board(Variant.TIDA, later) == m.ErrorFlags(diode_fault=True)


PAYLOADS = st.lists(st.binary(min_size=1, max_size=80), max_size=6)


@given(PAYLOADS, st.lists(st.integers(0, 600), max_size=8))
def test_a_stream_split_anywhere_gives_the_same_frames(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(wire.frame(payload) for payload in payloads)
    reader = wire.FrameReader()
    got = []
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    for begin, end in itertools.pairwise(edges):
        got += reader.feed(stream[begin:end])
    assert got == payloads
    assert reader.damaged == 0


@given(st.binary(max_size=3000), st.binary(min_size=1, max_size=80))
def test_after_any_garbage_and_a_delimiter_the_next_frame_is_read(garbage: bytes, payload: bytes) -> None:
    reader = wire.FrameReader()
    reader.feed(garbage)
    reader.feed(b"\x00")
    assert reader.feed(wire.frame(payload)) == [payload]


@given(st.binary(min_size=1, max_size=80), st.data())
def test_one_wrong_byte_never_passes(payload: bytes, data: st.DataObject) -> None:
    sound = wire.frame(payload)
    at = data.draw(st.integers(0, len(sound) - 2))
    broken = bytearray(sound)
    broken[at] ^= data.draw(st.integers(1, 255))
    assert payload not in wire.FrameReader().feed(bytes(broken)) or bytes(broken) == sound
    assert all(len(p) < len(payload) for p in wire.FrameReader().feed(bytes(broken)))


def test_an_endless_stream_without_delimiter_takes_no_memory() -> None:
    reader = wire.FrameReader()
    for _ in range(100):
        reader.feed(b"\x01" * 1000)
    assert len(reader._rest) < wire.MAX_FRAME
    assert reader.feed(b"\x00" + wire.frame(b"\x01")) == [b"\x01"]
    assert reader.damaged == 1


def test_lone_delimiters_are_no_damage() -> None:
    reader = wire.FrameReader()
    assert reader.feed(b"\x00\x00\x00") == []
    assert reader.damaged == 0


def test_floats_are_ieee_754_single_little_endian() -> None:
    payload = wire.encode_from_board(Variant.TIDA, m.TelemetryTida(cp_voltage_hi=11.9))
    assert payload == b"\x32\x05\x0d" + struct.pack("<f", 11.9)
