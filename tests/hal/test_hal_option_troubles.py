"""Options of one driver that are good each by itself and impossible together: told when the file is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import check

HEAD = """\
station: {vendor: Nord, model: X, serial_number: N-1}
installation: {max_current_a: 32}
devices:
  b1: {driver: mcu-board, port: /dev/ttyS1}
  m1:
    driver: MORE
evses:
  - {id: 1, board: b1METER}
"""
METER = "modbus-meter\n    meters: [{name: a, address: 1, map: sdm630}]"
USES = ", meter: m1.a"
ONLY_NAMED = "gpio\n    contactors: {k1: {coil: 'gpiochip0:4'}}"


@pytest.mark.parametrize(
    ("driver", "uses", "findings"),
    [
        (f"{METER}\n    port: /dev/ttyS2", USES, []),
        (
            f"{METER}\n    port: /dev/ttyS2\n    host: 10.0.0.2",
            USES,
            ["config.yaml:8: devices.m1.port: give either 'port' (a serial line) or 'host' (Modbus TCP)"],
        ),
        (METER, USES, ["config.yaml:5: devices.m1: give either 'port' (a serial line) or 'host' (Modbus TCP)"]),
        ("modbus-meter\n    port: /dev/ttyS2", "", ["config.yaml:5: devices.m1: name at least one meter"]),
        (
            "modbus-controller\n    model: simple-evse\n    port: /dev/ttyS2\n    host: 10.0.0.2",
            "",
            ["config.yaml:9: devices.m1.host: model simple-evse hangs on a serial line; take 'host' out"],
        ),
        (
            ONLY_NAMED,
            ", contactor: m1",
            ["config.yaml:9: evses[0].contactor: 'm1' has a unit with a name; write m1.k1"],
        ),
        (
            "gpio\n    watchdogs: {w: {line: 'gpiochip0:4'}}",
            ", contactor: m1",
            ["config.yaml:9: evses[0].contactor: 'm1' has no units; write another device"],
        ),
    ],
)
def test_findings(tmp_path: Path, driver: str, uses: str, findings: list[str]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(HEAD.replace("MORE", driver).replace("METER}", f"{uses}}}"), encoding="utf-8")
    told = [str(finding).replace(f"{tmp_path}/", "") for finding in check(path)]
    assert [each for each in told if "is not used" not in each] == findings
