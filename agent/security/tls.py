"""TLS towards the network: what we offer, whom we believe, and what a failed handshake means.

White paper A00.FR.312 to 324: TLS 1.2 or newer, no compression, only suites of the list below.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.security.events import SecurityEvent

CIPHERS_TLS12 = (
    # A00.FR.318: the two of ECDHE-ECDSA …
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    # … with an RSA certificate the same with forward secrecy (not in the paper, which is older than common sense) …
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    # … and the paper's two for RSA, last: they have no forward secrecy.
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
)
"""In our order of preference. TLS 1.3 brings its own suites, all of them good."""

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL; Python has no name for it."""

_VERSION_REASONS = ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "VERSION_TOO_LOW", "WRONG_SSL_VERSION")
_CIPHER_REASONS = (
    "NO_SHARED_CIPHER",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "TLSV1_ALERT_INSUFFICIENT_SECURITY",
    "WRONG_CIPHER_RETURNED",
    "UNKNOWN_CIPHER_RETURNED",
    "DH_KEY_TOO_SMALL",
    "NO_CIPHERS_AVAILABLE",
)
_OUR_CERTIFICATE_REASONS = (
    "CERTIFICATE_REQUIRED",
    "ALERT_UNKNOWN_CA",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_ACCESS_DENIED",
    "ALERT_DECRYPT_ERROR",
)


class TlsError(Exception):
    """The files for TLS cannot be used. The text names the file and the remedy."""


def client_context(
    ca_file: Path | None, roots: Sequence[Path], certificate: Path | None, *, check_time: bool
) -> ssl.SSLContext:
    """Return the settings for one connection. Raises TlsError.

    Believed are the configured roots (the system's own when none are) and those that the network installed.
    ``certificate``: key and chain of ours. ``check_time`` False: the system's clock was never set, so that dates cannot
    be judged yet; ``dates_problem`` does it as soon as we know better.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(CIPHERS_TLS12))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        if ca_file is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.load_verify_locations(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"ocpp.ca_file {ca_file}: cannot be read ({error}); put PEM certificates there") from None
    if roots:
        # A root that replaced another may bear that one's signature alone, and is an anchor all the same (M05.FR.12).
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for path in roots:
        try:
            context.load_verify_locations(cafile=str(path))
        except (OSError, ssl.SSLError) as error:
            raise TlsError(f"{path}: cannot be read ({error}); delete it and install the root again") from None
    if certificate is not None:
        try:
            context.load_cert_chain(str(certificate))
        except (OSError, ssl.SSLError) as error:
            raise TlsError(f"{certificate}: cannot be read ({error}); ask for a new certificate") from None
    if not check_time:
        context.verify_flags = ssl.VerifyFlags(context.verify_flags | _NO_CHECK_TIME)
    return context


def dates_problem(peer: Mapping[str, Any] | None, utc_s: float) -> str:
    """Say when a peer's certificate (``SSLSocket.getpeercert()``) is not valid at this time; empty when it is."""
    if not peer:
        return ""
    if utc_s > ssl.cert_time_to_seconds(str(peer["notAfter"])):
        return f"the network's certificate expired on {peer['notAfter']}"
    if utc_s < ssl.cert_time_to_seconds(str(peer["notBefore"])):
        return f"the network's certificate is not valid before {peer['notBefore']}"
    return ""


def meaning(error: BaseException) -> SecurityEvent | None:
    """Return the security event that a failed handshake stands for, if any."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return SecurityEvent.INVALID_SERVER_CERTIFICATE
    if not isinstance(error, ssl.SSLError):
        return None
    reason = error.reason or ""
    if any(word in reason for word in _OUR_CERTIFICATE_REASONS):
        return SecurityEvent.FAILED_TO_AUTHENTICATE
    if reason in _VERSION_REASONS:
        return SecurityEvent.INVALID_TLS_VERSION
    if reason in _CIPHER_REASONS:
        return SecurityEvent.INVALID_TLS_CIPHER
    return None
