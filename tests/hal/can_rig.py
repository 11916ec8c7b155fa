"""A CAN bus inside the process and in virtual time: the device on one end, a simulated node on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import can

from hal.can.frames import Frame

STEP_S = 0.01


class VirtualBus:
    """python-can's ``virtual`` bus: frames arrive in order, at once, and none is lost."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.cut = False
        self._bus: Any = can.Bus(interface="virtual", channel=channel, ignore_config=True)

    def send(self, number: int, data: bytes, *, extended: bool = False) -> None:
        if not self.cut:
            self._bus.send(can.Message(arbitration_id=number, data=data, is_extended_id=extended))

    def send_error(self, error_class: int, data: bytes = bytes(8)) -> None:
        self._bus.send(can.Message(arbitration_id=error_class, data=data, is_extended_id=False, is_error_frame=True))

    def receive(self) -> list[Frame]:
        frames = []
        while (message := self._bus.recv(timeout=0)) is not None:
            if not message.is_error_frame:
                frames.append(Frame(message.arbitration_id, bytes(message.data), message.is_extended_id))
        return [] if self.cut else frames

    def close(self) -> None:
        self._bus.shutdown()


class Bench:
    """Turns device and node together. ``hear(frame, now)`` and ``step(now)`` are the node's; ``sent`` all we said."""

    def __init__(self, bus: VirtualBus, device: Any, hear: Callable[[Frame, float], None], step: Any) -> None:
        self.bus, self.device = bus, device
        self.now = 0.0
        self.sent: list[Frame] = []
        self._hear, self._step = hear, step
        self._wake = 0.0
        self.assert_each_step: Callable[[], None] = lambda: None

    def start(self) -> None:
        self.device.start(self.now)
        self.pump()

    def pump(self) -> None:
        for frame in self.bus.receive():
            self.sent.append(frame)
            self._hear(frame, self.now)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.now += STEP_S
            self._step(self.now)
            if self.now >= self._wake:
                self._wake = self.device.on_timer(self.now)
                assert self._wake > self.now
            self.pump()
            self.assert_each_step()

    def until(self, condition: Callable[[], Any], within_s: float = 5.0) -> float:
        """Run until it holds; return how long that took in virtual time."""
        begin = self.now
        while not condition():
            assert self.now - begin < within_s, self.device.health(self.now).detail or "waited in vain"
            self.run(STEP_S)
        return self.now - begin


@contextmanager
def virtual_bus(channel: str) -> Iterator[VirtualBus]:
    bus = VirtualBus(channel)
    try:
        yield bus
    finally:
        bus.close()
