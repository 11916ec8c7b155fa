"""What can be told of an OCMF set without touching it: whose it is, which readings it holds, how it is signed.

Source: S.A.F.E. e.V., Open Charge Metering Format 1.4: ``OCMF|<payload>|<signature>``, both JSON, no other ``|``.
"""

from __future__ import annotations

import json
from typing import Any

from hal.values import SignedMoment

ENCODING = "OCMF"
DEFAULT_METHOD = "ECDSA-secp256r1-SHA256"
"""Where the signature's SA is missing."""
MARKER = "<=>"
"""Stands before our transaction in the tariff text (TT), the one field that is long and free. EVerest does the same."""
_ENDS = frozenset("ELRAP")
"""Reasons (TX) of a last reading: end, locally, remotely, abort, power failure."""


class OcmfError(ValueError):
    """Not a signed set. The text says what is wrong with it."""


def parts(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return payload and signature. Raises OcmfError."""
    pieces = text.split("|")
    if len(pieces) != 3 or pieces[0] != ENCODING:
        raise OcmfError("it is not OCMF|…|…")
    try:
        payload, signature = json.loads(pieces[1]), json.loads(pieces[2])
    except (ValueError, RecursionError) as error:
        raise OcmfError(f"it holds no JSON: {error}") from None
    if not isinstance(payload, dict) or not isinstance(signature, dict):
        raise OcmfError("its parts are no objects")
    if not isinstance(signature.get("SD"), str):
        raise OcmfError("it holds no signature (SD)")
    return payload, signature


def transaction_of(payload: dict[str, Any]) -> str:
    """Return the transaction that was written into the tariff text; empty where there is none."""
    text = payload.get("TT")
    return text.rpartition(MARKER)[2].strip() if isinstance(text, str) and MARKER in text else ""


def moment_of(payload: dict[str, Any]) -> SignedMoment:
    """Return which readings the set holds. A reading that does not say its reason has that of the one before."""
    readings = payload.get("RD")
    reasons = [str(reading["TX"]) for reading in readings or [] if isinstance(reading, dict) and reading.get("TX")]
    if not reasons:
        raise OcmfError("its readings (RD) do not say what they are (TX)")
    if reasons[-1] in _ENDS:
        return SignedMoment.SESSION if "B" in reasons else SignedMoment.END
    return SignedMoment.BEGIN if reasons[-1] == "B" else SignedMoment.UPDATE


def method_of(signature: dict[str, Any]) -> str:
    """Return what must be said besides the set: nothing where it names its algorithm itself (OCA, 3.2.1)."""
    return "" if signature.get("SA") else DEFAULT_METHOD
