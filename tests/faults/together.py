"""Runs many sites at once: each mostly waits, so a few side by side fill a small machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tests.faults.attack import Outcome, Progress
from tests.faults.place import StuckError

Job = Callable[[], Awaitable[Outcome]]


async def together(jobs: Sequence[Job], width: int, progress: Progress, every: int = 20) -> Outcome:
    """Run all jobs, at most ``width`` at a time, and add up what came of them."""
    total = Outcome(0, 0)
    done = 0
    gate = asyncio.Semaphore(width)

    async def one(job: Job) -> None:
        nonlocal total, done
        async with gate:
            outcome = await guarded(job)
        total += outcome
        done += 1
        if not outcome.clean:
            progress(f"! {'; '.join(outcome.notes)}")
        if done % every == 0 or done == len(jobs):
            progress(
                f"{done} of {len(jobs)} runs: {total.trials} strikes, {total.transactions} transactions, "
                f"{total.lost} lost, {total.doubled} doubled, {total.wrong} wrong, {total.closed} closed"
            )

    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(one(job))
    return total


async def guarded(job: Job) -> Outcome:
    """A day that stands still is a loss: what it was to bring is not on the books."""
    try:
        return await job()
    except StuckError as error:
        return Outcome(1, 1, lost=1, notes=(f"stuck: {error}",))
