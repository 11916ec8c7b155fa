"""OCPP 1.6J's side of the tunnel: its messages, and the parts that only it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent import __version__
from agent.config.schema import ConnectorType
from agent.journal.events import SampledValue
from agent.ocpp.base import BaseSession, Payload, Reply
from agent.ocpp.ports import UplinkState
from agent.ocpp.rpc import ErrorCodes, Priority, Request
from agent.ocpp.schema import Schemas
from agent.ocpp.session import Surroundings
from agent.ocpp.v16.boot import boot_notification
from agent.ocpp.v16.configuration import Configuration
from agent.ocpp.v16.files import Files16
from agent.ocpp.v16.handlers import Handlers
from agent.ocpp.v16.live_keys import station_keys
from agent.ocpp.v16.render import Renderer16, meter_values, status_notification
from agent.ocpp.v16.security import Security16
from agent.ocpp.v16.tokens import carries, token_info
from agent.ocpp.v16.trigger import Trigger
from agent.station.commands import StatusReport
from agent.station.tokens import Token, TokenInfo

CODES = ErrorCodes("FormationViolation", "OccurenceConstraintViolation")
"""OCPP-J 1.6 §4.2.3: both misspelt in the standard, so both are the protocol (errata 5.1, 5.2)."""


def new_session(_subprotocol: str, surroundings: Surroundings) -> Session16:
    return Session16(surroundings)


class Session16(BaseSession):
    """See ``agent.ocpp.session.Session``."""

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        config, settings = surroundings.config, surroundings.settings
        evses = frozenset(evse.id for evse in config.evses)
        all_cables = all(evse.connector is ConnectorType.CABLE for evse in config.evses)
        self._security = self._new_security()
        keys = station_keys(settings, self._station, evses)
        live = (*(self._security.live_keys if self._security else ()), *keys)
        self._handlers = Handlers(
            surroundings.station,
            surroundings.journal,
            Configuration(settings, len(evses), all_cables, live),
            evses,
            lambda: self.state is UplinkState.ACCEPTED,
            lambda text: self._note("request", text),
        )
        for message, trigger in self._triggers().items():
            self._handlers.triggers.offer(message, trigger)
        if self._security is not None:
            self._handlers.add(self._security.by_action)
            self._handlers.triggers.extended["SignChargePointCertificate"] = self._trigger_signing
            self._security.offer_to(self._handlers.data_transfers)
            self._parts.extend(self._security.parts)
        self._files = self._new_files()
        if self._files is not None:
            self._handlers.add(self._files.by_action)
            self._files.offer_triggers(self._handlers.triggers)
            self._parts.append(self._files.part)
        self._begin(Schemas("v16"), CODES, self._handlers.actions, Renderer16())

    def _new_files(self) -> Files16 | None:
        if self._around.files is None:
            return None
        return Files16(self._around.files, self._call, lambda text: self._note("files", text))

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
            lambda text: self._note("security", text),
        )

    # ---- what is said ----

    def _online(self, now: float, *, everything: bool, beat_at_once: bool) -> None:
        self._station.transactions.speak(flexible=False)
        super()._online(now, everything=everything, beat_at_once=beat_at_once)

    def _boot_payload(self) -> Payload:
        return boot_notification(self._config.station, f"evse-agent {__version__}")

    def _status_payload(self, report: StatusReport) -> Payload:
        return status_notification(report, self._config.station.vendor)

    def _authorise_payload(self, token: Token) -> Payload | None:
        return {"idTag": token.uid} if carries(token.uid) else None

    def _token_info(self, payload: Mapping[str, Any]) -> TokenInfo | None:
        return token_info(payload.get("idTagInfo"))

    def _meter_call(self, evse: int, at_utc_s: float, samples: tuple[SampledValue, ...]) -> tuple[str, Payload] | None:
        message = meter_values(evse, at_utc_s, samples)
        return None if message is None else (message.action, message.payload)

    def _handle(self, request: Request) -> Reply:
        return self._handlers.handle(request.action, request.payload)

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
                sent = self._tell_status(report) or sent
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
