"""Asks what a file of answers would say. What the charge point has already is proposed."""

from __future__ import annotations

from pathlib import Path

from agent.config.document import Items, Scalar, Table
from agent.console.commissioning import probing
from agent.console.commissioning.answers import ROTATIONS, Answers, plain
from agent.console.commissioning.regions import REGIONS
from agent.console.context import Context

_OTHER = "other"


def ask(context: Context, present: Table | None) -> Answers:
    """Go through all questions. Raises CancelledError, RefusedError without a person."""
    answers, now = Answers(Table(0)), Answers(present or Table(0))
    _region(context, answers)
    _who(context, answers, now)
    _supply(context, answers, now)
    if now.node("devices") is None or not _yes(
        context, context._("Keep the devices and outlets as they are configured?")
    ):
        _hardware(context, answers)
    _phases(context, answers, now)
    _network(context, answers, now)
    return answers


def _yes(context: Context, question: str, default: str = "y") -> bool:
    answer = context.ask(f"{question} (y/n)", default=default).casefold()
    return answer[:1] in ("y", context._("yes")[:1].casefold())


def _region(context: Context, answers: Answers) -> None:
    while answers.region is None:
        code = context.ask(context._("Country or territory, two letters (? lists them):")).upper()
        if code == "?":
            for region in REGIONS.values():
                context.say(f"  {region.code}  {region.name}")
        elif code in REGIONS:
            answers.set("region", code)
        else:
            context.say(context._("not known here; ? lists all"))
    region = answers.region
    context.say(
        context._(
            "{name}: {currency}, {volts} V, {hertz} Hz, residual current by the rule '{rule}'",
            name=region.name,
            currency=region.currency,
            volts="/".join(f"{each:g}" for each in region.mains),
            hertz=region.hertz,
            rule=region.residual_current_profile,
        )
    )
    if region.remark:
        context.say(context.style.warn(context._(region.remark)))
    if len(region.mains) > 1:
        volts = context.choose(
            context._("What did you measure at the outlet's terminals?"),
            [(f"{each:g}", f"{each:g} V") for each in region.mains],
        )
        answers.set("installation.nominal_voltage_v", volts)


def _who(context: Context, answers: Answers, now: Answers) -> None:
    questions = (
        ("technician", context._("Your name:")),
        ("site", context._("Site (address, row, number):")),
        ("station.vendor", context._("Maker of the charge point:")),
        ("station.model", context._("Model:")),
        ("station.serial_number", context._("Serial number:")),
        ("ocpp.identity", context._("Identity in the network:")),
    )
    for key, question in questions:
        proposed = answers.text("station.serial_number") if key == "ocpp.identity" else ""
        given = context.ask(question, default=now.text(key) or proposed)
        while not given and key not in ("site", "ocpp.identity"):
            given = context.ask(question)
        answers.set(key, given)


def _supply(context: Context, answers: Answers, now: Answers) -> None:
    key = "installation.max_current_a"
    answers.set(key, context.ask(context._("Rating of the feed's breaker, in ampere:"), default=now.text(key)))
    key = "installation.phases"
    answers.set(key, context.choose(context._("Phases of the feed?"), [("1", "1"), ("3", "3")]))


def _phases(context: Context, answers: Answers, now: Answers) -> None:
    if answers.text("installation.phases") != "3":
        return
    outlets = answers.node("evses") or now.node("evses")
    count = len(outlets.items) if isinstance(outlets, Items) else 1
    context.say(context._("How is each outlet wired? RST: its L1 on the feed's L1; STR: its L1 on L2; TRS: on L3."))
    rotation = {}
    for number in range(1, count + 1):
        while True:
            given = context.ask(context._("Outlet {number}:", number=number), default="RST").upper()
            given = "NotApplicable" if given.casefold() == "notapplicable" else given
            if given in ROTATIONS:
                break
            context.say(", ".join(ROTATIONS))
        rotation[number] = given
    answers.set("phase_rotation", plain(rotation))


def _hardware(context: Context, answers: Answers) -> None:
    count = context.ask(context._("How many outlets?"), default="1")
    outlets = int(count) if count.isdigit() and 1 <= int(count) <= 20 else 1
    devices: dict[str, object] = {}
    evses = []
    for number in range(1, outlets + 1):
        title = context._("Outlet {number}: ", number=number)
        board = f"board-{number}"
        driver = context.ask(title + context._("driver of its board:"), default="mcu-board")
        devices[board] = {"driver": driver, "port": _port(context, title + context._("port of its board?"))}
        evses.append(
            {
                "id": number,
                "board": board,
                "connector": context.choose(
                    title + context._("socket or fixed cable?"),
                    [("socket", context._("socket")), ("cable", context._("fixed cable"))],
                ),
                "max_current_a": _number(context, title + context._("rating of outlet and wiring, in ampere:"), "32"),
                "phases": int(answers.text("installation.phases")),
            }
        )
    _meter(context, devices, evses)
    readers = []
    if _yes(context, context._("Is there a card reader?")):
        protocol = context.choose(
            context._("What does it speak?"), [(each, each) for each in ("pn532", "rdm6300", "ascii")]
        )
        port = _port(context, context._("Port of the reader?"))
        devices["reader"] = {"driver": "serial-reader", "port": port, "protocol": protocol}
        readers = ["reader"]
    answers.set("devices", plain(devices))
    answers.set("evses", plain(evses))
    answers.set("readers", plain(readers))


def _meter(context: Context, devices: dict[str, object], evses: list[dict[str, object]]) -> None:
    if not _yes(context, context._("Are there meters on an RS-485 line?")):
        return
    port = _port(context, context._("Port of the meters?"))
    context.say(context._("Asking who is there; this takes up to two minutes …"))
    try:
        found = probing.meters(port)
    except probing.ProbeError as error:
        context.say(context.style.warn(str(error)))
        found = []
    for each in found:
        context.say(f"  {each['address']}: {each['matches'][0]['name']}, {each['baud']} Bd 8{each['parity']}")
    if found:
        device = probing.device(port, found)
    else:
        context.say(context._("No meter was found. Give it by hand."))
        unit: dict[str, object] = {
            "name": "m1",
            "address": _number(context, context._("Its address:"), "1"),
            "map": context.ask(context._("Its register map:"), default="sdm630"),
        }
        baud = _number(context, context._("Line speed:"), "9600")
        device = {"driver": "modbus-meter", "port": port, "baud": baud, "meters": [unit]}
    devices["meters"] = device
    units = device["meters"]
    assert isinstance(units, list)
    names = [str(unit["name"]) for unit in units]
    for evse in evses:
        if len(names) == 1 and len(evses) == 1:
            evse["meter"] = f"meters.{names[0]}"
        else:
            none = [("", context._("none"))]
            choice = context.choose(
                context._("Which meter measures outlet {number}?", number=evse["id"]),
                [*((f"meters.{name}", name) for name in names), *none],
            )
            evse["meter"] = choice


def _port(context: Context, question: str) -> str:
    known = probing.ports()
    if known:
        other = (_OTHER, context._("another one"))
        chosen = context.choose(question, [*((port, Path(port).name) for port in known), other])
        if chosen != _OTHER:
            return chosen
    return context.ask(f"{question} (/dev/…)")


def _number(context: Context, question: str, default: str) -> int:
    while True:
        given = context.ask(question, default=default)
        if given.isascii() and given.isdigit() and len(given) < 7:
            return int(given)
        context.say(context._("a whole number, please"))


def _network(context: Context, answers: Answers, now: Answers) -> None:
    url = context.ask(context._("Address of the network (wss://…; - for none):"), default=now.text("ocpp.url"))
    answers.set("ocpp.url", "" if url == "-" else url)
    if answers.text("ocpp.url"):
        secret = context.ask(context._("Its password (empty: as it is):"), secret=True)
        if secret:
            answers.set("ocpp.password", Scalar(secret, True, 0))
        roots = context.ask(
            context._("File of root certificates (- for the system's own):"), default=now.text("ocpp.ca_file") or "-"
        )
        answers.set("ocpp.ca_file", Scalar("" if roots == "-" else roots, False, 0))
