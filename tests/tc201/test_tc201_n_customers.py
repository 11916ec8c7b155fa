"""The cases of block N about what is stored of a customer, over a real websocket."""

from __future__ import annotations

from typing import Any

from tests.tc201.csms201 import SILENCE, Payload
from tests.tc201.rig import Rig201, case

CARD = {"idToken": "CARD", "type": "ISO14443"}


async def asked(rig: Rig201, number: int, report: bool, clear: bool, **who: Any) -> Payload:
    who = who or {"idToken": CARD}
    return await rig.call("CustomerInformation", requestId=number, report=report, clear=clear, **who)


async def told(rig: Rig201, number: int) -> str:
    """Put the parts of one answer together."""
    text, expected = "", 0
    while True:
        part = await rig.expect("NotifyCustomerInformation")
        assert (part["requestId"], part["seqNo"]) == (number, expected)
        text, expected = text + part["data"], expected + 1
        if not part.get("tbc", False):
            return text


async def charged(rig: Rig201) -> None:
    """A driver comes, charges and goes; all of it is with the network."""
    await rig.charge("CARD")
    rig.hardware.unplug(1)
    await rig.event("Ended")
    await rig.status("Available")
    app = rig.app
    assert app is not None
    await rig.until(lambda: not app._journal.pending(1))


@case()
async def test_tc_n_27_cs_what_is_stored_of_a_driver(rig: Rig201) -> None:
    """N09.FR.02, FR.05: cache, transactions, reservations, the local list"""
    rig.token("CARD", groupIdToken={"idToken": "FLEET", "type": "Central"})
    await charged(rig)
    assert await asked(rig, 1, report=True, clear=False) == {"status": "Accepted"}
    found = (await told(rig, 1)).splitlines()
    assert "authorisation cache: Accepted, group FLEET" in found
    assert any(line.startswith("transaction ") and "EVSE 1" in line for line in found)
    # Asking changes nothing, and upper and lower case are the same driver.
    assert await asked(rig, 2, report=True, clear=False, idToken=CARD | {"idToken": "card"}) == {"status": "Accepted"}
    assert (await told(rig, 2)).splitlines() == found


@case()
async def test_tc_n_28_cs_nothing_is_stored(rig: Rig201) -> None:
    """N09.FR.06"""
    assert await asked(rig, 3, report=True, clear=False) == {"status": "Accepted"}
    assert await told(rig, 3) == ""


@case()
async def test_tc_n_30_cs_clear_and_report(rig: Rig201) -> None:
    """N10.FR.01, FR.03: told once more, then gone, after a restart too"""
    await charged(rig)
    assert await asked(rig, 4, report=True, clear=True) == {"status": "Accepted"}
    assert "authorisation cache: Accepted" in await told(rig, 4)
    for number in (5, 6):
        assert await asked(rig, number, report=True, clear=False) == {"status": "Accepted"}
        assert await told(rig, number) == ""
        await rig.stop_agent()
        await rig.start_agent()
    assert rig.app is not None
    assert [one.token for one in rig.app._journal.transactions()] == [""]


@case()
async def test_tc_n_31_cs_clear_and_report_where_there_is_nothing(rig: Rig201) -> None:
    """N10.FR.04"""
    assert await asked(rig, 7, report=True, clear=True) == {"status": "Accepted"}
    assert await told(rig, 7) == ""


@case()
async def test_tc_n_32_cs_clear_without_report(rig: Rig201) -> None:
    """N10.FR.06"""
    await charged(rig)
    assert await asked(rig, 8, report=False, clear=True) == {"status": "Accepted"}
    assert await told(rig, 8) == "cleared"
    assert await asked(rig, 9, report=True, clear=False) == {"status": "Accepted"}
    assert await told(rig, 9) == ""


@case()
async def test_tc_n_33_cs_one_customer_must_be_named(rig: Rig201) -> None:
    """N09.FR.07, FR.09, N10.FR.07"""
    for who in ({"customerIdentifier": "x", "idToken": CARD},):
        answer = await asked(rig, 10, report=True, clear=False, **who)
        assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Invalid", "InvalidValue")
    answer = await rig.call("CustomerInformation", requestId=11, report=True, clear=False)
    assert answer["status"] == "Invalid"
    assert (await asked(rig, 12, report=False, clear=False))["status"] == "Rejected"
    await rig.silent("NotifyCustomerInformation")


@case()
async def test_tc_n_62_cs_of_other_references_nothing_is_stored(rig: Rig201) -> None:
    """Identifiers and certificates of customers are never kept here."""
    await charged(rig)
    certificate = {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": "00",
        "issuerKeyHash": "00",
        "serialNumber": "1",
    }
    references: tuple[dict[str, Any], ...] = ({"customerIdentifier": "CARD"}, {"customerCertificate": certificate})
    for number, who in enumerate(references, 13):
        assert await asked(rig, number, report=True, clear=True, **who) == {"status": "Accepted"}
        assert await told(rig, number) == ""
    assert await asked(rig, 15, report=True, clear=False) == {"status": "Accepted"}
    assert await told(rig, 15)


@case()
async def test_a_driver_who_charges_is_not_forgotten(rig: Rig201) -> None:
    """N09.FR.03, N10.FR.05: the records of the transaction are still to be delivered"""
    await rig.charge("CARD")
    answer = await asked(rig, 16, report=True, clear=True)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "TxInProgress")
    await rig.silent("NotifyCustomerInformation")
    assert await asked(rig, 17, report=True, clear=False) == {"status": "Accepted"}
    assert "transaction " in await told(rig, 17)


@case(settings={"LocalAuthListCtrlr.Enabled": "true"})
async def test_the_local_list_stays_and_reservations_go(rig: Rig201) -> None:
    """N10.FR.02, FR.03, FR.06: the list is the network's alone"""
    entry = {"idToken": CARD, "idTokenInfo": {"status": "Accepted"}}
    answer = await rig.call("SendLocalList", versionNumber=1, updateType="Full", localAuthorizationList=[entry])
    assert answer["status"] == "Accepted"
    answer = await rig.call("ReserveNow", id=7, expiryDateTime="2040-01-01T00:00:00Z", idToken=CARD, evseId=1)
    assert answer["status"] == "Accepted"
    assert await asked(rig, 19, report=True, clear=True) == {"status": "Accepted"}
    assert (await told(rig, 19)).splitlines() == [
        "local list: Accepted",
        "reservation 7: EVSE 1 until 2040-01-01T00:00:00Z",
    ]
    assert await asked(rig, 20, report=True, clear=False) == {"status": "Accepted"}
    assert await told(rig, 20) == "local list: Accepted"
    assert (await rig.call("GetLocalListVersion"))["versionNumber"] == 1
    assert (await rig.call("CancelReservation", reservationId=7))["status"] == "Rejected"


@case()
async def test_parts_that_were_not_answered_are_told_again(rig: Rig201) -> None:
    """N09.FR.05: in order, over a loss of the connection"""
    for _ in range(8):
        await charged(rig)
    rig.answer("NotifyCustomerInformation", SILENCE)
    assert await asked(rig, 18, report=True, clear=False) == {"status": "Accepted"}
    first = await rig.expect("NotifyCustomerInformation")
    assert (first["seqNo"], first["tbc"], len(first["data"])) == (0, True, 512)
    del rig.csms.answers["NotifyCustomerInformation"]
    await rig.go_offline()
    await rig.go_online()
    text = await told(rig, 18)
    assert text.startswith(first["data"])
    assert text.count("transaction ") == 8
