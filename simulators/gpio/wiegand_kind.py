"""A Wiegand reader on two lines of a chip of its own, as it joins the lab."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from simulators.gpio.chip import SimGpioChip
from simulators.lab.kinds import FaultNote, LabPort, ReaderKind, Site, Switch, take_options

PULSE_S, PAUSE_S = 50e-6, 2e-3
FRAME_BITS = {3: 26, 4: 34}
"""By the bytes of the card's number."""


def frame_of(uid: bytes) -> str:
    """Return the bits that are sent for a card: even parity over the first half, odd over the second."""
    data = "".join(f"{byte:08b}" for byte in uid)
    half = len(data) // 2
    even = data[:half].count("1") % 2
    odd = 1 - data[half:].count("1") % 2
    return f"{even}{data}{odd}"


class WiegandPeer:
    """``simulators.lab.kinds.ReaderPeer``. A card is sent once, when it comes near."""

    def __init__(self, site: Site) -> None:
        take_options(site, "wiegand", {})
        self._name = f"reader{site.number}" if site.number else "reader"
        self.chip = SimGpioChip(site.directory / self._name, ("D0", "D1"), seed=300 + site.number)
        self.card: bytes | None = None
        self.half_frames = False
        self.wrong_parity = False
        self._powered = True
        self._sent_until = 0.0
        self.faults: Mapping[str, Switch] = {
            "reader-half-frames": lambda on, _: setattr(self, "half_frames", on),
            "reader-parity": lambda on, _: setattr(self, "wrong_parity", on),
        }

    def present(self, uid: bytes, now: float) -> None:  # noqa: ARG002 (edges have the kernel's clock)
        self.card = uid
        if self._powered and len(uid) in FRAME_BITS:
            self._send(frame_of(uid))

    def _send(self, bits: str) -> None:
        if self.wrong_parity:
            bits = ("1" if bits[0] == "0" else "0") + bits[1:]
        if self.half_frames:
            bits = bits[: len(bits) // 2]
        # Told at once, with the times at which it will be: a busy simulator would stretch the pauses.
        at = max(time.monotonic(), self._sent_until)
        for bit in bits:
            self.chip.drive(f"D{bit}", False, at)
            self.chip.drive(f"D{bit}", None, at + PULSE_S)
            at += PULSE_S + PAUSE_S
        self._sent_until = at + 0.1

    def remove(self) -> None:
        self.card = None

    def step(self, now: float) -> bool:  # noqa: ARG002 (nothing of it takes time)
        return False

    def power(self, on: bool, now: float) -> None:  # noqa: ARG002 (it dies and lives at once)
        self._powered = on
        self.card = None

    def ports(self) -> Sequence[LabPort]:
        return [self.chip]

    def devices(self) -> dict[str, Any]:
        lines = {f"d{bit}": f"sim:{self.chip.path}:D{bit} active-low pull-up" for bit in (0, 1)}
        return {self._name: {"driver": "gpio", "wiegand_readers": {"cards": lines}}}

    def reference(self) -> str:
        return f"{self._name}.cards"


WIEGAND = ReaderKind(
    "wiegand",
    "Wiegand reader (26 and 34 bits) on two pins",
    WiegandPeer,
    uid_bytes=(4, 3),
    notes={"reader-parity": FaultNote("the reader sends wrong parity")},
)
