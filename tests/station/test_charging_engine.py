"""The engine of smart charging against the slow reference, the calendar's hard days, and its speed."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

import pytest
from charging_reference import AUTUMN, BERLIN, SPAN_S, SPRING, evse_at, period_at, station_at, utc, walls
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.station.charging.calendar import moment_of, spans
from agent.station.charging.external import state_of
from agent.station.charging.levels import Level, Wiring, at, combine, level_of, lowest, next_change
from agent.station.charging.plan import Charging, Window, capped, composite, evse_steps, station_steps, tenth, total
from agent.station.charging.profile import (
    Kind,
    Offline,
    Period,
    Profile,
    Purpose,
    RateUnit,
    Recurrence,
    Schedule,
    Source,
)
from agent.station.charging.store import ProfileStore

WIRING = Wiring(3, 230.0)


def moments(begin):
    """Odd seconds and round quarters of an hour, before and within the window."""
    return st.one_of(
        st.integers(begin - 90_000, begin + SPAN_S),
        st.integers(-100, SPAN_S // 900).map(lambda quarter: begin + quarter * 900),
    )


def schedules(begin):
    starts = st.lists(
        st.one_of(st.integers(1, 90_000), st.integers(1, 100).map(lambda quarter: quarter * 900)),
        max_size=5,
        unique=True,
    )
    limits = st.integers(0, 320).map(lambda tenths: tenths / 10)

    @st.composite
    def one(draw):
        offsets = [0, *sorted(draw(starts))]
        unit = draw(st.sampled_from(RateUnit))
        scale = 1.0 if unit is RateUnit.AMPERE else 690.0
        return Schedule(
            unit,
            tuple(Period(offset, draw(limits) * scale) for offset in offsets),
            draw(st.none() | moments(begin)),
            draw(st.none() | st.integers(1, 100_000) | st.sampled_from([3600, 86_400])),
        )

    return one()


@st.composite
def profiles(draw, begin, number):
    kind = draw(st.sampled_from(Kind))
    valid = draw(st.lists(moments(begin), min_size=2, max_size=2, unique=True).map(sorted))
    purpose = draw(
        st.sampled_from(
            [*Purpose, Purpose.TX_DEFAULT, Purpose.TX_DEFAULT, Purpose.TX, Purpose.PRIORITY, Purpose.EXTERNAL]
        )
    )
    schedule = draw(schedules(begin))
    if kind is Kind.DYNAMIC:
        schedule = replace(schedule, periods=schedule.periods[:1], start_utc_s=None, duration_s=None)
    if purpose is Purpose.PRIORITY:
        schedule = replace(schedule, duration_s=None)
    if purpose is Purpose.LOCAL_GENERATION:
        phases = draw(st.sampled_from([None, 1, 3]))
        schedule = replace(schedule, periods=tuple(replace(each, phases=phases) for each in schedule.periods))
    outside = purpose is Purpose.EXTERNAL
    return Profile(
        number,
        0 if outside else draw(st.integers(0, 2)),
        purpose,
        kind,
        schedule,
        draw(st.sampled_from(Recurrence)) if kind is Kind.RECURRING else None,
        draw(st.none() | st.just(valid[0])),
        draw(st.none() | st.just(valid[1])),
        "mine" if purpose is Purpose.TX else "",
        draw(st.sampled_from([Source.EMS, Source.SO, Source.OTHER])) if outside else Source.CSO,
        draw(st.none() | st.builds(Offline, st.integers(0, SPAN_S), st.booleans())),
    )


def equal(level, ampere):
    return (level is None) == (ampere is None) and (level is None or level.current_a == pytest.approx(ampere))


def place(profile, data):
    """An EVSE where a profile of its purpose may stand."""
    if profile.purpose is Purpose.TX:
        return 1
    return 0 if profile.purpose is Purpose.STATION_MAX else data.draw(st.sampled_from([0, 1]))


@pytest.mark.parametrize("begin", [SPRING, AUTUMN])
@pytest.mark.parametrize("local", [False, True])
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_what_holds_is_what_the_reference_says(begin, local, data):
    store, installed = ProfileStore(), []
    for number in range(data.draw(st.integers(1, 6))):
        profile = data.draw(profiles(begin, number))
        evse = place(profile, data)
        since = data.draw(moments(begin))
        beside = data.draw(st.booleans())
        assert store.install(profile, evse, since, beside=beside) is not None
        # The reference keeps the rule of replacement in its own words.
        installed = [entry for entry in installed if not same_place(entry, (profile, evse), beside)]
        installed.append((profile, evse, since))
    charging = data.draw(
        st.none() | st.builds(Charging, st.just("mine"), moments(begin), st.booleans()), label="charging"
    )
    offline = data.draw(st.none() | moments(begin), label="offline")
    among = data.draw(st.integers(1, 3))
    window = Window(begin, begin + SPAN_S, BERLIN if local else None, offline)
    seen = walls(begin) if local else None

    def check(steps, reference):
        assert steps[0][0] == begin
        assert all(later > earlier for (earlier, _), (later, _) in pairwise(steps))
        assert all(after != before for (_, before), (_, after) in pairwise(steps))
        asked = {t + more for t, _ in steps for more in (-1, 0, 1)} | set(range(begin, begin + SPAN_S, 601))
        for t in asked:
            if begin <= t < begin + SPAN_S:
                assert equal(at(steps, t), reference(t)), t

    start = (charging.transaction, charging.start_utc_s, charging.priority) if charging else ("", begin)
    check(
        evse_steps(store, 1, WIRING, window, charging, among),
        lambda t: evse_at(installed, 1, t, start, WIRING, seen, offline, among),
    )
    check(station_steps(store, WIRING, window), lambda t: station_at(installed, t, WIRING, seen, offline))


def same_place(old, new, beside):
    """True when the new one takes the place of the old one: as OCPP 1.6 says it, or (``beside``) as 2.0.1 does."""
    (one, where, _), (two, there) = old, new
    kept = (one.purpose, one.stack_level, where, one.source) != (two.purpose, two.stack_level, there, two.source)
    if kept or not beside:
        return not kept

    def end(profile):
        return float("inf") if profile.valid_to_s is None else profile.valid_to_s

    def start(profile):
        return -float("inf") if profile.valid_from_s is None else profile.valid_from_s

    return max(start(one), start(two)) < min(end(one), end(two))


def daily(*periods, start="2026-03-01T00:00:00", recurrence=Recurrence.DAILY, duration_s=None):
    schedule = Schedule(RateUnit.AMPERE, tuple(Period(s, a) for s, a in periods), utc(start), duration_s)
    return Profile(1, 0, Purpose.TX_DEFAULT, Kind.RECURRING, schedule, recurrence)


@pytest.mark.parametrize(("begin", "zone"), [(SPRING, BERLIN), (AUTUMN, BERLIN), (SPRING, None)])
def test_a_day_with_a_changed_clock_second_by_second(begin, zone):
    """Midnight, three in the morning, within the hour that is skipped or doubled, and the evening."""
    night = utc("2026-02-28T23:00:00")  # midnight in Berlin
    profile = daily((0, 16.0), (9000, 10.0), (10_800, 6.0), (64_800, 32.0), duration_s=80_000)
    profile = replace(profile, schedule=replace(profile.schedule, start_utc_s=night))
    found = spans(profile, begin, begin + SPAN_S, None, zone)
    seen = walls(begin) if zone else None
    each = iter(found)
    span = next(each)
    for t in range(begin, begin + SPAN_S):
        while span is not None and t >= span[1]:
            span = next(each, None)
        holds = span[2] if span is not None and span[0] <= t else None
        assert holds == period_at(profile, t, None, seen), t


def local(text):
    return moment_of(datetime.fromisoformat(text), BERLIN)


def test_moments_of_the_wall_clock():
    assert local("2026-01-15T12:00:00") == utc("2026-01-15T11:00:00")
    assert local("2026-07-15T12:00:00") == utc("2026-07-15T10:00:00")
    for skipped in ("02:00:00", "02:30:00", "02:59:59", "03:00:00"):
        assert local(f"2026-03-29T{skipped}") == utc("2026-03-29T01:00:00")
    assert local("2026-10-25T02:30:00") == utc("2026-10-25T00:30:00")  # the first of two
    assert local("2026-10-25T03:00:00") == utc("2026-10-25T02:00:00")


def test_a_night_tariff_follows_the_wall_or_utc():
    night = daily((0, 32.0), (6 * 3600, 6.0), start="2026-01-01T21:00:00")  # 22:00 to 4:00 in Berlin
    window = (utc("2026-07-01T00:00:00"), utc("2026-07-02T00:00:00"))
    assert [(t, p.limit) for t, _, p in spans(night, *window, None, BERLIN)] == [
        (window[0], 32.0),
        (utc("2026-07-01T02:00:00"), 6.0),
        (utc("2026-07-01T20:00:00"), 32.0),
    ]
    assert [t for t, _, _ in spans(night, *window, None, None)][1:] == [
        utc("2026-07-01T03:00:00"),
        utc("2026-07-01T21:00:00"),
    ]


def test_a_week_and_what_lies_behind_its_end():
    weekend = daily(
        (0, 32.0),
        (7 * 86_400 + 5, 1.0),
        start="2026-06-06T00:00:00",
        recurrence=Recurrence.WEEKLY,
        duration_s=9 * 86_400,
    )
    found = spans(weekend, utc("2026-06-01T00:00:00"), utc("2026-06-20T00:00:00"), None)
    assert [(a, b) for a, b, _ in found] == [
        (utc("2026-06-06T00:00:00"), utc("2026-06-13T00:00:00")),
        (utc("2026-06-13T00:00:00"), utc("2026-06-20T00:00:00")),
    ]
    assert {period.limit for _, _, period in found} == {32.0}


def test_relative_without_charging_never_holds():
    profile = Profile(1, 0, Purpose.TX_DEFAULT, Kind.RELATIVE, Schedule(RateUnit.AMPERE, (Period(0, 6.0),), 5))
    assert spans(profile, 0, 100, None) == []
    assert spans(profile, 0, 100, 40) == [(40, 100, Period(0, 6.0))]  # its own start counts for nothing


@pytest.mark.parametrize(
    ("unit", "limit", "phases", "wiring", "ampere", "on"),
    [
        (RateUnit.AMPERE, 16.0, None, Wiring(3), 16.0, 3),
        (RateUnit.AMPERE, 16.0, 3, Wiring(1), 16.0, 1),
        (RateUnit.WATT, 11_040.0, None, Wiring(3), 16.0, 3),
        (RateUnit.WATT, 3680.0, None, Wiring(1), 16.0, 1),
        (RateUnit.WATT, 3680.0, 1, Wiring(3), 3680 / 690, 3),  # three phases would draw thrice the power
        (RateUnit.WATT, 3680.0, 1, Wiring(3, switchable=True), 16.0, 1),
        (RateUnit.WATT, 2400.0, 1, Wiring(1, nominal_v=120.0), 20.0, 1),
    ],
)
def test_units_and_phases(unit, limit, phases, wiring, ampere, on):
    schedule = Schedule(unit, (Period(0, limit, phases),), minimum_rate=limit / 2)
    level = level_of(schedule.periods[0], schedule, wiring)
    assert level.current_a == pytest.approx(ampere)
    assert level.minimum_a == pytest.approx(ampere / 2)
    assert level.phases == on


STEPS = st.lists(
    st.tuples(st.integers(1, 60), st.none() | st.builds(Level, st.sampled_from([0.0, 6.0, 16.0, 32.0]), st.just(3))),
    max_size=6,
    unique_by=lambda step: step[0],
).map(lambda steps: [(0, None), *sorted(steps, key=lambda step: step[0])])


@given(STEPS, STEPS)
def test_combining_is_the_lowest_at_every_second(one, other):
    both = combine(one, other, lowest)
    for t in range(62):
        levels = [level.current_a for level in (at(one, t), at(other, t)) if level is not None]
        found = at(both, t)
        assert (found.current_a if found else None) == (min(levels) if levels else None)
        following = next((later for later in range(t + 1, 62) if at(both, later) != at(both, t)), None)
        assert next_change(both, t) == following


def test_a_composite_says_no_more_than_it_may_and_shortens_what_does_not_fit():
    window = Window(1000, 1000 + 86_400)
    steps = [(1000 + i * 60, Level(6.0 + i % 7, 3)) for i in range(400)]
    found = composite(steps, WIRING, window, RateUnit.AMPERE)
    assert len(found.periods) == 300
    assert found.duration_s == 300 * 60
    assert found.periods[8].start_s == 480
    watts = composite([(1000, Level(15.97, 3))], WIRING, window, RateUnit.WATT)
    assert [period.limit for period in watts.periods] == [11_019.3]
    assert tenth(0.1 + 0.2) == 0.3
    assert tenth(15.99) == 15.9


def test_the_sum_of_all_outlets():
    three, one = Wiring(3), Wiring(1)
    parts = [([(0, Level(16.0, 3))], three), ([(0, Level(32.0, 1)), (50, Level(10.0, 1))], one)]
    window = Window(0, 100)
    for unit, limits in ((RateUnit.AMPERE, [40.0, 26.0]), (RateUnit.WATT, [16 * 690 + 32 * 230.0, 16 * 690 + 2300.0])):
        steps = total(parts, [(0, Level(40.0, 3))], three, unit)
        assert [period.limit for period in composite(steps, three, window, unit).periods] == limits


def test_ten_profiles_with_24_periods_are_fast():
    """A loop over the seconds of a day would take a hundred times as long."""
    store = ProfileStore()
    hours = tuple(Period(hour * 3600 + hour % 7, 6.0 + hour) for hour in range(24))
    for number in range(10):
        purpose = Purpose.STATION_MAX if number > 7 else Purpose.TX_DEFAULT
        schedule = Schedule(RateUnit.AMPERE, hours, utc("2020-01-01T00:00:00") + number * 600, 70_000)
        store.install(Profile(number, number, purpose, Kind.RECURRING, schedule, Recurrence.DAILY), 0, 0)
    window = Window(SPRING, SPRING + 86_400, BERLIN)
    best_s = 1e9
    for _ in range(5):
        began = time.perf_counter()
        station = capped(station_steps(store, WIRING, window), Level(32.0, 3))
        steps = combine(evse_steps(store, 1, WIRING, window, None), station, lowest)
        periods = composite(steps, WIRING, window, RateUnit.AMPERE).periods
        best_s = min(best_s, time.perf_counter() - began)
    assert len(periods) > 20
    assert best_s < 0.25


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_what_an_external_limit_says_now(data):
    begin = SPRING
    profile = data.draw(profiles(begin, 1).filter(lambda each: each.kind is not Kind.RELATIVE))
    moment = data.draw(moments(begin).filter(lambda t: t >= begin))
    profile = replace(profile, offline=None)
    if profile.kind is not Kind.DYNAMIC and profile.schedule.start_utc_s is None:
        profile = replace(profile, schedule=replace(profile.schedule, start_utc_s=begin))
    state = state_of(profile, 1, moment + 0.25, 1000.0)
    period = period_at(profile, moment, None)
    assert state.limit == (None if period is None else period.limit)
    if state.changes_at is not None:
        change = round(state.changes_at - 1000.0 + 0.25) + moment
        assert change > moment
        for t in {moment + 1, (moment + change) // 2, change - 1} - {moment}:
            if moment < t < change:
                assert period_at(profile, t, None) == period
        assert period_at(profile, change, None) != period or profile.kind is Kind.RECURRING
