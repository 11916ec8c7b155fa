"""OCPP 1.6 Local Auth List Management: SendLocalList and GetLocalListVersion (§5.15, §5.10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.ocpp.ports import StationPort
from agent.ocpp.times import read_time
from agent.ocpp.v16.tokens import carries, token_info
from agent.station.local_list import ListAnswer, ListUpdate, Row
from agent.station.tokens import Token

Payload = dict[str, Any]


class LocalList16:
    def __init__(self, station: StationPort) -> None:
        self._station = station

    @property
    def by_action(self) -> Mapping[str, Callable[[Payload], Payload]]:
        """One method per message."""
        return {"GetLocalListVersion": self._version, "SendLocalList": self._send}

    def _version(self, _payload: Payload) -> Payload:
        return {"listVersion": self._station.local_list_version()}

    def _send(self, payload: Payload) -> Payload:
        update = read_update(payload)
        answer = self._station.update_local_list(update) if update is not None else ListAnswer.FAILED
        return {"status": answer.value}


def read_update(payload: Payload) -> ListUpdate | None:
    """Return what a SendLocalList wants; None when one of its entries cannot be meant."""
    full = payload["updateType"] == "Full"
    rows: list[Row] = []
    removed: list[str] = []
    for entry in payload.get("localAuthorizationList") or ():
        if not carries(entry["idTag"]):
            return None
        key = Token(entry["idTag"]).key
        if "idTagInfo" not in entry:
            # §7.1: without it a differential update takes the entry out; a full one must have it.
            if full:
                return None
            removed.append(key)
            continue
        info = token_info(entry["idTagInfo"])
        if info is None or ("expiryDate" in entry["idTagInfo"] and read_time(entry["idTagInfo"]["expiryDate"]) is None):
            return None
        rows.append((key, info.status.value, info.group, info.expires_utc_s))
    return ListUpdate(payload["listVersion"], full, tuple(rows), tuple(removed))
