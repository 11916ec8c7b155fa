"""From frames to values: what the other side has told, and what of it still counts. Pure.

A frame that is too short, has a wrong checksum, or repeats its counter is no news and renews nothing: a sender that
hangs with its last frame in a hardware buffer looks alive to CAN, but its counter stands still.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hal.can.frames import Frame
from hal.can.roles import READ_NUMBERS, READ_RAW
from hal.can.table import Incoming, Table, good


@dataclass(slots=True)
class _Heard:
    """What is known of one message."""

    at: float | None = None
    good_in_a_row: int = 0
    counter: int | None = None
    trouble: str = ""


@dataclass(slots=True)
class Receiver:
    """Takes frames; ``value`` hands out what holds now."""

    table: Table
    offset: int = 0
    """Added to every id of the table."""
    mismatch: str = ""
    """Not empty: the other side is not what the table describes."""
    _by_key: dict[tuple[int, bool], Incoming] = field(default_factory=dict)
    _heard: dict[str, _Heard] = field(default_factory=dict)
    _values: dict[str, tuple[Any, float]] = field(default_factory=dict)
    _timeouts: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for message in self.table.incoming:
            self._by_key[(message.id + self.offset, message.extended)] = message
            self._timeouts.update(dict.fromkeys(message.signals, message.timeout_s))
        self.forget()

    @property
    def keys(self) -> frozenset[tuple[int, bool]]:
        return frozenset(self._by_key)

    def forget(self, but: Incoming | None = None) -> None:
        """Begin anew with a sender of which nothing is known, ``but`` what this message has just told."""
        self.mismatch = ""
        kept = frozenset(but.signals) if but is not None else frozenset()
        self._heard = {
            message.name: self._heard[message.name] if message is but else _Heard() for message in self.table.incoming
        }
        self._values = {role: told for role, told in self._values.items() if role in kept}

    def take(self, frame: Frame, now: float) -> Incoming | None:
        """Take one frame. Returns its message when it is a good one of ours."""
        message = self._by_key.get(frame.key)
        if message is None or frame.remote:
            return None
        heard, data = self._heard[message.name], frame.data
        if not good(message, frame):
            heard.good_in_a_row = 0
            short = len(data) < message.size
            heard.trouble = f"has {len(data)} bytes, expected {message.size}" if short else "has a wrong checksum"
            return None
        if message.counter is not None:
            counter = message.counter.bits(data)
            if counter == heard.counter:
                heard.trouble = "its counter stands still"
                return None
            heard.counter = counter
        if not self._expected(message, data):
            return None
        page = None if message.multiplexor is None else message.multiplexor.bits(data)
        for role, signal in message.signals.items():
            if signal.mux and page not in signal.mux:
                continue
            if role in READ_NUMBERS:
                value: Any = signal.number(data)
            elif role in READ_RAW:
                value = signal.bits(data)
            else:
                value = signal.meaning(data)
            self._values[role] = (value, now)
        if self._overdue(message, now):
            heard.good_in_a_row = 0
        heard.at, heard.trouble = now, ""
        heard.good_in_a_row += 1
        return message

    def _expected(self, message: Incoming, data: bytes) -> bool:
        page = None if message.multiplexor is None else message.multiplexor.bits(data)
        for signal, raws in message.expect:
            if (not signal.mux or page in signal.mux) and signal.bits(data) not in raws:
                wanted = " or ".join(str(raw) for raw in raws)
                self.mismatch = (
                    f"{signal.name} is {signal.bits(data)}, expected {wanted}; "
                    "install matching firmware, or correct DBC file and mapping"
                )
                return False
        if message.expect:
            self.mismatch = ""
        return True

    def value(self, role: str, now: float) -> Any:
        """Return what was last told, None when nothing was, it meant "no value", or its message is overdue."""
        told = self._values.get(role)
        return None if told is None or now - told[1] >= self._timeouts[role] else told[0]

    def at(self, role: str) -> float | None:
        """When it was last told, value or not."""
        told = self._values.get(role)
        return None if told is None else told[1]

    def alive_at(self) -> float | None:
        """The time of the heartbeat message that is longest past; None when one was never heard."""
        times = [self._heard[message.name].at for message in self.table.incoming if message.heartbeat]
        known = [at for at in times if at is not None]
        return min(known) if known and len(known) == len(times) else None

    def last_at(self) -> float | None:
        """When any good frame came last."""
        return max((heard.at for heard in self._heard.values() if heard.at is not None), default=None)

    def fresh(self, now: float) -> bool:
        """No heartbeat message is missing or overdue, and the sender is what it should be."""
        return not self.mismatch and not any(
            self._overdue(message, now) for message in self.table.incoming if message.heartbeat
        )

    def steady(self, now: float) -> bool:
        """Fresh, each heartbeat message twice in a row, and whatever must be expected was seen."""
        return self.fresh(now) and all(
            self._heard[message.name].good_in_a_row >= (2 if message.heartbeat else 1)
            for message in self.table.incoming
            if message.heartbeat or message.expect
        )

    def troubles(self, now: float) -> list[str]:
        """Say of each message what is wrong with it."""
        if self.mismatch:
            return [self.mismatch]
        found = []
        for message in self.table.incoming:
            heard = self._heard[message.name]
            if heard.trouble:
                found.append(f"{message.name}: {heard.trouble}")
            elif self._overdue(message, now):
                since = "yet" if heard.at is None else f"for {now - heard.at:.1f} s"
                found.append(f"{message.name} (id {message.id + self.offset:#x}): not heard {since}")
        return found

    def _overdue(self, message: Incoming, now: float) -> bool:
        at = self._heard[message.name].at
        return at is None or now - at >= message.timeout_s
