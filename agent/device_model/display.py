"""Variables of what a driver is shown: messages, tariffs, costs."""

from __future__ import annotations

from collections.abc import Iterator

from agent.device_model.declaration import Declaration, Place
from agent.device_model.variables import DataType
from agent.station.display.display import CAPACITY
from agent.station.display.message import FORMATS, STATES, MessagePriority

_SUPPORTED = {
    "SupportedFormats": tuple(each.value for each in FORMATS),
    "SupportedPriorities": tuple(each.value for each in MessagePriority),
    "SupportedStates": tuple(each.value for each in STATES),
}


def display_declarations() -> Iterator[Declaration]:
    yield Declaration(
        Place.STATION,
        "DisplayMessageCtrlr",
        "DisplayMessages",
        DataType.INTEGER,
        lambda look, _: look.facts.messages(),
        "messages of the network for drivers; maxLimit: that are kept",
        maximum=CAPACITY,
    )
    for variable, words in _SUPPORTED.items():
        text = ",".join(words)
        yield Declaration(
            Place.STATION,
            "DisplayMessageCtrlr",
            variable,
            DataType.MEMBER_LIST,
            lambda _look, _evse, text=text: text,  # type: ignore[misc]
            "of messages for drivers",
            choices=words,
            monitored=False,
            constant=True,
        )
