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


def watchdog_period_s() -> float | None:
    """Return how often to feed the service manager's watchdog, a third of its patience; None when it has none for us.

    systemd passes its patience in ``$WATCHDOG_USEC``, for ``$WATCHDOG_PID`` alone (sd_watchdog_enabled(3)).
    """
    try:
        patience_us = int(os.environ.get("WATCHDOG_USEC", "0"))
        meant_for = int(os.environ.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return patience_us / 3e6 if patience_us > 0 and meant_for == os.getpid() else None
