"""Starts the agent with a hole in it: for attacks only, never part of the product.

``--without durable``      the journal lives in a file of its own per life: what a crash leaves behind is lost
``--without answer``       delivery takes a record off the line before the network has answered
``--without message-id``   each try of a record carries a new message id
``--without resume``       sessions found open at the start are forgotten
``--without hold``         sessions are forgotten when control goes away

The environment's ``EVSE_FAULTS_KILL=POINT:N`` ends the process by SIGKILL at the n-th passage of a point: ``commit``
(before the journal's commit), ``committed`` (after it), ``act`` (before a message to control), ``send`` (before a frame
to the network), ``send-ACTION`` (before a call of that OCPP action). ``EVSE_FAULTS_COUNT=FILE`` writes how often each
was passed when the process ends in good order.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import signal
import sqlite3
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection

from agent import app
from agent.clock import Moment
from agent.journal.journal import Journal
from agent.link.transport import Channel
from agent.ocpp.delivery import Delivery
from agent.station.station import Station

POINTS = ("commit", "committed", "act", "send")


class Passages:
    """Counts passages and kills at the chosen one."""

    def __init__(self, kill: str) -> None:
        self.counts: Counter[str] = Counter()
        point, _, number = kill.partition(":")
        self._kill = (point, int(number or 0))

    def at(self, point: str) -> None:
        self.counts[point] += 1
        if (point, self.counts[point]) == self._kill:
            os.kill(os.getpid(), signal.SIGKILL)


def watch(passages: Passages) -> None:
    """Put the points in."""

    class Watched(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            if statement != "COMMIT":
                return super().execute(statement, *values)
            passages.at("commit")
            cursor = super().execute(statement, *values)
            passages.at("committed")
            return cursor

    connect = sqlite3.connect

    def watched_connect(*values: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*values, **{"factory": Watched, **options})
        return connection

    sqlite3.connect = watched_connect  # type: ignore[assignment]

    def frame(text: str) -> None:
        passages.at("send")
        message = json.loads(text)
        if message[0] == 2:
            passages.at(f"send-{message[2]}")

    _before(Channel, "send", lambda _message: passages.at("act"))
    _before(ClientConnection, "send", frame)


def _before(owner: type, name: str, call: Callable[[Any], None]) -> None:
    original = getattr(owner, name)

    def wrapped(self: Any, message: Any) -> Any:
        call(message)
        return original(self, message)

    setattr(owner, name, wrapped)


def without_durable() -> None:
    original = Journal.open.__func__  # type: ignore[attr-defined]

    def volatile(cls: type[Journal], path: Path, boot: str) -> Journal:
        journal: Journal = original(cls, path.with_name(f"journal-{os.getpid()}.db"), boot)
        return journal

    Journal.open = classmethod(volatile)  # type: ignore[assignment,method-assign]


def without_answer() -> None:
    original = Delivery._next_call

    def eager(self: Delivery, now: float) -> Any:
        call = original(self, now)
        if call is not None and self._flying is not None:
            self._journal.delivered(self._flying.seq)
        return call

    Delivery._next_call = eager  # type: ignore[method-assign]


def without_message_id() -> None:
    original = Delivery._call

    def forgetful(self: Delivery, record: Any, now: float) -> Any:
        call = original(self, record, now)
        return None if call is None else replace(call, message_id=str(uuid.uuid4()))

    Delivery._call = forgetful  # type: ignore[method-assign]


def without_resume() -> None:
    original = Journal.kept

    def nothing(self: Journal, table: str) -> dict[str, Any]:
        return {} if table == "session" else original(self, table)

    Journal.kept = nothing  # type: ignore[method-assign]


def without_hold() -> None:
    original = Station.control_lost

    def forgetful(self: Station, moment: Moment) -> Any:
        for evse in self._site.evses.values():
            evse.session = None
        return original(self, moment)

    Station.control_lost = forgetful  # type: ignore[method-assign]


HOLES: dict[str, Callable[[], None]] = {
    "durable": without_durable,
    "answer": without_answer,
    "message-id": without_message_id,
    "resume": without_resume,
    "hold": without_hold,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.launch", description=__doc__)
    parser.add_argument("--without", choices=sorted(HOLES))
    options, rest = parser.parse_known_args()
    if options.without:
        HOLES[options.without]()
    passages = Passages(os.environ.get("EVSE_FAULTS_KILL", ""))
    watch(passages)
    report = os.environ.get("EVSE_FAULTS_COUNT")
    if report:
        atexit.register(lambda: Path(report).write_text(json.dumps(passages.counts), encoding="utf-8"))
    return app.main(rest)


if __name__ == "__main__":
    sys.exit(main())
