"""What OCPP 2.1 adds to transactions: bounds (E16) and going on after the power was off (E17)."""

from __future__ import annotations

from typing import Any

from tests.tc201.rig import Rig201, case

NEW = ("ocpp2.1",)
START, STOP = "TxCtrlr.TxStartPoint", "TxCtrlr.TxStopPoint"


def info(event: dict) -> dict:
    return event["transactionInfo"]


def bounded(rig: Rig201, **limit: Any) -> None:
    """The answer to the event that names the driver sets this bound."""
    rig.answer("TransactionEvent", lambda payload: {"transactionLimit": limit} if "idToken" in payload else {})


async def charging(rig: Rig201) -> None:
    rig.hardware.plug(1)
    await rig.status("Occupied")
    rig.hardware.tap("CARD", 1)
    await rig.event("Started")


@case(versions=NEW)
async def test_a_bound_of_energy_is_confirmed_and_kept(rig: Rig201) -> None:
    """E16.FR.03, E16.FR.05."""
    rig.hardware.set(1, power_w=400_000.0)
    bounded(rig, maxEnergy=50)
    await charging(rig)
    assert info(await rig.event("Updated", "LimitSet"))["transactionLimit"] == {"maxEnergy": 50}
    await rig.event("Updated", "EnergyLimitReached", "SuspendedEVSE")
    await rig.until(lambda: not rig.hardware.outlets[1].closed)
    await rig.silent("TransactionEvent")  # no further word of the same


@case(versions=NEW)
async def test_a_wider_bound_lets_energy_flow_again(rig: Rig201) -> None:
    """E16.FR.10, E16.FR.14."""
    bounded(rig, maxEnergy=0)
    await charging(rig)
    await rig.event("Updated", "EnergyLimitReached", "SuspendedEVSE")
    wider = iter([{"transactionLimit": {"maxEnergy": 1_000_000}}])
    rig.answer("TransactionEvent", lambda _payload: next(wider, {}))
    assert await rig.call("TriggerMessage", requestedMessage="TransactionEvent") == {"status": "Accepted"}
    assert info(await rig.event("Updated", "LimitSet"))["transactionLimit"] == {"maxEnergy": 1_000_000}
    await rig.event("Updated", "ChargingStateChanged", "Charging")


@case(versions=NEW, settings={STOP: "EnergyTransfer,EVConnected"})
async def test_a_bound_of_time_ends_where_energy_is_a_stop_point(rig: Rig201) -> None:
    """E16.FR.06, E16.FR.09."""
    bounded(rig, maxTime=1)
    await charging(rig)
    await rig.event("Updated", "LimitSet")
    ended = await rig.event("Ended", "TimeLimitReached")
    assert info(ended)["stoppedReason"] == "TimeLimitReached"


@case(versions=NEW)
async def test_a_bound_of_cost_follows_what_the_network_says(rig: Rig201) -> None:
    """E16.FR.11, E16.FR.15."""

    def answer(payload: dict) -> dict:
        if "idToken" in payload:
            return {"transactionLimit": {"maxCost": 5.0}, "totalCost": 1.0}
        return {"totalCost": 5.25} if info(payload).get("chargingState") == "Charging" else {}

    rig.answer("TransactionEvent", answer)
    await charging(rig)
    assert info(await rig.event("Updated", "LimitSet"))["transactionLimit"] == {"maxCost": 5.0}
    await rig.event("Updated", "CostLimitReached", "SuspendedEVSE")


@case(versions=NEW)
async def test_a_bound_that_cannot_be_kept_is_not_confirmed(rig: Rig201) -> None:
    """E16.FR.13: nothing here knows the state of charge."""
    bounded(rig, maxSoC=80)
    await charging(rig)
    await rig.event("Updated", state="Charging")
    assert not [event for event in rig.sent("TransactionEvent") if event["triggerReason"] == "LimitSet"]


@case(versions=NEW)
async def test_a_transaction_goes_on_when_the_power_is_back(rig: Rig201) -> None:
    """E17.FR.10, E17.FR.11, E17.FR.14."""
    transaction = await rig.charge()
    await rig.power_cut()
    await rig.power_back(wait=False)
    resumed = await rig.event("Updated", "TxResumed")
    assert info(resumed)["transactionId"] == transaction
    assert info(resumed)["chargingState"] == "Charging"
    await rig.until(lambda: rig.hardware.outlets[1].closed)


@case(versions=NEW, settings={"TxCtrlr.AllowEnergyTransferResumption": "false"})
async def test_a_transaction_that_goes_on_gives_no_energy_where_that_is_not_allowed(rig: Rig201) -> None:
    """E17.FR.12."""
    await rig.charge()
    await rig.power_cut()
    await rig.power_back(wait=False)
    assert info(await rig.event("Updated", "TxResumed"))["chargingState"] == "SuspendedEVSE"
    assert rig.hardware.outlets[1].permit is None
    rig.hardware.tap("CARD", 1)
    await rig.event("Ended", "StopAuthorized")


@case(versions=NEW, settings={"TxCtrlr.ResumptionTimeout": "0"})
async def test_a_transaction_that_does_not_go_on_ends_for_the_power(rig: Rig201) -> None:
    """E17.FR.20, E17.FR.21."""
    await rig.charge()
    await rig.power_cut()
    await rig.power_back(wait=False)
    assert info(await rig.event("Ended", "AbnormalCondition"))["stoppedReason"] == "PowerLoss"


@case(versions=NEW, settings={START: "EVConnected"})
async def test_one_without_a_driver_goes_on_as_well(rig: Rig201) -> None:
    """E17.FR.13."""
    rig.hardware.plug(1)
    started = await rig.event("Started")
    await rig.power_cut()
    await rig.power_back(wait=False)
    resumed = await rig.event("Updated", "TxResumed", "EVConnected")
    assert info(resumed)["transactionId"] == info(started)["transactionId"]
    assert rig.hardware.outlets[1].permit is None
