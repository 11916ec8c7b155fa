"""The kit against every kind of the lab: each device that the kind brings, on the wire it brings."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from conformance_peers import TABLES

from agent.config.document import Table, parse
from agent.config.findings import Report as Findings
from agent.config.reader import Reader
from hal import registry
from hal.conformance.kit import examine
from hal.conformance.peer_process import ProcessPeer
from hal.conformance.subject import Subject
from hal.conformance.wires import Trick, interpose
from hal.ports import PortKind

HERE = Path(__file__).parent
NEEDS: dict[str, tuple[Trick, ...]] = {
    "absent-node": (Trick.UNPLUG,),
    "before-known": (Trick.RECORD, Trick.ISOLATE),
    "two-owners": (Trick.OWN,),
    "repeats": (Trick.RECORD,),
    "garbage": (Trick.GARBAGE,),
    "unplug": (Trick.UNPLUG,),
    "silence": (Trick.SILENCE,),
    "stale": (Trick.SILENCE,),
}
"""What a check needs of the wire."""
KINDS = [(table, name) for table, names in TABLES.items() for name in sorted(names)]


def options_of(entry: dict[str, Any]) -> Any:
    """Read an entry of ``devices:`` as the agent does."""
    findings = Findings("the kind's devices()")
    node = parse(yaml.safe_dump(entry), findings)
    assert isinstance(node, Table)
    driver = registry.load(entry["driver"])
    options = Reader(findings, Path("/"), {}).section(node, driver.options, "device", 1, ignore=("driver",))
    assert not findings.sorted(), findings.sorted()
    return options


def not_asked(driver: str, options: Any, kinds: frozenset[PortKind]) -> set[str]:
    """What cannot be asked of a device with these ports on this wire."""
    with tempfile.TemporaryDirectory() as directory:
        wire = interpose(options, Path(directory))
        wire.close()
    assert wire.tricks, f"{driver}: {wire.label}"
    missing = {check for check, tricks in NEEDS.items() if not wire.tricks >= set(tricks)}
    if not kinds & {PortKind.CONTROL_PILOT, PortKind.CONTACTOR}:
        missing |= {"start-safe", "before-known", "opens"}
    if not kinds & {PortKind.CONTROL_PILOT, PortKind.CONTACTOR, PortKind.INDICATOR}:
        missing |= {"repeats"}
    if not kinds - {PortKind.TOKEN_READER, PortKind.BUTTON, PortKind.INDICATOR}:
        missing |= {"stale"}
    return missing


QUIET_READERS = {"hid", "rdm6300", "ascii"}
"""Readers that speak only when a card is there: their silence is no news."""


@pytest.mark.process
@pytest.mark.kinds
@pytest.mark.parametrize(("table", "name"), KINDS)
def test_conform(table: str, name: str) -> None:
    with ProcessPeer("conformance_peers:LabKind", table, name, path=(HERE,)) as peer:
        devices, references = peer.options["devices"], peer.options["references"]
        assert devices
        for device, entry in devices.items():
            driver = registry.load(entry["driver"])
            options = options_of(entry)
            closes = references.get("contactor", device).partition(".")[0] == device
            report = examine(Subject(device, driver, options, peer, may_close=closes))
            assert report.passed, report.text()
            kinds = frozenset[PortKind]().union(*driver.units(options).values())
            expected = set() if closes else {"opens"}
            expected |= not_asked(driver.name, options, kinds) | ({"silence"} if name in QUIET_READERS else set())
            assert set(report.not_applicable) == expected, report.text()


def test_every_table_is_asked() -> None:
    assert {table for table, _ in KINDS} == {"boards", "meters", "readers"}
    assert {("boards", "yeti"), ("boards", "tida"), ("meters", "eastron"), ("readers", "pn532")} <= set(KINDS)
