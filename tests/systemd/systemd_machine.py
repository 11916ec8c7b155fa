"""A Debian machine in a container of systemd-nspawn: boots in a second, is asked and told, and is always cleaned up.

Its disk is unpacked from a tar that ``debootstrap`` or ``mmdebstrap`` made once (``make test-systemd`` does). It has no
network but its own loopback, and no device of the host.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

Seen = TypeVar("Seen")

BOOT_S = 90.0
DOWN_S = 45.0
POLL_S = 0.1


class MachineError(Exception):
    """The machine does not do what it should. The text says what it said."""


def unable() -> str:
    """Say why no machine can run here; empty when one can."""
    if os.geteuid() != 0:
        return "only root can run systemd-nspawn"
    if platform.system() != "Linux":
        return "systemd-nspawn needs Linux"
    absent = [name for name in ("systemd-nspawn", "nsenter", "tar") if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)} (apt-get install systemd-container)" if absent else ""


class Machine:
    """One machine, from its boot to the removal of its disk. ``tar``: the root file system to begin with."""

    def __init__(self, tar: Path, folder: Path) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="machine-", dir=folder))
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        try:
            subprocess.run(["tar", "-C", str(self.root), "-xf", str(tar)], check=True)
        except BaseException:  # Ctrl-C as well: nobody else knows of this folder
            shutil.rmtree(self.root, ignore_errors=True)
            raise

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.shut_down()
        finally:
            shutil.rmtree(self.root, ignore_errors=True)

    # ---- on and off ----

    def boot(self) -> float:
        """Start it. Return the seconds until its service manager was up."""
        began = time.monotonic()
        # Should this process be killed, the machine goes with it.
        command = [
            "setpriv",
            "--pdeathsig",
            "TERM",
            "--",
            "systemd-nspawn",
            "--quiet",
            "--directory",
            str(self.root),
            "--boot",
            "--register=no",
            "--keep-unit",
            # Without it the service manager inside applies neither DeviceAllow= nor IPAddressDeny=, and says nothing.
            "--capability=CAP_BPF",
            "--system-call-filter=bpf",
        ]
        self._nspawn = subprocess.Popen(
            [*command, "--private-network", "--console=pipe"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            start_new_session=True,  # Ctrl-C is for the tests, which then shut it down
        )
        self._leader = int(self.wait(self._first_child, "systemd-nspawn started no machine", BOOT_S))
        self.wait(lambda: self.ask("systemctl", "is-system-running").strip() in ("running", "degraded"), "boot", BOOT_S)
        return time.monotonic() - began

    def _first_child(self) -> str:
        assert self._nspawn is not None
        if self._nspawn.poll() is not None:
            assert self._nspawn.stderr is not None
            raise MachineError(f"systemd-nspawn ended: {self._nspawn.stderr.read().decode(errors='replace')[-400:]}")
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text("ascii").split()
        return next((pid for pid in children if self._is_first_process(pid)), "")

    @staticmethod
    def _is_first_process(pid: str) -> bool:
        """Before the machine's first process systemd-nspawn has another child, which only prepares it and ends."""
        try:
            lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
        except OSError:
            return False
        numbers = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
        return len(numbers) > 1 and numbers[-1] == "1"

    def shut_down(self) -> None:
        """In good order if it can be; a machine that does not go down is ended from its first process on."""
        if self._nspawn is None:
            return
        try:
            if self._nspawn.poll() is None and self._leader:
                self._kill(signal.SIGRTMIN + 4)  # systemd(1): start poweroff.target
                try:
                    self._nspawn.wait(DOWN_S)
                except subprocess.TimeoutExpired:
                    self._kill(signal.SIGKILL)  # its death ends every process inside
            if self._nspawn.poll() is None:
                self._nspawn.terminate()
            self._nspawn.wait(DOWN_S)
        finally:
            assert self._nspawn.stderr is not None
            self._nspawn.stderr.close()
            self._nspawn = None
            self._leader = 0

    def _kill(self, number: int) -> None:
        try:
            os.kill(self._leader, number)
        except ProcessLookupError:
            pass  # it went by itself

    # ---- inside ----

    def run(
        self, *command: str, check: bool = True, timeout_s: float = 300.0, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root inside. Raises MachineError when it fails and ``check``."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "-C", "--", *command],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            input=given,
            env={
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "LANG": "C.UTF-8",
                "HOME": "/root",
            },
        )
        if check and done.returncode != 0:
            raise MachineError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}"[-3000:])
        return done

    def ask(self, *command: str) -> str:
        return self.run(*command, check=False).stdout

    def property(self, unit: str, name: str) -> str:
        return self.ask("systemctl", "show", "--value", "--property", name, unit).strip()

    def pid(self, unit: str) -> int:
        return int(self.property(unit, "MainPID") or 0)

    def journal(self, unit: str) -> str:
        return self.ask("journalctl", "--no-pager", "-o", "cat", "-u", unit)

    def put(self, source: Path, place: str) -> None:
        target = self.root / place.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)

    def write(self, place: str, text: str) -> None:
        """By a process inside: /run is memory there, and not to be seen from here."""
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && cat > "$1"', "sh", place, given=text)

    def exists(self, place: str) -> bool:
        return os.path.lexists(self.root / place.lstrip("/"))

    @staticmethod
    def wait(look: Callable[[], Seen], what: str, longest_s: float = 60.0) -> Seen:
        """Look until what is seen is true, and return it. Raises MachineError."""
        deadline = time.monotonic() + longest_s
        while not (seen := look()):
            if time.monotonic() > deadline:
                raise MachineError(f"{what} did not come in {longest_s:g} s")
            time.sleep(POLL_S)
        return seen


def main() -> int:
    """``systemd_machine.py ROOT.tar FOLDER``: try whether a machine boots here. Says why not, with exit status 1."""
    why = unable()
    if not why:
        try:
            with Machine(Path(sys.argv[1]), Path(sys.argv[2])) as machine:
                machine.boot()
        except (MachineError, OSError, subprocess.SubprocessError) as error:
            why = str(error)
    if why:
        print(" ".join(why.split()))
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
