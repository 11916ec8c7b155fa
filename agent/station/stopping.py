"""Which reason a transaction gets when a fault ends it."""

from __future__ import annotations

from agent.config import schema
from agent.journal.events import StopReason
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
