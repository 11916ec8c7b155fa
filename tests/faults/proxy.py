"""Attack 5, links: half-open, one byte a second, closed with every code, TLS and names that fail.

Drivers charge while the link is bad, so there are frames on their way whenever it breaks. Everything must be on the
books once, and a half-open link must be noticed within ping interval plus time-out.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

from simulators.csms.behaviour import AnswerRule, Mode
from simulators.proxy import Link
from tests.faults.attack import Attack, Outcome, Progress
from tests.faults.day import ANNA, BEN, FORGIVEN
from tests.faults.place import Place
from tests.faults.proxied import PING_S, PONG_S, WARPED, ProxiedPlace
from tests.faults.together import Job, guarded, together

NOTICED_S = PING_S + PONG_S
BUSY_S = 5.0
"""What a loaded machine may add."""
PKI = Path(__file__).parents[1] / "ocpp" / "pki"
CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999, 1006)

Scene = Callable[[ProxiedPlace, Progress], Awaitable[int]]
"""Lives through it and returns how often the attack struck."""


class UnnoticedError(Exception):
    """The link was dead and the agent believed in it."""


async def charge(place: Place, evse: int, token: str, online: bool, long_s: float = 0.4) -> None:
    first = await place.begin(evse, token, online)
    await asyncio.sleep(long_s)
    await place.end(evse, token, first)


async def half_open(
    place: ProxiedPlace, progress: Progress, way: str, link: Link, rounds: int = 1, busy_s: float = BUSY_S
) -> int:
    """One way of the link dies while a charge ends and another begins."""
    worst_s = 0.0
    for _ in range(rounds):
        await place.wait_online()
        first = await place.begin(1, ANNA, online=True)
        at = place.now()
        getattr(place.proxy, way).set(link)
        noticed = asyncio.create_task(place.dropped_since(at, NOTICED_S + busy_s))
        await place.end(1, ANNA, first)
        second = await place.begin(2, BEN, online=False)
        took_s = await noticed
        if took_s is None:
            raise UnnoticedError(f"{way} {link.value}: not noticed within {NOTICED_S + busy_s:g} s")
        worst_s = max(worst_s, took_s)
        place.proxy.heal()
        await place.wait_online()
        await place.end(2, BEN, second)
    progress(f"{way} {link.value}: {rounds} times, noticed after {worst_s:.2f} s at worst (ping + pong: {NOTICED_S} s)")
    return rounds


async def trickle(place: ProxiedPlace, progress: Progress, seconds: float = 6.0) -> int:
    """One byte a second both ways: nothing can be told, nothing may be lost."""
    await place.wait_online()
    first = await place.begin(1, ANNA, online=True)
    place.proxy.up.set(bytes_per_s=1)
    place.proxy.down.set(bytes_per_s=1)
    await place.end(1, ANNA, first)
    until = place.now() + seconds
    while place.now() < until:
        await charge(place, 2, BEN, online=False)
    place.proxy.heal()
    await charge(place, 1, ANNA, online=True)
    return 1


async def slow(place: ProxiedPlace, progress: Progress) -> int:
    """A line as slow as the first mobile ones: everything arrives, late."""
    await place.wait_online()
    place.proxy.up.set(bytes_per_s=400)
    place.proxy.down.set(bytes_per_s=400)
    for evse, token in ((1, ANNA), (2, BEN), (1, BEN)):
        await charge(place, evse, token, online=False)
    place.proxy.heal()
    return 1


async def closed(place: ProxiedPlace, progress: Progress, codes: tuple[int, ...] = CODES) -> int:
    """The network closes with a code, a message unanswered each time."""
    await place.wait_online()
    for number, code in enumerate(codes):
        first = await place.begin(1, ANNA, online=False)
        place.csms.behaviour.add(place.speech.transaction_messages[number % 3], AnswerRule(Mode.DROP, 1))
        # Not there yet, or gone by itself: closed all the same.
        with contextlib.suppress(ConnectionError, LookupError):
            await place.csms.session().close(code, "as told")
        await place.end(1, ANNA, first)
    place.csms.behaviour.clear()
    return len(codes)


async def restarts(place: ProxiedPlace, progress: Progress, times: int = 6) -> int:
    """The CSMS comes and goes, once without its memory of open transactions, a message unanswered each time."""
    await place.wait_online()
    for number in range(times):
        first = await place.begin(2, BEN, online=False)
        place.csms.behaviour.add(place.speech.transaction_messages[number % 3], AnswerRule(Mode.DROP, 1))
        await place.csms.restart(forget=number % 2 == 1)
        await asyncio.sleep(0.3)
        await place.end(2, BEN, first)
    place.csms.behaviour.clear()
    return times


async def tls(place: ProxiedPlace, progress: Progress) -> int:
    """TLS fails in three ways before it works; the charges begin without a network."""
    proxy, good = place.proxy, place.proxy.tls
    wrong = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    key, certificate = place.directory / "wrong.key", place.directory / "wrong.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=127.0.0.1"]
    await asyncio.to_thread(
        subprocess.run, [*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    wrong.load_cert_chain(certificate, key)
    contexts: tuple[ssl.SSLContext | None, ...] = (None, wrong, good)
    for number, context in enumerate(contexts):
        await proxy.stop_listening()
        proxy.cut()
        proxy.tls, proxy.garbling = context, context is None
        await proxy.listen()
        await charge(place, 1, ANNA if number % 2 else BEN, online=context is good, long_s=1.0)
    return len(contexts) - 1


async def names(place: ProxiedPlace, progress: Progress) -> int:
    """The network's name is not found, is found, and is not found again."""
    missing = place.directory / "no-names"
    await charge(place, 1, ANNA, online=False)
    missing.unlink()
    await charge(place, 2, BEN, online=True)
    first = await place.begin(1, BEN, online=True)
    missing.touch()
    place.proxy.cut()
    await asyncio.sleep(1.0)
    await place.end(1, BEN, first)
    missing.unlink()
    return 2


async def _site(directory: Path, name: str, scene: Scene, progress: Progress, hole: str = "") -> Outcome:
    place = _place(directory / name, name)
    options = ("--without", hole) if hole else ()
    place.launcher = (*WARPED, "--no-names", str(place.directory / "no-names"), *options)
    async with place:
        if name == "names":
            (place.directory / "no-names").touch()
        place.agent.start()
        try:
            strikes = await scene(place, progress)
        except UnnoticedError as error:
            return Outcome(1, 1, wrong=1, notes=(str(error),))
        settled = await place.settled(40.0)
        # A CSMS that cuts the line after booking may see the next call before its own rule for it has ended.
        verdict = await place.verdict(FORGIVEN)
    if not settled:
        verdict.lost.append("the line did not become empty")
    return verdict.outcome(strikes, name)


def _place(directory: Path, name: str) -> ProxiedPlace:
    if name == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(PKI / "server.pem", PKI / "server.key")
        return ProxiedPlace(directory, {"ocpp.ca_file": str(PKI / "ca.pem")}, context)
    if name == "names":
        place = ProxiedPlace(directory)
        place.name_the_host()
        return place
    if name == "slow":
        return ProxiedPlace(directory, {"ocpp.ping_timeout_s": 20, "ocpp.connect_timeout_s": 20})
    return ProxiedPlace(directory)


HALVES = (("up", Link.SWALLOW), ("down", Link.SWALLOW), ("up", Link.STOP_READING), ("down", Link.STOP_READING))


def _run(directory: Path, progress: Progress, rounds: int, repeats: int, codes: tuple[int, ...], width: int) -> Outcome:
    scenes: list[tuple[str, Scene]] = []
    for way, link in HALVES:
        scene = functools.partial(half_open, way=way, link=link, rounds=rounds)
        scenes.append((f"{way}-{link.value}", scene))
    scenes += [("trickle", functools.partial(trickle, seconds=2.0 * rounds))]
    scenes += [("closed", functools.partial(closed, codes=codes))]
    scenes += [("restarts", functools.partial(restarts, times=2 * rounds))]
    scenes += [("tls", tls), ("names", names)]
    if repeats > 1:
        scenes.append(("slow", slow))
    jobs: list[Job] = [
        functools.partial(_site, directory / str(number), name, scene, progress)
        for number in range(repeats)
        for name, scene in scenes
    ]
    return asyncio.run(together(jobs, width, progress, len(scenes)))


def _full(directory: Path, progress: Progress) -> Outcome:
    return _run(directory, progress, rounds=5, repeats=4, codes=CODES, width=5)


def _short(directory: Path, progress: Progress) -> Outcome:
    return _run(directory, progress, rounds=1, repeats=1, codes=CODES[:3], width=9)


def _control(directory: Path, progress: Progress) -> Outcome:
    scene = functools.partial(half_open, way="down", link=Link.SWALLOW, busy_s=2.0)
    return asyncio.run(guarded(lambda: _site(directory, "down-swallow", scene, progress, "watch")))


ATTACKS = (
    Attack(
        "links",
        "half-open links with frames in flight, 1 byte/s, every close code, CSMS restarts, TLS and name failures",
        "pings by our own clock and two unanswered calls end a dead link; nothing leaves the line unanswered",
        _full,
        _short,
        _control,
    ),
)
