"""Simulated meters and readers, byte for byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.meters.eastron import MAPS
from simulators.meters.modbus_line import ModbusLine, Slave, crc16
from simulators.meters.register import MeterCore, Sample, shown_kwh
from simulators.oracle import EventLog
from simulators.readers.pn532 import ACK, ERROR_FRAME, NACK, Pn532, frame
from simulators.readers.rdm6300 import Rdm6300


class Line:
    """Meters 1 (three-phase) and 2 (single-phase) on one line."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.slaves = {
            1: Slave(1, "sdm630", MeterCore(12_345), EventLog()),
            2: Slave(2, "sdm120", MeterCore(500), EventLog()),
        }
        self.line = ModbusLine(self.slaves, lambda data, _: self.answers.append(data))
        self.now = 1.0

    def ask(self, unit: int, first: int, count: int, function: int = 4) -> bytes | None:
        self.now += 1.0
        self.answers.clear()
        body = bytes([unit, function]) + struct.pack(">HH", first, count)
        self.line.receive(body + crc16(body), self.now)
        return self.answers[0] if self.answers else None

    def value(self, unit: int, address: int) -> float:
        answer = self.ask(unit, address, 2)
        assert answer is not None
        assert crc16(answer[:-2]) == answer[-2:]
        return float(struct.unpack(">f", answer[3:7])[0])


def test_the_published_vector() -> None:
    line = Line()
    line.line.receive(bytes.fromhex("01 04 00 00 00 02 71 CB"), 1.0)
    assert line.answers == [bytes.fromhex("01 04 04 43 66 00 00 0E 1F")]


def test_request_in_pieces_and_after_garbage() -> None:
    line = Line()
    request = bytes.fromhex("01 04 00 00 00 02 71 CB")
    line.line.receive(b"\x55\xaa", 1.0)
    line.line.receive(request[:3], 1.01)
    assert line.answers == []
    line.line.receive(request[3:], 1.02)
    assert len(line.answers) == 1
    line.line.receive(request[:3], 2.0)
    line.line.receive(request, 3.0)  # the torn half is forgotten
    assert len(line.answers) == 2


def test_values_of_both_maps() -> None:
    line = Line()
    sample = Sample((230.0, 231.0, 229.0), (16.0, 15.0, 14.0))
    line.slaves[1].core.integrate(0.0, sample)
    line.slaves[2].core.integrate(0.0, sample)
    assert [line.value(1, address) for address in (0, 2, 4, 6, 8, 10)] == [230, 231, 229, 16, 15, 14]
    assert line.value(1, 0x34) == pytest.approx(sample.total_power_w)
    assert line.value(1, 0x48) == shown_kwh(12_345)
    assert line.value(2, 0x0C) == pytest.approx(230 * 16)
    assert line.value(2, 0x156) == shown_kwh(500)
    assert {"sdm120", "sdm230", "sdm630", "sdm72d-m-v1", "sdm72d-m-v2"} == set(MAPS)


def test_block_read_carries_all_registers() -> None:
    answer = Line().ask(1, 0, 80)
    assert answer is not None
    assert answer[2] == 160
    assert struct.unpack(">f", answer[3 + 2 * 0x48 :][:4])[0] == shown_kwh(12_345)


@pytest.mark.parametrize(
    ("first", "count", "function"), [(1, 2, 4), (0, 3, 4), (0, 82, 4), (0x1FF, 2, 4), (0, 2, 3), (0, 2, 6)]
)
def test_what_it_has_not_is_answered_by_an_exception(first: int, count: int, function: int) -> None:
    answer = Line().ask(1, first, count, function)
    assert answer is not None
    assert answer[1] == function | 0x80


def test_faults() -> None:
    line = Line()
    core = line.slaves[1].core
    assert line.ask(9, 0, 2) is None
    core.silent = True
    assert line.ask(1, 0, 2) is None
    assert line.ask(2, 0, 2) is not None
    core.silent = False
    core.freeze(True)
    core.integrate(1000.0, Sample())
    assert line.value(1, 0x48) == shown_kwh(12_345)
    core.freeze(False)
    assert line.value(1, 0x48) == shown_kwh(13_345)
    core.energy_nan = True
    assert line.value(1, 0x48) != line.value(1, 0x48)
    assert line.value(1, 0) == 230.0
    core.energy_nan = False
    line.slaves[1].swapped_words = True
    assert line.value(1, 0) != 230.0
    line.slaves[1].swapped_words = False
    line.slaves[1].bad_crc = True
    answer = line.ask(1, 0, 2)
    assert answer is not None
    assert crc16(answer[:-2]) != answer[-2:]


def test_reads_of_the_register_are_written_down() -> None:
    line = Line()
    line.value(1, 0x48)
    line.value(1, 0x00)
    assert [entry["register_wh"] for entry in line.slaves[1].log.recent] == [12_345]


@given(st.integers(0, 16_384_000))
def test_each_watt_hour_survives_float32(register_wh: int) -> None:
    assert round(shown_kwh(register_wh) * 1000) == register_wh


@given(st.lists(st.floats(0, 50), max_size=200))
def test_nothing_is_lost_between_steps(steps_wh: list[float]) -> None:
    core = MeterCore(1000)
    for step_wh in steps_wh:
        before = core.energy_mwh
        core.integrate(step_wh, Sample())
        assert core.energy_mwh >= before
    assert core.energy_mwh / 1000 - 1000 == pytest.approx(sum(steps_wh), abs=0.0011)


class Reader:
    def __init__(self) -> None:
        self.sent = bytearray()
        self.device = Pn532(self.sent.extend)

    def ask(self, data: str, now: float = 1.0) -> str:
        self.sent.clear()
        self.device.receive(bytes.fromhex(data), now)
        return self.sent.hex()


GET_VERSION = "0000ff02fed4022a00"
SAM = "0000ff05fbd41401000116 00".replace(" ", "")
LIST = "0000ff04fcd44a0100e100"
DEADBEEF = "0000ff0cf4d54b010100040804deadbeef9600"


def test_pn532_answers_the_published_frames() -> None:
    reader = Reader()
    wake = "5555000000000000000000000000"
    assert reader.ask(wake + GET_VERSION) == ACK.hex() + "0000ff06fad50332010607e800"
    assert reader.ask(SAM) == ACK.hex() + "0000ff02fed5151600"
    assert reader.ask(LIST) == ACK.hex()  # waits for a card
    reader.device.present(bytes.fromhex("DEADBEEF"), 2.0)
    assert reader.sent.hex() == ACK.hex() + DEADBEEF
    assert reader.ask(LIST) == ACK.hex() + DEADBEEF  # still there
    assert reader.ask(NACK.hex()) == DEADBEEF
    reader.device.remove()
    assert reader.ask(LIST) == ACK.hex()


def test_pn532_gives_up_when_told_to_and_aborts_on_ack() -> None:
    reader = Reader()
    reader.ask(frame(bytes.fromhex("d43205000001")).hex())
    reader.ask(LIST, 1.0)
    assert reader.device.step(1.5) is False
    assert reader.sent.hex() == ACK.hex() + "0000ff03fdd54b00e000"
    reader = Reader()
    reader.ask(LIST)
    reader.ask(ACK.hex())
    reader.device.present(bytes.fromhex("DEADBEEF"), 2.0)
    assert reader.sent == b""


def test_pn532_survives_pieces_damage_and_unknown_commands() -> None:
    reader = Reader()
    frames = bytes.fromhex("ff00ff" + "0000ff02fdd4022a00" + GET_VERSION)  # a broken length, then a good one
    for byte in frames:
        reader.device.receive(bytes([byte]), 1.0)
    assert reader.sent.startswith(ACK)
    assert reader.device.commands == 1
    assert reader.ask(frame(b"\xd4\x99").hex()) == (ACK + ERROR_FRAME).hex()


def test_pn532_gives_seven_byte_cards() -> None:
    reader = Reader()
    reader.device.card = bytes.fromhex("04A1B2C3D4E5F6")
    assert "0704a1b2c3d4e5f6" in reader.ask(LIST)


def test_rdm6300_repeats_the_published_vector_while_the_card_stays() -> None:
    sent = bytearray()
    reader = Rdm6300(sent.extend)
    reader.present(bytes.fromhex("010F4D2A3B"), 1.0)
    vector = b"\x02010F4D2A3B52\x03"
    assert bytes(sent) == vector
    reader.step(1.1)
    assert bytes(sent) == vector * 2
    reader.remove()
    assert reader.step(2.0) is False
    assert bytes(sent) == vector * 2
