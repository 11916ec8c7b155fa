"""``docs/device-model.md``, written from the device model itself: components, variables, hard-wired monitors.

``python -m agent.joints.device_page`` prints it. A test compares it with what is in ``docs``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from agent.device_model.monitors import Kind, Monitor
from agent.device_model.variables import AttributeType, Characteristics, Component, Entry, Mutability

HEAD = """# The device model

Written from the code by `python -m agent.joints.device_page`; do not edit.

What OCPP 2.0.1 and 2.1 see of this charge point: components, each with variables. The network reads and sets them
(`GetVariables`, `SetVariables`), has them reported (`GetBaseReport`, `GetReport`) and watched
(`SetVariableMonitoring`). OCPP 1.6's configuration keys are views on the same settings.

This page shows a charge point with one socket, a meter, a card reader and a meter of the building. What a charge point
has not (a lock at a fixed cable, say) is not there. A component of an EVSE is there once for each.

- **RO** may be read, **RW** also set, **WO** only set. What is set is kept over restarts and updates.
- A measured value is there while it stands: a meter that is silent for 5 s has none.
- *(not monitored)*: takes no monitors.

A setting (`agent/station/settings/`) is a variable by its own name; live values are declared in `agent/device_model/`.
"""

EVENTS = """## Hard-wired monitors

They cannot be changed or cleared; those marked *happening* are no monitors at all but told as they come
(`HardWiredNotification`). Each tells when its variable changes (type Delta): `true` when the trouble comes, with the
ChargeX code (`techCode`) and the words of the fault (`techInfo`), `false` when it is over. Severity 0 is the gravest.

Events of `MonitoringCtrlr.OfflineQueuingSeverity` and graver ones are on the disk before they are told, and wait for
the network, at most 1000 of them. Less grave monitors are not compared while the network is away; the first look
afterwards tells what is different then. Values are looked at when something has happened, at most four times a second.
"""

_ACCESS = {Mutability.READ_ONLY: "RO", Mutability.READ_WRITE: "RW", Mutability.WRITE_ONLY: "WO"}


def page(entries: Iterable[Entry], monitors: Iterable[Monitor]) -> str:
    """Return the whole page. ``entries``: of a charge point with one EVSE."""
    by_component: dict[Component, list[Entry]] = {}
    for entry in entries:
        by_component.setdefault(entry.component, []).append(entry)
    parts = [HEAD]
    for title, wanted in (
        ("The charge point", lambda of: not of.evse and not of.name.endswith("Ctrlr")),
        ("Each EVSE", lambda of: of.evse > 0),
        ("Controllers", lambda of: not of.evse and of.name.endswith("Ctrlr")),
    ):
        parts.append(f"## {title}\n")
        chosen = sorted(filter(wanted, by_component), key=lambda of: (of.connector, of))
        parts += ["\n".join(_component(component, by_component[component])) for component in chosen]
    parts += [EVENTS, "\n".join(_monitors(monitors))]
    return "\n".join(parts).rstrip() + "\n"


def _component(component: Component, entries: Sequence[Entry]) -> Iterator[str]:
    instance = f"[{component.instance}]" if component.instance else ""
    yield f"### {component.name}{instance}{' (of the connector)' if component.connector else ''}\n"
    yield "| Variable | | Holds | |"
    yield "|---|---|---|---|"
    for entry in sorted(entries, key=lambda each: each.variable):
        access = _ACCESS[entry.actual.mutability]
        also = "; Target: RO" if entry.attribute(AttributeType.TARGET) is not None else ""
        yield f"| `{entry.variable}` | {access}{also} | {_holds(entry.characteristics)} | {entry.help} |"
    yield ""


def _holds(what: Characteristics) -> str:
    told = what.data_type.value
    if what.unit:
        told += f", {what.unit}"
    if what.choices:
        told += ": " + ", ".join(what.choices)
    if what.minimum is not None or what.maximum is not None:
        low = "" if what.minimum is None else f"{what.minimum:g}"
        high = "" if what.maximum is None else f"{what.maximum:.10g}"
        told += f", {low} to {high}" if low and high else f", from {low}" if low else f", up to {high}"
    return told + ("" if what.monitored else " *(not monitored)*")


def _monitors(monitors: Iterable[Monitor]) -> Iterator[str]:
    yield "| Variable | Severity |"
    yield "|---|---|"
    wired = [monitor for monitor in monitors if monitor.kind in (Kind.HARD_WIRED, Kind.NOTIFICATION)]
    for monitor in sorted(wired, key=lambda each: (each.severity, each.component, each.variable)):
        instance = f"[{monitor.component.instance}]" if monitor.component.instance else ""
        place = " of each EVSE" if monitor.component.evse else ""
        happening = ", *happening*" if monitor.kind is Kind.NOTIFICATION else ""
        yield f"| `{monitor.component.name}{instance}.{monitor.variable}`{place}{happening} | {monitor.severity} |"
