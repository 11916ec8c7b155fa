"""Attack 5, the CSMS itself: odd answers, odd frames, a day of refusals, another CSMS in the old one's place.

``answers`` runs the whole agent against the simulated CSMS. ``refusals`` runs a day in virtual time, in which every
transaction message is refused, left unanswered or answered to nobody; then the network is repaired.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from simulators.csms import Csms
from simulators.csms.behaviour import AnswerRule, Mode
from simulators.csms.frames import Direction
from simulators.csms.transaction import register_wh
from tests.faults.attack import Attack, Outcome, Progress
from tests.faults.day import ANNA, BEN, FORGIVEN
from tests.faults.proxied import WARPED, ProxiedPlace
from tests.faults.proxy import charge
from tests.faults.speech import speech
from tests.faults.together import Job, guarded, together
from tests.faults.virtual import ACTIONS, Behaviour, Network, VirtualSite, hushed

CODES = [
    "NotImplemented",
    "NotSupported",
    "InternalError",
    "ProtocolError",
    "SecurityError",
    "FormationViolation",
    "PropertyConstraintViolation",
    "OccurenceConstraintViolation",
    "TypeConstraintViolation",
    "GenericError",
    "NoSuchCode",
]
"""OCPP-J 1.6 §4.2.3, and one that it does not have."""
MODES = (Mode.TWICE, Mode.WRONG_ID, Mode.WRONG_TYPE, Mode.WRONG_MESSAGE_TYPE, Mode.MALFORMED, Mode.DROP, Mode.IGNORE)
FRAMES = (
    "",
    "nonsense",
    "[]",
    "[2]",
    "[2,7]",
    '[2,"x","Reset",{}]',
    '[2,"x","NoSuchAction",{}]',
    '[2,"y","Reset",null]',
    '[3,"nobody-asked",{}]',
    '[4,"nobody-asked","NoSuchCode","",{}]',
    '[7,"z",{}]',
    '{"a":1}',
    "[" * 100_000,
    '[2,"deep","DataTransfer",' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "]",
    '[2,"\\ud800","Reset",{"type":"Soft"}]'.replace("Soft", "Warm"),
    '[2,"big","DataTransfer",{"vendorId":"v","data":"' + "x" * 10_000_000 + '"}]',
)
"""Among them deep nesting and one of 10 MB."""

ODD = frozenset({"answer-to-nothing"}) | FORGIVEN
Scene = Callable[[ProxiedPlace], Awaitable[int]]


async def odd_answers(place: ProxiedPlace, rules: tuple[AnswerRule, ...]) -> int:
    """Each rule spoils one answer to each transaction message of a charge."""
    await place.wait_online()
    for number, rule in enumerate(rules):
        for message in place.speech.transaction_messages:
            place.csms.behaviour.add(message, AnswerRule(rule.mode, 1, rule.error_code))
        await charge(place, 1 + number % 2, BEN if number % 2 else ANNA, online=False, long_s=1.2)
    place.csms.behaviour.clear()
    return len(rules) * len(place.speech.transaction_messages)


async def late_answers(place: ProxiedPlace) -> int:
    """Answers come after the time-out, when the same question has been asked again."""
    await place.wait_online()
    for message in place.speech.transaction_messages:
        place.csms.behaviour.delay(message, 1.4, 2)
    for evse, token in ((1, ANNA), (2, BEN), (1, BEN)):
        await charge(place, evse, token, online=False, long_s=1.2)
    place.csms.behaviour.clear()
    return 6


async def odd_frames(place: ProxiedPlace) -> int:
    """Frames that no CSMS should send, in the middle of charges."""
    await place.wait_online()
    for at in range(0, len(FRAMES), 4):
        first = await place.begin(1, ANNA, online=False)
        for text in FRAMES[at : at + 4]:
            await place.wait_online()
            with contextlib.suppress(ConnectionError, LookupError):
                await place.csms.send_text(text)
        await place.end(1, ANNA, first)
    return len(FRAMES)


async def _site(directory: Path, name: str, scene: Scene, hole: str = "") -> Outcome:
    # The bad link is another attack's business: here pings may take their time.
    place = ProxiedPlace(directory / name, {"ocpp.ping_timeout_s": 20, "ocpp.settings.MessageTimeout": "1"})
    if hole:
        place.patience_s = 6.0
        place.launcher = (*WARPED, "--without", hole)
    async with place:
        place.agent.start()
        strikes = await scene(place)
        settled = await place.settled(40.0)
        verdict = await place.verdict(ODD)
        if not settled:
            verdict.lost.append("the line did not become empty")
        if place.agent.deaths:
            verdict.wrong.append(f"the agent died {place.agent.deaths} times")
    return verdict.outcome(strikes, name)


async def another(directory: Path, number: int) -> Outcome:
    """In mid-charge another CSMS takes the place of the old one: it knows neither boot nor transactions.

    What was begun under the old one ends under the new one with the number that the old one gave; the frames of both
    must hold one start and one end. What begins afterwards is the new one's alone and judged as ever.
    """
    place = ProxiedPlace(directory / f"another{number}")
    async with place:
        place.agent.start()
        await place.wait_online()
        await charge(place, 2, BEN, online=True)
        old = place.csms
        first = await place.begin(1, ANNA, online=True)
        await place.settled()  # its start is with the old one
        async with Csms(versions=old.versions) as new:
            place.proxy.target_port = new.port
            place.csms = new
            place.proxy.cut()
            await asyncio.sleep(1.5)
            moved = await place.end(1, ANNA, first)
            await charge(place, 2, BEN, online=False)
            settled = await place.settled(40.0)
            begun = old.ledger()["transactions"][-1]
            ends = [
                end
                for end in _ends(old, place.speech.stop) + _ends(new, place.speech.stop)
                if end[:2] == (begun["transaction_id"], ANNA)
            ]
            place.deeds = [deed for deed in place.deeds if deed is not moved][1:]
            hardware = await place.hardware()
            forgiven = ODD | {"unknown-transaction", "before-accepted-boot", "stop-differs"}
            # The new one hears the end of what it never heard begin; from 2.0.1 on it books that all the same.
            verdict = await place.verdict(forgiven, frozenset({begun["transaction_id"]}))
            # The contacts of the two other charges are judged by the old books' day.
            verdict.closed = []
            span = next(s for h in hardware if h.evse == 1 for s in h.closed)
            if len(set(ends)) != 1:
                verdict.wrong.append(f"the charge that moved has {len(ends)} ends")
            elif ends[0][2] != next(h for h in hardware if h.evse == 1).register_after(span[1]):
                verdict.wrong.append(f"the charge that moved ends with {ends[0][2]} Wh")
            if not settled:
                verdict.lost.append("the line did not become empty")
            place.csms = old
    verdict.transactions += 2
    return verdict.outcome(1, "another CSMS")


def _ends(csms: Csms, action: str) -> list[tuple[object, object, object, str]]:
    """Id, card, register and the whole of each end of a transaction that this CSMS was told."""
    messages = [json.loads(f.text) for f in csms.frames if f.direction is Direction.RECEIVED]
    told = [message[3] for message in messages if message[0] == 2 and message[2] == action]
    found = []
    for payload in told:
        whole = json.dumps(payload, sort_keys=True)
        if action == "StopTransaction":
            found.append((payload["transactionId"], payload.get("idTag"), payload["meterStop"], whole))
        elif payload["eventType"] == "Ended":
            card = payload.get("idToken", {}).get("idToken")
            registers = [register_wh(value, "Transaction.End") for value in payload.get("meterValue", [])]
            end_wh = next((wh for wh in registers if wh is not None), None)
            found.append((payload["transactionInfo"]["transactionId"], card, end_wh, whole))
    return found


def _answers(directory: Path, progress: Progress, rules: list[AnswerRule], repeats: int, width: int) -> Outcome:
    jobs: list[Job] = []
    for number in range(repeats):
        place = directory / str(number)
        for at in range(0, len(rules), 3):
            scene = functools.partial(odd_answers, rules=tuple(rules[at : at + 3]))
            jobs.append(functools.partial(_site, place, f"answers{at}", scene))
        jobs.append(functools.partial(_site, place, "late", late_answers))
        jobs.append(functools.partial(_site, place, "frames", odd_frames))
        jobs.append(functools.partial(another, place, number))
    return asyncio.run(together(jobs, width, progress, 10))


RULES = [AnswerRule(mode) for mode in MODES] + [AnswerRule(Mode.ERROR, None, code) for code in CODES]


def _answers_full(directory: Path, progress: Progress) -> Outcome:
    return _answers(directory, progress, RULES, 5, 4)


def _answers_short(directory: Path, progress: Progress) -> Outcome:
    return _answers(directory, progress, [*RULES[:4], RULES[5], RULES[-1]], 1, 6)


def _answers_control(directory: Path, _progress: Progress) -> Outcome:
    """Any answer is taken for a good one."""
    scene = functools.partial(odd_answers, rules=(AnswerRule(Mode.WRONG_TYPE),))
    return asyncio.run(guarded(lambda: _site(directory, "hole", scene, "payload")))


# ---- a day of refusals -----------------------------------------------------------------------------------------------

BEGINS_UTC_S = 1_790_000_000.0
HOUR_S = 3600.0
MUTE = ("drop", "ignore", "wrong-id", "garbage")
DAY_FORGIVEN = frozenset({"start-while-open"})
"""The network booked a start whose answer it lost, and refused the end: the next start finds it open."""
GAVE_UP = frozenset({"unknown-transaction", "sequence-gap", "sequence-order"})
"""From 2.0.1 on what used up its tries is left out and the rest goes on (E13.FR.04); it is offered again later."""


def _refusing(ways: list[str], begins: float, ends: float) -> Behaviour:
    turn = itertools.cycle(ways)

    def behave(network: Network, action: str) -> str:
        return next(turn) if action in ACTIONS and begins <= network.now_utc_s < ends else "answer"

    return behave


def _day(path: Path, hours: float, ways: list[str], seed: int, late_s: float, without: frozenset[str]) -> Outcome:
    """Charges all the time on two EVSEs; refusals from ``late_s`` on, for ``hours``; a reconnect soon after."""
    chance = random.Random(seed)
    site = VirtualSite(path, BEGINS_UTC_S, without=without)
    repaired = BEGINS_UTC_S + hours * HOUR_S
    site.network.behaviour = _refusing(ways, BEGINS_UTC_S + late_s, repaired)
    for evse, token in ((1, "04A1"), (2, "04B2")):
        at = BEGINS_UTC_S + 30
        while at < repaired + HOUR_S:
            long_s = chance.uniform(600, 3000)
            site.charge(evse, token, at, at + long_s, 11_000.0, 300.0)
            at += long_s + chance.uniform(5, 600)
    site.at(BEGINS_UTC_S, site.up)
    # Neither a restart of the agent nor a dropped line in between makes a difference.
    site.at(BEGINS_UTC_S + hours * HOUR_S / 2, site.agent_restart)
    site.at(repaired + 300, site.down)
    site.at(repaired + 305, site.up)
    site.run(repaired + 4 * HOUR_S)
    verdict = site.verdict(DAY_FORGIVEN if speech().old else DAY_FORGIVEN | GAVE_UP)
    if not site.empty():
        verdict.lost.append(f"left behind: {site.journal.figures()}")
    site.close()
    return verdict.outcome(site.network.refusals, f"seed {seed}")


def _refusals(directory: Path, progress: Progress, hours: float, seeds: int, hole: str = "") -> Outcome:
    total = Outcome(0, 0)
    without = frozenset({hole} - {""})
    for seed in range(seeds):
        # Every code and every silence from the first charge on; then codes only, beginning in mid-charge.
        for ways, late_s in (([*CODES, *MUTE], 0.0), (CODES, 1500.0)):
            with hushed():
                outcome = _day(directory / f"day{seed}-{late_s:g}.db", hours, ways, seed, late_s, without)
            total += outcome
            progress(f"{hours:g} h of refusals, repaired: {outcome.trials} refusals, clean: {outcome.clean}")
    return total


def _refusals_full(directory: Path, progress: Progress) -> Outcome:
    return _refusals(directory, progress, 24.0, 3)


def _refusals_short(directory: Path, progress: Progress) -> Outcome:
    return _refusals(directory, progress, 2.0, 1)


def _refusals_control(directory: Path, progress: Progress) -> Outcome:
    """What used up its tries is destroyed."""
    return _refusals(directory, progress, 2.0, 1, "park")


ATTACKS = (
    Attack(
        "answers",
        "late, doubled, wrong and refused answers, frames that are none, 10 MB, deep nesting, another CSMS",
        "an answer counts by its id and only with what is needed in it; whatever comes in raises nothing",
        _answers_full,
        _answers_short,
        _answers_control,
    ),
    Attack(
        "refusals",
        "every transaction message refused or left unanswered for a day; then the network is repaired",
        "what used up its tries is set aside with its transaction, stays on the books and is offered again",
        _refusals_full,
        _refusals_short,
        _refusals_control,
    ),
)
