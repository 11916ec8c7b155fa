"""What the cases of security need: a gate that knows passwords, TLS with fresh certificates, and moves of a charging
station from the CSMS of its rig to another one."""

from __future__ import annotations

import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from simulators import pki
from tests.tc201.csms201 import Csms201
from tests.tc201.rig import ID, Rig201, replace

SERIAL = "NORD-1"
OPERATOR = "Nordstrom"


class Gate:
    """Lets in whoever gives the password; ``refused`` counts the others. Put it into ``Csms201.gate``."""

    def __init__(self, password: str) -> None:
        self.password = password
        self.refused = 0

    def __call__(self, connection: ServerConnection, request: Request) -> Response | None:
        wanted = base64.b64encode(f"{ID}:{self.password}".encode()).decode()
        if request.headers.get("Authorization") == f"Basic {wanted}":
            return None
        self.refused += 1
        return connection.respond(401, "who is there?\n")


def place(rig: Rig201) -> Path:
    return rig.config.paths.state_dir


def ocpp(rig: Rig201, **options: Any) -> None:
    """Change the configuration file's section before the agent starts."""
    rig.config = replace(rig.config, ocpp=replace(rig.config.ocpp, **options))


def server_context(
    authority: pki.Authority,
    folder: Path,
    *,
    clients: pki.Authority | None = None,
    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ciphers: str = "",
    **options: Any,
) -> ssl.SSLContext:
    """TLS of a CSMS whose certificate this authority has signed; with ``clients`` it wants one of those."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = lowest, highest
    if ciphers:
        context.set_ciphers(ciphers)
    context.load_cert_chain(*map(str, authority.server(folder, **options)))
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.pem)
    return context


@contextlib.asynccontextmanager
async def moved(rig: Rig201, context: ssl.SSLContext, **options: Any) -> AsyncIterator[Csms201]:
    """The charging station starts anew, at a CSMS with TLS that takes the place of the rig's."""
    await rig.stop_agent()
    plain = rig.csms
    await plain.stop_listening()
    async with Csms201(*plain.versions, context=context) as csms:
        rig.csms = csms
        rig.mark()
        ocpp(rig, url=csms.url, **options)
        try:
            yield csms
        finally:
            await rig.stop_agent()
            plain.problems += csms.problems
            rig.csms = plain


async def install(rig: Rig201, authority: pki.Authority, kind: str = "CSMSRootCertificate") -> str:
    answer = await rig.call("InstallCertificate", certificateType=kind, certificate=authority.pem)
    return str(answer["status"])


async def installed(rig: Rig201, *kinds: str) -> list[tuple[str, dict[str, str]]]:
    """GetInstalledCertificateIds: kinds and hash data; empty for NotFound."""
    answer = await rig.call("GetInstalledCertificateIds", **({"certificateType": list(kinds)} if kinds else {}))
    chain = answer.get("certificateHashDataChain", [])
    assert (answer["status"] == "Accepted") is bool(chain), answer
    return [(one["certificateType"], one["certificateHashData"]) for one in chain]


def hashed(certificate: x509.Certificate, issuer: x509.Certificate, algorithm: str = "SHA256") -> dict[str, str]:
    """CertificateHashDataType, by the library alone."""
    kind = {"SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}[algorithm]
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, kind).build()
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": request.issuer_name_hash.hex(),
        "issuerKeyHash": request.issuer_key_hash.hex(),
        "serialNumber": f"{certificate.serial_number:x}",
    }


def root_hash(authority: pki.Authority, algorithm: str = "SHA256") -> dict[str, str]:
    return hashed(authority.certificate, authority.certificate, algorithm)


async def asked(rig: Rig201) -> dict[str, Any]:
    """Trigger a signing request; return the SignCertificate."""
    answer = await rig.call("TriggerMessage", requestedMessage="SignChargingStationCertificate")
    assert answer == {"status": "Accepted"}
    return await rig.expect("SignCertificate")


async def signed(rig: Rig201, operator: pki.Authority, **options: Any) -> x509.Certificate:
    """Go through the signing of a certificate; return it (RenewChargingStationCertificate of part 6)."""
    request = await asked(rig)
    chain = operator.sign(request["csr"], **options)
    more = {"requestId": request["requestId"]} if "requestId" in request else {}
    answer = await rig.call(
        "CertificateSigned", certificateChain=chain, certificateType="ChargingStationCertificate", **more
    )
    assert answer == {"status": "Accepted"}
    return x509.load_pem_x509_certificates(chain.encode())[0]


async def with_certificate(rig: Rig201, authority: pki.Authority, operator: pki.Authority) -> x509.Certificate:
    """Give the charging station all that security profile 3 needs, over the connection it has."""
    await rig.configure(SecurityCtrlr__OrganizationName=OPERATOR)
    assert await install(rig, authority) == "Accepted"
    return await signed(rig, operator)
