"""OCPP 1.6's configuration keys as views on the settings."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp.v16 import enums

from agent.ocpp.schema import Schemas
from agent.ocpp.v16.configuration import FEATURE_PROFILES, Configuration, LiveKey, initial_settings, key_table
from agent.station.commands import SettingAnswer
from agent.station.settings import MEASURANDS, SETTINGS, SettingError, Settings

REQUIRED = (
    "AuthorizeRemoteTxRequests",
    "ClockAlignedDataInterval",
    "ConnectionTimeOut",
    "ConnectorPhaseRotation",
    "GetConfigurationMaxKeys",
    "HeartbeatInterval",
    "LocalAuthorizeOffline",
    "LocalPreAuthorize",
    "MeterValuesAlignedData",
    "MeterValuesSampledData",
    "MeterValueSampleInterval",
    "NumberOfConnectors",
    "ResetRetries",
    "StopTransactionOnEVSideDisconnect",
    "StopTransactionOnInvalidId",
    "StopTxnAlignedData",
    "StopTxnSampledData",
    "SupportedFeatureProfiles",
    "TransactionMessageAttempts",
    "TransactionMessageRetryInterval",
    "UnlockConnectorOnEVSideDisconnect",
)
"""OCPP 1.6 §9.1, the keys that every charge point has."""

PRICING = (
    "CustomDisplayCostAndPrice",
    "CustomIdleFeeAfterStop",
    "CustomMultiLanguageMessages",
    "DefaultPrice",
    "Language",
    "NextTimeOffsetTransitionDateTime",
    "NumberOfDecimalsForCostValues",
    "SupportedLanguages",
    "TimeOffset",
    "TimeOffsetNextTransition",
)
"""Keys of OCA's "California Pricing" (docs/pricing.md)."""

SIGNED = (
    "AlignedDataSignReadings",
    "AlignedDataSignUpdatedReadings",
    "PublicKeyWithSignedMeterValue",
    "SampledDataSignReadings",
    "SampledDataSignStartedReadings",
    "SampledDataSignUpdatedReadings",
    "StartTxnSampledData",
)
"""Keys of OCA's "Signed Meter Values in OCPP" (docs/signed-meter-values.md)."""

READ_ONLY = {
    "NumberOfConnectors": "2",
    "GetConfigurationMaxKeys": "100",
    "SupportedFeatureProfiles": ",".join(FEATURE_PROFILES),
}


def configuration(settings: Settings | None = None, cables: bool = False) -> Configuration:
    return Configuration(settings or Settings(), 2, cables)


def entries(found: Configuration, *names: str) -> dict[str, dict[str, Any]]:
    return {str(entry["key"]): entry for entry in found.get(names)[0]}


def test_every_required_key_is_there() -> None:
    found = entries(configuration())
    assert set(REQUIRED) <= found.keys()
    for name, value in READ_ONLY.items():
        assert found[name] == {"key": name, "readonly": True, "value": value}
    for name in set(REQUIRED) - READ_ONLY.keys():
        assert found[name]["readonly"] is False
    answer = {"configurationKey": configuration().get(())[0]}
    assert Schemas("v16").response("GetConfiguration", answer) is None


def test_names_are_the_standards_but_for_our_own() -> None:
    standard = {key.value for key in enums.ConfigurationKey}
    # Optional keys of the errata and MaxLength keys that the library does not list.
    ours = {key.name for key in key_table().values()} - standard
    assert ours <= {
        *PRICING,
        *SIGNED,
        "StationMaxCurrent",
        "ReservationEnabled",
        "TransactionResumptionTimeout",
        "MessageTimeout",
        "SupportedFeatureProfilesMaxLength",
        "SupportedFileTransferProtocols",
    }


def test_every_setting_in_use_exists_and_takes_its_own_text() -> None:
    settings = Settings()
    for key in key_table().values():
        if key.setting:
            assert key.setting in SETTINGS
            assert key.problem(key.shown(settings)) == ""


def test_names_are_compared_without_case_and_unknown_ones_are_told() -> None:
    known, unknown = configuration().get(["heartbeatINTERVAL", "Heartbeatinterval", "Nope", "Nope"])
    assert known == [{"key": "HeartbeatInterval", "readonly": False, "value": "300"}]
    assert unknown == ["Nope"]


def test_the_value_in_force_is_shown() -> None:
    settings = Settings()
    settings.set("SampledDataCtrlr.TxUpdatedMeasurands", "Voltage, Current.Import")
    settings.set("AuthCtrlr.LocalPreAuthorize", "true")
    found = entries(configuration(settings), "MeterValuesSampledData", "LocalPreAuthorize")
    assert found["MeterValuesSampledData"]["value"] == "Voltage,Current.Import"
    assert found["LocalPreAuthorize"]["value"] == "true"


def test_a_list_of_everything_fits_the_answer() -> None:
    settings = Settings()
    settings.set("SampledDataCtrlr.TxUpdatedMeasurands", ",".join(MEASURANDS))
    value = entries(configuration(settings), "MeterValuesSampledData")["MeterValuesSampledData"]["value"]
    assert value == ",".join(MEASURANDS)


def test_a_charge_point_of_cables_has_no_say_in_unlocking() -> None:
    found = entries(configuration(cables=True), "UnlockConnectorOnEVSideDisconnect")
    assert found["UnlockConnectorOnEVSideDisconnect"] == {
        "key": "UnlockConnectorOnEVSideDisconnect",
        "readonly": True,
        "value": "false",
    }


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("HeartbeatInterval", "60", ""),
        ("HeartbeatInterval", " 60 ", ""),
        ("HeartbeatInterval", "-1", "below 0"),
        ("HeartbeatInterval", "1_000", "not a whole number"),
        ("HeartbeatInterval", "６０", "not a whole number"),
        ("HeartbeatInterval", "1e3", "not a whole number"),
        ("HeartbeatInterval", "", "not a whole number"),
        ("HeartbeatInterval", "9" * 400, "not a whole number"),
        ("HeartbeatInterval", "100000000", "above"),
        ("LocalPreAuthorize", "TRUE", ""),
        ("LocalPreAuthorize", "yes", "neither true nor false"),
        ("MeterValuesSampledData", "Energy.Active.Import.Register,Voltage", ""),
        ("MeterValuesSampledData", "", ""),
        ("MeterValuesSampledData", "RPM", "not offered"),
        ("MeterValuesSampledData", "Voltage,Voltage", "twice"),
        ("ConnectorPhaseRotation", "0.RST, 1.RTS", ""),
        ("ConnectorPhaseRotation", "0.NotApplicable", ""),
        ("ConnectorPhaseRotation", "RST", "not like"),
        ("ConnectorPhaseRotation", "1.XYZ", "not like"),
        ("NumberOfConnectors", "3", "read-only"),
        ("SupportedFeatureProfiles", "Core", "read-only"),
        ("StationMaxCurrent", "16", ""),
        ("StationMaxCurrent", "1001", "above"),
        ("DefaultPrice", '{"priceText": "0.15 $/kWh", "chargingPrice": {"kWhPrice": 0.15}}', ""),
        ("DefaultPrice", "", ""),
        ("DefaultPrice", "[]", "JSON object"),
        ("DefaultPrice", "{", "not JSON"),
        ("DefaultPrice", '{"priceText": 1}', "priceText"),
        ("DefaultPrice", '{"priceText": "x", "chargingPrice": {"kWhPrice": -1}}', "kWhPrice"),
        ("DefaultPrice", '{"priceText": "x", "chargingPrice": {"kWhPrice": 1e999999}}', "kWhPrice"),
        ("TimeOffset", "-05:00", ""),
        ("TimeOffset", "25:00", "like"),
        ("TimeOffset", "", "like"),
        ("TimeOffsetNextTransition", "", ""),
        ("TimeOffsetNextTransition", "soon", "like"),
        ("NextTimeOffsetTransitionDateTime", "2026-03-28T02:00:00+01:00", ""),
        ("NextTimeOffsetTransitionDateTime", "spring", "like"),
        ("Language", "en", ""),
        ("Language", "tlh", "SupportedLanguages"),
        ("SupportedLanguages", "nl", "read-only"),
        ("NumberOfDecimalsForCostValues", "2", ""),
        ("NumberOfDecimalsForCostValues", "7", "above"),
        ("WebSocketPingInterval", "0", ""),
        ("WebSocketPingInterval", "179", ""),
        ("WebSocketPingInterval", "180", "not below"),
    ],
)
def test_values(name: str, text: str, fault: str) -> None:
    found = configuration()
    key = found.find(name)
    assert key is not None
    problem = found.objection(key, text)
    if fault:
        assert fault in problem
        assert name in problem
    else:
        assert problem == ""


@given(st.sampled_from(sorted(key_table(live=()))), st.text(max_size=600))
def test_any_text_is_taken_or_refused_in_words(name: str, text: str) -> None:
    found = configuration()
    key = found.find(name)
    assert key is not None
    if found.objection(key, text) == "":
        Settings().set(key.setting, text.strip())


def test_initial_values_of_the_file() -> None:
    values = {"heartbeatinterval": "17", "AuthorizeRemoteTxRequests": "true"}
    assert dict(initial_settings(values)) == {
        "OCPPCommCtrlr.HeartbeatInterval": "17",
        "AuthCtrlr.AuthorizeRemoteStart": "true",
    }
    for wrong in ({"Nope": "1"}, {"HeartbeatInterval": "x"}, {"NumberOfConnectors": "2"}):
        with pytest.raises(SettingError, match=next(iter(wrong))):
            list(initial_settings(wrong))


def test_checking_a_file_loads_no_network() -> None:
    code = "import sys, agent.ocpp.v16.configuration; print(sys.modules.keys() & {'asyncio', 'ssl', 'websockets'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_live_key_is_its_owners_and_a_secret_one_is_never_shown() -> None:
    changes: list[str] = []

    def change(text: str) -> SettingAnswer:
        changes.append(text)
        return SettingAnswer.ACCEPTED

    live = (LiveKey("AuthorizationKey", None, change), LiveKey("SecurityProfile", lambda: "2", change))
    found = Configuration(Settings(), 1, False, live)
    assert found.get(["authorizationkey", "securityprofile"]) == (
        [
            {"key": "AuthorizationKey", "readonly": False},
            {"key": "SecurityProfile", "readonly": False, "value": "2"},
        ],
        [],
    )
    everything, _ = found.get([])
    assert {"key": "AuthorizationKey", "readonly": False} in everything
    key = found.find("SECURITYPROFILE")
    assert key is not None
    assert key.live is not None
    assert key.live.change("3") is SettingAnswer.ACCEPTED
    assert changes == ["3"]


@pytest.mark.parametrize("name", ["AuthorizationKey", "SecurityProfile"])
def test_what_has_an_option_of_its_own_is_not_among_the_settings_of_the_file(name: str) -> None:
    with pytest.raises(SettingError, match=r"ocpp\.(password|security_profile)"):
        list(initial_settings({name: "1"}))
