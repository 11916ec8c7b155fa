"""One session at an EVSE: from the moment somebody may charge until the cable is gone. Kept as a JSON document."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from agent.journal.events import ChargingState, SampledValue, SignedValue, Stamp, StartTrigger, StopReason
from agent.station.tokens import Token


class Phase(Enum):
    WAITING = "waiting"
    """Authorised; vehicle (or meter, or the end of a fault) still to come. No transaction yet."""
    RUNNING = "running"
    STOPPING = "stopping"
    """The end is decided: contacts are to open and the last register to be read."""
    FINISHED = "finished"
    """The end is on the books; the cable is still in."""


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
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Session:
        """Rebuild. Raises ValueError when the document is not one of ours."""
        from agent.journal.events import Context

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
