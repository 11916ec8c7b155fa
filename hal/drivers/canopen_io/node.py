"""One CANopen node and our side of it, over time: found, set up, operational, lost. Pure.

Outputs leave only while the node is operational and was set up in this life of its. Whatever it loses (a restart, its
state, its heartbeat) is answered by zero outputs and a set-up from the beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from hal.can.frames import Frame
from hal.drivers.canopen_io import protocol as p
from hal.drivers.canopen_io.set_up import SetUp

RESET_INTERVAL_S = 2.0
"""A node that does not show up, or fails, is reset so often."""
START_S = 1.0
"""After the start command a node reports itself operational within this time."""
OUTPUT_INTERVAL_S = 0.1
FINAL_RETRY_S = 30.0
BEATS_PER_TIMEOUT = 4


class Phase(Enum):
    SEEKING = "seeking"
    """It was asked to reset; its boot-up message is awaited."""
    SETTING_UP = "setting up"
    STARTING = "starting"
    OPERATIONAL = "operational"


@dataclass(frozen=True, slots=True)
class NodeSettings:
    node: int
    host_node: int
    timeout_s: float
    needs_inputs: int
    needs_outputs: int

    @property
    def producer_s(self) -> float:
        return self.timeout_s / BEATS_PER_TIMEOUT

    def new_set_up(self) -> SetUp:
        beat_ms = round(self.producer_s * 1000)
        return SetUp(
            self.node,
            self.host_node,
            producer_ms=beat_ms,
            consumer_ms=round(self.timeout_s * 1000),
            event_ms=beat_ms,
            needs_inputs=self.needs_inputs,
            needs_outputs=self.needs_outputs,
        )


@dataclass(slots=True)
class Node:
    """``send(frame, urgent)`` puts a frame on the bus. ``outputs`` is what we hold, bit n of byte n // 8."""

    settings: NodeSettings
    send: Callable[[Frame, bool], None]
    phase: Phase = Phase.SEEKING
    inputs: bytes = b""
    inputs_at: float | None = None
    """When the inputs were last known to be so."""
    heard_at: float | None = None
    restarts: int = 0
    trouble: str = ""
    emergency: str = ""
    _outputs: bytearray = field(default_factory=bytearray)
    _set_up: SetUp | None = None
    _next_reset: float = 0.0
    _next_beat: float = 0.0
    _next_output: float = 0.0
    _started_at: float = 0.0

    @property
    def ready(self) -> bool:
        return self.phase is Phase.OPERATIONAL

    @property
    def hears(self) -> frozenset[tuple[int, bool]]:
        bases = (p.EMERGENCY, p.TPDO1, p.SDO_ANSWER, p.HEARTBEAT)
        return frozenset((base + self.settings.node, False) for base in bases)

    @property
    def says(self) -> frozenset[tuple[int, bool]]:
        """Ids that nobody else may use. Network management is left out: several devices of ours command it."""
        node, host = self.settings.node, self.settings.host_node
        ids = (p.RPDO1 + node, p.SDO_REQUEST + node, p.HEARTBEAT + host)
        return frozenset((number, False) for number in ids)

    # Commands

    def begin(self, now: float) -> None:
        """The bus is fresh, or the node was lost: zero its outputs, then have it begin anew."""
        self._lose(now)
        self._next_beat = now
        self._reset(now)

    def make_safe(self) -> None:
        """All outputs to zero, now."""
        self._outputs = bytearray(len(self._outputs))
        self._say_outputs(urgent=True)

    def output(self, bit: int) -> bool:
        return bit // 8 < len(self._outputs) and bool(self._outputs[bit // 8] >> bit % 8 & 1)

    def set_output(self, bit: int, on: bool) -> bool:
        """Drive one output. Returns whether it holds that now; nothing is switched on before the node is ready."""
        if on and not self.ready:
            return False
        if self.output(bit) is not on and bit // 8 < len(self._outputs):
            self._outputs[bit // 8] ^= 1 << bit % 8
            self._say_outputs(urgent=not on)
        return True

    def input(self, bit: int) -> bool | None:
        """Return one input, None while the node is not operational."""
        if not self.ready or bit // 8 >= len(self.inputs):
            return None
        return bool(self.inputs[bit // 8] >> bit % 8 & 1)

    # Frames and time

    def take(self, frame: Frame, now: float) -> None:
        base, data = frame.id - self.settings.node, frame.data
        if base == p.HEARTBEAT and len(data) == 1:
            self._on_heartbeat(data[0] & 0x7F, now)
        elif base == p.SDO_ANSWER and self._set_up is not None:
            answer = p.decode_answer(data)
            if answer is not None:
                self.heard_at = now
                self._set_up.take(answer)
                self._work(now)
        elif base == p.TPDO1 and self._set_up is not None and self.phase in (Phase.STARTING, Phase.OPERATIONAL):
            if len(data) >= self.settings.needs_inputs and len(data) >= len(self.inputs):
                self.inputs, self.inputs_at = bytes(data), now
        elif base == p.EMERGENCY:
            emergency = p.decode_emergency(data)
            if emergency is not None:
                self.emergency = f"reports error {emergency.text}" if emergency.code else ""

    def tick(self, now: float) -> float:
        """Do what is due; return when to come again."""
        settings = self.settings
        if now >= self._next_beat:
            self._next_beat = now + settings.producer_s
            self.send(p.heartbeat(settings.host_node, p.NodeState.OPERATIONAL), False)
        if self.ready and self.heard_at is not None and now - self.heard_at >= settings.timeout_s:
            self._give_up(f"no heartbeat for {settings.timeout_s:g} s", now)
        if self.ready and self._inputs_overdue(now):
            self._give_up("its inputs are no longer sent", now)
        if self.phase is Phase.STARTING and now - self._started_at >= START_S:
            self._give_up("does not become operational", now)
        if self.phase is Phase.SEEKING and now >= self._next_reset:
            self._reset(now)
        self._work(now)
        if self.ready and settings.needs_outputs and now >= self._next_output:
            self._say_outputs(urgent=False)
            self._next_output = now + OUTPUT_INTERVAL_S
        return self._due(now)

    def _due(self, now: float) -> float:
        due = self._next_beat
        if self.phase is Phase.SEEKING:
            due = min(due, self._next_reset)
        elif self.phase is Phase.SETTING_UP and self._set_up is not None:
            due = min(due, self._set_up.deadline)
        elif self.phase is Phase.STARTING:
            due = min(due, self._started_at + START_S)
        elif self.heard_at is not None:
            due = min(due, self.heard_at + self.settings.timeout_s)
            if self.settings.needs_outputs:
                due = min(due, self._next_output)
        return max(due, now + 0.001)

    def _inputs_overdue(self, now: float) -> bool:
        cyclic = self._set_up is not None and self._set_up.cyclic and self.settings.needs_inputs
        return bool(cyclic) and self.inputs_at is not None and now - self.inputs_at >= self.settings.timeout_s

    def _on_heartbeat(self, state: int, now: float) -> None:
        known = self.phase is not Phase.SEEKING
        self.heard_at = now
        if state == p.NodeState.BOOT_UP:
            if self.ready:
                self.restarts += 1
            self._lose(now)
            self.phase, self._set_up = Phase.SETTING_UP, self.settings.new_set_up()
            self._work(now)
        elif self.phase is Phase.STARTING and state == p.NodeState.OPERATIONAL:
            self.phase, self.trouble = Phase.OPERATIONAL, ""
            self._next_output = now
            self._say_outputs(urgent=True)
        elif self.ready and state != p.NodeState.OPERATIONAL:
            self._give_up(f"has left the operational state (now {state:#04x})", now)
        if known and self.ready and self._set_up is not None and not self._set_up.cyclic:
            self.inputs_at = now  # it tells changes only: as long as it lives, what it told holds

    def _work(self, now: float) -> None:
        """Go on with the set-up."""
        set_up = self._set_up
        if self.phase is not Phase.SETTING_UP or set_up is None:
            return
        request = set_up.request(now)
        if request is not None:
            self.send(request, False)
        if set_up.failure:
            self._give_up(set_up.failure, now)
            self._next_reset = now + (FINAL_RETRY_S if set_up.final else RESET_INTERVAL_S)
        elif set_up.done:
            self.phase, self._started_at = Phase.STARTING, now
            self.inputs, self.inputs_at = bytes(set_up.inputs), now
            self._outputs = bytearray(set_up.output_bytes)
            self.send(p.nmt(p.Nmt.START, self.settings.node), False)

    def _reset(self, now: float) -> None:
        self._next_reset = now + RESET_INTERVAL_S
        self.send(p.nmt(p.Nmt.RESET_NODE, self.settings.node), False)

    def _give_up(self, why: str, now: float) -> None:
        self.make_safe()
        self._lose(now)
        self.trouble = why
        self._next_reset = now

    def _lose(self, now: float) -> None:
        self.phase, self._set_up = Phase.SEEKING, None
        self._outputs = bytearray(len(self._outputs))
        self.inputs_at, self.inputs = None, b""
        self.emergency = ""
        self._next_reset = now + RESET_INTERVAL_S

    def _say_outputs(self, *, urgent: bool) -> None:
        if self.settings.needs_outputs and self._outputs:
            self.send(Frame(p.RPDO1 + self.settings.node, bytes(self._outputs)), urgent)
