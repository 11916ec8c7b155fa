"""The blocks about firmware, logs and what is stored of drivers; and what the network is told of files."""

from __future__ import annotations

from agent.files.notices import About
from agent.ocpp.file_notices import FileNotices
from agent.ocpp.session import FileSurroundings
from agent.ocpp.v2 import firmware, logs
from agent.ocpp.v2.block import Block, Talk
from agent.ocpp.v2.customer import Customer2
from agent.ocpp.v2.firmware import Firmware2
from agent.ocpp.v2.logs import Logs2


class Notices2(Block):
    """Statuses of updates and uploads, in the order in which they came about."""

    def __init__(self, talk: Talk, around: FileSurroundings) -> None:
        super().__init__(talk)
        messages = {
            About.FIRMWARE: firmware.message,
            About.LOG: logs.message,
            # Of 1.6's GetDiagnostics, which bears no number: nothing here asks for it.
            About.DIAGNOSTICS: lambda _notice: None,
        }
        self._part = FileNotices(around.notices, talk.call, messages)

    def offer(self, now: float) -> bool:
        return self._part.offer(now)

    def next_wake(self) -> float | None:
        return self._part.next_wake()


def file_blocks(talk: Talk) -> list[Block]:
    around, security = talk.around.files, talk.around.security
    if around is None or security is None:
        return []
    customer = Customer2(talk, around.customers, security.clock)
    return [Notices2(talk, around), Firmware2(talk, around), Logs2(talk, around), customer]
