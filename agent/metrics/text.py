"""Metrics as text (Prometheus exposition format 0.0.4, which node_exporter's textfile collector reads)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    COUNTER = "counter"
    """Only rises while the process lives. Its name ends in ``_total``."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Sample:
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""
    """``_bucket``, ``_sum`` or ``_count`` of a histogram."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name, what it tells, and its samples."""

    name: str
    kind: Kind
    help: str
    samples: Sequence[Sample]


def histogram(
    name: str,
    text: str,
    bounds: Sequence[float],
    counts: Sequence[int],
    total: float,
    labels: Mapping[str, str] | None = None,
) -> Family:
    """``counts`` per bucket, the last one beyond all ``bounds``. In the unit of the name."""
    samples, so_far = [], 0
    for bound, count in zip([*bounds, math.inf], counts, strict=True):
        so_far += count
        samples.append(Sample(so_far, {**(labels or {}), "le": number(bound)}, "_bucket"))
    samples += [Sample(total, labels or {}, "_sum"), Sample(so_far, labels or {}, "_count")]
    return Family(name, Kind.HISTOGRAM, text, samples)


def render(families: Sequence[Family]) -> str:
    """Return the whole text. A family without samples is left out."""
    lines = []
    for family in families:
        if not family.samples:
            continue
        lines.append(f"# HELP {family.name} {_escaped(family.help)}")
        lines.append(f"# TYPE {family.name} {family.kind.value}")
        for sample in family.samples:
            inside = ",".join(f'{key}="{_escaped(value, quotes=True)}"' for key, value in sample.labels.items())
            labels = f"{{{inside}}}" if inside else ""
            lines.append(f"{family.name}{sample.suffix}{labels} {number(sample.value)}")
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def _escaped(text: str, *, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
