"""Limits that the site sets, not the network: by its energy manager, or for the grid (OCPP 2 K11 to K13, 2.1 K27, K29).

Kept as charging profiles with numbers of their own, one for each source, EVSE and meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.station.charging.calendar import spans
from agent.station.charging.profile import (
    LARGEST_OWN_ID,
    Kind,
    Period,
    Profile,
    Purpose,
    RateUnit,
    Schedule,
    Source,
    Updates,
)

_SOURCES = (Source.EMS, Source.SO, Source.OTHER)


@dataclass(frozen=True, slots=True)
class ExternalLimit:
    """What may be drawn at an EVSE (0: by all together) from now on; or what is generated for it on top."""

    source: Source
    evse: int
    unit: RateUnit
    periods: tuple[Period, ...]
    """One: a limit that will be changed again. Several: a schedule from now on."""
    lasts_s: int | None = None
    """It lapses by itself after so long; None: when it is released."""
    generation: bool = False


def number_of(source: Source, evse: int, generation: bool) -> int:
    """Return the profile's number. ValueError for a source that is no external one."""
    return LARGEST_OWN_ID - _SOURCES.index(source) - len(_SOURCES) * (2 * evse + generation)


def profile_of(limit: ExternalLimit, utc_s: float) -> Profile:
    """Return it as a charging profile that begins now."""
    begin_s = int(utc_s)
    single = len(limit.periods) == 1
    return Profile(
        number_of(limit.source, limit.evse, limit.generation),
        0,
        Purpose.LOCAL_GENERATION if limit.generation else Purpose.EXTERNAL,
        Kind.DYNAMIC if single else Kind.ABSOLUTE,
        Schedule(limit.unit, limit.periods, None if single else begin_s, id=1),
        valid_to_s=None if limit.lasts_s is None else begin_s + limit.lasts_s,
        source=limit.source,
        updates=Updates(utc_s) if single else None,
    )


@dataclass(frozen=True, slots=True)
class ExternalState:
    """An external limit as it stands."""

    evse: int
    profile: Profile
    limit: float | None
    """Of now, in the unit of the profile's schedule; None: its schedule sets none now."""
    changes_at: float | None
    """When its schedule changes that (monotonic); None: never by itself."""

    @property
    def source(self) -> Source:
        return self.profile.source

    @property
    def generation(self) -> bool:
        return self.profile.purpose is Purpose.LOCAL_GENERATION


LOOK_S = 7 * 86_400
"""Changes of an external schedule are not looked for further ahead."""


def state_of(profile: Profile, evse: int, utc_s: float, now: float) -> ExternalState:
    """``utc_s`` and ``now`` (monotonic) are the same moment."""
    begin_s = int(utc_s)
    found = spans(profile, begin_s, begin_s + LOOK_S, None)
    limit: float | None = None
    change_s: int | None = None
    if found and found[0][0] <= begin_s:
        limit, change_s = found[0][2].limit, found[0][1]
    elif found:
        change_s = found[0][0]
    ahead = change_s is not None and change_s < begin_s + LOOK_S
    return ExternalState(evse, profile, limit, now + change_s - utc_s if ahead and change_s is not None else None)
