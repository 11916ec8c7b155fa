"""Block A, security: events told to the network (A04), and the charging station's own certificate (A02, A03).

The password is a variable (``agent.joints.device_variables``, A01); a higher security profile comes with a network
profile (A05).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from agent.ocpp.base import Payload
from agent.ocpp.certificate_signing import ORGANISATION, CertificateSigning, Insistence
from agent.ocpp.security_events import SecurityEvents
from agent.ocpp.session import SecuritySurroundings
from agent.ocpp.v2.block import Block, Handler, Talk, Trigger
from agent.ocpp.v2.device_words import status_info
from agent.ocpp.v2.version import Version
from agent.security.events import SecurityEvent

OWN = "ChargingStationCertificate"

WORDS = {
    "FailedToAuthenticateAtCentralSystem": "FailedToAuthenticateAtCsms",
    "CentralSystemFailedToAuthenticate": "CsmsFailedToAuthenticate",
    "InvalidCentralSystemCertificate": "InvalidCsmsCertificate",
    "InvalidChargePointCertificate": "InvalidChargingStationCertificate",
}
"""Events that the white paper for 1.6 calls otherwise (part 2, appendix 1)."""


class Security2(Block):
    def __init__(self, talk: Talk, around: SecuritySurroundings) -> None:
        super().__init__(talk)
        self._security = around.security
        self._networks = around.networks
        self._signing = CertificateSigning(
            around,
            talk.config,
            talk.settings,
            talk.call,
            talk.around.spawn,
            talk.around.stirred,
            lambda text: talk.note("security", text),
            self._sign_certificate,
            self._insistence,
        )
        self._events = SecurityEvents(
            around.security, talk.call, lambda text: talk.note("security", text), lambda name: WORDS.get(name, name)
        )
        talk.settings.on_change(self._setting_changed)

    def handlers(self) -> Mapping[str, Handler]:
        return {"CertificateSigned": self._certificate_signed}

    def triggers(self) -> Mapping[str, Trigger]:
        """A02. A V2G certificate, or one for both uses, needs ISO 15118, which is not here."""
        return {"SignChargingStationCertificate": lambda _evse: self._signing.request()}

    # ---- A02, A03 ----

    def _sign_certificate(self, csr: str, number: int) -> Payload:
        payload: Payload = {"csr": csr, "certificateType": OWN}  # A02.FR.13
        if self._talk.version is Version.V21:
            payload["requestId"] = number  # A02.FR.24
        return payload

    def _insistence(self) -> Insistence:
        settings = self._talk.settings
        return Insistence(
            float(settings.integer("SecurityCtrlr.CertSigningWaitMinimum")),
            settings.integer("SecurityCtrlr.CertSigningRepeatTimes"),
        )

    def _certificate_signed(self, payload: Payload) -> Payload:
        from agent.security.custody import pending_number

        if payload.get("certificateType", OWN) != OWN:
            return _rejected("UnsupportedRequest", "there is no ISO 15118 here that would need a V2G certificate")
        if "requestId" in payload and payload["requestId"] != pending_number(self._security):  # A02.FR.26
            return _rejected("InvalidValue", "no signing request of this requestId is open")
        if not self._signing.take(payload["certificateChain"]):  # A02.FR.07
            return _rejected("InvalidCertificate", "see the security log")
        return {"status": "Accepted"}

    def _discard_the_other(self) -> None:
        """2.1 A02.FR.10: of two certificates the one that this connection was not made with goes."""
        store = self._security.certificates
        used = store.in_use
        if self._networks.settled().security_profile != 3 or used is None:
            return
        for position, one in enumerate(store.clients()):
            if one.path != used and store.discard_client(one.path) and position == 0:
                # A02.FR.29
                self._security.record(SecurityEvent.DISCARDED_CERTIFICATE, "the network did not accept the newer one")

    # ---- as a part of the session ----

    def offer(self, now: float) -> bool:
        return self._signing.offer(now) or self._events.offer(now)

    def next_wake(self) -> float | None:
        events_at = self._events.next_wake()
        signing_at = self._signing.next_wake()
        return signing_at if events_at is None else min(events_at, signing_at)

    def received(self, counters: Counter[str]) -> None:
        self._events.received(counters)

    def online(self, _everything: bool, _now: float) -> None:
        if self._talk.version is Version.V21:
            self._discard_the_other()

    def lost(self) -> None:
        self._events.lost()

    def renew(self) -> None:
        self._events.renew()

    def _setting_changed(self, name: str) -> None:
        # A session of another version may be kept beside this one, and notes it too.
        if name == ORGANISATION and self._talk.online:
            self._security.record(SecurityEvent.RECONFIGURATION, "OrganizationName")


def _rejected(reason: str, detail: str) -> Payload:
    return {"status": "Rejected", "statusInfo": status_info(reason, detail)}
