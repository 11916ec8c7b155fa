"""Hardware PWM through ``/sys/class/pwm`` (kernel ABI ``sysfs-class-pwm``). Times in nanoseconds."""

from __future__ import annotations

import contextlib
import glob
import math
import os
from pathlib import Path

from hal.ports import DeviceError

PERIOD_NS = 1_000_000
"""1 kHz (IEC 61851-1 Annex A)."""
PERIOD_TOLERANCE = 0.005
"""±0.5 %: the closer of the two tolerances that sources give (iec61851.md §1, unverified)."""
SOFTWARE_DRIVERS = ("pwm-gpio", "pwm_gpio")
"""Drivers that toggle a line by timer: microseconds of jitter are amperes of offer."""


class PwmAbsentError(Exception):
    """The output is not there (yet). The text names it, the reason and the remedy."""


class SysfsPwm:
    """One output. ``place`` is ``/sys/class/pwm/pwmchip0:1``: the chip's folder (``*`` allowed), then the channel."""

    def __init__(self, place: str, inverted: bool) -> None:
        self.place = place
        chip, _, channel = place.rpartition(":")
        self._pattern, self._channel = chip, int(channel)
        self._polarity = "inversed" if inverted else "normal"
        self._folder: Path | None = None
        self._duty_ns: int | None = None
        self.period_ns = PERIOD_NS

    @property
    def is_open(self) -> bool:
        return self._folder is not None

    def open(self) -> None:
        """Take the output, running at duty 0. Raises PwmAbsentError, or DeviceError where it can never work."""
        chip = self._chip()
        self._refuse_software(chip)
        folder = self._export(chip)
        try:
            self._begin(folder)
        except OSError as error:
            raise PwmAbsentError(f"{folder}: {error.strerror}; {_remedy(error)}") from None
        self._folder, self._duty_ns = folder, 0

    def set_duty(self, duty_pct: float) -> None:
        """Rounded down to whole nanoseconds; the hardware rounds further. Raises PwmAbsentError."""
        if self._folder is None:
            return
        # A hair is added so that 28.31 %, which is 283099.99… ns in binary, is not rounded down.
        duty_ns = math.floor(self.period_ns * duty_pct / 100 + 1e-6)
        if duty_ns == self._duty_ns:
            return
        try:
            _write(self._folder / "duty_cycle", str(duty_ns))
        except OSError as error:
            folder, self._folder = self._folder, None
            raise PwmAbsentError(f"{folder}: {error.strerror}; {_remedy(error)}") from None
        self._duty_ns = duty_ns

    def close(self) -> None:
        """Leave it running at duty 0: −12 V, state F."""
        with contextlib.suppress(PwmAbsentError):
            self.set_duty(0.0)
        self._folder = None

    def _chip(self) -> Path:
        found = sorted(glob.glob(self._pattern))  # noqa: PTH207 (the pattern is absolute)
        if len(found) > 1:
            raise DeviceError(f"{self.place}: {len(found)} PWM chips match; name one")
        if found:
            return Path(found[0])
        if "*" not in self._pattern and not Path(self._pattern).parent.is_dir():
            raise DeviceError(
                f"{self.place}: this kernel has no hardware PWM ({Path(self._pattern).parent} is missing);"
                " enable it in the device tree, or use a pilot board"
            )
        raise PwmAbsentError(f"{self.place}: there is no such PWM chip; enable it in the device tree, and check 'pwm'")

    def _refuse_software(self, chip: Path) -> None:
        names = {(chip / "device" / "driver").resolve().name}
        with contextlib.suppress(OSError):
            for line in (chip / "device" / "uevent").read_text(encoding="ascii", errors="replace").splitlines():
                names.add(line.partition("=")[2])
        if names & set(SOFTWARE_DRIVERS):
            raise DeviceError(
                f"{self.place}: is driven by pwm-gpio, which is software: its edges are too late for a pilot;"
                " use an output of a hardware PWM"
            )
        with contextlib.suppress(OSError, ValueError):
            outputs = int((chip / "npwm").read_text(encoding="ascii"))
            if self._channel >= outputs:
                raise DeviceError(f"{self.place}: the chip has outputs 0 to {outputs - 1}; choose one of them")

    def _export(self, chip: Path) -> Path:
        folder = chip / f"pwm{self._channel}"
        try:
            if not folder.is_dir():
                _write(chip / "export", str(self._channel))
        except OSError as error:
            raise PwmAbsentError(f"{chip}: {error.strerror}; {_remedy(error)}") from None
        if not folder.is_dir() or not os.access(folder / "duty_cycle", os.W_OK):
            raise PwmAbsentError(f"{folder}: may not be written yet; a udev rule must give it to this user's group")
        return folder

    def _begin(self, folder: Path) -> None:
        # Order matters: a duty beyond the period and a polarity while running are refused by the kernel.
        if _read(folder / "duty_cycle") not in ("0", ""):
            _write(folder / "duty_cycle", "0")
        try:
            _write(folder / "period", str(PERIOD_NS))
        except OSError as error:
            raise DeviceError(f"{folder}: takes no period of 1 ms ({error.strerror}); use another PWM") from None
        period = _read(folder / "period")
        self.period_ns = int(period) if period.isdigit() else 0
        if abs(self.period_ns - PERIOD_NS) > PERIOD_NS * PERIOD_TOLERANCE:
            raise DeviceError(f"{folder}: makes a period of {period} ns of 1000000; use another PWM or clock")
        if _read(folder / "polarity") != self._polarity:
            _write(folder / "enable", "0")
            _write(folder / "polarity", self._polarity)
        _write(folder / "duty_cycle", "0")
        _write(folder / "enable", "1")


def _write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _remedy(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "a udev rule must give it to this user's group"
    return "check the chip's driver, and that no other program uses this output"
