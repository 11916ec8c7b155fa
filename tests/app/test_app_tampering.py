"""Somebody opens the charge point: the security log says so, and the network is to be told."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.app import App
from agent.config.schema import Config, Evse, Installation, Paths, Station
from agent.link.messages import FaultCode, FaultReport
from agent.station.effects import Tampered


def test_tampering_is_a_security_event(tmp_path: Path) -> None:
    config = Config(
        station=Station("V", "M", "S"),
        installation=Installation(max_current_a=32.0),
        devices={},
        evses=(Evse(1, "board"),),
        paths=Paths(state_dir=tmp_path, runtime_dir=tmp_path),
    )

    async def play() -> None:
        app = App(config)
        try:
            app._from_control(FaultReport(1, FaultCode.TILT, True, 1.0, True, "it lies on its side", "look"))
            app.carry_out([Tampered("a second time")])
        finally:
            app._journal.close()

    asyncio.run(play())
    lines = (tmp_path / "security" / "security.log").read_text(encoding="utf-8").splitlines()
    assert ["TamperDetectionActivated" in line for line in lines] == [True, True]
    assert "EVSE 1: it lies on its side" in lines[0]
