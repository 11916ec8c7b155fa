"""Where log lines go: to journald with fields that machines read, where there is one; else to standard error.

The lines themselves are written where things happen, as plain texts. This table knows the texts that matter, gives each
a stable MESSAGE_ID and says which of its values is the EVSE, the fault or the transaction (docs/monitoring.md). A test
holds table and texts together.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
LONGEST = 16_000
"""Bytes of a field; journald's datagram may be larger, but nothing of ours should be."""


@dataclass(frozen=True, slots=True)
class Known:
    """``fields``: name of the field for each value of the text in turn; empty for values that are none."""

    message_id: str
    what: str
    fields: tuple[str, ...] = ()


KNOWN: Mapping[str, Known] = {
    "EVSE %d: fault %s: %s. %s": Known("f3b0a4c1d2e94e63b6d1a0c7e85f1101", "a fault was raised", ("EVSE", "FAULT")),
    "EVSE %d: fault %s is over": Known("f3b0a4c1d2e94e63b6d1a0c7e85f1102", "a fault is over", ("EVSE", "FAULT")),
    "EVSE %d: contactor closes, %.1f A offered": Known(
        "f3b0a4c1d2e94e63b6d1a0c7e85f1103", "the contactor closes", ("EVSE",)
    ),
    "EVSE %d: contactor opens: %s": Known("f3b0a4c1d2e94e63b6d1a0c7e85f1104", "the contactor opens", ("EVSE",)),
    "safe state: %s": Known("f3b0a4c1d2e94e63b6d1a0c7e85f1105", "everything was opened"),
    "ready: %d EVSE, %d devices": Known("f3b0a4c1d2e94e63b6d1a0c7e85f1106", "control is ready"),
    "%s: well": Known("f3b0a4c1d2e94e63b6d1a0c7e85f1107", "a device is well", ("DEVICE",)),
    "%s: %s": Known("f3b0a4c1d2e94e63b6d1a0c7e85f1108", "a device is not well", ("DEVICE",)),
    "%s; no EVSE charges until then": Known("f3b0a4c1d2e94e63b6d1a0c7e85f110b", "the journal cannot be opened"),
    "configuration refused: %s": Known("f3b0a4c1d2e94e63b6d1a0c7e85f110c", "the configuration is refused"),
    "update: %s": Known("f3b0a4c1d2e94e63b6d1a0c7e85f110e", "an update went on", ("UPDATE",)),
}
"""By the text before its values are put in."""

KINDS: Mapping[tuple[str, str], Known] = {
    ("agent.ocpp.tunnel", "open"): Known("f3b0a4c1d2e94e63b6d1a0c7e85f1111", "a connection to the network is open"),
    ("agent.ocpp.tunnel", "accepted"): Known("f3b0a4c1d2e94e63b6d1a0c7e85f1112", "the network has accepted us"),
    ("agent.ocpp.tunnel", "pending"): Known("f3b0a4c1d2e94e63b6d1a0c7e85f1113", "the network lets us wait"),
    ("agent.ocpp.tunnel", "rejected"): Known("f3b0a4c1d2e94e63b6d1a0c7e85f1114", "the network does not accept us"),
    ("agent.ocpp.tunnel", "failed"): Known("f3b0a4c1d2e94e63b6d1a0c7e85f1115", "no link to the network, or it broke"),
    ("agent.ocpp.tunnel", "expected"): Known("f3b0a4c1d2e94e63b6d1a0c7e85f1116", "the link was ended on purpose"),
    ("agent.ocpp.delivery", "set_aside"): Known("f3b0a4c1d2e94e63b6d1a0c7e85f1117", "a record was set aside"),
    ("agent.ocpp.delivery", "journal"): Known("f3b0a4c1d2e94e63b6d1a0c7e85f1118", "delivery waits for the journal"),
}
"""By logger and kind, of lines that are logged once a minute at most (``agent.ocpp.quiet``)."""

_OF_ONE_LOGGER = {"%s: %s": "evse-control", "%s: well": "evse-control", "update: %s": "agent.update.service"}
"""Texts too general to be told by themselves."""

FIELDS = ("EVSE", "FAULT", "TRANSACTION", "DEVICE", "UPDATE")


def priority(level: int) -> int:
    """Syslog's number of a level (RFC 5424)."""
    for least, number in ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6)):
        if level >= least:
            return number
    return 7


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """Return MESSAGE_ID and what else is known of a line. ``extra={"transaction": …}`` of a call adds to it."""
    found: dict[str, str] = {}
    known = KNOWN.get(record.msg) if isinstance(record.msg, str) else None
    if known is not None and _OF_ONE_LOGGER.get(record.msg, record.name) == record.name:
        found["MESSAGE_ID"] = known.message_id
        values = record.args if isinstance(record.args, tuple) else ()
        found |= {name: str(value) for name, value in zip(known.fields, values, strict=False) if name}
    elif (kind := KINDS.get((record.name, getattr(record, "kind", "")))) is not None:
        found["MESSAGE_ID"] = kind.message_id
    for name in FIELDS:
        value = getattr(record, name.lower(), None)
        if value is not None:
            found[name] = str(value)
    return found


def datagram(fields: Mapping[str, str]) -> bytes:
    """Journald's native protocol: ``NAME=value``, or the length in 8 bytes where a value has several lines."""
    parts = []
    for name, value in fields.items():
        data = value.encode("utf-8", "replace")[:LONGEST]
        if b"\n" in data:
            parts.append(name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts)


class JournalHandler(logging.Handler):
    """Never blocks: a line that journald does not take at once is counted and told with the next one."""

    def __init__(self, identifier: str, path: Path = JOURNAL_SOCKET) -> None:
        super().__init__()
        self._identifier = identifier
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._path = str(path)
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields = {
                "MESSAGE": self.format(record),
                "PRIORITY": str(priority(record.levelno)),
                "SYSLOG_IDENTIFIER": self._identifier,
                "LOGGER": record.name,
                **({"LINES_LOST": str(self.lost)} if self.lost else {}),
                **fields_of(record),
            }
            self._socket.sendto(datagram(fields), self._path)
            self.lost = 0
        except OSError:
            self.lost += 1
        except Exception:  # noqa: BLE001 (a log line must never end what it tells about)
            self.handleError(record)

    def close(self) -> None:
        self._socket.close()
        super().close()


class Prefixed(logging.Formatter):
    """``<N>`` before each line: what reads standard error for a service manager takes it as the priority."""

    def format(self, record: logging.LogRecord) -> str:
        mark = f"<{priority(record.levelno)}>"
        return "\n".join(mark + line for line in super().format(record).splitlines() or [""])


def under_journald() -> bool:
    """Standard error leads to journald (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        device, inode = os.environ.get("JOURNAL_STREAM", "").split(":")
        about = os.fstat(sys.stderr.fileno())
        return (int(device), int(inode)) == (about.st_dev, about.st_ino)
    except (ValueError, OSError):
        return False


def configure(level: str, identifier: str, plain: str = "%(asctime)s %(levelname)-7s %(name)s: %(message)s") -> None:
    """Set up the root logger of a process. ``plain``: the form of a line where there is no journald."""
    handler: logging.Handler
    if under_journald() and JOURNAL_SOCKET.is_socket():
        handler = JournalHandler(identifier)
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(Prefixed("%(name)s: %(message)s") if under_journald() else logging.Formatter(plain))
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, JournalHandler | logging.StreamHandler)]:
        root.removeHandler(old)
        with contextlib.suppress(OSError):
            if isinstance(old, JournalHandler):
                old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
