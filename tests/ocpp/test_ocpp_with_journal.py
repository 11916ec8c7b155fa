"""The tunnel with the real journal: what the network has is told once, across restarts of the agent."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

from ocpp_fakes import FakeStation, as_in_file, config, ended, sampled, started

from agent.clock import Clock
from agent.journal.events import SampledValue
from agent.journal.journal import Journal
from agent.ocpp.ports import JournalPort
from agent.ocpp.tunnel import Tunnel
from simulators.csms import Csms
from simulators.csms.behaviour import AnswerRule, Mode

SESSIONS = 15


def fill(journal: Journal, clock: Clock) -> None:
    """Write sessions of 1001 Wh each, one after the other, the last of them an hour ago."""
    moment = clock.now()
    register = SampledValue("Energy.Active.Import.Register", 0.0, "Wh")
    with journal.write():
        for number in range(SESSIONS):
            at, wh = moment.monotonic_s - 3600 - 300 * (SESSIONS - number), 1001.0 * number
            name = f"tx-{number}"
            journal.append(started(name, meter_wh=wh, offline=True), moment.stamp(at))
            journal.append(sampled(name, replace(register, value=wh + 500)), moment.stamp(at + 60))
            journal.append(ended(name, meter_wh=wh + 1001, offline=True), moment.stamp(at + 120))


def test_restarted_again_and_again_while_it_delivers(tmp_path: Path) -> None:
    async def main() -> None:
        clock = Clock(boot="boot-1")
        journal = Journal.open(tmp_path / "journal.db", clock.boot)
        fill(journal, clock)
        async with Csms() as csms:
            # Every fourth answer is lost together with the connection.
            for _ in range(3):
                csms.behaviour.add("StartTransaction", AnswerRule(Mode.NORMAL, 3))
                csms.behaviour.add("StartTransaction", AnswerRule(Mode.DROP, 1))
            csms.behaviour.add("StopTransaction", AnswerRule(Mode.NORMAL, 5))
            csms.behaviour.add("StopTransaction", AnswerRule(Mode.DROP, 1))
            for _ in range(20):
                line: JournalPort = journal
                station = FakeStation()
                file = config(csms.url)
                tunnel = Tunnel(file, line, as_in_file(station.settings, file), station, clock)
                task = asyncio.create_task(tunnel.run())
                before = len(csms.calls)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        while journal.figures().pending and len(csms.calls) < before + 20:  # noqa: ASYNC110
                            await asyncio.sleep(0.005)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await csms.wait_disconnected()
                journal.close()
                journal = Journal.open(tmp_path / "journal.db", clock.boot)
                if not journal.figures().pending:
                    break
            assert journal.figures().pending == 0
            assert journal.figures().parked == 0
            totals = csms.ledger()["totals"]
            assert (totals["transactions"], totals["open"]) == (SESSIONS, 0)
            assert totals["energy_wh"] == SESSIONS * 1001
            assert totals["start_repeats"] >= 3
            assert csms.anomalies == []
            for number in range(SESSIONS):
                known = journal.network_transaction(f"tx-{number}")
                assert known is not None
                assert journal.transaction_of(known) == f"tx-{number}"
        journal.close()

    asyncio.run(main())
