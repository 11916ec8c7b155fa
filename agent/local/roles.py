"""Who may do what on the local API: roles, by the kernel's word on the peer's user and groups.

    observe    look at everything, change nothing
    operate    what a site's staff does every day: stop a transaction, take an outlet out of service, the link
    service    what a technician does: configuration, tests, updates, PINs

The agent's own user and root have every role: they could read and write the agent's files anyway. Everybody else has
the highest role that one of the peer's groups gives, and none without such a group. A log-in with a PIN
(``agent.local.access``) raises it for the rest of that connection.
"""

from __future__ import annotations

import grp
import os
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.config.schema import LocalApi


class Role(IntEnum):
    NONE = 0
    OBSERVE = 1
    OPERATE = 2
    SERVICE = 3

    @property
    def word(self) -> str:
        return self.name.lower()


_SO_PEERGROUPS = 59
"""Linux since 4.13 (asm-generic/socket.h): the peer's supplementary groups, as many 32-bit numbers."""
_UCRED = struct.Struct("=iII")
_MOST_GROUPS = 256


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as the kernel says (SO_PEERCRED, SO_PEERGROUPS)."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int] = frozenset()


def peer_of(connection: socket.socket) -> Peer:
    """Ask the kernel who is at the other end of a unix socket."""
    pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _MOST_GROUPS)
    except OSError:  # an old kernel, or more groups than anybody has: the primary one counts alone
        raw = b""
    groups = struct.unpack(f"={len(raw) // 4}I", raw[: len(raw) // 4 * 4])
    return Peer(pid, uid, gid, frozenset((gid, *groups)))


class Roles:
    """The rules of one agent. ``groups``: names of the groups that have a role; unknown ones are no groups."""

    def __init__(self, groups: Mapping[Role, Iterable[str]], own_uid: int | None = None) -> None:
        self._own_uid = os.geteuid() if own_uid is None else own_uid
        self._groups = {role: frozenset(_numbers(names)) for role, names in groups.items()}

    @property
    def numbers(self) -> frozenset[int]:
        """All groups that have a role, by number."""
        return frozenset().union(*self._groups.values())

    def of(self, peer: Peer) -> Role:
        """Return the highest role that a peer has by itself."""
        if peer.uid in (0, self._own_uid):
            return Role.SERVICE
        return max((role for role, numbers in self._groups.items() if numbers & peer.groups), default=Role.NONE)


def roles_of(groups: LocalApi) -> Roles:
    """The roles that the configuration gives to groups of the machine."""
    return Roles(
        {
            Role.OBSERVE: groups.observe_groups,
            Role.OPERATE: groups.operate_groups,
            Role.SERVICE: groups.service_groups,
        }
    )


def _numbers(names: Iterable[str]) -> Iterable[int]:
    for name in names:
        try:
            yield grp.getgrnam(name).gr_gid
        except KeyError:
            continue
