"""A scripted day: online, overlapping, stopped from afar, offline, refused by the network, connected again.

Every step is a person's or an operator's: it is repeated when nothing comes of it, as people do, and it looks at the
display before it repeats. So the day goes on over crashes, and its deeds say what must be on the books.
"""

from __future__ import annotations

import asyncio

from simulators.csms.behaviour import AnswerRule, Mode
from tests.faults.place import Place

ANNA, BEN = "04A1B2C3", "04D4E5F6"
FORGIVEN = frozenset({"two-calls-outstanding"})
"""While the CSMS is told not to answer, the charge point's own time-out decides when it speaks again."""


async def day(place: Place, pause_s: float = 0.3, long_s: float = 1.3) -> None:
    """Live through it. ``pause_s``: an ordinary stretch of charging; ``long_s``: one with samples in it."""
    # Morning: online, both outlets at once; one card, one command.
    await place.wait_online()
    anna = await place.begin(1, ANNA, online=True)
    ben = await place.begin(2, BEN, online=True)
    await asyncio.sleep(long_s)
    await place.end(1, ANNA, anna)
    await place.end(2, BEN, ben, lambda: place.remote_stop_or_tap(2, BEN))
    # Noon: the uplink is gone; two charges on what the charger remembers, the second goes on into the afternoon.
    await place.cut_uplink()
    anna = await place.begin(2, ANNA, online=False)
    await asyncio.sleep(pause_s)
    ben = await place.begin(1, BEN, online=False)
    await asyncio.sleep(pause_s)
    await place.end(2, ANNA, anna)
    # Afternoon: the network is back, refuses the first start twice, and loses an answer.
    place.csms.behaviour.add(place.speech.start, AnswerRule(Mode.ERROR, 2))
    place.csms.behaviour.add(place.speech.stop, AnswerRule(Mode.ERROR, 1, "GenericError"))
    await place.restore_uplink()
    await place.wait_online()
    await asyncio.sleep(pause_s)
    await place.end(1, BEN, ben)
    # Evening: one more, then all must be on the books.
    anna = await place.begin(1, ANNA, online=True)
    await asyncio.sleep(pause_s)
    await place.end(1, ANNA, anna)
    await place.settled()
