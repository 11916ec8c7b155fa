"""What the network may ask of a charge point in OCPP 1.6 Core, put to the station and answered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from agent.ocpp import service_pin
from agent.ocpp.data_transfer import OUR_VENDOR, DataTransfers
from agent.ocpp.ports import JournalPort, StationPort
from agent.ocpp.v16.configuration import Configuration
from agent.ocpp.v16.local_list import LocalList16
from agent.ocpp.v16.pricing import Pricing16
from agent.ocpp.v16.reservation import Reservation16
from agent.ocpp.v16.smart_charging import SmartCharging16
from agent.ocpp.v16.tokens import carries
from agent.ocpp.v16.trigger import Triggers
from agent.station.commands import AvailabilityAnswer, RemoteStart, ResetKind, SettingAnswer
from agent.station.tokens import Token

Payload = dict[str, Any]
Reply = Payload | Coroutine[Any, Any, Payload]


class Handlers:
    """Takes valid requests only (the RPC engine has checked them by their schemas). One method per message."""

    def __init__(
        self,
        station: StationPort,
        journal: JournalPort,
        configuration: Configuration,
        evses: frozenset[int],
        registered: Callable[[], bool],
        note: Callable[[str], None],
    ) -> None:
        """``registered()``: a boot was accepted; before that no remote start or stop is allowed (§4.2).

        ``note(text)`` writes to a log that cannot be flooded.
        """
        self._note = note
        self._station = station
        self._journal = journal
        self._configuration = configuration
        self._evses = evses
        self._registered = registered
        self._smart_charging = SmartCharging16(station, journal, evses, note)
        self.triggers = Triggers(evses)
        """What the network may ask to be sent; others add theirs."""
        self.data_transfers = DataTransfers()
        """Vendors' messages that are understood; others add theirs."""
        Pricing16(station, journal, note).offer_to(self.data_transfers)
        self.data_transfers.offer(OUR_VENDOR, service_pin.MESSAGE, partial(service_pin.set_service_pin, station))
        self._by_action: Mapping[str, Callable[[Payload], Reply]] = {
            "ChangeAvailability": self._change_availability,
            "ChangeConfiguration": self._change_configuration,
            "ClearCache": self._clear_cache,
            "GetConfiguration": self._get_configuration,
            "RemoteStartTransaction": self._remote_start,
            "RemoteStopTransaction": self._remote_stop,
            "Reset": self._reset,
            "UnlockConnector": self._unlock,
            **self._smart_charging.by_action,
            **LocalList16(station).by_action,
            **Reservation16(station, registered).by_action,
            **self.triggers.by_action,
            **self.data_transfers.by_action,
        }

    def add(self, by_action: Mapping[str, Callable[[Payload], Reply]]) -> None:
        """Take over another module's messages, before the first is handled."""
        self._by_action = {**self._by_action, **by_action}

    @property
    def actions(self) -> frozenset[str]:
        return frozenset(self._by_action)

    def handle(self, action: str, payload: Payload) -> Reply:
        """Return the answer's payload, or a coroutine that gives it later."""
        return self._by_action[action](payload)

    def _change_availability(self, payload: Payload) -> Payload:
        """§5.2"""
        connector = payload["connectorId"]
        if connector != 0 and connector not in self._evses:
            return {"status": AvailabilityAnswer.REJECTED.value}
        return {"status": self._station.change_availability(connector, payload["type"] == "Operative").value}

    def _change_configuration(self, payload: Payload) -> Payload:
        """§5.3"""
        key = self._configuration.find(payload["key"])
        if key is None:
            return {"status": SettingAnswer.NOT_SUPPORTED.value}
        objection = self._configuration.objection(key, payload["value"])
        if objection:
            self._note(f"refused a change of configuration: {objection!a}")
            return {"status": SettingAnswer.REJECTED.value}
        if key.live is not None:
            return {"status": key.live.change(payload["value"]).value}
        return {"status": self._station.set_setting(key.setting, payload["value"].strip()).value}

    def _clear_cache(self, _payload: Payload) -> Payload:
        """§5.4"""
        return _accepted(self._station.clear_cache())

    def _get_configuration(self, payload: Payload) -> Payload:
        """§5.8"""
        known, unknown = self._configuration.get(payload.get("key") or ())
        answer: Payload = {"configurationKey": known}
        if unknown:
            answer["unknownKey"] = unknown
        return answer

    def _remote_start(self, payload: Payload) -> Payload:
        """§5.11"""
        connector, id_tag = payload.get("connectorId"), payload["idTag"]
        if not self._registered() or not carries(id_tag) or not id_tag.strip():
            return _accepted(False)
        if connector is not None and connector not in self._evses:
            return _accepted(False)
        profile = None
        if "chargingProfile" in payload:
            profile = self._smart_charging.remote_profile(payload["chargingProfile"])
            if profile is None:
                return _accepted(False)
        return _accepted(self._station.remote_start(RemoteStart(Token(id_tag, "Central"), connector, profile=profile)))

    def _remote_stop(self, payload: Payload) -> Payload:
        """§5.12"""
        number = payload["transactionId"]
        transaction = self._journal.transaction_of(number) if number >= 0 else None
        if not self._registered() or transaction is None:
            return _accepted(False)
        return _accepted(self._station.remote_stop(transaction))

    def _reset(self, payload: Payload) -> Payload:
        """§5.14"""
        return _accepted(self._station.reset(ResetKind(payload["type"])))

    def _unlock(self, payload: Payload) -> Reply:
        """§5.18"""
        connector = payload["connectorId"]
        if connector not in self._evses:
            return {"status": "NotSupported"}
        return self._unlocked(connector)

    async def _unlocked(self, evse: int) -> Payload:
        return {"status": (await self._station.unlock(evse)).value}


def _accepted(yes: bool) -> Payload:
    return {"status": "Accepted" if yes else "Rejected"}
