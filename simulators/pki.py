"""A small public-key infrastructure for tests: roots, servers' certificates, and charge points' signed requests.

Everything is made fresh; nothing here protects anything.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

DAY = timedelta(days=1)


def new_key(kind: str = "p256") -> PrivateKey:
    """``p256``, ``rsa2048`` or ``rsa1024`` (too short, on purpose)."""
    if kind == "p256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65_537, key_size=int(kind.removeprefix("rsa")))


def key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(common_name: str, organisation: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)] if organisation else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority. ``parent`` None: a root."""

    certificate: x509.Certificate
    key: PrivateKey
    parent: Authority | None = None

    @property
    def pem(self) -> str:
        return _pem(self.certificate)

    def _issue(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
        days: float,
        since: timedelta,
        *extensions: tuple[x509.ExtensionType, bool],
    ) -> x509.Certificate:
        return _build(subject, self.certificate.subject, key, self.key, days, since, *extensions)

    def sign(
        self,
        csr: str,
        *,
        days: float = 90,
        since: timedelta = -DAY,
        subject: x509.Name | None = None,
        chain: bool = True,
    ) -> str:
        """Sign a request; return the chain without its root. Raises ValueError when its signature is wrong."""
        request = x509.load_pem_x509_csr(csr.encode("ascii"))
        if not request.is_signature_valid:
            raise ValueError("the signing request is not signed by its own key")
        key = request.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        leaf = self._issue(subject or request.subject, key, days, since, (x509.BasicConstraints(False, None), True))
        return _pem(leaf) + (self.pem if chain and self.parent is not None else "")

    def intermediate(self, name: str) -> Authority:
        key = new_key()
        certificate = self._issue(_name(name), key.public_key(), 3650, -DAY, (x509.BasicConstraints(True, None), True))
        return Authority(certificate, key, self)

    def successor(self, name: str) -> Authority:
        """The next root, signed by this one (AdditionalRootCertificateCheck)."""
        return self.intermediate(name)

    def server(
        self,
        folder: Path,
        *,
        hosts: tuple[str, ...] = ("127.0.0.1", "localhost"),
        key: str = "p256",
        days: float = 90,
        since: timedelta = -DAY,
        name: str = "server",
        common_name: str = "",
    ) -> tuple[Path, Path]:
        """Make a server's certificate; return the files of chain and key. No ``hosts``: its CN must do."""
        private = new_key(key)
        names: list[x509.GeneralName] = []
        for host in hosts:
            try:
                names.append(x509.IPAddress(ipaddress.ip_address(host)))
            except ValueError:
                names.append(x509.DNSName(host))
        extensions: list[tuple[x509.ExtensionType, bool]] = [(x509.BasicConstraints(False, None), True)]
        if names:
            extensions.append((x509.SubjectAlternativeName(names), False))
        subject = _name(common_name or (hosts[0] if hosts else "server"))
        certificate = self._issue(subject, private.public_key(), days, since, *extensions)
        chain, secret = folder / f"{name}.pem", folder / f"{name}.key"
        chain.write_text(_pem(certificate) + (self.pem if self.parent is not None else ""), "ascii")
        secret.write_bytes(key_pem(private))
        return chain, secret

    def file(self, folder: Path, name: str = "root") -> Path:
        path = folder / f"{name}.pem"
        path.write_text(self.pem, "ascii")
        return path


def root(name: str, *, key: str = "p256", days: float = 3650, since: timedelta = -DAY, ca: bool = True) -> Authority:
    """Make a root. ``ca`` False: one that may not sign, on purpose."""
    private = new_key(key)
    subject = _name(name, "Tests")
    certificate = _build(
        subject, subject, private.public_key(), private, days, since, (x509.BasicConstraints(ca, None), True)
    )
    return Authority(certificate, private)


def _build(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    signer: PrivateKey,
    days: float,
    since: timedelta,
    *extensions: tuple[x509.ExtensionType, bool],
) -> x509.Certificate:
    begin = datetime.now(UTC) + since
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, hashes.SHA256())
