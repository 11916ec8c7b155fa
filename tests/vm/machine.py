"""One virtual machine in QEMU: started, asked from outside, and cut off from its power.

Emulated (no KVM needed), never connected to any network: ``restrict=on`` leaves the guest one address,
``UPLINK``, behind which each connection becomes one to a port of this machine's loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.vm.image import Image
from tests.vm.own_time import OwnTime

UPLINK = "10.0.2.100:8765"
"""Where the guest finds the operator's network."""
BOOT_TIMEOUT_S = 240.0
ASK_TIMEOUT_S = 60.0
LEAST_LOOK_S = 0.05
FIRST_PCI_LINE = 4
"""The first serial line is ISA, ttyS1; further ones are PCI, ttyS4 and on. ttyS0 is the console. Two ISA lines would
share an edge-triggered interrupt, and lose one when a frozen machine goes on."""
INSTRUCTION_SHIFT = 3
"""An instruction takes 2 to the power of so many nanoseconds of the guest's own clock."""
PR_SET_PDEATHSIG = 1

_APPEND = (
    "console=ttyS0 panic=-1 root=/dev/vda rw net.ifnames=0 mitigations=off nokaslr tsc=reliable audit=0 apparmor=0 "
    "quiet loglevel=4 systemd.show_status=0 random.trust_cpu=on 8250.nr_uarts=12"
)


@dataclass(frozen=True, slots=True)
class Setup:
    """``lines``: paths of pty slaves, which become ttyS1, ttyS2, … ``write_log``: every write to the data disk is
    logged there, for ``tests.vm.write_log``. ``hardware``: with CAN, GPIO, I2C and watchdog."""

    image: Image
    data: Path
    lines: Sequence[Path] = ()
    uplink_port: int = 0
    write_log: Path | None = None
    hardware: bool = False
    memory_mb: int = 512
    own_clock: bool = False
    """The guest's clock counts instructions instead of following ours: it is never late, however slow it is. Only for
    what lives in the guest as a whole, because the world outside has another clock."""


def line_name(number: int) -> str:
    """What the guest calls the line of that number, from 0."""
    return f"/dev/ttyS{FIRST_PCI_LINE - 1 + number if number else 1}"


class GuestError(Exception):
    """The machine did not do what was asked. The text holds what it said."""


@dataclass(slots=True)
class Answer:
    rc: int
    out: str


@dataclass(slots=True)
class Machine:
    """Use as an async context. Leaving it ends QEMU by its process id."""

    setup: Setup
    directory: Path
    process: asyncio.subprocess.Process | None = None
    boot_s: float = 0.0
    _waiting: dict[int, asyncio.Future[Answer]] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _writer: asyncio.StreamWriter | None = None
    _reading: asyncio.Task[None] | None = None
    own_time: OwnTime = field(init=False)

    def __post_init__(self) -> None:
        self.own_time = OwnTime(lambda: Path(f"/proc/{self.process.pid}") if self.process is not None else None)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()

    @property
    def console(self) -> str:
        path = self.directory / "console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def start(self, frozen: Path | None = None) -> None:
        """Boot, or go on from a frozen state, and wait until the control port answers. Raises GuestError."""
        self.directory.mkdir(parents=True, exist_ok=True)
        begun = asyncio.get_running_loop().time()
        with (self.directory / "qemu.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self._command(frozen), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=_die_with_parent, cwd=self.directory,
            )  # fmt: skip
        try:
            async with self.patience(BOOT_TIMEOUT_S):
                await self._connect()
                if frozen is None:
                    await self._ready.wait()
                else:
                    await self._until("query-status", "paused", "prelaunch", "postmigrate")
                    await self._monitor("cont")
                    await self.run("true")
        except TimeoutError:
            await self.cut()
            raise GuestError(
                f"the machine did not answer within {BOOT_TIMEOUT_S:g} s: {self.console[-1500:]}"
            ) from None
        self.boot_s = asyncio.get_running_loop().time() - begun

    @contextlib.asynccontextmanager
    async def patience(self, seconds: float) -> AsyncIterator[None]:
        """As ``asyncio.timeout``, in the machine's own time. Raises TimeoutError."""
        loop, end = asyncio.get_running_loop(), self.own_time.now_s() + seconds

        def look() -> None:
            nonlocal again
            left = end - self.own_time.now_s()
            if left <= 0:
                limit.reschedule(loop.time())
            else:
                again = loop.call_later(max(left, LEAST_LOOK_S), look)

        again = loop.call_later(seconds, look)
        try:
            async with asyncio.timeout(None) as limit:
                yield
        finally:
            again.cancel()

    async def _connect(self) -> None:
        path = self.directory / "c.sock"
        while True:
            assert self.process is not None
            if self.process.returncode is not None:
                raise GuestError(f"QEMU ended: {(self.directory / 'qemu.log').read_text(errors='replace')[-1500:]}")
            with contextlib.suppress(OSError):
                reader, self._writer = await asyncio.open_unix_connection(_short(path), limit=1 << 24)
                break
            await asyncio.sleep(0.05)
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            message = json.loads(line)
            if message["id"] == 0:
                self._ready.set()
            elif (waiting := self._waiting.pop(message["id"], None)) and not waiting.done():
                waiting.set_result(Answer(message["rc"], message["out"]))
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(GuestError("the machine is off"))
        self._waiting.clear()

    async def _request(self, timeout_s: float, **request: Any) -> Answer:
        if self._writer is None or not self.running:
            raise GuestError("the machine is off")
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps({"id": number, "timeout_s": timeout_s, **request}).encode() + b"\n")
        try:
            async with self.patience(timeout_s + 30):
                answer: Answer = await future
                return answer
        except TimeoutError:
            raise GuestError(f"no answer to {request} within {timeout_s + 30:g} s") from None
        finally:
            self._waiting.pop(number, None)

    async def run(self, *argv: str, text: str = "", timeout_s: float = ASK_TIMEOUT_S) -> Answer:
        """Run a command in the guest as root."""
        return await self._request(timeout_s, do="run", argv=list(argv), input=text)

    async def check(self, *argv: str, text: str = "", timeout_s: float = ASK_TIMEOUT_S) -> str:
        """The same; raises GuestError when it does not end with 0."""
        answer = await self.run(*argv, text=text, timeout_s=timeout_s)
        if answer.rc != 0:
            raise GuestError(f"{' '.join(argv)[:300]} ended with {answer.rc}: {answer.out[-1500:]}")
        return answer.out

    async def ask(self, socket_path: str, line: str, timeout_s: float = 5.0) -> Answer:
        """One line to a unix socket in the guest, one line back."""
        return await self._request(timeout_s, do="ask", socket=socket_path, line=line)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def wait_off(self) -> None:
        """Wait until the machine ends by itself: a reset or power off ends QEMU."""
        assert self.process is not None
        await self.process.wait()

    async def freeze(self, target: Path) -> None:
        """Stop the machine and write its memory to ``target``; its disk must be copied before it ever goes on."""
        await self._monitor("stop")
        await self._monitor("migrate", uri=f"exec:cat > {target}")
        await self._until("query-migrate", "completed")

    async def _until(self, query: str, *wanted: str) -> None:
        """Ask until the status is as wanted. Raises GuestError when it has failed."""
        while True:
            status = (await self._monitor(query)).get("status")
            if status in wanted:
                return
            if status == "failed":
                raise GuestError(f"{query}: QEMU says that it failed")
            await asyncio.sleep(0.05)

    async def _monitor(self, command: str, **arguments: Any) -> Any:
        """One command to QEMU itself."""
        reader, writer = await asyncio.open_unix_connection(_short(self.directory / "q.sock"))
        try:
            await reader.readline()
            for words in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                writer.write(json.dumps(words).encode() + b"\n")
                while "event" in (answer := json.loads(await reader.readline())):
                    pass
            if "error" in answer:
                raise GuestError(f"{command}: {answer['error']}")
            return answer["return"]
        finally:
            writer.close()

    async def cut(self) -> None:
        """Cut the power: SIGKILL to QEMU. Harmless when it is off."""
        process = self.process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.wait()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._reading is not None:
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await self._reading
            self._reading = None

    def _command(self, frozen: Path | None) -> list[str]:
        setup = self.setup
        append = _APPEND + (" charger.hardware=all" if setup.hardware else "")
        command = ["qemu-system-x86_64", "-name", "charger", "-M", "pc"]
        if setup.own_clock:
            command += ["-accel", "tcg,thread=single,tb-size=512", "-icount", f"shift={INSTRUCTION_SHIFT},sleep=on"]
        else:
            command += ["-accel", "tcg,thread=multi,tb-size=512"]
        # Two processors that take turns by a counted clock spend their time waiting for each other.
        processors = "1" if setup.own_clock else "2"
        command += ["-cpu", "max", "-smp", processors, "-m", str(setup.memory_mb), "-nodefaults", "-no-user-config"]
        command += ["-display", "none", "-no-reboot", "-rtc", "base=utc"]
        command += ["-kernel", str(setup.image.kernel), "-initrd", str(setup.image.initrd), "-append", append]
        command += ["-chardev", "file,id=con,path=console.log", "-serial", "chardev:con"]
        for number, line in enumerate(setup.lines):
            command += ["-chardev", f"serial,id=line{number},path={line}"]
            device = "pci-serial" if number else "isa-serial"
            command += ["-device", f"{device},chardev=line{number}"]
        command += ["-device", "virtio-serial-pci", "-chardev", "socket,id=ctl,path=c.sock,server=on,wait=off"]
        command += ["-device", "virtserialport,chardev=ctl,name=control", "-device", "virtio-rng-pci"]
        command += ["-drive", f"file={setup.image.root},format=raw,if=none,id=root,snapshot=on,cache=unsafe"]
        command += ["-device", "virtio-blk-pci,drive=root"]
        data = f"driver=file,node-name=file0,filename={setup.data}"
        if setup.write_log is None:
            command += ["-blockdev", f"{data}"]
            command += ["-device", "virtio-blk-pci,drive=file0"]
        else:
            setup.write_log.write_bytes(b"")
            command += ["-blockdev", data, "-blockdev", f"driver=file,node-name=log0,filename={setup.write_log}"]
            command += ["-blockdev", "driver=blklogwrites,node-name=data0,file=file0,log=log0,log-sector-size=512"]
            command += ["-device", "virtio-blk-pci,drive=data0"]
        forward = ""
        if setup.uplink_port:
            forward = f",guestfwd=tcp:{UPLINK}-cmd:socat - TCP:127.0.0.1:{setup.uplink_port}"
        command += ["-netdev", f"user,id=net0,restrict=on{forward}", "-device", "virtio-net-pci,netdev=net0,romfile="]
        if setup.hardware:
            command += ["-object", "can-bus,id=bus0", "-device", "kvaser_pci,canbus=bus0"]
            command += ["-device", "kvaser_pci,canbus=bus0", "-device", "i6300esb", "-action", "watchdog=reset"]
        command += ["-qmp", "unix:q.sock,server=on,wait=off"]
        if frozen is not None:
            command += ["-incoming", f"exec:cat {frozen}"]
        return command


def _short(path: Path) -> str:
    """Unix socket names are short; a relative one is, where the absolute one may not be."""
    return min(str(path), os.path.relpath(path), key=len)


def _die_with_parent() -> None:
    """A test that is killed leaves no machine behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
