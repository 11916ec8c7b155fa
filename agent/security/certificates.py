"""Keys, signing requests and X.509 certificates. The only module that loads ``cryptography``; import it when needed.

Times are seconds since 1970. Texts are PEM. What is wrong with a certificate is said in words, not by exceptions of the
library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from agent.config.schema import KeyType

Certificate = x509.Certificate

MIN_RSA_BITS = 2048
MIN_EC_BITS = 224
"""White paper A00.FR.5xx: at least 112 bits of security."""

MAX_CHAIN = 8


class CertificateError(ValueError):
    """A certificate that cannot be taken. The text says which rule it breaks."""


class HashAlgorithm(Enum):
    SHA256 = "SHA256"
    SHA384 = "SHA384"
    SHA512 = "SHA512"


@dataclass(frozen=True, slots=True)
class CertificateHash:
    """What names a certificate towards the network (CertificateHashDataType; RFC 6960 §4.1.1 CertID)."""

    algorithm: HashAlgorithm
    issuer_name: str
    """Hash of the issuer's name, hexadecimal."""
    issuer_key: str
    """Hash of the issuer's public key, hexadecimal."""
    serial_number: str
    """Hexadecimal, without leading zeros."""

    def same(self, other: CertificateHash) -> bool:
        """Hexadecimal digits compare without regard to case and leading zeros of the serial number."""
        return (
            self.algorithm is other.algorithm
            and self.issuer_name.casefold() == other.issuer_name.casefold()
            and self.issuer_key.casefold() == other.issuer_key.casefold()
            and self.serial_number.casefold().lstrip("0") == other.serial_number.casefold().lstrip("0")
        )


def new_key(kind: KeyType) -> bytes:
    """Make a private key. An RSA key can take seconds on a small processor: call it in a thread."""
    if kind is KeyType.P256:
        key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2048 if kind is KeyType.RSA2048 else 3072)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def signing_request(key_pem: bytes, organisation: str, serial_number: str) -> str:
    """Return a PKCS #10 request: O is the operator's name, CN the charge point's serial number (A00.FR.511)."""
    key = serialization.load_pem_private_key(key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, serial_number),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode("ascii")


def key_number(key_pem: bytes) -> int:
    """Return a number of 31 bits that goes with the public half of a key."""
    public = serialization.load_pem_private_key(key_pem, None).public_key()
    return int.from_bytes(hashlib.sha256(_public(public)).digest()[:4], "big") & 0x7FFF_FFFF


def read_chain(pem: str) -> list[Certificate]:
    """Read one or more certificates. Raises CertificateError."""
    try:
        chain = x509.load_pem_x509_certificates(pem.encode("ascii"))
    except (ValueError, TypeError) as error:
        raise CertificateError(f"is no PEM certificate ({str(error)[:80]})") from None
    if len(chain) > MAX_CHAIN:
        raise CertificateError(f"holds {len(chain)} certificates; at most {MAX_CHAIN} are taken")
    for certificate in chain:
        _check_key(certificate)
    return list(chain)


def pem_of(certificates: Sequence[Certificate]) -> str:
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode("ascii") for one in certificates)


def valid_from(certificate: Certificate) -> float:
    return certificate.not_valid_before_utc.timestamp()


def valid_until(certificate: Certificate) -> float:
    return certificate.not_valid_after_utc.timestamp()


def fingerprint(certificate: Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def subject(certificate: Certificate) -> str:
    return certificate.subject.rfc4514_string()


def check_dates(certificate: Certificate, utc_s: float | None) -> None:
    """Raises CertificateError outside of its validity. ``utc_s`` None: no clock to judge by."""
    if utc_s is None:
        return
    if utc_s > valid_until(certificate):
        raise CertificateError(f"{subject(certificate)} expired on {_day(valid_until(certificate))}")
    # The first day is forgiven: a certificate is often valid from the second in which it was made.
    if utc_s < valid_from(certificate) - 86_400:
        raise CertificateError(f"{subject(certificate)} is not valid before {_day(valid_from(certificate))}")


def check_client_chain(
    chain: Sequence[Certificate],
    key_pem: bytes | None,
    organisation: str,
    serial_number: str,
    utc_s: float | None,
    roots: Sequence[Certificate] = (),
) -> None:
    """Check the certificate that the network signed for this charge point (A02.FR.06, A00.FR.511).

    The chain begins with the charge point's own; each next one signed the one before. Where a root that is known
    here carries the last issuer's name, it must have signed it. Raises CertificateError.
    """
    if not chain:
        raise CertificateError("holds no certificate")
    leaf = chain[0]
    if key_pem is None:
        raise CertificateError("was not asked for: no signing request is open")
    key = serialization.load_pem_private_key(key_pem, None).public_key()
    if _public(key) != _public(leaf.public_key()):
        raise CertificateError("does not belong to the key of the signing request")
    names = [str(value.value) for value in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if serial_number not in names:
        raise CertificateError(f"names {names} where the serial number {serial_number!r} belongs (CN)")
    owners = [str(value.value) for value in leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if organisation not in owners:
        raise CertificateError(f"names {owners} where CpoName {organisation!r} belongs (O)")
    for certificate in chain:
        check_dates(certificate, utc_s)
    for signed, issuer in pairwise(chain):
        _check_signature(signed, issuer)
        _check_authority(issuer)
    named = [root for root in roots if root.subject == chain[-1].issuer]
    if named and not any(_signed(chain[-1], root) for root in named):
        raise CertificateError(f"{subject(chain[-1])} was not signed by the root of that name that is installed")


def check_root(certificate: Certificate, utc_s: float | None, known: Sequence[Certificate] = ()) -> Certificate:
    """Check a root certificate and return its issuer (itself, or the known one that signed it).

    Raises CertificateError.
    """
    check_dates(certificate, utc_s)
    _check_authority(certificate)
    issuer = next((one for one in (certificate, *known) if _signed(certificate, one)), None)
    if issuer is None:
        raise CertificateError(f"{subject(certificate)} is neither self-signed nor signed by an installed root")
    return issuer


def signed_by_any(certificate: Certificate, issuers: Sequence[Certificate]) -> bool:
    return any(_signed(certificate, issuer) for issuer in issuers)


def hash_of(certificate: Certificate, issuer: Certificate, algorithm: HashAlgorithm) -> CertificateHash:
    """Return what names the certificate towards the network."""
    digest = getattr(hashlib, algorithm.value.lower())
    # RFC 6960 §4.1.1: the key's BIT STRING without tag, length and count of unused bits.
    return CertificateHash(
        algorithm,
        digest(certificate.issuer.public_bytes()).hexdigest(),
        digest(_bit_string(issuer)).hexdigest(),
        f"{certificate.serial_number:x}",
    )


def _bit_string(certificate: Certificate) -> bytes:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    raise CertificateError("has a key that is neither RSA nor on an elliptic curve")


def _check_key(certificate: Certificate) -> None:
    try:
        key = certificate.public_key()
    except Exception as error:  # noqa: BLE001 (the library names a dozen kinds of unusable keys)
        raise CertificateError(f"has a key that cannot be used ({type(error).__name__})") from None
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise CertificateError(f"has an RSA key of {key.key_size} bit; {MIN_RSA_BITS} are the least")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.key_size < MIN_EC_BITS:
            raise CertificateError(f"has a key on a curve of {key.curve.key_size} bit; {MIN_EC_BITS} are the least")
    else:
        raise CertificateError("has a key that is neither RSA nor on an elliptic curve")


def _check_authority(certificate: Certificate) -> None:
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        raise CertificateError(f"{subject(certificate)} is no certificate authority (basic constraints)") from None
    if not basic.ca:
        raise CertificateError(f"{subject(certificate)} is no certificate authority (CA is false)")


def _check_signature(certificate: Certificate, issuer: Certificate) -> None:
    if not _signed(certificate, issuer):
        raise CertificateError(f"{subject(certificate)} was not signed by {subject(issuer)}")


def _signed(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _public(key: object) -> bytes:
    assert hasattr(key, "public_bytes")
    data: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return data


def _day(utc_s: float) -> str:
    return datetime.fromtimestamp(utc_s, UTC).date().isoformat()
