"""Asks the kernel for the bit rate of a CAN interface (rtnetlink RTM_GETLINK). One request, answered at once.

Layout: linux/rtnetlink.h, linux/if_link.h, linux/can/netlink.h (``IFLA_CAN_BITTIMING`` begins with the bit rate).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

_GET_LINK, _NEW_LINK, _REQUEST = 18, 16, 1
_LINK_INFO, _INFO_KIND, _INFO_DATA, _BIT_TIMING = 18, 1, 2, 1
_HEADER = struct.Struct("=IHHII")
_INTERFACE = struct.Struct("=BxHiII")
_ATTRIBUTE = struct.Struct("=HH")
_NESTED = 0x8000
ANSWER_LIMIT = 65_536


def bitrate(channel: str) -> int | None:
    """Return the bit rate in bit/s; None where the kernel does not tell (no such interface, vcan, not permitted)."""
    try:
        index = socket.if_nametoindex(channel)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0) as link:
            link.send(request(index))
            return parse(link.recv(ANSWER_LIMIT))
    except OSError:
        return None


def request(index: int) -> bytes:
    body = _INTERFACE.pack(socket.AF_UNSPEC, 0, index, 0, 0)
    return _HEADER.pack(_HEADER.size + len(body), _GET_LINK, _REQUEST, 1, 0) + body


def parse(answer: bytes) -> int | None:
    """Return the bit rate that an RTM_NEWLINK message tells, or None."""
    if len(answer) < _HEADER.size + _INTERFACE.size or _HEADER.unpack_from(answer)[1] != _NEW_LINK:
        return None
    for kind, content in _attributes(answer[_HEADER.size + _INTERFACE.size :]):
        if kind != _LINK_INFO:
            continue
        info = dict(_attributes(content))
        if info.get(_INFO_KIND, b"").rstrip(b"\0") != b"can":
            return None
        timing = dict(_attributes(info.get(_INFO_DATA, b""))).get(_BIT_TIMING, b"")
        rate: int = struct.unpack_from("=I", timing)[0] if len(timing) >= 4 else 0
        return rate or None
    return None


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        size, kind = _ATTRIBUTE.unpack_from(data)
        if not _ATTRIBUTE.size <= size <= len(data):
            return
        yield kind & ~_NESTED, data[_ATTRIBUTE.size : size]
        data = data[(size + 3) & ~3 :]
