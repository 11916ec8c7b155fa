"""``evse-agent doctor``: looks at an installation and says what to fix. Reads only; opens no device.

Each check is a function from the place it looks at to findings. ``Place`` stands for the machine; tests give another.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from agent import __version__, config
from agent.slots.guard import Slots

EXIT_OK = 0
EXIT_TO_FIX = 1
EARLIEST_CLOCK_UTC_S = 1_735_689_600.0
LOW_BYTES = 256 * 1024 * 1024
WEAR_BYTES_PER_DAY = 1024 * 1024 * 1024
SOON_S = 30 * 86_400.0


class Level(Enum):
    GOOD = "good"
    LOOK = "look"
    """Works, and someone should look at it."""
    BAD = "bad"
    UNKNOWN = "unknown"
    """Could not be looked at from here."""


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    level: Level
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """The machine. ``ask`` runs a command and returns its output, None when it cannot be run."""

    config_path: Path
    root: Path = Path("/")
    slots_root: Path = Path("/opt/evse-agent")
    ask: Callable[[Sequence[str]], str | None] = field(default=lambda words: _ask(words))
    utc_s: Callable[[], float] = time.time
    status: Callable[[], Any] = field(default=lambda: None)
    """The running agent's status document; None when it does not answer."""

    def at(self, path: str | Path) -> Path:
        return self.root / str(path).lstrip("/")


def examine(place: Place) -> list[Finding]:
    """Run every check. A check that breaks is a finding itself."""
    findings, loaded = [], None
    try:
        loaded = config.load(place.config_path)
        findings.append(Finding("config", Level.GOOD, f"{place.config_path} is good"))
    except config.ConfigError as error:
        remedy = "correct the file; 'evse-agent check-config' tells more"
        findings += [Finding("config", Level.BAD, line, remedy) for line in str(error).splitlines()]
    for check in _CHECKS:
        try:
            findings += check(place, loaded)
        except (OSError, ValueError, KeyError) as error:
            findings.append(Finding(check.__name__.strip("_"), Level.UNKNOWN, f"could not be looked at: {error}"))
    return findings


def report(findings: Sequence[Finding], as_json: bool) -> str:
    if as_json:
        return json.dumps([{**asdict(one), "level": one.level.value} for one in findings], indent=2)
    lines = []
    marks = {Level.GOOD: "ok  ", Level.LOOK: "LOOK", Level.BAD: "BAD ", Level.UNKNOWN: "?   "}
    for one in findings:
        lines.append(f"{marks[one.level]}  {one.check:<11} {one.text}")
        if one.remedy:
            lines.append(f"{'':<18}-> {one.remedy}")
    bad = sum(one.level is Level.BAD for one in findings)
    lines.append(f"{bad} to fix" if bad else "nothing to fix")
    return "\n".join(lines)


def exit_status(findings: Sequence[Finding]) -> int:
    return EXIT_TO_FIX if any(one.level is Level.BAD for one in findings) else EXIT_OK


# ---- checks ----


def _users(_: Place, __: config.Config | None) -> Iterator[Finding]:
    for name, what in (("evse", "the agent"), ("evse-control", "control")):
        try:
            pwd.getpwnam(name)
            yield Finding("users", Level.GOOD, f"user {name} for {what} exists")
        except KeyError:
            yield Finding(
                "users", Level.BAD, f"there is no user {name} for {what}", "run install.sh, or systemd-sysusers"
            )
    try:
        members = pwd.getpwnam("evse")
        groups = {grp.getgrgid(number).gr_name for number in os.getgrouplist("evse", members.pw_gid)}
    except KeyError:
        return
    devices = groups & {"dialout", "gpio", "i2c", "spi", "input"}
    if devices:
        text = f"user evse is in {', '.join(sorted(devices))}: what faces the network may touch devices"
        yield Finding("users", Level.BAD, text, f"gpasswd -d evse {min(devices)}")


def _modes(place: Place, loaded: config.Config | None) -> Iterator[Finding]:
    private = [place.config_path]
    if loaded is not None:
        private.append(place.at(loaded.paths.state_dir))
    for path in private:
        try:
            mode = path.stat().st_mode
        except OSError as error:
            remedy = "install again, or make it" if isinstance(error, FileNotFoundError) else "run this as root"
            yield Finding("modes", Level.BAD, f"{path}: {error.strerror}", remedy)
            continue
        if mode & 0o007:
            yield Finding("modes", Level.BAD, f"{path} is open to everyone ({stat.filemode(mode)})", f"chmod o= {path}")
        else:
            yield Finding("modes", Level.GOOD, f"{path} is closed to others")


def _units(place: Place, _: config.Config | None) -> Iterator[Finding]:
    for unit in ("evse-control.service", "evse-agent.service"):
        said = place.ask(["systemctl", "show", unit, "--property=ActiveState,UnitFileState,NRestarts,Result"])
        if said is None:
            yield Finding("units", Level.UNKNOWN, "systemctl does not answer: no systemd here")
            return
        state = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        if state.get("UnitFileState") not in ("enabled", "enabled-runtime"):
            yield Finding("units", Level.BAD, f"{unit} does not start at boot", f"systemctl enable {unit}")
        if state.get("ActiveState") != "active":
            text = f"{unit} is {state.get('ActiveState', '?')} ({state.get('Result', '?')})"
            yield Finding("units", Level.BAD, text, f"journalctl -u {unit} -n 50; then systemctl restart {unit}")
            continue
        restarts = int(state.get("NRestarts") or 0)
        level = Level.LOOK if restarts > 3 else Level.GOOD
        remedy = f"journalctl -u {unit} -p warning" if restarts > 3 else ""
        yield Finding("units", level, f"{unit} runs, restarted {restarts} times", remedy)


def _devices(place: Place, loaded: config.Config | None) -> Iterator[Finding]:
    for name, device in (loaded.devices if loaded else {}).items():
        port = getattr(device.options, "port", None)
        if not isinstance(port, str | Path) or not str(port).startswith("/"):
            continue
        path = place.at(port)
        if not path.exists():
            yield Finding(
                "devices", Level.BAD, f"{name}: {port} is not there", "plug it in; look at 'ls -l /dev/serial/by-id'"
            )
            continue
        holder = _holder(place, path)
        if holder and "evse" not in holder and "python" not in holder:
            yield Finding("devices", Level.BAD, f"{name}: {port} is held by {holder}", f"stop {holder}")
        else:
            yield Finding("devices", Level.GOOD, f"{name}: {port} is there")


def _holder(place: Place, path: Path) -> str:
    real = path.resolve()
    for process in place.at("/proc").glob("[0-9]*"):
        try:
            if any(link.resolve() == real for link in (process / "fd").iterdir()):
                return (process / "comm").read_text().strip()
        except OSError:
            continue
    return ""


def _disk(place: Place, loaded: config.Config | None) -> Iterator[Finding]:
    if loaded is None:
        return
    folder = place.at(loaded.paths.state_dir)
    usage = shutil.disk_usage(folder)
    if usage.free < LOW_BYTES:
        text = f"{usage.free >> 20} MB free where the journal lies"
        yield Finding("disk", Level.BAD, text, f"free space below {folder}; see 'du -xh --max-depth=2'")
    else:
        yield Finding("disk", Level.GOOD, f"{usage.free >> 20} MB free where the journal lies")
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        yield Finding("disk", Level.BAD, f"{folder} is mounted read-only", "dmesg tells why; mount it read-write")
    text_file = loaded.metrics.file or loaded.paths.runtime_dir / "metrics" / "evse-agent.prom"
    values = dict(
        line.rsplit(" ", 1) for line in place.at(text_file).read_text().splitlines() if line.startswith("evse_agent_")
    )
    lived_s = float(values["evse_agent_uptime_seconds"])
    a_day = float(values.get("evse_agent_written_bytes_total", 0)) / max(lived_s, 3600.0) * 86_400
    level, remedy = Level.GOOD, ""
    if a_day > WEAR_BYTES_PER_DAY:
        level, remedy = Level.LOOK, "flash wears: lower the meter's sampling (MeterValueSampleInterval)"
    yield Finding("disk", level, f"the agent writes {a_day / 1e6:.0f} MB a day", remedy)


def _clock(place: Place, _: config.Config | None) -> Iterator[Finding]:
    status = place.status()
    if place.utc_s() < EARLIEST_CLOCK_UTC_S:
        yield Finding("clock", Level.BAD, "the clock was never set", "let NTP run, or put a battery into the RTC")
    elif status is not None and not status["clock"]["synced"]:
        text = "nobody has confirmed the time since the start"
        yield Finding("clock", Level.LOOK, text, "see the network, or 'timedatectl' for NTP")
    else:
        yield Finding("clock", Level.GOOD, "the clock is set")


def _certificates(place: Place, loaded: config.Config | None) -> Iterator[Finding]:
    from agent.security.certificates import CertificateError, read_chain

    if loaded is None:
        return
    paths = sorted(place.at(loaded.paths.state_dir).glob("security/**/*.pem"))
    paths += [path for path in (loaded.ocpp.ca_file, loaded.files.ca_file) if path is not None]
    for path in paths:
        try:
            chain = read_chain(path.read_text("ascii"))
        except CertificateError:
            continue  # a key
        except OSError as error:
            yield Finding(
                "certificates", Level.BAD, f"{path}: {error.strerror}", "put the file there, or correct its mode"
            )
            continue
        left_s = min(one.not_valid_after_utc.timestamp() for one in chain) - place.utc_s()
        if left_s < 0:
            yield Finding("certificates", Level.BAD, f"{path.name} has expired", "have the operator install a new one")
        elif left_s < SOON_S:
            text = f"{path.name} expires in {left_s / 86_400:.0f} days"
            yield Finding("certificates", Level.LOOK, text, "have the operator install a new one")


def _network(place: Place, loaded: config.Config | None) -> Iterator[Finding]:
    status = place.status()
    if status is None:
        yield Finding(
            "agent", Level.BAD, "the agent does not answer", "systemctl status evse-agent; journalctl -u evse-agent"
        )
        return
    for trouble in status.get("trouble", []):
        yield Finding("agent", Level.BAD, trouble["text"], trouble["remedy"])
    if not status["control"]["connected"] and not status.get("trouble"):
        yield Finding(
            "control", Level.BAD, "control does not answer", "systemctl status evse-control; journalctl -u evse-control"
        )
    uplink = status["uplink"]
    if loaded is not None and loaded.ocpp.url and uplink["state"] != "accepted":
        text = f"{uplink['url'] or loaded.ocpp.url}: {uplink['state']}. {uplink['last_error']}".rstrip(". ")
        yield Finding("network", Level.BAD, text, "check address, identity and password; then line, DNS and firewall")
    elif loaded is not None and loaded.ocpp.url:
        yield Finding("network", Level.GOOD, f"{uplink['url']} has accepted us")
    running = status["station"]["version"]
    if running != __version__:
        text = f"version {running} runs, {__version__} is installed"
        yield Finding("versions", Level.BAD, text, "systemctl restart evse-control evse-agent while nobody charges")


def _slots(place: Place, _: config.Config | None) -> Iterator[Finding]:
    slots = Slots(place.slots_root)
    if not slots.current.is_symlink():
        yield Finding("slots", Level.UNKNOWN, f"{slots.current} is no link: not installed in slots")
        return
    running = slots.running()
    about = None if running is None else slots.about(running)
    if about is None:
        remedy = "evse-slots check; else install again"
        yield Finding("slots", Level.BAD, f"{slots.current} leads to no complete slot", remedy)
        return
    yield Finding("slots", Level.GOOD, f"slot {running} runs, version {about['version']}")
    pending, taken = slots.pending(), slots.taken_back()
    if pending is not None:
        text = f"slot {pending.slot} has yet to prove itself ({pending.starts} starts)"
        yield Finding("slots", Level.LOOK, text, "wait for update.health_s, or evse-slots roll-back")
    if taken is not None:
        text = f"version {taken['version']} was taken back: it {taken['why']}"
        yield Finding("slots", Level.LOOK, text, "read the log of that time, and report it to the maker")


def _watchdog(place: Place, loaded: config.Config | None) -> Iterator[Finding]:
    if not any(place.at("/dev").glob("watchdog*")):
        text = "there is no hardware watchdog: a frozen kernel stays frozen"
        yield Finding("watchdog", Level.LOOK, text, "load the board's watchdog driver, or softdog")
    else:
        yield Finding("watchdog", Level.GOOD, "there is a watchdog device")
    if loaded is not None and loaded.control.realtime_priority:
        said = place.ask(["systemctl", "show", "evse-control.service", "--property=LimitRTPRIO,LimitMEMLOCK"]) or ""
        limits = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        granted = limits.get("LimitRTPRIO", "")
        if not granted:
            yield Finding("real time", Level.UNKNOWN, "systemd does not tell the limits of evse-control")
        elif granted != "infinity" and int(granted) < loaded.control.realtime_priority:
            text = f"control wants real-time priority {loaded.control.realtime_priority} and gets {granted}"
            yield Finding("real time", Level.BAD, text, "LimitRTPRIO= in evse-control.service")
        else:
            yield Finding("real time", Level.GOOD, "control gets its real-time priority")


_CHECKS = (_users, _modes, _units, _devices, _disk, _clock, _certificates, _network, _slots, _watchdog)


def _ask(words: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=15)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def run(config_path: Path, as_json: bool) -> tuple[str, int]:
    """Return the text and the exit status."""
    from agent.local.client import CallError, LocalClient, UnreachableError

    def status() -> Any:
        try:
            api = config.load(config_path, drivers=False).api_path
        except config.ConfigError:
            api = Path("/run/evse-agent/api.sock")
        try:
            with LocalClient(api) as client:
                return client.call("status")
        except (UnreachableError, CallError):
            return None

    findings = examine(Place(config_path, status=status))
    return report(findings, as_json), exit_status(findings)
