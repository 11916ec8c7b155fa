"""``make demo``: play the story and check the ledger. Exit status 0 only when everything agrees."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from simulators.charger import Charger
from simulators.csms.client import ControlError
from simulators.csms.dialect import DIALECTS
from simulators.csms.process import CsmsProcess
from simulators.demo.books import Row, compare, lived, table
from simulators.demo.story import CONNECTION_TIMEOUT_S, Story
from simulators.demo.timeline import Timeline
from simulators.lab.process import Lab

SETTINGS = {
    "control.realtime_priority": 0,
    "ocpp.settings.ConnectionTimeOut": str(CONNECTION_TIMEOUT_S),
    "ocpp.settings.MeterValueSampleInterval": "3",
    "ocpp.settings.MeterValuesSampledData": "Energy.Active.Import.Register,Power.Active.Import,Current.Offered",
    "ocpp.settings.LocalPreAuthorize": "false",
    "ocpp.back_off_minimum_s": 0.5,
    "ocpp.back_off_random_s": 0.5,
}
ENERGY_FACTOR = 4.0
"""Physical power is multiplied, in vehicle and meter alike, so that seconds move visible watt-hours.
The meter driver would doubt more than 100 kW."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in DIR and leave logs and journal there")
    parser.add_argument("--version", choices=sorted(DIALECTS), default="ocpp1.6", help="of OCPP, by its sub-protocol")
    options = parser.parse_args(arguments)
    directory = options.keep or Path(tempfile.mkdtemp(prefix="evse-demo-"))
    timeline = Timeline()
    try:
        good = _play(directory, timeline, options.version)
    except (TimeoutError, RuntimeError, ControlError) as error:
        timeline.event("trouble", f"{error}")
        timeline.plain(f"Logs are in {directory}")
        return 1
    if good and options.keep is None:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        timeline.plain(f"Logs and journal are in {directory}")
    return 0 if good else 1


def _play(directory: Path, timeline: Timeline, version: str) -> bool:
    with CsmsProcess(directory / "csms", versions=[version]) as csms:
        settings = {**SETTINGS, "ocpp.versions": [version]}
        lab = Lab(directory, settings, evses=2, csms=csms.url, energy_factor=ENERGY_FACTOR)
        with lab, Charger(lab.config_path) as charger:
            story = Story(lab.control, csms, charger, timeline, version)
            story.play()
            ledger = csms.ledger()
            rows = compare(lived(directory / "logs", story.deeds), ledger)
    return _close_the_books(rows, ledger["anomalies"], timeline)


def _close_the_books(rows: Sequence[Row], anomalies: Sequence[object], timeline: Timeline) -> bool:
    timeline.chapter("Ledger: the meter's own register against the network's books")
    for line in table(rows):
        timeline.plain(line)
    for anomaly in anomalies:
        timeline.event("trouble", f"the network noted: {anomaly}")
    good = bool(rows) and not anomalies and all(not row.complaints for row in rows)
    timeline.plain()
    timeline.verdict(
        good,
        f"All {len(rows)} transactions agree to the Wh; nothing missing, nothing doubled, every time is true."
        if good
        else "The ledger does not agree.",
    )
    return good


if __name__ == "__main__":
    sys.exit(main())
