"""Run inside a unit's sandbox: tries what must be possible and what must not be, and prints what happened as JSON."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000
AF_CAN = 29
ADDR_NO_RANDOMIZE = 0x0040000
PTRACE_TRACEME = 0


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return type(error).__name__ if error.errno is None else os.strerror(error.errno)
    return "done"


def write(path: str) -> str:
    def attempt() -> None:
        Path(path).write_text("x", "ascii")
        Path(path).unlink()  # the next to try must not find it

    return outcome(attempt)


def read(path: str) -> str:
    return outcome(lambda: Path(path).read_bytes())


def sock(family: int, kind: int = socket.SOCK_STREAM) -> str:
    return outcome(lambda: socket.socket(family, kind).close())


def connect(path: str, kind: int) -> str:
    def attempt() -> None:
        with socket.socket(socket.AF_UNIX, kind) as client:
            client.connect(path)

    return outcome(attempt)


def call(name: str, *arguments: int | bytes | None) -> str:
    libc = ctypes.CDLL(None, use_errno=True)

    def attempt() -> None:
        if getattr(libc, name)(*arguments) == -1:
            raise OSError(ctypes.get_errno(), name)

    return outcome(attempt)


def device(name: str) -> str:
    return outcome(lambda: os.close(os.open(f"/srv/nodes/{name}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)))


def set_user_id_file() -> str:
    def attempt() -> None:
        path = Path("/tmp/probe-set-user-id")
        path.touch()
        try:
            path.chmod(0o4755)
        finally:
            path.unlink()

    return outcome(attempt)


def writable_code() -> str:
    return outcome(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close())


def real_time() -> str:
    return outcome(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)))


def capabilities() -> str:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(line.split()[1] for line in lines if line.startswith("CapEff"))


def interfaces() -> str:
    lines = Path("/proc/self/net/dev").read_text("ascii").splitlines()[2:]
    return ",".join(sorted(line.split(":")[0].strip() for line in lines))


def main() -> None:
    print(
        json.dumps(
            {
                "write /etc": write("/etc/probe"),
                "write /usr": write("/usr/probe"),
                "write the program": write("/opt/evse-agent/probe"),
                "write /var/lib": write("/var/lib/probe"),
                "write the agent's state": write("/var/lib/evse-agent/probe"),
                "write control's state": write("/var/lib/evse-control/probe"),
                "write the runtime folder": write(f"/run/evse-agent/probe-{os.getuid()}"),
                "write the configuration": write("/etc/evse-agent/probe"),
                "remove control's socket": outcome(lambda: Path("/run/evse-agent/decoy-control").unlink()),
                "read the configuration": read("/etc/evse-agent/config.yaml"),
                "read the journal": read("/var/lib/evse-agent/journal.db"),
                "read /etc/shadow": read("/etc/shadow"),
                "see other processes": outcome(lambda: Path("/proc/1").stat()),
                "internet socket": sock(socket.AF_INET),
                "netlink socket": sock(socket.AF_NETLINK, socket.SOCK_RAW),
                "packet socket": sock(socket.AF_PACKET, socket.SOCK_RAW),
                "CAN socket": sock(AF_CAN, socket.SOCK_RAW),
                "link to control": connect("/run/evse-agent/control.sock", socket.SOCK_SEQPACKET),
                "local API": connect("/run/evse-agent/api.sock", socket.SOCK_STREAM),
                "interfaces": interfaces(),
                "write a home": write("/root/probe"),
                **{f"device {name}": device(name) for name in ("tun", "loop", "fuse", "ttyS")},
                "personality": call("personality", ADDR_NO_RANDOMIZE),
                "set-user-id file": set_user_id_file(),
                "host name": call("sethostname", socket.gethostname().encode(), len(socket.gethostname())),
                "new namespaces": call("unshare", CLONE_NEWUSER | CLONE_NEWNS),
                "mount": call("mount", b"none", b"/mnt", b"tmpfs", 0, None),
                "set the clock": outcome(set_clock),
                "code that it wrote": writable_code(),
                "real-time priority": real_time(),
                "capabilities": capabilities(),
                "trace": call("ptrace", PTRACE_TRACEME, 0, None, None),
            }
        )
    )


def set_clock() -> None:
    import time

    time.clock_settime(time.CLOCK_REALTIME, time.time())


if __name__ == "__main__":
    sys.exit(main())
