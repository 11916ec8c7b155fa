"""Bundles, the switch between the slots and the way back, on folders of their own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from agent.config.schema import Update
from agent.slots import __main__ as command
from agent.slots import guard
from agent.slots.bundle import BundleError, Trust, check_machine, open_bundle, read_roots, version_key
from agent.slots.guard import MAX_STARTS, SlotError, Slots
from agent.slots.install import EXIT_BAD_FILE, EXIT_RESTART_NEEDED, Installer
from agent.slots.preset import preset
from agent.slots.request import RESTART, ask, perform, serve
from agent.slots.wheels import WheelError, build
from agent.update.commands import EXIT_RESTART_NEEDED as AGENT_RESTART
from agent.update.commands import EXIT_VERIFICATION_FAILED
from tests.slots.bundles import ROOTS, Maker, build_small, first_slot, make_wheel, probe_small, runs, small_installer


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    (tmp_path / "maker").mkdir()
    return Maker(tmp_path / "maker")


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    (tmp_path / "opt").mkdir()
    return first_slot(tmp_path / "opt")


def test_a_bundle_goes_into_the_other_slot_proves_itself_and_stays(maker: Maker, slots: Slots) -> None:
    installer = small_installer(slots.root, maker.trust)
    assert installer.install(maker.bundle("1.1")) == EXIT_RESTART_NEEDED == AGENT_RESTART
    assert runs(slots) == "1.1"
    assert slots.about("a") == {"version": "1.0", "bundle": "first"}
    assert installer.install(maker.bundle("1.1")) == EXIT_RESTART_NEEDED  # again, after a power cut
    assert slots.check() == ""
    slots.confirm()
    assert slots.pending() is None
    assert installer.install(maker.bundle("1.1")) == 0
    assert installer.install(maker.bundle("1.2")) == EXIT_RESTART_NEEDED
    assert slots.running() == "a"


def test_what_was_not_confirmed_is_taken_back(maker: Maker, slots: Slots) -> None:
    small_installer(slots.root, maker.trust).install(maker.bundle("1.1"))
    for _ in range(MAX_STARTS):
        assert slots.check() == ""
        assert runs(slots) == "1.1"
    assert "back to slot a" in slots.check()
    assert runs(slots) == "1.0"
    assert slots.taken_back() == {
        "slot": "b",
        "version": "1.1",
        "why": f"was started {MAX_STARTS} times and never became healthy",
    }
    assert slots.check() == ""
    with pytest.raises(SlotError, match="not the one that runs"):
        slots.confirm()
    with pytest.raises(SlotError, match="nothing to take back"):
        slots.roll_back()


def test_no_second_version_before_the_first_has_proved_itself(maker: Maker, slots: Slots) -> None:
    installer = small_installer(slots.root, maker.trust)
    installer.install(maker.bundle("1.1"))
    with pytest.raises(SlotError, match="yet to prove itself"):
        installer.install(maker.bundle("1.2"))
    assert runs(slots) == "1.1"
    slots.roll_back("said no")
    assert runs(slots) == "1.0"
    assert installer.install(maker.bundle("1.2")) == EXIT_RESTART_NEEDED


def test_an_older_version_only_when_its_maker_signed_that(maker: Maker, slots: Slots) -> None:
    installer = small_installer(slots.root, maker.trust)
    with pytest.raises(BundleError, match=r"version 0\.9 is older than 1\.0"):
        installer.install(maker.bundle("0.9"))
    assert slots.about("b") is None
    assert installer.install(maker.bundle("0.9", downgrade=True)) == EXIT_RESTART_NEEDED


def test_a_version_that_cannot_be_loaded_never_becomes_the_one_that_runs(maker: Maker, slots: Slots) -> None:
    def broken(_: Path) -> None:
        raise SlotError("the new version cannot be loaded")

    from tests.slots.bundles import build_small

    installer = Installer(slots, maker.trust, build=build_small, probe=broken)
    with pytest.raises(SlotError, match="cannot be loaded"):
        installer.install(maker.bundle("1.1"))
    assert runs(slots) == "1.0"
    assert not slots.place("b").exists()


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9", "1.10"),
        ("1.0.dev3", "1.0a1"),
        ("1.0a2", "1.0b1"),
        ("1.0b9", "1.0rc1"),
        ("1.0rc1", "1.0"),
        ("1.0", "1.0.post1"),
        ("1.0.post1", "1.0.1"),
        ("0.99.99", "1"),
    ],
)
def test_the_order_of_versions(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)
    assert version_key("1.0") == version_key("1")


def rewritten(bundle: Path, change: str, data: bytes | None) -> Path:
    """A copy with one member replaced, added or (None) left out."""
    out = bundle.with_name("changed.tar")
    with tarfile.open(bundle) as source, tarfile.open(out, "w") as copy:
        for member in source:
            if member.name != change:
                copy.addfile(member, source.extractfile(member))
        if data is not None:
            entry = tarfile.TarInfo(change)
            entry.size = len(data)
            copy.addfile(entry, io.BytesIO(data))
    return out


@pytest.mark.parametrize(
    ("change", "data", "says"),
    [
        ("manifest.json", b"{}", "not signed by the manufacturer"),
        ("manifest.sig", b"AAAA", "not signed by the manufacturer"),
        ("signer.pem", b"none", "not signed by the manufacturer"),
        ("signer.pem", None, "holds no signer.pem"),
        ("wheels/demo-1.1-py3-none-any.whl", b"other bytes", "is not the file that the manifest names"),
        ("wheels/demo-1.1-py3-none-any.whl", None, "is missing"),
        ("wheels/../../etc/passwd", b"x", "which the manifest does not name"),
        ("extra", b"x", "which the manifest does not name"),
        ("manifest.json", b"x" * 300_000, "no plain file of a sensible size"),
    ],
)
def test_a_bundle_that_was_tampered_with(
    maker: Maker, slots: Slots, change: str, data: bytes | None, says: str
) -> None:
    changed = rewritten(maker.bundle("1.1"), change, data)
    status, text = perform("install", changed, slots, small_installer(slots.root, maker.trust))
    assert status == EXIT_BAD_FILE == EXIT_VERIFICATION_FAILED
    assert says in text
    assert runs(slots) == "1.0"


def test_a_bundle_of_another_maker_or_for_another_machine(maker: Maker, slots: Slots, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Maker(tmp_path / "other")
    with pytest.raises(BundleError, match="not signed"):
        small_installer(slots.root, maker.trust).install(other.bundle("1.1"))
    with pytest.raises(BundleError, match="no manufacturer root"):
        small_installer(slots.root, Trust((), None)).install(maker.bundle("1.1"))
    (tmp_path / "x").mkdir()
    manifest, _ = open_bundle(maker.bundle("1.1", architecture="armv7l", python="3.13"), maker.trust, tmp_path / "x")
    with pytest.raises(BundleError, match="made for armv7l, and this machine is aarch64"):
        check_machine(manifest, "aarch64", "3.13")
    with pytest.raises(BundleError, match=r"made for Python 3\.13, and this machine has 3\.11"):
        check_machine(manifest, "armv7l", "3.11")
    check_machine(manifest, "armv7l", "3.13")


def test_a_root_that_others_may_write_is_not_believed(maker: Maker) -> None:
    folder = maker.place / ROOTS
    assert len(read_roots([folder])) == 1
    next(folder.glob("*.pem")).chmod(0o666)
    assert read_roots([folder]) == ()


def test_a_wheel_that_leads_out_of_the_environment(tmp_path: Path) -> None:
    import zipfile

    wheel = tmp_path / "bad-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("../outside.py", "")
    with pytest.raises(WheelError, match="leads out of the environment"):
        build(tmp_path / "slot", [wheel], sys.executable)
    assert not (tmp_path / "outside.py").exists()
    with pytest.raises(WheelError, match="ended with"):
        build(tmp_path / "slot", [wheel], "/bin/false")


@pytest.mark.process
def test_a_real_environment_with_its_commands(maker: Maker, slots: Slots) -> None:
    installer = Installer(slots, maker.trust, probe=probe_small)
    assert installer.install(maker.bundle("1.1")) == EXIT_RESTART_NEEDED
    for name, says in (("demo", "1.1"), ("old", "old")):
        done = subprocess.run([slots.current / "bin" / name], check=True, capture_output=True, text=True, timeout=60)
        assert done.stdout.strip() == says


def test_the_agent_asks_and_the_service_with_the_rights_answers(maker: Maker, slots: Slots, tmp_path: Path) -> None:
    requests, answers = tmp_path / "requests", tmp_path / "answers"
    answers.mkdir()
    installer = small_installer(slots.root, maker.trust)
    asked = threading.Event()

    def patience(_: float) -> None:
        asked.set()
        served.wait(20)

    served = threading.Event()

    def service() -> None:
        asked.wait(20)
        serve(requests, answers, slots, installer)
        served.set()

    for wanted, status in (("install", 10), ("confirm", 0), ("roll-back", 1), ("nonsense", 1)):
        asked.clear()
        served.clear()
        thread = threading.Thread(target=service)
        thread.start()
        found, text = ask(requests, answers, wanted, maker.bundle("1.1"), 20.0, patience)
        thread.join()
        assert (found, bool(text)) == (status, True), text
    assert runs(slots) == "1.1"
    assert ask(requests, answers, "confirm", None, 0.3, lambda _: None)[0] == 1


def test_what_is_asked_while_another_request_is_served_is_not_lost(maker: Maker, slots: Slots, tmp_path: Path) -> None:
    """The service manager starts nothing for a file that changes while the service runs."""
    requests, answers = tmp_path / "requests", tmp_path / "answers"
    answers.mkdir()
    requests.mkdir()

    def put(number: str, wanted: str) -> None:
        text = json.dumps({"id": number, "command": wanted, "file": str(maker.bundle("1.1"))})
        (requests / "request.json").write_text(text)

    class Slow(Installer):
        def install(self, file: Path) -> int:
            status = super().install(file)
            put("2", "confirm")
            return status

    installer = Slow(slots, maker.trust, build=build_small, probe=probe_small)
    put("1", "install")
    assert serve(requests, answers, slots, installer) == (0, "the new version stays")
    assert json.loads((answers / "answer.json").read_text())["id"] == "2"
    # Started once more for a request that has its answer, it does nothing.
    assert serve(requests, answers, slots, installer) == (0, "")


def test_a_request_without_an_answer_is_put_again(tmp_path: Path) -> None:
    request, seen = tmp_path / "request.json", 0

    def sleep(_: float) -> None:
        nonlocal seen
        seen += request.exists()
        request.unlink(missing_ok=True)

    assert ask(tmp_path, tmp_path, "confirm", None, 100.0, sleep)[0] == 1
    assert seen == 7, "at 0, 2, 6, 14, 30, 60 and 90 s"


def test_a_restart_lets_a_unit_that_gave_up_start_again(maker: Maker, slots: Slots, tmp_path: Path) -> None:
    assert RESTART[0][:2] == ("systemctl", "reset-failed")
    note = tmp_path / "note"
    words = [("sh", "-c", f"echo {text} >> {note}; exit {status}") for text, status in (("first", 1), ("second", 0))]
    status, _ = perform("restart", Path(), slots, small_installer(slots.root, maker.trust), words)
    assert (status, note.read_text().split()) == (0, ["first", "second"])


def test_the_slots_own_commands_where_the_configuration_names_none(slots: Slots, maker: Maker, tmp_path: Path) -> None:
    roots = maker.place / ROOTS
    found = preset(Update(health_s=60.0), slots, roots)
    assert found.install == (f"{slots.root}/current/bin/evse-slots", "ask", "install", "{file}")
    assert (found.confirm[-1], found.roll_back[-1], found.restart[-1]) == ("confirm", "roll-back", "restart")
    assert found.health_s == 60.0
    own = Update(install=("/usr/bin/mine",))
    assert preset(own, slots, roots) is own
    assert preset(Update(), None, roots) == Update()
    assert preset(Update(), slots, tmp_path) == Update(), "no root, and yet an update is offered"


def test_a_request_that_is_no_request_or_a_link_is_not_served(slots: Slots, maker: Maker, tmp_path: Path) -> None:
    installer = small_installer(slots.root, maker.trust)
    for text in ("", "[]", '{"id": 1}', "\0"):
        (tmp_path / "request.json").write_text(text)
        assert serve(tmp_path, tmp_path, slots, installer)[0] == 1
    (tmp_path / "request.json").unlink()
    (tmp_path / "real").write_text(json.dumps({"id": "1", "command": "confirm", "file": ""}))
    (tmp_path / "request.json").symlink_to("real")
    assert "no request" in serve(tmp_path, tmp_path, slots, installer)[1]
    assert not (tmp_path / "answer.json").exists()


def test_the_command_line(maker: Maker, slots: Slots, capsys: pytest.CaptureFixture[str]) -> None:
    (maker.place / "key.pem").write_bytes(maker.key)
    (maker.place / "cert.pem").write_text(maker.certificate)
    wheel, out = make_wheel(maker.place, "0.5"), maker.place / "made.tar"
    packing = ["pack", "--version", "0.5", "--key", str(maker.place / "key.pem")]
    packing += ["--certificate", str(maker.place / "cert.pem"), "--out", str(out), str(wheel)]
    assert command.main(packing) == 0
    base = ["--root", str(slots.root), "--trust", str(maker.place / ROOTS)]
    assert command.main([*base, "install", str(out)]) == EXIT_BAD_FILE
    assert "older than 1.0" in capsys.readouterr().out
    assert command.main([*base, "show"]) == 0
    assert json.loads(capsys.readouterr().out)["running"] == "a"
    assert command.main([*base, "check"]) == 0
    assert command.main([*base, "confirm"]) == 1


@pytest.mark.process
def test_the_guard_lets_the_other_half_come_back_from_the_same_slot(maker: Maker, slots: Slots, tmp_path: Path) -> None:
    small_installer(slots.root, maker.trust).install(maker.bundle("1.1"))
    note, tool = tmp_path / "note", tmp_path / "systemctl"
    tool.write_text(f'#!/bin/sh\necho "$@" >> {note}\n')
    tool.chmod(0o755)
    words = [sys.executable, "-I", "-S", guard.__file__, "--root", str(slots.root), "--restart", "evse-control.service"]
    for _ in range(MAX_STARTS + 1):
        assert not note.exists(), "restarted without need"
        path = f"{tmp_path}:/usr/bin:/bin"
        subprocess.run([*words, "check"], check=True, stdout=subprocess.DEVNULL, timeout=60, env={"PATH": path})
    assert runs(slots) == "1.0"
    assert note.read_text().splitlines() == [
        "reset-failed evse-control.service",
        "--no-block restart evse-control.service",
    ]


@pytest.mark.process
def test_the_guard_runs_as_a_copy_outside_of_the_slots(maker: Maker, slots: Slots, tmp_path: Path) -> None:
    """A version that does not even start must be caught by something that is not part of it."""
    small_installer(slots.root, maker.trust).install(maker.bundle("1.1"))
    copy = tmp_path / "guard.py"
    copy.write_text(Path(guard.__file__).read_text())
    said = ""
    for _ in range(MAX_STARTS + 1):
        words = [sys.executable, "-I", "-S", str(copy), "--root", str(slots.root), "check"]
        said = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60, cwd=tmp_path).stdout
    assert "back to slot a" in said
    assert runs(slots) == "1.0"


def test_a_link_that_leads_nowhere_is_mended_while_one_slot_is_whole(slots: Slots) -> None:
    slots.current.unlink()
    assert "slot a runs instead" in slots.check()
    assert runs(slots) == "1.0"
    (slots.place("a") / "slot.json").unlink()
    with pytest.raises(SlotError, match="neither slot"):
        slots.check()
