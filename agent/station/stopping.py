"""Which reason a transaction gets when a fault ends it, and what its end is recorded for."""

from __future__ import annotations

from collections.abc import Mapping

from agent.config import schema
from agent.journal.events import StopReason, Trigger
from agent.link.messages import FaultCode, FaultReport
from agent.station.evse import Evse

_REASONS = {
    FaultCode.EMERGENCY_STOP: StopReason.EMERGENCY_STOP,
    FaultCode.RESIDUAL_CURRENT: StopReason.GROUND_FAULT,
    FaultCode.PROTECTIVE_EARTH: StopReason.GROUND_FAULT,
    FaultCode.OVER_CURRENT: StopReason.OVERCURRENT_FAULT,
    FaultCode.MAINS: StopReason.POWER_LOSS,
}


def fault_that_ends(evse: Evse) -> FaultReport | None:
    """Return the fault for which the transaction must end: a latched one (a person must act), an emergency stop,
    or a silent meter where the configuration says so. Others are waited out."""
    for report in sorted(evse.faults.values(), key=lambda report: report.at):
        if report.latched and report.code is not FaultCode.METER:
            return report
        if report.code is FaultCode.EMERGENCY_STOP:
            return report
        if report.code is FaultCode.METER and evse.config.on_meter_loss is schema.MeterLoss.STOP:
            return report
    return None


def reason_of(report: FaultReport) -> StopReason:
    return _REASONS.get(report.code, StopReason.OTHER)


TRIGGERS: Mapping[StopReason, Trigger] = {
    StopReason.DE_AUTHORIZED: Trigger.DEAUTHORIZED,
    StopReason.COST_LIMIT_REACHED: Trigger.COST_LIMIT_REACHED,
    StopReason.ENERGY_LIMIT_REACHED: Trigger.ENERGY_LIMIT_REACHED,
    StopReason.TIME_LIMIT_REACHED: Trigger.TIME_LIMIT_REACHED,
    StopReason.EV_DISCONNECTED: Trigger.EV_COMMUNICATION_LOST,
    StopReason.IMMEDIATE_RESET: Trigger.RESET_COMMAND,
    StopReason.SCHEDULED_RESET: Trigger.RESET_COMMAND,
    StopReason.LOCAL: Trigger.STOP_AUTHORIZED,
    StopReason.MASTER_PASS: Trigger.STOP_AUTHORIZED,
    StopReason.REMOTE: Trigger.REMOTE_STOP,
    StopReason.STOPPED_BY_EV: Trigger.CHARGING_STATE_CHANGED,
    StopReason.TIMEOUT: Trigger.EV_CONNECT_TIMEOUT,
    StopReason.UNLOCK_COMMAND: Trigger.UNLOCK_COMMAND,
}
"""OCPP 2.0.1 part 2, TriggerReasonEnumType. Every other reason is an abnormal condition (E06.FR.16)."""


def trigger_of(reason: StopReason) -> Trigger:
    return TRIGGERS.get(reason, Trigger.ABNORMAL_CONDITION)
