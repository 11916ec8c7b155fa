"""What the parts of the station share during one step: configuration, EVSEs, the time, and the effects so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from agent.clock import Moment
from agent.config.schema import Config
from agent.journal.events import Event, Stamp
from agent.link.messages import FaultCode, FaultReport, ToControl
from agent.station.books import Books
from agent.station.commands import Reservation, ReservationEnd, ResetKind
from agent.station.effects import Effect, Keep, Record, Send
from agent.station.evse import Evse
from agent.station.grid import GridLimit
from agent.station.session import Session
from agent.station.settings import Settings


@dataclass(slots=True)
class Site:
    config: Config
    settings: Settings
    moment: Moment
    evses: dict[int, Evse]
    online: bool = False
    flexible: bool = False
    """The network speaks OCPP 2.x: transactions begin and end as TxStartPoint and TxStopPoint say."""
    control: str = ""
    """Instance of the control process; empty while it is not there."""
    control_since: float = 0.0
    """When it last said Welcome."""
    control_lost_at: float | None = None
    order: int = 0
    waiting: list[Session] = field(default_factory=list)
    """Authorised at a common reader and not at an EVSE yet, oldest first."""
    reservations: dict[int, Reservation] = field(default_factory=dict)
    """By number."""
    ended: dict[int, ReservationEnd] = field(default_factory=dict)
    """Reservations of which the network does not know yet that they ended, by number (OCPP 2)."""
    list_conflicts: set[str] = field(default_factory=set)
    """Keys of tokens on which the local list and the network disagree."""
    faults: dict[FaultCode, FaultReport] = field(default_factory=dict)
    """Faults that concern no single EVSE."""
    resetting: ResetKind | None = None
    grid: GridLimit | None = None
    """The building's supply, where a meter watches it."""
    books: Books = field(default_factory=Books)
    """How the journal does."""
    effects: list[Effect] = field(default_factory=list)

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self.moment.monotonic_s

    def emit(self, effect: Effect) -> None:
        self.effects.append(effect)

    def send(self, message: ToControl) -> None:
        """Tell control, if it is there; the state of all is told afresh when it comes back."""
        if self.control:
            self.effects.append(Send(message))

    def record(self, event: Event, stamp: Stamp | None = None) -> None:
        self.effects.append(Record(event, stamp or self.moment.stamp()))

    def keep(self, table: str, key: str, value: Any) -> None:
        self.effects.append(Keep(table, key, value))

    def next_order(self) -> int:
        self.order += 1
        return self.order

    def take(self) -> list[Effect]:
        """Return the effects of this step and begin a new list."""
        effects, self.effects = self.effects, []
        return effects


def earliest(times: Iterable[float | None]) -> float | None:
    """Return the first of several deadlines; None when there is none."""
    return min((at for at in times if at is not None), default=None)
