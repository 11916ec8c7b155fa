"""How the CSMS proves who it is, and whom it lets in: TLS, client certificates and passwords."""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request


@dataclass(frozen=True, slots=True)
class Tls:
    """A TLS endpoint. ``client_ca``: charge points must show a certificate that chains to one in this file."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: str = ""

    def context(self) -> ssl.SSLContext:
        """Raises OSError or ssl.SSLError when a file cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if self.ciphers:
            context.set_ciphers(self.ciphers)
        context.minimum_version = self.lowest
        context.maximum_version = self.highest
        if self.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cafile=str(self.client_ca))
        return context


@dataclass(frozen=True, slots=True)
class Handshake:
    """How a charge point came in."""

    charge_point: str
    tls: str
    """TLS version; empty for none."""
    cipher: str
    subject: Mapping[str, str]
    """Of its certificate: ``commonName``, ``organizationName`` …"""
    serial_number: str
    """Of its certificate."""
    password: bytes | None


@dataclass(slots=True)
class Access:
    """Passwords by charge point id. With ``required`` one without the right password is refused (HTTP 401)."""

    passwords: dict[str, bytes] = field(default_factory=dict)
    required: bool = False
    refused: int = 0
    handshakes: list[Handshake] = field(default_factory=list)

    def objects(self, charge_point: str, request: Request) -> bool:
        """Whether this handshake is refused, for lack of the right password."""
        if not self.required:
            return False
        wanted = self.passwords.get(charge_point)
        given = password_of(charge_point, request)
        if wanted is not None and given == wanted:
            return False
        self.refused += 1
        return True

    def note(self, charge_point: str, connection: ServerConnection) -> None:
        """Write down how a charge point came in."""
        assert connection.request is not None
        link = connection.transport.get_extra_info("ssl_object")
        peer: dict[str, Any] = (link.getpeercert() or {}) if link is not None else {}
        subject = {name: value for part in peer.get("subject", ()) for name, value in part}
        self.handshakes.append(
            Handshake(
                charge_point,
                link.version() if link is not None else "",
                link.cipher()[0] if link is not None else "",
                subject,
                str(peer.get("serialNumber", "")),
                password_of(charge_point, connection.request),
            )
        )


def password_of(charge_point: str, request: Request) -> bytes | None:
    """The password of an Authorization header that names this charge point; None without one."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Basic":
        return None
    try:
        user, found, password = base64.b64decode(text, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return password if found and user == charge_point.encode() else None
