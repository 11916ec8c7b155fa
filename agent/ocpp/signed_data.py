"""What a meter signed, as every OCPP version carries it: OCA application note "Signed Meter Values in OCPP" v1.0."""

from __future__ import annotations

import base64


def encoded(text: str) -> str:
    """Return what goes into signedMeterData or publicKey."""
    return base64.b64encode(text.encode()).decode()


def key_text(public_key: str) -> str:
    """Return the content of publicKey for a key in hexadecimal DER (3.2.2); empty for none."""
    return encoded(f"oca:base16:asn1:{public_key}") if public_key else ""
