"""Every reading as control sees it, written out for a technician: no judgement, no new time stamps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from agent.control.device_state import DeviceState, guarded
from agent.control.ports import Ports
from agent.link.codec import LinkError, encode
from agent.link.messages import InputsReport, RawValue

MAX_TEXT = 80
MAX_VALUES = 80
_MUST_TELL = {"closed", "locked", "value_c"}
"""Fields of which None means that the hardware cannot tell, rather than that there is nothing to tell."""


def inputs_of(evse: int, ports: Ports, request: int, now: float) -> InputsReport:
    """Return every reading of one EVSE, as its drivers give it now."""
    inputs = ports.read(now)
    values: list[RawValue] = []
    for port, device in ports.devices.items():
        reading = getattr(inputs, port, None)
        if isinstance(reading, tuple):
            for index, each in enumerate(reading, 1):
                values += _of_reading(port, device, each, f"_{index}" if len(reading) > 1 else "")
        else:
            values += _of_reading(port, device, reading)
    for index, board in enumerate(inputs.further_boards, 2):
        values += _of_reading(f"board_{index}", "", board)
    troubles = inputs.trouble, inputs.unhealthy, inputs.unhealthy_device, inputs.reader_trouble
    values += [RawValue("trouble", "", "", text[:MAX_TEXT], at=now) for text in dict.fromkeys(troubles) if text]
    return _bounded(evse, request, now, values)


def devices_of(devices: Mapping[str, DeviceState], request: int, now: float) -> InputsReport:
    """Return how every device does: ``ok`` and ``detail``, with the time when it was last heard."""
    values = []
    for name, state in devices.items():
        health = None if state.failure else guarded(state, lambda state=state: state.device.health(now), now)  # type: ignore[misc]
        ok = health is not None and health.ok
        detail = state.failure or (health.detail if health is not None else "")
        heard_at = None if health is None else _finite(health.last_heard_at)
        values.append(RawValue("device", name, "ok" if ok else "trouble", detail[:MAX_TEXT], float(ok), heard_at))
    return _bounded(0, request, now, values)


def _of_reading(port: str, device: str, reading: Any, suffix: str = "") -> Iterator[RawValue]:
    if reading is None or not is_dataclass(reading):
        yield RawValue(port, device, "", "nothing received yet")
        return
    at = _finite(getattr(reading, "at", None))
    for name, value in _flat(reading):
        if isinstance(value, bool):
            yield RawValue(port, device, name + suffix, "yes" if value else "no", float(value), at)
        elif isinstance(value, int | float):
            text = f"{value:.6g}" if abs(value) < 1e6 else f"{value:.0f}"
            yield RawValue(port, device, name + suffix, text, _finite(value), at)
        elif value is not None:
            yield RawValue(port, device, name + suffix, _text(value), None, at)
        elif name in _MUST_TELL:
            yield RawValue(port, device, name + suffix, "unknown", None, at)


def _flat(reading: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(reading):
        value = getattr(reading, field.name)
        if field.name == "at":
            continue
        if is_dataclass(value):
            yield from ((name, each) for name, each in _flat(value) if each)
        elif isinstance(value, tuple):
            yield from ((f"{field.name}_l{number}", each) for number, each in enumerate(value, 1))
        else:
            yield field.name, value


def _text(value: Any) -> str:
    if isinstance(value, Enum):
        return (value.name.lower() if isinstance(value.value, int) else str(value.value))[:MAX_TEXT]
    if isinstance(value, frozenset):
        return ", ".join(sorted(_text(each) for each in value))[:MAX_TEXT]
    return str(value)[:MAX_TEXT]


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _bounded(evse: int, request: int, now: float, values: Iterable[RawValue]) -> InputsReport:
    """What is too much for one message is left out from its end, and said so."""
    kept = [*values][:MAX_VALUES]
    while True:
        report = InputsReport(evse, request, now, tuple(kept))
        try:
            encode(report)
        except LinkError:
            kept = [*kept[:-2], RawValue("trouble", "", "", "more readings than one message holds")]
            continue
        return report
