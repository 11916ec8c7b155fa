"""``evse-agent test-driver``: the conformance kit against the devices of a configuration, on their real wires.

Nothing is commanded to close unless a person has typed that no vehicle is connected, and then only where the pilot
says so too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TextIO

from agent import config
from hal import registry
from hal.conformance.findings import Report
from hal.conformance.kit import examine
from hal.conformance.subject import Subject
from hal.conformance.wires import NodeError

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED = 0, 1, 2, 4
CONSENT = "no vehicle is connected"
OPEN_SOCKETS = Path("/proc/net/unix")


def run(path: str, device: str | None, as_json: bool, with_contactor: bool, out: TextIO, answers: TextIO) -> int:
    """Examine one device, or all, and print the reports to ``out``. Returns the exit status.

    ``answers`` is where the typed consent is read from.
    """
    try:
        read = config.load(path)
    except config.ConfigError as error:
        _say(str(error))
        return EXIT_USAGE
    if device is not None and device not in read.devices:
        _say(f"{path}: there is no device {device!r}; there are: {', '.join(read.devices)}")
        return EXIT_USAGE
    if control_runs(read.link_path):
        _say(f"evse-control is running ({read.link_path}) and holds the ports; stop it first")
        return EXIT_REFUSED
    if with_contactor and not _consented(answers):
        _say("not consented: nothing was done")
        return EXIT_REFUSED
    reports: list[Report] = []
    unreached = False
    for name in [device] if device is not None else read.devices:
        entry = read.devices[name]
        _say(f"testing {name} ({entry.driver}); this takes up to a minute")
        try:
            driver = registry.load(entry.driver)
            report = examine(Subject(name, driver, entry.options, may_close=with_contactor))
        except NodeError as error:
            _say(f"{name}: {error}")
            unreached = True
            continue
        reports.append(report)
        if not as_json:
            out.write(report.text() + "\n")
            out.flush()
    if as_json:
        out.write(json.dumps([report.document() for report in reports], indent=2, ensure_ascii=False) + "\n")
    return EXIT_FAILED if unreached or any(not report.passed for report in reports) else EXIT_OK


def control_runs(link_path: Path) -> bool:
    """Whether somebody listens on control's socket. It is not touched: the agent may be on it."""
    try:
        lines = OPEN_SOCKETS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.endswith(f" {link_path.absolute()}") for line in lines)


def _consented(answers: TextIO) -> bool:
    _say("--with-contactor closes main contacts: voltage will be on the outlet. Look at the outlet, then type:")
    _say(f"    {CONSENT}")
    return answers.readline().strip() == CONSENT


def _say(text: str) -> None:
    sys.stderr.write(f"evse-agent: {text}\n")
    sys.stderr.flush()
