"""The configuration keys that are no settings but belong to the station."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from agent.ocpp.ports import StationPort
from agent.ocpp.v16.configuration import LiveKey
from agent.ocpp.v16.pricing import text_keys
from agent.ocpp.v16.signed_values import public_key_keys
from agent.station.settings import Settings


def station_keys(settings: Settings, station: StationPort, evses: Collection[int]) -> Sequence[LiveKey]:
    """Return the price texts in each language, and each meter's public key."""
    return [*text_keys(settings, station), *public_key_keys(evses, station.meter_public_key)]
