"""SPI of the pin factory: gpiozero's SPI devices (MCP3208, …) on ``/dev/spidevB.C`` of any board."""

from __future__ import annotations

import select
from typing import Any

from gpiozero import SPI, Factory, SPIBadArgs
from gpiozero.mixins import SharedMixin

from hal.gpio.spi import Spi, SpiError, open_spi

ANSWER_S = 1.0


class ChipSPI(SPI):
    """One chip on a bus, in gpiozero's words."""

    def __init__(self, path: str, pin_factory: Factory) -> None:
        self._spi: Spi | None = None
        self._rate = 500_000
        self._mode = 0
        super().__init__(pin_factory=pin_factory)
        try:
            self._spi = open_spi(path, self._rate, self._mode)
        except SpiError as error:
            raise SPIBadArgs(str(error)) from None
        self._path = path

    def close(self) -> None:
        spi, self._spi = getattr(self, "_spi", None), None
        if spi is not None:
            spi.close()
        super().close()

    @property
    def closed(self) -> bool:
        return getattr(self, "_spi", None) is None

    def __repr__(self) -> str:
        return f"SPI({self._path})" if self._spi is not None else "SPI(closed)"

    def _conflicts_with(self, other: object) -> bool:
        return isinstance(other, ChipSPI) and other._path == self._path

    def transfer(self, data: Any) -> list[int]:
        self._check_open()
        assert self._spi is not None
        answer = self._spi.exchange([bytes(data)])
        if not answer:
            answer = self._await(self._spi)
        return list(answer[0])

    def _await(self, spi: Spi) -> list[bytes]:
        fd = spi.fileno()
        if fd is None or not select.select([fd], [], [], ANSWER_S)[0]:
            raise SPIBadArgs(f"{self._path}: does not answer")
        return spi.receive()

    def _get_clock_mode(self) -> int:
        return self._mode

    def _set_clock_mode(self, value: int) -> None:
        self._reopen(value, self._rate)

    def _get_rate(self) -> int:
        return self._rate

    def _set_rate(self, value: int) -> None:
        self._reopen(self._mode, int(value))

    def _get_bits_per_word(self) -> int:
        return 8

    def _reopen(self, mode: int, rate: int) -> None:
        self._check_open()
        assert self._spi is not None
        self._spi.close()
        self._mode, self._rate = mode, rate
        self._spi = open_spi(self._path, rate, mode)


class SharedChipSPI(SharedMixin, ChipSPI):
    @classmethod
    def _shared_key(cls, path: str, pin_factory: Factory) -> tuple[str, int]:
        return (path, id(pin_factory))
