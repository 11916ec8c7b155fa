"""What the kernel tells of this machine and of processes on it (Linux, /proc)."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
KIB_PER_MB = 1_000_000 / 1024


def facts(scratch: Path) -> dict[str, str]:
    """Return what a reader of the figures must know of the machine. Takes a second: it looks how busy it is."""
    return {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "file_system_of_the_journal": _file_system(scratch),
        "real_time_permitted": "yes" if real_time_permitted() else "no",
        "load_average_before": " ".join(f"{value:.2f}" for value in os.getloadavg()),
        "busy_before_pct": f"{100 * busy_share(1.0):.0f}",
        "began_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def busy_share(seconds: float) -> float:
    """How much of all processors was in use over the next ``seconds`` (0 … 1), by anybody."""
    busy, total = _processor_ticks()
    time.sleep(seconds)
    busy_after, total_after = _processor_ticks()
    return (busy_after - busy) / max(1, total_after - total)


def _processor_ticks() -> tuple[int, int]:
    words = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    ticks = [int(word) for word in words]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, sum(ticks)


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "Hardware"):
            return value.strip()
    return platform.machine()


def _file_system(path: Path) -> str:
    best, kind = "", "unknown"
    place = str(path.resolve())
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, mounted_at, name, *_ = line.split()
        inside = place == mounted_at or place.startswith(mounted_at.rstrip("/") + "/")
        if inside and len(mounted_at) >= len(best):
            best, kind = mounted_at, name
    return kind


def real_time_permitted() -> bool:
    """May a process of ours take a real-time priority? Tried in a child, so that nothing changes here."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            status = 0
        except OSError:
            status = 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def take_priority(priority: int) -> bool:
    """Give this process SCHED_FIFO ``priority``. Return whether that was permitted; 0 asks for nothing."""
    if priority <= 0:
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError:
        return False
    return True


def policy_of(pid: int) -> str:
    """How the kernel schedules a process, in words."""
    policy = os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK
    if policy == os.SCHED_FIFO:
        return f"SCHED_FIFO {os.sched_getparam(pid).sched_priority}"
    return "SCHED_OTHER" if policy == os.SCHED_OTHER else f"policy {policy}"


def cpu_s(pid: int) -> float:
    """CPU seconds the process has used so far, in user and kernel mode, all threads."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    words = text.rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / TICKS_PER_S


def cpu_ns(pid: int) -> int:
    """CPU time of a process's main thread in nanoseconds, where ``cpu_s`` is too coarse."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])


@dataclass(frozen=True, slots=True)
class Memory:
    """In MB (10⁶ bytes). ``pss_mb`` divides shared pages among all processes on this machine that map them."""

    pss_mb: float
    private_mb: float
    rss_mb: float


def memory(pid: int) -> Memory:
    found: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        key, _, rest = line.partition(":")
        found[key] = int(rest.split()[0])
    private = found["Private_Clean"] + found["Private_Dirty"]
    return Memory(found["Pss"] / KIB_PER_MB, private / KIB_PER_MB, found["Rss"] / KIB_PER_MB)


def memory_alone_mb(pids: list[int]) -> float:
    """What these processes would need in MB with no other Python on the machine: each shared file page once.

    PSS flatters here, because the simulators and this harness share the interpreter's pages with the product.
    """
    anonymous_kib = 0
    shared: dict[tuple[str, str], int] = {}
    for pid in pids:
        own: dict[tuple[str, str], int] = {}
        key, rss_kib = ("", ""), 0
        for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
            words = line.split()
            if not words[0].endswith(":"):
                key = (words[5], words[1]) if len(words) > 5 else ("", "")
            elif words[0] == "Rss:":
                rss_kib = int(words[1])
            elif words[0] == "Anonymous:":
                anonymous_kib += int(words[1])
                own[key] = own.get(key, 0) + rss_kib - int(words[1])
        for key, kib in own.items():
            shared[key] = max(shared.get(key, 0), kib)
    return (anonymous_kib + sum(shared.values())) / KIB_PER_MB


def io_bytes(pid: int | str = "self") -> tuple[int, int]:
    """Bytes handed to write calls so far, and bytes that dirtied pages of block devices."""
    found = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines() if line)
    return int(found["wchar"]), int(found["write_bytes"])


def progress(text: str) -> None:
    """Say on stderr what goes on; the table alone goes to stdout."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
