"""What is measured, when, and whether the meter signs it."""

from __future__ import annotations

from agent.station.settings.setting import MEASURANDS, Kind, Setting

SETTINGS = (
    Setting("AlignedDataCtrlr.Interval", Kind.INTEGER, 0, "clock-aligned values; 0 for none", "s", 0, 86_400),
    Setting(
        "AlignedDataCtrlr.Measurands",
        Kind.MEMBERS,
        ("Energy.Active.Import.Register",),
        "clock-aligned",
        choices=MEASURANDS,
    ),
    Setting("AlignedDataCtrlr.TxEndedMeasurands", Kind.MEMBERS, (), "aligned, in the end message", choices=MEASURANDS),
    Setting(
        "AlignedDataCtrlr.TxEndedInterval",
        Kind.INTEGER,
        0,
        "between them; 0 for none (OCPP 1.6: as Interval)",
        "s",
        0,
        86_400,
    ),
    Setting("AlignedDataCtrlr.SendDuringIdle", Kind.BOOLEAN, False, "only while no transaction runs (OCPP 2.x)"),
    Setting("AlignedDataCtrlr.SignReadings", Kind.BOOLEAN, False, "the meter signs begin and end"),
    Setting("AlignedDataCtrlr.SignUpdatedReadings", Kind.BOOLEAN, False, "and the clock-aligned values between"),
    Setting("SampledDataCtrlr.TxUpdatedInterval", Kind.INTEGER, 60, "between samples; 0 for none", "s", 0, 86_400),
    Setting(
        "SampledDataCtrlr.TxUpdatedMeasurands",
        Kind.MEMBERS,
        ("Energy.Active.Import.Register",),
        "in samples",
        choices=MEASURANDS,
    ),
    Setting(
        "SampledDataCtrlr.TxStartedMeasurands",
        Kind.MEMBERS,
        (),
        "in a message of their own right after the start",
        choices=MEASURANDS,
    ),
    Setting(
        "SampledDataCtrlr.TxEndedInterval",
        Kind.INTEGER,
        0,
        "between those that the end message has; 0 for begin and end alone (OCPP 1.6: as TxUpdatedInterval)",
        "s",
        0,
        86_400,
    ),
    Setting("SampledDataCtrlr.SignReadings", Kind.BOOLEAN, False, "the meter signs begin and end"),
    Setting("SampledDataCtrlr.SignStartedReadings", Kind.BOOLEAN, False, "and the values right after the start"),
    Setting("SampledDataCtrlr.SignUpdatedReadings", Kind.BOOLEAN, False, "and the samples between"),
    Setting("SampledDataCtrlr.TxEndedMeasurands", Kind.MEMBERS, (), "in the end message", choices=MEASURANDS),
)
