"""Settings as variables: each setting is one by its own name, unless it stands here with another or with none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from agent.device_model.variables import (
    ACCEPTED,
    Attribute,
    Change,
    ChangeStatus,
    Characteristics,
    Component,
    DataType,
    Entry,
    Variable,
)
from agent.station.commands import SettingAnswer
from agent.station.setting_rules import objection
from agent.station.settings import SETTINGS, Kind, Setting, Settings, show

SetSetting = Callable[[str, str], SettingAnswer]
"""(name, text): check, keep and apply a setting."""

LONGEST = 1000
"""Characters of a value that is set (DeviceDataCtrlr.ConfigurationValueSize)."""

SHOWN_AS: Mapping[str, tuple[str, ...]] = {
    "OCPPCommCtrlr.MessageTimeout": ("OCPPCommCtrlr.MessageTimeout[Default]",),
    "OCPPCommCtrlr.MessageAttempts": ("OCPPCommCtrlr.MessageAttempts[TransactionEvent]",),
    "OCPPCommCtrlr.MessageAttemptInterval": ("OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]",),
    "ClockCtrlr.TimeOffsetNextTransition": ("ClockCtrlr.TimeOffset[NextTransition]",),
    "TariffCostCtrlr.Enabled": ("TariffCostCtrlr.Enabled[Tariff]", "TariffCostCtrlr.Enabled[Cost]"),
    # Capacities: the variables of these names tell how much of it is used (agent.device_model.controllers).
    "LocalAuthListCtrlr.Entries": (),
    "SecurityCtrlr.CertificateEntries": (),
    "SmartChargingCtrlr.Entries[ChargingProfiles]": (),
    # Written for every outlet at once, as OCPP 1.6 has it; here each EVSE has a variable of its own.
    "ElectricalFeed.PhaseRotation": (),
}
"""Settings whose variables have other names, several, or none."""

READ_ONLY = ("OCPPCommCtrlr.MessageTimeout",)
"""Settings that OCPP 1.6 may change, and 2.x not by themselves: it goes with the network profile (TC_B_39_CS)."""

_TYPES = {
    Kind.BOOLEAN: DataType.BOOLEAN,
    Kind.INTEGER: DataType.INTEGER,
    Kind.DECIMAL: DataType.DECIMAL,
    Kind.STRING: DataType.STRING,
    Kind.MEMBERS: DataType.MEMBER_LIST,
    Kind.SEQUENCE: DataType.SEQUENCE_LIST,
}

_PROBLEMS = {"is above": "ValueTooHigh", "is below": "ValueTooLow"}


def names_of(setting: str) -> tuple[str, ...]:
    """Return the names of the variables that show a setting."""
    return SHOWN_AS.get(setting, (setting,))


def read_name(name: str) -> tuple[Component, Variable]:
    """Read ``Component.Variable``, where either may have its instance behind it: ``Controller[Journal].Problem``."""
    of, _, variable = name.partition(".")
    return Component(*_with_instance(of)), Variable(*_with_instance(variable))


def _with_instance(text: str) -> tuple[str, str]:
    name, _, instance = text.partition("[")
    return name, instance.removesuffix("]")


def data_type(setting: Setting) -> DataType:
    """A text that must be one of several words is an OptionList."""
    return DataType.OPTION_LIST if setting.kind is Kind.STRING and setting.choices else _TYPES[setting.kind]


def characteristics(setting: Setting) -> Characteristics:
    return Characteristics(data_type(setting), setting.unit, setting.ge, setting.le, setting.choices)


def entries(settings: Settings, set_setting: SetSetting, fixed: Mapping[str, str]) -> Iterator[Entry]:
    """Return the variables of all settings. ``fixed``: settings that cannot be changed at this charge point, with the
    value they have instead."""
    for setting in SETTINGS.values():
        for name in names_of(setting.name):
            component, variable = read_name(name)
            attribute = _attribute(setting, settings, set_setting, fixed)
            yield Entry(component, variable, characteristics(setting), (attribute,), help=setting.help)


def _attribute(setting: Setting, settings: Settings, set_setting: SetSetting, fixed: Mapping[str, str]) -> Attribute:
    name = setting.name
    if name in fixed:
        return Attribute(lambda: fixed[name], constant=True)
    if not setting.writable or name in READ_ONLY:
        return Attribute(lambda: show(settings.value(name)), persistent=True)
    return Attribute(
        lambda: show(settings.value(name)), lambda text: change(name, text, settings, set_setting), persistent=True
    )


def change(name: str, text: str, settings: Settings, set_setting: SetSetting) -> Change:
    """Set a setting, and say with a reason code why not."""
    if len(text) > LONGEST:
        return Change(ChangeStatus.REJECTED, "TooLargeElement", f"longer than {LONGEST} characters")
    why = objection(settings, name, text)
    if why:
        reason = next((code for words, code in _PROBLEMS.items() if words in why), "InvalidValue")
        return Change(ChangeStatus.REJECTED, reason, why)
    answer = set_setting(name, text)
    if answer is SettingAnswer.ACCEPTED:
        return ACCEPTED
    if answer is SettingAnswer.REBOOT_REQUIRED:
        return Change(ChangeStatus.REBOOT_REQUIRED)
    return Change(ChangeStatus.REJECTED, "InvalidValue", f"{name} cannot be set to this here")
