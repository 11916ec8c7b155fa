"""When a new version is healthy enough to stay, above all without a network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.clock import Moment
from agent.control.loop import OVERRUN_S
from agent.update import order as do
from agent.update.health import LOOP_BUDGET_S, Health, Network, late_share
from agent.update.machine import Facts, Machine, Phase, Rules
from agent.update.order import InstallResult, Order

WELL = Health(True, 0.01, True, Network.ACCEPTED)
AWAY = replace(WELL, network=Network.UNREACHABLE)


@pytest.mark.parametrize(
    ("health", "missing", "online", "offline_sane"),
    [
        (WELL, 0, True, False),
        (replace(WELL, network=Network.NONE), 0, True, False),
        (replace(WELL, loop_late=None), 0, True, False),
        (replace(WELL, control=False), 1, True, False),
        (replace(WELL, loop_late=0.06), 1, True, False),
        (replace(WELL, books=False), 1, True, False),
        (replace(WELL, network=Network.NOT_ACCEPTED), 1, False, False),
        (AWAY, 1, False, True),
        (replace(AWAY, control=False), 2, False, False),
        (replace(AWAY, loop_late=1.0), 2, False, False),
        (replace(AWAY, books=False), 2, False, False),
    ],
)
def test_what_counts(health: Health, missing: int, online: bool, offline_sane: bool) -> None:
    assert (len(health.missing), health.online, health.offline_sane) == (missing, online, offline_sane)


@pytest.mark.parametrize(
    ("before", "counts", "share"),
    [
        ((), (0, 0, 0, 0), None),
        ((), (95, 3, 1, 1), 0.02),
        ((100, 0, 0, 0), (100, 0, 10, 0), 1.0),
        ((100, 0, 0, 50), (199, 0, 0, 51), 0.01),  # what came late before the last report is over
        ((100, 9, 9, 9), (10, 0, 0, 0), 0.0),  # control began anew
        ((1, 2, 3, 4), (1, 2, 3, 4), None),
    ],
)
def test_the_share_of_late_ticks(before: tuple[int, ...], counts: tuple[int, ...], share: float | None) -> None:
    assert late_share(before, counts, (0.01, 0.05, 0.1)) == share


def test_the_budget_is_that_of_control() -> None:
    assert LOOP_BUDGET_S == OVERRUN_S


def facts(now: float, health: Health) -> Facts:
    moment = Moment(now, now + 1.8e9, True, "boot")
    return Facts(moment, False, not health.missing, health.online, health.offline_sane)


def proving(before: Health, after: Health) -> tuple[Machine, list[do.Action]]:
    """An update installed while ``before`` held; its version starts at 100 s, and ``after`` holds from then on."""
    kept: Any = None
    machine = Machine(Rules(True, True, 900.0), None)
    _, actions = machine.ordered(Order("https://x/1", 0.0), facts(0.0, before))
    actions += machine.download_ended("", False, facts(1.0, before))
    assert machine.phase is Phase.INSTALLING
    actions += machine.installed(InstallResult.RESTART_NEEDED)
    for action in actions:
        if isinstance(action, do.Keep):
            kept = action.document
    machine = Machine(Rules(True, True, 900.0), kept)
    assert machine.recovered(facts(100.0, after)) != []
    assert machine.step(facts(999.0, after)) == []
    return machine, machine.step(facts(1000.0, after))


@pytest.mark.parametrize(
    ("before", "after", "done"),
    [
        (AWAY, AWAY, do.Confirm),  # it was away before: the new version is not to blame
        (WELL, AWAY, do.RollBack),
        (AWAY, replace(AWAY, books=False), do.RollBack),
        (AWAY, replace(AWAY, control=False), do.RollBack),
        (AWAY, replace(AWAY, network=Network.NOT_ACCEPTED), do.RollBack),
    ],
)
def test_without_a_network_it_depends_on_how_it_was_before(before: Health, after: Health, done: type) -> None:
    machine, actions = proving(before, after)
    assert any(isinstance(action, done) for action in actions)
    assert machine.phase is Phase.PROVING
