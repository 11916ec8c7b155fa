"""``evse-agent meter probe`` and ``read`` over a real pty, against simulated meters that know their line's speed."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent import cli
from agent.tools import meter_probe
from agent.tools.meter_probe import Answer, Found, Match, Step
from agent.tools.meter_tool import line_formats, report, search, whole_numbers
from hal.drivers.modbus_rtu import ReadAnswer, ReadRequest, find_answer
from hal.drivers.serial_line import SerialLine, SerialSettings
from hal.values import MeterReading
from simulators.meters.layouts import LAYOUTS
from simulators.meters.modbus_line import ModbusLine, Slave
from simulators.meters.register import MeterCore, Sample
from simulators.oracle import EventLog
from simulators.pty_port import PtyPort

PATIENCE_S = 20.0
CHARGING = Sample((230.1, 231.2, 232.3), (16.0, 15.0, 14.0), 49.98)


def slave(address: int, name: str, baud: int = 0, sample: Sample = CHARGING) -> Slave:
    core = MeterCore(1_234_500)
    core.integrate(0.0, sample)
    return Slave(address, name, core, EventLog(), baud=baud)


class Line:
    """Meters behind a pty, on an event loop in a thread of their own."""

    def __init__(self, path: Path, *slaves: Slave) -> None:
        self.path = path
        self.slaves = {each.address: each for each in slaves}
        self.heard_at: set[int] = set()
        self._loop = asyncio.new_event_loop()
        self._port = PtyPort(path, self._hear)
        self._modbus = ModbusLine(self.slaves, self._answer, 115_200, self._speed)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(lambda: self._port.open(self._loop))

    def _speed(self) -> int:
        line = self._port.line
        return 0 if line is None else line[0]

    def _hear(self, data: bytes) -> None:
        self.heard_at.add(self._speed())
        self._modbus.receive(data, time.monotonic())

    def _answer(self, reply: bytes, delay_s: float) -> None:
        self._loop.call_later(delay_s, self._port.write, reply)

    def _call(self, action: Callable[[], object]) -> None:
        done = threading.Event()

        def run() -> None:
            action()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(PATIENCE_S)

    def close(self) -> None:
        self._call(self._port.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Callable[..., Line]]:
    made: list[Line] = []

    def make(*slaves: Slave) -> Line:
        made.append(Line(tmp_path / f"rs485-{len(made)}", *slaves))
        return made[-1]

    yield make
    for line in made:
        line.close()


def test_probe_finds_meters_at_their_addresses_and_speeds(
    lines: Callable[..., Line], capsys: pytest.CaptureFixture[str]
) -> None:
    line = lines(slave(1, "sdm630", 9600), slave(3, "abb-b23", 19_200), slave(7, "em112", 9600))
    words = ["meter", "probe", str(line.path), "--speeds", "2400,9600,19200", "--formats", "8N1", "--addresses", "1-8"]
    assert cli.main([*words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["complete"]
    found = {each["address"]: (each["baud"], each["matches"][0]["map"]) for each in answer["found"]}
    assert found == {1: (9600, "sdm630"), 3: (19_200, "abb-b23"), 7: (9600, "em112")}
    assert line.heard_at == {2400, 9600, 19_200}
    assert answer["found"][0]["matches"][0]["same"] == ["sdm72d-m-v2"]
    reading = answer["found"][0]["matches"][0]["reading"]
    assert reading["voltage_v"] == [230.1, 231.2, 232.3]
    assert reading["energy_import_wh"] == 1_234_500.0


def test_probe_prints_lines_that_the_configuration_takes(
    lines: Callable[..., Line], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = lines(slave(2, "orno-we516", 9600))
    assert cli.main(["meter", "probe", str(line.path), "--speeds", "9600", "--addresses", "1-3"]) == 0
    out, err = capsys.readouterr()
    assert "9600 Bd 8E1 is passed over" in err  # a pty has no parity
    assert "address 2 at 9600 Bd 8N1: Orno OR-WE-516, OR-WE-517 (map orno-we516)" in out
    assert "230.1 231.2 232.3 V · 16.00 15.00 14.00 A" in out
    assert max(len(text) for text in out.splitlines() if str(line.path) not in text) <= 100
    pasted = out[out.index("devices:\n") :].removeprefix("devices:\n")
    whole = CONFIG.format(path=line.path).replace("lines.left", "meters.m2")
    begin, end = whole.index("  lines:\n"), whole.index("evses:")
    config = tmp_path / "config.yaml"
    config.write_text(whole[:begin] + pasted + whole[end:], encoding="utf-8")
    assert cli.main(["check-config", str(config)]) == 0


def test_a_silent_line_is_said_so_within_its_time(
    lines: Callable[..., Line], capsys: pytest.CaptureFixture[str]
) -> None:
    line = lines(slave(1, "sdm120", 2400))
    words = ["meter", "probe", str(line.path), "--speeds", "9600", "--formats", "8N1", "--addresses", "1-2"]
    assert cli.main([*words, "--timeout", "0.02"]) == 1
    assert "nobody answers; check the power of the meter" in capsys.readouterr().out
    assert cli.main(["meter", "probe", str(line.path), "--limit", "0"]) == 1
    assert "stopped at the time limit" in capsys.readouterr().out


def test_a_port_that_control_holds_is_refused(lines: Callable[..., Line], capsys: pytest.CaptureFixture[str]) -> None:
    line = lines(slave(1, "sdm630"))
    control = SerialLine(SerialSettings(str(line.path), 9600))
    assert control.open(0.0)
    assert cli.main(["meter", "probe", str(line.path), "--addresses", "1"]) == 1
    assert "is in use by another program; stop that one; if it is evse-control" in capsys.readouterr().err
    assert cli.main(["meter", "read", str(line.path), "--map", "sdm630"]) == 1
    assert "if it is evse-control, 'evse-agent status' shows its readings" in capsys.readouterr().err
    control.close()


@pytest.mark.parametrize(
    "words",
    [
        ["--addresses", "0"],
        ["--addresses", "5-2"],
        ["--addresses", "one"],
        ["--speeds", "12"],
        ["--formats", "7E1"],
    ],
)
def test_wrong_usage_is_refused_with_a_reason(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["meter", "probe", "/dev/null", *words]) == 2
    assert words[0].removeprefix("--") in capsys.readouterr().err


def test_a_node_that_is_no_serial_port_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["meter", "probe", str(tmp_path / "file")]) == 1
    assert "is not a serial port" in capsys.readouterr().err
    assert cli.main(["meter", "probe", str(tmp_path / "gone")]) == 1
    assert "is not there" in capsys.readouterr().err


def test_read_shows_one_meter(lines: Callable[..., Line], capsys: pytest.CaptureFixture[str]) -> None:
    line = lines(slave(5, "em340", 19_200))
    words = ["meter", "read", str(line.path), "--map", "et340", "--address", "5", "--baud", "19200"]
    assert cli.main(words) == 0
    assert "meter: 230.1 231.2 232.3 V · 16.00 15.00 14.00 A · 10402 W · 50.00 Hz" in capsys.readouterr().out
    assert cli.main(["meter", "read", str(line.path)]) == 2
    assert "say which meter it is with --map" in capsys.readouterr().err
    assert cli.main(["meter", "read", str(line.path), "--map", "sdm999"]) == 2
    assert "no register map 'sdm999'" in capsys.readouterr().err


CONFIG = """
station: {{vendor: Nord, model: X2, serial_number: N1}}
installation: {{max_current_a: 32, phases: 3, nominal_voltage_v: 230, residual_current_profile: iec}}
devices:
  board: {{driver: mcu-board, port: {path}-board, variant: yeti}}
  lines:
    driver: modbus-meter
    port: {path}
    meters:
      - {{name: left, address: 1, map: sdm630}}
      - {{name: right, address: 2, map: sdm120}}
evses:
  - {{id: 1, connector: socket, board: board, meter: lines.left, max_current_a: 32, phases: 3}}
ocpp: {{url: "", identity: N1}}
"""


def test_read_shows_every_meter_of_the_configuration_and_leaves_the_board_alone(
    lines: Callable[..., Line], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = lines(slave(1, "sdm630"), slave(2, "sdm120"))
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(path=line.path), encoding="utf-8")
    assert cli.main(["meter", "read", "--config", str(config), "--json"]) == 0
    shown = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert [(each["meter"], each["voltage_v"]) for each in shown] == [
        ("lines.left", [230.1, 231.2, 232.3]),
        ("lines.right", [230.1]),
    ]
    assert not os.path.lexists(f"{line.path}-board")
    assert cli.main(["meter", "read", "--config", str(tmp_path / "none.yaml")]) == 1
    assert "is not there; name the configuration" in capsys.readouterr().err


def test_watching_goes_on_until_it_is_stopped(
    lines: Callable[..., Line], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from agent.tools import meter_read

    line = lines(slave(1, "sdm630"))
    seen: list[int] = []

    def show(readings: dict[str, MeterReading], as_json: bool) -> None:
        seen.append(len(readings))
        if seen.count(1) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(meter_read, "SHOW_EVERY_S", 0.05)
    monkeypatch.setattr(meter_read, "_show", show)
    assert cli.main(["meter", "read", str(line.path), "--map", "sdm630", "--watch"]) == 1
    assert seen.count(1) == 3


# The pure half


class Unit:
    """A simulated meter without a wire. Counts what it is asked."""

    def __init__(self, name: str, sample: Sample = CHARGING) -> None:
        self.answers: list[bytes] = []
        self.asked = 0
        self._now = 0.0
        self._line = ModbusLine({1: slave(1, name, 0, sample)}, lambda data, _: self.answers.append(data))

    def exchange(self, request: ReadRequest) -> Answer:
        self.asked += 1
        self._now += 1.0
        self.answers.clear()
        self._line.receive(request.encode(), self._now)
        return find_answer(request, self.answers[0]) if self.answers else None


SAME = {"sdm230": "sdm120", "sdm72d-m-v2": "sdm630"}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("sample", [CHARGING, Sample((229.0, 230.0, 231.0))], ids=["charging", "idle"])
def test_each_family_is_told_apart(name: str, sample: Sample) -> None:
    matches = meter_probe.identify(1, Unit(name, sample).exchange)
    assert matches, name
    best = [match.map_name for match in matches if match.score == matches[0].score]
    assert best == [SAME.get(name, name)]
    assert matches[0].weak == (name == "sdm72d-m-v1")


@pytest.mark.parametrize("name", ["sdm630", "em340", "abb-b23", "iem3155", "finder-7m38", "orno-we516"])
def test_a_three_phase_meter_wired_for_one_phase_is_found(name: str) -> None:
    one_phase = Sample((230.0, 0.0, 0.0), (16.0, 0.0, 0.0))
    matches = meter_probe.identify(1, Unit(name, one_phase).exchange)
    assert name in {match.map_name for match in matches}


def test_every_family_answers_a_greeting() -> None:
    for name in LAYOUTS:
        assert meter_probe.is_there(1, Unit(name).exchange), name
    assert not meter_probe.is_there(2, Unit("sdm630").exchange)


def test_who_is_no_meter_matches_nothing() -> None:
    asked: list[ReadRequest] = []

    def thermostat(request: ReadRequest) -> Answer:
        asked.append(request)
        return ReadAnswer(bytes([0x00, 0xD7]) * request.count)

    assert meter_probe.identify(1, thermostat) == ()
    assert len(asked) < 150


def test_rounds_try_the_usual_places_first() -> None:
    settings = meter_probe.settings_of("/dev/x", [9600, 19_200], [("N", 1), ("E", 1)])
    assert [(each.baud, each.parity) for each in settings] == [(9600, "N"), (19_200, "N"), (9600, "E"), (19_200, "E")]
    addresses = list(range(1, 248))
    first = meter_probe.first_round(settings, addresses)
    assert [step.addresses for step in first] == [tuple(range(1, 9))] * 4
    heard = [Found(settings[2], 3)]
    assert meter_probe.second_round(settings, addresses, heard, everywhere=False) == [
        Step(settings[2], tuple(range(9, 248)))
    ]
    assert len(meter_probe.second_round(settings, addresses, heard, everywhere=True)) == 4
    assert len(meter_probe.second_round(settings, addresses, [], everywhere=False)) == 4
    assert meter_probe.second_round(settings, [1, 2], heard, everywhere=False) == []
    assert meter_probe.requests_of(first) == 4 * 8 * 2


def test_meters_that_cannot_share_a_line_are_told_so() -> None:
    reading = MeterReading(0.0, 1000.0)
    match = Match("sdm630", "Eastron", (), 5, reading)
    found = [
        Found(SerialSettings("/dev/x", 2400), 1, (match,)),
        Found(SerialSettings("/dev/x", 9600, "E"), 2, (match, Match("other", "Other", (), 5, reading))),
        Found(SerialSettings("/dev/x", 9600, "E"), 9),
    ]
    text = "\n".join(report("/dev/x", found, True))
    assert "cannot share a line as they are" in text
    assert text.count("driver: modbus-meter") == 2
    assert "as well may be: other" in text
    assert "address 9 at 9600 Bd 8E1: somebody answers, but like no meter that is known here" in text


def test_lists_of_numbers_and_formats() -> None:
    assert whole_numbers("1, 5,7-9,8", 1, 247, "addresses") == [1, 5, 7, 8, 9]
    assert line_formats("8n1, 8E2") == [("N", 1), ("E", 2)]


def test_progress_is_written_on_a_terminal_only(lines: Callable[..., Line]) -> None:
    line = lines(slave(1, "sdm630"))
    settings = [SerialSettings(str(line.path), 9600)]
    master, terminal = os.openpty()
    with os.fdopen(terminal, "w", encoding="utf-8") as screen:
        found, complete = search(settings, [1], 0.2, 30.0, False, screen)
    shown = os.read(master, 4096).decode()
    os.close(master)
    assert (len(found), complete) == (1, True)
    assert "9600 Bd 8N1: address 1; found 0; at most" in shown
    assert all(len(part) <= 100 for part in shown.split("\r"))
