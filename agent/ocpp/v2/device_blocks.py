"""The blocks that speak of the device model, where there is one."""

from __future__ import annotations

from agent.ocpp.v2.block import Block, Talk
from agent.ocpp.v2.monitoring import Monitoring2
from agent.ocpp.v2.reports import Reports2
from agent.ocpp.v2.streams import Streams2
from agent.ocpp.v2.variables import Variables2
from agent.ocpp.v2.version import Version


def device_blocks(talk: Talk) -> list[Block]:
    if talk.around.device is None:
        return []
    device = talk.around.device()
    made: list[Block] = [Variables2(talk, device), Reports2(talk, device), Monitoring2(talk, device)]
    if talk.version is Version.V21:
        made.append(Streams2(talk, device))
    return made
