"""Requests about files, valid by their schemas and odd in all else: answered, or refused in good order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config.schema import TRANSFER_PROTOCOLS, Files
from agent.files.address import AddressError, parse
from agent.files.notices import About, Notice
from agent.files.uploads import UploadAnswer, UploadOrder, UploadStatus
from agent.ocpp.refusal import RequestRefusedError
from agent.ocpp.schema import Schemas
from agent.ocpp.v16 import diagnostics, firmware, logs
from agent.update.order import FirmwareStatus, Order, OrderAnswer
from agent.update.service import PLAIN_STATUSES
from agent.update.verify import Verdict

SCHEMAS = Schemas("v16")


class Fake:
    """Stands for updates and uploads; takes every order and remembers it."""

    can_install = takes_unsigned = True
    signed = False
    status = FirmwareStatus.IDLE
    request = None

    def __init__(self) -> None:
        self.orders: list[Order | UploadOrder] = []
        self.verdict = Verdict.GOOD

    def address_problem(self, location: str) -> str:
        try:
            parse(location, TRANSFER_PROTOCOLS)
        except AddressError as error:
            return str(error)
        return ""

    def defaults(self) -> tuple[int, float]:
        return 3, 60.0

    async def certificate_verdict(self, certificate: str) -> Verdict:
        return self.verdict

    def order(self, order: Order | UploadOrder) -> Any:
        self.orders.append(order)
        return OrderAnswer.ACCEPTED if isinstance(order, Order) else UploadAnswer("name.tar.gz")


def ask(fake: Fake, action: str, payload: dict[str, Any]) -> dict[str, Any] | str:
    """Return the answer's payload, or the code of the refusal."""
    assert SCHEMAS.request(action, payload) is None
    parts: Any = fake
    table = {
        **firmware.Firmware16(parts, lambda _text: None).by_action,
        **diagnostics.Diagnostics16(parts).by_action,
        **logs.Logs16(parts, lambda _text: None).by_action,
    }
    try:
        reply: Any = table[action](payload)
        answer = reply if isinstance(reply, dict) else asyncio.run(reply)
    except RequestRefusedError as refused:
        return refused.code
    assert SCHEMAS.response(action, answer) is None, answer
    return answer


TEXTS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "ftp://u:p@h/x",
            "https://h/x",
            "HTTP://h",
            "file:///x",
            "http://[::1/",
            "ftp://h/%0d%0a",
            "2026-01-01T00:00:00Z",
        ]
    ),
)
TIMES = st.one_of(
    TEXTS,
    st.datetimes().map(lambda at: at.isoformat() + "Z"),
    st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-13-01T00:00:00Z", "now", ""]),
)
WHOLE = st.integers(1 - 2**63, 2**63 - 1)
COMMON = {"retries": WHOLE, "retryInterval": WHOLE}

REQUESTS = st.one_of(
    st.tuples(
        st.just("UpdateFirmware"),
        st.fixed_dictionaries({"location": TEXTS, "retrieveDate": TIMES}, optional=COMMON),
    ),
    st.tuples(
        st.just("GetDiagnostics"),
        st.fixed_dictionaries({"location": TEXTS}, optional={**COMMON, "startTime": TIMES, "stopTime": TIMES}),
    ),
    st.tuples(
        st.just("GetLog"),
        st.fixed_dictionaries(
            {
                "logType": st.sampled_from(["DiagnosticsLog", "SecurityLog"]),
                "requestId": WHOLE,
                "log": st.fixed_dictionaries(
                    {"remoteLocation": TEXTS}, optional={"oldestTimestamp": TIMES, "latestTimestamp": TIMES}
                ),
            },
            optional=COMMON,
        ),
    ),
    st.tuples(
        st.just("SignedUpdateFirmware"),
        st.fixed_dictionaries(
            {
                "requestId": WHOLE,
                "firmware": st.fixed_dictionaries(
                    {"location": TEXTS, "retrieveDateTime": TIMES, "signingCertificate": TEXTS, "signature": TEXTS},
                    optional={"installDateTime": TIMES},
                ),
            },
            optional=COMMON,
        ),
    ),
)


@settings(max_examples=600, deadline=None)
@given(request=REQUESTS)
def test_odd_requests_are_answered_or_refused(request: tuple[str, dict[str, Any]]) -> None:
    fake = Fake()
    answer = ask(fake, *request)
    if isinstance(answer, str):
        assert answer == "PropertyConstraintViolation"
        assert fake.orders == []
    for order in fake.orders:
        assert parse(order.location, TRANSFER_PROTOCOLS).scheme in TRANSFER_PROTOCOLS


def test_an_order_carries_what_was_asked() -> None:
    fake = Fake()
    payload = {"location": "ftp://h/f", "retrieveDate": "2026-01-01T00:00:00Z", "retries": 2, "retryInterval": 5}
    assert ask(fake, "UpdateFirmware", payload) == {}
    assert fake.orders == [Order("ftp://h/f", 1_767_225_600.0, None, 2, 5.0)]
    del payload["retries"], payload["retryInterval"]
    ask(fake, "UpdateFirmware", payload)
    assert fake.orders[1] == Order("ftp://h/f", 1_767_225_600.0, None, 3, 60.0)


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict.GOOD, "Accepted"),
        (Verdict.INVALID_CERTIFICATE, "InvalidCertificate"),
        (Verdict.REVOKED_CERTIFICATE, "RevokedCertificate"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_told(verdict: Verdict, status: str) -> None:
    fake = Fake()
    fake.verdict = verdict
    order = {"location": "ftp://h/f", "retrieveDateTime": "2026-01-01T00:00:00Z"}
    payload = {"requestId": 1, "firmware": {**order, "signingCertificate": "PEM", "signature": "AA"}}
    assert ask(fake, "SignedUpdateFirmware", payload) == {"status": status}
    assert len(fake.orders) == (1 if verdict is Verdict.GOOD else 0)


def test_every_status_has_a_message_that_its_schema_allows() -> None:
    messages = [firmware.message(Notice("1", About.FIRMWARE, one.value, 7)) for one in FirmwareStatus]
    plain = PLAIN_STATUSES - {FirmwareStatus.INSTALL_VERIFICATION_FAILED}
    messages += [firmware.message(Notice("1", About.FIRMWARE, one.value, None)) for one in plain]
    called_off = UploadStatus.CALLED_OFF.value
    assert diagnostics.message(Notice("1", About.DIAGNOSTICS, called_off, None)) is None
    assert logs.message(Notice("1", About.LOG, called_off, 7)) is None
    for status in set(UploadStatus) - {UploadStatus.CALLED_OFF}:
        messages += [diagnostics.message(Notice("1", About.DIAGNOSTICS, status.value, None))]
        messages += [logs.message(Notice("1", About.LOG, status.value, number)) for number in (None, 7)]
    for message in messages:
        assert message is not None
        action, payload = message
        assert SCHEMAS.request(action, payload) is None, (action, payload)
    assert len({str(one) for one in messages}) == 14 + 6 + 4 + 14


def test_an_unsigned_file_is_refused_where_only_signed_ones_are_taken() -> None:
    fake = Fake()
    fake.takes_unsigned = False
    payload = {"location": "ftp://h/f", "retrieveDate": "2026-01-01T00:00:00Z"}
    assert ask(fake, "UpdateFirmware", payload) == "SecurityError"
    rule = Files.__dataclass_fields__["protocols"].metadata["rule"]
    assert "choose from https" in rule.check(("sftp",))
    assert rule.check(("ftp", "https")) == ""
