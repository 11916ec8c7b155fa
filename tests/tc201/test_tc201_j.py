"""OCPP 2.0.1 certification cases of block J: meter values (part 6, TC_J_…_CS)."""

from __future__ import annotations

import asyncio
import itertools
from datetime import datetime

from tests.tc201.books201 import registers_wh
from tests.tc201.rig import Rig201, case

REGISTER = "Energy.Active.Import.Register"
BOTH = f"{REGISTER},Voltage"


def contexts(event: dict) -> list[str]:
    return [sampled["context"] for value in event["meterValue"] for sampled in value["sampledValue"]]


def measurands(value: dict) -> set[str]:
    return {sampled["measurand"] for sampled in value["sampledValue"]}


def moments(values: list[dict]) -> list[float]:
    return [datetime.fromisoformat(value["timestamp"]).timestamp() for value in values]


async def unplugged(rig: Rig201) -> dict:
    """Reusable state ParkingBayUnoccupied; returns the end of the transaction."""
    rig.hardware.tap("CARD", 1)
    ended = await rig.event("Ended")
    rig.hardware.unplug(1)
    await rig.status("Available")
    return ended


@case(settings={"AlignedDataCtrlr.Interval": "1", "AlignedDataCtrlr.Measurands": BOTH})
async def test_tc_j_01_cs_aligned_with_no_transaction(rig: Rig201) -> None:
    found = [await rig.expect("MeterValues", evseId=1) for _ in range(3)]
    for message in found:
        assert set(contexts(message)) == {"Sample.Clock"}
        assert measurands(message["meterValue"][0]) == {REGISTER, "Voltage"}
    times = moments([message["meterValue"][0] for message in found])
    assert [round(after - before, 3) for before, after in itertools.pairwise(times)] == [1.0, 1.0]
    assert all(at % 1 == 0 for at in times)


@case(settings={"AlignedDataCtrlr.Interval": "1"})
async def test_tc_j_02_cs_aligned_in_a_transaction(rig: Rig201) -> None:
    await rig.charge()
    for _ in range(2):
        event = await rig.event("Updated", "MeterValueClock")
        assert contexts(event) == ["Sample.Clock"]
        assert event["meterValue"][0]["timestamp"] == event["timestamp"]


@case(
    settings={
        "AlignedDataCtrlr.TxEndedInterval": "1",
        "AlignedDataCtrlr.TxEndedMeasurands": REGISTER,
        "SampledDataCtrlr.TxEndedMeasurands": "",
    }
)
async def test_tc_j_03_cs_aligned_in_the_end(rig: Rig201) -> None:
    await rig.charge()
    await asyncio.sleep(2.3)
    ended = await unplugged(rig)
    assert set(contexts(ended)) == {"Sample.Clock"}
    times = moments(ended["meterValue"])
    assert len(times) >= 2
    assert [round(after - before) for before, after in itertools.pairwise(times)] == [1] * (len(times) - 1)


@case(settings={"AlignedDataCtrlr.Interval": "1", "AlignedDataCtrlr.SendDuringIdle": "true"})
async def test_tc_j_06_cs_aligned_only_while_idle(rig: Rig201) -> None:
    """J01.FR.20."""
    await rig.expect("MeterValues")
    await rig.charge()
    rig.mark()
    await asyncio.sleep(1.5)
    assert not rig.sent("MeterValues")
    assert not [event for event in rig.sent("TransactionEvent") if "meterValue" in event]
    await unplugged(rig)
    await rig.expect("MeterValues")


@case(settings={"TxCtrlr.TxStartPoint": "EVConnected", "SampledDataCtrlr.TxStartedMeasurands": BOTH})
async def test_tc_j_07_cs_started_with_the_evse_known(rig: Rig201) -> None:
    rig.hardware.plug(1)
    started = await rig.event("Started")
    assert set(contexts(started)) == {"Transaction.Begin"}
    assert measurands(started["meterValue"][0]) == {REGISTER, "Voltage"}


@case(settings={"TxCtrlr.TxStartPoint": "Authorized", "SampledDataCtrlr.TxStartedMeasurands": BOTH})
async def test_tc_j_08_cs_started_with_the_evse_unknown(rig: Rig201) -> None:
    """E01.FR.17: where the vehicle comes later."""
    rig.hardware.tap("CARD", 1)
    assert "meterValue" not in await rig.event("Started")
    rig.hardware.plug(1)
    joined = await rig.event("Updated", where=lambda event: "evse" in event)
    assert set(contexts(joined)) == {"Transaction.Begin"}
    assert measurands(joined["meterValue"][0]) == {REGISTER, "Voltage"}


@case(settings={"SampledDataCtrlr.TxUpdatedInterval": "1", "SampledDataCtrlr.TxUpdatedMeasurands": BOTH})
async def test_tc_j_09_cs_updated(rig: Rig201) -> None:
    await rig.charge()
    found = [await rig.event("Updated", "MeterValuePeriodic") for _ in range(3)]
    for event in found:
        assert set(contexts(event)) == {"Sample.Periodic"}
        assert measurands(event["meterValue"][0]) == {REGISTER, "Voltage"}
        assert event["meterValue"][0]["timestamp"] == event["timestamp"]  # J02.FR.10
    times = moments([event["meterValue"][0] for event in found])
    assert all(0.5 < after - before < 1.5 for before, after in itertools.pairwise(times))
    registers = [wh for event in found for wh in registers_wh(event)]
    assert registers == sorted(registers)  # J02.FR.16


@case(settings={"SampledDataCtrlr.TxEndedInterval": "1", "SampledDataCtrlr.TxEndedMeasurands": BOTH})
async def test_tc_j_10_cs_ended(rig: Rig201) -> None:
    await rig.charge()
    await asyncio.sleep(2.3)
    ended = await unplugged(rig)
    kinds = [value["sampledValue"][0]["context"] for value in ended["meterValue"]]
    assert kinds[0] == "Transaction.Begin"
    assert kinds[-1] == "Transaction.End"
    assert set(kinds[1:-1]) == {"Sample.Periodic"}
    assert all(measurands(value) == {REGISTER, "Voltage"} for value in ended["meterValue"])
    times = moments(ended["meterValue"][:-1])
    assert all(0.5 < after - before < 1.5 for before, after in itertools.pairwise(times))


# ---- beyond the cases ----------------------------------------------------------------------------------------------


@case(settings={"SampledDataCtrlr.TxEndedMeasurands": REGISTER})
async def test_with_no_interval_the_end_has_begin_and_end_alone(rig: Rig201) -> None:
    await rig.charge()
    await asyncio.sleep(0.5)
    ended = await unplugged(rig)
    assert contexts(ended) == ["Transaction.Begin", "Transaction.End"]


@case()
async def test_start_and_end_tell_the_register_whatever_the_lists_say(rig: Rig201) -> None:
    rig.hardware.plug(1)
    await rig.status("Occupied")
    rig.hardware.tap("CARD", 1)
    started = await rig.event("Started")
    assert registers_wh(started, "Transaction.Begin") == [12_000]
    await rig.event("Updated", state="Charging")
    ended = await unplugged(rig)
    assert registers_wh(ended, "Transaction.End") == [float(int(rig.hardware.outlets[1].energy_wh))]
