"""Smart charging beyond OCPP 1.6 in the station: limits of the site, dynamic profiles, priority, validity offline."""

from __future__ import annotations

from dataclasses import replace

import pytest
from station_world import World, config

from agent.journal.events import Trigger
from agent.station.charging.answers import PriorityAnswer
from agent.station.charging.external import ExternalLimit, number_of
from agent.station.charging.profile import (
    Kind,
    Offline,
    Period,
    Profile,
    Purpose,
    RateUnit,
    Schedule,
    Source,
    Updates,
)
from agent.station.charging.refusal import Why
from agent.station.charging.store import Criterion, Filter
from agent.station.charging.thrift import EVERY_S, Thrift

A, W = RateUnit.AMPERE, RateUnit.WATT
EMS = Source.EMS


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


def tell(made, deed):
    return made.call("with_charging", deed)


def profile(number, limit, purpose=Purpose.TX_DEFAULT, kind=Kind.RELATIVE, level=0, unit=A, **more):
    return Profile(number, level, purpose, kind, Schedule(unit, (Period(0, limit),)), **more)


def install(made, evse, *args, **more):
    return tell(made, lambda charging: charging.install_strictly(evse, profile(*args, **more)))


def constrain(made, *periods, evse=0, source=EMS, unit=A, lasts_s=None, generation=False):
    periods = tuple(Period(start_s, limit) for start_s, limit in periods)
    lasts_s = 3600 if generation and lasts_s is None else lasts_s
    limit = ExternalLimit(source, evse, unit, periods, lasts_s, generation)
    return tell(made, lambda charging: charging.constrain(limit))


def release(made, evse=0, source=EMS, generation=False):
    return tell(made, lambda charging: charging.release(source, evse, generation))


def kept(made):
    return made.kept["charging_profile"]


# ---- limits of the site (K11 to K13) --------------------------------------------------------------------------------


def test_a_limit_of_the_site_holds_at_once_and_ends_with_its_release():
    made = world(evses=2, feed_a=64.0)
    charge(made, 1, 2)
    assert constrain(made, (0, 20.0)) is None
    assert permits(made) == {1: 10.0, 2: 10.0}
    assert constrain(made, (0, 6.0), evse=1, source=Source.SO) is None
    made.run(8)
    assert permits(made) == {1: 6.0, 2: 14.0}
    assert release(made)
    made.run(8)
    assert permits(made) == {1: 6.0, 2: 32.0}
    assert not release(made)
    assert release(made, 1, Source.SO)
    assert permits(made) == {1: 32.0, 2: 32.0}
    assert kept(made) == {}


def test_the_lowest_of_several_sources_holds():
    made = world()
    charge(made, 1)
    constrain(made, (0, 12.0))
    constrain(made, (0, 9.0), source=Source.SO)
    constrain(made, (0, 20.0), source=Source.OTHER)
    assert permits(made) == {1: 9.0}
    install(made, 1, 1, 8.0)
    assert permits(made) == {1: 8.0}


def test_it_lapses_by_itself_and_outlives_a_restart():
    made = world()
    charge(made, 1)
    constrain(made, (0, 10.0), lasts_s=300)
    made.restart_agent()
    made.run(100)
    assert permits(made) == {1: 10.0}
    made.run(205)
    assert permits(made) == {1: 32.0}
    assert kept(made) == {}


def test_a_schedule_of_the_site_comes_in_its_seconds():
    made = world()
    charge(made, 1)
    constrain(made, (0, 10.0), (100, 16.0), (200, 8.0))
    state = made.station.charging.in_force(made.moment())[0]
    assert state.limit == 10.0
    assert state.changes_at == pytest.approx(made.now + 100, abs=1)
    seen = []
    for _ in range(230):
        made.run(1)
        if not seen or permits(made)[1] != seen[-1]:
            seen.append(permits(made)[1])
    assert seen == [10.0, 16.0, 8.0]
    assert made.station.charging.in_force(made.moment())[0].limit == 8.0


def test_what_the_network_may_not_do_to_a_limit_of_the_site():
    made = world()
    constrain(made, (0, 10.0))
    number = number_of(EMS, 0, False)
    assert not made.call("clear_charging_profiles", Filter())
    assert not made.call("clear_charging_profiles", Filter(id=number))
    assert not made.call("clear_charging_profiles", Filter(purpose=Purpose.EXTERNAL))
    assert install(made, 1, number, 32.0).why is Why.ID
    assert not made.call("set_charging_profile", 1, profile(number, 32.0)), "nor by OCPP 1.6"
    assert tell(made, lambda charging: charging.update(number, 32.0)).why is Why.PROFILE
    assert [e.profile.id for e in made.station.charging.matching(Criterion(sources=frozenset({EMS})))] == [number]


@pytest.mark.parametrize(
    ("periods", "more", "why"),
    [
        (((0, -1.0),), {}, Why.SCHEDULE),
        (((0, float("nan")),), {}, Why.SCHEDULE),
        (((5, 6.0),), {}, Why.SCHEDULE),
        ((), {}, Why.TOO_MUCH),
        (((0, 6.0),), {"evse": 3}, Why.EVSE),
        (((0, 6.0),), {"evse": -1}, Why.EVSE),
        (((0, 6.0),), {"lasts_s": 0}, Why.PROFILE),
        (((0, 6.0),), {"lasts_s": 10**9}, Why.PROFILE),
    ],
)
def test_limits_that_are_none(periods, more, why):
    made = world()
    assert constrain(made, *periods, **more).why is why
    assert kept(made) == {}


def test_limits_of_the_site_can_be_switched_off():
    made = world()
    charge(made, 1)
    constrain(made, (0, 10.0))
    name = "SmartChargingCtrlr.ExternalControlSignalsEnabled"
    made.call("set_setting", name, "false")
    assert permits(made) == {1: 32.0}
    assert constrain(made, (0, 10.0)).why is Why.NOT_ENABLED
    assert made.station.charging.in_force(made.moment()) == []


def test_generation_lifts_the_networks_limits_and_never_the_feed():
    made = world(evses=2, feed_a=30.0)
    charge(made, 1, 2)
    install(made, 0, 1, 8.0)
    constrain(made, (0, 6.0), generation=True)
    assert permits(made) == {1: 11.0, 2: 11.0}, "what is generated for all is shared evenly"
    constrain(made, (0, 3.0), generation=True, evse=2)
    assert permits(made) == {1: 11.0, 2: 14.0}
    install(made, 0, 2, 20.0, Purpose.STATION_MAX, Kind.DYNAMIC)
    made.run(8)
    assert sum(permits(made).values()) == pytest.approx(25.0), "the lower of 26 A and the sum of both"
    constrain(made, (0, 60.0), generation=True)
    made.run(8)
    assert sum(permits(made).values()) == 30.0
    release(made, generation=True)
    release(made, 2, generation=True)
    made.run(8)
    assert permits(made) == {1: 8.0, 2: 8.0}
    release(made)
    tell(made, lambda charging: charging.clear(Filter()))
    constrain(made, (0, 6.0), generation=True)
    made.run(8)
    assert sum(permits(made).values()) == 30.0, "with no limit there is nothing to lift"


def test_generation_lapses():
    made = world()
    charge(made, 1)
    install(made, 0, 1, 8.0)
    endless = ExternalLimit(EMS, 0, A, (Period(0, 6.0),), None, True)
    assert tell(made, lambda charging: charging.constrain(endless)).why is Why.PROFILE
    constrain(made, (0, 6.0), generation=True, lasts_s=60)
    assert permits(made) == {1: 14.0}
    made.run(62)
    assert permits(made) == {1: 8.0}


def test_a_limit_that_is_told_again_before_it_lapses_is_written_thriftily():
    made = world()
    writes = []
    for second in range(120):
        before = len(made.log)
        constrain(made, (0, 10.0), lasts_s=30)
        writes += [second for effect in made.log[before:] if getattr(effect, "table", "") == "charging_profile"]
        made.run(1)
    assert len(writes) <= 3
    made.run(35)
    assert kept(made) == {}


def test_each_limit_has_its_number():
    numbers = [
        number_of(source, evse, generation)
        for source in Source
        if source is not Source.CSO
        for evse in range(20)
        for generation in (False, True)
    ]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) <= -1_000_000
    with pytest.raises(ValueError, match="not in tuple"):
        number_of(Source.CSO, 1, False)


# ---- dynamic profiles (2.1 K28) -------------------------------------------------------------------------------------


def test_a_dynamic_profile_is_updated():
    made = world()
    charge(made, 1)
    assert install(made, 1, 5, 10.0, kind=Kind.DYNAMIC, updates=Updates(None, 60)) is None
    assert permits(made) == {1: 10.0}
    (pull,) = made.station.charging.pulls().values()
    assert pull.at == pytest.approx(made.now + 60, abs=0.1)
    made.run(30)
    assert tell(made, lambda charging: charging.update(5, 13.0)) is None
    assert permits(made) == {1: 13.0}
    (pull,) = made.station.charging.pulls().values()
    assert pull.at == pytest.approx(made.now + 60, abs=0.1)
    assert tell(made, lambda charging: charging.update(5, -1.0)).why is Why.SCHEDULE
    assert tell(made, lambda charging: charging.update(6, 9.0)).why is Why.PROFILE
    install(made, 1, 6, 20.0, level=1)
    assert tell(made, lambda charging: charging.update(6, 9.0)).why is Why.PROFILE
    assert set(made.station.charging.pulls()) == {5}


def test_a_limit_that_changes_all_the_time_is_written_thriftily():
    made = world()
    install(made, 1, 5, 10.0, kind=Kind.DYNAMIC)

    def written():
        return kept(made)["5"]["profile"]["periods"][0][1]

    for limit in (12.0, 11.0, 14.0):
        tell(made, lambda charging, limit=limit: charging.update(5, limit))
    assert written() == 11.0, "the first change is written, and what is lower"
    for limit in (15.0, 16.0):
        tell(made, lambda charging, limit=limit: charging.update(5, limit))
    assert written() == 11.0
    tell(made, lambda charging: charging.update(5, 9.0))
    assert written() == 9.0
    tell(made, lambda charging: charging.update(5, 20.0))
    made.run(EVERY_S - 5)
    assert written() == 9.0
    made.run(10)
    assert written() == 20.0


def test_thrift():
    thrift = Thrift()
    assert thrift.changed(1, 10.0, 0.0)
    assert not thrift.changed(1, 11.0, 1.0)
    assert thrift.wake() == EVERY_S
    assert thrift.due(EVERY_S - 1) == []
    assert thrift.due(EVERY_S) == [1]
    assert thrift.changed(1, 11.0, EVERY_S)
    assert (thrift.wake(), thrift.due(1e9)) == (None, [])
    assert not thrift.changed(1, 12.0, EVERY_S + 1)
    thrift.forget(1)
    assert (thrift.wake(), thrift.due(1e9)) == (None, [])


# ---- priority charging (2.1 K21, K22) -------------------------------------------------------------------------------


def use(made, transaction, on=True):
    return tell(made, lambda charging: charging.use_priority(transaction, on))


def test_priority_takes_the_place_of_the_usual_profiles_until_the_end():
    made = world()
    install(made, 0, 1, 8.0)
    install(made, 0, 2, 25.0, Purpose.STATION_MAX, Kind.DYNAMIC)
    charge(made, 1)
    transaction = made.started()[-1].transaction
    assert use(made, "another") is PriorityAnswer.REJECTED
    assert use(made, "") is PriorityAnswer.REJECTED
    assert use(made, transaction) is PriorityAnswer.NO_PROFILE
    assert use(made, transaction, False) is PriorityAnswer.ACCEPTED
    install(made, 0, 3, 30.0, Purpose.PRIORITY)
    assert permits(made) == {1: 8.0}
    assert use(made, transaction) is PriorityAnswer.ACCEPTED
    assert permits(made) == {1: 25.0}, "the station's maximum remains in effect"
    install(made, 1, 4, 20.0, Purpose.PRIORITY, level=1)
    assert permits(made) == {1: 20.0}
    made.restart_agent()
    made.run(3)
    assert permits(made) == {1: 20.0}
    assert use(made, transaction, False) is PriorityAnswer.ACCEPTED
    assert permits(made) == {1: 8.0}
    use(made, transaction)
    assert made.station.charging.priorities == {transaction}
    made.unplug(1)
    made.run(10)
    assert made.station.charging.priorities == set()
    assert "priority_charging" not in made.kept["station"]
    charge(made, 1)
    assert permits(made) == {1: 8.0}


# ---- validity without the network (2.1 K01.FR.101 to FR.103) --------------------------------------------------------


def offline_world(ends=False):
    made = world()
    install(made, 1, 1, 6.0)
    install(made, 1, 2, 20.0, level=1, offline=Offline(100, ends))
    charge(made, 1)
    assert permits(made) == {1: 20.0}
    return made


@pytest.mark.parametrize("ends", [False, True])
def test_a_profile_is_invalid_after_a_while_offline(ends):
    made = offline_world(ends)
    made.uplink(False)
    made.run(98)
    assert permits(made) == {1: 20.0}
    made.run(4)
    assert permits(made) == {1: 6.0}
    made.uplink(True)
    made.run(1)
    assert permits(made) == {1: 6.0 if ends else 20.0}
    assert ("2" in kept(made)) is not ends


def test_a_short_absence_ends_nothing():
    made = offline_world(ends=True)
    made.uplink(False)
    made.run(90)
    made.uplink(True)
    made.run(200)
    assert permits(made) == {1: 20.0}


def test_a_restart_does_not_begin_the_absence_anew():
    made = offline_world()
    made.uplink(False)
    made.run(60)
    made.restart_agent()
    made.run(30)
    assert permits(made) == {1: 20.0}
    made.run(15)
    assert permits(made) == {1: 6.0}
    made.power_cut(1000)
    made.run(10)
    assert permits(made) == {1: 6.0}
    made.uplink(True)
    made.run(2)
    assert permits(made) == {1: 20.0}
    assert "offline_since" not in made.kept["station"]


def test_nothing_is_written_about_the_absence_where_no_profile_asks():
    made = world()
    install(made, 1, 1, 6.0)
    made.uplink(False)
    made.run(10)
    assert "offline_since" not in made.kept["station"]


# ---- places (K01.FR.05, FR.06) --------------------------------------------------------------------------------------


def test_profiles_of_one_place_stand_beside_each_other_when_they_are_never_valid_at_once():
    made = world()
    utc_s = int(made.now + made.utc_offset)
    charge(made, 1)
    install(made, 1, 1, 8.0, valid_to_s=utc_s + 100)
    install(made, 1, 2, 12.0, valid_from_s=utc_s + 100)
    assert set(kept(made)) == {"1", "2"}
    assert permits(made) == {1: 8.0}
    made.run(110)
    assert permits(made) == {1: 12.0}
    install(made, 1, 3, 10.0, valid_from_s=utc_s + 50)
    assert set(kept(made)) == {"3"}


def test_a_remote_start_is_judged_strictly():
    made = world()
    own = profile(7, 10.0, Purpose.TX)
    charging = made.station.charging
    assert charging.remote_objection_strictly(1, own) is None
    assert charging.remote_objection_strictly(0, own) is None
    assert charging.remote_objection_strictly(4, own).why is Why.EVSE
    assert charging.remote_objection_strictly(1, replace(own, transaction="t")).why is Why.PROFILE
    assert charging.remote_objection_strictly(1, replace(own, purpose=Purpose.TX_DEFAULT)).why is Why.PROFILE
    assert charging.remote_objection_strictly(1, replace(own, kind=Kind.ABSOLUTE)).why is Why.SCHEDULE
    phases = replace(own.schedule, periods=(Period(0, 10.0, 1),))
    assert charging.remote_objection_strictly(1, replace(own, schedule=phases)).why is Why.SCHEDULE


# ---- rates told (K11.FR.04, K13.FR.03) ------------------------------------------------------------------------------


def rates_told(made):
    return [event for event in made.records if getattr(event, "trigger", None) is Trigger.CHARGING_RATE_CHANGED]


def flexible_world(**more):
    setup = config(evses=2, feed_a=64.0)
    made = World(replace(setup, ocpp=replace(setup.ocpp, versions=("ocpp2.0.1",))), **more)
    made.run(1)
    return made


def test_rates_are_told_when_the_site_changes_them():
    made = flexible_world()
    charge(made, 1)
    install(made, 1, 1, 20.0)
    made.run(20)
    assert rates_told(made) == [], "what the network says itself is not told"
    constrain(made, (0, 10.0))
    assert len(rates_told(made)) == 1
    for tenths in range(20):
        constrain(made, (0, 10.0 - tenths / 2 + 5))
        made.run(1)
    assert len(rates_told(made)) == 3, "no more than once in ten seconds"
    made.run(20)
    told = len(rates_told(made))
    made.run(300)
    assert len(rates_told(made)) == told
    release(made)
    made.run(40)
    assert len(rates_told(made)) == told + 1
    install(made, 1, 1, 6.0)
    made.run(20)
    assert len(rates_told(made)) == told + 1


def test_small_changes_of_the_rate_are_not_told():
    made = flexible_world(settings={"SmartChargingCtrlr.LimitChangeSignificance": "20"})
    charge(made, 1)
    constrain(made, (0, 28.0))
    made.run(20)
    assert rates_told(made) == []
    constrain(made, (0, 25.0))
    assert len(rates_told(made)) == 1


def test_ocpp_1_6_is_told_nothing_of_rates():
    made = world()
    charge(made, 1)
    constrain(made, (0, 10.0))
    made.run(20)
    assert permits(made) == {1: 10.0}
    assert rates_told(made) == []
