"""Register maps: the shipped ones hold the makers' registers, and a broken one is refused with reason."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers import register_map
from hal.drivers.map_reading import MapError
from hal.drivers.register_map import Block, Register

V3 = [0x00, 0x02, 0x04]
I3 = [0x06, 0x08, 0x0A]
SINGLE_PHASE = ([0x00], [0x06], [0x0C])
SHIPPED = {
    "sdm120": SINGLE_PHASE,
    "sdm230": SINGLE_PHASE,
    "sdm630": (V3, I3, [0x34]),
    "sdm72d-m-v1": ([], [], [0x34]),
    "sdm72d-m-v2": (V3, I3, [0x34]),
}


def test_each_shipped_map_is_checked_here() -> None:
    assert {path.stem for path in register_map.FOLDER.glob("sdm*.yaml")} == set(SHIPPED)


@pytest.mark.parametrize("path", sorted(register_map.FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_map_loads_and_plans(path: Path) -> None:
    loaded = register_map.load(path.stem)
    assert loaded.blocks()


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_maps(name: str) -> None:
    loaded = register_map.load(name)
    voltage, current, power = SHIPPED[name]

    def addresses(key: str) -> list[int]:
        return [register.address for register in loaded.values.get(key, ())]

    assert (addresses("voltage_v"), addresses("current_a"), addresses("power_w")) == (voltage, current, power)
    assert (addresses("energy_import_wh"), addresses("energy_export_wh")) == ([0x48], [0x4A])
    assert loaded.function == 4
    assert loaded.energy.decode(struct.pack(">f", 12.3)) == pytest.approx(12_300, abs=0.01)
    assert register_map.check(name) == ""


def test_blocks_join_over_small_gaps_only() -> None:
    loaded = register_map.load("sdm630")
    assert loaded.blocks() == (Block(0, 76),)
    assert loaded.blocks(0) == (Block(0, 12), Block(0x34, 2), Block(0x3E, 2), Block(0x46, 6))


MINIMAL: dict[str, Any] = {"values": {"energy_import_wh": {"address": 0, "type": "uint32"}}}


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=3), st.integers(4, 125), st.integers(0, 125))
def test_blocks_hold_every_register_and_keep_the_limit(addresses: list[int], limit: int, gap: int) -> None:
    values = {"voltage_v": [{"address": address, "type": "float32"} for address in addresses]}
    content = {"max_registers": limit, "max_gap": gap, "values": {**MINIMAL["values"], **values}}
    loaded = register_map.parse(content, "test")
    blocks = loaded.blocks()
    assert all(1 <= block.count <= limit for block in blocks)
    for register in loaded.registers():
        assert any(b.address <= register.address and register.end <= b.address + b.count for b in blocks)


@pytest.mark.parametrize(
    ("register", "raw", "value"),
    [
        (Register(0, ">f"), "43660000", 230.0),
        (Register(0, ">i", 0.1, low_word_first=True), "08FD0000", 230.1),
        (Register(0, ">h", 0.001), "FC18", -1.0),
        (Register(0, ">Q", 10), "0000000000000064", 1000.0),
        (Register(0, ">Q", low_word_first=True), "0004000300020001", 0x0001000200030004),
        (Register(0, ">d"), "3FF8000000000000", 1.5),
        (Register(0, ">f"), "7FC00000", None),
        (Register(0, ">f"), "FF800000", None),
        (Register(0, ">I", absent=(0xFFFFFFFF,)), "FFFFFFFF", None),
        (Register(0, ">H", 0.1), "04D2", 123.4),
        (Register(0, ">f"), "00004366", None),  # 230.0 with its words swapped: too small to have been measured
        (Register(0, ">f"), "00000000", 0.0),
    ],
)
def test_decoding(register: Register, raw: str, value: float | None) -> None:
    assert register.decode(bytes.fromhex(raw)) == value


@given(
    st.sampled_from([">h", ">H", ">i", ">I", ">q", ">Q", ">f", ">d"]), st.binary(min_size=8, max_size=8), st.booleans()
)
def test_any_bytes_decode_to_a_finite_number_or_none(form: str, raw: bytes, low_first: bool) -> None:
    register = Register(0, form, 0.001, low_first)
    value = register.decode(raw[: 2 * register.count])
    assert value is None or value - value == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "give keys and values"),
        ([], "give keys and values"),
        ({}, "values: give keys and values"),
        ({"values": {}}, "energy_import_wh is missing"),
        ({"values": {"energy_import_wh": {"address": 0, "type": "int32", "optional": True}}}, "may not be optional"),
        ({"values": {"energy_import_wh": {"address": 0, "type": "int32", "rolls_over_at": -1}}}, "rolls_over_at"),
        ({**MINIMAL, "also": "x"}, "give a list of names"),
        ({**MINIMAL, "colour": 1}, "unknown: colour; allowed are"),
        ({**MINIMAL, "function": 6}, "function: 6 is none of 3, 4"),
        ({**MINIMAL, "word_order": "odd"}, "word_order"),
        ({**MINIMAL, "max_registers": 126}, "whole number from 4 to 125"),
        ({**MINIMAL, "max_gap": True}, "max_gap"),
        ({"values": {"energy_import_wh": {"address": 0, "type": "bcd"}}}, "type: 'bcd' is none of"),
        ({"values": {"energy_import_wh": {"type": "int16"}}}, "address: None"),
        ({"values": {"energy_import_wh": {"address": 65535, "type": "int32"}}}, "address"),
        ({"values": {"energy_import_wh": {"address": 0, "type": "int32", "scale": 0}}}, "other than 0"),
        ({"values": {"energy_import_wh": {"address": 0, "type": "int32", "absent": 1}}}, "absent"),
        ({"values": {"energy_import_wh": {"address": 0, "type": "int32", "optional": 1}}}, "optional"),
        ({"values": {"energy_import_wh": [{"address": 0, "type": "int32"}] * 2}}, "give one register"),
        ({"values": {**MINIMAL["values"], "voltage_v": []}}, "one to three"),
    ],
)
def test_broken_maps_are_refused_with_reason(content: Any, message: str) -> None:
    with pytest.raises(MapError, match=message) as caught:
        register_map.parse(content, "mine.yaml")
    assert "mine.yaml" in str(caught.value)


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=12)
            | st.sampled_from(["values", "function", "energy_import_wh", "address", "type", "scale", "voltage_v"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSONISH)
def test_any_content_gives_a_map_or_map_error(content: Any) -> None:
    try:
        register_map.parse(content, "x")
    except MapError:
        return


def test_missing_and_unreadable_files_are_named(tmp_path: Path) -> None:
    assert "sdm120" in register_map.check("no-such-meter")
    bad = tmp_path / "bad.yaml"
    bad.write_text("values: [")
    assert "is not YAML" in register_map.check(str(bad))
    bad.write_bytes(b"\xff\xfe\x00")
    assert str(bad) in register_map.check(str(bad))
    assert "cannot be read" in register_map.check(str(tmp_path) + "/")


def test_a_users_own_map_by_path(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("name: Mine\nvalues:\n  energy_import_wh: {address: 16, type: uint32, scale: 10}\n")
    assert register_map.load(str(own)).energy == Register(16, ">I", 10.0, rolls_over_at=10.0 * 2**32)
