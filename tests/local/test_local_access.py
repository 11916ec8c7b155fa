"""PINs: hashes, what is too simple, lock-out across restarts, log-in over a real socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.local import access
from agent.local.access import FREE_TRIES, LONGEST_WAIT_S, LockOut, Pins, fits, hashed, problem, wait_s
from agent.local.login import TABLE, Access
from agent.local.methods import observe
from agent.local.roles import Peer, Role, Roles
from agent.local.server import LocalServer
from tests.kept_books import KeptBooks

PIN = "402617"


@pytest.fixture(autouse=True)
def cheap_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_N", 16)


def test_the_real_hash_is_dear_salted_and_checks() -> None:
    access._N = 1 << 15
    stored = hashed(PIN)
    assert stored.startswith("scrypt$32768$8$1$")
    assert PIN not in stored
    assert fits(PIN, stored)
    assert not fits("402618", stored)
    assert hashed(PIN) != stored


@given(st.text(max_size=40), st.text(max_size=60))
def test_what_is_no_hash_lets_nobody_in(pin: str, stored: str) -> None:
    assert not fits(pin, stored)
    assert Pins.from_document({"service": stored}).role_of(pin) is Role.NONE


@pytest.mark.parametrize(
    "pin", ["", "1234", "12345", "111111", "123456", "987654", "abcdef", "12345\t7", "9" * 65, "ééééééé"]
)
def test_a_simple_pin_is_refused(pin: str) -> None:
    assert problem(pin)


@pytest.mark.parametrize("pin", [PIN, "192837", "Gr8 kettle", "112233"])
def test_a_good_pin_is_taken(pin: str) -> None:
    assert not problem(pin)


def test_waits_grow_and_end_at_an_hour() -> None:
    waits = [wait_s(failures) for failures in range(40)]
    assert waits[:FREE_TRIES] == [0.0] * FREE_TRIES
    assert waits == sorted(waits)
    assert waits[FREE_TRIES] > 0
    assert waits[-1] == LONGEST_WAIT_S


@given(st.integers(0, 60), st.floats(0, 1e6))
def test_a_restart_never_shortens_the_wait(failures: int, now: float) -> None:
    lock = LockOut()
    for _ in range(failures):
        lock.failed(now)
    assert LockOut.restored(failures, 0.0).left_s(0.0) >= lock.left_s(now) - 1e-6


class Desk:
    """Access on a real socket, with a clock of its own."""

    def __init__(self, folder: Path, role: Role = Role.OBSERVE) -> None:
        self.path = folder / "api.sock"
        self.books = KeptBooks()
        self.now = 0.0
        self.told: list[tuple[bool, str]] = []
        self.roles = Roles({})
        self.roles.of = lambda peer: role  # type: ignore[method-assign]

    def play(self, *requests: tuple[str, dict[str, Any]] | float) -> list[Any]:
        """Send requests over one connection; numbers let time pass. Each play is a start of the agent."""

        async def run() -> list[Any]:
            book = Access(self.books, self.roles, lambda: self.now, lambda good, who: self.told.append((good, who)))

            def deep() -> str:
                """Only for the service."""
                return "done"

            from agent.local.methods import service

            server = LocalServer(
                self.path, None, {**book.methods(), "deep": service(deep), "look": observe(deep)}, roles=self.roles
            )  # type: ignore[arg-type]
            await server.start()
            found = []
            try:
                reader, writer = await asyncio.open_unix_connection(str(self.path))
                for each in requests:
                    if isinstance(each, float):
                        self.now += each
                        continue
                    method, params = each
                    writer.write(
                        json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n"
                    )
                    answer = json.loads(await reader.readline())
                    found.append(answer.get("result", answer.get("error", {}).get("message")))
                writer.close()
                await writer.wait_closed()
            finally:
                await server.close()
            return found

        return asyncio.run(run())


LOGIN = ("session.login", {"pin": PIN, "name": "Ines", "port": "ttyS1"})
WRONG = ("session.login", {"pin": "555123"})


def test_first_use_then_log_in(folder: Path) -> None:
    desk = Desk(folder)
    answers = desk.play(
        ("session.who", {}),
        LOGIN,
        ("deep", {}),
        ("pin.set", {"pin": "123456"}),
        ("pin.set", {"pin": PIN}),
        LOGIN,
        ("deep", {}),
    )
    assert answers[0] == {"role": "observe", "name": "", "port": "", "first_use": True}
    assert "no service PIN" in answers[1]
    assert "role 'service'" in answers[2]
    assert "first that anybody" in answers[3]
    assert answers[4] == {"role": "service", "first": True}
    assert answers[5] == {"role": "service"}
    assert answers[6] == "done"
    assert desk.told[-1] == (True, "Ines at ttyS1, service")
    assert PIN not in json.dumps(desk.books.tables)
    # After a restart: the first use is over, and a new connection begins with nothing.
    again = desk.play(("deep", {}), ("pin.set", {"pin": "771204"}), LOGIN, ("session.logout", {}), ("deep", {}))
    assert "role 'service'" in again[0]
    assert "log in first" in again[1]
    assert again[2:4] == [{"role": "service"}, {"role": "observe"}]
    assert "role 'service'" in again[4]


def test_lock_out_survives_restarts_and_a_good_pin_does_not_get_around_it(folder: Path) -> None:
    desk = Desk(folder)
    desk.play(("pin.set", {"pin": PIN}))
    answers = desk.play(*[WRONG] * FREE_TRIES, LOGIN)
    assert answers[0] == "wrong PIN"
    assert "next try" in answers[FREE_TRIES - 1]
    assert "too many wrong PINs" in answers[-1]
    assert [good for good, _ in desk.told].count(False) == FREE_TRIES
    assert "too many wrong PINs" in desk.play(LOGIN)[0]  # the plug was pulled
    waited = desk.play(6.0, WRONG, 6.0, LOGIN, 6.0, LOGIN, ("pin.state", {}))
    assert "next try" in waited[0]
    assert "too many" in waited[1]
    assert waited[2] == {"role": "service"}
    assert waited[3] == {"set": ["service"], "failures": 0, "wait_s": 0.0}
    assert desk.books.kept(TABLE).keys() == {"pins"}


def test_a_try_that_a_restart_interrupts_is_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(folder)
    desk.play(("pin.set", {"pin": PIN}))

    def dies(*_: object) -> Role:
        raise RuntimeError("the power went")

    monkeypatch.setattr(Pins, "role_of", dies)
    desk.play(WRONG)
    assert desk.books.kept(TABLE)["failures"] == 1


def test_a_pin_of_its_own_for_each_role(folder: Path) -> None:
    desk = Desk(folder)
    set_both = desk.play(
        ("pin.set", {"pin": PIN}),
        LOGIN,
        ("pin.set", {"pin": "220815", "role": "operate"}),
        ("pin.set", {"pin": PIN, "role": "operate"}),
    )
    assert set_both[2] == {"role": "operate", "first": False}
    assert "another role" in set_both[3]
    answers = desk.play(("session.login", {"pin": "220815"}), ("deep", {}), ("pin.set", {"pin": "661300"}))
    assert answers[0] == {"role": "operate"}
    assert "has 'operate'" in answers[1]
    assert "log in first" in answers[2]


def test_roles_by_user_and_group() -> None:
    import grp
    import os

    some = grp.getgrgid(os.getgid())
    roles = Roles({Role.OPERATE: [some.gr_name], Role.OBSERVE: ["no-such-group-here"]}, own_uid=4000)
    assert roles.of(Peer(1, 0, 0)) is Role.SERVICE
    assert roles.of(Peer(1, 4000, 9)) is Role.SERVICE
    assert roles.of(Peer(1, 4001, 9, frozenset((9, some.gr_gid)))) is Role.OPERATE
    assert roles.of(Peer(1, 4001, 9, frozenset((9,)))) is Role.NONE
