"""A stand-in for the agent on the real link: it permits every EVSE, renews, and reads what control says.

Run as ``python -m tests.bench.permits LINK EVSES CURRENT_A``.
"""

from __future__ import annotations

import select
import sys
import time
from pathlib import Path

from agent.link.messages import PROTOCOL, Hello, Permit, SetOperative
from agent.link.transport import Channel, LinkClosedError, connect

RENEW_S = 1.0
LEASE_S = 60.0


def main(link: Path, evses: int, current_a: float) -> int:
    serial = 0
    while True:
        channel = _connected(link)
        try:
            channel.send(Hello(PROTOCOL, "bench"))
            for evse in range(1, evses + 1):
                channel.send(SetOperative(evse, True))
            while True:
                for evse in range(1, evses + 1):
                    serial += 1
                    channel.send(Permit(evse, serial, current_a, 3, LEASE_S))
                _drain(channel, time.monotonic() + RENEW_S)
        except LinkClosedError:
            channel.close()


def _connected(link: Path) -> Channel:
    deadline = time.monotonic() + 30.0
    while True:
        try:
            return connect(link)
        except OSError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)


def _drain(channel: Channel, until: float) -> None:
    while (left := until - time.monotonic()) > 0:
        select.select([channel.fileno()], [], [], left)
        while channel.receive() is not None:
            pass


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
