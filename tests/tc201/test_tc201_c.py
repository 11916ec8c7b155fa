"""OCPP 2.0.1 certification cases of block C, authorisation (part 6, TC_C_…_CS), and rules of C01 to C16 beside them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.config.schema import Authorisation, Config
from tests.tc201.rig import SILENCE, Rig201, case

START, STOP = "TxCtrlr.TxStartPoint", "TxCtrlr.TxStopPoint"
AT_ONCE = {"AuthCtrlr.LocalPreAuthorize": "true"}
MASTER = {"AuthCtrlr.MasterPassGroupId": "POLICE"}
FAMILY = {"groupIdToken": {"idToken": "FAMILY", "type": "Central"}}
POLICE = {"groupIdToken": {"idToken": "POLICE", "type": "Central"}}
BAD = ("Invalid", "Blocked", "Expired", "Unknown")


def info(event: dict[str, Any]) -> dict[str, Any]:
    return event["transactionInfo"]


async def asked(rig: Rig201, uid: str = "CARD") -> None:
    assert (await rig.expect("Authorize"))["idToken"] == {"idToken": uid, "type": "ISO14443"}


async def listed(rig: Rig201, **tokens: str | dict[str, Any]) -> None:
    entries = [
        {
            "idToken": {"idToken": uid, "type": "ISO14443"},
            "idTokenInfo": {"status": told} if isinstance(told, str) else told,
        }
        for uid, told in tokens.items()
    ]
    payload = {"versionNumber": 1, "updateType": "Full", "localAuthorizationList": entries}
    assert await rig.call("SendLocalList", **payload) == {"status": "Accepted"}


async def cached(rig: Rig201, uid: str = "CARD", status: str = "Accepted", **more: Any) -> None:
    """Let the network tell of a token at an empty EVSE; what waits for a plug is called off again."""
    rig.token(uid, status, **more)
    rig.hardware.tap(uid, 1)
    await asked(rig, uid)
    await rig.call("ChangeAvailability", operationalStatus="Inoperative")
    await rig.status("Unavailable")
    await rig.call("ChangeAvailability", operationalStatus="Operative")
    await rig.status("Available")


async def plugged(rig: Rig201, evse: int = 1) -> None:
    rig.hardware.plug(evse)
    await rig.status("Occupied", evse)


async def refused(rig: Rig201) -> None:
    await rig.silent("TransactionEvent")
    assert rig.hardware.outlets[1].permit is None


async def charges(rig: Rig201) -> dict[str, Any]:
    started = await rig.event("Started")
    await rig.event("Updated", state="Charging")
    return started


# ---- C01: cards ----------------------------------------------------------------------------------------------------


async def answered_with(rig: Rig201, status: str) -> None:
    rig.token("CARD", status)
    await plugged(rig)
    rig.hardware.tap("CARD", 1)
    await asked(rig)  # C01.FR.02
    await refused(rig)  # C01.FR.01


@case()
async def test_tc_c_02_cs_authorisation_invalid(rig: Rig201) -> None:
    await answered_with(rig, "Invalid")


@case(settings={START: "Authorized"})
async def test_tc_c_05_cs_authorisation_invalid_before_the_cable(rig: Rig201) -> None:
    rig.token("CARD", "Invalid")
    rig.hardware.tap("CARD", 1)
    await asked(rig)
    await refused(rig)


@case()
async def test_tc_c_06_cs_authorisation_blocked(rig: Rig201) -> None:
    await answered_with(rig, "Blocked")


@case()
async def test_tc_c_07_cs_authorisation_expired(rig: Rig201) -> None:
    await answered_with(rig, "Expired")


@case()
async def test_tc_c_56_cs_authorisation_unknown(rig: Rig201) -> None:
    await answered_with(rig, "Unknown")


@pytest.mark.parametrize("status", ["ConcurrentTx", "NoCredit", "NotAllowedTypeEVSE", "NotAtThisLocation"])
def test_every_other_status_refuses_too(status: str, tmp_path: Any) -> None:
    @case()
    async def story(rig: Rig201) -> None:
        await answered_with(rig, status)

    story(tmp_path)


@case()
async def test_tc_c_04_cs_local_stop_by_a_different_token(rig: Rig201) -> None:
    await rig.charge()
    rig.hardware.tap("OTHER", 1)
    await asked(rig, "CARD")
    await asked(rig, "OTHER")
    await rig.silent("TransactionEvent", eventType="Ended")
    assert rig.hardware.outlets[1].closed


@case()
async def test_the_same_token_stops_without_a_question(rig: Rig201) -> None:
    """C01.FR.03 a, C09.FR.07 a"""
    await rig.charge()
    rig.mark()
    rig.hardware.tap("CARD", 1)
    await rig.event("Ended", "StopAuthorized")
    assert rig.sent("Authorize") == []


@case(evses=2)
async def test_a_token_may_hold_for_some_evses_alone(rig: Rig201) -> None:
    """C01.FR.21"""
    rig.token("CARD", evseId=[2])
    await plugged(rig, 1)
    rig.hardware.tap("CARD", 1)
    await asked(rig)
    await refused(rig)
    rig.hardware.tap("CARD")  # at a common reader: the EVSE it holds for is its own from now on
    await asked(rig)
    await plugged(rig, 2)
    assert (await charges(rig))["evse"]["id"] == 2


@case(settings={START: "EVConnected", STOP: "EVConnected"})
async def test_nobody_else_takes_over_an_open_transaction(rig: Rig201) -> None:
    """C01.FR.23"""
    await rig.charge()
    rig.hardware.tap("CARD", 1)
    await rig.event("Updated", "StopAuthorized")
    rig.mark()
    rig.hardware.tap("OTHER", 1)
    await asked(rig, "OTHER")
    await rig.silent("TransactionEvent", triggerReason="Authorized")
    assert rig.hardware.outlets[1].permit is None


@case(versions=("ocpp2.1",))
async def test_2_1_takes_long_identifiers(rig: Rig201) -> None:
    long = "X" * 200
    await plugged(rig)
    rig.hardware.tap(long, 1)
    await asked(rig, long)
    assert (await charges(rig))["idToken"]["idToken"] == long


@case()
async def test_2_0_1_refuses_what_it_cannot_carry(rig: Rig201) -> None:
    await plugged(rig)
    rig.hardware.tap("X" * 37, 1)
    await refused(rig)
    assert rig.sent("Authorize") == []


# ---- C02: nobody is asked ------------------------------------------------------------------------------------------


def everyone(config: Config) -> Config:
    return replace(config, authorisation=Authorisation(free_vend=True))


@case(change=everyone)
async def test_without_authorisation_the_identifier_stays_empty(rig: Rig201) -> None:
    """C02.FR.01, C02.FR.03"""
    rig.hardware.plug(1)
    started = await charges(rig)
    assert started["idToken"] == {"idToken": "", "type": "NoAuthorization"}
    assert rig.sent("Authorize") == []
    assert kept_tokens(rig) == {}


def kept_tokens(rig: Rig201) -> dict[str, Any]:
    assert rig.app is not None
    return rig.app._journal.kept("token")


@case()
async def test_what_the_network_made_up_is_not_cached(rig: Rig201) -> None:
    """C03.FR.02, C05.FR.02, C05.FR.03, C05.FR.05"""
    await plugged(rig)
    token = {"idToken": "APP-1", "type": "Central"}
    await rig.call("RequestStartTransaction", idToken=token, remoteStartId=3, evseId=1)
    started = await charges(rig)
    assert (started["idToken"], info(started)["remoteStartId"]) == (token, 3)
    await rig.call("RequestStopTransaction", transactionId=info(started)["transactionId"])
    await rig.event("Ended")
    assert kept_tokens(rig) == {}


# ---- C09: groups ---------------------------------------------------------------------------------------------------


@case()
async def test_tc_c_39_cs_stopped_by_the_group(rig: Rig201) -> None:
    rig.token("CARD", **FAMILY)
    rig.token("MATE", **FAMILY)
    await rig.charge()
    rig.mark()
    rig.hardware.tap("MATE", 1)
    await asked(rig, "MATE")  # C09.FR.05
    ended = await rig.event("Ended", "StopAuthorized")  # C09.FR.03
    assert ended["idToken"]["idToken"] == "MATE"


@case()
async def test_tc_c_42_cs_not_stopped_by_an_invalid_token_of_the_group(rig: Rig201) -> None:
    await not_stopped_by(rig, "MATE")


@case()
async def test_the_group_s_own_name_is_no_token_of_the_group(rig: Rig201) -> None:
    rig.token("CARD", **FAMILY)
    rig.token("FAMILY", "Invalid")
    await rig.charge()
    rig.mark()
    rig.hardware.tap("FAMILY", 1)
    await asked(rig, "FAMILY")
    await rig.silent("TransactionEvent", eventType="Ended")


@case(settings=AT_ONCE)
async def test_tc_c_40_cs_stopped_by_the_group_on_the_list(rig: Rig201) -> None:
    await listed(rig, CARD={"status": "Accepted", **FAMILY}, MATE={"status": "Accepted", **FAMILY})
    await rig.charge()
    rig.hardware.tap("MATE", 1)
    await rig.event("Ended", "StopAuthorized")  # C09.FR.07 b
    assert rig.sent("Authorize") == []


@case(settings=AT_ONCE)
async def test_tc_c_41_cs_stopped_by_the_group_in_the_cache(rig: Rig201) -> None:
    await cached(rig, "MATE", **FAMILY)
    rig.token("CARD", **FAMILY)
    await rig.charge()
    rig.mark()
    rig.hardware.tap("MATE", 1)
    await rig.event("Ended", "StopAuthorized")
    assert rig.sent("Authorize") == []


async def not_stopped_by(rig: Rig201, uid: str) -> None:
    """C09.FR.11"""
    rig.token("CARD", **FAMILY)
    await rig.charge()
    rig.mark()
    rig.token(uid, "Invalid", **FAMILY)
    rig.hardware.tap(uid, 1)
    await asked(rig, uid)
    await rig.silent("TransactionEvent", eventType="Ended")
    assert rig.hardware.outlets[1].closed


@case(settings=AT_ONCE)
async def test_tc_c_43_cs_invalid_group_on_the_list(rig: Rig201) -> None:
    await listed(rig, MATE={"status": "Invalid", **FAMILY})
    await not_stopped_by(rig, "MATE")


@case(settings=AT_ONCE)
async def test_tc_c_44_cs_invalid_group_in_the_cache(rig: Rig201) -> None:
    rig.token("MATE", "Invalid", **FAMILY)
    rig.hardware.tap("MATE", 1)
    await asked(rig, "MATE")
    await not_stopped_by(rig, "MATE")


# ---- C10 to C12: the cache -----------------------------------------------------------------------------------------


@case(settings=AT_ONCE)
async def test_tc_c_08_cs_cache_accepted(rig: Rig201) -> None:
    await cached(rig)
    await plugged(rig)
    rig.mark()
    rig.hardware.tap("CARD", 1)
    assert (await charges(rig))["idToken"]["idToken"] == "CARD"  # C12.FR.02, C12.FR.04
    assert rig.sent("Authorize") == []


async def bad_in_cache(rig: Rig201, status: str, then: str = "") -> None:
    rig.token("CARD", status)
    rig.hardware.tap("CARD", 1)
    await asked(rig)
    await plugged(rig)
    rig.token("CARD", then or status)
    rig.hardware.tap("CARD", 1)
    await asked(rig)  # C10.FR.03, C12.FR.05
    if then:
        await charges(rig)
    else:
        await refused(rig)


@case(settings=AT_ONCE)
async def test_tc_c_09_cs_cache_invalid_and_not_accepted(rig: Rig201) -> None:
    await bad_in_cache(rig, "Invalid")


@case(settings=AT_ONCE)
async def test_tc_c_10_cs_cache_blocked(rig: Rig201) -> None:
    await bad_in_cache(rig, "Blocked")


@case(settings=AT_ONCE)
async def test_tc_c_11_cs_cache_expired(rig: Rig201) -> None:
    await bad_in_cache(rig, "Expired")


@case(settings=AT_ONCE)
async def test_tc_c_12_cs_cache_invalid_and_accepted(rig: Rig201) -> None:
    await bad_in_cache(rig, "Invalid", then="Accepted")


@case(settings={**AT_ONCE, START: "Authorized"})
async def test_tc_c_13_cs_cache_accepted_before_the_cable(rig: Rig201) -> None:
    rig.token("CARD")
    rig.hardware.tap("CARD", 1)
    await asked(rig)
    await rig.event("Started", "Authorized")
    rig.hardware.tap("CARD", 1)
    await rig.event("Ended")
    rig.mark()
    rig.hardware.tap("CARD", 1)
    started = await rig.event("Started", "Authorized")
    assert started["idToken"]["idToken"] == "CARD"
    assert not rig.hardware.outlets[1].closed
    await plugged(rig)
    await rig.event("Updated", state="Charging")
    assert rig.sent("Authorize") == []


@case(settings={**AT_ONCE, **MASTER})
async def test_tc_c_14_cs_master_pass_in_the_cache(rig: Rig201) -> None:
    rig.token("COP", **POLICE)
    rig.hardware.tap("COP", 1)
    await asked(rig, "COP")
    await rig.charge()
    rig.mark()
    rig.hardware.tap("COP", 1)
    ended = await rig.event("Ended", "StopAuthorized")  # C16.FR.04
    assert ended["idToken"]["idToken"] == "COP"
    assert info(ended)["stoppedReason"] == "MasterPass"
    assert rig.sent("Authorize") == []


async def offline_start_then_refused(rig: Rig201) -> None:
    """The vehicle is there, the card is presented while nobody can be asked, and later the network says no."""
    await cached(rig)
    await plugged(rig)
    rig.mark()
    await rig.go_offline()
    rig.hardware.tap("CARD", 1)
    await rig.until(lambda: rig.hardware.outlets[1].closed)
    rig.token("CARD", "Invalid")
    await rig.go_online()
    started = await rig.event("Started")
    assert started["offline"] is True
    assert started["idToken"]["idToken"] == "CARD"  # C15.FR.02


LATER = {**AT_ONCE, START: "PowerPathClosed", STOP: "EVConnected,Authorized"}


@case(settings={**LATER, "TxCtrlr.StopTxOnInvalidId": "false", "TxCtrlr.MaxEnergyOnInvalidId": "10000"})
async def test_tc_c_15_cs_some_energy_for_an_invalid_token(rig: Rig201) -> None:
    await offline_start_then_refused(rig)
    await rig.silent("TransactionEvent", triggerReason="Deauthorized")
    assert rig.hardware.outlets[1].closed  # C15.FR.07


@case(settings={**LATER, "TxCtrlr.StopTxOnInvalidId": "true"})
async def test_tc_c_16_cs_stop_for_an_invalid_token(rig: Rig201) -> None:
    await offline_start_then_refused(rig)
    ended = await rig.event("Ended", "Deauthorized")  # C15.FR.04
    assert info(ended)["stoppedReason"] == "DeAuthorized"
    await rig.until(lambda: not rig.hardware.outlets[1].closed)
    assert rig.hardware.outlets[1].hold  # C15.FR.05


@case(settings={**LATER, "TxCtrlr.StopTxOnInvalidId": "false"})
async def test_tc_c_17_cs_no_energy_for_an_invalid_token(rig: Rig201) -> None:
    await offline_start_then_refused(rig)
    await rig.event("Updated", state="SuspendedEVSE")  # C15.FR.06
    await rig.until(lambda: not rig.hardware.outlets[1].closed)
    await rig.silent("TransactionEvent", eventType="Ended")


@case(settings={**LATER, "TxCtrlr.StopTxOnInvalidId": "true", "TxCtrlr.MaxEnergyOnInvalidId": "500"})
async def test_tc_c_18_cs_stop_for_an_invalid_token_whatever_energy_is_allowed(rig: Rig201) -> None:
    await offline_start_then_refused(rig)
    await rig.event("Ended", "Deauthorized")
    await rig.until(lambda: not rig.hardware.outlets[1].closed)


@case(settings={**AT_ONCE, START: "EVConnected", STOP: "EVConnected"})
async def test_a_transaction_that_goes_on_without_its_driver(rig: Rig201) -> None:
    """C15.FR.03"""
    await cached(rig)
    await plugged(rig)
    await rig.event("Started")
    await rig.go_offline()
    rig.hardware.tap("CARD", 1)
    await rig.until(lambda: rig.hardware.outlets[1].closed)
    rig.token("CARD", "Invalid")
    await rig.go_online()
    await rig.event("Updated", "Deauthorized")
    await rig.until(lambda: not rig.hardware.outlets[1].closed)
    await rig.silent("TransactionEvent", eventType="Ended")


@case(settings=AT_ONCE)
async def test_tc_c_32_cs_cache_persistent_over_reboot(rig: Rig201) -> None:
    await cached(rig)
    await rig.stop_agent()
    await rig.start_agent()
    await plugged(rig)
    rig.hardware.tap("CARD", 1)
    await charges(rig)  # C10.FR.02
    assert rig.sent("Authorize") == []


@case(settings=AT_ONCE)
async def test_tc_c_33_cs_cache_updated_by_authorize(rig: Rig201) -> None:
    await bad_in_cache(rig, "Blocked", then="Accepted")  # C10.FR.04
    rig.hardware.tap("CARD", 1)
    await rig.event("Ended")
    rig.mark()
    rig.hardware.tap("CARD", 1)
    await charges(rig)
    assert rig.sent("Authorize") == []


@case(settings=AT_ONCE)
async def test_tc_c_34_cs_cache_updated_by_transaction_event(rig: Rig201) -> None:
    await cached(rig)
    rig.token("CARD", "Blocked")
    await plugged(rig)
    rig.mark()
    rig.hardware.tap("CARD", 1)
    await rig.event("Started")
    await rig.event("Ended", "Deauthorized")
    assert rig.sent("Authorize") == []
    rig.hardware.unplug(1)
    await rig.status("Available")
    rig.hardware.tap("CARD", 1)
    await asked(rig)  # C10.FR.05, C12.FR.06


@case(settings={"AuthCtrlr.LocalPreAuthorize": "false"})
async def test_tc_c_36_cs_no_local_pre_authorisation(rig: Rig201) -> None:
    await cached(rig)
    await plugged(rig)
    rig.hardware.tap("CARD", 1)
    await asked(rig)
    await charges(rig)


@case(settings=AT_ONCE)
async def test_tc_c_37_cs_clear_cache(rig: Rig201) -> None:
    await cached(rig)
    assert int(await rig.variable("AuthCacheCtrlr", "Storage")) > 0
    assert await rig.call("ClearCache") == {"status": "Accepted"}  # C11.FR.03
    assert kept_tokens(rig) == {}
    assert await rig.variable("AuthCacheCtrlr", "Storage") == "0"
    await plugged(rig)
    rig.hardware.tap("CARD", 1)
    await asked(rig)


@case(settings={"AuthCacheCtrlr.Enabled": "false"})
async def test_tc_c_38_cs_clear_cache_while_disabled(rig: Rig201) -> None:
    answer = await rig.call("ClearCache")
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "NotEnabled")  # C11.FR.04


@case(settings={**AT_ONCE, "AuthCacheCtrlr.LifeTime": "1"})
async def test_tc_c_46_cs_cache_life_time(rig: Rig201) -> None:
    await cached(rig)
    await rig.until(lambda: life_is_over(rig, "card"))
    await plugged(rig)
    rig.hardware.tap("CARD", 1)
    await asked(rig)  # C10.FR.08, C10.FR.10


def life_is_over(rig: Rig201, key: str) -> bool:
    return bool(datetime.now(UTC).timestamp() > kept_tokens(rig)[key]["used_utc_s"] + 1)


@case(settings={**AT_ONCE, "AuthCacheCtrlr.LifeTime": "1"})
async def test_a_date_of_its_own_takes_the_place_of_the_life_time(rig: Rig201) -> None:
    """C10.FR.13"""
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    await cached(rig, cacheExpiryDateTime=later)
    await rig.until(lambda: life_is_over(rig, "card"))
    await plugged(rig)
    rig.mark()
    rig.hardware.tap("CARD", 1)
    await charges(rig)
    assert rig.sent("Authorize") == []


@case(settings={**AT_ONCE, "AuthCacheCtrlr.DisablePostAuthorize": "true"})
async def test_tc_c_57_cs_cache_without_post_authorisation(rig: Rig201) -> None:
    rig.token("CARD", "Invalid")
    rig.hardware.tap("CARD", 1)
    await asked(rig)
    await plugged(rig)
    rig.mark()
    rig.hardware.tap("CARD", 1)
    await refused(rig)
    assert rig.sent("Authorize") == []


# ---- C13: the list, offline ----------------------------------------------------------------------------------------


async def offline_with(rig: Rig201, told: str | dict[str, Any]) -> None:
    await listed(rig, CARD=told)
    await plugged(rig)
    await rig.go_offline()
    rig.hardware.tap("CARD", 1)


async def stays_closed_off(rig: Rig201) -> None:
    await rig.go_online()
    await refused(rig)


@case()
async def test_tc_c_21_cs_offline_list_accepted(rig: Rig201) -> None:
    await offline_with(rig, "Accepted")
    await rig.until(lambda: rig.hardware.outlets[1].closed)  # C13.FR.02
    await rig.go_online()
    assert (await rig.event("Started"))["offline"] is True


@case()
async def test_tc_c_22_cs_offline_list_invalid(rig: Rig201) -> None:
    await offline_with(rig, "Invalid")
    await stays_closed_off(rig)


@case()
async def test_tc_c_23_cs_offline_list_blocked(rig: Rig201) -> None:
    await offline_with(rig, "Blocked")
    await stays_closed_off(rig)


@case(settings={"AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"})
async def test_tc_c_24_cs_offline_list_expired(rig: Rig201) -> None:
    """C13.FR.05, C13.FR.06: what has expired is not unknown."""
    gone = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    await offline_with(rig, {"status": "Accepted", "cacheExpiryDateTime": gone})
    await stays_closed_off(rig)


@case()
async def test_tc_c_25_cs_offline_list_goes_before_the_cache(rig: Rig201) -> None:
    await cached(rig)
    await offline_with(rig, "Blocked")
    await stays_closed_off(rig)  # C13.FR.01


@case(settings={"AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"})
async def test_tc_c_26_cs_offline_unknown(rig: Rig201) -> None:
    await plugged(rig)
    await rig.go_offline()
    rig.hardware.tap("CARD", 1)
    await rig.until(lambda: rig.hardware.outlets[1].closed)  # C13.FR.04, C15.FR.08
    assert kept_tokens(rig) == {}  # C15.FR.01
    await rig.go_online()
    assert (await rig.event("Started"))["offline"] is True


# ---- C14: the list, online -----------------------------------------------------------------------------------------


@case(settings=AT_ONCE)
async def test_tc_c_27_cs_online_list_accepted(rig: Rig201) -> None:
    await listed(rig, CARD="Accepted")
    await plugged(rig)
    rig.hardware.tap("CARD", 1)
    await charges(rig)  # C14.FR.02, C14.FR.04
    assert rig.sent("Authorize") == []


async def bad_on_list(rig: Rig201, told: str | dict[str, Any], then: str) -> None:
    await listed(rig, CARD=told)
    rig.token("CARD", then)
    await plugged(rig)
    rig.hardware.tap("CARD", 1)
    await asked(rig)  # C14.FR.03
    if then == "Accepted":
        await charges(rig)
    else:
        await refused(rig)


@case(settings=AT_ONCE)
async def test_tc_c_28_cs_online_list_invalid_and_not_accepted(rig: Rig201) -> None:
    await bad_on_list(rig, "Invalid", "Invalid")


@case(settings=AT_ONCE)
async def test_tc_c_29_cs_online_list_blocked(rig: Rig201) -> None:
    await bad_on_list(rig, "Blocked", "Blocked")


@case(settings=AT_ONCE)
async def test_tc_c_30_cs_online_list_expired(rig: Rig201) -> None:
    gone = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    await bad_on_list(rig, {"status": "Accepted", "cacheExpiryDateTime": gone}, "Expired")  # C14.FR.05


@case(settings=AT_ONCE)
async def test_tc_c_31_cs_online_list_invalid_and_accepted(rig: Rig201) -> None:
    await bad_on_list(rig, "Invalid", "Accepted")


@case(settings={**AT_ONCE, "LocalAuthListCtrlr.DisablePostAuthorize": "true"})
async def test_tc_c_58_cs_list_without_post_authorisation(rig: Rig201) -> None:
    await listed(rig, CARD="Invalid")
    await plugged(rig)
    rig.hardware.tap("CARD", 1)
    await refused(rig)
    assert rig.sent("Authorize") == []


@case(settings={**AT_ONCE, "AuthCtrlr.DisableRemoteAuthorization": "true"})
async def test_tc_e_52_cs_disable_remote_authorisation(rig: Rig201) -> None:
    """AuthCtrlr.DisableRemoteAuthorization"""
    await listed(rig, CARD="Accepted", BAD="Blocked")
    await plugged(rig)
    for uid in ("UNKNOWN", "BAD"):
        rig.hardware.tap(uid, 1)
        await refused(rig)
    rig.hardware.tap("CARD", 1)
    await charges(rig)
    assert rig.sent("Authorize") == []


# ---- C16: master pass ----------------------------------------------------------------------------------------------


@case(settings=MASTER)
async def test_tc_c_45_cs_master_pass_starts_nothing(rig: Rig201) -> None:
    rig.token("COP", **POLICE)
    await plugged(rig)
    rig.hardware.tap("COP", 1)
    await asked(rig, "COP")
    await refused(rig)  # C16.FR.03
    remote = {"idToken": {"idToken": "COP", "type": "ISO14443"}, "remoteStartId": 1, "evseId": 1}
    assert (await rig.call("RequestStartTransaction", **remote))["status"] == "Rejected"  # C12.FR.09


@case(evses=2, settings=MASTER)
async def test_tc_c_49_cs_master_pass_ends_everything(rig: Rig201) -> None:
    rig.token("COP", **POLICE)
    both = {await rig.charge("ONE", 1), await rig.charge("TWO", 2)}
    rig.mark()
    rig.hardware.tap("COP", 1)
    await asked(rig, "COP")
    ended = [await rig.event("Ended", "StopAuthorized") for _ in range(2)]  # C16.FR.02
    assert {info(event)["transactionId"] for event in ended} == both
    assert {info(event)["stoppedReason"] for event in ended} == {"MasterPass"}
    await rig.until(lambda: not any(outlet.observation().locked for outlet in rig.hardware.outlets.values()))


@case(settings={**AT_ONCE, **MASTER})
async def test_a_master_pass_on_the_list(rig: Rig201) -> None:
    """C16.FR.05"""
    await listed(rig, COP={"status": "Accepted", **POLICE})
    await rig.charge()
    rig.mark()
    rig.hardware.tap("COP", 1)
    assert info(await rig.event("Ended"))["stoppedReason"] == "MasterPass"
    assert rig.sent("Authorize") == []


@case(settings={"OCPPCommCtrlr.MessageTimeout": "1"})
async def test_a_network_that_says_nothing_is_as_one_that_is_away(rig: Rig201) -> None:
    rig.answer("Authorize", SILENCE)
    await listed(rig, CARD="Accepted")
    await plugged(rig)
    rig.hardware.tap("CARD", 1)
    await asked(rig)
    await charges(rig)


@case(versions=("ocpp2.1",), settings=AT_ONCE)
async def test_a_prepaid_card_charges_and_is_asked_about_each_time(rig: Rig201) -> None:
    """2.1 C17.FR.04, C17.FR.05"""
    at_once = datetime.now(UTC).isoformat()
    rig.token("CARD", cacheExpiryDateTime=at_once)
    await plugged(rig)
    rig.hardware.tap("CARD", 1)
    await asked(rig)
    await charges(rig)
    rig.hardware.tap("CARD", 1)
    await rig.event("Ended")
    rig.hardware.unplug(1)
    await rig.status("Available")
    await plugged(rig)
    rig.mark()
    rig.token("CARD", "NoCredit", cacheExpiryDateTime=at_once)
    rig.hardware.tap("CARD", 1)
    await asked(rig)
    await refused(rig)
