"""One residual-current monitor: its self-test from start to end, and what its registers say. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from hal.drivers import rcm_map
from hal.drivers.rcm_map import Condition, RcmMap, SelfTestMap, Write
from hal.drivers.register_map import Block, Register
from hal.options import option
from hal.values import ResidualCurrentReading, SelfTest

DIGITS = 3
"""Decimals of a current in mA: 30 mA in ampere is 29.9999993 mA as a 32-bit float."""
RESULT_SETTLES_S = 1.0
"""A result that was not seen running is believed only so long after the start: before, it may be the last test's."""
TEST_LIMIT_S = 8.0
"""Longest self-test; control gives up at 10 s."""


@dataclass(frozen=True, slots=True)
class MonitorOptions:
    address: int = option(help="Modbus address of the monitor", ge=1, le=247)
    map: str = option(help="its map: rcmb300, or the path of your own", check=rcm_map.check)
    name: str = option("", help="name of the unit; may be left out when the line has one monitor only")
    trip_dc_ma: float = option(
        0.0, help="direct current that counts as a trip, whatever the monitor says; 0: its own word alone", ge=0, le=300
    )
    trip_rms_ma: float = option(0.0, help="the same for the RMS value", ge=0, le=1000)


@dataclass(slots=True)
class SelfTestRun:
    """One self-test from its start to its end."""

    map: SelfTestMap
    started_at: float
    state: SelfTest = SelfTest.RUNNING
    ended_at: float | None = None
    written: bool = False
    """The start has been acknowledged."""
    _seen_running: bool = False
    _tripped_at: float | None = None

    def fail(self, now: float) -> None:
        self._end(SelfTest.FAILED, now)

    def update(self, tripped: bool, result: float | None, now: float) -> None:
        """Take one reading (``result``: of the result register, where the map has one)."""
        if self.state is not SelfTest.RUNNING or not self.written:
            if self.state is SelfTest.RUNNING and now - self.started_at > TEST_LIMIT_S:
                self.fail(now)
            return
        if self.map.result is not None:
            self._by_result(result, now)
        else:
            self._by_trip(tripped, now)
        if self.state is SelfTest.RUNNING and now - self.started_at > TEST_LIMIT_S:
            self.fail(now)

    def _by_result(self, result: float | None, now: float) -> None:
        if result is None:
            return
        if result in self.map.running:
            self._seen_running = True
        elif self._seen_running or now - self.started_at >= RESULT_SETTLES_S:
            if result in self.map.passed:
                self._end(SelfTest.PASSED, now)
            elif result in self.map.failed:
                self.fail(now)

    def _by_trip(self, tripped: bool, now: float) -> None:
        if self._tripped_at is None:
            if tripped:
                self._tripped_at = now
            elif now - self.started_at > self.map.trips_within_s:
                self.fail(now)
        elif not tripped:
            self._end(SelfTest.PASSED, now)
        elif now - self._tripped_at > self.map.clears_within_s:
            self.fail(now)

    def _end(self, state: SelfTest, now: float) -> None:
        self.state, self.ended_at = state, now


@dataclass(slots=True)
class MonitorUnit:
    """One monitor on the line. Implements ResidualCurrentMonitor."""

    options: MonitorOptions
    map: RcmMap
    trouble: str = "not read yet"
    answered_at: float | None = None
    identified: bool = False
    current_ma: Mapping[str, float] = field(default_factory=dict)
    """Last values under the names of the map, for whoever commissions."""
    writes: deque[tuple[Write, bool]] = field(default_factory=deque)
    """What is to be written, and whether it belongs to the self-test."""
    _test: SelfTestRun | None = None
    _reading: ResidualCurrentReading | None = None
    _data: dict[int, bytes] = field(default_factory=dict)
    _begun_at: float = 0.0
    _closed: bool = False

    def __post_init__(self) -> None:
        self.identified = self.map.identity is None

    @property
    def label(self) -> str:
        name = f"monitor {self.options.name!r} " if self.options.name else "monitor "
        return f"{name}(address {self.options.address})"

    def residual_current(self) -> ResidualCurrentReading | None:
        return self._reading

    def start_self_test(self, now: float) -> None:
        test = self.map.self_test
        running = self._test is not None and self._test.state is SelfTest.RUNNING
        if test is None or running or self._reading is None:
            return
        self._test = SelfTestRun(test, now)
        self.writes.extend((write, True) for write in test.start)

    def reset_residual_current(self, now: float) -> None:  # noqa: ARG002 (part of the contract)
        if self._reading is not None and not self.writes:
            self.writes.extend((write, False) for write in self.map.reset)

    def begin(self, now: float) -> None:
        self._data.clear()
        self._begun_at = now

    def forget(self) -> None:
        """The line was lost: who answers next may be another, and what it was told may never have arrived."""
        self.identified = self.map.identity is None
        self.writes.clear()
        self._test = None

    def take(self, block: Block, registers: bytes, now: float) -> None:
        for index in range(block.count):
            self._data[block.address + index] = registers[2 * index : 2 * index + 2]
        self.answered_at = now

    def identify(self, registers: bytes) -> None:
        identity = self.map.identity
        assert identity is not None
        self.identified = identity.holds(identity.register.decode(registers))
        if not self.identified:
            self.trouble = f"{self.label}: is no {self.map.name}, or sends its words in another order; check 'map'"

    def written(self, test: bool, *, accepted: bool, now: float) -> None:
        """One write was answered. A refused one ends the self-test."""
        if not test or self._test is None:
            return
        if not accepted:
            self.writes = deque(item for item in self.writes if not item[1])
            self._test.fail(now)
        elif not any(item[1] for item in self.writes):
            self._test.written = True

    def finish(self, now: float) -> None:
        """All blocks of a cycle are in: make the reading, or say why not."""
        values = {}
        for key, register in self.map.values.items():
            number = self._decode(register)
            if number is None:
                self.trouble = f"{self.label}: register {register.address} ({key}) holds no number"
                return
            values[key] = round(number, DIGITS)
        self.current_ma = values
        broken = self._any(self.map.errors)
        limits = (("dc_ma", self.options.trip_dc_ma), ("rms_ma", self.options.trip_rms_ma))
        above = any(limit and abs(values.get(key, 0.0)) >= limit for key, limit in limits)
        tripped = broken or above or self._any(self.map.trips)
        test = self._test
        if test is not None:
            result = test.map.result
            test.update(tripped and not broken, None if result is None else self._decode(result), now)
        state = SelfTest.UNSUPPORTED if self.map.self_test is None else SelfTest.NOT_RUN
        self._reading = ResidualCurrentReading(
            at=self._begun_at,
            tripped=tripped,
            self_test=state if test is None else test.state,
            self_test_at=None if test is None else test.ended_at,
        )
        self.trouble = f"{self.label}: reports a fault of its own; replace it" if broken else ""

    def _any(self, conditions: tuple[Condition, ...]) -> bool:
        return any(condition.holds(self._decode(condition.register)) for condition in conditions)

    def _decode(self, register: Register) -> float | None:
        return register.decode(b"".join(self._data[address] for address in range(register.address, register.end)))
