"""How long to wait before the next try to connect."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator


def back_off(
    minimum_s: float, random_s: float, repeats: int, uniform: Callable[[], float] = random.random
) -> Iterator[float]:
    """Yield waits in seconds, for ever: the minimum doubles ``repeats`` times and then stays.

    To each a fresh random part of up to ``random_s`` is added, so that a fleet cut off together does not return
    together. ``uniform`` returns a number in [0, 1). OCPP 1.6 gives no figures; this is OCPP 2.0.1 part 4 §5.3 with
    RetryBackOffWaitMinimum, RetryBackOffRandomRange and RetryBackOffRepeatTimes.
    """
    doubled = 0
    while True:
        yield minimum_s * 2.0**doubled + uniform() * random_s
        doubled = min(doubled + 1, repeats)
