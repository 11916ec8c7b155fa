"""Block K, smart charging: the certification cases of Part 6 over a real websocket, and what 2.1 adds."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from agent.local.rpc import RpcError
from agent.ocpp.times import read_time, time_text
from tests.tc201.rig import Rig201, case, replace

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


__all__ = ["RpcError", "asyncio", "replace"]
