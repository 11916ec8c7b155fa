"""Variables of the logical controllers that are no settings: what there is, how much of it, and what it holds now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from agent.device_model.declaration import Declaration, Look, Place, Value
from agent.device_model.display import display_declarations
from agent.device_model.from_settings import LONGEST
from agent.device_model.variables import DataType
from agent.station.charging.profile import CAPACITY
from agent.station.settings import SETTINGS
from agent.station.token_cache import MOST_BYTES

ITEMS_PER_MESSAGE = 100
"""Variables or monitors in one request."""

BYTES_PER_MESSAGE = 128 * 1024
"""Of one request: enough for as many items as one may hold, each with a long value."""

LIST_BYTES_PER_MESSAGE = 256 * 1024
"""Of one SendLocalList. Longer frames are not read at all (``agent.ocpp.frames``)."""

LONGEST_REPORTED = 2500
"""Characters of a value that is reported."""

_PER_MESSAGE = {
    "DeviceDataCtrlr": ("GetReport", "GetVariables", "SetVariables"),
    "MonitoringCtrlr": ("SetVariableMonitoring", "ClearVariableMonitoring"),
}

_AVAILABLE = (
    "AlignedDataCtrlr",
    "AuthCacheCtrlr",
    "DisplayMessageCtrlr",
    "LocalAuthListCtrlr",
    "MonitoringCtrlr",
    "ReservationCtrlr",
    "SampledDataCtrlr",
    "SmartChargingCtrlr",
)


def _now(look: Look, _evse: int) -> str:
    moment = datetime.fromtimestamp(look.moment().utc_s, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fixed(component: str, variable: str, value: Value, help_text: str, instance: str = "") -> Declaration:
    kind = DataType.BOOLEAN if isinstance(value, bool) else DataType.INTEGER
    return Declaration(
        Place.STATION,
        component,
        variable,
        kind,
        lambda _look, _evse: value,
        help_text,
        variable_instance=instance,
        monitored=False,
        constant=True,
    )


def declarations() -> Iterator[Declaration]:
    station = Place.STATION
    for component, messages in _PER_MESSAGE.items():
        for message in messages:
            yield _fixed(component, "ItemsPerMessage", ITEMS_PER_MESSAGE, "taken in one request", message)
            yield _fixed(component, "BytesPerMessage", BYTES_PER_MESSAGE, "of one request", message)
    yield _fixed("DeviceDataCtrlr", "ConfigurationValueSize", LONGEST, "characters of a value that is set")
    yield _fixed("DeviceDataCtrlr", "ReportingValueSize", LONGEST_REPORTED, "characters of a value that is told")
    for component in _AVAILABLE:
        yield _fixed(component, "Available", True, "this charge point can do it")
    yield _fixed("LocalAuthListCtrlr", "BytesPerMessage", LIST_BYTES_PER_MESSAGE, "of one SendLocalList")
    yield Declaration(
        station,
        "LocalAuthListCtrlr",
        "Entries",
        DataType.INTEGER,
        lambda look, _: look.facts.listed(),
        "tokens on the local list; maxLimit: that it can hold",
        maximum=_default("LocalAuthListCtrlr.Entries"),
    )
    yield Declaration(
        station,
        "AuthCacheCtrlr",
        "Storage",
        DataType.INTEGER,
        lambda look, _: look.facts.cached_bytes(),
        "that the authorisation cache takes; maxLimit: that it can take",
        unit="Byte",
        maximum=MOST_BYTES,
        monitored=False,
    )
    yield Declaration(
        station,
        "SmartChargingCtrlr",
        "Entries",
        DataType.INTEGER,
        lambda look, _: look.facts.profiles(),
        "charging profiles installed; maxLimit: that can be",
        variable_instance="ChargingProfiles",
        maximum=CAPACITY.profiles,
    )
    yield from display_declarations()
    yield Declaration(
        station, "ClockCtrlr", "DateTime", DataType.DATE_TIME, _now, "by this charge point's clock", monitored=False
    )
    yield Declaration(
        station,
        "ClockCtrlr",
        "TimeZone",
        DataType.STRING,
        lambda look, _: look.facts.config.station.time_zone,
        "that charging schedules follow (station.time_zone)",
        monitored=False,
    )


def _default(name: str) -> float:
    value = SETTINGS[name].default
    assert isinstance(value, int | float)
    return value
