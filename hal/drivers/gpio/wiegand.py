"""Wiegand card readers and keypads: pulses on two lines, timed by the kernel.

Each line's edges come in their own queue, so bits are put in order by their time stamps, and a frame is judged once
the lines have been silent. A frame with a lost pulse, an odd length or wrong parity is no card.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hal.drivers.gpio.pins import Pin
from hal.drivers.gpio.unit import Unit
from hal.gpio.address import check_input
from hal.gpio.lines import Edges, LineEvent
from hal.options import option
from hal.values import TokenKind, TokenRead

MAX_WAITING = 16
MAX_BITS = 256
BUFFER = 128
"""Pulses that the kernel keeps per line: two frames of 34 bits, all of one kind, and more."""
SHORTEST_PULSE_S = 20e-6
"""Two pulses closer than this are noise. The tightest readers send 200 µs apart."""
PIN_DIGITS = 16


@dataclass(frozen=True, slots=True)
class WiegandOptions:
    d0: str = option(
        help="input: D0, active while low (usually 'active-low pull-up')", exclusive="GPIO line", check=check_input
    )
    d1: str = option(help="input: D1, as D0", exclusive="GPIO line", check=check_input)
    formats: tuple[int, ...] = option(
        (26, 34), help="lengths of card frames in bits", check=lambda formats: _check_formats(formats)
    )
    frame_gap_ms: float = option(30.0, help="silence that ends a frame", unit="ms", ge=5, le=200)
    reversed_bytes: bool = option(False, help="hand out the card number's bytes in reversed order")
    kind: TokenKind = option(TokenKind.ISO14443, help="what the cards are: ISO14443, ISO15693 or Local")
    debounce_s: float = option(
        1.5, help="a card seen again within this time is the same presentation", unit="s", ge=0.5, le=60
    )
    keypad: bool = option(False, help="the reader has keys (groups of 4 or 8 bits); digits and # make a Local token")
    keypad_timeout_s: float = option(10.0, help="digits without # are forgotten after this", unit="s", ge=1, le=60)


def _check_formats(formats: tuple[int, ...]) -> str:
    wrong = [length for length in formats if length not in (26, 34)]
    return f"{wrong[0]} bits are unknown; use 26 and 34" if wrong else "" if formats else "names no length; use 26, 34"


def decode_card(bits: Sequence[int], formats: Sequence[int]) -> bytes | None:
    """Return the card number of a frame (3 bytes of 26 bits, 4 bytes of 34), None for anything else.

    The first bit makes the first half even, the last bit makes the second half odd.
    """
    if len(bits) not in formats:
        return None
    half = len(bits) // 2
    if sum(bits[:half]) % 2 != 0 or sum(bits[half:]) % 2 != 1:
        return None
    number = int("".join(map(str, bits[1:-1])), 2)
    return number.to_bytes((len(bits) - 2) // 8, "big")


def decode_key(bits: Sequence[int]) -> int | None:
    """Return the key of a 4-bit group, or of 8 bits whose first half is the second's complement. 10 is *, 11 is #."""
    value = int("".join(map(str, bits)), 2) if bits else 0
    if len(bits) == 8 and value >> 4 == (~value & 0xF):
        value &= 0xF
    elif len(bits) != 4:
        return None
    return value if value <= 11 else None


@dataclass(frozen=True, slots=True)
class Pulse:
    at: float
    bit: int


def split_frames(pulses: list[Pulse], gap_s: float, now: float) -> tuple[list[list[int]], list[Pulse]]:
    """Return the finished frames, and the pulses of one that may still go on. ``pulses`` in any order."""
    frames: list[list[Pulse]] = []
    for pulse in sorted(pulses, key=lambda pulse: pulse.at):
        if frames and pulse.at - frames[-1][-1].at < gap_s:
            frames[-1].append(pulse)
        else:
            frames.append([pulse])
    rest = frames.pop() if frames and now - frames[-1][-1].at < gap_s else []
    return [[] if _is_noise(frame) else [pulse.bit for pulse in frame] for frame in frames], rest


def _is_noise(frame: list[Pulse]) -> bool:
    """Pulses of both lines at once are no bits."""
    return any(after.at - before.at < SHORTEST_PULSE_S for before, after in pairwise(frame))


class WiegandUnit(Unit):
    """Implements TokenReader."""

    def __init__(self, options: WiegandOptions, consumer: str) -> None:
        def pin(text: str) -> Pin:
            return Pin(text, output=False, consumer=consumer, edges=Edges.RISING, buffer=BUFFER)

        self._options = options
        self._gap_s = options.frame_gap_ms / 1000
        self._d0, self._d1 = pin(options.d0), pin(options.d1)
        self._serials: dict[Pin, int] = {}
        self._pulses: list[Pulse] = []
        self._spoilt = False
        """A pulse of the frame that is coming in was lost."""
        self._tokens: deque[TokenRead] = deque(maxlen=MAX_WAITING)
        self._seen: dict[str, float] = {}
        self._keys = ""
        self._key_at = -math.inf
        super().__init__(self._d0, self._d1)

    def take_tokens(self) -> list[TokenRead]:
        tokens = list(self._tokens)
        self._tokens.clear()
        return tokens

    def on_edges(self, pin: Pin, events: list[LineEvent], now: float) -> None:  # noqa: ARG002 (edges have their own)
        bit = int(pin is self._d1)
        for event in events:
            last = self._serials.get(pin, 0)
            self._spoilt = self._spoilt or event.serial not in (last + 1, 1)
            self._serials[pin] = event.serial
            self._pulses.append(Pulse(event.at, bit))
        if len(self._pulses) > MAX_BITS:
            self._pulses.clear()
            self._spoilt = True

    def on_timer(self, now: float) -> float:
        if not all(pin.is_open for pin in self.pins):
            self._pulses.clear()
        if not self._pulses:
            return math.inf
        frames, self._pulses = split_frames(self._pulses, self._gap_s, now)
        for frame in frames:
            if not self._spoilt:
                self._take(frame, now)
            self._spoilt = False  # what is lost was lost before the silence
        if not self._pulses:
            return math.inf
        return max(pulse.at for pulse in self._pulses) + self._gap_s

    def _take(self, frame: list[int], now: float) -> None:
        card = decode_card(frame, self._options.formats)
        if card is not None:
            self._present(card, now)
        elif self._options.keypad:
            key = decode_key(frame)
            if key is not None:
                self._press(key, now)

    def _present(self, card: bytes, now: float) -> None:
        uid = (card[::-1] if self._options.reversed_bytes else card).hex().upper()
        debounce_s = self._options.debounce_s
        self._seen = {known: at for known, at in self._seen.items() if now - at < debounce_s}
        is_new = uid not in self._seen
        self._seen[uid] = now
        if is_new:
            self._tokens.append(TokenRead(now, uid, self._options.kind))

    def _press(self, key: int, now: float) -> None:
        if now - self._key_at >= self._options.keypad_timeout_s or key == 10:
            self._keys = ""
        self._key_at = now
        if key < 10:
            self._keys = (self._keys + str(key))[-PIN_DIGITS:]
        elif key == 11 and self._keys:
            self._tokens.append(TokenRead(now, self._keys, TokenKind.LOCAL))
            self._keys = ""
