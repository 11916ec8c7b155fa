"""TransactionEvents (OCPP 2.0.1 and later) on the CSMS's books.

- Events belong together by transactionId. The first must be Started, unless the charge was begun under 1.6: then it is
  found by charge point, EVSE, register and time, or as the one charge that is open at that EVSE. Where it is neither,
  that is an anomaly, and what comes is booked all the same: the order of arrival changes no sum.
- An event with a seqNo that is on the books is a repeat when it says the same, whatever its message id, and an anomaly
  when it does not. A seqNo left out is an anomaly that a later arrival of that number mends.
- ``meter_start_wh`` is the register of context Transaction.Begin, in whatever event it comes (E01.FR.17); without one
  the first register told. ``meter_stop_wh`` is that of Transaction.End in the Ended event, without one its last.
"""

from __future__ import annotations

import json
from typing import Any

from .anomalies import AnomalyKind, Finding
from .transaction import REGISTER_TOLERANCE_WH, Transaction, before, counterpart, register_wh, take_signed, tidy

Payload = dict[str, Any]

BEGIN, END = "Transaction.Begin", "Transaction.End"


class EventBooks:
    """Books into the records of a ledger, which it shares with the messages of 1.6."""

    def __init__(self, transactions: list[Transaction], open_at: dict[tuple[str, int], Transaction]) -> None:
        self._transactions = transactions
        self._open = open_at
        self._by_id: dict[tuple[str, str], Transaction] = {}
        self._contents: dict[tuple[str, str, int], str] = {}
        """Content of each event, by charge point, transaction and seqNo."""

    def book(
        self,
        charge_point: str,
        subprotocol: str,
        payload: Payload,
        message_id: str,
        received_at: str,
        id_token_status: str | None,
    ) -> list[Finding]:
        """Book one event; returns what was odd about it."""
        transaction_id: str = payload["transactionInfo"]["transactionId"]
        record = self._by_id.get((charge_point, transaction_id))
        known = self._repeat(charge_point, record, payload)
        if known is not None:
            return known
        findings: list[Finding] = []
        if record is None:
            record, findings = self._record(charge_point, payload, subprotocol, received_at)
            record.transaction_ids.append(transaction_id)
            self._by_id[(charge_point, transaction_id)] = record
        if subprotocol not in record.subprotocols:
            record.subprotocols.append(subprotocol)
        self._contents[(charge_point, transaction_id, payload["seqNo"])] = _content(payload)
        in_order, odd = self._sequence(record, payload)
        findings += odd
        if payload["eventType"] == "Started":
            record.started_at, record.start_received_at = payload["timestamp"], received_at
        if not record.open and in_order:
            findings += self._after_end(record, payload)
        else:
            findings += self._outlet(record, payload)
            _token(record, payload, id_token_status)
            record.reservation_id = payload.get("reservationId", record.reservation_id)
            findings += self._values(record, payload, received_at, in_order)
            if payload["eventType"] == "Ended":
                findings += self._end(record, payload, received_at)
        self._log(record, payload, message_id, received_at)
        return findings

    # ---- which charge it is ----

    def _repeat(self, charge_point: str, record: Transaction | None, payload: Payload) -> list[Finding] | None:
        """Findings about an event whose number is on the books; None for a new one."""
        transaction_id = payload["transactionInfo"]["transactionId"]
        earlier = self._contents.get((charge_point, transaction_id, payload["seqNo"]))
        if record is None or earlier is None:
            return None
        if earlier != _content(payload):
            what = f"{transaction_id}: seqNo {payload['seqNo']} came before with other content"
            return [Finding(AnomalyKind.EVENT_DIFFERS, what)]
        record.event_repeats += 1
        if payload["eventType"] == "Started":
            record.start_repeats += 1
        elif payload["eventType"] == "Ended":
            record.stop_repeats += 1
        return []

    def _record(
        self, charge_point: str, payload: Payload, subprotocol: str, received_at: str
    ) -> tuple[Transaction, list[Finding]]:
        """The record for an id that is new: that of a charge told under another version, or a fresh one."""
        elsewhere = self._elsewhere(charge_point, payload, subprotocol)
        if elsewhere is not None:
            return elsewhere, []
        record = Transaction(charge_point, 0, "", "", None, payload["timestamp"], received_at, [])
        self._transactions.append(record)
        if payload["eventType"] == "Started":
            return record, []
        # It is booked all the same: a charge point may have had to give its start up, or tell it later (E13.FR.04).
        what = f"{payload['transactionInfo']['transactionId']}: its first event is no Started"
        return record, [Finding(AnomalyKind.UNKNOWN_TRANSACTION, what)]

    def _elsewhere(self, charge_point: str, payload: Payload, subprotocol: str) -> Transaction | None:
        """The charge of this event, begun under another version."""
        outlet = payload.get("evse", {}).get("id")
        candidates = [
            record
            for record in self._transactions
            if record.charge_point == charge_point and not any(isinstance(i, str) for i in record.transaction_ids)
        ]
        begin_wh = _begin_wh(payload)
        if payload["eventType"] == "Started":
            if outlet is None or begin_wh is None:
                return None
            return counterpart(candidates, charge_point, outlet, begin_wh, payload["timestamp"], subprotocol)
        fitting = [
            record
            for record in candidates
            if outlet in (None, record.connector_id)
            and (record.open or (begin_wh is not None and payload["eventType"] == "Ended"))
            and (
                begin_wh is None
                or record.meter_start_wh is None
                or abs(record.meter_start_wh - begin_wh) <= REGISTER_TOLERANCE_WH
            )
        ]
        return fitting[0] if len(fitting) == 1 else None

    # ---- what it says ----

    def _sequence(self, record: Transaction, payload: Payload) -> tuple[bool, list[Finding]]:
        """Whether the event comes behind all others of its transaction, and what is odd about its number."""
        number: int = payload["seqNo"]
        last = max((event["seq_no"] for event in record.events), default=None)
        if last is None:
            return True, []
        if number < last:
            if number in record.missing_seq_nos:
                record.missing_seq_nos.remove(number)
            return False, [Finding(AnomalyKind.SEQUENCE_ORDER, f"seqNo {number} came behind {last}")]
        missing = list(range(last + 1, number))[:1000]
        record.missing_seq_nos += missing
        return True, [Finding(AnomalyKind.SEQUENCE_GAP, f"seqNo {number} came behind {last}")] if missing else []

    def _after_end(self, record: Transaction, payload: Payload) -> list[Finding]:
        if payload["eventType"] == "Ended":
            stop_wh = _end_wh(payload)
            if record.same_end(None if stop_wh is None else tidy(stop_wh), payload["timestamp"]):
                record.stop_repeats += 1
                return []
            text = (
                f"it ended at {record.meter_stop_wh} Wh, {record.stopped_at}; now at {stop_wh}, {payload['timestamp']}"
            )
            return [Finding(AnomalyKind.STOP_DIFFERS, text)]
        if len(record.subprotocols) > 1:
            return []  # told again to the network that did not hear it
        return [Finding(AnomalyKind.EVENT_AFTER_END, f"{payload['eventType']} of {record.transaction_ids[-1]}")]

    def _outlet(self, record: Transaction, payload: Payload) -> list[Finding]:
        outlet = payload.get("evse", {}).get("id", 0)
        if not outlet or record.connector_id == outlet:
            return []
        record.connector_id = outlet
        if not record.open:
            return []
        running = self._open.get((record.charge_point, outlet))
        self._open[(record.charge_point, outlet)] = record
        if running is None or running is record:
            return []
        text = f"EVSE {outlet} still has transaction {running.transaction_ids[-1]} open"
        return [Finding(AnomalyKind.START_WHILE_OPEN, text)]

    def _values(self, record: Transaction, payload: Payload, received_at: str, in_order: bool) -> list[Finding]:
        values: list[Payload] = payload.get("meterValue", [])
        findings = [finding for value in values for finding in take_signed(record, value)]
        begin_wh = _begin_wh(payload)
        if payload["eventType"] == "Started" and record.number_given:
            return findings  # told once more after a change of version, and its register is on the books
        if begin_wh is not None or record.meter_start_wh is None:
            first_wh = next((wh for value in values if (wh := register_wh(value)) is not None), None)
            start_wh = begin_wh if begin_wh is not None else first_wh
            if start_wh is not None and not record.number_given:
                record.meter_start_wh = tidy(start_wh)
                record.last_register_wh = max(record.last_register_wh, start_wh)
        if payload["eventType"] == "Ended":
            record.transaction_data = values
            return findings
        for value in values:
            if in_order:
                findings += record.rises(register_wh(value))
            record.meter_values.append(value | {"seq_no": payload["seqNo"], "received_at": received_at})
        if not in_order:
            record.meter_values.sort(key=lambda value: value.get("seq_no", -1))
        return findings

    def _end(self, record: Transaction, payload: Payload, received_at: str) -> list[Finding]:
        findings: list[Finding] = []
        stop_wh = _end_wh(payload)
        if stop_wh is not None:
            for value in record.transaction_data:
                findings += record.outside(register_wh(value), stop_wh, "meterValue of Ended")
            if stop_wh < record.last_register_wh - REGISTER_TOLERANCE_WH:
                text = f"it ended at {stop_wh:g} Wh, below {record.last_register_wh:g} Wh reported before"
                findings.append(Finding(AnomalyKind.METER_BACKWARDS, text))
            record.meter_stop_wh = tidy(stop_wh)
        record.stopped_at = payload["timestamp"]
        record.stop_received_at = received_at
        if before(record.started_at, payload["timestamp"]):
            text = f"ended at {payload['timestamp']}, before its start {record.started_at}"
            findings.append(Finding(AnomalyKind.TIME_BACKWARDS, text))
        # An absent reason means Local (OCPP 2.0.1, TransactionType.stoppedReason).
        record.reason = payload["transactionInfo"].get("stoppedReason", "Local")
        if self._open.get((record.charge_point, record.connector_id)) is record:
            del self._open[(record.charge_point, record.connector_id)]
        return findings

    def _log(self, record: Transaction, payload: Payload, message_id: str, received_at: str) -> None:
        event = {
            "event_type": payload["eventType"],
            "seq_no": payload["seqNo"],
            "trigger_reason": payload["triggerReason"],
            "timestamp": payload["timestamp"],
            "offline": payload.get("offline", False),
            "charging_state": payload["transactionInfo"].get("chargingState"),
            "remote_start_id": payload["transactionInfo"].get("remoteStartId"),
            "message_id": message_id,
            "received_at": received_at,
        }
        record.events.append(event)


def _token(record: Transaction, payload: Payload, status: str | None) -> None:
    if "idToken" not in payload:
        return
    token = payload["idToken"]["idToken"]
    if payload["eventType"] == "Ended" or payload["triggerReason"] == "StopAuthorized":
        record.stop_id_tag = token
    elif not record.id_tag:
        record.id_tag, record.id_tag_status = token, status or ""


def _begin_wh(payload: Payload) -> float | None:
    return next((wh for v in payload.get("meterValue", []) if (wh := register_wh(v, BEGIN)) is not None), None)


def _end_wh(payload: Payload) -> float | None:
    values = payload.get("meterValue", [])
    ends = [wh for value in values if (wh := register_wh(value, END)) is not None]
    told = ends or [wh for value in values if (wh := register_wh(value)) is not None]
    return max(told, default=None)


def _content(payload: Payload) -> str:
    """What a retry must say again. Whether it was told late is no part of it: that may have changed (E11.FR.07)."""
    return json.dumps({key: value for key, value in payload.items() if key != "offline"}, sort_keys=True)
