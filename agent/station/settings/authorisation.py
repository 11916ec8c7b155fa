"""Who may charge: authorisation, its cache, the local list, reservations."""

from __future__ import annotations

from agent.station.settings.setting import Kind, Setting

SETTINGS = (
    Setting("AuthCtrlr.OfflineTxForUnknownIdEnabled", Kind.BOOLEAN, False, "offline, unknown tokens may charge"),
    Setting("AuthCtrlr.AuthorizeRemoteStart", Kind.BOOLEAN, False, "ask the network again before a remote start"),
    Setting("AuthCtrlr.LocalAuthorizeOffline", Kind.BOOLEAN, True, "offline, list and cache decide"),
    Setting("AuthCtrlr.LocalPreAuthorize", Kind.BOOLEAN, False, "online, list and cache start without waiting"),
    Setting("AuthCacheCtrlr.Enabled", Kind.BOOLEAN, True, "remember what the network says of tokens"),
    Setting("LocalAuthListCtrlr.Enabled", Kind.BOOLEAN, True, "use the local list"),
    Setting(
        "LocalAuthListCtrlr.Entries", Kind.INTEGER, 100_000, "tokens it may hold", "", 0, 1_000_000, writable=False
    ),
    Setting(
        "LocalAuthListCtrlr.ItemsPerMessage", Kind.INTEGER, 1000, "tokens per message", "", 1, 10_000, writable=False
    ),
    Setting("ReservationCtrlr.Enabled", Kind.BOOLEAN, True, "take reservations"),
    Setting(
        "ReservationCtrlr.NonEvseSpecific",
        Kind.BOOLEAN,
        True,
        "take reservations of any one EVSE (connector 0)",
        writable=False,
    ),
)
