"""A pulse counter that survives everything: one small file, replaced as a whole, written by a thread of its own.

The register shows only what is on disk. So it never runs backwards: after a crash it goes on from the very number that
was last shown, and what was counted but not yet written (at most one save interval) is lost, not invented.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import threading
from pathlib import Path

from hal.ports import DeviceError

JOIN_S = 2.0


class CounterFile:
    """``saved`` is the count on disk. ``save`` hands a count to the thread and returns at once."""

    def __init__(self, path: Path, pulses_per_kwh: float) -> None:
        self._path = path
        self._pulses_per_kwh = pulses_per_kwh
        self._orders: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock_fd = -1
        self.saved = 0
        self.trouble = ""
        """Not empty: the last save failed, and why."""

    def open(self) -> None:
        """Read the count and start the thread. Raises DeviceError: the file cannot be this meter's."""
        self._claim()
        try:
            self.saved = self._load()
        except DeviceError:
            self._unclaim()
            raise
        self._thread = threading.Thread(target=self._run, name=f"counter {self._path.name}", daemon=True)
        self._thread.start()

    def save(self, pulses: int) -> None:
        self._orders.put(pulses)

    def close(self) -> None:
        """Wait, within bounds, until what was ordered is written."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._orders.put(None)
            thread.join(JOIN_S)
        self._unclaim()

    def _claim(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock_fd = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._unclaim()
            raise DeviceError(f"{self._path}: is in use: another process counts into it; stop that one") from None
        except OSError as error:
            self._unclaim()
            raise DeviceError(f"{self._path}: {error.strerror}; give this user a folder it may write") from None

    def _unclaim(self) -> None:
        fd, self._lock_fd = self._lock_fd, -1
        if fd >= 0:
            os.close(fd)

    def _load(self) -> int:
        try:
            data = json.loads(self._path.read_text(encoding="ascii"))
            pulses, factor = int(data["pulses"]), float(data["pulses_per_kwh"])
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DeviceError(
                f"{self._path}: does not hold a count ({error}); restore it from a copy, or remove it to begin at 0"
            ) from None
        if pulses < 0 or factor != self._pulses_per_kwh:
            raise DeviceError(
                f"{self._path}: was counted with {factor:g} pulses per kWh, configured are {self._pulses_per_kwh:g};"
                " name a new counter_file for another meter"
            )
        return pulses

    def _run(self) -> None:
        while True:
            pulses = self._orders.get()
            with contextlib.suppress(queue.Empty):
                while pulses is not None:  # only the latest matters
                    newer = self._orders.get_nowait()
                    if newer is None:
                        self._write(pulses)
                    pulses = newer
            if pulses is None:
                return
            self._write(pulses)

    def _write(self, pulses: int) -> None:
        fresh = self._path.with_name(self._path.name + ".new")
        text = json.dumps({"pulses": pulses, "pulses_per_kwh": self._pulses_per_kwh})
        try:
            with fresh.open("w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            self.trouble = f"{self._path}: cannot be written ({error.strerror}); free space, or check the disk"
            return
        self.saved = pulses
        self.trouble = ""
