"""An update from order to outcome. Pure: no clock, no I/O; facts go in, actions come out.

    SCHEDULED → DOWNLOADING ⇄ PAUSED → VERIFYING → WAITING → INSTALLING → RESTARTING → PROVING
                                      (if signed)                      (if needed)

Its document is kept at each change, so a restart at any point goes on from there or tells truly what failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from agent.clock import Moment
from agent.files.attempts import Attempts
from agent.update.order import (
    Action,
    CallOff,
    Confirm,
    Discard,
    Download,
    FirmwareStatus,
    HoldBack,
    Install,
    InstallResult,
    Keep,
    Order,
    OrderAnswer,
    Report,
    RestartNow,
    RollBack,
    Tell,
    Verify,
)

MAX_INSTALLS = 2
"""An installation that a restart interrupted is begun once more."""

LONGEST_WAIT_S = 60.0
"""Dates are looked at again at least so often, because the wall clock may be corrected meanwhile."""


class Phase(Enum):
    SCHEDULED = "scheduled"
    DOWNLOADING = "downloading"
    PAUSED = "paused"
    VERIFYING = "verifying"
    WAITING = "waiting"
    INSTALLING = "installing"
    RESTARTING = "restarting"
    PROVING = "proving"


_STATUS = {
    Phase.SCHEDULED: FirmwareStatus.DOWNLOAD_SCHEDULED,
    Phase.DOWNLOADING: FirmwareStatus.DOWNLOADING,
    Phase.PAUSED: FirmwareStatus.DOWNLOAD_PAUSED,
    Phase.VERIFYING: FirmwareStatus.DOWNLOADED,
    Phase.WAITING: FirmwareStatus.INSTALL_SCHEDULED,
    Phase.INSTALLING: FirmwareStatus.INSTALLING,
    Phase.RESTARTING: FirmwareStatus.INSTALL_REBOOTING,
    Phase.PROVING: FirmwareStatus.INSTALL_REBOOTING,
}

_CAN_BE_CALLED_OFF = (Phase.SCHEDULED, Phase.DOWNLOADING, Phase.PAUSED, Phase.VERIFYING, Phase.WAITING)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the machine looks at in each step."""

    moment: Moment
    busy: bool
    """A transaction is open at some EVSE."""
    healthy: bool
    """Control answers in its budget, and the network has accepted us (or there is none)."""
    online: bool = True
    """The network has accepted us, or there is none."""
    offline_sane: bool = False
    """Nothing is wrong but that the network cannot be reached."""
    new_sessions: bool = False
    """Drivers may begin to charge while an installation waits for others to be done."""


@dataclass(frozen=True, slots=True)
class Rules:
    can_confirm: bool
    can_roll_back: bool
    health_s: float
    """A new version must be healthy so soon after its start."""
    steady_s: float = 0.0
    """And must have been so for so long without a break before it stays."""


class Machine:
    """Call ``recovered`` once, then what happens, then ``step``; each returns what to do now."""

    def __init__(self, rules: Rules, kept: Mapping[str, Any] | None) -> None:
        self._rules = rules
        self._actions: list[Action] = []
        self._again_at: float | None = None
        self._prove_by: float | None = None
        self._well_since: float | None = None
        self._held = False
        self._asked = False
        """Confirm or RollBack is under way."""
        self.phase: Phase | None = None
        self.order: Order | None = None
        self._attempts = Attempts(0, 0.0)
        self._installs = 0
        self._told_waiting = False
        self._checked = False
        self._rolled_back = False
        self._was_online = True
        """The network was there when the installation began."""
        if kept is not None:
            self._read(kept)

    def _read(self, kept: Mapping[str, Any]) -> None:
        try:
            self.order = Order(**kept["order"])
            self._attempts = Attempts.from_document(kept["attempts"])
            self._installs = int(kept["installs"])
            self._checked = bool(kept["checked"])
            self._told_waiting = bool(kept["told_waiting"])
            self._rolled_back = bool(kept["rolled_back"])
            self._was_online = bool(kept.get("was_online", True))
            self.phase = Phase(kept["phase"])
        except (KeyError, TypeError, ValueError):
            self.order = self.phase = None

    @property
    def status(self) -> FirmwareStatus:
        """What is going on now, for whoever asks."""
        return FirmwareStatus.IDLE if self.phase is None else _STATUS[self.phase]

    # ---- what happens -----------------------------------------------------------------------------------------------

    def recovered(self, facts: Facts) -> list[Action]:
        """The agent has just started."""
        if self.phase in (Phase.DOWNLOADING, Phase.PAUSED):
            self._enter(Phase.PAUSED)
            self._again_at = facts.moment.monotonic_s
        elif self.phase is Phase.VERIFYING:
            self._verify()
        elif self.phase is Phase.WAITING and self.order is not None and self.order.signed:
            # Days may have passed, and power may have gone: what is installed must be what was signed.
            self._enter(Phase.VERIFYING)
            self._verify()
        elif self.phase in (Phase.INSTALLING, Phase.RESTARTING, Phase.PROVING):
            self._hold(True)
            self._prove_by = facts.moment.monotonic_s + self._rules.health_s
            self._asked = False
            if self.phase is Phase.INSTALLING and not self._rules.can_confirm:
                self._install_again()
            elif self.phase is not Phase.INSTALLING:
                self._enter(Phase.PROVING)
        return [*self._take(), *self.step(facts)]

    def ordered(self, order: Order, facts: Facts) -> tuple[OrderAnswer, list[Action]]:
        """The network orders an update."""
        answer = OrderAnswer.ACCEPTED
        if self.phase is not None:
            if order == self.order:
                return OrderAnswer.ACCEPTED, []
            if self.phase not in _CAN_BE_CALLED_OFF:
                return OrderAnswer.REJECTED, []
            answer = OrderAnswer.REPLACED
            self._do(CallOff())
            self._hold(False)
        self._do(Discard())
        self.order, self._attempts = order, Attempts(order.retries, order.interval_s)
        self._installs, self._told_waiting, self._checked, self._rolled_back = 0, False, False, False
        self._again_at = None
        self._enter(Phase.SCHEDULED)
        if order.retrieve_utc_s > facts.moment.utc_s:
            self._tell(FirmwareStatus.DOWNLOAD_SCHEDULED)
        return answer, [*self._take(), *self.step(facts)]

    def download_ended(self, problem: str, final: bool, facts: Facts) -> list[Action]:
        """``problem`` empty: the file is there. ``final``: no further try can help."""
        if self.phase is not Phase.DOWNLOADING or self.order is None:
            return []
        if not problem:
            self._tell_after(Phase.VERIFYING if self.order.signed else Phase.WAITING, FirmwareStatus.DOWNLOADED)
            if self.order.signed:
                self._verify()
            return [*self._take(), *self.step(facts)]
        self._again_at = None if final else self._attempts.next_at(facts.moment.monotonic_s)
        if self._again_at is None:
            self._over(FirmwareStatus.DOWNLOAD_FAILED)
            return self._take()
        self._tell_after(Phase.PAUSED, FirmwareStatus.DOWNLOAD_PAUSED)
        return [*self._take(), *self.step(facts)]

    def verified(self, problem: str, facts: Facts) -> list[Action]:
        """``problem`` empty: the file bears the signature that was ordered."""
        if self.phase is not Phase.VERIFYING:
            return []
        if problem:
            self._do(Report("InvalidFirmwareSignature", problem))
            self._over(FirmwareStatus.INVALID_SIGNATURE)
            return self._take()
        first, self._checked = not self._checked, True
        if first:
            self._tell_after(Phase.WAITING, FirmwareStatus.SIGNATURE_VERIFIED)
        else:
            self._enter(Phase.WAITING)
        return [*self._take(), *self.step(facts)]

    def installed(self, result: InstallResult) -> list[Action]:
        if self.phase is not Phase.INSTALLING:
            return []
        if result is InstallResult.INSTALLED:
            self._success()
        elif result is InstallResult.RESTART_NEEDED:
            self._tell_after(Phase.RESTARTING, FirmwareStatus.INSTALL_REBOOTING)
            self._do(RestartNow())
        elif result is InstallResult.VERIFICATION_FAILED:
            self._over(FirmwareStatus.INSTALL_VERIFICATION_FAILED)
        else:
            self._over(FirmwareStatus.INSTALLATION_FAILED)
        return self._take()

    def confirmed(self, running: bool, facts: Facts) -> list[Action]:
        """Whether the new version runs."""
        self._asked = False
        if self.phase is Phase.INSTALLING and not running:
            self._install_again()
        elif self.phase in (Phase.INSTALLING, Phase.PROVING):
            if running and not self._rolled_back:
                self._success()
            else:
                self._over(FirmwareStatus.INSTALLATION_FAILED)
        return [*self._take(), *self.step(facts)]

    def rolled_back(self, restart: bool) -> list[Action]:
        """The old version is in its place again; ``restart``: and has yet to be started."""
        self._asked = False
        if self.phase is Phase.PROVING:
            self._over(FirmwareStatus.INSTALLATION_FAILED)
            if restart:
                self._do(RestartNow())
        return self._take()

    def step(self, facts: Facts) -> list[Action]:
        """Time has passed, or a fact may have changed."""
        now, utc_s = facts.moment.monotonic_s, facts.moment.utc_s
        if self.order is None:
            return self._take()
        if (self.phase is Phase.SCHEDULED and utc_s >= self.order.retrieve_utc_s) or (
            self.phase is Phase.PAUSED and self._again_at is not None and now >= self._again_at
        ):
            self._again_at = None
            self._attempts.begin()
            self._tell_after(Phase.DOWNLOADING, FirmwareStatus.DOWNLOADING)
            self._do(Download(self.order))
        elif self.phase is Phase.WAITING:
            self._wait(facts)
        elif self.phase in (Phase.INSTALLING, Phase.PROVING) and self._prove_by is not None and not self._asked:
            self._prove(facts)
        return self._take()

    def next_wake(self, moment: Moment) -> float | None:
        """When ``step`` is due, in monotonic seconds; None: only when a fact changes."""
        if self.order is None:
            return None
        now = moment.monotonic_s
        if self.phase is Phase.SCHEDULED:
            return now + max(0.0, min(self.order.retrieve_utc_s - moment.utc_s, LONGEST_WAIT_S))
        if self.phase is Phase.PAUSED:
            return self._again_at
        if self.phase is Phase.WAITING:
            left = 0.0 if self.order.install_utc_s is None else self.order.install_utc_s - moment.utc_s
            return now + min(left, LONGEST_WAIT_S) if left > 0 else None
        if self.phase in (Phase.INSTALLING, Phase.PROVING) and self._prove_by is not None and not self._asked:
            return self._prove_by if self._well_since is None else self._well_since + self._rules.steady_s
        return None

    # ---- parts ------------------------------------------------------------------------------------------------------

    def _wait(self, facts: Facts) -> None:
        assert self.order is not None
        due = self.order.install_utc_s is None or facts.moment.utc_s >= self.order.install_utc_s
        if due:
            # OCPP 1.6 §5.19, L01.FR.07: what is free becomes unavailable until the installation is over.
            self._hold(not (facts.busy and facts.new_sessions))
        if due and not facts.busy:
            self._installs += 1
            self._was_online = facts.online
            self._tell_after(Phase.INSTALLING, FirmwareStatus.INSTALLING)
            self._do(Install())
        elif not self._told_waiting:
            self._told_waiting = True
            self._tell_after(Phase.WAITING, FirmwareStatus.INSTALL_SCHEDULED)

    def _prove(self, facts: Facts) -> None:
        assert self._prove_by is not None
        now = facts.moment.monotonic_s
        if facts.healthy:
            # One look is not enough: control tells every 10 s how punctual it was.
            self._well_since = now if self._well_since is None else self._well_since
            if now >= self._well_since + self._rules.steady_s:
                self._asked = True
                self._do(Confirm())
            return
        self._well_since = None
        if now >= self._prove_by:
            if facts.offline_sane and not self._was_online:
                # The old version had no network either: the new one is not to blame.
                self._asked = True
                self._do(Confirm())
            elif self.phase is Phase.INSTALLING:
                self._install_again()
            elif self._rules.can_roll_back and not self._rolled_back:
                self._asked = self._rolled_back = True
                self._enter(Phase.PROVING)
                self._do(RollBack())
            else:
                self._over(FirmwareStatus.INSTALLATION_FAILED)

    def _install_again(self) -> None:
        self._prove_by = None
        if self._installs >= MAX_INSTALLS:
            self._over(FirmwareStatus.INSTALLATION_FAILED)
            return
        signed = self.order is not None and self.order.signed
        self._enter(Phase.VERIFYING if signed else Phase.WAITING)
        if signed:
            self._verify()

    def _verify(self) -> None:
        assert self.order is not None
        self._do(Verify(self.order))

    def _success(self) -> None:
        self._do(Report("FirmwareUpdated", ""))
        self._over(FirmwareStatus.INSTALLED)

    def _over(self, status: FirmwareStatus) -> None:
        # The end and what is told of it are one commit: neither is lost without the other.
        self._actions.insert(0, Keep(None))
        self._tell(status)
        self.phase = self.order = None
        self._again_at = self._prove_by = None
        self._do(Discard())
        self._hold(False)

    def _hold(self, on: bool) -> None:
        if self._held is not on:
            self._held = on
            self._do(HoldBack(on))

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        assert self.order is not None
        self._do(
            Keep(
                {
                    "order": self.order.document(),
                    "phase": phase.value,
                    "attempts": self._attempts.document(),
                    "installs": self._installs,
                    "checked": self._checked,
                    "told_waiting": self._told_waiting,
                    "rolled_back": self._rolled_back,
                    "was_online": self._was_online,
                }
            )
        )

    def _tell_after(self, phase: Phase, status: FirmwareStatus) -> None:
        self._enter(phase)
        self._tell(status)

    def _tell(self, status: FirmwareStatus) -> None:
        order = self.order
        self._do(Tell(status, order.request if order else None, bool(order and order.signed)))

    def _do(self, action: Action) -> None:
        self._actions.append(action)

    def _take(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions
