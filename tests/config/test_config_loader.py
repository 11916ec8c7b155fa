"""A good file is read as written; each broken one gives its exact findings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.config import ConfigError, check, document, load
from agent.config.schema import ConnectorType, SelfTestPolicy

HEAD = """\
station: {vendor: Nord, model: X, serial_number: N-1}
installation: {max_current_a: 32}
"""
GOOD = (
    HEAD
    + """\
devices:
  b1: {driver: board, port: /dev/ttyS1}
  b2: {driver: board, port: /dev/ttyS2}
  rs485:
    driver: line
    port: /dev/ttyS3
    meters:
      one: {address: 1}
      two: {address: 2, map: other}
  rfid: {driver: reader, port: /dev/ttyS4}
evses:
  - {id: 1, board: b1, meter: rs485.one}
  - {id: 2, board: b2, meter: rs485.two, connector: cable}
readers: [rfid]
"""
)
ONE = (
    HEAD
    + """\
devices:
  b1: {driver: board, port: /dev/ttyS1}
evses:
  - {id: 1, board: b1}
"""
)

COMPOSED = (
    HEAD
    + """\
devices:
  io: {driver: pins, port: /dev/ttyS1}
  more: {driver: pins, port: /dev/ttyS2}
  b1: {driver: board, port: /dev/ttyS3}
evses:
  - {id: 1, board: io.pilot, contactor: io.relay, lock: b1, emergency_stop: io.stop, temperatures: [io.warm, more.warm]}
  - {id: 2, board: more.relay, pilot: more.pilot, emergency_stop: io.stop, temperatures: [io.warm]}
"""
)

Findings = Callable[[str], list[str]]


def test_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)
    config = load(path)
    assert config.station.vendor == "Nord"
    assert [evse.id for evse in config.evses] == [1, 2]
    assert config.evses[1].connector is ConnectorType.CABLE
    assert config.devices["rs485"].driver == "line"
    assert config.devices["rs485"].line == 6
    assert config.devices["rs485"].options.meters["two"].address == 2
    assert config.devices["rs485"].options.retry_s == (1.0, 2.0)
    assert config.readers == ("rfid",)
    assert isinstance(config.devices, MappingProxyType)
    assert config.control.lease_s == 60.0


def test_an_evse_is_composed_of_several_devices(tmp_path: Path, findings: Findings) -> None:
    assert findings(COMPOSED) == [], "inputs may serve several, and a device is used whatever names it"
    (tmp_path / "config.yaml").write_text(COMPOSED)
    evse = load(tmp_path / "config.yaml").evses[0]
    assert (evse.contactor, evse.lock, evse.pilot) == ("io.relay", "b1", "")
    assert evse.temperatures == ("io.warm", "more.warm")


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("", SelfTestPolicy.DAILY),
        (", residual_current_profile: us", SelfTestPolicy.EACH_CLOSE),
        (", residual_self_test: each_close", SelfTestPolicy.EACH_CLOSE),
        (", residual_current_profile: us, residual_self_test: daily", SelfTestPolicy.DAILY),
    ],
)
def test_the_self_test_goes_by_the_profile_unless_it_is_given(
    tmp_path: Path, written: str, policy: SelfTestPolicy
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD.replace("{max_current_a: 32}", f"{{max_current_a: 32{written}}}"))
    assert load(path).installation.self_test_policy is policy


def test_without_drivers_no_port_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)
    code = (
        "import sys; from agent.config import load; load(sys.argv[1], drivers=False); "
        "print([name for name in sys.modules if name.startswith('hal')])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "['hal', 'hal.options']\n"


def test_without_drivers_nothing_of_hal_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD.replace("driver: board", "driver: not-installed-here"))
    config = load(path, drivers=False)
    assert config.devices["b1"].driver == "not-installed-here"
    assert config.devices["b1"].options is None
    path.write_text(GOOD.replace("meter: rs485.one", "meter: rs458.one"))
    with pytest.raises(ConfigError, match=r"no device is named 'rs458'; did you mean 'rs485'"):
        load(path, drivers=False)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("NO", "NO"),
        ("22:30", "22:30"),
        ("010", "010"),
        ("on", "on"),
        ("1.10", "1.10"),
        ("2024-01-01", "2024-01-01"),
        ("'quoted # text'", "quoted # text"),
        ("Ærø", "Ærø"),
    ],
)
def test_a_text_is_taken_as_written(tmp_path: Path, written: str, read: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD.replace("vendor: Nord", f"vendor: {written}"), encoding="utf-8")
    assert load(path).station.vendor == read


def test_settings_keep_every_scalar_as_written(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(ONE + "ocpp:\n  settings: {HeartbeatInterval: 0300, LocalPreAuthorize: true, Zone: ''}\n")
    assert dict(load(path).ocpp.settings) == {"HeartbeatInterval": "0300", "LocalPreAuthorize": "true", "Zone": ""}


def test_a_relative_path_begins_at_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(ONE + "paths: {state_dir: state}\nocpp: {ca_file: }\n")
    config = load(path)
    assert config.paths.state_dir == tmp_path / "state"
    assert config.paths.runtime_dir == Path("/run/evse-agent")
    assert config.ocpp.ca_file is None


def test_a_byte_order_mark_and_foreign_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + ONE.replace("\n", "\r\n").encode())
    assert load(path).evses[0].board == "b1"


def _with(old: str, new: str, text: str = GOOD) -> str:
    assert old in text
    return text.replace(old, new, 1)


BROKEN: dict[str, tuple[str, list[str]]] = {
    "several errors at once": (
        _with("id: 2,", "id: 2, max_current_a: 5, phses: 3,", _with("vendor: Nord", "vendor: ", GOOD)),
        [
            "config.yaml:1: station.vendor: has no value; write '' for an empty text",
            "config.yaml:15: evses[1].max_current_a: 5 A is below 6 A; give 6 to 80 A",
            "config.yaml:15: evses[1].phses: is not a known option; did you mean 'phases'?",
        ],
    ),
    "unknown section": (
        ONE + "instalation: {}\n",
        ["config.yaml:7: instalation: is not a known option; did you mean 'installation'?"],
    ),
    "unknown key like no other": (
        ONE + "logging: {zzz: 1}\n",
        ["config.yaml:7: logging.zzz: is not a known option; known here: level"],
    ),
    "missing key": (
        _with("model: X, ", "", ONE),
        ["config.yaml:1: station.model: is missing; give model of the charge point, at most 20 characters"],
    ),
    "missing section": (
        _with("installation: {max_current_a: 32}\n", "", ONE),
        ["config.yaml:1: installation: is missing; give the supply"],
    ),
    "section without its lines": (
        _with("installation: {max_current_a: 32}", "installation:", ONE),
        ["config.yaml:2: installation.max_current_a: is missing; give what the feed may carry in all, per phase"],
    ),
    "number with its unit": (
        _with("max_current_a: 32", "max_current_a: 32A", ONE),
        ["config.yaml:2: installation.max_current_a: '32A' is not a number in A, written without its unit"],
    ),
    "quoted number": (
        _with("max_current_a: 32", "max_current_a: '32'", ONE),
        [
            "config.yaml:2: installation.max_current_a: '32' is not a number in A, written without its unit; "
            "remove the quotes"
        ],
    ),
    "leading zero": (
        _with("max_current_a: 32", "max_current_a: 032", ONE),
        [
            "config.yaml:2: installation.max_current_a: '032' is not a number in A, written without its unit; "
            "a leading zero is ambiguous, leave it out"
        ],
    ),
    "sexagesimal": (
        ONE + "control: {lease_s: 1:30}\n",
        ["config.yaml:7: control.lease_s: '1:30' is not a number in s, written without its unit"],
    ),
    "not finite": (
        ONE + "control: {lease_s: .inf}\n",
        ["config.yaml:7: control.lease_s: '.inf' is not a number in s, written without its unit"],
    ),
    "yes is no truth value": (
        ONE + "authorisation:\n  free_vend: yes\n",
        ["config.yaml:8: authorisation.free_vend: 'yes' is not true or false; write true or false"],
    ),
    "whole number": (
        ONE + "control: {realtime_priority: 1.5}\n",
        ["config.yaml:7: control.realtime_priority: '1.5' is not a whole number"],
    ),
    "endless number": (
        ONE + f"control: {{realtime_priority: {'9' * 5000}}}\n",
        [
            f"config.yaml:7: control.realtime_priority: '{'9' * 37}...' is not a whole number; it has too many digits",
        ],
    ),
    "above the range": (
        ONE + "control: {fail_safe_s: 1e6}\n",
        ["config.yaml:7: control.fail_safe_s: 1000000 s is above 86400 s; give 0 to 86400 s"],
    ),
    "own check": (
        ONE + "control: {fail_safe_current_a: 3}\n",
        ["config.yaml:7: control.fail_safe_current_a: use 0 for no charge, or at least 6 (no pilot exists below 6 A)"],
    ),
    "choice": (
        ONE + "logging: {level: inof}\n",
        ["config.yaml:7: logging.level: 'inof' is not one of debug, info, warning, error; did you mean 'info'?"],
    ),
    "numeric choice": (
        _with("max_current_a: 32", "max_current_a: 32, phases: 2", ONE),
        ["config.yaml:2: installation.phases: '2' is not one of 1, 3"],
    ),
    "enum": (
        _with("connector: cable", "connector: cabel"),
        ["config.yaml:15: evses[1].connector: 'cabel' is not one of socket, cable; did you mean 'cable'?"],
    ),
    "list for a value": (
        _with("vendor: Nord", "vendor: [Nord]", ONE),
        ["config.yaml:1: station.vendor: must be a text; a list stands here"],
    ),
    "value for a section": (
        _with("{max_current_a: 32}", "32", ONE),
        ["config.yaml:2: installation: must be a section of 'key: value' lines; a single value stands here"],
    ),
    "value for a list": (
        ONE + "readers: rfid\n",
        ["config.yaml:7: readers: must be a list (lines that begin with '- '); a single value stands here"],
    ),
    "list for a mapping": (
        ONE + "ocpp:\n  settings: [a]\n",
        ["config.yaml:8: ocpp.settings: must be a section of 'name: value' lines; a list stands here"],
    ),
    "nested setting": (
        ONE + "ocpp:\n  settings:\n    Key: {a: 1}\n",
        ["config.yaml:9: ocpp.settings.Key: must be a text; a section stands here"],
    ),
    "duplicate key": (
        ONE + "logging: {level: info}\nlogging: {level: debug}\n",
        ["config.yaml:8: logging: stands here again after line 7; keep one of the two"],
    ),
    "secret stays hidden": (
        ONE + "ocpp:\n  password: [hunter2]\n  url: http://x\n",
        [
            "config.yaml:8: ocpp.password: must be a text; a list stands here",
            "config.yaml:9: ocpp.url: must begin with ws:// or wss://",
        ],
    ),
    "device without driver": (
        _with("driver: reader, ", "", GOOD),
        ["config.yaml:12: devices.rfid.driver: is missing; give one of board, controller, line, pins, reader"],
    ),
    "device that is no section": (
        _with("{driver: reader, port: /dev/ttyS4}", "reader", GOOD),
        ["config.yaml:12: devices.rfid: must be a section with 'driver:' and that driver's options"],
    ),
    "driver that is a list": (
        _with("driver: reader", "driver: [reader]", GOOD),
        ["config.yaml:12: devices.rfid.driver: must be the name of a driver: board, controller, line, pins, reader"],
    ),
    "unknown driver": (
        _with("driver: reader", "driver: raeder", GOOD),
        [
            "config.yaml:12: devices.rfid.driver: no driver named 'raeder'; installed are: board, controller, line, "
            "pins, reader"
        ],
    ),
    "driver without its library": (
        _with("driver: reader", "driver: needs-more", GOOD),
        [
            "config.yaml:12: devices.rfid.driver: driver 'needs-more' cannot be imported: "
            "No module named 'missing_library'; install what it needs"
        ],
    ),
    "driver's own option": (
        _with("two: {address: 2", "two: {address: 248"),
        ["config.yaml:11: devices.rs485.meters.two.address: 248 is above 247; give 1 to 247"],
    ),
    "driver's unknown option": (
        _with("driver: reader,", "driver: reader, prot: x,"),
        ["config.yaml:12: devices.rfid.prot: is not a known option; did you mean 'port'?"],
    ),
    "driver's rule across its options": (
        _with("two: {address: 2", "two: {address: 1"),
        ["config.yaml:6: devices.rs485: two meters share an address; give each its own"],
    ),
    "driver that cannot tell its units": (
        _with("ttyS3", "broken"),
        [
            "config.yaml:6: devices.rs485: broken is no line; give a node under /dev",
        ],
    ),
    "entry of a list": (
        _with("port: /dev/ttyS3", "port: /dev/ttyS3\n    retry_s: [1, 0.1, x]"),
        [
            "config.yaml:9: devices.rs485.retry_s[1]: 0.1 s is below 0.5 s; give 0.5 s or more",
            "config.yaml:9: devices.rs485.retry_s[2]: 'x' is not a number in s, written without its unit",
        ],
    ),
    "two devices on one port": (
        _with("/dev/ttyS2", "/dev/../dev/ttyS1"),
        [
            "config.yaml:5: devices.b2.port: two devices claim one serial port: /dev/../dev/ttyS1 belongs to 'b1' "
            "already as /dev/ttyS1 (line 4); give each device its own"
        ],
    ),
    "two devices with one bus address": (
        _with("ttyS2", "ttyS2, name: n", _with("ttyS1", "ttyS1, name: n")),
        [
            "config.yaml:5: devices.b2.name: two devices claim one bus address: n belongs to 'b1' already (line 4); "
            "give each device its own"
        ],
    ),
    "device name with a dot": (
        ONE.replace("b1", "b.1"),
        [
            "config.yaml:4: devices.b.1: is no name for a device; use up to 40 letters, digits, '-' and '_'",
            "config.yaml:6: evses[0].board: no device is named 'b'; there are: b.1",
        ],
    ),
    "no such device": (
        _with("board: b2", "board: b3"),
        [
            "config.yaml:5: devices.b2: is used by no EVSE and no reader; name it there, or remove it",
            "config.yaml:15: evses[1].board: no device is named 'b3'; there are: b1, b2, rs485, rfid",
        ],
    ),
    "a device of the wrong kind": (
        _with("board: b2", "board: rfid", _with("readers: [rfid]", "readers: [b2]")),
        [
            "config.yaml:15: evses[1].board: 'rfid' has no contactor, control pilot; these have: b1, b2",
            "config.yaml:16: readers[0]: 'b2' has no token reader; these have: rfid",
        ],
    ),
    "no contactor anywhere": (
        _with("contactor: io.relay, ", "", COMPOSED),
        [
            "config.yaml:8: evses[0].board: 'io.pilot' has no contactor; these have: b1",
        ],
    ),
    "a port of the wrong kind": (
        _with("emergency_stop: io.stop", "emergency_stop: b1", COMPOSED),
        [
            "config.yaml:8: evses[0].emergency_stop: 'b1' has no emergency stop; these have: io.stop, more.stop",
        ],
    ),
    "a sensor of the wrong kind": (
        _with("[io.warm]", "[io.warm, b1, gone]", COMPOSED),
        [
            "config.yaml:9: evses[1].temperatures[1]: 'b1' has no temperature sensor; these have: io.warm, more.warm",
            "config.yaml:9: evses[1].temperatures[2]: no device is named 'gone'; there are: io, more, b1",
        ],
    ),
    "one contactor for two": (
        _with("contactor: io.relay", "contactor: more.relay", COMPOSED),
        [
            "config.yaml:9: evses[1].board: 'more.relay' serves evses[0].contactor already (line 8); "
            "one unit serves one EVSE"
        ],
    ),
    "a contactor beside a controller": (
        _with("driver: board, port: /dev/ttyS1", "driver: controller, port: /dev/ttyS1", GOOD)
        .replace("board: b1,", "board: b1, contactor: b2,")
        .replace("  - {id: 2, board: b2, meter: rs485.two, connector: cable}\n", ""),
        ["config.yaml:14: evses[0].contactor: 'b1' runs pilot and contactor by itself; leave contactor to it"],
    ),
    "a pilot beside a controller": (
        _with("driver: board, port: /dev/ttyS1", "driver: controller, port: /dev/ttyS1", GOOD)
        .replace("board: b1,", "board: b1, pilot: b2,")
        .replace("  - {id: 2, board: b2, meter: rs485.two, connector: cable}\n", ""),
        ["config.yaml:14: evses[0].pilot: 'b1' runs pilot and contactor by itself; leave pilot to it"],
    ),
    "no device of the kind": (
        _with("board: b1}", "board: b1, meter: b1}", ONE),
        ["config.yaml:6: evses[0].meter: 'b1' has no power meter; no device here has"],
    ),
    "a device of several units": (
        _with("rs485.two", "rs485"),
        ["config.yaml:15: evses[1].meter: 'rs485' has several units; write rs485.one, rs485.two"],
    ),
    "no such unit": (
        _with("rs485.two", "rs485.tow"),
        [
            "config.yaml:15: evses[1].meter: 'rs485' has no unit 'tow', its units are one, two; "
            "write rs485.one, rs485.two"
        ],
    ),
    "a unit where there is none": (
        _with("board: b2", "board: b2.x"),
        [
            "config.yaml:15: evses[1].board: 'b2' has no unit 'x', it has no units to choose from; write b2",
        ],
    ),
    "one meter for two": (
        _with("rs485.two", "rs485.one"),
        [
            "config.yaml:15: evses[1].meter: 'rs485.one' serves evses[0].meter already (line 14); "
            "one unit serves one EVSE"
        ],
    ),
    "one reader for one and for all": (
        _with("board: b2", "board: b2, reader: rfid"),
        ["config.yaml:16: readers[0]: 'rfid' serves evses[1].reader already (line 15); one unit serves one EVSE"],
    ),
    "no outlet": (
        _with("evses:\n  - {id: 1, board: b1}\n", "evses: []\n", ONE),
        [
            "config.yaml:4: devices.b1: is used by no EVSE and no reader; name it there, or remove it",
            "config.yaml:5: evses: names no outlet; give at least one",
        ],
    ),
    "same number twice": (
        _with("id: 2", "id: 1"),
        ["config.yaml:15: evses[1].id: 1 is taken on line 14; number the EVSEs 1, 2, 3 …"],
    ),
    "a gap in the numbers": (
        _with("id: 2", "id: 3"),
        ["config.yaml:15: evses[1].id: 3 leaves a gap; number the 2 EVSEs from 1 without gaps"],
    ),
    "more phases than the feed": (
        _with("max_current_a: 32", "max_current_a: 32, phases: 1", ONE),
        ["config.yaml:6: evses[0].phases: 3 phases do not fit installation.phases 1; write 'phases: 1' here"],
    ),
    "a grid meter without its limit": (
        _with("{max_current_a: 32}", "{max_current_a: 32, grid_meter: rs485.two}", GOOD).replace(
            "meter: rs485.two, connector", "connector"
        ),
        [
            "config.yaml:2: installation.grid_max_current_a: is missing beside grid_meter; give what the building's "
            "supply may carry, per phase"
        ],
    ),
    "a grid limit without its meter": (
        _with("{max_current_a: 32}", "{max_current_a: 32, grid_max_current_a: 63}", GOOD),
        [
            "config.yaml:2: installation.grid_max_current_a: has no grid_meter that measures; name it, or remove this "
            "line"
        ],
    ),
    "a fallback above the supply": (
        _with(
            "{max_current_a: 32}",
            "{max_current_a: 32, grid_meter: rs485.two, grid_max_current_a: 40, grid_fallback_current_a: 50}",
            GOOD,
        ).replace("meter: rs485.two, connector", "connector"),
        [
            "config.yaml:2: installation.grid_fallback_current_a: 50 A is above grid_max_current_a 40 A; give less",
        ],
    ),
    "a fallback that is no pilot": (
        _with("{max_current_a: 32}", "{max_current_a: 32, grid_fallback_current_a: 3}", GOOD),
        [
            "config.yaml:2: installation.grid_fallback_current_a: use 0 for no charge, or at least 6 "
            "(no pilot exists below 6 A)",
        ],
    ),
    "the building's meter for an outlet": (
        _with("{max_current_a: 32}", "{max_current_a: 32, grid_meter: rs485.two, grid_max_current_a: 40}", GOOD),
        [
            "config.yaml:2: installation.grid_meter: 'rs485.two' serves evses[1].meter already (line 15); "
            "one unit serves one EVSE"
        ],
    ),
    "a grid meter that is none": (
        _with("{max_current_a: 32}", "{max_current_a: 32, grid_meter: rfid, grid_max_current_a: 40}", GOOD),
        ["config.yaml:2: installation.grid_meter: 'rfid' has no power meter; these have: rs485.one, rs485.two"],
    ),
    "temperatures out of order": (
        ONE + "control:\n  temperature:\n    derate_c: 80\n    pause_c: 70\n    open_c: 70\n",
        [
            "config.yaml:10: control.temperature.pause_c: derate_c 80 °C must be below pause_c 70 °C; "
            "derating comes first, then the pause, then opening",
            "config.yaml:11: control.temperature.open_c: pause_c 70 °C must be below open_c 70 °C; "
            "derating comes first, then the pause, then opening",
        ],
    ),
    "identity": (
        ONE + "ocpp: {identity: 'a:b/c'}\n",
        [
            "config.yaml:7: ocpp.identity: 'a:b/c' cannot be an identity; use letters, digits and "
            "* - _ = + | @ . only, at most 48 of them"
        ],
    ),
    "serial number as identity": (
        _with("N-1", "N 1", ONE) + "ocpp: {url: ws://x}\n",
        [
            "config.yaml:1: station.serial_number: 'N 1' cannot serve as the identity; give ocpp.identity "
            "(letters, digits and * - _ = + | @ . only, at most 48 of them)"
        ],
    ),
    "socket path": (
        ONE + f"paths: {{runtime_dir: /{'r' * 100}}}\n",
        ["config.yaml:7: paths.runtime_dir: is 7 bytes too long for a socket in it; choose a shorter path"],
    ),
    "an error does not hide those elsewhere": (
        _with("board: b1,", "board: b9,", _with("id: 2", "id: x", GOOD)),
        [
            "config.yaml:4: devices.b1: is used by no EVSE and no reader; name it there, or remove it",
            "config.yaml:14: evses[0].board: no device is named 'b9'; there are: b1, b2, rs485, rfid",
            "config.yaml:15: evses[1].id: 'x' is not a whole number",
        ],
    ),
    "empty": ("", ["config.yaml: is empty; begin from config.example.yaml"]),
    "comments alone": ("# nothing\n", ["config.yaml: is empty; begin from config.example.yaml"]),
    "a text": (
        "hello\n",
        ["config.yaml:1: must hold 'key: value' lines at the top level, as config.example.yaml does"],
    ),
    "a list": (
        "\n- a\n",
        ["config.yaml:2: must hold 'key: value' lines at the top level, as config.example.yaml does"],
    ),
    "anchor": (
        ONE + "control: &c {lease_s: 60}\n",
        ["config.yaml:7: control: anchor &c is not supported; write the value out where it is needed"],
    ),
    "alias bomb": (
        "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a, *a]\n" for n in range(50)),
        ["config.yaml:1: a: anchor &a is not supported; write the value out where it is needed"],
    ),
    "merge key": (
        ONE + "control:\n  <<: {lease_s: 60}\n",
        ["config.yaml:8: control: merge key '<<' is not supported; repeat the keys"],
    ),
    "tag": (
        ONE + "control: !!python/object/apply:os.system [x]\n",
        [
            "config.yaml:7: control: tag 'tag:yaml.org,2002:python/object/apply...' is not supported; "
            "write the value alone"
        ],
    ),
    "two documents": (ONE + "---\n" + ONE, ["config.yaml:7: a second document begins here; keep one"]),
    "complex key": (
        "? [a, b]\n: 1\n",
        ["config.yaml:1: a list or section stands where a key is expected; write 'key: value'"],
    ),
    "deep nesting": (
        "a: " + "[" * 5000 + "]" * 5000,
        ["config.yaml:1: a" + "[0]" * 19 + ": is nested more than 20 deep; no section goes that deep"],
    ),
}


@pytest.mark.parametrize("parser", ["CBaseLoader", "BaseLoader"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_gives_exact_findings(
    findings: Findings, monkeypatch: pytest.MonkeyPatch, case: str, parser: str
) -> None:
    monkeypatch.setattr(
        document, "_LOADER", getattr(yaml, parser, yaml.BaseLoader)
    )  # PyYAML has no parser in C everywhere
    text, expected = BROKEN[case]
    assert findings(text) == expected


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        (ONE + "control: {lease_s: 60\n", 8, "is not YAML: "),
        (ONE + "control:\n\tlease_s: 60\n", 8, "indent with spaces, not tabs"),
        (ONE + "control: *c\n", 7, "alias *c is not supported"),
        (ONE + "vendor: 'x\n", 8, "while scanning a quoted scalar (begun on line 7)"),
        (ONE + "a\x07b: 1\n", 7, "character U+0007 may not stand in the file; remove it"),
        ("x: [" + "a," * 30_000 + "]", 1, "holds more than 20000 values"),
    ],
)
def test_what_is_not_yaml(findings: Findings, text: str, line: int, part: str) -> None:
    found = findings(text)
    assert len(found) == 1
    assert found[0].startswith(f"config.yaml:{line}:")
    assert part in found[0]


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("", ""),
        ("ws://127.0.0.1:9000", ""),
        ("wss://csms.example.net/ocpp/1.6", ""),
        ("ws://[::1]:9000/a", ""),
        ("ws://[::1]", ""),
        ("http://x", "must begin with ws:// or wss://"),
        ("csms.example.net", "must begin with ws:// or wss://"),
        ("ws://", "names no host"),
        ("ws://:9000/", "names no host"),
        ("ws:///path", "names no host"),
        ("ws://h:0", "'0' is no port"),
        ("ws://h:65536", "'65536' is no port"),
        ("ws://h:99999999999999", "is no port"),
        ("ws://h:a/", "'a' is no port"),
        ("ws://u:p@h/", "give ocpp.password"),
        ("ws://h/a b", "must not hold blanks"),
        ("ws://h/a?b=1", "must not hold blanks"),
        ("ws://hé/", "outside ASCII"),
    ],
)
def test_the_address_of_the_network(findings: Findings, url: str, part: str) -> None:
    found = findings(ONE + f"ocpp: {{url: '{url}'}}\n")
    assert len(found) == (1 if part else 0)
    assert part in "".join(found)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(ONE.encode() + b"x: \xff\xfe\n")
    assert [str(f) for f in check(path)] == [f"{path}:7: byte 0xff is not UTF-8 text; save the file as UTF-8"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    def message(path: Path | str) -> str:
        (finding,) = check(path)
        assert finding.line == 0
        return finding.message

    assert message(tmp_path / "none.yaml").startswith("does not exist; ")
    assert message(tmp_path) == "is a directory; give the path of the file in it"
    assert message("a\0b").startswith("cannot be read: ")
    big = tmp_path / "big.yaml"
    big.write_bytes(b"#" * 300_000)
    assert message(big) == "is larger than 256 KiB; this is no configuration file"
    locked = tmp_path / "locked.yaml"
    locked.write_text(ONE)
    locked.chmod(0)
    if os.geteuid() != 0:  # root reads everything
        assert message(locked).startswith("may not be read by this user; ")


def test_settings_are_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(ONE + "ocpp:\n  settings:\n    Known: 1\n    Odd: 2\n")
    asked: list[tuple[str, str]] = []

    def ask(name: str, value: str) -> str:
        asked.append((name, value))
        return "" if name == "Known" else "is not a key; remove it"

    assert [(f.line, f.key, f.message) for f in check(path, ask)] == [
        (10, "ocpp.settings.Odd", "is not a key; remove it")
    ]
    assert asked == [("Known", "1"), ("Odd", "2")]
    with pytest.raises(ConfigError):
        load(path, ask)


def test_the_error_prints_all_findings(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(ONE + "a: 1\nb: 2\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert len(caught.value.findings) == 2
    assert str(caught.value) == "\n".join(map(str, caught.value.findings))


LINES = sorted({line for text, _ in BROKEN.values() for line in text.splitlines() if len(line) < 200})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 4), st.sampled_from("{}[]:,-&*!| \n'0a")), max_size=4)
)
def test_small_damage_never_crashes(tmp_path: Path, damage: list[tuple[int, int, str]]) -> None:
    text = GOOD
    for at, cut, put in damage:
        text = text[:at] + put + text[at + cut :]
    path = tmp_path / "config.yaml"
    path.write_text(text)
    found = check(path)
    assert found or load(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(
    st.one_of(
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.binary(max_size=100),
        st.lists(st.sampled_from(LINES), max_size=12).map(lambda lines: "\n".join(lines).encode()),
        st.lists(st.sampled_from("{}[]:,-?&*!|>'\"%@`#~ \nab1\t<"), max_size=60).map(lambda c: "".join(c).encode()),
    )
)
@example(b"a: !<!> b")
@example(b"%YAML 9.9\n---\na: 1\n")
@example(b"%TAG ! tag:x\n--- !x\na: 1")
@example(b"? \n: \n? ''\n: ")
def test_arbitrary_bytes_give_findings_and_nothing_else(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(raw)
    found = check(path)
    assert found  # none of these describes a charge point
    assert all("\n" not in str(finding) for finding in found)
    with pytest.raises(ConfigError):
        load(path)
