"""A technician at a terminal: a pty with a VT100 behind it (pyte), hands that type, and eyes that read the screen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import pyte

PATIENCE_S = 30.0
CTRL_C, CTRL_D, TAB, ESCAPE = "\x03", "\x04", "\t", "\x1b"


class Technician:
    """Starts ``evse-console`` on a pty of its own (``on_port``: as a serial port, else as its own terminal).

    ``answers``: the terminal says where its cursor is, as a VT100 does; a dumb one does not.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        answers: bool = True,
        on_port: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.master, self._slave = os.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.set_blocking(self.master, False)
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        if answers:
            self.screen.write_process_input = lambda data: self.send(data)  # type: ignore[method-assign]
        self.said = b""
        """Everything that came, for searching."""
        self._seen = 0
        command = [sys.executable, "-m", "agent.console", *arguments]
        environment = {**os.environ, "TERM": "vt100" if answers else "dumb", "LANG": "C.UTF-8", **(environment or {})}
        if on_port is not None:
            on_port.unlink(missing_ok=True)
            on_port.symlink_to(os.ttyname(self._slave))
            command += ["--port", str(on_port)]
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
        else:
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdin=self._slave,
                stdout=self._slave,
                start_new_session=True,
            )

    def __enter__(self) -> Technician:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for fd in (self.master, self._slave):
            with contextlib.suppress(OSError):
                os.close(fd)

    def send(self, text: str | bytes) -> None:
        """Type."""
        data = text if isinstance(text, bytes) else text.encode()
        deadline = time.monotonic() + PATIENCE_S
        while data:
            try:
                data = data[os.write(self.master, data) :]
            except BlockingIOError:
                assert time.monotonic() < deadline, "the console takes no input"
                self._hear(0.05)

    def wake(self, words: str) -> None:
        """Press Enter until the other end speaks, as one does at a serial port: not before it listens, and seldom, for
        each Enter that comes too many answers a question."""
        deadline = time.monotonic() + 2 * PATIENCE_S
        pressed_at = float("-inf")
        while words.encode() not in self.said:
            now = time.monotonic()
            assert now < deadline, f"no {words!r} after Enter"
            if not termios.tcgetattr(self._slave)[3] & termios.ICANON and now - pressed_at > PATIENCE_S / 2:
                pressed_at = now
                self.send("\r")
            self._hear(0.2)

    def line(self, text: str) -> None:
        self.send(text + "\r")

    def wait(self, pattern: str, timeout_s: float = PATIENCE_S) -> str:
        """Wait for words that have not been waited for yet. Return them (all groups, or the whole)."""
        deadline = time.monotonic() + timeout_s
        while True:
            fresh = self.said[self._seen :].decode("utf-8", "replace")
            match = re.search(pattern, fresh, re.DOTALL)
            if match:
                self._seen += len(fresh[: match.end()].encode())
                return match[0]
            if time.monotonic() > deadline or (self.process.poll() is not None and not self._hear(0.1)):
                raise AssertionError(f"no {pattern!r} on the screen:\n{self.picture()}\nfresh: {fresh[-2000:]!r}")
            self._hear(0.2)

    def do(self, command: str, pattern: str = "", timeout_s: float = PATIENCE_S) -> str:
        """Type a command, wait for words in its answer and for the next prompt. Return what it said."""
        self.line(command)
        begin = self._seen
        if pattern:
            self.wait(pattern, timeout_s)
        self.wait(r"(none|observe|operate|service)> \S*$", timeout_s)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.said[begin : self._seen].decode("utf-8", "replace"))

    def log_in(self, pin: str, name: str = "Ines") -> None:
        self.line("login")
        self.wait("name:")
        self.line(name)
        self.wait("PIN:")
        self.line(pin)
        self.wait("Logged in")

    def picture(self) -> str:
        """What the screen shows now."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def _hear(self, timeout_s: float) -> bool:
        if not select.select([self.master], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self.master, 65_536)
        except OSError:
            return False
        self.said += data
        self.stream.feed(data)
        return bool(data)
