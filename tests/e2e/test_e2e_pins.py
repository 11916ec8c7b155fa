"""A charger without a board: what goes wrong around its pins opens the contacts in time, and is told by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import Site

if TYPE_CHECKING:
    from conftest import SiteFactory

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]

CARD = "04A1B2C3"
PATIENCE_S = 60.0
SLACK_S = 2.0
"""For a machine that is busy with other tests."""


def opened_after(site: Site, since: float) -> float:
    """Wait until the contacts are open; return how long after ``since`` (monotonic) that was."""
    site.lab.wait_for(lambda e: not e["contactor"]["closed"], PATIENCE_S)
    return float(next(e["mono_s"] for e in site.lab.log(1, since) if e["event"] == "contacts_opened")) - since


@pytest.mark.parametrize(
    ("fault", "within_s", "code"),
    [
        ("emergency-stop", 0.1, "emergency_stop"),
        ("rcd", 0.4, "residual_current"),
        ("adc-stuck", 1.5, "pilot"),
        ("lock-lost", 2.5, "lock"),
        ("diode", 1.0, "diode"),
        ("over-temperature", 2.0, "temperature"),
        ("tilt", 2.0, "tilt"),
    ],
)
def test_a_fault_around_the_pins_opens(new_site: SiteFactory, fault: str, within_s: float, code: str) -> None:
    site = new_site(board="gpio")
    site.start()
    site.plug_and_tap(CARD)
    site.lab.wait_for(lambda e: e["power_w"] > 1000, PATIENCE_S)
    since = site.lab.state()["mono_s"]
    site.lab.fault(1, fault)
    assert opened_after(site, since) < within_s + SLACK_S
    site.wait_evse(lambda e: any(f["code"] == code for f in e["faults"]), f"the fault {code}", timeout_s=PATIENCE_S)


def test_a_plug_that_is_pulled_opens_at_once(new_site: SiteFactory) -> None:
    site = new_site(board="gpio")
    site.start()
    site.plug_and_tap(CARD)
    site.lab.wait_for(lambda e: e["power_w"] > 1000, PATIENCE_S)
    since = site.lab.state()["mono_s"]
    site.lab.unplug(1)
    assert opened_after(site, since) < 0.1 + SLACK_S  # IEC 61851-1 Table A.6, sequence 2
