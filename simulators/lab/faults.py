"""What can be broken on purpose, by name (hardware sheet §J). Each switch acts on one EVSE and what hangs on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hal.drivers.mcu_board.messages import ResetReason
from simulators.boards.board import AMBIENT_C
from simulators.lab.evse import NOMINAL_V, SimEvse
from simulators.lab.hardware import Hardware

HOT_C = 95.0
WARM_C = 70.0
NOISE_SHARE = 0.02
UNDER_V, OVER_V = 195.0, 262.0

Switch = Callable[[Hardware, SimEvse, bool, float], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """``switch(hardware, evse, on, now)`` does it. ``once``: it happens at "on"; "off" changes nothing."""

    name: str
    summary: str
    switch: Switch
    once: bool = False


def _contactor(attribute: str) -> Switch:
    def switch(_: Hardware, evse: SimEvse, on: bool, __: float) -> None:
        setattr(evse.board.firmware.contactor, attribute, on)

    return switch


def _ailment(attribute: str) -> Switch:
    def switch(_: Hardware, evse: SimEvse, on: bool, __: float) -> None:
        setattr(evse.board.ailments, attribute, on)

    return switch


def _wire(attribute: str) -> Switch:
    def switch(_: Hardware, evse: SimEvse, on: bool, __: float) -> None:
        setattr(evse.board.wire_faults, attribute, on)

    return switch


def _meter(attribute: str) -> Switch:
    def switch(_: Hardware, evse: SimEvse, on: bool, __: float) -> None:
        setattr(evse.meter.core, attribute, on)

    return switch


def _slave(attribute: str) -> Switch:
    def switch(_: Hardware, evse: SimEvse, on: bool, __: float) -> None:
        setattr(evse.meter, attribute, on)

    return switch


def _noted(_: Hardware, __: SimEvse, ___: bool, ____: float) -> None:
    """The physics looks at the EVSE's set of faults."""


def _lock_stuck(_: Hardware, evse: SimEvse, on: bool, __: float) -> None:
    evse.board.firmware.lock.stuck = on


def _lock_lost(_: Hardware, evse: SimEvse, on: bool, __: float) -> None:
    evse.board.firmware.lock.feedback_lost = on


def _board_silent(_: Hardware, evse: SimEvse, on: bool, __: float) -> None:
    evse.port.cut = on


def _board_noise(_: Hardware, evse: SimEvse, on: bool, __: float) -> None:
    evse.port.noise = NOISE_SHARE if on else 0.0


def _board_unplugged(hardware: Hardware, evse: SimEvse, on: bool, _: float) -> None:
    hardware.unplug(evse.port) if on else hardware.replug(evse.port)


def _board_reset(_: Hardware, evse: SimEvse, on: bool, now: float) -> None:
    if on:
        evse.board.restart(ResetReason.WATCHDOG, now)


def _temperature(value_c: float) -> Switch:
    def switch(_: Hardware, evse: SimEvse, on: bool, __: float) -> None:
        evse.board.temperature_c = (value_c if on else AMBIENT_C, AMBIENT_C)

    return switch


def _voltage(value_v: float) -> Switch:
    def switch(_: Hardware, evse: SimEvse, on: bool, __: float) -> None:
        evse.voltage_v = value_v if on else NOMINAL_V

    return switch


def _phase_loss(_: Hardware, evse: SimEvse, on: bool, __: float) -> None:
    evse.lost_phase = 2 if on else 0


def _meter_freeze(_: Hardware, evse: SimEvse, on: bool, __: float) -> None:
    evse.meter.core.freeze(on)


def _meters_noise(hardware: Hardware, _: SimEvse, on: bool, __: float) -> None:
    hardware.meter_port.noise = NOISE_SHARE if on else 0.0


def _meters_unplugged(hardware: Hardware, _: SimEvse, on: bool, __: float) -> None:
    hardware.unplug(hardware.meter_port) if on else hardware.replug(hardware.meter_port)


def _reader_silent(hardware: Hardware, evse: SimEvse, on: bool, _: float) -> None:
    hardware.reader_for(evse.number).port.cut = on


def _reader_noise(hardware: Hardware, evse: SimEvse, on: bool, _: float) -> None:
    hardware.reader_for(evse.number).port.noise = NOISE_SHARE if on else 0.0


def _reader_half_frames(hardware: Hardware, evse: SimEvse, on: bool, _: float) -> None:
    hardware.reader_for(evse.number).device.half_frames = on


def _reader_unplugged(hardware: Hardware, evse: SimEvse, on: bool, _: float) -> None:
    port = hardware.reader_for(evse.number).port
    hardware.unplug(port) if on else hardware.replug(port)


_FAULTS = (
    Fault("welded", "the contacts never open again once they are closed", _contactor("welded")),
    Fault("stuck-open", "the contacts never close", _contactor("stuck_open")),
    Fault("late-feedback", "the mirror contact tells 1.5 s late", _contactor("late_feedback")),
    Fault("rcd", "residual current flows: the board opens at once and latches", _ailment("residual_current")),
    Fault("rcd-self-test", "the residual-current monitor fails its self-test", _ailment("self_test_broken")),
    Fault("over-current", "the board reports over-current and opens", _ailment("over_current")),
    Fault("diode", "the vehicle's diode is bridged", _noted),
    Fault("cp-short", "CP lies on PE through 80 Ω", _noted),
    Fault("pp-open", "the proximity contact is open though a cable is plugged", _noted),
    Fault("pp-short", "the proximity contact is shorted to PE", _noted),
    Fault("pp-changed", "the proximity contact shows a 13 A cable, whatever is plugged", _noted),
    Fault("lock-lost", "the lock's switch has come off: its position is unknown", _lock_lost),
    Fault("lock-stuck", "the lock's bolt does not move", _lock_stuck),
    Fault("warm", "a temperature sensor at 70 °C (TIDA)", _temperature(WARM_C)),
    Fault("over-temperature", "a temperature sensor at 95 °C (TIDA)", _temperature(HOT_C)),
    Fault("temperature-sensor", "a broken temperature sensor (TIDA)", _temperature(math.nan)),
    Fault("under-voltage", "the supply sags to 195 V", _voltage(UNDER_V)),
    Fault("over-voltage", "the supply rises to 262 V", _voltage(OVER_V)),
    Fault("phase-loss", "L2 of the supply is dead", _phase_loss),
    Fault("board-silent", "the board's serial line is cut, both ways", _board_silent),
    Fault("board-mute", "nothing the board says arrives", _wire("mute")),
    Fault("board-deaf", "the board hears nothing", _wire("deaf")),
    Fault("board-garbage", "the board sends garbage instead of frames", _wire("garbage")),
    Fault("board-half-frames", "every other frame of the board is cut in half", _wire("half_frames")),
    Fault("board-echo", "what the host sends to the board comes back to it", _wire("echo")),
    Fault("board-noise", "2 % of the bytes on the board's line are damaged", _board_noise),
    Fault("board-protocol", "the board reports protocol version 99", _wire("foreign_protocol")),
    Fault("board-reset", "the board restarts by its watchdog, once", _board_reset, once=True),
    Fault("board-unplugged", "the board's serial node vanishes", _board_unplugged),
    Fault("meter-silent", "the meter does not answer", _meter("silent")),
    Fault("meter-freeze", "the meter answers, but its values stand still", _meter_freeze),
    Fault("meter-nan", "every value of the meter is not a number", _meter("nan")),
    Fault("meter-energy-nan", "the meter's energy is not a number", _meter("energy_nan")),
    Fault("meter-crc", "every answer of the meter has a wrong checksum", _slave("bad_crc")),
    Fault("meter-exception", "the meter answers every request with an exception", _slave("exception")),
    Fault("meter-slow", "the meter answers 0.7 s late", _slave("slow")),
    Fault("meter-word-order", "the meter sends the low word first", _slave("swapped_words")),
    Fault("meter-noise", "2 % of the bytes on the meters' line are damaged (all meters)", _meters_noise),
    Fault("meters-unplugged", "the meters' serial node vanishes (all meters)", _meters_unplugged),
    Fault("reader-silent", "the reader's line is cut", _reader_silent),
    Fault("reader-noise", "2 % of the bytes on the reader's line are damaged", _reader_noise),
    Fault("reader-half-frames", "the reader's frames are cut in half", _reader_half_frames),
    Fault("reader-unplugged", "the reader's serial node vanishes", _reader_unplugged),
)

FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _FAULTS}
