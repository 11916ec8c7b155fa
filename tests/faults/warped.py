"""Starts the agent in a world that is not as it seems: for attacks only, never part of the product.

``--wall FILE``            the system clock is off by the seconds written in FILE, read at each look
``--boot NAME``            the machine is in the boot of this name
``--no-names FILE``        names are not found while FILE exists
``--without watch``        nothing notices that a link is half-open
``--without fix-clock``    times stay as the system clock said
``--without told``         a retried start takes whatever time the clock says now
``--without payload``      any answer will do
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent import app, clock
from agent.journal.journal import Journal
from agent.ocpp import tunnel
from agent.ocpp.delivery import Receipt
from agent.ocpp.told_times import ToldTimes
from agent.ocpp.v16 import render
from agent.ocpp.v16 import session as session16


def warp_wall(file: Path) -> None:
    true = time.time

    def wrong() -> float:
        try:
            return true() + float(file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return true()

    time.time = wrong
    # The default was bound when the class was made.
    defaults = clock.Clock.__init__.__defaults__
    assert defaults is not None
    clock.Clock.__init__.__defaults__ = (defaults[0], wrong, defaults[2])


def warp_boot(name: str) -> None:
    clock.boot_id = lambda: name


def warp_names(file: Path) -> None:
    true = socket.getaddrinfo

    def lookup(*values: Any, **options: Any) -> Any:
        if file.exists():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return true(*values, **options)

    socket.getaddrinfo = lookup


def _replace(owner: Any, name: str, value: Any) -> None:
    setattr(owner, name, value)


def without_watch() -> None:
    async def trusting(*_values: Any) -> str:
        await asyncio.Event().wait()
        return ""

    _replace(tunnel, "keep_alive", trusting)
    session16.MAX_UNANSWERED = 10**9


def without_fix_clock() -> None:
    _replace(Journal, "fix_clock", lambda *_values: None)
    _replace(clock.Clock, "network_time", lambda *_values: False)


def without_told() -> None:
    _replace(ToldTimes, "of", lambda _self, record: record.utc_s)


def without_payload() -> None:
    _replace(render.Renderer16, "receipt", lambda *_values: Receipt())


HOLES: dict[str, Callable[[], None]] = {
    "watch": without_watch,
    "fix-clock": without_fix_clock,
    "told": without_told,
    "payload": without_payload,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.warped", description=__doc__)
    parser.add_argument("--wall", type=Path)
    parser.add_argument("--boot")
    parser.add_argument("--no-names", type=Path)
    parser.add_argument("--without", choices=sorted(HOLES))
    options, rest = parser.parse_known_args()
    if options.wall is not None:
        warp_wall(options.wall)
    if options.boot is not None:
        warp_boot(options.boot)
    if options.no_names is not None:
        warp_names(options.no_names)
    if options.without is not None:
        HOLES[options.without]()
    return app.main(rest)


if __name__ == "__main__":
    sys.exit(main())
