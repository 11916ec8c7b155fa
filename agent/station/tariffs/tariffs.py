"""Tariffs at this charge point, and what each transaction costs by its own: local cost calculation of OCPP 2.1."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Any

from agent.journal.events import ChargingState, Trigger
from agent.station.evse import Evse
from agent.station.price_texts import PriceText, plain
from agent.station.session import Phase, Session
from agent.station.site import Site, earliest
from agent.station.tariff import decimal_wh
from agent.station.tariffs import drivers, reserved
from agent.station.tariffs.account import Account, Reading
from agent.station.tariffs.answers import Assignment, LocalCost, TariffAnswer
from agent.station.tariffs.defaults import Installed, added, current, installed_of, next_change, pruned
from agent.station.tariffs.details import account_document, account_of, as_decimal, details, final_total
from agent.station.tariffs.drivers import Drivers
from agent.station.tariffs.reserved import Reserved
from agent.station.tariffs.tariff import Tariff, TariffError, TooManyElementsError
from agent.station.tokens import Token
from agent.station.wall_clock import offset_s

log = logging.getLogger(__name__)

TABLE = "tariff"
DEFAULTS = "defaults"
ACCOUNT, FINAL = "account:", "final:"
MAX_FINALS = 200
"""Accounts of transactions whose end is not delivered yet; the oldest goes first."""
SAVE_EVERY_MS = 900_000
"""Between two changes of prices; what a restart leaves open is divided in proportion."""

Note = Callable[[str, Trigger], bool]
"""(transaction, what happened): put it on the books."""


@dataclass(slots=True)
class _Running:
    """The account of a transaction that is open."""

    evse: int
    token: str
    installed: Installed
    account: Account
    monotonic_s: float | None = None
    """Of its last reading, in this run of the agent."""
    told: str = ""
    """Id of the tariff that the network has been told of for it."""
    told_s: float = 0.0
    """When its running cost was put on the books last (monotonic)."""
    saved: Any = None
    saved_utc_ms: int = 0


class Tariffs:
    """``note``: for events of transactions."""

    def __init__(self, site: Site, kept: Mapping[str, Mapping[str, Any]], note: Note) -> None:
        self._site = site
        self._note = note
        self._defaults: dict[int, list[Installed]] = {number: [] for number in site.evses}
        self._drivers = Drivers(site, TABLE)
        self._reserved = Reserved(site, TABLE)
        self._running: dict[str, _Running] = {}
        self._finals: dict[str, dict[str, Any]] = {}
        self._shown: dict[int, tuple[str, LocalCost]] = {}
        self.problem = False
        """A tariff of the network could not be used, and none that could has come since (I08.FR.30)."""
        for key, document in kept.get(TABLE, {}).items():
            try:
                self._load(key, document)
            except (KeyError, TypeError, ValueError) as error:
                log.error("the kept tariff %s cannot be read and is dropped: %r", key, error)
                site.keep(TABLE, key, None)

    def _load(self, key: str, document: Any) -> None:
        if key == DEFAULTS:
            for number, found in document.items():
                if int(number) in self._defaults:
                    self._defaults[int(number)] = [installed_of(each) for each in found]
        elif key == reserved.KEY:
            self._reserved.load(document)
        elif key == drivers.KEY:
            self._drivers.load(document)
        elif key.startswith(ACCOUNT):
            installed = installed_of(document["tariff"])
            account = account_of(document["account"], installed.tariff, self._zone)
            running = _Running(int(document["evse"]), document["token"], installed, account)
            running.saved_utc_ms = account.reading.utc_ms
            running.told = str(document["told"])
            self._running[key.removeprefix(ACCOUNT)] = running
        elif key.startswith(FINAL):
            self._finals[key.removeprefix(FINAL)] = document

    @property
    def enabled(self) -> bool:
        return self._site.settings.boolean("TariffCostCtrlr.Enabled")

    @property
    def _zone(self) -> tzinfo:
        name = self._site.config.station.time_zone
        if name:
            from zoneinfo import ZoneInfo

            return ZoneInfo(name)
        offset = offset_s(self._site.settings, self._site.moment.utc_s)
        return timezone(timedelta(seconds=offset)) if offset else UTC

    # ---- what the network says ----------------------------------------------------------------------------------

    def set_default(self, evse: int, document: dict[str, Any]) -> tuple[TariffAnswer, str]:
        """Install a tariff at an EVSE (0: at each). Return the answer and why not."""
        read = _read(document)
        if not isinstance(read, Installed):
            return read
        if evse and evse not in self._defaults:
            return TariffAnswer.REJECTED, f"there is no EVSE {evse}"  # I07.FR.06
        known = {each.tariff.id for found in self._defaults.values() for each in found}
        if read.tariff.id in known:
            return TariffAnswer.DUPLICATE_ID, "a default tariff of this id is here"  # I07.FR.04
        for number in [evse] if evse else self._defaults:
            self._defaults[number] = added(self._defaults[number], read, self._site.moment.utc_s)
        self._save_defaults()
        return TariffAnswer.ACCEPTED, ""

    def assignments(self, evse: int) -> list[Assignment]:
        """Return what is in use at an EVSE (0: anywhere), default tariffs first (I09)."""
        self._prune()
        places = [evse] if evse else sorted(self._defaults)
        found: dict[str, Assignment] = {}
        for number in places:
            for each in self._defaults.get(number, ()):
                before = found.get(each.tariff.id, Assignment(each.tariff, driver=False, evses=()))
                found[each.tariff.id] = Assignment(each.tariff, driver=False, evses=(*before.evses, number))
        own: dict[str, Assignment] = {}
        waiting = {} if evse else {uid: (each, 0) for uid, each in self._drivers.waiting().items()}
        used = {run.token: (run.installed, run.evse) for run in self._running.values() if run.evse in places}
        defaults = {each.tariff.id for installed in self._defaults.values() for each in installed}
        for token, (each, number) in {**waiting, **used}.items():
            if each.tariff.id in defaults:
                continue
            before = own.get(each.tariff.id, Assignment(each.tariff, driver=True, evses=()))
            evses = (*before.evses, number) if number else before.evses
            own[each.tariff.id] = Assignment(each.tariff, driver=True, evses=evses, tokens=(*before.tokens, token))
        return [*found.values(), *own.values()]

    def clear(self, ids: Collection[str] | None, evse: int | None) -> list[str]:
        """Remove default tariffs; transactions go on with theirs (I10.FR.07). Return the ids that are gone."""
        gone: dict[str, None] = {}
        for number, installed in self._defaults.items():
            if evse in (None, 0, number):
                for each in installed:
                    if ids is None or each.tariff.id in ids:
                        gone[each.tariff.id] = None
                self._defaults[number] = [each for each in installed if each.tariff.id not in gone]
        if gone:
            self._save_defaults()
        return list(gone)

    def driver(self, token: Token, document: dict[str, Any]) -> bool:
        """Take the tariff of a driver for his next transaction (I08). False when it cannot be used."""
        read = _read({name: value for name, value in document.items() if name != "validFrom"})  # I08.FR.10
        if not isinstance(read, Installed):
            log.warning("the tariff of a driver cannot be used: %s", read[1])
            self.problem = True
            return False
        self.problem = False
        self._drivers.put(token, read)
        return True

    def change(self, transaction: str, document: dict[str, Any]) -> tuple[TariffAnswer, str]:
        """Another tariff for a transaction from now on (I11)."""
        evse = self._evse_of(transaction)
        if evse is None or evse.session is None:
            return TariffAnswer.TX_NOT_FOUND, "no such transaction is open at an EVSE"  # I11.FR.04
        read = _read(document)
        if not isinstance(read, Installed):
            return read
        running = self._running.get(transaction)
        if running is None:
            self._open(evse, evse.session, read, from_start=False)
        elif running.account.tariff.currency != read.tariff.currency:
            return TariffAnswer.NO_CURRENCY_CHANGE, "a transaction has one currency"  # I11.FR.05
        else:
            self._advance(running, evse)
            running.installed = read
            running.account.change(read.tariff)
            self._save(transaction, running)
        self._note(transaction, Trigger.TARIFF_CHANGED)  # I11.FR.07
        return TariffAnswer.ACCEPTED, ""

    def _evse_of(self, transaction: str) -> Evse | None:
        for evse in self._site.evses.values():
            if evse.session is not None and evse.session.open and evse.session.transaction == transaction:
                return evse
        return None

    # ---- what is told -------------------------------------------------------------------------------------------

    def untold_tariff(self, transaction: str) -> str:
        """Id of the tariff of a transaction, until the network has been told of it; empty for none."""
        if transaction in self._finals:
            return str(self._finals[transaction]["untold"])
        running = self._running.get(transaction)
        return "" if running is None or running.told == running.account.tariff.id else running.account.tariff.id

    def tariff_told(self, transaction: str, tariff: str) -> None:
        """The network knows by which tariff a transaction is reckoned."""
        running = self._running.get(transaction)
        if running is not None and running.told != tariff:
            running.told = tariff
            self._save(transaction, running)

    def running_cost(self, transaction: str) -> dict[str, Any] | None:
        """CostDetailsType of a transaction that is open."""
        running = self._running.get(transaction)
        return None if running is None else details(running.account, ended=False)

    def final_cost(self, transaction: str) -> dict[str, Any] | None:
        """CostDetailsType of a transaction that has ended, until its end is delivered."""
        found = self._finals.get(transaction)
        return None if found is None else found["details"]

    def delivered(self, transaction: str) -> None:
        """The network has the end of a transaction."""
        if self._finals.pop(transaction, None) is not None:
            self._site.keep(TABLE, FINAL + transaction, None)

    def shown(self, evse: Evse) -> LocalCost | None:
        """For the display: what the transaction costs that is or was last at an EVSE, until the next one."""
        session = evse.session
        if session is not None and session.open:
            running = self._running.get(session.transaction)
            if running is not None:
                return _shown(running.account, ended=False)
        last = self._shown.get(evse.id)
        waits = session is not None and session.phase is Phase.WAITING
        return None if last is None or waits or (session is not None and session.open) else last[1]

    def text(self, evse: Evse) -> PriceText | None:
        """The description of the tariff that holds at an EVSE now, for its driver."""
        session = evse.session
        running = self._running.get(session.transaction) if session is not None else None
        installed = running.installed if running is not None else None
        if installed is None and session is not None:
            installed = self._drivers.of(session.token)
        if installed is None:
            installed = current(self._defaults[evse.id], self._site.moment.utc_s)
        return None if installed is None or not self.enabled else _text(installed.tariff)

    # ---- one step -----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        self._prune()
        sessions = [
            *self._site.waiting,
            *(each.session for each in self._site.evses.values() if each.session is not None),
        ]
        self._drivers.lapse(sessions)
        self._reserved.settle(sessions)
        if self.enabled:
            for evse in self._site.evses.values():
                session = evse.session
                if session is not None and session.open and session.phase is Phase.RUNNING:
                    self._follow(evse, session)
        for transaction, running in tuple(self._running.items()):
            place = self._site.evses.get(running.evse)
            session = place.session if place is not None else None
            if place is None or session is None or session.transaction != transaction:
                self._end(transaction, running)
                continue
            self._advance(running, place)
            if not session.open:
                self._end(transaction, running)
            else:
                session.cost = float(running.account.total[1])  # for bounds: E16
                self._tell(transaction, running)
                self._save_at_times(transaction, running)

    def _follow(self, evse: Evse, session: Session) -> None:
        if session.transaction in self._running or session.transaction in self._finals:
            return
        installed = self._drivers.take(session.token)
        if installed is None:
            installed = current(self._defaults[evse.id], self._site.moment.utc_s)  # I07.FR.14
        if installed is not None:
            self._open(evse, session, installed, from_start=True)

    def _open(self, evse: Evse, session: Session, installed: Installed, *, from_start: bool) -> None:
        reading = self._now(evse)
        if from_start:
            reading = replace(reading, register_mwh=int(decimal_wh(session.start_wh) * 1000))
        account = Account(installed.tariff, self._zone, reading)
        account.begin(self._reserved.seconds(session))
        running = _Running(evse.id, session.token.uid, installed, account)
        running.monotonic_s = running.told_s = self._site.now
        self._running[session.transaction] = running
        self._save(session.transaction, running)

    def _now(self, evse: Evse) -> Reading:
        session, sample = evse.session, evse.fresh_meter(self._site.now)
        register_wh = session.register_wh if session is not None and session.register_wh is not None else None
        if register_wh is None:
            register_wh = session.start_wh if session is not None else 0.0
        charging = session is not None and session.state is ChargingState.CHARGING
        power_w = sample.power_w if sample is not None and sample.power_w is not None else 0.0
        current_a = sum(sample.current_a) if sample is not None else 0.0
        utc_ms = round(self._site.moment.utc_s * 1000)
        return Reading(utc_ms, int(decimal_wh(register_wh) * 1000), charging, power_w, current_a)

    def _advance(self, running: _Running, evse: Evse) -> None:
        """By the monotonic clock; over a restart by that on the wall."""
        reading = self._now(evse)
        if running.monotonic_s is None:
            elapsed_ms = reading.utc_ms - running.account.reading.utc_ms
        else:
            elapsed_ms = round(self._site.now * 1000) - round(running.monotonic_s * 1000)
        running.monotonic_s = self._site.now
        running.account.advance(elapsed_ms, reading)

    def _end(self, transaction: str, running: _Running) -> None:
        """I12.FR.42"""
        del self._running[transaction]
        self._site.keep(TABLE, ACCOUNT + transaction, None)
        tariff = running.account.tariff.id
        untold = "" if running.told == tariff else tariff
        final = {"untold": untold, "details": details(running.account, ended=True)}
        self._finals[transaction] = final
        self._site.keep(TABLE, FINAL + transaction, final)
        while len(self._finals) > MAX_FINALS:
            self.delivered(next(iter(self._finals)))
        self._shown[running.evse] = (transaction, _shown(running.account, ended=True))

    def _tell(self, transaction: str, running: _Running) -> None:
        """I12.FR.02, FR.03"""
        settings = self._site.settings
        interval_s = settings.integer("TariffCostCtrlr.Interval[Cost]")
        wanted = settings.boolean("TariffCostCtrlr.Enabled[RunningCost]") and interval_s > 0
        if wanted and self._site.now >= running.told_s + interval_s:
            running.told_s = self._site.now
            self._note(transaction, Trigger.RUNNING_COST)

    def wake(self) -> float | None:
        site, settings = self._site, self._site.settings
        times: list[float | None] = []
        interval_s = settings.integer("TariffCostCtrlr.Interval[Cost]")
        if settings.boolean("TariffCostCtrlr.Enabled[RunningCost]") and interval_s > 0:
            times += [running.told_s + interval_s for running in self._running.values()]
        at_utc_s = next_change([each for found in self._defaults.values() for each in found], site.moment.utc_s)
        times.append(None if at_utc_s is None else site.now + at_utc_s - site.moment.utc_s)
        return earliest(times)

    def _prune(self) -> None:
        utc_s = self._site.moment.utc_s
        kept = {number: pruned(found, utc_s) for number, found in self._defaults.items()}
        if self._site.moment.synced and kept != self._defaults:
            self._defaults = kept
            self._save_defaults()

    # ---- documents ----------------------------------------------------------------------------------------------

    def _save_at_times(self, transaction: str, running: _Running) -> None:
        account = running.account
        mark = (account.tariff.id, len(account.stretches), account.reading.charging, account.capped)
        if mark != running.saved or account.reading.utc_ms - running.saved_utc_ms >= SAVE_EVERY_MS:
            self._save(transaction, running)

    def _save(self, transaction: str, running: _Running) -> None:
        account = running.account
        running.saved = (account.tariff.id, len(account.stretches), account.reading.charging, account.capped)
        running.saved_utc_ms = account.reading.utc_ms
        document = {
            "evse": running.evse,
            "token": running.token,
            "told": running.told,
            "tariff": running.installed.document,
            "account": account_document(account),
        }
        self._site.keep(TABLE, ACCOUNT + transaction, document)

    def _save_defaults(self) -> None:
        document = {str(number): [each.document for each in found] for number, found in self._defaults.items() if found}
        self._site.keep(TABLE, DEFAULTS, document or None)


def _read(document: dict[str, Any]) -> Installed | tuple[TariffAnswer, str]:
    try:
        return installed_of(document)
    except TooManyElementsError as error:
        return TariffAnswer.TOO_MANY_ELEMENTS, str(error)  # I07.FR.02
    except TariffError as error:
        return TariffAnswer.REJECTED, str(error)  # I07.FR.05


def _text(tariff: Tariff) -> PriceText | None:
    texts: Iterable[tuple[str, str]] = ((language, plain(text)) for language, text in tariff.texts)
    found = tuple(texts)
    return PriceText(found[0][1], tuple(each for each in found if each[0])) if found else None


def _shown(account: Account, *, ended: bool) -> LocalCost:
    cost = final_total(account) if ended else account.total[1]
    return LocalCost(_text(account.tariff), as_decimal(cost), account.tariff.currency, ended)
