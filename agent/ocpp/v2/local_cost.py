"""Block I of OCPP 2.1: tariffs for the charge point, and what it reckons by them (I07 to I12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.journal.events import Event, TransactionEnded, TransactionStarted, TransactionUpdated, Trigger
from agent.ocpp.base import Payload
from agent.ocpp.refusal import RequestRefusedError
from agent.ocpp.times import time_text
from agent.ocpp.v2.block import Block, Handler, Talk
from agent.ocpp.v2.device_words import status_info
from agent.ocpp.v2.version import Version
from agent.station.tariffs.answers import Assignment, TariffAnswer
from agent.station.tokens import Token

_REASONS = {
    TariffAnswer.TOO_MANY_ELEMENTS: "TooManyElements",
    TariffAnswer.DUPLICATE_ID: "DuplicateTariffId",
    TariffAnswer.TX_NOT_FOUND: "TxNotFound",
}


class LocalCost2(Block):
    def __init__(self, talk: Talk) -> None:
        super().__init__(talk)
        self._written: dict[str, tuple[int, Payload]] = {}
        """By transaction: number of the latest event, and what was added to it: a repeat says the same."""

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "SetDefaultTariff": self._set,
            "GetTariffs": self._get,
            "ClearTariffs": self._clear,
            "ChangeTransactionTariff": self._change,
        }

    def _check(self) -> None:
        """I07.FR.01, I11.FR.01"""
        if not self._talk.station.tariffs.enabled:
            raise RequestRefusedError("NotSupported", "TariffCostCtrlr.Enabled is false")

    def _set(self, payload: Payload) -> Payload:
        self._check()
        return _answer(*self._talk.station.tariffs.set_default(payload["evseId"], payload["tariff"]))

    def _get(self, payload: Payload) -> Payload:
        evse = payload["evseId"]
        if evse and evse not in self._talk.evses:
            return {"status": "Rejected", "statusInfo": status_info("UnknownEvse", f"there is no EVSE {evse}")}
        found = self._talk.station.tariffs.assignments(evse)
        if not found:
            return {"status": "NoTariff"}  # I09.FR.03
        return {"status": "Accepted", "tariffAssignments": [_assignment(each) for each in found]}

    def _clear(self, payload: Payload) -> Payload:
        ids = payload.get("tariffIds")
        gone = self._talk.station.tariffs.clear(ids, payload.get("evseId"))
        if not gone:
            return {"clearTariffsResult": [{"status": "NoTariff"}]}  # I10.FR.06
        return {"clearTariffsResult": [{"tariffId": each, "status": "Accepted"} for each in gone]}

    def _change(self, payload: Payload) -> Payload:
        self._check()
        transaction = payload["transactionId"]
        return _answer(*self._talk.station.tariffs.change(transaction, payload["tariff"]))

    # ---- what the network says by the way ----

    def authorised(self, token: Token, answer: Mapping[str, Any]) -> None:
        """I08"""
        info, tariff = answer.get("idTokenInfo"), answer.get("tariff")
        accepted = isinstance(info, Mapping) and info.get("status") == "Accepted"
        if accepted and isinstance(tariff, dict) and self._talk.station.tariffs.enabled:
            self._talk.station.tariffs.driver(token, tariff)

    # ---- what is added to events ----

    def complete(self, event: Event, payload: Payload) -> None:
        """Add tariff and costs to a TransactionEvent (I07.FR.32, I12)."""
        number, added = self._written.get(event.transaction, (-1, {}))
        if number != payload["seqNo"]:
            added = self._added(event)
            self._written[event.transaction] = (payload["seqNo"], added)
        if "tariffId" in added:
            payload["transactionInfo"]["tariffId"] = added["tariffId"]
        if "costDetails" in added:
            payload["costDetails"] = added["costDetails"]

    def _added(self, event: Event) -> Payload:
        tariffs = self._talk.station.tariffs
        tariff = tariffs.untold_tariff(event.transaction)
        cost = None
        if isinstance(event, TransactionEnded):
            cost = tariffs.final_cost(event.transaction)
        elif self._running(event):
            cost = tariffs.running_cost(event.transaction)
        added = {"tariffId": tariff} if tariff else {}
        return added | ({"costDetails": cost} if cost is not None else {})

    def _running(self, event: Event) -> bool:
        """Events that are told late would tell the cost of now."""
        if not self._talk.settings.boolean("TariffCostCtrlr.Enabled[RunningCost]"):
            return False
        if isinstance(event, TransactionStarted):
            return not event.offline
        costs = (Trigger.RUNNING_COST, Trigger.TARIFF_CHANGED)
        return isinstance(event, TransactionUpdated) and event.trigger in costs and not event.offline

    def answered(self, event: Event, _answer: Mapping[str, Any]) -> None:
        tariffs = self._talk.station.tariffs
        _number, added = self._written.pop(event.transaction, (-1, {}))
        if isinstance(event, TransactionEnded):
            tariffs.delivered(event.transaction)
        elif "tariffId" in added:
            tariffs.tariff_told(event.transaction, added["tariffId"])


def _answer(answer: TariffAnswer, why: str) -> Payload:
    if answer is TariffAnswer.ACCEPTED:
        return {"status": answer.value}
    return {"status": answer.value, "statusInfo": status_info(_REASONS.get(answer, "InvalidValue"), why)}


def _assignment(each: Assignment) -> Payload:
    payload: Payload = {
        "tariffId": each.tariff.id,
        "tariffKind": "DriverTariff" if each.driver else "DefaultTariff",
    }
    payload |= {"evseIds": list(each.evses)} if each.evses else {}
    payload |= {"idTokens": list(each.tokens)} if each.tokens else {}
    valid_from = each.tariff.valid_from_utc_s
    return payload | ({"validFrom": time_text(valid_from)} if valid_from is not None else {})  # I09.FR.07


def local_cost_blocks(talk: Talk) -> list[Block]:
    return [LocalCost2(talk)] if talk.version is Version.V21 else []
