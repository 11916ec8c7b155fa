"""A car charges, end to end: real processes, real drivers, hardware simulated at the wire, a CSMS on a socket."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from conftest import over

from simulators.demo.books import Deed

if TYPE_CHECKING:
    from conftest import SiteFactory

pytestmark = pytest.mark.process

TOKEN = "04A1B2C3"
OTHER = "04D4E5F6"


@pytest.mark.parametrize("board", ["yeti", "tida"])
def test_a_car_charges_and_the_books_agree_to_the_wh(new_site: SiteFactory, board: str) -> None:
    site = new_site(board=board)
    site.start()
    start = site.plug_and_tap(TOKEN)
    site.wait_energy(40)
    stop = site.tap_and_leave(TOKEN)
    assert site.complaints([Deed(1, TOKEN, start, stop)]) == []
    assert len(site.csms.ledger()["transactions"]) == 1


def test_two_evses_charge_at_once_and_share_the_feed(new_site: SiteFactory) -> None:
    site = new_site({"installation.max_current_a": 32}, evses=2)
    site.start()
    first = site.plug_and_tap(TOKEN, 1, "renault-zoe-r135")
    assert site.wait_evse(lambda e: e["offered_a"] > 30, "all of the feed")["offered_a"] <= 32
    second = site.plug_and_tap(OTHER, 2, "smart-fortwo-eq-22")
    site.charger.wait_for(
        lambda s: all(0 < e["offered_a"] <= 16.01 for e in s["evses"]), "the feed is shared between both"
    )
    site.wait_energy(30, 2)
    deeds = [
        Deed(1, TOKEN, first, site.tap_and_leave(TOKEN, 1)),
        Deed(2, OTHER, second, site.tap_and_leave(OTHER, 2)),
    ]
    assert site.complaints(deeds) == []


def test_a_fixed_cable_needs_no_lock(new_site: SiteFactory) -> None:
    site = new_site(connector="cable")
    site.start()
    start = site.plug_and_tap(TOKEN)
    site.wait_energy(30)
    stop = time.time()
    site.lab.vehicle(1, "not-ready")
    site.lab.unplug(1)
    site.wait_evse(lambda e: e["status"] == "Available", "available")
    assert site.complaints([Deed(1, TOKEN, start, stop)]) == []
    assert site.csms.ledger()["transactions"][0]["reason"] == "EVDisconnected"


def test_the_operator_starts_and_stops_from_afar(new_site: SiteFactory) -> None:
    site = new_site()
    site.start()
    site.lab.plug(1)
    site.wait_evse(lambda e: e["status"] == "Preparing", "preparing")
    asked = time.time()
    assert site.csms.call(None, "RemoteStartTransaction", {"idTag": TOKEN, "connectorId": 1})["status"] == "Accepted"
    site.wait_charging()
    site.wait_energy(30)
    (transaction,) = site.csms.ledger()["transactions"]
    stop = time.time()
    answer = site.csms.call(None, "RemoteStopTransaction", {"transactionId": transaction["transaction_id"]})
    assert answer["status"] == "Accepted"
    site.wait_evse(over, "stopped")
    assert site.complaints([Deed(1, TOKEN, asked, stop)]) == []
    assert site.csms.ledger()["transactions"][0]["reason"] == "Remote"


def test_a_refused_card_gets_no_energy_and_is_told_why(new_site: SiteFactory) -> None:
    site = new_site()
    site.csms.ctl("refuse", TOKEN)
    site.start()
    site.lab.plug(1)
    site.wait_evse(lambda e: e["status"] == "Preparing", "preparing")
    site.tap(TOKEN)
    site.csms.wait_for("Authorize", idTag=TOKEN)
    evse = site.wait_evse(lambda e: e["transaction"] is None and bool(e["reasons"]), "a reason")
    assert not evse["contactor_closed"]
    assert "contacts_closed" not in site.events()
    assert site.csms.ledger()["transactions"] == []
