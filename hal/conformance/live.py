"""Checks with a counterpart that answers: a simulator, or real hardware.

Where closing is allowed, each check that breaks something does so with the contacts closed, and looks that nothing
closes again by itself afterwards.
"""

from __future__ import annotations

import random
import time

from hal.conformance import contract
from hal.conformance.bench import Bench, bare
from hal.conformance.findings import Finding, Verdict
from hal.conformance.session import Session, Snapshot
from hal.conformance.subject import Subject
from hal.conformance.wires import Trick, claimed
from hal.ports import PROTOCOLS, PortKind
from hal.values import PilotState

ASSERTIONS = 50
REPEATS_MORE = 10
"""So many pieces more than without any command are still no repetition: polls that fell into the time."""
QUIET_S = 0.5
LOADED_S = 0.1
"""What a busy machine may add to the way from command to wire, and back to the counterpart's account."""
LATER_S = 0.5
"""Opening may take so much longer one time than another."""
IN_FLIGHT_S = 0.3
"""What was on its way when the line was cut may still be understood."""
NOISE = 2000
NEEDS_CLOSING = "nothing may be commanded to close here; with no vehicle there, allow it with --with-contactor"
NOT_CLOSING = "the contacts do not close on command"
STATE_A_FROM_V = 11.0
"""The pilot's high peak with no vehicle is 12 V ± 1 V (IEC 61851-1 Table A.4)."""
IN_USE = "in use"
NO_ENERGY = "it has no port that could energise"


def _finding(check: str, troubles: list[str], **measured: float | str) -> Finding:
    return Finding(check, Verdict.FAIL if troubles else Verdict.PASS, "; ".join(troubles), measured)


def _close_first(bench: Bench, session: Session) -> str:
    """Where it is allowed, have the contacts closed before something is broken. Returns why they are not."""
    if not bench.energises:
        return NO_ENERGY
    if not bench.subject.may_close:
        return NEEDS_CLOSING
    if bench.subject.peer is None and not _nobody_there(session):
        return "the pilot of this device does not say that no vehicle is there (state A): it is not closed"
    return "" if bench.closed_by_us(session) else NOT_CLOSING


def _nobody_there(session: Session) -> bool:
    """By the pilot of this very device; consent alone closes nothing on a cable."""
    pilots = [
        got for (_, kind), readings in session.read().items() if kind is PortKind.CONTROL_PILOT for got in readings
    ]
    return bool(pilots) and all(
        pilot.state is PilotState.A or (pilot.state is None and (pilot.high_v or 0.0) > STATE_A_FROM_V)
        for pilot in pilots
    )


def units(bench: Bench) -> Finding:
    """A port that gives something must be claimed; one that is there and gives nothing, ever, does no harm."""
    session, troubles = bench.live(), []
    for name, kinds in session.ports.items():
        unit = session.units[name]
        for kind, method in {**contract.READS, **contract.EVENTS}.items():
            if kind in kinds or not isinstance(unit, PROTOCOLS[kind]):
                continue
            if contract.flat(bench.watch.call(method, getattr(unit, method))):
                troubles.append(f"unit {name!r} gives {method}() but does not claim {kind.value}")
    return _finding("units", troubles, units=len(session.ports))


def start_safe(bench: Bench) -> Finding:
    if not bench.energises:
        return Finding("start-safe", Verdict.NOT_APPLICABLE, NO_ENERGY)
    troubles = [f"with nothing commanded {bench.start_energised}"] if bench.start_energised else []
    stream = b"".join(said.data for said in bench.start_words)
    troubles += [f"says {word.hex()}, its word for closing" for word in bench.closing_words if word in stream]
    first = bench.start_words[0].data.hex() if bench.start_words else "not seen"
    word = "known" if bench.closing_words else "not known"
    return _finding("start-safe", troubles, **{"first bytes": first[:64], "word for closing": word})


def two_owners(bench: Bench) -> Finding:
    if (why_not := bench.lacks("two-owners", Trick.OWN)) is not None:
        return why_not
    session = bench.live()
    troubles: list[str] = []
    second = Subject("second", bench.subject.driver, session.wire.options)
    rival = Session(second, session.wire, bench.watch)
    rival.start()
    try:
        if rival.refused is None:  # some ask in several steps
            rival.run(
                bench.subject.patience.watch_s, lambda: IN_USE in rival.health().detail or rival.fileno() is not None
            )
        health, refused = rival.health(), rival.refused
        if refused is None and rival.fileno() is not None:
            troubles.append("a second device opens the same node")
        else:
            told = health.detail if refused is None else str(refused)
            nodes = [session.wire.node, *(node for node, _ in claimed(session.wire.options))]
            if IN_USE not in told or not any(node in told for node in nodes):
                troubles.append(f"the second is not told that the node is in use, and which: {told!r}")
    finally:
        rival.close()
    begun = session.now()
    if not session.run(bench.subject.patience.settle_s, lambda: session.fresh_since(begun)):
        troubles.append(f"the first is no longer well: {session.health().detail!r}")
    return _finding("two-owners", troubles)


def repeats(bench: Bench) -> Finding:
    if (why_not := bench.lacks("repeats", Trick.RECORD)) is not None:
        return why_not
    if not bench.safe:
        return Finding("repeats", Verdict.NOT_APPLICABLE, "it takes no commands")
    session = bench.live()
    session.command(bench.safe)
    session.run(QUIET_S)
    quiet = _pieces(session, 0)
    busy = _pieces(session, ASSERTIONS, bench.safe)
    troubles = []
    if busy > quiet + REPEATS_MORE:
        troubles.append(f"{ASSERTIONS} assertions of the same commands made {busy - quiet} pieces more on the wire")
    return _finding("repeats", troubles, assertions=ASSERTIONS, pieces=busy, **{"without any": quiet})


def _pieces(session: Session, times: int, commands: list[contract.Command] | None = None) -> int:
    begin = len(session.wire.said)
    for _ in range(times):
        session.command(commands or [])
        session.wire.pump()
    session.run(QUIET_S)
    return len(session.wire.said) - begin


def opens(bench: Bench) -> Finding:
    session, promised_s = bench.live(), bench.subject.driver.opens_within_s
    reason = _close_first(bench, session)
    own_logic = bench.subject.peer is None and PortKind.BOARD in bench.kinds
    if reason == NOT_CLOSING and not own_logic:
        return _finding("opens", [reason])
    if reason:
        return Finding("opens", Verdict.NOT_APPLICABLE, reason)
    troubles: list[str] = []
    session.settle_wire()
    session.wire.said.clear()
    session.run(bench.subject.patience.polls_s)  # the contacts held closed: what is said now is no command to open
    session.settle_wire()
    usual = {bare(said.data) for said in session.wire.said}
    session.wire.said.clear()
    # A steady pilot opens a charge controller; elsewhere the contactor's own command must leave by itself.
    controller = PortKind.CHARGE_CONTROLLER in bench.kinds
    session.hold = bench.safe if controller else [c for c in bench.safe if c[0] == "set_contactor"] or bench.safe
    begun = time.monotonic()
    session.command(session.hold)
    session.settle_wire()
    is_open = bench.is_open(session)
    opened = session.run(promised_s + LOADED_S, is_open)
    session.hold = bench.safe
    opened = opened or session.run(bench.subject.patience.settle_s, is_open)
    opened_s = bench.took_to_open_s = time.monotonic() - begun
    news = [said.at - begun for said in session.wire.said if bare(said.data) not in usual]
    left_s = news[0] if news and news[0] <= promised_s + LOADED_S else None
    measured: dict[str, float | str] = {"promised s": promised_s}
    if left_s is not None:
        measured["left after s"] = round(left_s, 4)
    measured["open after s" if opened else "not open after s"] = round(opened_s, 3)
    if not opened:
        troubles = ["the contacts stay closed"]
    elif left_s is None and opened_s > promised_s + LOADED_S:
        troubles = [f"opens {opened_s:.2f} s after the command, promised is {promised_s:g} s"]
    return _finding("opens", troubles, **measured)


def restart(bench: Bench) -> Finding:
    peer = bench.subject.peer
    session = bench.live()
    if peer is None and PortKind.BOARD not in bench.kinds:
        return Finding("restart", Verdict.NOT_APPLICABLE, "nothing here can restart the counterpart")
    closed = not _close_first(bench, session)
    # Many a charge controller offers by itself when it has power: that one must be told again not to.
    session.hold = bench.safe if PortKind.CHARGE_CONTROLLER in bench.kinds else []
    begun = session.now()
    if peer is not None:
        peer.restart()
    else:
        session.command([("reset_board", ())])
    troubles = _comes_back(bench, session, begun)
    return _finding("restart", troubles, **_before(bench, closed))


def _before(bench: Bench, closed: bool) -> dict[str, float | str]:
    return {"contacts before": "closed" if closed else "open"} if bench.energises else {}


def _comes_back(bench: Bench, session: Session, begun: float) -> list[str]:
    """Well again with fresh readings, and, no command to close being given, nothing closed."""
    patience = bench.subject.patience
    if not session.run(patience.settle_s, lambda: session.fresh_since(begun)):
        return [f"not well again after {patience.settle_s:g} s: {_ailing(session, begun)}"]
    if not bench.energises:
        return []
    # The counterpart opens in its own time, once it is told; then it must stay open.
    opened = session.run(patience.settle_s, bench.is_open(session))
    if not opened or session.run(patience.watch_s, bench.is_closed(session)):
        return ["the contacts are closed though nobody has commanded it since"]
    return []


def _ailing(session: Session, begun: float) -> str:
    health = session.health()
    if not health.ok:
        return f"health says {health.detail!r}"
    old = [
        f"{contract.READS[kind]}() of unit {unit!r}"
        for (unit, kind), got in session.read().items()
        if not got or max(reading.at for reading in got) <= begun
    ]
    return f"no fresh reading from {', '.join(old)}"


def garbage(bench: Bench) -> Finding:
    if (why_not := bench.lacks("garbage", Trick.GARBAGE)) is not None:
        return why_not
    session = bench.live()
    chance = random.Random(15118)
    session.events.clear()
    sent, troubles = 0, []
    while sent < NOISE:
        piece = chance.randbytes(chance.randint(1, 100))
        session.wire.inject(piece)
        sent += len(piece)
        session.run(0.01)
        if bench.energises and session.says_closed():
            troubles = ["garbage makes contactor() say the contacts are closed"]
    begun = session.now()
    troubles += _comes_back(bench, session, begun)
    return _finding("garbage", troubles, bytes=sent)


def unplug(bench: Bench) -> Finding:
    if (why_not := bench.lacks("unplug", Trick.UNPLUG)) is not None:
        return why_not
    session, patience = bench.live(), bench.subject.patience
    closed = not _close_first(bench, session)
    session.hold = []
    troubles: list[str] = []
    session.wire.unplug()
    begun = time.monotonic()
    if not session.run(patience.settle_s, lambda: not session.health().ok):
        troubles.append("health stays good without the node")
    told_s = time.monotonic() - begun
    session.hold = bench.safe  # as control does when a device is not well
    session.run(QUIET_S)
    detail = session.health().detail
    if not troubles and session.wire.node not in detail:
        troubles.append(f"health does not name the node {session.wire.node}: {detail!r}")
    session.wire.plug_in()
    back = session.now()
    troubles += _comes_back(bench, session, back)
    measured: dict[str, float | str] = {"told after s": round(told_s, 2), **_before(bench, closed)}
    return _finding("unplug", troubles, **measured)


def silence(bench: Bench) -> Finding:
    if (why_not := bench.lacks("silence", Trick.SILENCE)) is not None:
        return why_not
    session, patience = bench.live(), bench.subject.patience
    session.wire.cut = True
    begun = session.now()
    told_at: list[float] = []

    def look() -> None:
        if not told_at and not session.health().ok:
            told_at.append(session.now())

    session.skip(patience.silence_s, look)
    session.wire.cut = False
    if told_at:
        return _finding("silence", [], **{"told after s": round(told_at[0] - begun, 1)})
    if not bench.kinds & contract.READS.keys():
        return Finding("silence", Verdict.NOT_APPLICABLE, "it speaks only when something happens: silence is no news")
    return _finding("silence", [f"after {patience.silence_s:g} s of silence health is still good"])


def stale(bench: Bench) -> Finding:
    if not bench.kinds & contract.READS.keys():
        return Finding("stale", Verdict.NOT_APPLICABLE, "it has no readings, only events")
    if (why_not := bench.lacks("stale", Trick.SILENCE)) is not None:
        return why_not
    session = bench.live()
    session.wire.cut = True
    cut_at = session.now()
    session.run(IN_FLIGHT_S)
    before = session.read()
    moved: set[str] = set()

    def look() -> None:
        moved.update(_moved(before, session.read()))

    session.skip(bench.subject.patience.silence_s, look)
    age_s = session.now() - cut_at
    session.wire.cut = False
    troubles = [f"{name} gets newer though nothing is heard" for name in sorted(moved)]
    troubles += [f"{name} bears a time that has not come yet" for name in sorted(set(session.future))]
    return _finding("stale", troubles, **{"silent s": round(age_s, 1)})


def _moved(before: Snapshot, after: Snapshot) -> list[str]:
    return [
        f"{contract.READS[kind]}() of unit {unit!r}"
        for (unit, kind), got in after.items()
        if got and max(reading.at for reading in got) > max((reading.at for reading in before[unit, kind]), default=0.0)
    ]


def close(bench: Bench) -> Finding:
    session = bench.live()
    closed = not _close_first(bench, session)
    session.hold = []
    session.settle_wire()
    troubles: list[str] = []
    begin = len(session.wire.said)
    session.close()
    session.settle_wire()
    said = session.wire.said[begin:]
    evidence = "no port that could energise"
    if closed and bench.account() is None:
        evidence = said[-1].data.hex()[:64] if said else "nothing"
        if not said and Trick.RECORD in session.wire.tricks:
            troubles.append("close() says nothing though the contacts were commanded to close")
    elif closed:
        evidence = "the contacts open"
        begun = time.monotonic()
        # No longer than a command to open took, or a counterpart's own time-out would pass for close()'s word.
        limit_s = max(bench.subject.driver.opens_within_s + LOADED_S, bench.took_to_open_s) + LATER_S
        while bench.is_closed(session)() and time.monotonic() - begun < limit_s:
            session.wire.pump()
        if bench.is_closed(session)():
            troubles.append("the contacts stay closed after close()")
    elif bench.energises and Trick.RECORD in session.wire.tricks:
        evidence = f"says {said[-1].data.hex()[:64]}" if said else "says nothing; it was never told to close"
    troubles += _after_close(bench, session)
    bench.forget_live()
    return _finding("close", troubles, **{"last word": evidence})


def _after_close(bench: Bench, session: Session) -> list[str]:
    troubles = []
    session.close()
    if session.fileno() is not None:
        troubles.append("it still has a descriptor after close()")
    if session.health().ok:
        troubles.append("health is good after close()")
    begin = len(session.wire.said)
    session.command([*bench.safe, *(bench.closing if bench.subject.peer is not None else [])])
    session.on_readable()
    now = session.now()
    session.skip(5.0)
    if session.on_timer() <= now:
        troubles.append("on_timer() after close() asks to be called at once")
    if session.fileno() is not None or len(session.wire.said) > begin:
        troubles.append("it opens its node or speaks again after close()")
    return troubles
