"""Builds the peers of a lab from its settings. It opens nothing and reads only the kept registers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from simulators.lab.kinds import (
    BOARDS,
    METERS,
    READERS,
    BoardKind,
    BoardPeer,
    KindError,
    LabPort,
    MeterKind,
    MeterPeer,
    ReaderKind,
    ReaderPeer,
    Site,
)
from simulators.lab.own_meter import BOARD, NONE, OwnMeter
from simulators.lab.registers import load_registers
from simulators.lab.selection import Choice, kind_of
from simulators.lab.settings import FIRST_REGISTER_WH, LabSettings, SettingsError
from simulators.oracle import EventLog


@dataclass(frozen=True, slots=True)
class Place:
    """What stands at one EVSE. ``log`` is the board's diary, ``meter_log`` the meter's."""

    kind: BoardKind
    board: BoardPeer
    connector: str
    log: EventLog
    meter_kind: MeterKind | None
    """None for the board's own meter and for none."""
    meter_choice: Choice
    meter: MeterPeer
    meter_log: EventLog


@dataclass(slots=True)
class ReaderPost:
    """A reader. ``evse`` is 0 for one that serves all."""

    name: str
    evse: int
    kind: ReaderKind
    peer: ReaderPeer
    removal: asyncio.TimerHandle | None = None


class Assembly:
    """``places`` by EVSE number, and ``readers``. ``logs`` by file name, not yet opened. Raises SettingsError."""

    def __init__(
        self, settings: LabSettings, loop: asyncio.AbstractEventLoop, now: float, wake: Callable[[], None]
    ) -> None:
        settings.check()
        self.settings = settings
        self.logs: dict[str, EventLog] = {}
        self._site = partial(
            Site,
            directory=settings.directory,
            loop=loop,
            now=now,
            wake=wake,
            phases=settings.phases,
            max_current_a=settings.max_current_a,
            ventilation=settings.ventilation,
            shared={},
        )
        try:
            self.places = self._build_places()
            self.readers = [
                self._build_reader(number if settings.readers_per_evse else 0, choice)
                for number, choice in enumerate(settings.readers(), 1)
            ]
        except KindError as error:
            raise SettingsError(str(error)) from None

    def _log(self, name: str) -> EventLog:
        return self.logs.setdefault(name, EventLog())

    def _build_places(self) -> dict[int, Place]:
        settings = self.settings
        boards: dict[int, tuple[BoardKind, BoardPeer, str]] = {}
        for number, choice in enumerate(settings.boards(), 1):
            kind: BoardKind = kind_of("board", BOARDS, choice)
            connector = settings.connector_at(number, kind)
            site = self._site(
                number=number, log=self._log(f"board{number}"), connector=connector, options=dict(choice.options)
            )
            boards[number] = (kind, kind.build(site), connector)
        meters = self._build_meters({number: peer for number, (_, peer, _) in boards.items()})
        return {
            number: Place(kind, peer, connector, self._log(f"board{number}"), *meters[number])
            for number, (kind, peer, connector) in boards.items()
        }

    def _build_meters(
        self, boards: Mapping[int, BoardPeer]
    ) -> dict[int, tuple[MeterKind | None, Choice, MeterPeer, EventLog]]:
        """EVSEs whose meters were asked for in the same words hang on one line."""
        kept = load_registers(self.settings.directory)
        groups: dict[Choice, list[int]] = {}
        for number, choice in enumerate(self.settings.meters(), 1):
            groups.setdefault(choice, []).append(number)
        built: dict[int, tuple[MeterKind | None, Choice, MeterPeer, EventLog]] = {}
        for choice, numbers in groups.items():
            registers = {number: kept.get(number, FIRST_REGISTER_WH * number) for number in numbers}
            logs = {number: self._log(f"meter{number}") for number in numbers}
            kind: MeterKind | None = None
            if choice.kind in (BOARD, NONE):
                peer: MeterPeer = OwnMeter(registers, {n: self._own(n, boards[n], choice) for n in numbers})
            else:
                kind = kind_of("meter", METERS, choice)
                site = self._site(
                    number=numbers[0] if len(groups) > 1 else 0,
                    log=self._log(f"meter{numbers[0]}"),
                    options=dict(choice.options),
                    logs=logs,
                )
                peer = kind.build(site, registers)
            built |= {number: (kind, choice, peer, logs[number]) for number in numbers}
        return built

    @staticmethod
    def _own(number: int, board: BoardPeer, choice: Choice) -> str:
        if choice.kind == NONE:
            return ""
        meter = board.references().get("meter")
        if not meter:
            raise KindError(f"meter: the board of EVSE {number} does not measure by itself; choose another meter")
        return str(meter)

    def _build_reader(self, evse: int, choice: Choice) -> ReaderPost:
        kind: ReaderKind = kind_of("reader", READERS, choice)
        name = f"reader{evse}" if evse else "reader"
        site = self._site(number=evse, log=self._log(name), options=dict(choice.options))
        return ReaderPost(name, evse, kind, kind.build(site))

    def meters(self) -> list[MeterPeer]:
        """Each line of meters once."""
        return list({id(place.meter): place.meter for place in self.places.values()}.values())

    def peers(self) -> Iterator[BoardPeer | MeterPeer | ReaderPeer]:
        yield from (place.board for place in self.places.values())
        yield from self.meters()
        yield from (post.peer for post in self.readers)

    def ports(self) -> list[LabPort]:
        """Each wire once, though several may hang on it."""
        return list({id(port): port for peer in self.peers() for port in peer.ports()}.values())
