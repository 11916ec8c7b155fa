"""The board as control sees it.

A board on CAN tells its whole state in cyclic messages. A state counts while its message comes in time; when the
message is overdue the state is withdrawn, not kept: control takes a missing state for an unsafe one. Values that
stand for "no value" withdraw theirs at once. Meter and temperature readings keep their time and grow old.
"""

# ruff: noqa: ARG002 (every port method takes the time)
from __future__ import annotations

import math
from collections.abc import Callable

from hal.can.metering import MeterAssembly
from hal.can.receiver import Receiver
from hal.can.sender import Sender
from hal.can.table import Incoming, Outgoing
from hal.values import (
    BoardError,
    BoardReading,
    Cable,
    Capabilities,
    ContactorReading,
    EmergencyStopReading,
    EnclosureReading,
    LockReading,
    MeterReading,
    PilotReading,
    PilotState,
    ProximityReading,
    ResidualCurrentReading,
    SelfTest,
    TemperatureReading,
)

PULSE_S = 0.3
"""A command that asks for something once is held for so long: three periods of a usual command message."""
_CABLES = {"none": Cable.NONE, "fault": Cable.FAULT, **{str(cable.value): cable for cable in Cable if cable.value > 0}}
_TEMPERATURES = tuple(f"temperature_{n}_c" for n in range(1, 5))


class CanBoardUnit:
    """Implements the ports; ``send`` puts a message on the bus at once (``urgent``: before all that waits)."""

    def __init__(self, receiver: Receiver, sender: Sender, send: Callable[[Outgoing, bool], None]) -> None:
        self._receiver = receiver
        self._sender = sender
        self._send = send
        self._reads = receiver.table.reads
        self._errors = {BoardError(role[6:]): role for role in self._reads if role.startswith("error_")}
        self._meter = MeterAssembly.of(receiver.table)
        self._pulses: dict[str, float] = {}
        self._now = 0.0
        """When the device was last called: the time by which states are held against their time-outs."""
        self._resets = 0
        self._reset_count: int | None = None
        self._self_test_at: float | None = None
        self._proximity: ProximityReading | None = None
        self._temperatures: tuple[TemperatureReading, ...] = ()
        self.verified = False
        """The board is the one that the table describes and has been heard steadily; only then is it commanded."""

    # Readings

    def pilot(self) -> PilotReading | None:
        receiver, now = self._receiver, self._now
        by_state = "pilot_state" in self._reads
        state = None
        if by_state:
            at = receiver.at("pilot_state")
            if at is None or not self.verified or not receiver.fresh(now):
                return None
            told = receiver.value("pilot_state", now)
            state = PilotState.INVALID if told is None else PilotState(told)
        else:
            at = receiver.at("pilot_high_v")
            if at is None or not self.verified:
                return None
        return PilotReading(at, state, receiver.value("pilot_high_v", now), receiver.value("pilot_low_v", now))

    def contactor(self) -> ContactorReading | None:
        at = self._live("contactor_closed")
        return None if at is None else ContactorReading(at, self._receiver.value("contactor_closed", self._now))

    def proximity(self) -> ProximityReading | None:
        """Kept, with its time, while the board is away: no reading would say that the plug was pulled."""
        return self._proximity

    def lock(self) -> LockReading | None:
        at = self._live("lock")
        told = self._receiver.value("lock", self._now)
        return None if at is None else LockReading(at, None if told is None else told == "locked")

    def residual_current(self) -> ResidualCurrentReading | None:
        at = self._live("residual_current_tripped")
        tripped = self._receiver.value("residual_current_tripped", self._now)
        if at is None or tripped is None:
            return None
        test = SelfTest.UNSUPPORTED
        if "residual_self_test" in self._reads:
            test = SelfTest(self._receiver.value("residual_self_test", self._now) or SelfTest.NOT_RUN.value)
        return ResidualCurrentReading(at, tripped and test is not SelfTest.RUNNING, test, self._self_test_at)

    def meter(self) -> MeterReading | None:
        return self._meter.reading

    def temperatures(self) -> tuple[TemperatureReading, ...]:
        return self._temperatures

    def emergency_stop(self) -> EmergencyStopReading | None:
        at, pressed = self._live("emergency_stop"), self._receiver.value("emergency_stop", self._now)
        return None if at is None or pressed is None else EmergencyStopReading(at, pressed)

    def enclosure(self) -> EnclosureReading | None:
        roles = [role for role in ("enclosure_open", "tilted") if role in self._reads]
        told = {role: self._receiver.value(role, self._now) for role in roles}
        times = [at for role in roles if (at := self._live(role)) is not None]
        if None in told.values() or not times:
            return None
        return EnclosureReading(min(times), told.get("enclosure_open", False), told.get("tilted", False))

    def board(self) -> BoardReading | None:
        at = self._receiver.alive_at()
        if at is None:
            return None
        value, now = self._receiver.value, self._now
        errors = frozenset(error for error, role in self._errors.items() if value(role, now))
        if value("residual_self_test", now) == SelfTest.RUNNING.value:
            errors -= {BoardError.RESIDUAL_CURRENT}  # the test trips it on purpose
        version, most_a = value("protocol_version", now), value("max_current_a", now)
        capabilities = Capabilities(
            hardware=self._receiver.table.name,
            protocol="" if version is None else str(version),
            max_current_a=most_a if most_a is not None and most_a > 0 else 0.0,
        )
        return BoardReading(at, errors, self._resets, "", capabilities)

    # Commands

    def set_pilot(self, duty_pct: float, now: float) -> None:
        """Values outside 0 … 100 % are no duty cycle and become F."""
        duty = duty_pct if 0 <= duty_pct <= 100 else 0.0
        if duty == 0.0 or self.verified:
            self._command("duty_pct", duty)

    def set_contactor(self, closed: bool, now: float) -> None:
        """Not closed before the board is verified."""
        if not closed or self.verified:
            self._command("contactor", closed, urgent=not closed)

    def set_phases(self, phases: int, now: float) -> None:
        if self.verified:
            self._command("three_phases", phases > 1)

    def set_lock(self, locked: bool, now: float) -> None:
        if self.verified:
            self._command("lock", locked)

    def start_self_test(self, now: float) -> None:
        """No effect while power is permitted or on."""
        permitted = self._sender.holds("contactor", True)
        if self.verified and not permitted and self._receiver.value("contactor_closed", now) is not True:
            self._pulse("residual_test", now)

    def reset_residual_current(self, now: float) -> None:
        if self.verified:
            self._pulse("residual_reset", now)

    def reset_board(self, now: float) -> None:
        self.make_safe()
        self._pulse("reset", now)

    # For the device

    @property
    def doubt(self) -> str:
        """What is odd about the meter, in words."""
        return self._meter.doubt

    def make_safe(self) -> None:
        """Forget every command and send the safe ones."""
        self.verified = False
        self._pulses.clear()
        self._sender.make_safe()
        for message in self._sender.table.outgoing:
            self._send(message, True)

    def begin(self, but: Incoming | None = None) -> None:
        """The bus is fresh, or the board was lost or reset: know nothing ``but`` one message, command what is safe."""
        self._receiver.forget(but)
        self.make_safe()

    def let_time_pass(self, now: float) -> None:
        self._now = now
        for role in [role for role, until in self._pulses.items() if now >= until]:
            del self._pulses[role]
            self._command(role, False)

    @property
    def next_pulse_end(self) -> float:
        return min(self._pulses.values(), default=math.inf)

    def handle(self, message: Incoming, now: float) -> None:
        """A good message has been taken by the receiver."""
        self._now = now
        self._meter.update(self._receiver, now)
        if "cable" in message.signals and self.verified:
            told = self._receiver.value("cable", now)
            self._proximity = ProximityReading(now, _CABLES.get(told, Cable.FAULT))
        if any(role in message.signals for role in _TEMPERATURES):
            self._temperatures = tuple(
                TemperatureReading(self._receiver.at(role) or now, self._receiver.value(role, now))
                for role in _TEMPERATURES
                if self._receiver.at(role) is not None
            )
        if "residual_self_test" in message.signals:
            ended = self._receiver.value("residual_self_test", now) in (SelfTest.PASSED.value, SelfTest.FAILED.value)
            if not ended:
                self._self_test_at = None
            elif self._self_test_at is None:
                self._self_test_at = now
        if "reset_count" in message.signals:
            count = self._receiver.value("reset_count", now)
            if self._reset_count is not None and count != self._reset_count:
                self._resets += 1
                self.begin(but=message)
            self._reset_count = count

    def _live(self, role: str) -> float | None:
        """When this state was told; None before the board is verified and once a heartbeat message is overdue."""
        at = self._receiver.at(role)
        return None if at is None or not self.verified or not self._receiver.fresh(self._now) else at

    def _command(self, role: str, value: float | bool, *, urgent: bool = False) -> None:
        message = self._sender.set(role, value)
        if message is not None:
            self._send(message, urgent)

    def _pulse(self, role: str, now: float) -> None:
        self._pulses[role] = now + PULSE_S
        self._command(role, True)
