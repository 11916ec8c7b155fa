"""A contactor's coil and mirror contact, and a second contactor for phases L2 and L3."""

from __future__ import annotations

from dataclasses import dataclass

from hal.drivers.gpio.pins import Pin
from hal.drivers.gpio.unit import Unit, seen_at
from hal.gpio.address import check_input, check_output
from hal.options import option
from hal.values import ContactorReading

SECOND_CLOSES_S = 0.1
"""Without feedback of the first contactor, the second one follows so much later."""
FOLLOW_S = 0.01


@dataclass(frozen=True, slots=True)
class ContactorOptions:
    coil: str = option(help="output: active energises the coil", exclusive="GPIO line", check=check_output)
    mirror: str = option(
        "",
        help="input: mirror contact (normally closed); active while the circuit through it is closed, so contacts open",
        exclusive="GPIO line",
        check=check_input,
    )
    feedback: str = option(
        "",
        help="input: auxiliary contact (normally open); active while the main contacts are closed. Proves no weld",
        exclusive="GPIO line",
        check=check_input,
    )
    coil_l2_l3: str = option(
        "", help="output: second contactor, for L2 and L3", exclusive="GPIO line", check=check_output
    )
    mirror_l2_l3: str = option(
        "", help="input: mirror contact of the second contactor", exclusive="GPIO line", check=check_input
    )

    def __post_init__(self) -> None:
        if self.mirror and self.feedback:
            raise ValueError("mirror and feedback tell the same; give the mirror contact alone")
        if self.mirror_l2_l3 and not self.coil_l2_l3:
            raise ValueError("mirror_l2_l3 belongs to coil_l2_l3, which is missing; give both")


class ContactorUnit(Unit):
    """Implements Contactor. Whether feedback means welded, late or stuck is control's judgement."""

    def __init__(self, options: ContactorOptions, consumer: str) -> None:
        def pin(text: str, *, output: bool) -> Pin | None:
            return Pin(text, output=output, consumer=consumer) if text else None

        coil = pin(options.coil, output=True)
        assert coil is not None
        self._coil = coil
        self._first = pin(options.mirror or options.feedback, output=False)
        self._mirrored = bool(options.mirror)
        self._coil_rest = pin(options.coil_l2_l3, output=True)
        self._rest = pin(options.mirror_l2_l3, output=False)
        self._three = True
        self._closed_at: float | None = None
        """When the first coil was energised; None while it is not."""
        super().__init__(self._coil, self._first, self._coil_rest, self._rest)

    def set_contactor(self, closed: bool, now: float) -> None:
        if not closed:
            self._open()
            return
        if self._coil.set(True) and self._closed_at is None:
            self._closed_at = now
        self._follow(now)

    def set_phases(self, phases: int, now: float) -> None:  # noqa: ARG002 (part of the port)
        if self._closed_at is None:
            self._three = phases == 3

    def contactor(self) -> ContactorReading | None:
        feedback = [pin for pin in (self._first, self._rest) if pin is not None]
        if not feedback:
            return ContactorReading(self._coil.at, None) if self._coil.is_open else None
        first, rest = self._first_closed(), self._rest_closed()
        if any(pin.level is None for pin in feedback):
            return None
        closed = bool(first) or bool(rest)
        phases = None if self._rest is None or not closed else 3 if rest else 1
        return ContactorReading(seen_at(*feedback), closed, phases)

    def on_timer(self, now: float) -> float:
        if not self._coil.is_open:
            self._open()
        waits = self._follow(now)
        return now + FOLLOW_S if waits else super().on_timer(now)

    def make_safe(self, now: float) -> None:  # noqa: ARG002 (part of the unit)
        self._open()

    def _open(self) -> None:
        self._coil.set(False)
        if self._coil_rest is not None:
            self._coil_rest.set(False)
        self._closed_at = None

    def _follow(self, now: float) -> bool:
        """L2 and L3 come after L1 and neutral. Returns True while they are still awaited."""
        if self._coil_rest is None or not self._three or self._closed_at is None or self._coil_rest.level:
            return False
        closed = self._first_closed()
        if closed or (closed is None and now - self._closed_at >= SECOND_CLOSES_S):
            self._coil_rest.set(True)
            return False
        return closed is None

    def on_edges(self, pin: Pin, events: object, now: float) -> None:  # noqa: ARG002 (the level says it all)
        self._follow(now)

    def _first_closed(self) -> bool | None:
        if self._first is None or self._first.level is None:
            return None
        return self._first.level != self._mirrored

    def _rest_closed(self) -> bool | None:
        return None if self._rest is None or self._rest.level is None else not self._rest.level
