"""Rules that several sections share. Each returns what is wrong with a value, or nothing."""

from __future__ import annotations


def length(value: str, most: int) -> str:
    return "" if len(value) <= most else f"is {len(value)} characters long; shorten it to {most}"


def pilot_current(value: float, nothing: str) -> str:
    # IEC 61851-1 Annex A: duty cycles for an offered current begin at 10 %, which is 6 A.
    return "" if value == 0 or value >= 6 else f"use 0 for {nothing}, or at least 6 (no pilot exists below 6 A)"
