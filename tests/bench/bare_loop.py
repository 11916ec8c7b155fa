"""What a loop costs that does nothing: a 10 ms tick and a select on one pty, in a process of its own.

Answers whatever arrives with a frame that forbids power, and keeps how late each tick came. It runs beside control,
under the same load and at the same priority, so that control's figures have something to be compared with.

Run as ``python -m tests.bench.bare_loop pty|pipe PORT PRIORITY``. Ends with SIGTERM, then prints its lateness as
JSON. With ``pipe`` the line is a pair of named pipes: the difference is the kernel's tty layer, whose worker runs at
normal priority and stands in the way of a real serial line as well.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import time

from hal.drivers.mcu_board.messages import AllowPowerOn, Variant
from hal.drivers.mcu_board.wire import encode_to_board, frame

from .machine import take_priority

TICK_S = 0.01


def main(kind: str, port: str, priority: int) -> int:
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK
    fd = os.open(port if kind == "pty" else f"{port}.in", flags)
    answer_fd = fd if kind == "pty" else os.open(f"{port}.out", flags)
    answer = frame(encode_to_board(Variant.YETI, AllowPowerOn(False)))
    take_priority(priority)
    gc.collect()
    gc.freeze()
    os.write(answer_fd, answer)
    late_ns: list[int] = []
    due = time.monotonic() + TICK_S
    while not ended:
        readable, _, _ = select.select([fd], [], [], max(0.0, due - time.monotonic()))
        if readable and os.read(fd, 4096):
            os.write(answer_fd, answer)
        now = time.monotonic()
        if now >= due:
            late_ns.append(int((now - due) * 1e9))
            due = max(due + TICK_S, now)
    sys.stdout.write(json.dumps({"late_ns": late_ns}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
