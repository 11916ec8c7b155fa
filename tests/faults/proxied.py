"""A place whose way to the network leads through the bad link."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from simulators.proxy import Proxy
from tests.faults.place import QuickPlace, StuckError

WARPED = ("-m", "tests.faults.warped")
PING_S = 1
PONG_S = 1
LINKED: dict[str, Any] = {
    "ocpp.ping_timeout_s": PONG_S,
    "ocpp.settings.WebSocketPingInterval": str(PING_S),
    "ocpp.connect_timeout_s": 3,
    "ocpp.settings.AllowOfflineTxForUnknownId": "true",
}


class ProxiedPlace(QuickPlace):
    """The real agent, the stand-in, the CSMS, and the proxy between."""

    patience_s = 60.0
    repeat_s = 4.0
    """An authorisation waits behind a question that nobody answers, and a driver waits for it."""

    def __init__(
        self, directory: Path, settings: dict[str, Any] | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(directory, LINKED | (settings or {}))
        self.proxy = Proxy(0, tls)
        self._host = ""

    def name_the_host(self) -> None:
        """Find the network by its name instead of its address."""
        self._host = "localhost"

    async def __aenter__(self) -> Self:
        await self.proxy.__aenter__()
        url = self.proxy.url.replace("127.0.0.1", self._host) if self._host else self.proxy.url
        self._settings = {"ocpp.url": url} | self._settings
        await super().__aenter__()
        self.proxy.target_port = self.csms.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        await self.proxy.__aexit__(None, None, None)

    async def dropped_since(self, at_s: float, timeout_s: float) -> float | None:
        """How long after that moment the charger let go of its connection, in seconds; None when it did not.

        A proxy that does not read sees only that another connection is opened.
        """

        def signs() -> list[float]:
            return [sign for sign in (*self.proxy.lost_at, *self.proxy.opened_at) if sign > at_s]

        async def gone() -> bool:
            return bool(signs())

        try:
            await self.until(gone, "the link is dropped", timeout_s)
        except StuckError:
            return None
        return min(signs()) - at_s

    @staticmethod
    def now() -> float:
        return time.monotonic()
