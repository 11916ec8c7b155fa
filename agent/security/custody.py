"""What may be done to the certificates that this charge point keeps. In no protocol's words; errors are answers.

Loads ``cryptography``: import it when the network sends or asks for a certificate.
"""

from __future__ import annotations

import logging
from enum import Enum

from agent.config.schema import KeyType
from agent.security.certificates import (
    CertificateError,
    CertificateHash,
    HashAlgorithm,
    check_client_chain,
    check_root,
    fingerprint,
    hash_of,
    key_number,
    new_key,
    read_chain,
    signed_by_any,
    signing_request,
    subject,
)
from agent.security.events import SecurityEvent
from agent.security.files import SecretFileError, remove
from agent.security.security import Security
from agent.security.store import RootUse

LOGGER = logging.getLogger(__name__)

REPLACED_ROOTS = 2
"""With the additional check: the network's root and its predecessor, which stays as a fallback (white paper 7.1)."""


class InstallAnswer(Enum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    """The certificate is not one that can be taken."""
    FAILED = "Failed"
    """It is good, but the disk does not take it."""
    FULL = "full"
    """It is good, but no more may be stored; 1.6 says Failed, 2.x Rejected (M05.FR.06)."""


class DeleteAnswer(Enum):
    ACCEPTED = "Accepted"
    FAILED = "Failed"
    NOT_FOUND = "NotFound"


def install_root(
    security: Security, use: RootUse, pem: str, *, additional_check: bool, most: int, in_turn: bool = False
) -> InstallAnswer:
    """Trust one more root from now on.

    ``additional_check``: a root of the network must be signed by the one it replaces. ``most``: certificates that may
    be stored in all. ``in_turn``: the root and its predecessor are tried one at a time (2.0.1 M05.FR.13, FR.14).
    """
    store = security.certificates
    try:
        chain = read_chain(pem)
        if len(chain) != 1:
            raise CertificateError(f"holds {len(chain)} certificates; one is installed at a time")
        certificate = chain[0]
        known = [one for _, one in store.read_roots(use)]
        check_root(certificate, security.utc_s, known)
        if additional_check and use is RootUse.CENTRAL and known and not signed_by_any(certificate, known[-1:]):
            raise CertificateError(f"{subject(certificate)} is not signed by the root that it would replace")
    except CertificateError as error:
        LOGGER.warning("a root certificate was rejected: it %s", error)
        return InstallAnswer.REJECTED
    marks = {fingerprint(one) for one in known}
    if fingerprint(certificate) not in marks and store.count() >= most:
        LOGGER.warning("a root certificate was not installed: %d are stored, and no more may be", most)
        return InstallAnswer.FULL
    try:
        store.add_root(use, certificate)
        if additional_check and use is RootUse.CENTRAL:
            for path in store.roots(use)[:-REPLACED_ROOTS]:
                remove(path)
            if in_turn and known:
                store.begin_replacement()
    except SecretFileError as error:
        LOGGER.error("%s", error)
        return InstallAnswer.FAILED
    security.record(SecurityEvent.RECONFIGURATION, f"installed {use.value} root {subject(certificate)}")
    return InstallAnswer.ACCEPTED


def delete(security: Security, wanted: CertificateHash, *, keep_last_central: bool) -> DeleteAnswer:
    """Stop trusting a root. The charge point's own certificates cannot be deleted this way (white paper M04.FR.06).

    ``keep_last_central``: the connection in use depends on the installed roots of the network, so one must stay.
    """
    store = security.certificates
    found = store.find_root(wanted)
    if found is None:
        return DeleteAnswer.FAILED if store.is_client(wanted) else DeleteAnswer.NOT_FOUND
    use, path = found
    if use is RootUse.CENTRAL and keep_last_central and len(store.roots(use)) == 1:
        LOGGER.warning("the last root of the network is not deleted: the next connection would be refused")
        return DeleteAnswer.FAILED
    try:
        remove(path)
    except SecretFileError as error:
        LOGGER.error("%s", error)
        return DeleteAnswer.FAILED
    security.record(SecurityEvent.RECONFIGURATION, f"deleted a {use.value} root")
    return DeleteAnswer.ACCEPTED


def installed(
    security: Security, use: RootUse, algorithm: HashAlgorithm = HashAlgorithm.SHA256
) -> list[CertificateHash]:
    """Name every installed root of this use."""
    store = security.certificates
    known = [one for _, one in store.read_roots(use)]
    return [hash_of(one, store.issuer_of(one, known), algorithm) for one in known]


def request_certificate(security: Security, kind: KeyType, organisation: str, serial_number: str) -> str:
    """Make a new key, keep it until its certificate comes, and return the signing request (PEM).

    Slow for RSA: call it in a thread. Raises SecretFileError.
    """
    key = new_key(kind)
    security.certificates.write_pending_key(key)
    return signing_request(key, organisation, serial_number)


def pending_number(security: Security) -> int | None:
    """What names the open signing request: the same after a restart, another one for each key. None: none is open."""
    key = security.certificates.pending_key()
    return None if key is None else key_number(key)


def take_certificate(security: Security, pem: str, organisation: str, serial_number: str, *, most: int) -> bool:
    """Take the chain that the network signed for us. False: it is not good, and that is recorded.

    ``most``: characters that a chain may have.
    """
    store = security.certificates
    try:
        if len(pem) > most:
            raise CertificateError(f"is {len(pem)} characters long; at most {most} are taken")
        chain = read_chain(pem)
        roots = [one for use in RootUse for _, one in store.read_roots(use)]
        key = store.pending_key()
        check_client_chain(chain, key, organisation, serial_number, security.utc_s, roots)
        assert key is not None
        store.add_client(chain, key)
    except CertificateError as error:
        LOGGER.warning("the certificate for this charge point was rejected: it %s", error)
        security.record(SecurityEvent.INVALID_CLIENT_CERTIFICATE, f"it {error}")
        return False
    except OSError as error:
        LOGGER.error("the certificate for this charge point could not be stored: %s", error)
        return False
    security.record(SecurityEvent.RECONFIGURATION, f"new certificate of the charge point {subject(chain[0])}")
    return True
