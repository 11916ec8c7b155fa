"""A lab in a process of its own, for tests and demonstrations."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from simulators.lab.client import LabControl

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


class Lab:
    """Context manager around ``evse-sim lab``. Inside it, ``control`` speaks to the lab.

    Keyword arguments are the command's options with underscores (``evses=2, board="tida", energy_factor=4``), lists for
    those that repeat;
    ``settings`` are dotted paths into the agent's configuration with their values, as ``--set`` takes them.
    """

    def __init__(self, directory: Path, settings: dict[str, Any] | None = None, **options: Any) -> None:
        self.directory = directory
        self.control = LabControl(directory)
        self._arguments = _arguments(directory, settings or {}, options)
        self._process: subprocess.Popen[str] | None = None

    @property
    def config_path(self) -> Path:
        return self.directory / "config.yaml"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the lab is not running; start() it first")
        return self._process.pid

    def start(self) -> Lab:
        """Start it and wait until everything is up. Raises RuntimeError with the lab's own words if it fails."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lab.log").open("a", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "simulators", "lab", *self._arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in _search_path() if path)},
                stdin=subprocess.PIPE,  # its end is the end of the lab, should we be killed
            )
        if not self._is_ready(self._process):
            self.stop()
            words = (self.directory / "lab.log").read_text(encoding="utf-8").strip()
            raise RuntimeError(f"the lab did not start: {words or 'no reason given'}")
        return self

    def stop(self) -> None:
        """Stop it in good order, or by force when it does not go."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Lab:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @staticmethod
    def _is_ready(process: subprocess.Popen[str]) -> bool:
        assert process.stdout is not None
        fd = process.stdout.fileno()
        heard, deadline = b"", time.monotonic() + START_TIMEOUT_S
        while b"\n" not in heard:
            readable, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                return False
            piece = os.read(fd, 4096)
            if not piece:
                return False
            heard += piece
        return bool(json.loads(heard.split(b"\n", 1)[0]).get("ready"))


def _search_path() -> list[str]:
    """A checkout that is not installed is found from any working directory."""
    return [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]


def _arguments(directory: Path, settings: dict[str, Any], options: dict[str, Any]) -> Sequence[str]:
    arguments = ["--dir", str(directory), "--json", "--stop-on-eof"]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            arguments.append(flag)
        elif isinstance(value, (list, tuple)):
            for each in value:
                arguments += [flag, str(each)]
        elif value is not False and value is not None:
            arguments += [flag, str(value)]
    for path, value in settings.items():
        arguments += ["--set", f"{path}={json.dumps(value)}"]
    return arguments
