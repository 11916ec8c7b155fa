"""What is sampled, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station_world import World, config

from agent.journal.events import Context, MeterSampled
from agent.station.metering import DAY_S, HISTORY, next_aligned


@given(st.floats(0, 4e9), st.integers(1, DAY_S))
def test_the_grid_begins_at_midnight(utc_s, interval_s):
    due = next_aligned(utc_s, interval_s)
    assert utc_s < due <= utc_s + interval_s + 1e-6
    within = due % DAY_S
    assert within == 0 or within % interval_s == 0
    assert next_aligned(due, interval_s) > due


@pytest.mark.parametrize(
    ("utc_s", "interval_s", "due"), [(0, 900, 900), (899.9, 900, 900), (86_000, 50_000, 86_400), (86_400, 7, 86_407)]
)
def test_grid_by_hand(utc_s, interval_s, due):
    assert next_aligned(utc_s, interval_s) == due


def charging(**settings):
    world = World(settings={name.replace("_", "."): value for name, value in settings.items()})
    world.plug()
    world.run(2)
    world.tap()
    world.run(5)
    return world


def samples(world):
    return [
        (event, stamp)
        for event, stamp in zip(world.records, world.stamps, strict=True)
        if isinstance(event, MeterSampled)
    ]


def test_every_interval_since_the_start():
    world = charging(
        SampledDataCtrlr_TxUpdatedInterval="30",
        SampledDataCtrlr_TxUpdatedMeasurands="Energy.Active.Import.Register,Voltage,Current.Import,Current.Offered,"
        "Power.Offered,Power.Active.Import,Energy.Active.Import.Interval,Frequency,Temperature",
    )
    start = world.stamps[[type(event).__name__ for event in world.records].index("TransactionStarted")]
    world.run(120)
    found = samples(world)
    ages = [stamp.monotonic_s - start.monotonic_s for _, stamp in found]
    assert ages == pytest.approx([30, 60, 90, 120], abs=1.0)  # when the reading was taken
    values = found[1][0].samples
    by_name = {(value.measurand, value.phase): value.value for value in values}
    assert by_name["Voltage", "L2-N"] == 231.0
    assert by_name["Current.Import", "L3"] == 16.0
    assert by_name["Current.Offered", ""] == 32.0
    assert by_name["Power.Offered", ""] == 32.0 * 3 * 230
    assert by_name["Energy.Active.Import.Interval", ""] == pytest.approx(16 * 690 * 30 / 3600)
    assert ("Temperature", "") not in by_name
    assert {value.context for value in values} == {Context.SAMPLE_PERIODIC}


def test_a_silent_meter_leaves_gaps_and_no_old_numbers():
    world = charging(SampledDataCtrlr_TxUpdatedInterval="10")
    world.run(37)
    count = len(samples(world))
    world.outlets[1].meter_works = False
    world.run(33)
    assert len(samples(world)) == count
    world.outlets[1].meter_works = True
    world.run(11)
    assert len(samples(world)) == count + 1


def test_aligned_values_with_and_without_transaction():
    world = charging(AlignedDataCtrlr_Interval="60", SampledDataCtrlr_TxUpdatedInterval="0")
    world.run(180)
    found = samples(world)
    assert len(found) == 3
    assert all(stamp.utc_s % 60 == pytest.approx(0, abs=1e-3) for _, stamp in found)
    assert found[0][0].samples[0].context is Context.SAMPLE_CLOCK
    world.unplug()
    world.run(180)
    assert len(samples(world)) == 3
    assert len(world.meter_reports) == 3
    assert all(report.at_utc_s % 60 == 0 for report in world.meter_reports)


def test_a_stepped_clock_neither_floods_nor_stalls():
    world = charging(AlignedDataCtrlr_Interval="60", SampledDataCtrlr_TxUpdatedInterval="0")
    world.run(120)
    for step_s in (DAY_S, -2 * DAY_S, 3600 * 5 + 17):
        world.utc_offset += step_s
        before = len(samples(world))
        world.run(240)
        assert 3 <= len(samples(world)) - before <= 4


def test_the_end_message_carries_its_lists():
    world = charging(
        SampledDataCtrlr_TxUpdatedInterval="10",
        SampledDataCtrlr_TxEndedMeasurands="Energy.Active.Import.Register",
        AlignedDataCtrlr_TxEndedMeasurands="Voltage",
        AlignedDataCtrlr_Interval="60",
    )
    world.run(60)
    world.restart_agent()
    world.run(65)
    world.unplug()
    world.run(5)
    ended = world.ended()[0]
    energies = [value for value in ended.samples if value.measurand == "Energy.Active.Import.Register"]
    assert energies[0].context is Context.TRANSACTION_BEGIN
    assert energies[0].value == world.started()[0].meter_wh
    assert energies[0].ago_s > 120
    assert energies[-1].context is Context.TRANSACTION_END
    assert energies[-1].value == ended.meter_wh
    assert energies[-1].ago_s == 0
    ages = [value.ago_s for value in ended.samples]
    assert ages == sorted(ages, reverse=True)
    assert len({value.ago_s for value in ended.samples if value.measurand == "Voltage"}) == 2


def test_a_long_list_thins_out_evenly():
    world = charging(
        SampledDataCtrlr_TxUpdatedInterval="10", SampledDataCtrlr_TxEndedMeasurands="Energy.Active.Import.Register"
    )
    world.run(10 * (HISTORY * 3))
    assert HISTORY / 3 < len(world.session().history) <= HISTORY
    assert world.session().history[0][1][0].context is Context.TRANSACTION_BEGIN


def test_a_day_passes():
    """Three drivers, a long weekday, in virtual time."""
    world = World(config(evses=2, feed_a=20.0), settings={"AlignedDataCtrlr.Interval": "900"})
    world.jump(7 * 3600)
    for number, uid in ((1, "CARD0001"), (2, "CARD0002")):
        world.plug(number)
        world.run(5)
        world.tap(uid)
        world.jump(1800)
    world.uplink(False)
    world.jump(3 * 3600)
    world.unplug(1)
    world.jump(3600)
    world.restart_agent()
    world.uplink(True)
    world.tap("CARD0002")
    world.jump(600)
    world.unplug(2)
    world.plug(1)
    world.run(5)
    world.tap("CARD0003")
    world.jump(3600)
    world.power_cut(120)
    world.jump(3600)
    world.unplug(1)
    world.jump(5 * 3600)
    assert [event.token for event in world.started()] == ["CARD0001", "CARD0002", "CARD0003"]
    assert len(world.ended()) == 3
    total = sum(event.meter_wh for event in world.ended()) - sum(event.meter_wh for event in world.started())
    given_wh = sum(outlet.register_wh - 1000.25 for outlet in world.outlets.values())
    assert total == pytest.approx(given_wh, abs=1e-6)


def test_a_reading_is_told_once_however_often_it_is_due():
    world = charging(SampledDataCtrlr_TxUpdatedInterval="1")
    world.run(5)
    world.outlets[1].meter_works = False
    world.run(4)  # the last reading still counts as fresh
    world.outlets[1].meter_works = True
    world.run(5)
    taken = [stamp.monotonic_s for _, stamp in samples(world)]
    assert len(taken) > 8
    assert taken == sorted(set(taken))
