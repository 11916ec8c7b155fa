"""Prices and costs for the driver at each EVSE: the network's, carried on from the meter until it speaks again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from agent.station.commands import FinalCost
from agent.station.documents import PriceDocument
from agent.station.evse import Evse
from agent.station.metering import Metering
from agent.station.price_texts import PriceError, PriceText, default_price, default_text, fallback_text, plain
from agent.station.session import Phase, Session
from agent.station.site import Site, earliest
from agent.station.tariff import (
    Account,
    ChargingPrice,
    RunningCost,
    account_document,
    account_of,
    decimal_wh,
    opened,
    rounded,
)
from agent.station.tariffs.tariffs import Tariffs

log = logging.getLogger(__name__)

TABLE = "price"
USERS = "users"
MAX_USERS = 50
"""Prices of drivers who have not begun yet; the oldest goes first."""

HYSTERESIS = Decimal("0.05")
"""Of the power at which a meter value is wanted, so that a power that hovers there does not flood the network."""


@dataclass(slots=True)
class Shown:
    """What a driver sees of one transaction."""

    transaction: str
    text: PriceText | None = None
    account: Account | None = None
    final: FinalCost | None = None
    register_wh: Decimal = Decimal(0)
    unheard: bool = False
    """It ended while the network was away."""
    saved: Any = None


class Pricing:
    """``languages``: of the driver at an EVSE, the best one first."""

    def __init__(
        self,
        site: Site,
        metering: Metering,
        kept: Mapping[str, Mapping[str, Any]],
        languages: Callable[[Evse], Sequence[str]],
        tariffs: Tariffs,
    ) -> None:
        self._site = site
        self._languages = languages
        self._tariffs = tariffs
        self._metering = metering
        self._shown: dict[int, Shown] = {}
        self._users: dict[str, PriceText] = {}
        self._latest: dict[int, str] = {}
        self._open: dict[int, str] = {}
        """Transactions that were open at the last step, by EVSE."""
        self._above: dict[int, tuple[Decimal, bool]] = {}
        """By EVSE: threshold of the power trigger, and whether the power was above it last."""
        self._status: dict[int, str] = {}
        self._owed: set[int] = set()
        """EVSEs of which the network is to get a meter value as soon as the meter speaks."""
        for key, document in kept.get(TABLE, {}).items():
            try:
                self._load(key, document)
            except (KeyError, TypeError, ValueError, ArithmeticError) as error:
                log.error("the kept price %s cannot be read and is dropped: %r", key, error)
                site.keep(TABLE, key, None)

    def _load(self, key: str, document: Mapping[str, Any]) -> None:
        if key == USERS:
            self._users = {token: _text_of(text) for token, text in document.items()}
        elif int(key) in self._site.evses:
            shown = Shown(document["transaction"], document["text"] and _text_of(document["text"]))
            shown.account = document["account"] and account_of(document["account"])
            if document["final"]:
                final = document["final"]
                shown.final = FinalCost(Decimal(final["cost"]), _text_of(final["text"]), final["qr_text"])
            shown.register_wh = Decimal(document["register_wh"])
            shown.unheard = document.get("unheard", False) is True
            shown.saved = dict(document)
            self._shown[int(key)] = shown

    # ---- what the network says ----------------------------------------------------------------------------------

    @property
    def _enabled(self) -> bool:
        return self._site.settings.boolean("TariffCostCtrlr.Enabled")

    def set_user_price(self, token_key: str, text: PriceText) -> bool:
        """What this driver will pay, in words. False while prices are switched off."""
        if not self._enabled:
            return False
        self._users.pop(token_key, None)
        self._users[token_key] = text
        while len(self._users) > MAX_USERS:
            del self._users[next(iter(self._users))]
        self._save_users()
        return True

    def tell_price(self, transaction: str, text: PriceText) -> bool:
        """What the driver of a transaction will pay from now on, in words (2.0.1 I06.FR.03). False when no such
        transaction is at any EVSE, or prices are switched off."""
        evse = self._evse_of(transaction)
        if evse is None or not self._enabled:
            return False
        self._shown.setdefault(evse.id, Shown(transaction)).text = text
        return True

    def tell_cost(self, transaction: str, cost: Decimal) -> bool:
        """What a transaction has cost so far, where no prices are told: it stands still until the next word."""
        told = RunningCost(self._site.moment.utc_s, None, cost, idle=False, charging=ChargingPrice())
        return self.running_cost(transaction, told)

    def price_of(self, token_key: str) -> PriceText | None:
        """What was told of this driver's price."""
        return self._users.get(token_key)

    def forget(self, token_key: str) -> None:
        if self._users.pop(token_key, None) is not None:
            self._save_users()

    def running_cost(self, transaction: str, told: RunningCost) -> bool:
        """False when no such transaction is at any EVSE, or prices are switched off."""
        evse = self._evse_of(transaction)
        if evse is None or not self._enabled:
            return False
        shown = self._shown.setdefault(evse.id, Shown(transaction))
        before = shown.account
        if before is None:
            before = Account(told.at_utc_s, told.meter_wh or Decimal(0), told.cost)
        shown.account = before.updated(told)
        if self._above.get(evse.id, (None,))[0] != told.triggers.power_kw:
            self._above.pop(evse.id, None)
        return True

    def final_cost(self, transaction: str, final: FinalCost) -> bool:
        """False when no such transaction is or was last at any EVSE, or prices are switched off."""
        evse = self._evse_of(transaction)
        if evse is None or not self._enabled:
            return False
        self._shown.setdefault(evse.id, Shown(transaction)).final = final
        return True

    def _evse_of(self, transaction: str) -> Evse | None:
        for number, shown in self._shown.items():
            if shown.transaction == transaction:
                return self._site.evses[number]
        for number, latest in self._latest.items():
            if latest == transaction:
                if number in self._shown:
                    self._drop(number)
                return self._site.evses[number]
        return None

    # ---- one step -----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Follow sessions, periods and triggers; keep what changed."""
        for evse in self._site.evses.values():
            session = evse.session
            if session is not None and session.transaction:
                self._follow(evse, session)
            shown = self._shown.get(evse.id)
            if shown is not None:
                self._go_on(evse, shown)
            if evse.id in self._owed and self._metering.asked(evse):
                self._owed.discard(evse.id)
            if shown is not None:
                self._save(evse, shown)

    def _follow(self, evse: Evse, session: Session) -> None:
        """A transaction at an EVSE takes the place of the one before, with the price of its driver."""
        site = self._site
        shown = self._shown.get(evse.id)
        if shown is not None and shown.transaction != session.transaction:
            self._drop(evse.id)
            shown = None
        fresh = self._latest.get(evse.id) != session.transaction
        self._latest[evse.id] = session.transaction
        if session.phase is Phase.RUNNING and (text := self._users.pop(session.token.key, None)) is not None:
            self._save_users()
            shown = self._shown.setdefault(evse.id, Shown(session.transaction))
            shown.text = text
        started = session.started
        begins = fresh and started is not None and started == site.moment.stamp()
        if begins and not site.online and self._enabled and (price := default_price(site.settings)) is not None:
            shown = self._shown.setdefault(evse.id, Shown(session.transaction))
            shown.account = opened(site.moment.utc_s, decimal_wh(session.start_wh), price)
        if session.open:
            self._open[evse.id] = session.transaction
        elif self._open.pop(evse.id, "") == session.transaction and not site.online and self._enabled:
            shown = self._shown.setdefault(evse.id, Shown(session.transaction))
            shown.unheard = True  # 2.0.1 I05.FR.02
        if shown is not None and session.register_wh is not None:
            shown.register_wh = decimal_wh(session.register_wh)

    def _go_on(self, evse: Evse, shown: Shown) -> None:
        account = shown.account
        if account is None:
            return
        utc_s = self._site.moment.utc_s
        session = evse.session if evse.session is not None and evse.session.transaction == shown.transaction else None
        running = session is not None and session.phase is Phase.RUNNING
        if not running and account.ended_utc_s is None and not self._idles_on(evse, session, account):
            stopped = session.stopped if session is not None else None
            at_utc_s = stopped.utc_s if stopped is not None and not account.idle else utc_s
            account = replace(account, ended_utc_s=at_utc_s)
        account = account.advanced(utc_s, shown.register_wh)
        shown.account = self._pull_triggers(evse, account, session if running else None)

    def _idles_on(self, evse: Evse, session: Session | None, account: Account) -> bool:
        """CustomIdleFeeAfterStop: idle goes on after the end until the vehicle leaves."""
        after_stop = self._site.settings.boolean("TariffCostCtrlr.IdleFeeAfterStop")
        return after_stop and account.idle and session is not None and evse.connected is not False and not session.left

    def _pull_triggers(self, evse: Evse, account: Account, running: Session | None) -> Account:
        triggers = account.triggers
        status = evse.status.value if evse.status is not None else ""
        before, self._status[evse.id] = self._status.get(evse.id, status), status
        if status != before and status in triggers.statuses:
            self._owed.add(evse.id)
        if running is None:
            return account
        if triggers.at_utc_s is not None and self._site.moment.utc_s >= triggers.at_utc_s:
            triggers = replace(triggers, at_utc_s=None)
            self._owed.add(evse.id)
        if triggers.energy_kwh is not None and running.register_wh is not None:
            given_wh = decimal_wh(running.register_wh) - decimal_wh(running.start_wh)
            if given_wh >= triggers.energy_kwh * 1000:
                triggers = replace(triggers, energy_kwh=None)
                self._owed.add(evse.id)
        if triggers.power_kw is not None:
            self._watch_power(evse, triggers.power_kw)
        return account if triggers == account.triggers else replace(account, triggers=triggers)

    def _watch_power(self, evse: Evse, threshold_kw: Decimal) -> None:
        sample = evse.fresh_meter(self._site.now)
        if sample is None or sample.power_w is None:
            return
        power_kw = decimal_wh(sample.power_w) / 1000
        known = self._above.get(evse.id)
        above = power_kw >= threshold_kw if known is None else known[1]
        if known is not None:
            factor = 1 - HYSTERESIS if above else 1 + HYSTERESIS
            crossed = power_kw < threshold_kw * factor if above else power_kw >= threshold_kw * factor
            if crossed:
                above = not above
                self._owed.add(evse.id)
        self._above[evse.id] = (threshold_kw, above)

    def wake(self) -> float | None:
        site = self._site
        due = []
        for shown in self._shown.values():
            if shown.account is not None and shown.account.ended_utc_s is None:
                period = shown.account.next_period
                due += [shown.account.triggers.at_utc_s, period.at_utc_s if period is not None else None]
        utc_s = site.moment.utc_s
        return earliest(site.now + at - utc_s for at in due if at is not None and at > utc_s)

    # ---- what is shown ------------------------------------------------------------------------------------------

    def document(self, evse: Evse) -> PriceDocument | None:
        """Return what the display shows; None when there is nothing to show."""
        settings = self._site.settings
        if not self._enabled:
            return None
        session, shown = evse.session, self._shown.get(evse.id)
        if session is not None and session.phase is Phase.WAITING:
            shown = None
        own = self._users.get(session.token.key) if session is not None else None
        text = shown.text if shown is not None and shown.text is not None else own
        text = text or self._tariffs.text(evse)
        words = default_text(settings, self._site.online)
        if not words and (session is not None or not self._site.online):
            words = fallback_text(settings, self._site.online)
        languages = self._languages(evse)
        document: PriceDocument = {
            "text": text.shown(settings, languages) if text is not None else words,
            "running_cost": None,
            "idle": False,
            "final_cost": None,
            "final_text": "",
            "qr_text": "",
        }
        if currency := settings.string("TariffCostCtrlr.Currency"):
            document["currency"] = currency
        decimals = settings.integer("TariffCostCtrlr.NumberOfDecimalsForCostValues")
        if shown is not None and shown.account is not None:
            cost = shown.account.cost_at(self._site.moment.utc_s, shown.register_wh)
            document["running_cost"], document["idle"] = rounded(cost, decimals), shown.account.idle
        if shown is not None and shown.unheard:
            document["final_text"] = plain(settings.string("TariffCostCtrlr.TotalCostFallbackMessage"))
        if shown is not None and shown.final is not None:
            document["final_cost"] = rounded(shown.final.cost, decimals)
            document["final_text"] = shown.final.text.shown(settings, languages)
            document["qr_text"] = shown.final.qr_text
        local = self._tariffs.shown(evse)
        if local is not None:
            name = "final_cost" if local.ended else "running_cost"
            document["running_cost"] = None
            document[name], document["currency"] = rounded(local.cost, decimals), local.currency  # type: ignore[literal-required]
        return document if shown is not None or local is not None or document["text"] else None

    # ---- documents ----------------------------------------------------------------------------------------------

    def _save(self, evse: Evse, shown: Shown) -> None:
        ended = shown.account is not None and shown.account.ended_utc_s is not None
        before = shown.saved["register_wh"] if shown.saved is not None else "0"
        document = {
            "transaction": shown.transaction,
            "text": shown.text and _text_document(shown.text),
            "account": shown.account and account_document(shown.account),
            "final": shown.final
            and {
                "cost": str(shown.final.cost),
                "text": _text_document(shown.final.text),
                "qr_text": shown.final.qr_text,
            },
            # While it runs the session's own document knows the register.
            "register_wh": str(shown.register_wh) if ended else before,
        }
        if shown.unheard:
            document["unheard"] = True
        if document != shown.saved:
            shown.saved = document
            self._site.keep(TABLE, str(evse.id), document)

    def _save_users(self) -> None:
        document = {key: _text_document(text) for key, text in self._users.items()}
        self._site.keep(TABLE, USERS, document or None)

    def _drop(self, number: int) -> None:
        del self._shown[number]
        self._above.pop(number, None)
        self._owed.discard(number)
        self._site.keep(TABLE, str(number), None)


def _text_document(text: PriceText) -> list[Any]:
    return [text.text, [list(other) for other in text.others]]


def _text_of(document: list[Any]) -> PriceText:
    text, others = document
    if not isinstance(text, str):
        raise PriceError("the text is none")
    return PriceText(text, tuple((str(language), str(other)) for language, other in others))
