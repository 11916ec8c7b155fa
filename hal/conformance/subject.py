"""What is examined: a driver, its options, and who sits at the other end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from hal.registry import Driver


@dataclass(frozen=True, slots=True)
class Account:
    """What the counterpart itself says of its state, apart from anything the driver says of it."""

    closed: bool = False
    """Main contacts are closed, or their coil is driven."""
    offers: bool = False
    """The pilot offers current: a PWM is on it."""

    @property
    def energises(self) -> bool:
        return self.closed or self.offers


class Peer(Protocol):
    """The counterpart of the driver under test, as far as the kit may reach it by another way than the wire.

    A simulator. It runs in a process of its own: a thread beside the driver would be taken for a driver that blocks.
    Real hardware has none; what only a peer can tell is then *not applicable*.
    """

    def account(self) -> Account | None:
        """Return its state; None for one that has neither pilot nor contacts."""

    def ask(self, wants: bool) -> None:
        """Have a vehicle ask for energy (state C), or have none there (state A)."""

    def restart(self) -> None:
        """Restart it, as its watchdog or a dip of the supply would."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, in seconds. Only a driver that fails waits to the end."""

    settle_s: float = 15.0
    """To become well: at the start, after garbage, a restart, a replug."""
    watch_s: float = 1.0
    """How long it is watched for what it must not do."""
    polls_s: float = 3.0
    """So long a driver that polls is listened to, to know its polls from a command."""
    silence_s: float = 15.0
    """Within so long a silence health must tell. Passes in the driver's time only, not in ours."""


@dataclass(frozen=True, slots=True)
class Subject:
    """``may_close``: closing may be commanded, because the counterpart is a simulator or a person has consented."""

    name: str
    driver: Driver
    options: Any
    peer: Peer | None = None
    may_close: bool = False
    patience: Patience = field(default_factory=Patience)
