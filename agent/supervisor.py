"""Both processes in the foreground, for development and demonstration. A service manager replaces this.

The supervisor checks the file, starts control and agent, passes nothing through but signals, and starts again
whichever dies. It ends them in order: the agent first, so that control can finish what the agent asked for last.
The children are told by the kernel when the supervisor itself is killed.

A child that refuses its configuration at its first start ends everything: who started it reads why. Later it is a
change that was refused: the other child goes on, and this one is tried again when the file changes once more.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

EXIT_CONFIG: Final = 2
EXIT_RESTART: Final = 75
"""A child that ends with this (EX_TEMPFAIL) asks for a fresh start, and gets it at once."""

BACK_OFF_S: Final = 0.5
LONGEST_BACK_OFF_S: Final = 30.0
STEADY_S: Final = 60.0
"""A child that lived this long is well again: its back-off begins anew."""
LOOK_S: Final = 1.0
"""Between two looks at a configuration that was refused."""
GRACE_S: Final = 10.0
"""How long a child may take to end before it is killed."""

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_WATCHED = (*_ENDING, signal.SIGCHLD)
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class BackOff:
    """When a child that died may start again. Pure: moments are passed in, in seconds."""

    first_at_once: bool
    _failures: int = field(default=0, init=False)

    def wait_s(self, lived_s: float, asked: bool) -> float:
        """Return how long to wait. ``asked``: the child itself asked for a fresh start."""
        if asked:
            return 0.0
        if lived_s >= STEADY_S:
            self._failures = 0
        self._failures += 1
        steps = self._failures - (2 if self.first_at_once else 1)
        return 0.0 if steps < 0 else min(BACK_OFF_S * 2.0**steps, LONGEST_BACK_OFF_S)


FileMark = tuple[int, int, int] | None
"""Changes when a file is written or replaced."""


@dataclass(slots=True)
class Child:
    """A process to keep alive. ``first_at_once``: its first death costs no wait.

    ``later``: words that its command has in addition from the second start on.
    """

    name: str
    command: Sequence[str]
    first_at_once: bool = False
    later: Sequence[str] = ()
    back_off: BackOff = field(init=False)
    pid: int = field(default=0, init=False)
    started_at: float = field(default=0.0, init=False)
    due_at: float | None = field(default=0.0, init=False)
    """When to start; None while it runs; infinite while it waits for another configuration."""
    starts: int = field(default=0, init=False)
    read: FileMark = field(default=None, init=False)
    """The configuration as it was before the last start."""

    def __post_init__(self) -> None:
        self.back_off = BackOff(self.first_at_once)


def run(config: str, check: Callable[[], int]) -> int:
    """Run until told to end. Return the exit status.

    ``check`` reads the file, prints what is wrong and returns an exit status. It runs in a process of its own, so
    that what it imports does not stay with the supervisor.
    """
    status = _checked(check)
    if status:
        return status
    python = [sys.executable, "-m"]
    return supervise(
        [
            Child("control", [*python, "agent.control", "--config", config], first_at_once=True),
            Child("agent", [*python, "agent.app", "--config", config], later=["--stay"]),
        ],
        Path(config),
    )


def supervise(children: Sequence[Child], config: Path) -> int:
    """Start the children in order, keep them alive, and end them in reverse order when told to. Return the status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a parent that ignored it would leave us without news
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    return _Supervisor(children, config).run()


class _Supervisor:
    def __init__(self, children: Sequence[Child], config: Path) -> None:
        self._children = children
        self._config = config
        self._libc = ctypes.CDLL(None)
        # nohup: the terminal may go away and we stay.
        self._ending = {n for n in _ENDING if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN}

    def run(self) -> int:
        try:
            while True:
                self._look_again()
                self._start_due()
                received = _wait(self._patience())
                if received in self._ending:
                    return 0
                status = self._reap()
                if status:
                    return status
        finally:
            self._end()

    def _patience(self) -> float:
        due = [child.due_at for child in self._children if child.due_at is not None]
        if not due:
            return 3600.0
        longest = LOOK_S if math.inf in due else 3600.0
        return max(0.0, min(min(due) - time.monotonic(), longest))

    def _look_again(self) -> None:
        for child in self._children:
            if child.due_at == math.inf and _mark(self._config) != child.read:
                child.due_at = time.monotonic()
                _say(f"{self._config} was changed; starting {child.name} again")

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.due_at is not None and child.due_at <= now:
                child.read = _mark(self._config)
                child.pid = self._spawn([*child.command, *(child.later if child.starts else ())])
                child.starts += 1
                child.started_at = now
                child.due_at = None

    def _spawn(self, command: Sequence[str]) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        try:
            # A group of its own: Ctrl-C reaches the supervisor alone, which ends its children in order.
            os.setpgid(0, 0)
            self._libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            if os.getppid() == parent:  # else the supervisor died before prctl could tell us
                os.execv(command[0], list(command))
        except OSError as error:
            _say(f"cannot start {' '.join(command)}: {error}")
        finally:
            os._exit(1)

    def _reap(self) -> int:
        """Note who died. Return an exit status when there is no use in going on, else 0."""
        for child in self._children:
            if child.due_at is not None:
                continue
            pid, raw = os.waitpid(child.pid, os.WNOHANG)
            if pid == 0:
                continue
            now = time.monotonic()
            status = os.waitstatus_to_exitcode(raw)
            if status == EXIT_CONFIG and child.starts == 1:
                child.due_at = now
                _say(f"{child.name} cannot use its configuration; ending")
                return EXIT_CONFIG
            if status == EXIT_CONFIG:
                child.due_at = math.inf
                _say(f"{child.name} refuses its configuration (above); correct {self._config}, and it starts again")
                continue
            wait_s = child.back_off.wait_s(now - child.started_at, status == EXIT_RESTART)
            child.due_at = now + wait_s
            how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            _say(f"{child.name} {how}; starting it again {f'in {wait_s:g} s' if wait_s else 'at once'}")
        return 0

    def _end(self) -> None:
        """End the last started first, kindly; at once when a second signal says so."""
        hurry = False
        for child in reversed(self._children):
            if child.due_at is not None:
                continue
            hurry = self._end_child(child, hurry) or hurry

    def _end_child(self, child: Child, hurry: bool) -> bool:
        """Return True when a signal came that asks for haste."""
        _kill(child.pid, signal.SIGKILL if hurry else signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while True:
            pid, _ = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                child.due_at = 0.0
                return hurry
            received = _wait(max(0.0, deadline - time.monotonic()))
            if received in self._ending:
                hurry = True
            late = time.monotonic() >= deadline
            if hurry or late:
                if late:
                    _say(f"{child.name} did not end within {GRACE_S:g} s and was killed")
                _kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                child.due_at = 0.0
                return hurry


def _checked(check: Callable[[], int]) -> int:
    pid = os.fork()
    if not pid:
        sys.exit(check())
    _, raw = os.waitpid(pid, 0)
    status = os.waitstatus_to_exitcode(raw)
    return 1 if status < 0 else status


def _mark(path: Path) -> FileMark:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size


def _wait(timeout_s: float) -> int:
    """Wait for a watched signal. Return it, or 0."""
    info = signal.sigtimedwait(_WATCHED, timeout_s)
    return 0 if info is None else info.si_signo


def _kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _say(text: str) -> None:
    sys.stderr.write(f"evse-agent: {text}\n")
    sys.stderr.flush()
