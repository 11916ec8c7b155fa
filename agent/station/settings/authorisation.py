"""Who may charge: authorisation, its cache, the local list, reservations."""

from __future__ import annotations

from agent.station.settings.setting import Kind, Setting

SETTINGS = (
    Setting("AuthCtrlr.OfflineTxForUnknownIdEnabled", Kind.BOOLEAN, False, "offline, unknown tokens may charge"),
    Setting("AuthCtrlr.AuthorizeRemoteStart", Kind.BOOLEAN, False, "ask the network again before a remote start"),
    Setting("AuthCtrlr.LocalAuthorizeOffline", Kind.BOOLEAN, True, "offline, list and cache decide"),
    Setting("AuthCtrlr.LocalPreAuthorize", Kind.BOOLEAN, False, "online, list and cache start without waiting"),
    Setting(
        "AuthCtrlr.DisableRemoteAuthorization",
        Kind.BOOLEAN,
        False,
        "the network is never asked about a token: list and cache decide",
    ),
    Setting("AuthCtrlr.MasterPassGroupId", Kind.STRING, "", "its tokens end every transaction, and start none"),
    Setting("AuthCacheCtrlr.Enabled", Kind.BOOLEAN, True, "remember what the network says of tokens"),
    Setting(
        "AuthCacheCtrlr.LifeTime",
        Kind.INTEGER,
        0,
        "a token not presented for so long is forgotten, unless it has a date of its own; 0: never",
        "s",
        0,
        315_360_000,
    ),
    Setting(
        "AuthCacheCtrlr.Policy",
        Kind.STRING,
        "FIFO",
        "which token makes room in a full cache",
        choices=("FIFO", "LRU", "LFU"),
    ),
    Setting(
        "AuthCacheCtrlr.DisablePostAuthorize",
        Kind.BOOLEAN,
        False,
        "the network is not asked again about a token that the cache knows as not accepted",
    ),
    Setting("LocalAuthListCtrlr.Enabled", Kind.BOOLEAN, True, "use the local list"),
    Setting(
        "LocalAuthListCtrlr.DisablePostAuthorize",
        Kind.BOOLEAN,
        False,
        "the network is not asked about a token that the list has as not accepted",
    ),
    Setting(
        "LocalAuthListCtrlr.SupportsExpiryDateTime",
        Kind.BOOLEAN,
        True,
        "a token's date on the list counts",
        writable=False,
    ),
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
