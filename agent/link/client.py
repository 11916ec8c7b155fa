"""The agent's end of the link: connects, stays connected, and hands every message on."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

from agent import __version__
from agent.link.codec import LinkError, decode_to_agent
from agent.link.messages import PROTOCOL, Hello, ToAgent, ToControl, Welcome
from agent.link.transport import Channel, LinkClosedError, connect

log = logging.getLogger(__name__)

RETRY_S = 0.2
"""Between attempts while control is not there. A local socket: cheap, and a restarted control must be met at once."""


class ControlLink:
    """Keeps the link up for as long as the agent runs.

    ``on_message`` gets each message in order, beginning with ``Welcome`` on every new connection; ``on_lost`` is
    called once per connection that ended. What is sent while there is no connection is dropped: after each Welcome
    the station states everything afresh.
    """

    def __init__(self, path: Path, on_message: Callable[[ToAgent], None], on_lost: Callable[[], None]) -> None:
        self._path = path
        self._on_message = on_message
        self._on_lost = on_lost
        self._channel: Channel | None = None
        self._welcomed = False
        self._retry: asyncio.TimerHandle | None = None
        self._complained = False
        self._closed = False

    @property
    def connected(self) -> bool:
        return self._welcomed

    def start(self) -> None:
        """Begin to connect. Needs a running loop."""
        self._retry = None
        if self._closed:
            return
        try:
            channel = connect(self._path)
            channel.send(Hello(PROTOCOL, f"evse-agent {__version__} pid {os.getpid()}"))
        except OSError as error:
            if not self._complained:
                self._complained = True
                log.warning("control is not reachable at %s (%s); trying on", self._path, error.strerror or error)
            self._retry = asyncio.get_running_loop().call_later(RETRY_S, self.start)
            return
        self._channel = channel
        self._welcomed = False
        asyncio.get_running_loop().add_reader(channel.fileno(), self._readable)

    def send(self, message: ToControl) -> None:
        """Send a message, or drop it when control is not there."""
        if self._channel is None:
            return
        try:
            self._channel.send(message)
        except LinkClosedError as error:
            self._lost(str(error))

    def close(self) -> None:
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        if self._channel is not None:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()
            self._channel = None
            self._welcomed = False

    def _readable(self) -> None:
        channel = self._channel
        while channel is not None and channel is self._channel:
            try:
                packet = channel.receive()
                if packet is None:
                    return
                message = decode_to_agent(packet)
                self._check_order(message)
            except (LinkClosedError, LinkError) as error:
                self._lost(str(error))
                return
            self._on_message(message)

    def _check_order(self, message: ToAgent) -> None:
        if isinstance(message, Welcome):
            if message.protocol != PROTOCOL:
                raise LinkError(f"control speaks link protocol {message.protocol}, this agent {PROTOCOL}; update both")
            if not self._welcomed:
                self._welcomed = True
                self._complained = False
                log.info("connected to control %s (%s)", message.instance, message.version)
        elif not self._welcomed:
            raise LinkError(f"{type(message).__name__} came before Welcome")

    def _lost(self, reason: str) -> None:
        if self._channel is None:
            return
        log.warning("lost control: %s", reason)
        asyncio.get_running_loop().remove_reader(self._channel.fileno())
        self._channel.close()
        self._channel = None
        was_welcomed, self._welcomed = self._welcomed, False
        self._retry = asyncio.get_running_loop().call_later(RETRY_S, self.start)
        if was_welcomed:
            self._on_lost()
