"""What an OpenEVSE controller is configured with."""

from __future__ import annotations

from dataclasses import dataclass

from hal.drivers.openevse.rapi import Checksum
from hal.drivers.openevse.status import CHECKS
from hal.options import option


def _check_names(names: tuple[str, ...]) -> str:
    unknown = [name for name in names if name not in CHECKS]
    return f"{unknown[0]!r} is no check of the controller; known are {', '.join(CHECKS)}" if unknown else ""


@dataclass(frozen=True, slots=True)
class OpenEvseOptions:
    port: str = option(help="serial node of the controller, best one under /dev/serial/by-id", exclusive="serial port")
    baud: int = option(115_200, help="line speed", unit="Bd", ge=9600, le=921_600)
    poll_interval_s: float = option(0.2, help="how often its state is read", unit="s", ge=0.05, le=0.5)
    heartbeat_s: int = option(
        10,
        help="it falls back when it has not heard from us for so long; 0: it has no such watch",
        unit="s",
        ge=0,
        le=60,
    )
    fallback_current_a: int = option(
        6, help="current it falls back to; it cannot be told to stop", unit="A", ge=6, le=80
    )
    accept_disabled: tuple[str, ...] = option(
        (),
        help="its checks that may be switched off: diode, ventilation, ground, relay, gfi_test, temperature",
        check=_check_names,
    )
    meter: bool = option(False, help="its own current and energy as a meter, never for billing")
    button: bool = option(False, help="its front button is ours: it no longer acts by itself")
    checksum: Checksum = option(Checksum.XOR, help="xor, or additive for firmware before 2.0")
    sequence_ids: bool = option(True, help="number the commands; false for firmware before 3.0")
