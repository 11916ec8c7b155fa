"""The referee (npm ocpp-rpc, strict mode) under OCPP 2.0.1 and 2.1: it checks both directions by its own schemas."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import agent.clock
from tests.referee.referee import Referee, installed
from tests.tc201.rig import Rig201

EVSE = {"id": 1, "connectorId": 1}
HASHES = {"hashAlgorithm": "SHA256", "issuerNameHash": "00", "issuerKeyHash": "00", "serialNumber": "1"}


def at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds").replace("+00:00", "Z")


def token(text: str) -> dict[str, Any]:
    return {"idToken": text, "type": "ISO14443"}


def variable(component: str, name: str) -> dict[str, Any]:
    return {"component": {"name": component}, "variable": {"name": name}}


def profile(number: int, purpose: str, **more: Any) -> dict[str, Any]:
    schedule = {
        "id": number,
        "duration": 3600,
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}, {"startPeriod": 60, "limit": 10.5}],
        "startSchedule": at(-5),
    }
    kind = {"chargingProfileKind": "Absolute", "stackLevel": 1, "chargingSchedule": [schedule]}
    return {"id": number, "chargingProfilePurpose": purpose, **kind, **more}


class Game:
    """One station under the referee's eyes."""

    def __init__(self, rig: Rig201, csms: Referee) -> None:
        self.rig = rig
        self.csms = csms
        self.offered: set[str] = set()

    async def ask(self, action: str, **payload: Any) -> dict[str, Any] | None:
        answer = await self.csms.offered(action, **payload)
        if answer is not None:
            self.offered.add(action)
        return answer

    async def event(self, kind: str, **fields: Any) -> dict[str, Any]:
        def fits(payload: dict[str, Any]) -> bool:
            return payload["eventType"] == kind and all(payload.get(name) == value for name, value in fields.items())

        return await self.csms.expect("TransactionEvent", fits)

    async def device_model(self) -> None:
        await self.ask("GetVariables", getVariableData=[variable("ClockCtrlr", "DateTime"), variable("No", "Such")])
        interval = variable("SampledDataCtrlr", "TxUpdatedInterval") | {"attributeValue": "1"}
        await self.ask("SetVariables", setVariableData=[interval, variable("No", "Such") | {"attributeValue": "1"}])
        for number, base in enumerate(("ConfigurationInventory", "FullInventory", "SummaryInventory"), start=1):
            answer = await self.ask("GetBaseReport", requestId=number, reportBase=base)
            if answer == {"status": "Accepted"}:
                await self.csms.expect("NotifyReport", lambda p: not p.get("tbc", False))
        criteria = ["Available"]
        await self.ask("GetReport", requestId=9, componentCriteria=criteria)
        monitor = variable("EVSE", "Power") | {"value": 30_000.0, "type": "UpperThreshold", "severity": 4}
        monitor["component"] = {"name": "EVSE", "evse": {"id": 1}}
        await self.ask("SetVariableMonitoring", setMonitoringData=[monitor])
        await self.ask("GetMonitoringReport", requestId=10)
        await self.ask("SetMonitoringLevel", severity=5)
        await self.ask("SetMonitoringBase", monitoringBase="All")
        await self.ask("ClearVariableMonitoring", id=[1, 999])

    async def lists(self) -> None:
        listed = [
            {"idToken": token("LISTED"), "idTokenInfo": {"status": "Accepted", "cacheExpiryDateTime": at(86_400)}}
        ]
        await self.ask("SendLocalList", versionNumber=7, updateType="Full", localAuthorizationList=listed)
        await self.ask("GetLocalListVersion")
        await self.ask("ClearCache")
        for message in ("Heartbeat", "StatusNotification", "BootNotification"):
            await self.ask("TriggerMessage", requestedMessage=message)
        await self.ask("ReserveNow", id=1, expiryDateTime=at(600), idToken=token("CARD"), evseId=2)
        await self.ask("CancelReservation", reservationId=1)
        for status in ("Inoperative", "Operative"):
            await self.ask("ChangeAvailability", operationalStatus=status, evse={"id": 2})

    async def charge(self) -> None:
        """Begun and ended with a card; asked and limited meanwhile."""
        await self.ask("SetChargingProfile", evseId=1, chargingProfile=profile(1, "TxDefaultProfile"))
        await self.ask("SetChargingProfile", evseId=0, chargingProfile=profile(2, "ChargingStationMaxProfile"))
        self.rig.hardware.plug(1)
        self.rig.hardware.tap("CARD", 1)
        authorize = await self.csms.expect("Authorize")
        assert authorize["idToken"]["idToken"] == "CARD"
        started = await self.event("Started")
        charging = await self.csms.expect(
            "TransactionEvent", lambda p: p["transactionInfo"].get("chargingState") == "Charging"
        )
        transaction = started["transactionInfo"]["transactionId"]
        assert charging["transactionInfo"]["transactionId"] == transaction
        await self.ask("GetTransactionStatus", transactionId=transaction)
        for unit in ("A", "W"):
            await self.ask("GetCompositeSchedule", evseId=1, duration=300, chargingRateUnit=unit)
        await self.ask("GetChargingProfiles", requestId=3, chargingProfile={"chargingLimitSource": ["CSO"]})
        await self.ask("ClearChargingProfile", chargingProfileId=1)
        await self.ask("CostUpdated", totalCost=1.5, transactionId=transaction)
        await self.ask("UnlockConnector", evseId=1, connectorId=1)
        self.rig.hardware.tap("CARD", 1)
        ended = await self.event("Ended")
        assert ended["transactionInfo"]["transactionId"] == transaction
        assert ended["seqNo"] > charging["seqNo"] > started["seqNo"]
        self.rig.hardware.unplug(1)

    async def from_afar(self) -> None:
        self.rig.hardware.plug(2)
        answer = await self.ask("RequestStartTransaction", remoteStartId=5, idToken=token("AFAR"), evseId=2)
        if answer is not None:
            assert answer["status"] == "Accepted"
            started = await self.event("Started")
            answer = await self.ask("RequestStopTransaction", transactionId=started["transactionInfo"]["transactionId"])
            assert answer == {"status": "Accepted"}
            await self.event("Ended")
        self.rig.hardware.unplug(2)

    async def the_rest(self) -> None:
        await self.ask("GetInstalledCertificateIds")
        await self.ask("InstallCertificate", certificateType="CSMSRootCertificate", certificate="x")
        await self.ask("DeleteCertificate", certificateHashData=HASHES)
        await self.ask("CertificateSigned", certificateChain="x")
        await self.ask("GetLog", logType="SecurityLog", requestId=1, log={"remoteLocation": "ftp://127.0.0.1:9/x"})
        message = {"format": "UTF8", "content": "Hello"}
        display = {"id": 1, "priority": "NormalCycle", "message": message}
        await self.ask("SetDisplayMessage", message=display)
        await self.ask("GetDisplayMessages", requestId=4)
        await self.ask("ClearDisplayMessage", id=1)
        await self.ask("CustomerInformation", requestId=5, report=True, clear=False, idToken=token("CARD"))
        await self.ask("DataTransfer", vendorId="somebody", messageId="x", data={"y": [1]})
        await self.ask("RequestStopTransaction", transactionId="no such")
        network = {"ocppTransport": "JSON", "ocppCsmsUrl": "ws://127.0.0.1:9/x", "messageTimeout": 30}
        network |= {"securityProfile": 1, "ocppInterface": "Wired0"}
        await self.ask("SetNetworkProfile", configurationSlot=1, connectionData=network | {"ocppVersion": "OCPP20"})

    async def only_21(self) -> None:
        await self.ask("UsePriorityCharging", transactionId="no such", activate=True)
        await self.ask("UpdateDynamicSchedule", chargingProfileId=1, scheduleUpdate={"limit": 10.0})
        await self.ask("GetPeriodicEventStream")
        await self.ask("GetTariffs", evseId=1)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
def test_an_independent_csms_finds_no_fault_under_2(tmp_path: Path, version: str) -> None:
    folder = installed()

    async def story() -> None:
        csms = await Referee.start(folder, version)
        # It keeps no books; ``Referee.calls`` has what came.
        books: Any = SimpleNamespace(url=csms.url, versions=(version,), now=0)
        rig = Rig201(tmp_path, books, evses=2)
        boot_id = agent.clock.boot_id
        rig.hardware.start()
        game = Game(rig, csms)
        try:
            await rig.start_agent(wait=False)
            boot = await csms.expect("BootNotification")
            assert boot["chargingStation"]["vendorName"] == "Nord"
            for evse in (1, 2):
                await csms.expect("StatusNotification", lambda p, evse=evse: p["evseId"] == evse)
            await game.device_model()
            await game.lists()
            await game.charge()
            await game.from_afar()
            await game.the_rest()
            if version == "ocpp2.1":
                await game.only_21()
        finally:
            await rig.stop_agent()
            rig.hardware.close()
            agent.clock.boot_id = boot_id
            await csms.close()
        assert not csms.faults, csms.faults
        assert {"Authorize", "TransactionEvent", "StatusNotification"} <= {action for action, _ in csms.calls}
        assert game.offered >= OFFERED, OFFERED - game.offered

    asyncio.run(story())


OFFERED = {
    "CertificateSigned",
    "ClearChargingProfile",
    "ClearVariableMonitoring",
    "DeleteCertificate",
    "GetBaseReport",
    "GetChargingProfiles",
    "GetCompositeSchedule",
    "GetInstalledCertificateIds",
    "GetMonitoringReport",
    "GetReport",
    "GetTransactionStatus",
    "GetVariables",
    "InstallCertificate",
    "SetChargingProfile",
    "SetMonitoringBase",
    "SetMonitoringLevel",
    "SetVariableMonitoring",
    "SetVariables",
    "TriggerMessage",
}
"""Requests that must have been answered with a result, so that nobody takes silence for praise."""
