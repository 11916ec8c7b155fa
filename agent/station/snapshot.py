"""An EVSE as the local API shows it."""

from __future__ import annotations

from agent.link.messages import MeterSample, Observation
from agent.local.status import EvseDocument, FaultDocument, PriceDocument, ReasonDocument, TransactionDocument, moment
from agent.station.evse import Evse
from agent.station.reasons import Reason
from agent.station.site import Site


def document(evse: Evse, site: Site, reasons: list[Reason], price: PriceDocument | None = None) -> EvseDocument:
    """Join what is known of one EVSE. A reading that is too old is None."""
    observation: Observation | None = evse.observation
    sample: MeterSample | None = evse.fresh_meter(site.now)
    return {
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
        "reasons": [ReasonDocument(code=one.code, text=one.text, remedy=one.remedy) for one in reasons],
        "faults": [
            FaultDocument(code=fault.code.value, detail=fault.detail, remedy=fault.remedy)
            for fault in sorted(evse.faults.values(), key=lambda fault: (not fault.latched, fault.at))
        ],
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
