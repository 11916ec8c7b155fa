"""The Smart Charging cases, each over a real websocket, from reading the specification."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.tc16.rig import TIMEOUT_S, Rig, case

STEPS = ((0, 6.0), (100, 8.0), (200, 10.0))


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def profile(
    number: int,
    purpose: str = "TxDefaultProfile",
    *periods: tuple[int, float],
    level: int = 0,
    unit: str = "A",
    duration: int | None = 400,
    started_s_ago: float | None = 0.0,
    **more: Any,
) -> dict[str, Any]:
    """``started_s_ago`` None: relative to the start of charging."""
    schedule: dict[str, Any] = {
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [
            {"startPeriod": start, "limit": limit, "numberPhases": 3} for start, limit in periods or STEPS
        ],
    }
    if duration is not None:
        schedule["duration"] = duration
    if started_s_ago is not None:
        schedule["startSchedule"] = ago(started_s_ago)
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative" if started_s_ago is None else "Absolute",
        "chargingSchedule": schedule,
        **more,
    }


async def install(rig: Rig, values: dict[str, Any], connector: int = 1) -> str:
    answer = await rig.call("SetChargingProfile", connectorId=connector, csChargingProfiles=values)
    return str(answer["status"])


async def composite(rig: Rig, connector: int = 1, duration: int = 390, unit: str | None = None) -> list[Any]:
    """The periods; moved by what the seconds in between make (at most one, forgiven)."""
    more = {} if unit is None else {"chargingRateUnit": unit}
    answer = await rig.call("GetCompositeSchedule", connectorId=connector, duration=duration, **more)
    assert (answer["status"], answer["connectorId"]) == ("Accepted", connector)
    schedule = answer["chargingSchedule"]
    assert schedule["duration"] == duration
    assert schedule["chargingRateUnit"] == (unit or "A")
    begin = datetime.fromisoformat(answer["scheduleStart"])
    assert abs((datetime.now(UTC) - begin).total_seconds()) < 5
    assert all(period["numberPhases"] == 3 for period in schedule["chargingSchedulePeriod"])
    return [(period["startPeriod"], period["limit"]) for period in schedule["chargingSchedulePeriod"]]


def near(found: list[Any], *expected: tuple[int, float]) -> bool:
    """Equal but for the seconds that a case itself takes."""
    return [limit for _, limit in found] == [limit for _, limit in expected] and all(
        abs(at - wanted) <= 5 for (at, _), (wanted, _) in zip(found, expected, strict=True)
    )


async def permitted(rig: Rig, current_a: float, evse: int = 1) -> None:
    """Control is told this limit; at once, in no more than the time a message takes."""
    async with asyncio.timeout(TIMEOUT_S):
        while (permit := rig.hardware.outlets[evse].permit) is None or permit.current_a != current_a:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@case()
async def test_tc_056_central_smart_charging_tx_default_profile(rig: Rig) -> None:
    assert await install(rig, profile(1, "TxDefaultProfile", *STEPS)) == "Accepted"
    await rig.charge()
    await permitted(rig, 6.0)
    assert near(await composite(rig), (0, 6.0), (100, 8.0), (200, 10.0))


@case()
async def test_tc_057_central_smart_charging_tx_profile(rig: Rig) -> None:
    number = await rig.charge()
    await permitted(rig, 32.0)
    own = profile(1, "TxProfile", *STEPS, transactionId=number)
    assert await install(rig, own) == "Accepted"
    await permitted(rig, 6.0)
    assert near(await composite(rig), (0, 6.0), (100, 8.0), (200, 10.0))
    rig.hardware.unplug(1)
    await rig.expect("StopTransaction")
    # It ended with its transaction.
    assert await rig.call("ClearChargingProfile") == {"status": "Unknown"}


@case()
async def test_tc_058_1_tx_profile_without_a_transaction(rig: Rig) -> None:
    assert await install(rig, profile(1, "TxProfile", *STEPS)) == "Rejected"
    assert await install(rig, profile(1, "TxProfile", *STEPS, transactionId=1)) == "Rejected"


@case(evses=2)
async def test_tc_058_2_tx_profile_for_another_transaction(rig: Rig) -> None:
    number = await rig.charge()
    for wrong in (number + 1, -1):
        assert await install(rig, profile(1, "TxProfile", *STEPS, transactionId=wrong)) == "Rejected"
    assert await install(rig, profile(1, "TxProfile", *STEPS, transactionId=number), 2) == "Rejected"
    assert await install(rig, profile(1, "TxProfile", *STEPS, transactionId=number), 0) == "Rejected"
    await permitted(rig, 32.0)


@case()
async def test_tc_059_remote_start_with_a_charging_profile(rig: Rig) -> None:
    own = profile(1, "TxProfile", (0, 13.0), (60, 7.0), started_s_ago=None)
    rig.hardware.plug(1)
    await rig.status("Preparing")
    answer = await rig.call("RemoteStartTransaction", connectorId=1, idTag="APP", chargingProfile=own)
    assert answer == {"status": "Accepted"}
    await rig.expect("StartTransaction", idTag="APP")
    await rig.status("Charging")
    assert [permit.current_a for permit in rig.hardware.outlets[1].permits] == [13.0]
    assert near(await composite(rig, duration=300), (0, 13.0), (60, 7.0))


@case()
async def test_tc_060_remote_start_with_a_profile_that_may_not_come_with_it(rig: Rig) -> None:
    for wrong in (profile(1, "TxDefaultProfile"), profile(1, "TxProfile", transactionId=4)):
        answer = await rig.call("RemoteStartTransaction", connectorId=1, idTag="APP", chargingProfile=wrong)
        assert answer == {"status": "Rejected"}
    rig.hardware.plug(1)
    await rig.status("Preparing")
    await rig.silent("StartTransaction")


@case()
async def test_tc_066_composite_schedule_of_all_three_purposes(rig: Rig) -> None:
    assert await install(rig, profile(1, "ChargePointMaxProfile", (0, 10.0), duration=86_400), 0) == "Accepted"
    default = ((0, 6.0), (60, 10.0), (120, 8.0), (180, 15.0), (260, 8.0))
    assert await install(rig, profile(2, "TxDefaultProfile", *default, duration=300)) == "Accepted"
    number = await rig.charge()
    own = ((0, 8.0), (50, 11.0), (140, 16.0), (200, 6.0), (240, 12.0))
    assert await install(rig, profile(3, "TxProfile", *own, duration=260, transactionId=number)) == "Accepted"
    # The lowest at any time; the default again when the own profile is over, and the station's limit after that.
    expected = ((0, 8.0), (50, 10.0), (200, 6.0), (240, 10.0), (260, 8.0), (300, 10.0))
    assert near(await composite(rig), *expected)
    in_watt = [(at, limit * 690) for at, limit in expected]
    assert near(await composite(rig, unit="W"), *in_watt)
    assert near(await composite(rig, connector=0, duration=290), *expected[:-1])
    assert (await rig.call("GetCompositeSchedule", connectorId=7, duration=400))["status"] == "Rejected"


@case(evses=2)
async def test_tc_067_clear_charging_profile(rig: Rig) -> None:
    async def fill() -> None:
        assert await install(rig, profile(1, level=1), 1) == "Accepted"
        assert await install(rig, profile(2, level=0), 1) == "Accepted"
        assert await install(rig, profile(3, level=1), 2) == "Accepted"
        assert await install(rig, profile(4, "ChargePointMaxProfile", (0, 30.0)), 0) == "Accepted"

    async def left() -> set[int]:
        kept = set()
        for number in (1, 2, 3, 4):
            if await rig.call("ClearChargingProfile", id=number) == {"status": "Accepted"}:
                kept.add(number)
        return kept

    for filters, gone in (
        ({"id": 1}, {1}),
        ({"connectorId": 1, "stackLevel": 1, "chargingProfilePurpose": "TxDefaultProfile"}, {1}),
        ({"chargingProfilePurpose": "TxDefaultProfile"}, {1, 2, 3}),
        ({"stackLevel": 1}, {1, 3}),
        ({"connectorId": 0}, {4}),
        ({}, {1, 2, 3, 4}),
    ):
        await fill()
        assert await rig.call("ClearChargingProfile", **filters) == {"status": "Accepted"}, filters
        assert await left() == {1, 2, 3, 4} - gone, filters
    for filters in ({}, {"id": 1}, {"connectorId": 9}, {"stackLevel": 5}):
        assert await rig.call("ClearChargingProfile", **filters) == {"status": "Unknown"}
    assert await composite(rig) == [(0, 32.0)]


@case()
async def test_tc_072_stacking_charging_profiles(rig: Rig) -> None:
    valid = {"validFrom": ago(60), "validTo": ago(-500)}
    assert await install(rig, profile(1, "TxDefaultProfile", *STEPS, **valid)) == "Accepted"
    upper = profile(2, "TxDefaultProfile", (0, 7.0), (100, 9.0), level=1, duration=150, **valid)
    assert await install(rig, upper) == "Accepted"
    # Behind the upper one's duration the lower one holds.
    assert near(await composite(rig, duration=350), (0, 7.0), (100, 9.0), (150, 8.0), (200, 10.0))
    assert await install(rig, profile(3, "TxDefaultProfile", (0, 11.0), level=1, **valid)) == "Accepted"
    assert near(await composite(rig, duration=350), (0, 11.0))


@case()
async def test_tc_082_a_default_during_a_transaction(rig: Rig) -> None:
    await rig.charge()
    await permitted(rig, 32.0)
    assert (
        await install(rig, profile(1, "TxDefaultProfile", (0, 16.0), started_s_ago=None, duration=None)) == "Accepted"
    )
    await permitted(rig, 16.0)
    assert await composite(rig) == [(0, 16.0)]
    assert await rig.call("ClearChargingProfile", id=1) == {"status": "Accepted"}
    await permitted(rig, 32.0)  # errata 3.8: the transaction is free again


@case()
async def test_what_breaks_a_rule_is_refused_in_the_right_way(rig: Rig) -> None:
    for connector in (2, -1):
        refusal = await rig.refused("SetChargingProfile", connectorId=connector, csChargingProfiles=profile(1))
        assert refusal == "PropertyConstraintViolation"
    most = int(await rig.configuration("ChargingScheduleMaxPeriods"))
    highest = int(await rig.configuration("ChargeProfileMaxStackLevel"))
    wrong = [
        profile(1, level=highest + 1),
        profile(1, level=-1),
        profile(1, "TxDefaultProfile", *((at, 6.0) for at in range(most + 1))),
        profile(1, "TxDefaultProfile", (5, 6.0)),
        profile(1, "TxDefaultProfile", (0, -1.0)),
        profile(1, "ChargePointMaxProfile"),
        profile(1, validFrom="yesterday"),
        profile(1) | {"chargingProfileKind": "Recurring"},
    ]
    for values in wrong:
        assert await install(rig, values) == "Rejected", values
    assert await rig.call("ClearChargingProfile") == {"status": "Unknown"}
    room = int(await rig.configuration("MaxChargingProfilesInstalled"))
    for number in range(room):
        values = profile(number, "TxDefaultProfile" if number % 2 else "ChargePointMaxProfile", level=number // 2)
        assert await install(rig, values, 0) == "Accepted"
    assert await install(rig, profile(room, level=highest), 0) == "Rejected"
    assert await rig.configuration("ChargingScheduleAllowedChargingRateUnit") == "Current,Power"
    assert "SmartCharging" in (await rig.configuration("SupportedFeatureProfiles")).split(",")


@case()
async def test_profiles_survive_a_restart_and_hold_offline(rig: Rig) -> None:
    assert await install(rig, profile(1, "TxDefaultProfile", (0, 9.0), started_s_ago=None, duration=None)) == "Accepted"
    await rig.stop_agent()
    await rig.start_agent()
    await rig.go_offline()
    rig.hardware.plug(1)
    rig.hardware.tap("CARD")
    await rig.go_online()
    await permitted_or_unknown(rig)
    assert await composite(rig) == [(0, 9.0)]


async def permitted_or_unknown(rig: Rig) -> None:
    """Offline the card is unknown; online it charges. Either way no permit was above the profile."""
    await rig.status("Preparing")
    rig.hardware.tap("CARD")
    await permitted(rig, 9.0)
    assert {permit.current_a for permit in rig.hardware.outlets[1].permits} == {9.0}
