"""The functional blocks of OCPP 2 that this charging station has, in the order in which they are asked for messages."""

from __future__ import annotations

from agent.ocpp.v2.authorisation import Authorisation2
from agent.ocpp.v2.availability import Availability2
from agent.ocpp.v2.block import Block, Talk
from agent.ocpp.v2.data_transfer import DataTransfer2
from agent.ocpp.v2.device_blocks import device_blocks
from agent.ocpp.v2.display import Display2
from agent.ocpp.v2.file_blocks import file_blocks
from agent.ocpp.v2.local_cost import local_cost_blocks
from agent.ocpp.v2.local_list import LocalList2
from agent.ocpp.v2.remote import Remote2
from agent.ocpp.v2.reservation import Reservation2
from agent.ocpp.v2.reset import Reset2
from agent.ocpp.v2.security_blocks import security_blocks
from agent.ocpp.v2.smart_charging import SmartCharging2
from agent.ocpp.v2.tariff import Tariff2
from agent.ocpp.v2.transactions import Transactions2
from agent.ocpp.v2.trigger import Trigger2


def blocks(talk: Talk) -> list[Block]:
    """Make them. A block may see the others' triggers in ``talk.triggers``, not the others."""
    return [
        *security_blocks(talk),
        *file_blocks(talk),
        *device_blocks(talk),
        Authorisation2(talk),
        LocalList2(talk),
        Remote2(talk),
        Availability2(talk),
        Reservation2(talk),
        DataTransfer2(talk),
        Reset2(talk),
        SmartCharging2(talk),
        Tariff2(talk),
        *local_cost_blocks(talk),
        Display2(talk),
        Transactions2(talk),
        Trigger2(talk),
    ]
