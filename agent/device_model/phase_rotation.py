"""ElectricalFeed.PhaseRotation of each EVSE: views on the one setting that holds all outlets (OCPP 1.6 §9.1.9)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.device_model.from_settings import SetSetting, change
from agent.device_model.variables import (
    Attribute,
    Change,
    ChangeStatus,
    Characteristics,
    Component,
    DataType,
    Entry,
    Variable,
)
from agent.station.settings import Settings

SETTING = "ElectricalFeed.PhaseRotation"

ROTATIONS = ("RST", "RTS", "SRT", "STR", "TRS", "TSR")


def entries(settings: Settings, set_setting: SetSetting, evses: Iterable[int]) -> Iterator[Entry]:
    for evse in evses:
        yield Entry(
            Component("ElectricalFeed", evse=evse),
            Variable("PhaseRotation"),
            Characteristics(DataType.OPTION_LIST, choices=ROTATIONS),
            (_attribute(settings, set_setting, evse),),
            help="which phase of the feed is L1, L2, L3 of the outlet; empty: nobody has said",
        )


def _attribute(settings: Settings, set_setting: SetSetting, evse: int) -> Attribute:
    def read() -> str:
        rotation = _read(settings).get(str(evse), "")
        return rotation if rotation in ROTATIONS else ""

    def put(text: str) -> Change:
        text = text.strip()
        if text not in ("", *ROTATIONS):
            words = f"{text[:40]!r} is none of {', '.join(ROTATIONS)}"
            return Change(ChangeStatus.REJECTED, "InvalidValue", words)
        told = _read(settings)
        told[str(evse)] = text
        whole = ",".join(f"{number}.{rotation}" for number, rotation in told.items() if rotation)
        return change(SETTING, whole, settings, set_setting)

    return Attribute(read, put, persistent=True)


def _read(settings: Settings) -> dict[str, str]:
    parts = (part.strip().partition(".") for part in settings.string(SETTING).split(",") if part.strip())
    return {number: rotation.strip() for number, _, rotation in parts}
