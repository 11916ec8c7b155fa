"""What a technician may ask of control through the local API. Control decides, and says why not."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from agent.link.messages import ClearFault, FaultCode, ResetBoard, RunSelfTest, ToControl
from agent.local.desk import Desk
from agent.local.inputs import known
from agent.local.methods import Method, service
from agent.local.rpc import RpcError


def service_methods(evses: Collection[int], desk: Desk) -> dict[str, Method]:
    """Return the methods by name. Nothing is called here."""

    async def asked(evse: int, make: Callable[[int], ToControl]) -> dict[str, Any]:
        known(evses, evse)
        answer = await desk.ask(make)
        return {"evse": evse, "at_s": answer.at}

    async def clear_fault(evse: int, code: str) -> dict[str, Any]:
        """Clear a latched fault. Refused while its condition stands; it then goes once that is over."""
        try:
            fault = FaultCode(code)
        except ValueError:
            names = ", ".join(sorted(each.value for each in FaultCode))
            raise RpcError(f"{code[:40]!r} is no fault code; choose from {names}") from None
        return await asked(evse, lambda number: ClearFault(evse, fault, number))

    async def reset_board(evse: int) -> dict[str, Any]:
        """Reset the pilot board. Control refuses while the contactor is closed."""
        return await asked(evse, lambda number: ResetBoard(evse, number))

    async def run_self_test(evse: int) -> dict[str, Any]:
        """Run the residual-current self-test. Control refuses while energy flows."""
        return await asked(evse, lambda number: RunSelfTest(evse, number))

    return {
        "fault.clear": service(clear_fault),
        "board.reset": service(reset_board),
        "selftest.run": service(run_self_test),
    }
