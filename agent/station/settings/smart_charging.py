"""How fast to charge: what the network and the site may say, and how much of it is taken."""

from __future__ import annotations

from agent.station.charging.profile import CAPACITY, LARGEST_OWN_ID
from agent.station.settings.setting import Kind, Setting

SETTINGS = (
    Setting("SmartChargingCtrlr.Enabled", Kind.BOOLEAN, True, "charging profiles are taken", writable=False),
    Setting(
        "SmartChargingCtrlr.RateUnit",
        Kind.MEMBERS,
        ("A", "W"),
        "units of limits that are taken",
        choices=("A", "W"),
        writable=False,
        least=1,
    ),
    Setting(
        "SmartChargingCtrlr.Entries[ChargingProfiles]",
        Kind.INTEGER,
        CAPACITY.profiles,
        "charging profiles that may be installed",
        writable=False,
    ),
    Setting(
        "SmartChargingCtrlr.PeriodsPerSchedule",
        Kind.INTEGER,
        CAPACITY.periods,
        "periods that a schedule may have",
        writable=False,
    ),
    Setting(
        "SmartChargingCtrlr.ProfileStackLevel",
        Kind.INTEGER,
        CAPACITY.stack_level,
        "highest stack level",
        writable=False,
    ),
    Setting(
        "SmartChargingCtrlr.LimitChangeSignificance",
        Kind.DECIMAL,
        1.0,
        "limits from outside and rates are told when they change by more than this",
        "Percent",
        0,
        100,
    ),
    Setting(
        "SmartChargingCtrlr.NotifyChargingLimitWithSchedules",
        Kind.BOOLEAN,
        True,
        "what is told of limits from outside holds their schedules",
    ),
    Setting(
        "SmartChargingCtrlr.ExternalControlSignalsEnabled",
        Kind.BOOLEAN,
        True,
        "the site's energy manager may set limits",
    ),
    Setting(
        "SmartChargingCtrlr.MaxExternalConstraintsId",
        Kind.INTEGER,
        LARGEST_OWN_ID,
        "profiles up to this number are the station's own",
        writable=False,
    ),
    Setting(
        "SmartChargingCtrlr.SupportedAdditionalPurposes",
        Kind.MEMBERS,
        ("PriorityCharging", "LocalGeneration"),
        "purposes of charging profiles besides the usual ones",
        choices=("PriorityCharging", "LocalGeneration"),
        writable=False,
    ),
    Setting(
        "SmartChargingCtrlr.SupportsDynamicProfiles",
        Kind.BOOLEAN,
        True,
        "limits that are changed again and again",
        writable=False,
    ),
    *(
        Setting(
            f"SmartChargingCtrlr.ChargingProfilePersistence[{purpose}]",
            Kind.BOOLEAN,
            True,
            "such profiles outlive a restart",
            writable=False,
        )
        for purpose in ("TxProfile", "LocalGeneration", "ChargingStationExternalConstraints")
    ),
)
