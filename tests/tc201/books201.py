"""The books of a CSMS of OCPP 2.x: each transaction as its events tell it, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Payload = dict[str, Any]

REGISTER = "Energy.Active.Import.Register"


@dataclass(slots=True)
class Entry:
    """One transaction."""

    transaction: str
    events: list[Payload] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return any(event["eventType"] == "Ended" for event in self.events)

    @property
    def reason(self) -> str:
        """stoppedReason of the end; Local where it says none (part 2, TransactionType)."""
        return str(self.events[-1]["transactionInfo"].get("stoppedReason", "Local"))

    def registers_wh(self) -> list[float]:
        """Every register told, in order."""
        return [wh for event in self.events for wh in registers_wh(event)]

    def state(self) -> str:
        """Latest chargingState told; empty for none."""
        states = [event["transactionInfo"].get("chargingState") for event in self.events]
        return next((state for state in reversed(states) if state), "")


def registers_wh(event: Payload, context: str = "") -> list[float]:
    """Registers (without phase) in an event's meter values, in Wh; of one ``context`` only, if named."""
    return [
        sampled["value"] * 10 ** sampled.get("unitOfMeasure", {}).get("multiplier", 0)
        for value in event.get("meterValue", ())
        for sampled in value["sampledValue"]
        if sampled.get("measurand", REGISTER) == REGISTER
        and "phase" not in sampled
        and context in ("", sampled.get("context", "Sample.Periodic"))
    ]


def _same(event: Payload, other: Payload) -> bool:
    """The same message once more. What was on its way when the connection broke is told as offline (E11.FR.07)."""
    return {**event, "offline": None} == {**other, "offline": None}


class Books201:
    """``problem`` is called with each sentence about what is wrong."""

    def __init__(self, problem: Callable[[str], None]) -> None:
        self.transactions: dict[str, Entry] = {}
        self._problem = problem

    def take(self, event: Payload) -> None:
        """Take an event that was answered. The same one again is a repeat, which is no fault."""
        name = event["transactionInfo"]["transactionId"]
        entry = self.transactions.get(name)
        if entry is None:
            entry = self.transactions[name] = Entry(name)
            if event["eventType"] != "Started":
                self._problem(f"transaction {name} begins with {event['eventType']}")
        elif any(_same(event, known) for known in entry.events):
            return
        else:
            if event["eventType"] == "Started":
                self._problem(f"transaction {name} begins twice")
            if entry.ended:
                self._problem(f"transaction {name} goes on after its end: {event['triggerReason']}")
            expected = entry.events[-1]["seqNo"] + 1
            if event["seqNo"] != expected:
                self._problem(f"transaction {name}: seqNo {event['seqNo']} in the place of {expected}")
        entry.events.append(event)

    @property
    def last(self) -> Entry:
        """The transaction that began last."""
        return list(self.transactions.values())[-1]
