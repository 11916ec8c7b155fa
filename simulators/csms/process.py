"""The CSMS in a process of its own, for tests and demonstrations that join several processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .cli import READY_PREFIX
from .client import ControlClient, ControlError
from .frames import Frame, read_frames

STOP_TIMEOUT_S = 20.0


class CsmsProcess:
    """Runs ``python -m simulators.csms csms`` while in its ``with`` block; all waits are blocking.

    ``start`` after ``kill`` or ``stop`` takes the same port again and, with ``resume``, the earlier books.
    """

    def __init__(
        self,
        dir: Path | str,  # noqa: A002 (the word of the command line)
        port: int = 0,
        *,
        accept_unknown: bool = True,
        resume: bool = False,
        tls: tuple[Path, Path] | None = None,
        versions: Sequence[str] = (),
    ) -> None:
        """``tls``: files of its certificate chain and its key; it speaks TLS then. ``versions``: sub-protocols, most
        wanted first; none: as the command line has it."""
        self._versions = tuple(versions)
        self._tls = tls
        self.dir = Path(dir)
        self.port = port
        self.url = ""
        self._accept_unknown = accept_unknown
        self._resume = resume
        self._process: subprocess.Popen[str] | None = None
        self._client: ControlClient | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait for its ready line. Raises ``RuntimeError`` when it ends instead."""
        command = [sys.executable, "-m", "simulators.csms", "csms", "--port", str(self.port), "--dir", str(self.dir)]
        command.append("--accept-unknown" if self._accept_unknown else "--refuse-unknown")
        if self._versions:
            command += ["--versions", ",".join(self._versions)]
        if self._resume:
            command.append("--resume")
        if self._tls is not None:
            command += ["--tls-certificate", str(self._tls[0]), "--tls-key", str(self._tls[1])]
        self.dir.mkdir(parents=True, exist_ok=True)
        with (self.dir / "csms.log").open("a") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, cwd=_ROOT
            )
        assert process.stdout is not None  # a pipe was asked for
        self._process = process
        line = process.stdout.readline()
        if not line.startswith(READY_PREFIX):
            code = process.wait()
            process.stdout.close()
            self._process = None
            raise RuntimeError(f"the CSMS ended with {code} before it was ready; see {self.dir / 'csms.log'}")
        self.url = line.removeprefix(READY_PREFIX).split()[0]
        self.port = int(self.url.rpartition(":")[2])
        self._client = ControlClient(self.dir)

    @property
    def pid(self) -> int:
        """The process id. Raises ``RuntimeError`` when it does not run."""
        if self._process is None:
            raise RuntimeError("the CSMS does not run; call start()")
        return self._process.pid

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
        self._reap()

    def stop(self) -> None:
        """End it with SIGTERM. Harmless when it does not run."""
        if self._process is not None:
            self._process.terminate()
        self._reap()

    def _reap(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._process is None:
            return
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    # ---- controls ----

    def ctl(self, word: str, *args: object) -> Any:
        """Run any control word. Raises ``ControlError``."""
        if self._client is None:
            raise ControlError("the CSMS does not run; call start()")
        return self._client.do(word, *args)

    def ledger(self) -> dict[str, Any]:
        """The books."""
        books: dict[str, Any] = self.ctl("ledger")
        return books

    def call(
        self,
        charge_point: str | None,
        action: str,
        payload: dict[str, Any] | None = None,
        timeout_s: float = 30.0,
    ) -> Any:
        """Send a command and return the answer's payload. Raises ``ControlError``."""
        who = [] if charge_point is None else [f"cp={charge_point}"]
        return self.ctl("call", action, payload or {}, f"timeout={timeout_s}", *who)

    def wait_for(
        self,
        action: str,
        *,
        count: int = 1,
        after: int | str = 0,
        charge_point: str | None = None,
        timeout_s: float = 10.0,
        **fields: object,
    ) -> list[dict[str, Any]]:
        """Wait for messages whose payload has these fields, as ``Csms.wait_for``. Raises ``ControlError``."""
        options = [f"count={count}", f"after={after}", f"timeout={timeout_s}"]
        if charge_point is not None:
            options.append(f"cp={charge_point}")
        # Texts compare as they are; other values by their JSON form.
        options += [f"{key}={value if isinstance(value, str) else _json(value)}" for key, value in fields.items()]
        # A word may wait longer than the socket's own patience, so it gets a connection that waits with it.
        with ControlClient(self.dir, timeout_s + 60.0) as client:
            calls: list[dict[str, Any]] = client.do("wait-for", action, *options)
        return calls

    def frames(self) -> list[Frame]:
        """Every frame logged so far, read from the file, also after a kill."""
        return read_frames(self.dir / "frames.jsonl")


_ROOT = Path(__file__).resolve().parents[2]


def _json(value: object) -> str:
    import json

    return json.dumps(value)
