"""The cases of the local list, each over a real websocket."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tc16.rig import Rig, case


def entries(*tags: str, status: str = "Accepted") -> list[dict[str, Any]]:
    return [{"idTag": tag, "idTagInfo": {"status": status}} for tag in tags]


async def send(rig: Rig, version: int, update: str = "Full", *listed: dict[str, Any]) -> str:
    payload = {"listVersion": version, "updateType": update}
    answer = await rig.call("SendLocalList", **payload, **({"localAuthorizationList": list(listed)} if listed else {}))
    return str(answer["status"])


async def version(rig: Rig) -> int:
    return int((await rig.call("GetLocalListVersion"))["listVersion"])


@case(settings={"LocalAuthListEnabled": "false"})
async def test_tc_042_1_version_where_no_list_is_used(rig: Rig) -> None:
    assert await version(rig) == -1


@case()
async def test_tc_042_2_version_of_an_empty_list(rig: Rig) -> None:
    assert await send(rig, 3) == "Accepted"
    assert await version(rig) == 0


@case()
async def test_tc_043_send_a_list(rig: Rig) -> None:
    assert await send(rig, 20, "Full", *entries("ONE", "TWO")) == "Accepted"
    assert await version(rig) == 20
    assert await send(rig, 21, "Differential", *entries("THREE"), {"idTag": "one"}) == "Accepted"
    assert await version(rig) == 21
    await rig.stop_agent()
    await rig.start_agent()
    assert await version(rig) == 21


@case(settings={"LocalAuthListEnabled": "false"})
async def test_tc_043_1_send_a_list_not_supported(rig: Rig) -> None:
    assert await send(rig, 20, "Full", *entries("ONE")) == "NotSupported"


@case()
async def test_tc_043_2_send_a_list_version_mismatch(rig: Rig) -> None:
    assert await send(rig, 20, "Full", *entries("ONE")) == "Accepted"
    assert await send(rig, 20, "Differential", *entries("TWO")) == "VersionMismatch"
    assert await send(rig, 19, "Differential", *entries("TWO")) == "VersionMismatch"
    assert await version(rig) == 20


@pytest.mark.parametrize(
    "listed",
    [
        [*entries("ONE"), {"idTag": "TWO"}],
        entries("ONE", "one"),
        entries(*(f"T{number}" for number in range(1001))),
        [{"idTag": "ONE", "idTagInfo": {"status": "Accepted", "expiryDate": "some day"}}],
        entries("ÖNE"),
    ],
    ids=["no info", "twice", "too many", "no date", "no id"],
)
def test_tc_043_3_send_a_list_failed(listed: list[dict[str, Any]], tmp_path: Any) -> None:
    @case()
    async def scenario(rig: Rig) -> None:
        assert await send(rig, 20, "Full", *entries("KEPT")) == "Accepted"
        assert await send(rig, 21, "Full", *listed) == "Failed"
        assert await version(rig) == 20

    scenario(tmp_path)


@case(settings={"LocalAuthListMaxLength": "3", "SendLocalListMaxLength": "2"})
async def test_the_lengths_are_told_and_kept(rig: Rig) -> None:
    assert await rig.configuration("LocalAuthListMaxLength") == "3"
    assert await rig.configuration("SendLocalListMaxLength") == "2"
    assert await rig.call("ChangeConfiguration", key="LocalAuthListMaxLength", value="9") == {"status": "Rejected"}
    assert await send(rig, 1, "Full", *entries("A", "B", "C")) == "Failed"
    assert await send(rig, 1, "Full", *entries("A", "B")) == "Accepted"
    assert await send(rig, 2, "Differential", *entries("C", "D")) == "Failed"
    assert await send(rig, 2, "Differential", *entries("C")) == "Accepted"


@case()
async def test_offline_the_list_decides(rig: Rig) -> None:
    assert await send(rig, 1, "Full", *entries("GOOD"), *entries("BAD", status="Blocked")) == "Accepted"
    await rig.go_offline()
    rig.hardware.plug()
    rig.hardware.tap("BAD")
    rig.hardware.tap("GOOD")
    await rig.until(lambda: rig.hardware.outlets[1].closed)
    await rig.go_online()
    await rig.expect("StartTransaction", idTag="GOOD")


@case()
async def test_a_conflict_between_list_and_network_is_told(rig: Rig) -> None:
    assert await send(rig, 1, "Full", *entries("BAD")) == "Accepted"
    rig.token("BAD", "Blocked")
    rig.hardware.tap("BAD")
    await rig.expect("Authorize", idTag="BAD")
    await rig.status("Available", 0, errorCode="LocalListConflict")
    assert await send(rig, 2, "Differential", *entries("BAD", status="Blocked")) == "Accepted"
    await rig.status("Available", 0, errorCode="NoError")
