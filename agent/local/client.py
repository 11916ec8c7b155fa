"""A small blocking client of the local API, for command-line tools."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any, Self

MAX_ANSWER_BYTES = 8 * 1024 * 1024


class UnreachableError(Exception):
    """No agent answers. The text names the socket, the reason and the remedy."""


class CallError(Exception):
    """The agent answered with an error. ``code`` is JSON-RPC's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class LocalClient:
    """Calls methods one after the other. Use as a context manager.

    ``timeout_s`` bounds the connection and each call. Raises UnreachableError at once when there is no agent.
    """

    def __init__(self, path: Path, timeout_s: float = 5.0) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._rest = b""
        self._serial = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(os.fspath(path))
        except (OSError, ValueError) as error:
            self._socket.close()
            raise UnreachableError(_reason(path, error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method by name and return its result. Raises CallError and UnreachableError."""
        self._serial += 1
        request = {"jsonrpc": "2.0", "id": self._serial, "method": method, "params": parameters}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(self._line())
        except OSError as error:
            raise UnreachableError(_reason(self._path, error)) from error
        except ValueError as error:
            raise UnreachableError(f"{self._path}: the answer is not JSON-RPC; is this the agent's socket?") from error
        if not isinstance(answer, dict) or ("error" not in answer and answer.get("id") != self._serial):
            raise UnreachableError(f"{self._path}: the answer is not JSON-RPC; is this the agent's socket?")
        failure = answer.get("error")
        if failure is None:
            return answer.get("result")
        if not isinstance(failure, dict):
            raise UnreachableError(f"{self._path}: the answer is not JSON-RPC; is this the agent's socket?")
        raise CallError(int(failure.get("code", 0)), str(failure.get("message", "")))

    def _line(self) -> bytes:
        deadline = time.monotonic() + self._timeout_s
        while b"\n" not in self._rest:
            if time.monotonic() > deadline:
                raise TimeoutError("timed out")
            data = self._socket.recv(65_536)
            if not data:
                raise ConnectionResetError("the agent closed the connection")
            self._rest += data
            if len(self._rest) > MAX_ANSWER_BYTES:
                raise ConnectionAbortedError("the answer is endless")
        line, _, self._rest = self._rest.partition(b"\n")
        return line


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return f"{path}: no agent runs there; start it with 'evse-agent run', or give --config or --socket"
    if isinstance(error, PermissionError):
        return f"{path}: this user may not use it; run as root or join the group that owns the socket"
    if isinstance(error, TimeoutError):
        return f"{path}: the agent does not answer in time; it is busy or stuck, see its log"
    return f"{path}: {error}; see the agent's log"
