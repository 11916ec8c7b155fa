"""The charge point's business: takes what happens, returns what is to be done. Pure: no clock, no I/O.

Each input changes facts; then every part *settles*: it compares what is with what should be and emits the
difference. So the order of inputs does not matter much, a repeated input does nothing, and a restart is an input
like any other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from agent.clock import Moment
from agent.config.schema import Config
from agent.journal.events import StopReason
from agent.link.messages import (
    ButtonPressed,
    DeviceReport,
    FaultCode,
    FaultReport,
    MeterSample,
    Observation,
    ToAgent,
    TokenPresented,
    Welcome,
)
from agent.link.signing import SignedSet, SigningReport
from agent.station.access import Access
from agent.station.authorisation import Authorisation
from agent.station.availability import Availability
from agent.station.books import Books
from agent.station.buttons import Buttons
from agent.station.charging.plan import Composite
from agent.station.charging.profile import Profile, RateUnit
from agent.station.charging.store import Filter
from agent.station.commands import (
    AvailabilityAnswer,
    PresentValues,
    RemoteStart,
    Reservation,
    ReservationAnswer,
    ResetKind,
    SettingAnswer,
    StatusReport,
)
from agent.station.customers import Customers
from agent.station.desk import TransactionDesk
from agent.station.display.display import Display
from agent.station.documents import EvseDocument, FaultHistoryDocument, GridDocument, LiveDocument
from agent.station.effects import Effect, Tampered
from agent.station.evse import Evse
from agent.station.facts import Facts
from agent.station.fault_history import FaultHistory
from agent.station.grid import GridLimit
from agent.station.indications import Indications
from agent.station.local_list import ListAnswer, ListStore, ListUpdate, MemoryStore
from agent.station.metering import Metering
from agent.station.permits import Permits
from agent.station.pricing import Pricing
from agent.station.readers import Readers
from agent.station.reasons import reasons
from agent.station.reservations import Reservations
from agent.station.session import Phase
from agent.station.settings import SETTINGS, SettingError, Settings, show
from agent.station.signing import Signing
from agent.station.site import Site, earliest
from agent.station.smart_charging import SmartCharging
from agent.station.snapshot import document, live
from agent.station.statuses import CONTROL_GRACE_S, Statuses
from agent.station.tariffs.tariffs import Tariffs
from agent.station.telling import Telling
from agent.station.tokens import Token, TokenInfo
from agent.station.transactions import Transactions

log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

SHORTEST_WAIT_S = 0.01

GRID = 0
"""What control calls the building's meter where an EVSE's number is asked for."""

_TAMPERING = (FaultCode.ENCLOSURE, FaultCode.TILT)


class Station:
    """``kept`` holds the documents of the Keep tables as the journal has them: table → key → value.

    ``local_list`` is where the local authorisation list is looked up and changed: too long to be kept in memory, it is
    the one thing that is read and written within a step. None: one in memory.
    """

    def __init__(
        self,
        config: Config,
        settings: Settings,
        kept: Mapping[str, Mapping[str, Any]],
        moment: Moment,
        local_list: ListStore | None = None,
    ) -> None:
        evses = {evse.id: Evse(evse.id, evse) for evse in config.evses}
        settings.set("SmartChargingCtrlr.Phases3to1", show(any(evse.switches_phases for evse in config.evses)))
        feed = config.installation
        grid = GridLimit(feed.grid_max_current_a, feed.grid_fallback_current_a) if feed.grid_meter else None
        self._site = Site(config, settings, moment, evses, control_lost_at=moment.monotonic_s, grid=grid)
        self._site.flexible = kept.get("station", {}).get("flexible", config.ocpp.versions[0] != "ocpp1.6") is True
        self._signing = Signing(self._site, kept)
        self._metering = Metering(self._site, self._signing)
        self._transactions = Transactions(self._site, self._metering, self._signing, kept)
        store = MemoryStore() if local_list is None else local_list
        self._authorisation = Authorisation(self._site, kept, store)
        self._reservations = Reservations(self._site, kept)
        self._readers = Readers(self._site, self._authorisation, self._transactions)
        self._buttons = Buttons(self._site, self._transactions)
        self._availability = Availability(self._site, self._transactions, kept)
        self.access = Access(self._readers, self._availability, self._reservations)
        self._charging = SmartCharging(self._site, kept)
        self._permits = Permits(self._site, self._charging.limits)
        self._statuses = Statuses(self._site)
        self._telling = Telling(self._site, self._transactions, self._charging)
        self.desk = TransactionDesk(self._site, self._transactions, self._metering)
        self.display = Display(self._site, kept, self.desk.open)
        self.tariffs = Tariffs(self._site, kept, self.desk.note)
        self.pricing = Pricing(self._site, self._metering, kept, self.display.languages, self.tariffs)
        self.customers = Customers(self._site, self._authorisation, self.pricing)
        self._indications = Indications(self._site)
        self._history = FaultHistory(self._site, kept)
        listed, profiles = (lambda: self._authorisation.list.size), (lambda: self._charging.installed)
        figures = (listed, profiles, lambda: self.display.count, lambda: self.tariffs.problem)
        self.facts = Facts(self._site, self._statuses, self._history, *figures, self._authorisation.cached_bytes)

    # ---- what happens -------------------------------------------------------------------------------------------

    def recovered(self, moment: Moment) -> list[Effect]:
        """Called once after construction: ends what cannot go on after the restart."""
        self._site.moment = moment
        self._transactions.recover()
        return self._settle()

    def handle(self, message: ToAgent, moment: Moment) -> list[Effect]:
        """Take a message of the control process."""
        self._site.moment = moment
        match message:
            case Welcome():
                self._welcome(message)
            case TokenPresented():
                self._readers.presented(message)
            case ButtonPressed():
                self._buttons.pressed(message)
            case DeviceReport(device, ok, _, detail):
                self._history.device(message)
                if not ok:
                    log.warning("device %s: %s", device, detail)
            case SigningReport():
                self._signing.reported(message)
            case SignedSet():
                self._signing.handed(message)
            case Observation() | MeterSample() | FaultReport():
                self._news(message)
        return self._settle()

    def _welcome(self, welcome: Welcome) -> None:
        site = self._site
        afresh = welcome.instance != site.control
        site.control, site.control_lost_at = welcome.instance, None
        site.control_since = site.now
        for info in welcome.evses:
            if info.evse in site.evses:
                site.evses[info.evse].info = info
        if afresh:
            # Its faults come again; what it said of the vehicle holds until it speaks.
            site.faults.clear()
            self._history.afresh()
            for evse in site.evses.values():
                evse.faults.clear()
        self._signing.forget()
        self._permits.forget()
        self._indications.forget()

    def _news(self, message: Observation | MeterSample | FaultReport) -> None:
        evse = self._site.evses.get(message.evse)
        if isinstance(message, FaultReport):
            self._watch_housing(message)
            self._history.reported(message)
            if evse is not None:
                evse.blame(message)
            elif message.active:
                self._site.faults[message.code] = message
            else:
                self._site.faults.pop(message.code, None)
        elif isinstance(message, MeterSample) and message.evse == GRID and self._site.grid is not None:
            self._permits.measure_grid(message)
        elif evse is None:
            log.warning("control speaks of EVSE %d, which is not configured", message.evse)
        elif isinstance(message, Observation):
            evse.observe(message, self._site.now)
            self._history.observed(message)
        else:
            evse.measure(message)

    def _watch_housing(self, report: FaultReport) -> None:
        """One event for each time that a cover opens or the charge point tilts, however many EVSEs look at it."""
        known = any(report.code in evse.faults for evse in self._site.evses.values())
        if report.active and report.code in _TAMPERING and not known:
            self._site.emit(Tampered(f"EVSE {report.evse}: {report.detail}"))

    def control_lost(self, moment: Moment) -> list[Effect]:
        """The link to control is down; it goes on by itself under its lease."""
        self._site.moment = moment
        if self._site.control_lost_at is None:
            self._site.control_lost_at = moment.monotonic_s
        self._site.control = ""
        return self._settle()

    def books_changed(self, books: Books, moment: Moment) -> list[Effect]:
        """The journal cannot be written, can again, or has other news."""
        self._site.moment = moment
        self._site.books = books
        return self._settle()

    def uplink_changed(self, online: bool, moment: Moment) -> list[Effect]:
        self._site.moment = moment
        self._site.online = online
        return self._settle()

    def authorisation_answered(self, request: int, info: TokenInfo | None, moment: Moment) -> list[Effect]:
        """``info`` None: the network gave no answer, so offline rules apply."""
        self._site.moment = moment
        self._answer(request, info)
        return self._settle()

    def _answer(self, request: int, info: TokenInfo | None) -> None:
        answered = self._authorisation.answered(request, info)
        if answered is not None:
            self._readers.decided(*answered)

    def start_answered(self, transaction: str, info: TokenInfo, moment: Moment) -> list[Effect]:
        """What the network said of the token when it took note of the start."""
        self._site.moment = moment
        for evse in self._site.evses.values():
            if evse.session is not None and evse.session.transaction == transaction:
                self._authorisation.learn(evse.session.token, info)
        self._transactions.start_answered(transaction, info)
        return self._settle()

    def token_told(self, token: Token, info: TokenInfo, moment: Moment) -> list[Effect]:
        """The network has told of a token: remember it."""
        self._site.moment = moment
        self._authorisation.learn(token, info)
        return self._settle()

    def timer(self, moment: Moment) -> list[Effect]:
        """A deadline of ``next_wake`` has come."""
        self._site.moment = moment
        return self._settle()

    # ---- what is asked ------------------------------------------------------------------------------------------

    def remote_start(self, request: RemoteStart, moment: Moment) -> tuple[bool, list[Effect]]:
        self._site.moment = moment
        if request.profile is not None and (why := self._charging.remote_objection(request.profile)):
            log.info("remote start refused: %s", why)
            return False, self._settle()
        return not self._readers.remote_start(request).why_not, self._settle()

    def remote_stop(self, transaction: str, moment: Moment) -> tuple[bool, list[Effect]]:
        """False when no transaction of this identity is open."""
        self._site.moment = moment
        return self.desk.remote_stop(transaction), self._settle()

    def local_stop(self, evse: int, moment: Moment) -> tuple[bool, list[Effect]]:
        """A person at the EVSE ends its transaction, or calls off one that waits for the plug."""
        self._site.moment = moment
        place = self._site.evses.get(evse)
        done = place is not None and place.session is not None and place.session.phase is not Phase.FINISHED
        if place is not None and place.session is not None:
            self._transactions.stop(place, StopReason.LOCAL)
            self._transactions.call_off(place, StopReason.LOCAL)
        return done, self._settle()

    def local_list_version(self, moment: Moment) -> int:
        """0: it is empty; -1: none is used."""
        self._site.moment = moment
        return self._authorisation.list.version

    def update_local_list(self, update: ListUpdate, moment: Moment) -> tuple[ListAnswer, list[Effect]]:
        """Change the local list in its store: all of it, durably, or nothing. May raise what the store raises."""
        self._site.moment = moment
        return self._authorisation.update_list(update), self._settle()

    def reserve(self, reservation: Reservation, moment: Moment) -> tuple[ReservationAnswer, list[Effect]]:
        """Keep an EVSE (0: any one) for a token until a time."""
        self._site.moment = moment
        return self._reservations.reserve(reservation), self._settle()

    def cancel_reservation(self, number: int, moment: Moment) -> tuple[bool, list[Effect]]:
        """False when there is none of this number."""
        self._site.moment = moment
        return self._reservations.cancel(number), self._settle()

    def unlock(self, evse: int, request: int, moment: Moment) -> list[Effect]:
        """Ends with ``AnswerUnlock(request, …)``, at once or later."""
        self._site.moment = moment
        self._availability.unlock(evse, request)
        return self._settle()

    def change_availability(
        self, evse: int, operative: bool, moment: Moment
    ) -> tuple[AvailabilityAnswer, list[Effect]]:
        """``evse`` 0: all of them."""
        self._site.moment = moment
        return self._availability.change(evse, operative), self._settle()

    def hold_back(self, on: bool, moment: Moment) -> list[Effect]:
        """Out of service, as far as no transaction runs, while new software waits and goes in; or back into it."""
        self._site.moment = moment
        self._availability.hold_back(on)
        return self._settle()

    def make_safe(self, on: bool, moment: Moment) -> list[Effect]:
        """End every transaction and take every EVSE out of service, also over restarts; or take that back."""
        self._site.moment = moment
        self._availability.make_safe(on)
        return self._settle()

    @property
    def in_transaction(self) -> bool:
        """A transaction is open at some EVSE."""
        return any(evse.in_transaction for evse in self._site.evses.values())

    def reset(self, kind: ResetKind, moment: Moment) -> tuple[bool, list[Effect]]:
        """Ends with ``Restart(kind)`` when everything is done."""
        self._site.moment = moment
        return self._availability.reset(kind), self._settle()

    def forget_customer(self, token: Token, moment: Moment) -> tuple[list[int], list[Effect]]:
        """Forget what may be forgotten of a driver; the numbers are of reservations, which are to be cancelled."""
        self._site.moment = moment
        return self.customers.forget(token), self._settle()

    def clear_cache(self, moment: Moment) -> tuple[bool, list[Effect]]:
        self._site.moment = moment
        return self._authorisation.clear(), self._settle()

    def set_charging_profile(self, evse: int, profile: Profile, moment: Moment) -> tuple[bool, list[Effect]]:
        """Install a profile; ``evse`` 0: for the station, or as default of all. False when it breaks a rule."""
        self._site.moment = moment
        refusal = self._charging.install(evse, profile)
        if refusal is not None:
            log.info("charging profile %d is refused: %s", profile.id, refusal)
        return refusal is None, self._settle()

    def clear_charging_profiles(self, which: Filter, moment: Moment) -> tuple[bool, list[Effect]]:
        """False when none matched."""
        self._site.moment = moment
        return self._charging.clear(which), self._settle()

    def composite_schedule(self, evse: int, duration_s: int, unit: RateUnit | None, moment: Moment) -> Composite | None:
        """What an EVSE, or (0) the whole station, may draw from now on. None for no such EVSE or time."""
        self._site.moment = moment
        return self._charging.limits.composite(evse, duration_s, unit, self._permits.local_limit_a())

    @property
    def charging(self) -> SmartCharging:
        """To be read only."""
        return self._charging

    def within(self, deed: Callable[[], _Answer], moment: Moment) -> tuple[_Answer, list[Effect]]:
        """Ask or tell a part of the station something (``desk``, ``access``)."""
        self._site.moment = moment
        return deed(), self._settle()

    def with_charging(self, deed: Callable[[SmartCharging], _Answer], moment: Moment) -> tuple[_Answer, list[Effect]]:
        """Ask or tell smart charging something."""
        self._site.moment = moment
        return deed(self._charging), self._settle()

    def set_setting(self, name: str, text: str, moment: Moment) -> tuple[SettingAnswer, list[Effect]]:
        """Check, keep and apply a setting."""
        self._site.moment = moment
        setting = SETTINGS.get(name)
        if setting is None:
            return SettingAnswer.NOT_SUPPORTED, []
        if not setting.writable:
            return SettingAnswer.REJECTED, []
        if why := self._signing.objection(name, text):
            log.info("setting %s refused: %s", name, why)
            return SettingAnswer.REJECTED, []
        try:
            self._site.settings.set(name, text)
        except SettingError as error:
            log.info("setting refused: %s", error)
            return SettingAnswer.REJECTED, []
        self._site.keep("setting", name, show(self._site.settings.value(name)))
        return SettingAnswer.ACCEPTED, self._settle()

    # ---- what is shown ------------------------------------------------------------------------------------------

    def statuses(self, moment: Moment) -> list[StatusReport]:
        """Return the current state of the station (EVSE 0), then of each EVSE in order of number."""
        self._site.moment = moment
        evses = sorted(self._site.evses.values(), key=lambda evse: evse.id)
        return [self._statuses.station(), *(self._statuses.report(evse) for evse in evses)]

    def present_values(self, moment: Moment) -> list[PresentValues]:
        """Return what the meters say now, in order of EVSE; silent ones are left out."""
        self._site.moment = moment
        evses = sorted(self._site.evses.values(), key=lambda evse: evse.id)
        return [values for evse in evses if (values := self._metering.present(evse)) is not None]

    def meter_public_key(self, evse: int) -> str:
        """Key that the EVSE's meter signs with, in hexadecimal DER; empty where it does not sign."""
        return self._signing.public_key(evse)

    def snapshot(self, moment: Moment) -> list[EvseDocument]:
        """Return each EVSE with all that holds it back, for the local API."""
        self._site.moment = moment
        lost_at = self._site.control_lost_at
        gone = lost_at is not None and moment.monotonic_s - lost_at >= CONTROL_GRACE_S
        limit_a = self._permits.limit_a()
        return [
            document(
                evse,
                self._site,
                reasons(evse, self._site, limit_a, self._authorisation.asking(evse.id), gone),
                self.pricing.document(evse),
                self.display.document(evse),
            )
            for evse in sorted(self._site.evses.values(), key=lambda evse: evse.id)
        ]

    def fault_history(self) -> list[FaultHistoryDocument]:
        """Return what is and was wrong, present faults first, then the latest first."""
        return self._history.documents()

    def live(self, evse: int, moment: Moment) -> LiveDocument:
        """Return what is measured at one EVSE now. KeyError for one that is not there."""
        self._site.moment = moment
        return live(self._site.evses[evse], self._site)

    def grid(self, moment: Moment) -> GridDocument | None:
        """What the building's meter leaves for charging; None where there is none."""
        grid = self._site.grid
        if grid is None:
            return None
        now = moment.monotonic_s
        return {
            "fresh": grid.fresh(now),
            "max_current_a": self._site.config.installation.grid_max_current_a,
            "current_a": list(grid.measured.current_a) if grid.measured is not None and grid.fresh(now) else [],
            "limit_a": round(grid.limit_a(now), 1),
        }

    def next_wake(self) -> float | None:
        """When ``timer`` is to be called next, in monotonic seconds; None for never. Never at once: a rounding error
        in a deadline costs a hundredth of a second, not a processor."""
        due = earliest(
            part.wake()
            for part in (
                self._transactions,
                self._authorisation,
                self._permits,
                self._charging,
                self._metering,
                self._statuses,
                self._reservations,
                self._availability,
                self._indications,
                self.pricing,
                self.tariffs,
                self.display,
                self._history,
            )
        )
        return None if due is None else max(due, self._site.now + SHORTEST_WAIT_S)

    def _settle(self) -> list[Effect]:
        for request in self._authorisation.overdue():
            self._answer(request, None)
        self._reservations.settle()
        self._statuses.announce()
        self._transactions.settle()
        self._charging.settle()
        self._metering.settle()
        self._signing.settle()
        self._permits.settle()
        self._statuses.settle()
        self._telling.settle()
        self.pricing.settle()
        self.tariffs.settle()
        self._availability.settle()
        self._indications.settle()
        self._history.settle()
        self.display.settle()
        self._transactions.save()
        return self._site.take()
