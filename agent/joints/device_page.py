"""Prints ``docs/device-model.md``: the device model of an example charge point, from the code itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from agent.clock import Moment
from agent.config.schema import Config, Evse, Installation, Ocpp, Paths, Station
from agent.device_model.declaration import Look
from agent.device_model.device import Device, assemble
from agent.device_model.reference import page
from agent.joints.device_variables import of_security
from agent.joints.network_variables import of_networks
from agent.ocpp.networks import Networks
from agent.station.commands import SettingAnswer
from agent.station.settings import Settings
from agent.station.station import Station as TheStation

NOWHERE = Path("/nowhere")


def example() -> Device:
    """One socket with everything that there is a variable for."""
    config = Config(
        station=Station("Maker", "Model", "1", iccid="1", imsi="1"),
        installation=Installation(max_current_a=32.0, grid_meter="meter"),
        devices={},
        evses=(Evse(1, "board", meter="meter", reader="reader"),),
        ocpp=Ocpp(url="wss://network.example", identity="1"),
        paths=Paths(state_dir=NOWHERE, runtime_dir=NOWHERE),
    )
    moment = Moment(0.0, 0.0, True, "boot")
    settings = Settings()
    station = TheStation(config, settings, {}, moment)
    networks = Networks(config, None)
    others = (
        *of_security(networks, lambda: 0, lambda _event, _text: None),
        *of_networks(networks, lambda: False, lambda: False, lambda _event, _text: None),
    )

    def nothing(*_: Any) -> None:
        """An example keeps nothing."""

    return assemble(
        Look(station.facts, lambda: moment),
        settings,
        lambda _name, _text: SettingAnswer.REJECTED,
        others,
        {},
        nothing,
        nothing,
    )


def text() -> str:
    """Return the whole page."""
    device = example()
    return page(device.model, device.monitoring.book.watched())


if __name__ == "__main__":
    sys.stdout.write(text())
