"""OCPP 1.6's words for charging profiles, both ways."""

from __future__ import annotations

from typing import Any

import pytest
from ocpp_fakes import FakeJournal, FakeStation

from agent.ocpp.refusal import RequestRefusedError
from agent.ocpp.schema import Schemas
from agent.ocpp.v16.smart_charging import SmartCharging16
from agent.station.charging.plan import Composite, CompositePeriod
from agent.station.charging.profile import Kind, Period, Profile, Purpose, RateUnit, Recurrence, Schedule
from agent.station.charging.store import Filter

SCHEMAS = Schemas("v16")
FULL: dict[str, Any] = {
    "chargingProfileId": 7,
    "transactionId": 42,
    "stackLevel": 3,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Recurring",
    "recurrencyKind": "Weekly",
    "validFrom": "2026-01-01T00:00:00.25Z",
    "validTo": "2026-02-01T01:00:00+01:00",
    "chargingSchedule": {
        "duration": 3600,
        "startSchedule": "2026-01-05T22:00:00",
        "chargingRateUnit": "W",
        "minChargingRate": 1380.0,
        "chargingSchedulePeriod": [
            {"startPeriod": 0, "limit": 11000, "numberPhases": 3},
            {"startPeriod": 60, "limit": 3680.5},
        ],
    },
}
READ = Profile(
    7,
    3,
    Purpose.TX,
    Kind.RECURRING,
    Schedule(RateUnit.WATT, (Period(0, 11000.0, 3), Period(60, 3680.5)), 1_767_650_400, 3600, 1380.0),
    Recurrence.WEEKLY,
    1_767_225_600,
    1_769_904_000,
    "tx-1",
)


class Station(FakeStation):
    schedule: Composite | None = None

    def set_charging_profile(self, evse: int, profile: Profile) -> bool:
        self._note("set", evse, profile)
        return self.answer

    def clear_charging_profiles(self, which: Filter) -> bool:
        self._note("clear", which)
        return self.answer

    def composite_schedule(self, evse: int, duration_s: int, unit: RateUnit | None) -> Composite | None:
        self._note("composite", evse, duration_s, unit)
        return self.schedule


class Desk:
    """The message group with a station and a journal behind it."""

    def __init__(self) -> None:
        self.station = Station()
        self.journal = FakeJournal()
        self.journal.set_network_transaction("tx-1", 42)
        self.notes: list[str] = []
        self.group = SmartCharging16(self.station, self.journal, frozenset({1, 2}), self.notes.append)

    def ask(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        assert SCHEMAS.request(action, payload) is None
        answer = self.group.by_action[action](payload)
        assert SCHEMAS.response(action, answer) is None
        return answer

    def set(self, values: dict[str, Any], connector: int = 1) -> str:
        return str(self.ask("SetChargingProfile", {"connectorId": connector, "csChargingProfiles": values})["status"])


def test_every_field_is_understood() -> None:
    desk = Desk()
    assert desk.set(FULL) == "Accepted"
    assert desk.station.told("set") == [(1, READ)]
    desk.station.answer = False
    assert desk.set(FULL) == "Rejected"


def test_only_what_must_be_there() -> None:
    desk = Desk()
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}]}
    values = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "ChargePointMaxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule,
    }
    assert desk.set(values, 0) == "Accepted"
    plain = Schedule(RateUnit.AMPERE, (Period(0, 6.0),))
    assert desk.station.told("set") == [(0, Profile(1, 0, Purpose.STATION_MAX, Kind.ABSOLUTE, plain))]


@pytest.mark.parametrize("number", [41, -1, 0])
def test_a_transaction_that_is_not_known(number: int) -> None:
    desk = Desk()
    assert desk.set(FULL | {"transactionId": number}) == "Rejected"
    assert desk.station.told("set") == []
    assert desk.set(FULL | {"transactionId": number, "chargingProfilePurpose": "TxDefaultProfile"}) == "Accepted"


@pytest.mark.parametrize("field", ["validFrom", "validTo", "startSchedule"])
def test_a_time_that_is_none(field: str) -> None:
    desk = Desk()
    broken = FULL | {"chargingSchedule": FULL["chargingSchedule"] | {field: "soon"}}
    assert desk.set(broken if field == "startSchedule" else FULL | {field: "soon"}) == "Rejected"
    assert field in desk.notes[0]


@pytest.mark.parametrize("connector", [3, -1])
def test_a_connector_that_is_not_there(connector: int) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        Desk().set(FULL, connector)
    assert refused.value.code == "PropertyConstraintViolation"


def test_filters() -> None:
    desk = Desk()
    assert desk.ask("ClearChargingProfile", {}) == {"status": "Accepted"}
    desk.station.answer = False
    every = {"id": 0, "connectorId": 0, "chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 0}
    assert desk.ask("ClearChargingProfile", every) == {"status": "Unknown"}
    assert desk.station.told("clear") == [(Filter(),), (Filter(0, 0, Purpose.TX_DEFAULT, 0),)]


def test_a_composite_schedule_is_written() -> None:
    desk = Desk()
    question = {"connectorId": 2, "duration": 600}
    assert desk.ask("GetCompositeSchedule", question) == {"status": "Rejected"}
    periods = (CompositePeriod(0, 16.0, 3), CompositePeriod(60, 6.1, 1))
    desk.station.schedule = Composite(1_767_650_400, 300, RateUnit.WATT, periods)
    assert desk.ask("GetCompositeSchedule", question | {"chargingRateUnit": "W"}) == {
        "status": "Accepted",
        "connectorId": 2,
        "scheduleStart": "2026-01-05T22:00:00.000Z",
        "chargingSchedule": {
            "duration": 300,
            "startSchedule": "2026-01-05T22:00:00.000Z",
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [
                {"startPeriod": 0, "limit": 16.0, "numberPhases": 3},
                {"startPeriod": 60, "limit": 6.1, "numberPhases": 1},
            ],
        },
    }
    assert desk.station.told("composite") == [(2, 600, None), (2, 600, RateUnit.WATT)]


def test_the_profile_of_a_remote_start() -> None:
    group = Desk().group
    plain = {name: value for name, value in FULL.items() if name != "transactionId"}
    profile = group.remote_profile(plain)
    assert profile is not None
    assert (profile.id, profile.transaction) == (7, "")
    assert group.remote_profile(FULL) is None
    assert group.remote_profile(plain | {"chargingProfilePurpose": "TxDefaultProfile"}) is None
    assert group.remote_profile(plain | {"validTo": "never"}) is None
