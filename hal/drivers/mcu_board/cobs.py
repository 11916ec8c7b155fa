"""Consistent Overhead Byte Stuffing, with 00 as the delimiter (Cheshire and Baker, 1999)."""

from __future__ import annotations

DELIMITER = 0x00
MAX_RUN = 254
"""Most non-zero bytes that one code byte can stand for."""


class CobsError(ValueError):
    """The block is not COBS."""


def encode(data: bytes) -> bytes:
    """Return ``data`` stuffed, without the delimiter. A final full run of 254 bytes is not followed by an empty one."""
    out = bytearray()
    runs = data.split(b"\x00")
    for index, run in enumerate(runs):
        at = 0
        while len(run) - at >= MAX_RUN:
            out.append(MAX_RUN + 1)
            out += run[at : at + MAX_RUN]
            at += MAX_RUN
        last = index == len(runs) - 1
        if at and at == len(run) and last:
            break
        out.append(len(run) - at + 1)
        out += run[at:]
    return bytes(out)


def decode(block: bytes) -> bytes:
    """Return what ``block`` (without its delimiter) carries. Raises CobsError."""
    if not block:
        raise CobsError("empty block")
    out = bytearray()
    at = 0
    while at < len(block):
        code = block[at]
        if code == DELIMITER:
            raise CobsError("a delimiter within the block")
        run = block[at + 1 : at + code]
        if len(run) != code - 1:
            raise CobsError("the block ends within a run")
        if DELIMITER in run:
            raise CobsError("a delimiter within the block")
        out += run
        at += code
        if code <= MAX_RUN and at < len(block):
            out.append(0)
    return bytes(out)
