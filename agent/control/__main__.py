"""``evse-control --config FILE``: the process that drives the hardware.

Order matters here: configuration, devices, and with their start the safe commands on the wire. Only then the link,
priority and memory.
"""

from __future__ import annotations

import argparse
import atexit
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from agent.logs import configure

log = logging.getLogger("evse-control")

EXIT_FAILED = 1
EXIT_CONFIG = 2
EXIT_RESTART = 75
"""Asks the service manager for a fresh start (EX_TEMPFAIL)."""


class SafeState:
    """The one way down: opens everything and closes every device, once, whatever led here."""

    def __init__(self) -> None:
        self.done = False
        self.reason = ""
        self._steps: list[tuple[str, Callable[[], object]]] = []

    def add(self, what: str, step: Callable[[], object]) -> None:
        """``step`` is called without arguments, in the order of adding."""
        self._steps.append((what, step))

    def __call__(self, reason: str) -> None:
        if self.done:
            return
        self.done = True
        self.reason = reason
        log.warning("safe state: %s", reason)
        for what, step in self._steps:
            try:
                step()
            except Exception:
                log.exception("safe state: %s failed", what)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="evse-control", description="Drives the hardware of a charge point.")
    parser.add_argument("--config", required=True, type=Path, help="configuration file (YAML)")
    parser.add_argument(
        "--safe", action="store_true", help="open everything, and end; for when control was killed or hung"
    )
    options = parser.parse_args(arguments)
    configure("info", "evse-control", "evse-control: %(levelname)s: %(message)s")

    from agent.config import ConfigError, load

    try:
        config = load(options.config)
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 (what the person who started it must read)
        return EXIT_CONFIG
    logging.getLogger().setLevel(config.logging.level.upper())
    if options.safe:
        return _make_safe(config)
    safe_state = SafeState()
    atexit.register(safe_state, "the process ends")
    try:
        return _run(config, safe_state)
    except BaseException as error:
        safe_state(f"{type(error).__name__}: {error}")
        if isinstance(error, Exception):
            log.exception("evse-control ends; a service manager starts it again")
            return 1
        raise


def _make_safe(config: object) -> int:
    """Open everything that the configuration names. Exit status 1 when a device could not be told."""
    from agent.config.schema import Config
    from agent.control.hardware import Hardware
    from agent.control.safe_outputs import open_everything

    assert isinstance(config, Config)
    if os.environ.get("SERVICE_RESULT") == "success":  # systemd.exec(5): control ended by itself, and did this then
        return 0
    unwell = open_everything(Hardware(config, time.monotonic()))
    for text in unwell:
        log.error("safe state: %s", text)
    log.warning("safe state: commanded from outside, since control did not end in good order")
    return 1 if unwell else 0


def _run(config: object, safe_state: SafeState) -> int:
    from agent.config.schema import Config
    from agent.control.dispatch import Dispatcher
    from agent.control.hardware import Hardware
    from agent.control.latches import LatchFile
    from hal.ports import DeviceError

    assert isinstance(config, Config)
    hardware = Hardware(config, time.monotonic())
    latches = LatchFile(config.paths.runtime_dir / "latched-faults.json")
    dispatcher = Dispatcher(hardware, time.monotonic(), latches)
    safe_state.add("opening the contactors", lambda: dispatcher.make_safe(time.monotonic()))
    for state in hardware.devices.values():
        safe_state.add(f"closing {state.device.name}", state.device.close)
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    caught: list[str] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        caught.append(signal.Signals(number).name)

    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    try:
        for state in hardware.devices.values():  # the safe commands go out here
            state.device.start(time.monotonic())
    except DeviceError as error:
        safe_state(str(error))
        return EXIT_FAILED  # the device may come yet: the service manager tries again

    from agent.control.link_server import LinkServer
    from agent.control.loop import Loop
    from agent.control.realtime import lock_memory, quieten_garbage_collector, take_priority
    from agent.notify import notify

    server = LinkServer(config.link_path, dispatcher.infos(), dispatcher.on_request, dispatcher.on_connect)
    safe_state.add("closing the link", server.close)
    dispatcher.link = server
    loop = Loop(hardware, dispatcher, server, wake_read, lambda: notify("WATCHDOG=1"))
    take_priority(config.control.realtime_priority)
    if config.control.lock_memory:
        lock_memory()
    quieten_garbage_collector()
    notify("READY=1")
    log.info("ready: %d EVSE, %d devices", len(dispatcher.evses), len(hardware.devices))
    while not caught and not dispatcher.starts_anew:
        loop.turn()
    notify("STOPPING=1")
    safe_state(caught[0] if caught else "a fresh start was asked for")
    log.info("lateness of the loop: %s", loop.lateness.text())
    return 0 if caught else EXIT_RESTART


if __name__ == "__main__":
    sys.exit(main())
