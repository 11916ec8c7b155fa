"""How a node is made ready: one SDO after the other, each answered before the next. Pure.

Outputs that drop when we die are the point of it: error mode and value of every output, and a heartbeat that the node
watches. A node that refuses one of those is not used for outputs at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hal.can.frames import Frame
from hal.drivers.canopen_io import protocol as p

ANSWER_S = 0.5
TRIES = 3
MOST_BYTES = 8
"""One PDO carries so many."""


@dataclass(frozen=True, slots=True)
class Step:
    """Write ``value`` (``size`` bytes), or read when ``size`` is 0. ``optional``: an abort is put up with."""

    index: int
    sub: int
    size: int = 0
    value: int = 0
    optional: bool = False

    @property
    def name(self) -> str:
        return f"object {self.index:04X}h sub {self.sub}"


@dataclass(slots=True)
class SetUp:
    """Yields requests, takes answers. ``done`` or ``failure`` says when it is over."""

    node: int
    host_node: int
    producer_ms: int
    consumer_ms: int
    event_ms: int
    needs_inputs: int
    """How many input bytes must be there."""
    needs_outputs: int
    done: bool = False
    failure: str = ""
    final: bool = False
    """The failure is the node's nature, not the wire's: trying again changes nothing."""
    input_bytes: int = 0
    output_bytes: int = 0
    inputs: bytearray = field(default_factory=bytearray)
    """What the inputs were."""
    cyclic: bool = False
    """The node sends its inputs every ``event_ms``, changed or not."""
    _steps: list[Step] = field(default_factory=list)
    _tries: int = 0
    _deadline: float = 0.0

    def __post_init__(self) -> None:
        self._steps = [Step(p.DEVICE_TYPE, 0)]
        self._tries = TRIES

    def request(self, now: float) -> Frame | None:
        """Return the request that is due now, if any."""
        if self.done or self.failure or now < self._deadline:
            return None
        step = self._steps[0]
        if self._tries == 0:
            self.failure = f"does not answer to {step.name}; check 'node', its bit rate and its power"
            return None
        self._tries -= 1
        self._deadline = now + ANSWER_S
        if step.size:
            return p.download(self.node, step.index, step.sub, step.value, step.size)
        return p.upload(self.node, step.index, step.sub)

    @property
    def deadline(self) -> float:
        return self._deadline

    def take(self, answer: p.Answer) -> None:
        """Take an answer; one that was not asked for is passed over."""
        if self.done or self.failure or self._tries == TRIES:
            return
        step = self._steps[0]
        if (answer.index, answer.sub) != (step.index, step.sub):
            return
        if answer.abort is None and step.size == 0 and answer.value is None:
            return  # an acknowledgement of a write that was not made
        if answer.abort is not None and not step.optional:
            self._fail(f"refuses {step.name}: {p.abort_text(answer.abort)}{_meaning(step.index)}")
            return
        if answer.abort is None:
            self._obeyed(step, answer.value or b"")
        if self.final:
            return
        del self._steps[0]
        self._tries, self._deadline = TRIES, 0.0
        self.done = not self._steps

    def _fail(self, why: str) -> None:
        self.failure, self.final = why, True

    def _obeyed(self, step: Step, value: bytes) -> None:
        number = int.from_bytes(value, "little")
        match step.index:
            case p.DEVICE_TYPE:
                self._check_type(number)
            case p.READ_INPUT if step.sub == 0:
                self.input_bytes = min(number, MOST_BYTES)
                if self.input_bytes < self.needs_inputs:
                    self._fail(f"has {8 * number} digital inputs; the configuration names one beyond them")
                self.inputs = bytearray(self.input_bytes)
                self._steps += [Step(p.READ_INPUT, sub) for sub in range(1, self.input_bytes + 1)]
            case p.READ_INPUT:
                self.inputs[step.sub - 1] = number & 0xFF
            case p.WRITE_OUTPUT if step.sub == 0:
                self.output_bytes = min(number, MOST_BYTES)
                if self.output_bytes < self.needs_outputs:
                    self._fail(f"has {8 * number} digital outputs; the configuration names one beyond them")
                self._steps[1:1] = list(self._drop_steps())
            case p.TPDO1_PARAMETER if step.sub == 5:
                self.cyclic = True

    def _check_type(self, number: int) -> None:
        if number & 0xFFFF != p.IO_PROFILE:
            self._fail(f"is of profile {number & 0xFFFF}, not CiA 401; check 'node', and what the device is")
            return
        if self.needs_outputs:
            if not number & p.HAS_OUTPUTS:
                self._fail("has no digital outputs; check 'node', and what the device is")
                return
            self._steps.append(Step(p.WRITE_OUTPUT, 0))
        self._steps += [
            Step(p.CONSUMER_HEARTBEAT, 1, 4, self.host_node << 16 | self.consumer_ms, optional=not self.needs_outputs),
            Step(p.PRODUCER_HEARTBEAT, 0, 2, self.producer_ms),
            Step(p.ERROR_BEHAVIOUR, 1, 1, 0, optional=True),  # 0: pre-operational, which is what it does without
        ]
        if self.needs_inputs:
            if not number & p.HAS_INPUTS:
                self._fail("has no digital inputs; check 'node', and what the device is")
                return
            self._steps += [
                Step(p.TPDO1_PARAMETER, 2, 1, 0xFF),
                Step(p.TPDO1_PARAMETER, 5, 2, self.event_ms, optional=True),
                Step(p.READ_INPUT, 0),
            ]

    def _drop_steps(self) -> Iterator[Step]:
        """On our death every output takes the value 0."""
        for sub in range(1, self.output_bytes + 1):
            yield Step(p.OUTPUT_ERROR_MODE, sub, 1, 0xFF)
            yield Step(p.OUTPUT_ERROR_VALUE, sub, 1, 0x00)
        yield Step(p.RPDO1_PARAMETER, 2, 1, 0xFF)


def _meaning(index: int) -> str:
    if index in (p.OUTPUT_ERROR_MODE, p.OUTPUT_ERROR_VALUE, p.CONSUMER_HEARTBEAT):
        return "; it cannot be made to drop its outputs when we die and must not drive anything here"
    return ""
