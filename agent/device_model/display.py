"""Variables of what a driver is shown: messages, tariffs, costs."""

from __future__ import annotations

from collections.abc import Iterator

from agent.device_model.declaration import Declaration, Place
from agent.device_model.variables import DataType
from agent.station.display.display import CAPACITY
from agent.station.display.message import FORMATS, STATES, MessagePriority
from agent.station.tariffs.tariff import MAX_ELEMENTS

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
    for variable, data_type, value, text in (
        ("MaxElements", DataType.INTEGER, MAX_ELEMENTS, "prices in each list of a tariff"),
        ("ConditionsSupported", DataType.BOOLEAN, True, "prices of tariffs may have conditions"),
        ("HandleFailedTariff", DataType.STRING, "UseDefault", "where the tariff of a driver cannot be used"),
    ):
        yield Declaration(
            Place.STATION,
            "TariffCostCtrlr",
            variable,
            data_type,
            lambda _look, _evse, value=value: value,  # type: ignore[misc]
            text,
            variable_instance="Tariff",
            monitored=False,
            constant=True,
        )
    yield Declaration(
        Place.STATION,
        "TariffCostCtrlr",
        "Problem",
        DataType.BOOLEAN,
        lambda look, _: look.facts.tariff_problem(),
        "the tariff of a driver could not be used, and none has come since that can",
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
