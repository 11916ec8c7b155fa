"""The product itself as processes beside the lab: started, killed and asked as a service manager or a person would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from agent.local.client import LocalClient, UnreachableError

STOP_TIMEOUT_S = 15.0
POLL_S = 0.05

COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("-m", "agent.cli", "run"),
    "control": ("-m", "agent.control"),
    "agent": ("-m", "agent.app"),
}


class Charger:
    """Runs ``evse-agent run`` (``whole``), or the two processes each by itself, against a lab's configuration.

    Output goes to ``logs/NAME.log`` beside the configuration. Ends everything it started on leaving its block.
    """

    def __init__(self, config_path: Path, runtime_dir: Path | None = None) -> None:
        self.config_path = config_path
        self.directory = config_path.parent
        self._api = (runtime_dir or self.directory / "run") / "api.sock"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    # ---- processes -------------------------------------------------------------------------------------------

    def start(self, name: str, prefix: Sequence[str] = ()) -> int:
        """Start ``run``, ``control`` or ``agent``. Return its process id. ``prefix`` goes before the command."""
        if name in self._processes and self._processes[name].poll() is None:
            raise RuntimeError(f"{name} runs already (pid {self._processes[name].pid})")
        log_path = self.directory / "logs" / f"{name}.log"
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                [*prefix, sys.executable, *COMMANDS[name], "--config", str(self.config_path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=_ROOT,
            )
        self._processes[name] = process
        return process.pid

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def running(self, name: str) -> bool:
        return name in self._processes and self._processes[name].poll() is None

    def kill(self, name: str) -> None:
        """SIGKILL, as a crash would."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str, number: int = signal.SIGTERM) -> int:
        """End it in good order. Return its exit status."""
        process = self._processes.pop(name)
        process.send_signal(number)
        try:
            return process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise TimeoutError(f"{name} did not end within {STOP_TIMEOUT_S:g} s of signal {number}") from None

    def wait_exit(self, name: str, timeout_s: float = 30.0) -> int:
        """Wait until it ends by itself. Return its exit status."""
        return self._processes[name].wait(timeout_s)

    def __enter__(self) -> Charger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in ("run", "agent", "control"):
            if self.running(name):
                self.stop(name)
            elif name in self._processes:
                self._processes.pop(name).wait()

    # ---- what it says ----------------------------------------------------------------------------------------

    def log(self, name: str) -> str:
        path = self.directory / "logs" / f"{name}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def call(self, method: str, **parameters: Any) -> Any:
        """Call the local API. Raises UnreachableError when no agent answers."""
        with LocalClient(self._api) as client:
            return client.call(method, **parameters)

    def status(self) -> Any:
        return self.call("status")

    def wait_for(self, condition: Callable[[Any], bool], what: str, timeout_s: float = 30.0) -> Any:
        """Return the status as soon as ``condition`` holds for it. Raises TimeoutError with the last status."""
        deadline = time.monotonic() + timeout_s
        status: Any = "no agent answers"
        while time.monotonic() < deadline:
            try:
                status = self.status()
            except UnreachableError:
                status = "no agent answers"
            else:
                if condition(status):
                    return status
            time.sleep(POLL_S)
        raise TimeoutError(f"{what}: not within {timeout_s:g} s; last status: {status}")

    def wait_accepted(self, timeout_s: float = 30.0) -> Any:
        return self.wait_for(lambda s: s["uplink"]["state"] == "accepted", "boot accepted", timeout_s)

    def wait_delivered(self, timeout_s: float = 60.0) -> Any:
        """Wait until nothing waits for the network any more."""
        return self.wait_for(lambda s: s["uplink"]["queue"]["pending"] == 0, "queue empty", timeout_s)


_ROOT = Path(os.path.realpath(__file__)).parents[1]
