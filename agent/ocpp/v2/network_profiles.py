"""B09: the network writes a way to a network into a slot. The order of the slots is a variable (B10), acted upon at the
next start of the agent (``agent.joints.network_variables``, ``agent.ocpp.networks``)."""

from __future__ import annotations

from collections.abc import Mapping

from agent.ocpp.base import Payload
from agent.ocpp.network_connection import read_profile
from agent.ocpp.network_profile import ProposalError
from agent.ocpp.session import SecuritySurroundings
from agent.ocpp.v2.block import Block, Handler, Talk
from agent.ocpp.v2.device_words import status_info
from agent.security.events import SecurityEvent
from agent.security.files import SecretFileError


class NetworkProfiles2(Block):
    def __init__(self, talk: Talk, around: SecuritySurroundings) -> None:
        super().__init__(talk)
        self._networks = around.networks
        self._security = around.security

    def handlers(self) -> Mapping[str, Handler]:
        return {"SetNetworkProfile": self._set}

    def _set(self, payload: Payload) -> Payload:
        slot = payload["configurationSlot"]
        try:
            base = self._networks.settled()
            profile = read_profile(payload["connectionData"], base)
            self._networks.write_slot(slot, profile)
        except ProposalError as error:  # B09.FR.02, FR.04, FR.05
            self._talk.note("network profile", f"refused a network profile for slot {slot}: {error}")
            return {"status": "Rejected", "statusInfo": status_info("InvalidValue", str(error))}
        except SecretFileError as error:  # B09.FR.03
            return {"status": "Failed", "statusInfo": status_info("OutOfStorage", str(error))}
        self._security.record(SecurityEvent.RECONFIGURATION, f"network profile of slot {slot}: {profile.address}")
        self._talk.around.stirred()
        return {"status": "Accepted"}  # B09.FR.01
