"""Prices and costs of OCA's "California Pricing" over OCPP 1.6, each over a real websocket."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.tc16.rig import Rig, case

VENDOR = "org.openchargealliance.costmsg"
TEXT = "0.30 $/kWh, idle fee 1 $/h"


async def send(rig: Rig, message: str, data: Any) -> str:
    text = data if isinstance(data, str) else json.dumps(data)
    return str((await rig.call("DataTransfer", vendorId=VENDOR, messageId=message, data=text))["status"])


def at(after_s: float = 0.0) -> str:
    return datetime.fromtimestamp(datetime.now(UTC).timestamp() + after_s, UTC).isoformat(timespec="milliseconds")


def running(rig: Rig, number: int, **fields: Any) -> dict[str, Any]:
    return {
        "transactionId": number,
        "timestamp": at(),
        "meterValue": int(rig.hardware.outlets[1].energy_wh),
        "cost": 1.00,
        "state": "Charging",
        "chargingPrice": {"kWhPrice": 100},
        **fields,
    }


def price(rig: Rig) -> dict[str, Any] | None:
    assert rig.app is not None
    shown = rig.app.status()["evses"][0].get("price")
    return dict(shown) if shown is not None else None


def cost(rig: Rig) -> Decimal:
    shown = price(rig)
    assert shown is not None
    return Decimal(shown["running_cost"])


@case(settings={"SupportedLanguages": "en,nl"})
async def test_the_price_of_a_driver_is_shown_in_the_language_of_the_display(rig: Rig) -> None:
    rig.hardware.plug()
    await rig.status("Preparing")
    user = {
        "idToken": "CARD",
        "priceText": TEXT,
        "priceTextExtra": [
            {"format": "UTF8", "language": "nl", "content": "0,30 $/kWh\x1b[2J"},
            {"format": "HTML", "language": "en", "content": "<b>"},
        ],
    }
    assert await send(rig, "SetUserPrice", user) == "Accepted"
    assert price(rig) is None, "nobody's price before he is there"
    rig.hardware.tap("CARD")
    await rig.status("Charging")
    shown = price(rig)
    assert shown is not None
    assert (shown["text"], shown["running_cost"]) == (TEXT, None)
    await rig.configure(Language="nl")
    assert price(rig) == {**shown, "text": "0,30 $/kWh [2J"}
    await rig.configure(CustomMultiLanguageMessages="false")
    assert price(rig) == shown
    await rig.configure(CustomDisplayCostAndPrice="false")
    assert price(rig) is None
    assert await send(rig, "SetUserPrice", user) == "Rejected"


@case()
async def test_the_cost_goes_on_from_the_meter_until_the_network_speaks_again(rig: Rig) -> None:
    number = await rig.charge()
    rig.hardware.outlets[1].power_w = 11_000_000.0
    assert await send(rig, "RunningCost", running(rig, number)) == "Accepted"
    await rig.until(lambda: cost(rig) > 2)
    await rig.configure(NumberOfDecimalsForCostValues="1")
    shown = price(rig)
    assert shown is not None
    assert len(shown["running_cost"].partition(".")[2]) == 1
    before = cost(rig)
    update = running(rig, number, cost=float(before) + 50)
    assert await send(rig, "RunningCost", update) == "Accepted"
    assert cost(rig) >= before + 50
    rig.hardware.unplug()
    await rig.expect("StopTransaction")
    final = {"transactionId": number, "cost": 3.31, "priceText": "$3.31", "qrCodeText": "https://cpo.example/1"}
    assert await send(rig, "FinalCost", final) == "Accepted"
    shown = price(rig)
    assert shown is not None
    assert (shown["final_cost"], shown["final_text"], shown["qr_text"]) == ("3.3", "$3.31", "https://cpo.example/1")


@case(settings={"CustomIdleFeeAfterStop": "true"})
async def test_idle_costs_after_the_grace_and_after_the_stop_until_unplugged(rig: Rig) -> None:
    number = await rig.charge()
    idle = {"graceMinutes": 0, "hourPrice": 360000}
    assert await send(rig, "RunningCost", running(rig, number, state="Idle", idlePrice=idle)) == "Accepted"
    await rig.until(lambda: cost(rig) > 5)
    grace = running(rig, number, state="Idle", idlePrice={**idle, "graceMinutes": 30})
    assert await send(rig, "RunningCost", grace) == "Accepted"
    assert cost(rig) == 1
    assert (await rig.call("RemoteStopTransaction", transactionId=number))["status"] == "Accepted"
    await rig.expect("StopTransaction")
    short = {"transactionId": number, "timestamp": at(), "cost": 2, "state": "Idle", "idlePrice": idle}
    assert await send(rig, "RunningCost", short) == "Accepted"
    await rig.until(lambda: cost(rig) > 6)
    rig.csms.data_transfer_vendors.add(VENDOR)
    rig.hardware.unplug()
    told = await rig.expect("DataTransfer")
    assert (told["vendorId"], told["messageId"]) == (VENDOR, "ConnectorUnplugged")
    data = json.loads(told["data"])
    assert data["transactionId"] == number
    assert datetime.fromisoformat(data["timestamp"]).tzinfo is not None
    ended = cost(rig)
    await rig.silent("DataTransfer")
    assert cost(rig) == ended, "nothing is added once the vehicle has left"


@case(settings={"CustomIdleFeeAfterStop": "true"})
async def test_unplugged_offline_is_told_when_the_network_is_back(rig: Rig) -> None:
    number = await rig.charge()
    rig.csms.data_transfer_vendors.add(VENDOR)
    await rig.go_offline()
    rig.hardware.unplug()
    await rig.until(lambda: rig.app is not None and rig.app.status()["evses"][0]["status"] == "Available")
    await rig.go_online()
    await rig.expect("StopTransaction", transactionId=number)
    assert json.loads((await rig.expect("DataTransfer"))["data"])["transactionId"] == number


@case()
async def test_no_word_of_unplugging_unless_wanted(rig: Rig) -> None:
    await rig.charge()
    rig.hardware.unplug()
    await rig.expect("StopTransaction")
    await rig.silent("DataTransfer")


def test_the_next_period_comes_by_itself_and_survives_a_restart(tmp_path: Any) -> None:
    @case()
    async def scenario(rig: Rig) -> None:
        number = await rig.charge()
        later = {"atTime": at(0.3), "chargingPrice": {"flatFee": 40}}
        told = running(rig, number, chargingPrice={"kWhPrice": 0}, nextPeriod=later)
        assert await send(rig, "RunningCost", told) == "Accepted"
        assert cost(rig) in (1, 41)
        await rig.until(lambda: cost(rig) == 41)
        await rig.power_cut()
        await rig.power_back()
        assert cost(rig) == 41
        assert await send(rig, "RunningCost", running(rig, number, cost=7, chargingPrice={})) == "Accepted"
        assert cost(rig) == 7

    scenario(tmp_path)


@pytest.mark.parametrize("trigger", ["atTime", "atEnergykWh", "atPowerkW", "atCPStatus"])
def test_a_meter_value_is_sent_when_the_network_wants_one(trigger: str, tmp_path: Any) -> None:
    @case()
    async def scenario(rig: Rig) -> None:
        number = await rig.charge()
        outlet = rig.hardware.outlets[1]
        wanted = {"atTime": at(0.3), "atEnergykWh": 5.0, "atPowerkW": 8.0, "atCPStatus": ["SuspendedEV"]}[trigger]
        told = running(rig, number, triggerMeterValue={trigger: wanted})
        rig.mark()
        assert await send(rig, "RunningCost", told) == "Accepted"
        if trigger != "atTime":
            await rig.silent("MeterValues")
        if trigger == "atEnergykWh":
            outlet.energy_wh += 5000
        elif trigger == "atPowerkW":
            outlet.power_w = 7900.0
            await rig.silent("MeterValues")  # within the hysteresis
            outlet.power_w = 7000.0
        elif trigger == "atCPStatus":
            outlet.wants = False
        values = await rig.expect("MeterValues")
        assert (values["connectorId"], values["transactionId"]) == (1, number)
        assert {sample["context"] for sample in values["meterValue"][0]["sampledValue"]} == {"Trigger"}
        await rig.silent("MeterValues")
        if trigger == "atPowerkW":
            outlet.power_w = 9000.0
            await rig.expect("MeterValues")

    scenario(tmp_path)


DEFAULT = {
    "priceText": "0.15 $/kWh",
    "priceTextOffline": "Offline: 0.15 $/kWh",
    "chargingPrice": {"kWhPrice": 0.15, "flatFee": 2},
}


@case(settings={"AllowOfflineTxForUnknownId": "true", "SupportedLanguages": "en,nl"})
async def test_the_default_price_is_for_everybody_and_for_charges_begun_offline(rig: Rig) -> None:
    assert price(rig) is None
    await rig.configure(DefaultPrice=json.dumps(DEFAULT), **{"DefaultPriceText,nl": '{"priceText": "0,15 $ per kWh"}'})
    shown = price(rig)
    assert shown is not None
    assert shown["text"] == "0.15 $/kWh"
    await rig.configure(Language="nl")
    assert (price(rig) or {})["text"] == "0,15 $ per kWh"
    assert json.loads(await rig.configuration("DefaultPriceText,nl")) == {"priceText": "0,15 $ per kWh"}
    bad = await rig.call("ChangeConfiguration", key="DefaultPriceText,nl", value="{}")
    assert bad == {"status": "Rejected"}
    none = await rig.call("ChangeConfiguration", key="DefaultPriceText,tlh", value='{"priceText": "x"}')
    assert none == {"status": "NotSupported"}
    await rig.configure(Language="en")
    await rig.go_offline()
    assert (price(rig) or {})["text"] == "Offline: 0.15 $/kWh"
    rig.hardware.plug()
    rig.hardware.tap("CARD")
    rig.hardware.outlets[1].power_w = 11_000_000.0
    await rig.until(lambda: (price(rig) or {})["running_cost"] is not None)
    await rig.until(lambda: cost(rig) > Decimal("2.1"))
    await rig.go_online()
    await rig.expect("StartTransaction")


@case()
async def test_what_is_not_right_is_rejected_and_changes_nothing(rig: Rig) -> None:
    number = await rig.charge()
    good = running(rig, number, chargingPrice={})
    assert await send(rig, "RunningCost", good) == "Accepted"
    bad: list[Any] = [
        "",
        "[]",
        "{",
        "[" * 5000,
        json.dumps(good).replace("1.0", "NaN"),
        json.dumps(good).replace("1.0", "1e999999999"),
        {**good, "cost": -1},
        {**good, "cost": "1"},
        {**good, "cost": True},
        {**good, "transactionId": number + 999},
        {**good, "transactionId": 1.5},
        {**good, "timestamp": "noon"},
        {**good, "state": "Resting"},
        {**good, "meterValue": -5},
        {**good, "chargingPrice": {"kWhPrice": -0.1}},
        {**good, "chargingPrice": None},
        {**good, "idlePrice": {"graceMinutes": 10**6}},
        {**good, "nextPeriod": {"atTime": at()}},
        {**good, "triggerMeterValue": {"atCPStatus": ["Asleep"]}},
        {**good, "triggerMeterValue": []},
    ]
    for data in bad:
        assert await send(rig, "RunningCost", data) == "Rejected", data
    assert cost(rig) == 1
    assert await send(rig, "FinalCost", {"transactionId": number}) == "Rejected"
    assert await send(rig, "SetUserPrice", {"idToken": "", "priceText": "x"}) == "Rejected"
    assert await send(rig, "SetUserPrice", {"idToken": "CARD"}) == "Rejected"
    assert await send(rig, "Nonsense", {}) == "UnknownMessageId"


@case()
async def test_the_clock_of_the_display_follows_its_offsets(rig: Rig) -> None:
    assert rig.app is not None
    assert rig.app.status()["clock"]["local"].endswith("+00:00")
    await rig.configure(TimeOffset="-05:00", TimeOffsetNextTransition="-04:00")
    assert rig.app.status()["clock"]["local"].endswith("-05:00")
    await rig.configure(NextTimeOffsetTransitionDateTime=at(3600))
    assert rig.app.status()["clock"]["local"].endswith("-05:00")
    await rig.configure(NextTimeOffsetTransitionDateTime=at(-1))
    assert rig.app.status()["clock"]["local"].endswith("-04:00")
