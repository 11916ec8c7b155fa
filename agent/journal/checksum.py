"""The checksum that the journal keeps beside what must not silently become something else."""

from __future__ import annotations

import zlib


def checksum(*parts: object) -> int:
    """Return the CRC-32 of values that belong together."""
    return zlib.crc32("\0".join(map(str, parts)).encode())
