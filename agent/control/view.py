"""What the EVSE shows to the agent and to the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.control.inputs import EvseInputs
from agent.control.permit import Lease
from agent.control.sequence import Pilot
from agent.link.messages import Observation
from hal.values import Indication, PilotState

if TYPE_CHECKING:
    from agent.control.evse import EvseControl


def pilot_text(state: PilotState | None, pwm: bool) -> str:
    """Return the state letter with its suffix, "?" while unknown or outside every band."""
    if state is None or state is PilotState.INVALID:
        return "?"
    if state in (PilotState.E, PilotState.F):
        return str(state.value)
    return str(state.value) + ("2" if pwm else "1")


def indication_of(evse: EvseControl, wished: Indication | None) -> Indication:
    """Faults and service state go before the agent's wish; without a wish control's own view is shown."""
    if evse.faults.blocking():
        return Indication.FAULTED
    if not evse.operative:
        return Indication.UNAVAILABLE
    if wished is not None:
        return wished
    if evse.sequence.closed:
        return Indication.CHARGING
    if evse.guards.plugged is None:
        return Indication.UNAVAILABLE
    if not evse.guards.plugged:
        return Indication.AVAILABLE
    return Indication.SUSPENDED if evse.sequence.pilot is Pilot.PWM else Indication.PREPARING


def _contactor(evse: EvseControl, now: float) -> bool | None:
    """By feedback where there is one, else as commanded; None while the board is silent.

    A charge controller takes its time: until it has been read open since the offer ended, and no current flows any
    more, its contacts count as closed while the vehicle is in C, else as not known.
    """
    watch, steady_since = evse.guards.contactor, evse.sequence.steady_since
    if evse.settings.follows and watch.known and steady_since is not None and watch.closed is not True:
        if watch.at_rest(steady_since, now) and not evse.current_flows:
            return False
        return True if evse.guards.state in (PilotState.C, PilotState.D) else None
    if watch.has_feedback:
        return watch.closed
    return evse.sequence.closed if watch.known else None


def observe(evse: EvseControl, inputs: EvseInputs, now: float) -> Observation:
    """Return the whole truth about the EVSE after a step."""
    guards, sequence, permit = evse.guards, evse.sequence, evse.permits.permit
    lease = evse.permits.lease(now)
    state = guards.state
    ready = state is PilotState.C or state is PilotState.D
    plugged = guards.plugged
    if plugged is None and (evse.wake_up.running or evse.tries.shows_f(now)):
        plugged = evse.was_plugged  # our own short state F hides the vehicle
    flowing = not evse.faults.blocking() and evse.operative and lease not in (Lease.NONE, Lease.EXPIRED)
    volts = inputs.pilot
    return Observation(
        evse=evse.settings.evse,
        at=now,
        pilot=pilot_text(state, sequence.pilot is Pilot.PWM),
        plugged=plugged,
        vehicle_ready=ready,
        duty_pct=evse.duty_pct,
        offered_a=evse.offered_a,
        phases=evse.phase_switch.phases,
        contactor_closed=_contactor(evse, now),
        locked=evse.lock.locked,
        cable_a=evse.cable_a(),
        permit_serial=permit.serial if permit is not None and lease is not Lease.EXPIRED else 0,
        fail_safe=lease is Lease.FAIL_SAFE,
        limit_a=evse.limit_a if flowing else 0.0,
        limited_by=evse.limited_by,
        holds=evse.holds,
        faults=evse.faults.codes(),
        temperature_c=guards.temperature.celsius,
        pilot_high_v=None if volts is None else volts.high_v,
        pilot_low_v=None if volts is None else volts.low_v,
        plugged_at=evse.plugged_at,
        left_at=evse.left_at,
    )
