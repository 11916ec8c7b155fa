"""What may go wrong with the hardware, as components: which fault of control shows where, and how grave it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.device_model.declaration import Declaration, Look, Place
from agent.device_model.variables import DataType
from agent.link.messages import FaultCode


@dataclass(frozen=True, slots=True)
class Trouble:
    """A boolean variable that is true while one of these faults is present. Severities as part 2 §3 has them."""

    component: str
    variable: str
    severity: int
    faults: tuple[FaultCode, ...]
    help: str
    place: Place = Place.EVSE
    there: Callable[[Look, int], bool] = lambda _look, _evse: True
    variable_instance: str = ""
    happening: bool = False
    """Something that people or cars do to the charge point, not a component that fails: a notification, no monitor."""


def _has_lock(look: Look, evse: int) -> bool:
    place = look.facts.evses[evse]
    return place.socket and place.config.has_lock


def has_meter(look: Look, evse: int) -> bool:
    return bool(look.facts.evses[evse].config.meter)


def _has_reader(look: Look, evse: int) -> bool:
    return bool(look.facts.evses[evse].config.reader or look.facts.config.readers)


TROUBLES = (
    Trouble(
        "EmergencyStopSensor",
        "Active",
        0,
        (FaultCode.EMERGENCY_STOP,),
        "somebody pressed the emergency stop",
        happening=True,
    ),
    Trouble(
        "ElectricalFeed",
        "Problem",
        0,
        (FaultCode.PROTECTIVE_EARTH,),
        "the protective earth is lost",
        variable_instance="ProtectiveEarth",
    ),
    Trouble("RCD", "Tripped", 3, (FaultCode.RESIDUAL_CURRENT,), "residual current flowed"),
    Trouble("RCD", "Problem", 1, (FaultCode.RESIDUAL_SELF_TEST,), "its self-test failed"),
    Trouble("OverCurrentProtection", "Tripped", 3, (FaultCode.OVER_CURRENT,), "the vehicle drew more than it may"),
    Trouble(
        "PowerContactor",
        "Problem",
        1,
        (FaultCode.CONTACTOR_WELDED, FaultCode.CONTACTOR_STUCK_OPEN),
        "its contacts do not follow",
    ),
    # G05.FR.02
    Trouble("ConnectorPlugRetentionLock", "Problem", 4, (FaultCode.LOCK,), "the plug is not locked", there=_has_lock),
    Trouble("CaseAccessSensor", "Active", 3, (FaultCode.ENCLOSURE,), "a cover is open", happening=True),
    Trouble("TiltSensor", "Active", 1, (FaultCode.TILT,), "the charge point does not stand upright", happening=True),
    Trouble("TemperatureSensor", "Problem", 4, (FaultCode.TEMPERATURE,), "too hot, or a sensor failed"),
    Trouble(
        "ElectricalFeed",
        "Problem",
        2,
        (FaultCode.SUPPLY_VOLTAGE, FaultCode.MAINS, FaultCode.PROTECTIVE_EARTH),
        "the supply is not as it must be",
    ),
    Trouble(
        "CPPWMController",
        "Problem",
        5,
        (FaultCode.PILOT, FaultCode.DIODE, FaultCode.VENTILATION),
        "the pilot shows what no sound vehicle shows, or a vehicle that may not charge here",
    ),
    Trouble("Connector", "Problem", 5, (FaultCode.CABLE,), "the cable's coding cannot be right", Place.CONNECTOR),
    Trouble(
        "Controller",
        "Problem",
        2,
        (
            FaultCode.BOARD_LOST,
            FaultCode.BOARD_RESET,
            FaultCode.BOARD_MISMATCH,
            FaultCode.BOARD_FAULT,
            FaultCode.CONTROL_OVERRUN,
        ),
        "board or control do not work as they should",
    ),
    Trouble("FiscalMetering", "Problem", 1, (FaultCode.METER,), "the meter is silent", there=has_meter),
    Trouble("TokenReader", "Problem", 1, (FaultCode.READER,), "the card reader is silent", there=_has_reader),
)


def declarations() -> Iterator[Declaration]:
    """Each trouble, and for each component how often it had one."""
    for trouble in TROUBLES:
        yield Declaration(
            trouble.place,
            trouble.component,
            trouble.variable,
            DataType.BOOLEAN,
            _present(trouble.faults),
            trouble.help,
            variable_instance=trouble.variable_instance,
            faults=trouble.faults,
            there=trouble.there,
        )
    counted: dict[str, tuple[Trouble, tuple[FaultCode, ...]]] = {}
    for trouble in TROUBLES:
        _, codes = counted.get(trouble.component, (trouble, ()))
        counted[trouble.component] = trouble, tuple(dict.fromkeys((*codes, *trouble.faults)))
    for component, (trouble, codes) in counted.items():
        yield Declaration(
            trouble.place,
            component,
            "Count",
            DataType.INTEGER,
            _times(codes),
            "how often it had such a fault, over all times",
            minimum=0,
            there=trouble.there,
        )


def _present(codes: tuple[FaultCode, ...]) -> Callable[[Look, int], bool | None]:
    wanted = frozenset(codes)

    def read(look: Look, evse: int) -> bool | None:
        faults = look.facts.troubled(evse)
        return None if faults is None else not wanted.isdisjoint(faults)

    return read


def _times(codes: tuple[FaultCode, ...]) -> Callable[[Look, int], int]:
    return lambda look, evse: sum(look.facts.times(evse, code) for code in codes)
