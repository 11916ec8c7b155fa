"""OCPP 2.0.1 certification cases of block I: tariff and cost (part 6, TC_I_…_CS)."""

from __future__ import annotations

from typing import Any

from tests.tc201.rig import Rig201, case

TARIFF, NEW_TARIFF = "0.30 per kWh", "0.32 per kWh"


def content(text: str, **more: Any) -> dict[str, Any]:
    return {"format": "UTF8", "content": text, **more}


def price(rig: Rig201, evse: int = 1) -> dict[str, Any]:
    """What the driver reads at an EVSE; empty for nothing."""
    assert rig.app is not None
    (found,) = [each for each in rig.app.status()["evses"] if each["id"] == evse]
    return dict(found.get("price") or {})


def answer_events(rig: Rig201, answers: dict[str, dict[str, Any]]) -> None:
    """Answer each eventType so."""

    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        told = answers.get(payload["eventType"], {})
        return {**told, **({"idTokenInfo": {"status": "Accepted"}} if "idToken" in payload else {})}

    rig.answer("TransactionEvent", answer)


async def ended(rig: Rig201) -> None:
    rig.hardware.tap("CARD", 1)
    await rig.event("Ended")


@case()
async def test_tc_i_01_cs_running_cost_by_cost_updated(rig: Rig201) -> None:
    rig.token("CARD", personalMessage=content(TARIFF))
    answer_events(rig, {"Updated": {"updatedPersonalMessage": content(NEW_TARIFF)}})
    rig.hardware.plug(1)
    await rig.status("Occupied")
    rig.hardware.tap("CARD", 1)
    await rig.expect("Authorize")
    charging = await rig.event(state="Charging")
    transaction = charging["transactionInfo"]["transactionId"]
    await rig.until(lambda: price(rig).get("text") == NEW_TARIFF)
    for cost in (1.25, 2.5):
        assert await rig.call("CostUpdated", totalCost=cost, transactionId=transaction) == {}
        assert float(price(rig)["running_cost"]) == cost


@case()
async def test_tc_i_02_cs_final_cost(rig: Rig201) -> None:
    await rig.configure(TariffCostCtrlr__Currency="EUR")
    answer_events(rig, {"Ended": {"totalCost": 3.31}})
    await rig.charge()
    await ended(rig)
    await rig.until(lambda: price(rig).get("final_cost") == "3.310")
    assert price(rig)["currency"] == "EUR"


@case()
async def test_tc_i_07_cs_running_cost_by_transaction_event(rig: Rig201) -> None:
    rig.token("CARD", personalMessage=content(TARIFF))
    answer_events(rig, {"Updated": {"updatedPersonalMessage": content(NEW_TARIFF), "totalCost": 0.5}})
    await rig.charge()
    await rig.until(lambda: price(rig).get("running_cost") == "0.500")
    assert price(rig)["text"] == NEW_TARIFF
    answer_events(rig, {"Updated": {"totalCost": 0.75}})
    assert await rig.call("TriggerMessage", requestedMessage="TransactionEvent", evse={"id": 1}) == {
        "status": "Accepted"
    }
    await rig.until(lambda: price(rig).get("running_cost") == "0.750")


# ---- beyond the cases --------------------------------------------------------------------------------------------


@case()
async def test_the_price_of_a_driver_is_shown_before_the_plug_is_in(rig: Rig201) -> None:
    """I01.FR.03"""
    rig.token("CARD", personalMessage=content(TARIFF))
    rig.hardware.tap("CARD", 1)
    await rig.until(lambda: price(rig).get("text") == TARIFF)


@case()
async def test_free_is_a_cost_of_nothing_and_no_cost_is_none(rig: Rig201) -> None:
    """I03.FR.04"""
    answer_events(rig, {"Ended": {"totalCost": 0.0}})
    await rig.charge()
    await ended(rig)
    await rig.until(lambda: price(rig).get("final_cost") == "0.000")
    rig.hardware.unplug(1)
    await rig.status("Available")
    answer_events(rig, {})
    await rig.charge()
    await ended(rig)
    assert price(rig).get("final_cost") is None


@case()
async def test_fallback_where_the_driver_has_no_price(rig: Rig201) -> None:
    """I04.FR.01"""
    await rig.configure(TariffCostCtrlr__TariffFallbackMessage="Ask at the desk")
    assert price(rig) == {}
    await rig.charge()
    assert price(rig)["text"] == "Ask at the desk"
    await rig.configure(TariffCostCtrlr__OfflineTariffFallbackMessage="No price now")
    await rig.go_offline()
    assert price(rig)["text"] == "No price now"


@case()
async def test_fallback_where_the_end_was_not_heard(rig: Rig201) -> None:
    """I05.FR.02; what the network says of it later is shown to nobody (I03.FR.03)."""
    answer_events(rig, {"Ended": {"totalCost": 3.31}})
    await rig.configure(TariffCostCtrlr__TotalCostFallbackMessage="See your bill")
    await rig.charge()
    await rig.go_offline()
    rig.hardware.tap("CARD", 1)
    await rig.until(lambda: price(rig).get("final_text") == "See your bill")
    assert price(rig)["final_cost"] is None
    await rig.stop_agent()
    await rig.start_agent(wait=False)
    assert price(rig).get("final_text") == "See your bill"
    await rig.go_online()
    await rig.event("Ended", offline=True)
    assert price(rig).get("final_cost") is None


@case(versions=("ocpp2.1",))
async def test_the_price_in_the_language_of_the_driver(rig: Rig201) -> None:
    rig.token("CARD", language1="de", personalMessage=content(TARIFF, language="en"))
    more = [content("0,32 je kWh", language="de")]
    told = {"updatedPersonalMessage": content(NEW_TARIFF, language="en"), "updatedPersonalMessageExtra": more}
    answer_events(rig, {"Updated": told})
    await rig.charge()
    await rig.until(lambda: price(rig).get("text") == "0,32 je kWh")


@case()
async def test_currency_is_a_code(rig: Rig201) -> None:
    assert await rig.set_variable("TariffCostCtrlr", "Currency", "euro") == "Rejected"
    await rig.configure(TariffCostCtrlr__Currency="CHF")
    assert await rig.variable("TariffCostCtrlr", "Currency") == "CHF"
