"""Connections of the transfer process: bounded in time, never to this machine itself unless that is allowed."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Sequence

from agent.files.job import TransferError, Trouble

CONNECT_S = 30.0


def connect(host: str, port: int, *, stall_s: float, loopback: bool) -> socket.socket:
    """Open a connection. Raises TransferError, OSError."""
    connection = socket.create_connection((host, port), min(CONNECT_S, stall_s))
    connection.settimeout(stall_s)
    try:
        check_peer(connection, loopback)
    except BaseException:
        connection.close()
        raise
    return connection


def check_peer(connection: socket.socket, loopback: bool) -> None:
    """Refuse services of this machine and of its own link. What was really reached counts, not its name."""
    place = ipaddress.ip_address(connection.getpeername()[0].partition("%")[0])
    place = getattr(place, "ipv4_mapped", None) or place
    if not loopback and (place.is_loopback or place.is_link_local or place.is_unspecified):
        raise TransferError(
            Trouble.BAD_ADDRESS, f"{place} is this machine or its own link; files.loopback in the config allows it"
        )


def tls(ca_file: str, roots: Sequence[str] = ()) -> ssl.SSLContext:
    """TLS 1.2 or newer, certificate and name checked. ``ca_file`` empty: the system's roots. ``roots``: files of
    further ones (N01.FR.15: the network's); one that cannot be read is not believed."""
    context = ssl.create_default_context(cafile=ca_file or None)
    for root in roots:
        with contextlib.suppress(OSError):
            context.load_verify_locations(cafile=root)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
