"""Logging in on a connection of the local API: PINs, the lock-out that survives, and who is told.

session.who      role and name of this connection
session.login    raise this connection's role by a PIN
session.logout   fall back to what the connection is by itself
pin.set          store a PIN for a role; the very first service PIN may be set by whoever is at the service port
pin.state        which roles have a PIN, and how long the next try has to wait
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from agent.journal.errors import JournalError
from agent.local.access import LockOut, Pins, fits, hash_problem, hashed, problem
from agent.local.methods import Caller, Method, observe
from agent.local.roles import Role, Roles
from agent.local.rpc import RpcError

log = logging.getLogger(__name__)

TABLE = "service_access"
_PINS, _FAILURES = "pins", "failures"

MOST_NAME = 40

Told = Callable[[bool, str], None]
"""Told of each log-in: whether it succeeded, and by whom."""


class Books(Protocol):
    """What is kept across restarts (the journal)."""

    def keep(self, table: str, key: str, value: Any | None) -> None: ...
    def kept(self, table: str) -> dict[str, Any]: ...


class Access:
    """PINs of this charge point. ``now`` gives monotonic seconds; ``told`` hears of each log-in."""

    def __init__(self, books: Books, roles: Roles, now: Callable[[], float], told: Told) -> None:
        self._books = books
        self._roles = roles
        self._now = now
        self._told = told
        kept = books.kept(TABLE)
        self._pins = Pins.from_document(kept.get(_PINS))
        failures = kept.get(_FAILURES)
        self._lock = LockOut.restored(failures if isinstance(failures, int) and failures > 0 else 0, now())
        self._trying = asyncio.Lock()

    @property
    def provisioned(self) -> bool:
        """A service PIN is set."""
        return Role.SERVICE in self._pins.hashes

    def methods(self) -> dict[str, Method]:
        return {
            "session.who": Method(self._who, Role.NONE),
            "session.login": Method(self._login, Role.NONE, secret=frozenset(("pin",))),
            "session.logout": Method(self._logout, Role.NONE),
            "pin.set": Method(self._set, Role.OBSERVE, changes=True, secret=frozenset(("pin",))),
            "pin.state": observe(self._state),
        }

    def _who(self, caller: Caller) -> dict[str, Any]:
        """Role ('none', 'observe', 'operate' or 'service'), name and terminal of this connection."""
        return {"role": caller.role.word, "name": caller.name, "port": caller.port, "first_use": not self.provisioned}

    async def _login(self, pin: str, caller: Caller, name: str = "", port: str = "") -> dict[str, Any]:
        """Raise this connection's role by a PIN. ``name`` and ``port`` go into the audit log. Wrong PINs make the
        next try wait: longer each time, across restarts."""
        async with self._trying:  # one at a time: many connections do not guess faster than one
            left_s = self._lock.left_s(self._now())
            if left_s > 0:
                raise RpcError(f"too many wrong PINs; try again in {left_s:.0f} s")
            if not self.provisioned:
                raise RpcError("no service PIN is set yet; set one with 'pin set'")
            # Counted before it is tried: a restart in the middle does not make a try free.
            self._count(self._lock.failures + 1)
            role = await asyncio.to_thread(self._pins.role_of, pin)
            caller.name, caller.port = _clean(name), _clean(port)
            if role is Role.NONE:
                self._lock.failed(self._now())
                self._told(False, caller.who)
                wait_s = self._lock.left_s(self._now())
                raise RpcError("wrong PIN" + (f"; the next try is possible in {wait_s:.0f} s" if wait_s else ""))
            self._lock.succeeded()
            self._count(0)
        caller.role = max(caller.role, role)
        self._told(True, f"{caller.who}, {caller.role.word}")
        return {"role": caller.role.word}

    def _logout(self, caller: Caller) -> dict[str, Any]:
        """Give back what a log-in gave."""
        caller.role = self._roles.of(caller.peer)
        return {"role": caller.role.word}

    async def _set(self, pin: str, caller: Caller, role: str = "service") -> dict[str, Any]:
        """Store a PIN for a role ('service' or 'operate'). Needs the role 'service', but for the very first one."""
        wanted = next((each for each in (Role.OPERATE, Role.SERVICE) if each.word == role), None)
        if wanted is None:
            raise RpcError("role must be 'service' or 'operate'")
        first = not self.provisioned and wanted is Role.SERVICE
        if caller.role < Role.SERVICE and not first:
            raise RpcError("only the role 'service' may set a PIN; log in first")
        why = problem(pin)
        if why:
            raise RpcError(why)
        try:
            await self.store(wanted, pin)
        except JournalError as error:
            raise RpcError(f"the PIN cannot be kept: {error}") from error
        return {"role": wanted.word, "first": first}

    async def store(self, role: Role, pin: str) -> None:
        """Store a PIN that is good enough (``access.problem``). Also the network's way to rotate it."""
        others = {each: stored for each, stored in self._pins.hashes.items() if each is not role}
        for stored in others.values():
            if await asyncio.to_thread(fits, pin, stored):
                raise RpcError("another role has this PIN already")
        self._pins = Pins({**others, role: await asyncio.to_thread(hashed, pin)})
        self._books.keep(TABLE, _PINS, self._pins.document)

    def adopt(self, role: str, stored: str) -> str:
        """Store a hash that the operator's network made. Return why it is refused; empty when it is not."""
        wanted = next((each for each in (Role.OPERATE, Role.SERVICE) if each.word == role), None)
        if wanted is None:
            return "role must be 'service' or 'operate'"
        why = hash_problem(stored)
        if why:
            return why
        pins = Pins({**self._pins.hashes, wanted: stored})
        try:
            self._books.keep(TABLE, _PINS, pins.document)
        except Exception as error:  # noqa: BLE001 (the network hears why; the old PIN holds)
            log.error("a PIN from the network cannot be kept: %s", error)
            return "it cannot be stored; the old PIN holds"
        self._pins = pins
        return ""

    def _state(self) -> dict[str, Any]:
        """Which roles have a PIN, wrong tries in a row, and seconds until the next try is possible."""
        return {
            "set": sorted(role.word for role in self._pins.hashes),
            "failures": self._lock.failures,
            "wait_s": round(self._lock.left_s(self._now()), 1),
        }

    def _count(self, failures: int) -> None:
        try:
            self._books.keep(TABLE, _FAILURES, failures or None)
        except Exception as error:  # noqa: BLE001 (a full disk must not lock the technician out who comes to mend it)
            log.error("the count of wrong PINs cannot be kept: %s", error)


def _clean(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[:MOST_NAME]
