"""Periodic event streams (OCPP 2.1 N11 to N15): values of a monitor gathered and sent together, unconfirmed. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from agent.device_model.events import MonitorEvent
from agent.device_model.monitors import Monitor, StreamParameters

MOST_VALUES = 1000
"""That one stream gathers; older ones give way."""

LONGEST_INTERVAL_S = 86_400


class Stage(Enum):
    WANTED = "wanted"
    """The network has to be asked."""
    ASKED = "asked"
    OPEN = "open"
    REFUSED = "refused"
    """The monitor's events go their usual way (N11.FR.07)."""
    ENDING = "ending"
    """What it has gathered goes out, then the network is told (N13)."""


@dataclass(slots=True)
class Stream:
    id: int
    monitor: int
    parameters: StreamParameters
    stage: Stage = Stage.WANTED
    gathered: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=MOST_VALUES))
    """(monotonic seconds, value)"""
    sent_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """One message's worth."""

    stream: int
    values: Sequence[tuple[float, str]]
    pending: int
    """Values that are left behind (N15.FR.04)."""


class Streams:
    """``now`` is monotonic seconds."""

    def __init__(self) -> None:
        self._streams: dict[int, Stream] = {}
        self._next = 1
        self.carried = False
        """The connection of now has words for streams; else what their monitors tell are events."""

    def __iter__(self) -> Iterator[Stream]:
        return iter(list(self._streams.values()))

    def monitor_changed(self, before: Monitor | None, after: Monitor | None) -> None:
        """N11.FR.01, N13.FR.05, N13.FR.06"""
        number = after.id if after is not None else before.id if before is not None else 0
        present = next((s for s in self if s.monitor == number and s.stage is not Stage.ENDING), None)
        wanted = None if after is None else after.stream
        if present is not None and wanted is not None and present.stage is not Stage.REFUSED:
            present.parameters = wanted
            return
        if present is not None:
            self._end(present)
        if wanted is not None:
            self._streams[self._next] = Stream(self._next, number, wanted)
            self._next += 1

    def _end(self, stream: Stream) -> None:
        if stream.stage is Stage.OPEN:
            stream.stage = Stage.ENDING
        else:
            del self._streams[stream.id]

    # ---- the network's part ----

    def to_open(self) -> Stream | None:
        """The next one that the network has to be asked about; it counts as asked."""
        stream = next((each for each in self if each.stage is Stage.WANTED), None)
        if stream is not None:
            stream.stage = Stage.ASKED
        return stream

    def answered(self, number: int, accepted: bool | None, now: float) -> None:
        """What the network said of it; None: nothing, so it is asked again."""
        stream = self._streams.get(number)
        if stream is None or stream.stage is not Stage.ASKED:
            return
        stream.stage = Stage.WANTED if accepted is None else Stage.OPEN if accepted else Stage.REFUSED
        stream.sent_at = now

    def to_close(self) -> int | None:
        """The next one that is at its end, with nothing left to send (N13.FR.03); forgotten by this."""
        stream = next((each for each in self if each.stage is Stage.ENDING and not each.gathered), None)
        if stream is None:
            return None
        del self._streams[stream.id]
        return stream.id

    def adjust(self, number: int, parameters: StreamParameters) -> bool:
        """N14. False for a stream that is not open, or parameters that cannot be kept."""
        stream = self._streams.get(number)
        if stream is None or stream.stage is not Stage.OPEN or not acceptable(parameters):
            return False
        stream.parameters = parameters
        return True

    def open_ones(self) -> list[Stream]:
        """N12"""
        return [each for each in self if each.stage is Stage.OPEN]

    def renew(self) -> None:
        """Another network, or one that has forgotten: every stream is asked for again."""
        for stream in self:
            if stream.stage is Stage.ENDING:
                del self._streams[stream.id]
            else:
                stream.stage = Stage.WANTED
                stream.gathered.clear()

    # ---- values ----

    def take(self, event: MonitorEvent) -> bool:
        """Gather an event's value. False where its monitor has no open stream: it goes its usual way."""
        open_ones = self.open_ones() if self.carried else ()
        stream = next((each for each in open_ones if each.monitor == event.monitor), None)
        if stream is None:
            return False
        stream.gathered.append((event.stamp.monotonic_s, event.value))
        return True

    def batch(self, now: float) -> Batch | None:
        """The next message that is due (N15.FR.06 to FR.08)."""
        for stream in self:
            if self._due(stream, now):
                most = stream.parameters.values or len(stream.gathered)
                values = [stream.gathered.popleft() for _ in range(min(most, len(stream.gathered)))]
                stream.sent_at = now
                return Batch(stream.id, values, len(stream.gathered))
        return None

    @staticmethod
    def _due(stream: Stream, now: float) -> bool:
        if not stream.gathered or stream.stage not in (Stage.OPEN, Stage.ENDING):
            return False
        wanted = stream.parameters
        if stream.stage is Stage.ENDING or (wanted.values == 0 and wanted.interval_s == 0):
            return True
        enough = wanted.values > 0 and len(stream.gathered) >= wanted.values
        return enough or (wanted.interval_s > 0 and now >= stream.sent_at + wanted.interval_s)

    def next_wake(self, now: float) -> float | None:
        """When something may be due, if no value comes before."""
        times = [now for each in self if each.stage in (Stage.WANTED, Stage.ENDING) or self._due(each, now)]
        times += [
            each.sent_at + each.parameters.interval_s
            for each in self
            if each.stage is Stage.OPEN and each.gathered and each.parameters.interval_s > 0
        ]
        return min(times, default=None)


def acceptable(parameters: StreamParameters) -> bool:
    """Rates that can be kept."""
    return 0 <= parameters.interval_s <= LONGEST_INTERVAL_S and 0 <= parameters.values <= MOST_VALUES
