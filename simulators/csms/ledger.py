"""The CSMS's own books: one record per transaction, built only from what charge points sent.

The rules, so that two readers come to the same sum:

- A StartTransaction with the charge point, connector, idTag, timestamp and meterStart of an earlier one is a retry:
  it gets the same transactionId and is counted in ``start_repeats``. Any other one is a new transaction.
- The first StopTransaction of a transaction is booked. An equal one later is a repeat, a different one an anomaly.
- ``energy_wh`` is meterStop minus meterStart; ``None`` while the transaction is open.
- After ``forget`` (a CSMS that lost its database) a retried start is answered with a new id, but stays one record here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import signed
from .anomalies import AnomalyKind, Finding
from .tokens import parse_time

StartKey = tuple[str, int, str, str, int]

REGISTER_TOLERANCE_WH = 1.0
"""meterStart and meterStop are whole Wh, sampled registers may have decimals."""


@dataclass(slots=True)
class Transaction:
    """One transaction as the charge point told it. Times as sent; ``…_received_at`` by this machine's clock."""

    charge_point: str
    connector_id: int
    id_tag: str
    id_tag_status: str
    meter_start_wh: int
    started_at: str
    start_received_at: str
    transaction_ids: list[int]
    reservation_id: int | None = None
    start_repeats: int = 0
    meter_stop_wh: int | None = None
    stopped_at: str | None = None
    stop_received_at: str | None = None
    stop_id_tag: str | None = None
    reason: str | None = None
    stop_repeats: int = 0
    transaction_data: list[Any] = field(default_factory=list)
    meter_values: list[dict[str, Any]] = field(default_factory=list)
    meter_value_repeats: int = 0
    signed_values: list[dict[str, Any]] = field(default_factory=list)
    """Signed sets as they came, each with ``verified``."""
    public_key: str = ""
    """Of the meter, as it came with the first signed value that had one."""
    last_register_wh: float = 0.0
    forgotten: bool = False

    @property
    def energy_wh(self) -> int | None:
        """Delivered energy, or ``None`` while open."""
        return None if self.meter_stop_wh is None else self.meter_stop_wh - self.meter_start_wh

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "transaction_id": self.transaction_ids[-1],
            "transaction_ids": list(self.transaction_ids),
            "charge_point": self.charge_point,
            "connector_id": self.connector_id,
            "id_tag": self.id_tag,
            "id_tag_status": self.id_tag_status,
            "reservation_id": self.reservation_id,
            "meter_start_wh": self.meter_start_wh,
            "meter_stop_wh": self.meter_stop_wh,
            "energy_wh": self.energy_wh,
            "started_at": self.started_at,
            "stopped_at": self.stopped_at,
            "start_received_at": self.start_received_at,
            "stop_received_at": self.stop_received_at,
            "stop_id_tag": self.stop_id_tag,
            "reason": self.reason,
            "start_repeats": self.start_repeats,
            "stop_repeats": self.stop_repeats,
            "meter_values": list(self.meter_values),
            "meter_value_repeats": self.meter_value_repeats,
            "transaction_data": list(self.transaction_data),
            "forgotten": self.forgotten,
            **({"signed_values": list(self.signed_values)} if self.signed_values else {}),
        }


def register_wh(meter_value: dict[str, Any]) -> float | None:
    """The import register in one MeterValue in Wh, if it carries one of the whole outlet that is a number."""
    for sample in meter_value.get("sampledValue", []):
        # Defaults of OCPP 1.6 section 7.43: the import register, in Wh, raw, at the outlet.
        if (
            sample.get("measurand", "Energy.Active.Import.Register") == "Energy.Active.Import.Register"
            and "phase" not in sample
            and sample.get("location", "Outlet") == "Outlet"
            and sample.get("format", "Raw") == "Raw"
        ):
            try:
                value = float(sample["value"])
            except ValueError:
                continue
            if not math.isfinite(value):
                continue
            return value * 1000 if sample.get("unit") == "kWh" else value
    return None


def _moment(text: str) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        return None


def _before(earlier: str, later: str) -> bool:
    """True when ``later`` lies before ``earlier``; times that cannot be read are reported elsewhere."""
    first, second = _moment(earlier), _moment(later)
    return first is not None and second is not None and second < first


class Ledger:
    """Books Start-, StopTransaction and MeterValues in wire format; each returns what was odd about it."""

    def __init__(self, first_transaction_id: int = 1) -> None:
        self.transactions: list[Transaction] = []
        self.loose_meter_values: list[dict[str, Any]] = []
        self._next_id = first_transaction_id
        self._by_key: dict[StartKey, Transaction] = {}
        self._by_id: dict[tuple[str, int], Transaction] = {}
        self._open: dict[tuple[str, int], Transaction] = {}

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
            if known.forgotten or transaction_id not in (None, known.transaction_ids[-1]):
                known.transaction_ids.append(self._take_id(transaction_id))
                known.forgotten = False
                self._by_id[(charge_point, known.transaction_ids[-1])] = known
            return known.transaction_ids[-1], []
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
            transaction_ids=[self._take_id(transaction_id)],
            reservation_id=payload.get("reservationId"),
            last_register_wh=float(meter_start),
        )
        self.transactions.append(record)
        self._by_key[key] = record
        self._by_id[(charge_point, record.transaction_ids[0])] = record
        self._open[(charge_point, connector)] = record
        return record.transaction_ids[0], findings

    def stop(self, charge_point: str, payload: dict[str, Any], received_at: str) -> list[Finding]:
        """Book a StopTransaction."""
        record = self._by_id.get((charge_point, payload["transactionId"]))
        if record is None:
            return [_unknown(payload["transactionId"])]
        meter_stop: int = payload["meterStop"]
        stopped_at: str = payload["timestamp"]
        if record.meter_stop_wh is not None:
            if (record.meter_stop_wh, record.stopped_at) == (meter_stop, stopped_at):
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
        findings = [finding for value in data for finding in _take_signed(record, value)]
        for value in data:
            # Begin and end values repeat what was sampled, in any order: only the outer bounds can be checked.
            register = register_wh(value)
            if register is not None and not (
                record.meter_start_wh - REGISTER_TOLERANCE_WH <= register <= meter_stop + REGISTER_TOLERANCE_WH
            ):
                findings.append(
                    Finding(
                        AnomalyKind.METER_BACKWARDS,
                        f"transactionData holds {register:g} Wh, outside {record.meter_start_wh} to {meter_stop} Wh",
                    )
                )
        if meter_stop < record.last_register_wh - REGISTER_TOLERANCE_WH:
            findings.append(
                Finding(
                    AnomalyKind.METER_BACKWARDS,
                    f"meterStop {meter_stop} Wh is below {record.last_register_wh:g} Wh reported before",
                )
            )
        if _before(record.started_at, stopped_at):
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
        findings = [finding for value in payload["meterValue"] for finding in _take_signed(record, value)]
        only_signed = all(len(signed.signed_samples(v)) == len(v["sampledValue"]) for v in payload["meterValue"])
        if record.meter_stop_wh is not None and not only_signed:  # a meter may sign late
            findings.append(
                Finding(AnomalyKind.METER_VALUES_AFTER_STOP, f"transaction {transaction_id} is already stopped")
            )
        for value in payload["meterValue"]:
            register = register_wh(value)
            if register is None:
                continue
            if register < record.last_register_wh - REGISTER_TOLERANCE_WH:
                findings.append(
                    Finding(
                        AnomalyKind.METER_BACKWARDS,
                        f"register {register:g} Wh is below {record.last_register_wh:g} Wh reported before",
                    )
                )
            record.last_register_wh = max(record.last_register_wh, register)
        record.meter_values.extend(entries)
        return findings

    def forget(self) -> None:
        """Lose every open transactionId, as a CSMS that lost its database would. The records stay for the reader."""
        for record in self.transactions:
            if record.meter_stop_wh is None:
                record.forgotten = True

    def as_json(self) -> dict[str, Any]:
        """All records and their sums."""
        stopped = [t for t in self.transactions if t.meter_stop_wh is not None]
        return {
            "transactions": [t.as_json() for t in self.transactions],
            "meter_values_outside_transactions": list(self.loose_meter_values),
            "totals": {
                "transactions": len(self.transactions),
                "open": len(self.transactions) - len(stopped),
                "energy_wh": sum(t.energy_wh or 0 for t in stopped),
                "start_repeats": sum(t.start_repeats for t in self.transactions),
                "stop_repeats": sum(t.stop_repeats for t in self.transactions),
            },
        }

    def _take_id(self, forced: int | None) -> int:
        taken = self._next_id if forced is None else forced
        self._next_id = max(self._next_id, taken + 1)
        return taken


def _take_signed(record: Transaction, meter_value: dict[str, Any]) -> list[Finding]:
    """Check the signed samples of one MeterValue with the meter's key and book them."""
    findings = []
    for sample in signed.signed_samples(meter_value):
        try:
            value: dict[str, Any] = dict(signed.read(sample))
            record.public_key = value["public_key"] or record.public_key
            value["verified"] = False
            record.signed_values.append(value | {"timestamp": meter_value.get("timestamp", "")})
            if record.public_key:
                signed.verify(value["data"], value["method"], record.public_key)
                record.signed_values[-1]["verified"] = True
        except signed.SignedValueError as error:
            findings.append(Finding(AnomalyKind.SIGNED_VALUE_INVALID, str(error)))
    return findings


def _unknown(transaction_id: int) -> Finding:
    # Errata 3.18: -1 is allowed when the start was never confirmed, but then the energy belongs to no transaction.
    why = "the charge point never learnt its id" if transaction_id == -1 else "no such transaction was started here"
    return Finding(AnomalyKind.UNKNOWN_TRANSACTION, f"transactionId {transaction_id}: {why}")
