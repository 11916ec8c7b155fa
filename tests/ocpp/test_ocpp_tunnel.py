"""The tunnel against the simulated CSMS, over a real WebSocket on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from ocpp_fakes import FakeJournal, FakeStation, as_in_file, config, ended, started

from agent.clock import Clock
from agent.ocpp.ports import UplinkState
from agent.ocpp.tunnel import Tunnel
from agent.station.commands import ConnectorStatus, ResetKind
from agent.station.tokens import Token, TokenInfo, TokenStatus
from simulators.csms import CallRefused, Csms
from simulators.csms.behaviour import AnswerRule, Mode
from simulators.csms.tokens import Token as ListedToken
from simulators.csms.tokens import TokenStatus as ListedStatus

WAIT_S = 20.0


class Rig:
    """A tunnel in the test's own loop, with all that it touches."""

    def __init__(self, url: str, **ocpp: Any) -> None:
        self.station = FakeStation()
        self.settings = self.station.settings
        self.journal = FakeJournal()
        file = config(url, **ocpp)
        self.tunnel = Tunnel(file, self.journal, as_in_file(self.settings, file), self.station, Clock())

    async def until(self, ready: Callable[[], Any]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not ready():  # noqa: ASYNC110 (what is awaited is plain data of fakes)
                await asyncio.sleep(0.005)

    async def state(self, state: UplinkState) -> None:
        await self.until(lambda: self.tunnel.report().state is state)


@contextlib.asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[Rig]:
    task = asyncio.create_task(rig.tunnel.run())
    try:
        yield rig
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            async with asyncio.timeout(WAIT_S):
                await task


def run(test: Callable[[Csms], Any]) -> None:
    async def main() -> None:
        async with Csms() as csms:
            await test(csms)

    asyncio.run(main())


def order(csms: Csms) -> list[str]:
    return [call.action for call in csms.calls]


def test_boots_reports_and_delivers_a_session() -> None:
    async def test(csms: Csms) -> None:
        async with running(Rig(csms.url)) as rig:
            await csms.wait_for("StatusNotification", count=2)
            rig.journal.session("tx-1")
            rig.tunnel.wake()
            await csms.wait_for("StopTransaction")
            await rig.until(lambda: not rig.journal.rows)
            assert order(csms) == [
                "BootNotification",
                "StatusNotification",
                "StatusNotification",
                "StartTransaction",
                "MeterValues",
                "StopTransaction",
            ]
            assert rig.station.told("start_answered") == [("tx-1", TokenInfo(TokenStatus.ACCEPTED))]
            transaction = csms.ledger()["transactions"][0]
            assert (transaction["meter_start_wh"], transaction["meter_stop_wh"]) == (1000, 2001)
            assert rig.tunnel.report().state is UplinkState.ACCEPTED
        assert csms.anomalies == []

    run(test)


def test_the_answer_leaves_before_what_the_request_caused() -> None:
    async def test(csms: Csms) -> None:
        rig = Rig(csms.url)

        def begin() -> None:
            rig.station.status[1] = ConnectorStatus.PREPARING
            rig.tunnel.report_status(rig.station.report(1))
            rig.tunnel.authorise(1, Token("04A1"))
            rig.journal.add(started("tx-1"))
            rig.tunnel.wake()

        rig.station.on = {"remote_start": begin}
        async with running(rig):
            await csms.wait_for("StatusNotification", count=2)
            before = csms.frames[-1].number
            answer = await csms.call(None, "RemoteStartTransaction", {"idTag": "04A1", "connectorId": 1})
            assert answer == {"status": "Accepted"}
            await csms.wait_for("StartTransaction")
            kinds = [
                frame.text[:2] for frame in csms.frames if frame.number > before and frame.direction.value == "received"
            ]
            assert kinds[0] == "[3"
            assert set(order(csms)[3:]) == {"StatusNotification", "Authorize", "StartTransaction"}
        assert csms.anomalies == []

    run(test)


def test_the_answer_to_a_reset_is_sent_even_if_the_agent_leaves_at_once() -> None:
    async def test(csms: Csms) -> None:
        rig = Rig(csms.url)
        task = asyncio.create_task(rig.tunnel.run())
        rig.station.on = {"reset": task.cancel}
        await csms.wait_for("StatusNotification", count=2)
        assert await csms.call(None, "Reset", {"type": "Soft"}) == {"status": "Accepted"}
        assert rig.station.told("reset") == [(ResetKind.SOFT,)]
        with pytest.raises(asyncio.CancelledError):
            await task
        await csms.wait_disconnected()

    run(test)


def test_commands_of_the_network() -> None:
    async def test(csms: Csms) -> None:
        async with running(Rig(csms.url)) as rig:
            await csms.wait_for("StatusNotification", count=2)
            assert await csms.call(None, "UnlockConnector", {"connectorId": 1}) == {"status": "Unlocked"}
            assert await csms.call(None, "UnlockConnector", {"connectorId": 7}) == {"status": "NotSupported"}
            assert await csms.call(None, "ClearCache") == {"status": "Accepted"}
            assert await csms.call(None, "DataTransfer", {"vendorId": "x"}) == {"status": "UnknownVendorId"}
            change = {"connectorId": 0, "type": "Inoperative"}
            assert await csms.call(None, "ChangeAvailability", change) == {"status": "Scheduled"}
            assert rig.station.told("change_availability") == [(0, False)]
            with pytest.raises(CallRefused, match="NotSupported"):
                await csms.call(None, "Heartbeat")
            assert await csms.call(None, "TriggerMessage", {"requestedMessage": "Heartbeat"}) == {"status": "Accepted"}
            await csms.wait_for("Heartbeat")
            with pytest.raises(CallRefused, match="NotImplemented"):
                await csms.call(None, "MakeCoffee")
            with pytest.raises(CallRefused, match="ProtocolError"):
                await csms.call(None, "Reset")
        assert csms.anomalies == []

    run(test)


def test_a_lost_connection_comes_back_without_a_boot_and_only_with_what_changed() -> None:
    async def test(csms: Csms) -> None:
        async with running(Rig(csms.url)) as rig:
            await csms.wait_for("StatusNotification", count=2)
            await csms.cut()
            await rig.until(lambda: rig.station.told("uplink_changed")[1:])
            rig.station.status[1] = ConnectorStatus.PREPARING
            rig.journal.session("tx-off")
            rig.tunnel.wake()
            await csms.wait_for("StopTransaction")
            calls = order(csms)[3:]
            assert "BootNotification" not in calls
            assert calls.count("StatusNotification") == 1
            assert rig.station.told("uplink_changed") == [(True,), (False,), (True,)]
            await rig.until(lambda: not rig.journal.rows)
        assert csms.anomalies == []

    run(test)


def test_an_answer_lost_with_the_connection_is_asked_for_again_under_the_same_id() -> None:
    async def test(csms: Csms) -> None:
        async with running(Rig(csms.url)) as rig:
            await csms.wait_for("StatusNotification", count=2)
            csms.behaviour.add("StartTransaction", AnswerRule(Mode.DROP, 1))
            rig.journal.session("tx-1")
            rig.tunnel.wake()
            await csms.wait_for("StartTransaction")
            await csms.cut()
            await csms.wait_for("StopTransaction")
            await rig.until(lambda: not rig.journal.rows)
            ids = {call.message_id for call in csms.calls if call.action == "StartTransaction"}
            assert len(ids) == 1
            assert csms.ledger()["totals"]["transactions"] == 1
            assert rig.journal.parked == {}

    run(test)


def test_offline_by_command_and_back() -> None:
    async def test(csms: Csms) -> None:
        async with running(Rig(csms.url, back_off_minimum_s=600.0)) as rig:
            await csms.wait_for("StatusNotification", count=2)
            rig.tunnel.set_online(False)
            await rig.state(UplinkState.OFFLINE_BY_COMMAND)
            await csms.wait_disconnected()
            rig.tunnel.authorise(7, Token("04A1"))
            await rig.until(lambda: rig.station.told("authorisation_answered") == [(7, None)])
            rig.tunnel.set_online(True)
            await rig.state(UplinkState.ACCEPTED)
            assert rig.tunnel.report().last_error == ""

    run(test)


def test_authorisation() -> None:
    async def test(csms: Csms) -> None:
        csms.tokens.put(ListedToken("BAD", ListedStatus.BLOCKED))
        async with running(Rig(csms.url)) as rig:
            await csms.wait_for("StatusNotification", count=2)
            for request, uid in enumerate(("04A1", "BAD", "X" * 21)):
                rig.tunnel.authorise(request, Token(uid))
            await rig.until(lambda: len(rig.station.told("authorisation_answered")) == 3)
            answers = dict(rig.station.told("authorisation_answered"))
            assert [answers[n].status for n in range(3)] == [
                TokenStatus.ACCEPTED,
                TokenStatus.BLOCKED,
                TokenStatus.INVALID,
            ]

    run(test)


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_no_http_status_ends_the_tries(status: int) -> None:
    async def test(csms: Csms) -> None:
        csms.handshake_status = status
        async with running(Rig(csms.url, back_off_minimum_s=0.1, back_off_random_s=0.0)) as rig:
            await rig.until(lambda: str(status) in rig.tunnel.report().last_error)
            csms.handshake_status = None
            await rig.state(UplinkState.ACCEPTED)

    run(test)


def test_no_network_at_all_then_one() -> None:
    async def test(csms: Csms) -> None:
        await csms.stop_listening()
        async with running(Rig(csms.url)) as rig:
            await rig.until(lambda: rig.tunnel.report().last_error)
            await csms.listen()
            await rig.state(UplinkState.ACCEPTED)

    run(test)


def test_without_a_url_it_stays_quiet() -> None:
    async def main() -> None:
        async with running(Rig("")) as rig:
            rig.tunnel.authorise(1, Token("04A1"))
            rig.tunnel.wake()
            rig.tunnel.report_status(rig.station.report(1))
            await rig.until(lambda: rig.station.told("authorisation_answered") == [(1, None)])
            assert rig.tunnel.report().state is UplinkState.NOT_CONFIGURED

    asyncio.run(main())


def test_misbehaviour_of_the_network_is_survived() -> None:
    async def test(csms: Csms) -> None:
        rig = Rig(csms.url)
        rig.settings.set("OCPPCommCtrlr.MessageTimeout", "1")
        rig.settings.set("OCPPCommCtrlr.MessageAttemptInterval", "0")
        rig.settings.set("OCPPCommCtrlr.MessageAttempts", "100")
        async with running(rig):
            await csms.wait_for("StatusNotification", count=2)
            for text in (
                "",
                "{}",
                "[]",
                "[2]",
                '[2,"x"]',
                "[" * 5000,
                '[9,"x",{}]',
                '[3,"nobody",{}]',
                '[2,1,"Reset",{}]',
            ):
                await csms.send_text(text)
            for mode in (Mode.TWICE, Mode.ERROR, Mode.WRONG_TYPE, Mode.WRONG_ID, Mode.MALFORMED):
                csms.behaviour.add("StartTransaction", AnswerRule(mode, 1, error_code="NoSuchCode"))
                rig.journal.session(f"tx-{mode.value}")
                rig.tunnel.wake()
                await rig.until(lambda: not rig.journal.rows)
            assert rig.journal.parked == {}
            assert len(set(rig.journal.numbers)) == 5
            assert csms.ledger()["totals"]["open"] == 0

    run(test)


def test_a_start_that_is_refused_keeps_its_stop_back_and_lets_others_pass() -> None:
    async def test(csms: Csms) -> None:
        rig = Rig(csms.url)
        rig.settings.set("OCPPCommCtrlr.MessageAttempts", "1")
        csms.behaviour.add("StartTransaction", AnswerRule(Mode.ERROR, 1))
        rig.journal.add(started("tx-1"))
        rig.journal.add(ended("tx-1"))
        rig.journal.session("tx-2")
        async with running(rig):
            await csms.wait_for("StopTransaction")
            stops = [call.payload["transactionId"] for call in csms.calls if call.action == "StopTransaction"]
            assert stops == [rig.journal.numbers["tx-2"]]
            assert list(rig.journal.parked) == [1, 2]

    run(test)
