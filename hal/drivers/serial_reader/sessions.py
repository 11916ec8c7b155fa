"""Conversations with card readers over time: what to send when, and what came of it. No line in here.

A session is begun when the line opens, fed with what arrives and asked for what to send. It gives card UIDs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from hal.drivers.serial_reader import ascii_telegrams, pn532, rdm6300
from hal.drivers.serial_reader.ascii_telegrams import AsciiOptions
from hal.drivers.serial_reader.pn532 import Frame, Signal
from hal.values import TokenKind

ACK_TIMEOUT_S = 0.1
"""The PN532 acknowledges within 15 ms; the rest is for a busy host."""
ANSWER_TIMEOUT_S = 0.5
RESTART_INTERVAL_S = 0.5
MISSES_ALLOWED = 3
"""So many commands in a row without acknowledgement, and the reader is taken to have lost its settings."""
STEP_S = 0.02


class Session(Protocol):
    kind: TokenKind

    def begin(self, now: float) -> bytes:
        """The line was opened. Returns what to send."""

    def feed(self, data: bytes, now: float) -> list[bytes]:
        """Take what arrived. Returns the UIDs of cards seen, as read."""

    def on_timer(self, now: float) -> bytes:
        """Returns what to send now."""

    def wake_at(self, now: float) -> float: ...

    def trouble(self) -> str:
        """Reason and remedy while the reader is not working, else empty."""


class _Step(Enum):
    """What the reader is asked for, in this order."""

    VERSION = pn532.GET_FIRMWARE_VERSION
    SAM = pn532.SAM_CONFIGURATION
    POLL = pn532.IN_LIST_PASSIVE_TARGET


_COMMANDS = {
    _Step.VERSION: pn532.WAKE + pn532.GET_FIRMWARE_VERSION_FRAME,
    _Step.SAM: pn532.SAM_CONFIGURATION_FRAME,
    _Step.POLL: pn532.IN_LIST_PASSIVE_TARGET_FRAME,
}


class _Stage(Enum):
    IDLE = "idle"
    AWAITS_ACK = "awaits acknowledgement"
    AWAITS_ANSWER = "awaits answer"


@dataclass(slots=True)
class Pn532Session:
    """Wakes the reader, configures it and looks for a card several times a second.

    A reader left to its defaults answers a search only once it has found a card. A search without an answer is ended
    by the host after the poll interval; that the reader acknowledges each search is its life sign.
    """

    poll_interval_s: float
    kind: TokenKind = TokenKind.ISO14443
    firmware: str = ""
    _reader: pn532.FrameReader = field(default_factory=pn532.FrameReader)
    _step: _Step = _Step.VERSION
    _stage: _Stage = _Stage.IDLE
    _deadline: float = 0.0
    _next_at: float = 0.0
    _sent_at: float = 0.0
    _misses: int = 0

    def begin(self, now: float) -> bytes:
        self._reader = pn532.FrameReader()
        self._misses = 0
        self._restart(now)
        return self.on_timer(now)

    def feed(self, data: bytes, now: float) -> list[bytes]:
        cards = []
        for item in self._reader.feed(data):
            if item is Signal.ACK:
                self._on_ack(now)
            elif item is Signal.NACK:
                self._miss(now)
            elif isinstance(item, Frame):
                card = self._on_frame(item, now)
                if card is not None:
                    cards.append(card)
        return cards

    def on_timer(self, now: float) -> bytes:
        prefix = b""
        if self._stage is not _Stage.IDLE and now >= self._deadline:
            if self._stage is _Stage.AWAITS_ANSWER and self._step is _Step.POLL:
                self._stage = _Stage.IDLE
                self._next_at = now
                prefix = pn532.ACK  # ends the search
            else:
                self._reader = pn532.FrameReader()  # it may hold the head of a frame that never ends
                self._miss(now)
        if self._stage is not _Stage.IDLE or now < self._next_at:
            return prefix
        self._stage = _Stage.AWAITS_ACK
        self._sent_at = now
        self._deadline = now + ACK_TIMEOUT_S
        return prefix + _COMMANDS[self._step]

    def wake_at(self, now: float) -> float:
        due = self._next_at if self._stage is _Stage.IDLE else self._deadline
        return min(due, now + STEP_S) if self._step is not _Step.POLL else min(due, now + self.poll_interval_s)

    def trouble(self) -> str:
        if self._step is _Step.POLL:
            return ""
        return "the reader does not answer; check its power and wiring, and that it is switched to serial (HSU)"

    def _on_ack(self, now: float) -> None:
        if self._stage is not _Stage.AWAITS_ACK:
            return
        self._stage = _Stage.AWAITS_ANSWER
        self._deadline = now + (self.poll_interval_s if self._step is _Step.POLL else ANSWER_TIMEOUT_S)
        if self._step is _Step.POLL:
            self._misses = 0

    def _on_frame(self, frame: Frame, now: float) -> bytes | None:
        if frame.direction == pn532.ERROR:
            self._miss(now)
            return None
        expected = self._step.value + 1
        if self._stage is _Stage.IDLE or frame.direction != pn532.FROM_READER or frame.data[:1] != bytes([expected]):
            return None
        self._stage = _Stage.IDLE
        self._next_at = now
        self._misses = 0
        if self._step is _Step.VERSION:
            if len(frame.data) >= 4:
                self.firmware = f"{frame.data[2]}.{frame.data[3]}"
            self._step = _Step.SAM
        elif self._step is _Step.SAM:
            self._step = _Step.POLL
        else:
            self._next_at = self._sent_at + self.poll_interval_s
            return pn532.parse_targets(frame.data)
        return None

    def _miss(self, now: float) -> None:
        """A command had no effect: say it again, and after several misses begin from the start."""
        self._stage = _Stage.IDLE
        self._next_at = now
        self._misses += 1
        if self._misses >= MISSES_ALLOWED:
            self._restart(now + RESTART_INTERVAL_S)
        elif self._step is not _Step.POLL:
            self._next_at = now + RESTART_INTERVAL_S
            self._step = _Step.VERSION

    def _restart(self, at: float) -> None:
        self._step = _Step.VERSION
        self._stage = _Stage.IDLE
        self._next_at = at


@dataclass(slots=True)
class Rdm6300Session:
    """Only listens: these readers speak when there is a card and at no other time."""

    kind: TokenKind = TokenKind.LOCAL
    """125 kHz transponders follow neither ISO/IEC 14443 nor 15693."""
    _reader: rdm6300.TelegramReader = field(default_factory=rdm6300.TelegramReader)

    def begin(self, now: float) -> bytes:  # noqa: ARG002 (part of the protocol)
        self._reader = rdm6300.TelegramReader()
        return b""

    def feed(self, data: bytes, now: float) -> list[bytes]:  # noqa: ARG002
        return self._reader.feed(data)

    def on_timer(self, now: float) -> bytes:  # noqa: ARG002
        return b""

    def wake_at(self, now: float) -> float:
        return now + 1.0

    def trouble(self) -> str:
        return ""


@dataclass(slots=True)
class AsciiSession:
    """Only listens to a reader that sends text."""

    options: AsciiOptions
    kind: TokenKind = TokenKind.LOCAL
    _reader: ascii_telegrams.TelegramReader = field(default_factory=ascii_telegrams.TelegramReader)

    def begin(self, now: float) -> bytes:  # noqa: ARG002 (part of the protocol)
        self.kind = self.options.kind
        self._reader = ascii_telegrams.TelegramReader(self.options)
        return b""

    def feed(self, data: bytes, now: float) -> list[bytes]:
        return self._reader.feed(data, now)

    def on_timer(self, now: float) -> bytes:  # noqa: ARG002
        return b""

    def wake_at(self, now: float) -> float:
        return now + 1.0

    def trouble(self) -> str:
        return ""
