"""OCPP 1.6J's side of the tunnel: registration, heartbeat, statuses, authorisation, requests of the network, delivery.

No I/O. Whatever happens inside one step is queued first and sent after it, so an answer always leaves before the
messages that the request caused (OCPP 1.6 §5.11, §5.14, §5.17).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from agent import __version__
from agent.clock import EARLIEST_PLAUSIBLE_UTC_S
from agent.config.schema import ConnectorType
from agent.journal.events import SampledValue
from agent.ocpp.back_off import back_off
from agent.ocpp.delivery import Delivery
from agent.ocpp.ports import DataTransfer, TransferAnswer, UplinkState
from agent.ocpp.quiet import QuietLog
from agent.ocpp.rpc import Call, ErrorCodes, InvalidPayloadError, Outcome, Priority, Request, Result, Rpc
from agent.ocpp.schema import Schemas
from agent.ocpp.session import Surroundings
from agent.ocpp.v16.boot import Boot, boot_notification
from agent.ocpp.v16.configuration import Configuration
from agent.ocpp.v16.files import Files16
from agent.ocpp.v16.handlers import Handlers, Payload
from agent.ocpp.v16.heartbeat import LONGEST_S, Heartbeat
from agent.ocpp.v16.live_keys import station_keys
from agent.ocpp.v16.refusal import RequestRefusedError
from agent.ocpp.v16.render import Renderer16, meter_values, status_notification
from agent.ocpp.v16.security import Security16
from agent.ocpp.v16.times import carries, read_time, token_info
from agent.ocpp.v16.trigger import Trigger
from agent.station.commands import StatusReport
from agent.station.tokens import Token, TokenInfo, TokenStatus

LOGGER = logging.getLogger(__name__)

CODES = ErrorCodes("FormationViolation", "OccurenceConstraintViolation")
"""OCPP-J 1.6 §4.2.3: both misspelt in the standard, so both are the protocol (errata 5.1, 5.2)."""

MAX_UNANSWERED = 2
"""So many calls in a row without any answer mean that nobody is there, whatever the pings say."""

ALL_STATUSES_AFTER_S = 60.0
"""After a longer absence every status is sent; after a shorter one only what changed (OCPP 2.0.1 B04 is the model)."""

LATEST_PLAUSIBLE_UTC_S = 4_102_444_800.0
"""2100-01-01."""

_ANSWERS = (Result.ANSWERED, Result.REFUSED)


def new_session(surroundings: Surroundings) -> Session16:
    return Session16(surroundings)


class Session16:
    """See ``agent.ocpp.session.Session``."""

    def __init__(self, surroundings: Surroundings) -> None:
        config, settings = surroundings.config, surroundings.settings
        self._around = surroundings
        self._config = config
        self._station = surroundings.station
        evses = frozenset(evse.id for evse in config.evses)
        all_cables = all(evse.connector is ConnectorType.CABLE for evse in config.evses)
        self._boot = Boot(self._own_waits)
        self._security = self._new_security()
        self._heartbeat = Heartbeat(settings.integer("OCPPCommCtrlr.HeartbeatInterval"))
        keys = station_keys(settings, self._station, evses)
        live = (*(self._security.live_keys if self._security else ()), *keys)
        self._handlers = Handlers(
            surroundings.station,
            surroundings.journal,
            Configuration(settings, len(evses), all_cables, live),
            evses,
            lambda: self.state is UplinkState.ACCEPTED,
            lambda text: self._quiet.log("request", surroundings.now(), text),
        )
        for message, trigger in self._triggers().items():
            self._handlers.triggers.offer(message, trigger)
        if self._security is not None:
            self._handlers.add(self._security.by_action)
            self._handlers.triggers.extended["SignChargePointCertificate"] = self._trigger_signing
            self._security.offer_to(self._handlers.data_transfers)
        self._files = self._new_files()
        if self._files is not None:
            self._handlers.add(self._files.by_action)
            self._files.offer_triggers(self._handlers.triggers)
        self._rpc = Rpc(
            Schemas("v16"),
            CODES,
            self._handlers.actions,
            lambda: float(settings.integer("OCPPCommCtrlr.MessageTimeout")),
        )
        self._delivery = Delivery(
            surroundings.journal, settings, Renderer16(), self._start_answered, True, self._token_told
        )
        self._reported: dict[int, tuple[str, ...]] = {}
        self._beating = False
        self._busy = False
        self._proved = False
        self._lost_at: float | None = None
        self._quiet = QuietLog(LOGGER)
        settings.on_change(self._setting_changed)

    # ---- what the tunnel sees ----

    @property
    def state(self) -> UplinkState:
        return self._boot.state

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
        if self._security is not None:
            self._security.renew()

    def closing(self) -> None:
        self._rpc.closing = True

    def lost(self, now: float) -> None:
        was_online = self.state is UplinkState.ACCEPTED
        self._busy = True
        try:
            self._boot.lost()
            self._heartbeat.stop()
            self._delivery.lost()
            self._rpc.lost(now)
            if self._security is not None:
                self._security.lost()
            self._beating = False
            if was_online:
                self._lost_at = now
                self._station.uplink_changed(False)
        finally:
            self._busy = False

    def receive(self, data: str | bytes, now: float) -> None:
        self._step(now, lambda: self._received(data, now))

    def advance(self, now: float) -> None:
        self._step(now, lambda: None)

    def settle(self, now: float) -> None:
        self._step(now, lambda: self._delivery.settle(now))

    def next_wake(self) -> float | None:
        if self._rpc.closing:
            return self._rpc.next_wake()
        times = [self._rpc.next_wake(), self._boot.next_wake()]
        if self.state is UplinkState.ACCEPTED and not self._beating:
            times.append(self._heartbeat.next_at())
        if self.state is UplinkState.ACCEPTED and self._rpc.idle:
            times.append(self._delivery.next_wake())
            if self._security is not None:
                times.append(self._security.next_wake())
            if self._files is not None:
                times.append(self._files.next_wake())
        return min((time for time in times if time is not None), default=None)

    def authorise(self, request: int, token: Token, now: float) -> None:
        self._step(now, lambda: self._authorise(request, token, now))

    def report_status(self, report: StatusReport, now: float) -> None:
        if self._reported.get(report.evse) != _key(report):
            self._step(now, lambda: self._report(report))

    def report_meter(self, evse: int, at_utc_s: float, samples: tuple[SampledValue, ...], now: float) -> None:
        rendered = meter_values(evse, at_utc_s, samples)
        if rendered is not None and self.state is UplinkState.ACCEPTED:
            message = rendered
            self._step(now, lambda: self._call(message.action, message.payload, Priority.STATUS))

    def data_transfer(self, transfer: DataTransfer, done: Callable[[TransferAnswer | None], None], now: float) -> None:
        payload = {"vendorId": transfer.vendor}
        payload |= {"messageId": transfer.message} if transfer.message else {}
        payload |= {"data": transfer.data} if transfer.data else {}

        def answered(outcome: Outcome, _now: float) -> None:
            status, data = outcome.payload.get("status"), outcome.payload.get("data", "")
            done((status, str(data)) if isinstance(status, str) else None)

        def work() -> None:
            online = self.state is UplinkState.ACCEPTED
            if not online or not self._call("DataTransfer", payload, Priority.STATUS, answered):
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
            payload = boot_notification(self._config.station, f"evse-agent {__version__}")
            self._rpc.mute = False
            return self._call("BootNotification", payload, Priority.BOOT, self._boot_answered)
        if self.state is not UplinkState.ACCEPTED:
            return False
        beat_at = self._heartbeat.next_at()
        due = self._delivery.needs_proof or (beat_at is not None and now >= beat_at)
        if due and not self._beating:
            self._beating = self._call("Heartbeat", {}, Priority.STATUS, self._beat_answered)
            self._heartbeat.sent(now)
            return self._beating
        if self._rpc.idle and self._security is not None and self._security.offer(now):
            return True
        if self._rpc.idle and self._files is not None and self._files.offer(now):
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
        priority: Priority,
        done: Callable[[Outcome, float], None] = lambda _outcome, _now: None,
        expires_at: float | None = None,
    ) -> bool:
        call = Call(action, payload, priority, partial(self._noted, done), expires_at=expires_at)
        try:
            return self._rpc.submit(call)
        except InvalidPayloadError as error:
            self._quiet.log("invalid", self._around.now(), f"a message of our own was not sent: {error}")
            return False

    def _noted(self, done: Callable[[Outcome, float], None], outcome: Outcome, now: float) -> None:
        """Any answer shows that the network is alive; what the owner of the call makes of it comes first."""
        done(outcome, now)
        if outcome.result in _ANSWERS:
            self._proved = self._proved or self.state is UplinkState.ACCEPTED
            self._heartbeat.traffic(now)
            self._delivery.proved_alive(now)

    # ---- registration ----

    def _own_waits(self) -> Any:
        ocpp = self._config.ocpp
        return back_off(ocpp.back_off_minimum_s, ocpp.back_off_random_s, ocpp.back_off_repeats)

    def _connected(self, now: float) -> None:
        if self._boot.connected(now):
            away = ALL_STATUSES_AFTER_S if self._lost_at is None else now - self._lost_at
            self._online(now, everything=away >= ALL_STATUSES_AFTER_S, beat_at_once=True)
        self._rpc.mute = self.state is UplinkState.REJECTED

    def _boot_answered(self, outcome: Outcome, now: float) -> None:
        if outcome.result is Result.LOST:
            return
        status, interval = outcome.payload.get("status"), outcome.payload.get("interval")
        interval_s = interval if type(interval) is int and interval > 0 else 0
        if status == "Accepted":
            self._boot.accepted()
            self._around.registered()
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
        # §4.2: after an accepted boot, connector 0 and all connectors. They wait in the queue before any record.
        self._report_changes()
        self._delivery.wake()
        self._station.uplink_changed(True)

    def _network_time(self, outcome: Outcome) -> None:
        text = outcome.payload.get("currentTime")
        utc_s = read_time(text)
        if utc_s is None or not EARLIEST_PLAUSIBLE_UTC_S <= utc_s <= LATEST_PLAUSIBLE_UTC_S:
            self._quiet.log("time", self._around.now(), f"the network's time {str(text)[:40]!a} was not taken")
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

    # ---- statuses, authorisation, starts ----

    def _report_changes(self) -> None:
        for report in self._station.statuses():
            if self._reported.get(report.evse) != _key(report):
                self._report(report)

    def _report(self, report: StatusReport) -> None:
        if self.state is not UplinkState.ACCEPTED:
            return  # told when the network is there again
        key = _key(report)
        before = self._reported.get(report.evse)
        self._reported[report.evse] = key

        def done(outcome: Outcome, _now: float) -> None:
            if outcome.result not in _ANSWERS and self._reported.get(report.evse) == key:
                self._reported.pop(report.evse)

        payload = status_notification(report, self._config.station.vendor)
        if not self._call("StatusNotification", payload, Priority.STATUS, done):
            if before is None:
                self._reported.pop(report.evse)
            else:
                self._reported[report.evse] = before

    def _authorise(self, request: int, token: Token, now: float) -> None:
        if self.state is not UplinkState.ACCEPTED:
            self._station.authorisation_answered(request, None)
            return
        if not carries(token.uid):
            LOGGER.warning("a token of %d characters does not fit OCPP 1.6 and is refused", len(token.uid))
            self._station.authorisation_answered(request, TokenInfo(TokenStatus.INVALID))
            return

        def done(outcome: Outcome, _now: float) -> None:
            self._station.authorisation_answered(request, token_info(outcome.payload.get("idTagInfo")))

        expires_at = now + self._around.settings.integer("OCPPCommCtrlr.MessageTimeout")
        if not self._call("Authorize", {"idTag": token.uid}, Priority.AUTHORISE, done, expires_at):
            self._station.authorisation_answered(request, None)

    def _token_told(self, uid: str, info: TokenInfo) -> None:
        self._station.token_told(Token(uid), info)

    def _start_answered(self, transaction: str, info: TokenInfo) -> None:
        self._station.start_answered(transaction, info)

    # ---- security ----

    def _new_files(self) -> Files16 | None:
        around = self._around
        if around.files is None:
            return None
        return Files16(around.files, self._call, lambda text: self._quiet.log("files", around.now(), text))

    def _new_security(self) -> Security16 | None:
        around = self._around
        if around.security is None:
            return None
        return Security16(
            around.security,
            self._config,
            around.settings,
            self._call,
            around.spawn,
            around.stirred,
            lambda text: self._quiet.log("security", around.now(), text),
        )

    def _trigger_signing(self, _connector: int | None) -> bool:
        return self._security is not None and self._security.sign_certificate()

    # ---- messages that the network asks for ----

    def _triggers(self) -> dict[str, Trigger]:
        return {
            "BootNotification": lambda _connector: self._boot.trigger(self._around.now()),
            "Heartbeat": lambda _connector: self._call("Heartbeat", {}, Priority.STATUS, self._beat_answered),
            "MeterValues": self._trigger_meter_values,
            "StatusNotification": self._trigger_statuses,
        }

    def _trigger_statuses(self, connector: int | None) -> bool:
        sent = False
        for report in self._station.statuses():
            if connector in (None, report.evse):
                # As it is now, told before or not; also while the registration is pending (§4.2).
                self._reported[report.evse] = _key(report)
                payload = status_notification(report, self._config.station.vendor)
                sent = self._call("StatusNotification", payload, Priority.STATUS) or sent
        return sent

    def _trigger_meter_values(self, connector: int | None) -> bool:
        sent = False
        for values in self._station.present_values():
            if connector not in (None, values.evse):
                continue
            number = self._around.journal.network_transaction(values.transaction) if values.transaction else None
            message = meter_values(values.evse, values.at_utc_s, values.samples, number)
            if message is not None:
                sent = self._call(message.action, message.payload, Priority.STATUS) or sent
        return sent

    # ---- requests of the network ----

    def _received(self, data: str | bytes, now: float) -> None:
        request = self._rpc.receive(data, now)
        if self._security is not None:
            self._security.received(self._rpc.counters)
        if request is None:
            return
        try:
            reply = self._handlers.handle(request.action, request.payload)
        except RequestRefusedError as refused:
            self._rpc.refuse(request, refused.code, refused.description)
            return
        except Exception:
            LOGGER.exception("%s could not be carried out", request.action)
            self._rpc.refuse(request, "InternalError", f"{request.action} could not be carried out")
            return
        if isinstance(reply, Coroutine):
            self._around.spawn(self._answer_later(request, reply))
        else:
            self._rpc.answer(request, reply)

    async def _answer_later(self, request: Request, reply: Coroutine[Any, Any, Payload]) -> None:
        try:
            payload = await reply
        except Exception:
            LOGGER.exception("%s could not be carried out", request.action)
            self._rpc.refuse(request, "InternalError", f"{request.action} could not be carried out")
        else:
            self._rpc.answer(request, payload)
        self._around.stirred()


def _key(report: StatusReport) -> tuple[str, ...]:
    return (report.status.value, report.error, report.info, report.vendor_error)
