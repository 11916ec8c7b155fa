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
AGAIN_S, LONGEST_AGAIN_S = 2.0, 30.0
"""A request without an answer is put again after so long, then after twice as long, and so on: one that comes while the
service is about to end starts nothing."""
MAX_REQUEST = 16 * 1024

UNITS = ("evse-control.service", "evse-agent.service")
RESTART = (("systemctl", "reset-failed", *UNITS), ("systemctl", "--no-block", "restart", *UNITS))
"""Both halves come back from the slot that ``current`` leads to, also one that has given up. The last of the commands
counts. The agent asks only while nobody charges."""


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
    waited_s = put_at_s = 0.0
    again_s = AGAIN_S
    while waited_s < longest_s:
        if waited_s >= put_at_s:
            put_at_s, again_s = waited_s + again_s, min(2.0 * again_s, LONGEST_AGAIN_S)
            write_whole(requests / "request.json", json.dumps(request))
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
    requests: Path, answers: Path, slots: Slots, installer: Installer, restart: Sequence[Sequence[str]] = RESTART
) -> tuple[int, str]:
    """Do what the request says and answer it, and what was asked meanwhile. Return the last exit status and text."""
    answered = _number(answers / "answer.json")
    while True:
        number, status, text = _serve_one(requests, answers, answered, slots, installer, restart)
        # The service manager starts nothing for a request that comes while this one is served.
        if number is None or _number(requests / "request.json") in (None, number):
            return status, text
        answered = number


def _serve_one(
    requests: Path,
    answers: Path,
    answered: str | None,
    slots: Slots,
    installer: Installer,
    restart: Sequence[Sequence[str]],
) -> tuple[str | None, int, str]:
    try:
        request = _read(requests / "request.json")
        number, command, file = str(request["id"])[:64], str(request["command"]), Path(str(request["file"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return None, 1, f"{requests}: no request that can be read ({error})"
    if number == answered:
        return number, 0, ""
    status, text = perform(command, file, slots, installer, restart)
    write_whole(answers / "answer.json", json.dumps({"id": number, "status": status, "text": text}))
    return number, status, text


def perform(
    command: str, file: Path, slots: Slots, installer: Installer, restart: Sequence[Sequence[str]] = RESTART
) -> tuple[int, str]:
    """Do one command. Return its exit status and what there is to say."""
    try:
        if command == "restart":
            for words in restart:
                done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
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


def _read(path: Path) -> dict[str, object]:
    """Raises OSError and ValueError. The folder may be the agent's, who may be attacked: no links, no pipes."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as source:
        found = json.loads(source.read(MAX_REQUEST))
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


def _number(path: Path) -> str | None:
    try:
        return str(_read(path)["id"])[:64]
    except (OSError, ValueError, KeyError):
        return None
