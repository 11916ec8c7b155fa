"""A CSMS that others wrote (npm ocpp-rpc, strict mode) is the referee: it checks both directions by its own schemas."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import agent.clock
from tests.referee.referee import Referee as Process
from tests.referee.referee import installed
from tests.tc16.rig import Rig


class Referee(Process):
    """With a word for the statuses of 1.6."""

    async def status(self, word: str, connector: int = 1) -> None:
        await self.expect("StatusNotification", lambda p: p["connectorId"] == connector and p["status"] == word)


def at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds").replace("+00:00", "Z")


def profile(number: int, purpose: str, **more: Any) -> dict[str, Any]:
    schedule = {
        "duration": 3600,
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}, {"startPeriod": 60, "limit": 10.5}],
        "startSchedule": at(-5),
    }
    kind = {"chargingProfileKind": "Absolute", "stackLevel": 1, "chargingSchedule": schedule}
    return {"chargingProfileId": number, "chargingProfilePurpose": purpose, **kind, **more}


async def configuration_and_triggers(csms: Referee) -> None:
    everything = await csms.call("GetConfiguration")
    assert len(everything["configurationKey"]) > 40
    some = await csms.call("GetConfiguration", key=["HeartbeatInterval", "NoSuchKey"])
    assert some["unknownKey"] == ["NoSuchKey"]
    await csms.accepted("ChangeConfiguration", key="MeterValueSampleInterval", value="1")
    await csms.accepted("ChangeConfiguration", key="LocalAuthListEnabled", value="true")
    words = await csms.call("ChangeConfiguration", key="NoSuchKey", value="1")
    assert words == {"status": "NotSupported"}
    assert await csms.call("TriggerMessage", requestedMessage="BootNotification") == {"status": "Rejected"}  # accepted
    for message in ("Heartbeat", "StatusNotification", "MeterValues"):
        await csms.accepted("TriggerMessage", requestedMessage=message)
        await csms.expect(message)
    for message in ("FirmwareStatusNotification", "DiagnosticsStatusNotification"):
        await csms.accepted("TriggerMessage", requestedMessage=message)
        await csms.expect(message)
    for message in ("LogStatusNotification", "FirmwareStatusNotification", "Heartbeat"):
        await csms.accepted("ExtendedTriggerMessage", requestedMessage=message)
        await csms.expect("SignedFirmwareStatusNotification" if message.startswith("Firm") else message)


async def lists_and_reservations(csms: Referee) -> None:
    listed = [{"idTag": "LISTED", "idTagInfo": {"status": "Accepted", "expiryDate": at(86_400), "parentIdTag": "P"}}]
    await csms.accepted("SendLocalList", listVersion=7, updateType="Full", localAuthorizationList=listed)
    assert await csms.call("GetLocalListVersion") == {"listVersion": 7}
    await csms.accepted("SendLocalList", listVersion=8, updateType="Differential", localAuthorizationList=[])
    await csms.accepted("ClearCache")
    await csms.accepted("ReserveNow", connectorId=2, expiryDate=at(600), idTag="CARD", reservationId=1)
    await csms.status("Reserved", 2)
    await csms.accepted("CancelReservation", reservationId=1)
    await csms.status("Available", 2)
    await csms.accepted("ChangeAvailability", connectorId=2, type="Inoperative")
    await csms.status("Unavailable", 2)
    await csms.accepted("ChangeAvailability", connectorId=2, type="Operative")
    await csms.status("Available", 2)


async def charges(rig: Rig, csms: Referee) -> None:
    """One begun and ended with a card, one from afar."""
    for number, purpose in ((1, "TxDefaultProfile"), (2, "ChargePointMaxProfile")):
        where = 0 if number == 2 else 1
        await csms.accepted("SetChargingProfile", connectorId=where, csChargingProfiles=profile(number, purpose))
    rig.hardware.plug(1)
    await csms.status("Preparing")
    rig.hardware.tap("CARD", 1)
    assert await csms.expect("Authorize") == {"idTag": "CARD"}
    start = await csms.expect("StartTransaction")
    assert (start["connectorId"], start["idTag"]) == (1, "CARD")
    await csms.status("Charging")
    values = await csms.expect("MeterValues", lambda p: p.get("transactionId") == 1)
    assert values["meterValue"]
    for unit in ("A", "W"):
        plan = await csms.call("GetCompositeSchedule", connectorId=1, duration=300, chargingRateUnit=unit)
        assert plan["status"] == "Accepted"
        assert plan["chargingSchedule"]["chargingSchedulePeriod"]
    await csms.accepted("ClearChargingProfile", id=1)
    await csms.accepted("ClearChargingProfile")
    rig.hardware.tap("CARD", 1)
    stop = await csms.expect("StopTransaction")
    assert stop["transactionId"] == 1
    assert stop["meterStop"] >= start["meterStart"]
    rig.hardware.unplug(1)
    await csms.status("Available")

    rig.hardware.plug(2)
    await csms.status("Preparing", 2)
    wanted = profile(3, "TxProfile")
    await csms.accepted("RemoteStartTransaction", connectorId=2, idTag="LISTED", chargingProfile=wanted)
    await csms.expect("StartTransaction", lambda p: p["idTag"] == "LISTED")
    await csms.status("Charging", 2)
    await csms.accepted("RemoteStopTransaction", transactionId=2)
    assert (await csms.expect("StopTransaction"))["reason"] == "Remote"
    assert await csms.call("UnlockConnector", connectorId=2) == {"status": "Unlocked"}
    rig.hardware.unplug(2)
    await csms.status("Available", 2)
    assert await csms.call("RemoteStopTransaction", transactionId=99) == {"status": "Rejected"}


async def security_and_files(csms: Referee) -> None:
    assert (await csms.call("GetInstalledCertificateIds", certificateType="CentralSystemRootCertificate"))["status"]
    assert (await csms.call("InstallCertificate", certificateType="CentralSystemRootCertificate", certificate="x"))[
        "status"
    ] in ("Rejected", "Failed")
    hashes = {"hashAlgorithm": "SHA256", "issuerNameHash": "00", "issuerKeyHash": "00", "serialNumber": "1"}
    assert await csms.call("DeleteCertificate", certificateHashData=hashes) == {"status": "NotFound"}
    assert await csms.call("CertificateSigned", certificateChain="x") == {"status": "Rejected"}
    log = {"remoteLocation": "ftp://127.0.0.1:9/x"}
    assert (await csms.call("GetLog", logType="SecurityLog", requestId=1, retries=0, log=log))["status"] == "Accepted"
    await csms.expect("LogStatusNotification", lambda p: p["status"] not in ("Uploading", "Idle"))
    assert "fileName" in await csms.call("GetDiagnostics", location="ftp://127.0.0.1:9/x", retries=0)
    await csms.expect("DiagnosticsStatusNotification", lambda p: p["status"] == "UploadFailed")
    answer = await csms.call("DataTransfer", vendorId="somebody", messageId="x", data="y")
    assert answer == {"status": "UnknownVendorId"}


def test_an_independent_csms_finds_no_fault(tmp_path: Path) -> None:
    folder = installed()

    async def story() -> None:
        csms = await Referee.start(folder)
        books: Any = SimpleNamespace(url=csms.url, frames=())  # it keeps none; ``Referee.calls`` has what came
        rig = Rig(tmp_path, books, evses=2)
        boot_id = agent.clock.boot_id
        rig.hardware.start()
        try:
            await rig.start_agent(wait=False)
            boot = await csms.expect("BootNotification")
            assert boot["chargePointVendor"] == "Nord"
            for connector in range(3):
                await csms.status("Available", connector)
            await configuration_and_triggers(csms)
            await lists_and_reservations(csms)
            await charges(rig, csms)
            await security_and_files(csms)
            await csms.accepted("Reset", type="Soft")
            assert await rig.agent_left() == 75
            await rig.start_agent(wait=False)
            await csms.expect("BootNotification")
        finally:
            await rig.stop_agent()
            rig.hardware.close()
            agent.clock.boot_id = boot_id
            await csms.close()
        assert not csms.faults, csms.faults
        assert len(csms.asked) >= 40
        assert {"Authorize", "Heartbeat", "MeterValues", "StartTransaction", "StopTransaction"} <= {
            action for action, _ in csms.calls
        }

    asyncio.run(story())
