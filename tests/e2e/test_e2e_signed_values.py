"""A meter that signs, over its real wire: its sets reach the network byte for byte, whatever dies in between."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Site, SiteFactory

pytestmark = pytest.mark.process

TOKEN = "04A1B2C3"
SIGN = {"ocpp.settings.SampledDataSignReadings": "true"}


def meter(site: Site) -> Any:
    return site.lab.evse()["meter"]["signing"]


def wait_signing(site: Site) -> None:
    """Wait until the meter's session has begun."""
    site.lab.wait_for(lambda e: e["meter"]["signing"]["commands"].endswith("B"), 20)


def booked(site: Site) -> list[dict[str, Any]]:
    """Return the network's transactions after everything was delivered; nothing may have been odd about them."""
    site.charger.wait_delivered()
    ledger = site.csms.ledger()
    assert ledger["anomalies"] == []
    found: list[dict[str, Any]] = ledger["transactions"]
    return found


def check(site: Site, transaction: dict[str, Any], contexts: list[str]) -> None:
    """The network has verified every set, and they are the meter's own."""
    values = transaction["signed_values"]
    assert [value["context"] for value in values] == contexts
    assert all(value["verified"] for value in values)
    assert {value["data"] for value in values} <= set(meter(site)["sets"])
    keys = {value["public_key"] for value in values} - {""}
    assert keys == {meter(site)["public_key"]}


def test_a_session_online(new_site: SiteFactory) -> None:
    site = new_site(SIGN, meter="modbus:map=em580")
    site.start()
    site.lab.wait_for(lambda e: e["meter"]["signing"]["clock_set"], 20)
    site.plug_and_tap(TOKEN)
    wait_signing(site)
    site.wait_energy(30)
    site.tap_and_leave(TOKEN)
    (transaction,) = booked(site)
    check(site, transaction, ["Transaction.End"])
    payload = json.loads(transaction["signed_values"][0]["data"].split("|")[1])
    assert (payload["ID"], payload["IT"], payload["IS"]) == (TOKEN, "ISO14443", True)
    begin, end = payload["RD"]
    assert float(end["RV"]) - float(begin["RV"]) >= 0.03
    assert begin["TM"].endswith(" S")


def test_each_reading_signed_by_itself_offline_with_a_killed_agent(new_site: SiteFactory) -> None:
    settings = {
        **SIGN,
        "ocpp.settings.SampledDataSignUpdatedReadings": "true",
        "ocpp.settings.SampledDataSignStartedReadings": "true",
        "ocpp.settings.StartTxnSampledData": "Energy.Active.Import.Register",
        "ocpp.settings.PublicKeyWithSignedMeterValue": "EveryMeterValue",
        "ocpp.settings.MeterValueSampleInterval": "3",
    }
    site = new_site(settings, meter="modbus:map=signing-example")
    site.start()
    site.plug_and_tap(TOKEN)
    site.csms.ctl("stop-listening")
    site.charger.wait_for(lambda s: s["uplink"]["state"] != "accepted", "uplink lost")
    site.lab.wait_for(lambda e: e["meter"]["signing"]["commands"].count("R") >= 1, 20)
    site.charger.kill("agent")
    site.charger.start("agent")
    site.wait_charging()
    site.lab.wait_for(lambda e: e["meter"]["signing"]["commands"].count("R") >= 2, 20)
    site.tap_and_leave(TOKEN)
    site.csms.ctl("listen")
    site.charger.wait_accepted()
    (transaction,) = booked(site)
    values = transaction["signed_values"]
    contexts = [value["context"] for value in values]
    assert contexts[0] == "Transaction.Begin"
    assert contexts[-2:] == ["Transaction.Begin", "Transaction.End"]
    assert contexts.count("Sample.Periodic") >= 2
    assert all(value["verified"] for value in values)
    assert {value["data"] for value in values} == set(meter(site)["sets"])
    assert meter(site)["commands"].count("B") == 1


def test_both_processes_killed_in_mid_session(new_site: SiteFactory) -> None:
    site = new_site(SIGN, meter="modbus:map=em580,curve=secp256k1")
    site.start()
    site.plug_and_tap(TOKEN)
    wait_signing(site)
    site.charger.kill("agent")
    site.charger.kill("control")
    site.charger.start("control")
    site.charger.start("agent")
    site.charger.wait_accepted()
    site.wait_charging(timeout_s=60)
    site.tap_and_leave(TOKEN)
    (transaction,) = booked(site)
    check(site, transaction, ["Transaction.End"])
    assert meter(site)["commands"] == "BE"


def test_a_meter_that_does_not_sign_does_not_keep_the_bill(new_site: SiteFactory) -> None:
    site = new_site(SIGN, meter="modbus:map=em580")
    site.start()
    site.plug_and_tap(TOKEN)
    wait_signing(site)
    site.lab.fault(1, "signing-corrupt")
    site.tap_and_leave(TOKEN)
    (transaction,) = booked(site)
    assert "signed_values" not in transaction
    assert transaction["meter_stop_wh"] is not None
