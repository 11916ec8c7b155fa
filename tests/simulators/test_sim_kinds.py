"""Every kind that the lab knows keeps the contract of ``simulators.lab.kinds``; nothing but the lab's own loop runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.config import loader
from simulators.lab.configuration import write_configuration
from simulators.lab.faults import faults_of
from simulators.lab.hardware import Hardware
from simulators.lab.kinds import BOARDS, CONNECTORS, METERS, READERS, BoardKind, KindError, MeterKind, ReaderKind, load
from simulators.lab.selection import Choice, parse, spread
from simulators.lab.settings import LabSettings

STATE = {"pilot_state", "closed", "feedback", "coil", "opened_because", "lock", "running"}
LOCKS = {"locked", "unlocked", "moving", "none"}


def with_lab(directory: Path, look: Callable[[Hardware], None], **settings: Any) -> None:
    """Put a lab up, let ``look`` look at it, take it down."""

    async def run() -> None:
        lab = LabSettings(directory, **settings)
        hardware = Hardware(lab)
        configuration = hardware.configuration()
        assert list(directory.iterdir()) == []  # building touches nothing
        write_configuration(lab, configuration)
        hardware.start()
        try:
            look(hardware)
        finally:
            hardware.stop()

    asyncio.run(run())


def break_everything(hardware: Hardware) -> None:
    """Every fault goes in and out, at EVSE 2, and the lab goes on."""
    evse = hardware.evses[2]
    for fault in faults_of(hardware, evse).values():
        assert fault.summary
        for on in (True, False):
            fault.switch(on, hardware.started_at)
            hardware.wake()
    assert all(port.is_open for port in hardware.assembly.ports())
    assert not any(port.cut or port.noise for port in hardware.assembly.ports())


def good(hardware: Hardware) -> None:
    """What holds of every lab."""
    assert loader.check(hardware.settings.config_path) == []
    break_everything(hardware)
    for on in (False, True):
        hardware.power(on)
        assert hardware.state()["powered"] is on
    again = hardware.configuration()
    assert again == hardware.configuration()  # asking changes nothing


@pytest.mark.parametrize("name", list(BOARDS))
def test_every_board(tmp_path: Path, name: str) -> None:
    kind: BoardKind = load(BOARDS, name)
    assert kind.name == name
    assert kind.summary
    assert set(kind.connectors) <= set(CONNECTORS)
    assert kind.connectors

    def look(hardware: Hardware) -> None:
        good(hardware)
        for place in hardware.assembly.places.values():
            state = place.board.state()
            assert set(state) >= STATE
            assert state["lock"] in LOCKS
            assert not any(place.board.poles)
            assert 0.0 <= place.board.duty_pct <= 100.0
            references = place.board.references()
            assert references["board"].partition(".")[0] in place.board.devices()
            assert ("meter" in references) == kind.measures
        for evse in hardware.evses.values():
            assert evse.state()["board"]["kind"] == name

    with_lab(tmp_path, look, board=name, evses=2)


@pytest.mark.parametrize("name", [name for name in BOARDS if load(BOARDS, name).measures])
def test_every_board_with_its_own_meter(tmp_path: Path, name: str) -> None:
    with_lab(tmp_path, good, board=name, meter="board", evses=2)


def test_one_board_of_each_beside_the_others(tmp_path: Path) -> None:
    names = [*list(BOARDS)[:15], "yeti"]
    with_lab(tmp_path, good, board=",".join(names), evses=len(names), max_current_a=16.0)


def meters() -> list[str]:
    return [text for name in METERS for text in (name, *(f"{name}:{each}" for each in load(METERS, name).variants))]


@pytest.mark.parametrize("text", meters())
def test_every_meter(tmp_path: Path, text: str) -> None:
    kind: MeterKind = load(METERS, text.partition(":")[0])
    assert kind.name == text.partition(":")[0]
    assert kind.summary

    def look(hardware: Hardware) -> None:
        good(hardware)
        for number, place in hardware.assembly.places.items():
            assert place.meter.core(number).register_wh == 12_000 * number
            assert place.meter.reference(number).partition(".")[0] in place.meter.devices()
            assert any(fault.startswith("meter") for fault in faults_of(hardware, hardware.evses[number]))

    with_lab(tmp_path, look, meter=text, evses=2)


@pytest.mark.parametrize("name", list(READERS))
@pytest.mark.parametrize("each", [False, True])
def test_every_reader(tmp_path: Path, name: str, each: bool) -> None:
    kind: ReaderKind = load(READERS, name)
    assert kind.name == name
    assert kind.summary
    assert kind.uid_bytes

    def look(hardware: Hardware) -> None:
        good(hardware)
        post = hardware.reader_for(2)
        assert post is not None
        assert post.evse == (2 if each else 0)
        hardware.tap(post, bytes(kind.uid_bytes[0]), 60.0)
        assert hardware.state()["readers"][-1]["card"] == "00" * kind.uid_bytes[0]
        post.peer.remove()
        assert post.peer.card is None

    with_lab(tmp_path, look, reader=name, readers_per_evse=each, evses=2)


def test_what_two_devices_share_is_written_out_twice(tmp_path: Path) -> None:
    """The agent takes no anchors."""
    lab = LabSettings(tmp_path, evses=2)
    shared = {"registers": [1, 2]}
    write_configuration(lab, {"a": shared, "b": shared})
    text = lab.config_path.read_text(encoding="utf-8")
    assert text.count("registers") == 2
    assert "&" not in text
    assert "*" not in text


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("yeti", [Choice("yeti")]),
        ("yeti,tida", [Choice("yeti"), Choice("tida")]),
        ("a:x=1,y=2", [Choice("a", (("x", "1"), ("y", "2")))]),
        ("a:x=1,b,c:z=3,w=", [Choice("a", (("x", "1"),)), Choice("b"), Choice("c", (("z", "3"), ("w", "")))]),
        ("a:host=127.0.0.1:502,b", [Choice("a", (("host", "127.0.0.1:502"),)), Choice("b")]),
        ("a:x=1,at=h:5", [Choice("a", (("x", "1"), ("at", "h:5")))]),
    ],
)
def test_kinds_are_read_as_they_are_written(text: str, choices: list[Choice]) -> None:
    assert parse("board", text) == choices
    assert ",".join(map(str, choices)) == text


def test_one_choice_serves_all_or_each_its_own() -> None:
    one, two = Choice("a"), Choice("b")
    assert spread("board", [one], 3) == [one] * 3
    assert spread("board", [one, two], 2) == [one, two]
    with pytest.raises(KindError, match="2 kinds for 3 place"):
        spread("board", [one, two], 3)
