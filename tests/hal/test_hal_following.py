"""What control commands a charge controller becomes one wish for its wire: tables, and any order of events."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal import ports
from hal.drivers.following import HIGH_SLACK_A, NOTHING, SLACK_A, Follower, Wish, wish_of
from hal.duty import current_of
from hal.values import BoardError, Cable, Capabilities, MeterReading, PilotState

X1, F = 100.0, 0.0
AVAILABLE = Wish(available=True)


def wish(duty_pct: float, step_a: float = 1.0, low_a: float = 6.0, high_a: float = 80.0) -> Wish:
    return wish_of(duty_pct, step_a=step_a, min_current_a=low_a, max_current_a=high_a)


def test_it_is_a_charge_controller_and_more() -> None:
    follower = Follower()
    for kind in ports.PortKind:
        fits = isinstance(follower, ports.PROTOCOLS[kind])
        # The lock it only reads: to drive one, a driver adds set_lock.
        expected = kind.value in {
            "control_pilot",
            "contactor",
            "board",
            "charge_controller",
            "proximity_pilot",
            "power_meter",
            "temperature_sensor",
        }
        assert fits == expected, kind


@pytest.mark.parametrize(
    ("duty_pct", "step_a", "expected"),
    [
        (F, 1.0, NOTHING),
        (-1.0, 1.0, NOTHING),
        (100.1, 1.0, NOTHING),
        (math.nan, 1.0, NOTHING),
        (math.inf, 1.0, NOTHING),
        (X1, 1.0, AVAILABLE),
        (5.0, 1.0, AVAILABLE),
        (7.98, 1.0, AVAILABLE),
        (98.0, 1.0, AVAILABLE),
        (8.0, 1.0, Wish(True, 6.0, True)),
        (10.0, 1.0, Wish(True, 6.0, True)),
        (26.66, 1.0, Wish(True, 16.0, True)),  # 16 A as control commands it
        (26.65, 1.0, Wish(True, 15.0, True)),
        (26.66, 0.1, Wish(True, 16.0, True)),
        (21.66, 0.1, Wish(True, 13.0, True)),
        (53.33, 1.0, Wish(True, 32.0, True)),
        (85.0, 1.0, Wish(True, 51.0, True)),
        (96.0, 1.0, Wish(True, 80.0, True)),
        (97.0, 1.0, Wish(True, 80.0, True)),
    ],
)
def test_a_duty_cycle_becomes_a_wish(duty_pct: float, step_a: float, expected: Wish) -> None:
    assert wish(duty_pct, step_a) == expected


@pytest.mark.parametrize("current_a", range(6, 81))
def test_whole_amperes_survive_the_way_through_the_duty_cycle(current_a: int) -> None:
    from agent.control.limits import duty_of

    # Between 51 and 52.5 A there is no duty cycle: control itself goes down to 85 %.
    assert wish(duty_of(current_a)).current_a == (51 if current_a == 52 else current_a)


def test_the_controllers_own_range_holds() -> None:
    assert wish(53.34, high_a=16.0) == Wish(True, 16.0, True)
    assert wish(53.34, high_a=13.5) == Wish(True, 13.0, True)
    assert wish(16.67, low_a=10.0) == Wish(True, 10.0, True)
    assert wish(15.0, low_a=10.0) == AVAILABLE, "9 A is not rounded up to its lowest"
    assert wish(12.0, step_a=4.0) == AVAILABLE, "7.2 A would be 4 A in its steps"


@given(st.floats(), st.sampled_from([0.06, 0.1, 1.0]), st.floats(6.0, 32.0), st.floats(6.0, 80.0))
def test_never_above_what_is_commanded(duty_pct: float, step_a: float, low_a: float, high_a: float) -> None:
    made = wish(duty_pct, step_a, low_a, high_a)
    if not made.enabled:
        assert made.current_a == 0.0
        return
    assert made.available
    assert current_of(duty_pct) > 0.0
    slack_a = SLACK_A if duty_pct <= 85.0 else HIGH_SLACK_A
    assert made.current_a <= current_of(duty_pct) + slack_a + 1e-3
    assert max(6.0, low_a) <= made.current_a <= high_a + 1e-3


def test_nothing_enables_before_the_counterpart_is_known_nor_after_it_was_lost() -> None:
    changes: list[float] = []
    follower = Follower(on_wish=changes.append)
    assert follower.wish == NOTHING
    follower.set_pilot(50.0, 1.0)
    assert follower.wish == NOTHING
    assert changes == []
    follower.verify()
    assert follower.wish == NOTHING, "a command from before is not kept"
    follower.set_pilot(50.0, 2.0)
    assert follower.wish == Wish(True, 30.0, True)
    assert (changes, follower.changed_at) == ([2.0], 2.0)
    follower.set_pilot(50.0, 3.0)
    assert changes == [2.0], "control says it on every tick"
    for forget in (follower.begin, follower.lose):
        follower.verify()
        follower.set_pilot(50.0, 4.0)
        assert follower.wish.enabled
        forget()
        assert follower.wish == AVAILABLE
        follower.verify()
        assert follower.wish == AVAILABLE
    follower.set_pilot(F, 5.0)
    follower.begin()
    assert follower.wish == NOTHING


def test_contacts_are_the_controllers_own_affair() -> None:
    follower = Follower()
    follower.verify()
    follower.set_pilot(50.0, 0.0)
    follower.set_contactor(False, 0.0)
    assert follower.wish.enabled
    follower.set_pilot(X1, 0.0)
    follower.set_contactor(True, 0.0)
    assert not follower.wish.enabled


def test_what_is_due_and_what_is_urgent() -> None:
    follower = Follower(repeat_s=5.0)
    follower.verify()
    assert follower.is_due(0.0)
    assert follower.urgent, "who knows what it holds"
    follower.confirm(follower.take(0.0), 0.1)
    assert (follower.due_at(), follower.is_due(5.0), follower.is_due(5.1)) == (5.1, False, True)
    assert not follower.urgent
    follower.set_pilot(50.0, 1.0)
    assert follower.is_due(1.0)
    assert not follower.urgent
    taken = follower.take(1.0)
    follower.set_pilot(X1, 1.1)
    assert follower.is_due(1.1), "the enabling one may still arrive"
    assert follower.urgent
    follower.confirm(taken, 1.2)
    assert follower.is_due(1.2)
    assert follower.urgent
    follower.confirm(follower.take(1.3), 1.4)
    assert not follower.is_due(1.5)
    follower.set_pilot(50.0, 2.0)
    follower.confirm(follower.take(2.0), 2.0)
    follower.set_pilot(40.0, 3.0)
    assert follower.urgent, "less is urgent"
    follower.set_pilot(60.0, 3.0)
    assert not follower.urgent
    follower.take(3.0)
    follower.set_pilot(50.0, 3.0)
    assert follower.is_due(3.0), "as confirmed before, but another has been written since"


def test_how_fast_to_open_is_told_apart() -> None:
    changes: list[float] = []
    follower = Follower(on_wish=changes.append)
    assert follower.open_now
    follower.verify()
    follower.set_pilot(50.0, 1.0)
    follower.set_contactor(False, 1.0)
    assert not follower.open_now, "beside an offer it forbids nothing"
    follower.set_contactor(True, 2.0)
    follower.set_pilot(X1, 3.0)
    assert not follower.open_now, "the vehicle stops first"
    follower.set_contactor(False, 4.0)
    assert follower.open_now
    assert changes == [1.0, 3.0, 4.0]
    follower.set_contactor(False, 5.0)
    assert changes == [1.0, 3.0, 4.0]


def test_what_it_shows_outweighs_what_it_confirmed() -> None:
    follower = Follower()
    follower.confirm(follower.take(0.0), 0.0)
    assert not follower.is_due(1.0)
    follower.doubt()
    assert follower.is_due(1.0)
    assert follower.urgent


def test_a_reset_is_asked_for_with_nothing_enabled() -> None:
    resets: list[float] = []
    follower = Follower(on_reset=resets.append)
    follower.verify()
    follower.set_pilot(50.0, 0.0)
    follower.reset_board(1.0)
    assert resets == [1.0]
    assert not follower.verified
    assert not follower.wish.enabled


def test_readings_keep_the_time_they_were_told() -> None:
    follower = Follower()
    assert follower.board() is None
    follower.heard(1.0)
    follower.tell_pilot(PilotState.C, 1.0, high_v=6.0)
    follower.tell_contacts(True, 1.1, phases=3)
    follower.tell_proximity(Cable.A32, 1.2)
    follower.tell_lock(True, 1.3)
    follower.tell_meter(MeterReading(1.4, 5.0))
    follower.tell_temperatures([40.0, None], 1.5)
    follower.tell_errors([BoardError.GROUND])
    follower.tell_capabilities(Capabilities(software="x"))
    follower.count_reset("boot")
    follower.heard(9.0)
    follower.lose()
    board = follower.board()
    assert board is not None
    assert (board.at, board.errors, board.resets, board.last_reset_reason, board.capabilities.software) == (
        9.0,
        frozenset({BoardError.GROUND}),
        1,
        "boot",
        "x",
    )
    readings = (follower.pilot(), follower.contactor(), follower.proximity(), follower.lock(), follower.meter())
    assert [reading.at for reading in readings if reading is not None] == [1.0, 1.1, 1.2, 1.3, 1.4]
    assert [(each.at, each.value_c) for each in follower.temperatures()] == [(1.5, 40.0), (1.5, None)]
    follower.begin()
    assert follower.pilot() is follower.contactor() is follower.meter() is None
    assert follower.temperatures() == ()
    assert follower.board().errors == frozenset()  # type: ignore[union-attr]


STEPS = st.one_of(
    st.tuples(st.just("pilot"), st.one_of(st.sampled_from([0.0, 5.0, 10.0, 26.66, 50.0, 100.0]), st.floats())),
    st.tuples(st.sampled_from(["closed", "open", "verify", "begin", "lose", "reset", "take", "confirm"]), st.just(0.0)),
)


@given(st.lists(STEPS, max_size=40))
def test_any_order_of_events_keeps_the_rules(steps: list[tuple[str, float]]) -> None:
    follower = Follower()
    fresh: float | None = None  # the duty commanded since the counterpart is known
    taken: Wish | None = None
    device: Wish | None = None  # what the controller holds, if all that was taken arrives
    for now, (step, duty_pct) in enumerate(steps):
        match step:
            case "pilot":
                follower.set_pilot(duty_pct, now)
                if follower.verified or not wish(duty_pct).enabled:
                    fresh = duty_pct
            case "closed" | "open":
                follower.set_contactor(step == "closed", now)
            case "verify":
                follower.verify()
            case "begin" | "lose" | "reset":
                {"begin": follower.begin, "lose": follower.lose, "reset": lambda: follower.reset_board(0.0)}[step]()
                fresh = None
            case "take":
                taken = device = follower.take(now)
            case "confirm" if taken is not None and taken == device:
                follower.confirm(taken, now)
        if follower.wish.enabled:
            assert follower.verified
            assert fresh is not None
            assert follower.wish == wish(fresh)
        else:
            assert fresh is None or not wish(fresh).enabled
        if device != follower.wish:
            assert follower.is_due(now)
            assert follower.wish.enabled or follower.urgent
