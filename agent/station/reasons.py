"""Why is it not charging? One ordered list per EVSE, each entry with what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.link.messages import Hold
from agent.station.commands import ConnectorStatus
from agent.station.evse import Evse
from agent.station.limits import MINIMUM_A
from agent.station.reservations import shows_reserved
from agent.station.roaming import used_up
from agent.station.session import Phase
from agent.station.site import Site


@dataclass(frozen=True, slots=True)
class Reason:
    """``template`` holds its values as ``{name}``, so that it can be translated before they are put in."""

    code: str
    template: str
    remedy: str
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """In English, with its values."""
        return self.template.format(**self.values) if self.values else self.template


_HOLDS = {
    Hold.LIMIT_BELOW_MINIMUM: (
        "the lowest of all limits is below 6 A",
        "look at the cable's rating, the temperature and the limits set",
    ),
    Hold.LEASE_EXPIRED: (
        "the permit ran out without renewal",
        "the agent renews it by itself; look at its log if this stays",
    ),
    Hold.LOCK_PENDING: ("the plug is not locked yet", "push the plug fully in"),
    Hold.SELF_TEST_PENDING: ("the residual-current monitor is being tested", "wait a few seconds"),
    Hold.CHECKS_PENDING: ("checks before closing are not over yet", "wait a few seconds"),
    Hold.VEHICLE_NOT_READY: (
        "the vehicle does not ask for energy",
        "it may be full, waiting for its own timer, or paused in its app",
    ),
    Hold.VEHICLE_ASLEEP: ("the vehicle does not react", "unlock the vehicle, or unplug and plug in again"),
    Hold.STOPPING: ("charging is being stopped", "wait a few seconds"),
    Hold.PHASE_SWITCH: ("the number of phases is being changed", "wait a few seconds"),
}


def reasons(evse: Evse, site: Site, limit_a: float, asking: bool, control_gone: bool) -> list[Reason]:
    """Return what holds charging back, most important first. Empty while energy flows.

    ``asking``: the network's answer about a token is awaited; ``limit_a``: what all EVSEs together may draw.
    """
    found: list[Reason] = []
    if not site.control or control_gone:
        found.append(Reason("control_lost", "the control process does not answer", "restart evse-control"))
    if evse.stopped_by_fault:
        found += [
            Reason(
                f"fault:{fault.code.value}",
                fault.detail or fault.code.value.replace("_", " "),
                fault.remedy or ("clear its cause, then unplug" if fault.latched else "it is cleared by itself"),
            )
            for fault in sorted(evse.faults.values(), key=lambda fault: (not fault.latched, fault.at))
        ]
    if Hold.EMERGENCY_STOP in evse.holds and not any(reason.code == "fault:emergency_stop" for reason in found):
        found.append(Reason("emergency_stop", "the emergency stop is pressed", "release it when it is safe"))
    if evse.held_back and not evse.in_transaction:
        found.append(Reason("updating", "new software is being installed", "wait some minutes"))
    elif evse.made_safe:
        found.append(Reason("made_safe", "a technician has opened everything", "'safe off' at the console ends it"))
    elif not evse.in_service:
        found.append(Reason("inoperative", "out of service by the operator", "the operator puts it into service"))
    if site.resetting is not None:
        found.append(Reason("resetting", "the station is about to restart", "wait a minute"))
    if site.books.closed:
        found.append(Reason(site.books.code, site.books.text, site.books.remedy))
    if evse.connected is False:
        found.append(Reason("not_plugged", "no vehicle is connected", "plug the cable in"))
    if evse.connected is None:
        found.append(
            Reason("vehicle_unknown", "the pilot has not told yet whether a vehicle is there", "wait a few seconds")
        )
    if evse.running is not None and evse.running.cap is not None and used_up(site, evse, evse.running) is not None:
        text = "the network has not confirmed this driver of {partner} yet, and the bound is reached"
        values = {"partner": evse.running.cap.partner}
        found.append(Reason("unconfirmed", text, "charging goes on when the network is back and confirms", values))
        return found
    grid = site.grid
    if evse.running is not None and evse.share_a <= 0 and grid is not None and grid.limit_a(site.now) < MINIMUM_A:
        if grid.fresh(site.now):
            text = "the building's other loads leave {limit} A, no vehicle charges below 6 A"
            values = {"limit": f"{grid.limit_a(site.now):.1f}"}
            found.append(Reason("grid_limit", text, "wait until other loads are off, or switch some off", values))
        else:
            text = "the meter of the building's supply is silent"
            found.append(Reason("grid_meter", text, "check that meter; installation.grid_fallback_current_a holds"))
        return found
    found += _session_reasons(evse, limit_a, asking, shows_reserved(site, evse))
    if evse.running is not None and evse.connected:
        found += [Reason(hold.value, *_HOLDS[hold]) for hold in evse.holds if hold in _HOLDS]
        if not found and evse.status is not ConnectorStatus.CHARGING:
            found.append(Reason("pending", "permit and checks are on their way", "wait a few seconds"))
    return found


def _session_reasons(evse: Evse, limit_a: float, asking: bool, reserved: bool) -> list[Reason]:
    session = evse.session
    if session is None or session.vacant:
        if reserved:
            return [Reason("reserved", "kept for somebody who reserved it", "use another outlet, or wait")]
        if asking:
            return [Reason("authorisation_pending", "the network is asked about the card", "wait a few seconds")]
        return [Reason("not_authorised", "nobody is authorised", "present a card or start from the app")]
    if session.phase is Phase.WAITING:
        if not evse.connected or evse.stopped_by_fault:
            return []
        return [Reason("meter_pending", "waiting for the meter", "wait a few seconds")]
    if session.phase is Phase.STOPPING:
        return [Reason("stopping", "charging is being stopped", "wait a few seconds")]
    if session.phase is Phase.FINISHED:
        if session.hold_cable:
            return [Reason("cable_held", "the plug is held for its owner", "present the card it was started with")]
        return [Reason("finished", "the transaction has ended", "unplug, or present the card again")]
    if evse.share_a > 0:
        return []
    if session.refused:
        return [Reason("deauthorised", "the network refused the card", "unplug and use another card")]
    if limit_a < MINIMUM_A:
        text = "all together may draw {limit} A, no vehicle charges below 6 A"
        return [Reason("limit", text, "raise the limit", {"limit": f"{limit_a:g}"})]
    if evse.allowed_a is not None and evse.allowed_a < MINIMUM_A:
        text = "the network's charging profile allows {limit} A, no vehicle charges below 6 A"
        values = {"limit": f"{evse.allowed_a:g}"}
        return [Reason("charging_profile", text, "wait for the profile's next period, or ask the operator", values)]
    if evse.connected:
        return [Reason("waiting_for_share", "the feed is taken by others who came first", "wait for one to finish")]
    return []
