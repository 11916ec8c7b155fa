"""The console on a terminal and on a serial port: log-in, help, completion, dumb terminals, scripts, hang-up."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest
from technician import CTRL_C, CTRL_D, TAB, Technician

from agent.local.methods import Method
from agent.local.roles import Role

pytestmark = pytest.mark.process
PIN = "402617"


def console(bench, **options):
    return Technician(["--socket", str(bench.path)], **options)


def test_a_service_user_on_a_terminal_needs_no_pin(bench):
    bench.start()
    with console(bench) as technician:
        technician.wait(r"N-1 \(Nord X\)")
        technician.wait("service> ")
        assert "no vehicle is connected" in technician.do("why 2")
        assert "EVSE 1" not in technician.do("why 2")
        technician.send("stat" + TAB)
        technician.wait("status ")
        technician.send("\r")
        technician.wait("Available")
        technician.wait("service> ")
        technician.line("exit")
        assert technician.process.wait(10) == 0


def test_log_in_raises_and_log_out_lowers(bench):
    bench.role = Role.OBSERVE
    bench.start()
    with console(bench) as technician:
        technician.wait("observe> ")
        assert "needs the role service" in technician.do("pin set")
        technician.line("login")
        technician.wait("New PIN:")
        technician.line("123456")
        technician.wait("Again:")
        technician.line("123456")
        technician.wait("first that anybody")
        technician.wait("observe> ")
        technician.line("login")
        for word in (PIN, PIN):
            technician.wait("PIN:|Again:")
            technician.line(word)
        technician.wait("name:")
        technician.line("Ines")
        technician.wait("PIN:")
        technician.line(PIN)
        technician.wait("Logged in: service")
        technician.wait("service> ")
        assert PIN.encode() not in technician.said
        technician.do("logout", "observe")
        assert bench.logins[-1] == (True, "Ines, service")


def test_a_serial_port_asks_for_the_pin_and_survives_the_cable(bench, tmp_path):
    bench.role = Role.SERVICE  # whoever holds the cable is not root, whatever runs the console is
    bench.start()
    node = tmp_path / "port"
    with console(bench, on_port=node) as technician:
        technician.wake("New PIN:")
        technician.wait("New PIN:")
        technician.line(PIN)
        technician.wait("Again:")
        technician.line(PIN)
        technician.wait("name:")
        technician.line("Ines")
        technician.wait("PIN:")
        technician.line("000111")
        technician.wait("wrong PIN")
        technician.wait("name:")
        technician.line("Ines")
        technician.wait("PIN:")
        technician.line(PIN)
        technician.wait("service> ")
        assert bench.logins == [(False, "Ines at " + str(node)[:40]), (True, "Ines at " + str(node)[:40] + ", service")]
        # The cable is pulled and another plugged in: nobody is logged in any more.
        old = technician.master, technician._slave
        technician.master, technician._slave = os.openpty()
        os.set_blocking(technician.master, False)
        node.unlink()
        os.close(old[0])
        os.close(old[1])
        node.symlink_to(os.ttyname(technician._slave))
        technician.said, technician._seen = b"", 0
        technician.wake("name:")
        technician.send(CTRL_C)


def test_a_dumb_terminal_gets_plain_text(bench):
    bench.start()
    with console(bench, answers=False) as technician:
        technician.wait("service> ")
        technician.do("why 1", "plug the cable in")
        technician.send("stqt\x7f\x7fa" + "tus\r")
        technician.wait("Available")
        assert b"\x1b" not in technician.said


def test_long_answers_are_paged(bench):
    bench.start()
    with console(bench, rows=10) as technician:
        technician.wait("service> ")
        technician.line("status")
        technician.wait("-- 9 of")
        technician.send(" ")
        technician.wait("-- 18 of|service> ")
        technician.send("q")
        technician.wait("service> ")


def test_a_pasted_script_runs_to_its_end(bench):
    bench.start()
    with console(bench) as technician:
        technician.wait("service> ")
        technician.send("why 1\r\nwhy 2\r\nlanguage --json\r\n")
        technician.wait('"language": "en"')
        technician.wait("service> ")


def test_interrupt_leaves_a_call_and_the_line(bench):
    bench.start()
    with console(bench) as technician:
        technician.wait("service> ")
        technician.send("abc" + CTRL_C)
        technician.wait(r"\^C")
        technician.wait("service> ")
        technician.send(CTRL_D)
        assert technician.process.wait(10) == 0


def test_interrupt_while_the_pin_is_checked_ends_the_session_not_the_console(bench, tmp_path):
    async def never(pin: str, name: str = "", port: str = "") -> str:
        """Never answers."""
        await asyncio.sleep(3600)
        return pin + name + port

    bench.start()
    with console(bench) as technician:  # sets the first PIN
        technician.wait("service> ")
        technician.line("pin set")
        technician.wait("New PIN:")
        technician.line(PIN)
        technician.wait("Again:")
        technician.line(PIN)
        technician.wait("The PIN is set")
    bench.stop()
    bench.extra["session.login"] = Method(never, Role.NONE)
    bench.start()
    with console(bench, on_port=tmp_path / "port") as technician:
        technician.wake("name:")
        for _ in range(2):
            technician.wait("name:")
            technician.line("Ines")
            technician.wait("PIN:")
            technician.line(PIN)
            technician.send(CTRL_C)
            technician.send("\r\r")
        assert technician.process.poll() is None


def test_idle_logs_off(bench):
    bench.start()
    with Technician(["--socket", str(bench.path), "--idle", "1"]) as technician:
        technician.wait("service> ")
        technician.wait("logged off", timeout_s=15)
        assert technician.process.wait(10) == 0


def batch(bench, text, *options):
    return subprocess.run(
        [sys.executable, "-m", "agent.console", "--socket", str(bench.path), "--batch", "-", *options],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_batch_mode(bench):
    bench.start()
    good = batch(bench, "# a script\nwhy 1 --json\n\nlanguage en\n")
    assert good.returncode == 0, good.stdout
    assert json.loads(good.stdout.splitlines()[0])[0]["evse"] == 1
    bad = batch(bench, "why 9\nlanguage\n")
    assert bad.returncode == 2
    assert "there is no EVSE '9'" in bad.stdout
    assert "Language" not in bad.stdout
    assert "Language" in batch(bench, "why 9\nlanguage\n", "--keep-going").stdout
    assert batch(bench, "pin set\n").returncode == 4  # a question, and nobody to ask


def test_without_an_agent(bench):
    with console(bench) as technician:
        technician.wait("no agent runs there")
        technician.wait("none> ")
        technician.do("status", "needs the role|no agent runs")
        bench.start()
        technician.do("status", "Available")


def test_noise_on_the_line_does_no_harm(bench):
    bench.start()
    with console(bench) as technician:
        technician.wait("service> ")
        technician.send(bytes(byte for byte in range(256) if byte not in (3, 4, 0x1A)) * 20)
        technician.send(CTRL_C)
        technician.wait(r"\^C.*service> \S*$")
        technician.do("why 1", "no vehicle is connected")


def test_an_agent_that_was_away_is_asked_anew_without_a_broken_pipe(bench):
    bench.start()
    with console(bench) as technician:
        technician.wait("service> ")
        bench.stop()
        assert "no agent runs there" in technician.do("status")
        bench.start()
        assert "Available" in technician.do("status")
        bench.stop()
        bench.start()
        said = technician.do("why 2")
        assert "no vehicle is connected" in said
        assert "error" not in said


def test_after_a_restart_of_the_agent_the_port_gives_no_role_without_the_pin(bench, tmp_path):
    bench.role = Role.SERVICE
    bench.start()
    with console(bench, on_port=tmp_path / "port") as technician:
        technician.wake("New PIN:")
        for words, answer in (("New PIN:", PIN), ("Again:", PIN), ("name:", "Ines"), ("PIN:", PIN)):
            technician.wait(words)
            technician.line(answer)
        technician.wait("service> ")
        bench.stop()
        bench.start()
        technician.line("boom")
        technician.line("status")
        technician.wait("log in again")
        technician.send(CTRL_C)
        technician.wait("left off")
        technician.wait("none> ")
        assert "needs the role" in technician.do("status")


def test_a_word_that_only_the_command_can_judge_is_a_usage_error(bench):
    bench.start()
    done = subprocess.run(
        [sys.executable, "-m", "agent.console", "--batch", "-", "--socket", str(bench.path)],
        input="selftest 9 --yes\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert "there is no EVSE '9'" in done.stdout
