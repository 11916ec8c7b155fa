"""Temperature sensors that the Linux kernel reads: hwmon chips and 1-wire sensors, through sysfs.

Reading a 1-wire sensor makes the kernel wait 750 ms for its conversion. So a thread of normal priority reads, hands
each result over through a queue, and wakes the loop by a pipe; nothing that control calls touches sysfs.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hal.drivers.sysfs_temperature import NoReadingError, parse_millidegrees, parse_w1_slave, plausible
from hal.options import option
from hal.ports import DeviceError, PortKind
from hal.registry import Driver
from hal.values import Health, TemperatureReading

FIRST_RESULT_S = 10.0
"""A sensor that has given nothing at all so long after the start counts as broken (its read may hang in the kernel)."""
FAILURES = 3
"""So many failed reads in a row, and the sensor is told broken; before, its last value just grows old."""
CHECK_S = 1.0
READ_LIMIT = 256

Clock = Callable[[], float]


def _check_path(value: str) -> str:
    return "" if not value or value.startswith("/") else "give the whole path, beginning with /"


def _check_sensors(sensors: tuple[SensorOptions, ...]) -> str:
    if not sensors:
        return "name at least one sensor"
    names = [sensor.name for sensor in sensors]
    if len(sensors) > 1 and "" in names:
        return "with several sensors each needs a 'name'"
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        return f"name {twice} is given twice; each sensor needs its own"
    for sensor in sensors:
        if sum(map(bool, (sensor.hwmon, sensor.w1, sensor.path))) != 1:
            return f"sensor {sensor.name!r}: give one of 'hwmon', 'w1' and 'path'"
    return ""


@dataclass(frozen=True, slots=True)
class SensorOptions:
    name: str = option("", help="name of the unit; may be left out where there is one sensor only")
    hwmon: str = option("", help="name of the hwmon chip, as /sys/class/hwmon/hwmon*/name holds it (lm75, cpu_thermal)")
    input: str = option("temp1", help="which input of the hwmon chip: temp1, or what its tempN_label says")
    w1: str = option("", help="id of the 1-wire sensor, as under /sys/bus/w1/devices (28-0316a2794bff)")
    path: str = option("", help="the file itself: tempN_input, w1_slave, or temperature", check=_check_path)


@dataclass(frozen=True, slots=True)
class LinuxTemperatureOptions:
    sensors: tuple[SensorOptions, ...] = option(help="the sensors", check=_check_sensors)
    interval_s: float = option(2.0, help="how often every sensor is read", unit="s", ge=0.5, le=60)
    root: str = option("/sys", help="where sysfs is mounted", check=_check_path)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one read. ``value_c`` is None when there is none; ``trouble`` says why."""

    sensor: str
    at: float
    value_c: float | None
    trouble: str = ""
    broken: bool = False
    """The chip itself says that its sensor is open or short: no need to wait for more."""


@dataclass(slots=True)
class SensorUnit:
    """One sensor. Implements TemperatureSensor."""

    label: str
    trouble: str = "not read yet"
    read_at: float | None = None
    _readings: tuple[TemperatureReading, ...] = ()
    _failures: int = 0

    def temperatures(self) -> tuple[TemperatureReading, ...]:
        return self._readings

    @property
    def has_spoken(self) -> bool:
        return bool(self._readings)

    def take(self, result: Result) -> None:
        if result.value_c is not None:
            self._readings = (TemperatureReading(result.at, result.value_c),)
            self.read_at, self.trouble, self._failures = result.at, "", 0
            return
        self._failures += 1
        self.trouble = f"{self.label}: {result.trouble}"
        if result.broken or self._failures >= FAILURES:
            self._readings = (TemperatureReading(result.at, None),)

    def give_up(self, now: float) -> None:
        """Nothing at all has come since the start."""
        self.trouble = f"{self.label}: no answer from the kernel; check the sensor and its driver"
        self._readings = (TemperatureReading(now, None),)


class SensorFile:
    """Finds and reads one sensor's file. Blocks: for the reading thread alone."""

    def __init__(self, options: SensorOptions, root: Path) -> None:
        self._options = options
        self._root = root

    def read(self) -> float:
        """Return degrees Celsius. Raises NoReadingError, or OSError."""
        path = self._find()
        fault = path.with_name(path.name.replace("_input", "_fault"))
        if path.name.endswith("_input") and fault.is_file() and _text(fault).strip() == "1":
            raise NoReadingError(f"{path}: the chip reports its sensor open or short; check it", broken=True)
        text = _text(path)
        try:
            value_c = parse_w1_slave(text) if path.name == "w1_slave" else parse_millidegrees(text)
            return plausible(value_c, one_wire=self._is_one_wire(path))
        except NoReadingError as error:
            raise NoReadingError(f"{path}: {error}", broken=error.broken) from None

    def _is_one_wire(self, path: Path) -> bool:
        return path.name in ("w1_slave", "temperature") or self._options.hwmon.startswith("w1_slave")

    def _find(self) -> Path:
        options = self._options
        if options.path:
            return Path(options.path)
        if options.w1:
            folder = self._root / "bus/w1/devices" / options.w1
            slave = folder / "w1_slave"
            return slave if slave.exists() else folder / "temperature"
        return self._in_hwmon(options.hwmon, options.input)

    def _in_hwmon(self, chip: str, wanted: str) -> Path:
        folders = [
            folder
            for folder in sorted((self._root / "class/hwmon").glob("hwmon*"))
            if (folder / "name").is_file() and _text(folder / "name").strip() == chip
        ]
        found = [path for folder in folders for path in _inputs(folder, wanted)]
        if len(found) == 1:
            return found[0]
        where = f"{self._root}/class/hwmon"
        if not folders:
            raise NoReadingError(f"{where}: no chip is named {chip}; check its driver, or correct 'hwmon'")
        if not found:
            raise NoReadingError(f"{where}: {chip} has no input {wanted}; correct 'input'")
        raise NoReadingError(f"{where}: several chips are named {chip}; name the file with 'path' instead")


def _inputs(folder: Path, wanted: str) -> list[Path]:
    direct = folder / f"{wanted}_input"
    if direct.exists():
        return [direct]
    labels = [label for label in folder.glob("temp*_label") if _text(label).strip() == wanted]
    return [label.with_name(label.name.replace("_label", "_input")) for label in labels]


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(READ_LIMIT).decode("ascii", "replace")


@dataclass(slots=True)
class ReadingThread:
    """Reads all sensors in turn, again and again. ``results`` and the pipe are its only ways out."""

    files: Mapping[str, SensorFile]
    interval_s: float
    clock: Clock
    results: deque[Result] = field(default_factory=deque)
    wake_fd: int = -1
    _write_fd: int = -1
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        self.wake_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        threading.Thread(target=self._run, name="linux-temperature", daemon=True).start()

    def close(self) -> None:
        """Return at once. A read that hangs in the kernel ends when it ends; it finds the door closed."""
        self._stop.set()
        with self._lock:
            for fd in (self.wake_fd, self._write_fd):
                if fd >= 0:
                    os.close(fd)
            self.wake_fd = self._write_fd = -1

    def drain(self) -> list[Result]:
        with contextlib.suppress(OSError):
            if self.wake_fd >= 0:
                os.read(self.wake_fd, 4096)
        found = []
        while self.results:
            found.append(self.results.popleft())
        return found

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            for name, file in self.files.items():
                self._hand_over(self._read(name, file))
                if self._stop.is_set():
                    return
            self._stop.wait(max(0.1, self.interval_s - (time.monotonic() - began)))

    def _read(self, name: str, file: SensorFile) -> Result:
        at = self.clock()  # before the conversion: a reading is rather called too old than too new
        try:
            return Result(name, at, file.read())
        except NoReadingError as error:
            return Result(name, at, None, str(error), error.broken)
        except OSError as error:
            what = error.filename or "the sensor"
            return Result(name, at, None, f"{what}: {error.strerror}; check the sensor and its driver")

    def _hand_over(self, result: Result) -> None:
        self.results.append(result)
        with self._lock, contextlib.suppress(BlockingIOError):  # a full pipe wakes the loop as well
            if self._write_fd >= 0:
                os.write(self._write_fd, b"\0")


class LinuxTemperature:
    """The device: all sensors of one machine."""

    def __init__(self, name: str, options: LinuxTemperatureOptions, clock: Clock = time.monotonic) -> None:
        self.name = name
        self._options = options
        self._units = {
            sensor.name: SensorUnit(f"sensor {sensor.name!r}" if sensor.name else "sensor")
            for sensor in options.sensors
        }
        root = Path(options.root)
        files = {sensor.name: SensorFile(sensor, root) for sensor in options.sensors}
        self._thread = ReadingThread(files, options.interval_s, clock)
        self._started_at: float | None = None
        self._closed = False

    def start(self, now: float) -> None:
        problem = _check_sensors(self._options.sensors)
        if problem:
            raise DeviceError(f"{self.name}: {problem}")
        for sensor in self._options.sensors:
            if sensor.path and Path(sensor.path).is_dir():
                raise DeviceError(f"{self.name}: {sensor.path}: is a folder; name the file in it, as temp1_input")
        self._started_at = now
        self._thread.start()

    def fileno(self) -> int | None:
        return self._thread.wake_fd if self._thread.wake_fd >= 0 else None

    def on_readable(self, now: float) -> None:  # noqa: ARG002 (results carry their own time)
        for result in self._thread.drain():
            self._units[result.sensor].take(result)

    def on_timer(self, now: float) -> float:
        if not self._closed and self._started_at is not None:
            self.on_readable(now)
            if now - self._started_at > FIRST_RESULT_S:
                for unit in self._units.values():
                    if not unit.has_spoken:
                        unit.give_up(now)
        return now + CHECK_S

    def close(self) -> None:
        self._closed = True
        self._thread.close()

    def health(self, now: float) -> Health:  # noqa: ARG002 (part of the contract)
        heard = [unit.read_at for unit in self._units.values() if unit.read_at is not None]
        last_heard_at = max(heard) if heard else None
        if self._closed:
            return Health(False, f"{self.name}: closed", last_heard_at)
        troubles = [unit.trouble for unit in self._units.values() if unit.trouble]
        return Health(not troubles, "; ".join(troubles), last_heard_at)

    def unit(self, name: str) -> SensorUnit:
        if name not in self._units:
            known = ", ".join(repr(known) for known in self._units)
            raise KeyError(f"{self.name}: no sensor named {name!r}; there are: {known}")
        return self._units[name]


def _units(options: LinuxTemperatureOptions) -> Mapping[str, frozenset[PortKind]]:
    return {sensor.name: frozenset({PortKind.TEMPERATURE_SENSOR}) for sensor in options.sensors}


DRIVER = Driver(
    name="linux-temperature",
    summary="temperature sensors that the Linux kernel reads (hwmon, 1-wire)",
    options=LinuxTemperatureOptions,
    units=_units,
    create=LinuxTemperature,
)
