"""How readers write a card's number for the network."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers.token_format import ByteOrder, Radix, TokenFormatOptions, check_prefix

CARD = bytes.fromhex("04A1B2C3")
TAG = bytes.fromhex("010F4D2A3B")


@pytest.mark.parametrize(
    ("card", "options", "uid"),
    [
        (CARD, {}, "04A1B2C3"),
        (CARD, {"byte_order": ByteOrder.REVERSED}, "C3B2A104"),
        (CARD, {"uid_radix": Radix.DECIMAL}, "77705923"),
        (CARD, {"uid_radix": Radix.DECIMAL, "uid_width": 10}, "0077705923"),
        (CARD, {"uid_radix": Radix.DECIMAL, "byte_order": ByteOrder.REVERSED}, "3283263748"),
        (CARD, {"uid_width": 14, "uid_prefix": "ES-"}, "ES-00000004A1B2C3"),
        (CARD, {"uid_width": 4}, "04A1B2C3"),
        (TAG, {"uid_skip_bytes": 1, "uid_radix": Radix.DECIMAL, "uid_width": 10}, "0256715323"),
        (TAG, {"uid_skip_bytes": 1, "byte_order": ByteOrder.REVERSED}, "3B2A4D0F"),
        (CARD, {"uid_skip_bytes": 4}, ""),
        (CARD, {"uid_skip_bytes": 4, "uid_prefix": "X", "uid_width": 8}, ""),
        (b"", {}, ""),
    ],
)
def test_numbers_as_back_ends_want_them(card: bytes, options: dict[str, Any], uid: str) -> None:
    assert TokenFormatOptions(**options).uid_of(card) == uid


@given(
    st.binary(min_size=1, max_size=10),
    st.binary(min_size=1, max_size=10),
    st.sampled_from(ByteOrder),
    st.sampled_from(Radix),
    st.integers(0, 20),
)
def test_two_cards_of_one_size_never_become_one(
    first: bytes, second: bytes, order: ByteOrder, radix: Radix, width: int
) -> None:
    options = TokenFormatOptions(byte_order=order, uid_radix=radix, uid_width=width)
    if len(first) == len(second):
        assert (options.uid_of(first) == options.uid_of(second)) == (first == second)


def test_a_prefix_is_plain_text() -> None:
    assert check_prefix("DE*ABC-") == ""
    assert "too many" in check_prefix("X" * 13)
    assert "ASCII" in check_prefix("a b")
    assert "ASCII" in check_prefix("ü")
