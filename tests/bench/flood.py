"""Bytes without end into one end of a pty, as fast as the other end takes them.

Run as ``python -m tests.bench.flood LINK flood|silence``: LINK becomes the name of the end to be flooded. It waits
until a program has made that end raw, floods it (or says nothing) until SIGTERM, and reads whatever comes back, so
that the program is never held up by what it writes. One JSON line when the pty is there, one when the program listens,
one at the end.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

PIECE = random.Random(1).randbytes(4096)
"""Every byte value: text, Enter, interrupts, half escape sequences, broken UTF-8."""
LISTEN_POLL_S = 0.02
WAKE_MS = 100
LOCAL_MODES = 3
"""Their place in what ``tcgetattr`` returns."""


class Line:
    """A pty as it comes from the kernel: whole lines, with an echo, until a program makes it raw."""

    def __init__(self, link: Path) -> None:
        self.master, self._slave = os.openpty()
        os.set_blocking(self.master, False)
        link.symlink_to(os.ttyname(self._slave))

    @property
    def listened_to(self) -> bool:
        return not termios.tcgetattr(self._slave)[LOCAL_MODES] & termios.ICANON

    def play(self, piece: bytes, going_on: Callable[[], bool]) -> tuple[int, int]:
        """Write ``piece`` over and over while ``going_on`` (nothing if empty). Return the bytes taken and heard."""
        poll = select.poll()
        poll.register(self.master, select.POLLIN | (select.POLLOUT if piece else 0))
        taken = heard = 0
        while going_on():
            events = dict(poll.poll(WAKE_MS)).get(self.master, 0)
            with suppress(BlockingIOError):
                if events & select.POLLIN:
                    heard += len(os.read(self.master, 65_536))
                if events & select.POLLOUT:
                    taken += os.write(self.master, piece)
        return taken, heard

    def close(self) -> None:
        os.close(self.master)
        os.close(self._slave)


def main(link: Path, piece: bytes) -> int:
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    line = Line(link)
    _say({"ready": True})
    while not ended and not line.listened_to:
        time.sleep(LISTEN_POLL_S)
    _say({"listening": True})
    began = time.monotonic()
    taken, heard = line.play(piece, lambda: not ended)
    line.close()
    _say({"taken": taken, "heard": heard, "seconds": time.monotonic() - began})
    return 0


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), PIECE if sys.argv[2] == "flood" else b""))
