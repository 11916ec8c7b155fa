"""OCPP 2's side of the tunnel, both versions: its own messages, and the functional blocks put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent import __version__
from agent.journal.events import Event, SampledValue
from agent.ocpp.base import BaseSession, Payload, Reply
from agent.ocpp.ports import UplinkState
from agent.ocpp.restart_port import BootReason
from agent.ocpp.rpc import Priority, Request
from agent.ocpp.schema import Schemas
from agent.ocpp.session import Surroundings
from agent.ocpp.v2.block import Handler, Talk
from agent.ocpp.v2.blocks import blocks
from agent.ocpp.v2.boot import boot_notification
from agent.ocpp.v2.render import Renderer2, meter_values
from agent.ocpp.v2.status import STATUS, status_notification
from agent.ocpp.v2.tokens import carries, id_token, token_info
from agent.ocpp.v2.version import Version
from agent.station.commands import StatusReport
from agent.station.tokens import Token, TokenInfo

REMOTE = ("RequestStartTransaction", "RequestStopTransaction")
"""B02.FR.05: refused until the charging station is accepted."""


def new_session(subprotocol: str, surroundings: Surroundings) -> Session2:
    return Session2(Version(subprotocol), surroundings)


class Session2(BaseSession):
    """See ``agent.ocpp.session.Session``."""

    def __init__(self, version: Version, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._version = version
        self._triggered = False
        """The next BootNotification is one that the network has asked for."""
        self._talk = Talk(version, surroundings, self._call, self._send, lambda: self.state, self._note, self._waits)
        made = blocks(self._talk)
        self._parts.extend(made)
        self._handlers: dict[str, Handler] = {}
        self._talk.triggers.update(
            BootNotification=self._trigger_boot,
            Heartbeat=lambda _evse: self._call("Heartbeat", {}, Priority.STATUS, self._beat_answered),
            StatusNotification=self._trigger_statuses,
        )
        for block in made:
            self._handlers.update(block.handlers())
            self._talk.triggers.update(block.triggers())
        self._begin(Schemas(version.schemas), version.codes, self._handlers.keys(), Renderer2(version, self._complete))
        self._delivery.answered = self._answered
        self._blocks = made

    def _answered(self, event: Event, answer: Mapping[str, Any]) -> None:
        for block in self._blocks:
            block.answered(event, answer)

    def _complete(self, event: Event, payload: Payload) -> None:
        for block in self._blocks:
            block.complete(event, payload)

    def _waits(self, transaction: str) -> bool:
        return self._delivery.waits(transaction, self._around.now())

    def _send(self, action: str, payload: Payload) -> None:
        self._rpc.send(action, payload)

    def _all_statuses_after_s(self) -> float:
        """B04.FR.01"""
        return self._around.settings.integer("OCPPCommCtrlr.OfflineThreshold")

    # ---- what is said ----

    def _boot_payload(self) -> Payload:
        reason = BootReason.TRIGGERED if self._triggered else self._station.restarts.reason
        self._triggered = False
        return boot_notification(self._config.station, f"evse-agent {__version__}", reason.value)

    def _trigger_boot(self, _evse: int | None) -> bool:
        """F06.FR.17: not once it is accepted."""
        self._triggered = self._boot.trigger(self._around.now())
        return self._triggered

    def _status_payload(self, report: StatusReport) -> Payload | None:
        return status_notification(report)

    def _status_key(self, report: StatusReport) -> tuple[str, ...]:
        return (STATUS[report.status],)

    def _authorise_payload(self, token: Token) -> Payload | None:
        return {"idToken": id_token(token)} if carries(token, self._version) else None

    def _authorised(self, token: Token, payload: Mapping[str, Any]) -> None:
        for block in self._blocks:
            block.authorised(token, payload)

    def _token_info(self, payload: Mapping[str, Any]) -> TokenInfo | None:
        return token_info(payload.get("idTokenInfo"))

    def _meter_call(self, evse: int, at_utc_s: float, samples: tuple[SampledValue, ...]) -> tuple[str, Payload] | None:
        payload = meter_values(evse, at_utc_s, samples)
        return None if payload is None else ("MeterValues", payload)

    def _handle(self, request: Request) -> Reply:
        if self.state is UplinkState.PENDING and request.action in REMOTE:
            return {"status": "Rejected"}
        return self._handlers[request.action](request.payload)

    def _trigger_statuses(self, evse: int | None) -> bool:
        sent = False
        for report in self._station.statuses():
            if report.evse and evse in (None, report.evse):
                sent = self._tell_status(report) or sent
        return sent
