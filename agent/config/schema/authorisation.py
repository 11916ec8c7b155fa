"""Who may charge when the operator's network is not asked or not there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from agent.config.schema.rules import length
from hal.options import option


class OnCap(Enum):
    """What happens when an unconfirmed charge reaches its bound."""

    SUSPEND = "suspend"
    """Energy is held back until the network confirms."""
    END = "end"


@dataclass(frozen=True, slots=True)
class Partner:
    """Tokens of a partner's network, known by their form: all rules that are given must hold."""

    name: str = option(help="name of the partner, for the log and the console")
    prefixes: tuple[str, ...] = option((), help="beginnings of the partner's identifiers, in any case")
    length: int = option(0, help="number of characters; 0 for any", ge=0, le=36)
    emaid: bool = option(False, help="true: identifiers have the form of an eMAID, such as DE-8AA-C12345678")
    offline: bool = option(True, help="may start while the network is away; false: never, even if others may")
    energy_cap_wh: float = option(
        10_000.0, help="energy until the network confirms; 0 for no bound", unit="Wh", ge=0, le=1_000_000
    )
    time_cap_s: float = option(
        3600.0, help="time until the network confirms; 0 for no bound", unit="s", ge=0, le=86_400
    )
    on_cap: OnCap = option(OnCap.SUSPEND, help="at the bound: suspend until the network confirms, or end")

    def __post_init__(self) -> None:
        if not any(self.prefixes) and not self.length and not self.emaid:
            raise ValueError("names no rule, so it would fit every card; give prefixes, length or emaid")


@dataclass(frozen=True, slots=True)
class Authorisation:
    """Who may charge when the operator's network is not asked or not there."""

    free_vend: bool = option(False, help="everyone may charge; no card needed")
    free_vend_token: str = option(
        "FREEVEND", help="identifier reported for such sessions, at most 20 characters", check=lambda v: length(v, 20)
    )
    partners: tuple[Partner, ...] = option((), help="roaming: whose drivers are served while the network is away")
