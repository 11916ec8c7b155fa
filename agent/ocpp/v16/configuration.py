"""OCPP 1.6's configuration keys, as views on the station's settings.

Light to import, so that the configuration file can be checked with it: ``key_table`` gives every key by its
case-folded name (§5.3: key names are CiStrings), ``initial_settings`` reads ``ocpp.settings`` of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.station.charging.profile import CAPACITY
from agent.station.commands import SettingAnswer
from agent.station.setting_rules import form_problem, standing_problem
from agent.station.settings import MEASURANDS, SETTINGS, Kind, SettingError, Settings, parse, show

MAX_KEYS = 100
"""GetConfigurationMaxKeys: more than there are."""

MAX_VALUE = 500
"""CiString500Type (§6.7, §7.30)."""

FEATURE_PROFILES = (
    "Core",
    "FirmwareManagement",
    "LocalAuthListManagement",
    "Reservation",
    "SmartCharging",
    "RemoteTrigger",
)

_IN_FILE = {"AuthorizationKey": "ocpp.password", "SecurityProfile": "ocpp.security_profile"}

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class LiveKey:
    """A key that is no setting: its owner keeps its value and decides on a change. ``read`` None: never shown."""

    name: str
    read: Callable[[], str] | None
    change: Callable[[str], SettingAnswer]
    writable: bool = True


@dataclass(frozen=True, slots=True)
class ConfigurationKey:
    """One key. ``setting`` names the setting it shows; a key without one has a fixed ``value`` and is read-only.

    A key that is not ``writable`` but has a setting is a property of this charge point: the file sets it, not the
    network.
    """

    name: str
    setting: str = ""
    value: str = ""
    writable: bool = True
    live: LiveKey | None = None

    def problem(self, text: str) -> str:
        """Say what is wrong with a value for this key: the rule and the remedy; empty when nothing is."""
        if self.live is not None:
            return ""
        if self.name in _IN_FILE:
            return f"{self.name} has an option of its own; give {_IN_FILE[self.name]}"
        if not self.setting:
            return f"{self.name} is read-only; leave it out"
        setting = SETTINGS[self.setting]
        if len(text) > MAX_VALUE:
            return f"{self.name}: longer than {MAX_VALUE} characters"
        if setting.kind is Kind.INTEGER and not _INTEGER.fullmatch(text.strip()):
            return f"{self.name}: {text[:40]!r} is not a whole number"
        if problem := form_problem(self.setting, text):
            return f"{self.name}: {problem}"
        try:
            parse(setting, text)
        except SettingError as error:
            return str(error).replace(setting.name, self.name, 1)
        return ""

    def shown(self, settings: Settings) -> str:
        """Return the value in force as text."""
        if self.live is not None:
            return self.live.read() if self.live.read is not None else ""
        return show(settings.value(self.setting))[:MAX_VALUE] if self.setting else self.value


_VIEWS: Mapping[str, str] = {
    "AdditionalRootCertificateCheck": "SecurityCtrlr.AdditionalRootCertificateCheck",
    "AlignedDataSignReadings": "AlignedDataCtrlr.SignReadings",
    "AlignedDataSignUpdatedReadings": "AlignedDataCtrlr.SignUpdatedReadings",
    "AllowOfflineTxForUnknownId": "AuthCtrlr.OfflineTxForUnknownIdEnabled",
    "AuthorizationCacheEnabled": "AuthCacheCtrlr.Enabled",
    "AuthorizeRemoteTxRequests": "AuthCtrlr.AuthorizeRemoteStart",
    "CertificateSignedMaxChainSize": "SecurityCtrlr.MaxCertificateChainSize",
    "CertificateStoreMaxLength": "SecurityCtrlr.CertificateEntries",
    "ClockAlignedDataInterval": "AlignedDataCtrlr.Interval",
    "ConnectionTimeOut": "TxCtrlr.EVConnectionTimeOut",
    "ConnectorPhaseRotation": "ElectricalFeed.PhaseRotation",
    "ConnectorSwitch3to1PhaseSupported": "SmartChargingCtrlr.Phases3to1",
    "CpoName": "SecurityCtrlr.OrganizationName",
    "CustomDisplayCostAndPrice": "TariffCostCtrlr.Enabled",
    "CustomIdleFeeAfterStop": "TariffCostCtrlr.IdleFeeAfterStop",
    "CustomMultiLanguageMessages": "DisplayMessageCtrlr.MultiLanguage",
    "DefaultPrice": "TariffCostCtrlr.DefaultPrice",
    "HeartbeatInterval": "OCPPCommCtrlr.HeartbeatInterval",
    "Language": "DisplayMessageCtrlr.Language",
    "LocalAuthListEnabled": "LocalAuthListCtrlr.Enabled",
    "LocalAuthListMaxLength": "LocalAuthListCtrlr.Entries",
    "LocalAuthorizeOffline": "AuthCtrlr.LocalAuthorizeOffline",
    "LocalPreAuthorize": "AuthCtrlr.LocalPreAuthorize",
    "MaxEnergyOnInvalidId": "TxCtrlr.MaxEnergyOnInvalidId",
    "MessageTimeout": "OCPPCommCtrlr.MessageTimeout",
    "MeterValuesAlignedData": "AlignedDataCtrlr.Measurands",
    "MeterValuesSampledData": "SampledDataCtrlr.TxUpdatedMeasurands",
    "MeterValueSampleInterval": "SampledDataCtrlr.TxUpdatedInterval",
    "MinimumStatusDuration": "ChargingStation.MinimumStatusDuration",
    "NextTimeOffsetTransitionDateTime": "ClockCtrlr.NextTimeOffsetTransitionDateTime",
    "NumberOfDecimalsForCostValues": "TariffCostCtrlr.NumberOfDecimalsForCostValues",
    "PublicKeyWithSignedMeterValue": "OCPPCommCtrlr.PublicKeyWithSignedMeterValue",
    "ReservationEnabled": "ReservationCtrlr.Enabled",
    "ReserveConnectorZeroSupported": "ReservationCtrlr.NonEvseSpecific",
    "ResetRetries": "OCPPCommCtrlr.ResetRetries",
    "SampledDataSignReadings": "SampledDataCtrlr.SignReadings",
    "SampledDataSignStartedReadings": "SampledDataCtrlr.SignStartedReadings",
    "SampledDataSignUpdatedReadings": "SampledDataCtrlr.SignUpdatedReadings",
    "SendLocalListMaxLength": "LocalAuthListCtrlr.ItemsPerMessage",
    "StartTxnSampledData": "SampledDataCtrlr.TxStartedMeasurands",
    "StationMaxCurrent": "ChargingStation.MaxCurrent",
    "StopTransactionOnEVSideDisconnect": "TxCtrlr.StopTxOnEVSideDisconnect",
    "StopTransactionOnInvalidId": "TxCtrlr.StopTxOnInvalidId",
    "StopTxnAlignedData": "AlignedDataCtrlr.TxEndedMeasurands",
    "StopTxnSampledData": "SampledDataCtrlr.TxEndedMeasurands",
    "SupportedLanguages": "DisplayMessageCtrlr.SupportedLanguages",
    "TimeOffset": "ClockCtrlr.TimeOffset",
    "TimeOffsetNextTransition": "ClockCtrlr.TimeOffsetNextTransition",
    "TransactionMessageAttempts": "OCPPCommCtrlr.MessageAttempts",
    "TransactionMessageRetryInterval": "OCPPCommCtrlr.MessageAttemptInterval",
    "TransactionResumptionTimeout": "TxCtrlr.ResumptionTimeout",
    "SupportedFileTransferProtocols": "OCPPCommCtrlr.FileTransferProtocols",
    "UnlockConnectorOnEVSideDisconnect": "OCPPCommCtrlr.UnlockOnEVSideDisconnect",
    "WebSocketPingInterval": "OCPPCommCtrlr.WebSocketPingInterval",
}
"""§9.1 to §9.3, those of the pricing extension (docs/pricing.md) and of signed meter values
(docs/signed-meter-values.md), and three of our own: StationMaxCurrent, the
operator's limit for the whole station in A per phase, ReservationEnabled, whether reservations are taken, and
TransactionResumptionTimeout, how long a power cut (in s) a transaction may bridge."""

_LISTS = ("MeterValuesAlignedData", "MeterValuesSampledData", "StopTxnAlignedData", "StopTxnSampledData")


def key_table(
    evses: int = 1, all_cables: bool = False, live: Sequence[LiveKey] | None = None
) -> Mapping[str, ConfigurationKey]:
    """Return every key by its case-folded name.

    ``live``: keys that are no settings; None for those that the configuration file has options for.
    ``all_cables``: no outlet has a lock, so UnlockConnectorOnEVSideDisconnect is read-only (errata).
    """
    keys = [ConfigurationKey(name, setting, writable=SETTINGS[setting].writable) for name, setting in _VIEWS.items()]
    if all_cables:
        name = "UnlockConnectorOnEVSideDisconnect"
        keys = [key for key in keys if key.name != name] + [ConfigurationKey(name, value="false", writable=False)]
    fixed = {
        "NumberOfConnectors": str(evses),
        "GetConfigurationMaxKeys": str(MAX_KEYS),
        "ConnectorPhaseRotationMaxLength": str(evses + 1),
        "SupportedFeatureProfiles": ",".join(FEATURE_PROFILES),
        "SupportedFeatureProfilesMaxLength": str(len(FEATURE_PROFILES)),
        "ChargeProfileMaxStackLevel": str(CAPACITY.stack_level),
        "ChargingScheduleAllowedChargingRateUnit": "Current,Power",
        "ChargingScheduleMaxPeriods": str(CAPACITY.periods),
        "MaxChargingProfilesInstalled": str(CAPACITY.profiles),
        **{f"{name}MaxLength": str(len(MEASURANDS)) for name in _LISTS},
    }
    keys += [ConfigurationKey(name, value=value, writable=False) for name, value in fixed.items()]
    if live is None:
        keys += [ConfigurationKey(name) for name in _IN_FILE]
    else:
        keys += [ConfigurationKey(key.name, live=key, writable=key.writable) for key in live]
    return {key.name.casefold(): key for key in sorted(keys, key=lambda key: key.name)}


def initial_settings(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Turn ``ocpp.settings`` of the configuration file into (setting, text). Raises SettingError by the first fault."""
    table = key_table()
    for name, text in values.items():
        key = table.get(name.casefold())
        if key is None:
            raise SettingError(f"{name} is no configuration key of OCPP 1.6 that this charge point has")
        problem = key.problem(text)
        if problem:
            raise SettingError(problem)
        yield key.setting, text


class Configuration:
    """GetConfiguration and ChangeConfiguration (§5.3, §5.8)."""

    def __init__(self, settings: Settings, evses: int, all_cables: bool, live: Sequence[LiveKey] = ()) -> None:
        self._settings = settings
        self._table = key_table(evses, all_cables, live)

    def find(self, name: str) -> ConfigurationKey | None:
        return self._table.get(name.strip().casefold())

    def get(self, names: Sequence[str]) -> tuple[list[dict[str, object]], list[str]]:
        """Return (configurationKey, unknownKey). No names: every key."""
        if not names:
            return [self._entry(key) for key in self._table.values()][:MAX_KEYS], []
        known: dict[str, ConfigurationKey] = {}
        unknown: list[str] = []
        for name in names[:MAX_KEYS]:
            key = self.find(name)
            if key is not None:
                known[key.name] = key
            elif name not in unknown:
                unknown.append(name)
        return [self._entry(key) for key in known.values()], unknown

    def objection(self, key: ConfigurationKey, text: str) -> str:
        """Say why a change is refused; empty when it may be made."""
        problem = key.problem(text) if key.writable else f"{key.name} is read-only"
        if not problem and (standing := standing_problem(self._settings, key.setting, text)):
            problem = f"{key.name}: {standing}"
        return problem

    def _entry(self, key: ConfigurationKey) -> dict[str, object]:
        entry: dict[str, object] = {"key": key.name, "readonly": not key.writable}
        if key.live is None or key.live.read is not None:
            entry["value"] = key.shown(self._settings)
        return entry
