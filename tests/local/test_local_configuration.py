"""The configuration over the local API: secrets stay inside, and come back where they were."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent.config.edit import EditError, leaves
from agent.config.history import ConfigFileError, Entry, History, take, write_candidate
from agent.files.masking import is_secret
from agent.local.configuration import Ports, hidden, masked, methods, unmasked
from agent.local.methods import Caller
from agent.local.roles import Peer, Role
from agent.local.rpc import RpcError

FILE = """\
# the old one: password: hush
ocpp:
  url: wss://a/b
  password: "top secret"  # do not tell
  settings:
    AuthorizationKey: key1
devices:
  modem: {driver: x, api_key: k3y}
"""
CALLER = Caller(Peer(1, 0, 0), Role.SERVICE, "Ines", "ttyS1")


def test_secrets_are_hidden_wherever_they_stand():
    shown = masked(FILE, is_secret)
    for secret in ("top secret", "key1", "k3y", "hush"):
        assert secret not in shown
    assert "# do not tell" in shown
    assert "wss://a/b" in shown
    assert hidden("ocpp.url", "wss://me:pw@host", is_secret) == "wss://***@host"
    assert hidden("a.passwords[0]", "x", is_secret) == "***"
    assert hidden("ocpp.password", "", is_secret) == ""


def test_what_was_hidden_comes_back_where_it_was():
    edited = masked(FILE, is_secret).replace("wss://a/b", "wss://c")
    assert leaves(unmasked(edited, FILE, is_secret)) == leaves(FILE.replace("wss://a/b", "wss://c"))


def test_what_was_never_there_cannot_come_back():
    with pytest.raises(EditError, match="write it out"):
        unmasked("ocpp: {other_password: '***'}\n", FILE, is_secret)
    with pytest.raises(EditError, match="write it out"):
        unmasked("ocpp: {url: '***'}\n", FILE, is_secret)


def api(taken: list[Any], audit: list[str]) -> Any:
    async def take_it(text: str, *rest: Any) -> Any:
        from agent.config.edit import changes

        taken.append((text, *rest))
        return 3, changes(leaves(FILE), leaves(text)), False, []

    async def check(_: str) -> list[str]:
        return []

    ports = Ports(
        text=lambda: FILE,
        path=lambda: "/etc/x.yaml",
        running=lambda: FILE,
        check=check,
        take=take_it,
        entries=list,
        old_text=lambda number: FILE,
        trial=lambda: None,
        audit=lambda caller, method, words: audit.append(f"{caller.who}: {method}: {words}"),
        is_secret=is_secret,
    )
    return {name: method.function for name, method in methods(ports).items()}


def test_the_book_of_changes_says_from_what_to_what_and_no_secret():
    taken: list[Any] = []
    audit: list[str] = []
    values = {"ocpp.password": "new secret", "ocpp.url": "wss://z", "ocpp.settings.AuthorizationKey": None}
    done = asyncio.run(api(taken, audit)["config.set"](values, CALLER))
    assert leaves(taken[0][0])["ocpp.password"] == "new secret"
    assert audit == [
        "Ines at ttyS1: config.set: change 3: ocpp.url: wss://a/b -> wss://z; ocpp.password: *** -> ***; "
        "ocpp.settings.AuthorizationKey: *** -> None; ocpp.settings: None -> "
    ]
    assert "secret" not in str(done)


def test_nonsense_is_refused_before_anything_is_asked():
    taken: list[Any] = []
    call = api(taken, [])
    for method, parameters in (
        ("config.set", {"values": {"..": "1"}}),
        ("config.set", {"values": {"ocpp.url": 7}}),
        ("config.apply", {"text": "{{{"}),
        ("config.apply", {"text": FILE, "within_s": 1.0}),
        ("config.rollback", {}),
    ):
        with pytest.raises(RpcError):
            asyncio.run(call[method](**parameters, caller=CALLER))
    assert taken == []


# ---- the file and its history ----


def test_a_file_is_replaced_whole_with_its_rights(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    path.chmod(0o640)
    write_candidate(path, "a: 1\n")
    assert path.read_text() == FILE
    take(path)
    assert path.read_text() == "a: 1\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["config.yaml"]


def test_a_link_and_a_closed_folder_are_refused_with_the_remedy(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    with pytest.raises(ConfigFileError, match="the file itself"):
        write_candidate(link, "a: 1\n")
    with pytest.raises(ConfigFileError, match="by hand"):
        write_candidate(Path("/proc/config.yaml"), "a: 1\n")


def test_the_history_keeps_ten_and_numbers_go_on(tmp_path):
    history = History(tmp_path / "config")
    assert history.entries() == []
    for number in range(1, 14):
        entry = history.add(Entry(0, 1.0, "Ines", "n", (f"a: {number}",)), f"text {number}")
        assert entry.number == number
    assert [entry.number for entry in history.entries()] == list(range(13, 3, -1))
    assert history.text(4) == "text 4"
    with pytest.raises(ConfigFileError, match="no number 3"):
        history.text(3)
    history.note(13, "kept")
    assert history.entries()[0].outcome == "kept"
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "config").iterdir()} == {0}
    (tmp_path / "config" / "000013.json").write_text("{")
    assert [entry.number for entry in history.entries()] == list(range(12, 3, -1))
