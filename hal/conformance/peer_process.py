"""A simulated counterpart in a process of its own: its work never falls into the time of the driver under test.

``ProcessPeer("my_simulator:Controller")`` calls ``Controller(directory, loop)`` over there and keeps the result, which
must offer what ``Counterpart`` lists. Here it is a ``hal.conformance.subject.Peer``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from hal.conformance.subject import Account

PATIENCE_S = 30.0
"""Longest wait for an answer; only a simulator that has died takes so long."""
IN_MEMORY = Path("/dev/shm")
"""Where files stand in for the kernel's own (sysfs): a disk would make their writers wait."""
STEP_S = 0.01


class Counterpart(Protocol):
    """What runs over there, on an asyncio loop."""

    options: Mapping[str, Any]
    """What the configuration's entry under ``devices:`` would hold, ``driver`` included, nodes and all."""

    def step(self, now: float) -> None:
        """Let time pass; called every 10 ms."""

    def account(self) -> Account | None: ...

    def ask(self, wants: bool) -> None: ...

    def restart(self) -> None: ...

    def close(self) -> None: ...


class ProcessPeer:
    """Use as a context manager. ``options`` as the counterpart gives them."""

    def __init__(self, target: str, *arguments: str, path: tuple[Path, ...] = ()) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="peer-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None)
        search = os.pathsep.join([*map(str, path), *filter(None, sys.path)])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hal.conformance.peer_process", target, self._directory.name, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": search},
        )
        self._rest = b""
        try:
            self.options: dict[str, Any] = self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ProcessPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def account(self) -> Account | None:
        told = self._ask("account")
        return None if told is None else Account(**told)

    def ask(self, wants: bool) -> None:
        self._ask("ask", wants)

    def restart(self) -> None:
        self._ask("restart")

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()  # its input at an end is its sign to go
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._directory.cleanup()

    def _ask(self, what: str, *arguments: object) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([what, *arguments]).encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        fd, end = self._process.stdout.fileno(), time.monotonic() + PATIENCE_S
        while b"\n" not in self._rest:
            ready = select.select([fd], [], [], max(0.0, end - time.monotonic()))[0]
            data = os.read(fd, 65536) if ready else b""
            if not data:
                raise RuntimeError("the simulated counterpart has ended or does not answer; its own output says why")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)


async def _serve(target: str, directory: Path, arguments: list[str]) -> None:
    loop = asyncio.get_running_loop()
    module, _, attribute = target.partition(":")
    counterpart: Counterpart = getattr(import_module(module), attribute)(directory, loop, *arguments)
    finished = asyncio.Event()
    asked = b""

    def answer(what: str, values: list[Any]) -> Any:
        found = getattr(counterpart, what)(*values)
        return asdict(found) if isinstance(found, Account) else None

    def on_input() -> None:
        nonlocal asked
        data = os.read(sys.stdin.fileno(), 65536)
        if not data:
            finished.set()
        asked += data
        while b"\n" in asked:
            line, _, asked = asked.partition(b"\n")
            what, *values = json.loads(line)
            _say(answer(what, values))

    loop.add_reader(sys.stdin.fileno(), on_input)
    _say(dict(counterpart.options))
    try:
        while not finished.is_set():
            counterpart.step(time.monotonic())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(finished.wait(), STEP_S)
    finally:
        loop.remove_reader(sys.stdin.fileno())
        counterpart.close()


def _say(value: Any) -> None:
    os.write(sys.stdout.fileno(), json.dumps(value).encode() + b"\n")


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
