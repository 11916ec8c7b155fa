"""Which charging profile replaces which, what may be installed where, and what a filter clears."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.station.charging.documents import document, from_document
from agent.station.charging.profile import (
    CAPACITY,
    Capacity,
    Kind,
    Offline,
    Period,
    Profile,
    Purpose,
    RateUnit,
    Recurrence,
    Schedule,
    Source,
    Updates,
)
from agent.station.charging.rules import problem
from agent.station.charging.store import Filter, ProfileStore

PLAIN = Schedule(RateUnit.AMPERE, (Period(0, 16.0),))


def profile(number, purpose=Purpose.TX_DEFAULT, level=0, **more):
    transaction = "t" if purpose is Purpose.TX else ""
    return Profile(number, level, purpose, Kind.RELATIVE, PLAIN, **({"transaction": transaction} | more))


def filled(*entries):
    store = ProfileStore()
    for number, purpose, level, evse in entries:
        assert store.objection(profile(number, purpose, level), evse) is None
        assert store.install(profile(number, purpose, level), evse, 0) is not None
    return store


def ids(entries):
    return [entry.profile.id for entry in entries]


def test_the_same_id_or_the_same_place_is_replaced():
    store = filled((1, Purpose.TX_DEFAULT, 0, 1), (2, Purpose.TX_DEFAULT, 1, 1), (3, Purpose.TX_DEFAULT, 0, 2))
    assert store.install(profile(4), 1, 0) == [1]
    assert store.install(profile(2, Purpose.STATION_MAX), 0, 0) == [2]
    assert sorted(ids(store)) == [2, 3, 4]
    assert store.install(profile(5, Purpose.STATION_MAX), 0, 0) == [2]
    assert store.install(profile(5, level=7), 2, 0) == [5]
    assert sorted(ids(store)) == [3, 4, 5]


def test_an_own_default_replaces_the_common_one_of_its_level_at_its_evse():
    store = filled((1, Purpose.TX_DEFAULT, 0, 0), (2, Purpose.TX_DEFAULT, 3, 0), (3, Purpose.TX_DEFAULT, 0, 1))
    assert ids(store.defaults_of(1)) == [2, 3]
    assert ids(store.defaults_of(2)) == [2, 1]


def test_stacks_are_in_order():
    store = filled(
        (1, Purpose.STATION_MAX, 2, 0), (2, Purpose.STATION_MAX, 9, 0), (3, Purpose.TX, 1, 1), (4, Purpose.TX, 4, 1)
    )
    assert ids(store.of_station()) == [2, 1]
    assert ids(store.of_transaction("t")) == [4, 3]
    assert ids(store.of_transaction("")) == []
    assert store.end(frozenset({"t", "u"})) == []
    assert store.end(frozenset({"u"})) == [3, 4]


@pytest.mark.parametrize(
    ("which", "gone"),
    [
        (Filter(), {1, 2, 3, 4}),
        (Filter(id=3), {3}),
        (Filter(id=3, evse=2, stack_level=9), {3}),
        (Filter(id=9), set()),
        (Filter(evse=0), {1, 2}),
        (Filter(evse=1), {3, 4}),
        (Filter(purpose=Purpose.TX_DEFAULT), {2, 3}),
        (Filter(stack_level=1), {2, 4}),
        (Filter(evse=1, stack_level=1), {4}),
        (Filter(evse=2), set()),
        (Filter(purpose=Purpose.STATION_MAX, stack_level=1), set()),
        (Filter(id=0), set()),
    ],
)
def test_clearing(which, gone):
    store = filled(
        (1, Purpose.STATION_MAX, 0, 0),
        (2, Purpose.TX_DEFAULT, 1, 0),
        (3, Purpose.TX_DEFAULT, 0, 1),
        (4, Purpose.TX, 1, 1),
    )
    version = store.version
    assert set(store.clear(which)) == gone
    assert set(ids(store)) == {1, 2, 3, 4} - gone
    assert (store.version != version) is bool(gone)


@pytest.mark.parametrize(
    ("wrong", "evse", "word"),
    [
        (profile(1, Purpose.STATION_MAX), 1, "whole station"),
        (profile(1, Purpose.TX), 0, "transaction"),
        (profile(1, Purpose.TX, transaction=""), 1, "transaction"),
        (profile(1, level=-1), 0, "stack level"),
        (profile(1, level=CAPACITY.stack_level + 1), 0, "stack level"),
        (replace(profile(1), schedule=replace(PLAIN, periods=())), 0, "0 periods"),
        (replace(profile(1), schedule=replace(PLAIN, periods=(Period(5, 6.0),))), 0, "begin at 0"),
        (replace(profile(1), schedule=replace(PLAIN, periods=(Period(0, 6.0), Period(0, 7.0)))), 0, "follow"),
        (replace(profile(1), schedule=replace(PLAIN, periods=(Period(0, -0.1),))), 0, "limit"),
        (replace(profile(1), schedule=replace(PLAIN, periods=(Period(0, float("nan")),))), 0, "limit"),
        (replace(profile(1), schedule=replace(PLAIN, periods=(Period(0, 6.0, 4),))), 0, "phases"),
        (replace(profile(1), schedule=replace(PLAIN, periods=(Period(0, 6.0, 0),))), 0, "phases"),
        (replace(profile(1), schedule=replace(PLAIN, minimum_rate=-1.0)), 0, "minimum"),
        (replace(profile(1), schedule=replace(PLAIN, duration_s=0)), 0, "duration"),
        (replace(profile(1), schedule=replace(PLAIN, start_utc_s=10**12)), 0, "1970 and 2100"),
        (replace(profile(1), kind=Kind.RECURRING), 0, "recurs"),
        (replace(profile(1), valid_from_s=5, valid_to_s=5), 0, "valid"),
        (
            replace(profile(1), schedule=replace(PLAIN, periods=tuple(Period(i, 6.0) for i in range(301)))),
            0,
            "301 periods",
        ),
    ],
)
def test_what_breaks_a_rule_is_refused(wrong, evse, word):
    assert word in str(ProfileStore().objection(wrong, evse))


def test_room():
    store = ProfileStore(Capacity(profiles=2))
    for number in (1, 2):
        assert store.install(profile(number, level=number, valid_to_s=100 * number), 0, 0) == []
    assert store.install(profile(3, level=3), 0, 50) is None
    assert store.install(profile(3, level=2), 0, 50) == [2]  # in its place there is room
    assert store.install(profile(4, level=4), 0, 100) == [1]  # its validity is over
    assert sorted(ids(store)) == [3, 4]


@given(
    st.builds(
        Profile,
        st.integers(-(2**31), 2**31),
        st.integers(0, CAPACITY.stack_level),
        st.sampled_from([purpose for purpose in Purpose if purpose is not Purpose.PRIORITY]),
        st.sampled_from([Kind.ABSOLUTE, Kind.RECURRING, Kind.RELATIVE]),
        st.builds(
            Schedule,
            st.sampled_from(RateUnit),
            st.sampled_from([(Period(0, 6.5, 1), Period(60, 0.0)), (Period(0, 6.5, 1, 3), Period(60, 0.0, 1))]),
            st.none() | st.integers(0, 2**31),
            st.none() | st.integers(1, 2**31),
            st.none() | st.just(6.0),
            st.integers(0, 9),
        ),
        st.sampled_from(Recurrence),
        st.none() | st.integers(0, 100),
        st.none() | st.integers(101, 200),
        st.sampled_from(["", "t"]),
        st.sampled_from(Source),
        st.none() | st.builds(Offline, st.integers(0, 2**31), st.booleans()),
    )
    | st.builds(
        Profile,
        st.integers(-(2**31), 2**31),
        st.integers(0, CAPACITY.stack_level),
        st.sampled_from(Purpose),
        st.just(Kind.DYNAMIC),
        st.just(Schedule(RateUnit.WATT, (Period(0, 6.5, 1),))),
        updates=st.none() | st.builds(Updates, st.floats(0, 1e10), st.none() | st.integers(1, 99)),
    )
)
def test_a_document_brings_back_the_profile(some):
    assert problem(some) is None
    assert from_document(json.loads(json.dumps(document(some)))) == some


def test_broken_documents_are_left_out():
    good = filled((1, Purpose.TX_DEFAULT, 0, 1)).document(1)
    assert ProfileStore().document(1) is None
    worse = json.loads(json.dumps(good))
    worse["profile"]["stack_level"] = -1
    store = ProfileStore()
    broken = store.load({"1": good, "2": {}, "3": 7, "4": {**good, "profile": {"id": 4}}, "5": worse})
    assert broken == ["2", "3", "4", "5"]
    assert ids(store) == [1]
