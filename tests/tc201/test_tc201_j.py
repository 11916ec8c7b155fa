"""OCPP 2.0.1 certification cases of block J: meter values (part 6, TC_J_…_CS)."""

from __future__ import annotations

import asyncio
import base64
import itertools
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from agent.link.messages import EvseInfo, ToControl
from agent.link.signing import (
    BeginSigning,
    EndSigning,
    MeterClock,
    SignedKept,
    SignedSet,
    SigningReport,
    SignReading,
)
from tests.tc16.hardware import Hardware, Outlet
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


# ---- meters that sign ----------------------------------------------------------------------------------------------

SIGNED = {
    "SampledDataCtrlr.TxEndedMeasurands": REGISTER,
    "OCPPCommCtrlr.PublicKeyWithSignedMeterValue": "EveryMeterValue",
}


class SigningHardware(Hardware):
    """Its meter signs the begin and the end of each transaction, at once."""

    def __init__(self, path: Path, outlets: dict[int, Outlet]) -> None:
        super().__init__(path, outlets)
        self._signing = ""
        self._made = 0

    def _infos(self) -> tuple[EvseInfo, ...]:
        return tuple(replace(info, signs=True) for info in super()._infos())

    def _tell_all(self) -> None:
        super()._tell_all()
        self._report()

    def _report(self) -> None:
        self._send(SigningReport(1, time.monotonic(), True, True, KEY, self._signing, "", ""))

    def _take(self, message: ToControl) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(message, BeginSigning) and message.transaction != self._signing:
            self._signing = message.transaction
            loop.call_soon(self._sign, "begin")
        elif isinstance(message, SignReading):
            loop.call_soon(self._sign, "update")
        elif isinstance(message, EndSigning) and message.transaction == self._signing:
            loop.call_soon(self._sign, "end")
        elif not isinstance(message, BeginSigning | EndSigning | SignedKept | MeterClock):
            super()._take(message)

    def _sign(self, moment: str) -> None:
        self._made += 1
        text = f"OCMF|{{{self._made}}}|{{}}"
        signed = SignedSet(1, time.monotonic(), f"k{self._made}", self._signing, moment, text, "OCMF", "", KEY)
        if moment == "end":
            self._signing = ""
        self._report()
        self._send(signed)


KEY = "3059"


def signed_values(event: dict) -> list[dict]:
    found = [sampled for value in event["meterValue"] for sampled in value["sampledValue"]]
    return [sampled for sampled in found if "signedMeterValue" in sampled]


def look_at_signed(ended: dict, register_wh: float) -> None:
    signed = signed_values(ended)
    assert [one["context"] for one in signed] == ["Transaction.Begin", "Transaction.End"]
    assert [one["value"] for one in signed] == [12_000, register_wh]
    for one in signed:
        carried = one["signedMeterValue"]
        assert base64.b64decode(carried["signedMeterData"]).startswith(b"OCMF|")
        assert base64.b64decode(carried["publicKey"]) == b"oca:base16:asn1:3059"
        assert carried["encodingMethod"] == "OCMF"


@case(
    hardware=SigningHardware,
    settings=SIGNED | {"AlignedDataCtrlr.SignReadings": "true", "AlignedDataCtrlr.TxEndedInterval": "1"},
)
async def test_tc_j_04_cs_aligned_and_signed(rig: Rig201) -> None:
    await rig.charge()
    await asyncio.sleep(1.2)
    look_at_signed(await unplugged(rig), float(int(rig.hardware.outlets[1].energy_wh)))


@case(
    hardware=SigningHardware,
    settings=SIGNED
    | {
        "SampledDataCtrlr.SignReadings": "true",
        "SampledDataCtrlr.SignUpdatedReadings": "true",
        "SampledDataCtrlr.TxUpdatedInterval": "1",
    },
)
async def test_tc_j_11_cs_sampled_and_signed(rig: Rig201) -> None:
    await rig.charge()
    update = await rig.event("Updated", "MeterValuePeriodic", where=signed_values)
    (one,) = signed_values(update)
    assert one["context"] == "Sample.Periodic"
    look_at_signed(await unplugged(rig), float(int(rig.hardware.outlets[1].energy_wh)))


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
