"""What can be broken on purpose, by name (hardware sheet §J). Each switch acts on one EVSE and what hangs on it.

The physics offers some faults, each kind brings its own, and every wire can be cut, noisy or pulled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from simulators.lab.evse import NOMINAL_V, SimEvse
from simulators.lab.hardware import Hardware
from simulators.lab.kinds import FaultNote, LabPort

NOISE_SHARE = 0.02
UNDER_V, OVER_V = 195.0, 262.0

Act = Callable[[bool, float], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """``switch(on, now)`` does it. ``once``: it happens at "on"; "off" changes nothing."""

    name: str
    summary: str
    switch: Act
    once: bool = False


PHYSICS: Mapping[str, FaultNote] = {
    "diode": FaultNote("the vehicle's diode is bridged"),
    "cp-short": FaultNote("CP lies on PE through 80 Ω"),
    "pp-open": FaultNote("the proximity contact is open though a cable is plugged"),
    "pp-short": FaultNote("the proximity contact is shorted to PE"),
    "pp-changed": FaultNote("the proximity contact shows a 13 A cable, whatever is plugged"),
    "under-voltage": FaultNote("the supply sags to 195 V"),
    "over-voltage": FaultNote("the supply rises to 262 V"),
    "phase-loss": FaultNote("L2 of the supply is dead"),
}
"""What lies outside the board: every EVSE has these."""

WIRES: Mapping[str, FaultNote] = {
    "board-silent": FaultNote("the board's wire is cut, both ways"),
    "board-noise": FaultNote("2 % of what passes the board's wire is damaged"),
    "board-unplugged": FaultNote("the board's node vanishes"),
    "meters-silent": FaultNote("the meters' wire is cut (all on it)"),
    "meter-noise": FaultNote("2 % of what passes the meters' wire is damaged (all on it)"),
    "meters-unplugged": FaultNote("the meters' node vanishes (all on it)"),
    "reader-silent": FaultNote("the reader's wire is cut"),
    "reader-noise": FaultNote("2 % of what passes the reader's wire is damaged"),
    "reader-unplugged": FaultNote("the reader's node vanishes"),
}
"""What the lab makes of a peer's ports, unless the peer has its own of that name."""

SHARED: Mapping[str, FaultNote] = {
    "welded": FaultNote("the contacts never open again once they are closed"),
    "stuck-open": FaultNote("the contacts never close"),
    "late-feedback": FaultNote("the mirror contact tells 1.5 s late"),
    "rcd": FaultNote("residual current flows: the board opens at once and latches"),
    "rcd-self-test": FaultNote("the residual-current monitor fails its self-test"),
    "over-current": FaultNote("the board reports over-current and opens"),
    "lock-lost": FaultNote("the lock's switch has come off: its position is unknown"),
    "lock-stuck": FaultNote("the lock's bolt does not move"),
    "warm": FaultNote("a temperature sensor at 70 °C"),
    "over-temperature": FaultNote("a temperature sensor at 95 °C"),
    "temperature-sensor": FaultNote("a broken temperature sensor"),
    "emergency-stop": FaultNote("the emergency stop is pressed"),
    "enclosure": FaultNote("the housing is open"),
    "board-mute": FaultNote("nothing the board says arrives"),
    "board-deaf": FaultNote("the board hears nothing"),
    "board-garbage": FaultNote("the board sends garbage instead of frames"),
    "board-half-frames": FaultNote("every other frame of the board is cut in half"),
    "board-echo": FaultNote("what the host sends to the board comes back to it"),
    "board-slow": FaultNote("the board answers later than any host waits"),
    "board-reset": FaultNote("the board restarts by its watchdog, once", once=True),
    "meter-silent": FaultNote("the meter does not answer"),
    "meter-freeze": FaultNote("the meter answers, but its values stand still"),
    "meter-nan": FaultNote("every value of the meter is not a number"),
    "meter-energy-nan": FaultNote("the meter's energy is not a number"),
    "meter-crc": FaultNote("every answer of the meter has a wrong checksum"),
    "meter-exception": FaultNote("the meter answers every request with an exception"),
    "meter-slow": FaultNote("the meter answers 0.7 s late"),
    "reader-half-frames": FaultNote("the reader's frames are cut in half"),
}
"""Names that kinds share where they mean the same."""

KNOWN_FAULTS: Mapping[str, FaultNote] = {**PHYSICS, **SHARED, **WIRES}


def faults_of(hardware: Hardware, evse: SimEvse) -> dict[str, Fault]:
    """What can be broken at that EVSE, by name."""
    place, post = evse.place, hardware.reader_for(evse.number)
    switches: dict[str, Act] = dict(_physics(evse))
    notes: dict[str, FaultNote] = {**KNOWN_FAULTS, **place.kind.notes}
    switches |= _wires(hardware, place.board.ports(), "board-silent", "board-noise", "board-unplugged")
    switches |= place.board.faults
    switches |= _wires(hardware, place.meter.ports(), "meters-silent", "meter-noise", "meters-unplugged")
    switches |= {name: partial(switch, evse.number) for name, switch in place.meter.faults.items()}
    if place.meter_kind is not None:
        notes |= place.meter_kind.notes
    if post is not None:
        notes |= post.kind.notes
        switches |= _wires(hardware, post.peer.ports(), "reader-silent", "reader-noise", "reader-unplugged")
        switches |= post.peer.faults
    return {name: _fault(name, notes.get(name), switch) for name, switch in switches.items()}


def _fault(name: str, note: FaultNote | None, switch: Act) -> Fault:
    return Fault(name, name, switch) if note is None else Fault(name, note.summary, switch, note.once)


def _physics(evse: SimEvse) -> dict[str, Act]:
    def noted(on: bool, now: float) -> None:
        """The physics looks at the EVSE's set of faults."""

    def voltage(value_v: float) -> Act:
        return lambda on, _: setattr(evse, "voltage_v", value_v if on else NOMINAL_V)

    return {
        **dict.fromkeys(("diode", "cp-short", "pp-open", "pp-short", "pp-changed"), noted),
        "under-voltage": voltage(UNDER_V),
        "over-voltage": voltage(OVER_V),
        "phase-loss": lambda on, _: setattr(evse, "lost_phase", 2 if on else 0),
    }


def _wires(hardware: Hardware, ports: Sequence[LabPort], silent: str, noisy: str, unplugged: str) -> dict[str, Act]:
    """The three faults of a wire, for a peer that has one."""
    if not ports:
        return {}

    def cut(on: bool, _: float) -> None:
        for port in ports:
            port.cut = on

    def spoil(on: bool, _: float) -> None:
        for port in ports:
            port.noise = NOISE_SHARE if on else 0.0

    def pull(on: bool, _: float) -> None:
        for port in ports:
            if on:
                port.close()
            else:
                port.open(hardware.loop)

    return {silent: cut, noisy: spoil, unplugged: pull}
