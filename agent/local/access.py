"""PINs for the service port, and the lock-out of whoever guesses them. Pure but for the hash.

Only a salted scrypt hash of a PIN is stored (RFC 7914; its cost is bounded by what a small board can pay). Wrong PINs
make the next try wait longer and longer; the count survives a restart, and after one the whole wait begins anew, so
that pulling the plug gains nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from agent.local.roles import Role

_N, _R, _P = 1 << 15, 8, 1
"""32 MB and about 0.1 s on the boards we know: a guesser who has stolen the hash pays it for each try."""
_SALT_BYTES, _KEY_BYTES = 16, 32
_MAX_MEMORY = 128 * _R * _N * 2

FREE_TRIES = 3
"""Wrong PINs before the first wait: gloves and rain."""
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 3600.0

LEAST_DIGITS, MOST_CHARACTERS = 6, 64

_SIMPLE = re.compile(r"(.)\1*")


def problem(pin: str) -> str:
    """Say why a new PIN is not good enough; empty when it is."""
    if not LEAST_DIGITS <= len(pin) <= MOST_CHARACTERS or not pin.isprintable() or not pin.isascii():
        return f"a PIN has {LEAST_DIGITS} to {MOST_CHARACTERS} characters, digits or letters"
    steps = {ord(after) - ord(before) for before, after in pairwise(pin)}
    if _SIMPLE.fullmatch(pin) or steps in ({1}, {-1}):
        return "this PIN is the first that anybody would try"
    return ""


def hashed(pin: str, salt: bytes | None = None) -> str:
    """Return what is stored of a PIN: ``scrypt$N$r$p$salt$key``. Takes about 0.1 s: call it in a thread."""
    salt = os.urandom(_SALT_BYTES) if salt is None else salt
    key = hashlib.scrypt(pin.encode(), salt=salt, n=_N, r=_R, p=_P, dklen=_KEY_BYTES, maxmem=_MAX_MEMORY)
    return "$".join(("scrypt", str(_N), str(_R), str(_P), _text(salt), _text(key)))


def fits(pin: str, stored: str) -> bool:
    """Compare a PIN with a stored hash, in the same time whatever is wrong. False for a hash that is no hash."""
    try:
        kind, n, r, p, salt, key = stored.split("$")
        if kind != "scrypt" or not (0 < int(n) <= 1 << 17 and 0 < int(r) <= 16 and 0 < int(p) <= 4):
            return False
        wanted = base64.b64decode(key, validate=True)
        got = hashlib.scrypt(
            pin.encode(errors="replace")[:256],
            salt=base64.b64decode(salt, validate=True),
            n=int(n),
            r=int(r),
            p=int(p),
            dklen=len(wanted),
            maxmem=128 * int(r) * int(n) * 2,
        )
    except ValueError:
        return False
    return hmac.compare_digest(got, wanted)


def hash_problem(stored: str) -> str:
    """Say why a hash that somebody else made cannot be taken; empty when it can. As dear as our own, at least."""
    form = "give the hash as scrypt$N$r$p$salt$key, salt and key in base64"
    try:
        kind, n, r, p, salt, key = stored.split("$")
        n_cost, r_cost, p_cost = int(n), int(r), int(p)
        salt_bytes, key_bytes = base64.b64decode(salt, validate=True), base64.b64decode(key, validate=True)
    except ValueError:
        return form
    if kind != "scrypt":
        return form
    if not (_N <= n_cost <= 1 << 17 and n_cost & (n_cost - 1) == 0 and r_cost == _R and 1 <= p_cost <= 4):
        return f"its cost must be N {_N} to {1 << 17} (a power of two), r {_R}, p 1 to 4"
    if len(salt_bytes) < _SALT_BYTES or len(key_bytes) != _KEY_BYTES:
        return f"its salt must have {_SALT_BYTES} bytes at least, its key {_KEY_BYTES}"
    return ""


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@dataclass(slots=True)
class LockOut:
    """How long the next try has to wait. ``now`` is monotonic seconds of this boot."""

    failures: int = 0
    until: float = 0.0

    @classmethod
    def restored(cls, failures: int, now: float) -> LockOut:
        """After a restart: what had to be waited before has to be waited again, from the start."""
        return cls(failures, now + wait_s(failures))

    def left_s(self, now: float) -> float:
        return max(0.0, self.until - now)

    def failed(self, now: float) -> None:
        self.failures += 1
        self.until = now + wait_s(self.failures)

    def succeeded(self) -> None:
        self.failures, self.until = 0, 0.0


def wait_s(failures: int) -> float:
    """Return how long to wait after so many wrong PINs in a row."""
    beyond = failures - FREE_TRIES
    return 0.0 if beyond < 0 else min(FIRST_WAIT_S * 2.0 ** min(beyond, 20), LONGEST_WAIT_S)


@dataclass(frozen=True, slots=True)
class Pins:
    """The stored hashes by role."""

    hashes: Mapping[Role, str]

    @classmethod
    def from_document(cls, document: Any) -> Pins:
        """What is not well-formed is no PIN: nobody gets in by it."""
        found = document if isinstance(document, dict) else {}
        return cls(
            {role: found[role.word] for role in (Role.OPERATE, Role.SERVICE) if isinstance(found.get(role.word), str)}
        )

    @property
    def document(self) -> dict[str, str]:
        return {role.word: stored for role, stored in self.hashes.items()}

    def role_of(self, pin: str) -> Role:
        """Return the role that a PIN opens; NONE for a wrong one. Every stored PIN is tried: as slow for all."""
        return max((role for role, stored in self.hashes.items() if fits(pin, stored)), default=Role.NONE)
