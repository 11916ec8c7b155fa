"""A hard reset commands the restart of the machine, and again while it does not go down."""

from __future__ import annotations

import asyncio

import pytest

from agent.hard_reset import GOES_DOWN_S, restart_machine


def attempts(retries, *statuses):
    """Run a reset on a machine that never goes down. Return what was done, in order."""
    done = []
    left = list(statuses)

    async def run(command):
        done.append(tuple(command))
        return left.pop(0)

    async def sleep(seconds):
        done.append(seconds)

    asyncio.run(restart_machine(("systemctl", "reboot"), retries, run, sleep))
    assert not left
    return done


REBOOT = ("systemctl", "reboot")


@pytest.mark.parametrize(
    ("retries", "statuses", "done"),
    [
        (0, [1], [REBOOT]),
        (2, [1, None, 4], [REBOOT, REBOOT, REBOOT]),
        (1, [0, 0], [REBOOT, GOES_DOWN_S, REBOOT, GOES_DOWN_S]),
        (1, [1, 0], [REBOOT, REBOOT, GOES_DOWN_S]),
    ],
)
def test_a_reset_that_fails_is_tried_as_often_as_the_network_wants(retries, statuses, done):
    assert attempts(retries, *statuses) == done
