"""The CSMS's own certificate authority: a SignCertificate is followed by a CertificateSigned."""

from __future__ import annotations

import contextlib
from typing import Any

from .charge_point import CallRefused, Session

CARRIED_OVER = ("certificateType", "requestId")
"""Fields of SignCertificate that its CertificateSigned repeats (from 2.0.1 and 2.1 on)."""


def sign_and_send(session: Session, payload: dict[str, Any]) -> str:
    """Sign the request, send the chain behind the answer at hand, and return that answer's status.

    Without an authority the request is accepted and nothing follows, as with one that takes its time.
    """
    authority = session.csms.authority
    if authority is None:
        return "Accepted"
    try:
        chain = authority.sign(payload["csr"])
    except ValueError:
        return "Rejected"
    answer = {"certificateChain": chain} | {key: payload[key] for key in CARRIED_OVER if key in payload}

    async def send() -> None:
        # What came of it is in the frame log; nobody waits for it here.
        with contextlib.suppress(CallRefused, TimeoutError, ConnectionError):
            await session.call_raw("CertificateSigned", answer)

    session.spawn(send())
    return "Accepted"
