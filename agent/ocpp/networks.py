"""Which network to talk to, how, and with which credentials; and how a change of that is tried before it is believed.

The configured ways form an ordered list. What the network changes remotely (its AuthorizationKey, the security profile,
or the network itself) begins as a *trial*: it is written down, tried, and becomes the rule only when a network has
answered on a connection made that way. Otherwise the old way comes back by itself.

- A **move** to another network is tried for a bounded time, then given up. Its proof is an accepted BootNotification.
  A power cut in the middle begins the trial again, at most ``MAX_STARTS`` times.
- A new **key** or **profile** stays beside the old one until either is proved: after some tries they take turns. So an
  outage in the middle locks nobody out, whichever of the two the network knows when it is back.

Pure but for ``networks.json``, which holds passwords: it is written atomically and readable by its owner only.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from agent.config.schema import Config
from agent.ocpp.network_profile import (
    NetworkProfile,
    ProposalError,
    address_problem,
    configured,
    from_document,
    level_of,
    password_forms,
)
from agent.security.files import SecretFileError, write_secret

LOGGER = logging.getLogger(__name__)

TRIES_BEFORE_TURNS = 3
"""Tries of a new key or profile before the old one gets its turn."""

MAX_STARTS = 3
"""Restarts of the agent that a trial of another network survives."""

DEFAULT_PROOF_S = 300
DEFAULT_WAIT_S = 3600

_IDENTITY = re.compile(r"[A-Za-z0-9*_=+|@.-]{1,48}")
"""OCPP 2.0.1 part 4 §3.1.1, as for ocpp.identity."""


class TrialKind(Enum):
    MOVE = "move"
    KEY = "key"
    PROFILE = "profile"


@dataclass(frozen=True, slots=True)
class Trial:
    """A change that is not proved yet."""

    kind: TrialKind
    candidates: tuple[NetworkProfile, ...]
    """Forms of the new way, likeliest first."""
    within_s: float = DEFAULT_PROOF_S
    """A move is given up after this time."""
    wait_s: float = 0.0
    """A move waits at most so long for sessions to end and their records to be told."""
    starts: int = 0
    """Restarts of the agent since it began."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a trial ended."""

    kind: TrialKind
    kept: bool
    """The new way is the rule now."""
    profile: NetworkProfile
    """The new way."""
    reason: str


class Networks:
    """Times are monotonic seconds. Errors of the file are raised by the proposals only."""

    def __init__(self, config: Config, path: Path | None) -> None:
        """``path`` of ``networks.json``; None keeps nothing (a charge point that is never changed remotely)."""
        self._config = config
        self._path = path
        self._configured = [profile for profile in configured(config) if profile.url]
        self._overrides: dict[str, dict[str, Any]] = {}
        self._moved: dict[str, Any] | None = None
        self._trial: Trial | None = None
        self._last: dict[str, Any] = {}
        self._books = self._configured[0].operator if self._configured else ""
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
        return bool(self._configured)

    @property
    def trial(self) -> Trial | None:
        return self._trial

    @property
    def waiting(self) -> bool:
        """A move waits for sessions to end before it begins."""
        return self._trial is not None and self._trial.kind is TrialKind.MOVE and self._trial.wait_s > 0

    def ways(self) -> list[NetworkProfile]:
        """Every way, in the order in which they are tried."""
        return list(self._ways())

    def settled(self) -> NetworkProfile:
        """The way that is the rule, whatever is being tried."""
        return self._ways()[self._index]

    def current(self) -> NetworkProfile:
        """The way to connect by now."""
        trial = self._trial
        if trial is None or self.waiting:
            return self.settled()
        forms = len(trial.candidates)
        if trial.kind is TrialKind.MOVE or self._turn < TRIES_BEFORE_TURNS:
            return trial.candidates[self._turn % forms]
        turn = self._turn % (forms + 1)
        return trial.candidates[turn] if turn < forms else self.settled()

    @property
    def tries(self) -> int:
        """Failed tries in a row; chooses among several certificates of our own."""
        return self._failures

    def failed(self) -> None:
        """A try to connect, or the connection before it was proved, has failed."""
        self._failures += 1
        if self._trial is not None and not self.waiting:
            self._turn += 1
        elif self._failures % self._config.ocpp.network_attempts == 0 and len(self._ways()) > 1:
            self._index = (self._index + 1) % len(self._ways())

    def accepted(self, used: NetworkProfile) -> bool:
        """A network has registered us. Return True when it is another operator's than before: the numbers that
        the old one gave to transactions mean nothing to it."""
        if used.operator == self._books:
            return False
        self._books = used.operator
        self._save_quietly()
        return True

    # ---- trials ----

    def begin_wake(self, now: float) -> float | None:
        """When a move must be given up, or must wait no longer; None: never."""
        trial = self._trial
        if trial is None or trial.kind is not TrialKind.MOVE:
            return None
        if self.waiting:
            if self._waiting_since is None:
                self._waiting_since = now
            return self._waiting_since + trial.wait_s
        if self._began_at is None:
            self._began_at = now
        return self._began_at + trial.within_s

    def advance(self, now: float, books_settled: Callable[[], bool]) -> Verdict | None:
        """Begin a move that has waited enough, or give up one that was not proved in time."""
        wake = self.begin_wake(now)
        if wake is None or self._trial is None:
            return None
        if self.waiting:
            if now >= wake or books_settled():
                self._trial = replace(self._trial, wait_s=0.0)
                self._began_at, self._turn = now, 0
                self._save_quietly()
            return None
        if now < wake:
            return None
        return self._give_up(f"no accepted BootNotification within {self._trial.within_s:g} s")

    def proved(self, used: NetworkProfile) -> Verdict | None:
        """A network has answered on a connection made this way. Return how a trial ended by it, if one did."""
        self._failures = 0
        trial = self._trial
        if trial is None or self.waiting:
            return None
        if used in trial.candidates:
            self._adopt(trial, used)
            return self._ended(Verdict(trial.kind, True, used, "proved"))
        if trial.kind is not TrialKind.MOVE and used == self.settled():
            return self._give_up("the network took the old one and not the new one")
        return None

    def drop_trial(self, reason: str) -> Verdict | None:
        """Give a change up at once."""
        return self._give_up(reason) if self._trial is not None else None

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
            self._override(wanted)
            self._save()
            return False
        self._propose(Trial(TrialKind.KEY, _with_spare(wanted)))
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
        _check_prerequisites(wanted, has_root or base.ca_file is not None, has_certificate)
        self._propose(Trial(TrialKind.PROFILE, _with_spare(wanted)))

    def propose_move(
        self,
        request: dict[str, Any],
        has_root: bool,
        has_certificate: bool,
    ) -> None:
        """Move to another network. Fields: docs/security.md. Raises ProposalError, SecretFileError."""
        self._no_other_trial()
        wanted, within_s, wait_s = self._read_move(request)
        _check_prerequisites(wanted, has_root or wanted.ca_file is not None, has_certificate)
        if wanted.route == self.settled().route:
            raise ProposalError("this is the network that is in use")
        self._propose(Trial(TrialKind.MOVE, _with_spare(wanted), within_s, wait_s))

    def _read_move(self, request: dict[str, Any]) -> tuple[NetworkProfile, float, float]:
        base = self.settled()
        known = {
            "url": str,
            "tlsUrl": str,
            "identity": str,
            "password": str,
            "securityProfile": int,
            "operator": str,
            "provenWithin": int,
            "waitForSessions": int,
        }
        for name, value in request.items():
            if name not in known:
                raise ProposalError(f"{name[:40]!a} is not known here; there are {', '.join(known)}")
            if type(value) is not known[name]:
                raise ProposalError(f"{name} must be a {'text' if known[name] is str else 'whole number'}")
        url = request.get("url", "")
        for name, option in (("url", "url"), ("tlsUrl", "tls_url")):
            problem = address_problem(option, request.get(name, ""))
            if problem or (name == "url" and not url):
                raise ProposalError(f"{name} {problem or 'is missing'}")
        identity = request.get("identity", base.identity)
        if not _IDENTITY.fullmatch(identity):
            raise ProposalError("identity: 1 to 48 letters, digits and * - _ = + | @ . only")
        password = request.get("password", "")
        forms = password_forms(password) if password else [b""]
        level = request.get("securityProfile", level_of(url, password))
        if not 0 <= level <= 3:
            raise ProposalError(f"securityProfile {level}: there are 0 to 3")
        if level < base.security_profile:
            raise ProposalError(f"securityProfile {level} is below {base.security_profile}; it may only be raised")
        wanted = NetworkProfile(
            url,
            identity,
            level,
            request.get("tlsUrl", ""),
            forms[0],
            forms[1] if len(forms) > 1 else b"",
            base.ca_file,
            # Unless it is said to be the same one, a new network's operator knows nothing of our numbers.
            request.get("operator", f"{url} {identity}"),
        )
        within_s = _bounded("provenWithin", request.get("provenWithin", DEFAULT_PROOF_S), 1, 86_400)
        wait_s = _bounded("waitForSessions", request.get("waitForSessions", DEFAULT_WAIT_S), 0, 7 * 86_400)
        return wanted, within_s, wait_s

    def status(self) -> dict[str, Any]:
        """How things stand, without secrets, for whoever asked for a change."""
        used = self.settled()
        answer: dict[str, Any] = {
            "url": used.address,
            "identity": used.identity,
            "securityProfile": used.security_profile,
            "trial": None,
            "last": self._last or None,
        }
        if self._trial is not None:
            answer["trial"] = {
                "kind": self._trial.kind.value,
                "url": self._trial.candidates[0].address,
                "waiting": self.waiting,
            }
        return answer

    # ---- inside ----

    def _no_other_trial(self) -> None:
        if not self.known:
            raise ProposalError("no network is configured")
        if self._trial is not None:
            raise ProposalError(f"another change ({self._trial.kind.value}) is being tried; wait until it is decided")

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
        used = replace(used, spare_password=b"")
        if trial.kind is TrialKind.MOVE:
            self._moved = {"over": self._configured[0].digest(), "profile": used.document()}
            self._index = 0
            # Whatever had been changed at the old one is of the past.
            self._overrides.pop(self._configured[0].digest(), None)
            return
        self._override(used)

    def _override(self, wanted: NetworkProfile) -> None:
        if self._moved is not None and self._index == 0:
            self._moved = {**self._moved, "profile": wanted.document()}
            return
        key = self._configured[self._index].digest()
        document = wanted.document()
        self._overrides[key] = {name: document[name] for name in ("password", "spare_password", "security_profile")}

    def _give_up(self, reason: str) -> Verdict:
        assert self._trial is not None
        return self._ended(Verdict(self._trial.kind, False, self._trial.candidates[0], reason))

    def _ended(self, verdict: Verdict) -> Verdict:
        self._trial = None
        self._turn = self._failures = 0
        self._began_at = self._waiting_since = None
        self._last = {
            "kind": verdict.kind.value,
            "url": verdict.profile.address,
            "kept": verdict.kept,
            "reason": verdict.reason,
        }
        self._save_quietly()
        return verdict

    def _ways(self) -> list[NetworkProfile]:
        ways = []
        for position, profile in enumerate(self._configured):
            if position == 0 and self._moved is not None:
                ways.append(from_document(self._moved["profile"]))
                continue
            changes = self._overrides.get(profile.digest())
            ways.append(from_document({**profile.document(), **changes}) if changes else profile)
        return ways

    # ---- the file ----

    def _load(self) -> None:
        if self._path is None or not self._path.exists():
            return
        try:
            kept = json.loads(self._path.read_text("utf-8"))
            digests = {profile.digest() for profile in self._configured}
            self._overrides = {key: dict(value) for key, value in kept["overrides"].items() if key in digests}
            moved = kept["moved"]
            if moved is not None and self._configured and moved["over"] == self._configured[0].digest():
                from_document(moved["profile"])
                self._moved = moved
            elif moved is not None:
                LOGGER.warning("the first network of the configuration was changed; the remote move before it is over")
            self._last = dict(kept["last"])
            self._books = str(kept["books"])
            self._ways()
            if kept["trial"] is not None and kept["first"] == self._first_digest():
                self._take_up(_trial_of(kept["trial"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            LOGGER.error("%s: cannot be used (%s); the configuration file holds alone", self._path, error)
            self._overrides, self._moved, self._trial = {}, None, None

    def _take_up(self, trial: Trial) -> None:
        trial = replace(trial, starts=trial.starts + 1)
        self._trial = trial
        if trial.kind is TrialKind.MOVE and not self.waiting and trial.starts > MAX_STARTS:
            self._give_up(f"not proved in {MAX_STARTS} starts of the agent")
            return
        self._save_quietly()

    def _first_digest(self) -> str:
        return self._configured[0].digest() if self._configured else ""

    def _save_quietly(self) -> None:
        try:
            self._save()
        except SecretFileError as error:
            LOGGER.error("%s", error)

    def _save(self) -> None:
        if self._path is None:
            return
        trial = self._trial
        document = {
            "first": self._first_digest(),
            "overrides": self._overrides,
            "moved": self._moved,
            "last": self._last,
            "books": self._books,
            "trial": None
            if trial is None
            else {
                "kind": trial.kind.value,
                "candidates": [profile.document() for profile in trial.candidates],
                "within_s": trial.within_s,
                "wait_s": trial.wait_s,
                "starts": trial.starts,
            },
        }
        write_secret(self._path, json.dumps(document, indent=1).encode())


def _with_spare(profile: NetworkProfile) -> tuple[NetworkProfile, ...]:
    if not profile.spare_password or profile.security_profile not in (1, 2):
        return (profile,)
    other = replace(profile, password=profile.spare_password, spare_password=profile.password)
    return (profile, other)


def _check_prerequisites(profile: NetworkProfile, has_root: bool, has_certificate: bool) -> None:
    """White paper A05.FR.02 to 04."""
    level = profile.security_profile
    if level in (1, 2) and len(profile.password) < 16:
        raise ProposalError(f"security profile {level} needs an AuthorizationKey of 16 bytes or more; set it first")
    if level >= 2 and not has_root:
        raise ProposalError(f"security profile {level} needs a CentralSystemRootCertificate; install one first")
    if level == 3 and not has_certificate:
        raise ProposalError("security profile 3 needs a certificate of the charge point; have one signed first")
    if not profile.secure and level >= 2:
        raise ProposalError(f"security profile {level} needs a wss:// address")


def _bounded(name: str, value: int, least: int, most: int) -> float:
    if not least <= value <= most:
        raise ProposalError(f"{name} {value}: give {least} to {most} seconds")
    return float(value)


def _trial_of(document: dict[str, Any]) -> Trial:
    candidates = tuple(from_document(entry) for entry in document["candidates"])
    if not candidates:
        raise ValueError("a trial of nothing")
    return Trial(
        TrialKind(document["kind"]),
        candidates,
        float(document["within_s"]),
        float(document["wait_s"]),
        int(document["starts"]),
    )
