"""Reasons whose text holds values: the English text is whole, and a template with its values lies beside it."""

from __future__ import annotations

from agent.station.reasons import Reason
from agent.station.snapshot import _reason


def test_a_reason_with_values_tells_text_and_template() -> None:
    one = Reason("limit", "all together may draw {limit} A", "raise the limit", {"limit": "4.5"})
    assert _reason(one) == {
        "code": "limit",
        "text": "all together may draw 4.5 A",
        "remedy": "raise the limit",
        "template": "all together may draw {limit} A",
        "values": {"limit": "4.5"},
    }


def test_a_text_without_values_is_left_as_it_is_even_with_braces() -> None:
    one = Reason("fault:pilot", "the board says {x}", "look")
    assert _reason(one) == {"code": "fault:pilot", "text": "the board says {x}", "remedy": "look"}
