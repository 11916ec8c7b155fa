"""The control socket: one JSON object per line in, one per line out, on a unix socket in the CSMS's folder.

``{"word": "drop", "args": ["Heartbeat", "2"]}`` is answered by ``{"ok": true, "result": …}`` or
``{"ok": false, "error": "…"}``; a CALLERROR to ``call`` adds ``"call_error"``. Each connection is served in
order; a word that waits holds up only its own connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .server import Csms

LOGGER = logging.getLogger("simulators.csms")

SOCKET_NAME = "csms.sock"

MAX_LINE_BYTES = 4 * 2**20


@contextlib.contextmanager
def socket_path(directory: Path) -> Iterator[str]:
    """A name for the socket that fits into the 108 bytes a unix address has, however deep the folder lies."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


class ControlServer:
    """Serves the words of ``words`` for one CSMS."""

    def __init__(self, csms: Csms, directory: Path) -> None:
        self._csms = csms
        self._directory = directory
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the socket. Raises ``OSError`` when another CSMS answers on it."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with socket_path(self._directory) as path:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                    if probe.connect_ex(path) == 0:
                        raise OSError(f"{self._directory}: another CSMS runs here; stop it or take another --dir")
                Path(path).unlink(missing_ok=True)
                listener.bind(path)
                Path(path).chmod(0o600)
            except BaseException:
                listener.close()
                raise
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=MAX_LINE_BYTES)

    async def stop(self) -> None:
        """Close the socket and every client. Harmless when repeated."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        (self._directory / SOCKET_NAME).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # a stream handler runs in a task
        self._clients.add(task)
        try:
            while True:
                try:
                    line = await reader.readline()
                except ValueError:
                    reply = {"ok": False, "error": f"a line of more than {MAX_LINE_BYTES} bytes; send less"}
                    await _write(writer, reply)
                    return
                if not line:
                    return
                await _write(writer, await self._answer(line))
        except (ConnectionError, asyncio.CancelledError):
            # The client went away, or the CSMS is stopping: nothing is left to tell.
            return
        finally:
            self._clients.discard(task)
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        from .charge_point import CallRefused
        from .words import WordError, run_word

        try:
            request = json.loads(line)
            word, args = request["word"], request.get("args", [])
            if not isinstance(word, str) or not isinstance(args, list):
                raise TypeError
            texts = [arg if isinstance(arg, str) else json.dumps(arg) for arg in args]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {"ok": False, "error": 'not a request; send one line like {"word": "ledger", "args": []}'}
        try:
            return {"ok": True, "result": await run_word(self._csms, word, texts)}
        except CallRefused as refused:
            details = {"code": refused.code, "description": refused.description, "details": refused.details}
            return {"ok": False, "error": f"CALLERROR {refused}", "call_error": details}
        except (WordError, ValueError, OSError) as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:  # a word that breaks must not end the control of a running test
            LOGGER.exception("%s broke", word)
            return {"ok": False, "error": f"{word}: {type(error).__name__}: {error}"}


async def _write(writer: asyncio.StreamWriter, reply: dict[str, Any]) -> None:
    writer.write(json.dumps(reply).encode() + b"\n")
    await writer.drain()
