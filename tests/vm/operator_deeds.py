"""What the operator and a technician change while both outlets charge. Each change is noted with the moments between
which it was made, for the judge of the disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from tests.vm import network_orders
from tests.vm.inside import API, CHECKS_INSIDE, CONFIGURATION, PYTHON
from tests.vm.machine import GuestError
from tests.vm.network_orders import Wish
from tests.vm.observer import Order, Orders
from tests.vm.site import GuestPlace

INSTALL = f"import sys; sys.path[:0] = ['{CHECKS_INSIDE}']; from tests.vm.slot_trial import main; main()"
NOWHERE = "10.0.2.100:9"
"""An address at which the guest finds nobody. A configuration with it does not prove itself."""
PROOF_S, SHORT_PROOF_S = 600.0, 10.0
LOOK_S = 0.5
PATIENCE_S = 600.0
ASK_S = 240.0

Work = Callable[[], Awaitable[None]]


class OperatorDeeds:
    """``text``: the configuration file as the charger has it."""

    def __init__(self, place: GuestPlace, text: str) -> None:
        self.place = place
        self.orders = Orders()
        self.text = text
        self.original = text
        self.made: Counter[str] = Counter()
        """Changes that were accepted, by kind."""
        self.wrong: list[str] = []
        """What was not as it must be while the charger ran."""
        self._numbers = 0
        self._monitor: int | None = None
        """The number that the charger gave to our monitor."""
        self._doomed = ""
        """A configuration that was taken, and must be taken back."""

    def work(self, scenario: str) -> Work:
        """What is done again and again in a life of that name."""
        known: dict[str, Work] = {"config": self.settings, "update": self.update, "file": self.file}
        return known.get(scenario, self.nothing)

    async def nothing(self) -> None:
        await asyncio.sleep(0.2)

    # ---- by the network ----

    async def _order(self, wish: Wish) -> None:
        order = Order(wish.kind, wish.key, wish.value, time.time())
        self.orders.noted.append(order)
        answer = await self.place.csms.call(None, wish.action, wish.payload, timeout_s=60)
        if not network_orders.accepted(answer):
            raise LookupError(f"{wish.action}: {answer}")
        key = wish.key
        if wish.kind == "monitor":
            self._monitor = network_orders.number_given(answer)
            key = str(self._monitor)
        self.orders.noted[-1] = replace(order, key=key, done_s=time.time())
        self.made[wish.kind] += 1

    async def settings(self) -> None:
        """A setting, the local list, a charging profile and, under OCPP 2, a monitor, one after the other."""
        self._numbers += 1
        number, old = self._numbers, self.place.speech.old
        await self._order(network_orders.setting(old, 1000 + number))
        await self._order(network_orders.local_list(old, max(self._done("list"), default=0) + 1))
        await self._order(network_orders.profile(old, 16.0 + number % 16))
        if not old:
            await self._order(network_orders.monitor(self._monitor, 50_000.0 + number))

    def _done(self, kind: str) -> list[Any]:
        return [order.value for order in self.orders.noted if order.kind == kind and order.done_s < float("inf")]

    # ---- the next version ----

    async def update(self) -> None:
        """The next bundle into the other slot, the switch, its confirmation."""
        done = self._done("slot")
        version = f"1.{int(done[-1].split('.')[1]) + 1 if done else 1}"
        sent = time.time()
        self.orders.noted.append(Order("slot", "", version, sent))
        await self.place.machine.check(PYTHON, "-c", INSTALL, version, timeout_s=300)
        self.orders.noted[-1] = Order("slot", "", version, sent, time.time())
        self.made["slot"] += 1

    # ---- at the console ----

    async def file(self) -> None:
        """``config set``: a change that proves itself, then one that does not and is taken back, and so on."""
        await self.file_proved()
        self._numbers += 1
        if self._numbers % 2:
            await self._set_file("station.model", f"Lab{1000 + self._numbers}", "model", PROOF_S)
        else:
            await self._set_file("ocpp.url", f"ws://{NOWHERE}/ocpp", "url", SHORT_PROOF_S)

    async def _set_file(self, path: str, value: str, name: str, within_s: float) -> None:
        before, sent = self.text, time.time()
        after = "\n".join(_line_with(line, name, value) for line in before.split("\n"))
        self.orders.noted.append(Order("file", "", after, sent))
        wish = {"values": {path: value}, "within_s": within_s, "in_session": True}
        taken = await self._ask("config.set", wish)
        if len(taken["changes"]) != 1:
            raise LookupError(f"config.set changed {taken['changes']}")
        self.orders.noted[-1] = Order("file", "", after, sent, time.time())
        self.made["file"] += 1
        self.text = after
        if NOWHERE in value:
            # It comes back by itself, at a moment that nobody is told.
            self._doomed = before
            self.orders.noted.append(Order("file", "", before, time.time()))

    async def file_proved(self) -> None:
        """Wait until no change is on trial, and note which file holds then."""
        noted = [order for order in self.orders.noted if order.kind == "file"]
        if not noted:
            return
        await self.place.until(self._no_trial, "a change of the configuration is proved or taken back", PATIENCE_S)
        found = await self.place.machine.check("cat", CONFIGURATION)
        now = time.time()
        allowed = [self._doomed] if self._doomed else self.orders.may_hold("file", "", now, now) or [self.original]
        allowed = [self.original if text is None else text for text in allowed]
        if found not in allowed:
            self.wrong.append(f"after its trial the configuration is none of {len(allowed)}: {found[:200]!r}")
        if self._doomed:
            self.made["file taken back"] += 1
        self.text, self._doomed = found, ""
        self.orders.noted.append(Order("file", "", found, noted[-1].sent_s, now))

    async def _no_trial(self) -> bool:
        with contextlib.suppress(GuestError, LookupError):
            return (await self._ask("config.state", {}))["trial"] is None
        await asyncio.sleep(LOOK_S)
        return False

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        """The local API, as the console asks it. Raises LookupError for a refusal, GuestError when nobody answers."""
        line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        answer = await self.place.machine.ask(API, line, timeout_s=ASK_S)
        if answer.rc != 0 or not answer.out:
            raise GuestError(f"{method}: {answer.out or 'the connection ended'}")
        told = json.loads(answer.out)
        if "result" not in told:
            raise LookupError(f"{method}: {told.get('error')}")
        return told["result"]


def _line_with(line: str, name: str, value: str) -> str:
    """The same line of the configuration with another value, if it is the one of that name."""
    begin, found, _ = line.partition(f"{name}: ")
    return f"{begin}{found}{value}" if found and not begin.strip() else line
