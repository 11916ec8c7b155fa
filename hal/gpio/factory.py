"""A pin factory for gpiozero for every Linux board: no Raspberry Pi, no daemon, no file in the working directory.

    GPIOZERO_PIN_FACTORY=evsechip python3 -c "from gpiozero import LED; LED('pinctrl-bcm2711:17').blink()"

Pins are named as in ``hal.gpio.address``, several chips at once. A bare number or name lies on the chip that
``EVSE_GPIO_CHIP`` names (``gpiochip0`` when it is not set). Edges carry the kernel's time stamps, bounce is filtered by
the kernel. There is no PWM: software cannot keep a pilot's time, and sysfs has the hardware's.

One thread per factory waits for edges and runs gpiozero's callbacks, as its own factories do. The product's drivers do
not use it: they watch the lines' file descriptors in their own loop.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any, cast
from weakref import WeakMethod, ref

from gpiozero import SPI, BoardInfo, Factory, Pin, PinInfo, SPIBadArgs
from gpiozero.exc import (
    GPIOPinInUse,
    PinInvalidBounce,
    PinInvalidEdges,
    PinInvalidFunction,
    PinInvalidPin,
    PinInvalidPull,
    PinPWMUnsupported,
    PinSetInput,
)

from hal.gpio.address import LineAddress, find, parse_address
from hal.gpio.factory_spi import ChipSPI, SharedChipSPI
from hal.gpio.lines import Bias, Chip, Edges, Line, LineError, LineSettings

CONSUMER = "gpiozero"
DEFAULT_CHIP = "gpiochip0"
STOP_S = 2.0

_PULLS = {"up": Bias.UP, "down": Bias.DOWN, "floating": Bias.OFF}
_EDGES = {edges.value: edges for edges in Edges}


class ChipBoardInfo(BoardInfo):
    """Knows no board and every pin: whatever names a line is a pin."""

    __slots__ = ()

    def find_pin(self, name: Any) -> Iterator[tuple[None, PinInfo]]:
        try:
            text = str(_address(name))
        except ValueError as error:
            raise PinInvalidPin(str(error)) from None
        yield None, PinInfo(-1, text, frozenset({text}), "", 0, 0, frozenset({"gpio"}))


_BOARD = ChipBoardInfo(
    "", "Linux", "", "", "", "", 0, "", 0, 0, 0, 0, False, False, 0, 0, {}, "any board with GPIO chips"
)


def _address(name: Any) -> LineAddress:
    text = str(name)
    if ":" not in text:
        text = f"{os.environ.get('EVSE_GPIO_CHIP', DEFAULT_CHIP)}:{text}"
    return parse_address(text)


class ChipFactory(Factory):
    """``spi_path`` makes the node of an SPI port and device."""

    spi_path: Callable[[int, int], str] = staticmethod("/dev/spidev{}.{}".format)

    def __init__(self) -> None:
        super().__init__()
        self._pins: dict[str, ChipPin] = {}
        self._poll: select.epoll | None = None
        self._watched: dict[int, ChipPin] = {}
        self._thread: threading.Thread | None = None
        self._stop_fds = (-1, -1)
        self._watch_lock = threading.Lock()

    def _get_board_info(self) -> BoardInfo:
        return _BOARD

    def pin(self, name: Any) -> Pin:
        try:
            text = str(_address(name))
        except ValueError as error:
            raise PinInvalidPin(str(error)) from None
        pin = self._pins.get(text)
        if pin is None:
            pin = self._pins[text] = ChipPin(self, text)
        return pin

    def spi(self, **spi_args: Any) -> SPI:
        shared = bool(spi_args.pop("shared", False))
        port, device = spi_args.pop("port", 0), spi_args.pop("device", 0)
        if spi_args:
            raise SPIBadArgs(f"{', '.join(spi_args)}: give port and device of the kernel's SPI; nothing is bit-banged")
        return (SharedChipSPI if shared else ChipSPI)(self.spi_path(port, device), pin_factory=self)

    def ticks(self) -> float:
        return time.monotonic()

    def ticks_diff(self, later: float, earlier: float) -> float:
        return later - earlier

    def close(self) -> None:
        for pin in list(self._pins.values()):
            pin.close()
        self._pins.clear()
        thread, self._thread = self._thread, None
        if thread is not None and self._poll is not None:
            os.write(self._stop_fds[1], b"s")
            thread.join(STOP_S)
            self._poll.close()
            for fd in self._stop_fds:
                os.close(fd)
            self._poll = None

    def watch(self, pin: ChipPin, fd: int) -> None:
        with self._watch_lock:
            if self._poll is None:
                self._poll = select.epoll()
                self._stop_fds = os.pipe()
                self._poll.register(self._stop_fds[0], select.EPOLLIN)
                self._thread = threading.Thread(target=self._run, args=(self._poll,), name="gpio edges", daemon=True)
                self._thread.start()
            self._watched[fd] = pin
            self._poll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        with self._watch_lock:
            if self._watched.pop(fd, None) is not None and self._poll is not None:
                with contextlib.suppress(OSError):
                    self._poll.unregister(fd)

    def _run(self, poll: select.epoll) -> None:
        while True:
            for fd, _ in poll.poll():
                if fd == self._stop_fds[0]:
                    return
                pin = self._watched.get(fd)
                if pin is not None:
                    pin.take_events(fd)


class ChipPin(Pin):
    """One line. Requested when its function is set or it is first read, released by ``close``."""

    def __init__(self, factory: ChipFactory, name: str) -> None:
        super().__init__()
        self._factory = factory
        self._name = name
        self._settings = LineSettings()
        self._edges = Edges.BOTH
        self._line: Line | None = None
        self._chip: Chip | None = None
        self._when_changed: Callable[[], Any] | None = None
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return self._name

    def _get_info(self) -> PinInfo:
        return next(_BOARD.find_pin(self._name))[1]

    def close(self) -> None:
        with self._lock:
            self._when_changed = None
            line, self._line = self._line, None
            if line is not None:
                self._factory.unwatch(line.fileno())
                line.close()
            if self._chip is not None:
                self._chip.close()
                self._chip = None
            self._settings = LineSettings()
            self._edges = Edges.BOTH

    def output_with_state(self, state: Any) -> None:
        self._use(dataclasses.replace(LineSettings(), initial=bool(state), bias=self._settings.bias))

    def input_with_pull(self, pull: str) -> None:
        self._use(dataclasses.replace(self._settings, initial=None, bias=self._bias(pull)))

    def _get_function(self) -> str:
        return "output" if self._settings.is_output else "input"

    def _set_function(self, value: str) -> None:
        if value not in ("input", "output"):
            raise PinInvalidFunction(f"invalid function {value!r} for pin {self!r}; use input or output")
        if value == "output":
            self._use(LineSettings(initial=bool(self._request().value()), bias=self._settings.bias))
        else:
            self._use(dataclasses.replace(self._settings, initial=None))

    def _get_state(self) -> int:
        return int(self._request().value())

    def _set_state(self, value: Any) -> None:
        if not self._settings.is_output:
            raise PinSetInput(f"cannot set state of pin {self!r}: it is an input")
        self._request().set_value(bool(value))

    def _get_pull(self) -> str:
        return next((pull for pull, bias in _PULLS.items() if bias is self._settings.bias), "floating")

    def _set_pull(self, value: str) -> None:
        self._use(dataclasses.replace(self._settings, bias=self._bias(value)))

    def _bias(self, pull: str) -> Bias:
        if pull not in _PULLS:
            raise PinInvalidPull(f"invalid pull {pull!r} for pin {self!r}; use up, down or floating")
        return _PULLS[pull]

    def _get_frequency(self) -> None:
        return None

    def _set_frequency(self, value: Any) -> None:
        if value is not None:
            raise PinPWMUnsupported(f"no PWM on pin {self!r}: software cannot keep its time; use /sys/class/pwm")

    def _get_bounce(self) -> float | None:
        return self._settings.debounce_us / 1e6 or None

    def _set_bounce(self, value: float | None) -> None:
        if value is not None and value < 0:
            raise PinInvalidBounce("bounce must be 0 or greater")
        self._use(dataclasses.replace(self._settings, debounce_us=round((value or 0.0) * 1e6)))

    def _get_edges(self) -> str:
        return self._edges.value

    def _set_edges(self, value: str) -> None:
        if value not in _EDGES:
            raise PinInvalidEdges(f"invalid edges {value!r} for pin {self!r}; use {', '.join(_EDGES)}")
        self._edges = _EDGES[value]
        if self._when_changed is not None:
            self._use(dataclasses.replace(self._settings, edges=self._edges))

    def _get_when_changed(self) -> Any:
        return None if self._when_changed is None else self._when_changed()

    def _set_when_changed(self, value: Callable[[float, int], None] | None) -> None:
        with self._lock:
            watched = self._when_changed is not None
            if value is None:
                self._when_changed = None
                if watched and self._line is not None:
                    self._factory.unwatch(self._line.fileno())
                    self._use(dataclasses.replace(self._settings, edges=Edges.NONE))
                return
            # Weak, so that a device nobody holds any more is collected (gpiozero's own pins do the same).
            weak = WeakMethod(value) if isinstance(value, MethodType) else ref(value)
            self._when_changed = cast("Callable[[], Any]", weak)
            if not watched:
                self._use(dataclasses.replace(self._settings, edges=self._edges))
                self._factory.watch(self, self._request().fileno())

    def take_events(self, fd: int) -> None:
        """In the factory's thread: run the callback for every edge, with the kernel's time."""
        with self._lock:
            if self._line is None or self._line.fileno() != fd:
                return
            try:
                events = self._line.events()
            except LineError:
                self._factory.unwatch(fd)  # the chip is gone; whoever reads the pin is told so
                return
            callback = self._get_when_changed()
        for event in events:
            if callback is not None:
                callback(event.at, int(event.level))

    def _request(self) -> Line:
        with self._lock:
            if self._line is None:
                self._open()
            assert self._line is not None
            return self._line

    def _open(self) -> None:
        try:
            self._chip, offset = find(parse_address(self._name))
            self._line = self._chip.request(offset, self._settings, CONSUMER)
        except LineError as error:
            if self._chip is not None:
                self._chip.close()
                self._chip = None
            raise (GPIOPinInUse if "in use" in str(error) else PinInvalidPin)(str(error)) from None

    def _use(self, settings: LineSettings) -> None:
        with self._lock:
            if settings == self._settings and self._line is not None:
                return
            before, self._settings = self._settings, settings
            try:
                if self._line is None:
                    self._open()
                else:
                    self._line.configure(settings)
            except Exception:
                self._settings = before
                raise
