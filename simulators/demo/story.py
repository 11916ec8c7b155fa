"""The story itself: real processes, real drivers, simulated wires; each step waits for what it says to happen."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from agent.local.client import UnreachableError
from simulators.charger import Charger
from simulators.csms.process import CsmsProcess
from simulators.demo.books import Deed
from simulators.demo.network import network_of
from simulators.demo.timeline import Timeline
from simulators.lab.client import LabControl

ANNA, BEN = "04A1B2C3", "04D4E5F6"
CHARGE_S = 8.0
CONNECTION_TIMEOUT_S = 5
LIMIT_A = 10
STEP_TIMEOUT_S = 30.0
LOOK_S = 0.2


class Story:
    """Plays once. ``deeds`` holds what the drivers did, for the ledger."""

    def __init__(
        self, lab: LabControl, csms: CsmsProcess, charger: Charger, timeline: Timeline, subprotocol: str = "ocpp1.6"
    ) -> None:
        self.deeds: list[Deed] = []
        self._lab = lab
        self._csms = csms
        self._network = network_of(csms, subprotocol)
        self._charger = charger
        self._line = timeline

    def play(self) -> None:
        """Raises TimeoutError when something that should happen does not."""
        self._boot()
        self._ben_changes_his_mind()
        anna = self._anna_charges()
        self._limit_changes()
        self._uplink_is_cut()
        self._anna_leaves(anna)
        self._ben_charges_and_leaves()
        self._link_returns()

    # ---- chapters --------------------------------------------------------------------------------------------

    def _boot(self) -> None:
        self._line.chapter("1  Boot")
        self._line.event("charger", "two pilot boards, a meter line and a card reader hang on serial lines")
        self._line.event("network", f"a CSMS listens at {self._csms.url}")
        self._charger.start("run")
        self._charger.wait_accepted()
        vendor, model = self._network.boot()
        self._line.event("network", f"BootNotification of {vendor} {model}: accepted")
        self._until(lambda s: all(e["status"] == "Available" for e in s["evses"]), "both EVSEs available")
        self._line.event("charger", "both EVSEs are available")

    def _ben_changes_his_mind(self) -> None:
        self._line.chapter("2  Ben shows his card, is accepted, and goes to fetch his car")
        self._tap(BEN)
        self._network.authorised(BEN)
        self._line.event("network", "Ben's card is accepted; the charger remembers it")
        self._wait(CONNECTION_TIMEOUT_S + 1.0)
        self._line.event("charger", "nobody plugged in within ConnectionTimeOut; the EVSEs are free for others")

    def _anna_charges(self) -> float:
        self._line.chapter("3  Anna charges at EVSE 1")
        self._lab.plug(1, vehicle="renault-zoe-r135", battery=40)
        self._line.event("driver", "Anna plugs her Renault Zoe into EVSE 1")
        self._until(lambda s: s["evses"][0]["status"] == "Preparing", "EVSE 1 sees the car")
        allowed_from = self._tap(ANNA)
        self._network.started(ANNA, STEP_TIMEOUT_S)
        self._line.event("network", f"authorised; {self._network.begun} is on the books")
        self._until(_charging(0), "EVSE 1 charges")
        self._line.event("charger", "contactor closed: the car draws")
        self._charge_for(CHARGE_S)
        return allowed_from

    def _limit_changes(self) -> None:
        self._line.chapter(f"4  The operator lowers the station to {LIMIT_A} A")
        self._line.event("network", self._network.lower(LIMIT_A))
        self._until(
            lambda s: (
                0 < s["evses"][0]["offered_a"] <= LIMIT_A and (s["evses"][0]["power_w"] or 1e9) < LIMIT_A * 3 * 240
            ),
            "the car follows the new limit",
        )
        self._line.event("charger", f"the pilot offers {LIMIT_A} A and the car has followed")
        self._charge_for(CHARGE_S)

    def _uplink_is_cut(self) -> None:
        self._line.chapter("5  The uplink is cut")
        self._charger.call("link.set", online=False)
        self._until(lambda s: s["uplink"]["state"] == "offline_by_command", "offline")
        self._line.event("trouble", "no network any more; the car goes on charging")
        self._charge_for(CHARGE_S / 2)

    def _anna_leaves(self, allowed_from: float) -> None:
        self._line.chapter("6  Anna leaves while the charger is offline")
        ended_by = self._tap(ANNA)
        self._until(lambda s: _over(s["evses"][0]) and not s["evses"][0]["locked"], "EVSE 1 lets go")
        self._line.event("charger", "contactor open, register read, plug released, record in the journal")
        self._lab.unplug(1)
        self._line.event("driver", "Anna unplugs and drives away")
        self.deeds.append(Deed(1, ANNA, allowed_from, ended_by))
        self._tell_queue()

    def _ben_charges_and_leaves(self) -> None:
        self._line.chapter("7  Ben charges at EVSE 2, still offline")
        self._lab.plug(2, vehicle="vw-id3-58", battery=55)
        self._line.event("driver", "Ben plugs his VW ID.3 into EVSE 2")
        self._until(lambda s: s["evses"][1]["status"] == "Preparing", "EVSE 2 sees the car")
        allowed_from = self._tap(BEN)
        self._until(_charging(1), "EVSE 2 charges")
        self._line.event("charger", "the remembered card is good enough: charging on local authority")
        self._charge_for(CHARGE_S)
        ended_by = time.time()
        self._lab.vehicle(2, "not-ready")
        self._lab.unplug(2)
        self._line.event("driver", "Ben unlocks the plug at his car and drives away")
        self._until(lambda s: _over(s["evses"][1]), "Ben's transaction ends")
        self.deeds.append(Deed(2, BEN, allowed_from, ended_by))
        self._tell_queue()

    def _link_returns(self) -> None:
        self._line.chapter("8  The link returns")
        self._charger.call("link.set", online=True)
        self._charger.wait_accepted()
        self._line.event("network", "connected again; the journal is being delivered, oldest first")
        self._charger.wait_delivered()
        self._line.event("network", "every record is delivered and answered")

    # ---- steps -----------------------------------------------------------------------------------------------

    def _tap(self, token: str) -> float:
        """Present a card. Return the Unix time of it."""
        name = "Anna" if token == ANNA else "Ben"
        at = time.time()
        self._lab.tap(token)
        self._line.event("driver", f"{name} holds card {token} to the reader")
        return at

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._look()
            time.sleep(LOOK_S)

    def _charge_for(self, seconds: float) -> None:
        self._wait(seconds)
        status = self._charger.status()
        self._line.event("meter", " · ".join(_meter_text(evse) for evse in status["evses"] if evse["plugged"]))

    def _until(self, condition: Callable[[Any], bool], what: str) -> None:
        deadline = time.monotonic() + STEP_TIMEOUT_S
        status: Any = None
        while time.monotonic() < deadline:
            status = self._look()
            if status is not None and condition(status):
                return
            time.sleep(LOOK_S / 4)
        raise TimeoutError(f"{what}: not within {STEP_TIMEOUT_S:g} s; last seen: {status}")

    def _look(self) -> Any:
        """Show the moving line. Return the status, or None when nobody answers."""
        try:
            status = self._charger.status()
        except UnreachableError:
            return None
        parts = [_evse_text(evse) for evse in status["evses"]]
        uplink = status["uplink"]
        state = {"accepted": "online", "offline_by_command": "offline"}.get(uplink["state"], uplink["state"])
        self._line.moving(f"{' │ '.join(parts)} │ {state}, {uplink['queue']['pending']} wait")
        return status

    def _tell_queue(self) -> None:
        queue = self._charger.status()["uplink"]["queue"]
        oldest = queue["oldest_at"]
        age = "" if oldest is None else f", the oldest {_age_s(oldest):.0f} s old"
        self._line.event("charger", f"{queue['pending']} records wait for the network{age}")


def _charging(index: int) -> Callable[[Any], bool]:
    return lambda s: s["evses"][index]["status"] == "Charging" and (s["evses"][index]["power_w"] or 0) > 1000


def _over(evse: Any) -> bool:
    """The transaction has ended; it stays in sight until the vehicle is unplugged."""
    return evse["transaction"] is None or evse["transaction"]["state"] == "finished"


def _evse_text(evse: Any) -> str:
    power = "" if not evse["power_w"] else f" {evse['power_w'] / 1000:.1f} kW"
    return f"{evse['id']}: {evse['state']:<2} {evse['status']}{power}"


def _meter_text(evse: Any) -> str:
    transaction = evse["transaction"]
    energy = 0.0 if transaction is None else transaction["energy_wh"] or 0.0
    return (
        f"EVSE {evse['id']}: offered {evse['offered_a']:.1f} A, {(evse['power_w'] or 0) / 1000:.2f} kW, "
        f"{energy:.0f} Wh so far"
    )


def _age_s(text: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()
