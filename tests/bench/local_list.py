"""What a long local list costs: a tap, the agent's memory, and taking the list in.

python -m tests.bench.local_list [entries]
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from agent.clock import Moment
from agent.config.schema import Config, Evse, Installation, Ocpp
from agent.config.schema import Station as StationConfig
from agent.journal.journal import Journal
from agent.link.messages import TokenPresented
from agent.station.settings import Settings
from agent.station.station import Station

TAPS = 3000
PER_MESSAGE = 1000


def main(entries: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        journal = Journal.open(Path(place) / "journal.db", "bench")
        empty_us = taps_us(journal, entries)
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        worst_ms = fill(journal, entries)
        full_us = taps_us(journal, entries)
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
        journal.close()
        journal = Journal.open(Path(place) / "journal.db", "bench")
        began = time.perf_counter()
        size = journal.local_list.size
        opened_ms = (time.perf_counter() - began) * 1e3
        journal.close()
    for line in (
        f"a tap with an empty list   {empty_us:8.1f} us (median of {TAPS}, offline, from message to effects)",
        f"a tap with {size:7d} tokens  {full_us:8.1f} us; ratio {full_us / empty_us:.2f}",
        f"memory grown by            {grown_kb:8d} kB",
        f"slowest {PER_MESSAGE} tokens taken in {worst_ms:8.1f} ms; counted at a start in {opened_ms:.1f} ms",
    ):
        sys.stdout.write(line + "\n")


def fill(journal: Journal, entries: int) -> float:
    """Take the list in by messages as long as they may be. Return how long the slowest took, in ms."""
    worst_s = 0.0
    for first in range(0, entries, PER_MESSAGE):
        rows = [(key(number), "Accepted", "", None) for number in range(first, min(first + PER_MESSAGE, entries))]
        began = time.perf_counter()
        assert journal.local_list.change(first + 1, False, rows, [], entries)
        worst_s = max(worst_s, time.perf_counter() - began)
    return worst_s * 1e3


def key(number: int) -> str:
    return f"{number * 2_654_435_761 % 2**56:014x}"


def taps_us(journal: Journal, entries: int) -> float:
    """Return the median time of a tap by a card that may be anywhere in the list, in microseconds."""
    config = Config(
        StationConfig("v", "m", "s"), Installation(max_current_a=32.0), {}, (Evse(1, "board"),), ocpp=Ocpp(url="ws://x")
    )
    times = []
    settings = Settings()
    settings.set("AuthCtrlr.OfflineTxForUnknownIdEnabled", "true")  # the same end either way
    station = Station(config, settings, {}, Moment(1000.0, 1.77e9, True, "bench"), journal.local_list)
    for tap in range(TAPS):
        now = 1000.0 + tap * 1000.0
        moment = Moment(now, 1.77e9 + now, True, "bench")
        station.timer(moment)  # what the last card was good for lapses
        message = TokenPresented("r", now, key(tap * 31 % entries), "ISO14443", 0)
        began = time.perf_counter()
        station.handle(message, moment)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
