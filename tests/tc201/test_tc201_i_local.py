"""OCPP 2.1, local cost calculation over a real websocket: tariffs set, told, cleared, changed; what they cost."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from agent.ocpp.times import time_text
from tests.tc201.rig import Rig201, case
from tests.tc201.test_tc201_i import price

V21 = ("ocpp2.1",)
RUNNING = {"TariffCostCtrlr.Enabled[RunningCost]": "true", "TariffCostCtrlr.Interval[Cost]": "1"}


def tariff(number: str = "T1", per_kwh: float = 0.5, **more: Any) -> dict[str, Any]:
    taxes = [{"type": "vat", "tax": 20}]
    return {
        "tariffId": number,
        "currency": "EUR",
        "energy": {"prices": [{"priceKwh": per_kwh}], "taxRates": taxes},
        "fixedFee": {"prices": [{"priceFixed": 1.0}]},
        **more,
    }


async def put(rig: Rig201, told: dict[str, Any], evse: int = 0) -> str:
    answer = await rig.call("SetDefaultTariff", evseId=evse, tariff=told)
    return str(answer["status"])


async def assigned(rig: Rig201, evse: int = 0) -> list[dict[str, Any]]:
    answer = await rig.call("GetTariffs", evseId=evse)
    return list(answer.get("tariffAssignments", ()))


async def end(rig: Rig201, uid: str = "CARD") -> dict[str, Any]:
    rig.hardware.tap(uid, 1)
    return await rig.event("Ended")


def check(cost: dict[str, Any], per_kwh: float = 0.5) -> None:
    """Costs add up, and come from the energy told beside them."""
    told, used = cost["totalCost"], cost["totalUsage"]
    assert abs(told["energy"]["exclTax"] - used["energy"] / 1000 * per_kwh) <= 0.0001
    assert abs(told["energy"]["inclTax"] - told["energy"]["exclTax"] * 1.2) <= 0.0002
    assert told["fixed"]["exclTax"] == 1.0
    for kind in ("exclTax", "inclTax"):
        parts = [told[name][kind] for name in ("energy", "fixed")]
        assert round(told["total"][kind], 4) == round(sum(parts), 4)
    assert told["currency"] == "EUR"


@case(versions=V21, evses=2)
async def test_default_tariffs(rig: Rig201) -> None:
    """I07, I09, I10"""
    assert await rig.call("GetTariffs", evseId=0) == {"status": "NoTariff"}
    assert await put(rig, tariff("T1")) == "Accepted"
    assert await put(rig, tariff("T1")) == "DuplicateTariffId"
    assert await put(rig, tariff("T2"), evse=2) == "Accepted"
    later = time_text(int(time.time()) + 3600)
    assert await put(rig, tariff("T3", validFrom=later), evse=1) == "Accepted"
    one = {"tariffId": "T1", "tariffKind": "DefaultTariff", "evseIds": [1]}
    three = {"tariffId": "T3", "tariffKind": "DefaultTariff", "evseIds": [1], "validFrom": later}
    two = {"tariffId": "T2", "tariffKind": "DefaultTariff", "evseIds": [2]}
    assert await assigned(rig) == [one, three, two]
    assert await assigned(rig, 2) == [two]
    assert (await rig.call("GetTariffs", evseId=3))["status"] == "Rejected"
    await rig.stop_agent()
    await rig.start_agent()
    assert await assigned(rig) == [one, three, two]
    cleared = await rig.call("ClearTariffs", tariffIds=["T3", "T2"], evseId=1)
    assert cleared == {"clearTariffsResult": [{"tariffId": "T3", "status": "Accepted"}]}
    cleared = await rig.call("ClearTariffs")
    assert [each["tariffId"] for each in cleared["clearTariffsResult"]] == ["T1", "T2"]
    assert await rig.call("ClearTariffs") == {"clearTariffsResult": [{"status": "NoTariff"}]}


@case(versions=V21)
async def test_tariffs_that_are_refused(rig: Rig201) -> None:
    """I07.FR.01, FR.02, FR.05, FR.06"""
    assert await put(rig, tariff(), evse=7) == "Rejected"
    assert await put(rig, tariff(currency="xxx")) == "Rejected"
    many = {"prices": [{"priceKwh": 0.1}] * 51}
    assert await put(rig, tariff(energy=many)) == "TooManyElements"
    await rig.call(
        "SetVariables",
        setVariableData=[
            {
                "component": {"name": "TariffCostCtrlr"},
                "variable": {"name": "Enabled", "instance": "Tariff"},
                "attributeValue": "false",
            }
        ],
    )
    assert await rig.refused("SetDefaultTariff", evseId=0, tariff=tariff()) == "NotSupported"
    assert await rig.refused("ChangeTransactionTariff", transactionId="x", tariff=tariff()) == "NotSupported"


@case(versions=V21)
async def test_the_default_tariff_is_shown_used_and_its_cost_told_in_the_end(rig: Rig201) -> None:
    """I07.FR.14, FR.32, I12.FR.01, FR.04"""
    description = [{"format": "UTF8", "content": "0.60 per kWh"}]
    assert await put(rig, tariff(description=description)) == "Accepted"
    assert price(rig)["text"] == "0.60 per kWh"
    transaction = await rig.charge()
    await rig.until(lambda: float(price(rig)["running_cost"] or 0) > 1.0)
    assert await rig.call("ClearTariffs") == {"clearTariffsResult": [{"tariffId": "T1", "status": "Accepted"}]}
    ended = await end(rig)
    cost = ended["costDetails"]
    check(cost)
    assert cost["totalCost"]["typeOfCost"] == "NormalCost"
    assert {each["tariffId"] for each in cost["chargingPeriods"]} == {"T1"}
    events = [each for each in rig.sent("TransactionEvent") if each["transactionInfo"]["transactionId"] == transaction]
    told = [each["transactionInfo"].get("tariffId") for each in events]
    assert [each for each in told if each] == ["T1"], "once"
    assert not any("costDetails" in each for each in events[:-1])
    await rig.until(lambda: price(rig).get("final_cost") is not None)
    assert abs(float(price(rig)["final_cost"]) - cost["totalCost"]["total"]["inclTax"]) <= 0.0005


@case(versions=V21, settings=RUNNING)
async def test_running_cost(rig: Rig201) -> None:
    """I12.FR.02, FR.03"""
    assert await put(rig, tariff()) == "Accepted"
    await rig.charge()
    totals = []
    for _ in range(2):
        event = await rig.event("Updated", "RunningCost")
        check(event["costDetails"])
        assert "chargingPeriods" not in event["costDetails"]
        totals.append(event["costDetails"]["totalCost"]["total"]["exclTax"])
    assert totals[1] > totals[0] >= 1.0
    ended = await end(rig)
    assert ended["costDetails"]["totalCost"]["total"]["exclTax"] >= totals[1]


@case(versions=V21, evses=2)
async def test_the_tariff_of_a_driver(rig: Rig201) -> None:
    """I08, I09.FR.05, FR.06"""
    assert await put(rig, tariff("T1")) == "Accepted"

    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        return {"idTokenInfo": {"status": "Accepted"}, "tariff": tariff("OWN", 0.2)}

    rig.answer("Authorize", answer)
    rig.hardware.tap("CARD", 1)
    await rig.expect("Authorize")
    own = {"tariffId": "OWN", "tariffKind": "DriverTariff", "idTokens": ["CARD"]}
    async with asyncio.timeout(5):
        while own not in await assigned(rig):
            pass
    rig.hardware.plug(1)
    await rig.event(state="Charging")
    assert {**own, "evseIds": [1]} in await assigned(rig)
    ended = await end(rig)
    check(ended["costDetails"], 0.2)
    assert [each["tariffId"] for each in await assigned(rig)] == ["T1"]


@case(versions=V21)
async def test_a_tariff_is_changed_within_a_transaction(rig: Rig201) -> None:
    """I11"""
    told = {"tariff": tariff("T2", 2.0)}
    answer = await rig.call("ChangeTransactionTariff", transactionId="nobody's", **told)
    assert answer["status"] == "TxNotFound"
    assert await put(rig, tariff("T1")) == "Accepted"
    transaction = await rig.charge()
    dollars = tariff("T2", currency="USD")
    answer = await rig.call("ChangeTransactionTariff", transactionId=transaction, tariff=dollars)
    assert answer["status"] == "NoCurrencyChange"
    assert await rig.call("ChangeTransactionTariff", transactionId=transaction, **told) == {"status": "Accepted"}
    changed = await rig.event("Updated", "TariffChanged")
    assert changed["transactionInfo"]["tariffId"] == "T2"
    await rig.until(lambda: float(price(rig)["running_cost"] or 0) > 1.001)
    cost = (await end(rig))["costDetails"]
    assert [each["tariffId"] for each in cost["chargingPeriods"]] == ["T1", "T2"]
    volumes = [each["dimensions"][0]["volume"] for each in cost["chargingPeriods"]]
    assert abs(cost["totalCost"]["energy"]["exclTax"] - (volumes[0] * 0.5 + volumes[1] * 2.0) / 1000) <= 0.0001


@case(versions=V21)
async def test_a_charge_goes_on_over_a_restart_and_costs_what_it_used(rig: Rig201) -> None:
    assert await put(rig, tariff()) == "Accepted"
    await rig.charge()
    await rig.stop_agent()
    await rig.start_agent()
    ended = await end(rig)
    check(ended["costDetails"])


@case(versions=V21)
async def test_the_cost_of_a_charge_that_ended_while_the_network_was_away(rig: Rig201) -> None:
    assert await put(rig, tariff()) == "Accepted"
    await rig.charge()
    await rig.go_offline()
    rig.hardware.tap("CARD", 1)
    await rig.until(lambda: price(rig).get("final_cost") is not None)
    await rig.stop_agent()
    await rig.start_agent(wait=False)
    await rig.go_online()
    ended = await rig.event("Ended", offline=True)
    check(ended["costDetails"])


@case(versions=V21)
async def test_a_driver_who_does_not_accept_the_price(rig: Rig201) -> None:
    """I07.FR.30, FR.31"""
    assert rig.app is not None
    assert await put(rig, tariff()) == "Accepted"
    assert not rig.app.display.price_refused(1)
    rig.hardware.tap("CARD", 1)
    await rig.expect("Authorize")
    await rig.until(lambda: rig.app is not None and rig.app.display.price_refused(1))
    rig.hardware.plug(1)
    await rig.status("Occupied")
    await rig.silent("TransactionEvent", chargingState="Charging")
    rig.hardware.tap("CARD", 1)
    await rig.event(state="Charging")
    assert rig.app.display.price_refused(1)
    ended = await rig.event("Ended", "TariffNotAccepted")
    assert ended["transactionInfo"]["stoppedReason"] == "DeAuthorized"


@case(versions=V21)
async def test_a_tariff_of_a_driver_that_cannot_be_used(rig: Rig201) -> None:
    """I08.FR.30, FR.32, FR.35"""
    assert await put(rig, tariff("T1")) == "Accepted"
    told = [tariff("OWN", currency="xxx")]

    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        return {"idTokenInfo": {"status": "Accepted"}, "tariff": told[0]}

    rig.answer("Authorize", answer)
    await rig.charge()
    assert await rig.variable("TariffCostCtrlr", "Problem") == "true"
    event = await rig.expect("NotifyEvent", lambda told: told["eventData"][0]["component"]["name"] == "TariffCostCtrlr")
    assert (event["eventData"][0]["variable"]["name"], event["eventData"][0]["actualValue"]) == ("Problem", "true")
    check((await end(rig))["costDetails"])
    rig.hardware.unplug(1)
    await rig.status("Available")
    told[0] = tariff("OWN", 0.1)
    await rig.charge()
    assert await rig.variable("TariffCostCtrlr", "Problem") == "false"
    check((await end(rig))["costDetails"], 0.1)
