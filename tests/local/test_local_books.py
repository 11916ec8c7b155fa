"""What the network has not got: listed, retried, exported."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from agent.journal.events import (
    MeterSampled,
    SampledValue,
    Stamp,
    StartTrigger,
    StopReason,
    TransactionEnded,
    TransactionStarted,
)
from agent.journal.journal import Journal
from agent.local.books import methods
from agent.local.client import CallError, LocalClient
from agent.local.rpc import RpcError
from agent.local.server import LocalServer
from agent.local.transactions import exported, listed, retried


def stamp(at):
    return Stamp("b1", at, 1.75e9 + at, synced=True)


@pytest.fixture
def journal(tmp_path):
    journal = Journal.open(tmp_path / "journal.db", "b1")
    for number, name in enumerate(("one", "two", "three")):
        at = 100.0 * number
        journal.append(
            TransactionStarted(name, 1, "04AABB", "ISO14443", 1000.0, StartTrigger.AUTHORIZED, True), stamp(at)
        )
        journal.append(MeterSampled(name, 1, (SampledValue("Voltage", 230.0, "V"),), True), stamp(at + 1))
        if name != "three":
            journal.append(TransactionEnded(name, 1, 3500.0, StopReason.LOCAL, True), stamp(at + 2))
    for seq in (1, 2, 3):
        journal.delivered(seq)
    journal.set_network_transaction("one", 77)
    journal.park(4, "InternalError: no")
    yield journal
    journal.close()


@pytest.fixture
def woken():
    return []


@pytest.fixture
def table(journal, woken):
    return methods(journal, lambda: woken.append(True))


@pytest.fixture
def api(table):
    return {name: method.function for name, method in table.items()}


def test_the_list_tells_what_is_where(api):
    three, two, one = api["transactions"]()["transactions"]
    assert (one["id"], one["state"], one["network_number"], one["end_wh"] - one["start_wh"]) == (
        "one",
        "delivered",
        77,
        2500.0,
    )
    assert (two["state"], two["records"], two["set_aside"], two["refused"]) == ("set aside", 3, 1, "InternalError: no")
    assert (three["state"], three["records"], three["ended_at"]) == ("waiting", 2, None)
    assert api["transactions"](1)["records_of_others"] == 3


def test_retry_puts_back_and_wakes(api, journal, woken):
    with pytest.raises(RpcError, match="no record of transaction"):
        api["transactions.retry"]("nobody")
    assert not woken
    assert api["transactions.retry"]("two") == {"records": 1}
    assert woken
    assert [record.seq for record in journal.pending(10)] == [4, 5, 6, 7, 8]
    assert api["transactions.retry"]() == {"records": 0}


def test_export_pages_through_everything(api):
    first = api["transactions.export"](0, 2)
    assert [record["seq"] for record in first["records"]] == [4, 5]
    assert first["records"][0]["set_aside"] is True
    assert first["records"][0]["event"]["meter_wh"] == 1000.0
    rest = api["transactions.export"](first["next"], 500)
    assert [record["seq"] for record in rest["records"]] == [6, 7, 8]
    assert api["transactions.export"](rest["next"]) == {"records": [], "next": None}
    assert len(api["transactions.export"](-5, 10**9)["records"]) == 5


@pytest.fixture
def client(folder, source, table):
    ready, loop, end = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve():
        server = LocalServer(folder / "api.sock", source, table)
        await server.start()
        ready.set()
        await end.wait()
        await server.close()

    # The journal belongs to one thread; the server's is the only one that uses it meanwhile.
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    with LocalClient(folder / "api.sock") as client:
        yield client
    loop.call_soon_threadsafe(end.set)
    thread.join(30)
    loop.close()


@pytest.fixture
def journal_of_any_thread(journal):
    import sqlite3

    journal._db.close()
    journal._db = sqlite3.connect(journal.path, isolation_level=None, check_same_thread=False)
    return journal


def test_as_a_person_sees_it(journal_of_any_thread, client, tmp_path):
    text = listed(client, as_json=False)
    assert "1 set aside" in text
    assert "refused: InternalError: no" in text
    assert "2.500" in text
    assert max(map(len, text.splitlines())) <= 110
    assert json.loads(listed(client, as_json=True))["transactions"]
    target = tmp_path / "out.jsonl"
    assert exported(client, target).startswith("5 records")
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert [line["seq"] for line in lines] == [4, 5, 6, 7, 8]
    with pytest.raises(OSError, match="directory"):
        exported(client, tmp_path / "none" / "out.jsonl")
    assert not list(tmp_path.glob("*.partial"))
    assert retried(client, "two").startswith("1 record goes")
    assert retried(client, None) == "nothing is set aside"
    with pytest.raises(CallError, match="no record"):
        retried(client, "two")
