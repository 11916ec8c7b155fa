"""The key for statements: made once, and a broken one is told, never replaced in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.security.files import SecretFileError
from agent.security.signing import NAME, StatementKey


def test_a_broken_key_is_told_with_its_file_and_stays(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("no key")
    with pytest.raises(SecretFileError, match=NAME):
        StatementKey(tmp_path).sign(b"x")
    assert (tmp_path / NAME).read_text() == "no key"


def test_a_folder_that_takes_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SecretFileError):
        StatementKey(tmp_path / "file" / "security").fingerprint()
