"""Periodic event streams: opened, gathered, sent, adjusted and closed (OCPP 2.1 N11 to N15)."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.device_model.events import MonitorEvent, Trigger
from agent.device_model.monitors import Kind, Monitor, MonitorType, StreamParameters
from agent.device_model.streams import MOST_VALUES, Stage, Streams
from agent.device_model.variables import Component, Variable
from agent.journal.events import Stamp

PLACE = Component("EVSE", evse=1), Variable("Power")


def monitor(parameters: StreamParameters | None, number: int = 10_000) -> Monitor:
    return Monitor(number, *PLACE, MonitorType.PERIODIC, 1, 8, stream=parameters)


def value(at_s: float, text: str = "1", number: int = 10_000) -> MonitorEvent:
    stamp = Stamp("boot", at_s, at_s, True)
    return MonitorEvent(1, number, Kind.CUSTOM, 8, *PLACE, Trigger.PERIODIC, text, stamp)


def carried() -> Streams:
    streams = Streams()
    streams.carried = True
    return streams


def opened(interval_s: int = 0, values: int = 0, now: float = 0.0) -> Streams:
    streams = carried()
    streams.monitor_changed(None, monitor(StreamParameters(interval_s, values)))
    stream = streams.to_open()
    assert stream is not None
    streams.answered(stream.id, True, now)
    return streams


def test_a_monitor_with_parameters_asks_for_its_stream_once_and_gathers_when_it_is_open() -> None:
    streams = carried()
    streams.monitor_changed(None, monitor(None))
    assert streams.to_open() is None
    streams.monitor_changed(monitor(None), monitor(StreamParameters(10)))
    assert streams.next_wake(5.0) == 5.0
    stream = streams.to_open()
    assert stream is not None
    assert stream.monitor == 10_000
    assert streams.to_open() is None
    assert not streams.take(value(1.0))  # not open yet: told as an event
    streams.answered(stream.id, True, 2.0)
    assert streams.take(value(3.0))
    assert not streams.take(value(3.0, number=10_001))


def test_a_refused_stream_leaves_its_monitor_to_events() -> None:
    """N11.FR.07"""
    streams = carried()
    streams.monitor_changed(None, monitor(StreamParameters(10)))
    stream = streams.to_open()
    assert stream is not None
    streams.answered(stream.id, False, 0.0)
    assert not streams.take(value(1.0))
    assert streams.to_open() is None
    assert streams.open_ones() == []
    streams.monitor_changed(monitor(None), monitor(StreamParameters(20)))  # set anew: asked anew
    assert streams.to_open() is not None


def test_an_answer_that_never_came_is_asked_for_again() -> None:
    streams = carried()
    streams.monitor_changed(None, monitor(StreamParameters(10)))
    stream = streams.to_open()
    assert stream is not None
    streams.answered(stream.id, None, 0.0)
    assert streams.to_open() is stream


def test_values_go_out_every_interval() -> None:
    """N15.FR.06"""
    streams = opened(interval_s=10, now=100.0)
    for at_s in (101.0, 105.0, 109.0):
        streams.take(value(at_s, f"{at_s:g}"))
    assert streams.batch(109.9) is None
    assert streams.next_wake(105.0) == 110.0
    batch = streams.batch(110.0)
    assert batch is not None
    assert ([text for _, text in batch.values], batch.pending) == (["101", "105", "109"], 0)
    assert streams.batch(120.0) is None
    assert streams.next_wake(110.0) is None


def test_values_go_out_as_soon_as_there_are_enough_and_never_more_at_a_time() -> None:
    """N15.FR.04, FR.07, FR.08"""
    streams = opened(values=3)
    for number in range(7):
        streams.take(value(float(number), str(number)))
    sizes = []
    while (batch := streams.batch(10.0)) is not None:
        sizes.append((len(batch.values), batch.pending))
    assert sizes == [(3, 4), (3, 1)]


def test_without_parameters_each_value_goes_at_once() -> None:
    streams = opened()
    streams.take(value(1.0))
    assert streams.next_wake(1.0) == 1.0
    assert streams.batch(1.0) is not None


def test_what_is_gathered_goes_out_before_the_end_is_told() -> None:
    """N13.FR.03 to FR.06"""
    streams = opened(interval_s=60)
    streams.take(value(1.0))
    streams.monitor_changed(monitor(StreamParameters(60)), None)
    assert not streams.take(value(2.0))
    assert streams.to_close() is None
    batch = streams.batch(2.0)
    assert batch is not None
    assert streams.to_close() == batch.stream
    assert streams.to_close() is None
    assert list(streams) == []


def test_a_monitor_set_again_without_a_stream_closes_it_and_with_other_parameters_changes_it() -> None:
    streams = opened(interval_s=60)
    (stream,) = streams.open_ones()
    streams.monitor_changed(monitor(StreamParameters(60)), monitor(StreamParameters(0, 2)))
    assert streams.open_ones() == [stream]
    assert stream.parameters == StreamParameters(0, 2)
    streams.monitor_changed(monitor(StreamParameters(0, 2)), monitor(None))
    assert streams.to_close() == stream.id


def test_a_rate_is_adjusted_where_it_can_be_kept() -> None:
    """N14"""
    streams = opened(interval_s=60)
    (stream,) = streams.open_ones()
    assert streams.adjust(stream.id, StreamParameters(5, 0))
    assert stream.parameters == StreamParameters(5, 0)
    assert not streams.adjust(stream.id, StreamParameters(0, MOST_VALUES + 1))
    assert not streams.adjust(stream.id, StreamParameters(90_000, 0))
    assert not streams.adjust(stream.id + 1, StreamParameters(5, 0))


def test_another_network_is_asked_for_everything_again() -> None:
    streams = opened(interval_s=60)
    streams.take(value(1.0))
    streams.renew()
    assert not streams.take(value(2.0))
    stream = streams.to_open()
    assert stream is not None
    assert stream.stage is Stage.ASKED
    assert not stream.gathered


def test_a_stream_that_nobody_empties_keeps_the_latest() -> None:
    streams = opened(interval_s=86_400)
    for number in range(MOST_VALUES + 5):
        streams.take(value(float(number), str(number)))
    (stream,) = streams.open_ones()
    assert len(stream.gathered) == MOST_VALUES
    assert stream.gathered[0][1] == "5"


@given(
    st.integers(0, 20),
    st.integers(0, 5),
    st.lists(st.one_of(st.floats(0.1, 30.0), st.just(None)), max_size=60),
)
@settings(deadline=None)
def test_every_value_goes_out_once_and_in_order(interval_s: int, values: int, steps: list[float | None]) -> None:
    streams = opened(interval_s, values)
    now, sent, count = 0.0, [], 0
    for step in steps:
        if step is None:
            streams.take(value(now, str(count)))
            count += 1
        else:
            now += step
        while (batch := streams.batch(now)) is not None:
            assert values == 0 or len(batch.values) <= values
            sent += [int(text) for _, text in batch.values]
    streams.monitor_changed(replace(monitor(None)), None)
    while (batch := streams.batch(now)) is not None:
        sent += [int(text) for _, text in batch.values]
    assert sent == list(range(count))


def test_on_a_connection_without_streams_values_are_events() -> None:
    """As when a network of 2.0.1 follows one of 2.1."""
    streams = opened(interval_s=10)
    assert streams.take(value(1.0))
    streams.carried = False
    assert not streams.take(value(2.0))
    streams.carried = True
    assert streams.take(value(3.0))
