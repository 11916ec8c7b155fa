"""A stand-in for the control process, its outlets, cards and vehicles: quick, obedient, and breakable on purpose.

It speaks the real link. Energy flows only through closed contacts, which close on a permit alone. What takes real
hardware seconds takes it milliseconds.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

from agent.link.messages import (
    EvseInfo,
    FaultCode,
    FaultReport,
    Hold,
    HoldCable,
    Indicate,
    MeterSample,
    Observation,
    Permit,
    SetOperative,
    ToAgent,
    ToControl,
    TokenPresented,
    Withdraw,
)
from tests.link_end import LinkEnd

TICK_S = 0.05
CLOSE_S = 0.1
"""From a permit to closed contacts; checks and soft start take real hardware longer."""

NOMINAL_V = 230.0
TEMPERATURE_C = 31.5


@dataclass(slots=True)
class Outlet:
    """One EVSE with its meter and, at times, a cable and a vehicle. ``socket`` False: fixed cable."""

    evse: int
    socket: bool = True
    phases: int = 3
    energy_wh: float = 12_000.0
    power_w: float = 11_000.0
    """What the vehicle takes while the contacts are closed."""
    plugged: bool = False
    """A vehicle is connected."""
    cable: bool = False
    """A cable is in the socket, with or without a vehicle at its other end."""
    wants: bool = True
    """The vehicle asks for energy."""
    meter_works: bool = True
    lock_stuck: bool = False
    """The lock stays closed whatever is asked."""
    permit: Permit | None = None
    permit_until: float = 0.0
    closed: bool = False
    hold: bool = False
    operative: bool = True
    indication: str = ""
    plugged_at: float | None = None
    faults: dict[FaultCode, bool] = field(default_factory=dict)
    """Fault → latched."""
    stops_at_fault: bool = True
    """False: the faults are told, but energy flows on."""
    permits: list[Permit] = field(default_factory=list)
    """All since the last withdrawal."""
    stepped_at: float = field(default_factory=time.monotonic)

    def step(self) -> None:
        """Count the energy up to now; then let the contacts follow permit, plug and faults."""
        now = time.monotonic()
        if self.closed:
            self.energy_wh += self.power_w * (now - self.stepped_at) / 3600.0
        self.stepped_at = now
        if self.permit is not None and now > self.permit_until:
            self.permit = None
        self.closed = self.offering and self.wants

    @property
    def blocked(self) -> bool:
        return bool(self.faults) and self.stops_at_fault

    @property
    def offering(self) -> bool:
        """The pilot offers current."""
        return (
            self.plugged
            and self.operative
            and not self.blocked
            and self.permit is not None
            and self.permit.current_a >= 6
        )

    def observation(self) -> Observation:
        offered_a = self.permit.current_a if self.offering and self.permit is not None else 0.0
        holds = []
        if self.blocked:
            holds.append(Hold.FAULT)
        if not self.operative:
            holds.append(Hold.INOPERATIVE)
        if not self.plugged:
            holds.append(Hold.NOT_PLUGGED)
        if self.permit is None:
            holds.append(Hold.NO_PERMIT)
        elif self.permit.current_a < 6:
            holds.append(Hold.LIMIT_BELOW_MINIMUM)
        if self.plugged and not self.wants:
            holds.append(Hold.VEHICLE_NOT_READY)
        pilot = "A1" if not self.plugged else ("C2" if self.wants else "B2") if self.offering else "B1"
        locked = self.lock_stuck or self.hold or self.offering
        return Observation(
            evse=self.evse,
            at=time.monotonic(),
            pilot=pilot if self.operative else "F",
            plugged=self.plugged,
            vehicle_ready=self.closed,
            duty_pct=53.3 if self.offering else 100.0,
            offered_a=offered_a,
            phases=self.phases,
            contactor_closed=self.closed,
            locked=locked if self.socket else None,
            cable_a=32 if self.cable and self.socket else 0,
            permit_serial=self.permit.serial if self.permit is not None else 0,
            fail_safe=False,
            limit_a=offered_a,
            limited_by="permit",
            holds=() if self.closed else tuple(holds),
            faults=tuple(self.faults),
            temperature_c=TEMPERATURE_C,
            plugged_at=self.plugged_at,
        )

    def sample(self) -> MeterSample:
        power_w = self.power_w if self.closed else 0.0
        return MeterSample(
            evse=self.evse,
            at=time.monotonic(),
            energy_import_wh=float(int(self.energy_wh)),
            power_w=power_w,
            voltage_v=(NOMINAL_V,) * self.phases,
            current_a=(power_w / NOMINAL_V / self.phases,) * self.phases,
            frequency_hz=50.0,
            quality="good",
        )


class Hardware:
    """Runs in the present event loop between ``start`` and ``close``; outlives the agent, as control does."""

    def __init__(self, link_path: Path, outlets: dict[int, Outlet]) -> None:
        self.outlets = outlets
        self._link = LinkEnd(link_path, self._infos, self._take, self._tell_all)
        self._timer: asyncio.TimerHandle | None = None
        self._taps = 0

    # ---- life ----

    def start(self) -> None:
        """Start, or start again as a control process that forgets every permit."""
        for outlet in self.outlets.values():
            outlet.permit, outlet.hold, outlet.operative = None, False, True
            outlet.step()
        self._link.open()
        self._tick()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._link.close()

    # ---- people ----

    def plug(self, evse: int = 1) -> None:
        """Put the cable in, with a vehicle at its other end."""
        outlet = self.outlets[evse]
        outlet.cable = outlet.plugged = True
        outlet.plugged_at = time.monotonic()
        self._tell(outlet)

    def unplug(self, evse: int = 1, *, at_vehicle: bool = False) -> None:
        """Take the vehicle away; ``at_vehicle``: its end of the cable alone, the plug stays in the socket."""
        outlet = self.outlets[evse]
        outlet.plugged, outlet.plugged_at, outlet.permit = False, None, None
        outlet.cable = outlet.cable and at_vehicle
        self._tell(outlet)

    def set(self, evse: int = 1, **changes: object) -> None:
        """Change anything about an outlet, and tell."""
        for name, value in changes.items():
            setattr(self.outlets[evse], name, value)
        self._tell(self.outlets[evse])

    def tap(self, uid: str, evse: int = 0) -> None:
        """Present a card. Each time at another reader: the same card soon after at one reader is one presentation."""
        self._taps += 1
        self._send(TokenPresented(f"reader-{self._taps}", time.monotonic(), uid, "ISO14443", evse))

    def fault(self, code: FaultCode, evse: int = 1, *, latched: bool = False, stops: bool = True) -> None:
        """Something breaks. ``evse`` 0: a part that all share. ``stops``: energy stops with it."""
        self._send(FaultReport(evse, code, True, time.monotonic(), latched, f"{code.value} broke", "mend it"))
        if evse:
            self.outlets[evse].faults[code] = latched
            self.outlets[evse].stops_at_fault = stops
            self._tell(self.outlets[evse])

    def mend(self, code: FaultCode, evse: int = 1) -> None:
        self._send(FaultReport(evse, code, False, time.monotonic(), False, "", ""))
        if evse:
            self.outlets[evse].faults.pop(code, None)
            self._tell(self.outlets[evse])

    # ---- the link ----

    def _infos(self) -> tuple[EvseInfo, ...]:
        return tuple(EvseInfo(o.evse, 32.0, o.phases, o.socket, True) for o in self.outlets.values())

    def _tell_all(self) -> None:
        for outlet in self.outlets.values():
            self._tell(outlet)

    def _take(self, message: ToControl) -> None:
        match message:
            case Permit():
                self.outlets[message.evse].permits.append(message)
                wait_s = CLOSE_S if self.outlets[message.evse].permit is None else 0.0
                asyncio.get_running_loop().call_later(wait_s, self._grant, message)
                return
            case Withdraw(evse):
                self.outlets[evse].permit = None
                self.outlets[evse].permits.clear()
            case SetOperative(evse, operative):
                self.outlets[evse].operative = operative
            case HoldCable(evse, hold):
                self.outlets[evse].hold = hold
            case Indicate(evse, indication):
                self.outlets[evse].indication = indication
                return
            case _:
                return
        # The agent hears of it in its next step, never within its own.
        asyncio.get_running_loop().call_soon(self._tell, self.outlets[message.evse])

    def _grant(self, permit: Permit) -> None:
        outlet = self.outlets[permit.evse]
        if outlet.permits[-1:] == [permit] and outlet.plugged:  # not withdrawn meanwhile, and the vehicle still there
            outlet.permit, outlet.permit_until = permit, time.monotonic() + permit.lease_s
            self._tell(outlet)

    def _send(self, message: ToAgent) -> None:
        self._link.send(message)

    def _tick(self) -> None:
        self._tell_all()
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tell(self, outlet: Outlet) -> None:
        outlet.step()
        self._send(outlet.observation())
        if outlet.meter_works:
            self._send(outlet.sample())
