"""The referee's process: a CSMS that others wrote (npm ocpp-rpc, strict mode), and what it saw.

It needs Node and npm, and a registry where npm finds packages (once: what was installed stays in build/referee). Where
they are missing the test says so and is skipped; CI has them (``REFEREE=required`` makes their absence a failure).
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, Self

import pytest

HERE = Path(__file__).parent
BUILD = HERE.parent.parent / "build" / "referee"
PATIENCE_S = 30.0


def missing(what: str) -> NoReturn:
    if os.environ.get("REFEREE") == "required":
        pytest.fail(f"{what}, and REFEREE=required")
    pytest.skip(f"{what}; the referee test needs Node, npm and its package")


def installed() -> Path:
    """Install the referee's package where it is not yet. Returns the folder to run in."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        missing("node or npm is not installed")
    wanted = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]["ocpp-rpc"]
    there = BUILD / "node_modules" / "ocpp-rpc" / "package.json"
    if not there.exists() or json.loads(there.read_text(encoding="utf-8"))["version"] != wanted:
        BUILD.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "package.json", BUILD)
        command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        try:
            done = subprocess.run(command, cwd=BUILD, capture_output=True, text=True, timeout=100, check=False)
        except subprocess.TimeoutExpired:
            missing("npm install took too long")
        if done.returncode != 0:
            missing(f"npm install failed: {done.stderr.strip()[-300:]}")
    shutil.copy(HERE / "csms.js", BUILD)
    return BUILD


class Referee:
    """The process, and what it saw."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.url = f"ws://127.0.0.1:{port}"
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.faults: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self._process = process
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._news = asyncio.Event()
        self._reader = asyncio.create_task(self._read())
        self._seen = 0

    @classmethod
    async def start(cls, folder: Path, subprotocol: str = "ocpp1.6") -> Self:
        pipe = asyncio.subprocess.PIPE
        # What its validator says of the schemas themselves, line by line, would bury everything else.
        with (folder / "csms.log").open("w") as log:
            process = await asyncio.create_subprocess_exec(
                "node", "csms.js", subprotocol, cwd=folder, stdin=pipe, stdout=pipe, stderr=log
            )
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            first = json.loads(await process.stdout.readline())
        return cls(process, first["listening"])

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message = json.loads(line)
            if "call" in message:
                self.calls.append((message["call"], message["payload"]))
            elif "answer" in message:
                self._answers.pop(message["answer"]).set_result(message)
            else:
                self.faults.append(message)
            self._news.set()

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _ask(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        number = len(self.asked)
        self.asked.append(action)
        self._answers[number] = asyncio.get_running_loop().create_future()
        answer = self._answers[number]
        self._write({"id": number, "action": action, "payload": payload})
        async with asyncio.timeout(PATIENCE_S):
            return await answer

    def know(self, **tags: dict[str, Any]) -> None:
        self._write({"tags": tags})

    async def call(self, action: str, **payload: Any) -> dict[str, Any]:
        """Send a request; a CALLERROR or a violation fails the test."""
        message = await self._ask(action, payload)
        assert "result" in message, (action, payload, message)
        result: dict[str, Any] = message["result"]
        return result

    async def offered(self, action: str, **payload: Any) -> dict[str, Any] | None:
        """Send a request; None when it is answered with ``NotSupported``. Anything else that is no result fails."""
        message = await self._ask(action, payload)
        if "result" not in message:
            assert message["code"] in ("NotSupported", "NotImplemented"), (action, payload, message)
            return None
        result: dict[str, Any] = message["result"]
        return result

    async def accepted(self, action: str, **payload: Any) -> None:
        result = await self.call(action, **payload)
        assert result["status"] == "Accepted", (action, payload, result)

    async def expect(self, action: str, where: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """Wait for the next such request of the charge point, behind the one found before."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for index in range(self._seen, len(self.calls)):
                    if self.calls[index][0] == action and where(self.calls[index][1]):
                        self._seen = index + 1
                        return self.calls[index][1]
                self._news.clear()
                await self._news.wait()
