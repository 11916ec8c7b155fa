"""Says the journal's events in OCPP 2's TransactionEvent (block E).

Every event of a transaction is one message, and has a number in it that no other one has (``agent.ocpp.told_numbers``).
Start and end always tell the register, whatever the lists of measurands say: without it nobody could bill.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.journal.events import (
    ChargingState,
    Context,
    Event,
    Limits,
    MeterSampled,
    MeterSigned,
    SampledValue,
    SignedValue,
    StartTrigger,
    StopReason,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Trigger,
    Unplugged,
)
from agent.ocpp.delivery import Receipt, Rendered
from agent.ocpp.times import time_text
from agent.ocpp.v2.block import CONNECTOR
from agent.ocpp.v2.metering import REGISTER, by_time, meter_values, register, signed_value
from agent.ocpp.v2.tokens import LONGEST, id_token, token_info
from agent.ocpp.v2.version import Version
from agent.station.stopping import trigger_of
from agent.station.tokens import Token

__all__ = ["Renderer2", "meter_values"]

START_TRIGGERS: Mapping[StartTrigger, Trigger] = {
    StartTrigger.CABLE_PLUGGED_IN: Trigger.CABLE_PLUGGED_IN,
    StartTrigger.AUTHORIZED: Trigger.AUTHORIZED,
    StartTrigger.REMOTE_START: Trigger.REMOTE_START,
    StartTrigger.FREE_VEND: Trigger.AUTHORIZED,
    StartTrigger.CHARGING_STATE_CHANGED: Trigger.CHARGING_STATE_CHANGED,
}

SAMPLE_TRIGGERS: Mapping[Context, Trigger] = {
    Context.SAMPLE_CLOCK: Trigger.METER_VALUE_CLOCK,
    Context.TRIGGER: Trigger.TRIGGER,
}
"""What values were taken for; else periodically (J02.FR.11)."""

IN_201: Mapping[Trigger, Trigger] = {
    Trigger.COST_LIMIT_REACHED: Trigger.CHARGING_STATE_CHANGED,
    Trigger.LIMIT_SET: Trigger.CHARGING_RATE_CHANGED,
    Trigger.OPERATION_MODE_CHANGED: Trigger.CHARGING_RATE_CHANGED,
    Trigger.RUNNING_COST: Trigger.METER_VALUE_PERIODIC,
    Trigger.TARIFF_CHANGED: Trigger.TRIGGER,
    Trigger.TARIFF_NOT_ACCEPTED: Trigger.DEAUTHORIZED,
    Trigger.TX_RESUMED: Trigger.CHARGING_STATE_CHANGED,
}
"""What 2.0.1 has no word for, in its nearest one."""

REASONS: Mapping[StopReason, str] = {
    StopReason.COST_LIMIT_REACHED: "LocalOutOfCredit",
    StopReason.SCHEDULED_RESET: "ImmediateReset",
    StopReason.UNLOCK_COMMAND: "Other",
}
"""ReasonEnumType, where our word is not in it."""


class Renderer2:
    """See ``agent.ocpp.delivery.Renderer``."""

    numbers_messages = True

    """``complete`` adds to a TransactionEvent what is not on the books: what the transaction costs."""

    def __init__(
        self,
        version: Version,
        complete: Callable[[Event, dict[str, Any]], None] = lambda _event, _payload: None,
    ) -> None:
        self._version = version
        self._complete = complete

    def numbered(self, event: Event) -> bool:
        """True for what becomes a TransactionEvent."""
        if isinstance(event, MeterSampled):
            return bool(by_time(event.samples, 0.0))
        return not isinstance(event, Unplugged) and not (isinstance(event, MeterSigned) and event.late)

    def render(self, event: Event, utc_s: float, number: int | None) -> Rendered | None:
        """``number``: seqNo."""
        if isinstance(event, MeterSigned) and event.late:
            # Nothing may follow the end of a transaction; what was signed late is told all the same.
            values = [signed_value(value, utc_s, value.wh or 0.0) for value in event.signed]
            return Rendered("MeterValues", {"evseId": event.evse, "meterValue": values})
        if not self.numbered(event):
            return None
        payload: dict[str, Any] = {
            "eventType": "Updated",
            "timestamp": time_text(utc_s),
            "seqNo": number or 0,
            "transactionInfo": {"transactionId": event.transaction},
        }
        match event:
            case TransactionStarted():
                self._started(payload, event, utc_s)
            case TransactionUpdated():
                self._updated(payload, event, utc_s)
            case MeterSampled():
                context = event.samples[0].context if event.samples else Context.SAMPLE_PERIODIC
                self._trigger(payload, SAMPLE_TRIGGERS.get(context, Trigger.METER_VALUE_PERIODIC))
                payload["meterValue"] = by_time(event.samples, utc_s)
            case MeterSigned():
                self._signed(payload, event, utc_s)
            case TransactionEnded():
                self._ended(payload, event, utc_s)
        if not isinstance(event, Unplugged) and event.offline:
            payload["offline"] = True
        self._complete(event, payload)
        return Rendered("TransactionEvent", payload)

    def receipt(self, _event: Event, payload: Mapping[str, Any]) -> Receipt:
        return Receipt(info=token_info(payload.get("idTokenInfo")), told=payload or None)

    # ---- event by event ------------------------------------------------------------------------------------------

    def _started(self, payload: dict[str, Any], event: TransactionStarted, utc_s: float) -> None:
        state = event.state or ChargingState.EV_CONNECTED
        payload["eventType"] = "Started"
        self._trigger(payload, START_TRIGGERS[event.trigger])
        info = payload["transactionInfo"]
        info["chargingState"] = state.value  # E01.FR.18
        if event.token or event.token_kind:
            payload["idToken"] = self._id_token(event.token, event.token_kind)
        if event.remote_start_id is not None:
            info["remoteStartId"] = event.remote_start_id
        if event.reservation is not None:
            payload["reservationId"] = event.reservation
        if event.evse and state is not ChargingState.IDLE:
            payload["evse"] = _evse(event.evse)  # E01.FR.16
            begin = event.samples
            if not begin and not (event.meter_stale and not event.token):  # else it comes with the driver
                begin = (register(event.meter_wh, Context.TRANSACTION_BEGIN),)
            _values(payload, by_time(begin, utc_s))  # E01.FR.09
        _cable(payload, event.cable_a, event.phases)

    def _updated(self, payload: dict[str, Any], event: TransactionUpdated, utc_s: float) -> None:
        self._trigger(payload, event.trigger)
        info = payload["transactionInfo"]
        if event.state is not None:
            info["chargingState"] = event.state.value
        # The token of a vehicle's arrival is there for OCPP 1.6; here it was told before.
        if (event.token or event.token_kind) and not event.joined:
            payload["idToken"] = self._id_token(event.token, event.token_kind)
        if event.remote_start_id is not None:
            info["remoteStartId"] = event.remote_start_id
        if event.reservation is not None:
            payload["reservationId"] = event.reservation
        if event.joined:
            payload["evse"] = _evse(event.evse)
        if event.limits is not None and self._version is Version.V21:
            info["transactionLimit"] = limits(event.limits)
        _values(payload, by_time(event.samples, utc_s))
        _cable(payload, event.cable_a, event.phases)

    def _signed(self, payload: dict[str, Any], event: MeterSigned, utc_s: float) -> None:
        contexts = {value.context for value in event.signed}
        clock = Context.SAMPLE_CLOCK in contexts
        self._trigger(payload, Trigger.METER_VALUE_CLOCK if clock else Trigger.METER_VALUE_PERIODIC)
        payload["meterValue"] = [signed_value(value, utc_s, value.wh or 0.0) for value in event.signed]

    def _ended(self, payload: dict[str, Any], event: TransactionEnded, utc_s: float) -> None:
        payload["eventType"] = "Ended"
        self._trigger(payload, event.trigger or trigger_of(event.reason))
        info = payload["transactionInfo"]
        info["stoppedReason"] = REASONS.get(event.reason, event.reason.value)  # E06.FR.08
        if event.state is not None:
            info["chargingState"] = event.state.value
        if event.token:
            payload["idToken"] = self._id_token(event.token, event.token_kind or "ISO14443")  # E07.FR.02
        samples = event.samples
        if event.evse and _lacks_end(samples):
            samples = (*samples, register(event.meter_wh, Context.TRANSACTION_END))
        values = by_time(samples, utc_s)
        values += [signed_value(value, utc_s, _wh(value, event)) for value in event.signed]
        _values(payload, values)

    # ---- pieces --------------------------------------------------------------------------------------------------

    def _trigger(self, payload: dict[str, Any], trigger: Trigger) -> None:
        if self._version is Version.V201:
            trigger = IN_201.get(trigger, trigger)
        payload["triggerReason"] = trigger.value

    def _id_token(self, uid: str, kind: str) -> dict[str, Any]:
        """What was charged under an identifier that is too long for this version must be delivered all the same."""
        return id_token(Token(uid[: LONGEST[self._version]], kind or "ISO14443"))


def limits(bounds: Limits) -> dict[str, Any]:
    """Return a TransactionLimitType."""
    named = {"maxCost": bounds.cost, "maxEnergy": bounds.energy_wh, "maxTime": bounds.time_s, "maxSoC": bounds.soc_pct}
    return {name: value for name, value in named.items() if value is not None}


def _lacks_end(samples: Sequence[SampledValue]) -> bool:
    """True when the last register must be added: nothing else is told, or registers are, and the meter was silent in
    the end. Clock-aligned values alone are what the network asked for."""
    contexts = {sample.context for sample in samples if sample.measurand == REGISTER}
    ended = any(sample.context is Context.TRANSACTION_END for sample in samples)
    return not samples or (bool(contexts - {Context.SAMPLE_CLOCK}) and not ended)


def _wh(value: SignedValue, event: TransactionEnded) -> float:
    if value.wh is not None and value.context is not Context.TRANSACTION_END:
        return value.wh
    return event.meter_wh


def _evse(number: int) -> dict[str, Any]:
    return {"id": number, "connectorId": CONNECTOR}


def _values(payload: dict[str, Any], values: list[dict[str, Any]]) -> None:
    if values:
        payload["meterValue"] = values


def _cable(payload: dict[str, Any], cable_a: int | None, phases: int | None) -> None:
    if cable_a is not None:
        payload["cableMaxCurrent"] = cable_a
    if phases is not None:
        payload["numberOfPhasesUsed"] = phases  # E02.FR.18
