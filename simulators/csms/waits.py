"""Waiting for what charge points say, and for their coming and going."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .charge_point import Session
from .collected import Report
from .station import ReceivedCall, Station
from .waiting import Waiting


class Waits:
    """The part of a CSMS that knows its charge points, and what they have said so far."""

    def __init__(self) -> None:
        self.calls: list[ReceivedCall] = []
        self.stations: dict[str, Station] = {}
        self._waiting = Waiting()

    def _sessions(self) -> list[Session]:
        return [session for station in self.stations.values() for session in station.sessions]

    async def wait_for(
        self,
        action: str,
        where: Mapping[str, Any] | Callable[[dict[str, Any]], bool] | None = None,
        *,
        count: int = 1,
        after: int = 0,
        charge_point: str | None = None,
        timeout_s: float = 10.0,
    ) -> list[ReceivedCall]:
        """Wait until ``count`` CALLs of this action have come, and return all that match.

        ``where`` is a predicate on the payload, or top-level fields with the values they must have. Only calls in
        frames numbered above ``after`` count (``csms.frames[-1].number`` is "from now on"). Raises
        ``TimeoutError`` that says how many came.
        """

        found: list[ReceivedCall] = []
        seen = 0

        def enough() -> bool:
            nonlocal seen
            found.extend(
                call
                for call in self.calls[seen:]
                if call.action == action
                and call.frame > after
                and charge_point in (None, call.charge_point)
                and _matches(call.payload, where)
            )
            seen = len(self.calls)
            return len(found) >= count

        try:
            await self._waiting.until(enough, timeout_s)
        except TimeoutError:
            raise TimeoutError(f"waited {timeout_s:g} s for {count} {action}, got {len(found)}") from None
        return found

    async def wait_report(self, request_id: int, *, charge_point: str | None = None, timeout_s: float = 30.0) -> Report:
        """Wait until the last part of the answer to this request has come (2.x). Raises ``TimeoutError``."""

        def complete() -> Report | None:
            for station in self.stations.values():
                found = station.collected.latest(request_id)
                if found is not None and found.complete and charge_point in (None, station.id):
                    return found
            return None

        await self._waiting.until(lambda: complete() is not None, timeout_s)
        report = complete()
        assert report is not None  # what was waited for
        return report

    async def wait_connected(self, charge_point: str | None = None, *, timeout_s: float = 10.0) -> str:
        """Wait until this (or any) charge point is connected; returns its id. Raises ``TimeoutError``."""

        def connected() -> list[str]:
            return [s.id for s in self.stations.values() if s.sessions and charge_point in (None, s.id)]

        await self._wait_link(connected, charge_point, "connect", timeout_s)
        return connected()[0]

    async def wait_disconnected(self, charge_point: str | None = None, *, timeout_s: float = 10.0) -> None:
        """Wait until this charge point (or every one) is disconnected. Raises ``TimeoutError``."""
        await self._wait_link(
            lambda: not [s for s in self._sessions() if charge_point in (None, s.id)],
            charge_point,
            "disconnect",
            timeout_s,
        )

    async def _wait_link(self, ready: Callable[[], Any], who: str | None, what: str, timeout_s: float) -> None:
        try:
            await self._waiting.until(lambda: bool(ready()), timeout_s)
        except TimeoutError:
            raise TimeoutError(f"waited {timeout_s:g} s for {who or 'a charge point'} to {what}") from None


def _matches(payload: dict[str, Any], where: Mapping[str, Any] | Callable[[dict[str, Any]], bool] | None) -> bool:
    if where is None:
        return True
    if callable(where):
        return where(payload)
    return all(payload.get(key) == value for key, value in where.items())
