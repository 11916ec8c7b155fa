"""How the board's firmware reads the pilot: bands with hysteresis, two equal looks in a row.

Bands as public firmware of such boards has them ("mostly IEC 61851-1 Table A.4").
"""

from __future__ import annotations

from hal.drivers.mcu_board.messages import CpState

MIN_SAMPLE_GAP_S = 0.004

_NEXT_LOWER = {CpState.A: CpState.B, CpState.B: CpState.C, CpState.C: CpState.D}
_GAPS = ((10.0, 11.0, CpState.A), (7.0, 8.0, CpState.B), (4.0, 5.0, CpState.C))
_BANDS = (
    (11.0, 13.0, CpState.A),
    (8.0, 10.0, CpState.B),
    (5.0, 7.0, CpState.C),
    (2.0, 4.0, CpState.D),
    (-2.0, 2.0, CpState.E),
    (-13.0, -11.0, CpState.F),
)


def band(high_v: float, current: CpState | None) -> CpState | None:
    """State for a positive peak in volts; None outside every band."""
    for low_v, top_v, state in _BANDS:
        if low_v <= high_v <= top_v:
            return state
    for low_v, top_v, upper in _GAPS:
        if low_v < high_v < top_v:
            return upper if current is upper else _NEXT_LOWER[upper]
    return None


class PilotClassifier:
    """Debounced state. ``valid`` False: the level lies outside every band."""

    def __init__(self) -> None:
        self.state: CpState | None = None
        self.valid = True
        self._candidate: CpState | None = None
        self._sampled_at = -1.0
        self._skipped = False

    def sample(self, high_v: float, now: float) -> None:
        if now - self._sampled_at < MIN_SAMPLE_GAP_S:
            self._skipped = True
            return
        self._skipped = False
        self._sampled_at = now
        seen = band(high_v, self.state)
        if seen is self._candidate:
            self.valid = seen is not None
            if seen is not None:
                self.state = seen
        self._candidate = seen

    @property
    def settled(self) -> bool:
        """Nothing is left to look at again soon."""
        return self._candidate is self.state and not self._skipped
