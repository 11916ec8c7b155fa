"""All detectors of one EVSE together: one look at the inputs gives the conditions that hold."""

from __future__ import annotations

from agent.control.board_watch import BoardWatch
from agent.control.cable import CableWatch
from agent.control.contacts import ContactorWatch
from agent.control.currents import OverCurrentWatch, ResidualCurrentWatch
from agent.control.faults import Condition
from agent.control.inputs import EvseInputs
from agent.control.persistence import Persistence
from agent.control.pilot import DiodeCheck, PilotClassifier
from agent.control.sequence import Pilot, Sequence
from agent.control.settings import EvseSettings
from agent.control.supply import SupplyWatch
from agent.control.thermal import TemperatureWatch
from agent.control.timing import METER_STALE_S, PILOT_FAULT_S, PORT_STALE_S, STARTUP_GRACE_S, VENTILATION_S
from agent.link.messages import FaultCode
from hal.ports import PortKind
from hal.values import MeterReading, PilotState


class Guards:
    """Detectors and what they know. ``update`` is called once per step, before anything is decided."""

    def __init__(self, settings: EvseSettings, now: float) -> None:
        self._settings = settings
        self._started_at = now
        self._pilot_unsupervised = not settings.has_board or PortKind.CONTROL_PILOT in settings.unsupervised
        self.classifier = PilotClassifier()
        self.diode = DiodeCheck()
        self.board = BoardWatch(settings)
        self.contactor = ContactorWatch()
        self.cable = CableWatch(settings)
        self.temperature = TemperatureWatch(settings.temperature)
        self._over_current = OverCurrentWatch()
        self._residual = ResidualCurrentWatch()
        self._supply = SupplyWatch(settings)
        self._off_band = Persistence()
        self._ventilation = Persistence()
        self._no_demand = Persistence()
        self._sighted_at: float | None = None
        """Since when the pilot's state is known; None while it is not."""
        self.plugged: bool | None = None
        """By the pilot alone; None while a vehicle cannot be seen."""

    @property
    def state(self) -> PilotState | None:
        """State of the pilot; None while nothing believable is known."""
        return self.classifier.state

    def update(
        self, inputs: EvseInputs, sequence: Sequence, offered_a: float, testing_until: float, now: float
    ) -> dict[FaultCode, Condition]:
        found = self.board.update(inputs, now)
        flag = found.pop(FaultCode.RESIDUAL_CURRENT, None)
        self._look_at_pilot(inputs, sequence, found, now)
        found.update(self._look_at_contacts(inputs, sequence, now))
        found.update(self._supply.update(inputs.meter, now))
        unplugged = self.plugged is False
        offering = sequence.closed or sequence.pilot is Pilot.PWM
        optional = {
            FaultCode.CABLE: self.cable.update(
                inputs.proximity, self.plugged is True, unplugged, offering, now, alive=self.board.alive
            ),
            FaultCode.TEMPERATURE: self.temperature.update(inputs.temperatures, now),
            FaultCode.OVER_CURRENT: self._over_current.update(
                self.fresh_meter(inputs, now), offered_a, sequence.closed, now
            ),
            FaultCode.RESIDUAL_CURRENT: self._residual.update(
                inputs.residual_current,
                flag is not None,
                testing_until,
                sequence.closed,
                sequence.opened_at,
                sequence.closed_at,
                now,
            ),
        }
        for code, condition in optional.items():
            if condition is not None:
                found[code] = condition
        if inputs.emergency_stop is not None and inputs.emergency_stop.pressed:
            found[FaultCode.EMERGENCY_STOP] = Condition("the emergency stop is pressed")
        if inputs.enclosure is not None and inputs.enclosure.open:
            found[FaultCode.ENCLOSURE] = Condition("the enclosure is open")
        if inputs.enclosure is not None and inputs.enclosure.tilted:
            found[FaultCode.TILT] = Condition("the charge point does not stand upright")
        if inputs.reader_trouble:
            found[FaultCode.READER] = Condition(inputs.reader_trouble)
        return found

    def _look_at_contacts(self, inputs: EvseInputs, sequence: Sequence, now: float) -> dict[FaultCode, Condition]:
        reading, alive = inputs.contactor, self.board.alive
        if PortKind.CONTACTOR in self._settings.unsupervised and reading is not None:
            alive = alive and now - reading.at <= PORT_STALE_S  # nobody else vouches for what was read long ago
        if not self._settings.follows:
            return self.contactor.update(reading, alive, sequence.closed, sequence.switched_at, now)
        self._no_demand.held(self.state not in (PilotState.C, PilotState.D), now, 0.0)
        since = self._no_demand.since if sequence.steady_since is None else sequence.steady_since
        return self.contactor.follow(reading, alive, since, now)

    def _look_at_pilot(
        self, inputs: EvseInputs, sequence: Sequence, found: dict[FaultCode, Condition], now: float
    ) -> None:
        stale = self.classifier.update(inputs.pilot, now)
        if not self.board.alive:
            self.classifier.state = None
        state = self.classifier.state
        if state in (PilotState.B, PilotState.C, PilotState.D):
            self.plugged = True
        else:
            self.plugged = False if state is PilotState.A else None
        # State F that nobody commanded is as wrong as E; right after a change of the pilot it is only late.
        # So it is right after the board was heard for the first time, or again: it has just been told to leave F.
        if state is None:
            self._sighted_at = None
        elif self._sighted_at is None:
            self._sighted_at = now
        since = max(sequence.pilot_since, now if self._sighted_at is None else self._sighted_at)
        odd_f = state is PilotState.F and sequence.pilot is not Pilot.F and now - since >= PILOT_FAULT_S
        # At −12 V a vehicle without a diode reads outside every band: that is the diode's fault, not the pilot's.
        off_band = state is PilotState.E or (state is PilotState.INVALID and sequence.pilot is not Pilot.F)
        if self._off_band.held(off_band or odd_f, now, 0.0 if odd_f else PILOT_FAULT_S) and state is not None:
            found[FaultCode.PILOT] = Condition(f"control pilot reads {state.value}")
        if stale:
            found[FaultCode.PILOT] = Condition("the control pilot is no longer measured")
        elif inputs.pilot is None and self._pilot_unsupervised and now - self._started_at >= STARTUP_GRACE_S:
            found[FaultCode.PILOT] = Condition("the control pilot has never been measured")
        if self._ventilation.held(state is PilotState.D and not self._settings.ventilation, now, VENTILATION_S):
            found[FaultCode.VENTILATION] = Condition("the vehicle asks for ventilation, which this place does not have")
        if self._settings.follows:
            return
        if self.classifier.measured and self.diode.update(inputs.pilot, sequence.pwm_since):
            found[FaultCode.DIODE] = Condition("the negative half-wave of the pilot is not at −12 V")

    @property
    def diode_ok(self) -> bool:
        """The diode was seen; a board that classifies by itself has looked and would have raised its flag."""
        return self.diode.ok or not self.classifier.measured or self._settings.follows

    @staticmethod
    def fresh_meter(inputs: EvseInputs, now: float) -> MeterReading | None:
        meter = inputs.meter
        return meter if meter is not None and now - meter.at <= METER_STALE_S else None

    def current_a(self, inputs: EvseInputs, now: float) -> float:
        """Highest phase current of a fresh meter reading in ampere, 0 without one."""
        meter = self.fresh_meter(inputs, now)
        return max(meter.current_a, default=0.0) if meter is not None else 0.0
