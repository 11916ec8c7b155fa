"""Attack 8: commands of the network, and a changed network, while records wait. None of them may touch the books."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulators.csms.behaviour import AnswerRule, Mode
from tests.faults.attack import Attack, Outcome, Progress
from tests.faults.day import ANNA, BEN, FORGIVEN
from tests.faults.place import Place, QuickPlace
from tests.faults.speech import speech
from tests.faults.together import guarded

SPOILT = ("-m", "tests.faults.spoilt")
PROFILE = {
    "chargingProfileId": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}]},
}
COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ClearCache", {}),
    ("SendLocalList", {"listVersion": 1, "updateType": "Full", "localAuthorizationList": []}),
    ("ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "2"}),
    ("ChangeConfiguration", {"key": "TransactionMessageAttempts", "value": "4"}),
    ("ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}),
    ("ChangeAvailability", {"connectorId": 0, "type": "Operative"}),
    ("SetChargingProfile", {"connectorId": 0, "csChargingProfiles": PROFILE}),
    ("ClearChargingProfile", {}),
    ("UpdateFirmware", {"location": "http://127.0.0.1:9/none", "retrieveDate": "2030-01-01T00:00:00Z"}),
    ("Reset", {"type": "Soft"}),
    ("Reset", {"type": "Hard"}),
)
PROFILE_2: dict[str, Any] = {
    "id": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": [{"id": 1, **PROFILE["chargingSchedule"]}],
}


FIRMWARE = {"location": "http://127.0.0.1:9/none", "retrieveDateTime": "2030-01-01T00:00:00Z"}


def _set(component: str, variable: str, value: str) -> dict[str, Any]:
    data = {"component": {"name": component}, "variable": {"name": variable}, "attributeValue": value}
    if variable == "MessageAttempts":
        data["variable"] = {"name": variable, "instance": "TransactionEvent"}
    return {"setVariableData": [data]}


COMMANDS_2: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ClearCache", {}),
    ("SendLocalList", {"versionNumber": 1, "updateType": "Full"}),
    ("SetVariables", _set("SampledDataCtrlr", "TxUpdatedInterval", "2")),
    ("SetVariables", _set("OCPPCommCtrlr", "MessageAttempts", "4")),
    ("ChangeAvailability", {"operationalStatus": "Inoperative"}),
    ("ChangeAvailability", {"operationalStatus": "Operative"}),
    ("SetChargingProfile", {"evseId": 0, "chargingProfile": PROFILE_2}),
    ("ClearChargingProfile", {"chargingProfileCriteria": {}}),
    ("UpdateFirmware", {"requestId": 1, "firmware": FIRMWARE}),
    ("Reset", {"type": "OnIdle"}),
    ("Reset", {"type": "Immediate"}),
)


def _commands() -> tuple[tuple[str, dict[str, Any]], ...]:
    """In the version that is spoken; the last but one is the gentle reset."""
    return COMMANDS if speech().old else COMMANDS_2


REFUSALS = 1000
"""The network refuses every transaction message while it gives its commands."""


async def _commanded(directory: Path, commands: Sequence[tuple[str, dict[str, Any]]], hole: str = "") -> Outcome:
    """Two charges offline; the network comes back, takes no record, and gives commands; then it takes them."""
    settings = {"ocpp.settings.TransactionMessageAttempts": "3", "ocpp.settings.TransactionMessageRetryInterval": "1"}
    place = QuickPlace(directory / f"site{hole}", settings)
    if hole:
        place.launcher = (*SPOILT, "--without", hole)
    async with place:
        place.agent.start()
        await place.wait_online()
        for evse, token in ((1, ANNA), (2, BEN)):
            await place.end(evse, token, await place.begin(evse, token, online=True))
        await place.settled()
        await place.csms.stop_listening()
        for evse, token in ((1, ANNA), (2, BEN)):
            first = await place.begin(evse, token, online=False)
            await asyncio.sleep(0.3)
            await place.end(evse, token, first)
        for action in place.speech.transaction_messages:
            place.csms.behaviour.add(action, AnswerRule(Mode.ERROR, REFUSALS))
        await place.csms.listen()
        await place.wait_online()
        for action, payload in commands:
            await _command(place, action, payload)
        place.csms.behaviour.clear()
        # The network is repaired: what was set aside is offered again at the next start.
        await _command(place, *_commands()[-1])
        await place.until(lambda: _empty(place), "all is delivered")
        verdict = await place.verdict(FORGIVEN)
    return verdict.outcome(len(commands) + 1, "commands")


async def _command(place: Place, action: str, payload: dict[str, Any]) -> None:
    deaths = place.agent.deaths
    with contextlib.suppress(Exception):
        await place.csms.call(None, action, payload, timeout_s=3)
    if action == "Reset":

        async def restarted() -> bool:
            return place.agent.deaths > deaths

        await place.until(restarted, "restart after the reset")
        await place.wait_online()


async def _empty(place: Place) -> bool:
    status = await place.display()
    if status is None or not place.online():
        return False
    queue = status["uplink"]["queue"]
    return bool(queue["pending"] == 0 and queue["parked"] == 0)


async def _moved(directory: Path) -> Outcome:
    """Records wait, and the operator gives the charger another network's address: that one gets them all."""
    place = QuickPlace(directory / "moved")
    async with place:
        place.agent.start()
        await place.wait_online()
        await place.end(1, ANNA, await place.begin(1, ANNA, online=True))
        await place.settled()
        await place.csms.stop_listening()
        first = await place.begin(1, ANNA, online=False)
        place.agent.hold()
        place.agent.kill()
        config = next(place.directory.glob("*.yaml"))
        text = config.read_text(encoding="utf-8")
        address = place.csms.url
        assert address in text
        config.write_text(text.replace(address, f"{address}/moved"), encoding="utf-8")
        await place.csms.listen()
        place.agent.start()
        await place.wait_online()
        await place.end(1, ANNA, first)
        await place.until(lambda: _empty(place), "all is delivered at the new address")
        verdict = await place.verdict(FORGIVEN)
    return verdict.outcome(1, "changed address")


def _full(directory: Path, progress: Progress) -> Outcome:
    async def run() -> Outcome:
        total = Outcome(0, 0)
        for number, command in enumerate(_commands()):
            total += await guarded(lambda n=number, c=command: _commanded(directory / str(n), [c]))  # type: ignore[misc]
            progress(f"{command[0]} {command[1]}: {total}")
        for number in range(4):
            total += await guarded(lambda n=number: _commanded(directory / f"all{n}", _commands()))  # type: ignore[misc]
            total += await guarded(lambda n=number: _moved(directory / f"m{n}"))  # type: ignore[misc]
            progress(f"all in a row, and another address: {total}")
        return total

    return asyncio.run(run())


def _short(directory: Path, _progress: Progress) -> Outcome:
    async def run() -> Outcome:
        some = [*_commands()[:-2], _commands()[-1]]
        both = await asyncio.gather(guarded(lambda: _commanded(directory, some)), guarded(lambda: _moved(directory)))
        return both[0] + both[1]

    return asyncio.run(run())


def _control(directory: Path, _progress: Progress) -> Outcome:
    async def run() -> Outcome:
        return await guarded(lambda: _commanded(directory, _commands()[:1], "books"))

    return asyncio.run(run())


ATTACKS = (
    Attack(
        "commands",
        "ClearCache, SendLocalList, ChangeAvailability, Reset, profiles, settings, another address; records waiting",
        "no command deletes a record; taken away: commands empty the line",
        _full,
        _short,
        _control,
    ),
)
