"""The device model of one charge point, complete: what OCPP 2.x is shown of it, and what watches it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.clock import Moment
from agent.device_model import controllers, from_settings, hardware, phase_rotation
from agent.device_model.declaration import Declaration, Look, build
from agent.device_model.events import KeepDocument
from agent.device_model.from_settings import SetSetting, read_name
from agent.device_model.model import DeviceModel
from agent.device_model.monitoring import Monitoring
from agent.device_model.monitors import Base
from agent.device_model.variables import Attribute, Change, Characteristics, DataType, Entry
from agent.station.settings import Settings


@dataclass(frozen=True, slots=True)
class Device:
    model: DeviceModel
    monitoring: Monitoring
    moment: Callable[[], Moment]
    commit: Callable[[], None]
    """Write what was changed since: before the network is told that it was."""


def declarations() -> Sequence[Declaration]:
    """Every variable that shows a live value, of every place."""
    return [*hardware.declarations(), *controllers.declarations()]


def assemble(
    look: Look,
    settings: Settings,
    set_setting: SetSetting,
    others: Iterable[Entry],
    kept: Mapping[str, Mapping[str, Any]],
    keep: KeepDocument,
    commit: Callable[[], None],
) -> Device:
    """``others``: variables that other rooms give. They must be there before kept monitors look for them.
    ``kept``, ``keep`` and ``commit``: documents of the tables ``agent.device_model.monitoring.TABLES``."""
    model = DeviceModel(build(declarations(), look))
    model.add(from_settings.entries(settings, set_setting, fixed_settings(look)))
    model.add(phase_rotation.entries(settings, set_setting, sorted(look.facts.evses)))
    model.add(others)
    monitoring = Monitoring(
        model,
        settings,
        look.facts.transaction,
        look.facts.linked,
        look.facts.config.control.temperature.derate_c,
        kept,
        keep,
    )
    model.add(_of_monitoring(monitoring))
    return Device(model, monitoring, look.moment, commit)


def fixed_settings(look: Look) -> Mapping[str, str]:
    """Settings that this hardware leaves no choice of."""
    if any(evse.socket for evse in look.facts.evses.values()):
        return {}
    # Part 2 §2.x, UnlockOnEVSideDisconnect: read-only and false where there are fixed cables only.
    return {"OCPPCommCtrlr.UnlockOnEVSideDisconnect": "false"}


def _of_monitoring(monitoring: Monitoring) -> Iterator[Entry]:
    book = monitoring.book
    yield live(
        "MonitoringCtrlr.ActiveMonitoringBase",
        DataType.OPTION_LIST,
        lambda: book.base.value,
        help_text="of the monitors in force",
        choices=tuple(base.value for base in Base),
    )
    yield live(
        "MonitoringCtrlr.ActiveMonitoringLevel",
        DataType.INTEGER,
        lambda: str(book.level),
        help_text="events of this severity and graver ones are told",
        minimum=0,
        maximum=9,
    )


def live(
    name: str,
    data_type: DataType,
    read: Callable[[], str | None] | None,
    change: Callable[[str], Change] | None = None,
    help_text: str = "",
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    monitored: bool = True,
    persistent: bool = False,
    constant: bool = False,
) -> Entry:
    """A variable of the charge point that its owner reads and changes: for ``DeviceModel.add``.

    ``name``: ``Component.Variable``, either with ``[Instance]`` behind it where it has one. Without ``read`` it may
    only be written; without ``change`` only read.
    """
    component, variable = read_name(name)
    return Entry(
        component,
        variable,
        Characteristics(data_type, unit, minimum, maximum, choices, monitored),
        (Attribute(read, change, persistent=persistent, constant=constant),),
        help=help_text,
    )
