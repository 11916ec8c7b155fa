"""Components, variables and monitors as the messages of OCPP 2 write them, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agent.device_model.controllers import BYTES_PER_MESSAGE, ITEMS_PER_MESSAGE, LONGEST_REPORTED
from agent.device_model.monitors import Monitor, StreamParameters
from agent.device_model.selection import Wanted
from agent.device_model.variables import Attribute, AttributeType, Component, Entry, Variable
from agent.ocpp.base import Payload
from agent.ocpp.refusal import RequestRefusedError


def component_of(told: Mapping[str, Any]) -> Component:
    """Read a ComponentType."""
    evse = told.get("evse", {})
    return Component(told["name"], told.get("instance", ""), evse.get("id", 0), evse.get("connectorId", 0))


def variable_of(told: Mapping[str, Any]) -> Variable:
    """Read a VariableType."""
    return Variable(told["name"], told.get("instance", ""))


def attribute_type_of(told: Mapping[str, Any]) -> AttributeType:
    """B05.FR.12, B06.FR.11: Actual when none is given."""
    return AttributeType(told.get("attributeType", AttributeType.ACTUAL.value))


def wanted_of(told: Sequence[Mapping[str, Any]] | None) -> list[Wanted] | None:
    """Read a list of ComponentVariableType; None where there is none."""
    if told is None:
        return None
    return [_wanted(each) for each in told]


def _wanted(told: Mapping[str, Any]) -> Wanted:
    component, variable = told["component"], told.get("variable", {})
    evse = component.get("evse", {})
    return Wanted(
        component["name"],
        component.get("instance"),
        evse.get("id"),
        evse.get("connectorId"),
        variable.get("name"),
        variable.get("instance"),
    )


def component_payload(component: Component) -> Payload:
    payload: Payload = {"name": component.name}
    if component.instance:
        payload["instance"] = component.instance
    if component.evse:
        payload["evse"] = {"id": component.evse}
        if component.connector:
            payload["evse"]["connectorId"] = component.connector
    return payload


def variable_payload(variable: Variable) -> Payload:
    return {"name": variable.name, **({"instance": variable.instance} if variable.instance else {})}


def report_payload(entry: Entry) -> Payload:
    """Return a ReportDataType: every attribute, with a value or without (B07.FR.11), and what it may hold."""
    what = entry.characteristics
    characteristics: Payload = {"dataType": what.data_type.value, "supportsMonitoring": what.monitored}
    if what.unit:
        characteristics["unit"] = what.unit
    if what.minimum is not None:
        characteristics["minLimit"] = what.minimum
    if what.maximum is not None:
        characteristics["maxLimit"] = what.maximum
    if what.choices:
        characteristics["valuesList"] = ",".join(what.choices)
    return {
        "component": component_payload(entry.component),
        "variable": variable_payload(entry.variable),
        "variableAttribute": [_attribute(attribute) for attribute in entry.attributes],
        "variableCharacteristics": characteristics,
    }


def _attribute(attribute: Attribute) -> Payload:
    payload: Payload = {"type": attribute.type.value, "mutability": attribute.mutability.value}
    value = attribute.value()
    if value is not None:
        payload["value"] = value[:LONGEST_REPORTED]
    if attribute.persistent:
        payload["persistent"] = True
    if attribute.constant:
        payload["constant"] = True
    return payload


def stream_payload(parameters: StreamParameters) -> Payload:
    """Return a PeriodicEventStreamParamsType."""
    told = {"interval": parameters.interval_s, "values": parameters.values}
    return {name: number for name, number in told.items() if number}


def stream_of(told: Mapping[str, Any] | None) -> StreamParameters | None:
    return None if told is None else StreamParameters(told.get("interval", 0), told.get("values", 0))


def monitor_payload(monitor: Monitor, with_kind: bool) -> Payload:
    """Return a VariableMonitoringType. ``with_kind``: 2.1 tells whose monitor it is."""
    payload: Payload = {
        "id": monitor.id,
        "transaction": monitor.transaction,
        "value": monitor.value,
        "type": monitor.type.value,
        "severity": monitor.severity,
    }
    if with_kind:
        payload["eventNotificationType"] = monitor.kind.value
    return payload


def status_info(reason: str, detail: str) -> Payload:
    """Return a StatusInfoType."""
    return {"reasonCode": reason[:20], **({"additionalInfo": detail[:512]} if detail else {})}


def check_size(payload: Payload, items: Sequence[Any]) -> None:
    """Refuse what is more than one request may hold. Raises RequestRefusedError."""
    if len(items) > ITEMS_PER_MESSAGE:  # B06.FR.16, B08.FR.17, N06.FR.06
        words = f"{len(items)} elements; at most {ITEMS_PER_MESSAGE} are taken"
        raise RequestRefusedError("OccurrenceConstraintViolation", words)
    size = len(json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode())
    if size > BYTES_PER_MESSAGE:  # B06.FR.17, B08.FR.18, N06.FR.07
        words = f"{size} bytes; at most {BYTES_PER_MESSAGE} are taken"
        raise RequestRefusedError("FormatViolation", words)
