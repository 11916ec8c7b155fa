"""Which way to talk to the network by, with which credentials; and how a change of that is tried before it is believed.

The ways lie in numbered slots and are tried in an order (``agent.ocpp.slots``). What the network changes remotely (its
AuthorizationKey, the security profile, the network itself, or the order) begins as a *trial*: it is written down,
tried, and becomes the rule only when a network has answered on a connection made that way. Otherwise the old way comes
back by itself.

- A **move** to another network is tried for a bounded time, then given up. Its proof is an accepted BootNotification.
  A power cut in the middle begins the trial again, at most ``MAX_STARTS`` times.
- A new **key** or **profile** stays beside the old one until either is proved: after some tries they take turns. So an
  outage in the middle locks nobody out, whichever of the two the network knows when it is back.
- A new **order** of the slots, or new contents of one in it, waits for the next start of the agent (OCPP 2.x B10). Then
  each way gets its tries, first to last; an accepted BootNotification by any of them is the proof. When all have
  failed, the last way that worked is the rule again. Restarts in the middle count as above.

Pure but for ``networks.json``, which holds passwords: it is written atomically and readable by its owner only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.config.schema import Config
from agent.ocpp.move_request import DEFAULT_WAIT_S, check_prerequisites, read_move
from agent.ocpp.network_profile import NetworkProfile, ProposalError, configured, password_forms
from agent.ocpp.slots import Slots
from agent.ocpp.trials import DEFAULT_PROOF_S, Trial, TrialKind, Verdict, document_of, told_of, trial_of, with_spare
from agent.ocpp.wanted_order import WantedOrder, wanted_of
from agent.security.files import SecretFileError, write_secret

__all__ = ["DEFAULT_PROOF_S", "DEFAULT_WAIT_S", "MAX_STARTS", "Networks", "Trial", "TrialKind", "Verdict"]

LOGGER = logging.getLogger(__name__)

TRIES_BEFORE_TURNS = 3
"""Tries of a new key or profile before the old one gets its turn."""

MAX_STARTS = 3
"""Restarts of the agent that a trial of another network survives."""


class Networks:
    """Times are monotonic seconds. Errors of the file are raised by the proposals only."""

    def __init__(self, config: Config, path: Path | None, attempts: Callable[[], int] | None = None) -> None:
        """``path`` of ``networks.json``; None keeps nothing (a charge point that is never changed remotely).

        ``attempts``: tries of one way before the next; those of the configuration when left out.
        """
        self._path = path
        self._attempts = attempts or (lambda: config.ocpp.network_attempts)
        found = [profile for profile in configured(config) if profile.url]
        self._may_lower = config.ocpp.allow_profile_downgrade
        self._first = found[0].digest() if found else ""
        self.slots = Slots(found)
        self._trial: Trial | None = None
        self._last: dict[str, Any] = {}
        self._books = found[0].operator if found else ""
        self._good: int | None = None
        """Slot of the way by which a network accepted us last."""
        self._wanted = WantedOrder()
        self._began_at: float | None = None
        self._waiting_since: float | None = None
        self._turn = 0
        self._index = 0
        self._failures = 0
        self._load()

    # ---- where to connect ----

    @property
    def known(self) -> bool:
        """Whether there is any network at all."""
        return bool(self._first)

    @property
    def trial(self) -> Trial | None:
        return self._trial

    @property
    def waiting(self) -> bool:
        """A move waits for sessions to end before it begins."""
        return self._trial is not None and self._trial.kind is TrialKind.MOVE and self._trial.wait_s > 0

    @property
    def active(self) -> int:
        """Slot of the way to connect by now."""
        if self._trial is not None and self._trial.kind is TrialKind.PRIORITY:
            return self.priority[self._place(self._trial)]
        return self._slot()

    @property
    def may_lower(self) -> bool:
        """From security profile 3 to 2, where OCPP 2.1 is spoken."""
        return self._may_lower

    @property
    def priority(self) -> tuple[int, ...]:
        """The order that the network has asked for last, tried or not."""
        return self.slots.priority if self._wanted.priority is None else self._wanted.priority

    def ways(self) -> list[NetworkProfile]:
        """Every way, in the order in which they are tried."""
        return self.slots.ways()

    def settled(self) -> NetworkProfile:
        """The way that is the rule, whatever is being tried."""
        return self.slots.ways()[self._index]

    def current(self) -> NetworkProfile:
        """The way to connect by now."""
        trial = self._trial
        if trial is None or self.waiting:
            return self.settled()
        if trial.kind is TrialKind.PRIORITY:
            return trial.candidates[self._place(trial)]
        forms = len(trial.candidates)
        if trial.kind is TrialKind.MOVE or self._turn < TRIES_BEFORE_TURNS:
            return trial.candidates[self._turn % forms]
        turn = self._turn % (forms + 1)
        return trial.candidates[turn] if turn < forms else self.settled()

    def _place(self, trial: Trial) -> int:
        return min(self._turn // self._attempts(), len(trial.candidates) - 1)

    @property
    def tries(self) -> int:
        """Failed tries in a row; chooses among several certificates of our own."""
        return self._failures

    def failed(self) -> None:
        """A try to connect, or the connection before it was proved, has failed."""
        self._failures += 1
        if self._trial is not None and not self.waiting:
            place = self.current()
            self._turn += 1
            if self._trial.kind is TrialKind.PRIORITY and self.current() != place:
                self._began_at = None
        elif self._failures % self._attempts() == 0 and len(self.slots.ways()) > 1:
            self._index = (self._index + 1) % len(self.slots.ways())

    def accepted(self, used: NetworkProfile) -> bool:
        """A network has registered us. Return True when it is another operator's than before: the numbers that
        the old one gave to transactions mean nothing to it."""
        if used in self.slots.ways():
            good = self.slots.priority[self.slots.ways().index(used)]
            if self._good != good:
                self._good = good
                self._save_quietly()
        if used.operator == self._books:
            return False
        self._books = used.operator
        self._save_quietly()
        return True

    # ---- trials ----

    def begin_wake(self, now: float) -> float | None:
        """When a move must be given up, or must wait no longer, or a new order must go on; None: never."""
        trial = self._trial
        if trial is None or not trial.kind.needs_boot:
            return None
        if self.waiting:
            if self._waiting_since is None:
                self._waiting_since = now
            return self._waiting_since + trial.wait_s
        if self._began_at is None:
            self._began_at = now
        return self._began_at + trial.within_s

    def advance(self, now: float, books_settled: Callable[[], bool]) -> Verdict | None:
        """Begin a move that has waited enough, or give up a change that was not proved in time."""
        wake = self.begin_wake(now)
        trial = self._trial
        if wake is None or trial is None:
            return None
        if self.waiting:
            if now >= wake or books_settled():
                self._trial = replace(trial, wait_s=0.0)
                self._began_at, self._turn = now, 0
                self._save_quietly()
            return None
        if trial.kind is TrialKind.PRIORITY:
            if now >= wake:  # on to the next way
                self._turn = (self._place(trial) + 1) * self._attempts()
                self._began_at = now
            if self._turn < len(trial.candidates) * self._attempts():
                return None
            return self._give_up("no way of the new order led to an accepted BootNotification")
        if now < wake:
            return None
        return self._give_up(f"no accepted BootNotification within {trial.within_s:g} s")

    def proved(self, used: NetworkProfile) -> Verdict | None:
        """A network has answered on a connection made this way. Return how a trial ended by it, if one did."""
        self._failures = 0
        trial = self._trial
        if trial is None or self.waiting:
            return None
        if used in trial.candidates:
            self._adopt(trial, used)
            return self._ended(Verdict(trial.kind, True, used, "proved"))
        if not trial.kind.needs_boot and used == self.settled():
            return self._give_up("the network took the old one and not the new one")
        return None

    # ---- proposals ----

    def propose_key(self, text: str, read: Callable[[str], list[bytes]] = password_forms) -> bool:
        """A new AuthorizationKey. Return True when it is tried now, False when no connection uses it yet.

        ``read`` gives its readings, likeliest first. Raises ProposalError, SecretFileError.
        """
        self._no_other_trial()
        forms = read(text)
        base = self.settled()
        wanted = replace(base, password=forms[0], spare_password=forms[1] if len(forms) > 1 else b"")
        if base.security_profile not in (1, 2):
            # Nothing to prove it by: kept for the day when the profile is raised.
            self.slots.override(self._slot(), wanted)
            self._save()
            return False
        self._propose(Trial(TrialKind.KEY, with_spare(wanted)))
        return True

    def propose_profile(self, level: int, has_root: bool, has_certificate: bool) -> None:
        """Raise the security profile (A05). Raises ProposalError, SecretFileError."""
        self._no_other_trial()
        base = self.settled()
        if not 0 <= level <= 3:
            raise ProposalError(f"SecurityProfile {level}: there are 0 to 3")
        if level <= base.security_profile:
            raise ProposalError(f"SecurityProfile {level}: it is {base.security_profile}, and may only be raised")
        wanted = replace(base, security_profile=level)
        check_prerequisites(wanted, has_root or base.ca_file is not None, has_certificate)
        self._propose(Trial(TrialKind.PROFILE, with_spare(wanted)))

    def propose_move(
        self,
        request: dict[str, Any],
        has_root: bool,
        has_certificate: bool,
    ) -> None:
        """Move to another network. Fields: docs/security.md. Raises ProposalError, SecretFileError."""
        self._no_other_trial()
        wanted, within_s, wait_s = read_move(request, self.settled())
        check_prerequisites(wanted, has_root or wanted.ca_file is not None, has_certificate)
        if wanted.route == self.settled().route:
            raise ProposalError("this is the network that is in use")
        self._propose(Trial(TrialKind.MOVE, with_spare(wanted), within_s, wait_s))

    def write_slot(self, number: int, profile: NetworkProfile) -> None:
        """New contents for a slot (B09). What is in the order is touched by the next start of the agent only.

        Without a password of its own it takes that of the way in use. Raises ProposalError, SecretFileError.
        """
        if not self.known or number not in self.slots.numbers:  # B09.FR.05
            numbers = self.slots.numbers
            raise ProposalError(f"slot {number}: there are {numbers[0]} to {numbers[-1]}")
        self._no_lower(profile.security_profile)
        self._no_other_network()
        before = self._contents()
        if number in self.slots.priority:
            self._wanted.contents[number] = profile
            self._wanted.starts = 0
        else:
            self.slots.write(number, profile)
        self._save_or(before)

    def slot(self, number: int) -> NetworkProfile | None:
        """What a slot holds, or shall hold after the next start."""
        return self._wanted.contents.get(number) or self.slots.held(number)

    def propose_priority(self, numbers: Sequence[int], has_root: bool, has_certificate: bool) -> bool:
        """Another order (B10). Return True when it waits for the next start of the agent, False when it is in force.

        Raises ProposalError, SecretFileError.
        """
        if not self.known or not numbers or len(set(numbers)) != len(numbers):
            raise ProposalError("give at least one slot, and each once")
        self._no_other_network()
        for number in numbers:
            profile = self.slot(number) if number in self.slots.numbers else None
            if profile is None or not profile.url:  # B10.FR.02
                raise ProposalError(f"slot {number} holds no way to a network; set it first")
            self._no_lower(profile.security_profile)
            root = has_root or profile.ca_file is not None
            check_prerequisites(self._resolved(profile), root, has_certificate)
        before = self._contents()
        present = self.slots.priority
        if (
            not self._wanted.contents
            and list(numbers) == [one for one in present if one in numbers]
            and self._slot() in numbers
        ):
            # B09.FR.20 (2.1): slots are only left out, and the way in use is not among them.
            index = list(numbers).index(self._slot())
            self.slots.set_priority(numbers)
            self._index, self._wanted.priority = index, None
            self._save_or(before)
            return False
        self._wanted.priority, self._wanted.starts = tuple(numbers), 0
        self._save_or(before)
        return True

    def status(self) -> dict[str, Any]:
        """How things stand, without secrets, for whoever asked for a change."""
        used, trial = self.settled(), self._trial
        return {
            "url": used.address,
            "identity": used.identity,
            "securityProfile": used.security_profile,
            "versions": list(used.versions),
            "trial": None if trial is None else told_of(trial, waiting=self.waiting),
            "last": self._last or None,
        }

    # ---- inside ----

    def _slot(self) -> int:
        return self.slots.priority[self._index]

    def _no_lower(self, level: int) -> None:
        """B09.FR.04; 2.1 B09.FR.31, FR.32"""
        used = self.settled()
        present = used.security_profile
        lowered = self._may_lower and "ocpp2.1" in used.versions and (present, level) == (3, 2)
        if level < present and not lowered:
            raise ProposalError(f"securityProfile {level} is below {present}; it may only be raised")

    def _resolved(self, profile: NetworkProfile) -> NetworkProfile:
        """OCPP 2.0.1 knows one BasicAuthPassword for all profiles."""
        if profile.password or profile.security_profile not in (1, 2):
            return profile
        return replace(profile, password=self.settled().password)

    def _no_other_trial(self) -> None:
        if not self.known:
            raise ProposalError("no network is configured")
        if self._trial is not None:
            raise ProposalError(f"another change ({self._trial.kind.value}) is being tried; wait until it is decided")

    def _no_other_network(self) -> None:
        if self._trial is not None and self._trial.kind.needs_boot:
            self._no_other_trial()

    def _propose(self, trial: Trial) -> None:
        self._trial = trial
        self._began_at = self._waiting_since = None
        self._turn = 0
        try:
            self._save()
        except SecretFileError:
            self._trial = None
            raise

    def _adopt(self, trial: Trial, used: NetworkProfile) -> None:
        if trial.kind is TrialKind.PRIORITY:
            self._adopt_order(trial, used)
            return
        used = replace(used, spare_password=b"")
        if trial.kind is TrialKind.MOVE:
            self.slots.write(self.slots.priority[0], used)
            self._index = 0
            self._wanted = WantedOrder()
            return
        self.slots.override(self._slot(), used)

    def _adopt_order(self, trial: Trial, used: NetworkProfile) -> None:
        level = self.settled().security_profile
        order = self.priority
        slot = order[trial.candidates.index(used)]
        for number, profile in zip(order, trial.candidates, strict=True):
            if profile != self.slots.profile(number):
                self.slots.write(number, profile)
        self.slots.set_priority(order)
        if used.security_profile > level:
            self.slots.drop_below(used.security_profile)  # A05.FR.06
        self._index = self.slots.priority.index(slot)
        self._good = slot
        self._wanted = WantedOrder()

    def _give_up(self, reason: str) -> Verdict:
        trial = self._trial
        assert trial is not None
        if trial.kind is TrialKind.PRIORITY:
            # B10.FR.07: the last way that worked.
            order = self.slots.priority
            for number, profile in self._wanted.contents.items():
                if number not in order:
                    self.slots.write(number, profile)
            self._wanted = WantedOrder()
            self._index = order.index(self._good) if self._good in order else 0
        return self._ended(Verdict(trial.kind, False, trial.candidates[0], reason))

    def _ended(self, verdict: Verdict) -> Verdict:
        self._trial = None
        self._turn = self._failures = 0
        self._began_at = self._waiting_since = None
        self._last = verdict.told()
        self._save_quietly()
        return verdict

    # ---- the file ----

    def _load(self) -> None:
        if self._path is None or not self._path.exists():
            return
        try:
            kept = json.loads(self._path.read_text("utf-8"))
            self.slots.load(kept)
            self._last = dict(kept["last"])
            self._books = str(kept["books"])
            self._good = kept.get("good")
            if kept["trial"] is not None and kept["first"] == self._first:
                self._take_up(trial_of(kept["trial"]))
            if kept["first"] == self._first:
                self._wanted = wanted_of(kept.get("wanted"))
                self._try_wanted()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            LOGGER.error("%s: cannot be used (%s); the configuration file holds alone", self._path, error)
            self.slots.forget()
            self._trial = None
            self._wanted = WantedOrder()

    def _take_up(self, trial: Trial) -> None:
        trial = replace(trial, starts=trial.starts + 1)
        self._trial = trial
        if trial.kind is TrialKind.MOVE and not self.waiting and trial.starts > MAX_STARTS:
            self._give_up(f"not proved in {MAX_STARTS} starts of the agent")
            return
        self._save_quietly()

    def _try_wanted(self) -> None:
        """Begin what waited for this start, unless something else is being tried (B10.FR.04)."""
        if self._trial is not None or not self._wanted:
            return
        found = [self.slot(number) for number in self.priority]
        candidates = tuple(self._resolved(profile) for profile in found if profile is not None and profile.url)
        if not candidates or len(candidates) != len(found):
            LOGGER.error("%s: the new order names a slot that holds nothing; it is forgotten", self._path)
            self._wanted = WantedOrder()
            return
        self._wanted.starts += 1
        self._trial = Trial(TrialKind.PRIORITY, candidates, starts=self._wanted.starts)
        if self._wanted.starts > MAX_STARTS:
            self._give_up(f"not proved in {MAX_STARTS} starts of the agent")
            return
        self._save_quietly()

    def _contents(self) -> dict[str, Any]:
        return json.loads(json.dumps(self._document()))  # type: ignore[no-any-return]

    def _save_or(self, before: dict[str, Any]) -> None:
        """Raises SecretFileError; all is as it was then."""
        try:
            self._save()
        except SecretFileError:
            self.slots.forget()
            self.slots.load(before)
            self._wanted = wanted_of(before["wanted"])
            self._index = min(self._index, len(self.slots.ways()) - 1)
            raise

    def _save_quietly(self) -> None:
        try:
            self._save()
        except SecretFileError as error:
            LOGGER.error("%s", error)

    def _document(self) -> dict[str, Any]:
        trial = self._trial
        return {
            "first": self._first,
            **self.slots.documents(),
            "last": self._last,
            "books": self._books,
            "good": self._good,
            # A new order is begun anew from what is wanted.
            "trial": None if trial is None or trial.kind is TrialKind.PRIORITY else document_of(trial),
            "wanted": self._wanted.document(),
        }

    def _save(self) -> None:
        if self._path is not None:
            write_secret(self._path, json.dumps(self._document(), indent=1).encode())
