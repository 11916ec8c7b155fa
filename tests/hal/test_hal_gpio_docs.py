"""The configuration on the pages of the pin drivers is one that ``check-config`` accepts."""

from __future__ import annotations

import re
from pathlib import Path

from agent.config.loader import check

PAGES = Path(__file__).parents[2] / "docs" / "hardware"
REST = """
station: {vendor: V, model: M, serial_number: S}
installation: {max_current_a: 16}
evses: []
"""
EVSE = """
station: {vendor: V, model: M, serial_number: S}
installation: {max_current_a: 16}
ocpp: {url: "ws://127.0.0.1:1/", identity: X}
evses:
  - id: 1
    connector: socket
    board: cp
    contactor: pins.k1
    lock: pins.bolt
    residual_current: pins.rcm
    emergency_stop: pins.stop
    enclosure: pins.box
    button: pins.button
    indicator: pins.light
    meter: pins.s0
    reader: pins.cards
    max_current_a: 16
"""


def _example(name: str) -> str:
    found = re.search(r"```yaml\n(.*?)```", (PAGES / f"{name}.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


def test_the_examples_of_both_pages_make_an_evse(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(_example("gpio") + _example("linux-pilot").removeprefix("devices:\n") + EVSE, encoding="utf-8")
    assert [str(finding) for finding in check(path)] == []


def test_a_line_that_is_written_wrongly_is_told_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("devices:\n  p:\n    driver: gpio\n    buttons:\n      b: {line: '17'}\n" + REST, encoding="utf-8")
    found = [str(finding) for finding in check(path) if "devices." in str(finding)]
    assert len(found) == 1
    assert "config.yaml:5" in found[0]
    assert "chip:line" in found[0]
