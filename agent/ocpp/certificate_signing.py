"""Has the network sign the charge point's own certificate, asked for or in time before it expires, in any version.

White paper for 1.6 and OCPP 2.0.1, use cases A02 and A03. What only 2.x has is said by ``Insistence``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from agent.config.schema import Config
from agent.ocpp.part import Part
from agent.ocpp.rpc import Outcome, Priority
from agent.ocpp.security_events import Calling
from agent.ocpp.session import SecuritySurroundings
from agent.station.settings import Settings

LOGGER = logging.getLogger(__name__)

Payload = dict[str, Any]

ORGANISATION = "SecurityCtrlr.OrganizationName"

RENEW_BEFORE_S = 30 * 86_400.0
"""White paper A02.FR.01, 2.0.1 A03.FR.02: one month before the certificate expires …"""

RENEW_FRACTION = 1 / 3
"""… or in the last third of its life, when that is shorter."""

RENEWAL_RETRY_S = 3600.0
LONGEST_RENEWAL_RETRY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Insistence:
    """How often a request that the network took is repeated while no certificate comes (2.0.1 A02.FR.17 to FR.19)."""

    first_wait_s: float
    doublings: int


class CertificateSigning(Part):
    """``payload``: of SignCertificate, for a signing request (PEM) and its number.

    ``insistence``: None where the version knows no repetition; then a renewal is asked for again and again.
    """

    def __init__(
        self,
        around: SecuritySurroundings,
        config: Config,
        settings: Settings,
        call: Calling,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        stirred: Callable[[], None],
        note: Callable[[str], None],
        payload: Callable[[str, int], Payload] = lambda csr, _number: {"csr": csr},
        insistence: Callable[[], Insistence | None] = lambda: None,
    ) -> None:
        self._around = around
        self._security = around.security
        self._config = config
        self._settings = settings
        self._call = call
        self._spawn = spawn
        self._stirred = stirred
        self._note = note
        self._payload = payload
        self._insistence = insistence
        self._signing = False
        self._asked: Payload | None = None
        """What was sent last, while its certificate is waited for."""
        self._again_at: float | None = None
        self._wait_s = 0.0
        self._left = 0
        self._given_up = False
        """Nothing more is asked for until the network wants it (A02.FR.19, FR.20)."""
        self._renewal_at = 0.0
        self._renewal_wait_s = RENEWAL_RETRY_S

    # ---- asking ----

    def request(self) -> bool:
        """Make a key and ask the network to sign its certificate. False: it is not known whose we are."""
        organisation = self._settings.string(ORGANISATION)
        if not organisation:
            self._note(f"no certificate can be asked for: set the operator's name ({ORGANISATION}, CpoName) first")
            return False
        if not self._signing:
            self._signing = True
            self._given_up, self._asked, self._again_at = False, None, None
            self._spawn(self._sign(organisation))
        return True

    async def _sign(self, organisation: str) -> None:
        try:
            from agent.security.custody import pending_number, request_certificate

            csr = await asyncio.to_thread(
                request_certificate,
                self._security,
                self._config.ocpp.key_type,
                organisation,
                self._config.station.serial_number,
            )
            number = pending_number(self._security)
        except (OSError, ValueError) as error:
            self._signing = False
            LOGGER.error("no certificate could be asked for: %s", error)
            return
        insistence = self._insistence()
        self._wait_s = 0.0 if insistence is None else insistence.first_wait_s
        self._left = 0 if insistence is None else insistence.doublings + 1
        self._asked = self._payload(csr, number or 0)
        self._send()
        self._stirred()

    def _send(self) -> None:
        assert self._asked is not None
        self._signing = self._call("SignCertificate", self._asked, Priority.STATUS, self._answered)

    def _answered(self, outcome: Outcome, now: float) -> None:
        self._signing = False
        if outcome.payload.get("status") != "Accepted":
            self._note("the network did not take the request to sign a certificate")
            self._asked = None
        elif self._asked is not None and self._insistence() is not None:
            if self._left:
                self._again_at = now + self._wait_s
            else:
                self._given_up, self._asked = True, None

    def offer(self, now: float) -> bool:
        if now >= self._renewal_at:
            self._renewal_at = now + RENEWAL_RETRY_S
            self._renew(now)
        if self._again_at is None or now < self._again_at or self._asked is None:
            return False
        # A02.FR.17, FR.18: the same request once more, after twice the time before.
        self._left -= 1
        self._wait_s *= 2
        self._again_at = None
        self._send()
        return self._signing

    def next_wake(self) -> float:
        return self._renewal_at if self._again_at is None else min(self._renewal_at, self._again_at)

    def _renew(self, now: float) -> None:
        """Ask for the next certificate in time; again and again until it is there."""
        utc_s = self._security.utc_s
        if utc_s is None or self._given_up or self._again_at is not None:
            return
        newest = next(iter(self._security.certificates.clients()), None)
        if newest is None or not self._settings.string(ORGANISATION):
            return
        ahead_s = min(RENEW_BEFORE_S, (newest.valid_until - newest.valid_from) * RENEW_FRACTION)
        if utc_s < newest.valid_until - ahead_s:
            self._renewal_wait_s = RENEWAL_RETRY_S
            return
        self._renewal_at = now + self._renewal_wait_s
        self._renewal_wait_s = min(2 * self._renewal_wait_s, LONGEST_RENEWAL_RETRY_S)
        self.request()

    # ---- the certificate ----

    def take(self, chain: str) -> bool:
        """Take the chain that the network signed for us (PEM). False: it is not good, and that is recorded."""
        from agent.security.custody import take_certificate

        taken = take_certificate(
            self._security,
            chain,
            self._settings.string(ORGANISATION),
            self._config.station.serial_number,
            most=self._settings.integer("SecurityCtrlr.MaxCertificateChainSize"),
        )
        self._asked = self._again_at = None
        self._given_up = not taken and self._insistence() is not None  # A02.FR.20
        if taken and self._around.networks.settled().security_profile == 3:
            # A02.FR.08: from now on the new one is used; if it does not work, the old one is still there.
            self._around.connect_anew()
        return taken
