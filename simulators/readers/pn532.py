"""A PN532 behind its UART (NXP UM0701-02: frames, ACK, and the few commands a card reader needs). Pure."""

from __future__ import annotations

from collections.abc import Callable

ACK = bytes.fromhex("0000ff00ff00")
NACK = bytes.fromhex("0000ffff0000")
ERROR_FRAME = bytes.fromhex("0000ff01ff7f8100")
START = b"\x00\xff"
HOST, READER = 0xD4, 0xD5

GET_FIRMWARE_VERSION = 0x02
SAM_CONFIGURATION = 0x14
RF_CONFIGURATION = 0x32
IN_LIST_PASSIVE_TARGET = 0x4A
IN_RELEASE = 0x52
MAX_RETRIES_ITEM = 0x05
FOR_EVER = 0xFF
POLL_S = 0.03
"""About what one activation attempt takes."""


def frame(data: bytes) -> bytes:
    """Wrap TFI and data in a normal information frame."""
    return b"\x00\x00\xff" + bytes([len(data), -len(data) & 0xFF]) + data + bytes([-sum(data) & 0xFF, 0])


class Pn532:
    """``send`` puts bytes on the line. A card is held to it by ``present`` and taken away by ``remove``."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.card: bytes | None = None
        self.half_frames = False
        self.commands = 0
        self._send = send
        self._rest = bytearray()
        self._retries = FOR_EVER
        self._polling_until: float | None = None
        self._last_reply = b""

    def present(self, uid: bytes, now: float) -> None:
        self.card = uid
        self.step(now)

    def remove(self) -> None:
        self.card = None

    def receive(self, data: bytes, now: float) -> None:
        self._rest += data
        while True:
            at = self._rest.find(START)
            if at < 0:
                del self._rest[:-1]
                return
            del self._rest[:at]
            if len(self._rest) < 4:
                return
            length, check = self._rest[2], self._rest[3]
            if (length, check) == (0x00, 0xFF):  # ACK from the host: abort
                del self._rest[:4]
                self._polling_until = None
                continue
            if (length, check) == (0xFF, 0x00):  # NACK: say it again
                del self._rest[:4]
                self._send(self._last_reply)
                continue
            if (length + check) & 0xFF:
                del self._rest[:2]
                continue
            if len(self._rest) < 5 + length:
                return
            body, data_check = bytes(self._rest[4 : 4 + length]), self._rest[4 + length]
            del self._rest[: 5 + length]
            if (sum(body) + data_check) & 0xFF == 0 and body and body[0] == HOST:
                self._send(ACK)
                self._obey(body[1:], now)

    def _obey(self, command: bytes, now: float) -> None:
        self._polling_until = None
        self.commands += 1
        code = command[0] if command else -1
        if code == GET_FIRMWARE_VERSION:
            self._reply(bytes([READER, code + 1, 0x32, 0x01, 0x06, 0x07]))
        elif code in (SAM_CONFIGURATION, IN_RELEASE):
            self._reply(bytes([READER, code + 1]) + (b"\x00" if code == IN_RELEASE else b""))
        elif code == RF_CONFIGURATION:
            if len(command) >= 5 and command[1] == MAX_RETRIES_ITEM:
                self._retries = command[4]
            self._reply(bytes([READER, code + 1]))
        elif code == IN_LIST_PASSIVE_TARGET:
            attempts = self._retries + 1
            self._polling_until = float("inf") if self._retries == FOR_EVER else now + attempts * POLL_S
            self.step(now)
        else:
            self._send(ERROR_FRAME)

    def step(self, now: float) -> bool:
        """Look for a card while asked to. True while looking with an end in sight."""
        if self._polling_until is None:
            return False
        if self.card is not None:
            self._polling_until = None
            sel = 0x08 if len(self.card) == 4 else 0x20
            sens = b"\x00\x04" if len(self.card) == 4 else b"\x03\x44"
            self._reply(
                bytes([READER, IN_LIST_PASSIVE_TARGET + 1, 1, 1]) + sens + bytes([sel, len(self.card)]) + self.card
            )
        elif now >= self._polling_until:
            self._polling_until = None
            self._reply(bytes([READER, IN_LIST_PASSIVE_TARGET + 1, 0]))
        return self._polling_until not in (None, float("inf"))

    def _reply(self, data: bytes) -> None:
        self._last_reply = frame(data)
        self._send(self._last_reply[: len(self._last_reply) // 2] if self.half_frames else self._last_reply)
