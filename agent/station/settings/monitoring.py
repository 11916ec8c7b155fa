"""Monitors of the device model (OCPP 2.x, block N)."""

from __future__ import annotations

from agent.station.settings.setting import Kind, Setting

SETTINGS = (
    Setting("MonitoringCtrlr.Enabled", Kind.BOOLEAN, True, "monitors are looked after and tell their events"),
    Setting(
        "MonitoringCtrlr.OfflineQueuingSeverity",
        Kind.INTEGER,
        4,
        "events of this severity and graver ones wait for the network; what is less grave is told by its state then",
        "",
        0,
        9,
    ),
)
