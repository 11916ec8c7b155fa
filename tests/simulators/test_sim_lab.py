"""A whole lab in a process of its own: ptys, real drivers on them, and every word of the command line."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.config import loader
from hal import registry
from hal.ports import Device
from hal.values import Cable, PilotState, SelfTest
from simulators.cli import main
from simulators.lab import CommandRefusedError, Lab, LabControl
from simulators.lab.faults import KNOWN_FAULTS, PHYSICS, WIRES
from simulators.lab.kinds import BOARDS, METERS, READERS
from simulators.vehicle.cars import CARS
from simulators.vehicle.characters import CHARACTERS

pytestmark = pytest.mark.process
PATIENCE_S = 20.0


class Host:
    """Turns the real drivers of a lab's configuration in real time, as control does."""

    def __init__(self, config_path: Path, *names: str) -> None:
        self.config = loader.load(config_path)
        self.devices: dict[str, Device] = {}
        for name in names:
            entry = self.config.devices[name]
            self.devices[name] = registry.load(entry.driver).create(name, entry.options)
        for device in self.devices.values():
            device.start(time.monotonic())

    def unit(self, device: str, unit: str = "") -> Any:
        return self.devices[device].unit(unit)

    def turn(self) -> None:
        now = time.monotonic()
        wake = min(device.on_timer(now) for device in self.devices.values())
        fds = {fd: device for device in self.devices.values() if (fd := device.fileno()) is not None}
        for fd in select.select(list(fds), [], [], min(max(wake - now, 0.0), 0.05))[0]:
            fds[fd].on_readable(time.monotonic())

    def until(self, condition: Callable[[], Any], keep: Callable[[], None] = lambda: None) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not (result := condition()):
            assert time.monotonic() < deadline, "waited in vain"
            self.turn()
            keep()
        return result

    def close(self) -> None:
        for device in self.devices.values():
            device.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    settings = {"control.lease_s": 20}
    with Lab(tmp_path_factory.mktemp("yeti"), evses=2, energy_factor=3, settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def tida_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("tida"), board="tida", energy_factor=3) as running:
        yield running


@pytest.fixture
def host(lab: Lab) -> Iterator[Host]:
    yield from hosted(lab)


@pytest.fixture
def tida_host(tida_lab: Lab) -> Iterator[Host]:
    yield from hosted(tida_lab)


def hosted(lab: Lab) -> Iterator[Host]:
    host = Host(lab.config_path, "board1", "meters")
    yield host
    host.close()
    state = lab.control.evse(1)
    for fault in state["faults"]:
        lab.control.fault(1, fault, False)
    if state["plugged"]:
        lab.control.unplug(1)


def evse_sim(*words: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-m", "simulators", *words], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


def test_config_is_good_and_holds_what_was_set(lab: Lab) -> None:
    assert loader.check(lab.config_path) == []
    config = loader.load(lab.config_path)
    assert len(config.evses) == 2
    assert config.control.lease_s == 20


@pytest.mark.parametrize("variant", ["yeti", "tida"])
def test_a_charge_by_the_real_drivers_agrees_to_the_wh(variant: str, request: pytest.FixtureRequest) -> None:
    prefix = "" if variant == "yeti" else "tida_"
    control: LabControl = request.getfixturevalue(prefix + "lab").control
    host: Host = request.getfixturevalue(prefix + "host")
    board, meter = host.unit("board1"), host.unit("meters", "m1")
    host.until(lambda: board.verified and meter.meter() is not None)
    before_wh = control.evse(1)["meter"]["register_wh"]
    control.plug(1, "renault-zoe-r135")

    def offer() -> None:
        board.set_pilot(53.33, time.monotonic())
        board.set_contactor(True, time.monotonic())

    host.until(lambda: board.pilot() is not None and board.pilot().state is PilotState.C, offer)
    host.until(lambda: board.contactor() is not None and board.contactor().closed, offer)
    host.until(lambda: control.evse(1)["energy_wh"] > 15.0, offer)
    state = control.unplug(1)
    assert not state["plugged"]
    host.until(lambda: not board.contactor().closed)
    after = control.evse(1)
    assert after["meter"]["register_wh"] - before_wh == int(after["energy_wh"] + 1e-3)
    host.until(lambda: round(meter.meter().energy_import_wh) == after["meter"]["register_wh"])
    events = control.log(1)
    pulled = max(entry["mono_s"] for entry in events if entry["event"] == "unplugged")
    opened = max(entry["mono_s"] for entry in events if entry["event"] == "contacts_opened")
    assert 0.0 < opened - pulled < 2.0  # its 100 ms are proved in virtual time
    noted = [entry for entry in control.log(1, opened, source="meter") if entry["event"] == "register"]
    assert noted[0]["register_wh"] == after["meter"]["register_wh"]


def test_self_test_through_the_real_driver(tida_lab: Lab, tida_host: Host) -> None:
    board = tida_host.unit("board1")

    def result() -> SelfTest:
        return board.residual_current().self_test if board.residual_current() else SelfTest.NOT_RUN

    tida_host.until(lambda: board.verified)
    board.start_self_test(time.monotonic())
    tida_host.until(lambda: result() is SelfTest.PASSED)
    tida_lab.control.fault(1, "rcd-self-test")
    board.start_self_test(time.monotonic())
    tida_host.until(lambda: result() is SelfTest.FAILED)


def test_keep_alive_silence_opens_by_the_board_itself(lab: Lab, host: Host) -> None:
    control = lab.control
    board = host.unit("board1")
    host.until(lambda: board.verified)
    control.plug(1)

    def offer() -> None:
        board.set_pilot(20.0, time.monotonic())
        board.set_contactor(True, time.monotonic())

    host.until(lambda: board.contactor() is not None and board.contactor().closed, offer)
    since = control.state()["mono_s"]
    state = control.wait_for(lambda evse: not evse["contactor"]["closed"])  # the host has stopped turning
    assert state["contactor"]["opened_because"] == "host silent"
    assert "host_silent" in [entry["event"] for entry in control.log(1, since=since)]


def test_board_unplugged_and_back(lab: Lab, host: Host) -> None:
    board = host.unit("board1")
    host.until(lambda: board.verified)
    lab.control.fault(1, "board-unplugged")
    host.until(lambda: not host.devices["board1"].health(time.monotonic()).ok)
    assert not (lab.directory / "board1").exists()
    lab.control.fault(1, "board-unplugged", False)
    host.until(lambda: board.verified and host.devices["board1"].health(time.monotonic()).ok)


def test_every_fault_switches_on_and_off(lab: Lab) -> None:
    control = lab.control
    listed = {fault["name"]: fault["once"] for fault in control.faults()}
    assert {*PHYSICS, *WIRES, "welded", "meter-crc", "reader-half-frames"} <= set(listed)
    for name, once in listed.items():
        assert (name in control.fault(2, name)["faults"]) is not once
        assert control.fault(2, name, False)["faults"] == []
    assert {"board2", "meters", "reader"} <= {path.name for path in lab.directory.iterdir()}


def test_proximity_faults_show_on_the_wire(lab: Lab, host: Host) -> None:
    board = host.unit("board1")
    host.until(lambda: board.verified)
    lab.control.plug(1, cable=32)
    host.until(lambda: board.proximity() is not None and board.proximity().cable is Cable.A32)
    for name, cable in (("pp-changed", Cable.A13), ("pp-open", Cable.NONE), ("pp-short", Cable.FAULT)):
        lab.control.fault(1, name)
        host.until(lambda cable=cable: board.proximity().cable is cable)
        lab.control.fault(1, name, False)


def test_vehicle_words_act(lab: Lab) -> None:
    control = lab.control
    control.plug(2, "tesla-model-3-lr+slow-s2", cable=20, battery=50)
    try:
        assert control.vehicle(2, "current", 9)["vehicle"]["current_limit_a"] == 9
        assert control.vehicle(2, "phases", 1)["vehicle"]["phases_limit"] == 1
        assert control.vehicle(2, "pause")["vehicle"]["wish"] == "pause"
        assert control.vehicle(2, "not-ready")["vehicle"]["wish"] == "not-ready"
        assert control.vehicle(2, "resume")["vehicle"]["wish"] == "charge"
        assert control.vehicle(2, "battery", 100)["vehicle"]["full"]
        state = control.vehicle(2, "character", "sleepy")
        assert (state["vehicle"]["car"], state["vehicle"]["character"]) == ("tesla-model-3-lr", "sleepy")
        assert state["cable_a"] == 20
    finally:
        control.unplug(2)


def test_power_off_takes_everything_down_and_on_brings_it_back(lab: Lab) -> None:
    control = lab.control
    control.plug(2)
    try:
        resets = control.evse(2)["board"]["resets"]
        control.power(False)
        state = control.evse(2)
        assert (state["board"]["running"], state["pilot"]["high_v"]) == (False, 0.0)
        with pytest.raises(CommandRefusedError, match="no power"):
            control.tap("DEADBEEF")
        control.power(True)
        control.wait_for(lambda evse: evse["board"]["running"] and evse["board"]["resets"] == resets + 1, evse=2)
    finally:
        control.power(True)
        control.unplug(2)


def test_tap_reaches_the_real_reader_driver(lab: Lab) -> None:
    host = Host(lab.config_path, "reader")
    try:
        host.until(lambda: host.devices["reader"].health(time.monotonic()).ok)
        lab.control.tap("04A1B2C3D4E5F6", hold_s=3)
        tokens = host.until(host.unit("reader").take_tokens)
        assert tokens[0].uid == "04A1B2C3D4E5F6"
    finally:
        host.close()


def test_the_command_line_speaks_every_word(lab: Lab) -> None:
    directory = str(lab.directory)

    def ctl(*words: str) -> Any:
        status, out, err = evse_sim("ctl", "--dir", directory, *words, "--json")
        assert status == 0, err
        return json.loads(out)

    assert ctl("plug", "2", "--vehicle", "nissan-leaf-40", "--cable", "32", "--battery", "30")["plugged"]
    assert ctl("vehicle", "2", "current", "8")["vehicle"]["current_limit_a"] == 8
    assert ctl("tap", "DEADBEEF", "--evse", "2")["token"] == "DEADBEEF"
    assert ctl("fault", "2", "welded", "on")["faults"] == ["welded"]
    assert ctl("fault", "2", "welded", "off")["faults"] == []
    assert ctl("meter", "2", "set-energy", "777")["meter"]["register_wh"] == 777
    assert ctl("meter", "2", "freeze")["meter"]["frozen"]
    assert not ctl("meter", "2", "unfreeze")["meter"]["frozen"]
    assert ctl("meter", "2", "fail")["meter"]["silent"]
    assert not ctl("meter", "2", "recover")["meter"]["silent"]
    ctl("meter", "2", "noise", "0.0")
    assert ctl("power", "on") == {"powered": True}
    assert next(entry["event"] for entry in ctl("log", "2")) == "reset"
    assert len(ctl("vehicles")["cars"]) > 12
    assert ctl("state")["evses"][1]["plugged"]
    assert not ctl("unplug", "2")["plugged"]


def test_answers_in_words_without_json(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    directory = str(lab.directory)
    for words in (["fault", "list"], ["vehicles"], ["power", "on"], ["tap", "DEADBEEF"], ["log", "1"]):
        assert main(["ctl", "--dir", directory, *words]) == 0
        assert capsys.readouterr().out.strip()
    assert main(["ctl", "--dir", directory, "plug", "2"]) == 0
    assert "generic (normal)" in capsys.readouterr().out
    assert main(["ctl", "--dir", directory, "unplug", "2"]) == 0
    assert "no vehicle" in capsys.readouterr().out
    assert main(["ctl", "--dir", directory, "state"]) == 0
    assert json.loads(capsys.readouterr().out)["powered"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["plug", "9"], "there is no EVSE 9"),
        (["plug", "1", "--vehicle", "tricycle"], "neither a car nor a character"),
        (["plug", "1", "--cable", "17"], "no rating"),
        (["plug", "1", "--battery", "130"], "outside 0 … 100"),
        (["unplug", "2"], "no vehicle is plugged in"),
        (["vehicle", "2", "ready"], "no vehicle is plugged in"),
        (["tap", "CAFE"], "hex digits"),
        (["tap", "lemonade"], "hex digits"),
        (["fault", "1", "gremlin", "on"], "unknown at EVSE 1; it knows board-deaf"),
        (["faults", "9"], "there is no EVSE 9"),
        (["fault", "1"], "EVSE NAME on|off"),
        (["meter", "1", "paint"], "none of set-energy"),
        (["meter", "1", "set-energy"], "a number is needed"),
        (["meter", "1", "noise", "7"], "outside 0 … 1"),
        (["meter", "1", "set-energy", "nan"], "a number is needed"),
    ],
)
def test_refusals_say_why_and_exit_2(
    lab: Lab, words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ctl", "--dir", str(lab.directory), *words]) == 2
    assert reason in capsys.readouterr().err


def test_vehicle_word_with_a_bad_value(lab: Lab) -> None:
    lab.control.plug(2)
    try:
        for action, value in (("current", "much"), ("phases", 4), ("character", "kind"), ("fly", None)):
            with pytest.raises(CommandRefusedError):
                lab.control.vehicle(2, action, value)
    finally:
        lab.control.unplug(2)


def test_the_socket_answers_nonsense_with_an_error(lab: Lab) -> None:
    with pytest.raises(CommandRefusedError, match="unknown command"):
        lab.control.request("dance")
    with pytest.raises(CommandRefusedError, match="on: true or false"):
        lab.control.request("power", on="maybe")


def test_no_lab_and_two_labs(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ctl", "--dir", str(tmp_path), "state"]) == 2
    assert "no lab answers" in capsys.readouterr().err
    status, _, err = evse_sim("lab", "--dir", str(lab.directory))
    assert status == 2
    assert "a lab is running there already" in err
    assert lab.control.state()["powered"]  # unharmed


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--evses", "0"], "outside 1 … 16"),
        (["--max-current", "5"], "outside 6 … 80"),
        (["--energy-factor", "0"], "outside 0 … 10000"),
        (["--csms", "http://x"], "ws://"),
        (["--set", "nothing"], "PATH=VALUE"),
        (["--board", "yeti", "--board", "abacus"], "board: 'abacus' is none of "),
        (["--board", "yeti", "--board", "tida", "--evses", "3"], "2 kinds for 3 place"),
        (["--board", "yeti:colour=red"], "no setting 'colour'; it has: none"),
        (["--board", "yeti:red"], "no setting; write name=value"),
        (["--board", "colour=red"], "a setting without a kind"),
        (["--board", ""], "leaves out a kind"),
        (["--meter", "eastron:map=sundial"], "map: 'sundial' is none of "),
        (["--meter", "board", "--board", "tida"], "does not measure by itself"),
        (["--meter", "sundial"], "'sundial' is none of"),
        (["--meter", "eastron", "--meter-map", "sdm120"], "--meter eastron:map=MAP"),
        (["--reader", "nose"], "reader: 'nose' is none of "),
        (["--set", "evses.7.id=1"], "no place in a list"),
        (["--set", "station.vendor.name=1"], "plain value"),
    ],
)
def test_a_lab_that_cannot_be_is_refused(
    tmp_path: Path, words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", "--dir", str(tmp_path / "lab"), *words]) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "lab").exists()


def test_lab_with_other_hardware_forgets_no_register_and_stops_cleanly(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "reader": "rdm6300",
        "readers_per_evse": True,
        "connector": "cable",
        "meter_map": "sdm120",
        "phases": 1,
    }
    with Lab(tmp_path, evses=2, **options) as lab:
        lab.control.meter(2, "set-energy", 4711)
        assert lab.control.tap("010F4D2A3B", evse=2)["reader"] == "reader2"
        data = yaml.safe_load(lab.config_path.read_text())
        assert [evse["reader"] for evse in data["evses"]] == ["reader1", "reader2"]
        assert loader.check(lab.config_path) == []
        host = Host(lab.config_path, "reader1", "meters")
        try:
            host.until(lambda: host.unit("meters", "m2").meter() is not None)
            assert host.unit("meters", "m2").meter().energy_import_wh == 4711.0
            lab.control.tap("010F4D2A3B", evse=1, hold_s=2)
            assert len(host.until(host.unit("reader1").take_tokens)) == 1
        finally:
            host.close()
    assert not (tmp_path / "board1").is_symlink()
    assert not (tmp_path / "ctl.sock").exists()
    with Lab(tmp_path, evses=2, **options) as lab:
        assert lab.control.evse(2)["meter"]["register_wh"] == 4711


def test_kinds_are_chosen_for_each_evse(tmp_path: Path) -> None:
    with Lab(tmp_path, board=["yeti", "tida"], meter=["board", "eastron:map=sdm120"], reader="none") as lab:
        assert loader.check(lab.config_path) == []
        data = yaml.safe_load(lab.config_path.read_text())
        assert [evse["meter"] for evse in data["evses"]] == ["board1", "meters2.m2"]
        assert data["devices"]["board2"]["variant"] == "tida"
        assert data["devices"]["meters2"]["meters"] == [{"name": "m2", "address": 2, "map": "sdm120"}]
        assert [evse["board"]["kind"] for evse in lab.control.state()["evses"]] == ["yeti", "tida"]
        with pytest.raises(CommandRefusedError, match="no reader"):
            lab.control.tap("DEADBEEF")
        with pytest.raises(CommandRefusedError, match=r"no meter with a wire \(board\)"):
            lab.control.meter(1, "fail")
        here, there = ({fault["name"] for fault in lab.control.faults(evse)} for evse in (1, 2))
        assert there - here == {name for name in there if name.startswith("meter") and name != "meter-freeze"}
        found = {fault["name"]: fault["evses"] for fault in lab.control.faults()}
        assert (found["welded"], found["meter-crc"], found["meter-freeze"]) == ([1, 2], [2], [1, 2])
        host = Host(lab.config_path, "board1", "meters2")
        try:
            host.until(
                lambda: host.unit("board1").meter() is not None and host.unit("meters2", "m2").meter() is not None
            )
            assert host.unit("board1").meter().energy_import_wh == lab.control.evse(1)["meter"]["register_wh"]
        finally:
            host.close()


def test_a_lab_without_a_meter_counts_for_itself(tmp_path: Path) -> None:
    with Lab(tmp_path, meter="none") as lab:
        assert "meter" not in yaml.safe_load(lab.config_path.read_text())["evses"][0]
        assert lab.control.meter(1, "set-energy", 815)["meter"]["register_wh"] == 815
        assert loader.check(lab.config_path) == []


def test_the_kinds_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = {line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "}
    assert listed == {*BOARDS, *METERS, *READERS, "board", "none"}
    assert max(map(len, lines)) <= 100
    assert main(["lab", "--list", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"board", "meter", "reader"}


def test_a_directory_may_lie_deep(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with Lab(deep) as lab:
        assert lab.control.state()["powered"]


def test_lab_ends_with_its_standard_input(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "simulators", "lab", "--dir", str(tmp_path), "--stop-on-eof"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready")
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


def test_lab_that_fails_to_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="outside 1 … 16"), Lab(tmp_path, evses=99):
        pass


def test_idle_and_plugged_lab_leaves_the_processor_alone(lab: Lab) -> None:
    control = LabControl(lab.directory)
    control.plug(1)
    control.plug(2)
    try:
        ticks = os.sysconf("SC_CLK_TCK")

        def spent_s() -> float:
            fields = Path(f"/proc/{lab.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / ticks

        before_s, began = spent_s(), time.monotonic()
        time.sleep(2.0)  # the thing measured is time itself
        assert (spent_s() - before_s) / (time.monotonic() - began) < 0.15
    finally:
        control.unplug(1)
        control.unplug(2)


def test_the_documentation_names_every_fault_car_and_character() -> None:
    text = (Path(__file__).parents[2] / "docs" / "simulators.md").read_text(encoding="utf-8")
    missing = [name for name in (*KNOWN_FAULTS, *CARS, *CHARACTERS) if f"| `{name}` |" not in text]
    assert missing == []
