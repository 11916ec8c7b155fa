"""Charging profiles in the station: they reach the permit at once, wake it in time, and outlive a restart."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from station_world import Outlet, World, config

from agent.link.messages import Permit, Withdraw
from agent.station.charging.profile import Kind, Period, Profile, Purpose, RateUnit, Recurrence, Schedule
from agent.station.charging.store import Filter
from agent.station.commands import RemoteStart
from agent.station.tokens import Token

A, W = RateUnit.AMPERE, RateUnit.WATT


def profile(number, *periods, purpose=Purpose.TX_DEFAULT, level=0, unit=A, kind=Kind.RELATIVE, start=None, **more):
    periods = tuple(Period(start_s, limit) for start_s, limit in periods)
    transaction = more.pop("transaction", "")
    minimum = more.pop("minimum", None)
    return Profile(
        number,
        level,
        purpose,
        kind,
        Schedule(unit, periods, start, more.pop("duration", None), minimum),
        transaction=transaction,
        **more,
    )


def world(evses=1, feed_a=32.0, **more):
    made = World(config(evses=evses, feed_a=feed_a, **more))
    made.run(1)
    return made


def charge(made, *numbers):
    for number in numbers:
        made.plug(number)
        made.run(3)
        made.tap(f"CARD000{number}")
        made.run(3)


def permits(made):
    return {number: outlet.permit.current_a if outlet.permit else 0.0 for number, outlet in made.outlets.items()}


def install(made, evse, *args, **more):
    return made.call("set_charging_profile", evse, profile(*args, **more))


def composite(made, evse, duration_s=3600, unit=None):
    return made.station.composite_schedule(evse, duration_s, unit, made.moment())


def test_a_default_holds_at_once_and_clearing_it_frees():
    made = world()
    charge(made, 1)
    assert permits(made) == {1: 32.0}
    assert install(made, 0, 1, (0, 10.0))
    assert permits(made) == {1: 10.0}, "at once, not with the next message of control"
    assert made.call("clear_charging_profiles", Filter(id=1))
    assert permits(made) == {1: 32.0}
    assert not made.call("clear_charging_profiles", Filter())


def test_the_own_profile_goes_before_the_default_and_ends_with_its_transaction():
    made = world()
    assert not install(made, 1, 5, (0, 20.0), purpose=Purpose.TX), "no transaction runs"
    charge(made, 1)
    transaction = made.started()[-1].transaction
    assert not install(made, 1, 5, (0, 20.0), purpose=Purpose.TX, transaction="another")
    assert not install(made, 0, 5, (0, 20.0), purpose=Purpose.TX)
    assert not install(made, 9, 5, (0, 20.0), purpose=Purpose.TX)
    assert install(made, 0, 1, (0, 8.0))
    assert install(made, 1, 5, (0, 20.0), purpose=Purpose.TX, transaction=transaction)
    assert permits(made) == {1: 20.0}
    assert set(made.kept["charging_profile"]) == {"1", "5"}
    made.unplug(1)
    made.run(10)
    assert len(made.ended()) == 1
    assert set(made.kept["charging_profile"]) == {"1"}
    charge(made, 1)
    assert permits(made) == {1: 8.0}


def test_each_period_comes_in_its_second():
    made = world()
    charge(made, 1)
    began = made.now
    periods = (0, 10.0), (100, 16.0), (205, 6.0), (300, 0.0), (400, 32.0)
    start = int(began + made.utc_offset)
    install(made, 1, 1, *periods, kind=Kind.ABSOLUTE, start=start, duration=500)
    seen = [(0, permits(made)[1])]
    while made.now < began + 600:
        made.run(1)
        if permits(made)[1] != seen[-1][1]:
            seen.append((round(made.now - began), permits(made)[1]))
    assert seen == list(periods)


@pytest.mark.parametrize(("can", "phases"), [(True, [3, 1, 3]), (False, [3])])
def test_a_period_on_one_phase_is_charged_on_one_where_the_outlet_can(can, phases):
    made = world(switches_phases=can)
    charge(made, 1)
    one = profile(1, (0, 11_000.0), (100, 3_680.0), (200, 11_000.0), unit=W, kind=Kind.RELATIVE)
    periods = tuple(replace(each, phases=1 if each.start_s == 100 else 3) for each in one.schedule.periods)
    assert made.call("set_charging_profile", 1, replace(one, schedule=replace(one.schedule, periods=periods)))
    seen = []
    for _ in range(300):
        made.run(1)
        permit = made.outlets[1].permit
        if permit is not None and (not seen or seen[-1][0] != permit.phases):
            seen.append((permit.phases, permit.current_a))
    assert [each for each, _ in seen] == phases
    if can:
        assert [current_a for _, current_a in seen] == [15.9, 16.0, 15.9]
    assert made.station._site.settings.boolean("SmartChargingCtrlr.Phases3to1") is can


def test_without_a_message_the_timer_alone_changes_the_permit():
    made = world()
    charge(made, 1)
    start = int(made.now + made.utc_offset)
    install(made, 1, 1, (0, 10.0), (100, 16.0), kind=Kind.ABSOLUTE, start=start)
    while permits(made) == {1: 10.0}:
        made.now = made.station.next_wake()
        made.do(made.station.timer(made.moment()))
        assert made.now + made.utc_offset <= start + 100.02
    assert permits(made) == {1: 16.0}
    assert made.now + made.utc_offset >= start + 100


def test_below_six_ampere_nothing_flows_and_everybody_is_told_why():
    made = world()
    charge(made, 1)
    install(made, 1, 1, (0, 5.9))
    made.run(10)
    assert permits(made) == {1: 0.0}
    assert made.status(1) == "SuspendedEVSE"
    assert made.reasons(1)[0] == "charging_profile"
    assert "charging profile" in made.sent(Withdraw)[-1].reason
    install(made, 1, 1, (0, 6.0))
    made.run(3)
    assert permits(made) == {1: 6.0}
    assert made.status(1) == "Charging"


def test_the_station_limit_is_shared_in_ampere_or_watt():
    made = world(evses=2, feed_a=64.0)
    charge(made, 1, 2)
    assert permits(made) == {1: 32.0, 2: 32.0}
    install(made, 0, 1, (0, 20.0), purpose=Purpose.STATION_MAX)
    assert permits(made) == {1: 10.0, 2: 10.0}
    install(made, 0, 2, (0, 11_040.0), purpose=Purpose.STATION_MAX, level=1, unit=W)
    assert permits(made) == {1: 8.0, 2: 8.0}
    install(made, 0, 3, (0, 5.0), purpose=Purpose.STATION_MAX, level=2)
    assert permits(made) == {1: 0.0, 2: 0.0}
    assert made.reasons(1)[0] == "limit"
    assert not install(made, 1, 4, (0, 5.0), purpose=Purpose.STATION_MAX)


def test_a_relative_station_limit_begins_when_it_is_installed():
    made = world()
    charge(made, 1)
    made.run(500)
    install(made, 0, 1, (0, 20.0), (60, 8.0), purpose=Purpose.STATION_MAX)
    made.run(50)
    assert permits(made) == {1: 20.0}
    made.restart_agent()
    made.run(15)
    assert permits(made) == {1: 8.0}


def test_rather_wait_than_charge_below_the_minimum_rate():
    made = world(evses=2, feed_a=16.0)
    install(made, 2, 1, (0, 32.0), minimum=12.0)
    charge(made, 1, 2)
    made.run(10)
    assert permits(made) == {1: 16.0, 2: 0.0}, "8 A each would be too little for the second"
    made.unplug(1)
    made.run(10)
    assert permits(made) == {1: 0.0, 2: 16.0}
    # A limit below the minimum rate is still a limit that may be used.
    install(made, 2, 1, (0, 8.0), minimum=12.0)
    assert permits(made) == {1: 0.0, 2: 8.0}


def test_profiles_survive_a_restart_and_a_power_cut():
    made = world()
    install(made, 0, 1, (0, 12.0))
    charge(made, 1)
    install(made, 1, 2, (0, 9.0), (100_000, 6.0), purpose=Purpose.TX)
    made.restart_agent()
    made.run(2)
    assert permits(made) == {1: 9.0}
    made.power_cut(30)
    made.run(10)
    assert len(made.ended()) == 0
    assert permits(made) == {1: 9.0}, "the same transaction went on, and so does its profile"
    made.kept["charging_profile"]["1"] = {"what": "is this"}
    made.unplug(1)
    made.run(5)
    made.restart_agent()
    made.run(2)
    assert made.kept["charging_profile"] == {}


def test_a_profile_of_a_transaction_that_ended_while_nobody_looked_is_gone():
    made = world()
    charge(made, 1)
    install(made, 1, 2, (0, 9.0), purpose=Purpose.TX)
    made.kept["session"].clear()
    made.records.clear()
    made.restart_agent()
    assert made.kept["charging_profile"] == {}


def remote(made, *args, evse=1, **more):
    more.setdefault("purpose", Purpose.TX)
    return made.call("remote_start", RemoteStart(Token("APP1", "Central"), evse, profile=profile(*args, **more)))


@pytest.mark.parametrize("ask", ["true", "false"])
@pytest.mark.parametrize("fraction", [0.0, 0.4, 0.9])
def test_a_remote_start_brings_its_profile(ask, fraction):
    made = World(config(), settings={"AuthCtrlr.AuthorizeRemoteStart": ask})
    made.utc_offset += fraction
    made.run(1)
    assert remote(made, 7, (0, 13.0), (60, 7.0))
    assert made.kept["charging_profile"] == {}, "it begins with the transaction"
    made.restart_agent()
    made.plug(1)
    made.run(3)
    assert [permit.current_a for permit in made.sent(Permit)] == [13.0], "not even the first permit is higher"
    assert set(made.kept["charging_profile"]) == {"7"}
    made.run(60)
    assert permits(made) == {1: 7.0}, "relative to the start of the transaction"
    assert install(made, 1, 8, (0, 10.0), purpose=Purpose.TX)
    assert set(made.kept["charging_profile"]) == {"8"}, "the same level replaces it"


def test_a_remote_start_with_a_profile_that_may_not_come_with_it_is_refused():
    made = world()
    assert not remote(made, 7, (0, 13.0), purpose=Purpose.TX_DEFAULT)
    assert not remote(made, 7, (0, 13.0), transaction="t")
    assert not remote(made, 7, (5, 13.0))
    made.plug(1)
    made.run(5)
    assert made.started() == []


def test_a_remote_start_that_lapses_takes_its_profile_with_it():
    made = world()
    assert remote(made, 7, (0, 13.0))
    made.run(70)
    charge(made, 1)
    assert permits(made) == {1: 32.0}


def test_composite_schedules():
    made = world(evses=2, feed_a=40.0)
    assert composite(made, 3) is None
    assert composite(made, 1, 0) is None
    plain = composite(made, 1)
    assert [(p.start_s, p.limit, p.phases) for p in plain.periods] == [(0, 32.0, 3)]
    charge(made, 1)
    now = int(made.now + made.utc_offset)
    install(made, 0, 1, (0, 30.0), (1000, 14.0), purpose=Purpose.STATION_MAX, kind=Kind.ABSOLUTE, start=now)
    install(made, 0, 2, (0, 20.0), kind=Kind.ABSOLUTE, start=now)
    install(made, 1, 3, (0, 10.0), (600, 25.0), purpose=Purpose.TX, kind=Kind.ABSOLUTE, start=now, duration=1500)
    found = composite(made, 1, 2000)
    assert (found.start_utc_s, found.duration_s, found.unit) == (now, 2000, A)
    assert [(p.start_s, p.limit) for p in found.periods] == [(0, 10.0), (600, 25.0), (1000, 14.0)]
    assert [(p.start_s, p.limit) for p in composite(made, 2, 2000).periods] == [(0, 20.0), (1000, 14.0)]
    assert [(p.start_s, p.limit) for p in composite(made, 0, 2000).periods] == [(0, 30.0), (1000, 14.0)]
    assert [p.limit for p in composite(made, 1, 2000, W).periods] == [6900.0, 17_250.0, 9660.0]
    made.call("clear_charging_profiles", Filter())
    install(made, 1, 4, (0, 7360.0), unit=W)
    assert composite(made, 1).unit is W
    assert composite(made, 2).unit is A
    assert composite(made, 1, 10**9).duration_s == 7 * 86_400


def test_a_corrected_clock_moves_the_schedule():
    made = world()
    charge(made, 1)
    install(made, 1, 1, (0, 10.0), kind=Kind.ABSOLUTE, start=int(made.now + made.utc_offset) + 5000)
    assert permits(made) == {1: 32.0}
    made.utc_offset += 6000
    made.do(made.station.timer(made.moment()))
    assert permits(made) == {1: 10.0}
    made.utc_offset -= 6000
    made.do(made.station.timer(made.moment()))
    assert permits(made) == {1: 32.0}


BIG = st.sampled_from([0, 1, 59, 86_399, 86_400, 2**31, 2**63 - 1]) | st.integers(-(2**63), 2**63 - 1)
NUMBER = st.sampled_from([0.0, 5.9, 6.0, 1e308, 5e-324]) | st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1]),
            st.builds(
                Profile,
                BIG,
                st.integers(-1, 51),
                st.sampled_from(Purpose),
                st.sampled_from(Kind),
                st.builds(
                    Schedule,
                    st.sampled_from(RateUnit),
                    st.lists(st.builds(Period, BIG, NUMBER, st.none() | BIG), max_size=3).map(
                        lambda periods: (Period(0, 16.0), *periods)
                    ),
                    st.none() | BIG,
                    st.none() | BIG,
                    st.none() | NUMBER,
                ),
                st.none() | st.sampled_from(Recurrence),
                st.none() | BIG,
                st.none() | BIG,
            ),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"]),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_number_breaks_the_station(entries, zone):
    setup = config()
    made = World(replace(setup, station=replace(setup.station, time_zone=zone)))
    charge(made, 1)
    for evse, entry in entries:
        made.call("set_charging_profile", evse, entry)
        made.run(1)
        for asked in (0, 1):
            for unit in (None, A, W):
                found = composite(made, asked, 2**31, unit)
                assert found.duration_s <= 7 * 86_400
                assert found.periods[0].start_s == 0
                assert 1 <= len(found.periods) <= 300
                json.dumps([period.limit for period in found.periods], allow_nan=False)
    made.restart_agent()
    made.run(3)


# ---- the feed is never drawn beyond its limit -----------------------------------------------------------------------

LAG_S = 5.0
"""IEC 61851-1 Table A.6, sequence 6: the longest a vehicle may take."""


class SlowOutlet(Outlet):
    """A vehicle that takes more at once, and less only at the last moment allowed."""

    def __init__(self, number):
        super().__init__(number)
        self.drawn_a = 0.0
        self.lower = []

    def step(self, now, dt_s):
        super().step(now, dt_s)
        offered_a = self.permit.current_a if self.permit else 0.0
        if not self.closed:
            self.drawn_a, self.lower = 0.0, []
        elif offered_a >= self.drawn_a:
            self.drawn_a, self.lower = offered_a, []
        elif self.permit is not None:
            if not self.lower or self.lower[-1][1] != offered_a:
                self.lower.append((now + LAG_S, offered_a))
            while self.lower and now >= self.lower[0][0]:
                self.drawn_a = self.lower.pop(0)[1]

    def current_a(self):
        return self.drawn_a


def slow(evses=3, feed_a=20.0):
    made = World(config(evses=evses, feed_a=feed_a))
    made.outlets = {number: SlowOutlet(number) for number in made.outlets}
    made.observe()
    made.run(1)
    return made


def drawn(made):
    return sum(outlet.drawn_a for outlet in made.outlets.values() if outlet.closed)


def test_a_raise_waits_until_the_lowered_vehicle_has_followed():
    made = slow(evses=2)
    charge(made, 1)
    assert permits(made) == {1: 20.0, 2: 0.0}
    made.plug(2)
    made.run(3)
    made.tap("CARD0002")
    for _ in range(4):
        made.run(1)
        assert permits(made) == {1: 10.0, 2: 0.0}
        assert drawn(made) == 20.0
    made.run(4)
    assert permits(made) == {1: 10.0, 2: 10.0}
    assert drawn(made) == 20.0


def test_a_quick_vehicle_is_not_waited_for():
    made = world(evses=2, feed_a=20.0)
    charge(made, 1)
    made.plug(2)
    made.run(3)
    made.tap("CARD0002")
    made.run(2)
    assert permits(made) == {1: 10.0, 2: 10.0}


def test_a_vehicle_that_never_follows_is_not_waited_for_longer_than_the_standard_allows():
    made = slow(evses=2)
    charge(made, 1)
    made.outlets[1].current_a = lambda: 20.0
    made.plug(2)
    made.run(3)
    made.tap("CARD0002")
    made.run(8)
    assert permits(made) == {1: 10.0, 2: 10.0}


def test_after_a_restart_nobody_gets_what_another_still_draws():
    made = slow(evses=2)
    charge(made, 1, 2)
    made.run(10)
    assert permits(made) == {1: 10.0, 2: 10.0}
    made.restart_agent()
    for _ in range(8):
        assert drawn(made) <= 20.0
        made.run(1)
    made.restart_control()
    for _ in range(15):
        assert drawn(made) <= 20.0
        made.run(1)
    assert permits(made) == {1: 10.0, 2: 10.0}


def test_after_a_restart_nobody_gets_what_one_that_is_stopping_still_draws():
    made = slow(evses=2)
    charge(made, 1, 2)
    made.run(10)
    made.tap("CARD0001", 1)
    assert made.outlets[1].closed
    made.restart_agent()
    for _ in range(12):
        assert drawn(made) <= 20.0
        made.run(0.5)
    made.run(8)
    assert permits(made) == {1: 0.0, 2: 20.0}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["plug", "unplug", "tap", "wants", "limit", "clear", "agent", "control"]),
            st.integers(1, 3),
            st.integers(0, 9),
        ),
        min_size=3,
        max_size=14,
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_feed_is_never_overdrawn(deeds):
    made = slow()
    charge(made, 1)
    for deed, number, seconds in deeds:
        match deed:
            case "plug":
                made.plug(number)
            case "unplug":
                made.unplug(number)
            case "tap":
                made.tap(f"CARD000{number}", number)
            case "wants":
                made.outlets[number].wants ^= True
            case "limit":
                install(made, number, number, (0, 6.0 + seconds))
            case "clear":
                made.call("clear_charging_profiles", Filter(evse=number))
            case "agent":
                made.restart_agent()
            case "control":
                made.restart_control()
        for _ in range(seconds):
            made.run(1)
            assert drawn(made) <= 20.0 + 1e-6
    for _ in range(12):
        made.run(1)
        assert drawn(made) <= 20.0 + 1e-6
    # In the end nobody waits for ever: shares and permits agree.
    for number, evse in made.station_evses():
        told = evse.permit.current_a if evse.permit else 0.0
        assert told == evse.share_a, number
