"""A charge point as bare as it gets: a websocket client and texts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from simulators.csms import Csms
from simulators.csms.anomalies import AnomalyKind

ONLY_OF_2 = {
    AnomalyKind.SEQUENCE_GAP,
    AnomalyKind.SEQUENCE_ORDER,
    AnomalyKind.EVENT_DIFFERS,
    AnomalyKind.EVENT_AFTER_END,
    AnomalyKind.ANSWER_REFUSED,
    AnomalyKind.REPORT_BROKEN,
}
"""Kinds that only charge points of 2.x can provoke (``test_csms_v2.py`` does)."""

BOOT = '[2,"b1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'

START = (
    '[2,"s1","StartTransaction",{"connectorId":1,"idTag":"CAFE","meterStart":100,'
    '"timestamp":"2026-01-02T03:04:05.678Z"}]'
)


@asynccontextmanager
async def charge_point(
    where: Csms | str, name: str = "CP1", offered: Sequence[str] = ("ocpp1.6",)
) -> AsyncIterator[ClientConnection]:
    """Connect, as charge point ``name``, to a CSMS or its URL."""
    url = where if isinstance(where, str) else where.url
    subprotocols = [Subprotocol(name) for name in offered]
    async with connect(f"{url}/{name}", subprotocols=subprotocols, proxy=None, close_timeout=5) as link:
        yield link


@asynccontextmanager
async def booted(where: Csms | str, name: str = "CP1") -> AsyncIterator[ClientConnection]:
    """Connect and boot."""
    async with charge_point(where, name) as link:
        assert (await ask(link, BOOT))[2]["status"] == "Accepted"
        yield link


async def ask(link: ClientConnection, text: str) -> Any:
    """Send one frame and return the next one that comes, parsed."""
    await link.send(text)
    return json.loads(await link.recv())


def call(message_id: str, action: str, /, **payload: Any) -> str:
    """A CALL frame."""
    return json.dumps([2, message_id, action, payload])


def kinds(csms: Csms) -> list[str]:
    """The kinds of all anomalies so far."""
    return [anomaly.kind.value for anomaly in csms.anomalies]
