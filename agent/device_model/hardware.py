"""The charge point, its EVSEs and connectors, and what is measured at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent import __version__
from agent.config.schema import ConnectorType
from agent.device_model import protections
from agent.device_model.declaration import Declaration, Look, Place
from agent.device_model.protections import has_meter
from agent.device_model.variables import DataType
from agent.station.commands import ConnectorStatus
from agent.station.evse import Evse

AVAILABILITY = {
    ConnectorStatus.AVAILABLE: "Available",
    ConnectorStatus.RESERVED: "Reserved",
    ConnectorStatus.UNAVAILABLE: "Unavailable",
    ConnectorStatus.FAULTED: "Faulted",
}
"""ConnectorStatusEnumType; whatever else there is, is Occupied."""

STATES = ("Available", "Occupied", "Reserved", "Unavailable", "Faulted")

PHASES = ("L1", "L2", "L3")


def _availability(look: Look, evse: int) -> str | None:
    status = look.facts.status(evse)
    return None if status is None else AVAILABILITY.get(status, "Occupied")


def _place(look: Look, evse: int) -> Evse:
    return look.facts.evses[evse]


def _phases(look: Look, evse: int) -> int:
    installation = look.facts.config.installation
    return min(_place(look, evse).config.phases, installation.phases) if evse else installation.phases


def _rated_w(look: Look, evse: int) -> float:
    """What the EVSE can provide at most."""
    current_a = min(_place(look, evse).config.max_current_a, look.facts.config.installation.max_current_a)
    return round(current_a * look.facts.config.installation.nominal_voltage_v * _phases(look, evse))


def _power_w(look: Look, evse: int) -> float | None:
    sample = _place(look, evse).fresh_meter(look.moment().monotonic_s)
    return None if sample is None else sample.power_w


def _current_a(look: Look, evse: int) -> float | None:
    """The most loaded phase's."""
    sample = _place(look, evse).fresh_meter(look.moment().monotonic_s)
    return max(sample.current_a) if sample is not None and sample.current_a else None


def _offered_a(look: Look, evse: int) -> float | None:
    observation = _place(look, evse).observation
    return None if observation is None else observation.offered_a


def _phase(field: str, index: int) -> Callable[[Look, int], float | None]:
    def read(look: Look, evse: int) -> float | None:
        sample = _place(look, evse).fresh_meter(look.moment().monotonic_s)
        values: tuple[float, ...] = () if sample is None else getattr(sample, field)
        return values[index] if index < len(values) else None

    return read


def _sampled(field: str) -> Callable[[Look, int], float | None]:
    def read(look: Look, evse: int) -> float | None:
        sample = _place(look, evse).fresh_meter(look.moment().monotonic_s)
        return None if sample is None else getattr(sample, field)

    return read


def _temperature_c(look: Look, evse: int) -> float | None:
    observation = _place(look, evse).observation
    return None if observation is None else observation.temperature_c


def _pilot_state(look: Look, evse: int) -> str | None:
    observation = _place(look, evse).observation
    letter = observation.pilot[:1] if observation is not None else ""
    return letter if letter in tuple("ABCDEF") else None


def _closed(look: Look, evse: int) -> bool | None:
    observation = _place(look, evse).observation
    return None if observation is None else observation.contactor_closed


def _locked(look: Look, evse: int) -> bool | None:
    observation = _place(look, evse).observation
    return None if observation is None else observation.locked


def _evse_problem(look: Look, evse: int) -> bool | None:
    faults = look.facts.troubled(evse)
    return None if faults is None else bool(faults) or _place(look, evse).stopped_by_fault


def _station_problem(look: Look, _evse: int) -> bool:
    facts = look.facts
    troubled = bool(facts.faults(0) or facts.books.code) or not facts.control_there
    return troubled or any(_evse_problem(look, evse) for evse in facts.evses)


def _grid_a(index: int) -> Callable[[Look, int], float | None]:
    def read(look: Look, _evse: int) -> float | None:
        grid = look.facts.grid
        if grid is None or grid.measured is None or not grid.fresh(look.moment().monotonic_s):
            return None
        return grid.measured.current_a[index] if index < len(grid.measured.current_a) else None

    return read


def _connector_type(look: Look, evse: int) -> str:
    return "sType2" if _place(look, evse).config.connector is ConnectorType.SOCKET else "cType2"


def _has_phase(index: int) -> Callable[[Look, int], bool]:
    return lambda look, evse: has_meter(look, evse) and index < _phases(look, evse)


def _said(read: Callable[[Look, int], str]) -> Callable[[Look, int], bool]:
    return lambda look, evse: bool(read(look, evse))


def _is_socket(look: Look, evse: int) -> bool:
    return _place(look, evse).socket and _place(look, evse).config.has_lock


def _station() -> Iterator[Declaration]:
    place, text = Place.STATION, DataType.STRING
    for name, help_text, read in (
        ("VendorName", "maker", lambda look, _: look.facts.config.station.vendor),
        ("Model", "model", lambda look, _: look.facts.config.station.model),
        ("SerialNumber", "serial number", lambda look, _: look.facts.config.station.serial_number),
    ):
        yield Declaration(place, "ChargingStation", name, text, read, help_text, constant=True, monitored=False)
    yield Declaration(
        place, "ChargingStation", "FirmwareVersion", text, lambda _look, _: __version__, "of this software"
    )
    yield Declaration(
        place, "ChargingStation", "AvailabilityState", DataType.OPTION_LIST, _availability, "as a whole", choices=STATES
    )
    yield Declaration(
        place, "ChargingStation", "Available", DataType.BOOLEAN, lambda _look, _: True, "it is there", constant=True
    )
    yield Declaration(place, "ChargingStation", "SupplyPhases", DataType.INTEGER, _phases, "of the feed", constant=True)
    yield Declaration(
        place, "ChargingStation", "Problem", DataType.BOOLEAN, _station_problem, "anything here has a fault"
    )
    for name, read in (
        ("ICCID", lambda look, _: look.facts.config.station.iccid),
        ("IMSI", lambda look, _: look.facts.config.station.imsi),
    ):
        yield Declaration(
            place,
            "DataLink",
            name,
            text,
            read,
            "of the modem",
            monitored=False,
            there=_said(read),
        )
    yield Declaration(
        place,
        "Controller",
        "Problem",
        DataType.BOOLEAN,
        lambda look, _: not look.facts.control_there or bool(look.facts.faults(0)),
        "the control process does not answer, or has a fault of its own",
    )
    yield Declaration(
        place,
        "Controller",
        "Problem",
        DataType.BOOLEAN,
        lambda look, _: bool(look.facts.books.code),
        "records cannot be written or were lost",
        instance="Journal",
        note=lambda look: (look.facts.books.code, look.facts.books.text),
    )
    for index, phase in enumerate(PHASES):
        yield Declaration(
            place,
            "ElectricalFeed",
            "ACCurrent",
            DataType.DECIMAL,
            _grid_a(index),
            "of the whole building, by its meter",
            variable_instance=phase,
            unit="A",
            there=lambda look, _: look.facts.grid is not None,
        )


def _evse() -> Iterator[Declaration]:
    place = Place.EVSE
    yield Declaration(
        place,
        "EVSE",
        "AvailabilityState",
        DataType.OPTION_LIST,
        _availability,
        "what its connector does",
        choices=STATES,
    )
    yield Declaration(place, "EVSE", "Available", DataType.BOOLEAN, lambda _look, _: True, "it is there", constant=True)
    yield Declaration(
        place,
        "EVSE",
        "AllowReset",
        DataType.BOOLEAN,
        lambda _look, _: False,
        "it cannot be reset alone: one process drives all of them",
        monitored=False,
        constant=True,
    )
    yield Declaration(place, "EVSE", "SupplyPhases", DataType.INTEGER, _phases, "wired to it", constant=True)
    yield Declaration(
        place, "EVSE", "Power", DataType.DECIMAL, _power_w, "drawn now, by its meter", unit="W", maximum=_rated_w
    )
    yield Declaration(
        place,
        "EVSE",
        "ACCurrent",
        DataType.DECIMAL,
        _current_a,
        "of its most loaded phase; Target: what the pilot offers",
        unit="A",
        minimum=0,
        maximum=lambda look, evse: _place(look, evse).config.max_current_a,
        target=_offered_a,
        there=has_meter,
    )
    yield Declaration(place, "EVSE", "Problem", DataType.BOOLEAN, _evse_problem, "it has a fault")
    yield Declaration(
        place,
        "CPPWMController",
        "State",
        DataType.STRING,
        _pilot_state,
        "state of the pilot (IEC 61851-1 Annex A)",
        choices=tuple("ABCDEF"),
    )
    yield Declaration(place, "PowerContactor", "Active", DataType.BOOLEAN, _closed, "its contacts are closed")
    yield Declaration(
        place,
        "ConnectorPlugRetentionLock",
        "Active",
        DataType.BOOLEAN,
        _locked,
        "the plug is locked",
        there=_is_socket,
    )
    yield Declaration(
        place,
        "TemperatureSensor",
        "Temperature",
        DataType.DECIMAL,
        _temperature_c,
        "the hottest sensor's",
        unit="Celsius",
        minimum=-60,
        maximum=200,
    )
    yield from _meter()


def _meter() -> Iterator[Declaration]:
    place, decimal = Place.EVSE, DataType.DECIMAL
    for name, field in (("EnergyImportRegister", "energy_import_wh"), ("EnergyExportRegister", "energy_export_wh")):
        yield Declaration(
            place, "FiscalMetering", name, decimal, _sampled(field), "the meter's own", unit="Wh", there=has_meter
        )
    yield Declaration(
        place,
        "FiscalMetering",
        "Frequency",
        decimal,
        _sampled("frequency_hz"),
        "of the feed",
        unit="Hz",
        there=has_meter,
    )
    for index, phase in enumerate(PHASES):
        for name, field, unit in (("ACCurrent", "current_a", "A"), ("ACVoltage", "voltage_v", "V")):
            yield Declaration(
                place,
                "FiscalMetering",
                name,
                decimal,
                _phase(field, index),
                "by the meter",
                variable_instance=phase,
                unit=unit,
                there=_has_phase(index),
            )


def _connector() -> Iterator[Declaration]:
    place = Place.CONNECTOR
    yield Declaration(
        place, "Connector", "AvailabilityState", DataType.OPTION_LIST, _availability, "what it does", choices=STATES
    )
    yield Declaration(
        place, "Connector", "Available", DataType.BOOLEAN, lambda _look, _: True, "it is there", constant=True
    )
    yield Declaration(
        place,
        "Connector",
        "ConnectorType",
        DataType.STRING,
        _connector_type,
        "socket or cable",
        constant=True,
        monitored=False,
    )
    yield Declaration(place, "Connector", "SupplyPhases", DataType.INTEGER, _phases, "wired to it", constant=True)


def declarations() -> Iterator[Declaration]:
    yield from _station()
    yield from _evse()
    yield from _connector()
    yield from protections.declarations()
