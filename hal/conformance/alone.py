"""Checks that need no counterpart: the driver on an empty wire, in time of the kit's own making."""

from __future__ import annotations

import dataclasses
import inspect
import random

from hal.conformance import contract
from hal.conformance.bench import Bench, bare
from hal.conformance.findings import Finding, Verdict
from hal.conformance.session import Session
from hal.conformance.wires import Trick, serial_nodes
from hal.ports import PROTOCOLS, PortKind

SILENT_S = 12.0
"""So long nobody answers: longer than any driver here waits before it tries something else."""
PIECES = 120
LONGEST_PIECE = 200
STRANGER = "no-such-unit"


def _finding(check: str, troubles: list[str], **measured: float) -> Finding:
    return Finding(check, Verdict.FAIL if troubles else Verdict.PASS, "; ".join(troubles), measured)


def options(bench: Bench) -> Finding:
    driver, given = bench.subject.driver, bench.subject.options
    troubles: list[str] = []
    if not isinstance(given, driver.options):
        return _finding("options", [f"are {type(given).__name__}, not {driver.options.__name__}"])
    parameters = getattr(driver.options, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        troubles.append("are no frozen dataclass")
    rules = {field.name: field.metadata.get("rule") for field in dataclasses.fields(driver.options)}
    troubles += [f"{name} is not made with hal.options.option" for name, rule in rules.items() if rule is None]
    troubles += [f"{name} has no help" for name, rule in rules.items() if rule is not None and not rule.help]
    # An option that names its bus by ``interface`` may name one that is shared: that claim is left to "two-owners".
    if "interface" not in rules:
        troubles += [
            f"{name} names a serial node but does not claim it (exclusive): two devices may be given the same"
            for name, is_claimed in serial_nodes(given)
            if not is_claimed
        ]
    if not driver.name or not driver.summary:
        troubles.append("the driver has no name or no summary")
    if driver.opens_within_s <= 0.0:
        troubles.append("opens_within_s promises nothing")
    return _finding("options", troubles)


def units(bench: Bench) -> Finding:
    """What is claimed is there, method by method; KeyError for the rest."""
    troubles: list[str] = []
    with bench.apart() as session:
        if not session.ports:
            troubles.append("there is no unit")
        for name, kinds in session.ports.items():
            if not kinds:
                troubles.append(f"unit {name!r} claims no port")
            for kind in sorted(kinds, key=lambda each: each.value):
                troubles += _lacking(name, session.units[name], kind)
            if PortKind.CHARGE_CONTROLLER in kinds and kinds & _WHOLE_CONTROLLER != _WHOLE_CONTROLLER:
                troubles.append(f"unit {name!r} is a charge controller and must claim pilot, contactor and board too")
        try:
            session.device.unit(STRANGER)
            troubles.append("unit() of an unknown name raises no KeyError")
        except KeyError:
            pass
        except Exception as error:  # noqa: BLE001 (a finding)
            troubles.append(f"unit() of an unknown name raises {type(error).__name__}, not KeyError")
        if session.device.name != bench.subject.name:
            troubles.append("the device does not bear the name it was given")
    return _finding("units", troubles, units=len(session.ports))


_WHOLE_CONTROLLER = {PortKind.CONTROL_PILOT, PortKind.CONTACTOR, PortKind.BOARD}


def _lacking(name: str, unit: object, kind: PortKind) -> list[str]:
    troubles = []
    for method, wanted in contract.methods(kind).items():
        there = getattr(unit, method, None)
        if not callable(there):
            troubles.append(f"unit {name!r} claims {kind.value} but has no {method}()")
            continue
        takes = [object()] * (len(inspect.signature(wanted).parameters) - 1)
        try:
            inspect.signature(there).bind(*takes)
        except TypeError as error:
            troubles.append(f"{method}() of unit {name!r} cannot be called as its port says: {error}")
    if not troubles and not isinstance(unit, PROTOCOLS[kind]):
        troubles.append(f"unit {name!r} is no {PROTOCOLS[kind].__name__}")
    return troubles


def before_start(bench: Bench) -> Finding:
    troubles: list[str] = []
    with bench.apart() as session:
        if session.fileno() is not None:
            troubles.append("it is open before start")
        if session.health().ok:
            troubles.append("health is good before start")
        session.command(bench.safe)
        # On a real node that nobody stands in front of, a driver that is not deaf before its start would obey.
        if bench.subject.peer is not None or Trick.ISOLATE in session.wire.tricks:
            session.command([*bench.closing, *contract.lesson(contract.ODD, bench.kinds)])
        if any(session.read().values()) or session.events:
            troubles.append("it has readings before start")
        session.settle_wire()
        if session.wire.said:
            troubles.append(f"it says {session.wire.said[0].data.hex()} before start")
    return _finding("before-start", troubles)


def absent_node(bench: Bench) -> Finding:
    if (why_not := bench.lacks("absent-node", Trick.UNPLUG)) is not None:
        return why_not
    troubles: list[str] = []
    with bench.apart() as session:
        session.wire.unplug()
        session.start()
        if session.refused is not None:
            return _finding("absent-node", [f"start raises DeviceError: {session.refused}"])
        session.skip(1.0)
        health = session.health()
        if health.ok:
            troubles.append("health is good though the node is absent")
        elif session.wire.node not in health.detail:
            troubles.append(f"health does not name the node {session.wire.node}: {health.detail!r}")
        if health.last_heard_at is not None:
            troubles.append("it says it has heard something")
        session.wire.plug_in()
        begin = session.now()
        while not _is_open(session) and session.now() - begin < bench.subject.patience.settle_s:
            session.skip(0.1)
        if not _is_open(session):
            troubles.append(f"{bench.subject.patience.settle_s:g} s after the node came it is not open")
    return _finding("absent-node", troubles, **{"found after s": round(session.now() - begin, 1)})


def _is_open(session: Session) -> bool:
    return session.fileno() is not None


def before_known(bench: Bench) -> Finding:
    """The same empty wire with safe commands and with closing ones: nothing may be said in the last case only."""
    if not bench.energises:
        return Finding("before-known", Verdict.NOT_APPLICABLE, "it has no port that could energise")
    if (why_not := bench.lacks("before-known", Trick.RECORD, Trick.ISOLATE)) is not None:
        return why_not
    safe = [_said_into_the_void(bench, commands) for commands in (bench.safe, [], bench.unavailable)]
    closing = _said_into_the_void(bench, bench.closing)
    stream = b"".join(closing)
    known = [b"".join(words) for words in safe]
    odd = [] if stream in known else [word for word in closing if not any(word in words for words in known)]
    troubles = [f"says {odd[0].hex()} on a command to close though nobody has answered"] if odd else []
    return _finding("before-known", troubles, pieces=len(closing), **{"silent s": SILENT_S})


def _said_into_the_void(bench: Bench, commands: list[contract.Command]) -> list[bytes]:
    with bench.apart() as session:
        session.start()
        session.hold = commands
        session.skip(SILENT_S)
        session.settle_wire()
        return [bare(said.data) for said in session.wire.said]


def garbage(bench: Bench) -> Finding:
    if (why_not := bench.lacks("garbage", Trick.GARBAGE, Trick.ISOLATE)) is not None:
        return why_not
    chance = random.Random(61851)
    troubles: list[str] = []
    with bench.apart() as session:
        session.start()
        session.hold = contract.lesson(contract.ODD, bench.kinds)
        for _ in range(PIECES):
            session.wire.inject(chance.randbytes(chance.randint(1, LONGEST_PIECE)))
            session.skip(0.05)
        found = session.read()
        got = [f"{contract.READS[kind]}() gives {readings[0]}" for (_, kind), readings in found.items() if readings]
        got += [f"{type(event).__name__} {event}" for event in session.events]
        troubles += got[:1]
    return _finding("garbage", troubles, pieces=PIECES)
