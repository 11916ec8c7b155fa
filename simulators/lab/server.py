"""The lab's control socket: one JSON object per line in, one per line out."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulators.lab.commands import CommandError, perform
from simulators.lab.configuration import write_configuration
from simulators.lab.hardware import Hardware
from simulators.lab.settings import LabSettings, SettingsError
from simulators.lab.socket_path import short_path

MAX_REQUEST = 64 * 1024


def _listen(path: Path) -> socket.socket:
    """Bind the control socket. Raises SettingsError when another lab answers there."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(path) as name:
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            probe.connect(name)
        except OSError:
            path.unlink(missing_ok=True)
        else:
            raise SettingsError(f"{path.parent}: a lab is running there already; stop it or choose another directory")
        finally:
            probe.close()
        listener.bind(name)
    path.chmod(0o600)
    listener.listen()
    listener.setblocking(False)
    return listener


async def serve(settings: LabSettings, ready: Callable[[], None], *, stop_on_eof: bool = False) -> None:
    """Run a lab until SIGTERM or SIGINT, or until standard input closes if so asked.

    ``ready`` is called once everything is up. Raises SettingsError."""
    hardware = Hardware(settings)
    configuration = hardware.configuration()  # refuses impossible overrides before anything is touched
    settings.directory.mkdir(parents=True, exist_ok=True)
    listener = _listen(settings.socket_path)
    try:
        write_configuration(settings, configuration)
        await _serve(hardware, listener, ready, stop_on_eof)
    finally:
        listener.close()
        settings.socket_path.unlink(missing_ok=True)


async def _serve(hardware: Hardware, listener: socket.socket, ready: Callable[[], None], stop_on_eof: bool) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if stop_on_eof:
        loop.add_reader(sys.stdin.fileno(), _listen_for_eof, sys.stdin.fileno(), stopped)
    server = await asyncio.start_unix_server(
        lambda reader, writer: _converse(hardware, reader, writer), sock=listener, limit=MAX_REQUEST
    )
    try:
        hardware.start()
        ready()
        await stopped.wait()
    finally:
        server.close()
        hardware.stop()


def _listen_for_eof(fd: int, stopped: asyncio.Event) -> None:
    if not os.read(fd, 4096):
        stopped.set()


async def _converse(hardware: Hardware, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while line := await reader.readline():
            writer.write(json.dumps(_answer(hardware, line), default=str).encode() + b"\n")
            await writer.drain()
    except (ConnectionError, ValueError):
        pass  # gone, or a line beyond all measure: this conversation is over
    finally:
        writer.close()


def _answer(hardware: Hardware, line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except ValueError as error:
        return {"ok": False, "error": f"not JSON: {error}"}
    if not isinstance(request, dict):
        return {"ok": False, "error": "a request is a JSON object"}
    try:
        return {"ok": True, "result": perform(hardware, request)}
    except CommandError as error:
        return {"ok": False, "error": str(error)}
