"""OCPP 1.6's prices and costs: DataTransfer of org.openchargealliance.costmsg (OCA, "OCPP & California Pricing")."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from agent.ocpp.data_transfer import DataTransfers
from agent.ocpp.ports import JournalPort, StationPort
from agent.ocpp.times import read_time
from agent.ocpp.v16.configuration import LiveKey
from agent.ocpp.v16.render import COST_VENDOR
from agent.ocpp.v16.tokens import carries
from agent.station.commands import ConnectorStatus, FinalCost, SettingAnswer
from agent.station.price_texts import (
    PriceError,
    PriceText,
    amount,
    charging_price,
    check_texts,
    default_texts,
    read_object,
    words,
)
from agent.station.settings import Settings
from agent.station.tariff import ChargingPrice, IdlePrice, Period, RunningCost, Triggers
from agent.station.tokens import Token

LOGGER = logging.getLogger(__name__)

FORMATS = frozenset(("UTF8", "ASCII"))
"""Of priceTextExtra; pages and addresses are for other displays."""

MAX_METER_WH = Decimal(10) ** 12
MAX_GRACE_MINUTES = 100_000
MAX_LANGUAGES = 20


class Pricing16:
    def __init__(self, station: StationPort, journal: JournalPort, note: Callable[[str], None]) -> None:
        self._station = station
        self._journal = journal
        self._note = note

    def offer_to(self, transfers: DataTransfers) -> None:
        """Take part in DataTransfer."""
        for name, take in (
            ("SetUserPrice", self._user_price),
            ("RunningCost", self._running_cost),
            ("FinalCost", self._final_cost),
        ):
            transfers.offer(COST_VENDOR, name, self._read(name, take))

    def _read(self, name: str, take: Callable[[dict[str, Any]], bool]) -> Callable[[str], tuple[bool, str]]:
        def transfer(data: str) -> tuple[bool, str]:
            try:
                return take(read_object(data)), ""
            except PriceError as error:
                self._note(f"{name} is refused: {str(error)!a}")
                return False, ""

        return transfer

    def _user_price(self, document: dict[str, Any]) -> bool:
        uid = document.get("idToken")
        if not isinstance(uid, str) or not carries(uid):
            raise PriceError("idToken: give an idTag")
        return self._station.set_user_price(Token(uid), _text(document))

    def _running_cost(self, document: dict[str, Any]) -> bool:
        told = running_cost(document)
        transaction = self._transaction(document)
        return transaction is not None and self._station.running_cost(transaction, told)

    def _final_cost(self, document: dict[str, Any]) -> bool:
        if "cost" not in document:
            raise PriceError("cost: is missing")
        qr_text = words(document, "qrCodeText") if "qrCodeText" in document else ""
        text = _text(document) if "priceText" in document else PriceText("")
        final = FinalCost(amount(document, "cost"), text, qr_text)
        transaction = self._transaction(document)
        return transaction is not None and self._station.final_cost(transaction, final)

    def _transaction(self, document: Mapping[str, Any]) -> str | None:
        number = document.get("transactionId")
        if type(number) is not int or not 0 <= number < 2**31:
            raise PriceError("transactionId: give the number of a transaction")
        return self._journal.transaction_of(number)


def running_cost(document: Mapping[str, Any]) -> RunningCost:
    """Read a RunningCost. Raises PriceError. Idle after the end it may lack what does not apply any more."""
    state = document.get("state")
    if state not in ("Charging", "Idle"):
        raise PriceError("state: give Charging or Idle")
    idle = state == "Idle"
    if "cost" not in document:
        raise PriceError("cost: is missing")
    meter_wh = None
    if not idle or "meterValue" in document:
        meter_wh = document.get("meterValue")
        meter_wh = Decimal(meter_wh) if type(meter_wh) is int else meter_wh
        if not isinstance(meter_wh, Decimal) or not 0 <= meter_wh <= MAX_METER_WH:
            raise PriceError("meterValue: give a register in Wh")
    charging = None
    if not idle or "chargingPrice" in document:
        charging = charging_price(document.get("chargingPrice"))
    return RunningCost(
        _time(document, "timestamp"),
        meter_wh,
        amount(document, "cost"),
        idle,
        charging,
        _idle_price(document),
        _period(document.get("nextPeriod")),
        _triggers(document.get("triggerMeterValue")),
    )


def _period(document: Any) -> Period | None:
    if document is None:
        return None
    if not isinstance(document, dict):
        raise PriceError("nextPeriod: give an object")
    charging: ChargingPrice = charging_price(document.get("chargingPrice"))
    return Period(_time(document, "atTime"), charging, _idle_price(document))


def _idle_price(document: Mapping[str, Any]) -> IdlePrice | None:
    price = document.get("idlePrice")
    if price is None:
        return None
    if not isinstance(price, dict):
        raise PriceError("idlePrice: give an object with graceMinutes and hourPrice")
    grace_minutes = amount(price, "graceMinutes")
    if grace_minutes > MAX_GRACE_MINUTES:
        raise PriceError(f"graceMinutes: give at most {MAX_GRACE_MINUTES}")
    return IdlePrice(int(grace_minutes * 60), amount(price, "hourPrice"))


def _triggers(document: Any) -> Triggers:
    if document is None:
        return Triggers()
    if not isinstance(document, dict):
        raise PriceError("triggerMeterValue: give an object")
    statuses = document.get("atCPStatus", [])
    statuses = [statuses] if isinstance(statuses, str) else statuses
    known = {status.value for status in ConnectorStatus}
    if not isinstance(statuses, list) or not all(isinstance(word, str) and word in known for word in statuses):
        raise PriceError("atCPStatus: give a list of statuses of a charge point")
    return Triggers(
        _time(document, "atTime") if "atTime" in document else None,
        amount(document, "atEnergykWh") if "atEnergykWh" in document else None,
        amount(document, "atPowerkW") if "atPowerkW" in document else None,
        tuple(dict.fromkeys(statuses)),
    )


def _time(document: Mapping[str, Any], name: str) -> float:
    utc_s = read_time(document.get(name))
    if utc_s is None:
        raise PriceError(f"{name}: give a time like 2026-03-19T12:00:00Z")
    return utc_s


def _text(document: Mapping[str, Any]) -> PriceText:
    extra = document.get("priceTextExtra", [])
    if not isinstance(extra, list) or len(extra) > MAX_LANGUAGES:
        raise PriceError(f"priceTextExtra: give a list of at most {MAX_LANGUAGES} texts")
    others = []
    for entry in extra:
        if not isinstance(entry, dict) or not isinstance(entry.get("language"), str):
            raise PriceError("priceTextExtra: give objects with format, language, content")
        if entry.get("format", "UTF8") in FORMATS:
            others.append((entry["language"][:16], words(entry, "content")))
    return PriceText(words(document, "priceText"), tuple(others))


# ---- the keys DefaultPriceText,<language> --------------------------------------------------------------------------

_TEXTS = "TariffCostCtrlr.DefaultPriceTexts"


def text_keys(settings: Settings, station: StationPort) -> Sequence[LiveKey]:
    """Return a key for each language of the display."""
    languages = settings.members("DisplayMessageCtrlr.SupportedLanguages")
    return [_text_key(language, settings, station) for language in languages[:MAX_LANGUAGES]]


def _text_key(language: str, settings: Settings, station: StationPort) -> LiveKey:
    name = language.casefold()

    def read() -> str:
        document = default_texts(settings).get(name)
        return json.dumps(document, ensure_ascii=False) if document is not None else ""

    def change(text: str) -> SettingAnswer:
        texts = default_texts(settings)
        texts.pop(name, None)
        if text.strip():
            try:
                document = read_object(text)
                check_texts(document)
            except PriceError as error:
                LOGGER.info("DefaultPriceText,%s is refused: %a", language, str(error))
                return SettingAnswer.REJECTED
            texts[name] = {key: document[key] for key in ("priceText", "priceTextOffline") if key in document}
        return station.set_setting(_TEXTS, json.dumps(texts, ensure_ascii=False) if texts else "")

    return LiveKey(f"DefaultPriceText,{language}", read, change)
