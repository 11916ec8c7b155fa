"""A charger without a pilot board, as it joins the lab: pilot from PWM and converter, everything else on pins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simulators.boards.classifier import PilotClassifier
from simulators.boards.peer import HOT_C, LOCK, OPEN_S, WARM_C
from simulators.gpio.cabinet import LEAKAGE_MA, LINES, WATCHDOG_S, Cabinet
from simulators.gpio.chip import SimGpioChip
from simulators.gpio.front_end import OPEN_OHM, PilotFrontEnd, ntc_ohm
from simulators.lab.kinds import BoardKind, FaultNote, LabPort, Site, Surroundings, Switch, take_options

AMBIENT_C = 25.0
HEARTBEAT_MS = 200


class GpioPeer:
    """``simulators.lab.kinds.BoardPeer``: two devices, ``pilotN`` and ``pinsN``."""

    def __init__(self, site: Site) -> None:
        take_options(site, "gpio", {})
        self._site = site
        self._pilot_name, self._pins_name = f"pilot{site.number}", f"pins{site.number}"
        self.chip = SimGpioChip(site.directory / self._pins_name, LINES, self._stirred, seed=site.number)
        self.front = PilotFrontEnd(site.directory / self._pilot_name, seed=site.number, changed=self._stirred)
        self.cabinet = Cabinet(self.chip, site.now)
        self._classifier = PilotClassifier()
        self._powered = True
        self._temperature_ohm = ntc_ohm(AMBIENT_C)
        self._logged = (False, False)
        self.faults: Mapping[str, Switch] = self._switches()

    def _stirred(self) -> None:
        """In a server's thread: the program under test has done something."""
        if not self._site.loop.is_closed():
            self._site.loop.call_soon_threadsafe(self._site.wake)

    @property
    def duty_pct(self) -> float:
        """The watchdog holds the pilot at −12 V while there is no heartbeat."""
        duty_pct = self.front.look()
        return duty_pct if self._powered and self.cabinet.alive else 0.0

    @property
    def poles(self) -> tuple[bool, bool, bool]:
        return self.cabinet.poles

    def step(self, now: float, around: Surroundings) -> bool:
        if not self._powered:
            return False
        self.chip.refresh()
        self.front.sense(around.high_v, around.low_v, around.cable_a, self._temperature_ohm)
        self._classifier.sample(around.high_v, now)
        busy = self.cabinet.step(now)
        coil, alive = self.cabinet.first.coil, self.cabinet.alive
        if (coil, alive) != self._logged:
            if coil != self._logged[0]:
                self._site.log.add("coil_on" if coil else "coil_off", reason="" if coil else self.cabinet.reason)
            if alive != self._logged[1]:
                self._site.log.add("host_alive" if alive else "host_silent")
            self._logged = (coil, alive)
        return busy

    def power_up(self, now: float) -> None:  # noqa: ARG002 (nothing here boots)
        self._powered = self.chip.powered = self.front.powered = True

    def power_down(self, now: float) -> None:
        """Contacts drop; the computer's pins are there, but nothing hangs on them that could answer."""
        self._powered = self.chip.powered = self.front.powered = False
        self.cabinet.power_down(now)

    def ports(self) -> Sequence[LabPort]:
        return [self.chip, self.front]

    def devices(self) -> dict[str, Any]:
        def line(name: str, extra: str = "active-low pull-up") -> str:
            return f"sim:{self.chip.path}:{name} {extra}".strip()

        socket, three = self._site.connector == "socket", self._site.phases == 3
        second = {"coil_l2_l3": line("K2", ""), "mirror_l2_l3": line("K2_NC")} if three else {}
        pins: dict[str, Any] = {
            "driver": "gpio",
            "contactors": {"k1": {"coil": line("K1", ""), "mirror": line("K1_NC"), **second}},
            "residual_current_monitors": {
                "rcm": {"trip": line("RCM_TRIP", "pull-up"), "test": line("RCM_TEST", ""), "test_ms": 300}
            },
            "emergency_stops": {"stop": {"loop": line("STOP")}},
            "enclosures": {"box": {"cover": line("COVER"), "upright": line("UPRIGHT")}},
            "buttons": {"button": {"line": line("BUTTON", "active-low pull-up 20ms")}},
            "leds": {"light": {"red": line("RED", ""), "green": line("GREEN", ""), "blue": line("BLUE", "")}},
            "watchdogs": {"heartbeat": {"line": line("HEARTBEAT", ""), "interval_ms": HEARTBEAT_MS}},
        }
        pilot: dict[str, Any] = {
            "driver": "linux-pilot",
            "pwm": f"{self.front.pwm.chip}:0",
            "spi": f"sim:{self.front.path}",
            "temperature_channel": 2,
        }
        if socket:
            pilot["proximity_channel"] = 1
            pins["locks"] = {"bolt": {"lock": line("LOCK", ""), "unlock": line("UNLOCK", ""), "feedback": line("BOLT")}}
        return {self._pilot_name: pilot, self._pins_name: pins}

    def references(self) -> dict[str, Any]:
        names = {
            "contactor": "k1",
            "residual_current": "rcm",
            "emergency_stop": "stop",
            "enclosure": "box",
            "button": "button",
            "indicator": "light",
            **({"lock": "bolt"} if self._site.connector == "socket" else {}),
        }
        return {"board": self._pilot_name, **{port: f"{self._pins_name}.{unit}" for port, unit in names.items()}}

    def state(self) -> dict[str, Any]:
        cabinet, state = self.cabinet, self._classifier.state
        socket = self._site.connector == "socket"
        lights = [name.lower() for name in ("RED", "GREEN", "BLUE") if self.chip.output(name)]
        return {
            "pilot_state": None if state is None else state.name,
            "closed": cabinet.first.closed or cabinet.rest.closed,
            "feedback": cabinet.first.feedback or cabinet.rest.feedback,
            "coil": cabinet.first.coil,
            "opened_because": cabinet.reason,
            "lock": LOCK[cabinet.lock.locked] if socket else "none",
            "running": self._powered,
            "host_alive": cabinet.alive,
            "lights": lights,
            "residual_tripped": cabinet.monitor.tripped,
        }

    def _switches(self) -> dict[str, Switch]:
        cabinet = self.cabinet

        def put(part: object, attribute: str) -> Switch:
            def switch(on: bool, _: float) -> None:
                setattr(part, attribute, on)
                self._site.wake()

            return switch

        def both(attribute: str) -> Switch:
            def switch(on: bool, _: float) -> None:
                setattr(cabinet.first, attribute, on)
                setattr(cabinet.rest, attribute, on)

            return switch

        def warm(ohm: float) -> Switch:
            return lambda on, _: setattr(self, "_temperature_ohm", ohm if on else ntc_ohm(AMBIENT_C))

        return {
            "welded": both("welded"),
            "stuck-open": both("stuck_open"),
            "late-feedback": both("late_feedback"),
            "rcd": lambda on, _: setattr(cabinet.monitor, "dc_ma", LEAKAGE_MA if on else 0.0),
            "rcd-self-test": put(cabinet.monitor, "broken"),
            "lock-lost": put(cabinet.lock, "feedback_lost"),
            "lock-stuck": put(cabinet.lock, "stuck"),
            "emergency-stop": put(cabinet, "stopped"),
            "enclosure": put(cabinet, "open_cover"),
            "tilt": put(cabinet, "tilted"),
            "button": put(cabinet, "pressed"),
            "mirror-lost": put(cabinet, "mirror_lost"),
            "adc-stuck": put(self.front, "stuck"),
            "warm": warm(ntc_ohm(WARM_C)),
            "over-temperature": warm(ntc_ohm(HOT_C)),
            "temperature-sensor": warm(OPEN_OHM),
        }


GPIO = BoardKind(
    "gpio",
    "no board: pilot by the computer's PWM and an ADC, contactors and all else on its pins",
    GpioPeer,
    notes={
        "tilt": FaultNote("the charger has fallen over"),
        "button": FaultNote("the start/stop button is held"),
        "mirror-lost": FaultNote("the wire of the mirror contacts is broken"),
        "adc-stuck": FaultNote("the converter's data line is stuck high"),
    },
    opens_within_s=WATCHDOG_S + OPEN_S,
)
