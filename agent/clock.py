"""The agent's two clocks: monotonic time for every timer, and wall time with its quality for records.

The agent has no right to set the system's clock (and needs none): it keeps its own offset between the monotonic
clock and UTC. The offset comes from the system clock until the operator's network gives a better one, and outlives
the process (``Journal.boot_offset``). A step of the system clock therefore never moves a timer or a record.

How far the network's clock is believed:

- It was read between our question and its answer, so a clock of ours that lies in between (with ``SLACK_S``) stands.
  A slow link cannot push it.
- The first time that the network tells in a boot is taken: OCPP makes it the reference, and nothing contradicts it.
- After that, a jump that no drift explains is a network with a wrong clock until it has told the same
  ``CLAIMS`` times over ``CLAIM_S``. Meanwhile ours goes on.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.journal.events import Stamp

LOGGER = logging.getLogger(__name__)

SLACK_S = 0.5
"""A clock may read so much outside what the network said: nobody's clock is better."""

WHOLE_SECOND_S = 1.0
"""Many networks cut off the fraction of the second, so they may be behind by this."""

JUMP_S = 60.0
"""A correction beyond this, once the clock was set, has to be told again before it is taken."""

DRIFT = 200e-6
"""How much a cheap crystal may drift at most, as a fraction; an absence of a week explains two minutes."""

CLAIMS = 3
CLAIM_S = 3600.0

EARLIEST_PLAUSIBLE_UTC_S = 1_735_689_600.0
"""2025-01-01. A clock before this was never set (no RTC, or an empty battery)."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, in both clocks. Passed into every step of the station so that its core needs no clock."""

    monotonic_s: float
    utc_s: float
    synced: bool
    boot: str

    def stamp(self, monotonic_s: float | None = None) -> Stamp:
        """Stamp something that happened at ``monotonic_s`` (now when None)."""
        at = self.monotonic_s if monotonic_s is None else monotonic_s
        return Stamp(self.boot, at, self.utc_at(at), self.synced)

    def utc_at(self, monotonic_s: float) -> float:
        """Wall time, in seconds since 1970, of a moment of the monotonic clock of this boot."""
        return self.utc_s - (self.monotonic_s - monotonic_s)


@dataclass(slots=True)
class _Claim:
    """A jump that the network insists on."""

    offset_s: float
    since_s: float
    told: int = 1


class Clock:
    """Keeps the offset from monotonic to wall time. ``now()`` gives the Moment."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        utc: Callable[[], float] = time.time,
        boot: str = "",
    ) -> None:
        self._monotonic = monotonic
        self._offset_s = utc() - monotonic()
        self._synced = False
        self._agreed_at = monotonic()
        self._claim: _Claim | None = None
        self.boot = boot or boot_id()

    def now(self) -> Moment:
        at = self._monotonic()
        return Moment(at, at + self._offset_s, self._synced, self.boot)

    @property
    def offset_s(self) -> float:
        """UTC minus monotonic time, in seconds."""
        return self._offset_s

    @property
    def plausible(self) -> bool:
        return self._monotonic() + self._offset_s >= EARLIEST_PLAUSIBLE_UTC_S

    def adopt(self, offset_s: float | None) -> None:
        """Take what an earlier process of this boot learnt from the network; None: nothing.

        A start told before and after a restart of the agent must carry the same time to the millisecond, or the
        network takes it for two.
        """
        if offset_s is not None:
            self._offset_s = offset_s
            self._synced = True

    def told_by_hand(self, utc_s: float) -> None:
        """Take a person's word for the time until a network tells it: better than a clock that was never set."""
        if not self._synced:
            self._offset_s = utc_s - self._monotonic()

    def network_time(self, utc_s: float, took_s: float = 0.0) -> bool:
        """Hear the network's time, answered ``took_s`` after the question.

        Return True when records of this boot must be corrected by the new offset.
        """
        at = self._monotonic()
        here = at + self._offset_s
        off_s = max(utc_s - SLACK_S - here, here - (utc_s + took_s + max(SLACK_S, WHOLE_SECOND_S)), 0.0)
        if off_s == 0.0:
            first, self._synced = not self._synced, True
            self._agreed_at, self._claim = at, None
            return first
        offset_s = utc_s + took_s / 2 - at
        if self._synced and off_s > JUMP_S + DRIFT * (at - self._agreed_at) and not self._insists(offset_s, at):
            return False
        self._offset_s, self._synced, self._agreed_at, self._claim = offset_s, True, at, None
        return True

    def _insists(self, offset_s: float, at: float) -> bool:
        """Tell whether the network has told this jump often and long enough to be believed."""
        claim = self._claim
        if claim is None or abs(offset_s - claim.offset_s) > JUMP_S:
            self._claim = _Claim(offset_s, at)
            LOGGER.warning(
                "the network's clock jumped by %.0f s; ours goes on unless it tells the same for %.0f minutes",
                offset_s - self._offset_s,
                CLAIM_S / 60,
            )
            return False
        claim.told += 1
        return claim.told >= CLAIMS and at - claim.since_s >= CLAIM_S


def boot_id() -> str:
    """Return what tells this boot of the machine from every other; a fresh value where the kernel hides its own."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return str(uuid.uuid4())
