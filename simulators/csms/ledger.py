"""The CSMS's own books: one record per transaction, built only from what charge points sent.

The rules, so that two readers come to the same sum:

- A StartTransaction with the charge point, connector, idTag, timestamp and meterStart of an earlier one is a retry:
  it gets the same transactionId and is counted in ``start_repeats``. Any other one is a new transaction.
- The first StopTransaction of a transaction is booked. An equal one later is a repeat, a different one an anomaly.
- TransactionEvents (2.0.1 and later) belong together by their transactionId, see ``events``.
- A charge that was begun under one version and goes on under another is one record: the same charge point, the same
  outlet, a start at the same register and the same time (``counterpart``).
- ``energy_wh`` is the last register minus the first; ``None`` while the transaction is open.
- After ``forget`` (a CSMS that lost its database) a retried start is answered with a new id, but stays one record here.
"""

from __future__ import annotations

from typing import Any

from . import signed
from .anomalies import AnomalyKind, Finding
from .dialect import OCPP_16
from .events import EventBooks
from .transaction import REGISTER_TOLERANCE_WH, Transaction, before, counterpart, register_wh, take_signed, tidy

__all__ = ["Ledger", "Transaction", "register_wh"]

StartKey = tuple[str, int, str, str, int]

V16 = str(OCPP_16.subprotocol)


class Ledger:
    """Books Start-, StopTransaction and MeterValues in wire format; each returns what was odd about it."""

    def __init__(self, first_transaction_id: int = 1) -> None:
        self.transactions: list[Transaction] = []
        self.loose_meter_values: list[dict[str, Any]] = []
        self._next_id = first_transaction_id
        self._by_key: dict[StartKey, Transaction] = {}
        self._by_id: dict[tuple[str, int], Transaction] = {}
        self._open: dict[tuple[str, int], Transaction] = {}
        self._events = EventBooks(self.transactions, self._open)

    def start(
        self,
        charge_point: str,
        payload: dict[str, Any],
        id_tag_status: str,
        received_at: str,
        transaction_id: int | None = None,
    ) -> tuple[int, list[Finding]]:
        """Book a StartTransaction and return its id. ``transaction_id`` forces one (an earlier run's answer)."""
        connector: int = payload["connectorId"]
        meter_start: int = payload["meterStart"]
        key = (charge_point, connector, payload["idTag"].casefold(), payload["timestamp"], meter_start)
        known = self._by_key.get(key)
        if known is not None:
            known.start_repeats += 1
            known.id_tag_status = id_tag_status
            number = known.id_for(V16)
            assert isinstance(number, int)  # it came by a StartTransaction, or it would not be found by its key
            if known.forgotten or transaction_id not in (None, number):
                known.forgotten = False
                return self._give_id(known, transaction_id), []
            return number, []
        elsewhere = counterpart(self.transactions, charge_point, connector, meter_start, payload["timestamp"], V16)
        if elsewhere is not None:
            self._by_key[key] = elsewhere
            elsewhere.subprotocols.append(V16)
            elsewhere.id_tag_status = id_tag_status
            return self._give_id(elsewhere, transaction_id), []
        findings: list[Finding] = []
        running = self._open.get((charge_point, connector))
        if running is not None:
            findings.append(
                Finding(
                    AnomalyKind.START_WHILE_OPEN,
                    f"connector {connector} still has transaction {running.transaction_ids[-1]} open",
                )
            )
        record = Transaction(
            charge_point=charge_point,
            connector_id=connector,
            id_tag=payload["idTag"],
            id_tag_status=id_tag_status,
            meter_start_wh=meter_start,
            started_at=payload["timestamp"],
            start_received_at=received_at,
            transaction_ids=[],
            subprotocols=[V16],
            reservation_id=payload.get("reservationId"),
            last_register_wh=float(meter_start),
        )
        self.transactions.append(record)
        self._by_key[key] = record
        self._open[(charge_point, connector)] = record
        return self._give_id(record, transaction_id), findings

    def stop(self, charge_point: str, payload: dict[str, Any], received_at: str) -> list[Finding]:
        """Book a StopTransaction."""
        record = self._by_id.get((charge_point, payload["transactionId"]))
        if record is None:
            return [_unknown(payload["transactionId"])]
        meter_stop: int = payload["meterStop"]
        stopped_at: str = payload["timestamp"]
        if record.stopped_at is not None:
            if record.same_end(meter_stop, stopped_at):
                record.stop_repeats += 1
                return []
            return [
                Finding(
                    AnomalyKind.STOP_DIFFERS,
                    f"transaction {payload['transactionId']} was stopped at {record.meter_stop_wh} Wh, "
                    f"{record.stopped_at}; now at {meter_stop} Wh, {stopped_at}",
                )
            ]
        data = payload.get("transactionData", [])
        findings = [finding for value in data for finding in take_signed(record, value)]
        for value in data:
            # Begin and end values repeat what was sampled, in any order: only the outer bounds can be checked.
            findings += record.outside(register_wh(value), meter_stop, "transactionData")
        if meter_stop < record.last_register_wh - REGISTER_TOLERANCE_WH:
            findings.append(
                Finding(
                    AnomalyKind.METER_BACKWARDS,
                    f"meterStop {meter_stop} Wh is below {record.last_register_wh:g} Wh reported before",
                )
            )
        if before(record.started_at, stopped_at):
            findings.append(
                Finding(AnomalyKind.TIME_BACKWARDS, f"stopped at {stopped_at}, before its start {record.started_at}")
            )
        record.meter_stop_wh = meter_stop
        record.stopped_at = stopped_at
        record.stop_received_at = received_at
        record.stop_id_tag = payload.get("idTag")
        # An absent reason means Local (OCPP 1.6 section 6.49).
        record.reason = payload.get("reason", "Local")
        record.transaction_data = data
        if self._open.get((charge_point, record.connector_id)) is record:
            del self._open[(charge_point, record.connector_id)]
        return findings

    def meter_values(self, charge_point: str, payload: dict[str, Any], received_at: str) -> list[Finding]:
        """Book MeterValues, under their transaction when they name one."""
        transaction_id = payload.get("transactionId")
        entries = [value | {"received_at": received_at} for value in payload["meterValue"]]
        if transaction_id is None:
            where = {"charge_point": charge_point, "connector_id": payload["connectorId"]}
            self.loose_meter_values.extend(where | entry for entry in entries)
            return []
        record = self._by_id.get((charge_point, transaction_id))
        if record is None:
            return [_unknown(transaction_id)]
        if any(
            {k: v for k, v in known.items() if k != "received_at"} == value
            for value in payload["meterValue"]
            for known in record.meter_values[-20:]
        ):
            record.meter_value_repeats += 1
            return []
        findings = [finding for value in payload["meterValue"] for finding in take_signed(record, value)]
        only_signed = all(len(signed.signed_samples(v)) == len(v["sampledValue"]) for v in payload["meterValue"])
        if not record.open and not only_signed:  # a meter may sign late
            findings.append(
                Finding(AnomalyKind.METER_VALUES_AFTER_STOP, f"transaction {transaction_id} is already stopped")
            )
        for value in payload["meterValue"]:
            findings += record.rises(register_wh(value))
        record.meter_values.extend(entries)
        return findings

    def event(
        self,
        charge_point: str,
        subprotocol: str,
        payload: dict[str, Any],
        message_id: str,
        received_at: str,
        id_token_status: str | None = None,
    ) -> list[Finding]:
        """Book a TransactionEvent; ``id_token_status`` is what its idToken was answered."""
        return self._events.book(charge_point, subprotocol, payload, message_id, received_at, id_token_status)

    def meter_values_2x(self, charge_point: str, payload: dict[str, Any], received_at: str) -> None:
        """Book MeterValues of 2.x, which belong to no transaction."""
        where = {"charge_point": charge_point, "connector_id": payload["evseId"], "received_at": received_at}
        self.loose_meter_values.extend(value | where for value in payload["meterValue"])

    def forget(self) -> None:
        """Lose every open transactionId, as a CSMS that lost its database would. The records stay for the reader."""
        for record in self.transactions:
            if record.open:
                record.forgotten = True

    def as_json(self) -> dict[str, Any]:
        """All records and their sums."""
        stopped = [t for t in self.transactions if not t.open]
        return {
            "transactions": [t.as_json() for t in self.transactions],
            "meter_values_outside_transactions": list(self.loose_meter_values),
            "totals": {
                "transactions": len(self.transactions),
                "open": len(self.transactions) - len(stopped),
                "energy_wh": tidy(sum(t.energy_wh or 0 for t in stopped)),
                "start_repeats": sum(t.start_repeats for t in self.transactions),
                "stop_repeats": sum(t.stop_repeats for t in self.transactions),
                "event_repeats": sum(t.event_repeats for t in self.transactions),
            },
        }

    def _give_id(self, record: Transaction, forced: int | None) -> int:
        taken = self._next_id if forced is None else forced
        self._next_id = max(self._next_id, taken + 1)
        record.transaction_ids.append(taken)
        self._by_id[(record.charge_point, taken)] = record
        return taken


def _unknown(transaction_id: int) -> Finding:
    # Errata 3.18: -1 is allowed when the start was never confirmed, but then the energy belongs to no transaction.
    why = "the charge point never learnt its id" if transaction_id == -1 else "no such transaction was started here"
    return Finding(AnomalyKind.UNKNOWN_TRANSACTION, f"transactionId {transaction_id}: {why}")
