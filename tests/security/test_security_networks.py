"""Which way to the network, with virtual time: trials, turns, restarts, files that are damaged."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.schema import Config, Evse, Installation, Network, Ocpp, Station
from agent.ocpp.network_profile import NetworkProfile, ProposalError, password_forms
from agent.ocpp.networks import MAX_STARTS, Networks, TrialKind

OLD = "the-old-key-of-the-file"
HEX = "00112233445566778899AABBCCDDEEFF"


def config(**ocpp: object) -> Config:
    values: dict[str, object] = {"url": "ws://a.example:80/ocpp", "password": OLD, "identity": "CP1"}
    return Config(
        station=Station("V", "M", "SN"),
        installation=Installation(63.0),
        devices=MappingProxyType({}),
        evses=(Evse(1, "board"),),
        ocpp=Ocpp(**(values | ocpp)),  # type: ignore[arg-type]
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "security" / "networks.json"


def settled() -> bool:
    return True


def test_the_readings_of_a_key() -> None:
    assert password_forms(HEX) == [bytes.fromhex(HEX), HEX.encode()]
    assert password_forms("not-in-hex-digits") == [b"not-in-hex-digits"]
    assert password_forms(HEX[:-1] + "g") == [(HEX[:-1] + "g").encode()]
    for bad in ("", "short", "a b" * 6, "x" * 41, "\u00e9" * 20):
        with pytest.raises(ProposalError):
            password_forms(bad)


@pytest.mark.parametrize("taken", [bytes.fromhex(HEX), HEX.encode(), OLD.encode()])
@given(outages=st.lists(st.booleans(), max_size=12))
def test_whichever_key_the_network_knows_is_found_after_any_outage(taken: bytes, outages: list[bool]) -> None:
    networks = Networks(config(), None)
    assert networks.propose_key(HEX)
    for _ in outages:
        networks.failed()
    for _ in range(8):
        way = networks.current()
        if way.password == taken:
            break
        networks.failed()
    assert way.password == taken
    verdict = networks.proved(way)
    assert verdict is not None
    assert verdict.kept == (taken != OLD.encode())
    assert networks.current().password == taken == networks.settled().password
    assert networks.trial is None


def test_a_key_survives_restarts_and_is_forgotten_when_the_file_changes(path: Path) -> None:
    networks = Networks(config(), path)
    networks.propose_key(HEX)
    again = Networks(config(), path)
    assert again.trial is not None
    assert again.trial.kind is TrialKind.KEY
    again.proved(again.current())
    assert Networks(config(), path).settled().password == bytes.fromhex(HEX)
    assert Networks(config(password="another-key-by-a-technician"), path).settled().password == (
        b"another-key-by-a-technician"
    )
    assert path.stat().st_mode & 0o777 == 0o600


def test_raising_the_profile_needs_what_it_needs() -> None:
    networks = Networks(config(), None)
    for level in (-1, 0, 1, 4):
        with pytest.raises(ProposalError):
            networks.propose_profile(level, True, True)
    with pytest.raises(ProposalError, match="Root"):
        networks.propose_profile(2, False, True)
    with pytest.raises(ProposalError, match="certificate of the charge point"):
        networks.propose_profile(3, True, False)
    networks.propose_profile(2, True, False)
    assert networks.current().address == "wss://a.example/ocpp"
    assert networks.current().basic_password == OLD.encode()
    with pytest.raises(ProposalError, match="being tried"):
        networks.propose_key(HEX)
    networks.proved(networks.current())
    networks.propose_profile(3, True, True)
    assert networks.current().basic_password is None


def test_a_move_is_given_up_in_time_and_not_before() -> None:
    networks = Networks(config(), None)
    request = {"url": "ws://b", "password": "sixteen-or-more-letters", "provenWithin": 60}
    networks.propose_move(request, False, False)
    assert networks.waiting
    assert networks.current().url.startswith("ws://a")
    assert networks.advance(0.0, lambda: False) is None
    assert networks.waiting
    assert networks.advance(10.0, settled) is None
    assert networks.current().url == "ws://b"
    for _ in range(20):
        networks.failed()
        assert networks.current().url == "ws://b"
    assert networks.advance(69.9, settled) is None
    verdict = networks.advance(70.0, settled)
    assert verdict is not None
    assert not verdict.kept
    assert networks.current().url.startswith("ws://a")


def test_waiting_for_sessions_ends() -> None:
    networks = Networks(config(), None)
    request = {"url": "ws://b", "password": "sixteen-or-more-letters", "waitForSessions": 100}
    networks.propose_move(request, False, False)
    networks.advance(0.0, lambda: False)
    networks.advance(99.0, lambda: False)
    assert networks.waiting
    networks.advance(100.0, lambda: False)
    assert not networks.waiting


def test_a_move_never_lowers_security() -> None:
    networks = Networks(config(), None)
    with pytest.raises(ProposalError, match="only be raised"):
        networks.propose_move({"url": "ws://b"}, True, True)


def test_a_proved_move_survives_and_a_changed_file_ends_it(path: Path) -> None:
    networks = Networks(config(), path)
    networks.propose_move({"url": "ws://b", "password": HEX, "waitForSessions": 0}, False, False)
    way = networks.current()
    assert networks.accepted(way)
    assert not networks.accepted(way)
    verdict = networks.proved(way)
    assert verdict is not None
    assert verdict.kept
    again = Networks(config(), path)
    assert again.settled().url == "ws://b"
    assert not again.accepted(again.settled())
    again.propose_key("a-rotated-key-at-b")
    again.proved(again.current())
    assert Networks(config(), path).settled().password == b"a-rotated-key-at-b"
    assert Networks(config(url="ws://c"), path).settled().url == "ws://c"


def test_restarts_do_not_prolong_a_move_for_ever(path: Path) -> None:
    networks = Networks(config(), path)
    networks.propose_move({"url": "ws://b", "password": HEX, "waitForSessions": 0}, False, False)
    for _ in range(MAX_STARTS):
        assert Networks(config(), path).current().url == "ws://b"
    last = Networks(config(), path)
    assert last.trial is None
    assert last.current().url.startswith("ws://a")


def test_the_list_goes_round_and_stays_where_it_works() -> None:
    networks = Networks(config(networks=(Network(url="ws://b"), Network(url="ws://c")), network_attempts=2), None)
    seen = []
    for _ in range(7):
        seen.append(networks.current().url[5])
        networks.failed()
    assert "".join(seen) == "aabbcca"
    networks.failed()
    networks.proved(networks.current())
    assert networks.current().url == "ws://b"
    networks.failed()
    assert networks.current().url == "ws://b"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "{}", '{"overrides": 1, "moved": null, "last": {}, "books": "", "trial": null, "first": ""}'],
)
def test_a_damaged_file_leaves_the_configuration(path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_text(text)
    networks = Networks(config(), path)
    assert networks.settled().password == OLD.encode()
    assert "cannot be used" in caplog.text
    networks.propose_key(HEX)
    assert json.loads(path.read_text())["trial"]["kind"] == "key"


def test_no_secret_in_what_is_printed() -> None:
    networks = Networks(config(), None)
    networks.propose_key(HEX)
    texts = [repr(networks.current()), repr(networks.settled()), repr(networks.trial), str(networks.status())]
    assert not any(secret in text for text in texts for secret in (OLD, HEX, "0011"))
    assert {field.name for field in dataclasses.fields(NetworkProfile) if not field.repr} == {
        "password",
        "spare_password",
    }
