"""Meter values as OCPP 2 writes them (blocks E and J), signed ones among them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from agent.journal.events import Context, SampledValue, SignedValue
from agent.ocpp.signed_data import encoded, key_text
from agent.ocpp.times import time_text

REGISTER = "Energy.Active.Import.Register"

MEASURANDS = frozenset(
    (
        "Current.Import",
        "Current.Offered",
        "Energy.Active.Export.Register",
        "Energy.Active.Import.Interval",
        REGISTER,
        "Frequency",
        "Power.Active.Import",
        "Power.Factor",
        "Power.Offered",
        "Voltage",
    )
)
"""Of what we measure, what both versions have a word for (MeasurandEnumType): not a temperature."""

_UNITS = {"Frequency": "Hz"}
"""Where the event has none, because OCPP 1.6 has no word for it."""


def register(wh: float, context: Context) -> SampledValue:
    return SampledValue(REGISTER, wh, "Wh", context=context)


def meter_values(evse: int, utc_s: float, samples: Sequence[SampledValue]) -> dict[str, Any] | None:
    """Return the payload of a MeterValues; None when none of the samples can be said (J01.FR.02, J01.FR.05)."""
    values = by_time(samples, utc_s)
    if evse == 0:
        for sampled in (each for value in values for each in value["sampledValue"]):
            sampled["location"] = "Inlet"  # J01.FR.09: the grid's side
    return {"evseId": evse, "meterValue": values} if values else None


def by_time(samples: Iterable[SampledValue], utc_s: float) -> list[dict[str, Any]]:
    """Return one MeterValue for each moment, oldest first (J01.FR.17, J02.FR.18)."""
    moments: dict[float, list[dict[str, Any]]] = {}
    for sample in samples:
        if math.isfinite(sample.value) and sample.measurand in MEASURANDS:
            moments.setdefault(sample.ago_s, []).append(_sampled(sample))
    return [
        {"timestamp": time_text(utc_s - ago_s), "sampledValue": moments[ago_s]}
        for ago_s in sorted(moments, reverse=True)
    ]


def signed_value(value: SignedValue, utc_s: float, wh: float) -> dict[str, Any]:
    """Return a MeterValue with one signed sample (OCA, 4.2). ``wh``: the register it speaks of, as far as we know."""
    signed = {
        "signedMeterData": encoded(value.data),
        "signingMethod": value.signing_method,
        "encodingMethod": value.encoding,
        "publicKey": key_text(value.public_key),
    }
    sample = {
        "value": _number(wh),
        "context": value.context.value,
        "measurand": REGISTER,
        "signedMeterValue": signed,
        "unitOfMeasure": {"unit": "Wh"},
    }
    return {"timestamp": time_text(utc_s - value.ago_s), "sampledValue": [sample]}


def _sampled(sample: SampledValue) -> dict[str, Any]:
    value: dict[str, Any] = {
        "value": _number(sample.value),
        "context": sample.context.value,
        "measurand": sample.measurand,
    }
    if sample.phase:
        value["phase"] = sample.phase
    unit = sample.unit or _UNITS.get(sample.measurand, "")
    if unit:
        value["unitOfMeasure"] = {"unit": unit}
    return value


def _number(value: float) -> float:
    rounded = round(value, 3)
    return 0.0 if rounded == 0 else rounded
