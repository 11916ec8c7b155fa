"""A site whose charger is the virtual machine: the product in the guest, everything else outside of it.

Vehicles, boards, meters, readers and the operator's network are the lab's, on this side of the machine's serial lines
and of its one network address. So they outlive a power cut as the real ones do, and what they wrote down is the
ledger against which the disk is judged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from simulators.lab.process import Lab
from tests.faults.oracle import Hardware, lab_hardware
from tests.faults.place import POLL_S, SETTINGS, FullPlace, StuckError
from tests.vm import data_disk
from tests.vm.image import Image
from tests.vm.inside import API
from tests.vm.machine import UPLINK, GuestError, Machine, Setup, line_name

OWN_PATIENCE_S = 300.0
"""A step of a day that takes longer, in the machine's own time, will not come."""
SHOWN_FOR_S = 0.3
"""The display is not asked more often: each look costs an emulated processor some time."""


class GuestProcess:
    """What ``Place`` wants to know of a process: the service manager inside the machine starts it again."""

    def __init__(self) -> None:
        self.deaths = 0
        self.running = True


class GuestPlace(FullPlace):
    """Two outlets on the lab; agent and control in the machine.

    The lab's devices are ttyS1, ttyS4, ttyS5 and on (``line_name``), the meters first. ``prepare``
    alters the first data disk; ``data`` is one that exists.
    """

    kind = "guest"
    patience_s = 1200.0
    repeat_s = 25.0

    def __init__(
        self,
        directory: Path,
        image: Image,
        settings: dict[str, Any] | None = None,
        energy_factor: float = 4.0,
        prepare: Sequence[data_disk.Prepare] = (),
        hardware: bool = False,
        data: Path | None = None,
    ) -> None:
        own: dict[str, Any] = {
            "control.lock_memory": True,
            "ocpp.settings.MessageTimeout": "60",
            "ocpp.connect_timeout_s": 60,
        }
        own["ocpp.settings.TransactionResumptionTimeout"] = "3600"
        super().__init__(directory, own | {"ocpp.back_off_minimum_s": 0.5} | (settings or {}), energy_factor)
        self.image = image
        self.configuration = ""
        self.machine: Machine
        self.lines: list[Path] = []
        self.data: Path
        self._prepare = prepare
        self._hardware = hardware
        self._given = data
        self._shown: tuple[float, Any] = (0.0, None)

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        await self.csms.__aenter__()
        self.lab = Lab(
            self.directory / "lab",
            SETTINGS | self._settings,
            evses=2,
            readers_per_evse=True,
            energy_factor=self._energy_factor,
            csms=f"ws://{UPLINK}/ocpp",
        )
        try:
            await asyncio.to_thread(self.lab.start)
            self.configuration = self._in_the_guest(yaml.safe_load(self.lab.config_path.read_text()))
            given = self._given
            self.data = (
                given
                if given is not None
                else await asyncio.to_thread(
                    data_disk.make, self.directory, self.image.installed, self.configuration, self._prepare
                )
            )
            self.control, self.agent = GuestProcess(), GuestProcess()  # type: ignore[assignment]
            self.machine = self.new_machine(self.data)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if hasattr(self, "machine"):
                await self.machine.cut()
        finally:
            await asyncio.to_thread(self.lab.stop)
            if self._kept_port is not None:
                self._kept_port.close()
            await self.csms.__aexit__(None, None, None)

    def new_machine(self, data: Path, write_log: Path | None = None) -> Machine:
        """A machine on these lines with that data disk, not started yet."""
        setup = Setup(self.image, data, tuple(self.lines), self.csms.port, write_log, self._hardware)
        return Machine(setup, self.directory / "machine")

    def _in_the_guest(self, data: dict[str, Any]) -> str:
        """The lab's configuration as it reads inside the machine: serial lines by number, Debian's folders."""
        # The meters' line is ttyS1.
        for device in sorted(data["devices"].values(), key=lambda device: device["driver"] != "modbus-meter"):
            line = Path(device["port"])
            device["port"] = line_name(len(self.lines))
            self.lines.append(line.resolve())
        data["paths"] = {"state_dir": "/var/lib/evse-agent", "runtime_dir": "/run/evse-agent"}
        return yaml.safe_dump(data, sort_keys=False)

    @property
    def logs(self) -> Path:
        return self.directory / "lab/logs"

    async def hardware(self) -> list[Hardware]:
        return [lab_hardware(self.logs, evse) for evse in (1, 2)]

    async def display(self) -> Any:
        now = time.monotonic()
        if now - self._shown[0] >= SHOWN_FOR_S:
            line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "status", "params": {}})
            status = None
            with contextlib.suppress(GuestError, ValueError, KeyError):
                answer = await self.machine.ask(API, line)
                status = json.loads(answer.out)["result"] if answer.rc == 0 else None
            self._shown = (time.monotonic(), status)
        return self._shown[1]

    async def power(self, on: bool) -> None:
        """The supply of everything that is not the machine: boards open, readers and meters fall silent."""
        await asyncio.to_thread(self.lab.control.power, on)

    async def cut_power(self) -> None:
        """All of it at once; the machine's disk keeps what had reached it."""
        await self.machine.cut()
        await self.power(False)
        self.control.deaths += 1

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str, timeout_s: float | None = None) -> None:
        """Wait with the patience of the machine's own time. Raises StuckError."""
        time = self.machine.own_time
        end = time.now_s() + (timeout_s or OWN_PATIENCE_S)
        while not await condition():
            if time.now_s() >= end:
                raise StuckError(f"{what}: not within {timeout_s or OWN_PATIENCE_S:g} s of the machine's own time")
            await asyncio.sleep(POLL_S)

    async def until_shown(self, condition: Callable[[Any], bool], what: str, timeout_s: float | None = None) -> None:
        """Wait until the display's status fulfils the condition."""

        async def holds() -> bool:
            status = await self.display()
            return status is not None and condition(status)

        await self.until(holds, what, timeout_s)
