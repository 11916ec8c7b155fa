"""What a network does with signed meter values: take them apart and check the signature with the meter's public key.

Written from OCA's "Signed Meter Values in OCPP" v1.0 and S.A.F.E.'s OCMF, without the charge point's code.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

MOST = 2500
"""Characters of signedMeterData and publicKey (table of 3.2.1)."""
FIELDS = {"signedMeterData", "signingMethod", "encodingMethod", "publicKey"}


class SignedValueError(ValueError):
    """A signed value that a network cannot bill from. The text says why."""


def signed_samples(meter_value: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the signed ones of a MeterValue."""
    return [
        sample
        for sample in meter_value.get("sampledValue", [])
        if sample.get("format") == "SignedData" or "signedMeterValue" in sample
    ]


def public_key_of(text: str) -> str:
    """Return the key (DER, hexadecimal) in a publicKey field; empty where it is empty. Raises SignedValueError."""
    if not text:
        return ""
    parts = _unpacked(text, "publicKey").split(":", 3)
    if len(parts) != 4 or parts[0] != "oca" or parts[2] != "asn1" or parts[1] not in ("base16", "base64"):
        raise SignedValueError(f"publicKey is not oca:<encoding>:asn1:<key>, but {parts[:3]}")
    return parts[3].lower() if parts[1] == "base16" else base64.b64decode(parts[3]).hex()


def read(sample: dict[str, Any]) -> dict[str, str]:
    """Take a signed sample apart: ``data`` as the meter gave it, ``public_key`` where it is there. Raises
    SignedValueError."""
    if "signedMeterValue" in sample:
        # From 2.0.1 on they are an object; 2.1 lets two of them out.
        value = {"signingMethod": "", "publicKey": ""} | sample["signedMeterValue"]
        value.pop("customData", None)
    else:
        try:
            value = json.loads(sample["value"])
        except ValueError as error:
            raise SignedValueError(f"value is no JSON: {error}") from None
    if not isinstance(value, dict) or set(value) != FIELDS or not all(isinstance(each, str) for each in value.values()):
        raise SignedValueError(f"value must have the fields {', '.join(sorted(FIELDS))}, all texts")
    for name in ("signedMeterData", "publicKey"):
        if len(value[name]) > MOST:
            raise SignedValueError(f"{name} has {len(value[name])} characters, over {MOST}")
    return {
        "data": _unpacked(value["signedMeterData"], "signedMeterData"),
        "encoding": value["encodingMethod"],
        "method": value["signingMethod"],
        "public_key": public_key_of(value["publicKey"]),
        "context": sample.get("context", "Sample.Periodic"),
    }


def verify(data: str, method: str, public_key: str) -> dict[str, Any]:
    """Check an OCMF set against a key in hexadecimal DER; return its payload. Raises SignedValueError."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    head, payload, end = [*data.split("|"), "", ""][:3]
    if head != "OCMF" or data.count("|") != 2:
        raise SignedValueError("not OCMF|…|…")
    try:
        signature = json.loads(end)
        algorithm = signature.get("SA") or method
        key = serialization.load_der_public_key(bytes.fromhex(public_key))
        signed = bytes.fromhex(signature["SD"])
    except (ValueError, KeyError, AttributeError) as error:
        raise SignedValueError(f"neither signature nor key can be read: {error!r}") from None
    if not str(algorithm).endswith("-SHA256") or not isinstance(key, ec.EllipticCurvePublicKey):
        raise SignedValueError(f"an algorithm not known here: {algorithm!r}")
    try:
        key.verify(signed, payload.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise SignedValueError("the signature does not fit what was signed") from None
    content: dict[str, Any] = json.loads(payload)
    return content


def _unpacked(text: str, name: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise SignedValueError(f"{name} is no base64 of a text: {error}") from None
