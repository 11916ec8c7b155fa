"""The arrows of docs/architecture.md: which room may import which, read from the source."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Room → the first-party prefixes it may import. A room may always import itself.
ALLOWED: dict[str, tuple[str, ...]] = {
    "hal": (),
    "agent/config": ("hal", "agent.durable"),
    "agent/link": ("agent.__version__",),
    "agent/control": ("hal", "agent.link", "agent.config", "agent.__version__", "agent.notify", "agent.logs"),
    "agent/journal": ("agent.durable",),
    "agent/station": (
        "agent.link.messages",
        "agent.link.signing",
        "agent.journal.events",
        "agent.config",
        "agent.clock",
    ),
    "agent/device_model": (
        "agent.station",
        "agent.link.messages",
        "agent.journal.events",
        "agent.config.schema",
        "agent.clock",
        "agent.__version__",
    ),
    "agent/security": ("agent.config.schema", "agent.durable"),
    "agent/files": ("agent.clock", "agent.config.schema", "agent.durable"),
    "agent/update": ("agent.files", "agent.clock", "agent.config.schema", "agent.security.certificates"),
    "agent/metrics": ("agent.link.messages", "agent.local.status"),
    "agent/slots": ("agent.config.schema", "agent.update.verify"),
    "agent/ocpp": (
        "agent.station",
        "agent.device_model",
        "agent.journal",
        "agent.security",
        "agent.files",
        "agent.update",
        "agent.clock",
        "agent.config",
        "agent.__version__",
    ),
    "agent/local": (
        "agent.link.messages",
        "agent.station",
        "agent.journal",
        "agent.ocpp.ports",
        "agent.clock",
        "agent.config",
        "agent.durable",
        "agent.__version__",
    ),
    "agent/console": (
        "agent.local.client",
        "agent.local.place",
        "agent.local.roles",
        "agent.local.screen",
        "agent.config",
        "agent.durable",
        "agent.__version__",
    ),
    # simulators/charger.py runs the product's processes and asks them over their own local API.
    "simulators": ("hal.drivers", "hal.gpio", "hal.values", "agent.config", "agent.local.client"),
}

CLOCKS = {("time", "time"), ("time", "monotonic"), ("datetime", "now"), ("datetime", "utcnow")}

PURE = (
    "agent/station",
    "agent/device_model",
    "agent/control/evse.py",
    "agent/control/faults.py",
    "agent/control/limits.py",
    "agent/control/pilot.py",
    "agent/ocpp/rpc.py",
    "hal/values.py",
)

CONTROL_THIRD_PARTY = {"yaml", "serial"}
# What serves programs other than control, and is never loaded by it.
BESIDE_CONTROL = {"hal/gpio/factory.py": {"gpiozero"}, "hal/gpio/factory_spi.py": {"gpiozero"}}
BESIDE_CONTROL["hal/conformance/plugin.py"] = {"pytest"}
BESIDE_CONTROL["hal/can/compile.py"] = {"cantools"}
BESIDE_CONTROL["hal/can/python_can_link.py"] = {"can"}  # by control too, once such a bus is opened


def sources(place: str) -> list[Path]:
    path = ROOT / place
    return [path] if path.suffix == ".py" else sorted(path.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Names a module imports, ``from a.b import c`` as ``a.b.c``."""
    found: set[str] = set()
    package = ".".join(path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base]).rstrip(".")
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_room_imports_only_what_the_plan_allows(room: str) -> None:
    own = room.replace("/", ".")
    assert sources(room)
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources(room)
        for name in sorted(imports(path))
        if any(within(name, top) for top in ("agent", "hal", "simulators"))
        and not any(within(name, prefix) for prefix in (own, *ALLOWED[room]))
    ]
    assert wrong == []


@pytest.mark.parametrize("place", PURE)
def test_pure_cores_have_no_clock(place: str) -> None:
    assert sources(place)
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(place)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and (node.func.value.id, node.func.attr) in CLOCKS
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ["hal", "agent/link", "agent/control", "agent/config"])
def test_what_control_loads_imports_no_other_third_party_package(room: str) -> None:
    known = {"agent", "hal", "simulators", *CONTROL_THIRD_PARTY, *sys.stdlib_module_names}
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources(room)
        for name in imports(path)
        if name.split(".")[0] not in known | BESIDE_CONTROL.get(path.relative_to(ROOT).as_posix(), set())
    ]
    assert wrong == []
