"""Processes die, links break, leases run out: the car is safe, and the books agree to the Wh."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from simulators.demo.books import Deed

if TYPE_CHECKING:
    from conftest import SiteFactory

pytestmark = pytest.mark.process

either_version = pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1"])

TOKEN = "04A1B2C3"
OTHER = "04D4E5F6"


@either_version
def test_agent_killed_in_mid_charge_resumes_the_same_transaction(new_site: SiteFactory, version: str) -> None:
    site = new_site(version=version)
    site.start()
    start = site.plug_and_tap(TOKEN)
    site.wait_energy(30)
    before = site.evse()["transaction"]["id"]
    site.charger.kill("agent")
    site.wait_energy(30)  # the car goes on under its lease
    assert site.lab.evse()["contactor"]["closed"]
    site.charger.start("agent")
    site.charger.wait_accepted()
    assert site.wait_charging()["transaction"]["id"] == before
    site.wait_energy(30)
    stop = site.tap_and_leave(TOKEN)
    assert site.events().count("contacts_closed") == 1
    assert site.complaints([Deed(1, TOKEN, start, stop)]) == []
    assert len(site.csms.ledger()["transactions"]) == 1


def test_lease_that_runs_out_falls_to_fail_safe_current_then_to_no_charge(new_site: SiteFactory) -> None:
    site = new_site({"control.lease_s": 5, "control.fail_safe_current_a": 6, "control.fail_safe_s": 8})
    site.start()
    site.plug_and_tap(TOKEN)
    site.charger.kill("agent")
    site.lab.wait_for(lambda e: 9.5 <= e["pilot"]["duty_pct"] <= 10.5, 20)  # 6 A
    assert site.lab.evse()["contactor"]["closed"]
    site.lab.wait_for(lambda e: not e["contactor"]["closed"], 25)
    assert site.lab.evse()["pilot"]["duty_pct"] in (0.0, 100.0)


def test_control_killed_in_mid_charge_opens_and_closes_again_only_after_its_checks(new_site: SiteFactory) -> None:
    site = new_site()
    site.start()
    start = site.plug_and_tap(TOKEN)
    site.wait_energy(30)
    site.charger.kill("control")
    site.lab.wait_for(lambda e: not e["contactor"]["closed"], 15)  # the board's own keep-alive rule
    opened = site.events().count("contacts_opened")
    site.charger.start("control")
    site.wait_charging(timeout_s=60)
    site.wait_energy(30)
    stop = site.tap_and_leave(TOKEN)
    assert opened == 1
    assert site.events().count("contacts_closed") == 2
    assert site.complaints([Deed(1, TOKEN, start, stop)]) == []
    assert len(site.csms.ledger()["transactions"]) == 1


def test_control_that_is_told_to_end_opens_before_it_goes(new_site: SiteFactory) -> None:
    site = new_site()
    site.start()
    site.plug_and_tap(TOKEN)
    assert site.charger.stop("control") == 0
    site.lab.wait_for(lambda e: not e["contactor"]["closed"], 3)
    assert not site.lab.evse()["board"]["allowed"]


@either_version
def test_sessions_begun_and_ended_offline_are_delivered_once(new_site: SiteFactory, version: str) -> None:
    site = new_site(version=version, evses=2)
    site.start()
    start = site.plug_and_tap(TOKEN)
    site.csms.ctl("stop-listening")
    site.charger.wait_for(lambda s: s["uplink"]["state"] != "accepted", "uplink lost")
    site.wait_energy(30)
    deeds = [Deed(1, TOKEN, start, site.tap_and_leave(TOKEN))]
    start = site.plug_and_tap(TOKEN, 2)  # remembered from the first session
    site.wait_energy(30, 2)
    deeds.append(Deed(2, TOKEN, start, site.tap_and_leave(TOKEN, 2)))
    site.csms.ctl("listen")
    site.charger.wait_accepted()
    assert site.complaints(deeds) == []
    assert [t["start_repeats"] for t in site.csms.ledger()["transactions"]] == [0, 0]


@pytest.mark.parametrize(("first", "then"), [("ocpp1.6", "ocpp2.0.1"), ("ocpp2.0.1", "ocpp1.6")])
def test_a_charge_begun_under_one_version_and_ended_under_another_is_one_charge(
    new_site: SiteFactory, first: str, then: str
) -> None:
    site = new_site(version="ocpp2.0.1,ocpp1.6")
    site.csms.ctl("versions", first)
    site.start()
    start = site.plug_and_tap(TOKEN)
    site.wait_energy(30)
    site.csms.ctl("versions", then)
    site.csms.ctl("close")
    site.csms.wait_for("BootNotification", count=2, timeout_s=30)
    site.charger.wait_accepted()
    site.wait_energy(30)
    stop = site.tap_and_leave(TOKEN)
    assert site.complaints([Deed(1, TOKEN, start, stop)]) == []
    (booked,) = site.csms.ledger()["transactions"]
    assert booked["subprotocols"] == [first, then]


@either_version
def test_power_cut_ends_the_transaction_with_what_the_meter_says(new_site: SiteFactory, version: str) -> None:
    site = new_site(version=version)
    site.start()
    start = site.plug_and_tap(TOKEN)
    site.wait_energy(30)
    cut = time.time()
    site.charger.kill("agent")
    site.charger.kill("control")
    site.lab.power(False)
    site.lab.unplug(1)
    site.lab.power(True)
    site.start()
    site.wait_ended()
    # Nobody was there to see it end: the end is told when it was found, not before the cut.
    (booked,) = site.csms.ledger()["transactions"]
    (entry,) = [e for e in site.lab.log(1) if e["event"] == "contacts_closed"]
    assert booked["meter_stop_wh"] == site.lab.evse()["meter"]["register_wh"]
    assert start - 1 <= entry["wall_s"] <= cut


def test_supervisor_restarts_what_dies_and_leaves_nothing_behind(new_site: SiteFactory) -> None:
    site = new_site()
    site.charger.start("run")
    site.charger.wait_accepted()
    children = _children(site.charger.pid("run"))
    assert len(children) == 2
    start = site.plug_and_tap(TOKEN)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    site.charger.wait_for(lambda s: s["control"]["connected"], "both are back", 60)
    site.wait_charging(timeout_s=60)
    stop = site.tap_and_leave(TOKEN)
    assert site.complaints([Deed(1, TOKEN, start, stop)]) == []
    children = _children(site.charger.pid("run"))
    assert site.charger.stop("run") == 0
    assert [pid for pid in children if _alive(pid)] == []


def test_blocked_card_offline_is_refused(new_site: SiteFactory) -> None:
    site = new_site()
    site.start()
    site.charger.call("link.set", online=False)
    site.charger.wait_for(lambda s: s["uplink"]["state"] == "offline_by_command", "offline")
    site.lab.plug(1)
    site.wait_evse(lambda e: e["status"] == "Preparing", "preparing")
    site.tap(OTHER)  # never seen: AllowOfflineTxForUnknownId is false
    assert site.wait_evse(lambda e: bool(e["reasons"]), "reason")["transaction"] is None
    assert "contacts_closed" not in site.events()


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as text:
        return [int(word) for word in text.read().split()]


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as text:
            return text.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
