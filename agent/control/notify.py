"""The service manager's notification socket (sd_notify), where there is one."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Send ``state`` (READY=1, WATCHDOG=1, STOPPING=1, STATUS=…) to ``$NOTIFY_SOCKET``. Never raises, never blocks."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as out:
        try:
            out.sendto(state.encode(), address)
        except OSError:
            return
