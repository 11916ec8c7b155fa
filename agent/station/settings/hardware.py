"""The charge point itself."""

from __future__ import annotations

from agent.station.settings.setting import Kind, Setting

SETTINGS = (
    Setting("ChargingStation.MinimumStatusDuration", Kind.INTEGER, 0, "report only longer states", "s", 0, 3600),
    Setting(
        "ChargingStation.MaxCurrent",
        Kind.INTEGER,
        1000,
        "operator's limit for the whole station, per phase",
        "A",
        0,
        1000,
    ),
    Setting(
        "ChargingStation.AllowNewSessionsPendingFirmwareUpdate",
        Kind.BOOLEAN,
        False,
        "drivers may begin while an update waits for others to be done",
    ),
    Setting("ElectricalFeed.PhaseRotation", Kind.STRING, "", "per connector, as '0.RST,1.RST'"),
)
