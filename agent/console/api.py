"""The console's connection to the agent: calls that Ctrl-C can leave, and live values."""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.local.client import MAX_ANSWER_BYTES, CallError, UnreachableError

CALL_S = 30.0
POLL_S = 0.05

__all__ = ["Api", "CallError", "InterruptedCallError", "UnreachableError"]


class InterruptedCallError(Exception):
    """Ctrl-C while the agent was working. What was asked for may still happen."""


class Api:
    """Connects when first needed, and again after a restart of the agent (``on_connect`` runs then)."""

    def __init__(self, path: Path, interrupted: Callable[[], bool] = lambda: False) -> None:
        self.path = path
        self._interrupted = interrupted
        self._socket: socket.socket | None = None
        self._rest = b""
        self._serial = 0
        self._events: deque[dict[str, Any]] = deque(maxlen=1000)
        self.on_connect: Callable[[], None] = lambda: None

    def fileno(self) -> int | None:
        return None if self._socket is None else self._socket.fileno()

    def alive(self) -> bool:
        """Whether the connection still holds; one that the agent has ended is closed here, before anything is lost
        on it."""
        if self._socket is None:
            return False
        try:
            ended = select.select([self._socket], [], [], 0)[0] and not self._socket.recv(1, socket.MSG_PEEK)
        except OSError:
            ended = True
        if ended:
            self.close()
        return not ended

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest = None, b""
        self._events.clear()

    def call(self, method: str, timeout_s: float = CALL_S, /, **parameters: Any) -> Any:
        """Call a method. Raises CallError when it is refused, UnreachableError without an agent,
        InterruptedCallError."""
        fresh = self._socket is None
        self._connect()
        if fresh:
            self.on_connect()
        self._serial += 1
        serial = self._serial
        self._send({"jsonrpc": "2.0", "id": serial, "method": method, "params": parameters})
        deadline = time.monotonic() + timeout_s
        while True:
            answer = self._next(deadline)
            if answer is None:
                if self._interrupted():
                    self.close()  # the answer, when it comes, belongs to nobody
                    raise InterruptedCallError
                if time.monotonic() >= deadline:
                    self.close()
                    raise UnreachableError(f"{self.path}: the agent does not answer; it is busy or stuck, see its log")
                continue
            if answer.get("id") != serial:
                continue
            failure = answer.get("error")
            if failure is None:
                return answer.get("result")
            raise CallError(int(failure.get("code", 0)), str(failure.get("message", "")))

    def event(self, timeout_s: float = 0.0) -> dict[str, Any] | None:
        """Return the next pushed value (``subscription``, ``topic``, ``value``); None when none came in time."""
        deadline = time.monotonic() + timeout_s
        while not self._events:
            if self._socket is None:
                return None
            answer = self._next(deadline)
            if answer is None and time.monotonic() >= deadline:
                return None
        return self._events.popleft()

    def event_waiting(self, timeout_s: float = 0.0) -> bool:
        """Whether a pushed value has come."""
        if not self._events and self._socket is not None:
            self._next(time.monotonic() + timeout_s)
        return bool(self._events)

    # ---- the wire ----

    def _connect(self) -> None:
        if self._socket is not None:
            return
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(5.0)
        try:
            link.connect(os.fspath(self.path))
        except (OSError, ValueError) as error:
            link.close()
            raise UnreachableError(_why(self.path, error)) from error
        self._socket, self._rest = link, b""

    def _send(self, message: dict[str, Any]) -> None:
        assert self._socket is not None
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            self.close()
            raise UnreachableError(_why(self.path, error)) from error

    def _next(self, deadline: float) -> dict[str, Any] | None:
        """Return the next answer; pushed values go aside. None when nothing came within a moment."""
        while True:
            if b"\n" in self._rest:
                line, _, self._rest = self._rest.partition(b"\n")
                try:
                    message = json.loads(line)
                except ValueError:
                    self.close()
                    raise UnreachableError(f"{self.path}: what answers there is not the agent") from None
                if not isinstance(message, dict):
                    continue
                if message.get("method") == "event":
                    self._events.append(message["params"])
                    return None
                return message
            assert self._socket is not None
            wait_s = min(POLL_S, max(0.0, deadline - time.monotonic()))
            if not select.select([self._socket], [], [], wait_s)[0]:
                return None
            try:
                data = self._socket.recv(65_536)
            except OSError as error:
                self.close()
                raise UnreachableError(_why(self.path, error)) from error
            self._rest += data
            if not data or len(self._rest) > MAX_ANSWER_BYTES:
                self.close()
                raise UnreachableError(f"{self.path}: the agent closed the connection; it may be restarting")


def _why(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return f"{path}: no agent runs there; see 'systemctl status evse-agent'"
    if isinstance(error, PermissionError):
        return f"{path}: this user may not use it; join the group evse-observe, or run as root"
    return f"{path}: {error}"
