"""Asking for the charge point's certificate, in virtual time: how often, until when, and what ends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.clock import Moment
from agent.config.schema import KeyType
from agent.journal.journal import Journal
from agent.ocpp.certificate_signing import ORGANISATION, RENEWAL_RETRY_S, CertificateSigning, Insistence
from agent.ocpp.rpc import Outcome, Result
from agent.security.security import Security
from agent.station.settings import Settings
from simulators import pki

BEGAN_UTC_S = time.time()
ACCEPTED, REJECTED = {"status": "Accepted"}, {"status": "Rejected"}


class StandingClock:
    """Goes only when it is told to; begins now, because certificates of the tests do."""

    plausible = True

    def __init__(self) -> None:
        self.at_s = 0.0

    def now(self) -> Moment:
        return Moment(self.at_s, BEGAN_UTC_S + self.at_s, True, "boot-1")


class World:
    """A charge point that asks, and a network that takes requests and signs nothing by itself."""

    def __init__(self, folder: Path, journal: Journal, insistence: Insistence | None) -> None:
        self.now = 0.0
        self.clock = StandingClock()
        self.security = Security(folder / "security", journal, self.clock)
        self.settings = Settings()
        self.settings.set(ORGANISATION, "Nordstrom")
        self.sent: list[tuple[float, str]] = []
        self.answer = ACCEPTED
        networks = SimpleNamespace(settled=lambda: SimpleNamespace(security_profile=0))
        around: Any = SimpleNamespace(security=self.security, networks=networks)
        config: Any = SimpleNamespace(
            ocpp=SimpleNamespace(key_type=KeyType.P256), station=SimpleNamespace(serial_number="NORD-1")
        )
        self.signing = CertificateSigning(
            around,
            config,
            self.settings,
            self._call,
            asyncio.run,
            lambda: None,
            lambda _text: None,
            insistence=lambda: insistence,
        )

    def _call(self, action: str, payload: dict[str, Any], _priority: object, done: Callable[..., None]) -> bool:
        assert action == "SignCertificate"
        self.sent.append((self.now, payload["csr"]))
        done(Outcome(Result.ANSWERED, payload=self.answer), self.now)
        return False  # nothing waits: it was answered at once

    def until(self, end_s: float) -> None:
        """Let time pass; the part is asked whenever it wants to be."""
        while self.signing.next_wake() <= end_s:
            self.now = max(self.now, self.signing.next_wake())
            self.clock.at_s = self.now
            self.signing.offer(self.now)
        self.now = self.clock.at_s = end_s

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.sent]

    def sign(self, days: float, since_days: float = 0.0) -> bool:
        chain = pki.root("Operator").sign(self.sent[-1][1], days=days, since=since_days * pki.DAY)
        return self.signing.take(chain)


@pytest.fixture
def world(tmp_path: Path):
    journals: list[Journal] = []

    def make(insistence: Insistence | None) -> World:
        journals.append(Journal.open(tmp_path / "journal.db", "boot-1"))
        return World(tmp_path, journals[-1], insistence)

    yield make
    for journal in journals:
        journal.close()


@pytest.mark.parametrize(
    ("insistence", "times"),
    [
        (None, [0.0]),
        (Insistence(10.0, 0), [0.0, 10.0]),
        (Insistence(10.0, 1), [0.0, 10.0, 30.0]),
        (Insistence(60.0, 3), [0.0, 60.0, 180.0, 420.0, 900.0]),
    ],
)
def test_a_request_is_repeated_after_twice_the_time_and_then_no_more(
    world: Callable[[Insistence | None], World], insistence: Insistence | None, times: list[float]
) -> None:
    """2.0.1 A02.FR.17 to FR.19: so many doublings; the same request each time"""
    here = world(insistence)
    assert here.signing.request()
    here.until(20_000.0)
    assert here.times == times
    assert len({csr for _, csr in here.sent}) == 1
    # Asked again, it begins anew, with another key.
    assert here.signing.request()
    assert here.sent[-1][1] != here.sent[0][1]


def test_a_request_that_is_not_taken_is_not_repeated(world: Callable[[Insistence | None], World]) -> None:
    here = world(Insistence(10.0, 5))
    here.answer = REJECTED
    assert here.signing.request()
    here.until(20_000.0)
    assert here.times == [0.0]


@pytest.mark.parametrize(("days", "good"), [(90.0, True), (1.0, False)])
def test_a_certificate_ends_it_and_a_bad_one_too(
    world: Callable[[Insistence | None], World], days: float, good: bool
) -> None:
    """A02.FR.20"""
    here = world(Insistence(10.0, 5))
    assert here.signing.request()
    assert here.sign(days, since_days=-3.0) is good
    here.until(2000.0)
    assert here.times == [0.0]


def test_renewal_begins_in_time_and_is_insisted_on(world: Callable[[Insistence | None], World]) -> None:
    """A03.FR.02, in the last third of a short life; A03.FR.19: given up, not begun anew by the hour"""
    here = world(Insistence(10.0, 1))
    assert here.signing.request()
    assert here.sign(days=30.0)
    here.until(19.9 * 86_400)
    assert len(here.sent) == 1
    here.until(25 * 86_400)
    first, *others = here.times[1:]
    assert 20 * 86_400 <= first <= 20 * 86_400 + 2 * RENEWAL_RETRY_S
    assert [at - first for at in others] == [10.0, 30.0]


def test_without_insistence_renewal_is_asked_for_until_it_comes(world: Callable[[Insistence | None], World]) -> None:
    """1.6: after an hour, two, four and so on, at most a day apart"""
    here = world(None)
    assert here.signing.request()
    assert here.sign(days=30.0)
    here.until(29 * 86_400)
    gaps = [b - a for a, b in zip(here.times[1:], here.times[2:], strict=False)]
    assert gaps[:4] == [RENEWAL_RETRY_S * factor for factor in (1, 2, 4, 8)]
    assert max(gaps) == 86_400


def test_without_the_operators_name_nothing_is_asked(world: Callable[[Insistence | None], World]) -> None:
    here = world(Insistence(10.0, 1))
    here.settings.set(ORGANISATION, "")
    assert not here.signing.request()
    assert here.sent == []
