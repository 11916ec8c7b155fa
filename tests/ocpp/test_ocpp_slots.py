"""Slots of ways to a network and their order, with virtual time: what is tried, kept, given up, and read back."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp_fakes import as_in_file, config

from agent.config.schema import Config, Network
from agent.ocpp.link_settings import waits
from agent.ocpp.network_profile import NetworkProfile, ProposalError
from agent.ocpp.networks import MAX_STARTS, Networks, TrialKind
from agent.security.files import SecretFileError
from agent.station.settings import Settings

FILE = config("ws://a", identity="CP", network_attempts=2, networks=(Network(url="ws://b"),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "networks.json"


def way(url: str, level: int = 0, *versions: str) -> NetworkProfile:
    return NetworkProfile(url, "CP", level, versions=versions or ("ocpp2.0.1",), operator=f"{url} CP")


def moved(path: Path, order: tuple[int, ...] = (2, 0), file: Config = FILE) -> Networks:
    """A new order waits, and the agent has started again."""
    networks = Networks(file, path)
    networks.write_slot(2, way("ws://c"))
    assert networks.propose_priority(order, False, False)
    return Networks(file, path)


def test_waits_between_tries_are_those_of_the_file_until_the_network_sets_others() -> None:
    ocpp = config("ws://a", back_off_minimum_s=0.1, back_off_random_s=0.0, back_off_repeats=2).ocpp
    settings = as_in_file(Settings(), config("ws://a", back_off_minimum_s=0.1, back_off_random_s=0.0))
    assert list(islice(waits(ocpp, settings), 4)) == [0.1, 0.2, 0.4, 0.4]
    settings.set("OCPPCommCtrlr.RetryBackOffWaitMinimum", "10")
    settings.set("OCPPCommCtrlr.RetryBackOffRepeatTimes", "3")
    assert list(islice(waits(ocpp, settings), 5)) == [10, 20, 40, 80, 80]
    settings.set("OCPPCommCtrlr.RetryBackOffRandomRange", "5")
    for wait in islice(waits(ocpp, settings), 3, 20):
        assert 80 <= wait < 85


def test_the_file_s_ways_are_the_first_slots_and_there_are_free_ones() -> None:
    networks = Networks(FILE, None)
    assert (tuple(networks.slots.numbers), networks.priority, networks.active) == ((0, 1, 2, 3, 4, 5), (0, 1), 0)
    assert [networks.slot(number) is not None for number in networks.slots.numbers] == [True, True] + [False] * 4


def test_a_new_order_waits_for_the_next_start_and_is_proved_by_a_boot(path: Path) -> None:
    networks = Networks(FILE, path)
    networks.write_slot(2, way("ws://c"))
    assert networks.propose_priority((2, 0), False, False)
    assert (networks.current().url, networks.priority, networks.trial) == ("ws://a", (2, 0), None)
    networks = Networks(FILE, path)
    assert networks.trial is not None
    assert (networks.trial.kind, networks.current().url, networks.active) == (TrialKind.PRIORITY, "ws://c", 2)
    assert networks.current().versions == ("ocpp2.0.1",)
    verdict = networks.proved(networks.current())
    assert verdict is not None
    assert verdict.kept
    assert (networks.settled().url, networks.active, networks.trial) == ("ws://c", 2, None)
    again = Networks(FILE, path)
    assert (again.settled().url, again.priority, again.trial) == ("ws://c", (2, 0), None)


def test_each_way_of_the_order_gets_its_tries_and_the_second_may_be_the_proof(path: Path) -> None:
    networks = moved(path)
    tried = []
    for _ in range(3):
        tried.append(networks.current().url)
        networks.failed()
        assert networks.advance(0.0, lambda: True) is None
    assert tried == ["ws://c", "ws://c", "ws://a"]
    verdict = networks.proved(networks.current())
    assert verdict is not None
    assert verdict.kept
    assert (networks.priority, networks.active) == ((2, 0), 0)
    # B10.FR.04: the next start begins with the first entry again.
    assert Networks(FILE, path).current().url == "ws://c"


def test_when_all_have_failed_the_last_good_one_is_back_and_the_new_slot_is_kept(path: Path) -> None:
    first = Networks(FILE, path)
    first.accepted(first.current())
    networks = moved(path, (2,))
    networks.failed()
    assert networks.advance(0.0, lambda: True) is None
    networks.failed()
    verdict = networks.advance(1.0, lambda: True)
    assert verdict is not None
    assert not verdict.kept
    assert (networks.current().url, networks.priority, networks.active) == ("ws://a", (0, 1), 0)
    held = networks.slot(2)
    assert held is not None
    assert held.url == "ws://c"


def test_one_that_answers_but_does_not_accept_has_its_time_and_no_more(path: Path) -> None:
    networks = moved(path)
    assert networks.advance(10.0, lambda: True) is None
    assert networks.advance(309.9, lambda: True) is None
    assert networks.current().url == "ws://c"
    assert networks.advance(310.0, lambda: True) is None
    assert networks.current().url == "ws://a"
    assert networks.advance(609.0, lambda: True) is None
    verdict = networks.advance(610.0, lambda: True)
    assert verdict is not None
    assert not verdict.kept


def test_restarts_do_not_prolong_it_for_ever(path: Path) -> None:
    moved(path, (2,))
    for _ in range(MAX_STARTS - 1):
        assert Networks(FILE, path).current().url == "ws://c"
    last = Networks(FILE, path)
    assert (last.current().url, last.priority, last.trial) == ("ws://a", (0, 1), None)
    assert Networks(FILE, path).trial is None


def test_new_contents_of_the_slot_in_use_wait_too_and_the_old_ones_come_back(path: Path) -> None:
    networks = Networks(FILE, path)
    networks.write_slot(0, way("ws://elsewhere"))
    assert networks.current().url == "ws://a"
    networks = Networks(FILE, path)
    assert [networks.current().url, networks.settled().url] == ["ws://elsewhere", "ws://a"]
    for _ in range(4):
        networks.failed()
    assert networks.advance(0.0, lambda: True) is not None
    held = networks.slot(0)
    assert held is not None
    assert held.url == "ws://a"


def test_while_one_order_is_tried_no_other_is_taken_and_a_move_ends_what_waits(path: Path) -> None:
    networks = moved(path)
    with pytest.raises(ProposalError, match="being tried"):
        networks.propose_priority((0, 2), False, False)
    with pytest.raises(ProposalError, match="being tried"):
        networks.write_slot(3, way("ws://d"))
    assert networks.active == 2
    networks.proved(networks.current())
    assert networks.propose_priority((0, 2), False, False)
    networks.propose_move({"url": "ws://e", "waitForSessions": 0}, False, False)
    networks.proved(networks.current())
    again = Networks(FILE, path)
    assert (again.trial, again.priority, again.settled().url) == (None, (2, 0), "ws://e")


def test_leaving_out_a_slot_that_is_not_in_use_needs_no_start(path: Path) -> None:
    networks = Networks(FILE, path)
    assert not networks.propose_priority((0,), False, False)
    assert Networks(FILE, path).ways() == networks.ways()
    assert [each.url for each in networks.ways()] == ["ws://a"]
    # The one in use, or another order, does need one.
    assert networks.propose_priority((1,), False, False)


@pytest.mark.parametrize("order", [(), (0, 0), (3,), (7,), (-1,), (0, 3)])
def test_an_order_of_slots_that_are_empty_or_not_there_is_refused(path: Path, order: tuple[int, ...]) -> None:
    networks = Networks(FILE, path)
    with pytest.raises(ProposalError):
        networks.propose_priority(order, True, True)
    assert networks.priority == (0, 1)


def test_a_slot_that_is_not_there_or_lowers_security_is_refused() -> None:
    networks = Networks(config("wss://a", password="sixteen-or-more-letters"), None)
    for number in (-1, 6, 99):
        with pytest.raises(ProposalError, match="slot"):
            networks.write_slot(number, way("wss://c", 2))
    with pytest.raises(ProposalError, match="only be raised"):
        networks.write_slot(2, way("ws://c", 1))


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("version", ["ocpp2.1", "ocpp2.0.1"])
def test_2_1_may_go_from_profile_3_to_2_where_the_file_allows_it(allowed: bool, version: str) -> None:
    """2.1 B09.FR.31, FR.32"""
    options = {"security_profile": 3, "versions": (version,), "allow_profile_downgrade": allowed}
    networks = Networks(config("wss://a", **options), None)
    if allowed and version == "ocpp2.1":
        networks.write_slot(2, replace(way("wss://c", 2), password=b"sixteen-or-more-letters"))
        assert networks.propose_priority((2, 0), True, True)
    else:
        with pytest.raises(ProposalError, match="only be raised"):
            networks.write_slot(2, way("wss://c", 2))
    for level in (0, 1):
        with pytest.raises(ProposalError, match="only be raised"):
            networks.write_slot(2, way("wss://c", level))


def test_raising_the_profile_needs_what_it_needs_and_drops_what_is_lower(path: Path) -> None:
    file = config("ws://a", identity="CP", password="sixteen-or-more-letters", networks=(Network(url="ws://b"),))
    networks = Networks(file, path)
    networks.write_slot(2, way("wss://c", 2))
    networks.write_slot(3, way("wss://c", 3))
    with pytest.raises(ProposalError, match="Root"):  # A05.FR.02
        networks.propose_priority((2, 0), False, False)
    with pytest.raises(ProposalError, match="certificate of the charge point"):  # A05.FR.03
        networks.propose_priority((3,), True, False)
    with pytest.raises(ProposalError, match="may only be raised"):  # A05.FR.04
        networks.propose_priority((2, 1), True, False)
    assert networks.propose_priority((2, 0), True, False)
    networks = Networks(file, path)
    # 2.0.1 has one password for all profiles.
    assert networks.current().basic_password == b"sixteen-or-more-letters"
    networks.proved(networks.current())
    # A05.FR.06
    assert (networks.priority, networks.active, networks.settled().security_profile) == ((2,), 2, 2)
    assert [networks.slot(number) for number in (0, 1)] == [None, None]
    again = Networks(file, path)
    assert (again.priority, again.settled().security_profile) == ((2,), 2)
    # A technician who changes the file has the last word.
    changed = replace(file, ocpp=replace(file.ocpp, url="ws://by-hand"))
    assert Networks(changed, path).settled().url == "ws://by-hand"


def test_a_file_that_cannot_be_written_leaves_all_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = Networks(FILE, tmp_path / "networks.json")
    networks.write_slot(2, way("ws://c"))

    def full(*_: object) -> None:
        raise SecretFileError("the disk is full")

    monkeypatch.setattr("agent.ocpp.networks.write_secret", full)
    with pytest.raises(SecretFileError):
        networks.write_slot(2, way("ws://d"))
    with pytest.raises(SecretFileError):
        networks.propose_priority((2, 0), False, False)
    with pytest.raises(SecretFileError):
        networks.write_slot(0, way("ws://e"))
    held = networks.slot(2)
    assert held is not None
    assert (held.url, networks.priority, networks.settled().url) == ("ws://c", (0, 1), "ws://a")


@given(
    order=st.permutations([0, 1, 2]),
    failures=st.lists(st.booleans(), max_size=12),
    works=st.sampled_from(["ws://a", "ws://b", "ws://c"]),
)
def test_whatever_fails_the_network_that_works_is_found(order: list[int], failures: list[bool], works: str) -> None:
    networks = Networks(FILE, None)
    networks.write_slot(2, way("ws://c"))
    networks.slots.set_priority(order)
    for restart in failures:
        networks.failed()
        if restart:
            networks.advance(0.0, lambda: True)
    for _ in range(7):
        if networks.current().url == works:
            break
        networks.failed()
        networks.advance(0.0, lambda: True)
    assert networks.current().url == works
