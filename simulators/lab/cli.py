"""``evse-sim lab`` and ``evse-sim ctl``: words that others script (docs/simulators.md)."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import yaml

from simulators.lab.client import CommandRefusedError, LabControl
from simulators.lab.kinds import BOARDS, CONNECTORS, METERS, READERS, load
from simulators.lab.own_meter import SUMMARIES
from simulators.lab.settings import LabSettings, SettingsError

EXIT_REFUSED = 2
SCREEN_COLUMNS = 100
SWITCH = ("on", "off")

Subparsers = Any


def add_parser(subparsers: Subparsers) -> None:
    """Register ``lab`` and ``ctl``."""
    _add_lab(subparsers)
    _add_ctl(subparsers)


def _add_lab(subparsers: Subparsers) -> None:
    lab = subparsers.add_parser("lab", help="put simulated hardware up behind ptys, until stopped")
    place = lab.add_mutually_exclusive_group(required=True)
    place.add_argument("--dir", type=Path, help="where ports, config.yaml, logs and control socket go")
    place.add_argument("--list", action="store_true", help="list the kinds of boards, meters and readers, and stop")
    lab.add_argument("--evses", type=int, help="number of EVSEs, each with board and meter (one for each --board)")
    kind = "KIND[:name=value,…]"
    lab.add_argument(
        "--board", action="append", metavar=kind, help="kind of the boards; repeat it for EVSE 1, EVSE 2, … (yeti)"
    )
    lab.add_argument("--csms", default="", metavar="URL", help="the network's ws:// address, for config.yaml")
    lab.add_argument("--connector", choices=CONNECTORS, default="", help="outlet or fixed cable (by the board)")
    lab.add_argument("--phases", type=int, choices=(1, 3), default=3, help="phases of the supply (3)")
    lab.add_argument("--max-current", type=float, default=32.0, metavar="A", help="rating of each EVSE (32)")
    lab.add_argument(
        "--meter", action="append", metavar=kind, help="kind of the meters, 'board' or 'none'; repeatable (eastron)"
    )
    lab.add_argument("--meter-map", metavar="MAP", help="the same as --meter eastron:map=MAP")
    lab.add_argument("--reader", action="append", metavar=kind, help="kind of the card reader, or 'none' (pn532)")
    lab.add_argument("--readers-per-evse", action="store_true", help="a reader for each EVSE instead of a common one")
    lab.add_argument("--ventilation", action="store_true", help="place and boards provide ventilation")
    lab.add_argument("--identity", default="LAB-0001", help="serial number and OCPP identity (LAB-0001)")
    lab.add_argument(
        "--energy-factor", type=float, default=1.0, metavar="K", help="energy passes K times as fast as power says (1)"
    )
    lab.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="put a value into config.yaml, e.g. control.lease_s=20 or evses.0.phases=1 (repeatable)",
    )
    lab.add_argument("--stop-on-eof", action="store_true", help="stop as well when standard input closes")
    lab.add_argument("--json", action="store_true", help="the ready line as JSON")
    lab.set_defaults(run=run_lab)


def _add_ctl(subparsers: Subparsers) -> None:
    ctl = subparsers.add_parser("ctl", help="rule a running lab")
    ctl.add_argument("--dir", type=Path, required=True, help="the lab's directory")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="answer in JSON")
    ctl.add_argument("--json", action="store_true", help="answer in JSON")
    words = ctl.add_subparsers(dest="word", required=True, metavar="WORD")

    plug = words.add_parser("plug", parents=[shared], help="plug a vehicle in")
    plug.add_argument("evse", type=int)
    plug.add_argument("--vehicle", default="normal", metavar="NAME", help="a car, a character, or car+character")
    plug.add_argument("--cable", type=int, default=32, metavar="A", help="rating of the cable: 13, 20, 32 or 63")
    plug.add_argument("--battery", type=float, metavar="PCT", help="state of charge (20)")
    words.add_parser("unplug", parents=[shared], help="pull the plug").add_argument("evse", type=int)

    vehicle = words.add_parser("vehicle", parents=[shared], help="tell a vehicle what to do")
    vehicle.add_argument("evse", type=int)
    vehicle.add_argument("action", help="ready, not-ready, pause, resume, current, phases, battery or character")
    vehicle.add_argument("value", nargs="?", help="ampere, number, per cent or name")

    tap = words.add_parser("tap", parents=[shared], help="hold a card to the reader")
    tap.add_argument("token", help="the card's number in hex digits")
    tap.add_argument("--evse", type=int, help="use that EVSE's reader")
    tap.add_argument("--hold", type=float, metavar="S", help="for so many seconds (0.6)")

    fault = words.add_parser("fault", parents=[shared], help="break something: EVSE NAME on|off, or 'list'")
    fault.add_argument("evse", help="number of the EVSE, or 'list'")
    fault.add_argument("name", nargs="?")
    fault.add_argument("switch", nargs="?", choices=SWITCH)
    faults = words.add_parser("faults", parents=[shared], help="list what can be broken, at an EVSE or at any")
    faults.add_argument("evse", type=int, nargs="?")

    meter = words.add_parser("meter", parents=[shared], help="act on a meter")
    meter.add_argument("evse", type=int)
    meter.add_argument("action", help="set-energy WH, freeze, unfreeze, fail, recover or noise SHARE")
    meter.add_argument("value", nargs="?", type=float)

    words.add_parser("power", parents=[shared], help="the charger's supply").add_argument("switch", choices=SWITCH)
    words.add_parser("state", parents=[shared], help="everything, as JSON")
    words.add_parser("vehicles", parents=[shared], help="list cars and characters")
    log = words.add_parser("log", parents=[shared], help="what board or meter wrote down")
    log.add_argument("evse", type=int)
    log.add_argument("--since", type=float, default=0.0, metavar="S", help="later than this monotonic time")
    log.add_argument("--source", choices=("board", "meter"), default="board")
    ctl.set_defaults(run=run_ctl)


def run_lab(args: argparse.Namespace) -> int:
    """Run a lab until it is told to stop, or list the kinds."""
    from simulators.lab.server import serve

    if args.list:
        print(_kinds(args.json))
        return 0
    try:
        boards = args.board or ["yeti"]
        settings = LabSettings(
            directory=args.dir.absolute(),
            evses=args.evses if args.evses is not None else len(boards),
            board=",".join(boards),
            connector=args.connector,
            phases=args.phases,
            max_current_a=args.max_current,
            meter=_meters(args),
            reader=",".join(args.reader or ["pn532"]),
            readers_per_evse=args.readers_per_evse,
            ventilation=args.ventilation,
            csms_url=args.csms,
            identity=args.identity,
            energy_factor=args.energy_factor,
            overrides=dict(_override(text) for text in args.set),
        )
        asyncio.run(serve(settings, lambda: _announce(settings, args.json), stop_on_eof=args.stop_on_eof))
    except (SettingsError, OSError) as error:
        print(f"evse-sim lab: {error}", file=sys.stderr)
        return EXIT_REFUSED
    return 0


def _meters(args: argparse.Namespace) -> str:
    if args.meter_map is None:
        return ",".join(args.meter or ["eastron"])
    if args.meter:
        raise SettingsError("meter map: it goes with --meter as well: --meter eastron:map=MAP")
    return f"eastron:map={args.meter_map}"


def _kinds(as_json: bool) -> str:
    """Every kind with its summary."""
    tables = {
        name: {kind: str(load(table, kind).summary) for kind in table}
        for name, table in (("board", BOARDS), ("meter", METERS), ("reader", READERS))
    }
    tables["meter"] |= SUMMARIES
    if as_json:
        return json.dumps(tables)
    return "\n\n".join(
        f"--{option} KIND\n" + "\n".join(_entry(name, summary) for name, summary in kinds.items())
        for option, kinds in tables.items()
    )


def _entry(name: str, summary: str) -> str:
    return textwrap.fill(
        summary, SCREEN_COLUMNS, initial_indent=f"  {name:22} ", subsequent_indent=" " * 25, break_on_hyphens=False
    )


def _override(text: str) -> tuple[str, Any]:
    path, separator, value = text.partition("=")
    if not separator or not path:
        raise SettingsError(f"set {text!r}: write PATH=VALUE")
    try:
        return path, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SettingsError(f"set {path}: not a YAML value: {error}") from None


def _announce(settings: LabSettings, as_json: bool) -> None:
    facts = {
        "ready": True,
        "config": str(settings.config_path),
        "control": str(settings.socket_path),
        "evses": settings.evses,
        "board": settings.board,
    }
    if as_json:
        print(json.dumps(facts), flush=True)
    else:
        print(
            f"ready: {settings.evses} EVSE(s) with {settings.board} boards; "
            f"config {settings.config_path}; control {settings.socket_path}",
            flush=True,
        )


def run_ctl(args: argparse.Namespace) -> int:
    """Send one word to the lab and print its answer."""
    try:
        command, arguments = _request(args)
        result = LabControl(args.dir).request(command, **arguments)
    except (CommandRefusedError, SettingsError) as error:
        if args.json:
            print(json.dumps({"ok": False, "error": str(error)}))
        print(f"evse-sim ctl: {error}", file=sys.stderr)
        return EXIT_REFUSED
    if args.json or args.word == "state":
        print(json.dumps(result, indent=None if args.json else 2))
    else:
        print(_in_words(args, result))
    return 0


def _request(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The command and its arguments, as the control socket takes them. Raises SettingsError."""
    word = args.word
    if word == "plug":
        return word, {"evse": args.evse, "vehicle": args.vehicle, "cable": args.cable, "battery": args.battery}
    if word == "unplug":
        return word, {"evse": args.evse}
    if word == "vehicle":
        return word, {"evse": args.evse, "action": args.action, "value": _value(args.value)}
    if word == "tap":
        return word, {"token": args.token, "evse": args.evse, "hold": args.hold}
    if word == "fault":
        return _fault_request(args)
    if word == "meter":
        return word, {"evse": args.evse, "action": args.action, "value": args.value}
    if word == "faults":
        return "fault-list", {"evse": args.evse}
    if word == "power":
        return word, {"on": args.switch == "on"}
    if word == "log":
        return word, {"evse": args.evse, "since": args.since, "source": args.source}
    return word, {}


def _fault_request(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    if args.evse == "list":
        return "fault-list", {}
    if not args.evse.isdecimal() or args.name is None or args.switch is None:
        raise SettingsError("fault: write 'fault EVSE NAME on|off' or 'fault list'")
    return "fault", {"evse": int(args.evse), "name": args.name, "on": args.switch == "on"}


def _value(text: str | None) -> float | str | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def _in_words(args: argparse.Namespace, result: Any) -> str:
    word = args.word
    if word == "faults" or (word == "fault" and args.evse == "list"):
        return "\n".join(f"{fault['name']:20} {fault['summary']}" for fault in result)
    if word == "vehicles":
        cars = [
            f"{car['name']:24} {car['model']}: {car['phases']} phase(s), "
            f"{car['ac_power_w'] / 1000:g} kW, {car['battery_wh'] / 1000:g} kWh"
            for car in result["cars"]
        ]
        return "\n".join([*cars, "", *(f"{known['name']:24} {known['summary']}" for known in result["characters"])])
    if word == "log":
        return "\n".join(json.dumps(entry) for entry in result)
    if word == "tap":
        return f"card {result['token']} at {result['reader']} for {result['hold_s']:g} s"
    if word == "power":
        return f"power {'on' if result['powered'] else 'off'}"
    return _summary(result)


def _summary(evse: Any) -> str:
    vehicle = evse["vehicle"]
    there = "no vehicle" if vehicle is None else f"{vehicle['car']} ({vehicle['character']}) {vehicle['battery_pct']} %"
    contacts = "closed" if evse["contactor"]["closed"] else "open"
    broken = f"; faults: {', '.join(evse['faults'])}" if evse["faults"] else ""
    return (
        f"EVSE {evse['id']}: {there}; pilot {evse['pilot']['state']} at {evse['pilot']['duty_pct']:g} %; "
        f"contactor {contacts}; {evse['power_w']:g} W; meter {evse['meter']['register_wh']} Wh{broken}"
    )
