"""A blocking client of the control socket, for scripts, tests and the command line."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .control import SOCKET_NAME, socket_path


class ControlError(Exception):
    """A word failed; the text says why. ``call_error`` holds code, description and details of a CALLERROR."""

    def __init__(self, message: str, call_error: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.call_error = call_error


class ControlClient:
    """Speaks the words to the CSMS that runs in ``directory``."""

    def __init__(self, directory: Path | str, timeout_s: float = 120.0) -> None:
        """Connect. Raises ``ControlError`` when no CSMS runs there."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            with socket_path(Path(directory)) as path:
                self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise ControlError(
                f"{Path(directory) / SOCKET_NAME}: no CSMS answers here ({error.strerror}); "
                "start one with `evse-sim csms --dir DIR`"
            ) from error
        self._stream = self._socket.makefile("rb")

    def do(self, word: str, *args: object) -> Any:
        """Run one word and return its result. Arguments that are not texts are sent as JSON.

        Raises ``ControlError`` when it failed or the CSMS went away.
        """
        texts = [arg if isinstance(arg, str) else json.dumps(arg) for arg in args]
        try:
            self._socket.sendall(json.dumps({"word": word, "args": texts}).encode() + b"\n")
            line = self._stream.readline()
        except OSError as error:
            raise ControlError(f"{word}: the CSMS does not answer ({error})") from error
        if not line.endswith(b"\n"):
            raise ControlError(f"{word}: the CSMS went away before it answered")
        reply = json.loads(line)
        if not reply["ok"]:
            raise ControlError(reply["error"], reply.get("call_error"))
        return reply["result"]

    def close(self) -> None:
        """Close the connection. Harmless when repeated."""
        self._stream.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
