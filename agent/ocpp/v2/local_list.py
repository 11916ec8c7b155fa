"""Block D, the local authorisation list. It is the same list under every version of OCPP."""

from __future__ import annotations

from collections.abc import Mapping

from agent.ocpp.base import Payload
from agent.ocpp.times import read_time
from agent.ocpp.v2.block import Block, Handler
from agent.ocpp.v2.device_words import status_info
from agent.ocpp.v2.tokens import carries, read_token, token_info
from agent.ocpp.v2.version import Version
from agent.station.local_list import EMPTY_VERSION, ListAnswer, ListUpdate, Row
from agent.station.tokens import listed_status


class LocalList2(Block):
    def handlers(self) -> Mapping[str, Handler]:
        return {"GetLocalListVersion": self._version, "SendLocalList": self._send}

    def _version(self, _payload: Payload) -> Payload:
        """D02.FR.01 to .03"""
        return {"versionNumber": max(EMPTY_VERSION, self._talk.station.local_list_version())}

    def _send(self, payload: Payload) -> Payload:
        """D01"""
        update = read_update(payload, self._talk.version)
        if isinstance(update, str):
            return _failed("InvalidValue", update)
        outcome = self._talk.station.update_local_list(update)
        if outcome is ListAnswer.NOT_SUPPORTED:
            return _failed("NotEnabled", "LocalAuthListCtrlr.Enabled is false")  # OCPP 2 has no word of its own for it
        if outcome is ListAnswer.FAILED:
            return _failed("InvalidValue", "a token stands twice, there are too many, or versionNumber is not above 0")
        return {"status": outcome.value}


def _failed(reason: str, why: str) -> Payload:
    return {"status": "Failed", "statusInfo": status_info(reason, why)}


def read_update(payload: Payload, version: Version) -> ListUpdate | str:
    """Return what a SendLocalList wants, or say why it cannot be meant."""
    full = payload["updateType"] == "Full"
    rows: list[Row] = []
    removed: list[str] = []
    for entry in payload.get("localAuthorizationList") or ():
        token = read_token(entry["idToken"])
        if not carries(token, version):
            return "an identifier is empty"
        if "idTokenInfo" not in entry:
            if full:
                return "a full list holds an identifier without idTokenInfo"
            removed.append(token.key)  # D01.FR.17
            continue
        told = entry["idTokenInfo"]
        info = token_info(told)
        if info is None or ("cacheExpiryDateTime" in told and read_time(told["cacheExpiryDateTime"]) is None):
            return "an idTokenInfo cannot be read"
        rows.append((token.key, listed_status(info), info.group, info.expires_utc_s))
    return ListUpdate(payload["versionNumber"], full, tuple(rows), tuple(removed))
