"""The blocks that need keys, certificates and the ways to a network, where there is a place for them."""

from __future__ import annotations

from agent.ocpp.v2.block import Block, Talk
from agent.ocpp.v2.certificates import Certificates2
from agent.ocpp.v2.network_profiles import NetworkProfiles2
from agent.ocpp.v2.security import Security2


def security_blocks(talk: Talk) -> list[Block]:
    around = talk.around.security
    if around is None:
        return []
    return [Security2(talk, around), Certificates2(talk, around), NetworkProfiles2(talk, around)]
