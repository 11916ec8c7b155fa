"""The signing half of a Modbus meter: sessions begun and ended, signed sets fetched, kept until they are released.

Pure: whoever owns the line asks ``next`` for a request, and tells ``became`` what came of it. One request at a time;
between two of them the meter's values may be read. The scripts are generators: they yield a request (and get the
registers' bytes) or a number of seconds to wait.

Nothing here is done twice by accident: before it begins or ends anything the script looks at the meter's state, and a
session that is found running is taken over only when the meter still holds our transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass

from hal import ocmf
from hal.drivers.modbus.pdu import Answered, Read, Refused, Request, WriteRegisters
from hal.drivers.signing_map import SigningMap
from hal.ocmf import MARKER, OcmfError
from hal.values import SignedMoment, SignedReading, SigningSession, SigningState

SIGN_S = 30.0
"""Meters can need so long to sign (OCA, Signed Meter Values 2.3.1)."""
POLL_S = 0.2
"""Between looks at the state while the meter signs."""
WATCH_S = 5.0
"""Between looks at the state of a session: a meter that lost its supply ends it by itself."""
RETRY_S = 2.0
TRIES = 3
"""Of one request. A command is said once: what became of it shows in the state."""
MOST_FAILURES = 5
"""So many scripts in a row that failed to bring the end's set mean that there is none."""
MOST_WRITE = 123
"""Registers in one request (MODBUS Application Protocol 6.12)."""

LEVELS = ("NONE", "HEARSAY", "TRUSTED", "VERIFIED", "CERTIFIED", "SECURE", "MISMATCH", "INVALID", "OUTDATED", "UNKNOWN")
ID_TYPES = {
    "NONE": 0,
    "DENIED": 1,
    "UNDEFINED": 2,
    "ISO14443": 10,
    "ISO15693": 11,
    "EMAID": 20,
    "EVCCID": 21,
    "EVCOID": 30,
    "ISO7812": 40,
    "CARD_TXN_NR": 50,
    "CENTRAL": 60,
    "CENTRAL_1": 61,
    "CENTRAL_2": 62,
    "LOCAL": 70,
    "LOCAL_1": 71,
    "LOCAL_2": 72,
    "PHONE_NUMBER": 80,
    "KEY_CODE": 90,
}
FLAGS = (
    ("RFID_NONE", "RFID_PLAIN", "RFID_RELATED", "RFID_PSK"),
    (
        "OCPP_NONE",
        "OCPP_RS",
        "OCPP_AUTH",
        "OCPP_RS_TLS",
        "OCPP_AUTH_TLS",
        "OCPP_CACHE",
        "OCPP_WHITELIST",
        "OCPP_CERTIFIED",
    ),
    ("ISO15118_NONE", "ISO15118_PNC"),
    ("PLMN_NONE", "PLMN_RING", "PLMN_SMS"),
)
"""One register for each kind, in this order. The order is recalled (REC): EVerest writes its list as it comes."""

Script = Generator["Request | float", bytes, None]


class _FailedError(Exception):
    """A script cannot go on. The text says why, and the remedy."""


@dataclass(slots=True)
class _Wish:
    session: SigningSession
    ending: bool = False
    failures: int = 0


class Signing:
    """``label`` names the meter in messages."""

    def __init__(self, layout: SigningMap, label: str) -> None:
        self._map = layout
        self._label = label
        self._wish: _Wish | None = None
        self._reading_due = False
        self._clock: tuple[float, int, float] | None = None
        """(UTC, offset in minutes, when that was) still to be written."""
        self._active = ""
        """Transaction that the meter is signing for, as far as we know."""
        self._ready_held: SignedReading | None = None
        """Lies in the meter until it is released."""
        self._releasing = False
        self._key = ""
        self._looked_at: float | None = None
        self._failed = ""
        self._trouble = ""
        self._heard_at: float | None = None
        self._script: Script | None = None
        self._request: Request | None = None
        self._tries = 0
        self._resume_at = 0.0
        self._now = 0.0

    # ---- what control asks ------------------------------------------------------------------------------------

    def state(self) -> SigningState | None:
        if self._heard_at is None and not self._trouble:
            return None
        return SigningState(
            self._heard_at or self._now,
            bool(self._key),
            self._map.separate,
            self._key,
            self._active,
            self._failed,
            self._trouble,
        )

    def begin(self, session: SigningSession) -> None:
        if self._wish is None or self._wish.session.transaction != session.transaction:
            self._wish = _Wish(session)
            self._reading_due = False
            self._failed = ""

    def read_now(self) -> None:
        if self._map.separate and self._active and self._wish is not None and not self._wish.ending:
            self._reading_due = True

    def end(self, transaction: str) -> None:
        if self._failed == transaction:
            return
        if self._wish is None or self._wish.session.transaction != transaction:
            if self._ready_held is not None and self._ready_held.transaction == transaction:
                return  # its set lies there already
            self._wish = _Wish(SigningSession(transaction, False))
        self._wish.ending = True
        self._reading_due = False

    def held(self) -> tuple[SignedReading, ...]:
        return () if self._ready_held is None else (self._ready_held,)

    def release(self, key: str) -> None:
        if self._ready_held is not None and self._ready_held.key == key:
            self._releasing = True

    def set_clock(self, utc_s: float, offset_min: int, now: float) -> None:
        if self._map.clock is not None:
            self._clock = (utc_s, offset_min, now)

    # ---- what the line asks -----------------------------------------------------------------------------------

    def next(self, now: float) -> Request | None:
        """Return the request that is due; the same again until ``became`` was told of it."""
        self._now = now
        if self._request is not None or now < self._resume_at:
            return self._request if now >= self._resume_at else None
        if self._script is None:
            self._script = self._choose(now)
            if self._script is None:
                return None
            self._advance(None)
        else:
            self._advance(b"")
        return self._request if now >= self._resume_at else None

    def wake_at(self, now: float) -> float:
        """When ``next`` may have something."""
        if self._request is not None or self._script is not None:
            return max(now, self._resume_at)
        if self._choosing(now):
            return max(now, self._resume_at)
        watches = self._active or self._failed
        return max(self._resume_at, (self._looked_at or now) + WATCH_S) if watches else float("inf")

    def became(self, outcome: object, now: float) -> None:
        """Take the answer to the last request, or word that there was none."""
        self._now = now
        request, script = self._request, self._script
        if request is None or script is None:
            return
        if isinstance(outcome, Answered):
            self._heard_at = now
            self._request, self._tries = None, 0
            self._advance(outcome.data)
        elif isinstance(outcome, Refused):
            self._throw(f"answers {outcome.text} to register {request.address:#06x}; check 'map'")
        else:
            self._tries += 1
            if self._tries >= (1 if self._is_command(request) else TRIES):
                self._throw("does not answer; check its power and the wiring")

    def interrupted(self) -> None:
        """The line is gone, and with it the request under way."""
        if self._request is not None:
            self._throw("lost its line; check the cable")

    def _is_command(self, request: Request) -> bool:
        return isinstance(request, WriteRegisters) and request.address == self._map.command.address

    def _advance(self, data: bytes | None) -> None:
        assert self._script is not None
        try:
            step = next(self._script) if data is None else self._script.send(data)
        except StopIteration:
            self._script = None
            self._trouble = ""
        except (_FailedError, OcmfError) as error:
            self._give_up(str(error))
        else:
            if isinstance(step, float):
                self._resume_at = self._now + step
            else:
                self._request = step

    def _throw(self, why: str) -> None:
        self._request, self._tries = None, 0
        self._give_up(why)

    def _give_up(self, why: str) -> None:
        self._script = None
        self._trouble = f"{self._label}: signing: {why}"
        self._resume_at = self._now + RETRY_S
        self._looked_at = None
        if self._wish is not None and self._wish.ending:
            self._wish.failures += 1
            if self._wish.failures >= MOST_FAILURES:
                self._fail()

    def _fail(self) -> None:
        """No signed end will come for what was wished."""
        assert self._wish is not None
        self._failed, self._wish = self._wish.session.transaction, None
        self._active = ""

    # ---- what is to be done -----------------------------------------------------------------------------------

    def _choosing(self, now: float) -> bool:
        script = self._choose(now)
        if script is not None:
            script.close()
        return script is not None

    def _choose(self, now: float) -> Script | None:
        if not self._key:
            return self._read_key()
        if self._releasing:
            return self._confirm()
        if self._looked_at is None:
            return self._look()
        wish = self._wish
        if self._ready_held is None and wish is not None:
            if wish.ending:
                return self._finish(wish)
            if self._active != wish.session.transaction:
                return self._begin(wish.session)
            if self._reading_due:
                return self._sign_reading()
        if self._clock is not None and not self._active and self._ready_held is None:
            return self._write_clock()
        watches = self._active or self._failed  # what failed may come late
        if watches and self._ready_held is None and now - self._looked_at >= WATCH_S:
            return self._look()
        return None

    def _read_key(self) -> Script:
        place = self._map.public_key
        kind = 0
        if place.kind is not None:
            kind = int.from_bytes((yield self._read(place.kind, 1)), "big")
        if kind >= len(place.words):
            raise _FailedError("it has no key to sign with; have it fitted with one")
        der = yield self._read(place.address, place.words[kind])
        size = 2 + der[1] if der[:1] == b"\x30" and der[1] < 0x80 else 0
        if not 2 < size <= len(der):
            raise _FailedError("its public key is no ASN.1 structure; check 'map'")
        self._key = der[:size].hex()

    def _look(self) -> Script:
        """See what the meter is about: a set that nobody fetched, a session that ended by itself."""
        states, state = self._map.state, (yield from self._state())
        if state == states.ready and self._ready_held is None:
            yield from self._fetch()
        elif state == states.corrupted:
            yield from self._drop_corrupted()
        elif state == states.idle:
            self._active = ""
        self._looked_at = self._now

    def _begin(self, session: SigningSession) -> Script:
        states = self._map.state
        state = yield from self._state()
        if state == states.running:
            if (yield from self._running_for(session.transaction)):
                self._active = session.transaction
                return
            yield self._command(self._map.command.end)  # another one's: its set must not be lost
            yield from self._await_set()
            return
        if state == states.ready:
            yield from self._fetch()
            return
        if state == states.corrupted:
            yield from self._drop_corrupted()
        yield from self._write_session(session)
        yield self._command(self._map.command.begin)
        self._looked_at = self._now
        if self._map.separate:
            self._active = session.transaction
            yield from self._await_set()
            return
        yield from self._await((states.running,), "did not begin a session; check its display")
        self._active = session.transaction

    def _finish(self, wish: _Wish) -> Script:
        states, transaction = self._map.state, wish.session.transaction
        state = yield from self._state()
        if state == states.ready:
            yield from self._fetch()
            return
        if state == states.running:
            ours = self._active == transaction or (yield from self._running_for(transaction))
            yield self._command(self._map.command.end)
            yield from self._await_set()
            if ours:
                return
        elif state == states.corrupted:
            yield from self._drop_corrupted()
        if self._wish is wish:  # idle, corrupted, or another one's session: there is nothing to sign for this one
            self._fail()
            raise _FailedError(f"it holds no session for transaction {transaction}; its end goes unsigned")

    def _sign_reading(self) -> Script:
        self._reading_due = False
        command = self._map.command.read
        state = yield from self._state()
        if state == self._map.state.running and command is not None:
            yield self._command(command)
            yield from self._await_set()
        else:
            self._looked_at = None

    def _confirm(self) -> Script:
        held = self._ready_held
        yield self._write(self._map.state.address, (self._map.state.idle,))
        self._ready_held, self._releasing = None, False
        over = held is not None and held.moment in (SignedMoment.END, SignedMoment.SESSION)
        if over:
            self._active = ""
        self._looked_at = self._now

    def _write_clock(self) -> Script:
        place, wanted = self._map.clock, self._clock
        assert place is not None
        assert wanted is not None
        if (yield from self._state()) != self._map.state.idle:
            self._looked_at = None
            return
        utc_s, offset_min, at = wanted
        seconds = round(utc_s + self._now - at)
        yield self._write(place.utc, tuple(seconds >> shift & 0xFFFF for shift in (0, 16, 32, 48)))
        if place.offset is not None:
            yield self._write(place.offset, (offset_min & 0xFFFF,))
        if self._clock is wanted:
            self._clock = None

    # ---- pieces -----------------------------------------------------------------------------------------------

    def _read(self, address: int, count: int) -> Read:
        return Read(self._map.function, address, count)

    def _write(self, address: int, values: tuple[int, ...]) -> WriteRegisters:
        return WriteRegisters(address, values)

    def _command(self, code: int) -> WriteRegisters:
        return self._write(self._map.command.address, (code,))

    def _state(self) -> Generator[Request | float, bytes, int]:
        return int.from_bytes((yield self._read(self._map.state.address, 1)), "big")

    def _await(self, wanted: tuple[int, ...], otherwise: str) -> Generator[Request | float, bytes, int]:
        until = self._now + SIGN_S
        while True:
            state = yield from self._state()
            if state in wanted:
                return state
            if self._now >= until:
                raise _FailedError(otherwise)
            yield POLL_S

    def _await_set(self) -> Script:
        states = self._map.state
        state = yield from self._await((states.ready, states.corrupted), f"signed nothing within {SIGN_S:.0f} s")
        if state == states.corrupted:
            yield from self._drop_corrupted()
            if self._wish is not None and self._wish.ending:
                self._fail()
            raise _FailedError("it calls its own signed set corrupted; have it checked")
        yield from self._fetch()

    def _drop_corrupted(self) -> Script:
        self._active = ""
        yield self._write(self._map.state.address, (self._map.state.idle,))

    def _fetch(self) -> Script:
        file = self._map.file
        size = int.from_bytes((yield self._read(file.size, 1)), "big")
        if not 0 < size <= file.words:
            raise _FailedError(f"its signed set is {size} registers long, which cannot be; check 'map'")
        raw = b""
        while len(raw) < 2 * size:
            done = len(raw) // 2
            raw += yield self._read(file.address + done, min(self._map.max_registers, size - done))
        try:
            text = raw.rstrip(b"\0").decode("utf-8")
        except UnicodeDecodeError:
            raise _FailedError("its signed set is no text; check 'map'") from None
        payload, signature = ocmf.parts(text)
        moment = ocmf.moment_of(payload)
        reading = SignedReading(
            self._now,
            hashlib.sha256(raw).hexdigest()[:16],
            ocmf.transaction_of(payload),
            moment,
            text,
            ocmf.ENCODING,
            ocmf.method_of(signature),
            self._key,
        )
        self._ready_held = reading
        if moment in (SignedMoment.END, SignedMoment.SESSION):
            self._active = ""
            if self._wish is not None and self._wish.ending and self._wish.session.transaction == reading.transaction:
                self._wish = None
        elif self._wish is not None and self._wish.session.transaction == reading.transaction:
            self._active = reading.transaction

    def _running_for(self, transaction: str) -> Generator[Request | float, bytes, bool]:
        place = self._map.texts["text"]
        raw = yield self._read(place.address, min(place.words, self._map.max_registers))
        text = raw.partition(b"\0")[0].decode("utf-8", "replace")
        return text.endswith(MARKER + transaction)

    def _write_session(self, session: SigningSession) -> Script:
        numbers = {
            "identified": (int(session.identified),),
            "level": (LEVELS.index(session.level) if session.level in LEVELS else 0,),
            "flags": _flags(session.flags),
            "id_type": (ID_TYPES.get(session.id_type, ID_TYPES["UNDEFINED"]),),
        }
        for key, address in self._map.numbers.items():
            yield self._write(address, numbers[key])
        for address in self._map.zeros:
            yield self._write(address, (0,))
        texts = {"id_data": session.id_data, "point": session.point, "text": MARKER + session.transaction}
        for key, place in self._map.texts.items():
            words = _words(texts[key], place.words)
            for at in range(0, len(words), MOST_WRITE):
                yield self._write(place.address + at, words[at : at + MOST_WRITE])


def _flags(names: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(next((kind.index(name) for name in names if name in kind), 0) for kind in FLAGS)


def _words(text: str, most: int) -> tuple[int, ...]:
    """Two characters to a register, with the zero byte at the end; what is too long is cut. ``|`` would break a set."""
    raw = text.replace("|", " ").encode("ascii", "replace")[: 2 * most - 1] + b"\0"
    raw += b"\0" * (len(raw) % 2)
    return tuple(int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2))
