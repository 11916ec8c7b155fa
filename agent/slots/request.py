"""The agent may not write where programs lie. It asks; a service with the rights does it, and believes signatures only.

    <requests>/request.json    written by the agent: id, command, file
    <answers>/answer.json      written by the service: id, status, text

A path unit of the service manager starts the service when the request changes. The service never writes into a folder
that the agent owns, and of what the agent says it takes nothing but the command and the name of the file.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.slots.bundle import BundleError
from agent.slots.guard import SlotError, Slots, write_whole
from agent.slots.install import EXIT_BAD_FILE, Installer

COMMANDS = ("install", "confirm", "roll-back", "restart")
POLL_S = 0.2
MAX_REQUEST = 16 * 1024

RESTART = ("systemctl", "--no-block", "restart", "evse-control.service", "evse-agent.service")
"""Both halves come back from the slot that ``current`` leads to. The agent asks only while nobody charges."""


def ask(
    requests: Path,
    answers: Path,
    command: str,
    file: Path | None,
    longest_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[int, str]:
    """Put a request, wait for its answer. Return its exit status and text; 1 when nobody answers in time."""
    number = uuid.uuid4().hex
    requests.mkdir(mode=0o750, parents=True, exist_ok=True)
    request = {"id": number, "command": command, "file": "" if file is None else str(file.absolute())}
    write_whole(requests / "request.json", json.dumps(request))
    waited_s = 0.0
    while waited_s < longest_s:
        try:
            answer = json.loads((answers / "answer.json").read_text("utf-8"))
        except (OSError, ValueError):
            answer = None
        if isinstance(answer, dict) and answer.get("id") == number:
            return int(answer["status"]), str(answer["text"])
        sleep(POLL_S)
        waited_s += POLL_S
    return 1, f"no answer in {answers} within {longest_s:.0f} s; see that evse-slots.path is active"


def serve(
    requests: Path, answers: Path, slots: Slots, installer: Installer, restart: Sequence[str] = RESTART
) -> tuple[int, str]:
    """Do what the request says and answer it. Return the same: exit status and text."""
    try:
        handle = os.open(requests / "request.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as source:
            request = json.loads(source.read(MAX_REQUEST))
        number, command, file = str(request["id"])[:64], str(request["command"]), Path(str(request["file"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return 1, f"{requests}: no request that can be read ({error})"
    status, text = perform(command, file, slots, installer, restart)
    write_whole(answers / "answer.json", json.dumps({"id": number, "status": status, "text": text}))
    return status, text


def perform(
    command: str, file: Path, slots: Slots, installer: Installer, restart: Sequence[str] = RESTART
) -> tuple[int, str]:
    """Do one command. Return its exit status and what there is to say."""
    try:
        if command == "restart":
            done = subprocess.run(restart, check=False, capture_output=True, text=True, timeout=60)
            return done.returncode, done.stderr.strip()
        with slots.locked():
            if command == "install":
                status = installer.install(file)
                return status, json.dumps(slots.show())
            if command == "confirm":
                slots.confirm()
                return 0, "the new version stays"
            if command == "roll-back":
                return 0, slots.roll_back()
        return 1, f"{command!r} is no command; choose from {', '.join(COMMANDS)}"
    except BundleError as error:
        return EXIT_BAD_FILE, f"{file.name}: {error}"
    except (SlotError, OSError, subprocess.SubprocessError) as error:
        return 1, f"{command}: {error}"
