"""Joins the local API to control: requests and their answers, readings, tests, and everything open at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.clock import Clock
from agent.config.schema import Config
from agent.link.messages import Observation, ToAgent, ToControl, TokenPresented
from agent.local import faults, inputs, safe, trials
from agent.local.card_trial import CardTrial
from agent.local.changes import Changes
from agent.local.desk import Desk
from agent.local.methods import Method
from agent.local.rpc import RpcError
from agent.local.service import service_methods
from agent.local.status import StatusDocument
from agent.station.effects import Effect
from agent.station.station import Station


class Agent(Protocol):
    """The agent process, as far as this needs it."""

    def status(self) -> StatusDocument: ...
    def carry_out(self, effects: Sequence[Effect]) -> None: ...
    def to_control(self, message: ToControl) -> bool: ...


class ControlWork:
    """Hears what control tells before the station does."""

    def __init__(self, evses: Sequence[int], config: Config, station: Station, clock: Clock, agent: Agent) -> None:
        self._evses = evses
        self._config = config
        self._station = station
        self._clock = clock
        self._agent = agent
        self._cards = CardTrial()
        self._changes = Changes()
        self._desk = Desk(agent.to_control)

    def heard(self, message: ToAgent) -> bool:
        """Take a message of control. True: it was for a person here, and the station has no business with it."""
        if isinstance(message, TokenPresented):
            return self._cards.takes(message, self._now())
        if isinstance(message, Observation):
            self._changes.note(message)
        return self._desk.heard(message)

    def methods(self) -> dict[str, Method]:
        """Every method that this adds. Nothing is called here."""
        evses, desk = self._evses, self._desk
        return {
            **service_methods(evses, desk),
            **faults.methods(self._station.fault_history),
            **inputs.methods(evses, self._drivers, desk, self._changes),
            **trials.methods(evses, desk, self._cards, self._place_of, self._in_use, self._now),
            **safe.methods(evses, desk, self._make_safe),
        }

    def _drivers(self) -> dict[str, str]:
        return {name: device.driver for name, device in self._config.devices.items()}

    def _now(self) -> float:
        return self._clock.now().monotonic_s

    def _make_safe(self, on: bool) -> None:
        self._agent.carry_out(self._station.make_safe(on, self._clock.now()))

    def _place_of(self, evse: int) -> int:
        if any(each.id == evse and each.reader for each in self._config.evses):
            return evse
        if not self._config.readers:
            raise RpcError(f"EVSE {evse} has no card reader in the configuration")
        return 0

    def _in_use(self, place: int) -> bool:
        return any(
            evse["transaction"] is not None and evse["transaction"]["state"] != "finished"
            for evse in self._agent.status()["evses"]
            if place in (0, evse["id"])
        )
