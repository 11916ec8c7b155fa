"""OCPP 2.0.1 certification cases of block D, the local authorisation list (part 6, TC_D_…_CS)."""

from __future__ import annotations

from typing import Any

from tests.tc201.rig import Rig201, case


def entry(uid: str, status: str = "Accepted", **info: Any) -> dict[str, Any]:
    return {"idToken": {"idToken": uid, "type": "ISO14443"}, "idTokenInfo": {"status": status, **info}}


def gone(uid: str) -> dict[str, Any]:
    return {"idToken": {"idToken": uid, "type": "ISO14443"}}


async def send(rig: Rig201, version: int, *entries: dict[str, Any], kind: str = "Full") -> str:
    entered = {"localAuthorizationList": list(entries)} if entries else {}
    return str((await rig.call("SendLocalList", versionNumber=version, updateType=kind, **entered))["status"])


async def version(rig: Rig201) -> int:
    return int((await rig.call("GetLocalListVersion"))["versionNumber"])


async def listed(rig: Rig201) -> int:
    return int(await rig.variable("LocalAuthListCtrlr", "Entries"))


@case()
async def test_tc_d_01_cs_full(rig: Rig201) -> None:
    assert await send(rig, 3, entry("OLD"), entry("OLDER")) == "Accepted"
    assert await send(rig, 2, entry("CARD")) == "Accepted"  # D01.FR.15: whatever the version was before
    assert await version(rig) == 2
    assert await listed(rig) == 1


@case()
async def test_tc_d_02_cs_differential_update(rig: Rig201) -> None:
    await send(rig, 1, entry("CARD"))
    assert await send(rig, 2, entry("OTHER"), entry("CARD", "Blocked"), kind="Differential") == "Accepted"
    assert await version(rig) == 2
    assert await listed(rig) == 2


@case(settings={"AuthCtrlr.LocalPreAuthorize": "true"})
async def test_tc_d_03_cs_differential_remove(rig: Rig201) -> None:
    await send(rig, 1, entry("CARD"), entry("OTHER"))
    assert await send(rig, 2, gone("CARD"), kind="Differential") == "Accepted"
    assert await version(rig) == 2
    assert await listed(rig) == 1
    rig.hardware.tap("CARD", 1)
    await rig.expect("Authorize")  # D01.FR.17


@case()
async def test_tc_d_04_cs_full_with_empty_list(rig: Rig201) -> None:
    await send(rig, 1, entry("CARD"))
    assert await send(rig, 5) == "Accepted"
    assert await version(rig) == 5  # D01.FR.04
    assert await listed(rig) == 0


@case()
async def test_tc_d_05_cs_differential_with_empty_list(rig: Rig201) -> None:
    await send(rig, 1, entry("CARD"))
    assert await send(rig, 2, kind="Differential") == "Accepted"
    assert await version(rig) == 2  # D01.FR.05
    assert await listed(rig) == 1


@case()
async def test_tc_d_06_cs_version_mismatch(rig: Rig201) -> None:
    await send(rig, 4, entry("CARD"))
    for late in (3, 4):
        assert await send(rig, late, entry("OTHER"), kind="Differential") == "VersionMismatch"  # D01.FR.19
    assert await version(rig) == 4
    assert await listed(rig) == 1


@case()
async def test_tc_d_07_cs_persistent_over_reboot(rig: Rig201) -> None:
    await send(rig, 7, entry("CARD"))
    await rig.stop_agent()
    await rig.start_agent()
    assert await version(rig) == 7  # D01.FR.10
    assert await listed(rig) == 1


@case()
async def test_tc_d_08_cs_get_version(rig: Rig201) -> None:
    assert await version(rig) == 0  # D02.FR.02
    await send(rig, 9, entry("CARD"))
    assert await version(rig) == 9


@case()
async def test_tc_d_10_cs_get_version_while_disabled(rig: Rig201) -> None:
    await send(rig, 9, entry("CARD"))
    await rig.configure(LocalAuthListCtrlr__Enabled="false")
    assert await version(rig) == 0  # D02.FR.03
    assert await send(rig, 10, entry("CARD")) == "Failed"
    await rig.configure(LocalAuthListCtrlr__Enabled="true")
    assert await version(rig) == 9  # D01.FR.09: nothing else changes it


@case()
async def test_lists_that_cannot_be(rig: Rig201) -> None:
    """D01.FR.06, D01.FR.11, D01.FR.18"""
    await send(rig, 1, entry("CARD"))
    assert await send(rig, 2, entry("A"), entry("a", "Blocked")) == "Failed"
    assert await send(rig, 2, gone("A")) == "Failed"
    assert await send(rig, 0, entry("A")) == "Failed"
    assert await send(rig, -1, entry("A")) == "Failed"
    assert await send(rig, 2, entry("A", cacheExpiryDateTime="0000-00-00T00:00:00Z")) == "Failed"
    most = int(await rig.variable("LocalAuthListCtrlr", "ItemsPerMessage"))
    assert await send(rig, 2, *(entry(f"CARD-{n}") for n in range(most + 1))) == "Failed"
    assert await version(rig) == 1
    assert await listed(rig) == 1


@case()
async def test_a_list_comes_in_pieces(rig: Rig201) -> None:
    """D01.FR.12, D01.FR.15"""
    most = int(await rig.variable("LocalAuthListCtrlr", "ItemsPerMessage"))
    assert await send(rig, 1, *(entry(f"FIRST-{n}") for n in range(most))) == "Accepted"
    assert await send(rig, 2, *(entry(f"SECOND-{n}") for n in range(most)), kind="Differential") == "Accepted"
    assert await listed(rig) == 2 * most


@case(evses=2, settings={"AuthCtrlr.LocalPreAuthorize": "true"})
async def test_a_listed_token_may_hold_for_one_evse_alone(rig: Rig201) -> None:
    assert await send(rig, 1, entry("CARD", evseId=[2])) == "Accepted"
    await rig.stop_agent()
    await rig.start_agent()
    rig.hardware.plug(1)
    await rig.status("Occupied", 1)
    rig.hardware.tap("CARD", 1)
    await rig.silent("TransactionEvent")
    rig.hardware.plug(2)
    await rig.status("Occupied", 2)
    rig.hardware.tap("CARD", 2)
    assert (await rig.event("Started"))["evse"]["id"] == 2
