"""Block F, remote control: transactions started and stopped, connectors unlocked. TriggerMessage: ``trigger``."""

from __future__ import annotations

from collections.abc import Mapping

from agent.ocpp.base import Payload, Reply
from agent.ocpp.v2.block import Block, Handler
from agent.ocpp.v2.device_words import status_info
from agent.ocpp.v2.smart_charging import answer, start_profile
from agent.ocpp.v2.tokens import carries, group_of, read_token
from agent.station.charging.profile import Profile
from agent.station.charging.refusal import Refusal
from agent.station.commands import RemoteStart, UnlockAnswer
from agent.station.tokens import NO_AUTHORIZATION, Token


class Remote2(Block):
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "RequestStartTransaction": self._start,
            "RequestStopTransaction": self._stop,
            "UnlockConnector": self._unlock,
        }

    def _start(self, payload: Payload) -> Payload:
        """F01, F02."""
        if not self._talk.online:
            return _rejected("CSNotAccepted", "the boot of this charging station is not accepted yet")  # B02.FR.05
        token = read_token(payload["idToken"])
        if token.kind == NO_AUTHORIZATION:
            token = Token(self._talk.config.authorisation.free_vend_token, NO_AUTHORIZATION)
        if not carries(token, self._talk.version):
            return _rejected("InvalidIdToken", "the identifier is empty")
        evse = payload.get("evseId")
        if evse is not None and evse not in self._talk.evses:
            return _rejected("UnknownEvse", f"there is no EVSE {evse}")
        profile: Profile | None = None
        if "chargingProfile" in payload:
            told = start_profile(self._talk.station.charging, evse or 0, payload["chargingProfile"])
            if isinstance(told, Refusal):
                return answer(told)  # F01.FR.26, F02.FR.27
            profile = told
        wanted = RemoteStart(token, evse, payload["remoteStartId"], profile, group_of(payload))
        started = self._talk.station.access.start(wanted)
        if started.why_not:
            return _rejected("Unspecified", started.why_not)
        known = {"transactionId": started.transaction} if started.transaction else {}
        return {"status": "Accepted", **known}  # F01.FR.13

    def _stop(self, payload: Payload) -> Payload:
        """F03."""
        if not self._talk.online:
            return _rejected("CSNotAccepted", "the boot of this charging station is not accepted yet")
        if self._talk.station.remote_stop(payload["transactionId"]):
            return {"status": "Accepted"}  # F03.FR.07
        return _rejected("TxNotFound", "no such transaction is open")  # F03.FR.08

    def _unlock(self, payload: Payload) -> Reply:
        """F05."""
        place = {"id": payload["evseId"], "connectorId": payload["connectorId"]}
        if not self._talk.knows(place):
            return {"status": "UnknownConnector"}  # F05.FR.03
        return self._unlocked(payload["evseId"])

    async def _unlocked(self, evse: int) -> Payload:
        done = await self._talk.station.unlock(evse)
        if done is UnlockAnswer.NOT_SUPPORTED:
            info = status_info("FixedCable", "there is no lock that could be opened")
            return {"status": UnlockAnswer.FAILED.value, "statusInfo": info}  # F05.FR.05
        return {"status": done.value}


def _rejected(reason: str, why: str) -> Payload:
    return {"status": "Rejected", "statusInfo": status_info(reason, why)}
