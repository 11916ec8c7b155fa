"""What a flood on the technician's serial line costs control: reaction with the flood and without it.

One charger as it runs in the field: control, the agent on its uplink, and ``evse-console --port`` on a pty. Its
EVSEs' boards play the stories of ``boards``, as in ``reaction``: one EVSE alone would give five samples in the time.
Measured first with the line silent, then while its other end writes bytes as fast as the console takes them, from
before the first sample to after the last. Everything is started anew for each row, so that the flood is all that
differs. The budgets are those of the reaction under load. A console that ends is counted and started again at once,
which is more work for the machine than its unit makes of it (2 s, nice 5).
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from simulators.charger import Charger
from simulators.csms.process import CsmsProcess

from .boards import BARE, BARE_PIPE, C_TO_B, PILOT_LOST, RESIDUAL_CURRENT
from .figures import Figure, number, percentile, ratio
from .machine import policy_of, progress
from .processes import Crew, MeasureError, end, line_of
from .reaction import BOARD_PRIORITY, CONTROL_PRIORITY, KINDS, MAX_BUDGET_MS, P999_BUDGET_MS, answers, beside_bare, load
from .site import board_ports, write_config

PIN = "402617"
ENDLESS = 1_000_000
START_S = 15.0
WATCH_S = 0.1
STORIES = {"c_to_b": [C_TO_B], "fault": [PILOT_LOST, RESIDUAL_CURRENT]}


class Console:
    """``evse-console`` on ``line``, kept alive inside its block; ``ended`` counts how often it did not stay."""

    def __init__(self, crew: Crew, socket: Path, line: Path) -> None:
        self.ended = 0
        self._crew = crew
        self._arguments = ("-m", "agent.console", "--socket", socket, "--port", line)
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep)

    def __enter__(self) -> Console:
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._keeper.join()

    def _keep(self) -> None:
        while not self._over.is_set():
            process = self._crew.python("console", *self._arguments)
            while process.poll() is None and not self._over.wait(WATCH_S):
                pass
            self.ended += process.poll() is not None
            end(process)


def measure(scratch: Path, evses: int, seconds: float) -> list[Figure]:
    """Measure ``evses`` EVSEs ``seconds`` long with the line silent and as long with the flood."""
    rows = {}
    for flooded in (False, True):
        progress(f"  {'flood' if flooded else 'silence'} on the console's line")
        rows[flooded] = _play(scratch / ("flood" if flooded else "silence"), evses, seconds, flooded=flooded)
    return list(_figures(rows[False], rows[True], evses))


def _play(scratch: Path, evses: int, seconds: float, *, flooded: bool) -> dict[str, Any]:
    directory, line = scratch / "site", scratch / "line"
    csms = CsmsProcess(scratch / "csms")
    with Crew(scratch / "logs") as crew:
        try:
            csms.start()
            config = write_config(
                directory,
                evses,
                state_dir=scratch / "state",
                csms_url=csms.url,
                priority=CONTROL_PRIORITY,
                free_vend=True,
            )
            with Charger(config) as charger:
                charger.start("agent")
                charger.wait_accepted(START_S)
                charger.call("pin.set", pin=PIN)
                flood = crew.python("flood", "-m", "tests.bench.flood", line, "flood" if flooded else "silence")
                line_of(flood, START_S, "the pty of the console")
                with Console(crew, directory / "run" / "api.sock", line) as console:
                    line_of(flood, START_S, "the console does not listen")
                    result = _react(crew, charger, directory, evses, seconds)
                    result |= {"ended": console.ended, "words": crew.last_words("console")}
                    flood.send_signal(signal.SIGTERM)  # the line goes with it, which is a hang-up to the console
                    return {**result, "flood": line_of(flood, START_S, "the flood")}
        finally:
            csms.stop()


def _react(crew: Crew, charger: Charger, directory: Path, evses: int, seconds: float) -> dict[str, Any]:
    bare = directory / "bare"
    options = {
        "ports": [str(port) for port in board_ports(directory, evses)],
        "bare": str(bare),
        "kinds": KINDS,
        "seconds": seconds,
        "samples": ENDLESS,
        "priority": BOARD_PRIORITY,
    }
    boards = crew.python("boards", "-m", "tests.bench.boards", json.dumps(options))
    line_of(boards, START_S, "the boards did not come up")
    crew.python("bare", "-m", "tests.bench.bare_loop", "pty", bare, CONTROL_PRIORITY)
    crew.python("bare_pipe", "-m", "tests.bench.bare_loop", "pipe", bare, CONTROL_PRIORITY)
    control = charger.start("control")
    result = answers(boards, seconds + START_S, charger, crew)
    return {**result, "policy": policy_of(control)}


def _figures(silent: dict[str, Any], flooded: dict[str, Any], evses: int) -> Iterator[Figure]:
    flood = flooded["flood"]
    if not flood["taken"]:
        raise MeasureError("the console took no byte of the flood")
    note = f"control {flooded['policy']}, {evses} EVSEs, {load()}"
    bare_ms, pipe_ms = ([ns / 1e6 for ns in flooded["ns"].get(row, [])] for row in (BARE, BARE_PIPE))
    total = 0
    for story, kinds in STORIES.items():
        before, beside = ([ns / 1e6 for kind in kinds for ns in row["ns"].get(kind, [])] for row in (silent, flooded))
        if not before or not beside:
            raise MeasureError(f"no sample of {story}")
        total += len(beside)
        name = f"console_flood_{story}"
        for what, pct in (("p50", 50.0), ("p99", 99.0), ("max", 100.0)):
            yield Figure(f"{name}_silent_{what}_ms", percentile(before, pct), len(before))
        yield Figure(f"{name}_p50_ms", percentile(beside, 50), len(beside), note=note)
        yield Figure(f"{name}_p99_ms", percentile(beside, 99), len(beside))
        for what, pct, budget in (("p999", 99.9, P999_BUDGET_MS), ("max", 100.0, MAX_BUDGET_MS)):
            said = beside_bare(bare_ms, pipe_ms, pct)
            yield Figure(f"{name}_{what}_ms", percentile(beside, pct), len(beside), budget, said)
        for what, pct in (("p50", 50.0), ("p99", 99.0), ("max", 100.0)):
            value = ratio(percentile(beside, pct), percentile(before, pct))
            yield Figure(f"{name}_to_silent_{what}_ratio", value, len(beside))
    for row, name in ((silent, "bare_silent"), (flooded, "bare")):
        for loop, what in ((BARE, "pty"), (BARE_PIPE, "pipe")):
            ms = [ns / 1e6 for ns in row["ns"].get(loop, [])]
            yield Figure(f"console_flood_{name}_{what}_p99_ms", percentile(ms, 99), len(ms))
            yield Figure(f"console_flood_{name}_{what}_max_ms", percentile(ms, 100), len(ms))
    unanswered = sum(missed for kind, missed in flooded["unanswered"].items() if kind not in (BARE, BARE_PIPE))
    yield Figure("console_flood_unanswered_count", unanswered, total, budget=0)
    yield Figure("console_flood_stalled_count", flooded["stalled"], note="charges that did not start again within 30 s")
    for row, name in ((silent, "silent_ended"), (flooded, "ended")):
        words = row["words"] if row["ended"] else ""
        yield Figure(f"console_flood_console_{name}_count", row["ended"], budget=0, note=words)
    rate = flood["taken"] / flood["seconds"]
    said = f"{number(flood['taken'] / 1e3)} kB taken, {number(flood['heard'] / 1e3)} kB came back"
    yield Figure("console_flood_bytes_per_s", rate, note=said)
