"""Records in OCPP 1.6's words, each checked by the standard's own schema and by ocpp's dataclasses."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp.v16 import enums
from ocpp_fakes import END_SAMPLE, T0, config, ended, sampled, started

from agent.journal.events import (
    ChargingState,
    Context,
    Event,
    MeterSampled,
    SampledValue,
    StopReason,
    TransactionUpdated,
)
from agent.ocpp.delivery import Rendered
from agent.ocpp.schema import Schemas
from agent.ocpp.times import read_time, time_text
from agent.ocpp.v16 import render
from agent.ocpp.v16.boot import boot_notification
from agent.ocpp.v16.render import Renderer16, status_notification, whole_wh
from agent.ocpp.v16.tokens import carries, id_tag, token_info
from agent.station.commands import ConnectorStatus, StatusReport
from agent.station.settings import MEASURANDS
from agent.station.tokens import TokenInfo, TokenStatus

SCHEMAS = Schemas("v16")


def say(event: Event, number: int | None = 7) -> Rendered:
    rendered = Renderer16().render(event, T0 + 0.25, number)
    assert rendered is not None
    assert SCHEMAS.request(rendered.action, rendered.payload) is None
    return rendered


def test_start() -> None:
    assert say(started("tx", reservation=5)) == Rendered(
        "StartTransaction",
        {
            "connectorId": 1,
            "idTag": "04A1B2C3",
            "meterStart": 1000,
            "timestamp": "2026-09-21T14:13:20.250Z",
            "reservationId": 5,
        },
    )


def test_samples() -> None:
    values = (
        SampledValue("Energy.Active.Import.Register", 1500.5, "Wh"),
        SampledValue("Current.Import", 15.98765, "A", "L1", Context.SAMPLE_CLOCK),
        SampledValue("Voltage", 230.0, "V", "L1-N"),
        SampledValue("Power.Factor", -0.0001, ""),
        SampledValue("Temperature", float("nan"), "Celsius"),
        SampledValue("Moonlight", 1.0, "lux"),
    )
    payload = say(sampled("tx", *values)).payload
    assert payload["transactionId"] == 7
    assert payload["meterValue"] == [
        {
            "timestamp": "2026-09-21T14:13:20.250Z",
            "sampledValue": [
                {
                    "value": "1501",
                    "context": "Sample.Periodic",
                    "measurand": "Energy.Active.Import.Register",
                    "unit": "Wh",
                },
                {
                    "value": "15.988",
                    "context": "Sample.Clock",
                    "measurand": "Current.Import",
                    "unit": "A",
                    "phase": "L1",
                },
                {
                    "value": "230",
                    "context": "Sample.Periodic",
                    "measurand": "Voltage",
                    "unit": "V",
                    "phase": "L1-N",
                },
                {"value": "0", "context": "Sample.Periodic", "measurand": "Power.Factor"},
            ],
        }
    ]


def test_stop() -> None:
    rendered = say(ended("tx", token="04FF", reason=StopReason.SCHEDULED_RESET, samples=(END_SAMPLE,)))
    assert rendered.action == "StopTransaction"
    assert rendered.payload["transactionId"] == 7
    assert rendered.payload["reason"] == "SoftReset"
    assert rendered.payload["idTag"] == "04FF"
    assert rendered.payload["transactionData"][0]["sampledValue"][0]["context"] == "Transaction.End"
    plain = say(ended("tx"), None).payload
    assert plain["transactionId"] == -1
    assert plain.keys() == {"meterStop", "timestamp", "transactionId", "reason"}


@pytest.mark.parametrize("unit", sorted({unit.value for unit in enums.UnitOfMeasure} | {"Hz"}))
def test_every_unit_passes_both_schemas_that_carry_samples(unit: str) -> None:
    value = SampledValue("Frequency", 50.0, unit)
    say(sampled("tx", value))
    say(ended("tx", samples=(value,)))


def test_what_has_no_message() -> None:
    state = TransactionUpdated("tx", 1, ChargingState.CHARGING, offline=False)
    assert Renderer16().render(state, T0, 7) is None
    assert Renderer16().render(MeterSampled("tx", 1, (), offline=False), T0, 7) is None


@pytest.mark.parametrize("reason", StopReason)
def test_every_reason_has_a_word(reason: StopReason) -> None:
    say(ended("tx", reason=reason))


def test_the_words_are_the_standards() -> None:
    assert {unit.value for unit in enums.UnitOfMeasure} - {"Hertz"} <= render.UNITS
    assert {phase.value for phase in enums.Phase} == render.PHASES
    assert {measurand.value for measurand in enums.Measurand} == render.MEASURANDS
    assert {code.value for code in enums.ChargePointErrorCode} == render.ERROR_CODES
    assert set(render.STOP_REASONS.values()) <= {reason.value for reason in enums.Reason}
    assert {status.value for status in ConnectorStatus} == {status.value for status in enums.ChargePointStatus}
    assert {status.value for status in TokenStatus} == {status.value for status in enums.AuthorizationStatus}
    assert {context.value for context in Context} == {context.value for context in enums.ReadingContext}
    assert set(MEASURANDS) <= render.MEASURANDS


finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)


@given(finite, finite)
def test_rounding_never_puts_a_sample_above_the_stop(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert whole_wh(low) <= whole_wh(high)
    assert abs(whole_wh(one) - one) <= 0.5


samples = st.builds(
    SampledValue,
    st.sampled_from(sorted(render.MEASURANDS)) | st.text(max_size=5),
    st.floats(),
    st.sampled_from(sorted(render.UNITS)) | st.text(max_size=3),
    st.sampled_from(sorted(render.PHASES)) | st.text(max_size=3),
    st.sampled_from(Context),
)


@given(
    st.one_of(
        st.builds(started, st.just("tx"), st.text(max_size=40), meter_wh=finite),
        st.lists(samples, max_size=5).map(lambda values: MeterSampled("tx", 2, tuple(values), offline=True)),
        st.builds(
            ended,
            st.just("tx"),
            token=st.text(max_size=40),
            meter_wh=finite,
            samples=st.lists(samples, max_size=3).map(tuple),
        ),
    ),
    st.floats(0, 4e9),
    st.none() | st.integers(-1, 2**31),
)
def test_whatever_happened_is_said_in_valid_words(event: Event, utc_s: float, number: int | None) -> None:
    rendered = Renderer16().render(event, utc_s, number)
    if rendered is not None:
        assert SCHEMAS.request(rendered.action, rendered.payload) is None


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (
            StatusReport(1, ConnectorStatus.FAULTED, "GroundFailure", "i" * 60, "v" * 60, T0),
            {
                "connectorId": 1,
                "status": "Faulted",
                "errorCode": "GroundFailure",
                "info": "i" * 50,
                "vendorErrorCode": "v" * 50,
                "vendorId": "Maker",
                "timestamp": "2026-09-21T14:13:20.000Z",
            },
        ),
        (
            StatusReport(0, ConnectorStatus.CHARGING, "Gremlins", "", "", T0),
            {
                "connectorId": 0,
                "status": "Available",
                "errorCode": "OtherError",
                "timestamp": "2026-09-21T14:13:20.000Z",
            },
        ),
    ],
)
def test_statuses(report: StatusReport, expected: dict[str, Any]) -> None:
    payload = status_notification(report, "Maker")
    assert payload == expected
    assert SCHEMAS.request("StatusNotification", payload) is None


def test_boot() -> None:
    payload = boot_notification(config().station, "v" * 60)
    assert SCHEMAS.request("BootNotification", payload) is None
    assert payload == {
        "chargePointVendor": "Vendor",
        "chargePointModel": "Model",
        "chargePointSerialNumber": "SN-1",
        "firmwareVersion": "v" * 50,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-09-21T14:13:20Z", T0),
        ("2026-09-21T14:13:20.5Z", T0 + 0.5),
        ("2026-09-21T14:13:20.1234567Z", T0 + 0.123456),
        ("2026-09-21T16:13:20+02:00", T0),
        ("2026-09-21T14:13:20", T0),
        ("2026-09-21", 1789948800.0),
        ("yesterday", None),
        ("", None),
        ("2026-13-01T00:00:00Z", None),
        ("9" * 100, None),
        (None, None),
        (7, None),
    ],
)
def test_times_of_the_network(text: Any, expected: float | None) -> None:
    found = read_time(text)
    assert found is None if expected is None else math.isclose(found or 0, expected, abs_tol=1e-3)


@given(st.floats(0, 4e9))
def test_times_survive_the_round_trip(utc_s: float) -> None:
    assert read_time(time_text(utc_s)) == pytest.approx(utc_s, abs=0.0011)


def test_identifiers() -> None:
    assert id_tag("04A1B2C3D4E5F6") == "04A1B2C3D4E5F6"
    assert id_tag("x" * 30) == "x" * 20
    assert id_tag("é\n\x00") == "???"
    assert carries("A b")
    assert not carries("")
    assert not carries("x" * 21)
    assert not carries("ü")


def test_what_the_network_says_of_tokens() -> None:
    assert token_info({"status": "Accepted"}) == TokenInfo(TokenStatus.ACCEPTED)
    full = {"status": "Blocked", "parentIdTag": "P", "expiryDate": "2026-09-21T14:13:20Z"}
    assert token_info(full) == TokenInfo(TokenStatus.BLOCKED, "P", T0)
    assert token_info({"status": "Accepted", "parentIdTag": 7, "expiryDate": "soon"}) == TokenInfo(TokenStatus.ACCEPTED)
    for nothing in (None, [], {}, {"status": "Maybe"}, {"status": []}, "Accepted"):
        assert token_info(nothing) is None


def test_values_collected_on_the_way_keep_the_time_they_were_taken() -> None:
    taken = [
        SampledValue("Energy.Active.Import.Register", 1000.0 + each, "Wh", context=context, ago_s=ago_s)
        for each, (context, ago_s) in enumerate(
            [(Context.TRANSACTION_BEGIN, 120.0), (Context.SAMPLE_PERIODIC, 60.0), (Context.TRANSACTION_END, 0.0)]
        )
    ]
    power = SampledValue("Power.Active.Import", 7000.0, "W", ago_s=60.0)
    said = Renderer16().render(ended("tx", samples=(*taken, power)), T0, 7)
    assert said is not None
    data = said.payload["transactionData"]
    assert [one["timestamp"] for one in data] == [time_text(T0 - 120), time_text(T0 - 60), time_text(T0)]
    assert [len(one["sampledValue"]) for one in data] == [1, 2, 1]
    assert SCHEMAS.request(said.action, said.payload) is None


def test_an_end_knows_a_unit_less_than_meter_values() -> None:
    frequency = SampledValue("Frequency", 50.0, "Hertz")
    said = Renderer16().render(ended("tx", samples=(frequency,)), 0.0, 7)
    assert said is not None
    assert SCHEMAS.request(said.action, said.payload) is None
    assert said.payload["transactionData"][0]["sampledValue"][0]["value"] == "50"
