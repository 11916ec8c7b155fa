"""One session at an EVSE: from the moment somebody may charge until the cable is gone. Kept as a JSON document."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from agent.journal.events import (
    ChargingState,
    Context,
    Limits,
    SampledValue,
    SignedValue,
    Stamp,
    StartTrigger,
    StopReason,
    Trigger,
)
from agent.station.tokens import Token


class Phase(Enum):
    """How far the charging is. Where the network's transaction begins and ends is another matter: see ``Session.told``
    and ``Session.closed``."""

    WAITING = "waiting"
    """Authorised; vehicle (or meter, or the end of a fault) still to come. Or the other way round, while ``granted`` is
    False: the vehicle is there, and nobody is authorised."""
    RUNNING = "running"
    STOPPING = "stopping"
    """The end is decided: contacts are to open and the last register to be read."""
    FINISHED = "finished"
    """The last register is known; the cable is still in."""


NOBODY = Token("", "NoAuthorization")
"""Stands in a session before anybody is authorised."""


@dataclass(frozen=True, slots=True)
class Cap:
    """How far a charge that the network has not confirmed may go. None: no bound of this kind."""

    partner: str
    energy_wh: float | None
    time_s: float | None
    ends: bool
    """Reaching it ends the transaction; else energy is held back until the network confirms."""


@dataclass(slots=True)
class Session:
    """``order`` counts up over all sessions of the station: who came first."""

    phase: Phase
    token: Token
    trigger: StartTrigger
    authorised: Stamp
    order: int
    group: str = ""
    remote_start_id: int | None = None
    transaction: str = ""
    started: Stamp | None = None
    start_wh: float = 0.0
    register_wh: float | None = None
    """Last good register of the meter during the session."""
    saved_utc_s: float = 0.0
    """When the document was last written: how long a power cut lasted follows from it."""
    state: ChargingState = ChargingState.EV_CONNECTED
    refused: bool = False
    """The network refused the token after the start."""
    refused_wh: float = 0.0
    """Register at that time."""
    stopped: Stamp | None = None
    reason: StopReason = StopReason.LOCAL
    stop_token: str = ""
    hold_cable: bool = False
    """After the end: the plug stays locked until the same token or group is presented."""
    left: bool = False
    """After the end: the vehicle has gone, only the cable is left in the socket."""
    profile: dict[str, Any] | None = None
    """Document of the charging profile that came with a remote start, until the transaction begins."""
    cap: Cap | None = None
    """Until the network confirms the token; None: no bound."""
    history: list[tuple[float, tuple[SampledValue, ...]]] = field(default_factory=list)
    """For the end message, when it is to carry them: (wall time in seconds, values)."""

    signing: bool = False
    """The meter is to sign this transaction."""
    signed: list[tuple[float, SignedValue]] = field(default_factory=list)
    """For the end message: (wall time in seconds, signed set)."""
    key_told: bool = False
    """The meter's public key went with a signed value already."""

    # The transaction as the network knows it. Under OCPP 1.6 it is open while the phase is RUNNING or STOPPING.
    granted: bool = True
    """Somebody is authorised."""
    told: bool = False
    """The start of the transaction is on the books."""
    closed: bool = False
    """So is its end."""
    joined: bool = False
    """So is the EVSE at which the vehicle is connected."""
    known: bool = False
    """So are driver and EVSE together: from there on OCPP 1.6 knows of it."""
    stop_points: tuple[str, ...] = ()
    """TxStopPoint as it was when the transaction began; empty: as OCPP 1.6 has it."""
    ends: bool = True
    """STOPPING: with the charging, the transaction ends."""
    trigger_end: Trigger | None = None
    """What the end is recorded for; None: as it follows from the reason."""
    cause: StopReason | None = None
    """Why the authorisation ended, where the transaction went on without it."""
    final_wh: float | None = None
    """Last register of the charging, where the transaction went on without it."""
    stale: bool = False
    """It is only the last good one."""
    flowed: bool = False
    """Energy flowed since the charging began."""
    apart: Stamp | None = None
    """Since when the vehicle is away, in the middle of the transaction."""
    barred: bool = False
    """No energy any more: the machine was off meanwhile, and it is not to go on by itself (2.1, E17.FR.12)."""
    phases: int | None = None
    """As told last."""
    limits: Limits | None = None
    """Bounds that the network has set (2.1, E16)."""
    limit_reached: Trigger | None = None
    begin_samples: tuple[SampledValue, ...] = ()
    """Taken when the charging began, for a start that is told when energy flows. Not kept over restarts."""
    cost: float | None = None
    """As the network has told last, while such a bound is set."""
    reserved: int | None = None
    """Number of the reservation that the driver has used up, until an event tells it (OCPP 2)."""

    @property
    def open(self) -> bool:
        """The network has, or will have, a transaction that has not ended."""
        return self.told and not self.closed

    @property
    def vacant(self) -> bool:
        """A vehicle is there, and a driver is welcome to it."""
        return self.phase is Phase.WAITING and not self.granted

    def belongs_to(self, token: Token, group: str) -> bool:
        """True when the token is the session's own or of the same group."""
        return token.key == self.token.key or (bool(group) and group.casefold() == self.group.casefold())

    def mark(self) -> Hashable:
        """What decides whether the document must be written anew; its register and time alone do not."""
        return (
            self.order,
            self.phase,
            self.token,
            self.trigger,
            self.authorised,
            self.group,
            self.remote_start_id,
            self.transaction,
            self.state,
            self.refused,
            self.stopped,
            self.hold_cable,
            self.left,
            self.cap,
            self.profile is None,
            (self.granted, self.told, self.closed, self.joined, self.ends, self.cause, self.trigger_end),
            (self.flowed, self.apart, self.barred, self.phases, self.limits, self.limit_reached, self.reserved),
            len(self.signed),
            len(self.history),
            self.history[-1][0] if self.history else 0.0,
        )

    def document(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "phase": self.phase.value,
            "token": asdict(self.token),
            "trigger": self.trigger.value,
            "authorised": asdict(self.authorised),
            "order": self.order,
            "group": self.group,
            "remote_start_id": self.remote_start_id,
            "transaction": self.transaction,
            "started": asdict(self.started) if self.started else None,
            "start_wh": self.start_wh,
            "register_wh": self.register_wh,
            "saved_utc_s": self.saved_utc_s,
            "state": self.state.value,
            "refused": self.refused,
            "refused_wh": self.refused_wh,
            "stopped": asdict(self.stopped) if self.stopped else None,
            "reason": self.reason.value,
            "stop_token": self.stop_token,
            "hold_cable": self.hold_cable,
            "left": self.left,
            "profile": self.profile,
            "cap": asdict(self.cap) if self.cap else None,
            "signing": self.signing,
            "signed": [[at, {**asdict(value), "context": value.context.value}] for at, value in self.signed],
            "key_told": self.key_told,
            "history": [
                [at, [{**asdict(value), "context": value.context.value} for value in values]]
                for at, values in self.history
            ],
            **{name: value for name, value in self._points().items() if value != _PLAIN[name]},
        }

    def _points(self) -> dict[str, Any]:
        """What OCPP 1.6 has no use for is only written where it is not as ever, so that an older version reads it."""
        classic = self.phase in (Phase.RUNNING, Phase.STOPPING)
        done = self.phase is Phase.FINISHED
        return {
            "granted": self.granted,
            "told": None if self.told == (classic or done) else self.told,
            "closed": None if self.closed == done else self.closed,
            "joined": None if self.joined == (classic or done) else self.joined,
            "known": None if self.known == (classic or done) else self.known,
            "stop_points": list(self.stop_points),
            "ends": self.ends,
            "trigger_end": self.trigger_end.value if self.trigger_end else None,
            "cause": self.cause.value if self.cause else None,
            "final_wh": self.final_wh,
            "stale": self.stale,
            "flowed": self.flowed,
            "apart": asdict(self.apart) if self.apart else None,
            "barred": self.barred,
            "phases": self.phases,
            "limits": asdict(self.limits) if self.limits else None,
            "limit_reached": self.limit_reached.value if self.limit_reached else None,
            "cost": self.cost,
            "reserved": self.reserved,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Session:
        """Rebuild. Raises ValueError when the document is not one of ours."""
        try:
            values = dict(document)
            values["phase"] = Phase(values["phase"])
            values["token"] = Token(**values["token"])
            values["trigger"] = StartTrigger(values["trigger"])
            values["state"] = ChargingState(values["state"])
            values["reason"] = StopReason(values["reason"])
            for name in ("authorised", "started", "stopped"):
                values[name] = Stamp(**values[name]) if values[name] else None
            values["cap"] = Cap(**values["cap"]) if values.get("cap") else None
            _read_points(values)
            values["history"] = [
                (at, tuple(SampledValue(**{**value, "context": Context(value["context"])}) for value in samples))
                for at, samples in values["history"]
            ]
            values["signed"] = [
                (at, SignedValue(**{**value, "context": Context(value["context"])}))
                for at, value in values.get("signed", ())
            ]
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a session: {error!r}") from error


_PLAIN: Mapping[str, Any] = {
    "granted": True,
    "told": None,
    "closed": None,
    "joined": None,
    "known": None,
    "stop_points": [],
    "ends": True,
    "trigger_end": None,
    "cause": None,
    "final_wh": None,
    "stale": False,
    "flowed": False,
    "apart": None,
    "barred": False,
    "phases": None,
    "limits": None,
    "limit_reached": None,
    "cost": None,
    "reserved": None,
}


def _read_points(values: dict[str, Any]) -> None:
    """Fill in what a document leaves out: as OCPP 1.6 has it."""
    begun = values["phase"] is not Phase.WAITING
    for name, usual in (
        ("told", begun),
        ("closed", values["phase"] is Phase.FINISHED),
        ("joined", begun),
        ("known", begun),
    ):
        if values.get(name) is None:
            values[name] = usual
    values["stop_points"] = tuple(values.get("stop_points", ()))
    values["trigger_end"] = Trigger(values["trigger_end"]) if values.get("trigger_end") else None
    values["cause"] = StopReason(values["cause"]) if values.get("cause") else None
    values["apart"] = Stamp(**values["apart"]) if values.get("apart") else None
    values["limits"] = Limits(**values["limits"]) if values.get("limits") else None
    values["limit_reached"] = Trigger(values["limit_reached"]) if values.get("limit_reached") else None
