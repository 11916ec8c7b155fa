"""Whole chargers for the tests: the lab's hardware behind ptys, a CSMS on a socket, and the product's own processes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from simulators.charger import Charger
from simulators.csms.process import CsmsProcess
from simulators.demo.books import Charge, Deed, compare, lived
from simulators.lab.client import LabControl
from simulators.lab.process import Lab

SAME_CARD_S = 2.5
"""A card held for 0.6 s, and a reader that takes it for the same presentation until it was away for a second."""

SETTINGS: dict[str, Any] = {
    "control.realtime_priority": 0,
    "ocpp.settings.MeterValueSampleInterval": "2",
    "ocpp.back_off_minimum_s": 0.2,
    "ocpp.back_off_random_s": 0.2,
    "ocpp.back_off_repeats": 1,
}


def over(evse: Any) -> bool:
    """The transaction has ended; it stays in sight until the vehicle is unplugged."""
    return evse["transaction"] is None or evse["transaction"]["state"] == "finished"


@dataclass
class Site:
    """One charger on simulated hardware with its network."""

    lab: LabControl
    csms: CsmsProcess
    charger: Charger
    directory: Path
    _taps: dict[str, float] = field(default_factory=dict)

    def start(self) -> None:
        """Start control and agent, each by itself, and wait for the accepted boot."""
        self.charger.start("control")
        self.charger.start("agent")
        self.charger.wait_accepted()

    def evse(self, number: int = 1) -> Any:
        return self.charger.status()["evses"][number - 1]

    def wait_evse(self, condition: Callable[[Any], bool], what: str, number: int = 1, timeout_s: float = 30.0) -> Any:
        status = self.charger.wait_for(lambda s: condition(s["evses"][number - 1]), what, timeout_s)
        return status["evses"][number - 1]

    def wait_charging(self, number: int = 1, timeout_s: float = 30.0) -> Any:
        return self.wait_evse(
            lambda e: e["status"] == "Charging" and (e["power_w"] or 0) > 1000,
            f"EVSE {number} charges",
            number,
            timeout_s,
        )

    def tap(self, token: str) -> float:
        """Show a card, no sooner after the last time than the reader takes it again. Return the Unix time of it."""
        time.sleep(max(0.0, self._taps.get(token, 0.0) + SAME_CARD_S - time.monotonic()))
        at = time.time()
        self.lab.tap(token)
        self._taps[token] = time.monotonic()
        return at

    def plug_and_tap(self, token: str, evse: int = 1, vehicle: str = "renault-zoe-r135") -> float:
        """Plug in, show the card, wait until energy flows. Return the Unix time of the card."""
        self.lab.plug(evse, vehicle=vehicle)
        self.wait_evse(lambda e: e["status"] == "Preparing", "preparing", evse)
        at = self.tap(token)
        self.wait_charging(evse)
        return at

    def tap_and_leave(self, token: str, evse: int = 1) -> float:
        """Show the card, wait for the plug, drive away. Return the Unix time of the card."""
        at = self.tap(token)
        self.wait_evse(lambda e: over(e) and not e["locked"], "transaction over, plug free", evse)
        self.lab.unplug(evse)
        self.wait_evse(lambda e: e["status"] == "Available", "available", evse)
        return at

    def wait_ended(self, timeout_s: float = 20.0) -> None:
        """Wait until the network has heard of the end of a transaction."""
        if self.csms.ctl("state")["versions"] == ["ocpp1.6"]:
            self.csms.wait_for("StopTransaction", timeout_s=timeout_s)
        else:
            self.csms.wait_for("TransactionEvent", timeout_s=timeout_s, eventType="Ended")

    def wait_energy(self, wh: float, number: int = 1, timeout_s: float = 30.0) -> None:
        """Wait until the meter's register has moved on by so much."""
        begin = self.lab.evse(number)["meter"]["register_wh"]
        self.lab.wait_for(lambda e: e["meter"]["register_wh"] >= begin + wh, timeout_s, number)

    def events(self, number: int = 1) -> list[str]:
        return [str(entry["event"]) for entry in self.lab.log(number)]

    def complaints(self, deeds: list[Deed]) -> list[str]:
        """Compare the network's books with the hardware's logs: empty when they agree to the Wh and the second."""
        self.charger.wait_delivered()
        ledger = self.csms.ledger()
        charges: list[Charge] = lived(self.directory / "logs", deeds)
        found = [f"anomaly: {anomaly}" for anomaly in ledger["anomalies"]]
        found += [complaint for row in compare(charges, ledger) for complaint in row.complaints]
        return found


SiteFactory = Callable[..., Site]


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[SiteFactory]:
    """Build sites; everything they started ends with the test. ``version``: the sub-protocols both sides speak,
    joined by commas."""
    with contextlib.ExitStack() as stack:

        def build(settings: dict[str, Any] | None = None, *, version: str = "ocpp1.6", **options: Any) -> Site:
            directory = tmp_path / "site"
            versions = version.split(",")
            csms = stack.enter_context(CsmsProcess(directory / "csms", versions=versions))
            options = {"evses": 1, "energy_factor": 4.0, "csms": csms.url, **options}
            of_version = {} if version == "ocpp1.6" else {"ocpp.versions": versions}
            lab = stack.enter_context(Lab(directory, {**SETTINGS, **of_version, **(settings or {})}, **options))
            charger = stack.enter_context(Charger(lab.config_path))
            return Site(lab.control, csms, charger, directory)

        yield build
