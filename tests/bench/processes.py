"""The processes a measurement needs: started, and ended by their ids whatever happens."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
END_TIMEOUT_S = 10.0


class MeasureError(Exception):
    """Something could not be measured. The text says what and why."""


class Crew:
    """Starts processes; leaving its block ends all of them, the last started first."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._members: list[tuple[str, subprocess.Popen[str]]] = []

    def __enter__(self) -> Crew:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, process in reversed(self._members):
            end(process)

    def python(self, name: str, *arguments: object) -> subprocess.Popen[str]:
        """Start ``python ARGUMENTS`` in the project's root. Its stderr goes to ``NAME.log``, its stdout to a pipe."""
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *(str(argument) for argument in arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
            )
        self._members.append((name, process))
        return process

    def burn(self, count: int) -> None:
        """Start ``count`` processes that spin at normal priority."""
        for number in range(1, count + 1):
            self.python(f"burner{number}", "-c", "while True: pass")

    def check(self) -> None:
        """Raise MeasureError when one of them has ended by itself."""
        for name, process in self._members:
            if process.poll() is not None:
                raise MeasureError(f"{name} ended with status {process.returncode}: {self.last_words(name)}")

    def last_words(self, name: str) -> str:
        path = self._logs / f"{name}.log"
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        return " | ".join(lines[-3:]) or "it said nothing"


def end(process: subprocess.Popen[str]) -> None:
    """End one process, kindly first."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def line_of(process: subprocess.Popen[str], timeout_s: float, what: str) -> dict[str, Any]:
    """Read the next line of a process's stdout, which must be JSON. Raises MeasureError."""
    assert process.stdout is not None
    fd = process.stdout.fileno()
    heard, deadline = b"", time.monotonic() + timeout_s
    while b"\n" not in heard:
        readable, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(fd, 1) if readable else b""
        if not piece:
            raise MeasureError(f"{what}: no answer within {timeout_s:g} s" if not readable else f"{what}: it ended")
        heard += piece
    answer = json.loads(heard)
    assert isinstance(answer, dict)
    return answer
