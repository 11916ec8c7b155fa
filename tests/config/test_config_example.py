"""``config.example.yaml``: loads with the real drivers, and leaves no option out."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.config import check, load
from agent.config.document import Items, Node, Table, read
from agent.config.findings import Report
from agent.config.schema import Config, ConnectorType, Device
from hal import registry

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
REAL_LOAD = registry.load


@pytest.fixture(autouse=True)
def _real_drivers(_own_drivers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "load", REAL_LOAD)


def root() -> Table:
    table = read(EXAMPLE, Report(str(EXAMPLE)))
    assert table is not None
    return table


def test_it_is_good_and_realistic() -> None:
    assert check(EXAMPLE) == []
    config = load(EXAMPLE)
    assert [evse.connector for evse in config.evses] == [ConnectorType.SOCKET, ConnectorType.CABLE]
    assert sorted(device.driver for device in config.devices.values()) == [
        "mcu-board",
        "mcu-board",
        "modbus-meter",
        "serial-reader",
    ]
    assert config.readers == ("rfid",)
    assert config.control == type(config.control)(), "an example that departs from a default must say so here"


def test_it_names_every_option_that_there_is() -> None:
    missing = sorted(set(_missing(root(), Config, "")))
    assert missing == []


def test_every_option_of_the_schema_says_what_it_is() -> None:
    for cls in _sections(Config):
        for field in dataclasses.fields(cls):
            assert field.metadata["rule"].help, f"{cls.__name__}.{field.name}"


def test_the_ranges_in_the_comments_are_the_rules() -> None:
    ranges = []
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        found = re.match(r" +(?:- )?(\w+): .*#.*\(([\d.]+) to ([\d.]+)\)", line)
        if found:
            ranges.append((found[1], (float(found[2]), float(found[3]))))
    assert len(ranges) > 15
    rules: dict[str, list[tuple[float | None, float | None]]] = {}
    for cls in [*_sections(Config), *(cls for name in registry.BUILT_IN for cls in _sections(_options(name)))]:
        for field in dataclasses.fields(cls):
            rule = field.metadata["rule"]
            rules.setdefault(field.name, []).append((rule.ge, rule.le))
    for name, span in ranges:
        # A priority of 0 has its own words in the comment.
        assert span in rules[name] or (0, span[1]) in rules[name], name


def _options(driver: str) -> type:
    return registry.load(driver).options


def _sections(cls: type) -> Iterator[type]:
    yield cls
    for hint in typing.get_type_hints(cls).values():
        for part in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(part) and isinstance(part, type) and part is not Device:
                yield from _sections(part)


def _missing(node: Node, cls: type, key: str) -> Iterator[str]:
    """Options of ``cls`` that no line below ``node`` gives. One complete entry of a list or mapping is enough."""
    assert isinstance(node, Table), key
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        own = f"{key}.{field.name}"
        entry = node.entries.get(field.name)
        if entry is None:
            yield own
        elif hints[field.name] == Mapping[str, Device]:
            assert isinstance(entry.value, Table)
            for driver in {device.driver for device in load(EXAMPLE).devices.values()}:
                yield from _fewest(_devices(entry.value, driver), _options(driver), f"devices.<{driver}>")
        elif dataclasses.is_dataclass(hints[field.name]):
            yield from _missing(entry.value, typing.cast(Any, hints[field.name]), own)
        elif isinstance(entry.value, Items):
            inner = [part for part in typing.get_args(hints[field.name]) if dataclasses.is_dataclass(part)]
            if inner:
                yield from _fewest(entry.value.items, typing.cast(Any, inner[0]), own)


def _devices(table: Table, driver: str) -> list[Node]:
    return [
        entry.value
        for entry in table.entries.values()
        if isinstance(entry.value, Table) and entry.value.entries["driver"].value.text == driver  # type: ignore[union-attr]
    ]


def _fewest(nodes: list[Node], cls: type, key: str) -> list[str]:
    assert nodes, f"{key} does not occur"
    return min((list(_missing(node, cls, key)) for node in nodes), key=len)
