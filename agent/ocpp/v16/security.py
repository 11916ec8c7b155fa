"""OCPP 1.6's security extensions: keys and profile, certificates, security events, and moving to another network.

White paper "Improved security for OCPP 1.6-J" edition 3. Firmware and logs have their own modules.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from agent.config.schema import Config
from agent.ocpp.certificate_signing import ORGANISATION, CertificateSigning
from agent.ocpp.data_transfer import OUR_VENDOR, DataTransfers
from agent.ocpp.network_profile import ProposalError
from agent.ocpp.part import Part
from agent.ocpp.security_events import Calling, SecurityEvents
from agent.ocpp.session import SecuritySurroundings
from agent.ocpp.v16.configuration import LiveKey
from agent.security.events import SecurityEvent
from agent.security.files import SecretFileError
from agent.security.store import RootUse
from agent.station.commands import SettingAnswer
from agent.station.settings import Settings

Payload = dict[str, Any]

ROOT_USES = {
    "CentralSystemRootCertificate": RootUse.CENTRAL,
    "ManufacturerRootCertificate": RootUse.MANUFACTURER,
}


class Security16:
    """``parts`` go to the session, whose messages they send."""

    def __init__(
        self,
        around: SecuritySurroundings,
        config: Config,
        settings: Settings,
        call: Calling,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        stirred: Callable[[], None],
        note: Callable[[str], None],
    ) -> None:
        self._security = around.security
        self._networks = around.networks
        self._settings = settings
        self._stirred = stirred
        self._note = note
        self._signing = CertificateSigning(around, config, settings, call, spawn, stirred, note)
        self.parts: tuple[Part, ...] = (self._signing, SecurityEvents(around.security, call, note))
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
        """A02, A03. False: it is not known whose we are."""
        return self._signing.request()

    def _certificate_signed(self, payload: Payload) -> Payload:
        """A02, A03"""
        return {"status": "Accepted" if self._signing.take(payload["certificateChain"]) else "Rejected"}

    def _install_certificate(self, payload: Payload) -> Payload:
        """M05"""
        from agent.security.custody import InstallAnswer, install_root

        answer = install_root(
            self._security,
            ROOT_USES[payload["certificateType"]],
            payload["certificate"],
            additional_check=self._settings.boolean("SecurityCtrlr.AdditionalRootCertificateCheck"),
            most=self._settings.integer("SecurityCtrlr.CertificateEntries"),
        )
        return {"status": "Failed" if answer is InstallAnswer.FULL else answer.value}

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
