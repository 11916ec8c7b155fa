"""The journal's events in OCPP 2's words, checked by the schemas of both versions."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.journal.events import (
    ChargingState,
    Context,
    Limits,
    MeterSampled,
    MeterSigned,
    SampledValue,
    SignedValue,
    StartTrigger,
    StopReason,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Trigger,
    Unplugged,
)
from agent.ocpp.v2.metering import MEASURANDS, meter_values
from agent.ocpp.v2.render import Renderer2
from agent.ocpp.v2.version import Version
from agent.station.settings import MEASURANDS as MEASURED
from tests.tc201.csms201 import violation

UTC = 1_790_000_000.0
AT = "2026-09-21T14:13:20.000Z"
REGISTER = "Energy.Active.Import.Register"
NUMBERS = st.floats(-1e9, 1e9)
NAMES = st.text("0123456789abcdef-", min_size=1, max_size=36)
SAMPLES = st.lists(
    st.builds(
        SampledValue,
        st.sampled_from(MEASURED),
        NUMBERS,
        st.sampled_from(["Wh", "W", "A", "V", "", "Celsius"]),
        st.sampled_from(["", "L1", "L1-N"]),
        st.sampled_from(Context),
        st.floats(0, 1e5),
    ),
    max_size=4,
).map(tuple)
SIGNED = st.lists(
    st.builds(
        SignedValue,
        st.sampled_from(Context),
        st.text("abc{}|", max_size=50),
        st.just("OCMF"),
        st.just(""),
        st.sampled_from(["", "3059"]),
        st.floats(0, 1e5),
        st.none() | NUMBERS,
    ),
    min_size=1,
    max_size=2,
).map(tuple)
KINDS = st.sampled_from(["ISO14443", "ISO15693", "Central", "NoAuthorization", ""])
TOKENS = st.text("0123456789ABCDEF", max_size=60)
WHOLE = st.none() | st.integers(0, 1000)
LIMITS = st.none() | st.builds(Limits, st.none() | NUMBERS, st.none() | NUMBERS, WHOLE, st.none() | st.integers(0, 100))
EVENTS = st.one_of(
    st.builds(
        TransactionStarted,
        transaction=NAMES,
        evse=st.integers(0, 9),
        token=TOKENS,
        token_kind=KINDS,
        meter_wh=NUMBERS,
        remote_start_id=WHOLE,
        reservation=WHOLE,
        samples=SAMPLES,
        state=st.none() | st.sampled_from(ChargingState),
        cable_a=WHOLE,
        phases=st.none() | st.integers(1, 3),
    ),
    st.builds(
        TransactionUpdated,
        transaction=NAMES,
        evse=st.integers(0, 9),
        trigger=st.sampled_from(Trigger),
        token=TOKENS,
        token_kind=KINDS,
        remote_start_id=WHOLE,
        reservation=WHOLE,
        joined=st.booleans(),
        phases=st.none() | st.integers(1, 3),
        cable_a=WHOLE,
        samples=SAMPLES,
        start_wh=st.none() | NUMBERS,
        limits=LIMITS,
    ),
    st.builds(MeterSampled, transaction=NAMES, evse=st.integers(1, 9), samples=SAMPLES),
    st.builds(MeterSigned, transaction=NAMES, evse=st.integers(1, 9), signed=SIGNED, late=st.booleans()),
    st.builds(
        TransactionEnded,
        transaction=NAMES,
        evse=st.integers(0, 9),
        meter_wh=NUMBERS,
        token=TOKENS,
        samples=SAMPLES,
        signed=SIGNED,
        trigger=st.none() | st.sampled_from(Trigger),
        state=st.none() | st.sampled_from(ChargingState),
    ),
)


@pytest.mark.parametrize("version", Version)
@given(event=EVENTS, number=st.integers(0, 10_000))
def test_whatever_is_recorded_fits_the_schema(version, event, number):
    renderer = Renderer2(version)
    rendered = renderer.render(event, UTC, number)
    if rendered is None:
        assert not renderer.numbered(event)
        return
    assert renderer.numbered(event) is (rendered.action == "TransactionEvent")
    assert not violation(version.value, f"{rendered.action}Request", rendered.payload)
    if rendered.action == "TransactionEvent":
        assert rendered.payload["seqNo"] == number
        assert rendered.payload["timestamp"] == AT


def said(event, version=Version.V201):
    return Renderer2(version).render(event, UTC, 7).payload


@pytest.mark.parametrize(
    ("reason", "trigger", "told"),
    [
        (StopReason.LOCAL, "StopAuthorized", "Local"),
        (StopReason.REMOTE, "RemoteStop", "Remote"),
        (StopReason.DE_AUTHORIZED, "Deauthorized", "DeAuthorized"),
        (StopReason.EV_DISCONNECTED, "EVCommunicationLost", "EVDisconnected"),
        (StopReason.TIMEOUT, "EVConnectTimeout", "Timeout"),
        (StopReason.STOPPED_BY_EV, "ChargingStateChanged", "StoppedByEV"),
        (StopReason.IMMEDIATE_RESET, "ResetCommand", "ImmediateReset"),
        (StopReason.SCHEDULED_RESET, "ResetCommand", "ImmediateReset"),
        (StopReason.UNLOCK_COMMAND, "UnlockCommand", "Other"),
        (StopReason.ENERGY_LIMIT_REACHED, "EnergyLimitReached", "EnergyLimitReached"),
        (StopReason.TIME_LIMIT_REACHED, "TimeLimitReached", "TimeLimitReached"),
        (StopReason.COST_LIMIT_REACHED, "ChargingStateChanged", "LocalOutOfCredit"),
        (StopReason.GROUND_FAULT, "AbnormalCondition", "GroundFault"),
        (StopReason.OVERCURRENT_FAULT, "AbnormalCondition", "OvercurrentFault"),
        (StopReason.EMERGENCY_STOP, "AbnormalCondition", "EmergencyStop"),
        (StopReason.POWER_LOSS, "AbnormalCondition", "PowerLoss"),
        (StopReason.REBOOT, "AbnormalCondition", "Reboot"),
        (StopReason.OTHER, "AbnormalCondition", "Other"),
    ],
)
def test_why_it_ended_and_what_that_is_recorded_for(reason, trigger, told):
    """E06.FR.08, E06.FR.15, E06.FR.16."""
    payload = said(TransactionEnded("t", 1, 5.0, reason, False))
    assert (payload["triggerReason"], payload["transactionInfo"]["stoppedReason"]) == (trigger, told)


def test_what_was_recorded_under_1_6_is_told_whole():
    started = said(TransactionStarted("t", 1, "CARD", "ISO14443", 1000.0, StartTrigger.AUTHORIZED, False))
    assert started == {
        "eventType": "Started",
        "timestamp": AT,
        "seqNo": 7,
        "triggerReason": "Authorized",
        "transactionInfo": {"transactionId": "t", "chargingState": "EVConnected"},
        "evse": {"id": 1, "connectorId": 1},
        "idToken": {"idToken": "CARD", "type": "ISO14443"},
        "meterValue": [
            {
                "timestamp": AT,
                "sampledValue": [
                    {
                        "value": 1000.0,
                        "context": "Transaction.Begin",
                        "measurand": REGISTER,
                        "unitOfMeasure": {"unit": "Wh"},
                    }
                ],
            }
        ],
    }
    assert said(TransactionUpdated("t", 1, ChargingState.CHARGING, True)) == {
        "eventType": "Updated",
        "timestamp": AT,
        "seqNo": 7,
        "triggerReason": "ChargingStateChanged",
        "transactionInfo": {"transactionId": "t", "chargingState": "Charging"},
        "offline": True,
    }


def test_the_end_adds_its_register_only_where_it_is_missing():
    def contexts(*samples):
        payload = said(TransactionEnded("t", 1, 9.0, StopReason.LOCAL, False, samples=samples))
        return [one["context"] for value in payload["meterValue"] for one in value["sampledValue"]]

    begin = SampledValue(REGISTER, 1.0, "Wh", context=Context.TRANSACTION_BEGIN, ago_s=60.0)
    end = SampledValue(REGISTER, 9.0, "Wh", context=Context.TRANSACTION_END)
    clock = SampledValue(REGISTER, 5.0, "Wh", context=Context.SAMPLE_CLOCK, ago_s=30.0)
    assert contexts() == ["Transaction.End"]
    assert contexts(begin, end) == ["Transaction.Begin", "Transaction.End"]
    assert contexts(begin) == ["Transaction.Begin", "Transaction.End"]  # the meter was silent in the end
    assert contexts(clock) == ["Sample.Clock"]  # as the network asked for (TC_J_03)


def test_signed_values_go_as_the_application_note_has_them():
    """OCA, Signed Meter Values in OCPP, section 4; J01.FR.21, J02.FR.21."""
    begin = SignedValue(Context.TRANSACTION_BEGIN, "OCMF|{}|{}", "OCMF", "", "3059", 60.0, 1000.0)
    end = SignedValue(Context.TRANSACTION_END, "OCMF|{1}|{}", "OCMF")
    payload = said(TransactionEnded("t", 1, 2500.0, StopReason.LOCAL, False, signed=(begin, end)))
    signed = [value for value in payload["meterValue"] if "signedMeterValue" in value["sampledValue"][0]]
    assert [value["sampledValue"][0]["value"] for value in signed] == [1000.0, 2500.0]
    first = signed[0]["sampledValue"][0]["signedMeterValue"]
    assert base64.b64decode(first["signedMeterData"]).decode() == "OCMF|{}|{}"
    assert base64.b64decode(first["publicKey"]).decode() == "oca:base16:asn1:3059"
    assert (first["signingMethod"], first["encodingMethod"]) == ("", "OCMF")
    assert signed[1]["sampledValue"][0]["signedMeterValue"]["publicKey"] == ""


def test_what_was_signed_late_follows_no_end():
    late = MeterSigned("t", 1, (SignedValue(Context.TRANSACTION_END, "d", "OCMF"),), False, late=True)
    renderer = Renderer2(Version.V201)
    assert not renderer.numbered(late)
    assert renderer.render(late, UTC, None).action == "MeterValues"
    assert renderer.render(Unplugged("t", 1), UTC, None) is None


def test_2_0_1_says_what_it_has_no_word_for_in_its_nearest_one():
    resumed = TransactionUpdated("t", 1, ChargingState.SUSPENDED_EVSE, False, Trigger.TX_RESUMED)
    assert said(resumed)["triggerReason"] == "ChargingStateChanged"
    assert said(resumed, Version.V21)["triggerReason"] == "TxResumed"
    bound = TransactionUpdated("t", 1, None, False, Trigger.LIMIT_SET, limits=Limits(energy_wh=5000.0))
    assert said(bound, Version.V21)["transactionInfo"]["transactionLimit"] == {"maxEnergy": 5000.0}
    assert "transactionLimit" not in said(bound)["transactionInfo"]


def test_values_outside_of_transactions_leave_out_what_has_no_word():
    """J01.FR.02 to J01.FR.10."""
    values = (SampledValue("Temperature", 31.0, "Celsius"), SampledValue("Frequency", 50.0, ""))
    payload = meter_values(2, UTC, values)
    (sampled,) = payload["meterValue"][0]["sampledValue"]
    assert payload["evseId"] == 2
    assert sampled["unitOfMeasure"] == {"unit": "Hz"}
    assert meter_values(2, UTC, values[:1]) is None
    assert "location" not in sampled
    (whole,) = meter_values(0, UTC, values)["meterValue"][0]["sampledValue"]
    assert whole["location"] == "Inlet"
    assert set(MEASURED) - MEASURANDS == {"Temperature"}
