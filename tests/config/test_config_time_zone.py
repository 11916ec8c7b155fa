"""``station.time_zone``: a name that this machine knows, or nothing."""

from __future__ import annotations

import dataclasses

import pytest

from agent.config.schema import Station

(CHECK,) = (field.metadata["rule"].check for field in dataclasses.fields(Station) if field.name == "time_zone")


@pytest.mark.parametrize("name", ["", "UTC", "Europe/Berlin", "America/Los_Angeles"])
def test_a_zone_that_is_known(name: str) -> None:
    assert CHECK(name) == ""


@pytest.mark.parametrize(
    "name", ["Berlin", "Europe", "../../etc/passwd", "/etc/localtime", "+01:00", "Europe/Berlin\x00"]
)
def test_a_zone_that_is_none_is_explained(name: str) -> None:
    assert "Europe/Berlin" in CHECK(name)
