"""OCPP 2.0.1 certification cases of block O: display messages (part 6, TC_O_…_CS), and what 2.1 adds.

What stands on the display is read where a display reads it, at the local API.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from agent.link.messages import FaultCode
from agent.ocpp.times import time_text
from agent.station.display.display import CAPACITY
from tests.tc201.rig import Rig201, case

NORMAL, FRONT, ALWAYS = "NormalCycle", "InFront", "AlwaysFront"
LONG_S = 60.0


def at(seconds: float) -> str:
    return time_text(time.time() + seconds)


def message(number: int, text: str = "Hello", priority: str = NORMAL, **more: Any) -> dict[str, Any]:
    content = {"format": more.pop("format", "UTF8"), "content": text}
    content |= {"language": more.pop("language")} if "language" in more else {}
    return {"id": number, "priority": priority, "message": content, **more}


async def put(rig: Rig201, told: dict[str, Any]) -> str:
    answer = await rig.call("SetDisplayMessage", message=told)
    assert (answer["status"] == "Accepted") != ("statusInfo" in answer)
    return str(answer["status"])


async def accepted(rig: Rig201, *messages: dict[str, Any]) -> None:
    for each in messages:
        assert await put(rig, each) == "Accepted"


class Requests:
    """Numbers of reports asked for."""

    last = 0


async def reported(rig: Rig201, *ids: int, **more: Any) -> list[dict[str, Any]]:
    """Ask for messages; returns all that are told, none for Unknown."""
    Requests.last += 1
    number = Requests.last
    asked = {"id": list(ids)} if ids else {}
    answer = await rig.call("GetDisplayMessages", requestId=number, **asked, **more)
    if answer["status"] == "Unknown":
        return []
    found: list[dict[str, Any]] = []
    while True:
        report = await rig.expect("NotifyDisplayMessages", requestId=number)
        found += report["messageInfo"]
        if not report.get("tbc", False):
            return found


def shown(rig: Rig201, evse: int = 1) -> list[int]:
    """Ids of the messages on the display."""
    return [each["id"] for each in display(rig, evse)["messages"]]


def display(rig: Rig201, evse: int = 1) -> dict[str, Any]:
    assert rig.app is not None
    (found,) = [each for each in rig.app.display.shown() if each["evse"] == evse]
    return dict(found)


async def stop(rig: Rig201, uid: str = "CARD") -> None:
    """Reusable states StopAuthorized to ParkingBayUnoccupied."""
    rig.hardware.tap(uid, 1)
    await rig.event("Ended")
    rig.hardware.unplug(1)
    await rig.status("Available")


@case()
async def test_tc_o_01_cs_set(rig: Rig201) -> None:
    told = message(1, "Welcome", FRONT)
    await accepted(rig, told)
    assert display(rig) == {
        "evse": 1,
        "priority": FRONT,
        "messages": [{"id": 1, "text": "Welcome", "format": "UTF8", "language": "", "until": None}],
    }
    assert await reported(rig, 1) == [told]


@case()
async def test_tc_o_02_cs_get_all(rig: Rig201) -> None:
    told = [message(number, f"{number % 10}" * 500) for number in range(1, 41)]
    await accepted(rig, *told)
    assert await reported(rig) == told
    parts = rig.sent("NotifyDisplayMessages")
    assert len(parts) > 1, "more than one message may hold"
    assert [part["tbc"] for part in parts] == [True] * (len(parts) - 1) + [False]


@case()
async def test_tc_o_03_cs_get_all_of_none(rig: Rig201) -> None:
    assert await rig.call("GetDisplayMessages", requestId=1) == {"status": "Unknown"}
    await rig.silent("NotifyDisplayMessages")


@case()
async def test_tc_o_04_cs_clear(rig: Rig201) -> None:
    await accepted(rig, message(1))
    assert await rig.call("ClearDisplayMessage", id=1) == {"status": "Accepted"}
    assert shown(rig) == []
    assert await reported(rig, 1) == []


@case()
async def test_tc_o_05_cs_clear_unknown(rig: Rig201) -> None:
    assert await rig.call("ClearDisplayMessage", id=7) == {"status": "Unknown"}


@case(evses=2)
async def test_tc_o_06_cs_of_a_transaction(rig: Rig201) -> None:
    transaction = await rig.charge()
    told = message(1, transactionId=transaction)
    await accepted(rig, told)
    assert (shown(rig, 1), shown(rig, 2)) == ([1], [])
    assert await reported(rig, 1) == [told]
    await stop(rig)
    assert shown(rig) == []
    assert await reported(rig, 1) == []


@case()
async def test_tc_o_07_cs_get_by_id(rig: Rig201) -> None:
    told = [message(number) for number in (1, 2, 3)]
    await accepted(rig, *told)
    assert await reported(rig, 3, 1, 9) == [told[0], told[2]]


@case()
async def test_tc_o_08_cs_get_by_priority(rig: Rig201) -> None:
    told = [message(1, priority=FRONT), message(2)]
    await accepted(rig, *told)
    assert await reported(rig, priority=FRONT) == told[:1]


@case()
async def test_tc_o_09_cs_get_by_state(rig: Rig201) -> None:
    told = [message(1, state="Idle"), message(2, state="Charging"), message(3)]
    await accepted(rig, *told)
    assert await reported(rig, state="Charging") == [told[1]]


@case()
async def test_tc_o_10_cs_of_an_unknown_transaction(rig: Rig201) -> None:
    assert await put(rig, message(1, transactionId="nobody's")) == "UnknownTransaction"
    assert await reported(rig) == []


@case()
async def test_tc_o_11_cs_get_unknown_id(rig: Rig201) -> None:
    await accepted(rig, message(1))
    assert await reported(rig, 2) == []


@case()
async def test_tc_o_12_cs_replaced_by_its_id(rig: Rig201) -> None:
    await accepted(rig, message(1, "old", FRONT, state="Idle", endDateTime=at(LONG_S)))
    told = message(1, "new")
    await accepted(rig, told)
    assert [each["text"] for each in display(rig)["messages"]] == ["new"]
    assert await reported(rig) == [told]


@case()
async def test_tc_o_13_cs_from_its_start(rig: Rig201) -> None:
    told = message(1, startDateTime=at(1.0))
    await accepted(rig, told)
    assert shown(rig) == []
    assert await reported(rig, 1) == [told]
    await rig.until(lambda: shown(rig) == [1])


@case()
async def test_tc_o_14_cs_until_its_end(rig: Rig201) -> None:
    told = message(1, endDateTime=at(1.5))
    await accepted(rig, told)
    assert await reported(rig, 1) == [told]
    await rig.until(lambda: shown(rig) == [])
    assert await reported(rig, 1) == []


@case(versions=("ocpp2.1",), settings={"DisplayMessageCtrlr.SupportedLanguages": "en,de"})
async def test_tc_o_15_cs_language_of_the_driver(rig: Rig201) -> None:
    rig.token("CARD", language1="de", language2="en")
    await rig.charge()
    extra = [{"format": "UTF8", "content": "Hallo", "language": "de"}]
    assert rig.app is not None
    await accepted(rig, message(1, "Hello", language="en", messageExtra=extra))
    assert [each["text"] for each in display(rig)["messages"]] == ["Hallo"]
    await stop(rig)
    assert [each["text"] for each in display(rig)["messages"]] == ["Hello"]


@case()
async def test_tc_o_15_cs_language_of_one_text(rig: Rig201) -> None:
    """2.0.1: a message has one text; there is nothing to choose from."""
    rig.token("CARD", language1="de")
    await rig.charge()
    await accepted(rig, message(1, "Hello", language="en"))
    assert [each["language"] for each in display(rig)["messages"]] == ["en"]


@case()
async def test_tc_o_19_cs_format_not_supported(rig: Rig201) -> None:
    assert await put(rig, message(1, "<b>Hello</b>", format="HTML")) == "NotSupportedMessageFormat"
    for number, kind in enumerate(("ASCII", "URI", "UTF8"), 1):
        await accepted(rig, message(number, format=kind))


@case()
async def test_tc_o_20_cs_kept_over_a_reboot(rig: Rig201) -> None:
    told = message(1, "Grüße", FRONT, state="Idle", startDateTime=at(-LONG_S), endDateTime=at(LONG_S))
    await accepted(rig, told)
    await rig.stop_agent()
    await rig.start_agent()
    assert await reported(rig, 1) == [told]
    await rig.until(lambda: shown(rig) == [1])


@case()
async def test_tc_o_22_cs_several_in_front(rig: Rig201) -> None:
    told = [message(1, "one", FRONT), message(2, "two", FRONT)]
    await accepted(rig, *told, message(3, "below"))
    assert await reported(rig, 1) == told[:1]
    assert await reported(rig, 2) == told[1:]
    assert (display(rig)["priority"], shown(rig)) == (FRONT, [1, 2])


@case()
async def test_tc_o_24_cs_a_second_always_in_front(rig: Rig201) -> None:
    await accepted(rig, message(1, priority=ALWAYS), message(3, priority=FRONT), message(2, priority=ALWAYS))
    assert await reported(rig, 1) == []
    assert [each["id"] for each in await reported(rig, 2)] == [2]
    assert (display(rig)["priority"], shown(rig)) == (ALWAYS, [2])


@case()
async def test_tc_o_27_cs_of_a_transaction_from_its_start(rig: Rig201) -> None:
    transaction = await rig.charge()
    await accepted(rig, message(1, transactionId=transaction, startDateTime=at(1.0)))
    assert shown(rig) == []
    await rig.until(lambda: shown(rig) == [1])
    await stop(rig)
    assert (shown(rig), await reported(rig, 1)) == ([], [])


@case()
async def test_tc_o_28_cs_of_a_transaction_until_its_end(rig: Rig201) -> None:
    transaction = await rig.charge()
    await accepted(rig, message(1, transactionId=transaction, endDateTime=at(1.5)))
    await rig.until(lambda: shown(rig) == [])
    assert await reported(rig, 1) == []


@case()
async def test_tc_o_30_cs_several_of_a_transaction_in_front(rig: Rig201) -> None:
    transaction = await rig.charge()
    told = [message(1, "one", FRONT, transactionId=transaction), message(2, "two", FRONT, transactionId=transaction)]
    await accepted(rig, *told)
    assert await reported(rig, 1) == told[:1]
    assert await reported(rig, 2) == told[1:]
    assert shown(rig) == [1, 2]
    await stop(rig)
    assert (await reported(rig, 1), await reported(rig, 2)) == ([], [])


@case()
async def test_tc_o_32_cs_a_second_of_a_transaction_always_in_front(rig: Rig201) -> None:
    transaction = await rig.charge()
    await accepted(rig, *(message(number, priority=ALWAYS, transactionId=transaction) for number in (1, 2)))
    assert await reported(rig, 1) == []
    (found,) = await reported(rig, 2)
    assert (found["transactionId"], found["priority"]) == (transaction, ALWAYS)
    await stop(rig)
    assert await reported(rig, 2) == []


@case()
async def test_tc_o_33_cs_get_one_of_none(rig: Rig201) -> None:
    assert await rig.call("GetDisplayMessages", requestId=1, id=[1]) == {"status": "Unknown"}


@case()
async def test_tc_o_34_cs_get_known_id_in_another_state(rig: Rig201) -> None:
    await accepted(rig, message(1, state="Idle"))
    assert await reported(rig, 1, state="Charging") == []


@case()
async def test_tc_o_35_cs_get_known_id_of_another_priority(rig: Rig201) -> None:
    await accepted(rig, message(1))
    assert await reported(rig, 1, priority=FRONT) == []


@case()
async def test_tc_o_36_cs_while_charging(rig: Rig201) -> None:
    told = message(1, state="Charging")
    await accepted(rig, told)
    assert shown(rig) == []
    await rig.charge()
    await rig.until(lambda: shown(rig) == [1])
    await stop(rig)
    assert shown(rig) == []
    assert await reported(rig, 1) == [told]


@case()
async def test_tc_o_37_cs_while_idle(rig: Rig201) -> None:
    told = message(1, state="Idle")
    await accepted(rig, told)
    assert shown(rig) == [1]
    await rig.charge()
    await rig.until(lambda: shown(rig) == [])
    await stop(rig)
    await rig.until(lambda: shown(rig) == [1])
    assert await reported(rig, 1) == [told]


@case()
async def test_tc_o_38_cs_while_unavailable(rig: Rig201) -> None:
    told = message(1, state="Unavailable")
    await accepted(rig, told)
    assert shown(rig) == []
    assert rig.app is not None
    rig.app.change_availability(0, operative=False)
    await rig.status("Unavailable")
    assert shown(rig) == [1]
    rig.app.change_availability(0, operative=True)
    await rig.status("Available")
    assert shown(rig) == []
    assert await reported(rig, 1) == [told]


@case()
async def test_tc_o_39_cs_while_faulted(rig: Rig201) -> None:
    told = message(1, state="Faulted")
    await accepted(rig, told)
    assert shown(rig) == []
    rig.hardware.fault(FaultCode.RESIDUAL_CURRENT)
    await rig.status("Faulted")
    assert shown(rig) == [1]
    rig.hardware.mend(FaultCode.RESIDUAL_CURRENT)
    await rig.status("Available")
    assert shown(rig) == []
    assert await reported(rig, 1) == [told]


# ---- beyond the cases --------------------------------------------------------------------------------------------


@case()
async def test_no_more_messages_than_are_kept(rig: Rig201) -> None:
    """O01.FR.11"""
    await accepted(rig, *(message(number) for number in range(CAPACITY)))
    assert await put(rig, message(CAPACITY)) == "Rejected"
    await accepted(rig, message(0, "in the place of an old one"))
    assert await rig.variable("DisplayMessageCtrlr", "DisplayMessages") == str(CAPACITY)


@case(evses=2)
async def test_at_one_evse(rig: Rig201) -> None:
    told = message(1, display={"name": "Display", "evse": {"id": 2}})
    await accepted(rig, told)
    assert (shown(rig, 1), shown(rig, 2)) == ([], [1])
    assert await reported(rig) == [told]
    assert await put(rig, message(2, display={"name": "Display", "evse": {"id": 3}})) == "Rejected"
    assert await put(rig, message(2, startDateTime=at(60), endDateTime=at(30))) == "Rejected"


@case()
async def test_a_display_is_told_when_something_changes_and_when_time_has_passed(rig: Rig201) -> None:
    assert rig.app is not None
    told: asyncio.Queue[Any] = asyncio.Queue()
    publish = rig.app._local.server.topics.publish
    rig.app._local.server.topics.publish = lambda topic, value: told.put_nowait((topic, value))  # type: ignore[method-assign]
    try:
        await accepted(rig, message(1, "soon", endDateTime=at(1.0)))
        found = []
        async with asyncio.timeout(10):
            while len(found) < 2:
                topic, value = await told.get()
                if topic == "display":
                    found.append([each["text"] for each in value["messages"]])
    finally:
        rig.app._local.server.topics.publish = publish  # type: ignore[method-assign]
    assert found == [["soon"], []]


@case(versions=("ocpp2.1",))
async def test_2_1_words(rig: Rig201) -> None:
    await accepted(rig, message(1, state="Suspended"), message(2, "https://x", format="QRCODE"))
    assert await put(rig, message(3, state="Discharging")) == "NotSupportedState"
    assert await put(rig, message(3, language="xx")) == "LanguageNotSupported"
    assert [each["id"] for each in await reported(rig)] == [1, 2]
    assert shown(rig) == [2]
