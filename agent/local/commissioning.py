"""The charge point's word on how it was commissioned: the report is signed here, with what only the agent knows."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any, Protocol, TypedDict

from agent.local.methods import Caller, Method, observe, service
from agent.local.rpc import RpcError

MOST_BYTES = 48 * 1024
"""Of a report: a request may have 64 KiB."""


class StatementKey(Protocol):
    """The key of the charge point (``agent.security.signing``). Each method may raise OSError."""

    def sign(self, data: bytes) -> bytes: ...
    def public_pem(self) -> str: ...
    def fingerprint(self) -> str: ...


class SignatureDocument(TypedDict):
    algorithm: str
    """Always 'ECDSA-P256-SHA256', over the report as canonical JSON (keys sorted, no blanks, UTF-8)."""
    key: str
    """Public key, PEM."""
    fingerprint: str
    """SHA-256 of the public key's DER form, hexadecimal."""
    value: str
    """DER, base64."""


class SignedReportDocument(TypedDict):
    report: dict[str, Any]
    """What was given, with ``charge_point`` (identity, version, time, who asked) added by the agent."""
    signature: SignatureDocument


class KeyDocument(TypedDict):
    key: str
    """Public key, PEM."""
    fingerprint: str
    """SHA-256 of the public key's DER form, hexadecimal."""


def canonical(report: object) -> bytes:
    """Return the bytes that are signed: JSON with sorted keys, without blanks, in UTF-8."""
    return json.dumps(report, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def methods(key: Callable[[], StatementKey], facts: Callable[[], dict[str, Any]]) -> dict[str, Method]:
    """Return the methods by name. ``key`` loads slowly (in a thread); ``facts``: what the agent knows of itself."""

    async def sign(report: dict[str, Any], caller: Caller) -> SignedReportDocument:
        """Sign a commissioning report with the charge point's own key. The agent adds ``charge_point`` to it:
        identity, version, its time, and who asked."""
        whole = {**report, "charge_point": {**facts(), "asked_by": caller.who}}
        try:
            data = canonical(whole)
        except (ValueError, UnicodeEncodeError) as error:
            raise RpcError(f"the report cannot be written as JSON: {error}") from None
        if len(data) > MOST_BYTES:
            raise RpcError(f"the report has {len(data)} bytes; at most {MOST_BYTES} are signed")

        def work() -> SignatureDocument:
            own = key()
            return {
                "algorithm": "ECDSA-P256-SHA256",
                "key": own.public_pem(),
                "fingerprint": own.fingerprint(),
                "value": base64.b64encode(own.sign(data)).decode("ascii"),
            }

        try:
            return {"report": whole, "signature": await asyncio.to_thread(work)}
        except OSError as error:
            raise RpcError(str(error)) from None

    async def public_key() -> KeyDocument:
        """The public key by which reports of this charge point are checked."""

        def work() -> KeyDocument:
            own = key()
            return {"key": own.public_pem(), "fingerprint": own.fingerprint()}

        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise RpcError(str(error)) from None

    return {"commission.sign": service(sign), "commission.key": observe(public_key)}
