"""The socket of the local API is open to the groups that have a role, and to nobody else."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest

from agent.local.socket_access import access_list, admit

USER = 54320
GROUP, OTHER_GROUP, STRANGERS = 54321, 54322, 54323


def test_the_list_is_as_the_kernel_keeps_it() -> None:
    raw = access_list([7, 5])
    assert struct.unpack("<I", raw[:4]) == (2,)
    assert list(struct.iter_unpack("<HHI", raw[4:])) == [
        (0x01, 6, 0xFFFFFFFF),
        (0x04, 6, 0xFFFFFFFF),
        (0x08, 6, 5),
        (0x08, 6, 7),
        (0x10, 6, 0xFFFFFFFF),
        (0x20, 0, 0xFFFFFFFF),
    ]


def connects_as(group: int, path: Path) -> bool:
    """Whether a process of an ordinary user with this group alone may connect."""
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(group, group, group)
            os.setresuid(USER, USER, USER)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_members_of_the_groups_may_connect_and_strangers_may_not(tmp_path: Path) -> None:
    if os.geteuid() != 0:  # without root nobody can be another user; what is written is still checked
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "s"))
            assert admit(tmp_path / "s", [os.getgid()])
            assert os.getxattr(tmp_path / "s", "system.posix_acl_access") == access_list([os.getgid()])
        return
    path = Path(f"/run/evse-test-{os.getpid()}.sock")
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            path.chmod(0o660)
            listener.listen(8)
            assert not connects_as(GROUP, path)
            assert admit(path, [OTHER_GROUP, GROUP])
            assert connects_as(GROUP, path)
            assert connects_as(OTHER_GROUP, path)
            assert not connects_as(STRANGERS, path)
    finally:
        path.unlink(missing_ok=True)


def test_a_place_that_keeps_no_lists_is_said_and_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    assert not admit(tmp_path / "s", [GROUP])
    assert "local_api" in caplog.text
