"""Pilot boards for the reaction figures: many ptys in one lean process that stamps its bytes with nanoseconds.

Each board plays a short story over and over: plug in, ask for energy, let the contactor close, then either leave
state C, lose the pilot (state E) or trip the residual-current monitor, and see how long the host takes to forbid
power. The time runs from right before the write of that frame to right after the read that completed the first frame
which forbids: ``allow_power_on`` false or the pilot at F, whichever comes first. What the pty itself and the
scheduler cost is in that time; the bare loop (``bare_loop``) on a port of its own tells how much that is.

Run as ``python -m tests.bench.boards OPTIONS_JSON``; the answer is one JSON line when the ports are there and one at
the end.
"""

from __future__ import annotations

import gc
import heapq
import json
import os
import random
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hal.drivers.mcu_board.messages import (
    DUTY_F,
    DUTY_X1,
    AllowPowerOn,
    CpState,
    CpStateReport,
    ErrorFlags,
    FromBoard,
    KeepAlive,
    KeepAliveLo,
    PowerMeter,
    PwmDutyCycle,
    RelaisState,
    Reset,
    ResetReason,
    ResetReport,
    TelemetryYeti,
    Variant,
)
from hal.drivers.mcu_board.wire import FrameReader, PayloadError, decode_to_board, encode_from_board, frame

from .machine import take_priority

ANSWER_TIMEOUT_S = 3.0
"""A stimulus without an answer for so long is counted as unanswered; the standard allows 0.1 s."""
STALL_S = 30.0
"""The host does not go on for so long: the story begins anew, and that is counted."""
LIFE_S = 1.0

C_TO_B = "c_to_b"
PILOT_LOST = "pilot_lost"
RESIDUAL_CURRENT = "residual_current"
BARE = "bare"
BARE_PIPE = "bare_pipe"


def wire(message: FromBoard) -> bytes:
    return frame(encode_from_board(Variant.YETI, message))


STATE = {state: wire(CpStateReport(state)) for state in CpState}
RELAIS = {on: wire(RelaisState(on)) for on in (False, True)}
NO_ERRORS = wire(ErrorFlags())
TRIPPED = wire(ErrorFlags(rcd_triggered=True))
RESTARTED = wire(ResetReport(ResetReason.USER))
IDENTITY = wire(
    KeepAliveLo(
        protocol_version_minor=1,
        sw_version_string="bench",
        hwcap_max_current=32.0,
        hwcap_min_current=6.0,
        hwcap_max_phase_count=3,
        hwcap_min_phase_count=1,
    )
)
TELEMETRY = wire(TelemetryYeti(9_000, 12_000))

Wait = tuple[Callable[[], bool], float]
"""A condition on what the host has said, and for how many seconds to wait for it."""


class Port:
    """One pty. The slave is held open, so the host may come and go."""

    def __init__(self, link: Path) -> None:
        self.master, self._slave = os.openpty()
        self.ask_fd = self.master
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(self._slave))

    def write(self, data: bytes) -> None:
        try:
            os.write(self.master, data)
        except BlockingIOError:  # nobody reads yet: as on a UART, it is lost
            termios.tcflush(self._slave, termios.TCIFLUSH)


class PipePort:
    """Two named pipes instead of a pty: what remains without the kernel's tty layer."""

    def __init__(self, prefix: Path) -> None:
        for suffix in (".in", ".out"):
            os.mkfifo(f"{prefix}{suffix}")
        self.master = os.open(f"{prefix}.out", os.O_RDWR | os.O_NONBLOCK)
        self.ask_fd = os.open(f"{prefix}.in", os.O_RDWR | os.O_NONBLOCK)


class Samples:
    """Nanoseconds by kind; the first of each board are left out, because they warm it up."""

    def __init__(self) -> None:
        self.ns: dict[str, list[int]] = {}
        self.unanswered: dict[str, int] = {}
        self.stalled = 0

    def take(self, kind: str, ns: int) -> None:
        self.ns.setdefault(kind, []).append(ns)

    def miss(self, kind: str) -> None:
        self.unanswered[kind] = self.unanswered.get(kind, 0) + 1


class BoardStory:
    """One board and the vehicle on it."""

    def __init__(self, port: Port, kinds: list[str], samples: Samples, seed: int) -> None:
        self.port = port
        self.steps = self._tell()
        self._kinds = kinds
        self._samples = samples
        self._random = random.Random(seed)
        self._reader = FrameReader()
        self._duty = DUTY_F
        self._allowed = False
        self._host_alive = False
        self._asked_at_ns = 0
        self._kind = ""
        self.rounds = 0
        self._wh = 1000.0 * seed

    @property
    def asking(self) -> bool:
        """It has said what must open the contactor, and waits."""
        return bool(self._kind)

    # ---- the host ----

    def receive(self, data: bytes, at_ns: int) -> None:
        for payload in self._reader.feed(data):
            try:
                message = decode_to_board(Variant.YETI, payload)
            except PayloadError:
                continue
            if isinstance(message, AllowPowerOn):
                self._allowed = message.allowed
                if not message.allowed:
                    self._answered(at_ns)
            elif isinstance(message, PwmDutyCycle):
                self._duty = message.steps
                if message.steps == DUTY_F:
                    self._answered(at_ns)
            elif isinstance(message, KeepAlive):
                self._host_alive = True
            elif isinstance(message, Reset):
                self._say_all(RESTARTED)

    def _answered(self, at_ns: int) -> None:
        if self._kind:
            if self.rounds > 0:
                self._samples.take(self._kind, at_ns - self._asked_at_ns)
            self.rounds += 1
            self._kind = ""

    def _say_all(self, first: bytes = b"") -> None:
        self.port.write(first + IDENTITY + STATE[CpState.A] + RELAIS[False] + NO_ERRORS)

    def live(self) -> None:
        """What a board says every second."""
        self._wh += 1.0
        volts, amps = 230.0, 16.0 if self._allowed else 0.0
        meter = PowerMeter(
            vrms_l1=volts,
            vrms_l2=volts,
            vrms_l3=volts,
            irms_l1=amps,
            irms_l2=amps,
            irms_l3=amps,
            watt_l1=volts * amps,
            watt_l2=volts * amps,
            watt_l3=volts * amps,
            total_watt_hr=self._wh,
            freq_l1=50.0,
        )
        self.port.write(IDENTITY + TELEMETRY + wire(meter))

    # ---- the story ----

    @property
    def _pwm(self) -> bool:
        return DUTY_F < self._duty < DUTY_X1

    def _pause(self, least_s: float, most_s: float) -> float:
        return self._random.uniform(least_s, most_s)

    def _tell(self) -> Iterator[float | Wait]:
        """Yield seconds to sleep, or a condition to wait for."""
        yield (lambda: self._host_alive), 60.0
        self._say_all()
        yield self._pause(0.5, 1.5)
        while self._kinds:
            yield from self._visit()
            self.port.write(RELAIS[False] + NO_ERRORS + STATE[CpState.A])
            yield self._pause(0.3, 0.5)
        while True:  # nothing ever plugs in
            yield 60.0

    def _visit(self) -> Iterator[float | Wait]:
        """From plugging in to unplugging."""
        self.port.write(STATE[CpState.B])
        while True:
            yield (lambda: self._pwm), STALL_S
            yield self._pause(0.0, 0.05)
            self.port.write(STATE[CpState.C])
            yield (lambda: self._allowed), STALL_S
            if not self._allowed:
                self._samples.stalled += 1
                return
            yield 0.02
            self.port.write(RELAIS[True])
            yield self._pause(0.1, 0.3)
            kind = self._random.choice(self._kinds)
            self._ask(kind)
            yield (lambda: not self._kind), ANSWER_TIMEOUT_S
            if self._kind:
                self._samples.miss(self._kind)
                self._kind = ""
            yield 0.02
            self.port.write(RELAIS[False])
            yield self._pause(0.05, 0.15)
            if kind == RESIDUAL_CURRENT:
                return
            if kind == PILOT_LOST:  # shorter than what control calls a fault that must be unplugged
                self.port.write(STATE[CpState.B])
                yield 0.05

    def _ask(self, kind: str) -> None:
        """Write the frame that must open the contactor, and note when."""
        data = {C_TO_B: STATE[CpState.B], PILOT_LOST: STATE[CpState.E], RESIDUAL_CURRENT: TRIPPED}[kind]
        self._kind = kind
        self._asked_at_ns = time.monotonic_ns()
        os.write(self.port.master, data)


class BareStory:
    """The same question to a bare loop, which answers any bytes with a frame that forbids."""

    def __init__(self, port: Port | PipePort, kind: str, samples: Samples, seed: int) -> None:
        self.port = port
        self.steps = self._tell()
        self._kind = kind
        self._samples = samples
        self._random = random.Random(seed)
        self._asked_at_ns = 0
        self._heard = False

    def receive(self, data: bytes, at_ns: int) -> None:
        self._heard = True
        if self._asked_at_ns:
            self._samples.take(self._kind, at_ns - self._asked_at_ns)
            self._asked_at_ns = 0

    def live(self) -> None:
        """It has nothing to say."""

    def _tell(self) -> Iterator[float | Wait]:
        yield (lambda: self._heard), 60.0
        while True:
            yield self._random.uniform(0.03, 0.06)
            self._asked_at_ns = time.monotonic_ns()
            os.write(self.port.ask_fd, STATE[CpState.B])
            yield (lambda: not self._asked_at_ns), ANSWER_TIMEOUT_S
            if self._asked_at_ns:
                self._samples.miss(self._kind)
                self._asked_at_ns = 0


class Stage:
    """Plays all stories on one epoll loop."""

    def __init__(self, stories: list[BoardStory | BareStory]) -> None:
        self._stories = stories
        self._due: list[tuple[float, int, str]] = []
        self._waits: dict[int, Wait] = {}
        self._epochs = [0] * len(stories)
        self._poll = select.epoll()
        self._by_fd = {story.port.master: index for index, story in enumerate(stories)}
        for fd in self._by_fd:
            self._poll.register(fd, select.EPOLLIN)

    def play(self, until: Callable[[float], bool]) -> None:
        now = time.monotonic()
        for index in range(len(self._stories)):
            self._advance(index, now)
            heapq.heappush(self._due, (now + LIFE_S * index / len(self._stories), index, "live"))
        while not until(now):
            timeout_s = min(0.5, max(0.0, self._due[0][0] - now)) if self._due else 0.5
            for fd, _ in self._poll.poll(timeout_s):
                data = os.read(fd, 4096)
                at_ns = time.monotonic_ns()
                index = self._by_fd[fd]
                self._stories[index].receive(data, at_ns)
                if index in self._waits and self._waits[index][0]():
                    self._advance(index, at_ns / 1e9)
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                _, index, what = heapq.heappop(self._due)
                if what == "live":
                    self._stories[index].live()
                    heapq.heappush(self._due, (now + LIFE_S, index, "live"))
                elif what == str(self._epochs[index]):
                    self._advance(index, now)

    def _advance(self, index: int, now: float) -> None:
        """Go on with one story to its next pause."""
        while True:
            step = next(self._stories[index].steps)
            self._waits.pop(index, None)
            self._epochs[index] += 1
            if isinstance(step, tuple):
                if step[0]():
                    continue
                self._waits[index] = step
                wake = now + step[1]
            else:
                wake = now + step
            heapq.heappush(self._due, (wake, index, str(self._epochs[index])))
            return


def main(options: dict[str, Any]) -> int:
    """Play, with these options.

    ``ports``: where the boards go; ``bare``: where the bare loops' ports go, or ""; ``kinds``: which stories, dealt
    out in turn ([] for a board that only lives); ``seconds``: how long; ``samples``: enough of each kind to end early;
    ``priority``: of this process, which stands for hardware and must not wait for the processor.
    """
    samples = Samples()
    kinds: list[list[str]] = options["kinds"]
    stories: list[BoardStory | BareStory] = [
        BoardStory(Port(Path(link)), kinds[number % len(kinds)], samples, number + 1)
        for number, link in enumerate(options["ports"])
    ]
    if options["bare"]:
        stories.append(BareStory(Port(Path(options["bare"])), BARE, samples, 98))
        stories.append(BareStory(PipePort(Path(options["bare"])), BARE_PIPE, samples, 99))
    priority = options["priority"] if take_priority(options["priority"]) else 0
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.stdout.write(json.dumps({"ready": True, "priority": priority}) + "\n")
    sys.stdout.flush()
    began = time.monotonic()
    told = [began]
    wanted: int = options["samples"]
    asked = {kind for each in kinds for kind in each}

    def until(now: float) -> bool:
        if now - told[0] >= 5.0:
            told[0] = now
            counts = ", ".join(f"{kind} {len(found)}" for kind, found in sorted(samples.ns.items()))
            sys.stderr.write(f"  {now - began:3.0f} s: {counts or 'no sample yet'}\n")
            sys.stderr.flush()
        enough = bool(asked) and all(len(samples.ns.get(kind, ())) >= wanted for kind in asked)
        return now - began >= options["seconds"] or enough

    Stage(stories).play(until)
    result = {"ns": samples.ns, "unanswered": samples.unanswered, "stalled": samples.stalled}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
