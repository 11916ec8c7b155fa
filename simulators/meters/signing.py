"""The signing half of a meter: registers in, OCMF sets with real ECDSA signatures out.

Written from the register list of EVerest's driver for the Carlo Gavazzi EM580 and from S.A.F.E.'s OCMF, without our
driver's maps. Pure but for the key, which is made afresh with each meter. ``separate`` is a made-up sister that signs
each reading by itself (begin, R for one between, end).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from simulators.meters.register import MeterCore

IDLE, RUNNING, READY, CORRUPTED = range(4)
BEGIN, READ, END = 0x42, 0x52, 0x45
STATE, SIZE, FILE, FILE_WORDS = 0x7100, 0x7101, 0x7110, 2031
COMMAND, UTC_AT, OFFSET = 0x7040, 0x7032, 0x7031
KEY_KIND, KEY, KEY_WORDS = 0x24FF, 0x2600, 62
IDENTIFIED, LEVEL, FLAGS, ID_TYPE, ID_DATA, POINT_TYPE, POINT, MODE = (
    *(0x7000, 0x7001, 0x7002, 0x7006),
    *(0x7007, 0x701B, 0x701C, 0x7036),
)
TARIFF, TARIFF_WORDS = 0x6900, 126
RANGES = ((TARIFF, TARIFF + TARIFF_WORDS), (0x7000, 0x7041), (STATE, FILE + FILE_WORDS))
SIGN_S = 0.3
CURVES: dict[str, tuple[Callable[[], ec.EllipticCurve], str]] = {
    "secp256r1": (ec.SECP256R1, "ECDSA-secp256r1-SHA256"),
    "secp256k1": (ec.SECP256K1, "ECDSA-secp256k1-SHA256"),
    "secp384r1": (ec.SECP384R1, "ECDSA-secp384r1-SHA256"),
    "brainpoolP256r1": (ec.BrainpoolP256R1, "ECDSA-brainpool256r1-SHA256"),
}
"""The curve, and OCMF's word for signing with it."""
LEVELS = ("NONE", "HEARSAY", "TRUSTED", "VERIFIED", "CERTIFIED", "SECURE")
FLAG_WORDS = (
    ("RFID_NONE", "RFID_PLAIN", "RFID_RELATED", "RFID_PSK"),
    ("OCPP_NONE", "OCPP_RS", "OCPP_AUTH", "OCPP_RS_TLS", "OCPP_AUTH_TLS", "OCPP_CACHE", "OCPP_WHITELIST"),
    ("ISO15118_NONE", "ISO15118_PNC"),
    ("PLMN_NONE", "PLMN_RING", "PLMN_SMS"),
)
ID_WORDS = {0: "NONE", 1: "DENIED", 2: "UNDEFINED", 10: "ISO14443", 11: "ISO15693", 20: "EMAID", 60: "CENTRAL"}
ID_WORDS |= {61: "CENTRAL_1", 62: "CENTRAL_2", 70: "LOCAL", 71: "LOCAL_1", 72: "LOCAL_2", 90: "KEY_CODE"}


@dataclass(slots=True)
class SigningCore:
    """``never`` keeps it from ever signing, ``corrupt`` makes it call what it signed corrupted."""

    core: MeterCore
    serial: str
    separate: bool = False
    curve: str = "secp256r1"
    never: bool = False
    corrupt: bool = False
    key: ec.EllipticCurvePrivateKey = field(init=False)
    state: int = IDLE
    clock_offset_s: float | None = None
    """Set by the host; None: the clock was never set."""
    sets: list[str] = field(default_factory=list)
    """All that was ever signed."""
    commands: list[str] = field(default_factory=list)
    _memory: dict[int, int] = field(default_factory=dict)
    _file: bytes = b""
    _ready_at: float | None = None
    _running: bool = False
    _pages: int = 0
    _readings: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(CURVES[self.curve][0]())

    @property
    def public_key(self) -> str:
        """DER (SubjectPublicKeyInfo), hexadecimal: what is printed on the meter."""
        form, kind = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(form, kind).hex()

    def step(self, now: float) -> None:
        """A set that was asked for is there after a while."""
        if self._ready_at is not None and now >= self._ready_at and not self.never:
            self._ready_at = None
            self.state = CORRUPTED if self.corrupt else READY

    def power_lost(self, wall_s: float) -> None:
        """Supply is gone: a session that runs is closed with what the register shows."""
        if self._running and self.state != READY:
            self._close("P", wall_s)
            self._ready_at, self.state = None, READY

    # ---- registers ----

    def read(self, first: int, count: int, now: float) -> bytes | None:
        """Return the registers' bytes; None for those that are not the signing half's."""
        self.step(now)
        if first == KEY_KIND and count == 1:
            return (0 if self.key.key_size <= 256 else 1).to_bytes(2, "big")
        if first >= KEY and first + count <= KEY + KEY_WORDS:
            raw = bytes.fromhex(self.public_key).ljust(2 * KEY_WORDS, b"\0")
            return raw[2 * (first - KEY) : 2 * (first - KEY + count)]
        if not any(low <= first and first + count <= high for low, high in RANGES):
            return None
        have = {STATE: self.state, SIZE: (len(self._file) + 1) // 2, **self._memory}
        have.update({FILE + at // 2: _word(self._file, at) for at in range(0, len(self._file), 2)})
        return b"".join(have.get(address, 0).to_bytes(2, "big") for address in range(first, first + count))

    def write(self, first: int, words: Sequence[int], now: float, wall_s: float) -> bool:
        """Take registers; False for what cannot be written, or not now."""
        self.step(now)
        if first == COMMAND and len(words) == 1:
            return self._command(words[0], now, wall_s)
        if first == STATE:
            return self._confirm(words)
        if first == UTC_AT and len(words) == 4:
            if self._running:
                return False
            self.clock_offset_s = sum(word << 16 * place for place, word in enumerate(words)) - wall_s
            return True
        last = first + len(words)
        if not any(low <= first and last <= high for low, high in RANGES[:2]) or self._running:
            return False
        self._memory.update({first + index: word for index, word in enumerate(words)})
        return True

    def _confirm(self, words: Sequence[int]) -> bool:
        if list(words) != [IDLE]:
            return False
        if self.state in (READY, CORRUPTED):
            self.state = RUNNING if self._running else IDLE
            self._file = b""
        return True

    def _command(self, code: int, now: float, wall_s: float) -> bool:
        self.commands.append(chr(code))
        if code == BEGIN and self.state == IDLE and not self._running:
            self._running = True
            self._readings = [self._reading("B", wall_s)]
            self.state = RUNNING
            if self.separate:
                self._sign([self._readings[0]], now)
            return True
        if code == READ and self.separate and self.state == RUNNING:
            self._sign([self._reading("C", wall_s)], now)
            return True
        if code == END and self._running and self.state == RUNNING:
            self._close("E", wall_s)
            self._ready_at = now + SIGN_S
            return True
        return False

    def _close(self, reason: str, wall_s: float) -> None:
        last = self._reading(reason, wall_s)
        self._running = False
        self._make([last] if self.separate else [*self._readings, last])

    def _sign(self, readings: list[dict[str, Any]], now: float) -> None:
        self._make(readings)
        self._ready_at = now + SIGN_S

    # ---- the set ----

    def _reading(self, reason: str, wall_s: float) -> dict[str, Any]:
        offset_min = _signed(self._memory.get(OFFSET, 0))
        place = timezone(timedelta(minutes=offset_min))
        at = datetime.fromtimestamp(wall_s + (self.clock_offset_s or 0.0), UTC).astimezone(place)
        status = "U" if self.clock_offset_s is None else "S"
        return {
            "TM": f"{at:%Y-%m-%dT%H:%M:%S},{at.microsecond // 1000:03d}{at:%z} {status}",
            "TX": reason,
            "RV": f"{self.core.shown()[0] / 1000:.3f}",
            "RI": "01-00:98.08.00.FF",
            "RU": "kWh",
            "RT": "AC",
            "EF": "",
            "ST": "G",
        }

    def _make(self, readings: list[dict[str, Any]]) -> None:
        self._pages += 1
        payload = {
            "FV": "1.4",
            "PG": f"T{self._pages}",
            "MV": "Simulated",
            "MM": "separate" if self.separate else "session",
            "MS": self.serial,
            "IS": bool(self._memory.get(IDENTIFIED, 0)),
            "IL": LEVELS[self._memory.get(LEVEL, 0)],
            "IF": [words[self._memory.get(FLAGS + kind, 0)] for kind, words in enumerate(FLAG_WORDS)],
            "IT": ID_WORDS.get(self._memory.get(ID_TYPE, 0), "UNDEFINED"),
            "ID": self._text(ID_DATA, 20),
            "TT": self._text(TARIFF, TARIFF_WORDS),
            "CT": "EVSEID",
            "CI": self._text(POINT, 20),
            "RD": readings,
        }
        text = json.dumps(payload, separators=(",", ":"))
        signed = self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        end = json.dumps({"SA": CURVES[self.curve][1], "SD": signed.hex()}, separators=(",", ":"))
        whole = f"OCMF|{text}|{end}"
        self.sets.append(whole)
        self._file = whole.encode()

    def _text(self, first: int, words: int) -> str:
        raw = b"".join(self._memory.get(first + at, 0).to_bytes(2, "big") for at in range(words))
        return raw.partition(b"\0")[0].decode("ascii", "replace")


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word
