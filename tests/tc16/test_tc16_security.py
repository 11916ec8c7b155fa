"""The cases of the security extensions, each over a real websocket, with real TLS and real certificates."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from simulators import pki
from simulators.csms.security import Handshake, Tls
from tests.tc16.rig import ID, Rig, case, replace

KEY = "0123456789ABCDEF0123456789ABCDEF01234567"
"""20 bytes in hexadecimal digits."""

SERIAL = "NORD-1"


def ocpp(rig: Rig, **options: Any) -> None:
    """Change the configuration file's section before the agent starts."""
    rig.config = replace(rig.config, ocpp=replace(rig.config.ocpp, **options))


async def handshake(rig: Rig, number: int) -> Handshake:
    """Wait for the charge point's ``number``th way in, and for what it tells then."""
    entries = rig.csms.access.handshakes
    await rig.until(lambda: len(entries) >= number)
    await rig.until(rig._online)
    return entries[number - 1]


async def events(rig: Rig, kind: str) -> dict[str, Any]:
    return await rig.expect("SecurityEventNotification", type=kind)


async def settled(rig: Rig, profile: str) -> None:
    """Wait until a trial of another security profile is decided in its favour."""
    for _ in range(100):
        if await rig.configuration("SecurityProfile") == profile:
            return
    raise AssertionError(f"the security profile is not {profile}")


def place(rig: Rig) -> Path:
    return rig.config.paths.state_dir


async def tls(rig: Rig, *, client: pki.Authority | None = None, key: str = "p256", **options: Any) -> pki.Authority:
    """Let the CSMS speak TLS; return the root of its certificate."""
    authority = pki.root("Network Root")
    chain, secret = authority.server(place(rig), key=key)
    ca = None if client is None else client.file(place(rig), "clients")
    ocpp(rig, tls_url=await rig.csms.listen_tls(Tls(chain, secret, ca, **options)))
    return authority


async def certificate(rig: Rig, operator: pki.Authority) -> str:
    """Go through the signing of a certificate; return the chain."""
    assert await rig.call("ExtendedTriggerMessage", requestedMessage="SignChargePointCertificate") == {
        "status": "Accepted"
    }
    csr = (await rig.expect("SignCertificate"))["csr"]
    chain = operator.sign(csr)
    assert await rig.call("CertificateSigned", certificateChain=chain) == {"status": "Accepted"}
    return chain


async def install(rig: Rig, authority: pki.Authority, kind: str = "CentralSystemRootCertificate") -> str:
    answer = await rig.call("InstallCertificate", certificateType=kind, certificate=authority.pem)
    status: str = answer["status"]
    return status


@case(start=False)
async def test_tc_073_update_of_the_authorization_key(rig: Rig) -> None:
    old = "an-old-key-of-the-file"
    rig.csms.access.required = True
    rig.csms.access.passwords[ID] = old.encode()
    ocpp(rig, password=old)
    await rig.start_agent()
    rig.csms.access.passwords[ID] = bytes.fromhex(KEY)
    assert await rig.call("ChangeConfiguration", key="AuthorizationKey", value=KEY) == {"status": "Accepted"}
    assert (await handshake(rig, 2)).password == bytes.fromhex(KEY)
    await rig.silent("BootNotification")
    entry = (await rig.call("GetConfiguration", key=["AuthorizationKey"]))["configurationKey"][0]
    assert "value" not in entry
    # It survives a restart, and the journal and the log know nothing of it.
    await rig.stop_agent()
    await rig.start_agent()
    assert rig.csms.access.handshakes[-1].password == bytes.fromhex(KEY)
    for path in place(rig).rglob("*"):
        if path.is_file() and path.name != "networks.json":
            assert KEY.encode() not in path.read_bytes()
    assert (place(rig) / "security" / "networks.json").stat().st_mode & 0o777 == 0o600
    assert (place(rig) / "security").stat().st_mode & 0o777 == 0o700


@case(start=False)
async def test_tc_073_a_key_that_the_network_does_not_take_gives_way_to_the_old_one(rig: Rig) -> None:
    old = "an-old-key-of-the-file"
    rig.csms.access.required = True
    rig.csms.access.passwords[ID] = old.encode()
    ocpp(rig, password=old, back_off_minimum_s=0.1)
    await rig.start_agent()
    await rig.configure(AuthorizationKey=KEY)
    assert (await handshake(rig, 2)).password == old.encode()
    assert rig.csms.access.refused >= 3
    for bad in ("short", "with blanks in it, 20", "x" * 41):
        assert await rig.call("ChangeConfiguration", key="AuthorizationKey", value=bad) == {"status": "Rejected"}


@case(start=False)
async def test_tc_074_update_of_the_charge_point_certificate(rig: Rig) -> None:
    operator = pki.root("Operator Root")
    authority = await tls(rig, client=operator)
    await rig.start_agent()
    await rig.configure(CpoName="Nordstrom")
    assert await install(rig, authority) == "Accepted"
    first = await certificate(rig, operator)
    await rig.configure(SecurityProfile="3")
    seen = await handshake(rig, 2)
    assert seen.subject == {"organizationName": "Nordstrom", "commonName": SERIAL}
    await settled(rig, "3")
    second = await certificate(rig, operator)
    renewed = await handshake(rig, 3)
    assert first != second
    assert int(renewed.serial_number, 16) == x509.load_pem_x509_certificate(second.encode()).serial_number
    assert renewed.tls in ("TLSv1.2", "TLSv1.3")


@case(start=False)
async def test_tc_074_with_an_rsa_key_and_an_intermediate(rig: Rig) -> None:
    operator = pki.root("Operator Root")
    issuing = operator.intermediate("Operator Issuing")
    authority = await tls(rig, client=operator, key="rsa2048")
    from agent.config.schema import KeyType

    ocpp(rig, key_type=KeyType.RSA2048)
    await rig.start_agent()
    await rig.configure(CpoName="Nordstrom")
    assert await install(rig, authority) == "Accepted"
    chain = await certificate(rig, issuing)
    key = x509.load_pem_x509_certificate(chain.encode()).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
    await rig.configure(SecurityProfile="3")
    assert (await handshake(rig, 2)).subject["commonName"] == SERIAL


def hashed(authority: pki.Authority, algorithm: str = "SHA256") -> dict[str, str]:
    """CertificateHashDataType of a root, by the library alone."""
    kind = {"SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}[algorithm]
    from cryptography.x509 import ocsp

    certificate = authority.certificate
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, certificate, kind).build()
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": request.issuer_name_hash.hex(),
        "issuerKeyHash": request.issuer_key_hash.hex(),
        "serialNumber": f"{certificate.serial_number:x}",
    }


async def _install_and_list(rig: Rig, kind: str) -> None:
    authority = pki.root("A Root")
    assert await rig.call("GetInstalledCertificateIds", certificateType=kind) == {"status": "NotFound"}
    assert await install(rig, authority, kind) == "Accepted"
    assert await install(rig, authority, kind) == "Accepted"
    assert await rig.call("GetInstalledCertificateIds", certificateType=kind) == {
        "status": "Accepted",
        "certificateHashData": [hashed(authority)],
    }
    for bad in (pki.root("Expired", days=1, since=-3 * pki.DAY), pki.root("No CA", ca=False)):
        assert await install(rig, bad, kind) == "Rejected"
    answer = await rig.call("InstallCertificate", certificateType=kind, certificate="nothing")
    assert answer == {"status": "Rejected"}


@case()
async def test_tc_075_1_install_a_manufacturer_root(rig: Rig) -> None:
    await _install_and_list(rig, "ManufacturerRootCertificate")


@case()
async def test_tc_075_2_install_a_root_of_the_network(rig: Rig) -> None:
    await _install_and_list(rig, "CentralSystemRootCertificate")


@case()
async def test_tc_076_delete_a_certificate(rig: Rig) -> None:
    for algorithm in ("SHA256", "SHA384", "SHA512"):
        authority = pki.root(f"A Root {algorithm}", key="rsa2048")
        assert await install(rig, authority) == "Accepted"
        wanted = hashed(authority, algorithm)
        wanted["serialNumber"] = wanted["serialNumber"].upper().zfill(40)
        assert await rig.call("DeleteCertificate", certificateHashData=wanted) == {"status": "Accepted"}
        assert await rig.call("DeleteCertificate", certificateHashData=wanted) == {"status": "NotFound"}


@case()
async def test_tc_077_an_invalid_charge_point_certificate(rig: Rig) -> None:
    operator = pki.root("Operator Root")
    await rig.configure(CpoName="Nordstrom")
    await rig.call("ExtendedTriggerMessage", requestedMessage="SignChargePointCertificate")
    csr = (await rig.expect("SignCertificate"))["csr"]
    other = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Nordstrom"),
            x509.NameAttribute(NameOID.COMMON_NAME, "ANOTHER-1"),
        ]
    )
    stranger = x509.CertificateSigningRequestBuilder().subject_name(other).sign(pki.new_key(), hashes.SHA256())
    from cryptography.hazmat.primitives.serialization import Encoding

    foreign = stranger.public_bytes(Encoding.PEM).decode()
    unrelated = pki.root("Unrelated").intermediate("Unrelated Issuing")
    for chain in (
        operator.sign(csr, days=1, since=-3 * pki.DAY),
        operator.sign(csr, subject=other),
        operator.sign(foreign),
        operator.sign(csr) + unrelated.pem,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ):
        assert await rig.call("CertificateSigned", certificateChain=chain) == {"status": "Rejected"}
        await events(rig, "InvalidChargePointCertificate")
    assert await rig.call("CertificateSigned", certificateChain=operator.sign(csr)) == {"status": "Accepted"}


@case(start=False)
async def test_tc_078_an_invalid_certificate_of_the_network(rig: Rig) -> None:
    authority = await tls(rig)
    rig.csms.access.required = True
    rig.csms.access.passwords[ID] = bytes.fromhex(KEY)
    await rig.csms.stop_listening()
    ocpp(rig, security_profile=2, password="", ca_file=authority.file(place(rig)), url=rig.config.ocpp.tls_url)
    ocpp(rig, password="sixteen-or-more-letters")
    rig.csms.access.passwords[ID] = b"sixteen-or-more-letters"
    stranger = pki.root("Stranger")
    bad = [
        Tls(*stranger.server(place(rig), name="stranger")),
        Tls(*authority.server(place(rig), name="expired", days=1, since=-3 * pki.DAY)),
        Tls(*authority.server(place(rig), name="elsewhere", hosts=("elsewhere.example",))),
    ]
    await rig.csms.listen_tls(bad[0])
    await rig.start_agent(wait=False)
    app = rig.app
    assert app is not None
    for endpoint, words in zip(bad, ("self-signed|unable to get", "expired", "not valid for"), strict=True):
        await rig.csms.listen_tls(endpoint)
        await rig.until(lambda words=words: any(w in app.status()["uplink"]["last_error"] for w in words.split("|")))
    assert rig.csms.access.handshakes == []
    await rig.csms.listen_tls(Tls(*authority.server(place(rig))))
    await rig.ready(after=0)
    rig.cursor = 0
    await events(rig, "InvalidCentralSystemCertificate")


@case()
async def test_tc_083_raise_the_security_profile(rig: Rig) -> None:
    """Profile 0 to 1, which needs a key; 2 and 3 are refused for want of what they need."""
    assert await rig.configuration("SecurityProfile") == "0"
    for level in "123":
        answer = await rig.call("ChangeConfiguration", key="SecurityProfile", value=level)
        assert answer == {"status": "Rejected"}, level
    await rig.configure(AuthorizationKey=KEY)
    rig.csms.access.required = True
    rig.csms.access.passwords[ID] = bytes.fromhex(KEY)
    await rig.configure(SecurityProfile="1")
    assert (await handshake(rig, 2)).password == bytes.fromhex(KEY)
    await settled(rig, "1")


@case(start=False)
async def test_tc_083_a_profile_that_does_not_work_falls_back(rig: Rig) -> None:
    authority = await tls(rig)
    ocpp(rig, password="sixteen-or-more-letters")
    await rig.start_agent()
    assert await rig.configuration("SecurityProfile") == "1"
    assert await install(rig, authority) == "Accepted"
    await rig.csms.stop_listening_tls()
    await rig.configure(SecurityProfile="2")
    assert (await handshake(rig, 2)).tls == ""
    assert await rig.configuration("SecurityProfile") == "1"
    await rig.charge()


@case(start=False)
async def test_tc_084_a_lower_profile_is_refused(rig: Rig) -> None:
    ocpp(rig, password="sixteen-or-more-letters")
    await rig.start_agent()
    for level in ("0", "1", "4", "-1", "x"):
        assert await rig.call("ChangeConfiguration", key="SecurityProfile", value=level) == {"status": "Rejected"}
    assert await rig.configuration("SecurityProfile") == "1"


@case(start=False)
async def test_tc_085_basic_authentication(rig: Rig) -> None:
    password = "sixteen-or-more-letters"
    rig.csms.access.required = True
    rig.csms.access.passwords[ID] = b"something-else-entirely"
    ocpp(rig, password=password)
    await rig.start_agent(wait=False)
    await rig.until(lambda: rig.csms.access.refused >= 2)
    rig.csms.access.passwords[ID] = password.encode()
    await rig.ready(after=0)
    header = rig.csms.access.handshakes[0].password
    assert header == password.encode()
    assert base64.b64encode(password.encode())
    log = (place(rig) / "security" / "security.log").read_text()
    assert "FailedToAuthenticateAtCentralSystem" in log
    assert log.count("FailedToAuthenticateAtCentralSystem") == 1


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
def test_tc_086_tls_with_a_server_certificate(tmp_path: Path, key: str, version: ssl.TLSVersion, ciphers: str) -> None:
    async def scenario(rig: Rig) -> None:
        authority = await tls(rig, key=key, lowest=version, highest=version, ciphers=ciphers)
        ocpp(rig, password="sixteen-or-more-letters", security_profile=2, ca_file=authority.file(place(rig)))
        await rig.start_agent()
        seen = rig.csms.access.handshakes[0]
        assert seen.password == b"sixteen-or-more-letters"
        assert not ciphers or seen.cipher == ciphers
        await rig.charge()

    case(start=False)(scenario)(tmp_path)


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
        ({"highest": ssl.TLSVersion.TLSv1_1, "lowest": ssl.TLSVersion.TLSv1, "ciphers": "ALL:@SECLEVEL=0"}, "Version"),
        ({"highest": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-ECDSA-AES128-SHA256"}, "CipherSuite"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tc_086_weak_tls_is_refused(tmp_path: Path, options: dict[str, Any], event: str) -> None:
    async def scenario(rig: Rig) -> None:
        authority = await tls(rig)
        await rig.csms.stop_listening_tls()
        ocpp(rig, password="sixteen-or-more-letters", security_profile=2, ca_file=authority.file(place(rig)))
        weak = Tls(*authority.server(place(rig), name="weak"), **options)
        with WeakServer(urlsplit(rig.config.ocpp.tls_url).port or 0, weak.context()):
            await rig.start_agent(wait=False)
            log = place(rig) / "security" / "security.log"
            await rig.until(lambda: log.exists() and f"InvalidTLS{event}" in log.read_text())
        assert rig.csms.access.handshakes == []
        await rig.csms.listen_tls(Tls(*authority.server(place(rig))))
        await rig.ready(after=0)
        rig.cursor = 0
        await events(rig, f"InvalidTLS{event}")

    case(start=False)(scenario)(tmp_path)


@case(start=False)
async def test_tc_087_tls_with_a_client_certificate(rig: Rig) -> None:
    operator = pki.root("Operator Root")
    authority = await tls(rig, client=operator)
    await rig.start_agent()
    await rig.configure(CpoName="Nordstrom")
    assert await install(rig, authority) == "Accepted"
    assert await rig.call("ChangeConfiguration", key="SecurityProfile", value="3") == {"status": "Rejected"}
    await certificate(rig, operator)
    await rig.configure(SecurityProfile="3")
    seen = await handshake(rig, 2)
    assert seen.subject == {"organizationName": "Nordstrom", "commonName": SERIAL}
    assert seen.password is None
    await settled(rig, "3")
    # The last root of the network may not go now, nor the charge point's own certificate.
    assert await rig.call("DeleteCertificate", certificateHashData=hashed(authority)) == {"status": "Failed"}
    await rig.stop_agent()
    await rig.csms.stop_listening()
    await rig.start_agent()
    assert rig.csms.access.handshakes[-1].subject["commonName"] == SERIAL
    await rig.charge()
