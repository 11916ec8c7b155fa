"""Block M, as far as no vehicle is needed: roots installed, listed and deleted (M03, M04, M05).

Only the network's and the manufacturer's are ever believed here. Those of ISO 15118 are kept for whoever comes to use
them; there are no V2G certificates of our own, so that M06 has nothing to ask about.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.ocpp.base import Payload
from agent.ocpp.session import SecuritySurroundings
from agent.ocpp.v2.block import Block, Handler, Talk
from agent.ocpp.v2.device_words import status_info
from agent.security.store import RootUse

USES = {
    "CSMSRootCertificate": RootUse.CENTRAL,
    "ManufacturerRootCertificate": RootUse.MANUFACTURER,
    "V2GRootCertificate": RootUse.V2G,
    "MORootCertificate": RootUse.MOBILITY_OPERATOR,
    "OEMRootCertificate": RootUse.VEHICLE_MANUFACTURER,
}
"""By certificateType; the last is of 2.1."""


class Certificates2(Block):
    def __init__(self, talk: Talk, around: SecuritySurroundings) -> None:
        super().__init__(talk)
        self._security = around.security
        self._networks = around.networks

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "DeleteCertificate": self._delete,
            "GetInstalledCertificateIds": self._installed,
            "InstallCertificate": self._install,
        }

    def online(self, _everything: bool, _now: float) -> None:
        self._security.certificates.replacement_proved()  # M05.FR.13

    def _install(self, payload: Payload) -> Payload:
        """M05"""
        from agent.security.custody import InstallAnswer, install_root

        settings = self._talk.settings
        answer = install_root(
            self._security,
            USES[payload["certificateType"]],
            payload["certificate"],
            additional_check=settings.boolean("SecurityCtrlr.AdditionalRootCertificateCheck"),
            most=settings.integer("SecurityCtrlr.CertificateEntries"),
            in_turn=True,
        )
        match answer:
            case InstallAnswer.ACCEPTED:  # M05.FR.02, FR.17
                return {"status": "Accepted"}
            case InstallAnswer.REJECTED:  # M05.FR.07, FR.11
                return _said("Rejected", "InvalidCertificate", "it is no root that can be taken here; see the log")
            case InstallAnswer.FULL:  # M05.FR.06
                return _said("Rejected", "OutOfStorage", "CertificateEntries are stored already; delete one first")
            case InstallAnswer.FAILED:  # M05.FR.03
                return _said("Failed", "InternalError", "it could not be written")

    def _delete(self, payload: Payload) -> Payload:
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

    def _installed(self, payload: Payload) -> Payload:
        """M03. Of a V2G chain (FR.05) there is none."""
        from agent.security.custody import installed

        wanted = payload.get("certificateType", list(USES))
        found = [
            {
                "certificateType": kind,
                "certificateHashData": {
                    "hashAlgorithm": one.algorithm.value,
                    "issuerNameHash": one.issuer_name,
                    "issuerKeyHash": one.issuer_key,
                    "serialNumber": one.serial_number,
                },
            }
            for kind, use in USES.items()
            if kind in wanted
            for one in installed(self._security, use)
        ]
        return {"status": "Accepted", "certificateHashDataChain": found} if found else {"status": "NotFound"}


def _said(status: str, reason: str, detail: str) -> Payload:
    return {"status": status, "statusInfo": status_info(reason, detail)}
