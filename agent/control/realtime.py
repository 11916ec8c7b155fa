"""Real-time priority, locked memory and a quiet garbage collector: each where permitted, each with a plain warning."""

from __future__ import annotations

import gc
import logging
import os

log = logging.getLogger("evse-control")

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


def take_priority(priority: int) -> bool:
    """Ask for SCHED_FIFO with that priority (0: leave the scheduler alone). Returns whether it was granted."""
    if priority <= 0:
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        log.warning(
            "real-time priority %d not granted (%s): reactions may be some ms later under load; "
            "grant CAP_SYS_NICE or LimitRTPRIO, or set control.realtime_priority: 0",
            priority,
            error.strerror,
        )
        return False
    return True


def lock_memory() -> bool:
    """Keep every page in memory that is there, and every other from its first use on. Returns whether it was granted.

    Without MCL_ONFAULT the kernel would also read in and hold what is mapped but never used: megabytes of libraries.
    """
    import ctypes  # costs some ms, after the first safe output

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0:
        return True
    log.warning(
        "memory not locked (%s): a page fault may delay a reaction; "
        "grant CAP_IPC_LOCK or LimitMEMLOCK, or set control.lock_memory: false",
        os.strerror(ctypes.get_errno()),
    )
    return False


def quieten_garbage_collector() -> None:
    """Everything made so far lives for ever; the loop collects the rest while it is idle."""
    gc.collect()
    gc.freeze()
    gc.disable()
