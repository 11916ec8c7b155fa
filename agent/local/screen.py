"""The status document as a person reads it, at most 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from agent.local.status import StatusDocument, UplinkDocument
from agent.station.documents import EvseDocument, PriceDocument

WIDTH = 80

_UPLINK = {
    "not_configured": "not configured (ocpp.url is empty)",
    "offline_by_command": "offline by command",
    "disconnected": "disconnected, will try again",
    "connecting": "connecting",
    "booting": "connected, announcing itself",
    "pending": "connected, the network says: wait (boot pending)",
    "rejected": "connected, the network refuses this station (boot rejected)",
    "accepted": "online",
}


def screen(status: StatusDocument) -> str:
    """Return the whole status as lines of text."""
    return "\n".join(line.rstrip() for line in _lines(status))


def _lines(status: StatusDocument) -> Iterator[str]:
    station, uplink, clock = status["station"], status["uplink"], status["clock"]
    yield from _field(
        "Station", f"{station['identity']} ({station['vendor']} {station['model']}), {station['version']}"
    )
    for trouble in status.get("trouble", []):
        yield from _field("TROUBLE", trouble["text"])
        yield from _field("", f"-> {trouble['remedy']}")
    yield from _field("Uplink", _uplink(uplink))
    if uplink["state"] == "offline_by_command":
        yield from _field("", "-> 'evse-agent link online' restores it")
    if uplink["url"]:
        yield from _field("", uplink["url"])
    if uplink["last_error"] and uplink["state"] != "accepted":
        yield from _field("", f"last error: {uplink['last_error']}")
    yield from _field("Queue", _queue(uplink))
    if not status["control"]["connected"]:
        yield from _field("Control", "NOT CONNECTED: nothing can charge; see whether evse-control runs, and its log")
    yield from _field(
        "Clock", f"{_time(clock['utc'])} UTC{'' if clock['synced'] else ' (not confirmed by anyone yet)'}"
    )
    local = clock.get("local", "")
    if local and not local.endswith("+00:00"):
        yield from _field("", f"{_time(local)} on the display")
    if not status["evses"]:
        yield from _field("EVSEs", "none known yet")
    for evse in status["evses"]:
        yield ""
        yield from _evse(evse)


def _field(name: str, text: str, indent: int = 0) -> list[str]:
    head = " " * indent + f"{name:<{12 - indent}}"
    return textwrap.wrap(
        " ".join(text.split()), WIDTH, initial_indent=head, subsequent_indent=" " * 12, break_on_hyphens=False
    ) or [head]


def _uplink(uplink: UplinkDocument) -> str:
    since = f", since {_time(uplink['since'])}" if uplink["since"] else ""
    return _UPLINK.get(uplink["state"], uplink["state"]) + since


def _queue(uplink: UplinkDocument) -> str:
    queue = uplink["queue"]
    if not queue["pending"] and not queue["parked"]:
        return "empty, everything is delivered"
    oldest = f" (oldest from {_time(queue['oldest_at'])})" if queue["oldest_at"] else ""
    parked = f", {queue['parked']} refused by the network and kept" if queue["parked"] else ""
    return f"{queue['pending']} to deliver{oldest}{parked}"


def _evse(evse: EvseDocument) -> Iterator[str]:
    head = f"EVSE {evse['id']}  {evse['status']}"
    yield f"{head} {'-' * max(2, WIDTH - len(head) - 1)}"
    yield from _field("Vehicle", _vehicle(evse), 2)
    yield from _field("Current", _current(evse), 2)
    yield from _field("Meter", f"{_power(evse['power_w'])}, register {_energy(evse['energy_wh'])}", 2)
    if evse["temperature_c"] is not None:
        yield from _field("Warmth", f"{evse['temperature_c']:.1f} °C", 2)
    transaction = evse["transaction"]
    if transaction is not None:
        started = f", since {_time(transaction['started_at'])}" if transaction["started_at"] else ""
        given = f", {_energy(transaction['energy_wh'])}" if transaction["energy_wh"] is not None else ""
        yield from _field("Session", f"{transaction['state']}, card {transaction['token']}{started}{given}", 2)
        yield from _field("", transaction["id"], 2)
    price = evse.get("price")
    if price is not None:
        yield from _price(price)
    display = evse.get("display")
    if display is not None:
        for message in display["messages"]:
            yield from _field("Display", f"{message['text']} ({display['priority']}, message {message['id']})", 2)
    for fault in evse["faults"]:
        yield from _field("FAULT", f"{fault['code']}: {fault['detail']}", 2)
        if fault["remedy"]:
            yield from _field("", f"-> {fault['remedy']}", 2)
    if evse["reasons"]:
        yield "  Why it does not charge:"
        for number, reason in enumerate(evse["reasons"], 1):
            remedy = f" -> {reason['remedy']}" if reason["remedy"] else ""
            yield from textwrap.wrap(
                f"{reason['text']}{remedy}", WIDTH, initial_indent=f"  {number:>3}. ", subsequent_indent=" " * 7
            )


def _price(price: PriceDocument) -> Iterator[str]:
    currency = f" {price['currency']}" if price.get("currency") else ""
    if price["final_cost"] is not None:
        yield from _field("Cost", f"{price['final_cost']}{currency} in all", 2)
        if price["final_text"]:
            yield from _field("", price["final_text"], 2)
        if price["qr_text"]:
            yield from _field("", price["qr_text"], 2)
        return
    if price["running_cost"] is not None:
        idle = ", idle" if price["idle"] else ""
        yield from _field("Cost", f"{price['running_cost']}{currency} so far{idle}", 2)
    if price["final_text"]:
        yield from _field("Cost", price["final_text"], 2)
    if price["text"]:
        yield from _field("Price", price["text"], 2)


def _vehicle(evse: EvseDocument) -> str:
    plugged = {True: "plugged in", False: "not plugged in", None: "plug unknown"}[evse["plugged"]]
    contactor = {True: "contactor closed", False: "contactor open", None: "contactor unknown"}[evse["contactor_closed"]]
    parts = [f"pilot {evse['state']}", plugged, contactor]
    if evse["locked"] is not None:
        parts.append("cable locked" if evse["locked"] else "cable free")
    if not evse["available"]:
        parts.append("out of service")
    return ", ".join(parts)


def _current(evse: EvseDocument) -> str:
    """A limit of nothing where nobody may charge is no news: the reasons below say why."""
    if not evse["offered_a"] and not evse["limit_a"]:
        return "none offered"
    limited = f", set by {evse['limited_by']}" if evse["limited_by"] else ""
    return f"offered {evse['offered_a']:.1f} A, limit {evse['limit_a']:.1f} A{limited}"


def _power(power_w: float | None) -> str:
    return "power unknown" if power_w is None else f"{power_w / 1000:.2f} kW"


def _energy(energy_wh: float | None) -> str:
    return "unknown" if energy_wh is None else f"{energy_wh / 1000:.3f} kWh"


def _time(moment: str | None) -> str:
    return "" if moment is None else moment[:19].replace("T", " ")
