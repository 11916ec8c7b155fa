"""One charge controller on a Modbus line: what to say to it next, and what its answers mean. Pure.

Three stages. *Identify*: its identity is read; nothing is written to a device that is not recognised. *Prepare*: its
own safety net is set up and the offer taken away, whatever it was doing. *Run*: it is polled, and its registers are
held at what control wishes. What it holds is known from what it acknowledged and from reading back; a register that
changes by itself while something is enabled counts as a restart (or another master): it is begun with anew, and
control must permit afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from hal.drivers.following import Follower
from hal.drivers.metering import EnergyCheck, energy_wh
from hal.drivers.modbus.master import Outcome, Unanswered
from hal.drivers.modbus.pdu import Answered, Read, Refused, Request
from hal.drivers.modbus_controller.memory import Memory
from hal.drivers.modbus_controller.model import (
    Identity,
    Model,
    Order,
    Preparation,
    Seen,
    Setting,
    UnreadableError,
)
from hal.values import PILOT_F_PCT, Capabilities, MeterReading

LOST_AFTER_S = 3.0
"""So long without a sound answer, and the controller counts as lost."""
SEARCH_INTERVAL_S = 1.0
"""How often a controller that is not there is looked for."""
MEASURE_INTERVAL_S = 1.0
STOP_GRACE_S = 3.0
"""After the end of an offer the vehicle has this long to stop drawing before a controller that can be told so opens at
once (IEC 61851-1 Table A.6 sequence 10: 3 s for the vehicle). When F is wanted it has none."""
TRIES = 3
"""Times that a read is said before the cycle is given up."""
BUSY = (5, 6)
"""Exceptions that only ask for patience."""
DIGITS = 3
REMEDY = "check its power, the wiring, the line's settings and 'address'"


class Stage(Enum):
    IDENTIFY = "identify"
    PREPARE = "prepare"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to say. ``setting`` is None for a read."""

    request: Request
    setting: Setting | None = None


@dataclass(slots=True)
class _Cycle:
    reads: list[Read] = field(default_factory=list)
    began_at: float | None = None
    """When the first request went out: the age of all that the cycle tells."""
    measures: bool = False
    tries: int = 0


class ControllerUnit(Follower):
    """Implements the ports. The driver asks ``job`` and hands the outcome to ``took``."""

    def __init__(
        self,
        model: Model,
        address: int,
        label: str,
        preparation: Preparation,
        poll_interval_s: float,
        on_command: Callable[[float], None],
    ) -> None:
        """``on_command(now)`` is called when control wants something else than before."""
        super().__init__(
            step_a=model.step_a,
            max_current_a=model.max_current_a,
            repeat_s=float("inf"),  # what it holds is read back in every cycle; its memory is not worn by repeats
            on_wish=on_command,
            on_reset=self._reset,
        )
        self.model = model
        self.address = address
        self.label = label
        self.stage = Stage.IDENTIFY
        self.trouble = "not reached yet"
        """Empty while all is well."""
        self._on_command = on_command
        self._preparation = preparation
        self._closing = False
        self._poll_interval_s = poll_interval_s
        self._identity = Identity()
        self._memory = Memory(model.readback, model.settle_s)
        self._resetting: list[Setting] = []
        self._cycle = _Cycle(list(model.identity))
        self._next_cycle_at = 0.0
        self._next_measure_at = 0.0
        self._measures = list(model.measures)
        self._answered_at: float | None = None
        self._uptime: int | None = None
        self._energy = EnergyCheck()

    @property
    def answered_at(self) -> float | None:
        return self._answered_at

    def _reset(self, now: float) -> None:
        self._resetting = list(self.model.reset)
        self._on_command(now)

    def last_words(self, now: float) -> None:
        """Say once more, whatever it is known to hold, that nothing is offered; and nothing after it."""
        self._closing = True
        self.set_pilot(PILOT_F_PCT, now)
        self._memory.forget_settings()

    # What to say

    def pressing(self, now: float) -> Job | None:
        """What takes away from the vehicle: said before anything else on the line."""
        if self.stage is Stage.IDENTIFY or (self.wish.enabled and not self.urgent):
            return None
        return next(self._outstanding(now), None)

    def job(self, now: float) -> Job | None:
        """What is to be said now, the most important first."""
        if self.stage is not Stage.IDENTIFY:
            outstanding = next(self._outstanding(now), None)
            if outstanding is not None:
                return outstanding
            if self._resetting and not self.wish.enabled:
                return Job(self._resetting[0].request(), self._resetting[0])
        if not self._cycle.reads and now >= self._next_cycle_at:
            self._begin_cycle(now)
        if self._cycle.reads and now >= self._next_cycle_at:
            return Job(self._cycle.reads[0])
        return None

    def due_next_at(self, now: float) -> float:
        """When ``job`` may have something that it does not have now."""
        return max(self._next_cycle_at, now)

    def _begin_cycle(self, now: float) -> None:
        if self.stage is Stage.IDENTIFY:
            self._cycle = _Cycle(list(self.model.identity))
            return
        self._cycle = _Cycle(list(self.model.polls))
        if now >= self._next_measure_at:
            self._next_measure_at = now + MEASURE_INTERVAL_S
            self._cycle.reads += self._measures
            self._cycle.measures = True

    def _wanted(self, now: float) -> Iterator[Setting]:
        wish, contacts = self.wish, self.contactor()
        force = False
        if not wish.enabled and contacts is not None and contacts.closed:
            force = not wish.available or now - (self.changed_at or 0.0) >= STOP_GRACE_S
        order = self.model.command(Order(wish, force), self._identity, self._memory.registers)
        yield from order  # an offer ends first; only then is the safety net looked after
        if not self._closing:
            yield from self.model.prepare(self._preparation)

    def _outstanding(self, now: float) -> Iterator[Job]:
        for setting in self._wanted(now):
            if self._memory.lacks(setting, now):
                yield Job(setting.request(), setting)

    # What came of it

    def took(self, job: Job, outcome: Outcome, sampled_at: float, now: float) -> None:
        """``sampled_at``: what an answer tells was true then or later."""
        if isinstance(outcome, Unanswered):
            self._unanswered(job, outcome, now)
            return
        self._answered_at = now
        if self.stage is not Stage.IDENTIFY:
            self.heard(now)
        if isinstance(outcome, Refused):
            self._refused(job, outcome, now)
        elif job.setting is not None:
            self._written(job.setting, now)
        elif isinstance(job.request, Read) and isinstance(outcome, Answered):
            self._read(job.request, outcome.data, sampled_at, now)
        self._settle(now)

    def watch(self, now: float) -> None:
        """Notice silence. Called on every turn of the loop."""
        if self.stage is Stage.IDENTIFY:
            return
        if self._answered_at is None or now - self._answered_at >= LOST_AFTER_S:
            self.trouble = (
                f"{self.label}: does not answer; check its power, the wiring, the line's settings and 'address'"
            )
            self.start_over(now + SEARCH_INTERVAL_S)

    def start_over(self, at: float) -> None:
        """Know nothing of it any more and look for it again. Readings are left to age."""
        self.lose()
        self.stage = Stage.IDENTIFY
        self._memory.clear()
        self._uptime = None
        self._measures = list(self.model.measures)
        self._cycle = _Cycle(list(self.model.identity))
        self._next_cycle_at = at

    def _unanswered(self, job: Job, outcome: Unanswered, now: float) -> None:
        if self.stage is Stage.IDENTIFY:
            what = "answers nothing that can be read" if outcome.garbled else "does not answer"
            self.trouble = f"{self.label}: {what}; {REMEDY}"
            self._cycle = _Cycle(list(self.model.identity))
            self._next_cycle_at = now + SEARCH_INTERVAL_S
            return
        if job.setting is not None:
            self._memory.forget(job.setting)
            return
        self._cycle.tries += 1
        if self._cycle.tries >= TRIES:
            self._end_cycle(now)

    def _refused(self, job: Job, answer: Refused, now: float) -> None:
        address = job.request.address
        text = f"{self.label}: answers {answer.text} to register {address}; check 'model'"
        if answer.code in BUSY:
            text = f"{self.label}: is busy ({answer.text})"
        if job.setting is not None:
            if job.setting.momentary:
                self._written(job.setting, now)
            self.trouble = text
            self._next_cycle_at = min(self._next_cycle_at, now)
            self._refused_write(job.setting, now)
            return
        if job.request in self._measures and answer.code not in BUSY:
            self._measures.remove(job.request)
            self._cycle.measures = False
            self._cycle.reads.pop(0)
            self._finish_if_done(now)
            return
        self.trouble = text
        if self.stage is Stage.IDENTIFY:
            self._cycle = _Cycle(list(self.model.identity))
            self._next_cycle_at = now + SEARCH_INTERVAL_S
        else:
            self._end_cycle(now)

    def _refused_write(self, setting: Setting, now: float) -> None:
        """A controller that refuses what it must hold is not under control: begin anew, slowly."""
        if not setting.momentary:
            self.start_over(now + SEARCH_INTERVAL_S)

    def _written(self, setting: Setting, now: float) -> None:
        self._memory.said(setting, now)
        if setting in self._resetting:
            self._resetting.remove(setting)
        if not setting.momentary:
            self._next_cycle_at = min(self._next_cycle_at, now)

    def _read(self, read: Read, data: bytes, sampled_at: float, now: float) -> None:
        self._memory.store(read, data)
        if not self._cycle.reads or self._cycle.reads[0] != read:
            return
        if self._cycle.began_at is None:
            self._cycle.began_at = sampled_at
        self._cycle.reads.pop(0)
        self._cycle.tries = 0
        self._finish_if_done(now)

    def _finish_if_done(self, now: float) -> None:
        if self._cycle.reads:
            return
        if self.stage is Stage.IDENTIFY:
            self._recognise(now)
            return
        cycle = self._cycle
        self._end_cycle(now)
        try:
            seen = self.model.look(self._memory.registers)
        except UnreadableError as error:
            self.trouble = f"{self.label}: {error}"
            return
        if self._restarted(seen) or self._changed_by_itself(now):
            return
        at = now if cycle.began_at is None else cycle.began_at
        remark = seen.remark or self._stubbornness()
        self.trouble = f"{self.label}: {remark}" if remark else ""
        self._tell(seen, at)
        if self.model.measure is not None and (cycle.measures or not self.model.measures):
            self._tell_measured(at)

    def _end_cycle(self, now: float) -> None:
        self._cycle = _Cycle()
        self._next_cycle_at = now + self._poll_interval_s

    def _recognise(self, now: float) -> None:
        self._cycle = _Cycle()
        try:
            identity = self.model.recognise(self._memory.registers)
        except UnreadableError as error:
            self.trouble = f"{self.label}: {error}"
            self._memory.clear()
            self._next_cycle_at = now + SEARCH_INTERVAL_S
            return
        self.begin()
        self.heard(now)
        self._identity = identity
        most_a = min(identity.max_current_a, self.model.max_current_a)
        self.limit(min_current_a=identity.min_current_a, max_current_a=most_a)
        self.tell_capabilities(
            Capabilities(
                hardware=identity.hardware,
                software=identity.software,
                min_current_a=identity.min_current_a,
                max_current_a=most_a,
            )
        )
        self.stage = Stage.PREPARE
        self._next_cycle_at = now
        self._memory.compare(self._wanted(now), now)

    # What it holds

    def _changed_by_itself(self, now: float) -> bool:
        """Begin anew when what was enabled is not what we set. What is not enabled is simply written again."""
        changed = self._memory.compare(self._wanted(now), now)
        if not self.wish.enabled:
            return False
        if not changed:
            return False
        registers = ", ".join(str(address) for address in changed)
        why = f"register {registers} changed by itself; look for another master"
        self.count_reset(why)
        self.trouble = f"{self.label}: {why}"
        self.start_over(now)
        return True

    def _stubbornness(self) -> str:
        stubborn = self._memory.stubborn()
        return "" if stubborn is None else f"does not take register {stubborn}; check its own configuration"

    def _restarted(self, seen: Seen) -> bool:
        before, self._uptime = self._uptime, seen.uptime_counter
        if before is None or seen.uptime_counter is None or seen.uptime_counter >= before:
            return False
        self.count_reset("its counter since power-on began anew")
        self.start_over(0.0)
        return True

    def _settle(self, now: float) -> None:
        """When everything is as wished: say so, and let the wish enable from then on."""
        if self.stage is Stage.IDENTIFY or next(self._outstanding(now), None) is not None:
            return
        self.confirm(self.wish, now)
        if self.stage is Stage.PREPARE:
            self.stage = Stage.RUN
            self.verify()

    # What it tells

    def _tell(self, seen: Seen, at: float) -> None:
        self.tell_pilot(seen.state, at)
        self.tell_contacts(seen.closed, at, phases=seen.phases)
        self.tell_errors(seen.errors)
        if seen.cable is not None:
            self.tell_proximity(seen.cable, at)
        if seen.locked is not None:
            self.tell_lock(seen.locked, at)
        if seen.temperatures_c:
            self.tell_temperatures(seen.temperatures_c, at)

    def _tell_measured(self, at: float) -> None:
        assert self.model.measure is not None
        try:
            measured = self.model.measure(self._memory.registers)
        except (KeyError, UnreadableError):
            return  # a block that it refused, or no meter behind it: there is no reading
        energy = energy_wh(measured.energy_import_wh)
        self.tell_meter(
            MeterReading(
                at=at,
                energy_import_wh=energy,
                power_w=None if measured.power_w is None else round(measured.power_w, DIGITS),
                voltage_v=tuple(round(value, DIGITS) for value in measured.voltage_v),
                current_a=tuple(round(value, DIGITS) for value in measured.current_a),
                quality=self._energy.judge(energy, at),
            )
        )
