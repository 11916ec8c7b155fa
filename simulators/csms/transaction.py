"""One transaction on the CSMS's books, and how its registers and times are read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import signed
from .anomalies import AnomalyKind, Finding
from .tokens import parse_time

REGISTER_TOLERANCE_WH = 1.0
"""meterStart and meterStop are whole Wh, sampled registers may have decimals."""

SAME_TIME_S = 1.0
"""Two versions may write the same moment with more or fewer decimals."""

MOST_POWER = 12
"""A power of ten beyond this makes no register of any meter."""


@dataclass(slots=True)
class Transaction:
    """One transaction as the charge point told it. Times as sent; ``…_received_at`` by this machine's clock.

    ``connector_id`` is the EVSE's number where it was told from 2.0.1 on; 0 while it is not known.
    """

    charge_point: str
    connector_id: int
    id_tag: str
    id_tag_status: str
    meter_start_wh: float | None
    started_at: str
    start_received_at: str
    transaction_ids: list[int | str]
    """Numbers given here under 1.6, and the charge point's own texts of 2.x; the latest last."""
    subprotocols: list[str] = field(default_factory=list)
    reservation_id: int | None = None
    start_repeats: int = 0
    meter_stop_wh: float | None = None
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
    events: list[dict[str, Any]] = field(default_factory=list)
    """What TransactionEvents said about the course of it, in the order they came."""
    event_repeats: int = 0
    missing_seq_nos: list[int] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """True until its end was told."""
        return self.stopped_at is None

    @property
    def energy_wh(self) -> float | None:
        """Delivered energy, or ``None`` while open or where a register was never told."""
        if self.meter_start_wh is None or self.meter_stop_wh is None:
            return None
        return tidy(self.meter_stop_wh - self.meter_start_wh)

    @property
    def number_given(self) -> bool:
        """True where OCPP 1.6 told of it: its whole register at the start stands."""
        return any(isinstance(given, int) for given in self.transaction_ids)

    def id_for(self, subprotocol: str) -> int | str | None:
        """The latest id that this version gave: a number under 1.6, a text from 2.0.1 on."""
        wanted = int if subprotocol == "ocpp1.6" else str
        return next((given for given in reversed(self.transaction_ids) if isinstance(given, wanted)), None)

    def same_end(self, register_wh: float | None, at: str) -> bool:
        """True when this end is the one on the books. Another version may write it with more decimals."""
        if (self.meter_stop_wh, self.stopped_at) == (register_wh, at):
            return True
        if len(self.subprotocols) < 2 or self.stopped_at is None or not near(self.stopped_at, at):
            return False
        if register_wh is None or self.meter_stop_wh is None:
            return True
        return abs(self.meter_stop_wh - register_wh) <= REGISTER_TOLERANCE_WH

    def rises(self, register_wh: float | None) -> list[Finding]:
        """Take a register told on the way; it may not stand below an earlier one."""
        if register_wh is None:
            return []
        low = register_wh < self.last_register_wh - REGISTER_TOLERANCE_WH
        told, self.last_register_wh = self.last_register_wh, max(self.last_register_wh, register_wh)
        if not low:
            return []
        return [
            Finding(AnomalyKind.METER_BACKWARDS, f"register {register_wh:g} Wh is below {told:g} Wh reported before")
        ]

    def outside(self, register_wh: float | None, stop_wh: float, what: str) -> list[Finding]:
        """Object to a register among the data of the end that does not lie between start and stop.

        Begin and end values repeat what was sampled, in any order: only the outer bounds can be checked.
        """
        start_wh = self.meter_start_wh if self.meter_start_wh is not None else 0.0
        if register_wh is None or start_wh - REGISTER_TOLERANCE_WH <= register_wh <= stop_wh + REGISTER_TOLERANCE_WH:
            return []
        text = f"{what} holds {register_wh:g} Wh, outside {start_wh:g} to {stop_wh:g} Wh"
        return [Finding(AnomalyKind.METER_BACKWARDS, text)]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "transaction_id": self.transaction_ids[-1],
            "transaction_ids": list(self.transaction_ids),
            "subprotocols": list(self.subprotocols),
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
            **({"events": list(self.events)} if self.events else {}),
            **({"event_repeats": self.event_repeats} if self.events else {}),
            **({"missing_seq_nos": list(self.missing_seq_nos)} if self.events else {}),
            **({"signed_values": list(self.signed_values)} if self.signed_values else {}),
        }


def register_wh(meter_value: dict[str, Any], context: str | None = None) -> float | None:
    """The import register in one MeterValue in Wh, if it carries one of the whole outlet that is a number.

    ``context`` asks for one of this ReadingContext. Values of both kinds are read: of 1.6 (texts with a unit) and of
    2.x (numbers with a unit and a power of ten).
    """
    for sample in meter_value.get("sampledValue", []):
        # Defaults of OCPP 1.6 section 7.43 and 2.0.1 SampledValueType: the import register, in Wh, raw, at the outlet.
        if (
            sample.get("measurand", "Energy.Active.Import.Register") == "Energy.Active.Import.Register"
            and "phase" not in sample
            and sample.get("location", "Outlet") == "Outlet"
            and sample.get("format", "Raw") == "Raw"
            and context in (None, sample.get("context", "Sample.Periodic"))
        ):
            value = _number(sample["value"])
            if value is None:
                continue
            unit: dict[str, Any] = sample.get("unitOfMeasure", {})
            name: str = sample.get("unit") or unit.get("unit", "Wh")
            power: int = unit.get("multiplier", 0)
            if abs(power) > MOST_POWER:
                continue
            return value * math.pow(10.0, power) * (1000 if name == "kWh" else 1)
    return None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def moment(text: str) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        return None


def before(earlier: str, later: str) -> bool:
    """True when ``later`` lies before ``earlier``; times that cannot be read are reported elsewhere."""
    first, second = moment(earlier), moment(later)
    return first is not None and second is not None and second < first


def near(first: str, second: str) -> bool:
    """True when two times that were told are the same to a second."""
    one, other = moment(first), moment(second)
    return one is not None and other is not None and abs((one - other).total_seconds()) <= SAME_TIME_S


def tidy(value: float) -> float:
    """A register or a difference of two as JSON wants it: whole numbers whole, no noise of binary fractions."""
    rounded = round(value, 3)
    return int(rounded) if rounded == int(rounded) else rounded


def counterpart(
    records: Iterable[Transaction],
    charge_point: str,
    outlet: int,
    start_wh: float,
    started_at: str,
    subprotocol: str,
) -> Transaction | None:
    """Find the record of the same charge that another version told of: the same outlet, register and time of start."""
    return next(
        (
            record
            for record in records
            if record.charge_point == charge_point
            and record.connector_id == outlet
            and subprotocol not in record.subprotocols
            and record.meter_start_wh is not None
            and abs(record.meter_start_wh - start_wh) <= REGISTER_TOLERANCE_WH
            and near(record.started_at, started_at)
        ),
        None,
    )


def take_signed(record: Transaction, meter_value: dict[str, Any]) -> list[Finding]:
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
