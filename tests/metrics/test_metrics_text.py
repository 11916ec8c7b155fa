"""The text, read back by the reference client's own parser; the docs and the dashboard name what exists."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from agent.control.lateness import BOUNDS_MS
from agent.link.messages import LoopReport
from agent.metrics.families import BOUNDS_S, Books, Counts, Process, families
from agent.metrics.text import Family, Kind, Sample, histogram, render
from agent.metrics.uptime import Cause, Ledger

ROOT = Path(__file__).parents[2]
MAY = 1_777_593_600.0


def status() -> Any:
    evse = {
        "id": 1,
        "status": "Charging",
        "available": True,
        "offered_a": 16.0,
        "power_w": 11_000.0,
        "energy_wh": 12_345.6,
        "temperature_c": 41.5,
        "faults": [{"code": "meter"}],
    }
    second = {**evse, "id": 2, "status": "Faulted", "power_w": None, "energy_wh": None, "faults": []}
    return {
        "station": {"identity": 'CP"1\\', "vendor": "Nord", "model": "two\nlines", "version": "1.0"},
        "uplink": {"state": "accepted"},
        "control": {"connected": True},
        "clock": {"synced": True},
        "evses": [evse, second],
    }


def everything() -> list[Family]:
    ledger = Ledger()
    for at, cause in ((MAY, Cause.FAULT), (MAY + 3600, None)):
        ledger.now(at, at, cause)
    counts = Counts(
        {(1, "meter"): 3},
        1,
        {1: 4, 2: 0},
        {1: 3, 2: 0},
        {"board1": True},
        LoopReport(1.0, (5, 4, 3, 0, 0, 0, 0, 0, 0, 0, 1), 0.25, 0.11, (1,) * 11, 0.5, 0.2, 20_000_000, 8192),
    )
    return families(
        status(), counts, Process(30_000_000, 4096, 12.5), Books(2, 1, 30.0, 65_536, 10**9, 7, False), {1: ledger}
    )


def test_another_program_reads_it() -> None:
    found = {family.name: family for family in text_string_to_metric_families(render(everything()))}
    assert len(found) == len(everything())
    one = found["evse_agent_info"].samples[0]
    assert one.labels == {"identity": 'CP"1\\', "vendor": "Nord", "model": "two\nlines", "version": "1.0"}
    late = {s.labels.get("le", s.name): s.value for s in found["evse_loop_lateness_seconds"].samples}
    assert (late["0.0001"], late["0.1"], late["+Inf"]) == (5, 12, 13)
    assert late["evse_loop_lateness_seconds_sum"] == 0.25
    assert {s.labels["evse"]: s.value for s in found["evse_power_watts"].samples} == {"1": 11_000.0}
    assert found["evse_control_resident_bytes"].samples[0].value == 20_000_000
    assert found["evse_control_written_bytes"].samples[0].value == 8192
    outage = found["evse_outage_minutes"].samples[0]
    assert (outage.labels, outage.value) == ({"evse": "1", "month": "2026-05", "cause": "fault"}, 60.0)


def test_nothing_is_told_of_what_is_not_known() -> None:
    told = families(status(), Counts(), Process(None, None, 1.0), Books(0, 0, None, 0, None, 1, False), {})
    names = {family.name for family in told}
    assert not names & {"evse_agent_pss_bytes", "evse_loop_lateness_seconds", "evse_state_free_bytes"}
    assert not list(text_string_to_metric_families(render([]).strip()))


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=20)), st.floats())
def test_any_label_and_any_value(labels: dict[str, str], value: float) -> None:
    text = render([Family("m", Kind.GAUGE, "help\nof it", [Sample(value, labels)])])
    (family,) = text_string_to_metric_families(text)
    (sample,) = family.samples
    assert sample.labels == labels
    assert sample.value == value or (math.isnan(sample.value) and math.isnan(value))


def test_the_buckets_are_those_of_control() -> None:
    assert tuple(bound / 1000.0 for bound in BOUNDS_MS) == BOUNDS_S
    assert histogram("h", "", BOUNDS_S, [0] * 11, 0.0).samples[-1].value == 0


def test_every_metric_is_documented_and_nothing_else() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    documented = set(re.findall(r"^\| `(evse_\w+)`", page, re.MULTILINE))
    assert documented == {family.name for family in everything()}


def test_the_dashboard_asks_for_what_exists() -> None:
    dashboard = json.loads((ROOT / "docs" / "examples" / "grafana-dashboard.json").read_text("utf-8"))
    known = set()
    for family in everything():
        parts = ("_bucket", "_sum", "_count") if family.kind is Kind.HISTOGRAM else ("",)
        known |= {family.name + part for part in parts}
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(queries) >= 12
    for query in queries:
        asked = set(re.findall(r"\bevse_\w+", query))
        assert asked, query
        assert asked <= known, query
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
