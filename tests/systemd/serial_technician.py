"""Run on the machine: a technician at a serial port. Holds the far end of a pty, starts the console's unit on the near
one, logs in and prints what the port said. ``serial_technician.py PORT``: the name below /dev to give it.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

PATIENCE_S = 60.0
AGAIN_S = 20.0
"""Enter is pressed so seldom, until somebody answers."""
PIN = "417263"
WALK = (
    ("New PIN:", PIN),
    ("Again:", PIN),
    ("name:", "Ines"),
    ("PIN:", PIN),
    (r"service> ", "status"),
    (r"Available.*service> ", "exit"),
)


def main() -> int:
    far, near = os.openpty()
    node = Path("/dev") / sys.argv[1]
    node.unlink(missing_ok=True)
    node.symlink_to(os.ttyname(near))
    Path(os.ttyname(near)).chmod(0o660)
    subprocess.run(["chgrp", "dialout", os.ttyname(near)], check=True)  # as udev gives a serial line
    subprocess.run(["systemctl", "enable", "--now", f"evse-console@{sys.argv[1]}.service"], check=True)
    said = ""
    for number, (words, answer) in enumerate(WALK):
        said = hear(far, words, said, knock=number == 0)
        os.write(far, answer.encode() + b"\r")
    return 0


def hear(port: int, words: str, rest: str, knock: bool) -> str:
    """Listen until the words came; return what came after them. ``knock``: press Enter until somebody speaks."""
    deadline = time.monotonic() + PATIENCE_S
    knocked_at = float("-inf")
    while (found := re.search(words, rest, re.DOTALL)) is None:
        now = time.monotonic()
        if now > deadline:
            raise SystemExit(f"no {words!r}; what came instead: {rest!r}")
        listens = not termios.tcgetattr(port)[3] & termios.ICANON  # until then an Enter would only be echoed
        if knock and listens and now - knocked_at > AGAIN_S:
            knocked_at = now
            os.write(port, b"\r")
        if select.select([port], [], [], 0.2)[0]:
            fresh = os.read(port, 65_536).decode("utf-8", "replace")
            sys.stdout.write(fresh)
            rest += fresh
    return rest[found.end() :]


if __name__ == "__main__":
    sys.exit(main())
