"""Runs inside the virtual charger, as root: ``> /etc/evse-agent/config.yaml`` works, as docs/install.md promises.

The file is the agent's. With fs.protected_regular=2 (Debian's setting) the kernel lets nobody but the owner open a file
with O_CREAT in a sticky folder that a group may write, not even root (Linux Documentation/admin-guide/sysctl/fs.rst).
So a folder of that kind is tried first, where it must be refused: else this check could not fail.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

from tests.vm.inside import CONFIGURATION

PROTECTED = Path("/proc/sys/fs/protected_regular")
STICKY_PLACE = Path("/run/sticky-for-a-group")
OWNER, GROUP = "evse", "evse-link"
FOLDER_MODE, FILE_MODE = 0o2750, 0o640
"""systemd/tmpfiles.conf."""


def redirected(text: str, path: Path) -> str:
    """What a root shell says of ``> path``; empty when it wrote."""
    done = subprocess.run(["sh", "-c", 'cat > "$1"', "sh", str(path)], input=text, capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else ""


def refused_where_sticky() -> str:
    """What comes of the same in a sticky folder that a group may write."""
    STICKY_PLACE.mkdir()
    try:
        path = STICKY_PLACE / "config.yaml"
        path.write_text("a: 1\n")
        shutil.chown(path, OWNER, GROUP)
        shutil.chown(STICKY_PLACE, "root", GROUP)
        STICKY_PLACE.chmod(0o3770)
        return redirected("a: 2\n", path)
    finally:
        shutil.rmtree(STICKY_PLACE)


def main() -> None:
    path = Path(CONFIGURATION)
    folder, file = path.parent.stat(), path.stat()
    assert os.geteuid() == 0, "this is about root"
    assert PROTECTED.read_text().strip() == "2", f"fs.protected_regular is {PROTECTED.read_text()}: nothing is shown"
    refusal = refused_where_sticky()
    assert refusal, "the kernel lets root write in a sticky folder as well: nothing is shown"
    assert stat.S_IMODE(folder.st_mode) == FOLDER_MODE, f"{path.parent} has mode {folder.st_mode:o}"
    before = path.read_text()
    for text in (before + "# by root's editor\n", before):
        trouble = redirected(text, path)
        assert not trouble, trouble
        assert path.read_text() == text, "something else stands there"
    after = path.stat()
    assert (path.owner(), path.group(), stat.S_IMODE(after.st_mode)) == (OWNER, GROUP, FILE_MODE), after
    assert (after.st_uid, after.st_gid) == (file.st_uid, file.st_gid), "the file has another owner now"
    sys.stdout.write(f"{path} written by >; in a sticky folder: {refusal.rsplit(': ', 1)[-1]}\n")


if __name__ == "__main__":
    main()
