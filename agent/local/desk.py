"""Questions to control and their answers: each has a number, a time-out, and one who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from agent.link.messages import Answer, AskInputs, InputsReport, ToAgent, ToControl
from agent.local.rpc import RpcError

ANSWER_S = 3.0
"""Control answers within one pass of its loop; this is for a machine that is busy."""

_Told = TypeVar("_Told", Answer, InputsReport)


class Desk:
    """``send`` passes a message to control; False when control is not there."""

    def __init__(self, send: Callable[[ToControl], bool]) -> None:
        self._send = send
        self._waiting: dict[int, asyncio.Future[Answer | InputsReport]] = {}
        self._serial = 0

    async def ask(self, make: Callable[[int], ToControl]) -> Answer:
        """Send the request that ``make`` builds for a number. Raises RpcError when control refuses, or is silent."""
        answer = await self._exchange(make, Answer)
        if answer.refused:
            raise RpcError(answer.refused)
        return answer

    async def inputs(self, evse: int) -> InputsReport:
        """Return every reading of an EVSE; 0: of every device how it does. Raises RpcError."""
        return await self._exchange(lambda number: AskInputs(evse, number), InputsReport)

    def heard(self, message: ToAgent) -> bool:
        """Take an answer. False for everything else."""
        if not isinstance(message, Answer | InputsReport):
            return False
        waiting = self._waiting.get(message.request)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
        return True

    async def _exchange(self, make: Callable[[int], ToControl], kind: type[_Told]) -> _Told:
        self._serial += 1
        number = self._serial
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            if not self._send(make(number)):
                raise RpcError("control is not connected; see that evse-control runs, then ask again")
            told = await asyncio.wait_for(future, ANSWER_S)
        except TimeoutError:
            raise RpcError(f"control gave no answer within {ANSWER_S:g} s; see its log") from None
        finally:
            del self._waiting[number]
        if isinstance(told, Answer) and kind is not Answer:
            raise RpcError(told.refused)
        assert isinstance(told, kind)
        return told
