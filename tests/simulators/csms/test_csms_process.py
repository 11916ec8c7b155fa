"""The CSMS as a process: the commands, a kill -9, and what the frame log gives back."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from csms_wire import BOOT, START, ask, booted, call, charge_point

from simulators.csms import ControlError, Csms, CsmsProcess
from simulators.csms.cli import add_parser
from simulators.csms.frames import read_frames

pytestmark = pytest.mark.process


def run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="evse-sim")
    add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(argv)
    code: int = args.run(args)
    return code


def test_kill_9_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    with CsmsProcess(tmp_path, resume=True) as csms:

        async def first() -> list[Any]:
            answers = []
            async with booted(csms.url) as link:
                for number in range(200):
                    start = json.loads(START)
                    start[1], start[3]["connectorId"] = f"s{number}", number + 1
                    answers.append(await ask(link, json.dumps(start)))
                    if number == 150:
                        csms.kill()
                        break
            return answers

        answered = asyncio.run(first())
        assert len(answered) == 151
        sent = [json.loads(f.text) for f in read_frames(tmp_path / "frames.jsonl") if f.direction.value == "sent"]
        assert sent[1:] == answered

        # Started again on the same port it knows every transaction, and goes on counting where it was.
        port = csms.port
        csms.start()
        assert csms.port == port
        assert csms.ledger()["totals"]["transactions"] == 151

        async def second() -> None:
            async with charge_point(csms.url) as link:
                retry = json.loads(START)
                retry[1], retry[3]["connectorId"] = "s150", 151
                assert await ask(link, json.dumps(retry)) == answered[150]
                new = json.loads(START)
                new[1], new[3]["connectorId"] = "s999", 999
                assert (await ask(link, json.dumps(new)))[2]["transactionId"] == 152
                stop = call("e", "StopTransaction", transactionId=1, meterStop=130, timestamp="2026-01-02T05:00:00Z")
                await ask(link, stop)

        asyncio.run(second())
        books = csms.ledger()
        assert (books["transactions"][0]["energy_wh"], books["transactions"][150]["start_repeats"]) == (30, 1)
        assert books["anomalies"] == []
        numbers = [frame.number for frame in csms.frames()]
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_blocking_test_drives_it(tmp_path: Path) -> None:
    with CsmsProcess(tmp_path, accept_unknown=False) as csms:
        csms.ctl("accept", "CAFE", "parent=FLEET")

        async def visit() -> None:
            async with booted(csms.url) as link:
                assert (await ask(link, START))[2]["idTagInfo"] == {"status": "Accepted", "parentIdTag": "FLEET"}
                assert (await ask(link, call("a", "Authorize", idTag="BEEF")))[2]["idTagInfo"]["status"] == "Invalid"

                def blocking() -> None:
                    (seen,) = csms.wait_for("StartTransaction", connectorId=1, idTag="CAFE", timeout_s=20)
                    assert seen["payload"]["meterStart"] == 100
                    with pytest.raises(ControlError, match="got 0"):
                        csms.wait_for("StartTransaction", connectorId=2, timeout_s=0.01)
                    assert csms.call("CP1", "ClearCache", timeout_s=20) == {"status": "Accepted"}

                work = asyncio.get_running_loop().run_in_executor(None, blocking)
                message_id = json.loads(await link.recv())[1]
                await link.send(json.dumps([3, message_id, {"status": "Accepted"}]))
                await work

        asyncio.run(visit())
        assert csms.pid > 0
        # Every word gets its answer, the last one too.
        assert csms.ctl("stop") == {"stopping": True}
    with pytest.raises(ControlError, match="does not run"):
        csms.ctl("state")
    with pytest.raises(RuntimeError, match="does not run"):
        _ = csms.pid


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with CsmsProcess(tmp_path / "a") as first, pytest.raises(RuntimeError, match="ended with 1 before it was ready"):
        CsmsProcess(tmp_path / "b", first.port).start()
    assert "address already in use" in (tmp_path / "b" / "csms.log").read_text()


def test_a_process_speaks_the_versions_it_is_given(tmp_path: Path) -> None:
    with CsmsProcess(tmp_path, versions=["ocpp2.1", "ocpp1.6"]) as csms:
        assert csms.ctl("state")["versions"] == ["ocpp2.1", "ocpp1.6"]

        async def offered() -> str | None:
            async with charge_point(csms.url, "CP1", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]) as link:
                return link.subprotocol

        assert asyncio.run(offered()) == "ocpp2.1"


def test_versions_that_are_none_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run(["csms", "--port", "0", "--versions", "ocpp1.6,ocpp2"])
    assert left.value.code == 2
    assert "'ocpp2' is not known; take some of ocpp1.6, ocpp2.0.1, ocpp2.1" in capsys.readouterr().err


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "simulators.csms", "csms", "--port", "0", "--dir", str(tmp_path / "run")),
            *("--refuse-unknown", "--frames", str(tmp_path / "wire.jsonl")),
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    )
    try:
        assert process.stdout is not None
        ready, url = process.stdout.readline().rsplit(" ", 1)
        assert ready == "csms ready"
        control = ["csms-ctl", "--dir", str(tmp_path / "run")]

        async def visit() -> None:
            async with booted(url.strip()) as link:
                await ask(link, START)
                await ask(link, call("x", "Heartbeat", extra=1))

        asyncio.run(visit())
        assert run([*control, "ledger"]) == 0
        text = capsys.readouterr().out
        assert "1 transactions, 1 open, 0 Wh, 1 anomalies" in text
        assert "! schema-violation (CP1 Heartbeat, frame" in text
        assert run([*control, "--json", "ledger"]) == 0
        reply = json.loads(capsys.readouterr().out)
        assert (reply["ok"], reply["result"]["transactions"][0]["id_tag_status"]) == (True, "Invalid")
        assert run([*control, "clock", "-60", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["result"]["offset_s"] == -60
        assert run([*control, "help"]) == 0
        assert "drop ACTION [COUNT]" in capsys.readouterr().out
        assert run([*control, "tokens"]) == 0
        assert json.loads(capsys.readouterr().out) == {"unknown": "refuse", "tokens": []}
        assert run([*control, "fly"]) == 1
        assert "'fly' is not a word" in capsys.readouterr().err
        assert run([*control, "call", "Reset", "--json"]) == 1
        assert json.loads(capsys.readouterr().out) == {"ok": False, "error": "no charge point is connected"}
        assert read_frames(tmp_path / "wire.jsonl")[1].text == BOOT
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert run([*control, "state"]) == 1
        assert "start one with `evse-sim csms --dir DIR`" in capsys.readouterr().err
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_bad_port_is_a_usage_error(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(["csms", "--port", port])
    assert caught.value.code == 2
    assert "must be a port from 0 to 65535" in capsys.readouterr().err


LINE = (
    '{"number":1,"wall_time":"x","monotonic_s":1.0,"direction":"sent","connection":1,"charge_point":"A","text":"t"}\n'
)


def test_a_line_cut_off_by_a_kill_is_left_out_and_a_broken_one_is_told(tmp_path: Path) -> None:
    log = tmp_path / "frames.jsonl"
    log.write_text(LINE + LINE[:30])
    assert [frame.text for frame in read_frames(log)] == ["t"]
    log.write_text(LINE + "nonsense\n" + LINE)
    with pytest.raises(ValueError, match=r"frames\.jsonl:2: not a frame log line"):
        read_frames(log)


def test_a_log_with_a_cut_off_line_goes_on_after_its_last_whole_one(tmp_path: Path) -> None:
    log = tmp_path / "frames.jsonl"
    log.write_text(LINE + LINE[:30])

    async def story() -> None:
        async with Csms(dir=tmp_path, resume=True) as csms, booted(csms):
            pass

    asyncio.run(story())
    frames = read_frames(log)
    assert [frame.number for frame in frames] == list(range(1, len(frames) + 1))
    assert frames[2].text == BOOT


def test_without_resume_an_old_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "frames.jsonl"

    async def story() -> None:
        async with Csms(dir=tmp_path) as csms, booted(csms):
            assert csms.ledger()["totals"]["calls"] == 1

    for _ in range(3):
        asyncio.run(story())
    assert {len(read_frames(path)) for path in (log, tmp_path / "frames.jsonl.1", tmp_path / "frames.jsonl.2")} == {4}
    assert not (tmp_path / "frames.jsonl.3").exists()
