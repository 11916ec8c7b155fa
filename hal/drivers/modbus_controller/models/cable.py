"""The plugged cable's coding, as controllers give it: a rating in ampere (IEC 61851-1 Annex B)."""

from __future__ import annotations

from hal.values import Cable

_RATINGS = {0: Cable.NONE, 13: Cable.A13, 20: Cable.A20, 32: Cable.A32, 63: Cable.A63, 70: Cable.A63, 80: Cable.A63}


def cable_of(rating_a: int) -> Cable:
    """FAULT for a rating that no cable has."""
    return _RATINGS.get(rating_a, Cable.FAULT)
