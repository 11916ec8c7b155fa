"""Which phases of the feed an outlet loads (OCPP 1.6 §9.1.9 ConnectorPhaseRotation, 2.0.1 ElectricalFeed).

A rotation names the feed's phases in the order in which they reach L1, L2 and L3 of the outlet: at ``STR`` the
outlet's L1 hangs on the feed's second phase. What is not known loads all of them, which is the safe reading.
"""

from __future__ import annotations

ALL_LINES = frozenset((1, 2, 3))

_LINE = {"R": 1, "S": 2, "T": 3}


def lines_of(rotations: str, evse: int, phases: int, feed_phases: int) -> frozenset[int]:
    """Return the phases of the feed (1 … 3) that an outlet of ``phases`` wires loads.

    ``rotations``: like ``1.RST,2.STR``; an entry for 0 says nothing of an outlet.
    """
    if feed_phases == 1 or phases >= feed_phases:
        return ALL_LINES
    order = order_of(rotations, evse)
    return frozenset(order[:phases]) if order else ALL_LINES


def order_of(rotations: str, evse: int) -> tuple[int, ...]:
    """Return which phase of the feed (1 … 3) each of an outlet's phases is; empty where nobody has said."""
    for part in rotations.split(","):
        number, _, order = part.strip().partition(".")
        order = order.strip()
        if number.isascii() and number.isdigit() and int(number) == evse and sorted(order) == ["R", "S", "T"]:
            return tuple(_LINE[letter] for letter in order)
    return ()
