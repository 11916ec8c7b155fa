"""Signed values in OCPP 1.6's words: by the schemas, and as a network that knows OCA's note alone reads them."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ocpp_fakes import T0, FakeStation, ended

from agent.journal.events import Context, Event, MeterSigned, SampledValue, SignedValue
from agent.ocpp.schema import Schemas
from agent.ocpp.v16.configuration import Configuration
from agent.ocpp.v16.live_keys import station_keys
from agent.ocpp.v16.render import Renderer16
from agent.ocpp.v16.signed_values import key_text
from agent.station.commands import SettingAnswer
from agent.station.settings import Settings
from simulators.csms.anomalies import AnomalyKind
from simulators.csms.ledger import Ledger
from simulators.csms.signed import SignedValueError, public_key_of, read, signed_samples, verify
from simulators.meters.register import MeterCore
from simulators.meters.signing import BEGIN, CURVES, END, SigningCore

SCHEMAS = Schemas("v16")
PRINTED = "3056301006072a8648ce3d020106052b8104000a03420004460a02ba"
"""As on a meter's plate; the beginning of the example of 5.3."""


def a_set(curve: str = "secp256r1") -> tuple[str, str]:
    """Return a set that a meter really signed, and its key."""
    meter = SigningCore(MeterCore(5_000), "S1", curve=curve)
    assert meter.write(0x7040, (BEGIN,), 0.0, 1_770_000_000.0)
    assert meter.write(0x7040, (END,), 1.0, 1_770_000_060.0)
    return meter.sets[0], meter.public_key


def say(event: Event, number: int | None = 7) -> dict[str, Any]:
    rendered = Renderer16().render(event, T0, number)
    assert rendered is not None
    assert SCHEMAS.request(rendered.action, rendered.payload) is None
    return rendered.payload


def test_key_text_is_that_of_the_notes_example() -> None:
    text = base64.b64decode(key_text(PRINTED)).decode()
    assert text == f"oca:base16:asn1:{PRINTED}"
    assert public_key_of(key_text(PRINTED)) == PRINTED
    assert key_text("") == ""


def test_begin_and_end_in_the_stop_message() -> None:
    begin = SignedValue(Context.TRANSACTION_BEGIN, "OCMF|{1}|{}", "OCMF", "", "30aa", ago_s=60.0)
    end = SignedValue(Context.TRANSACTION_END, "OCMF|{2}|{}", "OCMF", "ECDSA-secp256r1-SHA256", "")
    plain = SampledValue("Energy.Active.Import.Register", 1500.0, "Wh", context=Context.TRANSACTION_END)
    event = dataclasses.replace(ended("tx"), samples=(plain,), signed=(begin, end))
    first, second, third = say(event)["transactionData"]
    assert first["sampledValue"][0]["value"] == "1500"
    assert (second["timestamp"], third["timestamp"]) == ("2026-09-21T14:12:20.000Z", "2026-09-21T14:13:20.000Z")
    (sample,) = second["sampledValue"]
    assert {name: sample[name] for name in ("format", "context", "measurand")} == {
        "format": "SignedData",
        "context": "Transaction.Begin",
        "measurand": "Energy.Active.Import.Register",
    }
    assert json.loads(sample["value"]) == {
        "signedMeterData": base64.b64encode(b"OCMF|{1}|{}").decode(),
        "signingMethod": "",
        "encodingMethod": "OCMF",
        "publicKey": key_text("30aa"),
    }
    last = json.loads(third["sampledValue"][0]["value"])
    assert (last["signingMethod"], last["publicKey"]) == ("ECDSA-secp256r1-SHA256", "")


def test_between_in_meter_values() -> None:
    value = SignedValue(Context.SAMPLE_PERIODIC, "OCMF|{}|{}", "OCMF")
    payload = say(MeterSigned("tx", 2, (value,), True))
    assert (payload["connectorId"], payload["transactionId"]) == (2, 7)
    assert payload["meterValue"][0]["sampledValue"][0]["context"] == "Sample.Periodic"
    assert say(MeterSigned("tx", 2, (value,), True), None)["transactionId"] == -1


@given(st.text(max_size=3000))
def test_the_set_comes_out_as_it_went_in(data: str) -> None:
    data = data.encode("utf-8", "replace").decode()
    payload = say(MeterSigned("tx", 1, (SignedValue(Context.OTHER, data, "OCMF"),), False))
    value = json.loads(payload["meterValue"][0]["sampledValue"][0]["value"])
    assert base64.b64decode(value["signedMeterData"]).decode() == data


@pytest.mark.parametrize("curve", CURVES)
def test_a_network_verifies_it_and_nothing_else(curve: str) -> None:
    data, key = a_set(curve)
    value = SignedValue(Context.TRANSACTION_END, data, "OCMF", "", key)
    payload = say(dataclasses.replace(ended("tx"), signed=(value,)))
    (sample,) = signed_samples(payload["transactionData"][0])
    got = read(sample)
    assert verify(got["data"], got["method"], got["public_key"])["RD"][0]["TX"] == "B"
    with pytest.raises(SignedValueError, match="does not fit"):
        verify(got["data"].replace('"RV":"5.000"', '"RV":"4.000"', 1), "", key)
    with pytest.raises(SignedValueError):
        verify(got["data"], got["method"], a_set(curve)[1])


@given(at=st.integers(0, 100_000), other=st.sampled_from("0aZ+/="))
@example(at=4015, other="0")
def test_an_altered_character_on_the_way_is_seen(at: int, other: str) -> None:
    data, key = ALTERED
    payload = say(
        dataclasses.replace(ended("tx"), signed=(SignedValue(Context.TRANSACTION_END, data, "OCMF", "", key),))
    )
    sample = payload["transactionData"][0]["sampledValue"][0]
    value = json.loads(sample["value"])
    text = value["signedMeterData"]
    place = at % (len(text) - 8)
    if text[place] == other:
        return
    value["signedMeterData"] = text[:place] + other + text[place + 1 :]
    sample["value"] = json.dumps(value)
    books = Ledger()
    start = {"connectorId": 1, "idTag": "A", "timestamp": "2026-09-21T14:00:00Z", "meterStart": 0}
    number, _ = books.start("CP", start, "Accepted", "now")
    findings = books.stop("CP", {**payload, "transactionId": number}, "now")
    kinds = {finding.kind for finding in findings}
    if AnomalyKind.SIGNED_VALUE_INVALID not in kinds:
        # Only what is beside the signed text may differ, as a capital among the signature's hexadecimal digits.
        got = base64.b64decode(value["signedMeterData"]).decode()
        assert got.split("|")[1] == data.split("|")[1]


ALTERED = a_set()


def test_a_key_once_per_transaction_serves_all_its_values() -> None:
    data, key = a_set()
    books = Ledger()
    start = {"connectorId": 1, "idTag": "A", "timestamp": "2026-09-21T14:00:00Z", "meterStart": 0}
    number, _ = books.start("CP", start, "Accepted", "now")
    with_key, without = (SignedValue(Context.SAMPLE_PERIODIC, data, "OCMF", "", each) for each in (key, ""))
    for value in (with_key, without):
        payload = say(MeterSigned("tx", 1, (value,), False), number)
        payload["meterValue"][0]["timestamp"] += value.public_key[:1]  # no repeat
        assert books.meter_values("CP", payload, "now") == []
    (transaction,) = books.as_json()["transactions"]
    assert [value["verified"] for value in transaction["signed_values"]] == [True, True]


def test_public_keys_are_read_only_keys_of_the_configuration() -> None:
    settings, station = Settings(), FakeStation(public_keys={1: PRINTED})
    configuration = Configuration(settings, 2, False, station_keys(settings, station, (2, 1)))  # type: ignore[arg-type]
    found, unknown = configuration.get(["MeterPublicKey1", "meterpublickey2", "MeterPublicKey3"])
    assert found == [
        {"key": "MeterPublicKey1", "readonly": True, "value": key_text(PRINTED)},
        {"key": "MeterPublicKey2", "readonly": True, "value": ""},
    ]
    assert unknown == ["MeterPublicKey3"]
    key = configuration.find("MeterPublicKey1")
    assert key is not None
    assert configuration.objection(key, "x") == "MeterPublicKey1 is read-only"
    assert key.live is not None
    assert key.live.change("x") is SettingAnswer.REJECTED
    assert len(key_text("30" * 120)) <= 500  # a key of 384 bit fits a value of the configuration
