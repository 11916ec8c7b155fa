"""SetVariables and GetVariables (B05, B06)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.device_model.controllers import LONGEST_REPORTED
from agent.device_model.device import Device
from agent.device_model.model import Missing
from agent.device_model.variables import Attribute, ChangeStatus, Entry
from agent.ocpp.base import Payload
from agent.ocpp.v2.block import Block, Handler, Talk
from agent.ocpp.v2.device_words import (
    attribute_type_of,
    check_size,
    component_of,
    status_info,
    variable_of,
)

_UNKNOWN = {Missing.COMPONENT: "UnknownComponent", Missing.VARIABLE: "UnknownVariable"}


class Variables2(Block):
    def __init__(self, talk: Talk, device: Device) -> None:
        super().__init__(talk)
        self._device = device

    def handlers(self) -> Mapping[str, Handler]:
        return {"GetVariables": self._get, "SetVariables": self._set}

    # ---- B06 ----

    def _get(self, payload: Payload) -> Payload:
        wanted = payload["getVariableData"]
        check_size(payload, wanted)
        return {"getVariableResult": [self._got(each) for each in wanted]}  # B06.FR.01

    def _got(self, told: Mapping[str, Any]) -> Payload:
        found = self._find(told)
        if isinstance(found, str):
            return {**_place(told), "attributeStatus": found}
        if found[1].read is None:  # B06.FR.09
            info = status_info("WriteOnly", f"{found[0]} may only be written")
            return {**_place(told), "attributeStatus": "Rejected", "attributeStatusInfo": info}
        value = found[1].value() or ""  # B06.FR.13
        return {**_place(told), "attributeStatus": "Accepted", "attributeValue": value[:LONGEST_REPORTED]}

    # ---- B05 ----

    def _set(self, payload: Payload) -> Payload:
        wanted = payload["setVariableData"]
        check_size(payload, wanted)
        results = [self._done(each) for each in wanted]  # B05.FR.01
        self._device.commit()
        self._talk.around.stirred()
        return {"setVariableResult": results}

    def _done(self, told: Mapping[str, Any]) -> Payload:
        found = self._find(told)
        if isinstance(found, str):
            return {**_place(told), "attributeStatus": found}
        entry, attribute = found
        if attribute.change is None:  # B05.FR.09
            info = status_info("ReadOnly", f"{entry} is read-only")
            return {**_place(told), "attributeStatus": "Rejected", "attributeStatusInfo": info}
        change = attribute.change(told["attributeValue"])  # B05.FR.07, FR.08, FR.10
        if change.status is not ChangeStatus.REJECTED:
            self._device.model.written(entry)
        result = {**_place(told), "attributeStatus": change.status.value}
        if change.reason:
            result["attributeStatusInfo"] = status_info(change.reason, change.detail)
        return result

    def _find(self, told: Mapping[str, Any]) -> tuple[Entry, Attribute] | str:
        """Return what is meant, or the status that says what of it is not known (B05.FR.04-06, B06.FR.06-08)."""
        found = self._device.model.find(component_of(told["component"]), variable_of(told["variable"]))
        if isinstance(found, Missing):
            return _UNKNOWN[found]
        attribute = found.attribute(attribute_type_of(told))
        return "NotSupportedAttributeType" if attribute is None else (found, attribute)


def _place(told: Mapping[str, Any]) -> Payload:
    """What was asked for, as it was written (B05.FR.02/03, B06.FR.02/03)."""
    return {
        "component": told["component"],
        "variable": told["variable"],
        "attributeType": attribute_type_of(told).value,
    }
