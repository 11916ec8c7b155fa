"""The cases of block A, security, over real websockets, with real TLS and real certificates."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from simulators import pki
from tests.tc201.csms201 import Csms201
from tests.tc201.rig import Refusal, Rig201, case
from tests.tc201.secure201 import (
    OPERATOR,
    SERIAL,
    Gate,
    asked,
    install,
    installed,
    moved,
    ocpp,
    place,
    root_hash,
    server_context,
    signed,
    with_certificate,
)

OLD, NEW = "an-old-password-of-it", "0123456789ABCDEF0123456789ABCDEF01234567"


async def events(rig: Rig201, kind: str) -> dict[str, Any]:
    return await rig.expect("SecurityEventNotification", type=kind)


def log_of(rig: Rig201) -> str:
    path = place(rig) / "security" / "security.log"
    return path.read_text() if path.exists() else ""


# ---- A00: the profiles -----------------------------------------------------------------------------------------------


@case(start=False)
async def test_tc_a_01_cs_basic_authentication(rig: Rig201) -> None:
    """A00.FR.202 to FR.205; a wrong password is told once it is over"""
    gate = rig.csms.gate = Gate("another-password-there")
    ocpp(rig, password=OLD)
    await rig.start_agent(wait=False)
    await rig.until(lambda: gate.refused >= 2)
    gate.password = OLD
    await rig.ready(after=0)
    assert await rig.variable("SecurityCtrlr", "SecurityProfile") == "1"
    assert log_of(rig).count("FailedToAuthenticateAtCentralSystem") == 1


@pytest.mark.parametrize(
    ("key", "version", "ciphers"),
    [
        ("p256", ssl.TLSVersion.TLSv1_3, ""),
        ("p256", ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("p256", ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("rsa2048", ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256"),
        ("rsa2048", ssl.TLSVersion.TLSv1_2, "AES256-GCM-SHA384"),
    ],
)
def test_tc_a_04_cs_tls_with_a_certificate_of_the_server(
    tmp_path: Path, key: str, version: ssl.TLSVersion, ciphers: str
) -> None:
    """A00.FR.301 to FR.321"""

    async def scenario(rig: Rig201) -> None:
        authority = pki.root("Network Root")
        context = server_context(authority, place(rig), key=key, lowest=version, highest=version, ciphers=ciphers)
        async with moved(rig, context, password=OLD, security_profile=2, ca_file=authority.file(place(rig))) as csms:
            csms.gate = Gate(OLD)
            await rig.start_agent()
            assert await rig.variable("SecurityCtrlr", "SecurityProfile") == "2"
            assert csms.gate.refused == 0

    case(start=False)(scenario)(tmp_path)


@case(start=False)
async def test_tc_a_05_cs_an_invalid_certificate_of_the_server(rig: Rig201) -> None:
    """A00.FR.308 to FR.311: refused, and told once the network is there again"""
    authority, stranger = pki.root("Network Root"), pki.root("Stranger")
    folder = place(rig)
    bad = [
        server_context(stranger, folder, name="stranger"),
        server_context(authority, folder, name="expired", days=1, since=-3 * pki.DAY),
        server_context(authority, folder, name="elsewhere", hosts=("elsewhere.example",)),
    ]
    async with moved(rig, bad[0], password=OLD, security_profile=2, ca_file=authority.file(folder)) as csms:
        await rig.start_agent(wait=False)
        app = rig.app
        assert app is not None
        for context, words in zip(bad, ("self-signed|unable to get", "expired", "not valid for"), strict=True):
            await csms.stop_listening()
            csms._context = context
            await csms.listen()
            await rig.until(
                lambda words=words: any(w in app.status()["uplink"]["last_error"] for w in words.split("|"))
            )
        assert csms.connections == 0
        await csms.stop_listening()
        csms._context = server_context(authority, folder)
        await csms.listen()
        await rig.ready(after=0)
        rig._behind = 0
        await events(rig, "InvalidCsmsCertificate")


class WeakServer:
    """A TLS server that tells its alert before it hangs up, as asyncio's does not."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._context = context
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            with plain, contextlib.suppress(OSError):
                plain.settimeout(2.0)
                self._context.wrap_socket(plain, server_side=True).close()


@pytest.mark.parametrize(
    ("options", "event"),
    [
        (
            {"highest": ssl.TLSVersion.TLSv1_1, "lowest": ssl.TLSVersion.TLSv1, "ciphers": "ALL:@SECLEVEL=0"},
            "InvalidTLSVersion",
        ),
        ({"highest": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-ECDSA-AES128-SHA256"}, "InvalidTLSCipherSuite"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tc_a_06_cs_tls_that_is_too_old(tmp_path: Path, options: dict[str, Any], event: str) -> None:
    """A00.FR.313, FR.314, FR.316, FR.319, FR.320, FR.323; one event for many tries"""

    async def scenario(rig: Rig201) -> None:
        authority = pki.root("Network Root")
        good = server_context(authority, place(rig))
        weak = server_context(authority, place(rig), name="weak", **options)
        async with moved(rig, good, password=OLD, security_profile=2, ca_file=authority.file(place(rig))) as csms:
            await csms.stop_listening()
            with WeakServer(urlsplit(csms.url).port or 0, weak):
                await rig.start_agent(wait=False)
                await rig.until(lambda: event in log_of(rig))
            assert csms.connections == 0
            await csms.listen()
            await rig.ready(after=0)
            rig._behind = 0
            await events(rig, event)
            assert log_of(rig).count(event) == 1

    case(start=False)(scenario)(tmp_path)


@case()
async def test_tc_a_07_cs_tls_with_a_certificate_of_the_charging_station(rig: Rig201) -> None:
    """A00.FR.401, FR.402, FR.411 to FR.424, FR.511"""
    operator, authority = pki.root("Operator Root"), pki.root("Network Root")
    await with_certificate(rig, authority, operator)
    async with moved(rig, server_context(authority, place(rig), clients=operator), security_profile=3) as csms:
        await rig.start_agent()
        assert await rig.variable("SecurityCtrlr", "SecurityProfile") == "3"
        peer = csms.peers[-1]
        assert peer is not None
        assert peer["subject"] == ((("organizationName", OPERATOR),), (("commonName", SERIAL),))
        assert "authorization" not in csms.headers[-1]


# ---- A01 -------------------------------------------------------------------------------------------------------------


@case(start=False)
async def test_tc_a_09_cs_update_of_the_password(rig: Rig201) -> None:
    """A01.FR.01, FR.02, FR.10 to FR.12; forty hexadecimal digits are no octets here (A00.FR.205)"""
    gate = rig.csms.gate = Gate(OLD)
    ocpp(rig, password=OLD)
    await rig.start_agent()
    gate.password = NEW
    assert await rig.set_variable("SecurityCtrlr", "BasicAuthPassword", NEW) == "Accepted"
    await rig.until(lambda: rig.csms.connections == 2 and rig.online)
    assert gate.refused == 0
    await rig.silent("BootNotification")
    (result,) = (
        await rig.call(
            "GetVariables",
            getVariableData=[{"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}],
        )
    )["getVariableResult"]
    assert result["attributeStatus"] == "Rejected"
    assert "attributeValue" not in result
    # It survives a restart, and nothing but the file of secrets holds it.
    await rig.stop_agent()
    await rig.start_agent()
    assert gate.refused == 0
    assert "BasicAuthPassword" in log_of(rig)
    for path in place(rig).rglob("*"):
        if path.is_file() and path.name != "networks.json":
            assert NEW.encode() not in path.read_bytes(), path
    assert (place(rig) / "security" / "networks.json").stat().st_mode & 0o777 == 0o600


@case(start=False)
async def test_a_password_that_the_network_does_not_take_gives_way_to_the_old_one(rig: Rig201) -> None:
    gate = rig.csms.gate = Gate(OLD)
    ocpp(rig, password=OLD)
    await rig.start_agent()
    assert await rig.set_variable("SecurityCtrlr", "BasicAuthPassword", NEW) == "Accepted"
    await rig.until(lambda: rig.csms.connections == 2 and rig.online)
    assert gate.refused


@case(start=False)
async def test_tc_a_10_cs_a_password_that_is_too_short_is_rejected(rig: Rig201) -> None:
    gate = rig.csms.gate = Gate(OLD)
    ocpp(rig, password=OLD)
    await rig.start_agent()
    for bad in ("fifteen-letters", "with blanks in it, 20", "x" * 41):
        assert await rig.set_variable("SecurityCtrlr", "BasicAuthPassword", bad) == "Rejected"
    await rig.csms.drop()
    await rig.until(lambda: rig.csms.connections == 2 and rig.online)
    assert gate.refused == 0


# ---- A02, A03 --------------------------------------------------------------------------------------------------------


@case()
async def test_tc_a_11_cs_renewal_of_the_certificate_on_request(rig: Rig201) -> None:
    """A02.FR.02, FR.03, FR.06, FR.08, FR.09, FR.13; the connection is made anew with it"""
    operator, authority = pki.root("Operator Root"), pki.root("Network Root")
    await with_certificate(rig, authority, operator)
    async with moved(rig, server_context(authority, place(rig), clients=operator), security_profile=3) as csms:
        await rig.start_agent()
        request = await asked(rig)
        assert request["certificateType"] == "ChargingStationCertificate"
        csr = x509.load_pem_x509_csr(request["csr"].encode())
        assert csr.is_signature_valid
        key = csr.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.key_size >= 224
        names = {one.oid: one.value for one in csr.subject}
        assert names == {NameOID.ORGANIZATION_NAME: OPERATOR, NameOID.COMMON_NAME: SERIAL}
        chain = operator.sign(request["csr"])
        answer = await rig.call("CertificateSigned", certificateChain=chain)
        assert answer == {"status": "Accepted"}
        await rig.until(lambda: csms.connections == 2 and rig.online)
        peer = csms.peers[-1]
        assert peer is not None
        assert int(peer["serialNumber"], 16) == x509.load_pem_x509_certificate(chain.encode()).serial_number


@case()
async def test_tc_a_14_cs_an_invalid_certificate_is_rejected(rig: Rig201) -> None:
    """A02.FR.06, FR.07, FR.16, FR.20: told as a security event, and not asked for again"""
    operator = pki.root("Operator Root")
    await rig.configure(
        SecurityCtrlr__OrganizationName=OPERATOR,
        SecurityCtrlr__CertSigningWaitMinimum="1",
        SecurityCtrlr__CertSigningRepeatTimes="3",
    )
    csr = (await asked(rig))["csr"]
    unrelated = pki.root("Unrelated").intermediate("Unrelated Issuing")
    for chain in (
        operator.sign(csr, days=1, since=-3 * pki.DAY),
        operator.sign(csr) + unrelated.pem,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "x" * 10_000,
    ):
        answer = await rig.call("CertificateSigned", certificateChain=chain)
        assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidCertificate")
        await events(rig, "InvalidChargingStationCertificate")
    await rig.silent("SignCertificate", seconds=1.5)


@case()
async def test_tc_a_15_cs_a_signing_request_that_is_rejected(rig: Rig201) -> None:
    await rig.configure(SecurityCtrlr__OrganizationName=OPERATOR, SecurityCtrlr__CertSigningWaitMinimum="1")
    rig.answer("SignCertificate", {"status": "Rejected"})
    await asked(rig)
    await rig.silent("SignCertificate", seconds=1.5)
    del rig.csms.answers["SignCertificate"]
    await signed(rig, pki.root("Operator"))


@case()
async def test_tc_a_23_cs_a_certificate_that_does_not_come_is_asked_for_again(rig: Rig201) -> None:
    """A02.FR.17 to FR.19, A03.FR.17 to FR.19: after twice the time each, then no more until it is triggered"""
    await rig.configure(
        SecurityCtrlr__OrganizationName=OPERATOR,
        SecurityCtrlr__CertSigningWaitMinimum="1",
        SecurityCtrlr__CertSigningRepeatTimes="1",
    )
    csr = (await asked(rig))["csr"]
    at = [time.monotonic()]
    for _ in range(2):
        assert (await rig.expect("SignCertificate"))["csr"] == csr
        at.append(time.monotonic())
    assert at[1] - at[0] >= 0.9
    assert at[2] - at[1] >= 1.9
    await rig.silent("SignCertificate", seconds=4.5)
    chain = pki.root("Operator").sign(csr)
    assert await rig.call("CertificateSigned", certificateChain=chain) == {"status": "Accepted"}


@case()
async def test_a_v2g_certificate_is_refused(rig: Rig201) -> None:
    for message in ("SignV2GCertificate", "SignCombinedCertificate"):
        assert (await rig.call("TriggerMessage", requestedMessage=message))["status"] == "NotImplemented"
    answer = await rig.call("CertificateSigned", certificateChain="x", certificateType="V2GCertificate")
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "UnsupportedRequest")


@case()
async def test_without_the_operators_name_no_certificate_is_asked_for(rig: Rig201) -> None:
    answer = await rig.call("TriggerMessage", requestedMessage="SignChargingStationCertificate")
    assert answer == {"status": "Rejected"}


@case()
async def test_a_certificate_is_renewed_before_it_expires(rig: Rig201) -> None:
    """A03.FR.02, FR.03, FR.05 to FR.07"""
    operator = pki.root("Operator Root")
    await rig.configure(SecurityCtrlr__OrganizationName=OPERATOR)
    await signed(rig, operator, days=20, since=-15 * pki.DAY)
    await rig.stop_agent()
    await rig.start_agent()
    renewal = await rig.expect("SignCertificate")
    assert renewal["certificateType"] == "ChargingStationCertificate"
    chain = operator.sign(renewal["csr"], days=365)
    assert await rig.call("CertificateSigned", certificateChain=chain) == {"status": "Accepted"}
    await rig.stop_agent()
    await rig.start_agent()
    await rig.silent("SignCertificate")


@case(versions=("ocpp2.1",))
async def test_a_certificate_of_an_unknown_request_is_rejected(rig: Rig201) -> None:
    """2.1 A02.FR.24, FR.26, A03.FR.20, FR.22; the number holds over a restart"""
    operator = pki.root("Operator Root")
    await rig.configure(SecurityCtrlr__OrganizationName=OPERATOR)
    request = await asked(rig)
    chain = operator.sign(request["csr"])
    wrong = await rig.call("CertificateSigned", certificateChain=chain, requestId=request["requestId"] ^ 1)
    assert (wrong["status"], wrong["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidValue")
    await rig.stop_agent()
    await rig.start_agent()
    answer = await rig.call("CertificateSigned", certificateChain=chain, requestId=request["requestId"])
    assert answer == {"status": "Accepted"}
    again = await rig.call("CertificateSigned", certificateChain=chain, requestId=request["requestId"])
    assert again["status"] == "Rejected"


@case(versions=("ocpp2.1",))
async def test_of_two_certificates_the_one_in_use_stays(rig: Rig201) -> None:
    """2.1 A02.FR.08, FR.10, FR.28, FR.29: the network does not believe the new one, and is told that it is gone"""
    operator, authority = pki.root("Operator Root"), pki.root("Network Root")
    await with_certificate(rig, authority, operator)
    client = place(rig) / "security" / "client"
    (first,) = client.glob("*.pem")
    async with moved(rig, server_context(authority, place(rig), clients=operator), security_profile=3) as csms:
        await rig.start_agent()
        await signed(rig, operator)
        await rig.until(lambda: csms.connections == 2 and rig.online)
        await rig.until(lambda: not first.exists())
        (second,) = client.glob("*.pem")
        await signed(rig, pki.root("Another Operator"))
        await rig.until(lambda: csms.connections == 3 and rig.online)
        await events(rig, "DiscardedRenewedClientCertificate")
        assert list(client.glob("*.pem")) == [second]


@case()
async def test_a_new_certificate_that_is_refused_leaves_the_old_one(rig: Rig201) -> None:
    """A02.FR.10"""
    operator, authority = pki.root("Operator Root"), pki.root("Network Root")
    own = await with_certificate(rig, authority, operator)
    async with moved(rig, server_context(authority, place(rig), clients=operator), security_profile=3) as csms:
        await rig.start_agent()
        await signed(rig, pki.root("Another Operator"))
        await rig.until(lambda: csms.connections == 2 and rig.online)
        peer = csms.peers[-1]
        assert peer is not None
        assert int(peer["serialNumber"], 16) == own.serial_number


# ---- A04 -------------------------------------------------------------------------------------------------------------


@case(start=False)
async def test_critical_events_wait_for_the_network_and_are_told_once(rig: Rig201) -> None:
    """A04.FR.01, FR.02, FR.04"""
    await rig.csms.stop_listening()
    for _ in range(2):
        await rig.start_agent(wait=False)
        app = rig.app
        assert app is not None
        await rig.until(lambda app=app: bool(app.status()["uplink"]["last_error"]))
        await rig.stop_agent()
    await rig.csms.listen()
    refusals = iter([None, None, Refusal("InternalError")])
    rig.answer("SecurityEventNotification", lambda _payload: next(refusals, None) or {})
    await rig.start_agent()
    rig._behind = 0
    told = [await events(rig, "StartupOfTheDevice") for _ in range(3)]
    assert told[0]["techInfo"].startswith("evse-agent ")
    # The one that was refused is tried again after a while, here: after the next connection.
    await rig.go_offline()
    await rig.go_online()
    await events(rig, "StartupOfTheDevice")
    rig.mark()
    await rig.silent("SecurityEventNotification")
    assert log_of(rig).count("StartupOfTheDevice") == 3


@case(problems=("RpcFrameworkError",))
async def test_an_event_that_is_not_critical_stays_in_the_log(rig: Rig201) -> None:
    """A04.FR.04"""
    await rig.csms.send("{not json")
    await rig.configure(SecurityCtrlr__OrganizationName="Another")
    await rig.until(lambda: " ReconfigurationOfSecurityParameters OrganizationName" in log_of(rig))
    assert " InvalidMessages " in log_of(rig)
    await rig.silent("SecurityEventNotification", type="InvalidMessages")


@case()
async def test_a_network_without_security_events_is_left_alone(rig: Rig201) -> None:
    rig._behind = 0
    await events(rig, "StartupOfTheDevice")
    app = rig.app
    assert app is not None
    await rig.until(lambda: len(app._security.line) == 0)
    rig.answer("SecurityEventNotification", Refusal("NotImplemented"))
    app._security.clear_log()
    await events(rig, "SecurityLogWasCleared")
    app._security.clear_log()
    await rig.until(lambda: len(app._security.line) == 0)
    rig.mark()
    await rig.silent("SecurityEventNotification")


# ---- both versions side by side --------------------------------------------------------------------------------------


@case()
async def test_certificates_installed_by_one_version_are_there_for_the_other(rig: Rig201) -> None:
    authority = pki.root("Network Root")
    assert await install(rig, authority) == "Accepted"
    await rig.stop_agent()
    plain = rig.csms
    await plain.stop_listening()
    async with Csms201("ocpp2.1") as csms:
        rig.csms = csms
        rig.mark()
        ocpp(rig, url=csms.url, versions=("ocpp2.1",))
        await rig.start_agent()
        assert await installed(rig, "CSMSRootCertificate") == [("CSMSRootCertificate", root_hash(authority))]
        await rig.stop_agent()
        plain.problems += csms.problems
        rig.csms = plain
    await asyncio.sleep(0)
