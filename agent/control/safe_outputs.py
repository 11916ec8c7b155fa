"""``evse-control --safe``: open everything and end. What a service manager runs when control was killed or hung.

Each device is opened by its own driver, which sends its safe commands first, and is then told once more to open, when
it had a moment to be ready for it. Every call into a driver is bounded, so that none keeps the others closed.
"""

from __future__ import annotations

import logging
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from agent.control.device_state import DeviceState, guarded, illness

if TYPE_CHECKING:
    from agent.control.hardware import Hardware

log = logging.getLogger("evse-control")

SETTLE_S = 0.5
"""A board that must be greeted first is greeted in this time; the others have long opened. Own."""
LONGEST_S = 1.0
"""So long may one device hold up the others. Own."""
_SHORTEST_WAIT_S = 0.001


class _OutOfTimeError(BaseException):
    """A driver does not return. No ``Exception``: nothing on the way may take it for an error of its own."""


def open_everything(hardware: Hardware, settle_s: float = SETTLE_S, longest_s: float = LONGEST_S) -> list[str]:
    """Send every device's safe commands and close it. Return what could not be told, one line per device.

    Call it in the main thread: ``SIGALRM`` ends a driver that blocks.
    """
    devices = list(hardware.devices.values())
    with _alarm():
        for state in devices:
            _bounded([state], partial(_start, state), longest_s)
        working = [state for state in devices if not state.failure]
        _bounded(working, partial(_serve, working, time.monotonic() + settle_s), settle_s + longest_s)
        for evse, ports in hardware.ports.items():
            served = [state for state in devices if evse in state.evses]
            _bounded(served, partial(ports.make_safe, time.monotonic()), longest_s)
        unwell = [text for state in devices if (text := state.failure or illness(state, time.monotonic()))]
        for state in devices:
            _bounded([state], partial(guarded, state, state.device.close, time.monotonic()), longest_s)
    return unwell


def _start(state: DeviceState) -> None:
    now = time.monotonic()
    guarded(state, partial(state.device.start, now), now)


def _serve(states: list[DeviceState], deadline: float) -> None:
    """Serve the devices as the loop does, until then."""
    while (now := time.monotonic()) < deadline:
        by_fd: dict[int, DeviceState] = {}
        for state in states:
            if state.failure:
                continue
            if state.wake_at <= now:
                due = guarded(state, partial(state.device.on_timer, now), now)
                state.wake_at = deadline if due is None else max(due, now + _SHORTEST_WAIT_S)
            fd = state.device.fileno()
            if fd is not None and fd >= 0:
                by_fd[fd] = state
        wake_at = min([deadline, *(state.wake_at for state in states if not state.failure)])
        readable, _, _ = select.select(list(by_fd), (), (), max(0.0, wake_at - time.monotonic()))
        for fd in readable:
            now = time.monotonic()
            guarded(by_fd[fd], partial(by_fd[fd].device.on_readable, now), now)


@contextmanager
def _alarm() -> Iterator[None]:
    def out_of_time(_number: int, _frame: FrameType | None) -> None:
        raise _OutOfTimeError

    before = signal.signal(signal.SIGALRM, out_of_time)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _bounded(states: list[DeviceState], call: Callable[[], object], longest_s: float) -> None:
    """Call into drivers for that long at most. Those that do not return count as failed."""
    try:
        signal.setitimer(signal.ITIMER_REAL, longest_s)
        call()
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    except _OutOfTimeError:
        for state in states:
            state.fail(TimeoutError(f"no answer within {longest_s:g} s"), time.monotonic())
