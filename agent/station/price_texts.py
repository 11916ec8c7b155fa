"""Texts about prices for the display: in the language in use, and what a driver sees before any price is his own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from agent.station.settings import Settings
from agent.station.tariff import ZERO, ChargingPrice

MAX_TEXT = 1000
MAX_AMOUNT = Decimal(1_000_000)
MAX_PLACES = 9
"""Digits after the point that an amount may have."""


class PriceError(ValueError):
    """What the network says of a price is not usable. The text names the field and the rule."""


@dataclass(frozen=True, slots=True)
class PriceText:
    text: str
    others: tuple[tuple[str, str], ...] = ()
    """(language, text) for other languages."""

    def shown(self, settings: Settings, languages: Sequence[str] = ()) -> str:
        """Return it in the first of these languages, then that of the display, that is there."""
        if settings.boolean("DisplayMessageCtrlr.MultiLanguage"):
            for wanted in (*languages, settings.string("DisplayMessageCtrlr.Language")):
                for language, text in self.others:
                    if language.casefold() == wanted.casefold():
                        return text
        return self.text


def default_text(settings: Settings, online: bool) -> str:
    """Return what is shown to everybody (DefaultPrice, DefaultPriceText); empty for nothing."""
    document = _document(settings.string("TariffCostCtrlr.DefaultPrice"))
    if settings.boolean("DisplayMessageCtrlr.MultiLanguage"):
        texts = default_texts(settings)
        wanted = settings.string("DisplayMessageCtrlr.Language")
        document = {**document, **texts.get(wanted.casefold(), {})}
    text = document.get("priceText", "")
    return plain(str(text if online else document.get("priceTextOffline", text)))


def fallback_text(settings: Settings, online: bool) -> str:
    """Return what is shown where no price for this driver is known (2.0.1 I04.FR.01); empty for nothing."""
    away = "" if online else settings.string("TariffCostCtrlr.OfflineTariffFallbackMessage")
    return plain(away or settings.string("TariffCostCtrlr.TariffFallbackMessage"))


def default_price(settings: Settings) -> ChargingPrice | None:
    """Return the price of charges that begin while the network is away; None for none known."""
    document = _document(settings.string("TariffCostCtrlr.DefaultPrice")).get("chargingPrice")
    return None if document is None else charging_price(document)


def default_texts(settings: Settings) -> dict[str, dict[str, str]]:
    """Return DefaultPriceText of each language, by its case-folded name."""
    return _document(settings.string("TariffCostCtrlr.DefaultPriceTexts"))


def check_default(text: str) -> None:
    """Check a value for DefaultPrice. Raises PriceError."""
    if not text.strip():
        return
    document = read_object(text)
    check_texts(document)
    if "chargingPrice" in document:
        charging_price(document["chargingPrice"])


def check_texts(document: Mapping[str, Any]) -> None:
    """Raises PriceError unless there is a priceText, and priceTextOffline is a text if it is there."""
    words(document, "priceText")
    if "priceTextOffline" in document:
        words(document, "priceTextOffline")


def charging_price(document: Any) -> ChargingPrice:
    """Read a chargingPrice. Raises PriceError."""
    if not isinstance(document, dict):
        raise PriceError("chargingPrice: give an object with kWhPrice, hourPrice, flatFee")
    return ChargingPrice(*(amount(document, name) for name in ("kWhPrice", "hourPrice", "flatFee")))


def amount(document: Mapping[str, Any], name: str, default: Decimal = ZERO) -> Decimal:
    """Read an amount of money, energy or power. Raises PriceError."""
    value = document.get(name, default)
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if not isinstance(value, Decimal) or not value.is_finite() or not ZERO <= value <= MAX_AMOUNT:
        raise PriceError(f"{name}: give a number from 0 to {MAX_AMOUNT}")
    exponent = value.normalize().as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -MAX_PLACES:
        raise PriceError(f"{name}: give at most {MAX_PLACES} digits after the point")
    return abs(value)  # -0 is 0


def words(document: Mapping[str, Any], name: str) -> str:
    """Read a text for the display. Raises PriceError."""
    text = document.get(name)
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise PriceError(f"{name}: give a text of at most {MAX_TEXT} characters")
    return plain(text)


def plain(text: str) -> str:
    """Return a text without anything that could steer a display."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def read_object(text: str) -> dict[str, Any]:
    """Read a JSON object; numbers with a point become Decimal. Raises PriceError."""
    try:
        document = json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise PriceError(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise PriceError("give a JSON object")
    return document


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not a number")


def _document(text: str) -> dict[str, Any]:
    """Read a setting that was checked when it was set; what is not usable any more counts as not set."""
    try:
        return read_object(text) if text.strip() else {}
    except PriceError:
        return {}
