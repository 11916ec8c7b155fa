"""What the agent asks of a transfer process, and what it hears: one line of JSON each, on stdin and stdout."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any


class Work(Enum):
    DOWNLOAD = "download"
    UPLOAD = "upload"


class Trouble(Enum):
    """Why a transfer failed, as far as anyone can act upon it."""

    BROKEN = "broken"
    """Cut, stalled, refused, unreachable: the next try may do."""
    BAD_MESSAGE = "bad_message"
    NOT_SUPPORTED = "not_supported"
    PERMISSION_DENIED = "permission_denied"
    TOO_LARGE = "too_large"
    NO_SPACE = "no_space"
    BAD_ADDRESS = "bad_address"

    @property
    def final(self) -> bool:
        """Another try cannot help."""
        return self in (Trouble.TOO_LARGE, Trouble.BAD_ADDRESS)


class TransferError(Exception):
    """A transfer that failed. The text holds no secret."""

    def __init__(self, trouble: Trouble, text: str) -> None:
        super().__init__(text)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Bundle:
    """A file to be made and sent: a tar.gz of ``documents``, or with ``plain`` the one document as it is."""

    name: str
    documents: dict[str, str] = field(default_factory=dict)
    """Name → text."""
    max_bytes: int = 20 * 1024 * 1024
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One transfer. ``path``: where a download ends up, or where an upload's bundle is made."""

    work: Work
    address: str
    path: str
    schemes: tuple[str, ...]
    max_bytes: int
    stall_s: float
    """No byte for so long ends the try."""
    reserve_bytes: int = 32 * 1024 * 1024
    """What a download leaves free on the disk."""
    ca_file: str = ""
    roots: tuple[str, ...] = ()
    """Files of further roots to believe: those that the network has installed."""
    loopback: bool = False
    """Addresses of this machine itself may be used."""
    bundle: Bundle | None = None

    def line(self) -> bytes:
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        values["work"] = self.work.value
        values["bundle"] = (
            None if self.bundle is None else {one.name: getattr(self.bundle, one.name) for one in fields(self.bundle)}
        )
        return json.dumps(values).encode("ascii") + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Job:
        """Raises ValueError, TypeError or KeyError for a line that is no job."""
        values: dict[str, Any] = json.loads(line)
        values["work"] = Work(values["work"])
        values["schemes"], values["roots"] = tuple(values["schemes"]), tuple(values["roots"])
        values["bundle"] = None if values["bundle"] is None else Bundle(**values["bundle"])
        return cls(**values)
