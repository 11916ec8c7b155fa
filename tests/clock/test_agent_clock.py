"""The agent's clock against networks that are slow, wrong, or wrong for a while. Virtual time."""

from __future__ import annotations

from agent.clock import CLAIM_S, CLAIMS, JUMP_S, Clock

TRUE = 1_790_000_000.0
"""UTC at monotonic zero, in truth."""
HOUR_S = 3600.0
DAY_S = 86_400.0


class Machine:
    """A machine whose system clock is off by ``off_s`` when the agent starts."""

    def __init__(self, off_s: float = 0.0) -> None:
        self.at = 100.0
        self.system_off_s = off_s
        self.clock = Clock(lambda: self.at, lambda: TRUE + self.at + self.system_off_s, "boot")

    def tell(self, wrong_s: float = 0.0, took_s: float = 0.1, answered: float = 0.5) -> bool:
        """The network tells its time; it answered after this part of the time that it took."""
        asked = self.at
        self.at += took_s
        return self.clock.network_time(TRUE + asked + took_s * answered + wrong_s, took_s)

    @property
    def error_s(self) -> float:
        return self.clock.now().utc_s - (TRUE + self.at)


def test_a_clock_that_was_never_set_is_set_by_the_first_answer() -> None:
    machine = Machine(-TRUE)
    assert not machine.clock.plausible
    assert machine.tell()
    assert abs(machine.error_s) < 0.1
    assert machine.clock.now().synced


def test_a_right_clock_is_noted_once() -> None:
    machine = Machine(0.2)
    assert machine.tell()
    assert not machine.tell()
    assert abs(machine.error_s - 0.2) < 1e-6


def test_steps_of_the_system_clock_move_nothing() -> None:
    machine = Machine()
    machine.tell()
    for step in (DAY_S, -DAY_S, HOUR_S):
        machine.system_off_s = step
        machine.at += 60.0
        assert abs(machine.error_s) < 1e-6


def test_an_error_of_more_than_a_second_is_corrected() -> None:
    for off_s in (-1.2, 1.7, -30.0):
        machine = Machine(off_s)
        assert machine.tell()
        assert abs(machine.error_s) < 0.2


def test_a_network_that_cuts_off_the_fraction_does_not_push_a_right_clock() -> None:
    machine = Machine()
    for _ in range(50):
        machine.at += 300.37
        asked = machine.at
        machine.clock.network_time(float(int(TRUE + asked)), 0.0)
        assert abs(machine.error_s) < 1e-6


def test_a_slow_link_does_not_push_a_right_clock() -> None:
    for answered in (0.0, 0.5, 1.0):
        machine = Machine()
        for _ in range(5):
            machine.tell(took_s=100.0, answered=answered)
            assert abs(machine.error_s) < 1e-6


def test_a_better_answer_puts_right_what_a_slow_one_left() -> None:
    machine = Machine(-TRUE)
    machine.tell(took_s=100.0, answered=0.0)
    assert 1.0 < abs(machine.error_s) <= 50.0
    machine.at += 300.0
    assert machine.tell(took_s=0.1)
    assert abs(machine.error_s) < 0.2


def test_a_jump_is_not_followed_until_the_network_insists() -> None:
    machine = Machine()
    machine.tell()
    for _ in range(int(CLAIM_S // 300)):
        assert not machine.tell(wrong_s=3 * HOUR_S)
        assert abs(machine.error_s) < 0.1
        machine.at += 299.0
    machine.at += 300.0
    assert machine.tell(wrong_s=3 * HOUR_S)
    assert abs(machine.error_s - 3 * HOUR_S) < 0.2


def test_a_jump_that_passes_is_forgotten() -> None:
    machine = Machine()
    machine.tell()
    for _ in range(3 * CLAIMS):
        machine.tell(wrong_s=DAY_S)
        machine.at += CLAIM_S
        machine.tell()
        assert abs(machine.error_s) < 0.1


def test_jumps_that_differ_from_each_other_are_never_followed() -> None:
    machine = Machine()
    machine.tell()
    for number in range(10):
        machine.tell(wrong_s=(number + 1) * 2 * JUMP_S)
        machine.at += CLAIM_S
        assert abs(machine.error_s) < 0.1


def test_drift_over_a_long_absence_is_followed_at_once() -> None:
    machine = Machine()
    machine.tell()
    machine.at += 14 * DAY_S
    assert machine.tell(wrong_s=120.0)
    assert abs(machine.error_s - 120.0) < 0.2


def test_what_an_earlier_process_learnt_is_kept_to_the_bit() -> None:
    machine = Machine(-5.0)
    machine.clock.adopt(TRUE + 0.001)
    assert machine.clock.offset_s == TRUE + 0.001
    assert not machine.tell()
    assert machine.clock.offset_s == TRUE + 0.001
    assert machine.clock.now().synced
    fresh = Machine(-5.0)
    fresh.clock.adopt(None)
    assert not fresh.clock.now().synced
