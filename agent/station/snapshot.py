"""An EVSE as the local API shows it."""

from __future__ import annotations

from agent.link.messages import MeterSample, Observation
from agent.station.documents import (
    DisplayDocument,
    EvseDocument,
    FaultDocument,
    LiveDocument,
    PriceDocument,
    ReasonDocument,
    TransactionDocument,
    moment,
)
from agent.station.evse import Evse
from agent.station.reasons import Reason
from agent.station.site import Site


def document(
    evse: Evse,
    site: Site,
    reasons: list[Reason],
    price: PriceDocument | None = None,
    display: DisplayDocument | None = None,
) -> EvseDocument:
    """Join what is known of one EVSE. A reading that is too old is None."""
    observation: Observation | None = evse.observation
    sample: MeterSample | None = evse.fresh_meter(site.now)
    whole: EvseDocument = {
        "id": evse.id,
        "state": observation.pilot if observation else "?",
        "status": evse.status.value if evse.status else "Unavailable",
        "available": evse.operative,
        "plugged": evse.connected,
        "contactor_closed": observation.contactor_closed if observation else None,
        "locked": observation.locked if observation else None,
        "offered_a": observation.offered_a if observation else 0.0,
        "limit_a": observation.limit_a if observation else 0.0,
        "limited_by": observation.limited_by if observation else "",
        "power_w": sample.power_w if sample else None,
        "energy_wh": sample.energy_import_wh if sample else None,
        "temperature_c": observation.temperature_c if observation else None,
        "transaction": _transaction(evse),
        "price": price,
        "reasons": [_reason(one) for one in reasons],
        "faults": [
            FaultDocument(code=fault.code.value, detail=fault.detail, remedy=fault.remedy)
            for fault in sorted(evse.faults.values(), key=lambda fault: (not fault.latched, fault.at))
        ],
    }
    if display is not None and display["messages"]:
        whole["display"] = display
    return whole


def _reason(reason: Reason) -> ReasonDocument:
    shown = ReasonDocument(code=reason.code, text=reason.text, remedy=reason.remedy)
    if reason.values:
        shown["template"], shown["values"] = reason.template, dict(reason.values)
    return shown


def live(evse: Evse, site: Site) -> LiveDocument:
    """Everything measured at one EVSE, as it is now."""
    observation: Observation | None = evse.observation
    sample: MeterSample | None = evse.fresh_meter(site.now)
    session = evse.running
    register_wh = sample.energy_import_wh if sample else None
    return {
        "id": evse.id,
        "at_s": round(site.now, 3),
        "state": observation.pilot if observation else "?",
        "pilot_high_v": observation.pilot_high_v if observation else None,
        "pilot_low_v": observation.pilot_low_v if observation else None,
        "duty_pct": observation.duty_pct if observation else 0.0,
        "offered_a": observation.offered_a if observation else 0.0,
        "limit_a": observation.limit_a if observation else 0.0,
        "limited_by": observation.limited_by if observation else "",
        "phases": observation.phases if observation else 0,
        "voltage_v": list(sample.voltage_v) if sample else [],
        "current_a": list(sample.current_a) if sample else [],
        "power_w": sample.power_w if sample else None,
        "energy_wh": register_wh,
        "frequency_hz": sample.frequency_hz if sample else None,
        "contactor_closed": observation.contactor_closed if observation else None,
        "locked": observation.locked if observation else None,
        "cable_a": observation.cable_a if observation else 0,
        "temperature_c": observation.temperature_c if observation else None,
        "plugged": evse.connected,
        "status": evse.status.value if evse.status else "Unavailable",
        "session_wh": register_wh - session.start_wh if session is not None and register_wh is not None else None,
        "fail_safe": observation.fail_safe if observation else False,
        "holds": [hold.value for hold in observation.holds] if observation else [],
    }


def _transaction(evse: Evse) -> TransactionDocument | None:
    session = evse.session
    if session is None or session.started is None:
        return None
    energy_wh = None if session.register_wh is None else session.register_wh - session.start_wh
    return {
        "id": session.transaction,
        "token": session.token.masked,
        "started_at": moment(session.started.utc_s),
        "energy_wh": energy_wh,
        "state": session.state.value if evse.running else session.phase.value,
    }
