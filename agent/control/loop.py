"""The loop of control: one thread, absolute deadlines, an answer in the same pass to whatever a device says.

While a contactor is closed or a vehicle asks for energy, an EVSE is stepped every 10 ms. Otherwise nothing that
must happen within 100 ms can come from the clock, only from a frame, and a frame is acted upon at once: then the
tick is 100 ms, which is what keeps an idle charger cool. Waiting is ``select.select``, which keeps microseconds;
``epoll`` rounds up to milliseconds.
"""

from __future__ import annotations

import gc
import logging
import select
import time
from collections.abc import Callable, Iterable

from agent.control.device_state import DeviceState
from agent.control.dispatch import Dispatcher
from agent.control.hardware import Hardware
from agent.control.lateness import Lateness
from agent.control.link_server import LinkServer
from agent.control.own_use import memory_bytes, written_bytes
from agent.link.messages import LoopReport

log = logging.getLogger("evse-control")

ACTIVE_TICK_S = 0.01
IDLE_TICK_S = 0.1
SHORTEST_WAIT_S = 0.001
"""A driver that always wants to be called at once must not take the whole processor."""
OVERRUN_S = 0.05
"""So late, and it is reported: half of what the standard leaves for opening."""
COLLECT_S = 600.0
"""Garbage is collected this often, and only while every EVSE is idle."""
FEED_S = 1.0
REPORT_S = 10.0
"""So often control tells how punctual it was."""


class Loop:
    """``feed`` is called about once a second while the loop keeps its time."""

    def __init__(
        self,
        hardware: Hardware,
        dispatcher: Dispatcher,
        server: LinkServer,
        wake_fd: int,
        feed: Callable[[], None],
    ) -> None:
        self._hardware = hardware
        self._dispatcher = dispatcher
        self._server = server
        self._wake_fd = wake_fd
        self._feed = feed
        self._next_feed = 0.0
        self._next_collect = time.monotonic() + COLLECT_S
        self._due = dict.fromkeys(hardware.ports, 0.0)
        self.lateness = Lateness()
        self.reaction = Lateness()
        self._next_report = 0.0
        self._reported_to = False

    def turn(self) -> None:
        """Wait for the next event and deal with it."""
        deadline = min(min(self._due.values()), *(state.wake_at for state in self._hardware.devices.values()))
        by_fd = self._watched()
        fds = [*by_fd, *self._server.filenos(), self._wake_fd]
        readable = self._wait(fds, deadline)
        now = time.monotonic()
        late_s = now - deadline
        stepped = dict[int, None]()  # in the order of urgency: whose device has spoken, then whose tick is due
        for fd in readable:
            state = by_fd.get(fd)
            if state is not None:
                self._call(state, readable=True, now=now)
                stepped.update(dict.fromkeys(state.evses))
        for state in self._hardware.devices.values():
            if state.wake_at <= now:
                self._call(state, readable=False, now=now)
            if state.failure:
                state.recover(now)
                stepped.update(dict.fromkeys(state.evses))
        stepped.update((evse, None) for evse, due in self._due.items() if due <= now)
        self._step(stepped, now)
        if not by_fd.keys().isdisjoint(readable):
            self.reaction.note(time.monotonic() - now)
        for fd in readable:  # the agent comes after what the hardware asked for
            if fd not in by_fd and fd != self._wake_fd:
                self._server.on_readable(fd, now)
        self._step(self._dispatcher.take_touched(), now)
        self._dispatcher.house_keeping(now)
        self._watch_over_itself(late_s, readable, now)

    def _step(self, evses: Iterable[int], now: float) -> None:
        for evse in evses:
            active = self._dispatcher.step(evse, now)
            self._schedule(evse, ACTIVE_TICK_S if active else IDLE_TICK_S, now)

    def _watched(self) -> dict[int, DeviceState]:
        watched: dict[int, DeviceState] = {}
        for state in self._hardware.devices.values():
            if state.failure:
                continue  # a driver that raises is only tried by its timer
            fd = state.device.fileno()
            if fd is not None and fd >= 0:
                watched[fd] = state
        return watched

    def _wait(self, fds: list[int], deadline: float) -> list[int]:
        timeout = max(0.0, deadline - time.monotonic())
        try:
            return select.select(fds, (), (), timeout)[0]
        except (OSError, ValueError):  # a node vanished between two calls; its device finds out by its timer
            time.sleep(min(timeout, ACTIVE_TICK_S))
            now = time.monotonic()
            for state in self._hardware.devices.values():
                state.wake_at = min(state.wake_at, now)
            return []

    def _call(self, state: DeviceState, readable: bool, now: float) -> None:
        try:
            if readable:
                state.device.on_readable(now)
            state.wake_at = max(state.device.on_timer(now), now + SHORTEST_WAIT_S)
        except Exception as error:
            state.wake_at = now + IDLE_TICK_S
            if state.fail(error, now):
                log.error("%s", state.failure, exc_info=True)

    def _schedule(self, evse: int, tick_s: float, now: float) -> None:
        """Next step at the next multiple of the tick, never later than one tick: EVSEs share their wake-ups."""
        self._due[evse] = (now // tick_s + 1.0) * tick_s

    def _watch_over_itself(self, late_s: float, readable: list[int], now: float) -> None:
        if not readable:
            self.lateness.note(late_s)
        energised = self._dispatcher.energised
        if late_s > OVERRUN_S and energised:
            self._dispatcher.overrun(f"the control loop came {late_s * 1000.0:.0f} ms late", now)
        if now >= self._next_feed:
            self._next_feed = now + FEED_S
            self._feed()
        self._report(now)
        if now >= self._next_collect and not energised:
            self._next_collect = now + COLLECT_S
            gc.collect()

    def _report(self, now: float) -> None:
        connected = self._server.connected
        if connected and (now >= self._next_report or not self._reported_to):
            self._next_report = now + REPORT_S
            late, reaction = self.lateness, self.reaction
            self._server.send(
                LoopReport(
                    now,
                    tuple(late.counts),
                    late.total_s,
                    late.take_worst_s(),
                    tuple(reaction.counts),
                    reaction.total_s,
                    reaction.take_worst_s(),
                    memory_bytes(),
                    written_bytes(),
                )
            )
        self._reported_to = connected
