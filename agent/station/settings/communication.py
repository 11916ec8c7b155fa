"""The link to the network, and the clock that follows it."""

from __future__ import annotations

from agent.station.settings.setting import Kind, Setting

SETTINGS = (
    Setting("OCPPCommCtrlr.UnlockOnEVSideDisconnect", Kind.BOOLEAN, True, "unplugging at the vehicle unlocks"),
    Setting("OCPPCommCtrlr.HeartbeatInterval", Kind.INTEGER, 300, "between heartbeats", "s", 0, 86_400),
    Setting(
        "OCPPCommCtrlr.OfflineThreshold",
        Kind.INTEGER,
        60,
        "after a longer absence every connector's state is told again, after a shorter one what changed",
        "s",
        0,
        86_400,
    ),
    Setting("OCPPCommCtrlr.MessageTimeout", Kind.INTEGER, 30, "wait for an answer", "s", 1, 600),
    Setting("OCPPCommCtrlr.MessageAttempts", Kind.INTEGER, 3, "tries per transaction message", "", 1, 100),
    Setting("OCPPCommCtrlr.MessageAttemptInterval", Kind.INTEGER, 60, "wait grows by this", "s", 0, 86_400),
    Setting("OCPPCommCtrlr.WebSocketPingInterval", Kind.INTEGER, 30, "between pings; 0 for none", "s", 0, 86_400),
    Setting(
        "OCPPCommCtrlr.FileTransferProtocols",
        Kind.MEMBERS,
        ("FTP", "FTPS", "HTTP", "HTTPS"),
        "for firmware, diagnostics and logs",
        choices=("FTP", "FTPS", "HTTP", "HTTPS"),
        writable=False,
    ),
    Setting("OCPPCommCtrlr.ResetRetries", Kind.INTEGER, 1, "tries of a reset that failed", "", 0, 10),
    Setting(
        "OCPPCommCtrlr.PublicKeyWithSignedMeterValue",
        Kind.STRING,
        "OncePerTransaction",
        "how often the meter's key goes with what it signed",
        choices=("Never", "OncePerTransaction", "EveryMeterValue"),
    ),
    Setting(
        "ClockCtrlr.TimeSource",
        Kind.SEQUENCE,
        ("Heartbeat",),
        "where the time comes from: the network's answers to boot messages and heartbeats",
        choices=("Heartbeat",),
        least=1,
    ),
    Setting("ClockCtrlr.TimeOffset", Kind.STRING, "+00:00", "of the display's time from UTC"),
    Setting("ClockCtrlr.TimeOffsetNextTransition", Kind.STRING, "", "the next such offset"),
    Setting("ClockCtrlr.NextTimeOffsetTransitionDateTime", Kind.STRING, "", "when it comes into force"),
)
