"""Control's end of the link: one agent at a time, its requests, and everything it should know."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from agent import __version__
from agent.link.codec import LinkError, decode_to_control
from agent.link.messages import PROTOCOL, EvseInfo, Hello, ToAgent, ToControl, Welcome
from agent.link.transport import Channel, LinkClosedError, Listener

log = logging.getLogger("evse-control")

MAX_PACKETS_PER_PASS = 32
"""So many requests are taken in one pass of the loop; the rest waits for the next."""


class LinkServer:
    """Listens, serves one agent, and never lets it disturb the loop.

    ``on_request`` takes each message after a good Hello; ``on_connect`` is to send the whole state.
    """

    def __init__(
        self,
        path: Path,
        evses: tuple[EvseInfo, ...],
        on_request: Callable[[ToControl, float], None],
        on_connect: Callable[[float], None],
    ) -> None:
        self._listener = Listener(path)
        self._evses = evses
        self._on_request = on_request
        self._on_connect = on_connect
        self._channel: Channel | None = None
        self._greeted = False
        self.instance = f"{os.getpid()}-{os.urandom(4).hex()}"

    @property
    def connected(self) -> bool:
        return self._channel is not None

    def filenos(self) -> tuple[int, ...]:
        if self._channel is None:
            return (self._listener.fileno(),)
        return (self._listener.fileno(), self._channel.fileno())

    def on_readable(self, fileno: int, now: float) -> None:
        if fileno == self._listener.fileno():
            self._accept(now)
        elif self._channel is not None and fileno == self._channel.fileno():
            self._serve(self._channel, now)

    def send(self, message: ToAgent) -> None:
        """Send to the agent, if there is one. A peer that does not read is given up."""
        if self._channel is None:
            return
        try:
            self._channel.send(message)
        except (LinkClosedError, LinkError) as error:
            self._drop(str(error))

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._listener.close()

    def _accept(self, now: float) -> None:
        channel = self._listener.accept()
        if channel is None:
            return
        try:
            pid, uid = channel.peer()
        except OSError:
            channel.close()
            return
        if self._channel is not None and self._alive(now):
            log.warning(
                "link: process %d (user %d) refused: an agent is connected already; stop that one first", pid, uid
            )
            channel.close()
            return
        log.info("link: agent connected (process %d, user %d)", pid, uid)
        self._channel, self._greeted = channel, False
        self.send(Welcome(PROTOCOL, self.instance, __version__, self._evses))
        self._on_connect(now)

    def _alive(self, now: float) -> bool:
        """Look whether the present agent is still there: a dead one must not keep its successor out."""
        if self._channel is not None:
            self._serve(self._channel, now)
        return self._channel is not None

    def _serve(self, channel: Channel, now: float) -> None:
        try:
            for _ in range(MAX_PACKETS_PER_PASS):
                data = channel.receive()
                if data is None:
                    return
                self._take(decode_to_control(data), now)
                if self._channel is not channel:
                    return
        except (LinkClosedError, LinkError) as error:
            self._drop(str(error))

    def _take(self, message: ToControl, now: float) -> None:
        if isinstance(message, Hello):
            if message.protocol != PROTOCOL:
                self._drop(f"agent speaks version {message.protocol}, control {PROTOCOL}; install one release of both")
                return
            self._greeted = True
            log.info("link: %s", message.agent)
        elif not self._greeted:
            self._drop("the first message was no Hello")
        else:
            self._on_request(message, now)

    def _drop(self, why: str) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
            log.warning("link: closed: %s; permits live on until their leases end", why)
