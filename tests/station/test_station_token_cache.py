"""The authorisation cache: what stays, what goes, and what a restart finds again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station_world import World, config

from agent.clock import Moment
from agent.station import token_cache
from agent.station.authorisation import Verdict, decide
from agent.station.settings import Settings
from agent.station.site import Site
from agent.station.token_cache import TABLE, TokenCache
from agent.station.tokens import (
    CENTRAL,
    KEY_CODE,
    LOCAL,
    NO_AUTHORIZATION,
    Token,
    TokenInfo,
    TokenStatus,
    document_of,
    info_of,
    listed_status,
)

ACCEPTED = TokenInfo(TokenStatus.ACCEPTED)
BLOCKED = TokenInfo(TokenStatus.BLOCKED)
UTC_S = 1_770_000_000.0


class Books:
    """A site whose kept documents are as the journal would have them."""

    def __init__(self, **settings: str) -> None:
        self.settings = Settings()
        for name, text in settings.items():
            self.settings.set(f"AuthCacheCtrlr.{name}", text)
        self.kept: dict[str, dict] = {TABLE: {}}
        self.site = Site(config(), self.settings, self.moment(0.0), {})
        self.cache = TokenCache(self.site, self.kept)

    @staticmethod
    def moment(passed_s: float) -> Moment:
        return Moment(100.0 + passed_s, UTC_S + passed_s, True, "boot")

    def at(self, passed_s: float) -> TokenCache:
        self.site.moment = self.moment(passed_s)
        return self.cache

    def write(self) -> None:
        for effect in self.site.take():
            if effect.value is None:
                self.kept[effect.table].pop(effect.key, None)
            else:
                self.kept[effect.table][effect.key] = json.loads(json.dumps(effect.value))

    def restart(self) -> TokenCache:
        self.write()
        self.cache = TokenCache(self.site, self.kept)
        return self.cache


@pytest.fixture
def room_for_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_cache, "CACHE_SIZE", 3)


@pytest.mark.parametrize(
    ("policy", "gone"),
    [("FIFO", "A"), ("LRU", "B"), ("LFU", "C")],
)
def test_who_makes_room(policy: str, gone: str, room_for_three: None) -> None:
    books = Books(Policy=policy)
    for passed_s, uid in enumerate("ABC"):
        books.at(passed_s).store(Token(uid), ACCEPTED)
    for passed_s, uid in ((10, "B"), (11, "B"), (12, "B"), (20, "A"), (21, "A"), (30, "C")):
        books.at(passed_s).used(Token(uid))
    books.at(40).store(Token("D"), ACCEPTED)
    left = {uid for uid in "ABCD" if books.cache.find(Token(uid)) is not None}
    assert left == set("ABCD") - {gone}
    assert {uid for uid in "ABCD" if books.restart().find(Token(uid)) is not None} == left


def test_what_is_told_anew_is_the_newest_in_the_row(room_for_three: None) -> None:
    books = Books()
    for uid in "ABC":
        books.cache.store(Token(uid), ACCEPTED)
    books.cache.store(Token("A"), BLOCKED)
    books.cache.store(Token("D"), ACCEPTED)
    assert [books.cache.find(Token(uid)) for uid in "ABCD"] == [BLOCKED, None, ACCEPTED, ACCEPTED]


def test_life_time_counts_from_the_last_use_and_a_date_of_its_own_takes_its_place() -> None:
    books = Books(LifeTime="100")
    dated = TokenInfo(TokenStatus.ACCEPTED, "", UTC_S + 1000)
    books.cache.store(Token("A"), ACCEPTED)
    books.cache.store(Token("B"), ACCEPTED)
    books.cache.store(Token("DATED"), dated)
    books.at(60).used(Token("A"))
    assert books.at(120).find(Token("B")) is None
    assert books.at(120).find(Token("A")) == ACCEPTED
    assert books.restart().find(Token("A")) == ACCEPTED
    assert books.at(161).find(Token("A")) is None
    assert books.at(161).find(Token("DATED")) == dated
    books.write()
    assert set(books.kept[TABLE]) == {"dated"}


def test_a_use_is_written_down_only_where_something_goes_by_it() -> None:
    for settings, written in (({}, False), ({"LifeTime": "5"}, True), ({"Policy": "LRU"}, True)):
        books = Books(**settings)
        books.cache.store(Token("A"), ACCEPTED)
        books.write()
        books.at(1).used(Token("A"))
        assert bool(books.site.take()) is written


def test_switched_off_it_knows_and_takes_nothing() -> None:
    books = Books()
    books.cache.store(Token("A"), ACCEPTED)
    books.settings.set("AuthCacheCtrlr.Enabled", "false")
    books.cache.store(Token("B"), ACCEPTED)
    assert (books.cache.find(Token("A")), books.cache.clear()) == (None, False)
    books.settings.set("AuthCacheCtrlr.Enabled", "true")
    assert (books.cache.find(Token("A")), books.cache.find(Token("B"))) == (ACCEPTED, None)
    assert books.cache.clear()
    assert books.restart().find(Token("A")) is None


INFOS = st.builds(
    TokenInfo,
    st.sampled_from(TokenStatus),
    st.text(max_size=4),
    st.none() | st.floats(0, 4e9),
    st.sampled_from(("", "NoCredit", "NotAtThisTime")),
    st.lists(st.integers(1, 99), max_size=3).map(tuple),
)


@given(INFOS)
def test_an_answer_reads_back_as_it_was_written(info: TokenInfo) -> None:
    assert info_of(document_of(info)) == info
    row = {"status": listed_status(info), "group": info.group, "expires_utc_s": info.expires_utc_s}
    found = info_of(row)
    assert found is not None
    assert (found.status, found.evses, found.group) == (info.status, info.evses, info.group)


@given(st.lists(st.tuples(st.sampled_from("ABCDE"), INFOS), max_size=30), st.sampled_from(("FIFO", "LRU", "LFU")))
def test_the_latest_word_is_what_is_found_and_what_a_restart_finds(told: list, policy: str) -> None:
    books = Books(Policy=policy)
    for passed_s, (uid, info) in enumerate(told):
        books.at(passed_s).store(Token(uid), info)
        assert books.cache.find(Token(uid)) == info
    before = {uid: books.cache.find(Token(uid)) for uid in "ABCDE"}
    after = books.restart()
    assert {uid: after.find(Token(uid)) for uid in "ABCDE"} == before


@pytest.mark.parametrize(
    ("known", "settings", "verdict"),
    [
        (None, {}, Verdict.ASK),
        (ACCEPTED, {}, Verdict.ASK),
        (ACCEPTED, {"AuthCtrlr.LocalPreAuthorize": "true"}, Verdict.ACCEPT),
        (BLOCKED, {"AuthCtrlr.LocalPreAuthorize": "true"}, Verdict.ASK),
        (BLOCKED, {"AuthCacheCtrlr.DisablePostAuthorize": "true"}, Verdict.REFUSE),
        (BLOCKED, {"LocalAuthListCtrlr.DisablePostAuthorize": "true"}, Verdict.ASK),
        (None, {"AuthCacheCtrlr.DisablePostAuthorize": "true"}, Verdict.ASK),
        (ACCEPTED, {"AuthCtrlr.DisableRemoteAuthorization": "true"}, Verdict.ACCEPT),
        (BLOCKED, {"AuthCtrlr.DisableRemoteAuthorization": "true"}, Verdict.REFUSE),
        (None, {"AuthCtrlr.DisableRemoteAuthorization": "true"}, Verdict.REFUSE),
    ],
)
def test_online_by_the_cache(known: TokenInfo | None, settings: dict[str, str], verdict: Verdict) -> None:
    values = Settings()
    for name, text in settings.items():
        values.set(name, text)
    assert decide(known, True, values, UTC_S).verdict is verdict


def test_the_list_has_a_post_authorisation_of_its_own() -> None:
    values = Settings()
    values.set("LocalAuthListCtrlr.DisablePostAuthorize", "true")
    assert decide(BLOCKED, True, values, UTC_S, listed=True).verdict is Verdict.REFUSE


@pytest.mark.parametrize(
    ("flexible", "kinds"), [(False, {CENTRAL, NO_AUTHORIZATION, "ISO14443"}), (True, {"ISO14443"})]
)
def test_what_stands_for_no_driver_is_cached_by_1_6_alone(flexible: bool, kinds: set[str]) -> None:
    """OCPP 1.6 knows no types; 2.0.1 C02.FR.03, C03.FR.02, C05.FR.02."""
    world = World(config(versions=("ocpp2.0.1",) if flexible else ("ocpp1.6",)))
    for kind in (CENTRAL, NO_AUTHORIZATION, "ISO14443"):
        world.call("token_told", Token(kind, kind), ACCEPTED)
    assert set(world.kept["token"]) == {kind.casefold() for kind in kinds}


@pytest.mark.parametrize("flexible", [False, True])
def test_concurrent_tx_is_cached_by_ocpp_2_alone(flexible: bool) -> None:
    """C10.FR.01"""
    world = World(config(versions=("ocpp2.0.1",) if flexible else ("ocpp1.6",)))
    world.call("token_told", Token("A"), TokenInfo(TokenStatus.CONCURRENT_TX))
    assert bool(world.kept["token"]) is flexible


def test_nothing_of_a_pin_stands_in_a_log() -> None:
    """C04.FR.04"""
    assert Token("123456789", KEY_CODE).masked == "…"
    assert Token("123456789").masked == "12…89"


def test_a_date_that_is_over_takes_the_entry_away_in_ocpp_2_alone() -> None:
    """C10.FR.10"""
    dated = TokenInfo(TokenStatus.ACCEPTED, "", UTC_S + 10)
    for flexible, found in ((False, dated), (True, None)):
        books = Books()
        books.site.flexible = flexible
        books.cache.store(Token("A"), dated)
        assert books.at(9).find(Token("A")) == dated
        assert books.at(10).find(Token("A")) == found


def test_a_parking_ticket_is_always_asked_about() -> None:
    """C06.FR.02"""
    world = World(config(versions=("ocpp2.0.1",)), {"AuthCtrlr.LocalPreAuthorize": "true"})
    world.call("token_told", Token("TICKET", LOCAL), ACCEPTED)
    decision = world.station.access.readers._authorisation.decide
    assert decision(Token("TICKET", LOCAL), True).verdict is Verdict.ASK
    assert decision(Token("TICKET"), True).verdict is Verdict.ACCEPT
    assert decision(Token("TICKET", LOCAL), False).verdict is Verdict.ACCEPT
