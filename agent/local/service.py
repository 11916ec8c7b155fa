"""What a technician may ask of control through the local API. Control decides; what it does shows in the status."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from agent.link.messages import ClearFault, FaultCode, ResetBoard, RunSelfTest, ToControl
from agent.local.methods import Method, service
from agent.local.rpc import RpcError


def service_methods(evses: Collection[int], send: Callable[[ToControl], bool]) -> dict[str, Method]:
    """Return the methods by name. ``send`` passes a message to control; False when control is not there."""

    def passed(evse: int, message: ToControl) -> dict[str, Any]:
        if evse not in evses:
            raise RpcError(f"there is no EVSE {evse}; this charge point has {', '.join(map(str, sorted(evses)))}")
        if not send(message):
            raise RpcError("control is not connected; see that evse-control runs, then ask again")
        return {"evse": evse, "passed_on": True}

    def clear_fault(evse: int, code: str) -> dict[str, Any]:
        """Clear a latched fault. It goes once its condition is gone; a standing one stays."""
        try:
            fault = FaultCode(code)
        except ValueError:
            known = ", ".join(sorted(each.value for each in FaultCode))
            raise RpcError(f"{code!r} is no fault code; choose from {known}") from None
        return passed(evse, ClearFault(evse, fault))

    def reset_board(evse: int) -> dict[str, Any]:
        """Reset the pilot board. Control refuses while the contactor is closed."""
        return passed(evse, ResetBoard(evse))

    def run_self_test(evse: int) -> dict[str, Any]:
        """Run the residual-current self-test. Control refuses while energy flows."""
        return passed(evse, RunSelfTest(evse))

    return {
        "fault.clear": service(clear_fault),
        "board.reset": service(reset_board),
        "selftest.run": service(run_self_test),
    }
