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
from tests.vm.machine import Machine
from tests.vm.place_of_build import BUILD, ROOT
from tests.vm.site import GuestPlace

INSIDE = (
    *(f"tests/vm/{name}.py" for name in ("in_guest", "can_lab")),
    *(f"tests/hal/{name}.py" for name in ("kernel_gpio_check", "hid_uinput_check")),
)
CHECK_S = 600.0
CHARGE_S = 5.0
WATCHDOG_S = 120.0

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

    def __init__(self, say: Say) -> None:
        self._say = say
        self.failed: list[str] = []

    async def check(self, name: str, work: Work) -> None:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(CHECK_S):
                told = await work()
        except Exception as error:  # noqa: BLE001 (whatever it was is told, and the next check has its turn)
            self.failed.append(name)
            told = f"FAILED: {type(error).__name__}: {str(error)[-1800:]}"
        self._say(f"{name}: {told} ({time.monotonic() - begun:.0f} s)")


async def run(say: Say) -> int:
    """All of it. Return how many checks failed."""
    directory = BUILD / "runs" / "virtual-charger"
    shutil.rmtree(directory, ignore_errors=True)
    checks = Checks(say)
    async with GuestPlace(directory, image.build(), prepare=[prepare], hardware=True) as site:
        await site.machine.start()
        say(f"booted in {site.machine.boot_s:.0f} s")
        await checks.check("a full charge: boards, meters and readers on serial lines", lambda: _charge(site))
        machine = site.machine
        await machine.check("systemctl", "stop", "evse-agent.service", "evse-control.service")
        for name, argv in (
            ("kernel GPIO (gpio-sim) through our lines", [f"{CHECKS_INSIDE}/{INSIDE[2]}"]),
            ("contactor and RCD through gpiozero and our pin factory", ["-m", "tests.vm.in_guest", "gpiozero"]),
            ("a keyboard that types cards (uinput)", [f"{CHECKS_INSIDE}/{INSIDE[3]}"]),
            ("temperature on I2C (i2c-stub, lm75)", ["-m", "tests.vm.in_guest", "temperature"]),
            ("a full charge by can-board over can0/can1", ["-m", "tests.vm.in_guest", "can", "can-board", "250000"]),
            ("a full charge by canopen-io over can0/can1", ["-m", "tests.vm.in_guest", "can", "canopen-io", "125000"]),
        ):
            await checks.check(name, _python(machine, argv))
        await checks.check("the hardware watchdog resets a machine that stands still", lambda: _watchdog(machine))
    return len(checks.failed)


def _python(machine: Machine, argv: list[str]) -> Work:
    async def work() -> str:
        command = ["env", f"PYTHONPATH={CHECKS_INSIDE}", PYTHON, *argv]
        out = await machine.check(*command, timeout_s=CHECK_S - 60)
        return "well" + (f", {last[-1]}" if (last := out.strip().splitlines()) else "")

    return work


async def _charge(site: GuestPlace) -> str:
    await site.wait_online()
    first = await site.begin(1, ANNA, online=True)
    await asyncio.sleep(CHARGE_S)
    await site.end(1, ANNA, first)
    if not await site.settled(180):
        raise AssertionError("records still wait")
    verdict = await site.verdict()
    wrong = verdict.lost + verdict.doubled + verdict.wrong + verdict.closed
    if wrong:
        raise AssertionError(str(wrong))
    entry = site.csms.ledger()["transactions"][0]
    return f"well, {entry['meter_stop_wh'] - entry['meter_start_wh']} Wh on the books as on the meter"


async def _watchdog(machine: Machine) -> str:
    armed = asyncio.create_task(_python(machine, ["-m", "tests.vm.in_guest", "watchdog"])())
    try:
        await machine.wait_off(WATCHDOG_S)
    finally:
        armed.cancel()
        await asyncio.gather(armed, return_exceptions=True)
    return "well, reset"
