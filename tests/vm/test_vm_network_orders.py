"""What the power cuts' operator orders fits the schema of each version, and its answers are understood."""

from __future__ import annotations

import pytest

from agent.ocpp.schema import Schemas
from tests.vm import network_orders


@pytest.mark.parametrize("old", [True, False])
def test_requests_fit_the_schema(old: bool) -> None:
    schemas = Schemas("v16" if old else "v201")
    wishes = [
        network_orders.setting(old, 1001),
        network_orders.local_list(old, 1),
        network_orders.profile(old, 17.0),
    ]
    if not old:
        wishes += [network_orders.monitor(None, 50_001.0), network_orders.monitor(10_000, 50_002.0)]
    for wish in wishes:
        assert schemas.request(wish.action, wish.payload) is None, wish


def test_a_refusal_is_seen_wherever_it_stands() -> None:
    for good, bad in (
        ({"status": "Accepted"}, {"status": "Rejected"}),
        ({"setVariableResult": [{"attributeStatus": "Accepted"}]}, {"setVariableResult": [{"attributeStatus": "x"}]}),
        ({"setMonitoringResult": [{"status": "Accepted"}]}, {"setMonitoringResult": [{"status": "Duplicate"}]}),
    ):
        assert network_orders.accepted(good)
        assert not network_orders.accepted(bad)
    assert network_orders.number_given({"setMonitoringResult": [{"status": "Accepted", "id": 10_000}]}) == 10_000
