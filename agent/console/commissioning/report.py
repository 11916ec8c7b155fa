"""The commissioning report: what was set, what was seen, and whether a signature on it holds.

What is signed is the ``report`` as canonical JSON: keys sorted, no blanks, UTF-8.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.durable import put_in_place

ALGORITHM = "ECDSA-P256-SHA256"
MOST_BYTES = 256 * 1024


class ReportError(Exception):
    """A report cannot be read, or its signature does not hold. The text says which and why."""


def canonical(report: object) -> bytes:
    """Return the bytes that are signed."""
    return json.dumps(report, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def checks(status: Mapping[str, Any], wants_uplink: bool) -> list[dict[str, Any]]:
    """Judge a status document: each check with its name, whether it passed, and what was seen."""
    rows = [
        _check("control", status["control"]["connected"], "control connected", "the control process does not answer"),
        _check("clock", status["clock"]["synced"], status["clock"]["utc"], "confirmed by nobody yet"),
    ]
    if wants_uplink:
        uplink = status["uplink"]
        rows.append(_check("uplink", uplink["state"] in ("accepted", "online"), uplink["url"], uplink["last_error"]))
    for evse in status["evses"]:
        name = f"evse {evse['id']}"
        faults = "; ".join(f"{each['code']}: {each['detail']}" for each in evse["faults"])
        rows.append(_check(f"{name} faults", not evse["faults"], "none", faults))
        rows.append(_check(f"{name} pilot", evse["state"] not in ("?", "E", "F"), evse["state"], evse["state"]))
        known = evse["energy_wh"] is not None
        rows.append(_check(f"{name} meter", known, f"{(evse['energy_wh'] or 0) / 1000:.3f} kWh", "silent, or none"))
    return rows


def _check(name: str, passed: bool, good: str, bad: str) -> dict[str, Any]:
    return {"name": name, "passed": bool(passed), "seen": (good if passed else bad) or "-"}


def lines(signed: Mapping[str, Any]) -> Iterator[str]:
    """The report in words, to hand over. English: it is a record, and the same for everybody."""
    report = signed["report"]
    point = report.get("charge_point", {})
    yield "COMMISSIONING REPORT"
    yield ""
    for name, value in (
        ("Charge point", point.get("identity", report.get("identity", ""))),
        ("Software", f"evse-agent {point.get('version', '')}".rstrip()),
        ("Site", report["site"]),
        ("Region", f"{report['region']['code']} {report['region']['name']}, {report['region']['currency']}"),
        ("Technician", report["technician"]),
        ("Time", point.get("at", "") + ("" if point.get("clock_confirmed", True) else " (clock not confirmed)")),
        ("Configuration", f"SHA-256 of the answers' configuration {report['configuration_sha256'][:16]}…"),
    ):
        yield f"{name:<15}{value}"
    yield ""
    yield "Set"
    for name, value in report["set"].items():
        yield f"  {name:<39}{value}"
    yield ""
    yield "Checks"
    for row in report["checks"]:
        yield f"  {'pass' if row['passed'] else 'FAIL'}  {row['name']:<26}{row['seen']}"
    for remark in report["remarks"]:
        yield f"  note  {remark}"
    yield ""
    signature = signed.get("signature")
    if signature is None:
        yield "Not signed: no agent was running."
    else:
        yield f"Signed {signature['algorithm']}, key {signature['fingerprint']}"
    yield f"Result: {'passed' if report['passed'] else 'NOT PASSED'}"


def save(path: Path, signed: Mapping[str, Any]) -> list[Path]:
    """Write the report as JSON and, beside it, as text. Return both paths. Raises OSError."""
    beside = path.with_suffix(".txt")
    _write(path, json.dumps(signed, ensure_ascii=False, indent=2, sort_keys=True) + "\n")
    _write(beside, "\n".join(lines(signed)) + "\n")
    return [path, beside]


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    put_in_place(partial, path)


def verified(path: Path, fingerprint: str = "") -> dict[str, Any]:
    """Return the signed document of a file whose signature holds. Raises ReportError.

    ``fingerprint``: that of the charge point's key, from another source; without it only the report's own key is used,
    which shows that nothing was changed, but not by whom it was signed.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    signed = _read(path)
    signature = signed["signature"]
    if signature.get("algorithm") != ALGORITHM:
        raise ReportError(f"{path}: signed by {signature.get('algorithm')!r}; only {ALGORITHM} is known")
    try:
        key = serialization.load_pem_public_key(str(signature["key"]).encode())
        value = base64.b64decode(str(signature["value"]), validate=True)
    except (KeyError, ValueError, binascii.Error) as error:
        raise ReportError(f"{path}: key or signature cannot be read: {error}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ReportError(f"{path}: its key is no P-256 key")
    own = hashlib.sha256(
        key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()
    wanted = fingerprint.replace(":", "").lower()
    if wanted and wanted != own:
        raise ReportError(f"{path}: signed by another key ({own}), not by {wanted}")
    try:
        key.verify(value, canonical(signed["report"]), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise ReportError(f"{path}: the signature does not fit; the report was changed after it was signed") from None
    return {**signed, "signature": {**signature, "fingerprint": own}}


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        signed = json.loads(raw) if len(raw) <= MOST_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise ReportError(f"{path}: cannot be read: {error}") from None
    if not isinstance(signed, dict) or not isinstance(signed.get("report"), dict):
        raise ReportError(f"{path}: is no commissioning report")
    if not isinstance(signed.get("signature"), dict):
        raise ReportError(f"{path}: is not signed")
    return signed


def verify(path: Path, fingerprint: str) -> tuple[bool, Sequence[str]]:
    """``evse-console --verify-report``: whether it holds, and what to show."""
    try:
        signed = verified(path, fingerprint)
    except ReportError as error:
        return False, [str(error)]
    told = [f"{path}: the signature holds, key {signed['signature']['fingerprint']}"]
    if not fingerprint:
        told.append("Compare the key with that of the charge point: 'commission key' shows it there.")
    point = signed["report"].get("charge_point", {})
    told.append(
        f"{point.get('identity')}, {point.get('at')}: {'passed' if signed['report'].get('passed') else 'NOT PASSED'}"
    )
    return True, told
