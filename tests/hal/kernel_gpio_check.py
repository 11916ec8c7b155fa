"""Try the kernel path of the pins on a simulated chip of the kernel (gpio-sim), as root, on any machine that has one.

    modprobe gpio-sim && python tests/hal/kernel_gpio_check.py

Not collected with the tests. Makes a chip through configfs, works its lines from both sides, and takes it away. Says
clearly when the machine has none. Exit code: 0 all well, 1 something failed, 2 no gpio-sim here.
"""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from hal.gpio.address import find, parse_address
from hal.gpio.kernel_chip import KernelChip
from hal.gpio.lines import Bias, Edges, LineError, LineSettings

CONFIGFS = Path("/sys/kernel/config/gpio-sim")
LABEL = "evse-check"
NAMES = ("EVSE_K1", "EVSE_NC", "", "EVSE_BTN")
PATIENCE_S = 2.0


class SimulatedChip:
    """A chip of gpio-sim. ``pull`` acts on a line from outside, ``value`` looks at it."""

    def __init__(self) -> None:
        self._device = CONFIGFS / LABEL
        self._bank = self._device / "bank0"
        self._bank.mkdir(parents=True)
        (self._bank / "num_lines").write_text(str(len(NAMES)))
        (self._bank / "label").write_text(LABEL)
        for offset, name in enumerate(NAMES):
            if name:
                (self._bank / f"line{offset}").mkdir()
                (self._bank / f"line{offset}" / "name").write_text(name)
        (self._device / "live").write_text("1")
        self.name = (self._bank / "chip_name").read_text().strip()
        self._sysfs = Path("/sys/devices/platform") / (self._device / "dev_name").read_text().strip() / self.name

    def pull(self, offset: int, up: bool) -> None:
        (self._sysfs / f"sim_gpio{offset}" / "pull").write_text("pull-up" if up else "pull-down")

    def value(self, offset: int) -> int:
        return int((self._sysfs / f"sim_gpio{offset}" / "value").read_text())

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            (self._device / "live").write_text("0")
        for offset, name in enumerate(NAMES):
            if name:
                (self._bank / f"line{offset}").rmdir()
        self._bank.rmdir()
        self._device.rmdir()


@contextlib.contextmanager
def simulated_chip() -> Iterator[SimulatedChip]:
    chip = SimulatedChip()
    try:
        yield chip
    finally:
        chip.remove()


def names_and_labels(chip: SimulatedChip) -> None:
    node = KernelChip(f"/dev/{chip.name}")
    assert node.info.label.startswith(LABEL) or node.info.lines == len(NAMES), node.info
    assert node.line_info(0).name == "EVSE_K1"
    assert not node.line_info(0).used
    label = node.info.label
    node.close()
    for text in ("*:EVSE_K1", f"{chip.name}:0", f"{label}:EVSE_K1"):
        found, offset = find(parse_address(text))
        assert offset == 0, text
        found.close()


def output(chip: SimulatedChip) -> None:
    node = KernelChip(f"/dev/{chip.name}")
    line = node.request(0, LineSettings(initial=True, active_low=True), "evse-check")
    assert chip.value(0) == 0, "active low: active is 0 from the first moment"
    line.set_value(False)
    assert (chip.value(0), line.value()) == (1, False)
    refusal = _refusal(lambda: node.request(0, LineSettings(initial=False), "other"))
    assert "in use by 'evse-check'" in refusal, refusal
    line.close()
    node.close()


def edges(chip: SimulatedChip) -> None:
    node = KernelChip(f"/dev/{chip.name}")
    chip.pull(1, up=True)
    line = node.request(1, LineSettings(active_low=True, edges=Edges.BOTH, buffer=64), "evse-check")
    began = time.monotonic()
    for up in (False, True, False):
        chip.pull(1, up=up)
    assert select.select([line], [], [], PATIENCE_S)[0], "no edge came"
    found = line.events()
    assert [event.level for event in found] == [True, False, True], found
    assert [event.serial for event in found] == [1, 2, 3], found
    assert began <= found[0].at <= found[-1].at <= time.monotonic(), "stamped with another clock"
    assert line.value() is True
    line.configure(LineSettings(active_low=True, edges=Edges.RISING))
    chip.pull(1, up=True)
    chip.pull(1, up=False)
    assert select.select([line], [], [], PATIENCE_S)[0]
    assert [event.level for event in line.events()] == [True]
    line.close()
    node.close()


def debounce(chip: SimulatedChip) -> None:
    node = KernelChip(f"/dev/{chip.name}")
    chip.pull(3, up=False)
    line = node.request(3, LineSettings(edges=Edges.BOTH, debounce_us=50_000), "evse-check")
    for up in (True, False, True):
        chip.pull(3, up=up)
    assert line.events() == []
    assert select.select([line], [], [], PATIENCE_S)[0], "no edge came"
    assert [event.level for event in line.events()] == [True]
    line.close()
    node.close()


def bias(chip: SimulatedChip) -> None:
    node = KernelChip(f"/dev/{chip.name}")
    line = node.request(2, LineSettings(bias=Bias.UP), "evse-check")
    assert line.value() is True
    line.configure(LineSettings(bias=Bias.DOWN))
    assert line.value() is False
    line.close()
    node.close()


def removal() -> None:
    chip = SimulatedChip()
    node = KernelChip(f"/dev/{chip.name}")
    line = node.request(0, LineSettings(initial=False), "evse-check")
    chip.remove()
    refusal = _refusal(lambda: line.set_value(True))
    assert "plug it in again" in refusal, refusal
    line.close()
    node.close()


def _refusal(act: Callable[[], object]) -> str:
    try:
        act()
    except LineError as error:
        return str(error)
    return "not refused"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def main() -> int:
    if not CONFIGFS.is_dir():
        with contextlib.suppress(FileNotFoundError):
            subprocess.run(["modprobe", "gpio-sim"], capture_output=True, check=False)
    if not CONFIGFS.is_dir():
        _say(f"no gpio-sim here ({CONFIGFS} is missing): modprobe gpio-sim, mount configfs, and be root")
        return 2
    failed = 0
    checks: tuple[Callable[[SimulatedChip], None], ...] = (names_and_labels, output, edges, debounce, bias)
    with simulated_chip() as chip:
        for check in checks:
            failed += not _passes(check.__name__, lambda check=check: check(chip))
    failed += not _passes("removal", removal)
    return 1 if failed else 0


def _passes(name: str, check: Callable[[], None]) -> bool:
    try:
        check()
    except (AssertionError, LineError, OSError) as error:
        _say(f"{name}: FAILED: {error}")
        return False
    _say(f"{name}: well")
    return True


if __name__ == "__main__":
    sys.exit(main())
