"""OCPP 1.6's security extensions: keys and profile, certificates, security events, and moving to another network.

White paper "Improved security for OCPP 1.6-J" edition 3. Firmware and logs have their own modules.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from agent.config.schema import Config
from agent.ocpp.network_profile import ProposalError
from agent.ocpp.part import Part
from agent.ocpp.rpc import Outcome, Priority, Result
from agent.ocpp.session import SecuritySurroundings
from agent.ocpp.times import time_text
from agent.ocpp.v16.configuration import LiveKey
from agent.ocpp.v16.data_transfer import OUR_VENDOR, DataTransfers
from agent.security.events import SecurityEvent
from agent.security.files import SecretFileError
from agent.security.store import RootUse
from agent.station.commands import SettingAnswer
from agent.station.settings import Settings

LOGGER = logging.getLogger(__name__)

Payload = dict[str, Any]

ROOT_USES = {
    "CentralSystemRootCertificate": RootUse.CENTRAL,
    "ManufacturerRootCertificate": RootUse.MANUFACTURER,
}

ORGANISATION = "SecurityCtrlr.OrganizationName"

EVENT_RETRY_S = 60.0
EVENT_TRIES = 3
"""An event that the network refuses so often stays in the security log only."""

RENEW_BEFORE_S = 30 * 86_400.0
"""White paper A02.FR.01: one month before the certificate expires …"""

RENEW_FRACTION = 1 / 3
"""… or in the last third of its life, when that is shorter."""

RENEWAL_RETRY_S = 3600.0
LONGEST_RENEWAL_RETRY_S = 86_400.0

_HARMLESS = ("late_answer", "answer_to_nothing", "call_error", "unheard", "timed_out", "expired", "queue_full")
_REPLAYED = "doubled_request"


class Security16(Part):
    """Part of a session. ``call(action, payload, done)`` queues a message; False when none may be sent now."""

    def __init__(
        self,
        around: SecuritySurroundings,
        config: Config,
        settings: Settings,
        call: Callable[[str, Payload, Priority, Callable[[Outcome, float], None]], bool],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        stirred: Callable[[], None],
        note: Callable[[str], None],
    ) -> None:
        self._around = around
        self._security = around.security
        self._networks = around.networks
        self._config = config
        self._settings = settings
        self._call = call
        self._spawn = spawn
        self._stirred = stirred
        self._note = note
        self._flying = ""
        self._event_tries = 0
        self._event_at = 0.0
        self._unwanted = False
        self._signing = False
        self._renewal_at = 0.0
        self._renewal_wait_s = RENEWAL_RETRY_S
        self._bad_messages = 0
        self._replays = 0
        settings.on_change(self._setting_changed)

    @property
    def by_action(self) -> Mapping[str, Callable[[Payload], Payload]]:
        return {
            "CertificateSigned": self._certificate_signed,
            "DeleteCertificate": self._delete_certificate,
            "GetInstalledCertificateIds": self._installed_ids,
            "InstallCertificate": self._install_certificate,
        }

    @property
    def live_keys(self) -> tuple[LiveKey, ...]:
        return (
            LiveKey("AuthorizationKey", None, self._change_key),
            LiveKey("SecurityProfile", lambda: str(self._networks.settled().security_profile), self._change_profile),
        )

    def offer_to(self, transfers: DataTransfers) -> None:
        """Our own messages within DataTransfer (docs/security.md)."""
        transfers.offer(OUR_VENDOR, "SetNetwork", self._set_network)
        transfers.offer(OUR_VENDOR, "GetNetwork", self._get_network)

    # ---- security events ----

    def offer(self, now: float) -> bool:
        """Queue what is due while registered: a security event, or the renewal of our certificate."""
        if now >= self._renewal_at:
            self._renewal_at = now + RENEWAL_RETRY_S
            self._renew(now)
        if self._flying or now < self._event_at:
            return False
        event = self._security.line.first()
        if event is None:
            return False
        if self._unwanted:
            self._security.line.forget()
            return False
        payload = {"type": event.kind, "timestamp": time_text(event.utc_s)}
        if event.info:
            payload["techInfo"] = event.info

        def done(outcome: Outcome, now: float) -> None:
            self._told(event.key, outcome, now)

        self._flying = event.key
        if not self._call("SecurityEventNotification", payload, Priority.STATUS, done):
            self._flying = ""
            self._event_at = now + EVENT_RETRY_S
            return False
        return True

    def next_wake(self) -> float:
        waits = not self._flying and len(self._security.line)
        return min(self._renewal_at, self._event_at) if waits else self._renewal_at

    def lost(self) -> None:
        """The connection is gone."""
        self._flying = ""
        self._event_at = 0.0

    def renew(self) -> None:
        """Another network: it may want what its predecessor did not."""
        self._unwanted = False
        self._event_tries = 0

    def received(self, counters: Mapping[str, int]) -> None:
        """A frame came in; the counters of the RPC engine say whether it was fit to be read."""
        replays = counters.get(_REPLAYED, 0)
        bad = sum(counters.values()) - replays - sum(counters.get(name, 0) for name in _HARMLESS)
        if bad > self._bad_messages:
            self._security.record(SecurityEvent.INVALID_MESSAGES, "the network sent what cannot be read or answered")
        if replays > self._replays:
            self._security.record(SecurityEvent.ATTEMPTED_REPLAY, "a request with the id of an open one")
        self._bad_messages, self._replays = bad, replays

    def _told(self, key: str, outcome: Outcome, now: float) -> None:
        self._flying = ""
        if outcome.result is Result.ANSWERED:
            self._event_tries = 0
            self._security.line.told(key)
        elif outcome.result is Result.REFUSED:
            if outcome.code in ("NotImplemented", "NotSupported"):
                self._unwanted = True
                self._note("the network takes no security events; they stay in the security log")
                return
            self._event_tries += 1
            if self._event_tries >= EVENT_TRIES:
                self._event_tries = 0
                self._security.line.told(key)
                return
            self._event_at = now + EVENT_RETRY_S
        else:
            self._event_at = now + EVENT_RETRY_S

    # ---- keys ----

    def _change_key(self, text: str) -> SettingAnswer:
        """A01: answered first; then the connection is made anew with the new key."""
        try:
            tried = self._networks.propose_key(text.strip())
        except (ProposalError, SecretFileError) as error:
            self._note(f"refused a change of AuthorizationKey: {error}")
            return SettingAnswer.REJECTED
        self._security.record(SecurityEvent.RECONFIGURATION, "AuthorizationKey" + ("" if tried else ", not in use"))
        self._stirred()
        return SettingAnswer.ACCEPTED

    def _change_profile(self, text: str) -> SettingAnswer:
        """A05"""
        text = text.strip()
        try:
            if text not in ("0", "1", "2", "3"):
                raise ProposalError(f"{text[:20]!r} is none of 0 to 3")
            self._networks.propose_profile(int(text), self._has_root(), self._has_certificate())
        except (ProposalError, SecretFileError) as error:
            self._note(f"refused a change of SecurityProfile: {error}")
            return SettingAnswer.REJECTED
        self._security.record(SecurityEvent.RECONFIGURATION, f"SecurityProfile {text} is tried")
        self._stirred()
        return SettingAnswer.ACCEPTED

    def _setting_changed(self, name: str) -> None:
        if name == ORGANISATION:
            self._security.record(SecurityEvent.RECONFIGURATION, "CpoName")

    def _has_root(self) -> bool:
        return bool(self._security.certificates.roots(RootUse.CENTRAL))

    def _has_certificate(self) -> bool:
        return bool(self._security.certificates.usable_clients(self._security.utc_s))

    # ---- certificates ----

    def sign_certificate(self) -> bool:
        """Make a key and ask the network to sign its certificate (A02, A03). False: it is not known whose we are."""
        organisation = self._settings.string(ORGANISATION)
        if not organisation:
            self._note("no certificate can be asked for: set CpoName first")
            return False
        if not self._signing:
            self._signing = True
            self._spawn(self._sign(organisation))
        return True

    async def _sign(self, organisation: str) -> None:
        try:
            from agent.security.custody import request_certificate

            csr = await asyncio.to_thread(
                request_certificate,
                self._security,
                self._config.ocpp.key_type,
                organisation,
                self._config.station.serial_number,
            )
        except (OSError, ValueError) as error:
            self._signing = False
            LOGGER.error("no certificate could be asked for: %s", error)
            return
        if not self._call("SignCertificate", {"csr": csr}, Priority.STATUS, self._sign_answered):
            self._signing = False
        self._stirred()

    def _sign_answered(self, outcome: Outcome, _now: float) -> None:
        self._signing = False
        if outcome.payload.get("status") != "Accepted":
            self._note("the network did not take the request to sign a certificate")

    def _renew(self, now: float) -> None:
        """Ask for the next certificate in time; again and again until it is there."""
        utc_s = self._security.utc_s
        if utc_s is None:
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
        self.sign_certificate()

    def _certificate_signed(self, payload: Payload) -> Payload:
        """A02, A03"""
        from agent.security.custody import take_certificate

        taken = take_certificate(
            self._security,
            payload["certificateChain"],
            self._settings.string(ORGANISATION),
            self._config.station.serial_number,
            most=self._settings.integer("SecurityCtrlr.MaxCertificateChainSize"),
        )
        if taken and self._networks.settled().security_profile == 3:
            # A02.FR.08: from now on the new one is used; if it does not work, the old one is still there.
            self._around.connect_anew()
        return {"status": "Accepted" if taken else "Rejected"}

    def _install_certificate(self, payload: Payload) -> Payload:
        """M05"""
        from agent.security.custody import install_root

        answer = install_root(
            self._security,
            ROOT_USES[payload["certificateType"]],
            payload["certificate"],
            additional_check=self._settings.boolean("SecurityCtrlr.AdditionalRootCertificateCheck"),
            most=self._settings.integer("SecurityCtrlr.CertificateEntries"),
        )
        return {"status": answer.value}

    def _delete_certificate(self, payload: Payload) -> Payload:
        """M04"""
        from agent.security.certificates import CertificateHash, HashAlgorithm
        from agent.security.custody import delete

        data = payload["certificateHashData"]
        wanted = CertificateHash(
            HashAlgorithm(data["hashAlgorithm"]), data["issuerNameHash"], data["issuerKeyHash"], data["serialNumber"]
        )
        way = self._networks.settled()
        needed = way.secure and way.security_profile >= 2 and way.ca_file is None
        return {"status": delete(self._security, wanted, keep_last_central=needed).value}

    def _installed_ids(self, payload: Payload) -> Payload:
        """M03"""
        from agent.security.custody import installed

        found = installed(self._security, ROOT_USES[payload["certificateType"]])
        if not found:
            return {"status": "NotFound"}
        return {
            "status": "Accepted",
            "certificateHashData": [
                {
                    "hashAlgorithm": one.algorithm.value,
                    "issuerNameHash": one.issuer_name,
                    "issuerKeyHash": one.issuer_key,
                    "serialNumber": one.serial_number,
                }
                for one in found
            ],
        }

    # ---- another network ----

    def _set_network(self, data: str) -> tuple[bool, str]:
        """DataTransfer SetNetwork: move there, if it proves itself."""
        try:
            request = json.loads(data)
            if not isinstance(request, dict):
                raise ProposalError("the data must be a JSON object")
            self._networks.propose_move(request, self._has_root(), self._has_certificate())
        except (ProposalError, SecretFileError) as error:
            self._note(f"refused a move to another network: {error}")
            return False, str(error)
        except (ValueError, RecursionError):
            return False, "the data is not JSON"
        self._security.record(SecurityEvent.RECONFIGURATION, f"move to {request['url']} is tried")
        self._stirred()
        return True, ""

    def _get_network(self, _data: str) -> tuple[bool, str]:
        """DataTransfer GetNetwork: how things stand, without secrets."""
        return True, json.dumps(self._networks.status())
