"""The local API's methods about raw readings, as control has them, and the latest changes of an EVSE."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypedDict

from agent.local.changes import ChangeDocument, Changes
from agent.local.desk import Desk
from agent.local.methods import Method, observe
from agent.local.rpc import RpcError


class InputDocument(TypedDict):
    """One field of a reading."""

    port: str
    """Which input: pilot, contactor, lock, proximity, residual_current, meter, temperatures, board, …"""
    device: str
    name: str
    text: str
    value: float | None
    age_s: float | None
    """Since the reading was taken; None where nothing was received yet."""


class InputsDocument(TypedDict):
    evse: int
    at_s: float
    """Monotonic seconds."""
    inputs: list[InputDocument]


class DeviceDocument(TypedDict):
    name: str
    driver: str
    ok: bool
    detail: str
    silent_s: float | None
    """Since it was last heard; None where its driver does not tell."""


class DevicesDocument(TypedDict):
    devices: list[DeviceDocument]


class ChangesDocument(TypedDict):
    changes: list[ChangeDocument]


def known(evses: Collection[int], evse: int) -> None:
    """Raises RpcError for an EVSE that is not there."""
    if evse not in evses:
        raise RpcError(f"there is no EVSE {evse}; this charge point has {', '.join(map(str, sorted(evses)))}")


def methods(
    evses: Collection[int], drivers: Callable[[], Mapping[str, str]], desk: Desk, changes: Changes
) -> dict[str, Method]:
    """``drivers``: each device's driver by the device's name. Nothing is called here."""

    async def inputs(evse: int) -> InputsDocument:
        """Every reading of an EVSE as its drivers gave it, however old; nothing is judged here."""
        known(evses, evse)
        report = await desk.inputs(evse)
        return {
            "evse": evse,
            "at_s": report.at,
            "inputs": [
                {
                    "port": each.port,
                    "device": each.device,
                    "name": each.name,
                    "text": each.text,
                    "value": each.value,
                    "age_s": None if each.at is None else max(0.0, round(report.at - each.at, 3)),
                }
                for each in report.values
            ],
        }

    async def devices() -> DevicesDocument:
        """Every device: whether it is well, in its own words, and for how long it has been silent."""
        report = await desk.inputs(0)
        table = drivers()
        return {
            "devices": [
                {
                    "name": each.device,
                    "driver": table.get(each.device, ""),
                    "ok": bool(each.value),
                    "detail": each.text,
                    "silent_s": None if each.at is None else max(0.0, round(report.at - each.at, 3)),
                }
                for each in report.values
                if each.port == "device"
            ]
        }

    def latest(evse: int, after_s: float = 0.0) -> ChangesDocument:
        """The latest changes of pilot, offer and contacts, with control's own times, oldest first."""
        known(evses, evse)
        return {"changes": changes.since(evse, after_s)}

    return {"inputs": observe(inputs), "devices": observe(devices), "changes": observe(latest)}
