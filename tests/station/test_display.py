"""Messages for the driver's display in virtual time: what must be shown, when that changes, and what is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.station.commands import ConnectorStatus
from agent.station.display.display import CAPACITY, TABLE
from agent.station.display.message import (
    Content,
    Message,
    MessageFilter,
    MessageFormat,
    MessagePriority,
    MessageState,
    Panel,
    SetAnswer,
    document_of,
    message_of,
)
from agent.station.display.resolve import Scene, in_language, next_change, showing
from agent.station.effects import Keep, ShowMessages
from tests.station.station_world import World

FRONT, NORMAL, ALWAYS = MessagePriority.IN_FRONT, MessagePriority.NORMAL_CYCLE, MessagePriority.ALWAYS_FRONT

texts = st.lists(
    st.builds(Content, st.text(max_size=20), st.sampled_from(MessageFormat), st.sampled_from(("", "en", "de-AT"))),
    min_size=1,
    max_size=3,
).map(tuple)
times = st.none() | st.integers(0, 20).map(float)
messages = st.builds(
    Message,
    st.integers(0, 9),
    st.sampled_from(MessagePriority),
    texts,
    st.none() | st.sampled_from(MessageState),
    times,
    times,
    st.sampled_from(("", "tx-1")),
    st.none() | st.builds(Panel, st.just("Display"), evse=st.sampled_from((None, 1, 2))),
)


def plain_message(number: int = 1, **fields) -> Message:
    return replace(Message(number, NORMAL, (Content("Hello"),)), **fields)


def put(world: World, message: Message) -> SetAnswer:
    answer, _why = world.call("within", lambda: world.station.display.set(message))
    return answer


def shown(world: World, number: int = 1) -> list[int]:
    document = world.station.snapshot(world.moment())[number - 1].get("display")
    return [each["id"] for each in document["messages"]] if document else []


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        (("de",), "de"),
        (("de-CH",), "de"),  # shortened
        (("fr-CA",), "fr-FR"),  # the same language
        (("nl", "de"), "de"),  # the second choice
        (("nl",), "en"),  # O01.FR.09
        ((), "en"),
        (("DE",), "de"),
    ],
)
def test_the_language_that_fits_best(wanted: tuple[str, ...], language: str) -> None:
    contents = [Content(tag, language=tag) for tag in ("fr-FR", "de", "en")]
    assert in_language(contents, wanted).language == language


def test_without_any_language_the_first_text() -> None:
    assert in_language([Content("a"), Content("b")], ("de",)).text == "a"


@given(message=messages)
def test_what_is_kept_is_what_was_set(message: Message) -> None:
    assert message_of(document_of(message)) == message


@given(found=st.lists(messages, max_size=6, unique_by=lambda each: each.id), status=st.sampled_from(ConnectorStatus))
def test_between_two_changes_the_same_is_shown(found: list[Message], status: ConnectorStatus) -> None:
    scene = Scene(1, status, "tx-1")
    at = 0.0
    for now in (each / 2 for each in range(42)):
        change = next_change(found, at)
        if change is None or now < change:
            assert showing(found, scene, now) == showing(found, scene, at)
        else:
            at = now
        chosen = showing(found, scene, now)
        assert len({each.priority for each in chosen}) <= 1
        assert list(chosen) == sorted(chosen, key=lambda each: each.id)
        for each in chosen:
            assert each.start_utc_s is None or now >= each.start_utc_s
            assert each.end_utc_s is None or now < each.end_utc_s
            assert each.panel is None or each.panel.evse in (None, 1)


@pytest.mark.parametrize(
    ("state", "statuses"),
    [
        (MessageState.CHARGING, {"Charging"}),
        (MessageState.SUSPENDED, {"SuspendedEV", "SuspendedEVSE"}),
        (
            MessageState.IDLE,
            {"Available", "Preparing", "Finishing", "Reserved", "SuspendedEV", "SuspendedEVSE"},
        ),
        (MessageState.FAULTED, {"Faulted"}),
        (MessageState.UNAVAILABLE, {"Unavailable"}),
        (MessageState.DISCHARGING, set()),
    ],
)
def test_states(state: MessageState, statuses: set[str]) -> None:
    message = plain_message(state=state)
    found = {status.value for status in ConnectorStatus if showing([message], Scene(1, status), 0.0)}
    assert found == statuses
    assert not showing([message], Scene(1, None), 0.0), "nothing is known of the EVSE yet"


def test_a_display_is_told_at_each_change_and_only_then() -> None:
    world = World()
    utc_s = world.moment().utc_s
    put(world, plain_message(1, start_utc_s=utc_s + 10, end_utc_s=utc_s + 20))
    world.log.clear()
    world.run(30)
    told = [effect.document for effect in world.log if isinstance(effect, ShowMessages)]
    assert [[each["id"] for each in document["messages"]] for document in told] == [[1], []]
    assert world.station.display.count == 0


def test_nothing_is_forgotten_by_a_clock_that_nobody_has_confirmed() -> None:
    world = World()
    put(world, plain_message(1, end_utc_s=world.moment().utc_s + 5))
    display = world.station.display
    world.station._site.moment = replace(world.moment(), utc_s=world.moment().utc_s + 9, synced=False)
    display.settle()
    assert display.count == 1
    world.station._site.moment = replace(world.moment(), utc_s=world.moment().utc_s + 9, synced=True)
    display.settle()
    assert display.count == 0


def test_limits_and_refusals() -> None:
    world = World()
    for number in range(CAPACITY):
        assert put(world, plain_message(number)) is SetAnswer.ACCEPTED
    assert put(world, plain_message(CAPACITY)) is SetAnswer.REJECTED
    assert put(world, plain_message(3)) is SetAnswer.ACCEPTED
    assert put(world, plain_message(3, panel=Panel("Display", evse=9))) is SetAnswer.REJECTED
    assert put(world, plain_message(3, start_utc_s=5.0, end_utc_s=5.0)) is SetAnswer.REJECTED
    assert put(world, plain_message(3, transaction="nobody's")) is SetAnswer.UNKNOWN_TRANSACTION
    assert put(world, plain_message(3, state=MessageState.DISCHARGING)) is SetAnswer.NOT_SUPPORTED_STATE
    html = (Content("<b>", MessageFormat.HTML),)
    assert put(world, plain_message(3, contents=html)) is SetAnswer.NOT_SUPPORTED_FORMAT
    assert world.station.display.matching(MessageFilter(frozenset({3})))[0].contents[0].text == "Hello"


def test_the_one_always_in_front_replaces_the_other_also_in_what_is_kept() -> None:
    world = World()
    put(world, plain_message(1, priority=ALWAYS))
    put(world, plain_message(2, priority=FRONT))
    world.log.clear()
    put(world, plain_message(3, priority=ALWAYS))
    assert shown(world) == [3]
    kept = [
        (effect.key, effect.value is None) for effect in world.log if isinstance(effect, Keep) and effect.table == TABLE
    ]
    assert kept == [("1", True), ("3", False)]


def test_a_driver_is_remembered_and_the_oldest_forgotten() -> None:
    world = World()
    display = world.station.display
    for number in range(60):
        world.call("within", lambda number=number: display.prefer(f"CARD{number}", ("de", "en")))
    world.log.clear()
    world.call("within", lambda: display.prefer("CARD59", ("de", "en")))
    assert not [effect for effect in world.log if isinstance(effect, Keep)], "nothing new, nothing written"
    assert len(display._drivers) == 50
    assert "CARD9" not in display._drivers
