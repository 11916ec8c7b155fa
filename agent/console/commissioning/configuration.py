"""From answers to a configuration file: what the region adds, what is kept, and what is wrong with the whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from agent import config
from agent.config.document import Entry, Items, Node, Scalar, Table, parse
from agent.config.findings import Finding, Report
from agent.console.commissioning.answers import OWN, SECTIONS, Answers, merged, place, plain, scalar

SECRET = frozenset({"password"})
HEAD = "# Written by 'commission'. Every option is explained in config.example.yaml.\n"


def configuration(answers: Answers, present: Table | None) -> Table:
    """Lay what the region decides, then the answers, over the present configuration (``present``)."""
    told = Table(0, {name: entry for name, entry in answers.tree.entries.items() if name not in OWN})
    made = merged(present or Table(0), _of_region(answers, present))
    made = merged(made, told)
    rotation = answers.rotation()
    if rotation:
        text = ",".join(f"{number}.{rotation[number]}" for number in sorted(rotation))
        setting = plain({"ocpp": {"settings": {"ConnectorPhaseRotation": text}}})
        assert isinstance(setting, Table)
        made = merged(made, setting)
    order = {name: index for index, name in enumerate(SECTIONS)}
    ranked = sorted(made.entries.items(), key=lambda each: order.get(each[0], len(order)))
    return Table(0, dict(ranked))


def _of_region(answers: Answers, present: Table | None) -> Table:
    region = answers.region
    if region is None:
        return Table(0)
    installation: dict[str, object] = {
        "residual_current_profile": region.residual_current_profile,
        "monitor_open_pen": region.open_pen,
    }
    if len(region.mains) == 1:
        installation["nominal_voltage_v"] = region.mains[0]
    made: dict[str, object] = {"installation": installation}
    kept = Answers(present or Table(0)).text("station.time_zone")
    if region.time_zone and not kept and _knows(region.time_zone):
        made["station"] = {"time_zone": region.time_zone}
    table = plain(made)
    assert isinstance(table, Table)
    return table


def _knows(zone: str) -> bool:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(zone)
    except (OSError, ValueError, KeyError):
        return False
    return True


def parsed(text: str, name: str) -> tuple[Table | None, list[Finding]]:
    report = Report(name)
    return parse(text, report), report.sorted()


def same(one: Node | None, other: Node | None) -> bool:
    """Whether two say the same, wherever it stands and however it is laid out."""
    if isinstance(one, Scalar) and isinstance(other, Scalar):
        return (one.text, one.empty) == (other.text, other.empty)
    if isinstance(one, Items) and isinstance(other, Items):
        return len(one.items) == len(other.items) and all(map(same, one.items, other.items))
    if isinstance(one, Table) and isinstance(other, Table):
        return one.entries.keys() == other.entries.keys() and all(
            same(entry.value, other.entries[name].value) for name, entry in one.entries.items()
        )
    return False


def written(table: Table) -> str:
    """Return the configuration as text."""
    text = yaml.serialize(_yaml(table), Dumper=yaml.BaseDumper, width=1000, allow_unicode=True)
    return HEAD + str(text)


def _yaml(node: Node) -> yaml.Node:
    tag = "tag:yaml.org,2002:"
    if isinstance(node, Scalar):
        return yaml.ScalarNode(f"{tag}str", node.text, style="'" if node.quoted else None)
    if isinstance(node, Items):
        flow = all(isinstance(each, Scalar) for each in node.items)
        return yaml.SequenceNode(f"{tag}seq", [_yaml(each) for each in node.items], flow_style=flow)
    pairs = [(_yaml(scalar(name)), _yaml(entry.value)) for name, entry in node.entries.items()]
    return yaml.MappingNode(f"{tag}map", pairs, flow_style=not pairs)


def masked(table: Table) -> Table:
    """The same without its secrets."""

    def hidden(node: Node, name: str = "") -> Node:
        if isinstance(node, Table):
            return Table(0, {key: Entry(0, hidden(entry.value, key)) for key, entry in node.entries.items()})
        if isinstance(node, Items):
            return Items(0, [hidden(each) for each in node.items])
        return Scalar("***", True, 0) if name in SECRET and not node.empty and node.text else node

    result = hidden(table)
    assert isinstance(result, Table)
    return result


def wrong(text: str, path: Path, answers: Answers) -> list[Finding]:
    """Hold the whole configuration against every rule. Each finding names the answer that it comes from.

    Relative file paths count from where the configuration will stand.
    """
    with _beside(path, text) as draft:
        findings = config.check(draft)
    return [_placed(each, answers) for each in findings]


def _placed(finding: Finding, answers: Answers) -> Finding:
    at = place(answers, finding.key)
    if at is not None:
        return Finding(at[0], at[1], finding.key, finding.message)
    source = "present configuration" if finding.key else "configuration"
    return Finding(source, 0, finding.key, finding.message)


@contextlib.contextmanager
def _beside(path: Path, text: str) -> Iterator[Path]:
    """A file to be checked: in the same folder, so that relative paths lead where they will; else wherever we may."""
    folder = path.parent if os.access(path.parent, os.W_OK) else None
    handle, name = tempfile.mkstemp(".yaml", ".commission-", folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        yield Path(name)
    finally:
        Path(name).unlink()


def listed(findings: Iterable[Finding]) -> list[str]:
    return [str(each) for each in findings]
