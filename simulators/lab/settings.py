"""What a lab is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulators.lab.kinds import BOARDS, CONNECTORS, METERS, READERS, BoardKind, KindError
from simulators.lab.own_meter import BOARD, NONE
from simulators.lab.selection import Choice, kind_of, parse, spread

FIRST_REGISTER_WH = 12_000
"""Meters do not begin at zero."""


class SettingsError(ValueError):
    """A lab of that kind cannot be built. The text names the setting, the rule and the remedy."""


@dataclass(frozen=True, slots=True)
class LabSettings:
    """``board``, ``meter`` and ``reader`` name kinds as ``KIND[:name=value,…]``: one for all places, or one for each,
    with commas between them. ``overrides`` are dotted paths into the agent's configuration, with the values to put
    there."""

    directory: Path
    evses: int = 1
    board: str = "yeti"
    connector: str = ""
    """``socket`` or ``cable``; empty for what each board serves first."""
    phases: int = 3
    max_current_a: float = 32.0
    meter: str = "eastron"
    """A kind, ``board`` for the board's own, or ``none``."""
    reader: str = "pn532"
    """A kind, or ``none``."""
    readers_per_evse: bool = False
    ventilation: bool = False
    csms_url: str = ""
    identity: str = "LAB-0001"
    energy_factor: float = 1.0
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raise SettingsError for the first rule that is broken."""
        if not 1 <= self.evses <= 16:
            raise SettingsError(f"evses: {self.evses} is outside 1 … 16")
        for name, value, choices in (
            ("connector", self.connector or "socket", CONNECTORS),
            ("phases", self.phases, (1, 3)),
        ):
            if value not in choices:
                raise SettingsError(f"{name}: {value!r} is none of {', '.join(str(choice) for choice in choices)}")
        if not 6 <= self.max_current_a <= 80:
            raise SettingsError(f"max current: {self.max_current_a:g} A is outside 6 … 80")
        if not 0 < self.energy_factor <= 10_000:
            raise SettingsError(f"energy factor: {self.energy_factor:g} is outside 0 … 10000")
        if self.csms_url and not self.csms_url.startswith(("ws://", "wss://")):
            raise SettingsError(f"csms: {self.csms_url!r} must begin with ws:// or wss://")
        try:
            for number, board in enumerate(self.boards(), 1):
                self.connector_at(number, kind_of("board", BOARDS, board))
            for meter in self.meters():
                if meter.kind not in (BOARD, NONE):
                    kind_of("meter", METERS, meter, (BOARD, NONE))
            for reader in self.readers():
                kind_of("reader", READERS, reader, (NONE,))
        except KindError as error:
            raise SettingsError(str(error)) from None

    def boards(self) -> list[Choice]:
        """One for each EVSE. Raises KindError."""
        return spread("board", parse("board", self.board), self.evses)

    def meters(self) -> list[Choice]:
        """One for each EVSE. Raises KindError."""
        return spread("meter", parse("meter", self.meter), self.evses)

    def readers(self) -> list[Choice]:
        """One for each EVSE, one for all, or none. Raises KindError."""
        choices = parse("reader", self.reader)
        if choices == [Choice(NONE)]:
            return []
        return spread("reader", choices, self.evses if self.readers_per_evse else 1)

    def connector_at(self, number: int, kind: BoardKind) -> str:
        """Socket or cable at that EVSE. Raises KindError where its board cannot serve what was asked for."""
        connector = self.connector or kind.connectors[0]
        if connector not in kind.connectors:
            raise KindError(
                f"connector: the board {kind.name} of EVSE {number} serves no {connector}; "
                f"use --connector {' or '.join(kind.connectors)}"
            )
        return connector

    @property
    def socket_path(self) -> Path:
        return self.directory / "ctl.sock"

    @property
    def config_path(self) -> Path:
        return self.directory / "config.yaml"
