"""The station's settings: one typed truth that every OCPP version shows in its own words.

Named ``Component.Variable`` as in OCPP 2.0.1's device model. OCPP 1.6 keys are views on these
(``agent.ocpp.v16.configuration``). A setting that nothing reads does not belong here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    STRING = "string"
    MEMBERS = "members"
    """Comma-separated words out of ``choices``, each at most once."""


Value = bool | int | float | str | tuple[str, ...]

MEASURANDS = (
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Interval",
    "Energy.Active.Import.Register",
    "Frequency",
    "Power.Active.Import",
    "Power.Factor",
    "Power.Offered",
    "Temperature",
    "Voltage",
)
"""What we can measure. Asking for another is refused."""


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    kind: Kind
    default: Value
    help: str
    unit: str = ""
    ge: float | None = None
    le: float | None = None
    choices: tuple[str, ...] = ()
    writable: bool = True


class SettingError(ValueError):
    """A value that a setting does not take. The text names the setting, the rule and the remedy."""


def _declare() -> Iterable[Setting]:
    yield Setting("AuthCtrlr.OfflineTxForUnknownIdEnabled", Kind.BOOLEAN, False, "offline, unknown tokens may charge")
    yield Setting("AuthCtrlr.AuthorizeRemoteStart", Kind.BOOLEAN, False, "ask the network again before a remote start")
    yield Setting("AuthCtrlr.LocalAuthorizeOffline", Kind.BOOLEAN, True, "offline, list and cache decide")
    yield Setting("AuthCtrlr.LocalPreAuthorize", Kind.BOOLEAN, False, "online, list and cache start without waiting")
    yield Setting("AuthCacheCtrlr.Enabled", Kind.BOOLEAN, True, "remember what the network says of tokens")
    yield Setting("LocalAuthListCtrlr.Enabled", Kind.BOOLEAN, True, "use the local list")
    yield Setting(
        "LocalAuthListCtrlr.Entries", Kind.INTEGER, 100_000, "tokens it may hold", "", 0, 1_000_000, writable=False
    )
    yield Setting(
        "LocalAuthListCtrlr.ItemsPerMessage", Kind.INTEGER, 1000, "tokens per message", "", 1, 10_000, writable=False
    )
    yield Setting("ReservationCtrlr.Enabled", Kind.BOOLEAN, True, "take reservations")
    yield Setting(
        "ReservationCtrlr.NonEvseSpecific",
        Kind.BOOLEAN,
        True,
        "take reservations of any one EVSE (connector 0)",
        writable=False,
    )
    yield Setting(
        "TxCtrlr.EVConnectionTimeOut", Kind.INTEGER, 60, "time to plug in after authorisation", "s", 0, 86_400
    )
    yield Setting("TxCtrlr.StopTxOnEVSideDisconnect", Kind.BOOLEAN, True, "unplugging at the vehicle ends")
    yield Setting("TxCtrlr.StopTxOnInvalidId", Kind.BOOLEAN, True, "a token refused afterwards ends the transaction")
    yield Setting(
        "TxCtrlr.MaxEnergyOnInvalidId", Kind.INTEGER, 0, "energy still given to such a token", "Wh", 0, 100_000
    )
    yield Setting(
        "TxCtrlr.ResumptionTimeout",
        Kind.INTEGER,
        3600,
        "a power cut up to this long is bridged by the same transaction; 0 for none",
        "s",
        0,
        86_400,
    )
    yield Setting("OCPPCommCtrlr.UnlockOnEVSideDisconnect", Kind.BOOLEAN, True, "unplugging at the vehicle unlocks")
    yield Setting("OCPPCommCtrlr.HeartbeatInterval", Kind.INTEGER, 300, "between heartbeats", "s", 0, 86_400)
    yield Setting("OCPPCommCtrlr.MessageTimeout", Kind.INTEGER, 30, "wait for an answer", "s", 1, 600)
    yield Setting("OCPPCommCtrlr.MessageAttempts", Kind.INTEGER, 3, "tries per transaction message", "", 1, 100)
    yield Setting("OCPPCommCtrlr.MessageAttemptInterval", Kind.INTEGER, 60, "wait grows by this", "s", 0, 86_400)
    yield Setting("OCPPCommCtrlr.WebSocketPingInterval", Kind.INTEGER, 30, "between pings; 0 for none", "s", 0, 86_400)
    yield Setting(
        "OCPPCommCtrlr.FileTransferProtocols",
        Kind.MEMBERS,
        ("FTP", "FTPS", "HTTP", "HTTPS"),
        "for firmware, diagnostics and logs",
        choices=("FTP", "FTPS", "HTTP", "HTTPS"),
        writable=False,
    )
    yield Setting("OCPPCommCtrlr.ResetRetries", Kind.INTEGER, 1, "tries of a reset that failed", "", 0, 10)
    yield Setting("ChargingStation.MinimumStatusDuration", Kind.INTEGER, 0, "report only longer states", "s", 0, 3600)
    yield Setting(
        "ChargingStation.MaxCurrent",
        Kind.INTEGER,
        1000,
        "operator's limit for the whole station, per phase",
        "A",
        0,
        1000,
    )
    yield Setting(
        "SmartChargingCtrlr.Phases3to1",
        Kind.BOOLEAN,
        False,
        "an outlet can go from three phases to one",
        writable=False,
    )
    yield Setting("ElectricalFeed.PhaseRotation", Kind.STRING, "", "per connector, as '0.RST,1.RST'")
    yield Setting("AlignedDataCtrlr.Interval", Kind.INTEGER, 0, "clock-aligned values; 0 for none", "s", 0, 86_400)
    yield Setting(
        "AlignedDataCtrlr.Measurands",
        Kind.MEMBERS,
        ("Energy.Active.Import.Register",),
        "clock-aligned",
        choices=MEASURANDS,
    )
    yield Setting(
        "AlignedDataCtrlr.TxEndedMeasurands", Kind.MEMBERS, (), "aligned, in the end message", choices=MEASURANDS
    )
    yield Setting("SampledDataCtrlr.TxUpdatedInterval", Kind.INTEGER, 60, "between samples; 0 for none", "s", 0, 86_400)
    yield Setting(
        "SampledDataCtrlr.TxUpdatedMeasurands",
        Kind.MEMBERS,
        ("Energy.Active.Import.Register",),
        "in samples",
        choices=MEASURANDS,
    )
    yield Setting(
        "SampledDataCtrlr.TxStartedMeasurands",
        Kind.MEMBERS,
        (),
        "in a message of their own right after the start",
        choices=MEASURANDS,
    )
    yield Setting("SampledDataCtrlr.SignReadings", Kind.BOOLEAN, False, "the meter signs begin and end")
    yield Setting("SampledDataCtrlr.SignStartedReadings", Kind.BOOLEAN, False, "and the values right after the start")
    yield Setting("SampledDataCtrlr.SignUpdatedReadings", Kind.BOOLEAN, False, "and the samples between")
    yield Setting("AlignedDataCtrlr.SignReadings", Kind.BOOLEAN, False, "the meter signs begin and end")
    yield Setting("AlignedDataCtrlr.SignUpdatedReadings", Kind.BOOLEAN, False, "and the clock-aligned values between")
    yield Setting(
        "OCPPCommCtrlr.PublicKeyWithSignedMeterValue",
        Kind.STRING,
        "OncePerTransaction",
        "how often the meter's key goes with what it signed",
        choices=("Never", "OncePerTransaction", "EveryMeterValue"),
    )
    yield Setting("SecurityCtrlr.OrganizationName", Kind.STRING, "", "operator's name, in certificates of this station")
    yield Setting(
        "SecurityCtrlr.AdditionalRootCertificateCheck",
        Kind.BOOLEAN,
        False,
        "a new root of the network must be signed by the one it replaces",
        writable=False,
    )
    yield Setting(
        "SecurityCtrlr.MaxCertificateChainSize",
        Kind.INTEGER,
        10_000,
        "characters of a signed chain",
        "",
        1000,
        10_000,
        writable=False,
    )
    yield Setting(
        "SecurityCtrlr.CertificateEntries", Kind.INTEGER, 30, "certificates stored in all", "", 3, 200, writable=False
    )
    yield Setting("TariffCostCtrlr.Enabled", Kind.BOOLEAN, True, "take and show prices and costs")
    yield Setting(
        "TariffCostCtrlr.NumberOfDecimalsForCostValues", Kind.INTEGER, 3, "of amounts that are shown", "", 0, 6
    )
    yield Setting("TariffCostCtrlr.DefaultPrice", Kind.STRING, "", "price and text for everybody, as JSON")
    yield Setting("TariffCostCtrlr.DefaultPriceTexts", Kind.STRING, "", "such texts by language, as JSON")
    yield Setting("TariffCostCtrlr.IdleFeeAfterStop", Kind.BOOLEAN, False, "idle costs go on until the plug is out")
    yield Setting("DisplayMessageCtrlr.MultiLanguage", Kind.BOOLEAN, True, "show texts in the display's language")
    yield Setting("DisplayMessageCtrlr.SupportedLanguages", Kind.MEMBERS, ("en",), "of the display", writable=False)
    yield Setting("DisplayMessageCtrlr.Language", Kind.STRING, "en", "of the display, one of those supported")
    yield Setting("ClockCtrlr.TimeOffset", Kind.STRING, "+00:00", "of the display's time from UTC")
    yield Setting("ClockCtrlr.TimeOffsetNextTransition", Kind.STRING, "", "the next such offset")
    yield Setting("ClockCtrlr.NextTimeOffsetTransitionDateTime", Kind.STRING, "", "when it comes into force")
    yield Setting("SampledDataCtrlr.TxEndedMeasurands", Kind.MEMBERS, (), "in the end message", choices=MEASURANDS)


SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in _declare()}


def parse(setting: Setting, text: str) -> Value:
    """Read a value from the network's or the file's text. Raises SettingError."""
    text = text.strip()
    if setting.kind is Kind.BOOLEAN:
        if text.lower() not in ("true", "false"):
            raise SettingError(f"{setting.name}: {text!r} is neither true nor false")
        return text.lower() == "true"
    if setting.kind in (Kind.INTEGER, Kind.DECIMAL):
        return _number(setting, text)
    if setting.kind is Kind.MEMBERS:
        words = tuple(word.strip() for word in text.split(",") if word.strip())
        for word in words:
            if setting.choices and word not in setting.choices:
                raise SettingError(f"{setting.name}: {word!r} is not offered; choose from {', '.join(setting.choices)}")
        if len(set(words)) != len(words):
            raise SettingError(f"{setting.name}: a word stands twice in {text!r}")
        return words
    if setting.choices and text not in setting.choices:
        raise SettingError(f"{setting.name}: {text[:40]!r} is none of {', '.join(setting.choices)}")
    return text


def _number(setting: Setting, text: str) -> int | float:
    try:
        number = int(text) if setting.kind is Kind.INTEGER else float(text)
    except ValueError:
        raise SettingError(f"{setting.name}: {text!r} is not a number") from None
    if setting.ge is not None and not number >= setting.ge:
        raise SettingError(f"{setting.name}: {text} is below {setting.ge:g} {setting.unit}".rstrip())
    if setting.le is not None and not number <= setting.le:
        raise SettingError(f"{setting.name}: {text} is above {setting.le:g} {setting.unit}".rstrip())
    return number


def show(value: Value) -> str:
    """Return the text that ``parse`` reads back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)


class Settings:
    """The values in force: defaults, then the configuration file's, then what was set since (and survives)."""

    def __init__(self) -> None:
        self._values: dict[str, Value] = {name: setting.default for name, setting in SETTINGS.items()}
        self._listeners: list[Callable[[str], None]] = []

    def set(self, name: str, text: str) -> None:
        """Take a value as text. Raises SettingError or KeyError; unchanged then."""
        self._values[name] = parse(SETTINGS[name], text)
        for listener in self._listeners:
            listener(name)

    def value(self, name: str) -> Value:
        return self._values[name]

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Call ``listener(name)`` after each change."""
        self._listeners.append(listener)

    def boolean(self, name: str) -> bool:
        value = self._values[name]
        assert isinstance(value, bool)
        return value

    def integer(self, name: str) -> int:
        value = self._values[name]
        assert isinstance(value, int)
        return value

    def members(self, name: str) -> tuple[str, ...]:
        value = self._values[name]
        assert isinstance(value, tuple)
        return value

    def string(self, name: str) -> str:
        value = self._values[name]
        assert isinstance(value, str)
        return value
