"""The local API's methods for limits of the site: its energy manager says what may be drawn, or what it generates.

A limit holds until it is changed, released or lapses; it outlives a restart. It only ever lowers what the network
allows; generation lifts the network's limits, never those of the hardware, the feed and its meter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypedDict

from agent.local.methods import Method, observe, operate
from agent.local.roles import Role
from agent.local.rpc import INVALID_PARAMS, RpcError
from agent.station.charging.answers import PriorityAnswer
from agent.station.charging.external import ExternalLimit, ExternalState
from agent.station.charging.profile import Period, RateUnit, Source
from agent.station.charging.refusal import Refusal
from agent.station.documents import moment


class Charging(Protocol):
    def constrain(self, limit: ExternalLimit) -> Refusal | None: ...
    def release(self, source: Source, evse: int, generation: bool) -> bool: ...
    def external(self) -> Sequence[ExternalState]: ...
    def transaction(self, evse: int) -> str:
        """Identity of the transaction that is open at an EVSE; empty for none. KeyError for no such EVSE."""

    def use_priority(self, transaction: str, on: bool) -> PriorityAnswer: ...


class PeriodDocument(TypedDict):
    """One period of a schedule; it lasts until the next one."""

    start_s: int
    """Since the schedule was set; the first is 0."""
    limit: float


class LimitDocument(TypedDict):
    """A limit of the site, or what it generates."""

    evse: int
    """0: for all together."""
    source: str
    unit: str
    limit: float | None
    """Of now; null: its schedule sets none now."""
    generation: bool
    until: str | None
    """When it lapses by itself."""


def methods(charging: Charging) -> dict[str, Method]:
    """Nothing is called here."""

    def limits() -> list[LimitDocument]:
        """Limits of the site that hold now."""
        return [_document(state) for state in charging.external()]

    def limit(
        limit: float,
        unit: str = "A",
        evse: int = 0,
        source: str = "EMS",
        lasts_s: int | None = None,
        generation: bool = False,
    ) -> list[LimitDocument]:
        """Draw no more than this from now on: `unit` A (per phase) or W (in all) at one EVSE, or (0) all together.
        `lasts_s`: it lapses by itself after so long; else it holds until `charging.release`. `source`: EMS, SO (the
        grid) or Other. With `generation` it is what the site generates, on top of the network's limits; it needs
        `lasts_s`, so that an energy manager that falls silent lifts nothing for ever."""
        return _set(charging, evse, unit, (Period(0, _number(limit)),), source, lasts_s, generation)

    def schedule(
        periods: list[PeriodDocument],
        unit: str = "A",
        evse: int = 0,
        source: str = "EMS",
        lasts_s: int | None = None,
        generation: bool = False,
    ) -> list[LimitDocument]:
        """The same, with limits for each period from now on."""
        return _set(charging, evse, unit, tuple(_period(each) for each in periods), source, lasts_s, generation)

    def release(evse: int = 0, source: str = "EMS", generation: bool = False) -> list[LimitDocument]:
        """Take a limit of the site away again."""
        if not charging.release(_source(source), evse, generation):
            raise RpcError(f"{source} has set no such limit at EVSE {evse}; charging.limits tells those there are")
        return limits()

    def priority(evse: int, on: bool = True) -> dict[str, bool]:
        """Charge at this EVSE first of all, as the network's profile for that allows; or as usual again."""
        try:
            transaction = charging.transaction(evse)
        except KeyError:
            raise RpcError(f"there is no EVSE {evse}") from None
        answer = charging.use_priority(transaction, on)
        if answer is PriorityAnswer.REJECTED:
            raise RpcError(f"EVSE {evse} has no transaction that could charge first of all")
        if answer is PriorityAnswer.NO_PROFILE:
            # 2.1 K22.FR.01
            raise RpcError("the network has set no profile for priority charging; ask its operator for one")
        return {"priority": on}

    return {
        "charging.limits": observe(limits),
        # Not in the book of changes: an energy manager calls it every few seconds.
        "charging.limit": Method(limit, Role.OPERATE),
        "charging.schedule": operate(schedule),
        "charging.release": operate(release),
        "charging.priority": operate(priority),
    }


def _set(
    charging: Charging,
    evse: int,
    unit: str,
    periods: tuple[Period, ...],
    source: str,
    lasts_s: int | None,
    generation: bool,
) -> list[LimitDocument]:
    if unit not in ("A", "W"):
        raise RpcError(f"'unit' must be A or W, not {unit[:20]!r}", INVALID_PARAMS)
    limit = ExternalLimit(_source(source), evse, RateUnit(unit), periods, lasts_s, generation)
    refusal = charging.constrain(limit)
    if refusal is not None:
        raise RpcError(refusal.text)
    return [_document(state) for state in charging.external()]


def _period(values: object) -> Period:
    start_s = values.get("start_s") if isinstance(values, dict) else None
    limit = values.get("limit") if isinstance(values, dict) else None
    if type(start_s) is not int or isinstance(limit, bool) or not isinstance(limit, int | float):
        raise RpcError("each of 'periods' is like {'start_s': 0, 'limit': 16}", INVALID_PARAMS)
    return Period(start_s, _number(limit))


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise RpcError("'limit' is too large", INVALID_PARAMS) from None


def _source(word: str) -> Source:
    sources = {source.value: source for source in Source if source is not Source.CSO}
    if word not in sources:
        raise RpcError(f"'source' must be one of {', '.join(sources)}, not {word[:20]!r}", INVALID_PARAMS)
    return sources[word]


def _document(state: ExternalState) -> LimitDocument:
    profile = state.profile
    return {
        "evse": state.evse,
        "source": profile.source.value,
        "unit": profile.schedule.unit.value,
        "limit": state.limit,
        "generation": state.generation,
        "until": None if profile.valid_to_s is None else moment(profile.valid_to_s),
    }
