"""What was measured, with its unit, its budget and the verdict; as a table for people and as JSON for machines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. The unit stands at the end of ``name``; ratios end in ``_ratio``, counts in ``_count``."""

    name: str
    value: float
    n: int = 1
    """How many samples it comes from."""
    budget: float | None = None
    """Most that is wanted; None where nothing is promised."""
    note: str = ""

    @property
    def missed(self) -> bool:
        return self.budget is not None and not self.value <= self.budget

    @property
    def verdict(self) -> str:
        """Empty without a budget; else "met", or by how much it was missed."""
        if self.budget is None:
            return ""
        if not self.missed:
            return "met"
        over = self.value - self.budget
        share = f" ({over / self.budget:+.0%})" if self.budget else ""
        return f"MISSED by {number(over)}{share}"


@dataclass(slots=True)
class Report:
    """Figures by group, in the order they were measured, and what could not be measured."""

    facts: Mapping[str, Any]
    groups: dict[str, list[Figure]] = field(default_factory=dict)
    unmeasured: dict[str, str] = field(default_factory=dict)
    """Group → why."""

    def add(self, group: str, figures: Iterable[Figure]) -> None:
        self.groups.setdefault(group, []).extend(figures)

    def missed(self) -> list[Figure]:
        return [figure for figures in self.groups.values() for figure in figures if figure.missed]

    def table(self) -> str:
        """Return the whole report as text."""
        lines = [f"{name}: {value}" for name, value in self.facts.items()]
        for group, figures in self.groups.items():
            lines += ["", group, *rows(figures)]
        for group, why in self.unmeasured.items():
            lines += ["", f"{group}: NOT MEASURED: {why}"]
        missed = self.missed()
        lines.append("")
        lines.append(f"{len(missed)} budgets missed" if missed else "all budgets met")
        lines += [f"  {figure.name}: {number(figure.value)}, {figure.verdict}" for figure in missed]
        return "\n".join(lines) + "\n"

    def write(self, path: Path) -> None:
        """Write ``{"facts": …, "figures": {name: {value, n, budget, met, note, group}}, "unmeasured": …}``."""
        figures = {
            figure.name: {
                "value": finite(figure.value),
                "n": figure.n,
                "budget": figure.budget,
                "met": None if figure.budget is None else not figure.missed,
                "note": figure.note,
                "group": group,
            }
            for group, found in self.groups.items()
            for figure in found
        }
        document = {"facts": dict(self.facts), "figures": figures, "unmeasured": self.unmeasured}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def rows(figures: Sequence[Figure]) -> list[str]:
    """Return aligned lines: name, value, samples, budget, verdict, note."""
    cells = [
        (
            figure.name,
            number(figure.value),
            f"n {figure.n}",
            "" if figure.budget is None else f"≤ {number(figure.budget)}",
            figure.verdict,
            figure.note,
        )
        for figure in figures
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(5)] if cells else []
    return [
        "  "
        + "  ".join(
            text.rjust(width) if column in (1, 2) else text.ljust(width)
            for column, (text, width) in enumerate(zip(row[:5], widths, strict=True))
        ).rstrip()
        + (f"  {row[5]}" if row[5] else "")
        for row in cells
    ]


def number(value: float) -> str:
    """Three significant digits, whole thousands in full."""
    if not math.isfinite(value):
        return "never" if value > 0 else "?"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def percentile(samples: Sequence[float], pct: float) -> float:
    """Nearest rank: the smallest sample that ``pct`` per cent of all do not exceed. NaN without samples.

    Of fewer than 1000 samples the 99.9th is the largest: never better than what was seen.
    """
    if not samples:
        return math.nan
    ordered = sorted(samples)
    # Rounded first: 99.9 / 100 * 1000 is 999.0000000000001 in binary.
    rank = max(1, math.ceil(round(pct / 100 * len(ordered), 6)))
    return ordered[rank - 1]


def median(samples: Sequence[float]) -> float:
    return percentile(samples, 50)


def ratio(one: float, other: float) -> float:
    """``one`` over ``other``; NaN when there is nothing to compare with."""
    return one / other if other > 0 else math.nan
