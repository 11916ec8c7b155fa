"""From a backend of OCPP 1.6 to one of 2.0.1 and back, real processes, the agent killed in the middle: every charge is
on the books of one of the two, to the Wh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simulators.csms.process import CsmsProcess
from simulators.demo.books import Deed, compare, lived

if TYPE_CHECKING:
    from conftest import Site, SiteFactory

pytestmark = pytest.mark.process

CARDS = ("04A1B2C3", "04D4E5F6")


def charge(site: Site, token: str) -> Deed:
    start = site.plug_and_tap(token)
    site.wait_energy(15)
    return Deed(1, token, start, site.tap_and_leave(token))


def test_killed_in_the_middle_of_moves_between_versions(new_site: SiteFactory, tmp_path: Path) -> None:
    site = new_site(version="ocpp1.6")
    old = site.csms
    with CsmsProcess(tmp_path / "new", versions=["ocpp2.0.1"]) as new:
        site.start()
        at_old = [charge(site, CARDS[0])]
        site.charger.wait_delivered()
        new.ctl("boot", "pending", "interval=1")
        order = {"url": new.url, "versions": ["ocpp2.0.1"], "waitForSessions": 0}
        transfer = {"vendorId": "org.evse-agent", "messageId": "SetNetwork", "data": json.dumps(order)}
        assert old.ctl("call", "DataTransfer", json.dumps(transfer))["status"] == "Accepted"
        new.wait_for("BootNotification")
        site.charger.kill("agent")
        site.charger.start("agent")
        # Neither network has accepted it: a charge with a card that is known from before.
        at_new = [charge(site, CARDS[0])]
        assert new.ledger()["transactions"] == []
        site.charger.kill("agent")
        new.ctl("boot", "accepted")
        site.charger.start("agent")
        site.charger.wait_accepted()
        at_new.append(charge(site, CARDS[1]))
        site.charger.wait_delivered()
        # And back, by 2.0.1's own messages; what ends the agent is no reset.
        assert new.ctl("network-profile", 2, old.url, "version=ocpp1.6", "security=0")["status"] == "Accepted"
        answer = new.ctl("set-variable", "OCPPCommCtrlr.NetworkConfigurationPriority", "2,0")
        assert answer["setVariableResult"][0]["attributeStatus"] == "RebootRequired"
        site.charger.kill("agent")
        site.charger.start("agent")
        site.charger.wait_accepted()
        at_old.append(charge(site, CARDS[1]))
        site.charger.wait_delivered()
        assert {t["id_tag"] for t in old.ledger()["transactions"]} == set(CARDS)
        books = [old.ledger(), new.ledger()]
    assert [len(each["transactions"]) for each in books] == [len(at_old), len(at_new)]
    assert [anomaly for each in books for anomaly in each["anomalies"]] == []
    deeds = sorted([*at_old, *at_new], key=lambda deed: deed.allowed_from_s)
    charges = lived(site.directory / "logs", deeds)
    assert len(charges) == 4
    found = []
    for side, deeds_there in zip(books, (at_old, at_new), strict=True):
        times = {deed.allowed_from_s for deed in deeds_there}
        there = [each for each in charges if each.allowed_from_s in times]
        found += [complaint for row in compare(there, side) for complaint in row.complaints]
    assert found == []
