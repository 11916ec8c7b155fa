"""The local list: updates of every kind, what goes before what, and where it disagrees with the network."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station_world import ACCEPTED, World

from agent.journal.journal import Journal
from agent.station.local_list import ListAnswer, ListUpdate, MemoryStore
from agent.station.tokens import TokenInfo, TokenStatus

BLOCKED = TokenInfo(TokenStatus.BLOCKED)


def row(key: str, status: str = "Accepted", group: str = "", expires_utc_s: float | None = None):
    return (key, status, group, expires_utc_s)


def full(version: int, *rows) -> ListUpdate:
    return ListUpdate(version, True, rows)


def change(version: int, *rows, removed: tuple[str, ...] = ()) -> ListUpdate:
    return ListUpdate(version, False, rows, removed)


def version(world: World) -> int:
    return world.station.local_list_version(world.moment())


def test_updates_follow_one_another() -> None:
    world = World()
    assert version(world) == 0
    assert world.call("update_local_list", full(5, row("aa"), row("bb"))) is ListAnswer.ACCEPTED
    assert version(world) == 5
    assert world.call("update_local_list", change(6, row("cc"), removed=("aa", "zz"))) is ListAnswer.ACCEPTED
    assert (version(world), world.local_list.size) == (6, 2)
    assert world.call("update_local_list", full(2, row("dd"))) is ListAnswer.ACCEPTED, "a full one may go back"
    assert (version(world), world.local_list.size) == (2, 1)
    assert world.call("update_local_list", full(9)) is ListAnswer.ACCEPTED
    assert version(world) == 0, "an empty list has version 0"
    assert world.call("update_local_list", change(1, row("ee"))) is ListAnswer.ACCEPTED


@pytest.mark.parametrize("number", [3, 4])
def test_a_differential_update_must_be_newer(number: int) -> None:
    world = World()
    world.call("update_local_list", full(4, row("aa")))
    assert world.call("update_local_list", change(number, row("bb"))) is ListAnswer.VERSION_MISMATCH
    assert (version(world), world.local_list.size) == (4, 1)


@pytest.mark.parametrize(
    "update",
    [
        full(0, row("aa")),
        full(-1, row("aa")),
        change(0, row("aa")),
        full(5, row("aa"), row("aa")),
        change(5, row("aa"), removed=("aa",)),
        full(5, *(row(str(n)) for n in range(1001))),
    ],
)
def test_an_update_that_cannot_be_meant_fails_whole(update: ListUpdate) -> None:
    world = World()
    world.call("update_local_list", full(4, row("xx")))
    assert world.call("update_local_list", update) is ListAnswer.FAILED
    assert (version(world), world.local_list.size) == (4, 1)


def test_a_list_beyond_its_length_fails_whole() -> None:
    world = World(settings={"LocalAuthListCtrlr.Entries": "3"})
    assert world.call("update_local_list", full(1, *(row(str(n)) for n in range(3)))) is ListAnswer.ACCEPTED
    assert world.call("update_local_list", change(2, row("x"))) is ListAnswer.FAILED
    assert world.call("update_local_list", change(2, row("x"), removed=("1",))) is ListAnswer.ACCEPTED


def test_switched_off_it_neither_takes_nor_tells() -> None:
    world = World(online=False, settings={"LocalAuthListCtrlr.Enabled": "false"})
    world.local_list.change(3, True, [row("aa")], [], 9)
    assert version(world) == -1
    assert world.call("update_local_list", full(4, row("bb"))) is ListAnswer.NOT_SUPPORTED
    world.plug()
    world.tap("AA")
    world.run(3)
    assert world.started() == []


def test_offline_the_list_decides_with_expiry_and_group() -> None:
    world = World(online=False)
    soon = world.moment().utc_s + 100
    world.call(
        "update_local_list", full(1, row("aa", expires_utc_s=soon), row("bb", group="fam"), row("cc", "Blocked"))
    )
    world.plug()
    world.tap("CC")
    world.run(3)
    assert world.started() == []
    world.tap("AA")
    world.run(3)
    assert [event.token for event in world.started()] == ["AA"]
    world.tap("AA")
    world.run(5)
    world.unplug()
    world.run(120)
    world.plug()
    world.tap("AA")
    world.run(3)
    assert len(world.started()) == 1, "it has expired"
    world.tap("BB")
    world.run(3)
    assert world.started()[1].group == "fam"


def test_a_listed_token_leaves_the_cache_and_stays_out() -> None:
    world = World()
    world.tap("AA")
    assert "aa" in world.kept["token"]
    world.call("update_local_list", full(1, row("aa", "Blocked")))
    assert "aa" not in world.kept["token"]
    world.run(3)
    world.tap("AA")
    assert "aa" not in world.kept["token"]
    world.call("update_local_list", full(2))
    world.run(70)  # what the card was good for meanwhile lapses
    world.uplink(False)
    world.plug()
    world.tap("AA")
    world.run(3)
    assert world.started() == []


@pytest.mark.parametrize(("listed", "told"), [("Blocked", ACCEPTED), ("Accepted", BLOCKED)])
def test_a_conflict_is_told_until_it_is_settled(listed: str, told: TokenInfo) -> None:
    world = World(known={"AA": told})
    world.call("update_local_list", full(1, row("aa", listed)))
    world.tap("AA")
    report = world.reports[0]
    assert (report.status.value, report.error) == ("Available", "LocalListConflict")
    world.call("update_local_list", change(2, row("aa", told.status.value)))
    assert world.reports[0].error == "NoError"


def test_agreement_and_concurrent_transactions_are_no_conflict() -> None:
    world = World(known={"AA": BLOCKED, "BB": TokenInfo(TokenStatus.CONCURRENT_TX)})
    world.call("update_local_list", full(1, row("aa", "Invalid"), row("bb")))
    world.tap("AA")
    world.run(3)
    world.tap("BB")
    assert world.reports[0].error == "NoError"


KEYS = st.sampled_from(["a", "b", "c", "d", "é"])
ROWS = st.lists(
    st.tuples(KEYS, st.sampled_from(["Accepted", "Blocked"]), st.sampled_from(["", "g"]), st.sampled_from([None, 5.5])),
    unique_by=lambda entry: entry[0],
    max_size=4,
)
CHANGES = st.lists(st.tuples(st.integers(1, 99), st.booleans(), ROWS, st.lists(KEYS, max_size=3), st.integers(2, 5)))


@given(changes=CHANGES)
def test_the_stored_list_does_as_the_one_in_memory(changes, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("list") / "journal.db"
    memory = MemoryStore()
    journal = Journal.open(path, "b1")
    for number, whole, rows, removed, most in changes:
        arguments = (number, whole, rows, removed, most)
        assert journal.local_list.change(*arguments) == memory.change(*arguments)
        _same(journal, memory)
    journal.close()
    journal = Journal.open(path, "b2")
    _same(journal, memory)
    journal.close()


def _same(journal: Journal, memory: MemoryStore) -> None:
    stored = journal.local_list
    assert (stored.version, stored.size) == (memory.version, memory.size)
    for key in ["a", "b", "c", "d", "é", "nobody"]:
        assert stored.get(key) == memory.get(key)


def test_a_flipped_bit_in_the_stored_list_is_not_believed(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", "b1")
    journal.local_list.change(1, True, [row("aa", "Blocked")], [], 9)
    with journal.write():
        journal._db.execute("UPDATE local_list SET status = 'Accepted'")
    assert journal.local_list.get("aa") is None
    journal.close()
