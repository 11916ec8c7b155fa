"""The cases of block M that need no vehicle, certificates, over a real websocket."""

from __future__ import annotations

import pytest

from simulators import pki
from tests.tc201.rig import Rig201, case
from tests.tc201.secure201 import (
    OPERATOR,
    hashed,
    install,
    installed,
    moved,
    place,
    root_hash,
    server_context,
    signed,
    with_certificate,
)

CSMS = "CSMSRootCertificate"
MANUFACTURER = "ManufacturerRootCertificate"


async def _install_and_list(rig: Rig201, kind: str) -> None:
    authority = pki.root("A Root")
    assert await installed(rig, kind) == []
    assert await install(rig, authority, kind) == "Accepted"
    assert await installed(rig, kind) == [(kind, root_hash(authority))]
    assert await install(rig, authority, kind) == "Accepted"  # M05.FR.17
    assert await installed(rig, kind) == [(kind, root_hash(authority))]


@case()
async def test_tc_m_01_cs_install_a_root_of_the_network(rig: Rig201) -> None:
    """M05.FR.01, FR.02, FR.17"""
    await _install_and_list(rig, CSMS)


@case()
async def test_tc_m_02_cs_install_a_root_of_the_manufacturer(rig: Rig201) -> None:
    await _install_and_list(rig, MANUFACTURER)


@pytest.mark.parametrize("kind", ["V2GRootCertificate", "MORootCertificate", "OEMRootCertificate"])
def test_roots_of_iso_15118_are_kept_and_listed(tmp_path, kind: str) -> None:
    """TC_M_03, 04, 14 and 16, and 2.1's kind: they need no vehicle to be there."""
    version = "ocpp2.1" if kind.startswith("OEM") else "ocpp2.0.1"

    async def scenario(rig: Rig201) -> None:
        await _install_and_list(rig, kind)

    case(versions=(version,))(scenario)(tmp_path)


@case()
async def test_tc_m_07_cs_a_certificate_that_is_not_valid_is_rejected(rig: Rig201) -> None:
    """M05.FR.07"""
    good = pki.root("Good")
    assert await install(rig, good) == "Accepted"
    for bad in (pki.root("Expired", days=1, since=-3 * pki.DAY), pki.root("No CA", ca=False)):
        assert await install(rig, bad) == "Rejected"
    answer = await rig.call("InstallCertificate", certificateType=CSMS, certificate="nothing")
    assert answer["status"] == "Rejected"
    assert answer["statusInfo"]["reasonCode"] == "InvalidCertificate"
    assert await installed(rig, CSMS) == [(CSMS, root_hash(good))]


@case(settings={"SecurityCtrlr.CertificateEntries": "3"})
async def test_no_more_certificates_than_certificate_entries(rig: Rig201) -> None:
    """M05.FR.06"""
    for number, kind in enumerate((CSMS, MANUFACTURER, "MORootCertificate")):
        assert await install(rig, pki.root(f"Root {number}"), kind) == "Accepted"
    answer = await rig.call("InstallCertificate", certificateType=CSMS, certificate=pki.root("One more").pem)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "OutOfStorage")
    assert await rig.variable("SecurityCtrlr", "CertificateEntries") == "3"


@case(settings={"SecurityCtrlr.AdditionalRootCertificateCheck": "true"})
async def test_tc_m_09_cs_with_the_additional_check_a_root_must_be_signed_by_its_predecessor(rig: Rig201) -> None:
    """M05.FR.09 to FR.12"""
    first = pki.root("First")
    second = first.successor("Second")
    assert await install(rig, first) == "Accepted"
    assert await install(rig, pki.root("Stranger")) == "Rejected"
    assert await installed(rig, CSMS) == [(CSMS, root_hash(first))]
    assert await install(rig, second) == "Accepted"
    found = [data for _, data in await installed(rig, CSMS)]
    assert found == [root_hash(first), hashed(second.certificate, first.certificate)]


async def _replaced(rig: Rig201, *, by_the_new: bool) -> None:
    """A root is replaced; the network comes back with a certificate of the new one, or still of the old one."""
    first = pki.root("First")
    second = first.successor("Second")
    assert await install(rig, first) == "Accepted"
    assert await install(rig, second) == "Accepted"
    server = second if by_the_new else first
    old, new = root_hash(first), hashed(second.certificate, first.certificate)
    password = "an-old-password-of-it"
    async with moved(rig, server_context(server, place(rig)), password=password, security_profile=2) as csms:
        await rig.start_agent()
        found = [data for _, data in await installed(rig, CSMS)]
        # Once its issuer is gone, a root is named by its own key.
        assert (old in found) is not by_the_new
        assert (len(found) == 1) if by_the_new else (found == [old, new])
        await csms.drop()
        await rig.until(lambda: csms.connections == 2 and rig.online)


@case(settings={"SecurityCtrlr.AdditionalRootCertificateCheck": "true"})
async def test_tc_m_30_cs_the_predecessor_goes_once_the_new_root_has_proved_itself(rig: Rig201) -> None:
    """M05.FR.13"""
    await _replaced(rig, by_the_new=True)


@case(settings={"SecurityCtrlr.AdditionalRootCertificateCheck": "true"})
async def test_tc_m_31_cs_the_predecessor_is_the_fallback(rig: Rig201) -> None:
    """M05.FR.14 to FR.16: tried in turn with the new one"""
    await _replaced(rig, by_the_new=False)


@case()
async def test_tc_m_12_cs_retrieve_the_roots_of_the_network(rig: Rig201) -> None:
    """M03.FR.01, FR.03, FR.04"""
    roots = [pki.root("One"), pki.root("Two", key="rsa2048")]
    for root in roots:
        assert await install(rig, root) == "Accepted"
    assert await installed(rig, CSMS) == [(CSMS, root_hash(root)) for root in roots]


@case()
async def test_tc_m_13_cs_retrieve_the_roots_of_the_manufacturer(rig: Rig201) -> None:
    root = pki.root("Manufacturer")
    assert await install(rig, root, MANUFACTURER) == "Accepted"
    assert await install(rig, pki.root("Network")) == "Accepted"
    assert await installed(rig, MANUFACTURER) == [(MANUFACTURER, root_hash(root))]


@case()
async def test_tc_m_17_cs_retrieve_two_kinds_of_roots(rig: Rig201) -> None:
    network, maker = pki.root("Network"), pki.root("Manufacturer")
    assert await install(rig, network) == "Accepted"
    assert await install(rig, maker, MANUFACTURER) == "Accepted"
    assert await install(rig, pki.root("Mobility"), "MORootCertificate") == "Accepted"
    assert await installed(rig, CSMS, MANUFACTURER) == [(CSMS, root_hash(network)), (MANUFACTURER, root_hash(maker))]


@case()
async def test_tc_m_18_cs_retrieve_all_kinds_of_certificates(rig: Rig201) -> None:
    network, maker = pki.root("Network"), pki.root("Manufacturer")
    assert await install(rig, network) == "Accepted"
    assert await install(rig, maker, MANUFACTURER) == "Accepted"
    assert await installed(rig) == [(CSMS, root_hash(network)), (MANUFACTURER, root_hash(maker))]


@case()
async def test_tc_m_19_cs_no_matching_certificate(rig: Rig201) -> None:
    """M03.FR.02; there is never a V2G chain (FR.05)"""
    assert await install(rig, pki.root("Network")) == "Accepted"
    for kind in ("MORootCertificate", "V2GCertificateChain"):
        answer = await rig.call("GetInstalledCertificateIds", certificateType=[kind])
        assert answer == {"status": "NotFound"}


@case()
async def test_tc_m_20_cs_delete_a_certificate(rig: Rig201) -> None:
    """M04.FR.01, FR.02, with each algorithm (FR.07)"""
    for algorithm in ("SHA256", "SHA384", "SHA512"):
        assert await install(rig, pki.root(f"A Root {algorithm}", key="rsa2048")) == "Accepted"
    ((_, first), *_others) = await installed(rig, CSMS)
    assert await rig.call("DeleteCertificate", certificateHashData=first) == {"status": "Accepted"}
    left = await installed(rig, CSMS)
    assert len(left) == 2
    assert first not in [data for _, data in left]
    for algorithm in ("SHA384", "SHA512"):
        authority = pki.root(f"Another {algorithm}")
        assert await install(rig, authority) == "Accepted"
        wanted = root_hash(authority, algorithm)
        assert await rig.call("DeleteCertificate", certificateHashData=wanted) == {"status": "Accepted"}
    assert await installed(rig, CSMS) == left


@case()
async def test_tc_m_22_cs_delete_a_certificate_that_is_not_there(rig: Rig201) -> None:
    """M04.FR.04"""
    assert await install(rig, pki.root("Here")) == "Accepted"
    answer = await rig.call("DeleteCertificate", certificateHashData=root_hash(pki.root("Elsewhere")))
    assert answer == {"status": "NotFound"}


@case()
async def test_tc_m_23_cs_the_charging_stations_own_certificate_is_not_deleted(rig: Rig201) -> None:
    """M04.FR.06; nor the last root of the network in use (FR.03)"""
    operator, authority = pki.root("Operator Root"), pki.root("Network Root")
    own = await with_certificate(rig, authority, operator)
    async with moved(rig, server_context(authority, place(rig), clients=operator), security_profile=3):
        await rig.start_agent()
        assert await installed(rig) == [(CSMS, root_hash(authority))]
        wanted = hashed(own, operator.certificate)
        assert await rig.call("DeleteCertificate", certificateHashData=wanted) == {"status": "Failed"}
        wanted = root_hash(authority)
        assert await rig.call("DeleteCertificate", certificateHashData=wanted) == {"status": "Failed"}


@case()
async def test_certificates_survive_a_restart(rig: Rig201) -> None:
    await rig.configure(SecurityCtrlr__OrganizationName=OPERATOR)
    authority = pki.root("Network")
    assert await install(rig, authority) == "Accepted"
    await signed(rig, pki.root("Operator"))
    await rig.stop_agent()
    await rig.start_agent()
    assert await installed(rig) == [(CSMS, root_hash(authority))]
    assert await rig.variable("SecurityCtrlr", "CertificateEntries") == "2"
