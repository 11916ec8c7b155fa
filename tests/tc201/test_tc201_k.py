"""Block K, smart charging: the certification cases of Part 6 over a real websocket, and what 2.1 adds."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from agent.local.rpc import RpcError
from agent.ocpp.times import read_time, time_text
from tests.tc201.rig import Refusal, Rig201, case

MAX, DEFAULT, TX = "ChargingStationMaxProfile", "TxDefaultProfile", "TxProfile"
SLACK_S = 20
"""How far the clocks of the case and of the station may be apart, as the test tool has it."""


def at(seconds: float = 0.0) -> str:
    return time_text(int(time.time()) + seconds)


def periods(*pairs: tuple[int, float], phases: int | None = 3) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"startPeriod": start, "limit": limit} for start, limit in pairs]
    if phases is not None:
        for period in found:
            period["numberPhases"] = phases
    return found


def profile(
    number: int, *pairs: tuple[int, float], purpose: str = DEFAULT, level: int = 0, **more: Any
) -> dict[str, Any]:
    """A ChargingProfileType in ampere: absolute since a little while when it is given a start, else relative."""
    schedule: dict[str, Any] = {
        "id": number,
        "chargingRateUnit": more.pop("unit", "A"),
        "chargingSchedulePeriod": periods(*(pairs or ((0, 6.0),)), phases=more.pop("phases", 3)),
    }
    kind = more.pop("kind", "Absolute")
    start = more.pop("start", None if kind in ("Relative", "Dynamic") else at(-SLACK_S))
    schedule |= {"startSchedule": start} if start is not None else {}
    duration = more.pop("duration", None)
    schedule |= {"duration": duration} if duration is not None else {}
    return {
        "id": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": [schedule],
        **more,
    }


async def install(rig: Rig201, evse: int, values: dict[str, Any]) -> dict[str, Any]:
    answer = await rig.call("SetChargingProfile", evseId=evse, chargingProfile=values)
    assert answer == {"status": "Accepted"}
    return values


async def refused(rig: Rig201, evse: int, values: dict[str, Any]) -> str:
    """The reason code of a refusal."""
    answer = await rig.call("SetChargingProfile", evseId=evse, chargingProfile=values)
    assert answer["status"] == "Rejected", answer
    assert answer["statusInfo"]["additionalInfo"]
    return str(answer["statusInfo"]["reasonCode"])


class Requests:
    """Numbers of reports asked for."""

    last = 0


async def reported(rig: Rig201, evse: int | None = None, **criterion: Any) -> list[tuple[int, dict[str, Any]]]:
    """Ask for profiles; returns (EVSE, profile) of every report that comes, none for NoProfiles."""
    Requests.last += 1
    number = Requests.last
    where = {} if evse is None else {"evseId": evse}
    answer = await rig.call("GetChargingProfiles", requestId=number, chargingProfile=criterion, **where)
    if answer["status"] == "NoProfiles":
        return []
    found: list[tuple[int, dict[str, Any]]] = []
    while True:
        report = await rig.expect("ReportChargingProfiles", requestId=number)
        found += [(report["evseId"], each) for each in report["chargingProfile"]]
        assert report["chargingLimitSource"] == "CSO"
        if not report.get("tbc", False):
            return found


async def composite(rig: Rig201, evse: int, duration: int = 300, unit: str = "A") -> list[tuple[int, float]]:
    """(seconds from now, limit), with the seconds that have gone by taken from ``zero``."""
    answer = await rig.call("GetCompositeSchedule", evseId=evse, duration=duration, chargingRateUnit=unit)
    assert answer["status"] == "Accepted", answer
    schedule = answer["schedule"]
    assert (schedule["evseId"], schedule["duration"], schedule["chargingRateUnit"]) == (evse, duration, unit)
    assert abs(read_time(schedule["scheduleStart"]) - time.time()) < SLACK_S
    start = read_time(schedule["scheduleStart"])
    return [(start + each["startPeriod"], each["limit"]) for each in schedule["chargingSchedulePeriod"]]


def offsets(found: list[tuple[float, float]], zero: str) -> list[tuple[int, float]]:
    """Times of a composite schedule from a moment on; what begins before it counts from 0."""
    begin = read_time(zero)
    return [(max(0, round(when - begin)), limit) for when, limit in found]


def permit_a(rig: Rig201, evse: int = 1) -> float:
    permit = rig.hardware.outlets[evse].permit
    return 0.0 if permit is None else permit.current_a


@case()
async def test_tc_k_01_cs_default_at_an_evse(rig: Rig201) -> None:
    values = await install(rig, 1, profile(11, (0, 6.0), duration=86_400))
    assert await reported(rig, chargingProfileId=[11]) == [(1, values)]


@case()
async def test_tc_k_02_cs_tx_profile_without_a_transaction(rig: Rig201) -> None:
    values = profile(12, purpose=TX, transactionId="UNKNOWN-TRANSACTION-ID", kind="Relative")
    assert await refused(rig, 1, values) == "TxNotFound"  # K01.FR.09
    del values["transactionId"]
    assert await refused(rig, 1, values) == "InvalidProfile"  # K01.FR.03


@case()
async def test_tc_k_03_cs_station_maximum(rig: Rig201) -> None:
    values = await install(rig, 0, profile(13, (0, 6.0), purpose=MAX, duration=300))
    assert await reported(rig, chargingProfileId=[13]) == [(0, values)]
    assert await refused(rig, 1, profile(14, purpose=MAX)) == "InvalidProfile"  # K04.FR.03


@case()
async def test_tc_k_04_cs_replaced_by_its_id(rig: Rig201) -> None:
    await install(rig, 1, profile(14, (0, 6.0)))
    values = await install(rig, 1, profile(14, (0, 10.0)))
    assert await reported(rig, chargingProfileId=[14]) == [(1, values)]


@case()
async def test_tc_k_05_cs_cleared_by_its_id(rig: Rig201) -> None:
    await install(rig, 1, profile(15))
    assert await rig.call("ClearChargingProfile", chargingProfileId=15) == {"status": "Accepted"}
    assert await reported(rig, chargingProfileId=[15]) == []


@case()
async def test_tc_k_06_cs_cleared_by_level_and_purpose(rig: Rig201) -> None:
    await install(rig, 1, profile(16, level=3))
    await rig.charge()
    criteria = {"chargingProfilePurpose": DEFAULT, "stackLevel": 3}
    assert await rig.call("ClearChargingProfile", chargingProfileCriteria=criteria) == {"status": "Accepted"}
    assert await reported(rig, **criteria) == []


@case()
async def test_tc_k_07_cs_clearing_what_is_not_there(rig: Rig201) -> None:
    await install(rig, 1, profile(17, level=1))
    criteria = {"chargingProfilePurpose": MAX, "stackLevel": 0}
    assert await rig.call("ClearChargingProfile", chargingProfileCriteria=criteria) == {"status": "Unknown"}


@case()
async def test_tc_k_08_cs_clearing_with_nothing_installed(rig: Rig201) -> None:
    assert await rig.call("ClearChargingProfile", chargingProfileId=18) == {"status": "Unknown"}


@case()
async def test_tc_k_09_cs_clearing_the_default_of_a_transaction(rig: Rig201) -> None:
    await install(rig, 1, profile(19, (0, 6.0), duration=400 + SLACK_S, validFrom=at(-SLACK_S), validTo=at(421)))
    await rig.charge()
    assert [limit for _, limit in await composite(rig, 1)] == [6.0]
    assert permit_a(rig) == 6.0
    criteria = {"chargingProfilePurpose": DEFAULT}
    assert await rig.call("ClearChargingProfile", chargingProfileCriteria=criteria) == {"status": "Accepted"}
    assert [limit for _, limit in await composite(rig, 1)] == [32.0]
    await rig.until(lambda: permit_a(rig) == 32.0)  # K10.FR.05, FR.07


@case(evses=2)
async def test_tc_k_10_cs_default_of_all_evses(rig: Rig201) -> None:
    values = await install(rig, 0, profile(110, (0, 6.0), duration=300))
    assert await reported(rig, chargingProfileId=[110]) == [(0, values)]
    assert await reported(rig, 1) == []  # K01.FR.14: applied there, not copied
    for evse in (1, 2):
        assert (await composite(rig, evse, 60))[0][1] == 6.0


@case()
async def test_tc_k_11_cs_tx_profile_for_all_evses(rig: Rig201) -> None:
    transaction = await rig.charge()
    assert await refused(rig, 0, profile(111, purpose=TX, transactionId=transaction)) == "InvalidProfile"


@case(settings={"SmartChargingCtrlr.RateUnit": "A"})
async def test_tc_k_12_cs_unit_not_supported(rig: Rig201) -> None:
    assert await refused(rig, 1, profile(112, (0, 6000.0), unit="W")) == "UnsupportedRateUnit"  # K01.FR.26
    await install(rig, 1, profile(112))


@case()
async def test_tc_k_13_cs_kept_over_a_reboot(rig: Rig201) -> None:
    values = await install(rig, 1, profile(113, (0, 6.0), duration=86_400))
    await rig.power_cut()
    await rig.power_back()
    assert await reported(rig, chargingProfileId=[113]) == [(1, values)]


@case(evses=2)
async def test_tc_k_14_cs_unknown_evse(rig: Rig201) -> None:
    assert await refused(rig, 3, profile(114)) == "UnknownEvse"  # K01.FR.28


@case()
async def test_tc_k_16_cs_unknown_transaction(rig: Rig201) -> None:
    await rig.charge()
    values = profile(116, purpose=TX, transactionId="UNKNOWN-TRANSACTION-ID", kind="Relative")
    assert await refused(rig, 1, values) == "TxNotFound"  # K01.FR.33


@case()
async def test_tc_k_19_cs_recurring(rig: Rig201) -> None:
    for number, recurrence in ((119, "Daily"), (120, "Weekly")):
        values = profile(number, (0, 6.0), (3600, 16.0), kind="Recurring", recurrencyKind=recurrence, start=at(-1800))
        await install(rig, 1, values)
        assert await reported(rig, chargingProfileId=[number]) == [(1, values)]
    assert await refused(rig, 1, profile(121, kind="Recurring", recurrencyKind="Daily", start=None, level=1)) == (
        "InvalidSchedule"
    )  # K01.FR.40
    assert await refused(rig, 1, profile(121, kind="Relative", start=at(), level=1)) == "InvalidSchedule"  # K01.FR.41


@case()
async def test_tc_k_21_cs_valid_from(rig: Rig201) -> None:
    now = at()
    await install(rig, 1, profile(121, (0, 6.0), kind="Relative", validFrom=at(300)))
    found = offsets(await composite(rig, 1, 400), now)
    assert found[0] == (found[0][0], 32.0)
    assert 299 <= found[1][0] <= 301
    assert found[1][1] == 6.0  # K01.FR.36


@case(evses=2)
async def test_tc_k_22_cs_valid_to(rig: Rig201) -> None:
    now = at()
    await install(rig, 0, profile(122, (0, 6.0), start=now, validFrom=at(-SLACK_S), validTo=at(300)))
    for evse, limit in ((0, 12.0), (1, 6.0), (2, 6.0)):
        found = offsets(await composite(rig, evse, 400), now)
        assert found[0][1] == limit
        assert 299 <= found[1][0] <= 301  # K01.FR.37
        assert found[1][1] > limit
    await install(rig, 0, profile(122, (0, 6000.0), unit="W", start=now, validTo=at(300)))
    for evse, limit in ((0, 12_000.0), (1, 6000.0), (2, 6000.0)):
        assert (await composite(rig, evse, 400, "W"))[0][1] == limit


@case()
async def test_tc_k_23_cs_start_schedule(rig: Rig201) -> None:
    now = at()
    await install(rig, 1, profile(123, (0, 6.0), start=at(60), validFrom=at(-SLACK_S), validTo=at(400)))
    found = offsets(await composite(rig, 1), now)
    assert found[0][1] == 32.0
    assert 59 <= found[1][0] <= 61
    assert found[1][1] == 6.0  # K01.FR.30


@case(evses=2)
async def test_tc_k_24_cs_cleared_at_several_evses(rig: Rig201) -> None:
    await install(rig, 1, profile(124, level=2))
    await install(rig, 2, profile(125, level=2))
    await install(rig, 2, profile(126, level=1))
    criteria = {"chargingProfilePurpose": DEFAULT, "stackLevel": 2}
    assert await rig.call("ClearChargingProfile", chargingProfileCriteria=criteria) == {"status": "Accepted"}
    assert await reported(rig, **criteria) == []
    assert [each["id"] for _, each in await reported(rig)] == [126]


@case()
async def test_tc_k_28_cs_default_while_charging(rig: Rig201) -> None:
    await rig.charge()
    valid = {"validFrom": at(-SLACK_S), "validTo": at(300 + SLACK_S)}
    await install(rig, 1, profile(128, (0, 6.0), start=at(-SLACK_S), duration=300 + SLACK_S, **valid))
    assert (await composite(rig, 1))[0][1] == 6.0
    await rig.until(lambda: permit_a(rig) == 6.0)  # K01.FR.32
    await rig.silent("TransactionEvent", eventType="Ended")


async def two(rig: Rig201, level: int = 0, level2: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    """The profiles of K_29 to K_36: a maximum of the station and a default of EVSE 1."""
    first = await install(rig, 0, profile(201, (0, 20.0), purpose=MAX, level=level))
    return first, await install(rig, 1, profile(202, (0, 6.0), level=level2))


@case()
async def test_tc_k_29_cs_report_of_evse_0(rig: Rig201) -> None:
    first, _ = await two(rig)
    assert await reported(rig, 0) == [(0, first)]  # K09.FR.05


@case()
async def test_tc_k_30_cs_report_of_an_evse(rig: Rig201) -> None:
    _, second = await two(rig)
    assert await reported(rig, 1) == [(1, second)]  # K09.FR.04


@case()
async def test_tc_k_31_cs_report_of_all(rig: Rig201) -> None:
    first, second = await two(rig)
    assert await reported(rig) == [(0, first), (1, second)]  # K09.FR.02, FR.06


@case()
async def test_tc_k_32_cs_report_by_id(rig: Rig201) -> None:
    first, _ = await two(rig)
    assert await reported(rig, chargingProfileId=[201]) == [(0, first)]  # K09.FR.01


@case()
async def test_tc_k_33_cs_report_by_level(rig: Rig201) -> None:
    _, second = await two(rig, 1, 4)
    assert await reported(rig, 1, stackLevel=4) == [(1, second)]
    assert await reported(rig, 1, stackLevel=1) == []


@case()
async def test_tc_k_34_cs_report_by_source(rig: Rig201) -> None:
    _, second = await two(rig, 1, 4)
    assert await reported(rig, 1, chargingLimitSource=["CSO"]) == [(1, second)]
    assert await reported(rig, 1, chargingLimitSource=["EMS"]) == []


@case()
async def test_tc_k_35_cs_report_by_purpose(rig: Rig201) -> None:
    _, second = await two(rig)
    assert await reported(rig, 1, chargingProfilePurpose=DEFAULT) == [(1, second)]


@case()
async def test_tc_k_36_cs_report_by_purpose_and_level(rig: Rig201) -> None:
    _, second = await two(rig, 5, 5)
    assert await reported(rig, 1, chargingProfilePurpose=DEFAULT, stackLevel=5) == [(1, second)]


@case()
async def test_tc_k_39_cs_composite_with_no_profile(rig: Rig201) -> None:
    assert [limit for _, limit in await composite(rig, 0)] == [32.0]
    assert len(await composite(rig, 0, unit="W")) == 1


@case()
async def test_tc_k_40_cs_composite_of_a_stack(rig: Rig201) -> None:
    begin = at(-SLACK_S)
    valid = {"validFrom": begin, "validTo": at(401 + SLACK_S), "start": begin}
    lower = (0, 6.0), (100 + SLACK_S, 8.0), (200 + SLACK_S, 10.0)
    await install(rig, 1, profile(140, *lower, duration=400 + SLACK_S, **valid))
    upper = (0, 7.0), (100 + SLACK_S, 9.0)
    await install(rig, 1, profile(141, *upper, level=1, duration=150 + SLACK_S, **valid))
    found = offsets(await composite(rig, 1, 350), begin)
    assert found[0][1] == 7.0
    assert found[1:] == [(100 + SLACK_S, 9.0), (150 + SLACK_S, 8.0), (200 + SLACK_S, 10.0)]


@case()
async def test_tc_k_41_cs_composite_of_all_purposes(rig: Rig201) -> None:
    transaction = await rig.charge()
    begin = at()
    await install(rig, 0, profile(141, (0, 10.0), purpose=MAX, start=begin, duration=86_400))
    default = (0, 6.0), (60, 10.0), (120, 8.0), (180, 15.0), (260, 8.0)
    valid = {"validFrom": at(-SLACK_S), "validTo": at(401 + SLACK_S), "start": begin}
    await install(rig, 1, profile(142, *default, duration=300, **valid))
    own = (0, 8.0), (50, 11.0), (140, 16.0), (200, 6.0), (240, 12.0)
    await install(rig, 1, profile(143, *own, purpose=TX, transactionId=transaction, duration=260, **valid))
    found = offsets(await composite(rig, 1, 400), begin)
    assert found[0][1] == 8.0
    assert found[1:] == [(50, 10.0), (200, 6.0), (240, 10.0), (260, 8.0), (300, 10.0)]


@case(settings={"SmartChargingCtrlr.RateUnit": "A"})
async def test_tc_k_42_cs_composite_in_a_unit_not_supported(rig: Rig201) -> None:
    answer = await rig.call("GetCompositeSchedule", evseId=0, duration=300, chargingRateUnit="W")
    assert answer["status"] == "Rejected"  # K08.FR.07
    assert "schedule" not in answer
    assert answer["statusInfo"]["reasonCode"] == "UnsupportedRateUnit"


@case()
async def test_tc_k_47_cs_composite_of_an_unknown_evse(rig: Rig201) -> None:
    answer = await rig.call("GetCompositeSchedule", evseId=2, duration=300, chargingRateUnit="A")
    assert answer["status"] == "Rejected"  # K08.FR.05
    assert answer["statusInfo"]["reasonCode"] == "UnknownEvse"


@case()
async def test_tc_k_60_cs_tx_profile_of_a_running_transaction(rig: Rig201) -> None:
    transaction = await rig.charge()
    values = profile(160, (0, 6.0), purpose=TX, transactionId=transaction, kind="Relative")
    await install(rig, 1, values)
    assert await reported(rig, chargingProfileId=[160]) == [(1, values)]
    await rig.until(lambda: permit_a(rig) == 6.0)
    rig.hardware.tap("CARD")
    await rig.event("Ended")
    assert await reported(rig) == []  # K02.FR.05


# ---- rules that no case asks for ------------------------------------------------------------------------------------


@case(evses=2)
async def test_each_refusal_has_its_reason(rig: Rig201) -> None:
    assert await refused(rig, 1, profile(1, purpose="ChargingStationExternalConstraints")) == "UnsupportedPurpose"
    assert await refused(rig, 0, profile(1, purpose=MAX, kind="Relative")) == "InvalidProfile"  # K01.FR.38
    assert await refused(rig, 1, profile(1, (5, 6.0))) == "InvalidSchedule"  # K01.FR.31
    assert await refused(rig, 1, profile(1, (0, 6.0), (60, 7.0), (30, 8.0))) == "InvalidSchedule"  # K01.FR.35
    assert await refused(rig, 1, profile(1, phases=1)) == "InvalidSchedule"  # K01.FR.43
    assert await refused(rig, 1, profile(1, level=51)) == "InvalidStackLevel"
    assert await refused(rig, 1, profile(1, *((n, 6.0) for n in range(301)))) == "TooManyElements"
    assert await refused(rig, 1, profile(-2_000_000)) == "InvalidProfileId"
    several = profile(1)
    several["chargingSchedule"] *= 2
    assert await refused(rig, 1, several) == "InvalidSchedule"  # K01.FR.34
    assert await refused(rig, 1, profile(1, validTo="soon")) == "InvalidProfile"
    assert await refused(rig, 1, profile(1, start="soon")) == "InvalidSchedule"
    await install(rig, 1, profile(1))
    assert await refused(rig, 0, profile(2)) == "DuplicateProfile"  # K01.FR.52
    await install(rig, 0, profile(3, level=1))
    assert await refused(rig, 2, profile(4, level=1)) == "DuplicateProfile"  # K01.FR.53
    for number in range(10, 108):
        await install(rig, 1, profile(number, validFrom=at(number * 10), validTo=at(number * 10 + 9), level=2))
    assert await refused(rig, 1, profile(400, level=3)) == "OutOfStorage"


@case()
async def test_a_long_report_comes_in_parts(rig: Rig201) -> None:
    for number in range(1, 8):
        values = profile(number, *((n * 60, 6.0 + n % 10) for n in range(100)), level=number)
        await install(rig, 1, values)
    found = await reported(rig)
    assert [each["id"] for _, each in found] == [1, 2, 3, 4, 5, 6, 7]
    reports = rig.sent("ReportChargingProfiles")
    assert len(reports) > 2
    assert [report["tbc"] for report in reports] == [True] * (len(reports) - 1) + [False]


@case(settings={"TxCtrlr.TxStartPoint": "EVConnected"})
async def test_a_relative_schedule_begins_when_energy_may_flow(rig: Rig201) -> None:
    """2.1 K01.FR.42, recommended by 2.0.1."""
    rig.hardware.plug(1)
    transaction = (await rig.event("Started", trigger="CablePluggedIn"))["transactionInfo"]["transactionId"]
    values = profile(1, (0, 10.0), (2, 12.0), purpose=TX, kind="Relative", transactionId=transaction)
    await install(rig, 1, values)
    assert [limit for _, limit in await composite(rig, 1)] == [10.0, 12.0]
    await asyncio.sleep(2.1)
    rig.hardware.tap("CARD", 1)
    await rig.until(lambda: permit_a(rig) == 10.0)
    await rig.until(lambda: permit_a(rig) == 12.0)


# ---- K06, K07: without the network ----------------------------------------------------------------------------------


@case(evses=2, settings={"AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"})
async def test_k06_k07_profiles_hold_without_the_network(rig: Rig201) -> None:
    transaction = await rig.charge()
    await install(rig, 0, profile(1, (0, 8.0)))
    await install(rig, 1, profile(2, (0, 10.0), purpose=TX, kind="Relative", transactionId=transaction))
    await rig.until(lambda: permit_a(rig) == 10.0)
    await rig.go_offline()
    rig.hardware.plug(2)
    rig.hardware.tap("OTHER", 2)
    await rig.until(lambda: permit_a(rig, 2) == 8.0)  # K07.FR.01
    assert permit_a(rig) == 10.0  # K06.FR.01
    await rig.go_online()


# ---- K11 to K13: limits of the site ---------------------------------------------------------------------------------


def local(rig: Rig201, method: str, **parameters: Any) -> Any:
    """Call a method of the local API."""
    assert rig.app is not None
    return rig.app.charging.methods()[f"charging.{method}"].function(**parameters)


@case()
async def test_k11_a_limit_of_the_site_while_charging(rig: Rig201) -> None:
    transaction = await rig.charge()
    local(rig, "limit", limit=10.0)
    told = await rig.expect("NotifyChargingLimit")
    assert told["chargingLimit"] == {"chargingLimitSource": "EMS"}  # K11.FR.02, FR.05
    assert told["evseId"] == 0
    (schedule,) = told["chargingSchedule"]  # K11.FR.03
    assert schedule["chargingRateUnit"] == "A"
    assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 10.0}]
    await rig.until(lambda: permit_a(rig) == 10.0)  # K11.FR.01
    changed = await rig.event("Updated", trigger="ChargingRateChanged")  # K11.FR.04
    assert changed["transactionInfo"]["transactionId"] == transaction
    answer = await rig.call("GetChargingProfiles", requestId=900, chargingProfile={"chargingLimitSource": ["EMS"]})
    assert answer["status"] == "Accepted"
    report = await rig.expect("ReportChargingProfiles", requestId=900)
    assert (report["chargingLimitSource"], report["evseId"]) == ("EMS", 0)
    (found,) = report["chargingProfile"]
    assert found["chargingProfilePurpose"] == "ChargingStationExternalConstraints"  # K11.FR.06
    assert found["chargingProfileKind"] == "Absolute"
    assert found["id"] < 0
    assert (await composite(rig, 1))[0][1] == 10.0  # K08.FR.04
    assert await rig.call("ClearChargingProfile", chargingProfileId=found["id"]) == {"status": "Unknown"}  # K10.FR.09
    purpose = {"chargingProfilePurpose": "ChargingStationExternalConstraints"}
    assert await rig.call("ClearChargingProfile", chargingProfileCriteria=purpose) == {"status": "Unknown"}  # K10.FR.08
    assert await refused(rig, 0, profile(found["id"], purpose=MAX)) == "InvalidProfileId"  # K01.FR.05
    local(rig, "release")
    assert await rig.expect("ClearedChargingLimit") == {"chargingLimitSource": "EMS", "evseId": 0}  # K13.FR.02
    await rig.until(lambda: permit_a(rig) == 32.0)  # K13.FR.01


@case(
    settings={
        "SmartChargingCtrlr.LimitChangeSignificance": "10",
        "SmartChargingCtrlr.NotifyChargingLimitWithSchedules": "false",
    }
)
async def test_k12_only_what_is_significant_is_told(rig: Rig201) -> None:
    local(rig, "limit", limit=20.0, evse=1, source="SO")
    told = await rig.expect("NotifyChargingLimit")
    assert told == {"chargingLimit": {"chargingLimitSource": "SO"}, "evseId": 1}  # K12.FR.02 to FR.04
    local(rig, "limit", limit=21.9, evse=1, source="SO")
    local(rig, "limit", limit=18.1, evse=1, source="SO")
    await rig.silent("NotifyChargingLimit")  # SC.03
    local(rig, "limit", limit=17.9, evse=1, source="SO")
    await rig.expect("NotifyChargingLimit")
    assert (await composite(rig, 1))[0][1] == 17.9


@case()
async def test_k12_a_schedule_of_the_site_is_told_and_released_while_offline(rig: Rig201) -> None:
    periods = [{"start_s": 0, "limit": 11_000.0}, {"start_s": 600, "limit": 4140.0}]
    local(rig, "schedule", periods=periods, unit="W", evse=1, source="Other", lasts_s=3600)
    told = await rig.expect("NotifyChargingLimit")
    (schedule,) = told["chargingSchedule"]
    assert schedule["chargingSchedulePeriod"] == [
        {"startPeriod": 0, "limit": 11_000.0},
        {"startPeriod": 600, "limit": 4140.0},
    ]
    assert [each["limit"] for each in local(rig, "limits")] == [11_000.0]
    await rig.go_offline()
    local(rig, "release", evse=1, source="Other")
    local(rig, "limit", limit=9.0)
    await rig.go_online()
    await rig.expect("NotifyChargingLimit", evseId=0)
    assert await rig.expect("ClearedChargingLimit") == {"chargingLimitSource": "Other", "evseId": 1}


@case()
async def test_what_the_network_does_not_take_is_not_said_again(rig: Rig201) -> None:
    rig.answer("NotifyChargingLimit", Refusal("NotImplemented"))
    local(rig, "limit", limit=10.0)
    await rig.expect("NotifyChargingLimit")
    await rig.silent("NotifyChargingLimit")


@case(evses=2)
async def test_the_local_api_says_what_is_wrong(rig: Rig201) -> None:
    for words, method, parameters in (
        ("unit", "limit", {"limit": 6.0, "unit": "kW"}),
        ("source", "limit", {"limit": 6.0, "source": "CSO"}),
        ("no EVSE 3", "limit", {"limit": 6.0, "evse": 3}),
        ("0 or more", "limit", {"limit": -1.0}),
        ("lasts_s", "limit", {"limit": 6.0, "generation": True}),
        ("too large", "limit", {"limit": 10**400}),
        ("periods", "schedule", {"periods": [{"start_s": 0}]}),
        ("periods", "schedule", {"periods": ["0"]}),
        ("begin at 0", "schedule", {"periods": [{"start_s": 9, "limit": 6.0}]}),
        ("no such limit", "release", {}),
        ("no EVSE 3", "priority", {"evse": 3}),
        ("no transaction", "priority", {"evse": 1}),
    ):
        with pytest.raises(RpcError, match=words):
            local(rig, method, **parameters)
    await rig.silent("NotifyChargingLimit")


# ---- 2.1 ------------------------------------------------------------------------------------------------------------


TWO_ONE = ("ocpp2.1",)


@case(versions=TWO_ONE)
async def test_k28_updates_sent_by_the_network(rig: Rig201) -> None:
    await rig.charge()
    await install(rig, 1, profile(1, (0, 10.0), kind="Dynamic"))
    await rig.until(lambda: permit_a(rig) == 10.0)
    ((_, first),) = await reported(rig)
    assert abs(read_time(first["dynUpdateTime"]) - time.time()) < SLACK_S  # K28.FR.05
    update = {"chargingProfileId": 1, "scheduleUpdate": {"limit": 12.5}}
    assert await rig.call("UpdateDynamicSchedule", **update) == {"status": "Accepted"}  # K28.FR.06
    await rig.until(lambda: permit_a(rig) == 12.5)
    ((_, second),) = await reported(rig)
    assert second["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"] == 12.5
    assert read_time(second["dynUpdateTime"]) >= read_time(first["dynUpdateTime"])  # K28.FR.09
    await install(rig, 1, profile(2, level=1))
    for number, change, reason in (
        (2, {"limit": 9.0}, "InvalidProfile"),  # K28.FR.11
        (3, {"limit": 9.0}, "InvalidProfile"),
        (1, {"setpoint": 9.0}, "InvalidSchedule"),
        (1, {}, "InvalidSchedule"),
    ):
        answer = await rig.call("UpdateDynamicSchedule", chargingProfileId=number, scheduleUpdate=change)
        assert answer["status"] == "Rejected"
        assert answer["statusInfo"]["reasonCode"] == reason


@case(versions=TWO_ONE)
async def test_k28_updates_asked_for(rig: Rig201) -> None:
    await rig.charge()
    limits = iter((11.0, 13.0))

    def pulled(request: dict[str, Any]) -> dict[str, Any]:
        assert request == {"chargingProfileId": 1}
        limit = next(limits, None)
        return {"status": "Rejected"} if limit is None else {"status": "Accepted", "scheduleUpdate": {"limit": limit}}

    rig.answer("PullDynamicScheduleUpdate", pulled)
    await install(rig, 1, profile(1, (0, 10.0), kind="Dynamic", dynUpdateInterval=1))
    await rig.expect("PullDynamicScheduleUpdate")  # K28.FR.10
    await rig.until(lambda: permit_a(rig) == 11.0)  # K28.FR.08
    await rig.expect("PullDynamicScheduleUpdate")
    await rig.until(lambda: permit_a(rig) == 13.0)
    await rig.expect("PullDynamicScheduleUpdate")
    await rig.expect("PullDynamicScheduleUpdate")
    assert permit_a(rig) == 13.0, "no update: what was said last holds"
    await rig.call("ClearChargingProfile", chargingProfileId=1)
    rig.mark()
    await rig.silent("PullDynamicScheduleUpdate", 1.5)


@case(versions=TWO_ONE)
async def test_rules_of_2_1(rig: Rig201) -> None:
    dynamic = profile(1, (0, 6.0), (60, 7.0), kind="Dynamic")
    assert await refused(rig, 1, dynamic) == "InvalidSchedule"  # K28.FR.03
    assert await refused(rig, 1, profile(1, dynUpdateInterval=60)) == "InvalidProfile"  # K28.FR.04, K01.FR.122
    priority = profile(1, purpose="PriorityCharging", duration=60)
    assert await refused(rig, 1, priority) == "InvalidSchedule"  # K01.FR.70
    for name, value in (
        ("useLocalTime", True),  # K01.FR.123
        ("randomizedDelay", 60),  # K01.FR.95, FR.124
        ("limitAtSoC", {"soc": 80, "limit": 6.0}),  # K01.FR.125
    ):
        values = profile(1)
        values["chargingSchedule"][0][name] = value
        assert await refused(rig, 1, values) == "InvalidSchedule"
    for change in (
        {"operationMode": "CentralSetpoint", "setpoint": 6.0},  # K01.FR.71 and Q
        {"evseSleep": True},  # K01.FR.126
        {"limit_L2": 6.0, "limit_L3": 6.0},
        {"dischargeLimit": -6.0},
    ):
        values = profile(1)
        values["chargingSchedule"][0]["chargingSchedulePeriod"][0] |= change
        assert await refused(rig, 1, values) == "InvalidSchedule"
    nothing = profile(1)
    del nothing["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"]
    assert await refused(rig, 1, nothing) == "InvalidSchedule"
    allowed = profile(1, maxOfflineDuration=600, invalidAfterOfflineDuration=True)
    allowed["chargingSchedule"][0]["chargingSchedulePeriod"][0] |= {"operationMode": "ChargingOnly", "evseSleep": False}
    await install(rig, 1, allowed)
    ((_, found),) = await reported(rig)
    assert (found["maxOfflineDuration"], found["invalidAfterOfflineDuration"]) == (600, True)


@case(versions=TWO_ONE)
async def test_k21_priority_charging_by_the_network(rig: Rig201) -> None:
    transaction = await rig.charge()
    await install(rig, 0, profile(1, (0, 8.0)))

    async def use(activate: bool, identity: str = transaction) -> tuple[str, str]:
        answer = await rig.call("UsePriorityCharging", transactionId=identity, activate=activate)
        return answer["status"], answer.get("statusInfo", {}).get("reasonCode", "")

    assert await use(True) == ("NoProfile", "NotFound")  # K21.FR.01
    assert await use(True, "another") == ("Rejected", "TxNotFound")  # K21.FR.02
    assert await use(False) == ("Accepted", "")  # K21.FR.06
    await rig.silent("NotifyPriorityCharging")
    await install(rig, 0, profile(2, (0, 24.0), purpose="PriorityCharging"))
    await rig.until(lambda: permit_a(rig) == 8.0)
    assert await use(True) == ("Accepted", "")  # K21.FR.03
    told = await rig.expect("NotifyPriorityCharging")
    assert told == {"transactionId": transaction, "activated": True}  # K21.FR.05
    await rig.until(lambda: permit_a(rig) == 24.0)  # K21.FR.04
    assert await use(True) == ("Accepted", "")
    assert (await rig.expect("NotifyPriorityCharging"))["activated"] is True
    assert await use(False) == ("Accepted", "")
    told = await rig.expect("NotifyPriorityCharging")
    assert told == {"transactionId": transaction, "activated": False}  # K21.FR.08
    await rig.until(lambda: permit_a(rig) == 8.0)  # K21.FR.07


@case(versions=TWO_ONE)
async def test_k22_priority_charging_at_the_station(rig: Rig201) -> None:
    transaction = await rig.charge()
    await install(rig, 0, profile(1, (0, 8.0)))
    with pytest.raises(RpcError, match="no profile for priority charging"):
        local(rig, "priority", evse=1)  # K22.FR.01
    await install(rig, 1, profile(2, (0, 24.0), purpose="PriorityCharging"))
    await rig.go_offline()
    assert local(rig, "priority", evse=1) == {"priority": True}
    await rig.until(lambda: permit_a(rig) == 24.0)  # K22.FR.02
    await rig.go_online()
    told = await rig.expect("NotifyPriorityCharging")
    assert told == {"transactionId": transaction, "activated": True}  # K22.FR.03
    local(rig, "priority", evse=1, on=False)
    assert (await rig.expect("NotifyPriorityCharging"))["activated"] is False  # K22.FR.05
    await rig.until(lambda: permit_a(rig) == 8.0)  # K22.FR.04
    local(rig, "priority", evse=1)
    await rig.expect("NotifyPriorityCharging", activated=True)
    rig.hardware.tap("CARD")
    await rig.event("Ended")
    await rig.silent("NotifyPriorityCharging")


@case(versions=TWO_ONE)
async def test_k27_generation_at_the_site(rig: Rig201) -> None:
    await rig.charge()
    await install(rig, 1, profile(1, (0, 6900.0), unit="W"))
    await rig.until(lambda: permit_a(rig) == 10.0)
    local(rig, "limit", limit=2070.0, unit="W", generation=True, lasts_s=600)
    told = await rig.expect("NotifyChargingLimit")
    assert told["chargingLimit"] == {"chargingLimitSource": "EMS", "isLocalGeneration": True}  # K27.FR.03
    (schedule,) = told["chargingSchedule"]  # K27.FR.04
    assert schedule["chargingSchedulePeriod"] == [
        {"startPeriod": 0, "limit": 2070.0, "operationMode": "ExternalLimits"}
    ]
    await rig.until(lambda: permit_a(rig) == 13.0)
    assert (await composite(rig, 1, unit="W"))[0][1] == 8970.0
    local(rig, "limit", limit=16.0)
    both = await rig.expect("NotifyChargingLimit")
    assert both["chargingLimit"] == {"chargingLimitSource": "EMS"}  # K27.FR.05
    await rig.call("GetChargingProfiles", requestId=5, chargingProfile={"chargingProfilePurpose": "LocalGeneration"})
    report = await rig.expect("ReportChargingProfiles")  # K27.FR.01, FR.02
    (found,) = report["chargingProfile"]
    assert (report["chargingLimitSource"], found["chargingProfileKind"]) == ("EMS", "Dynamic")
    criteria = {"chargingProfilePurpose": "LocalGeneration"}
    assert await rig.call("ClearChargingProfile", chargingProfileCriteria=criteria) == {"status": "Unknown"}
    local(rig, "release", generation=True)
    assert await rig.expect("ClearedChargingLimit") == {"chargingLimitSource": "EMS", "evseId": 0}
    await rig.until(lambda: permit_a(rig) == 10.0)
