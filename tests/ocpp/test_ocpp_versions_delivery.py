"""What one OCPP version recorded and another delivers, from the real journal: to the Wh, and with no gap."""

from __future__ import annotations

import tempfile
import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.journal.events import (
    ChargingState,
    Context,
    Event,
    MeterSampled,
    SampledValue,
    Stamp,
    StartTrigger,
    StopReason,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Trigger,
)
from agent.journal.journal import Journal
from agent.ocpp.delivery import Delivery, Rendered
from agent.ocpp.rpc import Call, Outcome, Result
from agent.ocpp.v2.render import Renderer2
from agent.ocpp.v2.version import Version
from agent.ocpp.v16.render import Renderer16
from agent.station.settings import Settings
from tests.tc201.books201 import registers_wh
from tests.tc201.csms201 import violation

UTC_0 = 1_790_000_000.0
REGISTER = "Energy.Active.Import.Register"
AGAIN = {str(uuid.uuid5(uuid.NAMESPACE_OID, name)): name for name in ("tx", "tx-0", "tx-1", "tx-2")}
"""Message ids of starts that are told once more."""


def sample(wh: float) -> SampledValue:
    return SampledValue(REGISTER, wh, "Wh", context=Context.SAMPLE_PERIODIC)


def life(kind: str, name: str, start_wh: float) -> list[Event]:
    """A transaction of 1500 Wh (an anonymous one: of none) as the station records it."""
    middle: list[Event] = [
        TransactionUpdated(name, 1, ChargingState.CHARGING, False, phases=3),
        MeterSampled(name, 1, (sample(start_wh + 700),), False),
        MeterSampled(name, 1, (sample(start_wh + 900),), False),
    ]
    end = TransactionEnded(name, 1, start_wh + 1500, StopReason.LOCAL, False, "CARD")
    if kind == "classic":
        start = TransactionStarted(name, 1, "CARD", "ISO14443", start_wh, StartTrigger.AUTHORIZED, False)
        return [start, *middle, end]
    plugged, idle = ChargingState.EV_CONNECTED, ChargingState.IDLE
    if kind == "plugged":
        start = TransactionStarted(name, 1, "", "", start_wh, StartTrigger.CABLE_PLUGGED_IN, False, state=plugged)
        authorised = TransactionUpdated(name, 1, None, False, Trigger.AUTHORIZED, "CARD", "ISO14443", start_wh=start_wh)
        return [start, authorised, *middle, end]
    if kind == "unplaced":
        start = TransactionStarted(name, 0, "CARD", "ISO14443", 0.0, StartTrigger.AUTHORIZED, False, state=idle)
        joined = TransactionUpdated(
            name,
            1,
            plugged,
            False,
            Trigger.CABLE_PLUGGED_IN,
            "CARD",
            "ISO14443",
            joined=True,
            samples=(SampledValue(REGISTER, start_wh, "Wh", context=Context.TRANSACTION_BEGIN),),
            start_wh=start_wh,
        )
        return [start, joined, *middle, end]
    start = TransactionStarted(name, 1, "", "", start_wh, StartTrigger.CABLE_PLUGGED_IN, False, state=plugged)
    return [start, TransactionEnded(name, 1, start_wh, StopReason.EV_DISCONNECTED, False, state=idle, anonymous=True)]


class Networks:
    """Both versions' networks: what each was told, checked as it comes."""

    def __init__(self) -> None:
        self.told_wh: dict[str, list[float]] = defaultdict(list)
        self.numbers: dict[str, list[int]] = defaultdict(list)
        self.names: dict[int, str] = {}
        self.messages: dict[str, dict[str, Any]] = {}
        self.booked_nowhere: set[str] = set()
        """Transactions of which a network of 1.6 was told something without a number that it gave."""

    def take(self, message_id: str, rendered: Rendered, name: str) -> dict[str, Any]:
        """Return the answer."""
        repeated = self.messages.get(message_id)
        if rendered.action == "TransactionEvent":
            payload = rendered.payload
            assert not violation("ocpp2.0.1", "TransactionEventRequest", payload)
            if repeated is not None and repeated.get("eventType") is not None:
                assert {**repeated, "offline": None} == {**payload, "offline": None}
            else:
                self.numbers[name].append(payload["seqNo"])
            self.told_wh[name] += registers_wh(payload)
            self.messages[message_id] = payload
            return {}
        self.messages.setdefault(message_id, {})
        if rendered.payload.get("transactionId", 1) not in {1, *self.names}:
            self.booked_nowhere.add(name)
        if rendered.action == "StartTransaction":
            number = len(self.names) + 1
            self.names[number] = name
            self.told_wh[name].append(float(rendered.payload["meterStart"]))
            return {"transactionId": number, "idTagInfo": {"status": "Accepted"}}
        if rendered.action == "StopTransaction":
            self.told_wh[name].append(float(rendered.payload["meterStop"]))
        return {}


def deliver(journal: Journal, renderer: Any, networks: Networks, fates: list[str]) -> None:
    """Let one version's network have records while there are fates for them."""
    delivery = Delivery(journal, Settings(), renderer, lambda _transaction, _info: None)
    now = 0.0
    while fates:
        call = delivery.next_call(now)
        if call is None:
            return
        name = AGAIN.get(call.message_id) or next(
            record.event.transaction for record in journal.pending(50) if record.message_id == call.message_id
        )
        fate = fates.pop(0)
        if fate == "refused":
            call.done(Outcome(Result.REFUSED, code="InternalError"), now)
            now += 1000.0
            continue
        answer = networks.take(call.message_id, Rendered(call.action, call.payload), name)
        if fate == "lost":
            delivery.lost()
            return
        call.done(Outcome(Result.ANSWERED, answer), now)


FATES = st.lists(st.sampled_from(["taken", "taken", "taken", "taken", "lost", "refused"]), min_size=1, max_size=12)
KINDS = st.lists(st.sampled_from(["classic", "plugged", "unplaced", "anonymous"]), min_size=1, max_size=3)


@settings(max_examples=150, deadline=None)
@given(KINDS, st.lists(st.tuples(st.booleans(), FATES), max_size=6), st.booleans())
@example(["classic"], [(True, ["refused", "refused", "refused", "taken"])], True)
@example(["classic", "classic", "plugged"], [(True, ["taken"] * 8 + ["refused"] * 3 + ["taken"] * 3)], False)
def test_whichever_version_delivers_which_part_every_wh_is_told(
    kinds: list[str], turns: list[tuple[bool, list[str]]], last: bool
) -> None:
    networks = Networks()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        journal = Journal.open(path, "boot")
        at = 0.0
        for index, kind in enumerate(kinds):
            for event in life(kind, f"tx-{index}", 2000.0 * index + 1000.0):
                at += 10.0
                journal.append(event, Stamp("boot", at, UTC_0 + at, True))
        for two, fates in turns:
            deliver(journal, Renderer2(Version.V201) if two else Renderer16(), networks, list(fates))
            journal.close()  # each move comes with a new agent
            journal = Journal.open(path, "boot")
        deliver(journal, Renderer2(Version.V21) if last else Renderer16(), networks, ["taken"] * 100)
        assert journal.figures().pending == 0
        refused = journal.figures().parked
        journal.close()
    for index, kind in enumerate(kinds):
        name, start_wh = f"tx-{index}", 2000.0 * index + 1000.0
        given_wh = 0.0 if kind == "anonymous" else 1500.0
        if not any("refused" in fates for _two, fates in turns):
            assert not networks.booked_nowhere
        told = networks.told_wh[name]
        if not refused and given_wh:
            assert min(told) == start_wh, name
            assert max(told) == start_wh + given_wh, name
        numbers = networks.numbers[name]
        assert len(numbers) == len(set(numbers)), name
        # What was set aside after three refusals comes later, under its own number.
        if not any("refused" in fates for _two, fates in turns):
            assert numbers == sorted(numbers), name
        # What a network of 1.6 took in between, that of 2.x does lack.
        if not refused and last and all(two for two, _fates in turns):
            assert sorted(numbers) == list(range(len(numbers))), name


@pytest.mark.parametrize("fate", ["taken", "refused", "lost"])
def test_a_network_of_1_6_hears_of_the_start_that_one_of_2_took(tmp_path: Path, fate: str) -> None:
    networks = Networks()
    journal = Journal.open(tmp_path / "journal.db", "boot")
    events = life("classic", "tx", 1000.0)
    journal.append(events[0], Stamp("boot", 0.0, UTC_0, True))
    deliver(journal, Renderer2(Version.V201), networks, ["taken"])
    for at, event in enumerate(events[1:], 1):
        journal.append(event, Stamp("boot", float(at), UTC_0 + at, True))
    if fate == "lost":
        deliver(journal, Renderer16(), networks, ["lost"])
        assert list(networks.names) == [1]  # it took the start, and its answer was lost
    delivery = Delivery(journal, Settings(), Renderer16(), lambda _transaction, _info: None)
    call = delivery.next_call(0.0)
    assert call is not None
    assert (call.action, call.message_id) == ("StartTransaction", next(iter(AGAIN)))
    assert call.payload == {
        "connectorId": 1,
        "idTag": "CARD",
        "meterStart": 1000,
        "timestamp": "2026-09-21T14:13:20.000Z",
    }
    if fate == "refused":
        call.done(Outcome(Result.REFUSED, code="InternalError"), 0.0)
        assert delivery.next_call(1.0) is None  # it waits, as for any refused message
        assert delivery.next_call(1000.0) is not None
        journal.close()
        return
    call.done(Outcome(Result.ANSWERED, {"transactionId": 77, "idTagInfo": {"status": "Accepted"}}), 0.0)
    following = [(c.action, c.payload.get("transactionId")) for c in _all(delivery)]
    assert following == [("MeterValues", 77), ("MeterValues", 77), ("StopTransaction", 77)]
    journal.close()


def _all(delivery: Delivery) -> Iterator[Call]:
    while (call := delivery.next_call(0.0)) is not None:
        yield call
        call.done(Outcome(Result.ANSWERED, {}), 0.0)


def test_what_is_thinned_out_leaves_no_gap_in_the_numbers(tmp_path: Path) -> None:
    """E04.FR.07, E04.FR.08, E12.FR.04: the number is given when a record is first read to be sent."""
    networks = Networks()
    journal = Journal.open(tmp_path / "journal.db", "boot")
    start, *_, end = life("classic", "tx", 1000.0)
    journal.append(start, Stamp("boot", 0.0, UTC_0, True))
    with journal.write():
        for index in range(3000):
            event = MeterSampled("tx", 1, (sample(1000.0 + index / 2),), True)
            journal.append(event, Stamp("boot", 60.0 * index, UTC_0 + 60.0 * index, True))
    deliver(journal, Renderer2(Version.V201), networks, ["taken"] * 20 + ["lost"])
    journal.keep_below(200_000)
    gone = 0
    for _ in range(20):
        gone = journal.make_room()
    assert gone > 500
    journal.append(end, Stamp("boot", 200_000.0, UTC_0 + 200_000.0, True))
    deliver(journal, Renderer2(Version.V201), networks, ["taken"] * 5000)
    numbers = networks.numbers["tx"]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) == 3002 - gone
    assert not journal.kept("seq_no")
    assert not journal.kept("seq_next")
    journal.close()


def test_a_number_is_on_the_disk_before_its_message_leaves(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", "boot")
    for at, event in enumerate(life("classic", "tx", 1000.0)):
        journal.append(event, Stamp("boot", float(at), UTC_0 + at, True))
    first = Delivery(journal, Settings(), Renderer2(Version.V201), lambda _transaction, _info: None)
    call = first.next_call(0.0)
    assert call is not None
    journal.close()  # killed: whether the network had it nobody knows
    journal = Journal.open(tmp_path / "journal.db", "boot")
    second = Delivery(journal, Settings(), Renderer2(Version.V201), lambda _transaction, _info: None)
    again = second.next_call(0.0)
    assert again is not None
    assert (again.message_id, again.payload["seqNo"]) == (call.message_id, call.payload["seqNo"])
    journal.close()


@pytest.mark.parametrize("version", Version)
def test_what_waited_while_the_network_was_away_is_told_as_offline(tmp_path: Path, version: Version) -> None:
    """E11.FR.07."""
    journal = Journal.open(tmp_path / "journal.db", "boot")
    events = life("classic", "tx", 1000.0)
    journal.append(events[0], Stamp("boot", 0.0, UTC_0, True))
    delivery = Delivery(journal, Settings(), Renderer2(version), lambda _transaction, _info: None)
    journal.append(events[1], Stamp("boot", 1.0, UTC_0 + 1, True))
    told = []
    while (call := delivery.next_call(0.0)) is not None:
        told.append(call.payload.get("offline", False))
        call.done(Outcome(Result.ANSWERED, {}), 0.0)
        delivery.wake()
        if len(told) == 2:
            journal.append(events[2], Stamp("boot", 2.0, UTC_0 + 2, True))
            delivery.lost()
        if len(told) == 3:
            journal.append(events[3], Stamp("boot", 3.0, UTC_0 + 3, True))
    assert told == [True, False, True, False]
    journal.close()


def test_after_the_last_try_the_next_one_goes_and_the_refused_one_stays_on_the_books(tmp_path: Path) -> None:
    """E13.FR.04: no record waits for another one, because each names its transaction and its number."""
    journal = Journal.open(tmp_path / "journal.db", "boot")
    for at, event in enumerate(life("classic", "tx", 1000.0)):
        journal.append(event, Stamp("boot", float(at), UTC_0 + at, True))
    delivery = Delivery(journal, Settings(), Renderer2(Version.V201), lambda _transaction, _info: None)
    now, tries, told = 0.0, 0, []
    while (call := delivery.next_call(now)) is not None:
        if call.payload["eventType"] == "Started":
            tries += 1
            call.done(Outcome(Result.REFUSED, code="InternalError"), now)
            now += 1000.0
        else:
            told.append(call.payload["seqNo"])
            call.done(Outcome(Result.ANSWERED, {}), now)
    assert tries == 3
    assert told == [1, 2, 3, 4]
    assert journal.figures().parked == 1
    journal.close()
