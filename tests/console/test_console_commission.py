"""commission: what answers make of a configuration, how mistakes are told, who may, and what the report is worth."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from technician import CTRL_C, Technician

from agent import config
from agent.config.document import Table
from agent.console.api import Api
from agent.console.commands import table
from agent.console.commissioning import configuration as made
from agent.console.commissioning import probing, report
from agent.console.commissioning.answers import Answers, from_files, mistakes, plain
from agent.console.commissioning.regions import REGIONS
from agent.console.shell import Shell
from agent.console.texts import Texts, languages
from agent.local.commissioning import methods as commissioning_methods
from agent.local.methods import observe, service
from agent.local.roles import Role
from agent.security.signing import StatementKey

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
COMMON, CHARGER = EXAMPLES / "commission-common.yaml", EXAMPLES / "commission-charger.yaml"

SERVED = (
    "GR",
    "BE",
    "NL",
    "GB",
    "IE",
    "IL",
    "US",
    "MX",
    "CL",
    "SV",
    "GT",
    "UY",
    "CR",
    "PA",
    "CO",
    "BR",
    "JM",
    "AW",
    "DO",
)
TERRITORIES = ("PR", "VI", "GU", "AS", "MP")


# ---- regions ----


def test_every_country_served_has_a_row_with_a_source() -> None:
    for code in (*SERVED, *TERRITORIES):
        region = REGIONS[code]
        assert region.sources
        assert region.mains
        assert all(90 <= volts <= 300 for volts in region.mains)
        assert region.languages


def test_open_pen_is_watched_in_the_united_kingdom_alone() -> None:
    assert [code for code, region in REGIONS.items() if region.open_pen] == ["GB"]


def test_the_us_rule_holds_in_the_states_and_territories_alone() -> None:
    assert {code for code, region in REGIONS.items() if region.residual_current_profile == "us"} == {"US", *TERRITORIES}


# ---- answers and configuration ----


def answered(**more: Any) -> Answers:
    answers, findings = from_files([COMMON, CHARGER])
    assert findings == []
    for key, value in more.items():
        answers.set(key.replace("__", "."), plain(value))
    return answers


def test_the_examples_make_a_good_configuration(tmp_path: Path) -> None:
    answers = answered()
    assert mistakes(answers) == []
    text = made.written(made.configuration(answers, None))
    assert made.wrong(text, tmp_path / "config.yaml", answers) == []
    path = tmp_path / "config.yaml"
    path.write_text(text)
    one = config.load(path)
    assert one.identity == "GR-ATH-0314"
    assert one.ocpp.settings["ConnectorPhaseRotation"] == "1.STR"
    assert one.installation.nominal_voltage_v == 230
    assert one.installation.monitor_open_pen is False
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"], "no draft is left behind"


def test_what_nobody_was_asked_stays_and_an_answer_goes_before_the_region() -> None:
    present, _ = made.parsed(
        "paths: {state_dir: /data}\nlogging: {level: debug}\nocpp: {password: old, url: ws://a}", "x"
    )
    answers = answered(region="GB", installation__monitor_open_pen=False)
    table = made.configuration(answers, present)
    seen = Answers(table)
    assert seen.text("paths.state_dir") == "/data"
    assert seen.text("logging.level") == "debug"
    assert seen.text("ocpp.password") == "7Yx-0c4e2b19aa"
    assert seen.text("installation.monitor_open_pen") == "false"
    assert Answers(made.configuration(answered(region="GB"), None)).text("installation.monitor_open_pen") == "true"


@pytest.mark.parametrize("text", ["0123", "no", "22:30", "x: y", "# hash", "'q'", "*a", "", "null", " padded "])
def test_texts_come_through_as_they_were_answered(text: str) -> None:
    answers = answered(station__model=text)
    again, findings = made.parsed(made.written(made.configuration(answers, None)), "x")
    assert findings == []
    assert again is not None
    node = Answers(again).node("station.model")
    assert node is not None
    assert node.text == text  # type: ignore[union-attr]
    assert not node.empty  # type: ignore[union-attr]


def test_all_mistakes_are_told_at_once_with_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "region: QQ\n"
        "colour: red\n"
        "phase_rotation: {1: XYZ}\n"
        "station: {vendor: N, model: M, serial_number: S}\n"
        "installation:\n"
        "  max_current_a: 2\n"
        "  phase: 3\n"
    )
    answers, _ = from_files([COMMON, file])
    told = made.listed(mistakes(answers))
    told += made.listed(made.wrong(made.written(made.configuration(answers, None)), tmp_path / "c.yaml", answers))
    text = "\n".join(told)
    for place in (f"{file}:1: region:", f"{file}:2: colour:", f"{file}:3: phase_rotation.1:"):
        assert place in text
    assert f"{file}:6: installation.max_current_a:" in text
    assert f"{file}:7: installation.phase:" in text


def test_mains_that_may_be_several_must_be_measured() -> None:
    told = made.listed(mistakes(answered(region="MX")))
    assert len(told) == 1
    assert "127, 220 V" in told[0]
    assert mistakes(answered(region="MX", installation__nominal_voltage_v=127)) == []


def test_secrets_are_masked_for_showing() -> None:
    shown = made.written(made.masked(made.configuration(answered(), None)))
    assert "7Yx-0c4e2b19aa" not in shown
    assert "'***'" in shown


# ---- the command ----


class Desk:
    """An agent's config and sign methods over the scripted API; takes what it is given."""

    def __init__(self, bench: Any, folder: Path) -> None:
        self.path = folder / "config.yaml"
        self.path.write_text("station: {vendor: N, model: M, serial_number: S}\nlogging: {level: warning}\n")
        self.taken: list[str] = []
        self.outcome = "kept"
        self.status: dict[str, Any] = {}
        desk = self

        def text() -> dict[str, Any]:
            return {"path": str(desk.path), "text": desk.path.read_text()}

        def apply(
            text: str, within_s: float = 300.0, in_session: bool = False, note: str = "", dry: bool = False
        ) -> dict[str, Any]:
            differs = text != desk.path.read_text()
            if not dry and differs:
                desk.path.write_text(text)
                desk.taken.append(note)
            changes = [{"path": "x", "before": None, "after": "y"}] if differs else []
            return {"number": len(desk.taken), "changes": changes, "restarts": ["agent"], "findings": []}

        def state() -> dict[str, Any]:
            return {"trial": None, "unread": []}

        def history() -> list[dict[str, Any]]:
            return [{"number": len(desk.taken), "outcome": desk.outcome}]

        def run(evse: int) -> dict[str, Any]:
            return {}

        key = StatementKey(folder / "security")
        bench.extra = {
            "config.text": observe(text),
            "config.apply": service(apply, secret=("text",)),
            "config.state": observe(state),
            "config.history": observe(history),
            "selftest.run": service(run),
            **commissioning_methods(
                lambda: key, lambda: {"identity": "N-1", "version": "0", "at": "2026-01-01T00:00:00Z"}
            ),
        }


def run(bench: Any, line: str, config_path: Path | None = None) -> tuple[int, str]:
    out = io.StringIO()
    api = Api(bench.path)
    shell = Shell(table(), api, Texts(), config_path=config_path, out=out)
    try:
        shell._find_role()
        status = shell.do(line)
    finally:
        api.close()
    return status, out.getvalue()


def test_unattended_taken_tested_signed_and_a_second_time_nothing_changes(bench: Any, tmp_path: Path) -> None:
    desk = Desk(bench, tmp_path)
    bench.start()
    line = f"commission --common {COMMON} --file {CHARGER} --report {tmp_path}/r.json --json"
    status, said = run(bench, line)
    document = json.loads(said.splitlines()[-1])
    assert status == 0, said
    assert document["taken"] is True
    assert document["report"]["passed"] is True
    assert desk.taken == ["commission by Ines Ortega"]
    assert "level: warning" in desk.path.read_text()

    held, told = report.verify(tmp_path / "r.json", document["signature"]["fingerprint"])
    assert held, told
    text = (tmp_path / "r.txt").read_text()
    assert "GR-ATH-0314" in text
    assert "7Yx" not in text + (tmp_path / "r.json").read_text(), "the password is nowhere"

    status, said = run(bench, line)
    assert status == 0
    assert json.loads(said.splitlines()[-1])["taken"] is False
    assert len(desk.taken) == 1


def test_a_change_that_was_taken_back_is_a_failure(bench: Any, tmp_path: Path) -> None:
    desk = Desk(bench, tmp_path)
    desk.outcome = "taken back: the uplink was not there again"
    bench.start()
    status, said = run(bench, f"commission --common {COMMON} --file {CHARGER} --report {tmp_path}/r.json")
    assert status == 4
    assert "the uplink was not there again" in said
    assert not (tmp_path / "r.json").exists()


def test_wrong_answers_change_nothing(bench: Any, tmp_path: Path) -> None:
    desk = Desk(bench, tmp_path)
    before = desk.path.read_text()
    bench.start()
    status, said = run(bench, f"commission --file {CHARGER}")
    assert status == 1
    assert "region: is missing" in said
    assert "commission-charger.yaml" not in said.split("region: is missing")[0]
    assert desk.path.read_text() == before


def test_it_takes_the_role_service(bench: Any, tmp_path: Path) -> None:
    desk = Desk(bench, tmp_path)
    bench.role = Role.OPERATE
    bench.start()
    status, said = run(bench, f"commission --common {COMMON} --file {CHARGER}")
    assert status == 4
    assert "role service" in said
    assert desk.taken == []


def test_a_dry_run_shows_the_configuration_without_secrets_and_needs_no_agent(bench: Any, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    status, said = run(bench, f"commission --common {COMMON} --file {CHARGER} --dry-run", path)
    assert status == 0, said
    assert "identity: GR-ATH-0314" in said
    assert "7Yx" not in said
    assert not path.exists()


def test_offline_the_file_is_written_whole_and_the_old_one_kept(bench: Any, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("logging: {level: debug}\n")
    path.chmod(0o640)
    line = f"commission --common {COMMON} --file {CHARGER} --offline --report {tmp_path}/r.json"
    status, said = run(bench, line, path)
    assert status == 0, said
    assert config.load(path).logging.level == "debug"
    assert path.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "config.yaml.before-commission").read_text() == "logging: {level: debug}\n"
    assert "Not signed" in said
    stamp = path.stat().st_mtime_ns
    assert run(bench, line, path)[0] == 0
    assert path.stat().st_mtime_ns == stamp, "the same answers change nothing"


def test_offline_the_new_name_is_on_the_disk_before_it_is_reported(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("logging: {level: debug}\n")
    synced = []
    to_disk = os.fsync

    def fsync(handle: int) -> None:
        synced.append((Path(f"/proc/self/fd/{handle}").readlink(), "GR-ATH-0314" in path.read_text()))
        to_disk(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    line = f"commission --common {COMMON} --file {CHARGER} --offline --report {tmp_path}/r.json"
    assert run(bench, line, path)[0] == 0
    assert (tmp_path, True) in synced, "a loss of power may bring the old file back"


def test_offline_a_full_disk_leaves_nothing_behind(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("logging: {level: debug}\n")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    line = f"commission --common {COMMON} --file {CHARGER} --offline --report {tmp_path}/r.json"
    status, said = run(bench, line, path)
    assert status == 4
    assert "No space left" in said
    assert [each.name for each in tmp_path.iterdir()] == ["config.yaml"], "the answers hold a password"
    assert path.read_text() == "logging: {level: debug}\n"


def test_in_a_script_without_answers_it_says_so(bench: Any, tmp_path: Path) -> None:
    Desk(bench, tmp_path)
    bench.start()
    status, said = run(bench, "commission")
    assert status == 4
    assert "asks questions" in said


# ---- the report ----


def signed(tmp_path: Path) -> tuple[Path, StatementKey]:
    import base64

    key = StatementKey(tmp_path / "security")
    body = {"site": "Ω", "passed": True, "charge_point": {"identity": "N-1", "at": "t"}}
    signature = {
        "algorithm": report.ALGORITHM,
        "key": key.public_pem(),
        "fingerprint": key.fingerprint(),
        "value": base64.b64encode(key.sign(report.canonical(body))).decode(),
    }
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"report": body, "signature": signature}, indent=1))
    return path, key


def test_a_signature_holds_until_a_letter_changes(tmp_path: Path) -> None:
    path, key = signed(tmp_path)
    assert report.verify(path, key.fingerprint())[0]
    assert report.verify(path, "")[0]
    assert not report.verify(path, "00" * 32)[0]
    path.write_text(path.read_text().replace("N-1", "N-2"))
    held, told = report.verify(path, "")
    assert not held
    assert "changed after it was signed" in told[0]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"report": {}}', '{"report": {}, "signature": {}}', "\0"])
def test_what_is_no_report_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    assert not report.verify(path, "")[0]
    assert not report.verify(tmp_path / "none.json", "")[0]


def test_the_key_stays_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    first = StatementKey(tmp_path / "security").fingerprint()
    assert StatementKey(tmp_path / "security").fingerprint() == first
    assert (tmp_path / "security" / "statement-key.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.process
def test_openssl_agrees_and_the_program_verifies_by_itself(tmp_path: Path) -> None:
    import base64
    import shutil

    path, key = signed(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "agent.console", "--verify-report", str(path), "--fingerprint", key.fingerprint()],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "the signature holds" in done.stdout
    openssl = shutil.which("openssl")
    assert openssl, "openssl is part of every Debian"
    document = json.loads(path.read_text())
    (tmp_path / "key.pem").write_text(document["signature"]["key"])
    (tmp_path / "sig").write_bytes(base64.b64decode(document["signature"]["value"]))
    (tmp_path / "data").write_bytes(report.canonical(document["report"]))
    check = ["dgst", "-sha256", "-verify", "key.pem", "-signature", "sig", "data"]
    assert subprocess.run([openssl, *check], cwd=tmp_path, capture_output=True, timeout=60).returncode == 0


# ---- probing ----


def test_a_device_is_made_of_the_meters_on_one_line() -> None:
    found = [
        {"address": 1, "baud": 9600, "parity": "N", "stop_bits": 1, "matches": [{"map": "sdm630", "name": "SDM630"}]},
        {"address": 7, "baud": 9600, "parity": "N", "stop_bits": 1, "matches": [{"map": "em340", "name": "EM340"}]},
        {"address": 2, "baud": 2400, "parity": "E", "stop_bits": 1, "matches": [{"map": "sdm120", "name": "SDM120"}]},
    ]
    device = probing.device("/dev/x", found)
    assert device["baud"] == 9600
    assert device["meters"] == [
        {"name": "m1", "address": 1, "map": "sdm630"},
        {"name": "m7", "address": 7, "map": "em340"},
    ]


@pytest.mark.process
def test_a_port_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(probing.ProbeError, match="none"):
        probing.meters(str(tmp_path / "none"), "1", 5)


def test_ports_are_named_by_what_hangs_on_them(tmp_path: Path) -> None:
    (tmp_path / "usb-B").touch()
    (tmp_path / "usb-A").touch()
    assert probing.ports(tmp_path) == [str(tmp_path / "usb-A"), str(tmp_path / "usb-B")]
    assert probing.ports(tmp_path / "none") == []


def test_an_empty_table_is_a_beginning() -> None:
    assert made.same(made.configuration(Answers(Table(0)), None), Table(0))
    assert languages()[0] == "en"


# ---- the wizard, at a terminal ----


@pytest.mark.process
def test_a_technician_answers_and_takes_the_report_away(bench: Any, tmp_path: Path) -> None:
    desk = Desk(bench, tmp_path)
    desk.path.write_text(
        "station: {vendor: N, model: M, serial_number: S-1}\n"
        "installation: {max_current_a: 16}\n"
        "devices: {b: {driver: mcu-board, port: /dev/ttyS1}}\n"
        "evses: [{id: 1, board: b}]\n"
    )
    bench.start()
    with Technician(["--socket", str(bench.path)]) as technician:
        technician.wait("service> ")
        technician.line(f"commission --report {tmp_path}/r.json")
        for question, answer in (
            ("two letters", "?"),
            ("GR  Greece", ""),
            ("two letters", "zz"),
            ("not known here", ""),
            ("two letters", "mx"),
            ("terminals", ""),
            ("Number:", "1"),
            ("Your name:", "Ines Ortega"),
            ("Site", "Monterrey 3"),
            ("Maker", ""),
            ("Model", "Solo 22"),
            ("Serial number", ""),
            ("Identity", "MX-1"),
            ("breaker", "25"),
            ("Phases", ""),
            ("Number:", "2"),
            ("Keep the devices", "y"),
            ("Outlet 1", "xyz"),
            ("RST, RTS", ""),
            ("Outlet 1", "STR"),
            ("Address of the network", "-"),
            ("'yes' to go on", "yes"),
        ):
            technician.wait(question)
            if answer or question in ("Maker", "Serial number"):
                technician.line(answer)
        technician.wait("space: on")
        technician.send(" ")
        technician.wait("Result: passed")
        technician.wait("service> ")
    written = Answers(made.parsed(desk.path.read_text(), "x")[0] or Table(0))
    assert written.text("station.model") == "Solo 22"
    assert written.text("installation.nominal_voltage_v") == "127"
    assert written.text("installation.max_current_a") == "25"
    assert written.text("ocpp.settings.ConnectorPhaseRotation") == "1.STR"
    assert config.check(desk.path) == []
    assert json.loads((tmp_path / "r.json").read_text())["report"]["site"] == "Monterrey 3"


@pytest.mark.process
def test_new_hardware_is_asked_for_and_ctrl_c_changes_nothing(bench: Any, tmp_path: Path) -> None:
    desk = Desk(bench, tmp_path)
    before = desk.path.read_text()
    bench.start()
    with Technician(["--socket", str(bench.path)]) as technician:
        technician.wait("service> ")
        technician.line("commission")
        for question, answer in (
            ("two letters", "GR"),
            ("Your name:", "I"),
            ("Site", ""),
            ("Maker", ""),
            ("Model", ""),
            ("Serial number", ""),
            ("Identity", ""),
            ("breaker", "16"),
            ("Number:", "1"),
            ("How many outlets", "1"),
            ("driver of its board", ""),
            ("port of its board", "/dev/ttyS1"),
            ("Number:", "2"),
            ("rating of outlet", "many"),
            ("whole number", ""),
            ("rating of outlet", "16"),
            ("RS-485", "y"),
            ("Port of the meters", str(tmp_path / "none")),
            ("No meter was found", ""),
            ("address:", "1"),
            ("register map", ""),
            ("Line speed", ""),
            ("card reader", "n"),
            ("Address of the network", CTRL_C),
        ):
            technician.wait(question)
            if answer == CTRL_C:
                technician.send(CTRL_C)
            elif answer or question not in ("whole number", "No meter was found"):
                technician.line(answer)
        technician.wait("left off")
    assert desk.path.read_text() == before


@pytest.mark.parametrize(
    ("who", "serial", "asked"),
    [
        ({"role": "service", "name": "uid 0"}, False, False),
        ({"role": "observe", "name": ""}, False, True),
        ({"role": "service", "name": ""}, True, True),
        ({"role": "service", "name": "Ines"}, True, False),
    ],
)
def test_after_a_fresh_start_a_pin_is_given_again(
    monkeypatch: pytest.MonkeyPatch, who: dict[str, str], serial: bool, asked: bool
) -> None:
    """At a service port the process's own user counts for nothing: whoever holds the cable gives the PIN again."""
    from agent.console.commands import commission, session
    from agent.console.context import Context
    from agent.console.style import Style

    class Stub:
        def call(self, method: str, **parameters: Any) -> Any:
            assert method == "session.who"
            return who

    given: list[bool] = []
    monkeypatch.setattr(session, "log_in", lambda context: given.append(True))
    context = Context(Stub(), Style(), Texts(), lambda line: None, terminal=object(), serial=serial)  # type: ignore[arg-type]
    commission._role_again(context)
    assert bool(given) is asked
