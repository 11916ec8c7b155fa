"""What every OCPP version's side of the tunnel has: registration, heartbeat, statuses, authorisation, delivery.

No I/O. Whatever happens inside one step is queued first and sent after it, so an answer always leaves before the
messages that the request caused (OCPP 1.6 §5.11, §5.14, §5.17; 2.0.1 F06.FR.17).

A version derives its session from ``BaseSession``: it says the messages, and adds what is its own.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import partial
from typing import Any

from agent.clock import EARLIEST_PLAUSIBLE_UTC_S
from agent.journal.events import SampledValue
from agent.ocpp.delivery import Delivery, Renderer
from agent.ocpp.heartbeat import LONGEST_S, Heartbeat
from agent.ocpp.link_settings import waits
from agent.ocpp.part import Part
from agent.ocpp.ports import DataTransfer, TransferAnswer, UplinkState
from agent.ocpp.quiet import QuietLog
from agent.ocpp.refusal import RequestRefusedError
from agent.ocpp.registration import Boot
from agent.ocpp.rpc import Call, ErrorCodes, InvalidPayloadError, Outcome, Priority, Request, Result, Rpc
from agent.ocpp.schema import Schemas
from agent.ocpp.session import Surroundings
from agent.ocpp.times import read_time
from agent.station.commands import StatusReport
from agent.station.tokens import Token, TokenInfo, TokenStatus

LOGGER = logging.getLogger(__name__)

Payload = dict[str, Any]
Reply = Payload | Coroutine[Any, Any, Payload]
Done = Callable[[Outcome, float], None]

MAX_UNANSWERED = 2
"""So many calls in a row without any answer mean that nobody is there, whatever the pings say."""

LATEST_PLAUSIBLE_UTC_S = 4_102_444_800.0
"""2100-01-01."""

ANSWERS = (Result.ANSWERED, Result.REFUSED)


def _ignore(_outcome: Outcome, _now: float) -> None:
    return None


class BaseSession(ABC):
    """See ``agent.ocpp.session.Session``. A version calls ``_begin`` at the end of its own construction."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._config = surroundings.config
        self._station = surroundings.station
        self._boot = Boot(self._own_waits)
        self._heartbeat = Heartbeat(surroundings.settings.integer("OCPPCommCtrlr.HeartbeatInterval"))
        self._reported: dict[int, tuple[str, ...]] = {}
        self._beating = False
        self._busy = False
        self._proved = False
        self._lost_at: float | None = None
        self._quiet = QuietLog(LOGGER)
        self._parts: list[Part] = []
        """In the order in which they are asked for messages."""

    def _begin(self, schemas: Schemas, codes: ErrorCodes, actions: Collection[str], renderer: Renderer) -> None:
        settings = self._around.settings
        self._rpc = Rpc(schemas, codes, actions, lambda: float(settings.integer("OCPPCommCtrlr.MessageTimeout")))
        self._delivery = Delivery(
            self._around.journal, settings, renderer, self._station.start_answered, True, self._token_told
        )
        settings.on_change(self._setting_changed)

    # ---- what a version says ----

    @abstractmethod
    def _boot_payload(self) -> Payload:
        """Of its BootNotification."""

    @abstractmethod
    def _status_payload(self, report: StatusReport) -> Payload | None:
        """Of its StatusNotification; None when this version has none for it."""

    @abstractmethod
    def _authorise_payload(self, token: Token) -> Payload | None:
        """Of its Authorize; None when this version cannot carry the token."""

    @abstractmethod
    def _token_info(self, payload: Mapping[str, Any]) -> TokenInfo | None:
        """Read the answer to its Authorize; None when it says nothing of use."""

    @abstractmethod
    def _meter_call(self, evse: int, at_utc_s: float, samples: tuple[SampledValue, ...]) -> tuple[str, Payload] | None:
        """Return action and payload for values outside of a transaction; None for nothing to say."""

    @abstractmethod
    def _handle(self, request: Request) -> Reply:
        """Carry out a request of the network. Raises RequestRefusedError."""

    # ---- what a version may have otherwise ----

    def _status_key(self, report: StatusReport) -> tuple[str, ...]:
        """What of a status is told, so that it is told once."""
        return (report.status.value, report.error, report.info, report.vendor_error)

    def _all_statuses_after_s(self) -> float:
        """After a longer absence every status is sent; after a shorter one only what changed (2.0.1 B04.FR.01)."""
        return 60.0

    def _authorised(self, _token: Token, _payload: Mapping[str, Any]) -> None:
        """Take what else the answer to an Authorize says. Comes before its outcome."""
        return

    # ---- what the tunnel sees ----

    @property
    def state(self) -> UplinkState:
        return self._boot.state

    @property
    def online(self) -> bool:
        """A boot was accepted on this network, and the connection stands."""
        return self._boot.state is UplinkState.ACCEPTED

    @property
    def proved(self) -> bool:
        return self._proved

    @property
    def drop_reason(self) -> str:
        if self._rpc.unanswered >= MAX_UNANSWERED:
            return f"{self._rpc.unanswered} calls in a row were not answered"
        return ""

    @property
    def calm(self) -> bool:
        return self._rpc.calm

    @property
    def frames_waiting(self) -> int:
        return self._rpc.frames_waiting

    def take_frame(self) -> str | None:
        return self._rpc.take_frame()

    def connected(self, now: float) -> None:
        self._proved = False
        self._step(now, lambda: self._connected(now))

    def renew(self) -> None:
        self._boot.renew()
        self._reported.clear()
        for part in self._parts:
            part.renew()

    def closing(self) -> None:
        self._rpc.closing = True

    def lost(self, now: float) -> None:
        was_online = self.online
        self._busy = True
        try:
            self._boot.lost()
            self._heartbeat.stop()
            self._delivery.lost()
            self._rpc.lost(now)
            for part in self._parts:
                part.lost()
            self._beating = False
            if was_online:
                self._lost_at = now
                self._station.uplink_changed(False)
        finally:
            self._busy = False

    def receive(self, data: str | bytes, now: float) -> None:
        self._step(now, lambda: self._take(data, now))

    def advance(self, now: float) -> None:
        self._step(now, lambda: None)

    def settle(self, now: float) -> None:
        self._step(now, lambda: self._delivery.settle(now))

    def next_wake(self) -> float | None:
        if self._rpc.closing:
            return self._rpc.next_wake()
        times = [self._rpc.next_wake(), self._boot.next_wake()]
        if self.online and not self._beating:
            times.append(self._heartbeat.next_at())
        if self.online and self._rpc.idle:
            times.append(self._delivery.next_wake())
            times.extend(part.next_wake() for part in self._parts)
        return min((time for time in times if time is not None), default=None)

    def authorise(self, request: int, token: Token, now: float) -> None:
        self._step(now, lambda: self._authorise(request, token, now))

    def report_status(self, report: StatusReport, now: float) -> None:
        if self._reported.get(report.evse) != self._status_key(report):
            self._step(now, lambda: self._report(report))

    def report_meter(self, evse: int, at_utc_s: float, samples: tuple[SampledValue, ...], now: float) -> None:
        message = self._meter_call(evse, at_utc_s, samples)
        if message is not None and self.online:
            action, payload = message
            self._step(now, lambda: self._call(action, payload, Priority.STATUS))

    def data_transfer(self, transfer: DataTransfer, done: Callable[[TransferAnswer | None], None], now: float) -> None:
        payload = {"vendorId": transfer.vendor}
        payload |= {"messageId": transfer.message} if transfer.message else {}
        payload |= {"data": transfer.data} if transfer.data else {}

        def answered(outcome: Outcome, _now: float) -> None:
            status, data = outcome.payload.get("status"), outcome.payload.get("data", "")
            done((status, str(data)) if isinstance(status, str) else None)

        def work() -> None:
            if not self.online or not self._call("DataTransfer", payload, Priority.STATUS, answered):
                done(None)

        self._step(now, work)

    def journal_grew(self, now: float) -> None:
        self._delivery.wake()
        self.advance(now)

    # ---- one step at a time ----

    def _step(self, now: float, work: Callable[[], object]) -> None:
        if self._busy:
            # The station calls back from within a step: queue only, the outer step sends.
            work()
            return
        self._busy = True
        try:
            work()
            self._rpc.advance(now)
            while self._offer(now):
                self._rpc.advance(now)
        finally:
            self._busy = False

    def _offer(self, now: float) -> bool:
        """Queue the next message of our own making that is due; False when there is none."""
        if self._rpc.closing:
            return False
        if self._boot.due(now):
            self._rpc.mute = False
            return self._call("BootNotification", self._boot_payload(), Priority.BOOT, self._boot_answered)
        if not self.online:
            return False
        beat_at = self._heartbeat.next_at()
        due = self._delivery.needs_proof or (beat_at is not None and now >= beat_at)
        if due and not self._beating:
            self._beating = self._call("Heartbeat", {}, Priority.STATUS, self._beat_answered)
            self._heartbeat.sent(now)
            return self._beating
        if self._rpc.idle and any(part.offer(now) for part in self._parts):
            return True
        return self._rpc.idle and self._deliver(now)

    def _deliver(self, now: float) -> bool:
        call = self._delivery.next_call(now)
        if call is None:
            return False
        call.done = partial(self._noted, call.done)
        try:
            return self._rpc.submit(call)
        except InvalidPayloadError as error:
            self._delivery.refused_by_ourselves(error, now)
            return True

    def _call(
        self,
        action: str,
        payload: Payload,
        priority: Priority = Priority.STATUS,
        done: Done = _ignore,
        expires_at: float | None = None,
    ) -> bool:
        call = Call(action, payload, priority, partial(self._noted, done), expires_at=expires_at)
        try:
            return self._rpc.submit(call)
        except InvalidPayloadError as error:
            self._note("invalid", f"a message of our own was not sent: {error}")
            return False

    def _note(self, kind: str, text: str) -> None:
        """Log it; a flood of one kind is cut short."""
        self._quiet.log(kind, self._around.now(), text)

    def _noted(self, done: Done, outcome: Outcome, now: float) -> None:
        """Any answer shows that the network is alive; what the owner of the call makes of it comes first."""
        done(outcome, now)
        if outcome.result in ANSWERS:
            self._proved = self._proved or self.online
            self._heartbeat.traffic(now)
            self._delivery.proved_alive(now)

    # ---- registration ----

    def _own_waits(self) -> Any:
        return waits(self._config.ocpp, self._around.settings)

    def _connected(self, now: float) -> None:
        if self._boot.connected(now):
            most_s = self._all_statuses_after_s()
            away_s = most_s if self._lost_at is None else now - self._lost_at
            self._online(now, everything=away_s >= most_s, beat_at_once=True)
        self._rpc.mute = self.state is UplinkState.REJECTED

    def _boot_answered(self, outcome: Outcome, now: float) -> None:
        if outcome.result is Result.LOST:
            return
        status, interval = outcome.payload.get("status"), outcome.payload.get("interval")
        interval_s = interval if type(interval) is int and interval > 0 else 0
        if status == "Accepted":
            self._boot.accepted()
            self._around.registered()
            self._station.restarts.told()
            self._network_time(outcome)
            if interval_s:
                self._take_interval(min(interval_s, int(LONGEST_S)))
            self._online(now, everything=True, beat_at_once=False)
        elif status == "Pending":
            self._boot.pending(interval_s, now)
        elif status == "Rejected":
            self._boot.rejected(interval_s, now)
            self._rpc.mute = True
        else:
            self._boot.unanswered(now)

    def _take_interval(self, interval_s: int) -> None:
        name = "OCPPCommCtrlr.HeartbeatInterval"
        if self._around.settings.integer(name) != interval_s:
            self._station.set_setting(name, str(interval_s))

    def _online(self, now: float, *, everything: bool, beat_at_once: bool) -> None:
        self._heartbeat.start(now, beat_at_once)
        if everything:
            self._reported.clear()
        # 1.6 §4.2, B01.FR.05: after an accepted boot the state of everything. It waits in the queue before any record.
        self._report_changes()
        self._delivery.wake()
        for part in self._parts:
            part.online(everything, now)
        self._station.uplink_changed(True)

    def _network_time(self, outcome: Outcome) -> None:
        text = outcome.payload.get("currentTime")
        utc_s = read_time(text)
        if utc_s is None or not EARLIEST_PLAUSIBLE_UTC_S <= utc_s <= LATEST_PLAUSIBLE_UTC_S:
            self._note("time", f"the network's time {str(text)[:40]!a} was not taken")
            return
        self._station.network_time(utc_s, outcome.took_s)
        self._delivery.reread()

    def _beat_answered(self, outcome: Outcome, _now: float) -> None:
        self._beating = False
        if outcome.result is Result.ANSWERED:
            self._network_time(outcome)
            # Whatever status got lost on the way is made good at this pace.
            self._report_changes()

    def _setting_changed(self, name: str) -> None:
        if name == "OCPPCommCtrlr.HeartbeatInterval":
            self._heartbeat.interval_s = self._around.settings.integer(name)
            self._around.stirred()

    # ---- statuses, authorisation ----

    def _report_changes(self) -> None:
        for report in self._station.statuses():
            if self._reported.get(report.evse) != self._status_key(report):
                self._report(report)

    def _report(self, report: StatusReport) -> None:
        if not self.online:
            return  # told when the network is there again
        key = self._status_key(report)
        before = self._reported.get(report.evse)
        self._reported[report.evse] = key
        payload = self._status_payload(report)
        if payload is None:
            return

        def done(outcome: Outcome, _now: float) -> None:
            if outcome.result not in ANSWERS and self._reported.get(report.evse) == key:
                self._reported.pop(report.evse)

        if not self._call("StatusNotification", payload, Priority.STATUS, done):
            if before is None:
                self._reported.pop(report.evse)
            else:
                self._reported[report.evse] = before

    def _tell_status(self, report: StatusReport) -> bool:
        """Send it as it is now, told before or not; also while the registration is pending (1.6 §4.2)."""
        self._reported[report.evse] = self._status_key(report)
        payload = self._status_payload(report)
        return payload is not None and self._call("StatusNotification", payload, Priority.STATUS)

    def _authorise(self, request: int, token: Token, now: float) -> None:
        if not self.online:
            self._station.authorisation_answered(request, None)
            return
        payload = self._authorise_payload(token)
        if payload is None:
            LOGGER.warning("a token of %d characters does not fit this version of OCPP and is refused", len(token.uid))
            self._station.authorisation_answered(request, TokenInfo(TokenStatus.INVALID))
            return

        def done(outcome: Outcome, _now: float) -> None:
            if outcome.result is Result.ANSWERED:
                self._authorised(token, outcome.payload)
            self._station.authorisation_answered(request, self._token_info(outcome.payload))

        expires_at = now + self._around.settings.integer("OCPPCommCtrlr.MessageTimeout")
        if not self._call("Authorize", payload, Priority.AUTHORISE, done, expires_at):
            self._station.authorisation_answered(request, None)

    def _token_told(self, token: Token, info: TokenInfo) -> None:
        self._station.token_told(token, info)

    # ---- requests of the network ----

    def _take(self, data: str | bytes, now: float) -> None:
        request = self._rpc.receive(data, now)
        for part in self._parts:
            part.received(self._rpc.counters)
        if request is None:
            return
        try:
            reply = self._handle(request)
        except RequestRefusedError as refused:
            self._rpc.refuse(request, refused.code, refused.description)
            return
        except Exception:
            LOGGER.exception("%s could not be carried out", request.action)
            self._rpc.refuse(request, "InternalError", f"{request.action} could not be carried out")
            return
        if isinstance(reply, Mapping):
            self._rpc.answer(request, reply)
        else:
            self._around.spawn(self._answer_later(request, reply))

    async def _answer_later(self, request: Request, reply: Coroutine[Any, Any, Payload]) -> None:
        try:
            payload = await reply
        except RequestRefusedError as refused:
            self._rpc.refuse(request, refused.code, refused.description)
        except Exception:
            LOGGER.exception("%s could not be carried out", request.action)
            self._rpc.refuse(request, "InternalError", f"{request.action} could not be carried out")
        else:
            self._rpc.answer(request, payload)
        self._around.stirred()
