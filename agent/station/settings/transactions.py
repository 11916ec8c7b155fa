"""Transactions: how they begin and end, and what bounds them."""

from __future__ import annotations

from agent.station.settings.setting import Kind, Setting

POINTS = ("EVConnected", "Authorized", "PowerPathClosed", "EnergyTransfer")
"""Of TxStartPoint and TxStopPoint (OCPP 2.0.1 part 2 §2.6.6), those that our hardware can know: it has no detector of
a parking bay, and no transaction waits for a meter's signature."""

SETTINGS = (
    Setting(
        "TxCtrlr.TxStartPoint",
        Kind.MEMBERS,
        ("PowerPathClosed",),
        "what begins a transaction, whichever comes first; OCPP 1.6 always goes by the default",
        choices=POINTS,
        least=1,
    ),
    Setting(
        "TxCtrlr.TxStopPoint",
        Kind.MEMBERS,
        ("EVConnected", "Authorized"),
        "the loss of which ends it, whichever goes first; OCPP 1.6 always goes by the default",
        choices=POINTS,
        least=1,
    ),
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
        "TxCtrlr.AllowEnergyTransferResumption", Kind.BOOLEAN, True, "energy flows again in a transaction so bridged"
    ),
    Setting(
        "TxCtrlr.SupportedLimits",
        Kind.MEMBERS,
        ("MaxEnergy", "MaxTime", "MaxCost"),
        "bounds of a transaction that are kept",
        choices=("MaxEnergy", "MaxTime", "MaxCost", "MaxSoC"),
        writable=False,
    ),
    Setting(
        "SmartChargingCtrlr.Phases3to1",
        Kind.BOOLEAN,
        False,
        "an outlet can go from three phases to one",
        writable=False,
    ),
)
