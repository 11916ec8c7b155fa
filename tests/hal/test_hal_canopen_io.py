"""The driver canopen-io against a simulated CiA 401 module, in virtual time; and its frames byte by byte."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import can
import pytest
from can_rig import Bench, VirtualBus, virtual_bus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hal import registry
from hal.can.frames import Frame
from hal.drivers.canopen_io import protocol as p
from hal.drivers.canopen_io import units as u
from hal.drivers.canopen_io.driver import CanopenIo, CanopenIoOptions
from hal.ports import PortKind
from hal.values import SelfTest
from simulators.can.io_node import IoNode
from simulators.oracle import EventLog

NODE, HOST = 5, 127
COIL, LOCK, UNLOCK, TEST, RESET = range(5)
MIRROR, BOLT, TRIP, STOP, COVER = range(5)
UNITS: dict[str, Any] = {
    "inverted_inputs": (STOP,),
    "contactors": (u.ContactorOptions("k1", COIL, mirror=MIRROR),),
    "locks": (u.LockOptions("lock", LOCK, BOLT, unlock=UNLOCK),),
    "residual_currents": (u.ResidualCurrentOptions("rcm", TRIP, test=TEST, reset=RESET),),
    "emergency_stops": (u.SwitchOptions("stop", STOP),),
    "enclosures": (u.EnclosureOptions("housing", open=COVER),),
}


class Module(Bench):
    """Device and simulated module, with a contactor, a bolt and a monitor wired to it."""

    def __init__(self, bus: VirtualBus, **options: Any) -> None:
        self.options = CanopenIoOptions(
            channel=bus.channel, interface="virtual", node=NODE, host_node=HOST, **{**UNITS, **options}
        )
        self.log = EventLog()
        self.node = IoNode(NODE, bus.send, self.log, 0.0)
        self.bolt = self.tripped = self.stop = self.cover = False
        self.monitor_works = True
        self.outputs_seen: list[int] = []
        device = CanopenIo("io", self.options)
        super().__init__(bus, device, lambda f, now: self.node.receive(f.id, f.data, now), self._world)

    def _world(self, now: float) -> None:
        outputs = self.node.outputs
        if not self.outputs_seen or self.outputs_seen[-1] != outputs:
            self.outputs_seen.append(outputs)
        if outputs >> LOCK & 1:
            self.bolt = True
        if outputs >> UNLOCK & 1:
            self.bolt = False
        if outputs >> TEST & 1 and self.monitor_works:
            self.tripped = True
        elif outputs >> RESET & 1:
            self.tripped = False
        bits = (not self.closed, self.bolt, self.tripped, not self.stop, self.cover)
        self.node.inputs = sum(bit << place for place, bit in enumerate(bits))
        self.node.step(now)

    @property
    def closed(self) -> bool:
        return bool(self.node.outputs >> COIL & 1)

    def unit(self, name: str) -> Any:
        return self.device.unit(name)

    @property
    def detail(self) -> str:
        return str(self.device.health(self.now).detail)

    def ready(self) -> None:
        self.start()
        self.until(lambda: self.device.health(self.now).ok)

    def close_contactor(self) -> None:
        self.ready()
        self.unit("k1").set_contactor(True, self.now)
        self.until(lambda: self.unit("k1").contactor().closed, 0.3)


@pytest.fixture
def bus(request: pytest.FixtureRequest) -> Iterator[VirtualBus]:
    with virtual_bus(request.node.name) as opened:
        yield opened


@pytest.fixture
def module(bus: VirtualBus) -> Iterator[Module]:
    made = Module(bus)
    yield made
    made.device.close()


# Byte by byte (hardware sheet §G.3; CiA 301)


def test_frames() -> None:
    assert p.nmt(p.Nmt.START, 5) == Frame(0x000, b"\x01\x05")
    assert p.nmt(p.Nmt.RESET_NODE, 5) == Frame(0x000, b"\x81\x05")
    assert p.heartbeat(127, p.NodeState.OPERATIONAL) == Frame(0x77F, b"\x05")
    assert p.download(5, 0x6206, 1, 0xFF, 1) == Frame(0x605, bytes.fromhex("2f 06 62 01 ff 00 00 00"))
    assert p.download(5, 0x1017, 0, 125, 2) == Frame(0x605, bytes.fromhex("2b 17 10 00 7d 00 00 00"))
    assert p.download(5, 0x1016, 1, 0x7F01F4, 4) == Frame(0x605, bytes.fromhex("23 16 10 01 f4 01 7f 00"))
    assert p.upload(5, 0x1000, 0) == Frame(0x605, bytes.fromhex("40 00 10 00 00 00 00 00"))


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        ("60 06 62 01 00 00 00 00", p.Answer(0x6206, 1)),
        ("43 00 10 00 91 01 03 00", p.Answer(0x1000, 0, b"\x91\x01\x03\x00")),
        ("4f 00 60 00 02 00 00 00", p.Answer(0x6000, 0, b"\x02")),
        ("4b 17 10 00 e8 03 00 00", p.Answer(0x1017, 0, b"\xe8\x03")),
        ("42 00 10 00 91 01 03 00", p.Answer(0x1000, 0, b"\x91\x01\x03\x00")),
        ("80 06 62 01 00 00 02 06", p.Answer(0x6206, 1, abort=0x06020000)),
        ("41 08 10 00 1a 00 00 00", None),  # a segmented transfer
        ("60 06 62 01", None),
    ],
)
def test_answers(data: str, answer: p.Answer | None) -> None:
    assert p.decode_answer(bytes.fromhex(data)) == answer


def test_emergencies() -> None:
    heartbeat = p.decode_emergency(bytes.fromhex("30 81 11 00 00 00 00 00"))
    assert heartbeat is not None
    assert heartbeat.text == "0x8130 (it missed our heartbeat)"
    output = p.decode_emergency(bytes.fromhex("10 23 05 01 02 03 04 05"))
    assert output is not None
    assert output.text == "0x2310 (current at the outputs), details 0102030405"
    assert p.decode_emergency(b"\0\0") is None
    assert p.abort_text(0x06020000) == "object does not exist (0x06020000)"
    assert p.abort_text(0x12345678) == "refused (0x12345678)"


# Set-up


def test_a_module_is_reset_set_up_and_started_in_this_order(module: Module) -> None:
    module.ready()
    assert module.sent[0] == Frame(0x000, b"\x81\x05")
    objects = [(e["index"], e["sub"], e["value"]) for e in module.log.recent if e["event"] == "object"]
    assert objects == [
        ("6206", 1, 0xFF),
        ("6207", 1, 0x00),
        ("1400", 2, 0xFF),
        ("1016", 1, HOST << 16 | 500),
        ("1017", 0, 125),
        ("1029", 1, 0),
        ("1800", 2, 0xFF),
        ("1800", 5, 125),
    ]
    start = module.sent.index(Frame(0x000, b"\x01\x05"))
    before = [frame for frame in module.sent[:start] if frame.id == 0x200 + NODE]
    assert before == []
    assert module.outputs_seen == [0]


def test_ports(bus: VirtualBus) -> None:
    driver = registry.load("canopen-io")
    units = driver.units(Module(bus).options)
    assert units == {
        "k1": {PortKind.CONTACTOR},
        "lock": {PortKind.CABLE_LOCK},
        "rcm": {PortKind.RESIDUAL_CURRENT_MONITOR},
        "stop": {PortKind.EMERGENCY_STOP},
        "housing": {PortKind.ENCLOSURE},
    }


def test_a_contactor_closes_opens_at_once_and_is_read_by_its_mirror(module: Module) -> None:
    module.close_contactor()
    module.unit("k1").set_contactor(False, module.now)
    module.pump()
    assert not module.closed
    module.until(lambda: module.unit("k1").contactor().closed is False, 0.3)


def test_nothing_is_switched_before_the_module_is_ready(module: Module) -> None:
    module.start()
    while not module.device.health(module.now).ok:
        module.unit("k1").set_contactor(True, module.now)
        module.unit("lock").set_lock(True, module.now)
        assert module.unit("k1").contactor() is None
        module.run(0.01)
    assert module.outputs_seen == [0]
    module.run(0.5)
    assert module.outputs_seen == [0]  # commanded too early is not commanded


# It drops when we die, and when it does we know


def test_outputs_drop_when_our_heartbeat_stops(module: Module) -> None:
    module.close_contactor()
    module.node.deaf = True
    assert module.until(lambda: not module.closed, 2.0) <= 0.52
    assert [e["reason"] for e in module.log.recent if e["event"] == "outputs"][-1] == "host silent"
    module.node.deaf = False
    module.run(5.0)
    assert module.device.health(module.now).ok
    assert not module.closed  # nobody closes it again but control


def test_a_frozen_process_is_no_heartbeat(module: Module) -> None:
    module.close_contactor()
    begin = module.now
    while module.closed:
        module.now += 0.01
        module.node.step(module.now)
        assert module.now - begin < 0.6


@pytest.mark.parametrize("fault", ["mute", "cut"])
def test_a_silent_module_is_lost_and_withdrawn(module: Module, fault: str) -> None:
    module.close_contactor()
    setattr(module.node if fault == "mute" else module.bus, fault, True)
    gone = module.until(lambda: module.unit("k1").contactor() is None, 2.0)
    assert gone <= 0.52
    assert "node 5: " in module.detail
    module.until(lambda: not module.closed, 0.7)
    setattr(module.node if fault == "mute" else module.bus, fault, False)
    module.run(6.0)
    assert module.device.health(module.now).ok
    assert not module.closed


def test_a_restart_of_the_module_is_set_up_again_with_its_outputs_safe(module: Module) -> None:
    module.close_contactor()
    module.node.restart("watchdog", module.now)
    module.until(lambda: module.unit("k1").contactor() is None, 1.0)
    module.until(lambda: module.device.health(module.now).ok)
    assert module.node.restarts == 1
    assert module.unit("k1").contactor().closed is False
    module.run(1.0)
    assert not module.closed
    module.unit("k1").set_contactor(True, module.now)
    module.until(lambda: module.closed, 0.2)


def test_a_module_that_somebody_stops_is_taken_up_again_safely(module: Module) -> None:
    module.close_contactor()
    module.node.receive(0, b"\x02\x05", module.now)
    module.until(lambda: module.unit("k1").contactor() is None, 0.5)
    assert not module.closed
    module.run(3.0)
    assert module.device.health(module.now).ok
    assert not module.closed


def test_inputs_that_are_no_longer_sent_are_not_trusted(module: Module) -> None:
    module.close_contactor()
    module.node.tells_inputs = False
    module.until(lambda: not module.closed, 0.7)


def test_a_module_without_event_timer_tells_changes_and_lives_by_its_heartbeat(bus: VirtualBus) -> None:
    module = Module(bus)
    module.node.event_timer = False
    module.close_contactor()
    module.run(3.0)
    at = module.unit("k1").contactor().at
    assert module.now - at < 0.2
    module.node.mute = True
    module.until(lambda: module.unit("k1").contactor() is None, 0.6)
    module.device.close()


def test_an_emergency_message_is_told_until_it_is_withdrawn(module: Module) -> None:
    module.ready()
    module.node.emergency(0x2310)
    module.run(0.02)
    assert "node 5 reports error 0x2310 (current at the outputs)" in module.detail
    module.node.emergency(0)
    module.run(0.02)
    assert module.device.health(module.now).ok


# What cannot be used


@pytest.mark.parametrize("index", [0x6206, 0x6207, 0x1016])
def test_a_module_that_cannot_drop_its_outputs_is_not_used(module: Module, index: int) -> None:
    module.node.refuses = {index}
    module.start()
    module.until(lambda: "refuses object" in module.detail)
    assert f"node 5: refuses object {index:04X}h sub 1: object does not exist" in module.detail
    assert "cannot be made to drop its outputs when we die" in module.detail
    module.unit("k1").set_contactor(True, module.now)
    module.run(3.0)
    assert module.outputs_seen == [0]


def test_another_device_under_that_node_id_is_refused(module: Module) -> None:
    module.node.device_type = 0x0004_0192
    module.start()
    module.until(lambda: "profile 402, not CiA 401" in module.detail)


@pytest.mark.parametrize(
    ("device_type", "words"), [(0x0001_0191, "has no digital outputs"), (0x0002_0191, "has no digital inputs")]
)
def test_a_module_without_the_sides_needed_is_refused(module: Module, device_type: int, words: str) -> None:
    module.node.device_type = device_type
    module.start()
    module.until(lambda: words in module.detail)


def test_a_bit_beyond_the_module_is_refused(bus: VirtualBus) -> None:
    for changes, words in (
        ({"emergency_stops": (u.SwitchOptions("stop", 12),)}, "has 8 digital inputs"),
        ({"contactors": (u.ContactorOptions("k1", 9, mirror=0),)}, "has 8 digital outputs"),
    ):
        module = Module(bus, inverted_inputs=(), **changes)
        module.start()
        module.until(lambda module=module, words=words: words in module.detail)  # type: ignore[misc]
        module.device.close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"node": HOST}, "needs an id of its own"),
        ({"emergency_stops": (u.SwitchOptions("k1", 5),)}, "name k1 is given twice"),
        ({"emergency_stops": (u.SwitchOptions("s", MIRROR),)}, "input 0 is given twice"),
        ({"locks": (u.LockOptions("l", COIL, 6),)}, "output 0 is given twice"),
        ({"inverted_inputs": (64,)}, "64 is outside"),
        (dict.fromkeys(UNITS, ()), "name at least one unit"),
    ],
)
def test_options_that_cannot_work_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CanopenIoOptions(**{"channel": "can0", "node": NODE, **UNITS, **changes})
    with pytest.raises(ValueError, match="give mirror"):
        u.ContactorOptions("k", 0)
    with pytest.raises(ValueError, match="give open, tilted or both"):
        u.EnclosureOptions("e")


# Two masters, bus-off, the end


def test_a_second_master_makes_us_open(module: Module) -> None:
    module.close_contactor()
    rival: Any = can.Bus(interface="virtual", channel=module.bus.channel, ignore_config=True)
    rival.send(can.Message(arbitration_id=0x200 + NODE, data=b"\x01", is_extended_id=False))
    module.run(0.05)
    assert not module.closed
    assert "somebody else sends id 0x205, which is ours" in module.detail
    module.unit("k1").set_contactor(True, module.now)
    module.run(0.1)
    assert not module.closed
    rival.shutdown()


def test_bus_off_is_told_and_begins_anew(module: Module) -> None:
    module.close_contactor()
    module.bus.send_error(0x40)
    module.run(0.02)
    assert "bus-off" in module.detail
    assert module.unit("k1").contactor() is None
    module.run(6.0)
    assert module.device.health(module.now).ok
    assert not module.closed


def test_close_switches_off_and_ends_the_heartbeat(module: Module) -> None:
    module.close_contactor()
    module.device.close()
    module.pump()
    assert not module.closed
    said = len(module.sent)
    module.unit("k1").set_contactor(True, module.now)
    module.run(1.0)
    assert len(module.sent) == said


# The other units


def test_lock_is_driven_for_its_pulse_and_told_by_its_switch(module: Module) -> None:
    module.ready()
    lock = module.unit("lock")
    assert lock.lock().locked is False
    lock.set_lock(True, module.now)
    module.run(0.05)
    assert lock.lock().locked is None
    assert module.node.outputs == 1 << LOCK
    module.run(0.8)
    assert lock.lock().locked is True
    assert module.node.outputs == 0
    lock.set_lock(True, module.now)
    module.run(0.1)
    assert module.node.outputs == 0
    lock.set_lock(False, module.now)
    module.run(0.3)
    lock.set_lock(True, module.now)  # changed its mind: the bridge rests before it turns
    module.run(0.05)
    assert module.node.outputs == 0
    module.run(0.1)
    assert module.node.outputs == 1 << LOCK
    assert not any(seen & 6 == 6 for seen in module.outputs_seen)


@pytest.mark.parametrize(("works", "result"), [(True, SelfTest.PASSED), (False, SelfTest.FAILED)])
def test_residual_current_self_test(module: Module, works: bool, result: SelfTest) -> None:
    module.ready()
    module.monitor_works = works
    monitor = module.unit("rcm")
    monitor.start_self_test(module.now)
    assert monitor.residual_current().self_test is SelfTest.RUNNING
    module.assert_each_step = lambda: (  # type: ignore[assignment]
        None if not monitor.residual_current().tripped else pytest.fail("the test's own trip was told")
    )
    module.until(lambda: monitor.residual_current().self_test is result, 6.0)
    module.run(0.5)
    assert module.node.outputs == 0


def test_a_trip_a_stop_and_a_cover(module: Module) -> None:
    module.ready()
    assert not module.unit("stop").emergency_stop().pressed
    module.tripped = module.stop = module.cover = True
    module.run(0.05)
    assert module.unit("rcm").residual_current().tripped
    assert module.unit("stop").emergency_stop().pressed
    assert module.unit("housing").enclosure().open
    module.unit("rcm").reset_residual_current(module.now)
    module.run(0.5)
    assert not module.unit("rcm").residual_current().tripped
    assert module.node.outputs == 0


IDS = st.sampled_from([0x000, 0x085, 0x185, 0x205, 0x585, 0x605, 0x705, 0x77F, 0x700])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(st.tuples(IDS, st.binary(max_size=8)), max_size=60))
def test_arbitrary_frames_never_raise_and_never_energise(frames: list[tuple[int, bytes]]) -> None:
    with virtual_bus("canopen-garbage") as bus:
        module = Module(bus)
        module.node.mute = module.node.deaf = True
        module.start()
        for number, data in frames:
            bus.send(number, data)
            module.unit("k1").set_contactor(True, module.now)
            module.run(0.01)
            for name in ("k1", "lock", "rcm", "stop", "housing"):
                unit = module.unit(name)
                for read in ("contactor", "lock", "residual_current", "emergency_stop", "enclosure"):
                    if hasattr(unit, read):
                        assert getattr(unit, read)() is None
        # Never was it set up, so it was never told anything but zeros.
        assert all(not any(frame.data) for frame in module.sent if frame.id == 0x205)
        module.device.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(st.tuples(IDS, st.binary(max_size=8), st.floats(0.0, 0.3)), max_size=20))
def test_between_the_frames_of_a_module_garbage_ends_safe_at_worst(frames: list[tuple[int, bytes, float]]) -> None:
    with virtual_bus("canopen-between") as bus:
        module = Module(bus)
        module.close_contactor()
        for number, data, pause_s in frames:
            bus.send(number, data)
            module.run(pause_s)
            reading = module.unit("k1").contactor()
            if reading is not None:
                assert module.now - reading.at <= 0.51
        module.node.deaf = True
        module.run(0.6)
        assert not module.closed
        module.device.close()
