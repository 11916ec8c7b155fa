"""A car charges on every kind of board, meter and reader that the lab knows: real processes, real drivers, the wire
simulated. And every board opens when it is left alone. Kinds join by their line in ``simulators.lab.kinds``."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from conftest import Site

from agent.config import loader
from hal import registry
from simulators.demo.books import Charge, Deed, compare, lived
from simulators.lab.kinds import BOARDS, METERS, READERS, BoardKind, MeterKind, ReaderKind, load

if TYPE_CHECKING:
    from conftest import SiteFactory

pytestmark = [pytest.mark.process, pytest.mark.kinds, pytest.mark.timeout(240)]

PATIENCE_S = 60.0
SLACK_S = 3.0
"""For a machine that is busy with other tests."""
LEASE_S = 5.0
ENERGY_WH = 30
CARD = bytes.fromhex("04A1B2C3D4E5F60718293A")
LEFT_ALONE = {"control.lease_s": LEASE_S, "control.fail_safe_current_a": 0}


def boards() -> Iterator[Any]:
    for name in BOARDS:
        yield pytest.param(name, "eastron", 1, id=name)
        kind: BoardKind = load(BOARDS, name)
        if kind.measures:
            yield pytest.param(name, "board", kind.meter_step_wh, id=f"{name}-own-meter")


def meters() -> Iterator[Any]:
    for name in METERS:
        kind: MeterKind = load(METERS, name)
        if name != "eastron":
            yield pytest.param(name, kind.step_wh, id=name)
        for variant in kind.variants:
            yield pytest.param(f"{name}:{variant}", kind.steps_wh.get(variant, kind.step_wh), id=f"{name}-{variant}")


def begin(site: Site, token: str) -> float:
    """Plug in, show the card, wait until energy flows. Return the Unix time of the card."""
    site.lab.plug(1, vehicle="renault-zoe-r135")
    site.wait_evse(lambda e: e["status"] == "Preparing", "preparing", timeout_s=PATIENCE_S)
    at = site.tap(token)
    site.lab.wait_for(lambda e: e["power_w"] > 1000, PATIENCE_S)
    site.wait_evse(lambda e: e["status"] == "Charging", "charging", timeout_s=PATIENCE_S)
    return at


def full_charge(site: Site, token: str, step_wh: int) -> None:
    """From plug to plug, and the network's books agree with the hardware's own diary."""
    site.start()
    start = begin(site, token)
    site.wait_energy(max(ENERGY_WH, 3 * step_wh), timeout_s=PATIENCE_S)
    stop = site.tap_and_leave(token)
    site.charger.wait_delivered()
    ledger = site.csms.ledger()
    (transaction,) = ledger["transactions"]
    deed = Deed(1, transaction["id_tag"], start, stop)
    charges = [as_shown(charge, step_wh) for charge in lived(site.directory / "logs", [deed])]
    assert charges[0].energy_wh > 0
    assert [complaint for row in compare(charges, ledger) for complaint in row.complaints] == []
    assert ledger["anomalies"] == []


def as_shown(charge: Charge, step_wh: int) -> Charge:
    """What a register shows that counts in such steps."""
    start, stop = (wh // step_wh * step_wh for wh in (charge.start_wh, charge.stop_wh))
    return replace(charge, start_wh=start, stop_wh=stop)


@pytest.mark.parametrize(("board", "meter", "step_wh"), list(boards()))
def test_a_charge_on_every_board(new_site: SiteFactory, board: str, meter: str, step_wh: int) -> None:
    full_charge(new_site(board=board, meter=meter), CARD[:4].hex().upper(), step_wh)


@pytest.mark.parametrize(("meter", "step_wh"), list(meters()))
def test_a_charge_on_every_meter(new_site: SiteFactory, meter: str, step_wh: int) -> None:
    full_charge(new_site(meter=meter), CARD[:4].hex().upper(), step_wh)


@pytest.mark.parametrize("reader", [name for name in READERS if name != "pn532"])
def test_a_charge_with_every_reader(new_site: SiteFactory, reader: str) -> None:
    kind: ReaderKind = load(READERS, reader)
    full_charge(new_site(reader=reader), CARD[: kind.uid_bytes[0]].hex().upper(), 1)


@pytest.mark.parametrize("board", list(BOARDS))
def test_every_board_opens_when_it_is_left_alone(new_site: SiteFactory, board: str) -> None:
    kind: BoardKind = load(BOARDS, board)
    site = new_site(LEFT_ALONE, board=board)
    site.start()
    begin(site, CARD[:4].hex().upper())

    killed = time.monotonic()
    site.charger.kill("agent")
    assert opened(site, killed) < LEASE_S + slowest_driver_s(site) + SLACK_S
    site.charger.start("agent")
    site.charger.wait_accepted()
    site.lab.wait_for(lambda e: e["power_w"] > 1000, PATIENCE_S)

    if kind.opens_within_s < math.inf:
        cut = site.lab.state()["mono_s"]
        site.lab.fault(1, "board-silent")
        assert opened(site, cut) < kind.opens_within_s + SLACK_S
        site.wait_evse(lambda e: bool(e["faults"]), "the agent knows", timeout_s=PATIENCE_S)


def opened(site: Site, since: float) -> float:
    """Wait until the contacts are open. Return how long after ``since`` (monotonic) that was."""
    site.lab.wait_for(lambda e: not e["contactor"]["closed"], PATIENCE_S)
    return float(next(e["mono_s"] for e in site.lab.log(1, since) if e["event"] == "contacts_opened")) - since


def slowest_driver_s(site: Site) -> float:
    """The longest promise of the drivers in this lab's configuration, from command to wire."""
    return max(registry.load(d.driver).opens_within_s for d in loader.load(site.charger.config_path).devices.values())


def test_every_kind_keeps_to_its_name() -> None:
    for table in (BOARDS, METERS, READERS):
        assert [load(table, name).name for name in table] == list(table)
