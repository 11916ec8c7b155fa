"""Opens a socket file to further groups: one file has one group, but several may use the local API.

The list is a POSIX ACL as the kernel keeps it in the extended attribute ``system.posix_acl_access``
(linux/posix_acl_xattr.h: version 2, then entries of tag, permissions and id, little endian, sorted).
"""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Iterable
from pathlib import Path

log = logging.getLogger(__name__)

_ATTRIBUTE = "system.posix_acl_access"
_VERSION = 2
_USER_OBJ, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x04, 0x08, 0x10, 0x20
_READ_WRITE, _NOTHING = 6, 0
_NOBODY = 0xFFFFFFFF


def admit(path: Path, groups: Iterable[int]) -> bool:
    """Let the members of these groups (by number) connect, beside owner and owning group. Return whether that took."""
    wanted = sorted(set(groups))
    if not wanted:
        return True
    try:
        os.setxattr(path, _ATTRIBUTE, access_list(wanted))
    except OSError as error:
        log.warning(
            "local API: %s cannot be opened to the groups of local_api (%s); root and this user's own group may use it",
            path,
            error.strerror or error,
        )
        return False
    return True


def access_list(groups: Iterable[int]) -> bytes:
    """Return the attribute: owner, owning group and ``groups`` read and write, others not."""
    entries = [(_USER_OBJ, _READ_WRITE, _NOBODY), (_GROUP_OBJ, _READ_WRITE, _NOBODY)]
    entries += [(_GROUP, _READ_WRITE, group) for group in sorted(groups)]
    entries += [(_MASK, _READ_WRITE, _NOBODY), (_OTHER, _NOTHING, _NOBODY)]
    return struct.pack("<I", _VERSION) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
