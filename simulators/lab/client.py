"""The other end of the lab's control socket."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulators.lab.socket_path import short_path

TIMEOUT_S = 10.0
POLL_S = 0.05


class CommandRefusedError(Exception):
    """The lab refused, or no lab answers. The text says why and what to do."""


class LabControl:
    """Speaks to the lab in ``directory``. Every method raises CommandRefusedError when it is refused."""

    def __init__(self, directory: Path, timeout_s: float = TIMEOUT_S) -> None:
        self.directory = directory
        self._timeout_s = timeout_s

    def request(self, command: str, **arguments: Any) -> Any:
        """Send one request and return its result."""
        path = self.directory / "ctl.sock"
        line = json.dumps({"command": command, **arguments}).encode() + b"\n"
        try:
            with short_path(path) as name, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self._timeout_s)
                connection.connect(name)
                connection.sendall(line)
                with connection.makefile("rb") as answers:
                    raw = answers.readline()
        except OSError as error:
            raise CommandRefusedError(
                f"{self.directory}: no lab answers there ({error}); start one with 'evse-sim lab'"
            ) from error
        if not raw:
            raise CommandRefusedError(f"{self.directory}: the lab closed the connection; see its output")
        answer = json.loads(raw)
        if not answer["ok"]:
            raise CommandRefusedError(str(answer["error"]))
        return answer["result"]

    def plug(self, evse: int = 1, vehicle: str = "normal", cable: int = 32, battery: float | None = None) -> Any:
        """Plug a vehicle in: a car, a character, or ``car+character``; cable rating in A, battery in per cent."""
        return self.request("plug", evse=evse, vehicle=vehicle, cable=cable, battery=battery)

    def unplug(self, evse: int = 1) -> Any:
        return self.request("unplug", evse=evse)

    def vehicle(self, evse: int, action: str, value: float | str | None = None) -> Any:
        """``action``: ready, not-ready, pause, resume, current, phases, battery, character."""
        return self.request("vehicle", evse=evse, action=action, value=value)

    def tap(self, token: str, evse: int | None = None, hold_s: float | None = None) -> Any:
        return self.request("tap", token=token, evse=evse, hold=hold_s)

    def fault(self, evse: int, name: str, on: bool = True) -> Any:
        return self.request("fault", evse=evse, name=name, on=on)

    def faults(self, evse: int | None = None) -> Any:
        """What can be broken at that EVSE, or at any."""
        return self.request("fault-list", evse=evse)

    def meter(self, evse: int, action: str, value: float | None = None) -> Any:
        """``action``: set-energy, freeze, unfreeze, fail, recover, noise."""
        return self.request("meter", evse=evse, action=action, value=value)

    def power(self, on: bool) -> Any:
        return self.request("power", on=on)

    def state(self) -> Any:
        return self.request("state")

    def evse(self, number: int = 1) -> Any:
        """State of one EVSE."""
        return self.state()["evses"][number - 1]

    def log(self, evse: int = 1, since: float = 0.0, source: str = "board") -> Any:
        """What board or meter wrote down later than ``since`` (monotonic seconds)."""
        return self.request("log", evse=evse, since=since, source=source)

    def wait_for(self, condition: Callable[[Any], bool], timeout_s: float = 30.0, evse: int = 1) -> Any:
        """Return the state of the EVSE as soon as ``condition`` holds for it. Raises TimeoutError with that state."""
        deadline = time.monotonic() + timeout_s
        while True:
            state = self.evse(evse)
            if condition(state):
                return state
            if time.monotonic() >= deadline:
                raise TimeoutError(f"EVSE {evse} after {timeout_s:g} s: {json.dumps(state)}")
            time.sleep(POLL_S)
