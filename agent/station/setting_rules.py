"""What a value of a setting must be like beyond its kind and range, the same for every OCPP version."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.station.price_texts import PriceError, check_default
from agent.station.settings import SETTINGS, SettingError, Settings, parse
from agent.station.wall_clock import read_offset, read_transition

MAX_ORGANISATION = 64
"""X.520 ub-organization-name."""

_ROTATIONS = frozenset(("NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR"))


def form_problem(name: str, text: str) -> str:
    """Say which rule of its own form a value breaks; empty when none, or when the setting has no such rule."""
    rule = _FORMS.get(name)
    return "" if rule is None else rule(text)


def standing_problem(settings: Settings, name: str, text: str) -> str:
    """Say what speaks against a well-formed value beside the other settings in force; empty when nothing does."""
    rule = _STANDING.get(name)
    return "" if rule is None else rule(settings, text)


def objection(settings: Settings, name: str, text: str) -> str:
    """Say why a change is refused: the rule and the remedy; empty when it may be made. KeyError: no such setting."""
    problem = form_problem(name, text)
    if problem:
        return f"{name}: {problem}"
    try:
        parse(SETTINGS[name], text)
    except SettingError as error:
        return str(error)
    problem = standing_problem(settings, name, text)
    return f"{name}: {problem}" if problem else ""


def _organisation(text: str) -> str:
    fits = len(text.strip()) <= MAX_ORGANISATION and text.isprintable()
    return "" if fits else f"give at most {MAX_ORGANISATION} printable characters"


def _rotations(text: str) -> str:
    for part in filter(None, (part.strip() for part in text.split(","))):
        connector, _, rotation = part.partition(".")
        if not connector.isascii() or not connector.isdigit() or rotation.strip() not in _ROTATIONS:
            return f"{part[:40]!r} is not like 1.RST ({', '.join(sorted(_ROTATIONS))})"
    return ""


def _price(text: str) -> str:
    try:
        check_default(text)
    except PriceError as error:
        return str(error)
    return ""


def _currency(text: str) -> str:
    code = text.strip()
    fits = not code or (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper())
    return "" if fits else "give three capital letters like EUR (ISO 4217)"


_FORMS: Mapping[str, Callable[[str], str]] = {
    "SecurityCtrlr.OrganizationName": _organisation,
    "ElectricalFeed.PhaseRotation": _rotations,
    "TariffCostCtrlr.DefaultPrice": _price,
    "TariffCostCtrlr.Currency": _currency,
    "ClockCtrlr.TimeOffset": lambda text: "" if read_offset(text) is not None else "give an offset like -05:00",
    "ClockCtrlr.TimeOffsetNextTransition": lambda text: (
        "" if not text.strip() or read_offset(text) is not None else "give an offset like -04:00, or nothing"
    ),
    "ClockCtrlr.NextTimeOffsetTransitionDateTime": lambda text: (
        "" if not text.strip() or read_transition(text) is not None else "give a time like 2026-03-29T01:00:00Z"
    ),
}


def _ping(settings: Settings, text: str) -> str:
    """OCPP 1.6 errata 9.1.36: pings must find a dead link before transaction messages use up their tries."""
    ping = int(text)
    bound = settings.integer("OCPPCommCtrlr.MessageAttempts") * settings.integer("OCPPCommCtrlr.MessageAttemptInterval")
    if ping == 0 or bound == 0 or ping < bound:
        return ""
    return f"{ping} s is not below attempts × retry interval, {bound} s"


def _language(settings: Settings, text: str) -> str:
    languages = settings.members("DisplayMessageCtrlr.SupportedLanguages")
    if text.strip() in languages:
        return ""
    return f"{text[:40]!r} is not among SupportedLanguages ({', '.join(languages)})"


_STANDING: Mapping[str, Callable[[Settings, str], str]] = {
    "OCPPCommCtrlr.WebSocketPingInterval": _ping,
    "DisplayMessageCtrlr.Language": _language,
}
