"""The station under OCPP 2.x against arbitrary people, vehicles, networks, faults, crashes and time, with every
combination of start and stop points (hypothesis state machine)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant
from station_world import World, config
from test_station_machine import ANSWERS, SWITCHES, ChargePoint

from agent.journal.events import MeterSampled, TransactionEnded, TransactionStarted, TransactionUpdated
from agent.ocpp.v2.render import Renderer2
from agent.ocpp.v2.version import Version
from agent.ocpp.v16.render import Renderer16
from agent.station.points import Point
from tests.tc201.books201 import Books201, registers_wh
from tests.tc201.csms201 import violation

POINTS = st.sets(st.sampled_from([point.value for point in Point]), min_size=1).map(",".join)


class FlexibleChargePoint(ChargePoint):
    @initialize(
        feed_a=st.sampled_from([7.0, 20.0, 64.0]),
        socket=st.booleans(),
        free_vend=st.integers(0, 6).map(lambda number: number == 0),
        texts=st.fixed_dictionaries({name: st.sampled_from(["true", "false"]) for name in SWITCHES}),
        bridged=st.sampled_from(["0", "300"]),
        start=POINTS,
        stop=POINTS,
        interval=st.sampled_from(["0", "5"]),
    )
    def build(self, feed_a, socket, free_vend, texts, bridged, start, stop, interval):
        texts["TxCtrlr.ResumptionTimeout"] = bridged
        texts["TxCtrlr.TxStartPoint"], texts["TxCtrlr.TxStopPoint"] = start, stop
        texts["SampledDataCtrlr.TxEndedInterval"] = texts["SampledDataCtrlr.TxUpdatedInterval"] = interval
        texts["SampledDataCtrlr.TxEndedMeasurands"] = "Energy.Active.Import.Register"
        versions = ("ocpp2.0.1",)
        world_config = config(evses=2, socket=socket, feed_a=feed_a, free_vend=free_vend, versions=versions)
        self.world = World(world_config, texts, known=ANSWERS)

    @invariant()
    def nothing_is_told_outside_of_its_transaction(self):
        if not hasattr(self, "world"):
            return
        begun, over = set(), set()
        for event in self.world.records:
            name = event.transaction
            if isinstance(event, TransactionStarted):
                assert name not in begun
                begun.add(name)
            elif isinstance(event, TransactionUpdated | MeterSampled | TransactionEnded):
                assert name in begun, event
                assert name not in over, event
            if isinstance(event, TransactionEnded):
                over.add(name)

    def teardown(self):
        if not hasattr(self, "world"):
            return
        self.world.auto_answer = True
        super().teardown()
        self._look_at_the_books()

    def _look_at_the_books(self):
        """What the network reads of it, under either version."""
        problems = []
        books = Books201(problems.append)
        numbers = {}
        renderer = Renderer2(Version.V201)
        for event, stamp in zip(self.world.records, self.world.stamps, strict=True):
            if not renderer.numbered(event):
                continue
            number = numbers[event.transaction] = numbers.get(event.transaction, -1) + 1
            message = renderer.render(event, stamp.utc_s, number)
            assert not violation("ocpp2.0.1", "TransactionEventRequest", message.payload)
            books.take(message.payload)
        assert not problems, problems
        classic = self._energies_in_16()
        for entry in books.transactions.values():
            assert [event["eventType"] for event in entry.events].count("Started") == 1
            assert entry.ended
            told = entry.registers_wh()
            energy = max(told) - min(told) if told else 0.0
            on_the_way = [wh for event in entry.events[:-1] for wh in registers_wh(event)]
            assert all(one <= other for one, other in itertools.pairwise(on_the_way)), on_the_way  # J02.FR.16
            assert abs(energy - classic.get(entry.transaction, 0.0)) <= 1.0, entry
            self._look_at_one(entry)

    def _look_at_one(self, entry):
        """Who charges is told once for each authorisation, and energy flows only where somebody does."""
        authorised = False
        for event in entry.events:
            reason, state = event["triggerReason"], event["transactionInfo"].get("chargingState")
            if "idToken" in event and reason not in ("StopAuthorized", "RemoteStop"):
                assert not authorised, entry.events
                authorised = True
            if reason in ("StopAuthorized", "RemoteStop", "Deauthorized"):
                authorised = False
            if state == "Charging":
                assert authorised, entry.events

    def _energies_in_16(self):
        starts, energies = {}, {}
        renderer = Renderer16()
        for event, stamp in zip(self.world.records, self.world.stamps, strict=True):
            message = renderer.render(event, stamp.utc_s, 1)
            if message is None:
                continue
            if message.action == "StartTransaction":
                assert event.transaction not in starts
                starts[event.transaction] = message.payload["meterStart"]
            elif message.action == "StopTransaction":
                energies[event.transaction] = message.payload["meterStop"] - starts[event.transaction]
        return energies


FlexibleChargePoint.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestFlexibleChargePoint = pytest.mark.timeout(600)(FlexibleChargePoint.TestCase)
del ChargePoint
