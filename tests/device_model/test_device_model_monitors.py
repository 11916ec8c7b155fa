"""Monitors: setting and clearing them, what they tell and when, over restarts and without a network (N03 to N08)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.device_model.device import live
from agent.device_model.events import EventLine, MonitorEvent, Trigger
from agent.device_model.monitor_book import FIRST_CUSTOM, FIRST_PRECONFIGURED
from agent.device_model.monitor_book import MOST as MOST_MONITORS
from agent.device_model.monitors import (
    Base,
    ClearStatus,
    Kind,
    Monitor,
    MonitorType,
    SetStatus,
    from_document,
    to_document,
)
from agent.device_model.variables import Component, DataType, Variable
from agent.journal.events import Stamp
from agent.link.messages import FaultCode
from agent.station.books import Books
from tests.device_model.device_world import START_UTC_S, World

UPPER, LOWER, DELTA = MonitorType.UPPER_THRESHOLD, MonitorType.LOWER_THRESHOLD, MonitorType.DELTA
PERIODIC, ALIGNED = MonitorType.PERIODIC, MonitorType.PERIODIC_CLOCK_ALIGNED
TARGET, RELATIVE = MonitorType.TARGET_DELTA, MonitorType.TARGET_DELTA_RELATIVE

TIMEOUT = "TxCtrlr.EVConnectionTimeOut"
"""A number that the network can set: 0 to 86400, 60 at first."""


def world(**more: Any) -> World:
    """One that has looked once, so that everything has been seen as it is."""
    made = World(**more)
    made.look()
    return made


def told(events: list[MonitorEvent]) -> list[tuple[str, str, bool]]:
    return [(event.trigger.value, event.value, event.cleared) for event in events]


# ---- setting ----


@pytest.mark.parametrize(
    ("name", "type_", "value", "severity", "expected"),
    [
        (TIMEOUT, UPPER, 100, 5, SetStatus.ACCEPTED),
        (TIMEOUT, UPPER, 86_400, 5, SetStatus.ACCEPTED),
        (TIMEOUT, UPPER, 86_401, 5, SetStatus.REJECTED),  # N04.FR.06
        (TIMEOUT, LOWER, -1, 5, SetStatus.REJECTED),
        (TIMEOUT, DELTA, -1, 5, SetStatus.REJECTED),  # N04.FR.14
        (TIMEOUT, DELTA, 0, 5, SetStatus.ACCEPTED),
        (TIMEOUT, UPPER, 100, 10, SetStatus.REJECTED),
        (TIMEOUT, UPPER, 100, -1, SetStatus.REJECTED),
        (TIMEOUT, PERIODIC, 0, 5, SetStatus.REJECTED),
        (TIMEOUT, PERIODIC, 86_401, 5, SetStatus.REJECTED),
        (TIMEOUT, ALIGNED, 900, 5, SetStatus.ACCEPTED),
        (TIMEOUT, TARGET, 1, 5, SetStatus.UNSUPPORTED_TYPE),
        ("AuthCtrlr.LocalPreAuthorize", UPPER, 1, 5, SetStatus.UNSUPPORTED_TYPE),  # N04.FR.05
        ("AuthCtrlr.LocalPreAuthorize", DELTA, 1, 5, SetStatus.ACCEPTED),
        ("ClockCtrlr.DateTime", DELTA, 1, 5, SetStatus.UNSUPPORTED_TYPE),
        ("SecurityCtrlr.BasicAuthPassword", DELTA, 1, 5, SetStatus.ACCEPTED),
    ],
)
def test_a_monitor_is_taken_where_it_makes_sense(
    name: str, type_: MonitorType, value: float, severity: int, expected: SetStatus
) -> None:
    here = world()
    before = list(here.device.monitoring.book)
    done = here.watch(name, type_, value, severity)
    assert done.status is expected
    taken = [each for each in here.device.monitoring.book if each not in before]
    assert [each.id for each in taken] == ([done.id] if expected is SetStatus.ACCEPTED else [])
    assert (done.id is None) == (expected is not SetStatus.ACCEPTED)


def test_what_is_unknown_is_told_apart() -> None:
    book = world().device.monitoring.book
    unknown = Monitor(0, Component("Nothing"), Variable("Power"), DELTA, 1, 5)
    assert book.set(unknown, None).status is SetStatus.UNKNOWN_COMPONENT
    nothing = Monitor(0, Component("EVSE", evse=1), Variable("Nothing"), DELTA, 1, 5)
    assert book.set(nothing, None).status is SetStatus.UNKNOWN_VARIABLE


def test_two_of_the_same_type_and_severity_are_one_too_many() -> None:
    """N04.FR.10"""
    here = world()
    first = here.watch(TIMEOUT, UPPER, 100, 4)
    assert here.watch(TIMEOUT, UPPER, 200, 4).status is SetStatus.DUPLICATE
    assert here.watch(TIMEOUT, UPPER, 200, 5).status is SetStatus.ACCEPTED
    assert here.watch(TIMEOUT, LOWER, 10, 4).status is SetStatus.ACCEPTED
    assert here.watch(TIMEOUT, UPPER, 300, 5, replaces=first.id).status is SetStatus.DUPLICATE
    assert here.watch(TIMEOUT, UPPER, 300, 4, replaces=first.id).status is SetStatus.ACCEPTED
    # A hard-wired one counts, too.
    assert here.watch("RCD.Tripped", DELTA, 1, 3, evse=1).status is SetStatus.DUPLICATE


def test_a_monitor_is_replaced_by_its_number_and_only_on_its_own_variable() -> None:
    here = world()
    number = here.watch(TIMEOUT, UPPER, 100, 4).id
    assert number is not None
    done = here.watch(TIMEOUT, DELTA, 7, 3, replaces=number)
    assert (done.status, done.id) == (SetStatus.ACCEPTED, number)
    changed = here.device.monitoring.book.get(number)
    assert changed is not None
    assert (changed.type, changed.value, changed.severity) == (DELTA, 7, 3)
    other = here.watch("OCPPCommCtrlr.HeartbeatInterval", DELTA, 7, 3, replaces=number)
    assert other.status is SetStatus.REJECTED  # N04.FR.16
    unknown = Monitor(0, Component("ChargingStation"), Variable("Power"), UPPER, 1, 5)
    assert here.device.monitoring.book.set(unknown, number).status is SetStatus.REJECTED
    assert here.device.monitoring.book.get(number) == changed
    assert here.watch(TIMEOUT, DELTA, 7, 3, replaces=number + 1).status is SetStatus.REJECTED  # N04.FR.13


def hard_wired(here: World, name: str) -> Monitor:
    return next(m for m in here.device.monitoring.book if m.kind is Kind.HARD_WIRED and m.component.name == name)


def test_hard_wired_monitors_stay_whatever_is_asked() -> None:
    here = world()
    book = here.device.monitoring.book
    monitor = hard_wired(here, "ConnectorPlugRetentionLock")
    replaced = here.watch("ConnectorPlugRetentionLock.Problem", DELTA, 1, 9, evse=1, replaces=monitor.id)
    assert replaced.status is SetStatus.REJECTED  # N04.FR.18
    assert book.clear(monitor.id) is ClearStatus.REJECTED  # N06.FR.03
    for base in Base:
        book.set_base(base)
        assert book.get(monitor.id) == monitor


def test_clearing_forgets_for_good() -> None:
    here = world()
    book = here.device.monitoring.book
    number = here.watch(TIMEOUT, UPPER, 100, 4).id
    assert number is not None
    assert book.clear(number) is ClearStatus.ACCEPTED
    assert book.clear(number) is ClearStatus.NOT_FOUND  # N06.FR.02
    assert here.reborn().device.monitoring.book.get(number) is None
    another = here.watch(TIMEOUT, UPPER, 100, 4).id
    assert another != number


def test_a_preconfigured_monitor_may_be_changed_and_comes_back_with_the_factory_default() -> None:
    """N04.FR.15, N03.FR.03 to FR.05"""
    here = world()
    book = here.device.monitoring.book
    before = book.get(FIRST_PRECONFIGURED)
    assert before is not None
    assert (before.kind, before.type, before.value) == (Kind.PRECONFIGURED, UPPER, 65.0)
    assert here.watch("TemperatureSensor.Temperature", UPPER, 50, 6, evse=1, replaces=before.id).id == before.id
    changed = book.get(before.id)
    assert changed is not None
    assert changed.kind is Kind.CUSTOM
    own = here.watch(TIMEOUT, UPPER, 100, 4).id
    assert own is not None
    again = here.reborn()
    assert again.device.monitoring.book.get(before.id) == changed
    book.set_base(Base.ALL)
    assert book.get(before.id) == changed
    assert book.get(own) is not None
    book.set_base(Base.FACTORY_DEFAULT)
    assert book.get(before.id) == before
    assert book.get(own) is None
    assert here.reborn().device.monitoring.book.get(before.id) == before
    book.set_base(Base.HARD_WIRED_ONLY)
    assert {each.kind for each in book} == {Kind.HARD_WIRED}
    reborn = here.reborn()
    assert {each.kind for each in reborn.device.monitoring.book} == {Kind.HARD_WIRED}
    assert reborn.value("MonitoringCtrlr.ActiveMonitoringBase") == "HardWiredOnly"


def test_a_cleared_preconfigured_monitor_stays_away_until_a_base_is_set() -> None:
    here = world()
    assert here.device.monitoring.book.clear(FIRST_PRECONFIGURED) is ClearStatus.ACCEPTED
    again = here.reborn()
    assert again.device.monitoring.book.get(FIRST_PRECONFIGURED) is None
    again.device.monitoring.book.set_base(Base.ALL)
    assert again.device.monitoring.book.get(FIRST_PRECONFIGURED) is not None


def test_kept_monitors_survive_other_hardware_and_rubbish() -> None:
    here = world()
    gone = here.watch("EVSE.Power", UPPER, 5000, 4, evse=2).id
    stays = here.watch("EVSE.Power", UPPER, 5000, 4, evse=1).id
    changed = here.watch("TemperatureSensor.Temperature", UPPER, 50, 6, evse=2, replaces=FIRST_PRECONFIGURED + 1).id
    assert stays is not None
    assert gone is not None
    assert changed == FIRST_PRECONFIGURED + 1
    here.kept["monitor"]["77777"] = {"no": "monitor"}
    here.kept["monitor"]["settings"] = {"base": "Strange", "level": "high", "cleared": []}
    smaller = World(1, kept={table: dict(rows) for table, rows in here.kept.items()})
    book = smaller.device.monitoring.book
    assert book.get(stays) is not None
    assert book.get(gone) is None
    assert book.get(changed) is None
    assert not {str(gone), str(changed), "77777"} & set(smaller.kept["monitor"])
    assert (book.base, book.level) == (Base.ALL, 9)


def test_a_changed_preconfigured_monitor_keeps_its_variable_when_the_numbers_mean_others() -> None:
    here = world(evses=1)
    here.watch("TemperatureSensor.Temperature", UPPER, 50, 6, evse=1, replaces=FIRST_PRECONFIGURED)
    rows = {table: dict(documents) for table, documents in here.kept.items()}
    rows["monitor"][str(FIRST_PRECONFIGURED)]["component"][2] = 2  # as if the first were another EVSE's by now
    book = World(2, kept=rows).device.monitoring.book
    moved = [each for each in book if each.kind is Kind.CUSTOM]
    assert [(each.component.evse, each.value, each.id >= FIRST_CUSTOM) for each in moved] == [(2, 50, True)]
    first = book.get(FIRST_PRECONFIGURED)
    assert first is not None
    assert first.component.evse == 1


def test_there_is_an_end_to_custom_monitors() -> None:
    here = world()
    names = [
        entry
        for entry in here.device.model
        if entry.characteristics.monitored and not entry.characteristics.data_type.numeric
    ]
    count = 0
    for entry in names:
        for severity in range(10):
            wanted = Monitor(0, entry.component, entry.variable, DELTA, 1, severity)
            done = here.device.monitoring.book.set(wanted, None)
            count += done.status is SetStatus.ACCEPTED
    assert count == MOST_MONITORS
    assert done.reason == "OutOfStorage"


@given(
    st.builds(
        Monitor,
        st.integers(1, 10**6),
        st.builds(Component, st.text(max_size=50), st.text(max_size=50), st.integers(0, 9), st.integers(0, 1)),
        st.builds(Variable, st.text(max_size=50), st.text(max_size=50)),
        st.sampled_from(MonitorType),
        st.floats(allow_nan=False, allow_infinity=False),
        st.integers(0, 9),
        st.booleans(),
    )
)
def test_a_monitor_is_kept_as_it_is(monitor: Monitor) -> None:
    assert from_document(to_document(monitor)) == monitor


# ---- thresholds ----


def test_an_upper_threshold_tells_when_it_is_crossed_and_when_that_is_over() -> None:
    here = world()
    number = here.watch(TIMEOUT, UPPER, 100, 8).id
    assert here.look() == []
    here.set_setting(TIMEOUT, "100")
    assert here.look() == []  # N07.FR.16: beyond it, not on it
    here.set_setting(TIMEOUT, "101")
    (event,) = here.look()
    assert (event.trigger, event.value, event.cleared, event.monitor) == (Trigger.ALERTING, "101", False, number)
    assert event.kind is Kind.CUSTOM
    assert (str(event.component), str(event.variable)) == ("TxCtrlr", "EVConnectionTimeOut")
    here.set_setting(TIMEOUT, "500")
    assert here.look() == []
    here.set_setting(TIMEOUT, "100")
    assert told(here.look()) == [("Alerting", "100", True)]  # N07.FR.02
    assert here.look() == []


def test_a_lower_threshold_is_the_mirror_of_it() -> None:
    here = world()
    here.watch(TIMEOUT, LOWER, 50, 8)
    here.set_setting(TIMEOUT, "50")
    assert here.look() == []
    here.set_setting(TIMEOUT, "49")
    assert told(here.look()) == [("Alerting", "49", False)]
    here.set_setting(TIMEOUT, "60")
    assert told(here.look()) == [("Alerting", "60", True)]


def test_a_threshold_that_is_crossed_already_tells_at_once() -> None:
    here = world()
    here.watch(TIMEOUT, UPPER, 10, 8)
    assert told(here.look()) == [("Alerting", "60", False)]


def test_a_changed_threshold_is_looked_at_afresh() -> None:
    """N07.FR.11"""
    here = world()
    number = here.watch(TIMEOUT, UPPER, 10, 8).id
    here.look()
    here.watch(TIMEOUT, UPPER, 80, 8, replaces=number)
    assert told(here.look()) == [("Alerting", "60", True)]
    here.watch(TIMEOUT, UPPER, 20, 8, replaces=number)
    assert told(here.look()) == [("Alerting", "60", False)]
    here.watch(TIMEOUT, UPPER, 30, 8, replaces=number)
    assert told(here.look()) == [("Alerting", "60", False)]
    assert here.look() == []


def test_a_removed_monitor_says_no_more() -> None:
    """N07.FR.12"""
    here = world()
    number = here.watch(TIMEOUT, UPPER, 10, 8).id
    assert number is not None
    assert len(here.look()) == 1
    here.device.monitoring.book.clear(number)
    here.set_setting(TIMEOUT, "5")
    assert here.look() == []


def test_what_was_told_before_a_restart_is_cleared_after_it() -> None:
    """N07.FR.13, FR.14"""
    here = world()
    here.watch(TIMEOUT, UPPER, 10, 8)
    here.watch("OCPPCommCtrlr.HeartbeatInterval", UPPER, 10, 8)
    assert len(here.look()) == 2
    again = here.reborn()
    assert again.look() == []  # told already, and still so
    again.set_setting(TIMEOUT, "5")
    later = again.reborn()
    assert told(later.look()) == [("Alerting", "5", True)]


def test_a_value_that_is_not_there_says_nothing() -> None:
    here = world()
    here.watch("EVSE.Power", UPPER, 1000, 8, evse=1)
    here.meter(power_w=2000.0)
    assert told(here.look()) == [("Alerting", "2000", False)]
    assert here.look(60.0) == []  # the meter is silent: neither over nor under
    here.meter(power_w=500.0)
    assert told(here.look()) == [("Alerting", "500", True)]


@pytest.mark.parametrize(("type_", "value"), [(TARGET, 2.0), (RELATIVE, 0.125)])
def test_a_difference_from_the_target_alerts(type_: MonitorType, value: float) -> None:
    """N07.FR.22, FR.23: 2 A, or an eighth, off the 16 A that the pilot offers."""
    here = world()
    assert here.watch("EVSE.ACCurrent", type_, value, 8, evse=1).status is SetStatus.ACCEPTED

    def draw(current_a: float) -> list[tuple[str, str, bool]]:
        here.observe(1, pilot="C2", plugged=True, offered_a=16.0, contactor_closed=True)
        here.meter(current_a=(current_a,) * 3)
        return told(here.look())

    assert draw(14.0) == []
    assert draw(13.9) == [("Alerting", "13.9", False)]
    assert draw(18.5) == []
    assert draw(18.0) == [("Alerting", "18", True)]
    assert draw(18.1) == [("Alerting", "18.1", False)]


@given(st.lists(st.integers(0, 200), max_size=40), st.integers(0, 200))
@settings(max_examples=60, deadline=None)
def test_alerts_and_their_ends_take_turns_whatever_the_value_does(values: list[int], bound: int) -> None:
    here = world(evses=1)
    here.watch(TIMEOUT, UPPER, bound, 8)
    over = False
    for value in values:
        here.set_setting(TIMEOUT, str(value))
        events = here.look()
        assert told(events) == ([("Alerting", str(value), over)] if (value > bound) != over else [])
        over = value > bound


# ---- differences ----


def test_a_number_that_has_moved_far_enough_is_told_and_measured_from_there() -> None:
    """N07.FR.18"""
    here = world()
    here.watch(TIMEOUT, DELTA, 10, 8)
    seen = []
    for value in (65, 70, 71, 81, 61, 60, 49):
        here.set_setting(TIMEOUT, str(value))
        seen += [event.value for event in here.look()]
    assert seen == ["71", "60", "49"]
    assert here.device.monitoring.line.first(1)[0].trigger is Trigger.DELTA


def test_a_word_that_has_changed_is_told_whatever_the_difference_should_be() -> None:
    """N07.FR.19"""
    here = world()
    here.watch("EVSE.AvailabilityState", DELTA, 1000, 8, evse=1)
    here.observe(1, pilot="B1", plugged=True, cable_a=32)
    assert told(here.look()) == [("Delta", "Occupied", False)]
    assert here.look() == []
    here.observe(1)
    assert told(here.look()) == [("Delta", "Available", False)]


def test_a_difference_is_measured_over_a_restart() -> None:
    here = world()
    here.watch("AuthCtrlr.LocalPreAuthorize", DELTA, 1, 8)
    here.watch(TIMEOUT, DELTA, 10, 8)
    here.look(60.0)
    here.set_setting("AuthCtrlr.LocalPreAuthorize", "true")
    here.set_setting(TIMEOUT, "100")
    assert {event.value for event in here.reborn().look()} == {"true", "100"}


def test_of_what_may_only_be_written_the_event_holds_nothing() -> None:
    """N07.FR.10"""
    here = world()
    here.watch("SecurityCtrlr.BasicAuthPassword", DELTA, 1, 8)
    assert here.look() == []
    here.device.model.written(here.entry("SecurityCtrlr.BasicAuthPassword"))
    assert told(here.look()) == [("Delta", "", False)]
    assert here.look() == []


# ---- periods ----


def test_a_period_begins_when_the_monitor_is_set() -> None:
    """N08.FR.05, FR.06"""
    here = world()
    here.watch(TIMEOUT, PERIODIC, 30, 8)
    here.look(0.0)
    times = []
    for _ in range(95):
        times += [event.stamp.monotonic_s for event in here.look()]
    assert times == [131.0, 161.0, 191.0]
    assert here.device.monitoring.line.first(1)[0].trigger is Trigger.PERIODIC


def test_periods_on_the_clock_fall_on_the_clock() -> None:
    """N08.FR.07: at 0, 15, 30 and 45 minutes after the hour."""
    here = world()
    here.watch(TIMEOUT, ALIGNED, 900, 8)
    here.look(0.0)
    times = []
    for _ in range(400):
        times += [event.stamp.utc_s for event in here.look(10.0)]
    assert len(times) == 4
    for utc_s in times:
        assert utc_s % 900 < 10.0
    wake = here.device.monitoring.next_wake(here.moment())
    assert wake is not None
    assert (START_UTC_S + wake) % 900 < 0.001 or (START_UTC_S + wake) % 900 > 899.999


def test_a_clock_that_is_set_back_does_not_silence_a_period() -> None:
    here = world()
    here.watch(TIMEOUT, ALIGNED, 60, 8)
    here.look(0.0)
    moment = here.moment()
    early = type(moment)(moment.monotonic_s + 1, moment.utc_s - 86_400, True, moment.boot)
    monitoring = here.device.monitoring
    monitoring.look(early)
    later = type(moment)(moment.monotonic_s + 62, moment.utc_s - 86_400 + 61, True, moment.boot)
    monitoring.look(later)
    assert len(monitoring.line) == 1


@given(st.lists(st.floats(0.1, 400.0), min_size=1, max_size=30), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_no_period_is_told_twice_nor_made_up_for(steps: list[float], period_s: int) -> None:
    here = world(evses=1)
    here.watch(TIMEOUT, PERIODIC, period_s, 8)
    here.look(0.0)
    begun = here.now
    events = [event for step in steps for event in here.look(step)]
    times = [event.stamp.monotonic_s for event in events]
    assert all(b - a >= period_s / 2 - 1e-6 for a, b in pairwise(times))
    assert len(times) <= (here.now - begun) / period_s + 1


# ---- hard-wired, levels, causes ----


@pytest.mark.parametrize(
    ("code", "where", "severity"),
    [
        (FaultCode.LOCK, "ConnectorPlugRetentionLock@1.Problem", 4),
        (FaultCode.TILT, "TiltSensor@1.Active", 1),
        (FaultCode.ENCLOSURE, "CaseAccessSensor@1.Active", 3),
        (FaultCode.EMERGENCY_STOP, "EmergencyStopSensor@1.Active", 0),
        (FaultCode.CONTACTOR_WELDED, "PowerContactor@1.Problem", 1),
        (FaultCode.RESIDUAL_CURRENT, "RCD@1.Tripped", 3),
        (FaultCode.BOARD_LOST, "Controller@1.Problem", 2),
        (FaultCode.METER, "FiscalMetering@1.Problem", 1),
    ],
)
def test_a_fault_is_told_by_a_hard_wired_monitor_with_its_code(code: FaultCode, where: str, severity: int) -> None:
    here = world()
    here.fault(code, detail="look at it")
    event = next(each for each in here.look() if f"{each.component}.{each.variable}" == where)
    happening = code in (FaultCode.TILT, FaultCode.ENCLOSURE, FaultCode.EMERGENCY_STOP)
    assert event.kind is (Kind.NOTIFICATION if happening else Kind.HARD_WIRED)
    assert (event.value, event.severity) == ("true", severity)
    assert event.tech_code
    assert "look at it" in event.tech_info
    here.fault(code, active=False)
    over = next(each for each in here.look() if f"{each.component}.{each.variable}" == where)
    assert (over.value, over.tech_code) == ("false", "")


def test_what_is_wrong_with_the_books_is_told_by_its_code_and_words() -> None:
    """Under OCPP 1.6 the same words stand in the StatusNotification of connector 0."""
    here = world()
    here.station.books_changed(Books("journal_unwritable", "the disk is full", "make room"), here.moment())
    (event,) = [each for each in here.look() if each.component.instance == "Journal"]
    assert (str(event.component), event.value, event.severity) == ("Controller[Journal]", "true", 2)
    assert (event.tech_code, event.tech_info) == ("journal_unwritable", "the disk is full")
    here.station.books_changed(Books(), here.moment())
    (over,) = [each for each in here.look() if each.component.instance == "Journal"]
    assert (over.value, over.tech_code) == ("false", "")


def test_a_fault_that_is_there_at_the_first_look_is_news_once() -> None:
    here = World()
    here.fault(FaultCode.TILT)
    assert [event.value for event in here.look()] == ["true"]
    again = here.reborn()  # control lives on, and tells of it once more
    again.fault(FaultCode.TILT)
    assert again.look() == []
    again.fault(FaultCode.TILT, active=False)
    assert [event.value for event in again.look()] == ["false"]


def test_what_shows_on_the_evse_names_the_fault_behind_it() -> None:
    """N07.FR.05"""
    here = world()
    here.watch("EVSE.Problem", DELTA, 1, 8, evse=1)
    here.watch("EVSE.Problem", DELTA, 1, 8, evse=2)
    here.look()
    here.fault(FaultCode.OVER_CURRENT)
    fault, consequence = here.look()
    assert (str(fault.component), fault.cause) == ("OverCurrentProtection@1", None)
    assert (str(consequence.component), consequence.cause) == ("EVSE@1", fault.id)


def test_what_is_less_grave_than_the_level_stays_silent_and_is_told_by_its_state_later() -> None:
    """N05.FR.03, N07.FR.15"""
    here = world()
    book = here.device.monitoring.book
    assert not book.set_level(10)
    assert not book.set_level(-1)
    assert book.set_level(4)
    here.watch(TIMEOUT, UPPER, 10, 5)
    here.watch(TIMEOUT, LOWER, 100, 4)
    assert [event.severity for event in here.look()] == [4]
    assert here.reborn().value("MonitoringCtrlr.ActiveMonitoringLevel") == "4"
    book.set_level(9)
    assert [event.severity for event in here.look()] == [5]


def test_monitoring_may_be_switched_off() -> None:
    here = world()
    here.watch(TIMEOUT, UPPER, 10, 5)
    here.set_setting("MonitoringCtrlr.Enabled", "false")
    assert here.look() == []
    here.set_setting("MonitoringCtrlr.Enabled", "true")
    assert len(here.look()) == 1


# ---- without a network ----


def test_offline_the_grave_waits_and_the_rest_is_told_by_its_state() -> None:
    """N07.FR.04, with the remark: what is not queued is compared only when the network is back."""
    here = world()
    here.set_setting("MonitoringCtrlr.OfflineQueuingSeverity", "4")
    here.watch(TIMEOUT, UPPER, 100, 4)
    here.watch(TIMEOUT, UPPER, 100, 5)
    here.online = False
    here.set_setting(TIMEOUT, "200")
    assert [event.severity for event in here.look()] == [4]
    here.set_setting(TIMEOUT, "60")
    assert [(event.severity, event.cleared) for event in here.look()] == [(4, True)]
    here.set_setting(TIMEOUT, "300")
    here.look()
    here.online = True
    assert [(event.severity, event.value) for event in here.look()] == [(5, "300")]


def test_periods_wait_offline_up_to_the_severity_and_are_not_made_up_for() -> None:
    """N08.FR.03"""
    here = world()
    here.watch(TIMEOUT, PERIODIC, 2, 4)
    here.watch(TIMEOUT, PERIODIC, 2, 5)
    here.look(0.0)
    here.online = False
    offline = [event.severity for _ in range(10) for event in here.look()]
    assert offline == [4] * 5
    here.online = True
    assert sorted(event.severity for _ in range(4) for event in here.look()) == [4, 4, 5, 5]


def test_events_that_wait_outlive_a_power_cut_with_their_time_and_number() -> None:
    here = world()
    here.online = False
    here.fault(FaultCode.TILT, detail="it leans")
    (before,) = here.look()
    again = here.reborn()
    (after,) = again.device.monitoring.line.first(10)
    assert after == before
    assert after.stamp.boot == "boot-1"
    again.online = True
    again.watch(TIMEOUT, UPPER, 10, 8)
    (fresh, *_) = [event for event in again.look() if event.kind is Kind.CUSTOM]
    assert fresh.id > before.id


def test_numbers_of_events_never_come_twice() -> None:
    here = world()
    used: set[int] = set()
    for _ in range(4):
        here.watch(TIMEOUT, PERIODIC, 1, 9)
        for _ in range(5):
            new = {event.id for event in here.look()}
            assert not new & used
            used |= new
        here = here.reborn()
    assert len(used) > 10


def event(number: int, trigger: Trigger, severity: int) -> MonitorEvent:
    stamp = Stamp("boot", 0.0, 0.0, True)
    return MonitorEvent(number, 1, Kind.CUSTOM, severity, Component("A"), Variable("B"), trigger, "", stamp)


@given(st.lists(st.tuples(st.sampled_from(Trigger), st.integers(0, 9)), min_size=21, max_size=60))
@settings(max_examples=60, deadline=None)
def test_a_full_line_gives_up_the_least_first(kinds: list[tuple[Trigger, int]]) -> None:
    rows: dict[str, Any] = {}

    def keep(_table: str, key: str, document: Any) -> None:
        if document is None:
            del rows[key]
        else:
            rows[key] = document

    line = EventLine({}, keep, lambda: 4, most=20)
    line.put(event(number, *kind) for number, kind in enumerate(kinds, start=1))
    left = line.first(10_000)
    assert len(left) == 20
    assert set(rows) == {str(each.id) for each in left if each.severity <= 4}
    ranks = {Trigger.PERIODIC: 0, Trigger.DELTA: 1, Trigger.ALERTING: 2}
    gone = [kind for number, kind in enumerate(kinds, start=1) if number not in {each.id for each in left}]
    assert min(ranks[each.trigger] for each in left) >= min(ranks[trigger] for trigger, _ in gone)
    again = EventLine(rows, keep, lambda: 4)
    assert [each.id for each in again.first(10_000)] == sorted(int(key) for key in rows)
    line.told(each.id for each in left)
    assert (len(line), rows) == (0, {})


# ---- only while a transaction runs ----


def test_a_monitor_of_transactions_looks_only_while_one_is_open() -> None:
    here = world()
    here.watch(TIMEOUT, UPPER, 10, 8, transaction=True)
    assert here.look() == []
    running = "tx"
    here.device.monitoring.watch._transaction = lambda _evse: running
    assert len(here.look()) == 1
    running = ""
    assert here.look() == []
    running = "tx2"
    assert len(here.look()) == 1


def test_before_control_has_told_of_an_evse_nothing_is_known_of_it() -> None:
    """Found by a restart of the agent beside a fault: it told that the fault was over, and then that it had come."""
    here = world()
    here.fault(FaultCode.TILT)
    assert len(here.look()) == 1
    silent = World(kept=here.kept, now=10.0, told=False)
    assert silent.value("TiltSensor.Active", 1) is None
    assert silent.value("EVSE.AvailabilityState", 1) is None
    assert silent.value("EVSE.Problem", 1) is None
    assert silent.look() == []


def test_a_control_that_starts_anew_ends_no_fault_by_that() -> None:
    here = world()
    here.fault(FaultCode.TILT)
    here.look()
    here.welcome("control-2")
    assert here.look(0.1) == []
    here.observe(1)
    assert here.look() == []


def test_what_is_only_told_is_no_monitor() -> None:
    here = world()
    book = here.device.monitoring.book
    (number,) = {each.id for each in book.watched() if str(each.component) == "TiltSensor@1"}
    assert book.get(number) is None
    assert book.clear(number) is ClearStatus.NOT_FOUND
    assert number not in {each.id for each in book}
    # A monitor of the same kind beside it is no duplicate.
    assert here.watch("TiltSensor.Active", DELTA, 1, 1, evse=1).status is SetStatus.ACCEPTED
    here.fault(FaultCode.TILT)
    assert {event.kind for event in here.look()} == {Kind.NOTIFICATION, Kind.CUSTOM}


def test_a_variable_that_cannot_be_read_silences_no_other(caplog: pytest.LogCaptureFixture) -> None:
    here = world()

    def broken() -> str:
        raise OSError("the disk is gone")

    here.device.model.add([live("SecurityCtrlr.Broken", DataType.INTEGER, broken)])
    assert here.watch("SecurityCtrlr.Broken", UPPER, 1, 8).status is SetStatus.ACCEPTED
    here.watch(TIMEOUT, UPPER, 10, 8)
    assert len(here.look()) == 1
    here.look()
    assert here.value("SecurityCtrlr.Broken") is None
    assert caplog.text.count("a variable cannot be read") == 1
