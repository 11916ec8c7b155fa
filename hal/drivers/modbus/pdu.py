"""Modbus requests and what may answer them, without any framing. Pure.

Source: MODBUS Application Protocol V1.1b3. A *PDU* is function code and data; each framing wraps the same PDU.
"""

from __future__ import annotations

from dataclasses import dataclass

READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT = 1, 2, 3, 4
WRITE_COIL, WRITE_REGISTER, WRITE_REGISTERS = 5, 6, 16
EXCEPTION_FLAG = 0x80
EXCEPTION_SIZE = 2
"""Bytes of a PDU that refuses: function with the flag, and the code."""
MAX_REGISTERS = 125
COIL_ON, COIL_OFF = 0xFF00, 0x0000

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not respond",
}


def _word(value: int) -> bytes:
    return value.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Read:
    """Read ``count`` registers (functions 3 and 4) or bits (1 and 2) from ``address`` on, counted from 0."""

    function: int
    address: int
    count: int = 1

    @property
    def reads_bits(self) -> bool:
        return self.function in (READ_COILS, READ_DISCRETE)

    @property
    def data_size(self) -> int:
        """Bytes of data in the answer."""
        return (self.count + 7) // 8 if self.reads_bits else 2 * self.count

    @property
    def answer_size(self) -> int:
        return 2 + self.data_size

    def encode(self) -> bytes:
        return bytes([self.function]) + _word(self.address) + _word(self.count)

    def accepts(self, pdu: bytes) -> bool:
        return len(pdu) == self.answer_size and pdu[0] == self.function and pdu[1] == self.data_size

    def data(self, pdu: bytes) -> bytes:
        return pdu[2:]


@dataclass(frozen=True, slots=True)
class WriteCoil:
    address: int
    on: bool
    function: int = WRITE_COIL

    @property
    def answer_size(self) -> int:
        return 5

    def encode(self) -> bytes:
        return bytes([self.function]) + _word(self.address) + _word(COIL_ON if self.on else COIL_OFF)

    def accepts(self, pdu: bytes) -> bool:
        return pdu == self.encode()

    def data(self, _: bytes) -> bytes:
        return b""


@dataclass(frozen=True, slots=True)
class WriteRegister:
    """Write one holding register with function 6."""

    address: int
    value: int
    function: int = WRITE_REGISTER

    @property
    def answer_size(self) -> int:
        return 5

    def encode(self) -> bytes:
        return bytes([self.function]) + _word(self.address) + _word(self.value)

    def accepts(self, pdu: bytes) -> bool:
        return pdu == self.encode()

    def data(self, _: bytes) -> bytes:
        return b""


@dataclass(frozen=True, slots=True)
class WriteRegisters:
    """Write holding registers from ``address`` on with function 16."""

    address: int
    values: tuple[int, ...]
    function: int = WRITE_REGISTERS

    @property
    def answer_size(self) -> int:
        return 5

    def encode(self) -> bytes:
        head = bytes([self.function]) + _word(self.address) + _word(len(self.values))
        return head + bytes([2 * len(self.values)]) + b"".join(_word(value) for value in self.values)

    def accepts(self, pdu: bytes) -> bool:
        return pdu == self.encode()[:5]

    def data(self, _: bytes) -> bytes:
        return b""


Request = Read | WriteCoil | WriteRegister | WriteRegisters


@dataclass(frozen=True, slots=True)
class Answered:
    """Carried out. ``data``: what was read, as registers of two bytes with the high byte first, or packed bits."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Refused:
    """The unit answered with an exception."""

    code: int

    @property
    def text(self) -> str:
        return f"exception {self.code} ({EXCEPTIONS.get(self.code, 'unknown')})"


Answer = Answered | Refused


def judge(request: Request, pdu: bytes) -> Answer | None:
    """Return what ``pdu`` says to ``request``; None when it is no answer to it."""
    if len(pdu) == EXCEPTION_SIZE and pdu[0] == request.function | EXCEPTION_FLAG:
        return Refused(pdu[1])
    return Answered(request.data(pdu)) if request.accepts(pdu) else None
