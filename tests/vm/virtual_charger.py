"""``make test-vm``: one boot of the virtual charger, a full charge on its serial lines, then its kernel's own buses.

Each check says its name, what came of it and how long it took; one that fails does not keep the others from running.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

from tests.faults.day import ANNA
from tests.vm import image
from tests.vm.inside import CHECKS, CHECKS_INSIDE, PYTHON
from tests.vm.machine import Machine, Setup
from tests.vm.place_of_build import BUILD, ROOT
from tests.vm.site import GuestPlace

KERNEL_GPIO, UINPUT = "tests/hal/kernel_gpio_check.py", "tests/hal/hid_uinput_check.py"
INSIDE = (
    *(f"tests/vm/{name}.py" for name in ("in_guest", "can_lab", "inside", "sandbox_doors", "roots_editor")),
    KERNEL_GPIO,
    UINPUT,
)
UNITS = ("evse-control.service", "evse-agent.service")
BOARDS_ON_CAN = (("can-board", "250000"), ("canopen-io", "125000"))
REALTIME_PRIORITY = 50
"""As shipped."""
CHECK_S = 900.0
INSIDE_S = 1800.0
"""By the clock of the guest, which goes on while other work takes its processors."""
CHARGE_S = 5.0
WATCHDOG_S = 180.0
STOP_S = 240.0

Say = Callable[[str], None]
Work = Callable[[], Coroutine[None, None, str]]


def prepare(tree: Path) -> None:
    """Put the checks that run inside onto the data disk."""
    for name in INSIDE:
        place = tree / CHECKS / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place)


class Checks:
    """Runs one after the other and counts what failed."""

    def __init__(self, machine: Machine, say: Say) -> None:
        self._machine = machine
        self._say = say
        self.failed: list[str] = []

    async def check(self, name: str, work: Work) -> None:
        begun = time.monotonic()
        try:
            async with self._machine.patience(CHECK_S):
                told = await work()
        except Exception as error:  # noqa: BLE001 (whatever it was is told, and the next check has its turn)
            self.failed.append(name)
            told = f"FAILED: {type(error).__name__}: {str(error)[-1800:]}"
        self._say(f"{name}: {told} ({time.monotonic() - begun:.0f} s)")


async def run(say: Say) -> int:
    """All of it. Return how many checks failed."""
    directory = BUILD / "runs" / "virtual-charger"
    shutil.rmtree(directory, ignore_errors=True)
    settings = {"control.realtime_priority": REALTIME_PRIORITY}
    async with GuestPlace(directory, image.build(), settings, prepare=[prepare], hardware=True) as site:
        checks = Checks(site.machine, say)
        await site.machine.start()
        say(f"booted in {site.machine.boot_s:.0f} s")
        await checks.check("a full charge: boards, meters and readers on serial lines", lambda: _charge(site))
        editor = _python(site.machine, ["-m", "tests.vm.roots_editor"])
        await checks.check("root's editor on the configuration (fs.protected_regular=2)", editor)
        standstill = Standstill(site)
        await checks.check("control hangs while it charges: the board opens by itself", standstill.control)
        await checks.check("nothing runs any more: the hardware watchdog resets, all goes on", standstill.machine)
        # From here on without the network: what is charged on other boards is not in this site's books.
        machine = site.machine
        await machine.check("systemctl", "stop", *UNITS, timeout_s=STOP_S)
        for name, argv in (
            ("kernel GPIO (gpio-sim) through our lines", [f"{CHECKS_INSIDE}/{KERNEL_GPIO}"]),
            ("contactor and RCD through gpiozero and our pin factory", ["-m", "tests.vm.in_guest", "gpiozero"]),
            ("a keyboard that types cards (uinput)", [f"{CHECKS_INSIDE}/{UINPUT}"]),
            ("what the sandbox of each unit lets be opened", ["-m", "tests.vm.in_guest", "sandbox"]),
        ):
            await checks.check(name, _python(machine, argv))
        await machine.cut()
        failed = checks.failed + await _buses(site.image, site.data, directory / "buses", say)
    return len(failed)


async def _buses(built: image.Image, data: Path, directory: Path, say: Say) -> list[str]:
    """On a machine with a clock of its own, because boards on a bus give each other tenths of a second: control and
    agent as installed, the board inside as well. Return what failed."""
    async with Machine(Setup(built, data, hardware=True, own_clock=True), directory) as machine:
        checks = Checks(machine, say)
        say(f"booted by its own clock in {machine.boot_s:.0f} s")
        await machine.check("systemctl", "stop", *UNITS, timeout_s=STOP_S)
        for board, bitrate in BOARDS_ON_CAN:
            name = f"installed units: {board} on can0/can1, emergency stop on GPIO, LM75 on I2C"
            await checks.check(name, _python(machine, ["-m", "tests.vm.in_guest", "can", board, bitrate]))
    return checks.failed


def _python(machine: Machine, argv: list[str]) -> Work:
    async def work() -> str:
        command = ["env", f"PYTHONPATH={CHECKS_INSIDE}", PYTHON, *argv]
        out = await machine.check(*command, timeout_s=INSIDE_S)
        return "well" + (f", {last[-1]}" if (last := out.strip().splitlines()) else "")

    return work


async def _charge(site: GuestPlace) -> str:
    await site.wait_online()
    first = await site.begin(1, ANNA, online=True)
    await asyncio.sleep(CHARGE_S)
    await site.end(1, ANNA, first)
    return await _books(site)


async def _books(site: GuestPlace) -> str:
    """Nothing waits, and the books say what the hardware did. Raises AssertionError."""
    if not await site.settled(180):
        raise AssertionError("records still wait")
    verdict = await site.verdict()
    wrong = verdict.lost + verdict.doubled + verdict.wrong + verdict.closed
    if wrong:
        raise AssertionError(str(wrong))
    entry = site.csms.ledger()["transactions"][-1]
    return f"well, {entry['meter_stop_wh'] - entry['meter_start_wh']} Wh on the books as on the meter"


class Standstill:
    """First control stands still, then the machine does."""

    def __init__(self, site: GuestPlace) -> None:
        self._site = site
        self._first_s = 0.0

    async def control(self) -> str:
        """Control stands still with the contactor closed (SIGSTOP): nobody but the board is left to open it."""
        site = self._site
        self._first_s = await site.begin(1, ANNA, online=True)
        await site.machine.check("systemctl", "kill", "--signal=STOP", "evse-control.service")
        stopped = site.machine.own_time.now_s()

        async def opened() -> bool:
            return not await site.closed(1)

        await site.until(opened, "the board opens its contactor", 30)
        return f"well, after {site.machine.own_time.now_s() - stopped:.1f} s"

    async def machine(self) -> str:
        """PID 1 stands still as well: nothing restarts control, nobody feeds the watchdog (systemd/watchdog.conf)."""
        site = self._site
        machine = site.machine
        shown = await machine.check("systemctl", "show", "--property=WatchdogDevice", "--property=RuntimeWatchdogUSec")
        if "/dev/watchdog" not in shown:
            raise AssertionError(f"the service manager feeds no watchdog: {shown}")
        # A segmentation fault of PID 1: systemd says so, and freezes (systemd.exec: CrashAction=freeze).
        await machine.run("kill", "-SEGV", "1")
        begun = machine.own_time.now_s()
        async with machine.patience(WATCHDOG_S):
            await machine.wait_off()
        frozen_s = machine.own_time.now_s() - begun
        await machine.cut()
        await machine.start()
        await site.wait_online()
        await site.end(1, ANNA, self._first_s)
        return f"reset after {frozen_s:.0f} s, booted; " + await _books(site)
