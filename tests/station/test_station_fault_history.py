"""The history of faults: counted once each, over restarts of either process, bounded, and seldom written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from station_world import World

from agent.link.messages import DeviceReport, FaultCode, FaultReport
from agent.station.effects import Keep
from agent.station.fault_history import MOST, SAVE_S, TABLE

CODE = FaultCode.RESIDUAL_CURRENT


def history(world: World) -> dict[tuple[int, str], dict]:
    return {(each["evse"], each["code"]): dict(each) for each in world.station.fault_history()}


def device(world: World, ok: bool, detail: str = "") -> None:
    world.do(world.station.handle(DeviceReport("board", ok, world.now, detail), world.moment()))


def writes(world: World) -> int:
    return len([each for each in world.log if isinstance(each, Keep) and each.table == TABLE])


def test_a_fault_is_counted_when_it_comes_and_dated_when_it_goes() -> None:
    world = World()
    world.run(2)
    assert not history(world)
    world.fault(1, CODE)
    entry = history(world)[1, CODE.value]
    assert (entry["count"], entry["active"], entry["ended_at"]) == (1, True, None)
    assert (entry["detail"], entry["remedy"]) == ("it broke", "mend it")
    world.run(5)
    assert history(world)[1, CODE.value]["count"] == 1, "it lasts, it does not come again"
    world.fault(1, CODE, active=False)
    world.run(60)
    world.fault(1, CODE)
    entry = history(world)[1, CODE.value]
    assert (entry["count"], entry["active"]) == (2, True)
    assert entry["first_at"] < entry["last_at"]


def test_neither_restart_counts_a_fault_again() -> None:
    world = World()
    world.fault(1, CODE)
    world.run(40)
    report = FaultReport(1, CODE, True, world.now, True, "it broke", "mend it")
    world.restart_control()
    world.do(world.station.handle(report, world.moment()))
    world.run(2)
    assert history(world)[1, CODE.value]["count"] == 1
    world.restart_agent()
    world.do(world.station.handle(report, world.moment()))
    world.run(2)
    entry = history(world)[1, CODE.value]
    assert (entry["count"], entry["active"]) == (1, True)


def test_what_is_gone_after_a_restart_is_over() -> None:
    world = World()
    world.fault(1, CODE)
    world.run(40)
    world.outlets[1].faults = {}
    world.power_cut(3600)
    world.run(2)
    entry = history(world)[1, CODE.value]
    assert (entry["count"], entry["active"]) == (1, False)
    assert entry["ended_at"] > entry["last_at"]


def test_a_devices_trouble_is_a_fault_of_the_charge_point() -> None:
    world = World()
    device(world, True)
    assert not history(world)
    for _ in range(3):
        device(world, False, "board: no answer; look at its cable")
        world.run(1)
        device(world, True)
        world.run(1)
    entry = history(world)[0, "device:board"]
    assert (entry["count"], entry["active"], entry["detail"]) == (3, False, "board: no answer; look at its cable")


def test_a_flapping_fault_is_written_seldom_and_nothing_is_lost() -> None:
    world = World()
    for _ in range(120):
        device(world, False, "loose")
        world.run(1)
        device(world, True)
        world.run(1)
    assert writes(world) <= 240 / SAVE_S + 2
    world.run(SAVE_S + 1)
    world.restart_agent()
    assert history(world)[0, "device:board"]["count"] == 120


def test_it_is_bounded_and_the_oldest_gives_way() -> None:
    world = World()
    for number in range(MOST + 20):
        world.do(world.station.handle(DeviceReport(f"d{number}", False, world.now, "x"), world.moment()))
        world.do(world.station.handle(DeviceReport(f"d{number}", True, world.now, ""), world.moment()))
        world.run(1)
    found = history(world)
    assert len(found) == MOST
    assert (0, "device:d0") not in found
    assert (0, f"device:d{MOST + 19}") in found
    world.run(SAVE_S + 1)
    assert len(world.kept[TABLE]) == MOST


@given(
    document=st.dictionaries(
        st.sampled_from(["evse", "code", "count", "first_utc_s", "last_utc_s", "ended_utc_s", "detail", "active"]),
        st.one_of(st.none(), st.integers(-5, 5), st.text(max_size=5), st.lists(st.integers(), max_size=2)),
    )
)
def test_a_kept_entry_that_cannot_be_read_is_forgotten(document) -> None:
    world = World()
    world.kept[TABLE] = {"1:x": document, "1:y": "nonsense"}
    world.restart_agent()
    assert isinstance(world.station.fault_history(), list)


def test_safe_ends_everything_over_restarts_until_it_is_taken_back() -> None:
    world = World()
    world.run(1)
    world.plug()
    world.tap()
    world.run(5)
    assert world.outlets[1].closed
    world.call("make_safe", True)
    world.run(10)
    assert not world.outlets[1].closed
    assert [end.reason.value for end in world.ended()] == ["EmergencyStop"]
    assert not world.outlets[1].operative
    assert "made_safe" in world.reasons()
    world.restart_agent()
    world.run(5)
    assert "made_safe" in world.reasons()
    world.call("change_availability", 0, True)
    world.run(5)
    assert not world.outlets[1].operative, "the network cannot lift it"
    world.unplug()
    world.call("make_safe", False)
    world.run(5)
    assert world.outlets[1].operative
    assert "safe" not in world.kept["station"]
