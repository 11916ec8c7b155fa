"""Block K without a network: words both ways against the schemas, and what is told when answers stay away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp_fakes import T0

from agent.ocpp.rpc import Outcome, Result
from agent.ocpp.schema import Schemas
from agent.ocpp.v2.charging_news import ChargingNews
from agent.ocpp.v2.charging_profiles import profile_payload, read_profile
from agent.ocpp.v2.smart_charging import start_profile
from agent.ocpp.v2.version import Version
from agent.station.charging.answers import Pull
from agent.station.charging.external import ExternalLimit, ExternalState, profile_of, state_of
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
    Updates,
)
from agent.station.charging.refusal import Refusal, Why
from agent.station.settings import Settings

SCHEMAS = {version: Schemas(version.schemas) for version in Version}
TIMES = st.none() | st.integers(0, 4_000_000_000)
LIMITS = st.integers(0, 1_000_000).map(lambda tenths: tenths / 10)


@st.composite
def profiles(draw: st.DrawFn, version: Version) -> Profile:
    new = version is Version.V21
    kinds = [kind for kind in Kind if new or kind is not Kind.DYNAMIC]
    old = (Purpose.STATION_MAX, Purpose.TX_DEFAULT, Purpose.TX, Purpose.EXTERNAL)
    kind = draw(st.sampled_from(kinds))
    phases = st.sampled_from([(None, None), (1, None), (3, None), (1, 2)])
    count = 1 if kind is Kind.DYNAMIC else draw(st.integers(1, 4))
    periods = tuple(Period(60 * number, draw(LIMITS), *draw(phases)) for number in range(count))
    return Profile(
        draw(st.integers(-(2**31), 2**31)),
        draw(st.integers(0, 50)),
        draw(st.sampled_from(list(Purpose) if new else old)),
        kind,
        Schedule(
            draw(st.sampled_from(RateUnit)),
            periods,
            draw(TIMES),
            draw(st.none() | st.integers(1, 10**6)),
            draw(st.none() | LIMITS),
            draw(st.integers(0, 9)),
        ),
        draw(st.none() | st.sampled_from(Recurrence)),
        draw(TIMES),
        draw(TIMES),
        draw(st.sampled_from(["", "3b6e4d0e-8f0f-4f5e-9f6e-0123456789ab"])),
        offline=draw(st.none() | st.builds(Offline, st.integers(0, 10**6), st.booleans())) if new else None,
        updates=draw(st.none() | st.builds(Updates, st.integers(0, 4 * 10**9), st.none() | st.integers(1, 10**6)))
        if kind is Kind.DYNAMIC
        else None,
    )


@pytest.mark.parametrize("version", Version)
@given(data=st.data())
def test_a_profile_is_read_as_it_is_written(version: Version, data: st.DataObject) -> None:
    profile = data.draw(profiles(version))
    payload = profile_payload(profile, version)
    request = {"evseId": 1, "chargingProfile": payload}
    assert SCHEMAS[version].request("SetChargingProfile", request) is None
    assert read_profile(payload) == profile


@pytest.mark.parametrize("generation", [False, True])
def test_a_limit_of_the_site_in_both_versions(generation: bool) -> None:
    limit = ExternalLimit(Source.EMS, 1, RateUnit.AMPERE, (Period(0, 10.0),), 60, generation)
    profile = profile_of(limit, T0 + 0.5)
    if not generation:
        old = profile_payload(profile, Version.V201)
        report = {"requestId": 1, "chargingLimitSource": "EMS", "evseId": 1, "chargingProfile": [old]}
        assert SCHEMAS[Version.V201].request("ReportChargingProfiles", report) is None
        assert (old["chargingProfileKind"], old["validTo"]) == ("Absolute", "2026-09-21T14:14:20.000Z")
        assert old["chargingSchedule"][0]["startSchedule"] == "2026-09-21T14:13:20.500Z"
    new = profile_payload(profile, Version.V21)
    report = {"requestId": 1, "chargingLimitSource": "EMS", "evseId": 1, "chargingProfile": [new]}
    assert SCHEMAS[Version.V21].request("ReportChargingProfiles", report) is None
    assert (new["chargingProfileKind"], new["dynUpdateTime"]) == ("Dynamic", "2026-09-21T14:13:20.500Z")
    assert new["chargingSchedule"][0]["chargingSchedulePeriod"][0]["operationMode"] == "ExternalLimits"


# ---- a station and a network to play with ---------------------------------------------------------------------------


class Charging:
    """The station's side."""

    def __init__(self) -> None:
        self.limits: dict[tuple[int, Source, bool], ExternalState] = {}
        self.active: frozenset[str] = frozenset()
        self.running = {"t"}
        self.pulling: dict[int, Pull] = {}
        self.updates: list[tuple[int, float]] = []
        self.objection: Refusal | None = None

    def set(self, limit: float, evse: int = 0, source: Source = Source.EMS, generation: bool = False) -> None:
        given = ExternalLimit(source, evse, RateUnit.AMPERE, (Period(0, limit),), None, generation)
        self.limits[(evse, source, generation)] = state_of(profile_of(given, T0), evse, T0, 0.0)

    def external(self) -> list[ExternalState]:
        return list(self.limits.values())

    def priorities(self) -> frozenset[str]:
        return self.active

    def runs(self, transaction: str) -> bool:
        return transaction in self.running

    def pulls(self) -> Mapping[int, Pull]:
        return self.pulling

    def update(self, number: int, limit: float) -> Refusal | None:
        self.updates.append((number, limit))
        return None

    def start_objection(self, _evse: int, _profile: Profile) -> Refusal | None:
        return self.objection


class Station:
    def __init__(self) -> None:
        self.charging = Charging()


class Talk:
    """A session that has nothing else to do."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self.station = Station()
        self.settings = Settings()
        self.open: list[tuple[str, dict[str, Any], Any]] = []
        self.notes: list[str] = []
        self.full = False

    def call(self, action: str, payload: dict[str, Any], _priority: Any, done: Any) -> bool:
        if self.full:
            return False
        assert SCHEMAS[self.version].request(action, payload) is None
        self.open.append((action, payload, done))
        return True

    def note(self, _kind: str, text: str) -> None:
        self.notes.append(text)


class Desk:
    def __init__(self, version: Version = Version.V21) -> None:
        self.talk = Talk(version)
        self.charging = self.talk.station.charging
        self.news = ChargingNews(self.talk)  # type: ignore[arg-type]

    def said(self, now: float = 0.0, result: Result = Result.ANSWERED, **answer: Any) -> list[tuple[str, Any]]:
        """Everything it has to say, each answered so."""
        found = []
        while self.news.offer(now):
            ((action, payload, done),) = self.talk.open
            self.talk.open.clear()
            found.append((action, payload))
            done(Outcome(result, answer), now)
            if result not in (Result.ANSWERED, Result.REFUSED):
                break
        return found


def actions(found: list[tuple[str, Any]]) -> list[str]:
    return [action for action, _ in found]


@pytest.mark.parametrize("result", [Result.LOST, Result.TIMED_OUT])
def test_a_limit_that_nobody_has_answered_is_told_again_or_released(result: Result) -> None:
    desk = Desk()
    desk.charging.set(10.0)
    assert actions(desk.said(result=result)) == ["NotifyChargingLimit"]
    assert actions(desk.said()) == ["NotifyChargingLimit"]
    assert desk.said() == []
    desk.charging.limits.clear()
    assert actions(desk.said(result=result)) == ["ClearedChargingLimit"]
    assert actions(desk.said()) == ["ClearedChargingLimit"]
    assert desk.said() == []
    desk.charging.set(10.0)
    desk.said(result=result)
    desk.charging.limits.clear()
    assert actions(desk.said()) == ["ClearedChargingLimit"], "perhaps it was heard"


def test_a_full_queue_loses_nothing() -> None:
    desk = Desk()
    desk.charging.set(10.0)
    desk.charging.active = frozenset({"t"})
    desk.charging.pulling = {1: Pull(0.0, 60)}
    desk.talk.full = True
    assert desk.said() == []
    desk.talk.full = False
    assert actions(desk.said(status="Rejected")) == [
        "NotifyChargingLimit",
        "NotifyPriorityCharging",
        "PullDynamicScheduleUpdate",
    ]


def test_another_network_hears_everything() -> None:
    desk = Desk()
    desk.charging.set(10.0)
    desk.charging.active = frozenset({"t"})
    assert len(desk.said()) == 2
    assert desk.said() == []
    desk.news.renew()
    assert len(desk.said()) == 2


def test_2_0_1_has_no_word_for_generation_or_priority() -> None:
    desk = Desk(Version.V201)
    desk.charging.set(10.0, generation=True)
    desk.charging.active = frozenset({"t"})
    desk.charging.pulling = {1: Pull(0.0, 60)}
    assert desk.said() == []
    desk.charging.set(10.0)
    assert actions(desk.said()) == ["NotifyChargingLimit"]


def test_priority_that_ends_with_its_transaction_is_not_told() -> None:
    desk = Desk()
    desk.charging.active = frozenset({"t"})
    desk.said()
    desk.charging.active, desk.charging.running = frozenset(), set()
    assert desk.said() == []
    desk.charging.active, desk.charging.running = frozenset({"t"}), {"t"}
    assert desk.said(result=Result.LOST) == [("NotifyPriorityCharging", {"transactionId": "t", "activated": True})]
    assert len(desk.said()) == 1
    desk.charging.active = frozenset()
    assert desk.said(result=Result.LOST) == [("NotifyPriorityCharging", {"transactionId": "t", "activated": False})]
    assert len(desk.said()) == 1


def test_questions_for_updates_keep_their_pace() -> None:
    desk = Desk()
    desk.charging.pulling = {1: Pull(10.0, 60)}
    assert desk.said(9.9) == []
    assert desk.news.next_wake() == 10.0
    asked = desk.said(10.0, status="Accepted", scheduleUpdate={"limit": 8})
    assert asked == [("PullDynamicScheduleUpdate", {"chargingProfileId": 1})]
    assert desk.charging.updates == [(1, 8.0)]
    assert desk.said(69.9) == []
    assert desk.news.next_wake() == 70.0, "it was not updated here: an interval after the question"
    for answer in ({"status": "Rejected"}, {"status": "Accepted"}, {"status": "Accepted", "scheduleUpdate": {}}):
        desk.charging.pulling = {1: Pull(0.0, 0)}
        assert len(desk.news._pulls()) == 1
        desk.news._asked.clear()
        desk.charging.pulling = {1: Pull(0.0, 60)}
        assert len(desk.said(100.0, **answer)) == 1
    assert desk.charging.updates == [(1, 8.0)]
    assert len(desk.talk.notes) == 3


def test_significance_and_schedules() -> None:
    desk = Desk(Version.V201)
    desk.talk.settings.set("SmartChargingCtrlr.LimitChangeSignificance", "50")

    def limit(*pairs: tuple[int, float], unit: RateUnit = RateUnit.AMPERE, at: float = T0) -> None:
        periods = tuple(Period(*pair) for pair in pairs)
        given = ExternalLimit(Source.EMS, 0, unit, periods)
        desk.charging.limits[(0, Source.EMS, False)] = state_of(profile_of(given, T0), 0, at, 0.0)

    for pairs, more, told in (
        ([(0, 10.0)], {}, True),
        ([(0, 14.9)], {}, False),
        ([(0, 15.1)], {}, True),
        ([(0, 0.0)], {}, True),
        ([(0, 0.1)], {}, True),
        ([(0, 0.1)], {"unit": RateUnit.WATT}, True),
        ([(0, 0.1), (60, 9.0)], {}, True),
        ([(0, 0.1), (60, 9.0)], {"at": T0 + 59}, False),
        ([(0, 0.1), (60, 9.0)], {"at": T0 + 60}, True),
        ([(0, 0.1), (60, 9.5)], {"at": T0 + 60}, False),
        ([(0, 0.1), (60, 19.0)], {"at": T0 + 60}, True),
        ([(0, 0.1), (90, 19.0)], {"at": T0 + 60}, True),
    ):
        limit(*pairs, **more)
        assert bool(desk.said()) is told, (pairs, more)


def test_the_profile_of_a_remote_start() -> None:
    charging = Charging()
    plain = Profile(7, 0, Purpose.TX, Kind.RELATIVE, Schedule(RateUnit.AMPERE, (Period(0, 6.0),), id=1))
    payload = profile_payload(plain, Version.V201)
    assert start_profile(charging, 1, payload) == plain  # type: ignore[arg-type]
    charging.objection = Refusal(Why.SCHEDULE, "not here")
    assert start_profile(charging, 1, payload) == charging.objection  # type: ignore[arg-type]
    several = payload | {"chargingSchedule": payload["chargingSchedule"] * 2}
    found = start_profile(charging, 1, several)  # type: ignore[arg-type]
    assert isinstance(found, Refusal)
    assert found.why is Why.SCHEDULE


def test_what_we_would_have_to_leave_out_is_refused() -> None:
    plain = Profile(7, 0, Purpose.TX, Kind.RELATIVE, Schedule(RateUnit.AMPERE, (Period(0, 6.0),), id=1))
    payload = profile_payload(replace(plain, transaction="t"), Version.V21)
    (schedule,) = payload["chargingSchedule"]
    for name in ("setpoint", "setpointReactive", "v2xBaseline", "limit_L2", "dischargeLimit"):
        period = schedule["chargingSchedulePeriod"][0] | {name: -1.0}
        found = read_profile(payload | {"chargingSchedule": [schedule | {"chargingSchedulePeriod": [period]}]})
        assert isinstance(found, Refusal)
        assert (found.why, name in found.text) == (Why.SCHEDULE, True)
