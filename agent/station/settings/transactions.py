"""Transactions: how they begin and end, and what bounds them."""

from __future__ import annotations

from agent.station.settings.setting import Kind, Setting

SETTINGS = (
    Setting("TxCtrlr.EVConnectionTimeOut", Kind.INTEGER, 60, "time to plug in after authorisation", "s", 0, 86_400),
    Setting("TxCtrlr.StopTxOnEVSideDisconnect", Kind.BOOLEAN, True, "unplugging at the vehicle ends"),
    Setting("TxCtrlr.StopTxOnInvalidId", Kind.BOOLEAN, True, "a token refused afterwards ends the transaction"),
    Setting("TxCtrlr.MaxEnergyOnInvalidId", Kind.INTEGER, 0, "energy still given to such a token", "Wh", 0, 100_000),
    Setting(
        "TxCtrlr.ResumptionTimeout",
        Kind.INTEGER,
        3600,
        "a power cut up to this long is bridged by the same transaction; 0 for none",
        "s",
        0,
        86_400,
    ),
    Setting(
        "SmartChargingCtrlr.Phases3to1",
        Kind.BOOLEAN,
        False,
        "an outlet can go from three phases to one",
        writable=False,
    ),
)
