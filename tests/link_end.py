"""Control's end of the link, for stand-ins of control: one agent at a time, welcomed anew each time it comes."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from pathlib import Path

from agent.link.codec import LinkError, decode_to_control
from agent.link.messages import PROTOCOL, EvseInfo, ToAgent, ToControl, Welcome
from agent.link.transport import Channel, LinkClosedError, Listener


class LinkEnd:
    """Runs in the present event loop between ``open`` and ``close``.

    ``on_message`` gets what the agent sends, ``on_connect`` is called after the welcome, ``on_drop`` when it has gone.
    """

    def __init__(
        self,
        path: Path,
        infos: Callable[[], tuple[EvseInfo, ...]],
        on_message: Callable[[ToControl], None],
        on_connect: Callable[[], None],
        on_drop: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = path
        self._infos = infos
        self._on_message = on_message
        self._on_connect = on_connect
        self._on_drop = on_drop
        self._instance = ""
        self._listener: Listener | None = None
        self._channel: Channel | None = None

    @property
    def is_open(self) -> bool:
        return self._listener is not None

    @property
    def connected(self) -> bool:
        return self._channel is not None

    def open(self) -> None:
        """Listen, as a control process that has just begun."""
        self._instance = uuid.uuid4().hex
        self._listener = Listener(self._path)
        asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        self.drop()
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def send(self, message: ToAgent) -> None:
        """Nobody hears it while no agent is there."""
        if self._channel is not None:
            with contextlib.suppress(LinkClosedError):
                self._channel.send(message)

    def drop(self) -> None:
        if self._channel is not None:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()
        self._channel = None
        self._on_drop()

    def _accept(self) -> None:
        channel = self._listener.accept() if self._listener is not None else None
        if channel is None:
            return
        self.drop()
        self._channel = channel
        asyncio.get_running_loop().add_reader(channel.fileno(), self._readable)
        self.send(Welcome(PROTOCOL, self._instance, "stand-in", self._infos()))
        self._on_connect()

    def _readable(self) -> None:
        while self._channel is not None:
            try:
                data = self._channel.receive()
                if data is None:
                    return
                self._on_message(decode_to_control(data))
            except (LinkClosedError, LinkError):
                self.drop()
