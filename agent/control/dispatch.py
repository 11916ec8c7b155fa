"""Between devices, the EVSEs' cores and the agent: who is stepped, what is sent, what is asked."""

from __future__ import annotations

import logging

from agent.control import tries
from agent.control.device_state import DeviceState, guarded
from agent.control.evse import EvseControl
from agent.control.hardware import Hardware
from agent.control.inputs import EvseInputs, EvseOutputs
from agent.control.inspect import devices_of, inputs_of
from agent.control.latches import LatchFile
from agent.control.link_server import LinkServer
from agent.control.rate_limit import RateLimit
from agent.control.signing import REQUESTS, SigningDesk
from agent.link import messages as m
from hal.values import Indication, MeterReading

log = logging.getLogger("evse-control")

OBSERVATION_S = 1.0
HEALTH_S = 1.0
GRID = 0
"""What stands for the whole building where an EVSE's number is asked for."""
_CHANGES_THAT_COUNT = tuple(
    name
    for name in m.Observation.__dataclass_fields__
    if name not in ("at", "temperature_c", "pilot_high_v", "pilot_low_v")
)


class Dispatcher:
    """Owns one ``EvseControl`` per EVSE. ``send`` is set once the link is there."""

    def __init__(self, hardware: Hardware, now: float, latches: LatchFile | None = None) -> None:
        self._hardware = hardware
        self.evses = {number: EvseControl(settings, now) for number, settings in hardware.settings.items()}
        self._outputs: dict[int, EvseOutputs] = {}
        self._told: dict[int, m.Observation] = {}
        self._meter_at: dict[int, float] = {}
        self._signing = SigningDesk(hardware.signing)
        self._touched: set[int] = set()
        self._next_health = 0.0
        self._overrun_log = RateLimit(10.0)
        self._blind = set[int]()
        self.link: LinkServer | None = None
        self.starts_anew = False
        """Control is to end and be started again (``StartAnew``)."""
        self._latches = latches or LatchFile(None)
        self._books = {number: evse.faults for number, evse in self.evses.items()}
        self._latches.restore(self._books, now)

    @property
    def energised(self) -> bool:
        return any(evse.sequence.closed for evse in self.evses.values())

    def infos(self) -> tuple[m.EvseInfo, ...]:
        return tuple(
            m.EvseInfo(s.evse, s.max_current_a, s.phases, s.socket, s.has_meter, s.evse in self._signing.evses)
            for s in self._hardware.settings.values()
        )

    # ---- a step -------------------------------------------------------------------------------------------------

    def step(self, number: int, now: float) -> bool:
        """Read, decide, write, tell. Returns whether the next step is due in one short tick."""
        ports = self._hardware.ports[number]
        inputs = ports.read(now)
        outputs = self.evses[number].step(inputs, now)
        ports.write(outputs, now)
        last = self._outputs.get(number)
        self._outputs[number] = outputs
        if outputs.reports:  # after the commands are on the wire
            self._latches.save(self._books)
        self._log(number, inputs, outputs, last)
        self._tell(number, inputs, outputs, now)
        return outputs.active

    def take_touched(self) -> set[int]:
        """Return the EVSEs that a request concerned since the last call; they are stepped in the same pass."""
        touched, self._touched = self._touched, set()
        return touched

    def make_safe(self, now: float) -> None:
        for ports in self._hardware.ports.values():
            ports.make_safe(now)

    def overrun(self, detail: str, now: float) -> None:
        if self._overrun_log.allows(now):
            log.warning("%s", detail)
        for evse in self.evses.values():
            if evse.sequence.closed:
                evse.note_overrun(detail)

    def _log(self, number: int, inputs: EvseInputs, outputs: EvseOutputs, last: EvseOutputs | None) -> None:
        if inputs.contactor is not None and inputs.contactor.closed is None and number not in self._blind:
            self._blind.add(number)
            log.warning("EVSE %d: the contactor has no feedback; a welded contact cannot be seen", number)
        was_closed = last is not None and last.contactor
        if outputs.contactor and not was_closed:
            log.info("EVSE %d: contactor closes, %.1f A offered", number, self.evses[number].offered_a)
        elif was_closed and not outputs.contactor:
            log.info("EVSE %d: contactor opens: %s", number, outputs.opened_because)
        for report in outputs.reports:
            if report.active:
                log.warning("EVSE %d: fault %s: %s. %s", number, report.code.value, report.detail, report.remedy)
            else:
                log.info("EVSE %d: fault %s is over", number, report.code.value)

    def _tell(self, number: int, inputs: EvseInputs, outputs: EvseOutputs, now: float) -> None:
        link = self.link
        if link is None or not link.connected:
            return
        for report in outputs.reports:
            link.send(report)
        seen, told = outputs.observation, self._told.get(number)
        if seen is not None and (told is None or now - told.at >= OBSERVATION_S or _differs(seen, told)):
            self._told[number] = seen
            link.send(seen)
        meter = inputs.meter
        if meter is not None and self._meter_at.get(number) != meter.at:
            self._meter_at[number] = meter.at
            link.send(_sample(number, meter))

    # ---- now and then -------------------------------------------------------------------------------------------

    def house_keeping(self, now: float) -> None:
        """Cards, buttons and the building's meter at once, health of the devices once a second."""
        link = self.link
        if link is None:
            return
        for reader in self._hardware.readers:
            for token in reader.take(now):
                link.send(m.TokenPresented(reader.name, token.at, token.uid, token.kind.value, reader.evse))
        for number, ports in self._hardware.ports.items():
            for press in ports.take_presses(now):
                link.send(m.ButtonPressed(number, press.at, press.long))
        self._tell_grid(link, now)
        if link.connected:
            self._signing.tell(link.send, now)
        if now >= self._next_health:
            self._next_health = now + HEALTH_S
            for state in self._hardware.devices.values():
                self._tell_health(state, now)

    def _tell_grid(self, link: LinkServer, now: float) -> None:
        """Pass on the building's meter: a limit that only the agent knows how to share."""
        source = self._hardware.grid_meter
        if source is None or source.device.failure or not link.connected:
            return
        reading: MeterReading | None = guarded(source.device, source.unit.meter, now)
        if reading is not None and self._meter_at.get(GRID) != reading.at:
            self._meter_at[GRID] = reading.at
            link.send(_sample(GRID, reading))

    def _tell_health(self, state: DeviceState, now: float) -> None:
        ok, detail = health_of(state, now)
        if state.told is not None and state.told == (ok, detail):
            return
        if state.told is None or state.told[0] is not ok:
            if ok:
                log.info("%s: well", state.device.name)
            else:
                log.warning("%s: %s", state.device.name, detail)
        state.told = ok, detail
        if self.link is not None:
            self.link.send(m.DeviceReport(state.device.name, ok, now, detail))

    def on_connect(self, now: float) -> None:
        """A new agent gets everything: devices, faults, observations, meters."""
        assert self.link is not None
        self._told.clear()
        self._meter_at.clear()
        self._signing.forget()
        for state in self._hardware.devices.values():
            ok, detail = health_of(state, now)
            self.link.send(m.DeviceReport(state.device.name, ok, now, detail))
        for number, evse in self.evses.items():
            for report in evse.all_fault_reports():
                self.link.send(report)
            self._touched.add(number)

    # ---- requests -----------------------------------------------------------------------------------------------

    def on_request(self, message: m.ToControl, now: float) -> None:
        """Do what the agent asks, or log why not."""
        if isinstance(message, m.Hello):
            return
        if isinstance(message, m.StartAnew):
            self._start_anew()
            return
        if isinstance(message, m.AskInputs):
            self._tell_inputs(message, now)
            return
        if isinstance(message, REQUESTS):
            refused = self._signing.take(message, now)
            if refused:
                log.warning("EVSE %d: %s refused: %s", message.evse, type(message).__name__, refused)
            return
        evse = self.evses.get(message.evse)
        if evse is None:
            log.warning("link: %s for EVSE %d, which is not configured", type(message).__name__, message.evse)
            self._answer(message, f"EVSE {message.evse} is not configured", now)
            return
        self._touched.add(message.evse)
        refused = ""
        match message:
            case m.Permit():
                refused = evse.grant(message, now)
            case m.Withdraw():
                log.info("EVSE %d: permit withdrawn: %s", message.evse, message.reason)
                evse.withdraw()
            case m.HoldCable():
                evse.hold_cable(message.hold)
            case m.SetOperative():
                evse.set_operative(message.operative)
            case m.Indicate():
                refused = _indicate(evse, message.indication)
            case m.ClearFault():
                refused = evse.clear_fault(message.code)
            case m.ResetBoard():
                refused = evse.reset_board()
            case m.RunSelfTest():
                refused = evse.run_self_test()
            case m.OpenNow():
                log.warning("EVSE %d: opens at once, as a person asks", message.evse)
                evse.open_now()
            case m.TryLock() | m.TryPilot() | m.TryIndication():
                refused = tries.begin(evse, message, now)
        if refused:
            log.warning("EVSE %d: %s refused: %s", message.evse, type(message).__name__, refused)
        self._answer(message, refused, now)

    def _answer(self, message: m.ToControl, refused: str, now: float) -> None:
        request = getattr(message, "request", 0)
        if request and self.link is not None:
            self.link.send(m.Answer(request, refused, now))

    def _tell_inputs(self, message: m.AskInputs, now: float) -> None:
        if self.link is None:
            return
        ports = self._hardware.ports.get(message.evse)
        if ports is not None:
            self.link.send(inputs_of(message.evse, ports, message.request, now))
        elif message.evse == GRID:
            self.link.send(devices_of(self._hardware.devices, message.request, now))
        else:
            self._answer(message, f"EVSE {message.evse} is not configured", now)

    def _start_anew(self) -> None:
        for number, evse in self.evses.items():
            # An unknown plug counts as one that is there.
            if evse.sequence.closed or evse.was_plugged is not False:
                log.warning("StartAnew refused: EVSE %d is in use, or its plug cannot be seen", number)
                return
        log.info("leaving for a fresh start, as the agent asks")
        self.starts_anew = True


def _indicate(evse: EvseControl, name: str) -> str:
    try:
        evse.indicate(Indication(name))
    except ValueError:
        return f"{name!r} is no indication"
    return ""


def _differs(one: m.Observation, other: m.Observation) -> bool:
    return any(getattr(one, name) != getattr(other, name) for name in _CHANGES_THAT_COUNT)


def _sample(number: int, meter: MeterReading) -> m.MeterSample:
    return m.MeterSample(
        number,
        meter.at,
        meter.energy_import_wh,
        meter.power_w,
        meter.voltage_v,
        meter.current_a,
        meter.frequency_hz,
        meter.quality.value,
        meter.energy_export_wh,
        meter.power_factor,
    )


def health_of(state: DeviceState, now: float) -> tuple[bool, str]:
    """Return whether a device is well, and its own words. A driver that raises is not."""
    if state.failure:
        return False, state.failure
    try:
        health = state.device.health(now)
    except Exception as error:  # noqa: BLE001 (no driver may stop the loop)
        state.fail(error, now)
        return False, state.failure
    return health.ok, health.detail
