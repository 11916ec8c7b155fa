"""``modbus-controller`` on the real wire against its simulated boxes: charging, every fault, and the last word."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from controller_rig import A_V, B_V, C_V, Rig

from hal.drivers.modbus_controller import DRIVER, ControllerOptions, ModbusControllerOptions, ModelName
from hal.drivers.modbus_controller.unit import Stage
from hal.ports import PROTOCOLS, DeviceError, PortKind
from hal.values import PILOT_F_PCT, PILOT_X1_PCT, BoardError, PilotState
from simulators.controllers.makes import Heidelberg, SimpleEvse
from simulators.tcp_port import TcpPort

pytestmark = pytest.mark.timeout(90)

MODELS = [name.value for name in ModelName]
SERIAL = ["simple-evse", "phoenix-ev-cc-ac1-m", "heidelberg", "abl-emh1"]
TCP = ["phoenix-em-cp-pp-eth", "phoenix-ev-cc-eth", "bender-cc612"]
SOME = ["simple-evse", "abl-emh1", "bender-cc612"]
"""One of each wire."""
MakeRig = Callable[..., Rig]
TURN_S = 0.1
"""For the box to notice what the vehicle does, and a busy machine."""
SLACK_S = 2.0
"""For a busy machine."""
CALLBACK_BUDGET_S = 0.05
"""Far above what is needed, far below any blocking call."""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[MakeRig]:
    rigs: list[Rig] = []

    def make(box: str, **options: Any) -> Rig:
        rigs.append(Rig(box, tmp_path, **options))
        return rigs[-1]

    yield make
    for each in rigs:
        each.close()


def writes(rig: Rig) -> list[tuple[str, int]]:
    """What the box was told that matters to charging."""
    return [(event["kind"], event["value"]) for event in rig.log.recent if event["event"] == "frame_in"]


# ---- the good case


@pytest.mark.parametrize("model", MODELS)
def test_a_charge_from_plug_to_plug(rig: MakeRig, model: str) -> None:
    it = rig(model)
    it.start()
    it.charge()
    assert it.detail == ""
    assert it.peer.box.offered_a == pytest.approx(16.0, abs=0.05)
    assert it.unit.pilot().state is PilotState.C  # type: ignore[union-attr]
    it.command(20.0, closed=True)
    it.until(lambda: it.peer.box.offered_a == pytest.approx(12.0, abs=0.05))
    it.command(PILOT_X1_PCT)
    it.until(lambda: not it.peer.box.offering)
    it.high_v = A_V
    it.until(lambda: not it.peer.box.contactor.closed)
    it.until(lambda: it.unit.contactor().closed is False)  # type: ignore[union-attr]
    it.until(lambda: it.unit.pilot().state is PilotState.A)  # type: ignore[union-attr]
    board = it.unit.board()
    assert board is not None
    assert (board.resets, board.errors) == (0, frozenset())
    assert board.capabilities.hardware
    assert it.slowest_s < CALLBACK_BUDGET_S


@pytest.mark.parametrize("model", MODELS)
def test_a_box_found_charging_is_stopped_before_anything_is_allowed(rig: MakeRig, model: str) -> None:
    """Control was restarted in the middle of a charge; truth table row 31."""
    it = rig(model)
    it.start()
    it.charge()
    it.device._line.close()  # as a killed process does: without a word
    fresh = it.make()
    it.device, it.unit = fresh, fresh.unit("")
    it.unit.set_pilot(26.67, time.monotonic())  # before the box is known this counts for nothing
    it.start()
    it.until(lambda: not it.peer.box.offering)
    it.verified()
    assert not it.unit.wish.enabled


@pytest.mark.parametrize("model", MODELS)
def test_f_takes_the_offer_away(rig: MakeRig, model: str) -> None:
    it = rig(model)
    it.start()
    it.charge()
    it.command(PILOT_F_PCT)
    it.until(lambda: not it.peer.box.offering)
    it.until(lambda: not it.peer.box.contactor.closed)
    it.command(26.67)
    it.until(lambda: it.peer.box.offering)


def test_simple_evse_opens_at_once_when_f_is_wanted_and_gives_the_vehicle_time_otherwise(rig: MakeRig) -> None:
    it = rig("simple-evse")
    it.start()
    it.charge()
    began = time.monotonic()
    it.command(PILOT_X1_PCT)
    it.until(lambda: not it.peer.box.contactor.closed)
    assert time.monotonic() - began > 2.5
    it.command(26.67)
    it.until(lambda: it.peer.box.contactor.closed)
    it.until(lambda: it.unit.contactor().closed)  # type: ignore[union-attr]
    began = time.monotonic()
    it.command(PILOT_F_PCT)
    it.until(lambda: not it.peer.box.contactor.closed)
    assert it.peer.box.reason == "told to open"


@pytest.mark.parametrize("model", ["phoenix-em-cp-pp-eth", "phoenix-ev-cc-eth", "heidelberg", "bender-cc612"])
def test_models_that_measure_give_readings(rig: MakeRig, model: str) -> None:
    it = rig(model)
    it.around = type(it.around)(A_V, -12.0, 0, (16.0, 16.0, 0.0), (230.0, 231.0, 229.0), 12_340.0)
    it.start()
    it.until(lambda: it.unit.meter() is not None)
    reading = it.unit.meter()
    assert reading is not None
    assert reading.energy_import_wh == 12_340.0
    assert reading.current_a == (16.0, 16.0, 0.0)
    assert reading.voltage_v == (230.0, 231.0, 229.0)


def test_heidelberg_has_its_net_set_before_anything_is_allowed_and_uses_it(rig: MakeRig) -> None:
    it = rig("heidelberg", watchdog_s=4.0)
    it.start()
    it.verified()
    make = it.peer.make
    assert isinstance(make, Heidelberg)
    assert [make.table(3)[address] for address in (257, 258, 262)] == [4000, 4, 0]
    it.charge()
    it.during(4.5, lambda: not make.silent)  # we poll faster than its watchdog
    it.started = False  # control is gone: nobody speaks to it any more
    it.until(lambda: make.silent)
    it.until(lambda: not it.peer.box.contactor.closed)


def test_simple_evse_offers_nothing_after_its_own_restart(rig: MakeRig) -> None:
    it = rig("simple-evse")
    make = it.peer.make
    assert isinstance(make, SimpleEvse)
    assert make.after_boot == 16
    it.start()
    it.verified()
    assert make.after_boot == 0


# ---- faults of the box


@pytest.mark.parametrize("model", MODELS)
def test_errors_of_the_box_are_told(rig: MakeRig, model: str) -> None:
    it = rig(model)
    it.start()
    it.charge()
    it.peer.faults["rcd"](True, time.monotonic())
    it.until(lambda: it.unit.board().errors)  # type: ignore[union-attr]
    told = {
        "bender-cc612": {BoardError.INTERNAL},
        "heidelberg": {BoardError.INTERNAL},
        "phoenix-ev-cc-ac1-m": {BoardError.INTERNAL},
    }
    assert it.unit.board().errors == told.get(model, {BoardError.RESIDUAL_CURRENT})  # type: ignore[union-attr]
    it.until(lambda: it.unit.contactor().closed is False)  # type: ignore[union-attr]


@pytest.mark.parametrize("model", ["simple-evse", "phoenix-em-cp-pp-eth", "bender-cc612"])
def test_a_restart_of_the_box_takes_the_permission_away(rig: MakeRig, model: str) -> None:
    it = rig(model)
    it.start()
    it.charge()
    it.peer.faults["board-reset"](True, time.monotonic())
    it.until(lambda: not it.unit.wish.enabled)
    it.verified()
    it.during(0.5, lambda: not it.peer.box.offering)
    it.command(26.67)
    it.until(lambda: it.peer.box.offering)


def test_a_restart_that_only_the_counter_shows_is_seen(rig: MakeRig) -> None:
    it = rig("heidelberg")
    it.around = type(it.around)(A_V, -12.0, energy_wh=5000.0)
    it.start()
    it.verified()
    it.around = type(it.around)(A_V, -12.0, energy_wh=5010.0)
    it.during(0.3, lambda: True)
    it.peer.faults["board-reset"](True, time.monotonic())
    it.until(lambda: it.unit.board().resets == 1)  # type: ignore[union-attr]


@pytest.mark.parametrize("model", MODELS)
def test_another_master_is_overruled_while_nothing_is_offered(rig: MakeRig, model: str) -> None:
    it = rig(model)
    it.start()
    it.verified()
    it.command(PILOT_X1_PCT)
    it.peer.faults["board-second-master"](True, time.monotonic())
    it.until(lambda: it.peer.box.offer_a > 0)
    it.peer.faults["board-second-master"](False, time.monotonic())
    it.until(lambda: it.peer.box.offer_a == 0)
    it.during(0.3, lambda: it.peer.box.offer_a == 0)


@pytest.mark.parametrize("model", ["simple-evse", "heidelberg", "bender-cc612"])
def test_another_master_in_a_charge_is_seen_and_the_offer_taken_away(rig: MakeRig, model: str) -> None:
    it = rig(model)
    it.start()
    it.charge(20.0)
    it.during(0.5, lambda: True)
    it.peer.faults["board-second-master"](True, time.monotonic())
    it.until(lambda: it.unit.board().resets)  # type: ignore[union-attr]
    assert "another master" in it.unit.board().last_reset_reason  # type: ignore[union-attr]
    assert not it.unit.wish.enabled


# ---- faults of the wire

LOUD = ("board-mute", "board-garbage", "board-checksum")


@pytest.mark.parametrize("fault", LOUD)
@pytest.mark.parametrize("model", SOME)
def test_a_wire_that_says_nothing_sound_makes_readings_old_and_is_told(rig: MakeRig, model: str, fault: str) -> None:
    it = rig(model)
    it.start()
    it.charge()
    it.during(0.2, lambda: True)
    it.peer.faults[fault](True, time.monotonic())
    it.during(0.3, lambda: True)  # what was on its way has come
    pilot, board = it.unit.pilot(), it.unit.board()
    assert pilot is not None
    assert board is not None
    it.until(lambda: it.unit.stage is Stage.IDENTIFY and it.detail)
    assert it.unit.pilot() == pilot, "a reading is never stamped again"
    assert it.unit.board() == board
    assert not it.unit.wish.enabled
    it.peer.faults[fault](False, time.monotonic())
    it.until(lambda: not it.peer.box.offering)
    it.verified()
    it.until(lambda: it.detail == "")
    assert it.slowest_s < CALLBACK_BUDGET_S


@pytest.mark.parametrize("model", SERIAL)
def test_answers_that_come_late_are_never_taken_for_news(rig: MakeRig, model: str) -> None:
    """On a serial line nothing tells a late answer from one in time: its reading must be as old as its request."""
    it = rig(model)
    it.start()
    it.verified()
    it.until(lambda: it.unit.pilot() is not None)
    it.peer.faults["board-slow"](True, time.monotonic())
    it.during(2.0, lambda: True)
    it.high_v = B_V
    changed = time.monotonic()
    it.during(
        4.0,
        lambda: (pilot := it.unit.pilot()) is None or pilot.state is PilotState.B or pilot.at < changed + TURN_S,
    )


@pytest.mark.parametrize("model", SOME)
def test_exceptions_are_named(rig: MakeRig, model: str) -> None:
    it = rig(model)
    it.peer.faults["board-exception"](True, time.monotonic())
    it.start()
    it.until(lambda: "exception 1 (illegal function)" in it.detail)
    assert "check 'model'" in it.detail
    it.command(26.67)
    it.during(0.5, lambda: not it.unit.verified)
    assert writes(it) == []


@pytest.mark.parametrize("model", MODELS)
def test_half_of_the_answers_cut_off_still_lets_it_be_stopped(rig: MakeRig, model: str) -> None:
    it = rig(model)
    it.start()
    it.charge()
    it.peer.faults["board-half-frames"](True, time.monotonic())
    it.command(PILOT_X1_PCT)
    it.until(lambda: not it.peer.box.offering)


@pytest.mark.parametrize("model", SERIAL)
def test_a_line_that_echoes_is_understood(rig: MakeRig, model: str) -> None:
    it = rig(model)
    it.peer.faults["board-echo"](True, time.monotonic())
    it.start()
    it.charge()
    assert it.peer.box.offered_a == pytest.approx(16.0, abs=0.05)
    it.command(PILOT_X1_PCT)
    it.until(lambda: not it.peer.box.offering)


@pytest.mark.parametrize("model", SOME)
def test_noise_never_becomes_a_reading(rig: MakeRig, model: str) -> None:
    it = rig(model)
    it.start()
    it.charge()
    it.peer.port.noise = 0.01
    allowed = {PilotState.C}
    it.during(2.0, lambda: it.unit.pilot() is None or it.unit.pilot().state in allowed)  # type: ignore[union-attr]


@pytest.mark.parametrize("model", SOME)
def test_unplugged_and_back(rig: MakeRig, model: str) -> None:
    it = rig(model)
    it.start()
    it.charge()
    it.peer.port.close()
    it.until(lambda: it.device.fileno() is None)
    assert it.detail
    assert not it.unit.wish.enabled
    it.peer.port.open(it.loop)
    it.verified()
    it.during(0.3, lambda: not it.unit.wish.enabled)
    it.until(lambda: not it.peer.box.offering)
    it.command(26.67)
    it.until(lambda: it.peer.box.offering)


@pytest.mark.parametrize("model", TCP)
def test_a_half_open_connection_is_made_anew(rig: MakeRig, model: str) -> None:
    it = rig(model)
    it.start()
    it.charge()
    port = it.peer.port
    assert isinstance(port, TcpPort)
    first = it.device.fileno()
    assert first is not None
    inode = os.fstat(first).st_ino
    port.cut = True
    it.until(lambda: it.device.fileno() is not None and os.fstat(it.device.fileno()).st_ino != inode)  # type: ignore[arg-type]
    port.cut = False
    it.verified()


def test_a_wrong_unit_id_is_no_answer(rig: MakeRig) -> None:
    for model in SOME:
        it = rig(model, controllers=(ControllerOptions(address=33),))
        it.start()
        it.until(lambda it=it: "does not answer" in it.detail)
        assert "(address 33)" in it.detail
        assert it.peer.frames_in == 0
        it.peer.port.close()


def test_another_device_at_the_address_is_never_written_to(rig: MakeRig) -> None:
    """A Heidelberg where an EVSE-WB is expected, by the same line settings."""
    it = rig("heidelberg", model=ModelName.PHOENIX_EV_CC_AC1_M, meter=False)
    it.start()
    it.command(26.67)
    it.until(lambda: "check 'model'" in it.detail)
    it.during(0.5, lambda: not it.unit.verified)
    assert writes(it) == []


def test_a_second_owner_of_the_line_is_refused(rig: MakeRig) -> None:
    it = rig("simple-evse")
    it.start()
    second = it.make()
    second.start(time.monotonic())
    assert "in use by another program" in second.health(time.monotonic()).detail
    second.close()


def test_a_connection_that_another_holds_is_named(rig: MakeRig) -> None:
    it = rig("bender-cc612")
    port = it.peer.port
    assert isinstance(port, TcpPort)
    others = [socket.create_connection((port.host, port.port)) for _ in range(4)]
    it.until(lambda: port.connections == 4)
    it.start()
    it.until(lambda: "one master only" in it.detail or "one master only" in it.device._line.trouble)
    for other in others:
        other.close()
    it.verified()


# ---- the last word


@pytest.mark.parametrize("model", MODELS)
def test_closing_tells_it_to_stop(rig: MakeRig, model: str) -> None:
    it = rig(model)
    it.start()
    it.charge()
    it.device.close()
    it.started = False
    it.until(lambda: not it.peer.box.offering)
    assert it.device.fileno() is None
    it.command(26.67)
    it.device.on_timer(time.monotonic())
    it.during(0.3, lambda: not it.peer.box.offering)


# ---- options


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"model": ModelName.BENDER_CC612}, "set 'host'"),
        ({"model": ModelName.HEIDELBERG}, "set 'port'"),
        ({"model": ModelName.BENDER_CC612, "host": "127.0.0.1", "port": "/dev/x"}, "take 'port' out"),
        ({"model": ModelName.HEIDELBERG, "host": "127.0.0.1", "port": "/dev/x"}, "take 'host' out"),
        ({"model": ModelName.HEIDELBERG, "port": "/dev/x", "failsafe_current_a": 20.0}, "16 A at most"),
        ({"model": ModelName.ABL_EMH1, "port": "/dev/x", "meter": True}, "measures no energy"),
        ({"model": ModelName.ABL_EMH1, "port": "/dev/x", "proximity": True}, "cable's coding"),
        ({"model": ModelName.ABL_EMH1, "port": "/dev/x", "baud": 300}, "below 1200"),
        (
            {"model": ModelName.ABL_EMH1, "port": "/dev/x", "controllers": (ControllerOptions(address=0),)},
            "address 0",
        ),
        (
            {"model": ModelName.ABL_EMH1, "port": "/dev/x", "controllers": (ControllerOptions(), ControllerOptions())},
            "each needs a 'name'",
        ),
    ],
)
def test_what_can_never_work_is_refused_at_the_start(options: dict[str, Any], wrong: str) -> None:
    device = DRIVER.create("box", ModbusControllerOptions(**options))
    with pytest.raises(DeviceError, match=wrong):
        device.start(0.0)
    assert wrong in device.health(0.0).detail


@pytest.mark.parametrize("model", list(ModelName))
def test_units_implement_the_ports_they_are_said_to(model: ModelName) -> None:
    tcp = model.value in TCP
    options = ModbusControllerOptions(
        model,
        port="" if tcp else "/dev/nowhere",
        host="127.0.0.1" if tcp else "",
        controllers=(ControllerOptions(1, "left"), ControllerOptions(2, "right")),
        meter=True,
        proximity=True,
    )
    device = DRIVER.create("boxes", options)
    units = DRIVER.units(options)
    assert list(units) == ["left", "right"]
    for name, kinds in units.items():
        assert kinds >= {PortKind.CONTROL_PILOT, PortKind.CONTACTOR, PortKind.BOARD, PortKind.CHARGE_CONTROLLER}
        for kind in kinds:
            assert isinstance(device.unit(name), PROTOCOLS[kind])
    with pytest.raises(KeyError, match="attic"):
        device.unit("attic")


def test_an_absent_node_is_no_error_and_is_found_when_it_comes(rig: MakeRig) -> None:
    it = rig("simple-evse")
    it.peer.port.close()
    it.start()
    assert "check the cable" in it.detail
    it.peer.port.open(it.loop)
    it.verified()
    it.high_v = C_V
    it.until(lambda: (pilot := it.unit.pilot()) is not None and pilot.state is PilotState.C)


# ---- several on one line


def test_a_dead_neighbour_on_the_line_delays_nobody_for_long(rig: MakeRig) -> None:
    pair = (ControllerOptions(1, "left"), ControllerOptions(2, "right"))
    it = rig("simple-evse", controllers=pair)
    it.start()
    it.charge()
    assert "'right' (address 2): does not answer" in it.detail
    assert "'left'" not in it.detail
    for _ in range(5):
        it.command(PILOT_X1_PCT)
        began = time.monotonic()
        it.until(lambda: not it.peer.box.offering)
        assert time.monotonic() - began < DRIVER.opens_within_s + SLACK_S
        it.command(26.67, closed=True)
        it.until(lambda: it.peer.box.offering)
    with pytest.raises(KeyError, match="left"):
        it.device.unit("")
