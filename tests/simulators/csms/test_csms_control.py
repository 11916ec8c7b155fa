"""Every control word, over the control socket, and the two commands."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from csms_wire import BOOT, START, ask, booted, call, charge_point

from simulators.csms import ControlClient, ControlError, Csms
from simulators.csms.anomalies import AnomalyKind
from simulators.csms.words import WORDS, WordError, run_word

MANUAL = Path(__file__).resolve().parents[3] / "docs" / "simulators-csms.md"


def do(csms: Csms, text: str) -> Any:
    """Run a word given as one line, through the same door as the socket."""
    name, *args = text.split(" ")
    return asyncio.run(run_word(csms, name, args))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("boot pending interval=5", {"status": "Pending", "interval_s": 5}),
        ("boot REJECTED", {"status": "Rejected", "interval_s": 300}),
        ("clock 0", None),
        ("vendor org.example", ["org.example"]),
        ("handshake 503", {"status": 503}),
        ("handshake ok", {"status": None}),
        ("password CP9 0123456789abcdef", {"charge_point": "CP9", "password": True}),
        ("password CP9", {"charge_point": "CP9", "password": False}),
        ("subprotocol off", {"agree": False}),
        ("subprotocol on", {"agree": True}),
        ("call-timeout 2.5", {"call_timeout_s": 2.5}),
        ("stop", {"stopping": True}),
        ("frames", []),
    ],
)
def test_settings(line: str, told: Any) -> None:
    csms = Csms()
    result = do(csms, line)
    assert told is None or result == told


def test_the_clock_word_moves_current_time() -> None:
    csms = Csms()
    assert do(csms, "clock -3600")["offset_s"] == -3600
    with pytest.raises(WordError, match="no date OCPP can write"):
        do(csms, "clock 1e12")
    assert csms.clock_offset_s == -3600


def test_the_token_words() -> None:
    csms = Csms()
    do(csms, "accept CAFE parent=FLEET expiry=2099-01-01T00:00:00Z")
    do(csms, "refuse BEEF")
    do(csms, "refuse DEAD status=Expired")
    do(csms, "unknown refuse")
    assert do(csms, "tokens") == {
        "unknown": "refuse",
        "tokens": [
            {"id_tag": "CAFE", "status": "Accepted", "parent": "FLEET", "expiry": "2099-01-01T00:00:00Z"},
            {"id_tag": "BEEF", "status": "Blocked", "parent": None, "expiry": None},
            {"id_tag": "DEAD", "status": "Expired", "parent": None, "expiry": None},
        ],
    }
    assert [t["id_tag"] for t in do(csms, "forget beef")["tokens"]] == ["CAFE", "DEAD"]
    assert do(csms, "unknown accept")["unknown"] == "accept"


def test_the_answer_words() -> None:
    csms = Csms()
    for line in (
        "delay Heartbeat 1.5 2",
        "drop StartTransaction 2",
        "ignore StartTransaction",
        "error Authorize InternalError 1",
        "answer MeterValues twice",
        'payload StopTransaction {"a":1} 3',
    ):
        do(csms, line)
    assert do(csms, "behaviour") == {
        "rules": {
            "StartTransaction": [{"mode": "drop", "remaining": 2}, {"mode": "ignore", "remaining": None}],
            "Authorize": [{"mode": "error", "remaining": 1, "error_code": "InternalError"}],
            "MeterValues": [{"mode": "twice", "remaining": None}],
            "StopTransaction": [{"mode": "payload", "remaining": 3, "payload": {"a": 1}}],
        },
        "delays": {"Heartbeat": {"seconds": 1.5, "remaining": 2}},
    }
    assert "StartTransaction" not in do(csms, "normal StartTransaction")["rules"]
    assert do(csms, "normal") == {"rules": {}, "delays": {}}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("fly", "'fly' is not a word of the CSMS; the words are: accept, also, answer"),
        ("boot", "STATUS is missing; usage: boot STATUS"),
        ("boot maybe", "must be accepted, pending or rejected"),
        ("boot accepted interval=-1", "must be a whole number, 0 or more"),
        ("boot accepted interval=1 interval=2", "given twice"),
        ("boot accepted now", "'now' is too much"),
        ("accept " + "x" * 256, "1 to 255 characters"),
        ("accept A expiry=soon", "is not an ISO 8601 time"),
        ("refuse A status=No", "must be one of Accepted, Blocked"),
        ("forget A", "is not in the list"),
        ("unknown perhaps", "must be accept or refuse"),
        ("delay Heartbeat long", "must be a number, 0 or more"),
        ("delay Heartbeat -1", "must be a number, 0 or more"),
        ("drop Heartbeat none", "must be a whole number, 1 or more"),
        ("answer Heartbeat politely", "must be one of wrong-type, wrong-message-type"),
        ("payload Heartbeat {", "is not JSON"),
        ("handshake 200", "400 or more"),
        ("handshake 499", "must be ok or a registered HTTP status"),
        ("subprotocol maybe", "must be on or off"),
        ("restart all", "must be forget, or left out"),
        ("stop-listening keep=perhaps", "must be yes or no"),
        ("call Reset [1]", "must be a JSON object"),
        ("call Reset {} cp=CP9", "'CP9' is not connected"),
        ("wait-for Heartbeat timeout=x", "must be a number"),
        ("wait-for Heartbeat timeout=0.01 count=2", "waited 0.01 s for 2 Heartbeat, got 0"),
        ("wait-connected timeout=0.01", "waited 0.01 s for a charge point to connect"),
        ("close", "no charge point is connected"),
    ],
)
def test_a_wrong_word_says_what_is_right(line: str, complaint: str) -> None:
    with pytest.raises((WordError, ValueError, OSError), match=re.escape(complaint)):
        do(Csms(), line)


def off_loop(work: Callable[[], Any]) -> Any:
    return asyncio.get_running_loop().run_in_executor(None, work)


def test_the_words_that_act_on_a_live_charge_point(tmp_path: Path) -> None:
    async def story() -> None:
        async with Csms(dir=tmp_path) as csms:
            client = await off_loop(lambda: ControlClient(tmp_path))

            async def ctl(word: str, *args: str) -> Any:
                return await off_loop(lambda: client.do(word, *args))

            async with charge_point(csms) as link:
                assert await ctl("wait-connected", "CP1", "timeout=20") == {"charge_point": "CP1"}
                await ask(link, BOOT)
                await ask(link, START)

                command = asyncio.create_task(ctl("call", "Reset", '{"type":"Hard"}', "cp=CP1", "timeout=20"))
                message_id = json.loads(await link.recv())[1]
                await link.send(json.dumps([3, message_id, {"status": "Accepted"}]))
                assert await command == {"status": "Accepted"}

                command = asyncio.create_task(ctl("call", "ClearCache"))
                message_id = json.loads(await link.recv())[1]
                await link.send(json.dumps([4, message_id, "NotSupported", "no cache", {}]))
                with pytest.raises(ControlError, match="CALLERROR NotSupported: no cache") as caught:
                    await command
                assert caught.value.call_error == {"code": "NotSupported", "description": "no cache", "details": {}}

                assert await ctl("send", '[2,"raw=1') == {"sent": '[2,"raw=1'}
                assert await link.recv() == '[2,"raw=1'

                (seen,) = await ctl("wait-for", "StartTransaction", "meterStart=100", "idTag=CAFE")
                assert seen["payload"]["connectorId"] == 1
                with pytest.raises(ControlError, match="got 0"):
                    await ctl("wait-for", "StartTransaction", "meterStart=1", "timeout=0.01")
                with pytest.raises(ControlError, match="got 0"):
                    await ctl("wait-for", "StartTransaction", "after=now", "timeout=0.01")

                assert (await ctl("stop-reading"))["reading"] is False
                await link.send(call("h", "Heartbeat"))
                with pytest.raises(ControlError, match="got 0"):
                    await ctl("wait-for", "Heartbeat", "timeout=0.1")
                assert (await ctl("resume-reading"))["reading"] is True
                assert json.loads(await link.recv())[1] == "h"

                books = await ctl("ledger")
                assert books["totals"]["open"] == 1
                assert books["charge_points"]["CP1"]["boot_status"] == "Accepted"
                assert (await ctl("state"))["connected"] == ["CP1"]
                assert [f["number"] for f in await ctl("frames", "last=1")] == [csms.frames[-1].number]

                with pytest.raises(ControlError, match="1005 may not be sent"):
                    await ctl("close", "1005")
                assert await ctl("close", "4000", "bye") == {"closed": "CP1", "code": 4000}
                await link.wait_closed()
                assert (link.close_code, link.close_reason) == (4000, "bye")
                assert (await ctl("wait-disconnected", "CP1"))["connected"] is False

            assert await ctl("stop-listening") == {"listening": False}
            assert await ctl("listen") == {"listening": True, "url": csms.url}
            async with booted(csms) as link:
                assert (await ctl("restart", "forget"))["forgot"] is True
                await link.wait_closed()
                assert link.close_code == 1006
            assert set(await ctl("help")) == {word.usage for word in WORDS.values()}
            assert (await ctl("stop")) == {"stopping": True}
            assert csms.stopped.is_set()
            client.close()

    asyncio.run(story())


def test_every_word_is_exercised_here_and_explained_in_the_manual() -> None:
    source = Path(__file__).read_text() + Path(__file__).with_name("test_csms_v2_words.py").read_text()
    manual = MANUAL.read_text()
    for name, word in WORDS.items():
        assert re.search(rf'"{name}[ "]', source), f"{name} is not tested"
        assert f"`{word.usage}`" in manual, f"{word.usage} is not in the manual"
    words_part = manual[manual.index("## Control it") : manual.index("## The ledger")]
    told = set(re.findall(r"^\| `([a-z-]+)", words_part, re.MULTILINE))
    assert told == set(WORDS)
    kinds_part = manual[manual.index("### Anomalies") : manual.index("## The frame log")]
    assert set(re.findall(r"`([a-z-]+)`", kinds_part)) == set(AnomalyKind)


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"[]\n", b'{"word":1}\n', b'{"args":[]}\n', b'{"word":"a","args":1}\n']
)
def test_a_broken_request_is_refused_and_the_next_one_served(tmp_path: Path, line: bytes) -> None:
    async def story() -> None:
        async with Csms(dir=tmp_path):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "csms.sock")
            writer.write(line + b'{"word":"state"}\n')
            refused, served = json.loads(await reader.readline()), json.loads(await reader.readline())
            assert (refused["ok"], served["ok"]) == (False, True)
            assert "send one line like" in refused["error"]
            writer.close()
            await writer.wait_closed()

    asyncio.run(story())


def test_a_folder_too_deep_for_a_socket_address_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)

    async def story() -> None:
        async with Csms(dir=deep):
            client = await off_loop(lambda: ControlClient(deep))
            assert (await off_loop(lambda: client.do("state")))["listening"] is True
            client.close()

    asyncio.run(story())


def test_two_in_one_folder_are_refused_and_a_dead_ones_socket_is_taken_over(tmp_path: Path) -> None:
    async def story() -> None:
        async with Csms(dir=tmp_path):
            with pytest.raises(OSError, match="another CSMS runs here"):
                async with Csms(dir=tmp_path):
                    pass
        assert not (tmp_path / "csms.sock").exists()
        (tmp_path / "csms.sock").touch()
        async with Csms(dir=tmp_path):
            pass

    asyncio.run(story())


def test_nobody_home(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="no CSMS answers here"):
        ControlClient(tmp_path)
    with pytest.raises(ControlError, match="no CSMS answers here"):
        ControlClient(tmp_path / "nowhere")
