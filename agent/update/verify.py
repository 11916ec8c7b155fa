"""Checks signing certificates and signatures, in a process of its own so that the agent never carries the library.

python -m agent.update.verify     one JSON question on stdin, one JSON answer on stdout
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any


class Verdict(Enum):
    GOOD = "good"
    INVALID_CERTIFICATE = "invalid_certificate"
    REVOKED_CERTIFICATE = "revoked_certificate"
    INVALID_SIGNATURE = "invalid_signature"


@dataclass(frozen=True, slots=True)
class Question:
    """``file`` empty: look at the certificate alone. ``utc_s`` None: no clock to judge dates by."""

    certificate: str
    roots: tuple[str, ...]
    """Files of the manufacturer's root certificates."""
    utc_s: float | None
    crl_file: str = ""
    file: str = ""
    signature: str = ""


def answer(question: Question) -> tuple[Verdict, str]:
    """Return the verdict and what is wrong, in words."""
    from agent.security.certificates import CertificateError

    try:
        certificate = _certificate(question)
    except CertificateError as error:
        return Verdict.INVALID_CERTIFICATE, str(error)
    try:
        revoked = bool(question.crl_file) and _revoked(certificate, question)
    except (OSError, ValueError) as error:
        return Verdict.INVALID_CERTIFICATE, f"{question.crl_file}: the revocation list cannot be used ({error})"
    if revoked:
        return Verdict.REVOKED_CERTIFICATE, "the certificate was revoked"
    if not question.file:
        return Verdict.GOOD, ""
    problem = _signature_problem(certificate, question)
    return (Verdict.INVALID_SIGNATURE, problem) if problem else (Verdict.GOOD, "")


def _certificate(question: Question) -> Any:
    """L01: signed by an installed manufacturer root itself, with nothing in between."""
    from cryptography import x509

    from agent.security.certificates import CertificateError, check_dates, read_chain, signed_by_any, subject

    chain = read_chain(question.certificate)
    if len(chain) != 1:
        raise CertificateError(f"holds {len(chain)} certificates; the signing certificate alone is wanted")
    certificate = chain[0]
    check_dates(certificate, question.utc_s)
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        if not usage.digital_signature:
            raise CertificateError(f"{subject(certificate)} may not sign files (key usage)")
    except x509.ExtensionNotFound:
        pass
    roots = []
    for name in question.roots:
        try:
            roots += read_chain(Path(name).read_text("ascii"))
        except (OSError, UnicodeError, CertificateError):
            continue
    if not roots:
        raise CertificateError("no manufacturer root is installed; install one first")
    if not signed_by_any(certificate, roots):
        raise CertificateError(f"{subject(certificate)} was not signed by an installed manufacturer root")
    return certificate


def _revoked(certificate: Any, question: Question) -> bool:
    from cryptography import x509

    data = Path(question.crl_file).read_bytes()
    crl = x509.load_pem_x509_crl(data) if data.startswith(b"-----") else x509.load_der_x509_crl(data)
    if crl.issuer != certificate.issuer:
        raise ValueError("it is another issuer's")
    roots = [x509.load_pem_x509_certificate(Path(name).read_bytes()) for name in question.roots]
    keys: list[Any] = [root.public_key() for root in roots if root.subject == crl.issuer]
    if not any(crl.is_signature_valid(key) for key in keys):
        raise ValueError("its signature is wrong")
    return crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None


def _signature_problem(certificate: Any, question: Question) -> str:
    """L01.FR.04: over the whole file, with SHA-256. The paper says RSA-PSS; tools make PKCS #1 v1.5 and ECDSA too."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

    try:
        signature = base64.b64decode("".join(question.signature.split()), validate=True)
    except (binascii.Error, ValueError):
        return "the signature is no base64"
    try:
        with Path(question.file).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        return f"the file cannot be read ({error.strerror})"
    kind = utils.Prehashed(hashes.SHA256())
    key = certificate.public_key()
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
    for scheme in (pss, padding.PKCS1v15()):
        try:
            if isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, digest, ec.ECDSA(kind))
            else:
                assert isinstance(key, rsa.RSAPublicKey)
                key.verify(signature, digest, scheme, kind)
        except InvalidSignature:
            continue
        return ""
    return "the signature does not belong to the file"


def main() -> int:
    values = json.loads(sys.stdin.buffer.readline())
    values["roots"] = tuple(values["roots"])
    try:
        verdict, text = answer(Question(**values))
    except Exception as error:  # noqa: BLE001 (whatever the library makes of such input, it is not good)
        verdict, text = Verdict.INVALID_CERTIFICATE, f"cannot be checked ({type(error).__name__})"
    sys.stdout.write(json.dumps({"verdict": verdict.value, "text": text}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
